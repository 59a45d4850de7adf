//! Several key columns → one word a row, and back: the normalized keys of hash aggregation.
//!
//! Every column has a field of some bits; a field holds `word − base + 1`, or 0 for null. Which fields hold all words of a column is the
//! caller's to know ([`bounds`]). Null convention: a bit per row, 1 = valid. Benchmark: `group` of `benchmarks/benches/kernels`.

/// Where a column lies in a packed word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The word that is stored as 1.
    pub base: u64,
    /// The field's lowest bit.
    pub shift: u32,
    /// Its width, 1..=64.
    pub bits: u32,
}

impl Field {
    fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }
}

/// Smallest and greatest word, as signed integers, of the valid rows; `None` when there is none.
pub fn bounds(words: &[u64], validity: Option<&[u64]>) -> Option<(i64, i64)> {
    let Some(validity) = validity else { return (!words.is_empty()).then(|| bounds_tiered(words)) };
    assert!(validity.len() == words.len().div_ceil(64));
    let valid = |row: &usize| validity[row / 64] >> (row % 64) & 1 == 1;
    let mut rows = (0..words.len()).filter(valid).map(|row| words[row] as i64);
    let first = rows.next()?;
    Some(rows.fold((first, first), |(min, max), word| (min.min(word), max.max(word))))
}

crate::tiered! { fn bounds_tiered(words: &[u64]) -> (i64, i64) = bounds_body; }

#[inline(always)]
fn bounds_body(words: &[u64]) -> (i64, i64) {
    words.iter().fold((i64::MAX, i64::MIN), |(min, max), &w| (min.min(w as i64), max.max(w as i64)))
}

/// Puts a column into its field, which is zero so far; words of null rows are arbitrary.
pub fn pack(words: &[u64], validity: Option<&[u64]>, field: Field, out: &mut [u64]) {
    assert_eq!(words.len(), out.len());
    pack_tiered(words, field, out);
    let Some(validity) = validity else { return };
    assert!(validity.len() == words.len().div_ceil(64));
    for (block, &valid) in out.chunks_mut(64).zip(validity) {
        for (bit, word) in block.iter_mut().enumerate() {
            *word &= !(((valid >> bit & 1) ^ 1).wrapping_neg() & field.mask() << field.shift);
        }
    }
}

crate::tiered! { fn pack_tiered(words: &[u64], field: Field, out: &mut [u64]) = pack_body; }

#[inline(always)]
fn pack_body(words: &[u64], field: Field, out: &mut [u64]) {
    // Words of null rows may not fit: the mask keeps them out of the other fields.
    let (offset, mask) = (1u64.wrapping_sub(field.base), field.mask());
    out.iter_mut().zip(words).for_each(|(o, &w)| *o |= (w.wrapping_add(offset) & mask) << field.shift);
}

/// A packed word with a value that no field holds: unequal to all that [`pack`] makes from fields of together at most 63 bits.
pub const OUTSIDE: u64 = u64::MAX;

/// Like [`pack`], for words that may lie outside `field.base..=field.base + span` (as signed integers): their rows become [`OUTSIDE`].
/// Rows that are so already stay so.
pub fn pack_or_outside(words: &[u64], validity: Option<&[u64]>, field: Field, span: u64, out: &mut [u64]) {
    assert_eq!(words.len(), out.len());
    let Some(validity) = validity else { return pack_or_outside_tiered(words, field, span, out) };
    assert!(validity.len() == words.len().div_ceil(64));
    for (row, (o, &word)) in out.iter_mut().zip(words).enumerate() {
        if validity[row / 64] >> (row % 64) & 1 == 1 {
            *o |= code_or_outside(word, field, span);
        }
    }
}

crate::tiered! { fn pack_or_outside_tiered(words: &[u64], field: Field, span: u64, out: &mut [u64]) = pack_or_outside_body; }

#[inline(always)]
fn pack_or_outside_body(words: &[u64], field: Field, span: u64, out: &mut [u64]) {
    out.iter_mut().zip(words).for_each(|(o, &word)| *o |= code_or_outside(word, field, span));
}

#[inline(always)]
fn code_or_outside(word: u64, field: Field, span: u64) -> u64 {
    let offset = word.wrapping_sub(field.base);
    if offset <= span { offset.wrapping_add(1) << field.shift } else { OUTSIDE }
}

/// The word in a field; `None` = null.
#[inline(always)]
pub fn unpack(packed: u64, field: Field) -> Option<u64> {
    match packed >> field.shift & field.mask() {
        0 => None,
        code => Some(code.wrapping_sub(1).wrapping_add(field.base)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fields_come_back(rows in prop::collection::vec((-20i64..20, any::<bool>(), 1000u64..1300), 0..200)) {
            let first: Vec<u64> = rows.iter().map(|r| r.0 as u64).collect();
            let second: Vec<u64> = rows.iter().map(|r| r.2).collect();
            let mut validity = vec![0u64; rows.len().div_ceil(64)];
            rows.iter().enumerate().filter(|(_, r)| r.1).for_each(|(row, _)| validity[row / 64] |= 1 << (row % 64));
            let known: Vec<i64> = rows.iter().filter(|r| r.1).map(|r| r.0).collect();
            prop_assert_eq!(bounds(&first, Some(&validity)), known.iter().min().copied().zip(known.iter().max().copied()));
            let all: Vec<i64> = rows.iter().map(|r| r.0).collect();
            prop_assert_eq!(bounds(&first, None), all.iter().min().copied().zip(all.iter().max().copied()));
            let low = Field { base: -20i64 as u64, shift: 0, bits: 6 };
            let high = Field { base: 1000, shift: 6, bits: 58 };
            let mut packed = vec![0; rows.len()];
            pack(&first, Some(&validity), low, &mut packed);
            pack(&second, None, high, &mut packed);
            for tier in crate::isa::tiers() {
                let (low, high) = (Field { bits: 5, ..low }, Field { shift: 5, ..high });
                let mut probed = vec![0; rows.len()];
                crate::isa::with_tier(tier, || {
                    pack_or_outside(&first, Some(&validity), low, 15, &mut probed);
                    pack_or_outside(&second, None, high, 200, &mut probed);
                });
                for (row, &word) in rows.iter().zip(&probed) {
                    let first = if row.1 { (row.0 <= -5).then_some((row.0 + 21) as u64) } else { Some(0) };
                    let second = (row.2 <= 1200).then_some(row.2 - 999);
                    prop_assert_eq!(word, first.zip(second).map_or(OUTSIDE, |(first, second)| first | second << 5));
                }
            }
            for (row, word) in rows.iter().zip(&packed) {
                prop_assert_eq!(unpack(*word, low), row.1.then_some(row.0 as u64));
                prop_assert_eq!(unpack(*word, high), Some(row.2));
            }
        }
    }
}
