//! Values → bits that tell whether each is wanted: dictionary codes by a table of bits, keys of a join by a bitmap or a range. Called by scans and
//! by predicates that are evaluated once per dictionary value.
//!
//! AVX-512 tests a register at a time: small tables stay in registers and are permuted, larger ones and bitmaps are gathered from memory, under a
//! mask of the lanes that lie inside. Other tiers do the same value by value, without branches.
//! Benchmarks: `benchmarks/benches/kernels`, group `membership`.

/// Bit `code` of `table` for each code (each < the table's bits) → bits appended to `out`: a predicate evaluated once per dictionary value.
pub fn lookup_bits(table: &[u64], codes: &[u32], out: &mut Vec<u64>) {
    #[cfg(target_arch = "x86_64")]
    if crate::isa::isa() == crate::isa::Isa::Avx512 {
        // SAFETY: the tier says that the CPU has AVX-512 F.
        match table.len() {
            0..=16 => return unsafe { lookup_bits_avx512::<1>(table, codes, out) },
            17..=32 => return unsafe { lookup_bits_avx512::<2>(table, codes, out) },
            33..=64 => return unsafe { lookup_bits_avx512::<4>(table, codes, out) },
            ..=GATHERED_WORDS_MAX => return unsafe { gather_bits_avx512(table, codes, out) },
            _ => {}
        }
    }
    lookup_tiered(table, codes, out);
}

/// Codes of larger tables might be negative as the signed indexes of a gather.
#[cfg(target_arch = "x86_64")]
const GATHERED_WORDS_MAX: usize = 1 << 24;

crate::tiered! { fn lookup_tiered(table: &[u64], codes: &[u32], out: &mut Vec<u64>) = lookup_bits_scalar; }

#[inline(always)]
fn lookup_bits_scalar(table: &[u64], codes: &[u32], out: &mut Vec<u64>) {
    for block in codes.chunks(64) {
        let mut word = 0;
        for (i, &code) in block.iter().enumerate() {
            word |= (table[code as usize / 64] >> (code % 64) & 1) << i;
        }
        out.push(word);
    }
}

/// Tests registers of `LANES` values, as many as fill whole words of bits; gives the values that are left.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn test_whole_words<'a, T, const LANES: usize>(
    values: &'a [T],
    test: impl Fn(&[T; LANES]) -> u64,
    out: &mut Vec<u64>,
) -> &'a [T] {
    let (blocks, tail) = values.as_chunks::<64>();
    out.reserve(blocks.len() + 1);
    for block in blocks {
        let (registers, _) = block.as_chunks::<LANES>();
        out.push(registers.iter().enumerate().fold(0, |bits, (i, register)| bits | test(register) << (i * LANES)));
    }
    tail
}

/// A table of up to `PAIRS` × 1,024 bits stays in registers: a two-register permutation finds a code's word, a shift its bit.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn lookup_bits_avx512<const PAIRS: usize>(table: &[u64], codes: &[u32], out: &mut Vec<u64>) {
    use std::arch::x86_64::*;
    assert!(table.len() <= PAIRS * 16);
    let load = |words: &[u64]| {
        let mut lanes = [0u64; 8];
        lanes[..words.len()].copy_from_slice(words);
        // SAFETY: `lanes` is 64 bytes long and the load is unaligned.
        unsafe { _mm512_loadu_epi64(lanes.as_ptr().cast()) }
    };
    let mut words = table.chunks(8);
    let pairs: [_; PAIRS] =
        std::array::from_fn(|_| (load(words.next().unwrap_or_default()), load(words.next().unwrap_or_default())));
    let lookup = |codes: &[u32; 16]| {
        // SAFETY: 16 codes are 64 bytes; the load is unaligned.
        let codes = unsafe { _mm512_loadu_epi32(codes.as_ptr().cast()) };
        let word = _mm512_srli_epi32::<5>(codes);
        let mut found = _mm512_permutex2var_epi32(pairs[0].0, word, pairs[0].1);
        for (pair, (low, high)) in pairs.iter().enumerate().skip(1) {
            let is_here = _mm512_cmpeq_epi32_mask(_mm512_srli_epi32::<10>(codes), _mm512_set1_epi32(pair as i32));
            found = _mm512_mask_blend_epi32(is_here, found, _mm512_permutex2var_epi32(*low, word, *high));
        }
        let bits = _mm512_srlv_epi32(found, _mm512_and_si512(codes, _mm512_set1_epi32(31)));
        u64::from(_mm512_test_epi32_mask(bits, _mm512_set1_epi32(1)))
    };
    let tail = test_whole_words(codes, lookup, out);
    lookup_bits_scalar(table, tail, out);
}

