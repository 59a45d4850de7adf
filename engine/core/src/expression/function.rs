//! Scalar functions: native ones, and those that a library brings by the same trait.

use std::fmt::Debug;
use std::sync::Arc;

use arrow_schema::DataType;

use super::Expression;
use crate::batch::{Column, Selection};
use crate::error::Result;

/// A function from argument columns to one column. Stateless: shared by all workers.
pub trait ScalarFunction: Send + Sync + Debug {
    /// Name in EXPLAIN, and the function's identity: equal names and arguments give equal results (unless volatile).
    fn name(&self) -> &str;

    /// Whether two calls with equal arguments may differ (`random()`).
    fn is_volatile(&self) -> bool {
        false
    }

    /// Whether a call costs much beside what its rows cost (a function of the host's), so that batches should be gathered before it.
    fn wants_many_rows(&self) -> bool {
        false
    }

    /// The result for `rows` rows. Arguments are each `rows` long (or constant); values at unselected rows are arbitrary and must not
    /// raise errors. The result has `rows` rows of the physical type of `data_type`.
    fn evaluate(
        &self,
        arguments: &[Column],
        rows: usize,
        selection: Option<&Selection>,
        data_type: &DataType,
    ) -> Result<Column>;
}

/// A function and its arguments.
#[derive(Debug, Clone)]
pub struct FunctionCall {
    pub function: Arc<dyn ScalarFunction>,
    pub arguments: Vec<Expression>,
}

impl PartialEq for FunctionCall {
    fn eq(&self, other: &Self) -> bool {
        !self.function.is_volatile()
            && self.function.name() == other.function.name()
            && self.arguments == other.arguments
    }
}
