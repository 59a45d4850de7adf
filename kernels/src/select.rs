//! Comparisons → bitmaps, bitmaps ⇄ selections, three-valued logic. Called by filters and by every boolean expression.
//!
//! A comparison gives one bit per row, computed for every row (also unselected and null ones: a wrong answer there is masked
//! later, a branch here would cost more). Floats are compared through [`Ordered`]: NaN equals NaN and is greatest, −0.0 equals 0.0.
//!
//! A bitmap becomes a selection a word at a time: AVX-512 VBMI2 compresses 32 positions in a register and stores the whole
//! register (never compress-store to memory: microcoded on Zen 4); other tiers walk the set bits.
//! Benchmarks: `benchmarks/benches/kernels`.

pub use crate::membership::lookup_bits;

/// A value with the engine's total order.
pub trait Ordered: Copy {
    /// What is compared instead of the value.
    type Key: Copy + Ord;
    /// Maps the value so that key order is value order.
    fn key(self) -> Self::Key;
}

macro_rules! ordered_integers {
    ($($type:ty),*) => { $(impl Ordered for $type {
        type Key = $type;
        #[inline(always)]
        fn key(self) -> $type { self }
    })* };
}
ordered_integers!(i8, i16, i32, i64, i128, u8, u16, u32, u64, u128);

impl Ordered for f64 {
    type Key = i64;
    #[inline(always)]
    fn key(self) -> i64 {
        // + 0.0 turns −0.0 into 0.0; every NaN becomes the greatest key; negative values have their magnitude bits flipped.
        let bits = (self + 0.0).to_bits() as i64;
        let ordered = bits ^ (((bits >> 63) as u64) >> 1) as i64;
        if self.is_nan() { i64::MAX } else { ordered }
    }
}

impl Ordered for f32 {
    type Key = i32;
    #[inline(always)]
    fn key(self) -> i32 {
        let bits = (self + 0.0).to_bits() as i32;
        let ordered = bits ^ (((bits >> 31) as u32) >> 1) as i32;
        if self.is_nan() { i32::MAX } else { ordered }
    }
}

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

trait Test {
    fn test<K: Ord>(a: K, b: K) -> bool;
}
macro_rules! tests {
    ($($name:ident: $op:tt),*) => { $(
        struct $name;
        impl Test for $name {
            #[inline(always)]
            fn test<K: Ord>(a: K, b: K) -> bool { a $op b }
        }
    )* };
}
tests!(Equal: ==, NotEqual: !=, Less: <, LessEqual: <=, Greater: >, GreaterEqual: >=);

/// `values[i] op constant` → bit i of the words appended to `out` (⌈len / 64⌉ of them).
pub fn compare_constant<T: Ordered>(comparison: Comparison, values: &[T], constant: T, out: &mut Vec<u64>) {
    match comparison {
        Comparison::Equal => constant_tiered::<T, Equal>(values, constant, out),
        Comparison::NotEqual => constant_tiered::<T, NotEqual>(values, constant, out),
        Comparison::Less => constant_tiered::<T, Less>(values, constant, out),
        Comparison::LessEqual => constant_tiered::<T, LessEqual>(values, constant, out),
        Comparison::Greater => constant_tiered::<T, Greater>(values, constant, out),
        Comparison::GreaterEqual => constant_tiered::<T, GreaterEqual>(values, constant, out),
    }
}

/// `left[i] op right[i]` → bit i of the words appended to `out`.
pub fn compare_columns<T: Ordered>(comparison: Comparison, left: &[T], right: &[T], out: &mut Vec<u64>) {
    assert_eq!(left.len(), right.len());
    match comparison {
        Comparison::Equal => columns_tiered::<T, Equal>(left, right, out),
        Comparison::NotEqual => columns_tiered::<T, NotEqual>(left, right, out),
        Comparison::Less => columns_tiered::<T, Less>(left, right, out),
        Comparison::LessEqual => columns_tiered::<T, LessEqual>(left, right, out),
        Comparison::Greater => columns_tiered::<T, Less>(right, left, out),
        Comparison::GreaterEqual => columns_tiered::<T, LessEqual>(right, left, out),
    }
}

