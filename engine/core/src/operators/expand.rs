//! Expand: several rows of every row, one for each projection, as grouping sets and several DISTINCTs want them. Holds one batch.

use std::sync::Arc;

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::expression::Expression;
use crate::metrics::OperatorMetrics;
use crate::operators::project::evaluate_all;
use crate::pipeline::{Flow, Operator, OperatorState, TaskContext};

/// The operator.
#[derive(Debug)]
pub struct Expand {
    projections: Arc<Vec<Vec<Expression>>>,
}

impl Expand {
    /// Each of `projections` (at least one) gives one column per expression, of the same types as the others.
    pub fn new(projections: Vec<Vec<Expression>>) -> Self {
        Expand { projections: Arc::new(projections) }
    }
}

impl Operator for Expand {
    fn name(&self) -> &'static str {
        "Expand"
    }

    fn open(&self, _task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn OperatorState>> {
        Ok(Box::new(ExpandState { projections: self.projections.clone(), waiting: None }))
    }
}

struct ExpandState {
    projections: Arc<Vec<Vec<Expression>>>,
    /// The batch at hand, and the projection that comes next.
    waiting: Option<(Batch, usize)>,
}

impl ExpandState {
    /// One projection of the batch; the batch stays while there are more.
    fn project(&mut self, batch: Batch, index: usize) -> Result<Flow> {
        let projection = self.projections.get(index).ok_or_else(|| Error::internal("no projection to expand by"))?;
        let output = batch.with_columns(evaluate_all(projection, &batch)?);
        if index + 1 == self.projections.len() {
            return Ok(Flow::Output(output));
        }
        self.waiting = Some((batch, index + 1));
        Ok(Flow::More(output))
    }
}

impl OperatorState for ExpandState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        self.project(batch, 0)
    }

    fn resume(&mut self) -> Result<Flow> {
        match self.waiting.take() {
            Some((batch, index)) => self.project(batch, index),
            None => Ok(Flow::NeedInput),
        }
    }
}
