//! Byte sources in the forms that libraries take: `Read` and `Seek`, and the Parquet library's chunk reader.

use std::io::{BufRead, ErrorKind, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};
use plasmon_core::Error;

use super::ByteSource;

/// Bytes taken from the source at a time.
const BLOCK_BYTES: u64 = 1024 * 1024;
/// Blocks announced ahead of the one that is read.
const BLOCKS_AHEAD: u64 = 8;

/// Reads a source from front to back, between two offsets.
#[derive(Debug)]
pub(crate) struct SourceReader {
    source: Arc<dyn ByteSource>,
    /// Offset of the first byte of `block`.
    position: u64,
    end: u64,
    block: Bytes,
    block_bytes: u64,
    blocks_ahead: u64,
}

impl SourceReader {
    /// A reader of the bytes in `start..end` that has the next blocks fetched ahead.
    pub(crate) fn new(source: Arc<dyn ByteSource>, start: u64, end: u64) -> Self {
        SourceReader {
            source,
            position: start,
            end,
            block: Bytes::new(),
            block_bytes: BLOCK_BYTES,
            blocks_ahead: BLOCKS_AHEAD,
        }
    }

    /// Bytes that a reader has in memory at most, with those fetched ahead of an object.
    pub(crate) fn bytes(is_remote: bool) -> usize {
        (BLOCK_BYTES * if is_remote { 1 + BLOCKS_AHEAD } else { 1 }) as usize
    }

    /// A reader that fetches little and nothing ahead: for headers.
    fn small(source: Arc<dyn ByteSource>, start: u64) -> Self {
        let end = source.size();
        SourceReader { source, position: start, end, block: Bytes::new(), block_bytes: 16 * 1024, blocks_ahead: 0 }
    }
}

impl BufRead for SourceReader {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.block.is_empty() && self.position < self.end {
            let end = self.end.min(self.position.saturating_add(self.block_bytes));
            if self.blocks_ahead > 0 {
                let ahead = self.end.min(end.saturating_add(self.block_bytes * self.blocks_ahead));
                self.source.forget_before(self.position);
                self.source.announce(&[self.position..ahead]);
            }
            self.block = self.source.read(self.position..end).map_err(std::io::Error::other)?;
        }
        Ok(&self.block)
    }

    fn consume(&mut self, amount: usize) {
        self.block.advance(amount);
        self.position += amount as u64;
    }
}

impl Read for SourceReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.fill_buf()?.len().min(buffer.len());
        buffer[..len].copy_from_slice(&self.block[..len]);
        self.consume(len);
        Ok(len)
    }
}

impl Seek for SourceReader {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.end.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        let target =
            target.ok_or_else(|| std::io::Error::new(ErrorKind::InvalidInput, "offset before the file's start"))?;
        self.block.clear();
        self.position = target;
        Ok(target)
    }
}

/// The engine's error that a reader passed through `std::io`, or an I/O error of the file.
pub(crate) fn error_of(name: &str, error: std::io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(own) => own.clone(),
        None => Error::io(name, error),
    }
}

/// What the source said, without the name that the caller adds.
fn message_of(error: &Error) -> String {
    match error {
        Error::Io { message, .. } => message.clone(),
        other => other.to_string(),
    }
}

/// A source as the Parquet library reads it.
#[derive(Debug, Clone)]
pub(crate) struct ChunkSource(pub(crate) Arc<dyn ByteSource>);

impl Length for ChunkSource {
    fn len(&self) -> u64 {
        self.0.size()
    }
}

impl ChunkReader for ChunkSource {
    type T = SourceReader;

    fn get_read(&self, start: u64) -> ParquetResult<SourceReader> {
        Ok(SourceReader::small(self.0.clone(), start))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let end = start.checked_add(length as u64).ok_or_else(|| ParquetError::EOF(format!("no offset {start}")))?;
        self.0.read(start..end).map_err(|e| ParquetError::General(message_of(&e)))
    }
}
