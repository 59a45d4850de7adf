//! Collect: hands a query's result to its reader through a queue.
//!
//! Under the pool driver the queue is bounded, so that workers wait for a slow reader instead of filling memory; under the inline driver the
//! reader and the worker are one thread and the queue must not block.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam::channel::{Receiver, SendTimeoutError, Sender, bounded, unbounded};

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::metrics::OperatorMetrics;
use crate::pipeline::{CancelToken, Flow, Sink, SinkState, TaskContext};

/// How often a worker that waits for the reader looks at the cancel token.
const WAIT_MILLISECONDS: u64 = 20;

/// The sink at the end of a query.
#[derive(Debug)]
pub struct Collect {
    /// Taken away by [`Collect::close`], so that the reader sees the end although the graph lives on for its counters.
    sender: Mutex<Option<Sender<Batch>>>,
}

impl Collect {
    /// A sink and its reader's end; `capacity` batches wait at most (`None` = any number, never blocks).
    pub fn new(capacity: Option<usize>) -> (Self, Receiver<Batch>) {
        let (sender, receiver) = capacity.map_or_else(unbounded, bounded);
        (Collect { sender: Mutex::new(Some(sender)) }, receiver)
    }

    /// No more batches will come: whoever drove the graph says so, after success and failure alike.
    pub fn close(&self) {
        self.sender.lock().unwrap_or_else(|e| e.into_inner()).take();
    }
}

impl Sink for Collect {
    fn name(&self) -> &'static str {
        "Collect"
    }

    fn open(&self, task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SinkState>> {
        let sender = self.sender.lock().unwrap_or_else(|e| e.into_inner()).clone();
        let sender = sender.ok_or_else(|| Error::internal("the result queue is closed"))?;
        Ok(Box::new(CollectState { sender, cancel: task.cancel.clone() }))
    }
}

struct CollectState {
    sender: Sender<Batch>,
    cancel: CancelToken,
}

impl SinkState for CollectState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let mut batch = batch;
        loop {
            match self.sender.send_timeout(batch, Duration::from_millis(WAIT_MILLISECONDS)) {
                Ok(()) => return Ok(Flow::NeedInput),
                // The reader is gone: nobody wants more.
                Err(SendTimeoutError::Disconnected(_)) => return Ok(Flow::Finished),
                Err(SendTimeoutError::Timeout(waiting)) => {
                    self.cancel.check()?;
                    batch = waiting;
                }
            }
        }
    }

    fn combine(&mut self) -> Result<()> {
        Ok(())
    }
}
