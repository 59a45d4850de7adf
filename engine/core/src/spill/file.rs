//! One spill file: blocks of columns, appended by any thread, read once or often when all are written.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use super::codec::{self, Types};
use crate::batch::Column;
use crate::error::{Error, Result};
use crate::metrics::OperatorMetrics;

/// Columns that were written together. Each has a length of its own; `rows` is what the writer said.
#[derive(Debug)]
pub struct Block {
    pub columns: Vec<Column>,
    pub rows: usize,
}

/// A file of blocks, gone when dropped.
#[derive(Debug)]
pub struct SpillFile {
    path: PathBuf,
    consumer: String,
    metrics: Arc<OperatorMetrics>,
    types: Types,
    state: Mutex<State>,
    rows: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug)]
struct State {
    file: File,
    /// Where each block starts, and its rows.
    blocks: Vec<(u64, usize)>,
    end: u64,
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

impl SpillFile {
    pub(super) fn create(directory: &Path, consumer: &str, metrics: &Arc<OperatorMetrics>) -> Result<Arc<Self>> {
        let name = format!("plasmon-{}-{}.spill", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let path = directory.join(name);
        let file = File::options().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(|e| Error::io(format!("spilling {consumer} to {}", path.display()), e))?;
        Ok(Arc::new(SpillFile {
            path,
            consumer: consumer.to_string(),
            metrics: metrics.clone(),
            types: Types::default(),
            state: Mutex::new(State { file, blocks: Vec::new(), end: 0 }),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn error(&self, what: &str, error: impl std::fmt::Display) -> Error {
        Error::io(format!("{what} spilled rows of {} ({})", self.consumer, self.path.display()), error)
    }

    /// Appends a block: `columns` of any encoding and any lengths; `rows` is given back with it. The columns may be dropped after.
    pub fn append(&self, columns: &[Column], rows: usize) -> Result<()> {
        let mut bytes = Vec::new();
        for column in columns {
            let start = bytes.len();
            bytes.extend([0; 8]);
            codec::encode(column, &self.types, &mut bytes)?;
            let len = (bytes.len() - start - 8) as u64;
            bytes[start..start + 8].copy_from_slice(&len.to_le_bytes());
        }
        let mut state = self.state();
        let at = state.end;
        state.file.seek(SeekFrom::Start(at)).map_err(|e| self.error("writing", e))?;
        let head = [(columns.len() as u64).to_le_bytes(), (bytes.len() as u64).to_le_bytes()].concat();
        state
            .file
            .write_all(&head)
            .and_then(|()| state.file.write_all(&bytes))
            .map_err(|e| self.error("writing", e))?;
        state.blocks.push((at, rows));
        let written = (head.len() + bytes.len()) as u64;
        state.end += written;
        self.rows.fetch_add(rows as u64, Relaxed);
        self.bytes.fetch_add(written, Relaxed);
        self.metrics.bytes_spilled.fetch_add(written, Relaxed);
        Ok(())
    }

    /// Rows of all blocks.
    pub fn rows(&self) -> u64 {
        self.rows.load(Relaxed)
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.state().blocks.len()
    }

    /// Block `index`.
    pub fn block(&self, index: usize) -> Result<Block> {
        let mut state = self.state();
        let (at, rows) = *state.blocks.get(index).ok_or_else(|| Error::internal("a spill file has no such block"))?;
        let mut head = [0; 16];
        state.file.seek(SeekFrom::Start(at)).map_err(|e| self.error("reading", e))?;
        state.file.read_exact(&mut head).map_err(|e| self.error("reading", e))?;
        let number = |at: usize| head[at..at + 8].iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b)) as usize;
        let mut bytes = vec![0; number(8)];
        state.file.read_exact(&mut bytes).map_err(|e| self.error("reading", e))?;
        drop(state);
        let mut input = &bytes[..];
        let mut column = || {
            let (len, rest) = input.split_first_chunk().ok_or("a short block")?;
            let (bytes, rest) = rest.split_at_checked(u64::from_le_bytes(*len) as usize).ok_or("a short block")?;
            input = rest;
            codec::decode(bytes, &self.types)
        };
        let columns = (0..number(0)).map(|_| column()).collect::<Result<_, String>>();
        let columns = columns.map_err(|e| self.error("reading", e))?;
        Ok(Block { columns, rows })
    }

    /// Reads all blocks that are written by now, in their order. Each reader has its own place.
    pub fn reader(self: &Arc<Self>) -> SpillReader {
        SpillReader { file: self.clone(), next: 0 }
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A way through a file's blocks.
#[derive(Debug)]
pub struct SpillReader {
    file: Arc<SpillFile>,
    next: usize,
}

impl SpillReader {
    /// The next block; `None` after the last.
    #[expect(clippy::should_implement_trait, reason = "errors come first")]
    pub fn next(&mut self) -> Result<Option<Block>> {
        if self.next >= self.file.blocks() {
            return Ok(None);
        }
        self.next += 1;
        self.file.block(self.next - 1).map(Some)
    }
}
