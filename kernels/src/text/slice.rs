//! Parts of texts without a copy: views → views over the same buffers. Called by `substr`, `left`, `right` and the trims.
//!
//! Positions count characters. In text proven ASCII a character is a byte; else characters are counted from the end that is nearer, by skipping
//! continuation bytes. Benchmarks: `benchmarks/benches/text.rs`.

use super::{Texts, as_bytes, make_view, value_of};

/// `cut(bytes, row)` gives the byte range to keep, which must lie within the value.
#[inline(always)]
fn cut_each(texts: Texts<'_>, cut: impl Fn(&[u8], usize) -> (usize, usize)) -> Vec<u128> {
    texts
        .views
        .iter()
        .enumerate()
        .map(|(row, view)| {
            let value = value_of(view, texts.buffers);
            let (from, to) = cut(value, row);
            debug_assert!(from <= to && to <= value.len());
            narrow(view, value, from, to)
        })
        .collect()
}

/// The view of `value[from..to]`, `value` being the bytes of `view`.
#[inline(always)]
fn narrow(view: &u128, value: &[u8], from: usize, to: usize) -> u128 {
    let (buffer, offset) = ((*view >> 64) as u32, (*view >> 96) as u32);
    // Inline values have no offset, but their parts are inline too and carry none.
    make_view(&value[from..to], buffer, offset.wrapping_add(from as u32))
}

/// A number per row.
#[derive(Debug, Clone, Copy)]
pub enum Counts<'a> {
    Constant(i64),
    PerRow(&'a [i64]),
}

impl Counts<'_> {
    #[inline(always)]
    fn get(&self, row: usize) -> i64 {
        match self {
            Counts::Constant(value) => *value,
            Counts::PerRow(values) => values[row],
        }
    }
}

/// `substr(text, start, count)`: characters `start` (from 1) to `start + count`, clipped to the text; `None` = to the end. A negative count gives
/// nothing (SQL makes it an error: the caller checks).
pub fn substring(texts: Texts<'_>, start: Counts<'_>, count: Option<Counts<'_>>, ascii: bool) -> Vec<u128> {
    if ascii
        && let (Counts::Constant(start), Some(Counts::Constant(count))) = (start, count)
        && start >= 1
        && (0..=super::INLINE_BYTES as i64).contains(&count)
        && start <= 1 << 30
    {
        return short_ascii(texts, start as usize - 1, count as usize);
    }
    cut_each(texts, |value, row| {
        let first = start.get(row).saturating_sub(1);
        let end = match count {
            Some(count) => first.saturating_add(count.get(row)).max(first.min(0)),
            None => i64::MAX,
        };
        let len = value.len() as i64;
        let (first, end) = (first.clamp(0, len) as usize, end.clamp(0, len) as usize);
        let end = end.max(first);
        if ascii {
            return (first, end);
        }
        let from = byte_of_character(value, 0, first);
        (from, byte_of_character(value, from, end - first))
    })
}

/// `substr` of a few bytes of ASCII text: the result is inline, so no buffer is touched for inline values.
fn short_ascii(texts: Texts<'_>, first: usize, count: usize) -> Vec<u128> {
    let keep = if count == 0 { 0 } else { u128::MAX >> (128 - 8 * count as u32) };
    texts
        .views
        .iter()
        .map(|view| {
            let len = *view as u32 as usize;
            let taken = count.min(len.saturating_sub(first));
            if len <= super::INLINE_BYTES {
                // Bytes past the length are zero in a view, so masking to `count` is enough.
                let shift = (32 + 8 * first as u32).min(127);
                let bytes = if taken == 0 { 0 } else { (*view >> shift) & keep };
                return (bytes << 32) | taken as u128;
            }
            let value = value_of(view, texts.buffers);
            make_view(&value[first.min(len)..first.min(len) + taken], 0, 0)
        })
        .collect()
}

