//! Plans: the IR, the front ends (SQL, Substrait, our own wire format), optimizer passes, and lowering to pipelines.

mod error;
pub mod explain;
pub mod function;
pub mod ir;
pub mod lower;
pub mod optimizer;
mod path;
pub mod sql;
mod stack;
pub mod substrait;
pub mod wire;

pub use sql::untyped;

#[cfg(test)]
mod tests;
