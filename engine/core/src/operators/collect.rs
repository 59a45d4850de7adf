//! Collect: hands a query's result to its reader through a queue.
//!
//! Under the pool driver the queue is bounded, so that workers wait for a slow reader instead of filling memory; under the inline driver the
//! reader and the worker are one thread: the queue must not block, and needs no channel.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam::channel::{Receiver, SendTimeoutError, Sender, TrySendError, bounded, unbounded};

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
    way: Mutex<Option<Way>>,
}

#[derive(Debug, Clone)]
enum Way {
    Channel(Sender<Batch>),
    Inline(InlineQueue),
}

/// Batches that wait for a reader who is also the worker.
#[derive(Debug, Clone, Default)]
pub struct InlineQueue(Arc<Mutex<VecDeque<Batch>>>);

impl InlineQueue {
    /// The oldest batch.
    pub fn pop(&self) -> Option<Batch> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).pop_front()
    }

    fn push(&self, batch: Batch) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).push_back(batch);
    }
}

impl Collect {
    /// A sink and its reader's end; `capacity` batches wait at most (`None` = any number, never blocks).
    pub fn new(capacity: Option<usize>) -> (Self, Receiver<Batch>) {
        let (sender, receiver) = capacity.map_or_else(unbounded, bounded);
        (Collect { way: Mutex::new(Some(Way::Channel(sender))) }, receiver)
    }

    /// A sink whose reader drives the graph itself.
    pub fn inline() -> (Self, InlineQueue) {
        let queue = InlineQueue::default();
        (Collect { way: Mutex::new(Some(Way::Inline(queue.clone()))) }, queue)
    }

    /// Whether nothing more can come before the reader takes something.
    pub fn is_full(&self) -> bool {
        match &*self.way.lock().unwrap_or_else(|e| e.into_inner()) {
            Some(Way::Channel(sender)) => sender.is_full(),
            Some(Way::Inline(_)) | None => false,
        }
    }

    /// No more batches will come: whoever drove the graph says so, after success and failure alike.
    pub fn close(&self) {
        self.way.lock().unwrap_or_else(|e| e.into_inner()).take();
    }
}

impl Sink for Collect {
    fn name(&self) -> &'static str {
        "Collect"
    }

    fn open(&self, task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SinkState>> {
        let way = self.way.lock().unwrap_or_else(|e| e.into_inner()).clone();
        let way = way.ok_or_else(|| Error::internal("the result queue is closed"))?;
        Ok(Box::new(CollectState { way, cancel: task.cancel.clone() }))
    }
}

struct CollectState {
    way: Way,
    cancel: CancelToken,
}

impl SinkState for CollectState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        match &self.way {
            Way::Inline(queue) => queue.push(batch),
            // A try first: waiting for a time reads the clock.
            Way::Channel(sender) => match sender.try_send(batch) {
                Ok(()) => {}
                // The reader is gone: nobody wants more.
                Err(TrySendError::Disconnected(_)) => return Ok(Flow::Finished),
                Err(TrySendError::Full(batch)) => return wait(sender, batch, &self.cancel),
            },
        }
        Ok(Flow::NeedInput)
    }

    fn combine(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Hands over once the reader has taken something.
fn wait(sender: &Sender<Batch>, mut batch: Batch, cancel: &CancelToken) -> Result<Flow> {
    loop {
        match sender.send_timeout(batch, Duration::from_millis(WAIT_MILLISECONDS)) {
            Ok(()) => return Ok(Flow::NeedInput),
            Err(SendTimeoutError::Disconnected(_)) => return Ok(Flow::Finished),
            Err(SendTimeoutError::Timeout(waiting)) => {
                cancel.check()?;
                batch = waiting;
            }
        }
    }
}
