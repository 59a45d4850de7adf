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
pub mod untyped;

pub use crate::ir::Constant;
pub use catalog::{Catalog, View};
pub(crate) use context::is_path;
pub use split::{ExplainFormat, ExplainOptions, number_parameters, split_statements};
pub(crate) use statement::plan_view;
pub use statement::{CopyTo, CreateExternalTable, Stage, Statement, plan_statement, plan_with_parameters};
pub(crate) use translate::{cast_to, convert_scalar, same_type};
