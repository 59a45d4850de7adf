//! Plans: the IR, the SQL front end, optimizer passes, and lowering to pipelines.

mod error;
pub mod explain;
pub mod function;
pub mod ir;
pub mod lower;
pub mod optimizer;
pub mod sql;

#[cfg(test)]
mod tests;
