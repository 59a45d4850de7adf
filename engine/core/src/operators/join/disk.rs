//! Partitions of a join that are on disk, and the way there.
//!
//! ```text
//! rows of a partition ► pieces, until they make a block ► blocks of a file that a few partitions share   (a worker each)   (all workers)
//! ```
//! Which partitions are on disk is one set for both sides and all workers. It grows until the build side is complete, and never after: a probe row then
//! meets all its build rows either in memory or on disk.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arrow_schema::DataType;

use super::layout::{PARTITIONS, concat, piece_bytes};
use crate::batch::Column;
use crate::error::Result;
use crate::memory::{Reservation, granted};
use crate::metrics::OperatorMetrics;
use crate::pipeline::TaskContext;
use crate::spill::{Blocks, SpillArea, SpillFile};

/// Of a bit for each partition.
const WORDS: usize = PARTITIONS.div_ceil(64);

/// Files of one side, while there are not too many: partitions share them, since a process may have only so many, and many workers may cut at once.
const FILES: usize = 8;

/// Rows of a block: one becomes a batch when it is read.
const BLOCK_ROWS: std::ops::RangeInclusive<usize> = 64..=8_192;
/// Bytes of a block: one is worth a write, and many partitions collect theirs at once.
const BLOCK_BYTES: std::ops::RangeInclusive<usize> = 8 << 10..=128 << 10;
/// A block must be joined within the floor, when there is no more, and those that are collected should take an eighth of all memory: such a part of it in bytes …
const BLOCKS_OF_FLOOR: usize = 16;
/// … and so much of it a row, for words and table.
const FLOOR_OF_ROW: usize = 96;

/// Both sides of a join on disk.
#[derive(Debug, Default)]
pub(super) struct OnDisk {
    /// A bit for each partition.
    set: [AtomicU64; WORDS],
    is_read: AtomicBool,
    pub build: PartitionFiles,
    pub probe: PartitionFiles,
}

/// Partitions as a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Partitions([u64; WORDS]);

impl Partitions {
    pub(super) fn is_empty(self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    pub(super) fn has(self, partition: usize) -> bool {
        self.0[partition / 64] >> (partition % 64) & 1 == 1
    }

    pub(super) fn len(self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }
}

impl OnDisk {
    /// The partitions on disk.
    pub(super) fn partitions(&self) -> Partitions {
        Partitions(std::array::from_fn(|word| self.set[word].load(Ordering::Acquire)))
    }

    /// From now on the partition is on disk.
    pub(super) fn add(&self, partition: usize) {
        self.set[partition / 64].fetch_or(1 << (partition % 64), Ordering::AcqRel);
    }

    /// From now on all partitions are.
    pub(super) fn add_all(&self) {
        self.set.iter().for_each(|word| word.store(u64::MAX, Ordering::Release));
    }

    /// Somebody will read what is put here: only then is it safe to.
    pub(super) fn will_be_read(&self) {
        self.is_read.store(true, Ordering::Relaxed);
    }

    /// Whether rows may be put here.
    pub(super) fn is_read(&self) -> bool {
        self.is_read.load(Ordering::Relaxed)
    }

    /// All that is here, to be joined.
    pub(super) fn take(&self) -> Vec<Pair> {
        let pairs = self.build.take().into_iter().zip(self.probe.take());
        pairs.map(|(build, probe)| Pair::of(build, probe, 0, false)).collect()
    }
}

/// One partition's rows of both sides.
#[derive(Debug)]
pub(super) struct Pair {
    pub build: Option<Blocks>,
    /// Of the build rows, in memory.
    pub build_bytes: usize,
    pub probe: Option<Blocks>,
    /// How often its rows were cut before.
    pub level: u32,
    /// Most build rows are of one key, so that cutting does not help.
    pub is_hot: bool,
}

impl Pair {
    pub(super) fn of(build: Stored, probe: Stored, level: u32, is_hot: bool) -> Self {
        Pair { build_bytes: build.bytes, build: build.blocks, probe: probe.blocks, level, is_hot }
    }
}

/// The partitions of one side, and their files, which are made as they are needed.
#[derive(Debug)]
pub(super) struct PartitionFiles {
    /// Of neighbours, so that they go one after the other as partitions are joined.
    files: Vec<Mutex<Option<Arc<SpillFile>>>>,
    partitions: Vec<Mutex<Stored>>,
}

/// What one side has of a partition.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub blocks: Option<Blocks>,
    /// In memory.
    pub bytes: usize,
}

