//! The rows of one partition on disk: in order, in blocks of equally many rows, and where groups of peers start.
//!
//! ```text
//! batches in order ──cut to blocks──▶ a block of all collected columns ┐
//!                  ╰─starts of peers─▶ a block of row numbers ─────────┴▶ read by block, only the columns that somebody wants
//! ```
//! What grows in memory: some dozen bytes a block, which are reserved.

use std::ops::Range;
use std::sync::Arc;

use arrow_schema::DataType;

use super::super::Shared;
use super::super::starts::Starts;
use crate::batch::{Batch, Column, Values, physical_type};
use crate::error::{Error, Result};
use crate::memory::{Counted, Reservation, granted};
use crate::metrics::OperatorMetrics;
use crate::operators::sort::Rows;
use crate::pipeline::TaskContext;
use crate::spill::SpillFile;

/// Rows of a block: with fewer, what is kept of each block is too much for a partition of many times the memory …
const STEP_ROWS: std::ops::RangeInclusive<usize> = 256..=4096;
/// … and with fewer than this it is too much for any.
const STEP_ROWS_MIN: usize = 32;
/// The memory at work is about this many times what a consumer may always hold.
const FLOORS: usize = 4;
/// Bytes at work per row beside its columns: partial aggregates of up to four blocks, with a tree over them.
const WORK_BYTES: usize = 448;
/// Bytes kept of a block while a function is computed: its places in two files, its peers, and partial aggregates: of it, of what lies between frames' ends,
/// and a tree over them …
const BLOCK_BYTES: usize = 256;
/// … and for each function that was computed its place among that one's.
const PLACE_BYTES: usize = 24_usize.div_ceil(super::TOGETHER);

/// A partition that is being written.
pub(in super::super) struct Spool {
    types: Vec<DataType>,
    step: usize,
    file: Arc<SpillFile>,
    rows: u64,
    /// Less than a block.
    pending: Rows,
    peers: PeersWriter,
    /// For the work …
    reservation: Reservation,
    /// … and what is kept of each block: it is little, and nobody ends for want of it.
    kept: Counted,
    block_bytes: usize,
}

impl Spool {
    /// Of rows like those of `sample`.
    pub(in super::super) fn new(
        shared: &Shared,
        sample: &Batch,
        task: &TaskContext,
        metrics: &Arc<OperatorMetrics>,
    ) -> Result<Self> {
        let (collected, functions) = (&shared.collected, shared.spec.functions.len());
        let row_bytes = sample.columns().iter().map(Column::value_bytes).sum::<usize>().div_ceil(sample.rows().max(1));
        let work_bytes = 2 * row_bytes + 16 * functions + WORK_BYTES;
        let reservation = task.memory.spilling_reservation("Window partition on disk");
        let fitting = task.memory.floor() * FLOORS / work_bytes;
        let mut step = fitting.clamp(*STEP_ROWS.start(), *STEP_ROWS.end()).min(task.config.batch_rows);
        while step > STEP_ROWS_MIN && !granted(reservation.grow(step * work_bytes))? {
            step /= 2;
        }
        if reservation.held() == 0 {
            reservation.grow(step * work_bytes)?;
        }
        Ok(Spool {
            types: collected.types.clone(),
            step,
            file: task.spill.file("Window", metrics)?,
            rows: 0,
            pending: Rows::default(),
            peers: PeersWriter {
                order: Starts::new(collected.order.iter().map(|&(column, _)| column).collect()),
                file: task.spill.file("Window", metrics)?,
                blocks: Vec::new(),
                groups: 0,
                last: 0,
            },
            reservation,
            kept: task.memory.counted("Window (places of rows on disk)"),
            block_bytes: BLOCK_BYTES + PLACE_BYTES * functions,
        })
    }

    /// Adds rows.
    pub(in super::super) fn push(&mut self, batch: &Batch) -> Result<()> {
        let mut from = 0;
        while from < batch.rows() {
            let len = (self.step - self.pending.len()).min(batch.rows() - from);
            self.pending.push(batch.slice(from, len)?.into_columns(), len);
            from += len;
            if self.pending.len() == self.step {
                self.write()?;
            }
        }
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        let rows = self.pending.len();
        self.kept.set(self.kept.bytes() + self.block_bytes);
        let block = Batch::new(std::mem::take(&mut self.pending).concat(&self.types)?, rows);
        self.peers.write(&block, self.rows, &self.types)?;
        self.file.append(block.columns(), rows)?;
        self.rows += rows as u64;
        Ok(())
    }

    /// All rows are there.
    pub(super) fn finish(mut self) -> Result<Spooled> {
        if !self.pending.is_empty() {
            self.write()?;
        }
        Ok(Spooled {
            peers: self.peers.finish(self.rows),
            types: self.types,
            step: self.step as u64,
            file: self.file,
            rows: self.rows,
            _reservation: self.reservation,
            _kept: self.kept,
        })
    }
}

/// A partition on disk.
pub(super) struct Spooled {
    pub(super) types: Vec<DataType>,
    /// Rows of each block but the last.
    pub(super) step: u64,
    /// Rows in all.
    pub(super) rows: u64,
    pub(super) peers: Peers,
    file: Arc<SpillFile>,
    _reservation: Reservation,
    _kept: Counted,
}

impl Spooled {
    /// Number of blocks.
    pub(super) fn blocks(&self) -> usize {
        self.file.blocks()
    }

