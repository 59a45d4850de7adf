//! Values: a source over batches that exist already (constant rows, in-memory tables).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::batch::Batch;
use crate::error::Result;
use crate::metrics::OperatorMetrics;
use crate::pipeline::{Next, Source, SourceState, TaskContext};

/// Gives each batch once, to whichever worker asks first.
#[derive(Debug)]
pub struct Values {
    batches: Arc<Vec<Batch>>,
    cursor: Arc<AtomicUsize>,
}

impl Values {
    /// A source of `batches`.
    pub fn new(batches: Vec<Batch>) -> Self {
        Values { batches: Arc::new(batches), cursor: Arc::default() }
    }
}

impl Source for Values {
    fn name(&self) -> &'static str {
        "Values"
    }

    fn describe(&self) -> String {
        format!("{} rows", self.batches.iter().map(Batch::selected_rows).sum::<usize>())
    }

    fn max_workers(&self) -> usize {
        self.batches.len()
    }

    fn open(&self, _task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        Ok(Box::new(ValuesState { batches: self.batches.clone(), cursor: self.cursor.clone() }))
    }
}

struct ValuesState {
    batches: Arc<Vec<Batch>>,
    cursor: Arc<AtomicUsize>,
}

impl SourceState for ValuesState {
    fn next(&mut self) -> Result<Next> {
        let position = self.cursor.fetch_add(1, Ordering::Relaxed);
        Ok(self.batches.get(position).cloned().map_or(Next::Finished, Next::Batch))
    }
}