crate::tiered! { fn constant_tiered<T: Ordered, C: Test>(values: &[T], constant: T, out: &mut Vec<u64>) = constant_body::<T, C>; }
crate::tiered! { fn columns_tiered<T: Ordered, C: Test>(left: &[T], right: &[T], out: &mut Vec<u64>) = columns_body::<T, C>; }

#[inline(always)]
fn constant_body<T: Ordered, C: Test>(values: &[T], constant: T, out: &mut Vec<u64>) {
    let constant = constant.key();
    let (blocks, tail) = values.as_chunks::<64>();
    out.reserve(blocks.len() + 1);
    for block in blocks {
        let mut bits = 0u64;
        for (i, &value) in block.iter().enumerate() {
            bits |= (C::test(value.key(), constant) as u64) << i;
        }
        out.push(bits);
    }
    if !tail.is_empty() {
        out.push(
            tail.iter().enumerate().fold(0, |bits, (i, &value)| bits | (C::test(value.key(), constant) as u64) << i),
        );
    }
}

#[inline(always)]
fn columns_body<T: Ordered, C: Test>(left: &[T], right: &[T], out: &mut Vec<u64>) {
    let ((left_blocks, left_tail), (right_blocks, right_tail)) = (left.as_chunks::<64>(), right.as_chunks::<64>());
    out.reserve(left_blocks.len() + 1);
    for (left, right) in left_blocks.iter().zip(right_blocks) {
        let mut bits = 0u64;
        for i in 0..64 {
            bits |= (C::test(left[i].key(), right[i].key()) as u64) << i;
        }
        out.push(bits);
    }
    if !left_tail.is_empty() {
        let pairs = left_tail.iter().zip(right_tail).enumerate();
        out.push(pairs.fold(0, |bits, (i, (a, b))| bits | (C::test(a.key(), b.key()) as u64) << i));
    }
}

/// Positions of the set bits among the first `len` ≤ 65,536, appended to `out`.
pub fn bits_to_selection(words: &[u64], len: usize, out: &mut Vec<u16>) {
    assert!(words.len() == len.div_ceil(64) && len <= 1 << 16, "{} words for {len} bits", words.len());
    #[cfg(target_arch = "x86_64")]
    if crate::isa::isa() == crate::isa::Isa::Avx512 {
        // SAFETY: the tier says that the CPU has AVX-512 F, BW and VBMI2.
        unsafe { bits_to_selection_avx512(words, out) };
        return;
    }
    bits_to_selection_scalar(words, out);
}

