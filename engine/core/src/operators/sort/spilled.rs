//! Sorted runs on disk: blocks in order, all collected columns of each row.
//!
//! ```text
//! rows in order ──cut to blocks of about the size that a merge can hold many of──▶ file ──a block at a time──▶ merge
//! ```
//! Many runs share a file: each is a range of its blocks. Keys are not written: their encoding depends on what occurs in *all* runs, and making them anew
//! from a block that was read costs less than reading them.

use std::ops::Range;
use std::sync::Arc;

use super::keys::KeyStats;
use super::run::{Run, RunSpec};
use crate::batch::Column;
use crate::config::BATCH_ROWS_MAX;
use crate::error::Result;
use crate::pipeline::TaskContext;
use crate::spill::SpillFile;

/// A merge of two runs, with its spare blocks, must fit what a consumer may always hold, although a block may be twice as large as it should be.
const BLOCKS_PER_FLOOR: usize = 16;
/// Fewer bytes than this a block are not worth a read, more do not make reading faster.
const BLOCK_BYTES: std::ops::RangeInclusive<usize> = 4 << 10..=256 << 10;

/// Bytes that a block should have in memory, with its keys.
pub(super) fn block_bytes(task: &TaskContext) -> usize {
    (task.memory.floor() / BLOCKS_PER_FLOOR).clamp(*BLOCK_BYTES.start(), *BLOCK_BYTES.end())
}

/// A sorted run on disk.
#[derive(Debug)]
pub(super) struct SpilledRun {
    pub(super) file: Arc<SpillFile>,
    pub(super) blocks: Range<usize>,
    pub(super) rows: usize,
    /// What occurs in its keys.
    pub(super) stats: KeyStats,
    /// Most bytes that a block of it takes in memory, keys included.
    pub(super) block_bytes: usize,
}

/// Writes one run to a file that nobody else writes to meanwhile.
pub(super) struct RunWriter<'a> {
    spec: &'a RunSpec,
    file: Arc<SpillFile>,
    first: usize,
    rows: usize,
    target: usize,
    largest: usize,
    task: &'a TaskContext,
}

impl<'a> RunWriter<'a> {
    /// Nothing is written yet.
    pub(super) fn new(spec: &'a RunSpec, file: &Arc<SpillFile>, task: &'a TaskContext) -> Self {
        let (file, first) = (file.clone(), file.blocks());
        RunWriter { spec, file, first, rows: 0, target: block_bytes(task), largest: 0, task }
    }

    /// Writes the next rows in order, as one block or, when they are too many bytes, as several.
    pub(super) fn append(&mut self, columns: &[Column], rows: usize) -> Result<()> {
        let bytes = self.spec.bytes(columns, rows);
        if bytes > 2 * self.target && rows > 1 {
            // Gathered, since slices of nested columns would count as the whole.
            let halves = [0..rows / 2, rows / 2..rows].map(|half| half.map(|row| row as u32).collect::<Vec<u32>>());
            return halves.iter().try_for_each(|half| {
                self.append(&columns.iter().map(|c| c.gather(half)).collect::<Vec<_>>(), half.len())
            });
        }
        self.task.cancel.check()?;
        self.file.append(columns, rows)?;
        self.largest = self.largest.max(bytes);
        self.rows += rows;
        Ok(())
    }

    /// The run of what was written, whose keys lie within `stats`.
    pub(super) fn finish(self, stats: KeyStats) -> SpilledRun {
        let blocks = self.first..self.file.blocks();
        SpilledRun { file: self.file, blocks, rows: self.rows, stats, block_bytes: self.largest }
    }
}

impl Run {
    /// Writes the run to `file`.
    pub(super) fn spill(&self, spec: &RunSpec, file: &Arc<SpillFile>, task: &TaskContext) -> Result<SpilledRun> {
        let mut writer = RunWriter::new(spec, file, task);
        let rows = self.columns.first().map_or(0, Column::len);
        let bytes = spec.bytes(&self.columns, rows);
        let step = (writer.target * rows / bytes.max(1)).clamp(1, BATCH_ROWS_MAX);
        for from in (0..self.len()).step_by(step) {
            let positions = self.keys.rows(from, (from + step).min(self.len()));
            let columns: Vec<Column> = self.columns.iter().map(|c| c.gather(&positions)).collect();
            writer.append(&columns, positions.len())?;
        }
        Ok(writer.finish(self.stats.clone()))
    }
}
