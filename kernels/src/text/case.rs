//! Upper and lower case: texts → views and the bytes of the long ones. Called by `upper` and `lower`.
//!
//! ASCII values change 5 bits in place: an inline view as one 128-bit word without a loop (a byte is a letter when adding overflows its high bit),
//! a long one byte by byte in vector lanes. Other values go through Unicode's full mapping, which may change lengths.
//! Benchmarks: `benchmarks/benches/text.rs`.

use super::build::TextBuilder;
use super::{INLINE_BYTES, Texts, as_bytes, value_of};

/// Which way to convert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    Upper,
    Lower,
}

const ONES: u128 = 0x0101_0101_0101_0101_0101_0101 << 32;
const HIGH_BITS: u128 = 0x80 * ONES;

/// Every value in the other case; long results lie in buffer `buffer` of the result.
pub fn convert(texts: Texts<'_>, case: Case, buffer: u32) -> TextBuilder {
    let mut out = TextBuilder::new(buffer, texts.len());
    for view in texts.views {
        let len = *view as u32 as usize;
        if len <= INLINE_BYTES && view & HIGH_BITS == 0 {
            out.views.push(convert_word(*view, case));
            continue;
        }
        let value = value_of(view, texts.buffers);
        if value.is_ascii() {
            let start = out.start(len);
            match case {
                Case::Upper => append_upper(value, &mut out.bytes),
                Case::Lower => append_lower(value, &mut out.bytes),
            }
            out.finish(start);
        } else {
            out.push(convert_unicode(value, case).as_bytes());
        }
    }
    out
}

/// The letters of an ASCII view changed; its length (the low 4 bytes) is left alone.
#[inline(always)]
fn convert_word(view: u128, case: Case) -> u128 {
    let first = if case == Case::Upper { b'a' } else { b'A' } as u128;
    // No byte is above 127, so these sums do not carry: the high bit says ≥ first, and > last.
    let at_least_first = (view & !0xFFFF_FFFF).wrapping_add(ONES * (0x80 - first));
    let above_last = (view & !0xFFFF_FFFF).wrapping_add(ONES * (0x80 - (first + 26)));
    let is_letter = at_least_first & !above_last & HIGH_BITS;
    view ^ (is_letter >> 2)
}

fn append_upper(value: &[u8], out: &mut Vec<u8>) {
    out.extend(value.iter().map(|b| b.to_ascii_uppercase()));
}

fn append_lower(value: &[u8], out: &mut Vec<u8>) {
    out.extend(value.iter().map(|b| b.to_ascii_lowercase()));
}

fn convert_unicode(value: &[u8], case: Case) -> String {
    let text = String::from_utf8_lossy(value);
    if case == Case::Upper { text.to_uppercase() } else { text.to_lowercase() }
}

/// Whether the view is what its length says: bytes past the length are zero (only then words may stand for values).
pub fn is_padded(view: u128) -> bool {
    let len = view as u32 as usize;
    len > INLINE_BYTES || as_bytes(&view)[4 + len..].iter().all(|&b| b == 0)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{read, texts};
    use super::*;
    use crate::oracle::each_tier;
    use crate::text::make_view;
    use proptest::prelude::*;

    #[test]
    fn every_ascii_byte() {
        for byte in 0..128u8 {
            for len in 1..=INLINE_BYTES {
                let value = vec![byte; len];
                let view = make_view(&value, 0, 0);
                assert_eq!(convert_word(view, Case::Upper), make_view(&value.to_ascii_uppercase(), 0, 0));
                assert_eq!(convert_word(view, Case::Lower), make_view(&value.to_ascii_lowercase(), 0, 0));
                assert!(is_padded(view));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn conversions_agree(owned in texts()) {
            owned.with(|t| each_tier(|_| {
                for (case, expected) in [(Case::Upper, owned.values.iter().map(|v| v.to_uppercase()).collect::<Vec<_>>()), (Case::Lower, owned.values.iter().map(|v| v.to_lowercase()).collect())] {
                    let out = convert(t, case, 0);
                    assert_eq!(read(&out.views, &[&out.bytes]), expected);
                }
            }));
        }
    }
}
