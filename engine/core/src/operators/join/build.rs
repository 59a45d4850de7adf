//! Sink: takes the right input, and becomes columns addressed by row number and a table from keys to row numbers.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};

use plasmon_kernels::join_table::JoinTable;

use super::JoinShared;
use super::assemble::Building;
use super::keys::{BuildWords, JoinKeys, WordBounds};
use crate::batch::{Batch, Bitmap, Column, arrow::null_column};
use crate::error::Result;
use crate::expression::evaluate;
use crate::memory::Reservation;
use crate::metrics::OperatorMetrics;
use crate::pipeline::{FinalizeTask, Flow, Sink, SinkState, TaskContext};

/// Rows that workers have brought so far; then what becomes of them.
#[derive(Default)]
pub(super) struct Arriving {
    state: Mutex<State>,
}

impl std::fmt::Debug for Arriving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arriving").finish_non_exhaustive()
    }
}

impl Arriving {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[derive(Default)]
struct State {
    rows: ArrivedRows,
    building: Option<Arc<Building>>,
}

/// The build side's input.
#[derive(Default)]
pub(super) struct ArrivedRows {
    pub batches: Vec<BuildBatch>,
    pub bounds: WordBounds,
    /// Held until the columns and the table stand.
    pub reservations: Vec<Reservation>,
    pub metrics: Option<Arc<OperatorMetrics>>,
}

/// One batch of the build side.
pub(super) struct BuildBatch {
    pub columns: Vec<Column>,
    pub keys: Vec<Column>,
    /// Of keys whose words any worker can make.
    pub words: Option<BuildWords>,
    /// Rows that can match; `None` = all.
    pub valid: Option<Bitmap>,
    pub rows: usize,
}

/// The build side, complete and immutable but for the marks.
pub(super) struct Built {
    /// Columns of all rows and, at the end, one row of nulls; empty columns where nobody reads them.
    pub columns: Vec<Column>,
    pub rows: usize,
    pub table: JoinTable,
    pub keys: JoinKeys,
    /// Some key of some row is null.
    pub has_null_key: bool,
    /// One mark a row when the kind needs them.
    pub met: Vec<AtomicBool>,
    pub _reservation: Reservation,
}

impl std::fmt::Debug for Built {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Built").field("rows", &self.rows).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(super) struct JoinBuild {
    pub(super) shared: Arc<JoinShared>,
}

impl Sink for JoinBuild {
    fn name(&self) -> &'static str {
        "JoinBuild"
    }

    fn describe(&self) -> String {
        self.shared.spec.right_keys.iter().map(|k| k.to_string()).collect::<Vec<_>>().join(", ")
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SinkState>> {
        Ok(Box::new(JoinBuildState {
            keys: JoinKeys::new(&self.shared.spec, task.config.hash_collisions)?,
            read: self.shared.read_columns(),
            shared: self.shared.clone(),
            rows: ArrivedRows {
                reservations: vec![task.memory.reservation("Join build")],
                metrics: Some(metrics.clone()),
                ..Default::default()
            },
        }))
    }

    fn finalize(&self, stage: usize, task: &TaskContext) -> Result<Vec<FinalizeTask>> {
        let mut state = self.shared.arriving.state();
        let building = match state.building.take() {
            None => Building::new(&self.shared, std::mem::take(&mut state.rows), task)?,
            Some(building) => Building::alone(building)?,
        };
        let (building, tasks) = building.stage(stage, task)?;
        state.building = Some(building);
        Ok(tasks)
    }

    fn seal(&self, _task: &TaskContext) -> Result<()> {
        let Some(building) = self.shared.arriving.state().building.take() else { return Ok(()) };
        let _ = self.shared.built.set(Building::alone(building)?.finish()?);
        Ok(())
    }
}

struct JoinBuildState {
    shared: Arc<JoinShared>,
    /// Encodes; knows nothing of other workers' rows.
    keys: JoinKeys,
    /// Whether each column is read by anybody.
    read: Vec<bool>,
    rows: ArrivedRows,
}

impl SinkState for JoinBuildState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let batch = batch.detach();
        let keys = self.shared.spec.right_keys.iter().map(|k| evaluate(k, &batch)).collect::<Result<Vec<_>>>()?;
        let (rows, types) = (batch.rows(), &self.shared.spec.right_types);
        let mut columns = batch.into_columns();
        for (column, data_type) in (0..columns.len()).filter(|&c| !self.read[c]).map(|c| (c, &types[c])) {
            columns[column] = null_column(data_type, 0);
        }
        let is_fixed = self.keys.is_fixed();
        let words = if is_fixed { rows * 8 * keys.len() } else { 0 };
        for reservation in &self.rows.reservations {
            reservation.grow(columns.iter().chain(&keys).map(Column::memory_bytes).sum::<usize>() + words)?;
            self.rows.metrics.iter().for_each(|metrics| metrics.reserved(reservation.held()));
        }
        let words = is_fixed.then(|| self.keys.build_words(&keys, &mut self.rows.bounds)).transpose()?;
        let valid = self.keys.taking_part(&keys);
        self.rows.batches.push(BuildBatch { columns, keys, words, valid, rows });
        Ok(Flow::NeedInput)
    }

    fn combine(&mut self) -> Result<()> {
        let own = std::mem::take(&mut self.rows);
        let mut state = self.shared.arriving.state();
        state.rows.batches.extend(own.batches);
        state.rows.bounds.merge(&own.bounds);
        state.rows.reservations.extend(own.reservations);
        state.rows.metrics = own.metrics;
        Ok(())
    }
}
