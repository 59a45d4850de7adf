//! Plans: the IR, the SQL front end, optimizer passes, and lowering to pipelines.

pub mod ir;
