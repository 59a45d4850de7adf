//! Rows of the build side from their arrival until the table is built: in memory while they may be, then partition by partition on disk.
//!
//! ```text
//! batches ──► kept as they are ──first refusal──► pieces by partition ──largest first, until enough is free──► disk
//!                                                 pieces in memory    ──all arrived─────────────────────────► table
//! ```
//! Each worker has rows of its own; one takes over all when the input is over. What grows: the rows, under a reservation that is asked for every batch.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::DataType;
use plasmon_kernels::join_table::JoinTable;

use super::JoinShared;
use super::build::BuildBatch;
use super::disk::Writer;
use super::keys::{JoinKeys, WordBounds};
use super::layout::{Hashing, PARTITIONS};
use crate::batch::{Column, Encoding, Physical, physical_type};
use crate::error::{Error, Result};
use crate::memory::{Reservation, granted};
use crate::metrics::OperatorMetrics;
use crate::pipeline::TaskContext;

/// Rows that are cut at a time: pieces of fewer are more overhead than rows. A batch that has half of them is cut alone.
pub(super) const CUT_ROWS: usize = 1 << 15;
/// Bytes that are cut at a time at most: the pieces are there before what they are cut from is gone.
pub(super) fn cut_bytes(task: &TaskContext) -> usize {
    4 * task.memory.floor()
}

/// Once something must go to disk, at least this share of the rows goes.
const SPILLED_SHARE: usize = 8;
/// Rows of one table: numbers are 32 bits wide, and some mean something else.
pub(super) const TABLE_ROWS_MAX: usize = u32::MAX as usize - 1;
/// Bytes of a value while its column is put together.
const MOVED_BYTES: usize = 16;
/// Bytes that an interned string takes at most beside its bytes, which are held twice at most: the table doubles when it grows.
const INTERNED_BYTES: usize = 48;

/// What is known of all rows of the build side, wherever they are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    pub rows: usize,
    /// Some key of some row is null.
    pub has_null_key: bool,
}

/// The rows that the table is made of.
pub(super) struct Resident {
    pub batches: Vec<BuildBatch>,
    pub rows: usize,
    pub keys: JoinKeys,
    pub bounds: Option<(i64, i64)>,
    pub facts: Facts,
    /// These are all rows, and nobody knows their keys yet.
    pub publishes: bool,
    /// For the rows, and what becomes of them.
    pub reservation: Reservation,
    /// Where it is noted what they become.
    pub metrics: Option<Arc<OperatorMetrics>>,
}

/// Rows in memory, of one worker or of all.
pub(super) struct BuildRows {
    shared: Arc<JoinShared>,
    /// Batches that were not cut.
    whole: Vec<BuildBatch>,
    whole_rows: usize,
    /// Pieces of each partition.
    pieces: Vec<Vec<BuildBatch>>,
    pub facts: Facts,
    pub bounds: WordBounds,
    /// Its keys are in the sketches of the filters to be published, as those that come will be …
    is_sketched: bool,
    /// … and until then, keys of what went to disk.
    unsketched: Vec<Vec<Column>>,
    /// Room is being made: there is none for sketches yet.
    is_short: bool,
    /// Knows which rows take part.
    keys: JoinKeys,
    hashing: Hashing,
    /// Rows that match nothing and were dealt to some partition.
    dealt: u64,
    writer: Writer,
    reservation: Reservation,
    task: TaskContext,
    metrics: Arc<OperatorMetrics>,
}

