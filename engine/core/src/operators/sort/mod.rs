//! Sort and top-N: takes everything, gives it back in order.
//!
//! ```text
//! push ──▶ worker's rows ──combine──▶ sorted run ──finalize──▶ merged slices ──▶ batches in order
//!              │ top-N: cut to the first rows, publish the worst first key
//! ```
//!
//! What grows: the rows and one integer (or byte row) per row for the key, under one reservation per worker; the output under another.
//! Keys decide, payload stays: it is gathered once, at the end, in parallel. The order of equal rows is unspecified.

mod keys;
mod merge;
mod rows;
mod run;
#[cfg(test)]
mod tests;
mod threshold;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use arrow_schema::DataType;

use super::Breaker;
use super::runtime_filter::TopNThreshold;
use crate::batch::{Batch, Column};
use crate::error::{Error, Result};
use crate::expression::{Kind, SortKey, evaluate};
use crate::memory::Reservation;
use crate::metrics::OperatorMetrics;
use crate::pipeline::{FinalizeTask, Flow, Next, Sink, SinkState, Source, SourceState, TaskContext};
pub(super) use keys::{KeyOrder, KeyParts, Keys, Layout, interval_nanos};
pub(super) use rows::{RowSources, Rows};
use run::{Run, RunSpec};

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

/// A sink that sorts and its source, which is ordered and feeds one worker.
pub fn sort(spec: SortSpec) -> Result<Breaker> {
    let Some(first) = spec.keys.first() else { return Err(Error::internal("a sort without keys")) };
    let top = spec.fetch.and_then(|fetch| fetch.checked_add(spec.offset)).filter(|&rows| rows <= TOP_ROWS_MAX);
    let threshold = spec.threshold.clone().unwrap_or_else(|| TopNThreshold::new(first.descending, first.nulls_first));
    let shared = Arc::new(Shared {
        run: RunSpec::new(&spec),
        top,
        threshold,
        spec,
        state: Mutex::default(),
        workers: AtomicUsize::new(0),
        output: OnceLock::new(),
    });
    Ok(Breaker { sink: Arc::new(Sort { shared: shared.clone() }), source: Arc::new(SortedScan { shared }) })
}

/// What sink and source share.
#[derive(Debug)]
struct Shared {
    spec: SortSpec,
    run: RunSpec,
    /// Rows to keep when this is a top-N.
    top: Option<usize>,
    threshold: Arc<TopNThreshold>,
    /// Written by `combine` and `finalize`.
    state: Mutex<State>,
    /// Workers that have opened the sink.
    workers: AtomicUsize,
    /// Set by `seal`: batches in order, by slice.
    output: OnceLock<Vec<Vec<Batch>>>,
}

#[derive(Debug, Default)]
struct State {
    runs: Vec<Run>,
    slices: Vec<Vec<Batch>>,
    reservations: Vec<Reservation>,
    metrics: Option<Arc<OperatorMetrics>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
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
        if self.shared.top.is_some() { "TopN" } else { "Sort" }
    }

    fn describe(&self) -> String {
        describe(&self.shared.spec)
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SinkState>> {
        self.shared.workers.fetch_add(1, Relaxed);
        self.shared.state().metrics = Some(metrics.clone());
        Ok(Box::new(SortState {
            shared: self.shared.clone(),
            rows: Rows::default(),
            reservation: task.memory.reservation(self.name()),
            runs: Vec::new(),
            metrics: metrics.clone(),
            dropped_rows: 0,
        }))
    }

    fn finalize(&self, stage: usize, task: &TaskContext) -> Result<Vec<FinalizeTask>> {
        if stage > 0 { Ok(Vec::new()) } else { merge::finalize(&self.shared, task) }
    }

    fn seal(&self, _task: &TaskContext) -> Result<()> {
        let slices = std::mem::take(&mut self.shared.state().slices);
        let _ = self.shared.output.set(slices);
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

/// One worker's rows so far.
struct SortState {
    shared: Arc<Shared>,
    rows: Rows,
    reservation: Reservation,
    runs: Vec<Run>,
    metrics: Arc<OperatorMetrics>,
    /// Rows that the top-N threshold kept out.
    dropped_rows: u64,
}

impl SinkState for SortState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let shared = self.shared.clone();
        if shared.top == Some(0) {
            return Ok(Flow::Finished);
        }
        let batch = if shared.top.is_some() { self.drop_late_rows(batch)? } else { batch };
        if batch.selected_rows() == 0 {
            return Ok(Flow::NeedInput);
        }
        let batch = batch.detach();
        let mut columns = batch.columns().to_vec();
        for expression in &shared.run.computed_keys {
            columns.push(evaluate(expression, &batch)?);
        }
        let bytes = self.rows.push(columns, batch.rows());
        self.reservation.grow(bytes)?;
        self.metrics.reserved(self.reservation.held());
        if let Some(top) = shared.top {
            if self.rows.len() >= TOP_BUFFER_ROWS.max(top.saturating_mul(4)) {
                self.cut(top)?;
            }
        } else if self.rows.len() >= RUN_ROWS_MAX {
            self.close_run()?;
        }
        Ok(Flow::NeedInput)
    }

    fn combine(&mut self) -> Result<()> {
        self.close_run()?;
        if self.dropped_rows > 0 {
            self.metrics.add("rows dropped by threshold", self.dropped_rows);
        }
        let mut state = self.shared.state();
        state.runs.append(&mut self.runs);
        Ok(())
    }
}

