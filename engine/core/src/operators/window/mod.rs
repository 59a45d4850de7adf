//! Window functions: takes everything, partitions by hash, sorts each partition, and gives the rows back with one column per function.
//!
//! ```text
//! push ──▶ worker's rows ──combine──▶ positions by hash of the partition key ──finalize──▶ per group of partitions:
//!          sort by (partition, order) ─▶ partitions, peers ─▶ frames ─▶ function columns ─▶ batches
//! ```
//!
//! What grows: the rows, under one reservation per worker; the output under another. Rows come out in any order. Groups of partitions are
//! computed in parallel; without PARTITION BY there is one.

mod aggregate;
mod custom;
mod frame;
mod function;
mod partition;
mod rows;
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
}

impl Shared {
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
            reservation: Some(task.memory.reservation("Window")),
            metrics: metrics.clone(),
        }))
    }

    fn finalize(&self, stage: usize, task: &TaskContext) -> Result<Vec<FinalizeTask>> {
        if stage > 0 {
            return Ok(Vec::new());
        }
        let (workers, metrics) = {
            let mut state = self.shared.state();
            (std::mem::take(&mut state.workers), state.metrics.clone())
        };
        let groups = partition::groups(workers, &self.shared.collected, task.config.threads);
        if let Some(metrics) = metrics {
            metrics.note("tasks", groups.len().to_string());
        }
        Ok(groups
            .into_iter()
            .map(|group| {
                let shared = self.shared.clone();
                Box::new(move |task: &TaskContext| compute(&shared, group, task)) as FinalizeTask
            })
            .collect())
    }

    fn seal(&self, _task: &TaskContext) -> Result<()> {
        let batches = std::mem::take(&mut self.shared.state().batches);
        let _ = self.shared.output.set(batches);
        Ok(())
    }
}

/// One worker's rows so far.
struct WindowState {
    shared: Arc<Shared>,
    rows: Rows,
    reservation: Option<Reservation>,
    metrics: Arc<OperatorMetrics>,
}

impl SinkState for WindowState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let batch = batch.detach();
        let mut columns = batch.columns().to_vec();
        for expression in &self.shared.collected.computed {
            columns.push(evaluate(expression, &batch)?);
        }
        let bytes = columns.iter().map(retained_bytes).sum();
        self.rows.push(columns, batch.rows());
        if let Some(reservation) = &self.reservation {
            reservation.grow(bytes)?;
            self.metrics.reserved(reservation.held());
        }
        Ok(Flow::NeedInput)
    }

    fn combine(&mut self) -> Result<()> {
        let Some(reservation) = self.reservation.take() else { return Ok(()) };
        if self.rows.is_empty() {
            return Ok(());
        }
        // Hashes, positions, and one column at a time twice.
        reservation.grow(self.rows.len() * 28)?;
        let worker = WorkerRows::new(std::mem::take(&mut self.rows), &self.shared.collected, reservation)?;
        self.shared.state().workers.push(worker);
        Ok(())
    }
}

/// Computes all functions over one group of partitions.
fn compute(shared: &Shared, group: partition::Group, task: &TaskContext) -> Result<()> {
    let reservation = task.memory.reservation("Window output");
    // Keys and row numbers while sorting, then sixteen bytes a value gathered or computed.
    let width = 32 + 16 * (shared.spec.types.len() + 2 * shared.spec.functions.len());
    reservation.grow(group.len() * width)?;
    let sorted = rows::SortedRows::new(group, shared)?;
    let mut computed = Vec::with_capacity(shared.spec.functions.len());
    for (function, columns) in shared.spec.functions.iter().zip(&shared.collected.functions) {
        task.cancel.check()?;
        computed.push(function::evaluate(function, columns, &sorted)?);
    }
    let batches = sorted.batches(shared.spec.types.len(), &computed, task)?;
    let mut state = shared.state();
    state.batches.extend(batches);
    state.reservations.push(reservation);
    Ok(())
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
        self.shared.output.get().map_or(usize::MAX, Vec::len)
    }

    fn open(&self, _task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
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
