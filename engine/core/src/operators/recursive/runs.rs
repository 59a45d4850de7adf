//! Rows on disk in the order of their hashes: runs of blocks, of which a look-up reads those that may hold the row.
//!
//! ```text
//! rows in order ──▶ run ┐
//! rows in order ──▶ run ┼─ so many of about one size ──merged──▶ a larger run
//! rows in order ──▶ run ┘
//! ```
//! No row is in two runs. There are a few runs of each size, and sizes are multiples of each other, so that a row is written, and looked up, as often as the
//! logarithm of their number. What grows in memory: the first hash and the place of each block, which are reserved.

use std::sync::Arc;

use super::seen::Row;
use crate::batch::{Column, Values, Views};
use crate::error::{Error, Result};
use crate::memory::Counted;
use crate::metrics::OperatorMetrics;
use crate::pipeline::TaskContext;
use crate::spill::SpillFile;

/// So many runs of a size become one.
const FAN_IN: usize = 4;
/// A merge, with a block of each run and one that is written, must fit what a consumer may always hold.
const BLOCKS_PER_FLOOR: usize = 16;
/// Bytes of a block: a look-up of one row reads one, and one is read at a time.
const BLOCK_BYTES: std::ops::RangeInclusive<usize> = 4 << 10..=64 << 10;
/// Bytes that stay in memory of each block.
const PLACE_BYTES: usize = 32;

/// All runs.
pub(super) struct Runs {
    runs: Vec<Run>,
    block_bytes: usize,
    /// For what stays in memory.
    places: Counted,
    metrics: Arc<OperatorMetrics>,
    task: TaskContext,
}

/// Rows in order.
struct Run {
    file: Arc<SpillFile>,
    /// The first hash of each block.
    firsts: Vec<u64>,
    /// How often its rows were merged.
    level: u32,
}

/// A block in memory.
struct RunBlock {
    hashes: Vec<u64>,
    rows: Views,
}