impl Default for PartitionFiles {
    fn default() -> Self {
        PartitionFiles {
            files: (0..FILES).map(|_| Mutex::default()).collect(),
            partitions: (0..PARTITIONS).map(|_| Mutex::default()).collect(),
        }
    }
}

impl PartitionFiles {
    /// The file of a partition, which stays it: its own and its neighbours', or that of the first ones when many files are open.
    fn file(&self, partition: usize, area: &Arc<SpillArea>, metrics: &Arc<OperatorMetrics>) -> Result<Arc<SpillFile>> {
        let own = partition * FILES / PARTITIONS;
        let mut file = self.files[own].lock().unwrap_or_else(|e| e.into_inner());
        if own > 0 && file.is_none() && area.is_crowded() {
            *file = Some(self.file(0, area, metrics)?);
        }
        area.file_in(&mut file, "Join", metrics).cloned()
    }

    /// Appends a block to `file`, which is the partition's.
    fn append(&self, partition: usize, file: &Arc<SpillFile>, columns: &[Column], rows: usize) -> Result<()> {
        let number = file.append(columns, rows)?;
        let mut stored = self.partitions[partition].lock().unwrap_or_else(|e| e.into_inner());
        stored.blocks.get_or_insert_with(|| Blocks::of(file)).push(number, rows);
        stored.bytes += piece_bytes(columns);
        Ok(())
    }

    /// Of each partition; all are gone here.
    pub(super) fn take(&self) -> Vec<Stored> {
        self.files.iter().for_each(|file| drop(file.lock().unwrap_or_else(|e| e.into_inner()).take()));
        let take = |stored: &Mutex<Stored>| std::mem::take(&mut *stored.lock().unwrap_or_else(|e| e.into_inner()));
        self.partitions.iter().map(take).collect()
    }
}

/// One worker's rows on their way to one side's files.
pub(super) struct Writer {
    pending: Vec<Pending>,
    types: Vec<DataType>,
    block_bytes: usize,
    block_rows: usize,
    reservation: Reservation,
    area: Arc<SpillArea>,
    cancel: crate::pipeline::CancelToken,
    metrics: Arc<OperatorMetrics>,
}

/// Pieces of one partition that do not make a block yet.
#[derive(Default)]
struct Pending {
    pieces: Vec<Vec<Column>>,
    rows: usize,
    bytes: usize,
}

