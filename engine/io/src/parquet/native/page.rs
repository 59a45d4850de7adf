//! Raw pages of one column chunk, decompressed only when somebody wants their values.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{Page, PageReader};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use plasmon_core::{Error, Result};
use plasmon_kernels::decode::{DECODE_SLACK, decompress_eights, snappy_len};

use crate::store::{BufferPool, ByteSource};

/// The bytes of one column chunk, addressed by their offsets in the file.
enum ChunkBytes {
    /// Read in one go, from `start` on.
    Whole { start: u64, bytes: Bytes },
    /// Read page by page: those that nobody reads stay where they are, and those read are still in the cache when they are decoded.
    Paged { file: Arc<dyn ByteSource>, pool: Arc<BufferPool> },
}

impl ChunkBytes {
    fn slice(&self, offset: u64, len: Option<usize>) -> ParquetResult<Bytes> {
        let (start, bytes) = match self {
            ChunkBytes::Whole { start, bytes } => (*start, bytes),
            ChunkBytes::Paged { file, pool } => return read_page(file.as_ref(), pool, offset, len),
        };
        let from = offset.checked_sub(start).and_then(|o| usize::try_from(o).ok()).filter(|&o| o <= bytes.len());
        let from = from.ok_or_else(|| ParquetError::EOF(format!("offset {offset} is outside the column chunk")))?;
        match len {
            None => Ok(bytes.slice(from..)),
            Some(len) if len <= bytes.len() - from => Ok(bytes.slice(from..from + len)),
            Some(len) => Err(ParquetError::EOF(format!("{len} bytes at offset {offset} reach past the column chunk"))),
        }
    }
}

fn read_page(file: &dyn ByteSource, pool: &Arc<BufferPool>, offset: u64, len: Option<usize>) -> ParquetResult<Bytes> {
    let len = len.ok_or_else(|| ParquetError::General(format!("a page of unknown length at offset {offset}")))?;
    file.read_pooled(offset..offset.saturating_add(len as u64), pool).map_err(|error| match error {
        Error::Io { message, .. } => ParquetError::General(message),
        other => ParquetError::External(Box::new(other)),
    })
}

impl Length for ChunkBytes {
    fn len(&self) -> u64 {
        match self {
            ChunkBytes::Whole { start, bytes } => start + bytes.len() as u64,
            ChunkBytes::Paged { file, .. } => file.size(),
        }
    }
}

impl ChunkReader for ChunkBytes {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(self.slice(start, None)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        self.slice(start, Some(length))
    }
}

/// A data page as stored.
pub(super) struct DataPage {
    pub(super) rows: usize,
    pub(super) encoding: Encoding,
    /// Definition levels of a page of version 2; in version 1 they are the first part of the body.
    pub(super) levels: Option<Bytes>,
    body: Bytes,
    is_compressed: bool,
}

impl DataPage {
    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.body.len()
    }
}

/// The pages of a column chunk, in order.
pub(super) struct Pages {
    reader: SerializedPageReader<ChunkBytes>,
    /// Pages are found by the file's index, which tells how many rows each has.
    is_indexed: bool,
    /// Snappy pages come raw, so that pages nobody reads are not decompressed and incompressible ones are borrowed; the other codecs'
    /// pages come decompressed from the library.
    is_snappy: bool,
    /// Plain values are 8 bytes long: they have a decoder of their own.
    are_eights: bool,
    /// Bytes of the chunk, when all were read at once.
    held: usize,
    pool: Arc<BufferPool>,
    context: String,
}

impl Pages {
    /// The pages of a chunk: read when they are wanted where the file tells their `locations`, else all in one go.
    pub(super) fn open(
        (file, pool): (&Arc<dyn ByteSource>, &Arc<BufferPool>),
        chunk: &ColumnChunkMetaData,
        rows: usize,
        locations: Option<&[PageLocation]>,
        are_eights: bool,
        context: String,
    ) -> Result<Self> {
        let (start, len) = super::super::guarded(&context, || Ok(chunk.byte_range()))?;
        let source = if locations.is_some() {
            ChunkBytes::Paged { file: file.clone(), pool: pool.clone() }
        } else {
            let bytes = file.read_pooled(start..start.saturating_add(len), pool).map_err(|e| match e {
                Error::Io { message, .. } => Error::io(&context, message),
                other => other,
            })?;
            ChunkBytes::Whole { start, bytes }
        };
        let held = if let ChunkBytes::Whole { bytes, .. } = &source { bytes.len() } else { 0 };
        let is_snappy = chunk.compression() == Compression::SNAPPY;
        let reader = super::super::guarded(&context, || {
            let raw = if is_snappy {
                chunk.clone().into_builder().set_compression(Compression::UNCOMPRESSED).build()?
            } else {
                chunk.clone()
            };
            SerializedPageReader::new(Arc::new(source), &raw, rows, locations.map(<[PageLocation]>::to_vec))
        })?;
        Ok(Pages { reader, is_indexed: locations.is_some(), is_snappy, are_eights, held, pool: pool.clone(), context })
    }

