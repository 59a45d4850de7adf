//! The SQL front end: text → [`Statement`] → the plan IR.
//!
//! [`split_statements`] cuts a text into statements; [`plan_statement`] plans one. Parsing, name and type resolution, simplification,
//! decorrelation and filter push-down are DataFusion's (as a library, without its engine); `translate` turns its logical plan into our
//! IR; join order and everything physical are the passes of [`crate::optimizer`].
//!
//! Semantics chosen here: number literals with a point are decimals; integer and decimal arithmetic that overflows is an error
//! ([`plasmon_core::expression::Overflow::Fail`]), as is a cast without an image; identifiers are lower-cased unless quoted;
//! `ORDER BY` puts nulls last ascending and first descending, as in PostgreSQL.

mod catalog;
mod context;
mod distinct_on;
mod flatten;
mod frames;
mod held_rules;
mod logical;
mod membership;
mod numbers;
mod reader_options;
mod set_operation;
mod split;
mod statement;
mod subquery;
mod syntax;
mod translate;

pub use catalog::{Catalog, View};
pub use split::{ExplainFormat, ExplainOptions, split_statements};
pub use statement::{CopyTo, CreateExternalTable, Statement, plan_statement, plan_with_parameters};