impl Runs {
    /// None yet.
    pub(super) fn new(task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Self {
        Runs {
            runs: Vec::new(),
            block_bytes: (task.memory.floor() / BLOCKS_PER_FLOOR).clamp(*BLOCK_BYTES.start(), *BLOCK_BYTES.end()),
            places: task.memory.counted("Recursive (places of rows on disk)"),
            metrics: metrics.clone(),
            task: task.clone(),
        }
    }

    /// Whether no row is on disk.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// A row's hash; when a test wants collisions, all have one.
    pub(super) fn hash(&self, hash: u64) -> u64 {
        if self.task.config.hash_collisions { 0 } else { hash }
    }

    /// Writes rows in order that are in no run.
    pub(super) fn add(&mut self, rows: Vec<Row>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.metrics.add("rows seen on disk", rows.len() as u64);
        let mut writer = self.writer(0)?;
        for (hash, bytes) in rows {
            writer.push(hash, &bytes, &self.task)?;
        }
        self.runs.push(writer.finish()?);
        Ok(())
    }

    /// Merges runs of one size while there are too many of them. The rows that were added last are not in memory any more.
    pub(super) fn merge(&mut self) -> Result<()> {
        self.account();
        while let Some(level) = self.runs.last().map(|run| run.level) {
            let first = self.runs.partition_point(|run| run.level > level);
            if self.runs.len() - first < FAN_IN {
                break;
            }
            let working = self.task.memory.spilling_reservation("Recursive (merge)");
            // A block that is read is there as bytes, too.
            working.grow((2 * FAN_IN + 1) * self.block_bytes)?;
            let merged = self.merged(&self.runs[first..], level + 1)?;
            self.runs.truncate(first);
            self.runs.push(merged);
            self.account();
        }
        Ok(())
    }

    fn merged(&self, runs: &[Run], level: u32) -> Result<Run> {
        let mut cursors = runs.iter().map(Cursor::new).collect::<Result<Vec<_>>>()?;
        let mut writer = self.writer(level)?;
        while let Some(least) =
            (0..cursors.len()).filter(|&c| cursors[c].row().is_some()).min_by_key(|&c| cursors[c].row())
        {
            if let Some((hash, bytes)) = cursors[least].row() {
                writer.push(hash, bytes, &self.task)?;
            }
            cursors[least].advance()?;
        }
        writer.finish()
    }

    fn writer(&self, level: u32) -> Result<Writer> {
        let run = Run { file: self.task.spill.file("Recursive", &self.metrics)?, firsts: Vec::new(), level };
        Ok(Writer { run, hashes: Vec::new(), rows: Vec::new(), bytes: 0, block_bytes: self.block_bytes })
    }

    /// Counts what stays in memory: it is little, and nobody ends for want of it.
    fn account(&self) {
        self.places.set(self.runs.iter().map(|run| run.firsts.len() * PLACE_BYTES).sum());
    }

    /// Drops the rows, which are in order, that are on disk.
    pub(super) fn drop_known<T>(&self, rows: &mut Vec<(Row, T)>) -> Result<()> {
        for run in &self.runs {
            self.task.cancel.check()?;
            let mut latest = None;
            let mut others = Vec::with_capacity(rows.len());
            for (row, place) in rows.drain(..) {
                if !run.contains(row.0, &row.1, &mut latest)? {
                    others.push((row, place));
                }
            }
            *rows = others;
        }
        Ok(())
    }
}

impl Run {
    /// Whether a row is there; `latest` is the block that was read last.
    fn contains(&self, hash: u64, bytes: &[u8], latest: &mut Option<(usize, RunBlock)>) -> Result<bool> {
        // Rows of one hash may start at the end of a block and go on in others.
        let first = self.firsts.partition_point(|&first| first < hash).saturating_sub(1);
        let last = self.firsts.partition_point(|&first| first <= hash);
        for block in first..last {
            if latest.as_ref().is_none_or(|(read, _)| *read != block) {
                *latest = None;
                *latest = Some((block, RunBlock::read(&self.file, block)?));
            }
            if latest.as_ref().is_some_and(|(_, block)| block.contains(hash, bytes)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl RunBlock {
    fn read(file: &SpillFile, block: usize) -> Result<Self> {
        let columns = file.block(block)?.columns;
        match columns.iter().map(Column::flat_values).collect::<Vec<_>>().as_slice() {
            [Values::UInt64(hashes), Values::View(rows)] => {
                Ok(RunBlock { hashes: hashes.to_vec(), rows: rows.clone() })
            }
            _ => Err(Error::internal("a block of rows seen has hashes and bytes")),
        }
    }

    fn contains(&self, hash: u64, bytes: &[u8]) -> bool {
        let of_hash = self.hashes.partition_point(|&h| h < hash)..self.hashes.partition_point(|&h| h <= hash);
        of_hash.into_iter().any(|row| self.rows.value(row) == bytes)
    }
}

/// A run that is read in order.
struct Cursor<'a> {
    run: &'a Run,
    /// The block at hand; `None` = the run is used up.
    block: Option<RunBlock>,
    next_block: usize,
    row: usize,
}

impl<'a> Cursor<'a> {
    fn new(run: &'a Run) -> Result<Self> {
        let mut cursor = Cursor { run, block: None, next_block: 0, row: 0 };
        cursor.read()?;
        Ok(cursor)
    }

    fn read(&mut self) -> Result<()> {
        (self.block, self.row) = (None, 0);
        if self.next_block < self.run.firsts.len() {
            self.block = Some(RunBlock::read(&self.run.file, self.next_block)?);
            self.next_block += 1;
        }
        Ok(())
    }

    fn row(&self) -> Option<(u64, &[u8])> {
        self.block.as_ref().map(|block| (block.hashes[self.row], block.rows.value(self.row)))
    }

    fn advance(&mut self) -> Result<()> {
        self.row += 1;
        if self.block.as_ref().is_some_and(|block| self.row == block.hashes.len()) {
            self.read()?;
        }
        Ok(())
    }
}

/// A run that is written.
struct Writer {
    run: Run,
    hashes: Vec<u64>,
    rows: Vec<Box<[u8]>>,
    bytes: usize,
    block_bytes: usize,
}

impl Writer {
    fn push(&mut self, hash: u64, bytes: &[u8], task: &TaskContext) -> Result<()> {
        self.bytes += bytes.len() + size_of::<u64>() + size_of::<u128>();
        self.hashes.push(hash);
        self.rows.push(bytes.into());
        if self.bytes >= self.block_bytes {
            task.cancel.check()?;
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        let (hashes, rows) = (std::mem::take(&mut self.hashes), std::mem::take(&mut self.rows));
        self.bytes = 0;
        let Some(&first) = hashes.first() else { return Ok(()) };
        self.run.firsts.push(first);
        let columns =
            [Column::flat(Values::UInt64(hashes.into())), Column::flat(Values::View(Views::from_values(rows.iter())))];
        self.run.file.append(&columns, rows.len())?;
        Ok(())
    }

    fn finish(mut self) -> Result<Run> {
        self.write()?;
        Ok(self.run)
    }
}