    /// Bytes of the chunk in memory, beside the page at hand.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// The dictionary page's body, number of values and encoding, when the chunk begins with one.
    pub(super) fn dictionary(&mut self) -> Result<Option<(Bytes, usize, Encoding)>> {
        let reader = &mut self.reader;
        let is_next = super::super::guarded(&self.context, || Ok(reader.peek_next_page()?.is_some_and(|p| p.is_dict)))?;
        if !is_next {
            return Ok(None);
        }
        match super::super::guarded(&self.context, || reader.get_next_page())? {
            Some(Page::DictionaryPage { buf, num_values, encoding, .. }) => {
                Ok(Some((self.decompress(buf, self.are_eights)?, num_values as usize, encoding)))
            }
            _ => Err(self.malformed("a dictionary page is announced but missing")),
        }
    }

    /// The next data page; `None` behind the last.
    pub(super) fn next(&mut self) -> Result<Option<DataPage>> {
        let (reader, is_indexed) = (&mut self.reader, self.is_indexed);
        let (expected, page) = super::super::guarded(&self.context, || {
            let announced = if is_indexed { reader.peek_next_page()? } else { None };
            Ok((announced.and_then(|page| page.num_rows), reader.get_next_page()?))
        })?;
        let page = self.data_page(page)?;
        match (expected, &page) {
            (Some(expected), Some(page)) if expected != page.rows => {
                Err(self.malformed(format!("a page of {} rows where the index tells {expected}", page.rows)))
            }
            _ => Ok(page),
        }
    }

    fn data_page(&self, page: Option<Page>) -> Result<Option<DataPage>> {
        let is_raw = self.is_snappy;
        match page {
            None => Ok(None),
            Some(Page::DictionaryPage { .. }) => Err(self.malformed("a second dictionary page")),
            Some(Page::DataPage { buf, num_values, encoding, .. }) => Ok(Some(DataPage {
                rows: num_values as usize,
                encoding,
                levels: None,
                body: buf,
                is_compressed: is_raw,
            })),
            Some(Page::DataPageV2 {
                buf,
                num_values,
                encoding,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed,
                ..
            }) => {
                let (from, to) =
                    (rep_levels_byte_len as usize, rep_levels_byte_len as usize + def_levels_byte_len as usize);
                if to > buf.len() {
                    return Err(self.malformed("levels reach past their page"));
                }
                let is_compressed = is_raw && is_compressed && to < buf.len();
                Ok(Some(DataPage {
                    rows: num_values as usize,
                    encoding,
                    levels: Some(buf.slice(from..to)),
                    body: buf.slice(to..),
                    is_compressed,
                }))
            }
        }
    }

    /// Passes over the next page when it is a data page of at most `rows` rows; answers how many it had. Pages that tell their rows only
    /// inside are not passed over.
    pub(super) fn pass(&mut self, rows: usize) -> Result<Option<usize>> {
        let reader = &mut self.reader;
        super::super::guarded(&self.context, || {
            let next = reader.peek_next_page()?.filter(|p| !p.is_dict);
            // Columns without repetition have one level a row.
            let held = next.and_then(|p| p.num_rows.or(p.num_levels)).filter(|&held| held <= rows);
            if held.is_some() {
                reader.skip_next_page()?;
            }
            Ok(held)
        })
    }

    /// The page's decompressed body.
    pub(super) fn body(&self, page: &DataPage) -> Result<Bytes> {
        if !page.is_compressed {
            return Ok(page.body.clone());
        }
        self.decompress(page.body.clone(), self.are_eights && page.encoding == Encoding::PLAIN)
    }

    fn decompress(&self, body: Bytes, are_eights: bool) -> Result<Bytes> {
        if !self.is_snappy || body.is_empty() {
            return Ok(body);
        }
        if let Some(literal) = single_literal(&body) {
            return Ok(literal);
        }
        let len = snappy_len(&body).map_err(|e| self.malformed(e.0))?;
        if are_eights {
            return self
                .pool
                .collect(len + DECODE_SLACK, |plain| decompress_eights(&body, plain).map_err(|e| self.malformed(e.0)));
        }
        self.pool.overwrite(len, |plain| match snap::raw::Decoder::new().decompress(&body, plain) {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::io(&self.context, error)),
        })
    }

    /// An error about the bytes of this column chunk.
    pub(super) fn malformed(&self, what: impl std::fmt::Display) -> Error {
        Error::io(&self.context, format!("malformed Parquet data: {what}"))
    }
}

/// The content of a Snappy block that is one literal: bit-packed codes do not compress, and need no copy.
fn single_literal(block: &Bytes) -> Option<Bytes> {
    let (mut len, mut shift, mut position) = (0usize, 0, 0);
    loop {
        let byte = *block.get(position)?;
        position += 1;
        len |= ((byte & 0x7f) as usize) << shift;
        shift += 7;
        if byte < 0x80 {
            break;
        }
        if shift > 28 {
            return None;
        }
    }
    let tag = *block.get(position)?;
    position += 1;
    if tag & 3 != 0 {
        return None;
    }
    let extra = ((tag >> 2) as usize).saturating_sub(59);
    let mut literal = (tag >> 2) as usize;
    if extra > 0 {
        let bytes = block.get(position..position + extra)?;
        literal = bytes.iter().rev().fold(0, |v, &b| v << 8 | b as usize);
        position += extra;
    }
    (literal + 1 == len && block.len() - position == len).then(|| block.slice(position..))
}
