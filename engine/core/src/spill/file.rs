//! One spill file: blocks of columns, appended by any thread, read once or often when all are written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::SpillArea;
use super::background::{Job, Slot};
use super::block::{Block, open, open_some, seal};
use super::cipher::Cipher;
use super::codec::Types;
use super::store::Store;
use crate::batch::Column;
use crate::error::Result;
use crate::metrics::OperatorMetrics;

/// A file of blocks, gone when dropped.
#[derive(Debug)]
pub struct SpillFile {
    area: Arc<SpillArea>,
    store: Arc<Store>,
    metrics: Arc<OperatorMetrics>,
    types: Types,
    rows: AtomicU64,
}

impl SpillFile {
    pub(super) fn new(
        area: &Arc<SpillArea>,
        consumer: &str,
        metrics: &Arc<OperatorMetrics>,
        cipher: Option<Cipher>,
    ) -> Self {
        SpillFile {
            area: area.clone(),
            store: Arc::new(Store::new(&area.disk, consumer, cipher)),
            metrics: metrics.clone(),
            types: Types::default(),
            rows: AtomicU64::new(0),
        }
    }

    /// Appends a block: `columns` of any encoding and any lengths; `rows` is given back with it. The columns may be dropped after. An error of the disk
    /// may show only with a later block, or when reading. Gives the number of the block, for those who share the file.
    pub fn append(&self, columns: &[Column], rows: usize) -> Result<usize> {
        let bytes = seal(columns, rows, &self.types)?;
        self.append_bytes(bytes, rows)
    }

    /// Appends a block of bytes of the caller's own making; [`SpillFile::bytes_of`] gives them back.
    pub(crate) fn append_bytes(&self, bytes: Vec<u8>, rows: usize) -> Result<usize> {
        let len = self.store.len_on_disk(bytes.len());
        let index = self.store.place(len)?;
        self.rows.fetch_add(rows as u64, Relaxed);
        self.metrics.bytes_spilled.fetch_add(len as u64, Relaxed);
        let Some(room) = self.area.background.room(bytes.capacity()) else {
            self.store.write_waiting(index, bytes);
            return self.store.check().map(|()| index);
        };
        self.area.background.run(Job::Write { store: self.store.clone(), index, bytes, room });
        Ok(index)
    }

    /// Rows of all blocks.
    pub fn rows(&self) -> u64 {
        self.rows.load(Relaxed)
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.store.bytes()
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.store.blocks()
    }

    /// Block `index`.
    pub fn block(&self, index: usize) -> Result<Block> {
        self.open(index, &self.store.read(index)?)
    }

    /// The bytes of block `index`; whether they are those that were written, the caller finds out.
    pub(crate) fn bytes_of(&self, index: usize) -> Result<Vec<u8>> {
        let bytes = self.store.read(index)?;
        self.count_read(index);
        Ok(bytes)
    }

    /// The columns `wanted` of block `index`, in that order: all of its bytes are read and checked, the other columns are not decoded.
    pub fn columns(&self, index: usize, wanted: &[usize]) -> Result<Block> {
        let bytes = self.store.read(index)?;
        self.count_read(index);
        open_some(&bytes, &self.types, wanted).map_err(|why| self.store.error_at("reading", index, why))
    }

    fn count_read(&self, index: usize) {
        self.metrics.bytes_read_back.fetch_add(self.store.len(index).unwrap_or(0) as u64, Relaxed);
    }

    fn open(&self, index: usize, bytes: &[u8]) -> Result<Block> {
        self.count_read(index);
        open(bytes, &self.types).map_err(|why| self.store.error_at("reading", index, why))
    }

    /// Reads all blocks that are written by now, in their order. Each reader has its own place.
    pub fn reader(self: &Arc<Self>) -> SpillReader {
        SpillReader { file: self.clone(), next: 0, ahead: None }
    }

    /// Has block `index` read ahead, if there is one and room for it.
    fn read_ahead(&self, index: usize) -> Option<Arc<Slot>> {
        let slot = Slot::new(self.area.background.room(self.store.len(index)?)?);
        self.area.background.run(Job::Read { store: self.store.clone(), index, slot: slot.clone() });
        Some(slot)
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        self.store.forget();
    }
}

/// Some blocks of a file that has others' too: rows of one partition.
#[derive(Debug)]
pub struct Blocks {
    file: Arc<SpillFile>,
    numbers: Vec<usize>,
    rows: u64,
}

impl Blocks {
    /// None of the blocks of `file` yet.
    pub fn of(file: &Arc<SpillFile>) -> Self {
        Blocks { file: file.clone(), numbers: Vec::new(), rows: 0 }
    }

    /// Appends a block of so many rows to the file.
    pub fn append(&mut self, columns: &[Column], rows: usize) -> Result<()> {
        let number = self.file.append(columns, rows)?;
        self.push(number, rows);
        Ok(())
    }

    /// Adds the block of a number, which has so many rows.
    pub fn push(&mut self, number: usize, rows: usize) {
        self.numbers.push(number);
        self.rows += rows as u64;
    }

    /// Rows of all blocks.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of all blocks, as they are on disk.
    pub fn bytes(&self) -> usize {
        self.numbers.iter().filter_map(|&number| self.file.store.len(number)).sum()
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.numbers.len()
    }

    /// The `index`-th of the blocks.
    pub fn block(&self, index: usize) -> Result<Block> {
        self.file.block(self.numbers[index])
    }
}

/// A way through a file's blocks.
#[derive(Debug)]
pub struct SpillReader {
    file: Arc<SpillFile>,
    next: usize,
    /// Block `next`, on its way.
    ahead: Option<Arc<Slot>>,
}

impl SpillReader {
    /// The next block; `None` after the last.
    #[expect(clippy::should_implement_trait, reason = "errors come first")]
    pub fn next(&mut self) -> Result<Option<Block>> {
        if self.next >= self.file.blocks() {
            return Ok(None);
        }
        let index = self.next;
        self.next += 1;
        let bytes = match self.ahead.take().and_then(|slot| slot.take()) {
            Some(bytes) => bytes?,
            None => self.file.store.read(index)?,
        };
        self.ahead = self.file.read_ahead(self.next);
        self.file.open(index, &bytes).map(Some)
    }
}