impl BuildRows {
    pub(super) fn new(shared: &Arc<JoinShared>, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Self> {
        let memory = &task.memory;
        let can_spill = shared.disk.is_read();
        Ok(BuildRows {
            whole: Vec::new(),
            whole_rows: 0,
            pieces: (0..PARTITIONS).map(|_| Vec::new()).collect(),
            facts: Facts::default(),
            bounds: WordBounds::default(),
            is_sketched: shared.publishes.is_empty(),
            unsketched: Vec::new(),
            is_short: false,
            keys: JoinKeys::new(&shared.spec, task.config.hash_collisions)?,
            hashing: Hashing::first(task),
            dealt: 0,
            writer: Writer::new(&shared.layout.build_types, task, metrics),
            reservation: if can_spill {
                memory.spilling_reservation("Join build")
            } else {
                memory.reservation("Join build")
            },
            task: task.clone(),
            metrics: metrics.clone(),
            shared: shared.clone(),
        })
    }

    /// Makes room for a batch of `bytes`; `false` = there is none in memory: give it to [`BuildRows::pass_on`].
    pub(super) fn reserve(&mut self, bytes: usize) -> Result<bool> {
        if !self.shared.disk.is_read() {
            self.reservation.grow(bytes)?;
        } else if !self.reservation.try_grow(bytes)? {
            self.make_room(bytes)?;
            if !granted(self.reservation.grow(bytes))? {
                return Ok(false);
            }
        }
        self.metrics.reserved(self.reservation.held());
        Ok(true)
    }

    /// Keeps a batch that room was made for.
    pub(super) fn keep(&mut self, batch: BuildBatch) -> Result<()> {
        self.whole_rows += batch.rows;
        self.whole.push(batch);
        if self.shared.disk.partitions().is_empty() {
            return Ok(());
        }
        let is_enough = self.whole_rows >= CUT_ROWS || bytes_of(&self.whole) >= cut_bytes(&self.task);
        if is_enough { self.cut_all() } else { Ok(()) }
    }

    /// Lets a batch go to disk, and whatever comes later.
    pub(super) fn pass_on(&mut self, batch: BuildBatch) -> Result<()> {
        self.shared.disk.add_all();
        self.cut(&batch)
    }

    /// The input is over: what is known to belong on disk goes there.
    pub(super) fn end(&mut self) -> Result<()> {
        if !self.shared.disk.partitions().is_empty() {
            self.cut_all()?;
        }
        self.writer.finish(&self.shared.disk.build)
    }

    /// Takes over what another worker has. Both have ended.
    pub(super) fn merge(&mut self, other: BuildRows) {
        self.whole.extend(other.whole);
        self.whole_rows += other.whole_rows;
        self.is_sketched &= other.is_sketched || other.pieces.iter().all(Vec::is_empty);
        self.unsketched.extend(other.unsketched);
        self.pieces.iter_mut().zip(other.pieces).for_each(|(own, other)| own.extend(other));
        self.facts.rows += other.facts.rows;
        self.facts.has_null_key |= other.facts.has_null_key;
        self.bounds.merge(&other.bounds);
        self.reservation.absorb(other.reservation);
    }

    /// Bytes of the rows.
    fn bytes(&self) -> usize {
        self.batches().map(|batch| batch.bytes).sum()
    }

    fn batches(&self) -> impl Iterator<Item = &BuildBatch> {
        self.whole.iter().chain(self.pieces.iter().flatten())
    }

    /// Frees `bytes`, or more when that is little, or what there is; whether that was anything.
    fn make_room(&mut self, bytes: usize) -> Result<bool> {
        let before = self.bytes();
        self.is_short = true;
        self.cut_all()?;
        let JoinShared { sketches, publishes, .. } = &*self.shared;
        let sketches = if self.is_sketched { 0 } else { sketches.missing(publishes, before, &self.task) };
        let goal = before.saturating_sub((bytes + sketches).max(before / SPILLED_SHARE));
        while self.bytes() > goal && self.spill_largest()? {}
        self.balance()?;
        self.is_short = false;
        if !self.shared.disk.partitions().is_empty() {
            self.begin_sketch()?;
        }
        Ok(self.bytes() < before)
    }

    /// Cuts what is whole, and lets go what belongs on disk.
    fn cut_all(&mut self) -> Result<()> {
        self.whole_rows = 0;
        let mut small: Vec<BuildBatch> = Vec::new();
        let cut_bytes = cut_bytes(&self.task);
        let is_large = |rows: usize, bytes: usize| rows > CUT_ROWS || bytes > cut_bytes;
        let whole = std::mem::take(&mut self.whole);
        let mut left = bytes_of(&whole);
        for batch in whole {
            left -= batch.bytes;
            if is_large(2 * batch.rows, 2 * batch.bytes) {
                self.cut(&batch)?;
                drop(batch);
                self.shed(left + bytes_of(&small))?;
                continue;
            }
            small.push(batch);
            if is_large(small.iter().map(|b| b.rows).sum(), bytes_of(&small)) {
                self.cut_together(std::mem::take(&mut small))?;
                self.shed(left)?;
            }
        }
        self.cut_together(small)?;
        let on_disk = self.shared.disk.partitions();
        (0..PARTITIONS).filter(|&p| on_disk.has(p)).try_for_each(|partition| self.spill(partition))?;
        self.balance()
    }

    /// Lets partitions go while rows are cut, which then take more than before, and `others` are still to be cut.
    fn shed(&mut self, others: usize) -> Result<()> {
        while self.bytes() + others > self.reservation.held() && self.spill_largest()? {}
        Ok(())
    }

    fn cut_together(&mut self, small: Vec<BuildBatch>) -> Result<()> {
        match &small[..] {
            [] => Ok(()),
            [one] => self.cut(one),
            _ => self.cut(&self.shared.layout.together(small, &self.keys)?),
        }
    }

    fn cut(&mut self, batch: &BuildBatch) -> Result<()> {
        self.writer.check()?;
        let shared = self.shared.clone();
        let on_disk = shared.disk.partitions();
        if !on_disk.is_empty() && !self.is_short {
            self.begin_sketch()?;
        }
        if self.is_sketched {
            shared.sketches.add(&shared.publishes, &batch.keys);
        } else if !on_disk.is_empty() {
            self.unsketched.push(batch.keys.clone());
        }
        for (partition, columns, rows) in shared.layout.cut_build(batch, self.hashing, &mut self.dealt)? {
            if on_disk.has(partition) {
                self.writer.add(&shared.disk.build, partition, columns, rows)?;
            } else {
                self.pieces[partition].push(shared.layout.build_batch(columns, rows, &self.keys)?);
            }
        }
        Ok(())
    }

    /// Adds the keys of all that was cut, which by now have left some room, to the sketches; all that is cut from now on will be added.
    fn begin_sketch(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.is_sketched, true) {
            return Ok(());
        }
        let JoinShared { sketches, publishes, .. } = &*self.shared;
        sketches.make(publishes, &self.task)?;
        let gone = std::mem::take(&mut self.unsketched);
        let pieces = self.pieces.iter().flatten().map(|piece| &piece.keys);
        gone.iter().chain(pieces).for_each(|keys| sketches.add(publishes, keys));
        Ok(())
    }