/// `left(text, n)`: the first `n` characters, or all but the last `-n`.
pub fn left(texts: Texts<'_>, n: Counts<'_>, ascii: bool) -> Vec<u128> {
    cut_each(texts, |value, row| (0, left_end(value, n.get(row), ascii)))
}

/// `right(text, n)`: the last `n` characters, or all but the first `-n`.
pub fn right(texts: Texts<'_>, n: Counts<'_>, ascii: bool) -> Vec<u128> {
    cut_each(texts, |value, row| match n.get(row) {
        0 | i64::MIN => (value.len(), value.len()),
        n => (left_end(value, -n, ascii), value.len()),
    })
}

/// The byte behind the first `n` characters, or before the last `-n`.
#[inline(always)]
fn left_end(value: &[u8], n: i64, ascii: bool) -> usize {
    let count = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX);
    match (n >= 0, ascii) {
        (true, true) => count.min(value.len()),
        (false, true) => value.len().saturating_sub(count),
        (true, false) => byte_of_character(value, 0, count),
        (false, false) => byte_of_character_from_end(value, count),
    }
}

#[inline(always)]
fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// The byte at which the `n`-th character after byte `from` starts; the length when there are fewer.
#[inline(always)]
pub(super) fn byte_of_character(value: &[u8], from: usize, n: usize) -> usize {
    let mut at = from;
    for _ in 0..n {
        if at >= value.len() {
            return value.len();
        }
        at += 1;
        while at < value.len() && is_continuation(value[at]) {
            at += 1;
        }
    }
    at
}

/// The byte at which the `n`-th character from the end starts; 0 when there are fewer.
#[inline(always)]
fn byte_of_character_from_end(value: &[u8], n: usize) -> usize {
    let mut at = value.len();
    for _ in 0..n {
        if at == 0 {
            return 0;
        }
        at -= 1;
        while at > 0 && is_continuation(value[at]) {
            at -= 1;
        }
    }
    at
}

/// Which ends a trim works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    Left,
    Right,
    Both,
}

/// Takes spaces off.
pub fn trim_spaces(texts: Texts<'_>, ends: Ends) -> Vec<u128> {
    trim_bytes(texts, ends, |byte| byte == b' ')
}

/// Takes ASCII characters of a set off.
pub fn trim_ascii(texts: Texts<'_>, ends: Ends, set: &[u8]) -> Vec<u128> {
    let mut member = [false; 256];
    set.iter().for_each(|&b| member[b as usize] = true);
    trim_bytes(texts, ends, |byte| member[byte as usize])
}

#[inline(always)]
fn trim_bytes(texts: Texts<'_>, ends: Ends, is_trimmed: impl Fn(u8) -> bool) -> Vec<u128> {
    cut_each(texts, |value, _| {
        let from = if ends == Ends::Right { 0 } else { value.iter().take_while(|&&b| is_trimmed(b)).count() };
        let kept = &value[from..];
        let cut = if ends == Ends::Left { 0 } else { kept.iter().rev().take_while(|&&b| is_trimmed(b)).count() };
        (from, value.len() - cut)
    })
}