impl SortState {
    /// Drops rows that sort after what a top-N already holds.
    fn drop_late_rows(&mut self, batch: Batch) -> Result<Batch> {
        let Some(worst) = self.shared.threshold.value() else { return Ok(batch) };
        let spec = &self.shared.spec;
        let column = evaluate(&spec.keys[0].expression, &batch)?;
        // With one key, rows that tie with the worst kept one are not needed either.
        let keep_equal = spec.keys.len() > 1;
        let before = batch.selected_rows();
        let data_type = &spec.keys[0].expression.data_type;
        let batch = threshold::drop_after(batch, &column, data_type, &worst, &self.shared.threshold, keep_equal)?;
        self.dropped_rows += (before - batch.selected_rows()) as u64;
        Ok(batch)
    }

    /// Top-N: keeps the first `top` of the rows so far, and publishes the last one's first key.
    fn cut(&mut self, top: usize) -> Result<()> {
        let shared = self.shared.clone();
        let run = shared.run.sort(std::mem::take(&mut self.rows), Some(top), &self.reservation, false)?;
        // Copied, so that a few rows do not keep the buffers of all that passed by alive.
        let columns: Vec<Column> = run.take_sorted()?.iter().map(rows::copy_strings).collect();
        let rows = run.len();
        if rows == top {
            let key = &columns[shared.run.key_columns[0]];
            threshold::tighten(&shared.threshold, key, rows - 1);
        }
        drop(run);
        let bytes = self.rows.push(columns, rows);
        self.reservation.resize(bytes)
    }

    /// Turns the rows so far into a sorted run.
    fn close_run(&mut self) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let keep = self.shared.spec.fetch.and_then(|f| f.checked_add(self.shared.spec.offset));
        let several = self.shared.workers.load(Relaxed) > 1;
        let mut run = self.shared.run.sort(std::mem::take(&mut self.rows), keep, &self.reservation, several)?;
        self.metrics.reserved(self.reservation.held());
        let held = self.reservation.held();
        run.reservation = Some(self.reservation.split(held));
        self.runs.push(run);
        Ok(())
    }
}

/// Whether `key` is an input column as it is.
fn plain_column(key: &SortKey) -> Option<usize> {
    match key.expression.kind {
        Kind::Column(index) => Some(index),
        _ => None,
    }
}

// ---------------------------------------------------------------- Source

/// The source half: batches in order.
#[derive(Debug)]
struct SortedScan {
    shared: Arc<Shared>,
}

impl Source for SortedScan {
    fn name(&self) -> &'static str {
        "SortedScan"
    }

    fn max_workers(&self) -> usize {
        1
    }

    fn open(&self, _task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        Ok(Box::new(SortedScanState { shared: self.shared.clone(), slice: 0, batch: 0 }))
    }
}

struct SortedScanState {
    shared: Arc<Shared>,
    slice: usize,
    batch: usize,
}

impl SourceState for SortedScanState {
    fn next(&mut self) -> Result<Next> {
        let output = self
            .shared
            .output
            .get()
            .ok_or_else(|| Error::internal("sorted rows were read before they were complete"))?;
        while let Some(slice) = output.get(self.slice) {
            if let Some(batch) = slice.get(self.batch) {
                self.batch += 1;
                return Ok(Next::Batch(batch.clone()));
            }
            self.slice += 1;
            self.batch = 0;
        }
        Ok(Next::Finished)
    }
}
