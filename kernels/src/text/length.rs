//! Lengths of texts in bytes and in characters. Called by `octet_length`, `bit_length` and `character_length`.
//!
//! A character starts at every byte that is no continuation (`10xxxxxx`): inline views are counted as one word, long values in vector lanes.
//! Benchmarks: `benchmarks/benches/text.rs`.

use super::{INLINE_BYTES, Texts, value_of};

/// Bytes of each value.
pub fn byte_lengths(texts: Texts<'_>) -> Vec<i32> {
    texts.views.iter().map(|view| *view as u32 as i32).collect()
}

/// Characters of each value.
pub fn character_lengths(texts: Texts<'_>, ascii: bool) -> Vec<i32> {
    if ascii {
        return byte_lengths(texts);
    }
    texts
        .views
        .iter()
        .map(|view| {
            let len = *view as u32 as usize;
            if len <= INLINE_BYTES {
                // Continuation bytes have bit 7 set and bit 6 clear; bytes past the length are zero.
                const HIGH_BITS: u128 = 0x8080_8080_8080_8080_8080_8080 << 32;
                let continuations = view & !(view << 1) & HIGH_BITS;
                return len as i32 - continuations.count_ones() as i32;
            }
            count_characters(value_of(view, texts.buffers)) as i32
        })
        .collect()
}

/// Characters of one text.
pub fn count_characters(value: &[u8]) -> usize {
    // Counted in bytes by blocks, so that lanes stay narrow.
    let (blocks, tail) = value.as_chunks::<128>();
    let starts = |bytes: &[u8]| bytes.iter().fold(0u8, |count, &b| count + (b as i8 >= -64) as u8) as usize;
    blocks.iter().map(|block| starts(block)).sum::<usize>() + starts(tail)
}

#[cfg(test)]
mod tests {
    use super::super::tests::texts;
    use super::*;
    use crate::oracle::each_tier;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn lengths_agree(owned in texts(), long in "[aé日🌏]{0,400}") {
            owned.with(|t| each_tier(|_| {
                assert_eq!(byte_lengths(t), owned.values.iter().map(|v| v.len() as i32).collect::<Vec<_>>());
                assert_eq!(character_lengths(t, false), owned.values.iter().map(|v| v.chars().count() as i32).collect::<Vec<_>>());
                assert_eq!(count_characters(long.as_bytes()), long.chars().count());
            }));
        }
    }
}
