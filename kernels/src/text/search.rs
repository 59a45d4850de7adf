//! Where a constant stands in texts: prefix, suffix, anywhere → bits; position → number. Called by `starts_with`, `ends_with`, `contains`, `strpos`.
//!
//! A prefix of up to 4 bytes is compared in the view itself. Benchmarks: `benchmarks/benches/text.rs`.

use super::length::count_characters;
use super::{INLINE_BYTES, Texts, value_of};
use crate::like::find;

/// One bit a row: `test` of the view and its bytes.
#[inline(always)]
fn bits_of(texts: Texts<'_>, test: impl Fn(&u128) -> bool) -> Vec<u64> {
    texts
        .views
        .chunks(64)
        .map(|block| block.iter().enumerate().fold(0, |bits, (i, view)| bits | (test(view) as u64) << i))
        .collect()
}

/// Whether each value starts with `prefix`.
pub fn starts_with(texts: Texts<'_>, prefix: &[u8]) -> Vec<u64> {
    let head = prefix.len().min(4);
    let mut word = [0u8; 4];
    word[..head].copy_from_slice(&prefix[..head]);
    let (word, mask) = (u32::from_le_bytes(word), if head == 4 { u32::MAX } else { (1 << (8 * head)) - 1 });
    bits_of(texts, |view| {
        (*view as u32 as usize) >= prefix.len()
            && (*view >> 32) as u32 & mask == word
            && (prefix.len() <= 4 || value_of(view, texts.buffers).starts_with(prefix))
    })
}

/// Whether each value ends with `suffix`.
pub fn ends_with(texts: Texts<'_>, suffix: &[u8]) -> Vec<u64> {
    bits_of(texts, |view| (*view as u32 as usize) >= suffix.len() && value_of(view, texts.buffers).ends_with(suffix))
}

/// Whether each value contains `part`.
pub fn contains(texts: Texts<'_>, part: &[u8]) -> Vec<u64> {
    bits_of(texts, |view| (*view as u32 as usize) >= part.len() && find(value_of(view, texts.buffers), part).is_some())
}

/// The character (from 1) at which `part` first stands in each value; 0 when it does not.
pub fn positions(texts: Texts<'_>, part: &[u8], ascii: bool) -> Vec<i32> {
    texts
        .views
        .iter()
        .map(|view| {
            if (*view as u32 as usize) < part.len() {
                return 0;
            }
            let value = value_of(view, texts.buffers);
            match find(value, part) {
                None => 0,
                Some(at) if ascii || at <= INLINE_BYTES && value[..at].is_ascii() => at as i32 + 1,
                Some(at) => count_characters(&value[..at]) as i32 + 1,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::texts;
    use super::*;
    use crate::oracle::{each_tier, mask};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn searches_agree(owned in texts(), part in "[ a-bé,]{0,6}") {
            let expect = |f: &dyn Fn(&str) -> bool| mask(owned.values.len(), |row| f(&owned.values[row]));
            owned.with(|t| each_tier(|_| {
                assert_eq!(starts_with(t, part.as_bytes()), expect(&|v| v.starts_with(&part)));
                assert_eq!(ends_with(t, part.as_bytes()), expect(&|v| v.ends_with(&part)));
                assert_eq!(contains(t, part.as_bytes()), expect(&|v| v.contains(&part)));
                let expected: Vec<i32> = owned.values.iter().map(|v| v.find(&part).map_or(0, |at| v[..at].chars().count() as i32 + 1)).collect();
                assert_eq!(positions(t, part.as_bytes(), false), expected);
                if owned.values.iter().all(|v| v.is_ascii()) {
                    assert_eq!(positions(t, part.as_bytes(), true), expected);
                }
            }));
        }
    }
}
