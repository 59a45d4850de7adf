//! Cancellation and deadlines, checked by the drivers at every batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Shared by everyone who may stop a query; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct CancelToken {
    cancelled: Arc<AtomicBool>,
    /// What else cancels it.
    above: Option<Arc<CancelToken>>,
    deadline: Option<Instant>,
    /// A test's: checks left until the query is cancelled.
    countdown: Option<Arc<AtomicUsize>>,
}

impl CancelToken {
    /// The token, which also fails once `after` has passed from now; `None` = no deadline.
    pub fn with_deadline(self, after: Option<Duration>) -> Self {
        CancelToken { deadline: after.and_then(|after| Instant::now().checked_add(after)), ..self }
    }

    /// A token of a part: cancelled with this one, and by itself without it.
    pub fn child(&self) -> Self {
        CancelToken { cancelled: Arc::default(), above: Some(Arc::new(self.clone())), ..self.clone() }
    }

    /// The token, cancelled at its `checks`-th check.
    pub(super) fn at_check(self, checks: usize) -> Self {
        CancelToken { countdown: Some(Arc::new(AtomicUsize::new(checks))), ..self }
    }

    /// Stops the query within one batch.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || self.above.as_ref().is_some_and(|above| above.is_cancelled())
    }

    /// Fails when cancelled or past the deadline.
    pub fn check(&self) -> Result<()> {
        if let Some(left) = &self.countdown
            && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)) == Ok(1)
        {
            self.cancel();
        }
        if self.is_cancelled() {
            return Err(Error::Cancelled);
        }
        match self.deadline {
            Some(deadline) if Instant::now() > deadline => Err(Error::Deadline),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_cancelled_with_the_whole_and_not_the_other_way_round() {
        let whole = CancelToken::default();
        let (one, other) = (whole.child(), whole.child());
        one.cancel();
        assert!(one.check().is_err() && whole.check().is_ok() && other.child().check().is_ok());
        whole.cancel();
        assert!(other.child().check().is_err());
    }
}