fn bits_to_selection_scalar(words: &[u64], out: &mut Vec<u16>) {
    for (word, &bits) in words.iter().enumerate() {
        let base = word * 64;
        let mut bits = bits;
        if bits == u64::MAX {
            out.extend((base..base + 64).map(|p| p as u16));
            continue;
        }
        while bits != 0 {
            out.push((base + bits.trailing_zeros() as usize) as u16);
            bits &= bits - 1;
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
fn bits_to_selection_avx512(words: &[u64], out: &mut Vec<u16>) {
    use std::arch::x86_64::*;
    const LANES: usize = 32;
    let iota: [u16; LANES] = std::array::from_fn(|i| i as u16);
    // SAFETY: `iota` is 64 bytes long and the load is unaligned.
    let iota = unsafe { _mm512_loadu_epi16(iota.as_ptr().cast()) };
    for (word, &bits) in words.iter().enumerate() {
        if bits == 0 {
            continue;
        }
        out.reserve(64 + LANES);
        for half in 0..2 {
            let mask = (bits >> (half * LANES)) as u32;
            let positions = _mm512_add_epi16(iota, _mm512_set1_epi16((word * 64 + half * LANES) as i16));
            let packed = _mm512_maskz_compress_epi16(mask, positions);
            let len = out.len();
            // SAFETY: `reserve` left room for a whole register past every length that this word can reach; the first
            // `count_ones` lanes are written values, so the new length covers initialized elements only.
            unsafe {
                _mm512_storeu_epi16(out.as_mut_ptr().add(len).cast(), packed);
                out.set_len(len + mask.count_ones() as usize);
            }
        }
    }
}

/// Bits set at `positions` (each < len), in ⌈len / 64⌉ words.
pub fn selection_to_bits(positions: &[u16], len: usize) -> Vec<u64> {
    let mut words = vec![0u64; len.div_ceil(64)];
    for &position in positions {
        words[position as usize / 64] |= 1 << (position % 64);
    }
    words
}

/// Positions of `positions` whose bit is set, appended to `out`.
pub fn filter_selection(positions: &[u16], words: &[u64], out: &mut Vec<u16>) {
    let start = out.len();
    out.resize(start + positions.len(), 0);
    let mut count = start;
    for &position in positions {
        out[count] = position;
        count += (words[position as usize / 64] >> (position % 64) & 1) as usize;
    }
    out.truncate(count);
}

/// Three-valued AND: `true` bits and valid bits of both sides → those of the result. `None` validity = no nulls.
pub fn and3(a: (&[u64], Option<&[u64]>), b: (&[u64], Option<&[u64]>)) -> (Vec<u64>, Option<Vec<u64>>) {
    let values = a.0.iter().zip(b.0).map(|(x, y)| x & y).collect();
    if a.1.is_none() && b.1.is_none() {
        return (values, None);
    }
    let valid = |side: Option<&[u64]>, i: usize| side.map_or(u64::MAX, |v| v[i]);
    // Known when both are known, or when one is a known false.
    let validity = (0..a.0.len())
        .map(|i| {
            let (va, vb) = (valid(a.1, i), valid(b.1, i));
            (va & vb) | (va & !a.0[i]) | (vb & !b.0[i])
        })
        .collect();
    (values, Some(validity))
}

/// Three-valued OR; see [`and3`]. Value bits under unknown operands must be zeroed by validity before use.
pub fn or3(a: (&[u64], Option<&[u64]>), b: (&[u64], Option<&[u64]>)) -> (Vec<u64>, Option<Vec<u64>>) {
    if a.1.is_none() && b.1.is_none() {
        return (a.0.iter().zip(b.0).map(|(x, y)| x | y).collect(), None);
    }
    let valid = |side: Option<&[u64]>, i: usize| side.map_or(u64::MAX, |v| v[i]);
    let (mut values, mut validity) = (Vec::with_capacity(a.0.len()), Vec::with_capacity(a.0.len()));
    for i in 0..a.0.len() {
        let (va, vb) = (valid(a.1, i), valid(b.1, i));
        let (ta, tb) = (a.0[i] & va, b.0[i] & vb);
        values.push(ta | tb);
        // Known when both are known, or when one is a known true.
        validity.push((va & vb) | ta | tb);
    }
    (values, Some(validity))
}

/// Whether the codes count up by one: a column of distinct values in the order of its dictionary.
pub fn is_sequence(codes: &[u32]) -> bool {
    match codes {
        [] => true,
        [first, .., last] if last.wrapping_sub(*first) as usize != codes.len() - 1 => false,
        _ => sequence_tiered(codes),
    }
}

crate::tiered! { fn sequence_tiered(codes: &[u32]) -> bool = sequence_body; }

#[inline(always)]
fn sequence_body(codes: &[u32]) -> bool {
    codes.chunks(256).zip((0u32..).step_by(256)).all(|(block, start)| {
        let first = codes[0].wrapping_add(start);
        block.iter().zip(0u32..).fold(0, |wrong, (&code, i)| wrong | code ^ first.wrapping_add(i)) == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(words: &[u64], len: usize) -> Vec<bool> {
        (0..len).map(|i| words[i / 64] >> (i % 64) & 1 == 1).collect()
    }

    #[test]
    fn floats_order_totally() {
        let values = [f64::NEG_INFINITY, -1.5, -0.0, 0.0, 1e-300, 2.0, f64::INFINITY, f64::NAN];
        for (i, a) in values.iter().enumerate() {
            for (j, b) in values.iter().enumerate() {
                let expected =
                    if (2..=3).contains(&i) && (2..=3).contains(&j) { std::cmp::Ordering::Equal } else { i.cmp(&j) };
                assert_eq!(a.key().cmp(&b.key()), expected, "{a} {b}");
                assert_eq!(
                    (*a as f32).key().cmp(&(*b as f32).key()),
                    if i == 4 || j == 4 { (*a as f32).key().cmp(&(*b as f32).key()) } else { expected }
                );
            }
        }
        assert_eq!((-f64::NAN).key(), f64::NAN.key());
    }

    proptest! {
        #[test]
        fn comparisons_agree_with_the_operator(left in prop::collection::vec(-5i32..5, 0..200), constant in -5i32..5) {
            let right: Vec<i32> = left.iter().rev().copied().collect();
            for (comparison, oracle) in [
                (Comparison::Equal, (|a, b| a == b) as fn(i32, i32) -> bool),
                (Comparison::NotEqual, |a, b| a != b),
                (Comparison::Less, |a, b| a < b),
                (Comparison::LessEqual, |a, b| a <= b),
                (Comparison::Greater, |a, b| a > b),
                (Comparison::GreaterEqual, |a, b| a >= b),
            ] {
                let (mut by_constant, mut by_column) = (vec![], vec![]);
                compare_constant(comparison, &left, constant, &mut by_constant);
                compare_columns(comparison, &left, &right, &mut by_column);
                prop_assert_eq!(bits(&by_constant, left.len()), left.iter().map(|&v| oracle(v, constant)).collect::<Vec<_>>());
                prop_assert_eq!(bits(&by_column, left.len()), left.iter().zip(&right).map(|(&a, &b)| oracle(a, b)).collect::<Vec<_>>());
            }
        }

        #[test]
        fn selections_and_bits_are_inverse(rows in prop::collection::vec(any::<bool>(), 0..300)) {
            let expected: Vec<u16> = rows.iter().enumerate().filter(|r| *r.1).map(|r| r.0 as u16).collect();
            let words = selection_to_bits(&expected, rows.len());
            let (mut selection, mut scalar) = (vec![], vec![]);
            bits_to_selection(&words, rows.len(), &mut selection);
            bits_to_selection_scalar(&words, &mut scalar);
            prop_assert_eq!(&selection, &expected);
            prop_assert_eq!(&scalar, &expected);
            let mut all = vec![];
            filter_selection(&(0..rows.len() as u16).collect::<Vec<_>>(), &words, &mut all);
            prop_assert_eq!(&all, &expected);
        }

        #[test]
        fn sequences_are_recognised(start in any::<u32>(), len in 0usize..700, broken in any::<prop::sample::Index>()) {
            let mut codes: Vec<u32> = (0..len as u32).map(|i| start.wrapping_add(i)).collect();
            prop_assert!(is_sequence(&codes));
            if len > 1 {
                let at = broken.index(len);
                codes[at] = codes[at].wrapping_add(1);
                prop_assert!(!is_sequence(&codes));
            }
        }

        #[test]
        fn logic_is_three_valued(rows in prop::collection::vec((0u8..3, 0u8..3), 1..130)) {
            let side = |pick: fn(&(u8, u8)) -> u8| {
                let mut values = vec![0u64; rows.len().div_ceil(64)];
                let mut valid = values.clone();
                for (i, row) in rows.iter().enumerate() {
                    values[i / 64] |= ((pick(row) == 1) as u64) << (i % 64);
                    valid[i / 64] |= ((pick(row) != 2) as u64) << (i % 64);
                }
                (values, valid)
            };
            let (a, b) = (side(|r| r.0), side(|r| r.1));
            let (and, and_valid) = and3((&a.0, Some(&a.1)), (&b.0, Some(&b.1)));
            let (or, or_valid) = or3((&a.0, Some(&a.1)), (&b.0, Some(&b.1)));
            let of = |v: &[u64], valid: &Option<Vec<u64>>, i: usize| match valid {
                Some(valid) if valid[i / 64] >> (i % 64) & 1 == 0 => None,
                _ => Some(v[i / 64] >> (i % 64) & 1 == 1),
            };
            for (i, &(x, y)) in rows.iter().enumerate() {
                let (x, y) = ([Some(false), Some(true), None][x as usize], [Some(false), Some(true), None][y as usize]);
                let expected_and = match (x, y) { (Some(false), _) | (_, Some(false)) => Some(false), (Some(true), Some(true)) => Some(true), _ => None };
                let expected_or = match (x, y) { (Some(true), _) | (_, Some(true)) => Some(true), (Some(false), Some(false)) => Some(false), _ => None };
                prop_assert_eq!(of(&and, &and_valid, i), expected_and);
                prop_assert_eq!(of(&or, &or_valid, i), expected_or);
            }
        }
    }
}