/// A larger table: 16 codes' words are gathered at once.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn gather_bits_avx512(table: &[u64], codes: &[u32], out: &mut Vec<u64>) {
    use std::arch::x86_64::*;
    assert!(table.len() <= GATHERED_WORDS_MAX);
    let end = _mm512_set1_epi32((table.len() * 64 - 1) as i32);
    let lookup = |codes: &[u32; 16]| {
        // SAFETY: 16 codes are 64 bytes; the load is unaligned.
        let codes = unsafe { _mm512_loadu_epi32(codes.as_ptr().cast()) };
        let is_inside = _mm512_cmple_epu32_mask(codes, end);
        let word = _mm512_srli_epi32::<5>(codes);
        let none = _mm512_setzero_si512();
        // SAFETY: lanes are read for codes below the table's bits only, whose 32-bit words lie in the table.
        let found = unsafe { _mm512_mask_i32gather_epi32::<4>(none, is_inside, word, table.as_ptr().cast()) };
        let bits = _mm512_srlv_epi32(found, _mm512_and_si512(codes, _mm512_set1_epi32(31)));
        u64::from(_mm512_test_epi32_mask(bits, _mm512_set1_epi32(1)))
    };
    let tail = test_whole_words(codes, lookup, out);
    lookup_bits_scalar(table, tail, out);
}

/// What a key can be stored as.
pub trait Key: Copy + Into<i64> {
    /// Eight keys, widened.
    #[cfg(target_arch = "x86_64")]
    #[doc(hidden)]
    fn load_eight(keys: &[Self; 8]) -> std::arch::x86_64::__m512i;
}

impl Key for i64 {
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn load_eight(keys: &[i64; 8]) -> std::arch::x86_64::__m512i {
        // SAFETY: both are 64 bytes of which all patterns are valid.
        unsafe { std::mem::transmute_copy(keys) }
    }
}

impl Key for i32 {
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn load_eight(keys: &[i32; 8]) -> std::arch::x86_64::__m512i {
        let wide = keys.map(i64::from);
        // SAFETY: both are 64 bytes of which all patterns are valid.
        unsafe { std::mem::transmute_copy(&wide) }
    }
}

/// Whether each value lies in `min..=min + span` and bit `value - min` of `bits` is set → bits appended to `out`: keys of a join.
pub fn bitmap_contains<T: Key>(bits: &[u64], min: i64, span: u64, values: &[T], out: &mut Vec<u64>) {
    assert!(span < bits.len() as u64 * 64, "a span of {span} in {} words", bits.len());
    #[cfg(target_arch = "x86_64")]
    if crate::isa::isa() == crate::isa::Isa::Avx512 {
        // SAFETY: the tier says that the CPU has AVX-512 F.
        return unsafe { contains_avx512(bits, min, span, values, out) };
    }
    contains_tiered(bits, min, span, values, out);
}

/// Whether each value lies in `min..=min + span` → bits appended to `out`.
pub fn range_contains<T: Key>(min: i64, span: u64, values: &[T], out: &mut Vec<u64>) {
    range_tiered(min, span, values, out);
}

crate::tiered! { fn contains_tiered<T: Key>(bits: &[u64], min: i64, span: u64, values: &[T], out: &mut Vec<u64>) = contains_body::<T>; }
crate::tiered! { fn range_tiered<T: Key>(min: i64, span: u64, values: &[T], out: &mut Vec<u64>) = range_body::<T>; }

#[inline(always)]
fn contains_body<T: Key>(bits: &[u64], min: i64, span: u64, values: &[T], out: &mut Vec<u64>) {
    for block in values.chunks(64) {
        let mut word = 0;
        for (i, &value) in block.iter().enumerate() {
            // Keys below the least wrap to huge offsets: one comparison checks both ends.
            let offset = value.into().wrapping_sub(min) as u64;
            let is_inside = offset <= span;
            let index = if is_inside { offset } else { 0 };
            word |= (bits[(index / 64) as usize] >> (index % 64) & u64::from(is_inside)) << i;
        }
        out.push(word);
    }
}

