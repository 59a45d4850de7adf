//! Window functions: takes everything, partitions by hash, sorts each partition, and gives the rows back with one column per function.
//!
//! ```text
//! push ──▶ worker's rows ──combine──▶ positions by hash of the partition key ──finalize──▶ per group of partitions:
//!          sort by (partition, order) ─▶ partitions, peers ─▶ frames ─▶ function columns ─▶ batches
//! ```
//!
//! What grows: the rows, under one reservation per worker; the output under another. A worker that is told to spill gives its rows to a sort, as then all do,
//! and the partitions are computed as they come out of it (`stream.rs`), each on disk if it must be (`large/`). Rows come out in any order. Groups of partitions
//! are computed in parallel; without PARTITION BY there is one.

mod aggregate;
mod custom;
mod folded;
mod frame;
mod function;
mod large;
mod partition;
mod pieces;
mod rows;
mod starts;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use arrow_schema::DataType;

use super::Breaker;
use super::aggregate::AggregateFunction;
use super::sort::{Rows, retained_bytes};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::expression::{Expression, Scalar, SortKey, evaluate};
use crate::memory::Reservation;
use crate::metrics::OperatorMetrics;
use crate::pipeline::{FinalizeTask, Flow, Next, Sink, SinkState, Source, SourceState, TaskContext};
use partition::{Collected, WorkerRows};

/// Window functions over one partitioning and ordering. Output columns: the input's, then one per function.
#[derive(Debug, Clone)]
pub struct WindowSpec {
    pub partition_by: Vec<Expression>,
    pub order_by: Vec<SortKey>,
    pub functions: Vec<WindowExpression>,
    /// Column types of the input.
    pub types: Vec<DataType>,
}

/// One window function call.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowExpression {
    pub function: WindowFunction,
    /// Lag/lead: value, offset (literal), default; nth value: value, n (literal); ntile: n (literal).
    pub arguments: Vec<Expression>,
    pub frame: Frame,
    /// Aggregates: only rows for which this is true count.
    pub filter: Option<Expression>,
    /// Aggregates: DISTINCT.
    pub distinct: bool,
    /// Lag, lead, first, last, nth value: skip nulls.
    pub ignore_nulls: bool,
    /// Logical type of the result.
    pub data_type: DataType,
}

/// Window functions.
#[derive(Debug, Clone, PartialEq)]
pub enum WindowFunction {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumulativeDistribution,
    Ntile,
    Lag,
    Lead,
    FirstValue,
    LastValue,
    NthValue,
    Aggregate(AggregateFunction),
}

/// The rows around the current row that a function sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    pub units: FrameUnits,
    pub start: FrameBound,
    pub end: FrameBound,
}

/// How frame bounds count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameUnits {
    Rows,
    /// By value of the one ORDER BY key.
    Range,
    /// By groups of peers.
    Groups,
}

/// One end of a frame. Distances are non-negative: integers for ROWS and GROUPS, of the key's type (or an interval) for RANGE.
#[derive(Debug, Clone, PartialEq)]
pub enum FrameBound {
    UnboundedPreceding,
    Preceding(Scalar),
    CurrentRow,
    Following(Scalar),
    UnboundedFollowing,
}

/// A sink that computes window functions and the source of its rows.
pub fn window(spec: WindowSpec) -> Result<Breaker> {
    let collected = Collected::new(&spec);
    let shared = Arc::new(Shared {
        spec,
        collected,
        sorted: OnceLock::new(),
        state: Mutex::default(),
        output: OnceLock::new(),
        cursor: AtomicUsize::new(0),
    });
    Ok(Breaker { sink: Arc::new(Window { shared: shared.clone() }), source: Arc::new(WindowScan { shared }) })
}

/// What sink and source share.
#[derive(Debug)]
struct Shared {
    spec: WindowSpec,
    collected: Collected,
    /// The sort of all rows, once a worker had to spill.
    sorted: OnceLock<Breaker>,
    /// Written by `combine` and the finalize tasks.
    state: Mutex<State>,
    /// Set by `seal`.
    output: OnceLock<Vec<Batch>>,
    /// Next batch to give.
    cursor: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    workers: Vec<WorkerRows>,
    batches: Vec<Batch>,
    reservations: Vec<Reservation>,
    metrics: Option<Arc<OperatorMetrics>>,
    /// Stages before the sort's own.
    stages_before: usize,
}

