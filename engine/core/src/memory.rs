//! Reserve, then allocate: a query's budget, and the tokens that growing state holds against it.
//!
//! State that grows with the input owns a [`Reservation`] and calls [`Reservation::grow`] *before* it allocates, at a step boundary
//! (once per batch, with an upper bound). A refusal is a typed error that names every consumer. Source: Photon, SIGMOD 2022, §5.3.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::error::{Error, Result};

/// The memory that one query may reserve, in bytes.
#[derive(Debug)]
pub struct MemoryBudget {
    limit: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
    consumers: Mutex<Vec<Arc<Consumer>>>,
    /// A test's: growths left until one is refused; 0 refuses none.
    refuse_in: AtomicUsize,
}

#[derive(Debug)]
struct Consumer {
    name: String,
    held: AtomicUsize,
}

impl MemoryBudget {
    /// A budget of `limit` bytes; `None` = no limit (reservations are still counted).
    pub fn new(limit: Option<usize>) -> Arc<Self> {
        Arc::new(MemoryBudget {
            limit: limit.unwrap_or(usize::MAX),
            used: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            consumers: Mutex::new(Vec::new()),
            refuse_in: AtomicUsize::new(0),
        })
    }

    /// A budget that refuses its `growth`-th growth, whatever is free.
    pub(crate) fn refusing(limit: Option<usize>, growth: usize) -> Arc<Self> {
        let budget = MemoryBudget::new(limit);
        budget.refuse_in.store(growth, Ordering::Relaxed);
        budget
    }

    /// An empty reservation of the consumer `name` (shown in errors, e.g. `HashJoin build`).
    pub fn reservation(self: &Arc<Self>, name: impl Into<String>) -> Reservation {
        let consumer = Arc::new(Consumer { name: name.into(), held: AtomicUsize::new(0) });
        self.lock().push(consumer.clone());
        Reservation { budget: self.clone(), consumer }
    }

    /// Bytes reserved now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The most bytes ever reserved at once.
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Consumer>>> {
        self.consumers.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn refusal(&self, consumer: &str, requested: usize) -> Error {
        let mut held: Vec<_> =
            self.lock().iter().map(|c| (c.held.load(Ordering::Relaxed), c.name.clone())).filter(|c| c.0 > 0).collect();
        held.sort_by(|a, b| b.cmp(a));
        let holders = held.iter().map(|(bytes, name)| format!("{name}: {bytes}")).collect::<Vec<_>>().join(", ");
        Error::OutOfMemory {
            consumer: consumer.to_string(),
            requested,
            available: self.limit.saturating_sub(self.used()),
            limit: self.limit,
            holders: if holders.is_empty() { "nobody".to_string() } else { holders },
        }
    }
}

/// A token for bytes that its owner may allocate; gives everything back when dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<MemoryBudget>,
    consumer: Arc<Consumer>,
}

impl Reservation {
    /// Reserves `bytes` more, or fails with [`Error::OutOfMemory`] and changes nothing.
    pub fn grow(&self, bytes: usize) -> Result<()> {
        let budget = &self.budget;
        let refuse_in = &budget.refuse_in;
        if refuse_in.load(Ordering::Relaxed) > 0
            && refuse_in.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)) == Ok(1)
        {
            return Err(budget.refusal(&self.consumer.name, bytes));
        }
        let reserve = |used: usize| used.checked_add(bytes).filter(|&total| total <= budget.limit);
        match budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve) {
            Ok(before) => {
                budget.peak.fetch_max(before + bytes, Ordering::Relaxed);
                self.consumer.held.fetch_add(bytes, Ordering::Relaxed);
                Ok(())
            }
            Err(_) => Err(budget.refusal(&self.consumer.name, bytes)),
        }
    }

    /// Makes the reservation hold exactly `bytes`: grows or gives back the difference.
    pub fn resize(&self, bytes: usize) -> Result<()> {
        let held = self.held();
        if bytes > held {
            self.grow(bytes - held)
        } else {
            self.shrink(held - bytes);
            Ok(())
        }
    }

    /// Gives back up to `bytes`.
    pub fn shrink(&self, bytes: usize) {
        let freed = bytes.min(self.held());
        self.consumer.held.fetch_sub(freed, Ordering::Relaxed);
        self.budget.used.fetch_sub(freed, Ordering::Relaxed);
    }

    /// A second token of the same consumer that takes over up to `bytes` of this one's.
    pub fn split(&self, bytes: usize) -> Reservation {
        let moved = bytes.min(self.held());
        let consumer = Arc::new(Consumer { name: self.consumer.name.clone(), held: AtomicUsize::new(moved) });
        self.consumer.held.fetch_sub(moved, Ordering::Relaxed);
        self.budget.lock().push(consumer.clone());
        Reservation { budget: self.budget.clone(), consumer }
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.consumer.held.load(Ordering::Relaxed)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(self.held());
        self.budget.lock().retain(|c| !Arc::ptr_eq(c, &self.consumer));
    }
}