/// Whether every value is ASCII; inline values are tested in their views, shared buffers value by value.
pub fn is_ascii(texts: Texts<'_>) -> bool {
    const HIGH_BITS: u128 = 0x8080_8080_8080_8080_8080_8080 << 32;
    texts.views.iter().all(|view| {
        let bytes = if (*view as u32 as usize) <= super::INLINE_BYTES {
            return view & HIGH_BITS == 0;
        } else {
            value_of(view, texts.buffers)
        };
        debug_assert_eq!(as_bytes(view)[4..8], bytes[..4]);
        bytes.is_ascii()
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{read, texts};
    use super::*;
    use crate::oracle::each_tier;
    use proptest::prelude::*;

    fn substring_scalar(text: &str, start: i64, count: Option<i64>) -> String {
        let end = count.map_or(i64::MAX, |c| start.saturating_add(c));
        text.chars().zip(1i64..).filter(|&(_, at)| at >= start && at < end).map(|(c, _)| c).collect()
    }

    fn left_scalar(text: &str, n: i64) -> String {
        let total = text.chars().count() as i64;
        let keep = if n >= 0 { n } else { total.saturating_add(n) };
        text.chars().take(keep.max(0) as usize).collect()
    }

    fn right_scalar(text: &str, n: i64) -> String {
        let total = text.chars().count() as i64;
        let skip = if n >= 0 { total.saturating_sub(n) } else { n.checked_neg().unwrap_or(i64::MAX) };
        text.chars().skip(skip.max(0) as usize).collect()
    }

    fn number() -> impl Strategy<Value = i64> {
        prop_oneof![8 => -3i64..16, 1 => Just(i64::MIN), 1 => Just(i64::MAX), 1 => 0i64..60]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]
        #[test]
        fn parts_agree(owned in texts(), start in number(), count in number(), per_row in any::<bool>()) {
            owned.with(|t| {
                let ascii = is_ascii(t);
                assert_eq!(ascii, owned.values.iter().all(|v| v.is_ascii()));
                let starts: Vec<i64> = (0..t.len() as i64).map(|row| start.saturating_add(row % 3)).collect();
                let start_of = |row: usize| if per_row { starts[row] } else { start };
                let s = if per_row { Counts::PerRow(&starts) } else { Counts::Constant(start) };
                let expect = |f: &dyn Fn(&str, i64) -> String| owned.values.iter().enumerate().map(|(row, v)| f(v, start_of(row))).collect::<Vec<_>>();
                each_tier(|_| {
                    for ascii in [false, ascii] {
                        assert_eq!(read(&substring(t, s, None, ascii), t.buffers), expect(&|v, n| substring_scalar(v, n, None)));
                        if count >= 0 {
                            assert_eq!(read(&substring(t, s, Some(Counts::Constant(count)), ascii), t.buffers), expect(&|v, n| substring_scalar(v, n, Some(count))));
                        }
                        assert_eq!(read(&left(t, s, ascii), t.buffers), expect(&left_scalar));
                        assert_eq!(read(&right(t, s, ascii), t.buffers), expect(&right_scalar));
                    }
                });
            });
        }

        #[test]
        fn trims_agree(owned in texts()) {
            let set = ['a', ' ', ','];
            let expect = |f: &dyn Fn(&str) -> &str| owned.values.iter().map(|v| f(v).to_string()).collect::<Vec<_>>();
            owned.with(|t| each_tier(|_| {
                assert_eq!(read(&trim_spaces(t, Ends::Both), t.buffers), expect(&|v| v.trim_matches(' ')));
                assert_eq!(read(&trim_spaces(t, Ends::Left), t.buffers), expect(&|v| v.trim_start_matches(' ')));
                assert_eq!(read(&trim_spaces(t, Ends::Right), t.buffers), expect(&|v| v.trim_end_matches(' ')));
                assert_eq!(read(&trim_ascii(t, Ends::Both, b"a ,"), t.buffers), expect(&|v| v.trim_matches(set)));
                assert_eq!(read(&trim_ascii(t, Ends::Left, b"a ,"), t.buffers), expect(&|v| v.trim_start_matches(set)));
                assert_eq!(read(&trim_ascii(t, Ends::Right, b"a ,"), t.buffers), expect(&|v| v.trim_end_matches(set)));
            }));
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_not_trap() {
        let bytes: Vec<u8> = (0..64).map(|i| [0x80, 0xFF, 0xC3, 0xE2][i % 4]).collect();
        let views = [make_view(&bytes[..9], 0, 0), make_view(&bytes, 0, 0)];
        let t = Texts { views: &views, buffers: &[&bytes] };
        for n in [-5, -1, 0, 1, 3, 100] {
            substring(t, Counts::Constant(n), Some(Counts::Constant(2)), false);
            left(t, Counts::Constant(n), false);
            right(t, Counts::Constant(n), false);
        }
        trim_spaces(t, Ends::Both);
    }
}