impl Shared {
    /// The sort of all rows, which everything goes to from now on.
    fn sorted(&self) -> Result<&Breaker> {
        if self.sorted.get().is_none() {
            let _ = self.sorted.set(stream::sorted(&self.collected)?);
        }
        self.sorted.get().ok_or_else(|| Error::internal("a sort that is set is there"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

// ---------------------------------------------------------------- Sink

/// The sink half.
#[derive(Debug)]
struct Window {
    shared: Arc<Shared>,
}

impl Sink for Window {
    fn name(&self) -> &'static str {
        "Window"
    }

    fn describe(&self) -> String {
        let spec = &self.shared.spec;
        let list = |items: Vec<String>| items.join(", ");
        let mut parts = vec![list(spec.functions.iter().map(function::describe).collect())];
        if !spec.partition_by.is_empty() {
            parts.push(format!("partition by {}", list(spec.partition_by.iter().map(|e| e.to_string()).collect())));
        }
        if !spec.order_by.is_empty() {
            let key = |k: &SortKey| format!("{}{}", k.expression, if k.descending { " DESC" } else { "" });
            parts.push(format!("order by {}", list(spec.order_by.iter().map(key).collect())));
        }
        parts.join(" ")
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SinkState>> {
        self.shared.state().metrics = Some(metrics.clone());
        Ok(Box::new(WindowState {
            shared: self.shared.clone(),
            rows: Rows::default(),
            reservation: Some(task.memory.spilling_reservation("Window")),
            sorting: None,
            metrics: metrics.clone(),
            task: task.clone(),
        }))
    }

    fn finalize(&self, stage: usize, task: &TaskContext) -> Result<Vec<FinalizeTask>> {
        if self.shared.sorted.get().is_some() {
            return finalize_sorted(&self.shared, stage, task);
        }
        if stage > 0 {
            return Ok(Vec::new());
        }
        let (workers, metrics) = {
            let mut state = self.shared.state();
            (std::mem::take(&mut state.workers), state.metrics.clone())
        };
        let output = task.memory.spilling_reservation("Window output");
        let width = row_width(&self.shared.spec);
        if !output.try_grow(workers.iter().map(|w| w.len() * width).sum())? {
            self.shared.state().workers = workers;
            self.shared.sorted()?;
            return finalize_sorted(&self.shared, stage, task);
        }
        // Strings stay when the columns that they came in go.
        let payload = self.shared.spec.types.len();
        let strings: Vec<Reservation> = workers.iter().map(|worker| worker.split_strings(payload)).collect();
        self.shared.state().reservations.extend(strings.into_iter().chain([output.passive()]));
        let groups = partition::groups(workers, &self.shared.collected, task.config.threads);
        if let Some(metrics) = metrics {
            metrics.note("tasks", groups.len().to_string());
        }
        Ok(groups
            .into_iter()
            .map(|group| {
                let shared = self.shared.clone();
                Box::new(move |task: &TaskContext| {
                    let batches = compute_group(&shared, group, task)?;
                    shared.state().batches.extend(batches);
                    Ok(())
                }) as FinalizeTask
            })
            .collect())
    }

    fn seal(&self, task: &TaskContext) -> Result<()> {
        if let Some(sorted) = self.shared.sorted.get() {
            return sorted.sink.seal(task);
        }
        let batches = std::mem::take(&mut self.shared.state().batches);
        let _ = self.shared.output.set(batches);
        Ok(())
    }
}

/// Rows of workers that were done before one had to spill go to the sort, too; then its own stages follow.
fn finalize_sorted(shared: &Arc<Shared>, stage: usize, task: &TaskContext) -> Result<Vec<FinalizeTask>> {
    let (workers, metrics, before) = {
        let mut state = shared.state();
        state.stages_before = if state.workers.is_empty() { state.stages_before } else { stage + 1 };
        (std::mem::take(&mut state.workers), state.metrics.clone().unwrap_or_default(), state.stages_before)
    };
    if workers.is_empty() {
        return shared.sorted()?.sink.finalize(stage - before, task);
    }
    let hand_over = |worker: WorkerRows| {
        let (shared, metrics) = (shared.clone(), metrics.clone());
        Box::new(move |task: &TaskContext| {
            let mut sorting = shared.sorted()?.sink.open(task, &metrics)?;
            worker.hand_over(sorting.as_mut(), &task.cancel)?;
            sorting.combine()
        }) as FinalizeTask
    };
    Ok(workers.into_iter().map(hand_over).collect())
}

/// One worker's rows so far.
struct WindowState {
    shared: Arc<Shared>,
    rows: Rows,
    reservation: Option<Reservation>,
    /// Its share of the sort, once it had to spill.
    sorting: Option<Box<dyn SinkState>>,
    metrics: Arc<OperatorMetrics>,
    task: TaskContext,
}

/// Bytes per row of hashes, positions, and one column at a time twice, when rows are dealt to buckets.
const DEALING_BYTES: usize = 28;

impl SinkState for WindowState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let batch = batch.detach();
        let mut columns = batch.columns().to_vec();
        for expression in &self.shared.collected.computed {
            columns.push(evaluate(expression, &batch)?);
        }
        if self.sorting.is_none()
            && let Some(reservation) = &self.reservation
        {
            let bytes = columns.iter().map(retained_bytes).sum::<usize>() + DEALING_BYTES * batch.rows();
            if reservation.try_grow(bytes)? {
                self.metrics.reserved(reservation.held());
                self.rows.push(columns, batch.rows());
                return Ok(Flow::NeedInput);
            }
            self.go_to_sort()?;
        }
        match &mut self.sorting {
            Some(sorting) => sorting.push(Batch::new(columns, batch.rows())),
            None => Err(Error::internal("rows came to a window that is over")),
        }
    }

    fn combine(&mut self) -> Result<()> {
        if self.shared.sorted.get().is_some() {
            self.go_to_sort()?;
        }
        if let Some(sorting) = &mut self.sorting {
            return sorting.combine();
        }
        let Some(reservation) = self.reservation.take() else { return Ok(()) };
        if self.rows.is_empty() {
            return Ok(());
        }
        // What waits for the others cannot spill by itself any more.
        let token = reservation.passive();
        let worker = WorkerRows::new(std::mem::take(&mut self.rows), &self.shared.collected, token)?;
        self.shared.state().workers.push(worker);
        Ok(())
    }
}

impl WindowState {
    /// Gives all rows to the sort, which spills them.
    fn go_to_sort(&mut self) -> Result<()> {
        if self.sorting.is_some() {
            return Ok(());
        }
        let mut sorting = self.shared.sorted()?.sink.open(&self.task, &self.metrics)?;
        if let Some(reservation) = self.reservation.take() {
            stream::hand_over(std::mem::take(&mut self.rows), &reservation, sorting.as_mut(), &self.task.cancel)?;
        }
        self.sorting = Some(sorting);
        Ok(())
    }
}

/// Bytes per row of keys and row numbers while sorting, then sixteen bytes a value gathered or computed.
fn row_width(spec: &WindowSpec) -> usize {
    32 + 16 * (spec.types.len() + 2 * spec.functions.len())
}

/// Computes all functions over one group of partitions.
fn compute_group(shared: &Shared, group: partition::Group, task: &TaskContext) -> Result<Vec<Batch>> {
    let sorted = rows::SortedRows::new(group, shared, &task.cancel)?;
    let mut computed = Vec::with_capacity(shared.spec.functions.len());
    for (function, columns) in shared.spec.functions.iter().zip(&shared.collected.functions) {
        task.cancel.check()?;
        computed.push(function::evaluate(function, columns, &sorted)?);
    }
    sorted.batches(shared.spec.types.len(), &computed, task)
}

// ---------------------------------------------------------------- Source

/// The source half.
#[derive(Debug)]
struct WindowScan {
    shared: Arc<Shared>,
}

impl Source for WindowScan {
    fn name(&self) -> &'static str {
        "WindowScan"
    }

    fn max_workers(&self) -> usize {
        if self.shared.sorted.get().is_some() {
            return 1;
        }
        self.shared.output.get().map_or(usize::MAX, Vec::len)
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        if let Some(sorted) = self.shared.sorted.get() {
            let sorted = sorted.source.open(task, metrics)?;
            // What goes to disk counts with what the sink wrote.
            let metrics = self.shared.state().metrics.clone().unwrap_or_default();
            return Ok(Box::new(stream::WindowStream::new(self.shared.clone(), sorted, task, &metrics)));
        }
        Ok(Box::new(WindowScanState { shared: self.shared.clone() }))
    }
}

struct WindowScanState {
    shared: Arc<Shared>,
}

impl SourceState for WindowScanState {
    fn next(&mut self) -> Result<Next> {
        let output = self
            .shared
            .output
            .get()
            .ok_or_else(|| Error::internal("window rows were read before they were complete"))?;
        let position = self.shared.cursor.fetch_add(1, Relaxed);
        Ok(output.get(position).cloned().map_or(Next::Finished, Next::Batch))
    }
}