    /// Lets the partition with the most bytes go to disk; `false` = there is nothing left.
    fn spill_largest(&mut self) -> Result<bool> {
        let bytes = |partition: &usize| self.pieces[*partition].iter().map(|piece| piece.bytes).sum::<usize>();
        let largest = (0..PARTITIONS).filter(|&p| !self.pieces[p].is_empty()).max_by_key(bytes);
        let Some(partition) = largest else { return Ok(false) };
        self.shared.disk.add(partition);
        self.spill(partition)?;
        Ok(true)
    }

    fn spill(&mut self, partition: usize) -> Result<()> {
        let shared = self.shared.clone();
        for piece in std::mem::take(&mut self.pieces[partition]) {
            let columns = shared.layout.build_columns(&piece);
            self.writer.add(&shared.disk.build, partition, columns, piece.rows)?;
            if !self.is_sketched {
                self.unsketched.push(piece.keys);
            }
        }
        Ok(())
    }

    /// Makes the reservation what the rows take: pieces may take a little more than what they were cut from.
    fn balance(&mut self) -> Result<()> {
        loop {
            let (held, bytes) = (self.reservation.held(), self.bytes());
            if bytes <= held {
                self.reservation.shrink(held - bytes);
                return Ok(());
            }
            if granted(self.reservation.grow(bytes - held))? {
                return Ok(());
            }
            if !self.spill_largest()? {
                return self.reservation.grow(bytes - held);
            }
        }
    }

