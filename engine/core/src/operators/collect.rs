//! Collect: hands a query's result to its reader through a queue.
//!
//! Under the pool driver the queue is bounded, so that workers wait for a slow reader instead of filling memory; under the inline driver the
//! reader and the worker are one thread: the queue must not block, and needs no channel. What waits in the bounded queue is counted, but for what others hold.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crossbeam::channel::{Receiver, SendTimeoutError, Sender, TrySendError, bounded, unbounded};

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::memory::Counted;
use crate::metrics::OperatorMetrics;
use crate::pipeline::{CancelToken, Flow, Sink, SinkState, TaskContext};

/// How often a worker that waits for the reader looks at the cancel token.
const WAIT_MILLISECONDS: u64 = 20;

/// The sink at the end of a query.
#[derive(Debug)]
pub struct Collect {
    /// Taken away by [`Collect::close`], so that the reader sees the end although the graph lives on for its counters.
    way: Mutex<Option<Way>>,
    waiting: Arc<Mutex<Waiting>>,
}

/// Bytes of the batches in the queue, the oldest first; what the reader took is seen at the next batch.
#[derive(Debug, Default)]
struct Waiting {
    bytes: VecDeque<usize>,
    counted: Option<Counted>,
}

impl Waiting {
    fn add(&mut self, bytes: usize, waiting: usize) {
        self.bytes.push_back(bytes);
        self.bytes.drain(..self.bytes.len().saturating_sub(waiting));
        if let Some(counted) = &self.counted {
            counted.set(self.bytes.iter().sum());
        }
    }
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
        (Collect { way: Mutex::new(Some(Way::Channel(sender))), waiting: Arc::default() }, receiver)
    }

    /// A sink whose reader drives the graph itself.
    pub fn inline() -> (Self, InlineQueue) {
        let queue = InlineQueue::default();
        (Collect { way: Mutex::new(Some(Way::Inline(queue.clone()))), waiting: Arc::default() }, queue)
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
        *waiting(&self.waiting) = Waiting::default();
    }
}

fn waiting(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(|e| e.into_inner())
}

impl Sink for Collect {
    fn name(&self) -> &'static str {
        "Collect"
    }

    fn open(&self, task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SinkState>> {
        let way = self.way.lock().unwrap_or_else(|e| e.into_inner()).clone();
        let way = way.ok_or_else(|| Error::internal("the result queue is closed"))?;
        waiting(&self.waiting).counted.get_or_insert_with(|| task.memory.counted("Result"));
        Ok(Box::new(CollectState { way, waiting: self.waiting.clone(), cancel: task.cancel.clone() }))
    }
}

struct CollectState {
    way: Way,
    waiting: Arc<Mutex<Waiting>>,
    cancel: CancelToken,
}

impl SinkState for CollectState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        match &self.way {
            Way::Inline(queue) => queue.push(batch),
            Way::Channel(sender) => {
                // Who asks for a queue without bounds keeps the result.
                if sender.capacity().is_some() {
                    waiting(&self.waiting).add(batch.own_bytes(), sender.len() + 1);
                }
                return send(sender, batch, &self.cancel);
            }
        }
        Ok(Flow::NeedInput)
    }

    fn combine(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Hands over; a try first: waiting for a time reads the clock.
fn send(sender: &Sender<Batch>, batch: Batch, cancel: &CancelToken) -> Result<Flow> {
    match sender.try_send(batch) {
        Ok(()) => Ok(Flow::NeedInput),
        // The reader is gone: nobody wants more.
        Err(TrySendError::Disconnected(_)) => Ok(Flow::Finished),
        Err(TrySendError::Full(batch)) => wait(sender, batch, cancel),
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
