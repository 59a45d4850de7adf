//! What the log says of one query: that it started, and how it ended. Nothing is written while a lock is held.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use plasmon_core::Error;
use plasmon_core::memory::MemoryBudget;

/// The target of all records about queries.
const TARGET: &str = "plasmon::query";
/// A statement is shown up to here.
const SHOWN_CHARACTERS: usize = 300;

/// One query's records. Exactly one tells its end.
pub(crate) struct Journal {
    /// Counts the process's queries; 0 = nothing is told.
    id: u64,
    start: Instant,
    rows: u64,
    is_told: bool,
}

impl Journal {
    /// Tells that a query starts.
    pub(crate) fn open(text: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        if log::log_enabled!(target: TARGET, log::Level::Info) {
            let shown: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let is_whole = shown.chars().nth(SHOWN_CHARACTERS).is_none();
            let shown: String = shown.chars().take(SHOWN_CHARACTERS).collect();
            log::info!(target: TARGET, "query {id} started: {shown}{}", if is_whole { "" } else { "…" });
        }
        Journal { id, start: Instant::now(), rows: 0, is_told: false }
    }

    /// Of a result that needs no query.
    pub(crate) fn silent() -> Self {
        Journal { id: 0, start: Instant::now(), rows: 0, is_told: true }
    }

    /// What messages call the query.
    pub(crate) fn name(&self) -> String {
        format!("query {}", self.id)
    }

    /// Rows went to the reader.
    pub(crate) fn rows(&mut self, rows: usize) {
        self.rows += rows as u64;
    }

    /// The result was read to its end.
    pub(crate) fn finished(&mut self, memory: &MemoryBudget) {
        if let Some(time) = self.tell() {
            let (id, rows, peak) = (self.id, self.rows, memory.peak());
            log::info!(target: TARGET, "query {id} finished: {rows} rows, {time:?}, at most {peak} bytes reserved");
        }
    }

    /// The query failed, or was stopped.
    pub(crate) fn failed(&mut self, error: &Error, memory: &MemoryBudget) {
        let Some(time) = self.tell() else { return };
        let level = match error {
            Error::Cancelled | Error::Deadline => log::Level::Info,
            Error::Internal(_) => log::Level::Error,
            _ => log::Level::Warn,
        };
        let (id, rows, peak) = (self.id, self.rows, memory.peak());
        log::log!(target: TARGET, level, "query {id} failed after {rows} rows, {time:?}, at most {peak} bytes reserved: {error}");
    }

    /// Nobody reads any more.
    pub(crate) fn left(&mut self, memory: &MemoryBudget) {
        if let Some(time) = self.tell() {
            let (id, rows, peak) = (self.id, self.rows, memory.peak());
            log::info!(target: TARGET, "query {id} left by its reader after {rows} rows, {time:?}, at most {peak} bytes reserved");
        }
    }

    /// The time since the start, the first time that an end is told.
    fn tell(&mut self) -> Option<Duration> {
        (!std::mem::replace(&mut self.is_told, true)).then(|| self.start.elapsed())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if let Some(time) = self.tell() {
            log::warn!(target: TARGET, "query {} could not be started, {time:?}", self.id);
        }
    }
}
