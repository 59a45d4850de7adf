//! One worker's share of a sort: rows as they arrive, sorted into runs.
//!
//! ```text
//! rows ──end of input──▶ run in memory, or on disk once any run is
//!   ├───told to spill──▶ run on disk; only its first rows when only so many are wanted
//!   ╰─top-N: too many──▶ its first rows
//! ```
//! What grows: the rows, and what it takes to sort them, which is reserved with them so that it is there when memory is short.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::run::Run;
use super::spilled::SpilledRun;
use super::{RUN_ROWS_MAX, Rows, Shared, TOP_BUFFER_ROWS, threshold};
use crate::batch::{Batch, Column};
use crate::error::Result;
use crate::expression::evaluate;
use crate::memory::{Reservation, granted};
use crate::metrics::OperatorMetrics;
use crate::pipeline::{Flow, SinkState, TaskContext};
use crate::spill::SpillFile;

/// Of [`super::run::RunSpec::bytes`], what is free again once a row is sorted.
const SORTED_BYTES: usize = 16;

/// One worker's rows so far.
pub(super) struct SortState {
    shared: Arc<Shared>,
    rows: Rows,
    reservation: Reservation,
    runs: Vec<Run>,
    /// Runs on disk …
    spilled: Vec<SpilledRun>,
    /// … and the file that they are in.
    file: Option<Arc<SpillFile>>,
    metrics: Arc<OperatorMetrics>,
    task: TaskContext,
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
        let has_room = self.make_room(shared.run.bytes(&columns, batch.rows()))?;
        self.rows.push(columns, batch.rows());
        if !has_room {
            self.spill()?;
        }
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
        if self.shared.is_external.load(Relaxed) {
            self.spill()?;
        } else {
            self.close_run()?;
        }
        if self.dropped_rows > 0 {
            self.metrics.add("rows dropped by threshold", self.dropped_rows);
        }
        let mut state = self.shared.state();
        state.runs.append(&mut self.runs);
        state.spilled.append(&mut self.spilled);
        Ok(())
    }
}

impl SortState {
    /// No rows yet.
    pub(super) fn new(shared: Arc<Shared>, metrics: Arc<OperatorMetrics>, task: &TaskContext) -> Self {
        SortState {
            reservation: task.memory.spilling_reservation(shared.consumer),
            shared,
            rows: Rows::default(),
            runs: Vec::new(),
            spilled: Vec::new(),
            file: None,
            metrics,
            task: task.clone(),
            dropped_rows: 0,
        }
    }

    /// Reserves `bytes` for a batch, spilling what is here if it must. `false` = there is no memory at all: the batch is a run of its own, so that a sort is
    /// slow among greedy others, and does not die.
    fn make_room(&mut self, bytes: usize) -> Result<bool> {
        if self.reservation.try_grow(bytes)? {
            return Ok(true);
        }
        if let Some(top) = self.shared.top.filter(|&top| self.rows.len() / 2 >= top) {
            self.cut(top)?;
            if self.reservation.try_grow(bytes)? {
                return Ok(true);
            }
        }
        self.spill()?;
        granted(self.reservation.grow(bytes))
    }

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

    /// The rows so far as a run: as many of the first as are wanted; `several` will be merged in memory.
    fn sort(&mut self, several: bool) -> Result<Run> {
        let keep = self.shared.spec.rows_to_sort();
        self.shared.run.sort(std::mem::take(&mut self.rows), keep, several, &self.task.cancel)
    }

    /// Top-N: keeps the first `top` of the rows so far, and publishes the last one's first key.
    fn cut(&mut self, top: usize) -> Result<()> {
        let shared = self.shared.clone();
        // The first rows are copied, so that a few rows do not keep the buffers of all that passed by alive.
        let copy = self.reservation.held() / self.rows.len().max(1) * top;
        let missing = copy.saturating_sub(self.rows.len() * SORTED_BYTES);
        if missing > 0 && !self.reservation.try_grow(missing)? {
            return self.spill();
        }
        let run = self.sort(false)?;
        let columns: Vec<Column> = run.take_sorted()?.iter().map(Column::own_strings).collect();
        let rows = run.len();
        if rows == top {
            let key = &columns[shared.run.key_columns[0]];
            threshold::tighten(&shared.threshold, key, rows - 1);
        }
        drop(run);
        let bytes = shared.run.bytes(&columns, rows);
        self.rows.push(columns, rows);
        self.reservation.shrink(self.reservation.held().saturating_sub(bytes));
        Ok(())
    }

    /// Turns the rows so far into a sorted run, in memory if it may stay there.
    fn close_run(&mut self) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let several = self.shared.workers.load(Relaxed) > 1;
        let mut run = self.sort(several)?;
        self.metrics.reserved(self.reservation.held());
        let bytes = run.bytes();
        if !self.reservation.try_resize(bytes)? {
            self.write(run)?;
            return self.spill();
        }
        run.reservation = Some(self.reservation.split(bytes).passive());
        self.runs.push(run);
        Ok(())
    }

    /// Writes everything to disk, and gives its memory back.
    fn spill(&mut self) -> Result<()> {
        self.shared.is_external.store(true, Relaxed);
        if !self.rows.is_empty() {
            // Blocks get keys anew when they are read.
            let run = self.sort(false)?;
            self.write(run)?;
        }
        for run in std::mem::take(&mut self.runs) {
            self.write(run)?;
        }
        self.reservation.shrink(self.reservation.held());
        Ok(())
    }

    /// Writes a run to the file of this worker.
    fn write(&mut self, run: Run) -> Result<()> {
        let shared = self.shared.clone();
        let file = self.task.spill.file_in(&mut self.file, shared.consumer, &self.metrics)?.clone();
        if shared.top == Some(run.len()) {
            let key = &run.columns[shared.run.key_columns[0]];
            threshold::tighten(&shared.threshold, key, run.keys.row(run.len() - 1) as usize);
        }
        self.spilled.push(run.spill(&shared.run, &file, &self.task)?);
        Ok(())
    }
}
