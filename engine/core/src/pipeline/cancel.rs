//! Cancellation and deadlines, checked by the drivers at every batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::error::{Error, Result};

/// Shared by everyone who may stop a query; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct CancelToken {
    cancelled: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl CancelToken {
    /// A token that also fails once `deadline` has passed.
    pub fn with_deadline(deadline: Option<Instant>) -> Self {
        CancelToken { cancelled: Arc::default(), deadline }
    }

    /// Stops the query within one batch.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Fails when cancelled or past the deadline.
    pub fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        match self.deadline {
            Some(deadline) if Instant::now() > deadline => Err(Error::Deadline),
            _ => Ok(()),
        }
    }
}
