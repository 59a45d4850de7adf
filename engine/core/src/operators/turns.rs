//! Who of the readers of what is on disk has memory for a part of it now: two that are short of it get nowhere together, and one alone does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The turns of one operator's workers.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns(Arc<AtomicUsize>);

impl Turns {
    /// Workers whose turn it is.
    pub(super) fn taken(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// A turn beside those of others.
    pub(super) fn take(&self) -> Turn {
        self.0.fetch_add(1, Ordering::SeqCst);
        Turn(self.clone())
    }

    /// The only turn; `None` while others have one.
    pub(super) fn take_alone(&self) -> Option<Turn> {
        self.0.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).ok()?;
        Some(Turn(self.clone()))
    }
}

/// A worker's time with memory, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn(Turns);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}