    /// All rows have arrived: as many as leave room for their table stay, the others are on disk.
    pub(super) fn settle(mut self, task: &TaskContext) -> Result<Resident> {
        if !self.shared.disk.partitions().is_empty() {
            self.cut_all()?;
        }
        let mut is_first = true;
        let (keys, bounds) = loop {
            task.cancel.check()?;
            if let Some(settled) = self.try_settle(task, is_first)? {
                break settled;
            }
            is_first = false;
        };
        self.writer.finish(&self.shared.disk.build)?;
        let on_disk = self.shared.disk.partitions();
        if !on_disk.is_empty() {
            self.metrics.add("spilled partitions", on_disk.len() as u64);
            self.begin_sketch()?;
            self.shared.sketches.publish(&self.shared.publishes);
        }
        let rows = self.batches().map(|batch| batch.rows).sum();
        self.whole.extend(self.pieces.into_iter().flatten());
        Ok(Resident {
            batches: self.whole,
            rows,
            keys,
            bounds,
            facts: self.facts,
            publishes: on_disk.is_empty(),
            reservation: self.reservation,
            metrics: Some(self.metrics),
        })
    }

    /// Room for the table of the rows in memory; `None` = some had to go to disk first, and there is less to make room for.
    fn try_settle(&mut self, task: &TaskContext, is_first: bool) -> Result<Option<(JoinKeys, Option<(i64, i64)>)>> {
        if !self.make_words()? {
            return Ok(None);
        }
        let mut keys = self.keys.clone();
        let bounds = keys.settle(&self.bounds);
        let rows: usize = self.batches().map(|batch| batch.rows).sum();
        let read = &self.shared.layout.right_read;
        let columns = concat_bytes(self.batches(), &self.shared.spec.right_types, read, task.config.threads);
        let marks = rows * self.shared.spec.kind.mark_bytes();
        let bytes = table_bytes(&keys, self.batches(), self.hashing.collide) + columns + marks;
        let fits = rows <= TABLE_ROWS_MAX;
        let has_room = match (fits, is_first && self.shared.disk.is_read()) {
            (false, _) => false,
            (true, true) => self.reservation.try_grow(bytes)?,
            (true, false) => granted(self.reservation.grow(bytes))?,
        };
        if has_room {
            return Ok(Some((keys, bounds)));
        }
        // With fewer rows, less is needed: both shares together must go where now the rows are.
        let resident = self.bytes();
        let share = (bytes as u128 * resident as u128 / (resident + bytes).max(1) as u128) as usize;
        if self.shared.disk.is_read() && self.make_room(share)? {
            return Ok(None);
        }
        if !fits {
            let most = TABLE_ROWS_MAX;
            return Err(Error::unsupported(format!("a join whose build side has {rows} rows; at most {most} fit")));
        }
        // It says why.
        self.reservation.grow(bytes)?;
        Ok(Some((keys, bounds)))
    }

    /// Words of fixed-width keys of batches that were cut; `false` = some rows had to go to disk first.
    fn make_words(&mut self) -> Result<bool> {
        if !self.keys.is_fixed() {
            return Ok(true);
        }
        let row = 8 * self.keys.len();
        let missing: usize = self.batches().filter(|b| b.words.is_none()).map(|batch| batch.rows * row).sum();
        if missing > 0 && !granted(self.reservation.grow(missing))? {
            self.make_room(missing)?;
            return Ok(false);
        }
        for batch in self.whole.iter_mut().chain(self.pieces.iter_mut().flatten()).filter(|b| b.words.is_none()) {
            self.writer.check()?;
            batch.words = Some(self.keys.build_words(&batch.keys, &mut self.bounds)?);
            batch.bytes += batch.rows * row;
        }
        Ok(true)
    }
}

