//! Limit: passes `fetch` rows after skipping `offset`, counted over all workers; which rows is only defined for an ordered (one-worker) input.

use std::sync::Arc;
use std::sync::Mutex;

use crate::batch::Batch;
use crate::error::Result;
use crate::metrics::OperatorMetrics;
use crate::pipeline::{Flow, Operator, OperatorState, TaskContext};

/// The operator `LIMIT fetch OFFSET offset`.
#[derive(Debug)]
pub struct Limit {
    offset: usize,
    fetch: Option<usize>,
    left: Arc<Mutex<Left>>,
}

/// What is still to be skipped and passed.
#[derive(Debug)]
struct Left {
    skip: usize,
    pass: usize,
}

impl Limit {
    /// Passes at most `fetch` rows (`None` = all) after the first `offset`.
    pub fn new(offset: usize, fetch: Option<usize>) -> Self {
        Limit { offset, fetch, left: Arc::new(Mutex::new(Left { skip: offset, pass: fetch.unwrap_or(usize::MAX) })) }
    }
}

impl Operator for Limit {
    fn name(&self) -> &'static str {
        "Limit"
    }

    fn describe(&self) -> String {
        let fetch = self.fetch.map_or("all".to_string(), |f| f.to_string());
        if self.offset == 0 { fetch } else { format!("{fetch} after {}", self.offset) }
    }

    fn open(&self, _task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn OperatorState>> {
        Ok(Box::new(LimitState { left: self.left.clone() }))
    }
}

struct LimitState {
    left: Arc<Mutex<Left>>,
}

impl OperatorState for LimitState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let rows = batch.selected_rows();
        let (skip, pass) = {
            let mut left = self.left.lock().unwrap_or_else(|e| e.into_inner());
            if left.pass == 0 {
                return Ok(Flow::Finished);
            }
            let skip = left.skip.min(rows);
            left.skip -= skip;
            let pass = left.pass.min(rows - skip);
            left.pass -= pass;
            (skip, pass)
        };
        Ok(match pass {
            0 => Flow::NeedInput,
            _ if pass == rows => Flow::Output(batch),
            _ => Flow::Output(batch.slice(skip, pass)?),
        })
    }
}
