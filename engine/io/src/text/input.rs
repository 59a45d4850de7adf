//! A piece of a file as a stream of text: decompressed, without a byte order mark.

use std::io::{BufRead, BufReader};
use std::ops::Range;

use flate2::bufread::MultiGzDecoder;
use plasmon_core::Result;
use plasmon_core::pipeline::CancelToken;

use super::Reading;
use crate::format::Compression;
use crate::store::{DataFile, SourceReader, error_of};

/// Decompressed bytes buffered at a time.
const BUFFER_BYTES: usize = 256 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

pub(super) type Input = Box<dyn BufRead + Send>;

/// The text of `range` (`None` = the whole file).
pub(super) fn open(
    file: &DataFile,
    reading: &Reading,
    range: Option<&Range<u64>>,
    cancel: Option<&CancelToken>,
) -> Result<Input> {
    let source = file.open(cancel)?;
    let whole = 0..source.size();
    let range = range.unwrap_or(&whole);
    let starts_file = range.start == 0;
    let raw = SourceReader::new(source, range.start, range.end);
    let error = |e: std::io::Error| error_of(&file.name, e);
    let mut text: Input = match Compression::of_file(&file.name, &reading.options)? {
        None => Box::new(raw),
        Some(Compression::Gzip) => Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(raw))),
        Some(Compression::Zstd) => {
            let decoder = zstd::stream::read::Decoder::with_buffer(raw).map_err(error)?;
            Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder))
        }
    };
    if starts_file && text.fill_buf().map_err(error)?.starts_with(BYTE_ORDER_MARK) {
        text.consume(BYTE_ORDER_MARK.len());
    }
    Ok(text)
}