fn bytes_of(batches: &[BuildBatch]) -> usize {
    batches.iter().map(|batch| batch.bytes).sum()
}

/// Bytes that the hash table of the rows takes at most, with its keys, beside what they take by themselves.
pub(super) fn table_bytes<'a>(keys: &JoinKeys, batches: impl Iterator<Item = &'a BuildBatch>, collide: bool) -> usize {
    let (mut rows, mut key_bytes) = (0, 0);
    // Those of text are interned as a whole, each once.
    let mut dictionaries = HashSet::new();
    for batch in batches {
        rows += batch.rows;
        key_bytes += batch.key_bytes;
        for key in batch.keys.iter().filter(|_| !keys.is_fixed()) {
            if let Encoding::Dictionary { dictionary, .. } = key.encoding()
                && dictionaries.insert(dictionary.id)
            {
                key_bytes += dictionary.values.memory_bytes();
            }
        }
    }
    let interned = if keys.is_fixed() { 0 } else { 2 * key_bytes + rows * INTERNED_BYTES };
    let words = if keys.has_own_words() { 0 } else { rows * keys.width() * 8 };
    words + interned + JoinTable::bytes_at_most(keys.width(), None, rows, collide)
}

/// Bytes that it takes to put columns together, beside their pieces: of those that are flattened, and of the largest others, `threads` at a time. Strings
/// stay where they are.
pub(super) fn concat_bytes<'a>(
    batches: impl Iterator<Item = &'a BuildBatch>,
    types: &[DataType],
    read: &[bool],
    threads: usize,
) -> usize {
    let mut moved = vec![0; types.len()];
    let mut flattened = 0;
    for batch in batches {
        for ((column, data_type), moved) in batch.columns.iter().zip(types).zip(&mut moved) {
            let bytes = flat_bytes(column, data_type);
            match column.encoding() {
                Encoding::Flat(_) => *moved += bytes,
                _ => flattened += bytes,
            }
        }
    }
    let mut moved: Vec<usize> =
        moved.into_iter().zip(read).filter(|(_, read)| **read).map(|(bytes, _)| bytes).collect();
    moved.sort_unstable_by(|a, b| b.cmp(a));
    flattened + moved.iter().take(threads.max(1)).sum::<usize>()
}

fn flat_bytes(column: &Column, data_type: &DataType) -> usize {
    let value = match physical_type(data_type) {
        Physical::Boolean | Physical::Int8 | Physical::UInt8 => 1,
        Physical::Int16 | Physical::UInt16 => 2,
        Physical::Int32 | Physical::UInt32 | Physical::Float32 => 4,
        Physical::Int64 | Physical::UInt64 | Physical::Float64 => 8,
        Physical::Int128 | Physical::Interval | Physical::View => 16,
        Physical::Int256 => 32,
        Physical::Nested => return column.memory_bytes(),
    };
    column.len() * value + column.len() / 8
}

/// Bytes that `rows` rows of a partition on disk, of `bytes` in memory, are going to take until their table stands. What it says too little is asked for as
/// they are read; see [`loaded_bytes`].
pub(super) fn expected_bytes(rows: usize, bytes: usize, keys: &JoinKeys, mark_bytes: usize, collide: bool) -> usize {
    let words = if keys.is_fixed() { 8 * keys.len() } else { INTERNED_BYTES };
    let own = if keys.has_own_words() { 0 } else { 8 * keys.width() };
    bytes
        + rows * (words + own + MOVED_BYTES + mark_bytes)
        + JoinTable::bytes_at_most(keys.width(), None, rows, collide)
}

/// Bytes that a few rows read back take at most until their table stands.
pub(super) fn loaded_bytes(
    batch: &BuildBatch,
    keys: &JoinKeys,
    types: &[DataType],
    read: &[bool],
    collide: bool,
) -> usize {
    let words = if keys.is_fixed() { batch.rows * 8 * keys.len() } else { 0 };
    let one = || std::iter::once(batch);
    batch.bytes + words + concat_bytes(one(), types, read, 1) + table_bytes(keys, one(), collide)
}
