//! Arrow IPC files and streams by Arrow's readers. Lengths in malformed files are checked against the file's size before the library allocates by them.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow::ipc::reader::{FileReader, StreamReader};
use plasmon_core::pipeline::CancelToken;
use plasmon_core::{Error, Result};

use super::piece::Extent;
use super::{Batches, TextFile};
use crate::store::{ByteSource, DataFile, SourceReader};

const MAGIC: &[u8] = b"ARROW1";
/// Bytes behind the footer: its length and the magic.
const TRAILER_BYTES: u64 = 10;
/// A file is cut into at most this many pieces.
const PIECES_MAX: usize = 64;

fn malformed(file: &DataFile, what: impl std::fmt::Display) -> Error {
    Error::io(&file.name, format!("malformed Arrow IPC data: {what}"))
}

fn reader(source: &Arc<dyn ByteSource>) -> SourceReader {
    SourceReader::new(source.clone(), 0, source.size())
}

fn is_file(source: &Arc<dyn ByteSource>) -> Result<bool> {
    Ok(source.size() >= MAGIC.len() as u64 && source.read(0..MAGIC.len() as u64)? == MAGIC)
}

/// The columns of a file.
pub(super) fn schema(file: &DataFile) -> Result<Schema> {
    let source = file.open(None)?;
    let schema = if is_file(&source)? {
        check_blocks(file, &source)?;
        FileReader::try_new(reader(&source), None).map_err(|e| malformed(file, e))?.schema()
    } else {
        check_messages(file, &source)?;
        StreamReader::try_new(reader(&source), None).map_err(|e| malformed(file, e))?.schema()
    };
    Ok(schema.as_ref().clone())
}

/// Pieces of whole record batches; a stream is one piece.
pub(super) fn cut(file: &DataFile) -> Result<Vec<Extent>> {
    let source = file.open(None)?;
    if !is_file(&source)? {
        return Ok(vec![Extent::Whole]);
    }
    let blocks = check_blocks(file, &source)?;
    let each = blocks.div_ceil(PIECES_MAX).max(1);
    Ok((0..blocks).step_by(each).map(|from| Extent::Blocks(from..blocks.min(from + each))).collect())
}

/// Refuses a footer whose blocks lie outside the file; gives the number of record batches.
fn check_blocks(file: &DataFile, source: &Arc<dyn ByteSource>) -> Result<usize> {
    let size = source.size();
    let end = size.checked_sub(TRAILER_BYTES).ok_or_else(|| malformed(file, "too short for a footer"))?;
    let length = source.read(end..end + 4)?;
    let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as u64;
    let start = end.checked_sub(length).ok_or_else(|| malformed(file, "the footer is longer than the file"))?;
    // The library wants its tables aligned.
    let bytes = source.read(start..end)?.to_vec();
    let footer = arrow::ipc::root_as_footer(&bytes).map_err(|e| malformed(file, e))?;
    let fits = |block: &arrow::ipc::Block| {
        let parts = [block.offset(), block.metaDataLength() as i64, block.bodyLength()];
        let end = parts.iter().try_fold(0u64, |sum, &part| sum.checked_add(u64::try_from(part).ok()?));
        end.is_some_and(|end| end <= size)
    };
    let batches = footer.recordBatches().map_or(0, |b| b.len());
    let all = footer.recordBatches().into_iter().flatten().chain(footer.dictionaries().into_iter().flatten());
    for block in all {
        if !fits(block) {
            return Err(malformed(file, format!("a block at offset {} reaches past the file's end", block.offset())));
        }
    }
    Ok(batches)
}

/// Refuses a stream with a message longer than what is left of it.
fn check_messages(file: &DataFile, source: &Arc<dyn ByteSource>) -> Result<()> {
    let size = source.size();
    let mut at = 0u64;
    while at + 4 <= size {
        let word = |at: u64| -> Result<u32> {
            let bytes = source.read(at..at + 4)?;
            Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        };
        let mut length = word(at)?;
        at += 4;
        if length == u32::MAX && at + 4 <= size {
            length = word(at)?;
            at += 4;
        }
        if length == 0 {
            return Ok(());
        }
        if u64::from(length) > size - at {
            return Err(malformed(file, format!("a message of {length} bytes at offset {at} reaches past the end")));
        }
        let bytes = source.read(at..at + u64::from(length))?.to_vec();
        let message =
            arrow::ipc::root_as_message(&bytes).map_err(|e| malformed(file, format!("at offset {at}: {e}")))?;
        at += u64::from(length);
        let body = u64::try_from(message.bodyLength()).unwrap_or(u64::MAX);
        if body > size - at {
            return Err(malformed(file, format!("a body of {body} bytes at offset {at} reaches past the end")));
        }
        at += body;
    }
    Ok(())
}

fn projection(text: &TextFile, names: &[&str]) -> Vec<usize> {
    let mut indices: Vec<usize> = names.iter().filter_map(|n| text.schema.index_of(n).ok()).collect();
    indices.sort_unstable();
    indices
}

/// Some record batches of a file.
pub(super) fn file_batches(
    text: &TextFile,
    blocks: Range<usize>,
    names: &[&str],
    cancel: &CancelToken,
) -> Result<Batches> {
    let file = text.file.clone();
    let source = file.open(Some(cancel))?;
    let mut batches =
        FileReader::try_new(reader(&source), Some(projection(text, names))).map_err(|e| malformed(&file, e))?;
    batches.set_index(blocks.start).map_err(|e| malformed(&file, e))?;
    Ok(Box::new(
        batches
            .take(blocks.len())
            .zip(blocks)
            .map(move |(batch, block)| batch.map_err(|e| malformed(&file, format!("record batch {block}: {e}")))),
    ))
}

/// All record batches of a stream.
pub(super) fn stream_batches(text: &TextFile, names: &[&str], cancel: &CancelToken) -> Result<Batches> {
    let file = text.file.clone();
    let source = file.open(Some(cancel))?;
    check_messages(&file, &source)?;
    let batches =
        StreamReader::try_new(reader(&source), Some(projection(text, names))).map_err(|e| malformed(&file, e))?;
    Ok(Box::new(
        batches
            .enumerate()
            .map(move |(index, batch)| batch.map_err(|e| malformed(&file, format!("record batch {index}: {e}")))),
    ))
}