    /// The rows of a block.
    pub(super) fn range(&self, block: usize) -> Range<u64> {
        let start = block as u64 * self.step;
        start..(start + self.step).min(self.rows)
    }

    /// The block of a row, and where it is there.
    pub(super) fn place(&self, row: u64) -> (usize, usize) {
        ((row / self.step) as usize, (row % self.step) as usize)
    }

    /// Some columns of a block.
    pub(super) fn columns(&self, block: usize, wanted: &[usize]) -> Result<Vec<Column>> {
        let read = self.file.columns(block, wanted)?.columns;
        Ok(read.iter().zip(wanted).map(|(c, &w)| c.flatten().widen(physical_type(&self.types[w]))).collect())
    }

    /// One column of a block.
    pub(super) fn column(&self, block: usize, wanted: usize) -> Result<Column> {
        let mut columns = self.columns(block, &[wanted])?;
        columns.pop().ok_or_else(|| Error::internal("a column that was read is there"))
    }
}

// ---------------------------------------------------------------- Peers

/// What is known of the peers of each block.
#[derive(Debug, Clone, Copy)]
struct PeerBlock {
    /// Groups that start before the block.
    groups_before: u64,
    /// Where the group of its first row starts.
    first: u64,
    /// While it is written: where the first group in it starts. Then: where the first group behind it does.
    next: u64,
}

struct PeersWriter {
    order: Starts,
    file: Arc<SpillFile>,
    blocks: Vec<PeerBlock>,
    groups: u64,
    /// Where the last group starts.
    last: u64,
}

impl PeersWriter {
    fn write(&mut self, block: &Batch, at: u64, types: &[DataType]) -> Result<()> {
        let found = self.order.of(block, types)?;
        // Nothing is before the first row.
        let starts: Vec<u64> =
            (at == 0).then_some(0).into_iter().chain(found.into_iter().map(|start| at + start as u64)).collect();
        let first = if starts.first() == Some(&at) { at } else { self.last };
        let next = starts.first().copied().unwrap_or(u64::MAX);
        self.blocks.push(PeerBlock { groups_before: self.groups, first, next });
        self.groups += starts.len() as u64;
        self.last = starts.last().copied().unwrap_or(self.last);
        let rows = starts.len();
        self.file.append(&[Column::flat(Values::UInt64(starts.into()))], rows)?;
        Ok(())
    }

    fn finish(mut self, rows: u64) -> Peers {
        let mut behind = rows;
        for block in self.blocks.iter_mut().rev() {
            let own = std::mem::replace(&mut block.next, behind);
            behind = behind.min(own);
        }
        Peers { file: self.file, blocks: self.blocks, groups: self.groups, rows }
    }
}

/// Groups of rows with equal order keys.
pub(super) struct Peers {
    file: Arc<SpillFile>,
    blocks: Vec<PeerBlock>,
    /// How many there are.
    pub(super) groups: u64,
    rows: u64,
}

/// The group of each row of a block: its number from 0, where it starts and ends.
#[derive(Debug, Default)]
pub(super) struct RowGroups {
    pub(super) numbers: Vec<u64>,
    pub(super) starts: Vec<u64>,
    pub(super) ends: Vec<u64>,
}

impl Peers {
    /// Where the groups that start in a block do.
    fn starts(&self, block: usize) -> Result<Vec<u64>> {
        match self.file.block(block)?.columns.first().map(Column::flat_values) {
            Some(Values::UInt64(starts)) => Ok(starts.to_vec()),
            _ => Err(Error::internal("starts of peers are row numbers")),
        }
    }

    /// The groups of the rows of a block.
    pub(super) fn of_rows(&self, block: usize, rows: Range<u64>) -> Result<RowGroups> {
        let (mut starts, known) = (self.starts(block)?, self.blocks[block]);
        let mut number = known.groups_before;
        if starts.first() != Some(&rows.start) {
            starts.insert(0, known.first);
            number -= 1;
        }
        let mut groups = RowGroups::default();
        for (index, &start) in starts.iter().enumerate() {
            let end = starts.get(index + 1).copied().unwrap_or(known.next);
            let len = (end.min(rows.end) - start.max(rows.start)) as usize;
            groups.numbers.extend(std::iter::repeat_n(number + index as u64, len));
            groups.starts.extend(std::iter::repeat_n(start, len));
            groups.ends.extend(std::iter::repeat_n(end, len));
        }
        Ok(groups)
    }

    /// Where group `number` starts, or the end of the partition behind the last; `latest` has the starts of the block that was looked at last.
    pub(super) fn start_of(&self, number: u64, latest: &mut Latest<Vec<u64>>) -> Result<u64> {
        if number >= self.groups {
            return Ok(self.rows);
        }
        let block = self.blocks.partition_point(|block| block.groups_before <= number) - 1;
        let starts = latest.get(block, || self.starts(block))?;
        Ok(starts[(number - self.blocks[block].groups_before) as usize])
    }
}

/// What was made of the block that was asked for last.
pub(super) struct Latest<T>(Option<(usize, T)>);

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Latest(None)
    }
}

impl<T> Latest<T> {
    /// What `make` makes of `block`, or made of it.
    pub(super) fn get(&mut self, block: usize, make: impl FnOnce() -> Result<T>) -> Result<&T> {
        if self.0.as_ref().is_none_or(|(made, _)| *made != block) {
            // The one before goes first.
            self.0 = None;
            self.0 = Some((block, make()?));
        }
        self.0.as_ref().map(|(_, made)| made).ok_or_else(|| Error::internal("what was made is there"))
    }
}
