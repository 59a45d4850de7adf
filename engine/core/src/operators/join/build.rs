//! Sink: takes the right input, and becomes columns addressed by row number and a table from keys to row numbers.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};

use plasmon_kernels::join_table::JoinTable;

use super::JoinShared;
use super::arrive::{BuildRows, Facts};
use super::assemble::Building;
use super::keys::{BuildWords, JoinKeys};
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
    rows: Option<BuildRows>,
    building: Option<Arc<Building>>,
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
    /// What is reserved for it …
    pub bytes: usize,
    /// … and of that, for its keys.
    pub key_bytes: usize,
}

/// The build side, complete and immutable but for the marks.
pub(super) struct Built {
    /// Columns of all rows and, at the end, one row of nulls; empty columns where nobody reads them.
    pub columns: Vec<Column>,
    pub rows: usize,
    pub table: JoinTable,
    pub keys: JoinKeys,
    /// Of the whole build side, of which these may be a part.
    pub facts: Facts,
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

impl Drop for JoinBuild {
    /// What a query has not built when it is stopped knows the join, which knows it: neither would go.
    fn drop(&mut self) {
        let unfinished = std::mem::take(&mut *self.shared.arriving.state());
        drop(unfinished);
    }
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
            rows: Some(BuildRows::new(&self.shared, task, metrics)?),
            shared: self.shared.clone(),
        }))
    }

    fn finalize(&self, stage: usize, task: &TaskContext) -> Result<Vec<FinalizeTask>> {
        let mut state = self.shared.arriving.state();
        let building = match state.building.take() {
            None => {
                let none = || BuildRows::new(&self.shared, task, &OperatorMetrics::new());
                let rows = state.rows.take().map_or_else(none, Ok)?;
                Building::new(&self.shared, rows.settle(task)?, task.config.threads, task)?
            }
            Some(building) => Building::alone(building)?,
        };
        let (building, tasks) = building.stage(stage, task)?;
        state.building = Some(building);
        Ok(tasks)
    }

    fn seal(&self, _task: &TaskContext) -> Result<()> {
        let Some(building) = self.shared.arriving.state().building.take() else { return Ok(()) };
        self.shared.set_built(Building::alone(building)?.finish()?);
        Ok(())
    }
}

struct JoinBuildState {
    shared: Arc<JoinShared>,
    /// Encodes; knows nothing of other workers' rows.
    keys: JoinKeys,
    /// Until they are combined with those of others.
    rows: Option<BuildRows>,
}

impl SinkState for JoinBuildState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let Some(own) = &mut self.rows else { return Ok(Flow::Finished) };
        let mut batch = arrived(&self.shared, &self.keys, batch)?;
        own.facts.rows += batch.rows;
        own.facts.has_null_key |= batch.keys.iter().any(|key| key.validity().is_some());
        let makes_words = self.keys.is_fixed() && self.shared.disk.partitions().is_empty();
        batch.bytes += if makes_words { batch.rows * 8 * batch.keys.len() } else { 0 };
        if !own.reserve(batch.bytes)? {
            own.pass_on(batch)?;
            return Ok(Flow::NeedInput);
        }
        if makes_words {
            batch.words = Some(self.keys.build_words(&batch.keys, &mut own.bounds)?);
        }
        own.keep(batch)?;
        Ok(Flow::NeedInput)
    }

    fn combine(&mut self) -> Result<()> {
        let Some(mut own) = self.rows.take() else { return Ok(()) };
        own.end()?;
        let mut state = self.shared.arriving.state();
        match &mut state.rows {
            Some(all) => all.merge(own),
            all => *all = Some(own),
        }
        Ok(())
    }
}

/// A batch as it is kept: columns that nobody reads are empty.
fn arrived(shared: &JoinShared, keys: &JoinKeys, batch: Batch) -> Result<BuildBatch> {
    let batch = batch.detach();
    let of_rows = shared.spec.right_keys.iter().map(|k| evaluate(k, &batch)).collect::<Result<Vec<_>>>()?;
    let rows = batch.rows();
    let mut columns = batch.into_columns();
    for ((column, data_type), read) in columns.iter_mut().zip(&shared.spec.right_types).zip(&shared.layout.right_read) {
        if !read {
            *column = null_column(data_type, 0);
        }
    }
    let key_bytes = of_rows.iter().map(Column::memory_bytes).sum();
    let bytes = columns.iter().map(Column::memory_bytes).sum::<usize>() + shared.layout.own_key_bytes(&of_rows);
    let valid = keys.taking_part(&of_rows);
    Ok(BuildBatch { columns, keys: of_rows, words: None, valid, rows, bytes, key_bytes })
}