#[inline(always)]
fn range_body<T: Key>(min: i64, span: u64, values: &[T], out: &mut Vec<u64>) {
    for block in values.chunks(64) {
        let mut word = 0;
        for (i, &value) in block.iter().enumerate() {
            word |= u64::from(value.into().wrapping_sub(min) as u64 <= span) << i;
        }
        out.push(word);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn contains_avx512<T: Key>(bits: &[u64], min: i64, span: u64, values: &[T], out: &mut Vec<u64>) {
    use std::arch::x86_64::*;
    assert!(span < bits.len() as u64 * 64);
    let (least, last) = (_mm512_set1_epi64(min), _mm512_set1_epi64(span as i64));
    let contained = |keys: &[T; 8]| {
        let offset = _mm512_sub_epi64(T::load_eight(keys), least);
        let is_inside = _mm512_cmple_epu64_mask(offset, last);
        let (none, word) = (_mm512_setzero_si512(), _mm512_srli_epi64::<6>(offset));
        // SAFETY: lanes are read for offsets up to `span` only, whose words lie in `bits` by the assertion above.
        let found = unsafe { _mm512_mask_i64gather_epi64::<8>(none, is_inside, word, bits.as_ptr().cast()) };
        let bit = _mm512_srlv_epi64(found, _mm512_and_si512(offset, _mm512_set1_epi64(63)));
        u64::from(_mm512_test_epi64_mask(bit, _mm512_set1_epi64(1)))
    };
    let tail = test_whole_words(values, contained, out);
    contains_body(bits, min, span, tail, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{case, each_tier, mask};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn codes_are_looked_up(case in case::<u32>(), words in prop::sample::select(vec![1usize, 16, 17, 32, 33, 64, 65, 2000])) {
            let table: Vec<u64> = (0..words as u64).map(crate::hash::hash_word).collect();
            let codes: Vec<u32> = case.values().iter().map(|c| c % (words as u32 * 64)).collect();
            let expected = mask(codes.len(), |i| table[codes[i] as usize / 64] >> (codes[i] % 64) & 1 == 1);
            each_tier(|_| {
                let mut out = vec![9];
                lookup_bits(&table, &codes, &mut out);
                assert_eq!(out[1..], expected);
            });
        }

        #[test]
        fn keys_are_found_in_ranges_and_bitmaps(
            wide in case::<i64>(),
            narrow in case::<i32>(),
            min in prop::sample::select(vec![i64::MIN, -100, 0, 7, i64::MAX - 200]),
            words in prop::collection::vec(any::<u64>(), 1..40),
        ) {
            let span = (words.len() * 64 - 1).min(i64::MAX.wrapping_sub(min) as u64 as usize) as u64;
            let inside = |key: i64| key >= min && key <= min.wrapping_add(span as i64);
            let set = |key: i64| words[key.wrapping_sub(min) as usize / 64] >> (key.wrapping_sub(min) % 64) & 1 == 1;
            // Half of the keys near the range.
            let keys: Vec<i64> = wide.values().iter().enumerate()
                .map(|(i, &v)| if i % 2 == 0 { v } else { min.wrapping_add(v % (span as i64 + 100)) }).collect();
            each_tier(|_| {
                let (mut range, mut bitmap) = (vec![], vec![]);
                range_contains(min, span, &keys, &mut range);
                bitmap_contains(&words, min, span, &keys, &mut bitmap);
                assert_eq!(range, mask(keys.len(), |i| inside(keys[i])));
                assert_eq!(bitmap, mask(keys.len(), |i| inside(keys[i]) && set(keys[i])));
                let (mut range, mut bitmap) = (vec![], vec![]);
                range_contains(min, span, narrow.values(), &mut range);
                bitmap_contains(&words, min, span, narrow.values(), &mut bitmap);
                let key = |i: usize| i64::from(narrow.values()[i]);
                assert_eq!(range, mask(narrow.values().len(), |i| inside(key(i))));
                assert_eq!(bitmap, mask(narrow.values().len(), |i| inside(key(i)) && set(key(i))));
            });
        }
    }
}
