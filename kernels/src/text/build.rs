//! New texts: a builder of views, concatenation and replacement. Called by `||`, `concat`, `replace`, `upper` and `lower`.
//!
//! Offsets are 32 bits wide: a builder holds at most 2 GiB of long values ([`TextBuilder::is_full`] says when a batch exceeds that).
//! Benchmarks: `benchmarks/benches/text.rs`.

use super::{INLINE_BYTES, Texts, make_view};
use crate::like::find;

/// Views over one buffer that grows.
#[derive(Debug, Clone, Default)]
pub struct TextBuilder {
    pub views: Vec<u128>,
    /// Bytes of values that do not fit a view.
    pub bytes: Vec<u8>,
    buffer: u32,
}

impl TextBuilder {
    /// An empty builder whose bytes will be buffer `buffer` of the column.
    pub fn new(buffer: u32, rows: usize) -> Self {
        TextBuilder { views: Vec::with_capacity(rows), bytes: Vec::new(), buffer }
    }

    /// Appends a value.
    #[inline(always)]
    pub fn push(&mut self, value: &[u8]) {
        let offset = self.bytes.len();
        self.views.push(make_view(value, self.buffer, offset as u32));
        if value.len() > INLINE_BYTES {
            self.bytes.extend_from_slice(value);
        }
    }

    /// Where the next value's bytes start, with room for `len`; the caller appends them to `bytes` and calls [`TextBuilder::finish`].
    #[inline(always)]
    pub fn start(&mut self, len: usize) -> usize {
        self.bytes.reserve(len);
        self.bytes.len()
    }

    /// Ends the value whose bytes start at `start`.
    #[inline(always)]
    pub fn finish(&mut self, start: usize) {
        self.views.push(make_view(&self.bytes[start..], self.buffer, start as u32));
        if self.bytes.len() - start <= INLINE_BYTES {
            self.bytes.truncate(start);
        }
    }

    /// Whether offsets have overflowed: the values cannot be used.
    pub fn is_full(&self) -> bool {
        self.bytes.len() > i32::MAX as usize
    }
}

/// One input of a concatenation.
#[derive(Debug, Clone, Copy)]
pub enum Piece<'a> {
    Constant(&'a [u8]),
    /// Rows whose validity bit is zero count as empty; `None` = all valid.
    Texts(Texts<'a>, Option<&'a [u64]>),
}

/// Row by row, all pieces one after the other.
pub fn concatenate(pieces: &[Piece<'_>], rows: usize, buffer: u32) -> TextBuilder {
    let mut out = TextBuilder::new(buffer, rows);
    for row in 0..rows {
        let start = out.start(0);
        for piece in pieces {
            match piece {
                Piece::Constant(value) => out.bytes.extend_from_slice(value),
                Piece::Texts(texts, validity) => {
                    if validity.is_none_or(|v| v[row / 64] >> (row % 64) & 1 == 1) {
                        out.bytes.extend_from_slice(texts.value(row));
                    }
                }
            }
        }
        out.finish(start);
    }
    out
}

/// Every occurrence of `from` replaced by `to`, from left to right without overlap. `from` must not be empty.
pub fn replace(texts: Texts<'_>, from: &[u8], to: &[u8], buffer: u32) -> TextBuilder {
    assert!(!from.is_empty(), "an empty text has no occurrences");
    let mut out = TextBuilder::new(buffer, texts.len());
    texts.for_each(|value| {
        let mut rest = value;
        let start = out.start(value.len());
        while let Some(at) = find(rest, from) {
            out.bytes.extend_from_slice(&rest[..at]);
            out.bytes.extend_from_slice(to);
            rest = &rest[at + from.len()..];
        }
        out.bytes.extend_from_slice(rest);
        out.finish(start);
    });
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::{read, texts};
    use super::*;
    use crate::oracle::each_tier;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn built_texts_agree(owned in texts(), seed in any::<u64>(), from in prop_oneof![Just("a"), Just("ab"), Just("é"), Just(",,")]) {
            let valid = |row: usize| seed >> (row % 61) & 1 == 1;
            let validity = crate::oracle::mask(owned.values.len(), valid);
            owned.with(|t| each_tier(|_| {
                let out = concatenate(&[Piece::Texts(t, None), Piece::Constant(b"-"), Piece::Texts(t, Some(&validity))], t.len(), 0);
                let expected: Vec<String> = owned.values.iter().enumerate().map(|(row, v)| format!("{v}-{}", if valid(row) { v } else { "" })).collect();
                assert_eq!(read(&out.views, &[&out.bytes]), expected);
                let out = replace(t, from.as_bytes(), b"<>", 0);
                assert_eq!(read(&out.views, &[&out.bytes]), owned.values.iter().map(|v| v.replace(from, "<>")).collect::<Vec<_>>());
                assert!(!out.is_full());
            }));
        }
    }
}
