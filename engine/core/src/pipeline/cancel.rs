//! Cancellation and deadlines, checked by the drivers at every batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use crate::error::{Error, Result};

/// Shared by everyone who may stop a query; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct CancelToken {
    cancelled: Arc<AtomicBool>,
    deadline: Option<Instant>,
    /// A test's: checks left until the query is cancelled.
    countdown: Option<Arc<AtomicUsize>>,
}

impl CancelToken {
    /// A token that also fails once `deadline` has passed.
    pub fn with_deadline(deadline: Option<Instant>) -> Self {
        CancelToken { deadline, ..CancelToken::default() }
    }

    /// The token, cancelled at its `checks`-th check.
    pub(super) fn at_check(self, checks: usize) -> Self {
        CancelToken { countdown: Some(Arc::new(AtomicUsize::new(checks))), ..self }
    }

    /// Stops the query within one batch.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Fails when cancelled or past the deadline.
    pub fn check(&self) -> Result<()> {
        if let Some(left) = &self.countdown
            && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)) == Ok(1)
        {
            self.cancel();
        }
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        match self.deadline {
            Some(deadline) if Instant::now() > deadline => Err(Error::Deadline),
            _ => Ok(()),
        }
    }
}
