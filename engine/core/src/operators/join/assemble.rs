//! From the build side's batches to [`Built`], in stages of tasks that any worker runs.
//!
//! ```text
//! 0   words: key columns → words of one form; runtime filters
//! 1 … the table's phases (see `kernels/src/join_table/build.rs`); with the first of them, columns put together, one task each
//! ```
//! Small build sides go through the same stages on one thread.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use arrow_schema::DataType;
use plasmon_kernels::join_table::{JoinTable, JoinTableBuilder, KeyPart, Phase};

use super::arrive::{Facts, Resident};
use super::build::{BuildBatch, Built};
use super::keys::JoinKeys;
use super::{JoinShared, publish};
use crate::batch::{Bitmap, Column, arrow::null_column};
use crate::error::{Error, Result};
use crate::memory::{Reservation, granted};
use crate::metrics::OperatorMetrics;
use crate::pipeline::{CancelToken, FinalizeTask, TaskContext};

/// Fewer rows are not worth a second thread.
const ROWS_PER_TASK: usize = 1 << 16;

/// Between the last batch and the finished build side. Tasks of a stage share it; between stages it has one owner.
pub(super) struct Building {
    shared: Arc<JoinShared>,
    keys: JoinKeys,
    rows: usize,
    parts: Vec<Part>,
    columns: Vec<OnceLock<Column>>,
    table: Option<JoinTableBuilder>,
    bounds: Option<(i64, i64)>,
    shards: usize,
    facts: Facts,
    /// The filters' keys are those of the rows.
    publishes: bool,
    /// For what arrived, and for what is made of it.
    reservation: Reservation,
    metrics: Option<Arc<OperatorMetrics>>,
    /// Asked at every batch: a task may go through all of them.
    cancel: CancelToken,
}

/// One batch of the build side, by and by taken apart.
struct Part {
    batch: Mutex<BuildBatch>,
    words: OnceLock<Vec<u64>>,
    valid: Option<Bitmap>,
    first_row: u32,
    rows: usize,
}

impl Part {
    fn batch(&self) -> std::sync::MutexGuard<'_, BuildBatch> {
        self.batch.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn keys(&self) -> KeyPart<'_> {
        KeyPart {
            words: self.words.get().map_or(&[], |w| w),
            valid: self.valid.as_ref().map(Bitmap::words),
            first_row: self.first_row,
            rows: self.rows,
        }
    }
}

/// A task for each of `0..count`.
fn each(work: Work, count: usize) -> impl Iterator<Item = (Work, std::ops::Range<usize>)> {
    (0..count).map(move |index| (work, index..index + 1))
}

/// What a task does for the parts `from..to`, or for one column, filter or shard.
type Work = fn(&Building, std::ops::Range<usize>) -> Result<()>;

impl Building {
    /// Nothing is done yet, but that there is room for the table; `threads` will work on it.
    pub(super) fn new(
        shared: &Arc<JoinShared>,
        resident: Resident,
        threads: usize,
        task: &TaskContext,
    ) -> Result<Building> {
        let Resident { rows, keys, bounds, facts, publishes, reservation, metrics, .. } = resident;
        // A slot for every possible key is worth having, not worth spilling for.
        let bytes = |bounds| JoinTable::bytes_at_most(keys.width(), bounds, rows, task.config.hash_collisions);
        let more = bytes(bounds).saturating_sub(bytes(None));
        let bounds = if more == 0 || reservation.try_grow(more)? { bounds } else { None };
        let mut first_row = 0;
        let parts = resident.batches.into_iter().map(|mut batch| {
            let (valid, rows) = (batch.valid.take(), batch.rows);
            first_row += rows as u32;
            let first_row = first_row - rows as u32;
            Part { batch: Mutex::new(batch), words: OnceLock::new(), valid, first_row, rows }
        });
        Ok(Building {
            parts: parts.collect(),
            columns: shared.spec.right_types.iter().map(|_| OnceLock::new()).collect(),
            shared: shared.clone(),
            table: None,
            keys,
            rows,
            bounds,
            shards: if rows < ROWS_PER_TASK { 1 } else { threads.max(1) },
            facts,
            publishes,
            reservation,
            metrics,
            cancel: task.cancel.clone(),
        })
    }

