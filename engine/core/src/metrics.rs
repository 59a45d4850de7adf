//! What every operator reports: one struct read by EXPLAIN ANALYZE, hosts and tests alike.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// Counters of one operator (source, operator or sink) in one query, summed over workers.
#[derive(Debug, Default)]
pub struct OperatorMetrics {
    /// Rows and batches that went in (sinks, operators) …
    pub rows_in: AtomicU64,
    pub batches_in: AtomicU64,
    /// … and came out (sources, operators).
    pub rows_out: AtomicU64,
    pub batches_out: AtomicU64,
    /// Time inside the operator, in nanoseconds of worker time.
    pub nanos: AtomicU64,
    /// Peak bytes reserved by the operator, bytes it spilled …
    pub bytes_reserved: AtomicU64,
    pub bytes_spilled: AtomicU64,
    /// … and bytes of these that it read back, once for each time.
    pub bytes_read_back: AtomicU64,
    /// Adaptive choices and other facts, as `name → value`, in the order in which they were first noted.
    notes: Mutex<Vec<(String, String)>>,
}

impl OperatorMetrics {
    /// Fresh counters.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Sets the note `name` (e.g. `mode` → `array`), replacing an earlier value.
    pub fn note(&self, name: &str, value: impl Into<String>) {
        let mut notes = self.notes.lock().unwrap_or_else(|e| e.into_inner());
        let value = value.into();
        match notes.iter_mut().find(|(n, _)| n == name) {
            Some(slot) => slot.1 = value,
            None => notes.push((name.to_string(), value)),
        }
    }

    /// Adds `value` to the numeric note `name` (e.g. `row groups pruned`).
    pub fn add(&self, name: &str, value: u64) {
        let mut notes = self.notes.lock().unwrap_or_else(|e| e.into_inner());
        match notes.iter_mut().find(|(n, _)| n == name) {
            Some(slot) => slot.1 = (slot.1.parse::<u64>().unwrap_or(0) + value).to_string(),
            None => notes.push((name.to_string(), value.to_string())),
        }
    }

    /// All notes.
    pub fn notes(&self) -> Vec<(String, String)> {
        self.notes.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Raises the peak of reserved bytes to at least `bytes`.
    pub fn reserved(&self, bytes: usize) {
        self.bytes_reserved.fetch_max(bytes as u64, Relaxed);
    }
}
