//! The small runtime that requests to object stores run on, and how a worker waits for one of them.

use std::future::Future;
use std::sync::LazyLock;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, bounded};
use plasmon_core::pipeline::CancelToken;
use plasmon_core::{Error, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

/// Requests wait for the network, not for the processor: two threads carry hundreds.
const THREADS: usize = 2;
/// How often a waiting worker looks at the cancel token.
const WAIT_MILLISECONDS: u64 = 20;

static RUNTIME: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread().worker_threads(THREADS).thread_name("plasmon-io").enable_all().build()
});

/// A result that is being made. Dropping it stops the making.
#[derive(Debug)]
pub(super) struct Pending<T> {
    receiver: Receiver<T>,
    task: AbortHandle,
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts `work` on the runtime.
pub(super) fn start<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<Pending<T>> {
    let runtime = RUNTIME.as_ref().map_err(|e| Error::io("starting the I/O threads", e))?;
    let (sender, receiver) = bounded(1);
    let task = runtime.spawn(async move {
        // Nobody waits any more: the result is for nobody.
        let _ = sender.send(work.await);
    });
    Ok(Pending { receiver, task: task.abort_handle() })
}

impl<T> Pending<T> {
    /// Blocks the caller until the result is there or the query is cancelled.
    pub(super) fn wait(&self, cancel: Option<&CancelToken>) -> Result<T> {
        loop {
            match self.receiver.recv_timeout(Duration::from_millis(WAIT_MILLISECONDS)) {
                Ok(result) => return Ok(result),
                Err(RecvTimeoutError::Timeout) => cancel.map_or(Ok(()), CancelToken::check)?,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::internal("an I/O task ended without a result"));
                }
            }
        }
    }
}

/// Runs `work` and waits for it.
pub(super) fn wait_for<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T> {
    start(work)?.wait(None)
}
