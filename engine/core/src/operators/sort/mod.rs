//! Sort and top-N: takes everything, gives it back in order.
//!
//! ```text
//! push ──▶ worker's rows ──combine──▶ sorted run ──finalize──▶ merged slices ──▶ batches in order
//!              │ top-N: cut to the first rows, publish the worst first key         ▲
//!              ╰─told to spill──▶ sorted runs on disk ──merge passes──▶ one merge ─╯
//! ```
//!
//! What grows: the rows and one integer (or byte row) per row for the key, under one reservation per worker; the output under another. A worker that is told
//! to spill sorts what it has and writes it in order; when one run is on disk, all go there, and the source merges them while holding a block of each.
//! Keys decide, payload stays: it is gathered once, at the end, in parallel. The order of equal rows is unspecified.

mod external;
mod keys;
mod merge;
mod passes;
mod rows;
mod run;
mod source;
mod spilled;
#[cfg(test)]
mod tests;
mod threshold;
mod tree;
mod worker;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use arrow_schema::DataType;

use super::Breaker;
use super::runtime_filter::TopNThreshold;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::expression::{Kind, SortKey};
use crate::memory::Reservation;
use crate::metrics::OperatorMetrics;
use crate::pipeline::{FinalizeTask, Sink, SinkState, TaskContext};
use crate::spill::SpillFile;
pub(super) use keys::{KeyOrder, KeyParts, Keys, Layout, interval_nanos};
pub(super) use rows::{RowSources, Rows, retained_bytes, shared_bytes};
use run::{Run, RunSpec};
use source::{Output, SortedScan};
use spilled::SpilledRun;
use worker::SortState;

/// A total order of the input, cut to the first rows when `fetch` is given.
#[derive(Debug, Clone)]
pub struct SortSpec {
    /// Most significant first; at least one.
    pub keys: Vec<SortKey>,
    /// Rows to give after `offset`; `None` = all. Small values are kept in a heap (top-N).
    pub fetch: Option<usize>,
    /// Rows to skip first.
    pub offset: usize,
    /// Column types of the input, which are those of the output.
    pub types: Vec<DataType>,
    /// Where a top-N publishes its worst kept first key.
    pub threshold: Option<Arc<TopNThreshold>>,
}

/// More rows than this to keep are not cut while they arrive: sorting once is cheaper.
const TOP_ROWS_MAX: usize = 1 << 16;
/// A top-N's buffer is cut when it holds this many rows, or four times the rows to keep.
const TOP_BUFFER_ROWS: usize = 8192;
/// A worker's run is closed at this many rows, so that row numbers fit 32 bits.
const RUN_ROWS_MAX: usize = 1 << 30;

impl SortSpec {
    /// The first rows of the order that are needed; `None` = all.
    fn rows_to_sort(&self) -> Option<usize> {
        self.fetch.and_then(|fetch| fetch.checked_add(self.offset))
    }
}

/// A sink that sorts and its source, which is ordered and feeds one worker.
pub fn sort(spec: SortSpec) -> Result<Breaker> {
    let is_top = spec.rows_to_sort().is_some_and(|rows| rows <= TOP_ROWS_MAX);
    sort_for(if is_top { "TopN" } else { "Sort" }, spec)
}

/// The same as a part of `consumer`, which messages name.
pub(super) fn sort_for(consumer: &'static str, spec: SortSpec) -> Result<Breaker> {
    let Some(first) = spec.keys.first() else { return Err(Error::internal("a sort without keys")) };
    let top = spec.rows_to_sort().filter(|&rows| rows <= TOP_ROWS_MAX);
    let threshold = spec.threshold.clone().unwrap_or_else(|| TopNThreshold::new(first.descending, first.nulls_first));
    let shared = Arc::new(Shared {
        consumer,
        run: RunSpec::new(&spec),
        top,
        threshold,
        spec,
        state: Mutex::default(),
        workers: AtomicUsize::new(0),
        is_external: AtomicBool::new(false),
        output: OnceLock::new(),
    });
    Ok(Breaker { sink: Arc::new(Sort { shared: shared.clone() }), source: Arc::new(SortedScan { shared }) })
}

/// What sink and source share.
#[derive(Debug)]
struct Shared {
    /// The operator's name.
    consumer: &'static str,
    spec: SortSpec,
    run: RunSpec,
    /// Rows to keep when this is a top-N.
    top: Option<usize>,
    threshold: Arc<TopNThreshold>,
    /// Written by `combine` and `finalize`.
    state: Mutex<State>,
    /// Workers that have opened the sink.
    workers: AtomicUsize,
    /// A run is on disk, so that all will be.
    is_external: AtomicBool,
    /// Set by `seal`.
    output: OnceLock<Output>,
}

#[derive(Debug, Default)]
struct State {
    runs: Vec<Run>,
    spilled: Vec<SpilledRun>,
    slices: Vec<Vec<Batch>>,
    reservations: Vec<Reservation>,
    metrics: Option<Arc<OperatorMetrics>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// A new file for runs.
    fn file(&self, task: &TaskContext) -> Result<Arc<SpillFile>> {
        let metrics = self.state().metrics.clone();
        task.spill.file(self.consumer, &metrics.unwrap_or_default())
    }
}

// ---------------------------------------------------------------- Sink

/// The sink half.
#[derive(Debug)]
struct Sort {
    shared: Arc<Shared>,
}

impl Sink for Sort {
    fn name(&self) -> &'static str {
        self.shared.consumer
    }

    fn describe(&self) -> String {
        describe(&self.shared.spec)
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SinkState>> {
        self.shared.workers.fetch_add(1, Relaxed);
        self.shared.state().metrics = Some(metrics.clone());
        Ok(Box::new(SortState::new(self.shared.clone(), metrics.clone(), task)))
    }

    fn finalize(&self, stage: usize, task: &TaskContext) -> Result<Vec<FinalizeTask>> {
        let is_external = &self.shared.is_external;
        if !is_external.load(Relaxed) {
            if stage > 0 {
                return Ok(Vec::new());
            }
            if let Some(tasks) = merge::finalize(&self.shared, task)? {
                return Ok(tasks);
            }
            is_external.store(true, Relaxed);
        }
        passes::finalize(&self.shared, task)
    }

    fn seal(&self, _task: &TaskContext) -> Result<()> {
        let mut state = self.shared.state();
        let output = match self.shared.is_external.load(Relaxed) {
            false => Output::Slices(std::mem::take(&mut state.slices)),
            true => Output::runs(std::mem::take(&mut state.spilled), std::mem::take(&mut state.reservations)),
        };
        let _ = self.shared.output.set(output);
        Ok(())
    }
}

fn describe(spec: &SortSpec) -> String {
    let key = |k: &SortKey| {
        let direction = if k.descending { " DESC" } else { "" };
        format!("{}{direction} NULLS {}", k.expression, if k.nulls_first { "FIRST" } else { "LAST" })
    };
    let keys = spec.keys.iter().map(key).collect::<Vec<_>>().join(", ");
    let fetch = spec.fetch.map_or(String::new(), |f| format!(" fetch {f}"));
    let offset = if spec.offset > 0 { format!(" offset {}", spec.offset) } else { String::new() };
    format!("{keys}{fetch}{offset}")
}

/// Whether `key` is an input column as it is.
fn plain_column(key: &SortKey) -> Option<usize> {
    match key.expression.kind {
        Kind::Column(index) => Some(index),
        _ => None,
    }
}
