//! Where in a text file a decoder's error lies: the piece is decoded again, line by line, until the error comes back.

use std::io::BufRead;

use arrow::error::ArrowError;
use plasmon_core::{Error, Result};

use super::piece::Extent;
use super::{Reading, input};
use crate::store::{DataFile, error_of};

/// A decoder that takes text in parts and says in the user's terms what is wrong.
pub(super) trait LineDecoder {
    /// Takes what it can of `text`: the number of bytes. Empty text is the end.
    fn decode(&mut self, text: &[u8]) -> Result<usize, String>;
    /// Makes values of the whole records that were taken.
    fn flush(&mut self) -> Result<(), String>;
}

/// The error with its line, found by `decoder`, a fresh one for the same piece; as it is when it does not come back.
pub(super) fn at_line(
    file: &DataFile,
    reading: &Reading,
    extent: &Extent,
    decoder: &mut dyn LineDecoder,
    error: ArrowError,
) -> Error {
    if let ArrowError::IoError(_, error) = error {
        return error_of(&file.name, error);
    }
    match find(file, reading, extent, decoder) {
        Ok(Some((line, message))) => Error::io(&file.name, format!("line {line}: {message}")),
        _ => Error::io(&file.name, told(&error)),
    }
}

/// The library's message without the class that it begins with.
pub(super) fn told(error: &ArrowError) -> String {
    let message = error.to_string();
    message.split_once("error: ").map_or(message.as_str(), |(_, rest)| rest).to_string()
}

fn find(
    file: &DataFile,
    reading: &Reading,
    extent: &Extent,
    decoder: &mut dyn LineDecoder,
) -> Result<Option<(u64, String)>> {
    let range = match extent {
        Extent::Bytes(range) => Some(range),
        _ => None,
    };
    let mut line = lines_before(file, reading, range.map_or(0, |r| r.start))?;
    let mut text = input::open(file, reading, range, None)?;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        line += 1;
        if text.read_until(b'\n', &mut bytes).is_err() {
            return Ok(None);
        }
        match feed(decoder, &bytes) {
            Err(message) => return Ok(Some((line, message))),
            Ok(()) if bytes.is_empty() => return Ok(None),
            Ok(()) => {}
        }
    }
}

fn feed(decoder: &mut dyn LineDecoder, mut bytes: &[u8]) -> Result<(), String> {
    let mut is_stuck = false;
    loop {
        let taken = decoder.decode(bytes)?;
        decoder.flush()?;
        bytes = &bytes[taken..];
        if bytes.is_empty() || (taken == 0 && is_stuck) {
            return Ok(());
        }
        is_stuck = taken == 0;
    }
}

fn lines_before(file: &DataFile, reading: &Reading, offset: u64) -> Result<u64> {
    if offset == 0 {
        return Ok(0);
    }
    let mut text = input::open(file, reading, Some(&(0..offset)), None)?;
    let mut lines = 0;
    loop {
        let block = text.fill_buf().map_err(|e| error_of(&file.name, e))?;
        if block.is_empty() {
            return Ok(lines);
        }
        lines += memchr::memchr_iter(b'\n', block).count() as u64;
        let len = block.len();
        text.consume(len);
    }
}
