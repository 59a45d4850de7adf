//! Scalar sub-query: binds the one value of a one-column result to the slot that expressions read.

use std::sync::{Arc, Mutex};

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::expression::{Scalar, ScalarSlot};
use crate::metrics::OperatorMetrics;
use crate::pipeline::{Flow, Sink, SinkState, TaskContext};

/// The sink at the end of an uncorrelated scalar sub-query: no row gives null, more than one is an error.
#[derive(Debug)]
pub struct ScalarSubquery {
    slot: Arc<ScalarSlot>,
    value: Arc<Mutex<Option<Scalar>>>,
}

impl ScalarSubquery {
    /// Binds `slot` when sealed.
    pub fn new(slot: Arc<ScalarSlot>) -> Self {
        ScalarSubquery { slot, value: Arc::default() }
    }
}

impl Sink for ScalarSubquery {
    fn name(&self) -> &'static str {
        "ScalarSubquery"
    }

    fn open(&self, _task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SinkState>> {
        Ok(Box::new(ScalarSubqueryState { value: self.value.clone() }))
    }

    fn seal(&self, _task: &TaskContext) -> Result<()> {
        let value = self.value.lock().unwrap_or_else(|e| e.into_inner()).take();
        self.slot.bind(value.unwrap_or(Scalar::Null));
        Ok(())
    }
}

struct ScalarSubqueryState {
    value: Arc<Mutex<Option<Scalar>>>,
}

impl SinkState for ScalarSubqueryState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let batch = batch.compact();
        let mut value = self.value.lock().unwrap_or_else(|e| e.into_inner());
        if batch.rows() > 1 || value.is_some() {
            return Err(Error::data("a scalar sub-query gave more than one row"));
        }
        *value = Some(Scalar::from_column(batch.column(0), 0));
        Ok(Flow::NeedInput)
    }

    fn combine(&mut self) -> Result<()> {
        Ok(())
    }
}
