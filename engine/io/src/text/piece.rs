//! Files cut into pieces for several workers: text at the ends of records, IPC files between record batches.

use std::ops::Range;

use plasmon_core::Result;

use super::csv::CsvOptions;
use super::{Reading, ipc, json};
use crate::format::{Compression, Format};
use crate::store::{ByteSource, DataFile};

/// Text is cut into pieces of about this many bytes.
const PIECE_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes looked through at a time for places to cut.
const BLOCK_BYTES: u64 = 1024 * 1024;

/// What one worker reads at a time.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) file: usize,
    pub(super) extent: Extent,
}

/// Which part of its file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Extent {
    Whole,
    /// Bytes from the start of a record to the end of one.
    Bytes(Range<u64>),
    /// Record batches of an IPC file.
    Blocks(Range<usize>),
}

/// The pieces of one file.
pub(super) fn cut(file: &DataFile, reading: &Reading) -> Result<Vec<Extent>> {
    if reading.format == Format::Arrow {
        return ipc::cut(file);
    }
    if file.size == 0 {
        return Ok(Vec::new());
    }
    let is_plain = Compression::of_file(&file.name, &reading.options)?.is_none();
    if !is_plain || file.size < 2 * PIECE_BYTES {
        return Ok(vec![Extent::Whole]);
    }
    let cuts = match reading.format {
        // Cutting CSV takes a look at every byte: of objects, that is the work itself.
        Format::Csv if file.is_remote() => None,
        Format::Csv => quoted_cuts(file.open(None)?.as_ref(), &reading.csv, PIECE_BYTES)?,
        _ if json::is_one_object_a_line(file, reading)? => Some(line_cuts(file.open(None)?.as_ref(), PIECE_BYTES)?),
        _ => None,
    };
    let Some(cuts) = cuts else { return Ok(vec![Extent::Whole]) };
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([file.size]);
    Ok(starts.zip(ends).filter(|(start, end)| start < end).map(|(start, end)| Extent::Bytes(start..end)).collect())
}

/// Offsets behind line ends, about every `every` bytes.
fn line_cuts(source: &dyn ByteSource, every: u64) -> Result<Vec<u64>> {
    let mut cuts = Vec::new();
    let mut target = every;
    while target < source.size() {
        let mut at = target;
        while at < source.size() {
            let block = source.read(at..source.size().min(at + BLOCK_BYTES))?;
            if let Some(end) = memchr::memchr(b'\n', &block) {
                at += end as u64 + 1;
                break;
            }
            at += block.len() as u64;
        }
        cuts.push(at);
        target = at + every;
    }
    Ok(cuts)
}

/// Offsets behind line ends that are outside of quotes, about every `every` bytes; `None` when the quotes do not tell what is inside: when an
/// opening one is not at a field's start or a closing one not at its end, or when they can be escaped.
fn quoted_cuts(source: &dyn ByteSource, csv: &CsvOptions, every: u64) -> Result<Option<Vec<u64>>> {
    if csv.escape.is_some() || csv.comment.is_some() {
        return Ok(None);
    }
    let borders = |byte: u8| byte == csv.delimiter || byte == b'\n' || byte == b'\r' || byte == csv.quote;
    let mut cuts = Vec::new();
    let (mut target, mut at, mut last) = (every, 0, b'\n');
    let (mut inside, mut just_closed) = (false, false);
    while at < source.size() {
        let block = source.read(at..source.size().min(at + BLOCK_BYTES))?;
        if just_closed && !borders(block[0]) {
            return Ok(None);
        }
        let mut from = 0;
        for quote in memchr::memchr_iter(csv.quote, &block).chain([block.len()]) {
            while !inside && at + quote as u64 > target {
                let begin = from.max(target.saturating_sub(at) as usize);
                let Some(end) = memchr::memchr(b'\n', &block[begin..quote]) else { break };
                cuts.push(at + (begin + end) as u64 + 1);
                target = at + (begin + end) as u64 + every;
            }
            if quote == block.len() {
                break;
            }
            let before = if quote == 0 { last } else { block[quote - 1] };
            let is_regular = match inside {
                false => borders(before),
                true => block.get(quote + 1).is_none_or(|&b| borders(b)),
            };
            if !is_regular {
                return Ok(None);
            }
            inside = !inside;
            from = quote + 1;
        }
        last = block[block.len() - 1];
        just_closed = last == csv.quote && !inside;
        at += block.len() as u64;
    }
    Ok(Some(cuts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Options;
    use bytes::Bytes;

    #[derive(Debug)]
    struct Text(Vec<u8>);

    impl ByteSource for Text {
        fn name(&self) -> &str {
            "text"
        }
        fn size(&self) -> u64 {
            self.0.len() as u64
        }
        fn read(&self, range: Range<u64>) -> Result<Bytes> {
            Ok(self.0[range.start as usize..range.end as usize].to_vec().into())
        }
    }

    fn cuts(text: &str, every: u64) -> Option<Vec<u64>> {
        quoted_cuts(&Text(text.into()), &CsvOptions::new(&Options::default()).unwrap(), every).unwrap()
    }

    #[test]
    fn lines_are_cut_at_their_ends() {
        assert_eq!(line_cuts(&Text(b"aaa\nbbb\nccc\n".to_vec()), 2).unwrap(), [4, 8, 12]);
        assert_eq!(line_cuts(&Text(b"aaaaaaaa".to_vec()), 2).unwrap(), [8]);
    }

    #[test]
    fn quoted_line_ends_are_no_cuts() {
        assert_eq!(cuts("a,b\n1,\"x\ny\"\n2,z\n", 5), Some(vec![12]));
        assert_eq!(cuts("a,b\n1,\"x\"\"\ny\"\n2,z\n", 5), Some(vec![14]));
        assert_eq!(cuts("a\nb\nc\n", 1), Some(vec![2, 4, 6]));
    }

    #[test]
    fn quotes_that_tell_nothing_stop_the_cutting() {
        assert_eq!(cuts("a,b\n1,5\" pipe\n2,z\n", 5), None);
        assert_eq!(cuts("a,b\n1,\"x\"y\n2,z\n", 5), None);
    }
}