impl Writer {
    /// For rows of columns of `types`.
    pub(super) fn new(types: &[DataType], task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Self {
        let floor = task.memory.floor();
        Writer {
            pending: (0..PARTITIONS).map(|_| Pending::default()).collect(),
            types: types.to_vec(),
            block_bytes: (floor / BLOCKS_OF_FLOOR).clamp(*BLOCK_BYTES.start(), *BLOCK_BYTES.end()),
            block_rows: (floor / FLOOR_OF_ROW).clamp(*BLOCK_ROWS.start(), *BLOCK_ROWS.end()),
            reservation: task.memory.spilling_reservation("Join spill"),
            area: task.spill.clone(),
            cancel: task.cancel.clone(),
            metrics: metrics.clone(),
        }
    }

    /// Fails when the query is stopped: much may be cut and written between two batches.
    pub(super) fn check(&self) -> Result<()> {
        self.cancel.check()
    }

    /// Takes rows of a partition.
    pub(super) fn add(
        &mut self,
        files: &PartitionFiles,
        partition: usize,
        columns: Vec<Column>,
        rows: usize,
    ) -> Result<()> {
        let bytes = piece_bytes(&columns);
        if self.pending[partition].rows + rows > self.block_rows {
            self.write(files, partition)?;
        }
        if !self.reservation.try_grow(bytes)? {
            self.relieve(files)?;
            if !granted(self.reservation.grow(bytes))? {
                return self.append(files, partition, &columns, rows);
            }
        }
        let pending = &mut self.pending[partition];
        pending.pieces.push(columns);
        pending.rows += rows;
        pending.bytes += bytes;
        if pending.bytes >= self.block_bytes || pending.rows >= self.block_rows {
            self.write(files, partition)?;
        }
        Ok(())
    }

    /// Memory is short: writes what makes a block worth writing, or all.
    fn relieve(&mut self, files: &PartitionFiles) -> Result<()> {
        let large: Vec<usize> = (0..PARTITIONS).filter(|&p| self.pending[p].bytes * 2 >= self.block_bytes).collect();
        if large.is_empty() {
            return self.finish(files);
        }
        large.into_iter().try_for_each(|partition| self.write(files, partition))
    }

    /// Writes all that waits.
    pub(super) fn finish(&mut self, files: &PartitionFiles) -> Result<()> {
        (0..PARTITIONS).try_for_each(|partition| self.write(files, partition))
    }

    fn write(&mut self, files: &PartitionFiles, partition: usize) -> Result<()> {
        let pending = std::mem::take(&mut self.pending[partition]);
        match &pending.pieces[..] {
            [] => return Ok(()),
            [one] => self.append(files, partition, one, pending.rows)?,
            pieces => self.append(files, partition, &concat(pieces, &self.types)?, pending.rows)?,
        }
        drop(pending.pieces);
        self.reservation.shrink(pending.bytes);
        Ok(())
    }

    /// Writes rows as blocks of about the right size: what reads them has little room, too.
    fn append(&self, files: &PartitionFiles, partition: usize, columns: &[Column], rows: usize) -> Result<()> {
        self.check()?;
        let file = files.file(partition, &self.area, &self.metrics)?;
        let bytes: usize = columns.iter().map(Column::memory_bytes).sum();
        let blocks = bytes.div_ceil(self.block_bytes).max(rows.div_ceil(self.block_rows)).clamp(1, rows.max(1));
        if blocks == 1 {
            return files.append(partition, &file, columns, rows);
        }
        for block in 0..blocks {
            let (start, end) = (rows * block / blocks, rows * (block + 1) / blocks);
            let part: Vec<Column> = columns.iter().map(|column| column.slice(start, end - start)).collect();
            files.append(partition, &file, &part, end - start)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Encoding, Values};
    use crate::spill::tests::{Directory, config, open_files};

    /// The number that a block of these tests has.
    fn number(blocks: &Blocks, block: usize) -> i64 {
        let block = blocks.block(block).unwrap();
        let Encoding::Constant(Values::Int64(number)) = block.columns[0].encoding() else { panic!("a constant") };
        number[0]
    }

    #[test]
    fn many_joins_do_with_few_files() {
        const SIDES: usize = 60;
        let directory = Directory::new();
        let (area, metrics) = (SpillArea::new(&config(&[&directory])), OperatorMetrics::new());
        let sides: Vec<PartitionFiles> = (0..SIDES).map(|_| PartitionFiles::default()).collect();
        for (number, side) in sides.iter().enumerate() {
            for partition in (0..PARTITIONS).chain([PARTITIONS - 1, 0]) {
                let value = (number * PARTITIONS + partition) as i64;
                let column = Column::constant(Values::Int64(vec![value].into()), 3);
                let file = side.file(partition, &area, &metrics).unwrap();
                side.append(partition, &file, &[column], 3).unwrap();
            }
        }
        let all: Vec<Vec<Stored>> = sides.iter().map(PartitionFiles::take).collect();
        for (number_of_side, side) in all.iter().enumerate() {
            for (partition, blocks) in side.iter().enumerate() {
                let blocks = blocks.blocks.as_ref().unwrap();
                assert_eq!(blocks.blocks(), if partition % (PARTITIONS - 1) == 0 { 2 } else { 1 });
                for block in 0..blocks.blocks() {
                    assert_eq!(number(blocks, block), (number_of_side * PARTITIONS + partition) as i64);
                }
            }
        }
        let open = open_files(&directory.0).len();
        assert!((SIDES..256 + SIDES).contains(&open), "{open} files, not {}", SIDES * FILES);
        drop(all);
        assert!(open_files(&directory.0).is_empty());
    }
}