    /// Taken back from tasks that are done.
    pub(super) fn alone(building: Arc<Building>) -> Result<Building> {
        Arc::into_inner(building).ok_or_else(|| Error::internal("a join's build side is shared between stages"))
    }

    /// Prepares a stage; gives its tasks, none when all is done.
    pub(super) fn stage(mut self, stage: usize, task: &TaskContext) -> Result<(Arc<Building>, Vec<FinalizeTask>)> {
        if self.rows >= ROWS_PER_TASK {
            let works = self.works(stage, task)?;
            return Ok(self.spread(works));
        }
        let mut stage = stage;
        while !self.run_stage(stage, task)? {
            stage += 1;
        }
        Ok((Arc::new(self), Vec::new()))
    }

    /// Does a whole stage; gives whether all is done.
    pub(super) fn run_stage(&mut self, stage: usize, task: &TaskContext) -> Result<bool> {
        let works = self.works(stage, task)?;
        let is_over = works.is_empty() && stage > 0;
        for (work, range) in works {
            self.cancel.check()?;
            work(self, range)?;
        }
        Ok(is_over)
    }

    fn spread(self, works: Vec<(Work, std::ops::Range<usize>)>) -> (Arc<Building>, Vec<FinalizeTask>) {
        let building = Arc::new(self);
        let task = |(work, range): (Work, std::ops::Range<usize>)| {
            let building = building.clone();
            Box::new(move |_: &TaskContext| work(&building, range)) as FinalizeTask
        };
        let tasks = works.into_iter().map(task).collect();
        (building, tasks)
    }

    /// The tasks of a stage; none after the last.
    fn works(&mut self, stage: usize, task: &TaskContext) -> Result<Vec<(Work, std::ops::Range<usize>)>> {
        if stage == 0 {
            if !self.keys.is_combined() {
                self.encode()?;
            }
            let filters = each(Building::publish_filter, if self.publishes { self.shared.publishes.len() } else { 0 });
            return Ok(filters.chain(self.by_parts(Building::combine_words)).collect());
        }
        let shards = self.shards;
        let mut works = Vec::new();
        if stage == 1 {
            self.parts.iter().for_each(|part| part.batch().keys.clear());
            let (width, collide) = (self.keys.width(), task.config.hash_collisions);
            self.table = Some(JoinTableBuilder::new(width, self.bounds, self.rows, shards, collide));
            // Columns first: they are the longest tasks.
            let read = &self.shared.layout.right_read;
            let read = (0..read.len()).filter(|&column| read[column]);
            works.extend(read.map(|column| (Building::put_column_together as Work, column..column + 1)));
        }
        let phase = self.table.as_mut().map_or(Phase::Finish, JoinTableBuilder::advance);
        match phase {
            Phase::Place => works.extend(self.by_parts(Building::place)),
            Phase::Count => works.extend(each(Building::count, shards)),
            Phase::Scatter => works.extend(each(Building::scatter, shards)),
            Phase::Finish => {}
        }
        Ok(works)
    }

    /// A task for each [`ROWS_PER_TASK`] rows or so.
    fn by_parts(&self, work: Work) -> Vec<(Work, std::ops::Range<usize>)> {
        let mut works = Vec::new();
        let (mut start, mut rows) = (0, 0);
        for (index, part) in self.parts.iter().enumerate() {
            rows += part.rows;
            if rows >= ROWS_PER_TASK || index + 1 == self.parts.len() {
                works.push((work, start..index + 1));
                (start, rows) = (index + 1, 0);
            }
        }
        works
    }

