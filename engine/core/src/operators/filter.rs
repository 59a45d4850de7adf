//! Filter: narrows the selection of every batch to the rows where a predicate is true. Moves no data, keeps order, holds no state.

use std::sync::Arc;

use crate::batch::Batch;
use crate::error::Result;
use crate::expression::{Expression, select};
use crate::metrics::OperatorMetrics;
use crate::pipeline::{Flow, Operator, OperatorState, TaskContext};

/// The operator `WHERE predicate`.
#[derive(Debug)]
pub struct Filter {
    predicate: Expression,
}

impl Filter {
    /// Keeps rows where the boolean `predicate` is true (not false, not null).
    pub fn new(predicate: Expression) -> Self {
        Filter { predicate }
    }
}

impl Operator for Filter {
    fn name(&self) -> &'static str {
        "Filter"
    }

    fn describe(&self) -> String {
        self.predicate.to_string()
    }

    fn open(&self, _task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn OperatorState>> {
        Ok(Box::new(FilterState { predicate: self.predicate.clone() }))
    }
}

struct FilterState {
    predicate: Expression,
}

impl OperatorState for FilterState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let batch = select(&self.predicate, batch)?;
        Ok(if batch.selected_rows() == 0 { Flow::NeedInput } else { Flow::Output(batch) })
    }
}