    /// Words that depend on what other batches brought: one thread makes them.
    fn encode(&mut self) -> Result<()> {
        for part in &self.parts {
            self.cancel.check()?;
            let words = self.keys.encode(&part.batch().keys, part.rows)?;
            let _ = part.words.set(words);
        }
        Ok(())
    }

    fn publish_filter(&self, filter: std::ops::Range<usize>) -> Result<()> {
        let (key, filter) = &self.shared.publishes[filter.start];
        let columns: Vec<Column> = self.parts.iter().map(|part| part.batch().keys[*key].clone()).collect();
        let held = self.reservation.split(0);
        let keys = publish::key_filter(&columns, self.rows, &self.cancel, |bytes| held.try_grow(bytes))?;
        filter.publish_held(keys, held.passive());
        Ok(())
    }

    fn combine_words(&self, parts: std::ops::Range<usize>) -> Result<()> {
        for part in &self.parts[parts] {
            let mut batch = part.batch();
            if let Some(words) = batch.words.take()
                && self.keys.is_combined()
            {
                let _ = part.words.set(self.keys.combine(words, &batch.keys, part.rows));
            }
        }
        Ok(())
    }

    fn place(&self, parts: std::ops::Range<usize>) -> Result<()> {
        let table = self.table()?;
        self.parts[parts].iter().for_each(|part| table.place(part.keys()));
        Ok(())
    }

    fn count(&self, shard: std::ops::Range<usize>) -> Result<()> {
        self.table()?.count(shard.start, &mut self.keys_of_parts());
        self.cancel.check()
    }

    fn scatter(&self, shard: std::ops::Range<usize>) -> Result<()> {
        self.table()?.scatter(shard.start, &mut self.keys_of_parts());
        self.cancel.check()
    }

    /// Of all parts, or of some when the query is stopped: whoever takes them checks that in the end.
    fn keys_of_parts(&self) -> impl Iterator<Item = KeyPart<'_>> {
        self.parts.iter().map_while(|part| self.cancel.check().ok().map(|()| part.keys()))
    }

    fn table(&self) -> Result<&JoinTableBuilder> {
        self.table.as_ref().ok_or_else(|| Error::internal("a join table is filled before it is laid out"))
    }

    /// Moved out of the batches: at most one column a worker exists twice.
    fn put_column_together(&self, column: std::ops::Range<usize>) -> Result<()> {
        let index = column.start;
        let data_type = &self.shared.spec.right_types[index];
        let take = |part: &Part| std::mem::replace(&mut part.batch().columns[index], null_column(data_type, 0));
        let mut pieces: Vec<Column> = self.parts.iter().map(take).collect();
        pieces.push(null_column(data_type, 1));
        let _ = self.columns[index].set(Column::concat_owned(pieces, data_type)?);
        Ok(())
    }

    /// All stages are done.
    pub(super) fn finish(self) -> Result<Built> {
        let table = self.table.ok_or_else(|| Error::internal("a join without a table"))?.finish();
        if let Some(metrics) = &self.metrics {
            metrics.note("table", table.mode());
            metrics.note("keys", if table.is_unique() { "unique" } else { "repeated" });
        }
        let spec = &self.shared.spec;
        let absent = |data_type: &DataType| null_column(data_type, 0);
        let columns: Vec<Column> = (self.columns.into_iter().zip(&spec.right_types))
            .map(|(column, data_type)| column.into_inner().unwrap_or_else(|| absent(data_type)))
            .collect();
        drop(self.parts);
        let held = columns.iter().map(Column::memory_bytes).sum::<usize>();
        // Room was made for all of it before. Strings count by their lengths, even if rows share those of a dictionary: they may come to more than they take.
        let marks = self.rows * spec.kind.mark_bytes();
        granted(self.reservation.resize(held + table.memory_bytes() + self.keys.memory_bytes() + marks))?;
        Ok(Built {
            met: (0..marks).map(|_| AtomicBool::new(false)).collect(),
            columns,
            rows: self.rows,
            table,
            keys: self.keys,
            facts: self.facts,
            _reservation: self.reservation.passive(),
        })
    }
}
