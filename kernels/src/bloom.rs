//! Bloom filter in which a key's bits all lie in one word: keys → words, values → bits that tell whether each may be among the keys.
//!
//! Made by a join's build side for scans of the probe side, when its keys are too far apart for an exact bitmap. One cache miss a value; about one
//! in fifty values that are no key passes. Source: Lang et al., "Performance-Optimal Filtering", VLDB 2019 (register-blocked filters).
//! Benchmark: `bloom` of `benchmarks/benches/kernels`.

use crate::hash::hash_word;

/// Words for each four keys or fewer: 16 to 32 bits a key.
const KEYS_PER_WORD: usize = 4;

/// An empty filter for that many keys.
pub fn bloom_words(keys: usize) -> Vec<u64> {
    vec![0; bloom_word_count(keys)]
}

/// Words of a filter of so many keys.
pub fn bloom_word_count(keys: usize) -> usize {
    keys.div_ceil(KEYS_PER_WORD).next_power_of_two()
}

/// Makes a filter that holds `keys` keys as small as [`bloom_words`] would have made it, if it is larger: halves are laid over each other. It stays a superset.
pub fn bloom_shrink(words: &mut Vec<u64>, keys: usize) {
    while words.len() > 1 && words.len() / 2 >= keys.div_ceil(KEYS_PER_WORD) {
        let upper = words.split_off(words.len() / 2);
        words.iter_mut().zip(upper).for_each(|(word, upper)| *word |= upper);
    }
    words.shrink_to_fit();
}

/// Adds a key to a filter of [`bloom_words`].
#[inline(always)]
pub fn bloom_insert(words: &mut [u64], key: i64) {
    let hash = hash_word(key as u64);
    words[word_of(hash, words.len())] |= bits_of(hash);
}

/// Whether a key may be in the filter; always for one that was added.
#[inline(always)]
pub fn bloom_may_contain(words: &[u64], key: i64) -> bool {
    let hash = hash_word(key as u64);
    words[word_of(hash, words.len())] & bits_of(hash) == bits_of(hash)
}

/// Integers of up to 64 bits with a sign.
pub trait Key: Copy + Into<i64> {}
impl<T: Copy + Into<i64>> Key for T {}

/// [`bloom_may_contain`] of each value within `min..=min + span`, false outside; bits appended to `out`.
pub fn bloom_contains<T: Key>(words: &[u64], min: i64, span: u64, values: &[T], out: &mut Vec<u64>) {
    contains_tiered(words, min, span, values, out);
}

crate::tiered! { fn contains_tiered<T: Key>(words: &[u64], min: i64, span: u64, values: &[T], out: &mut Vec<u64>) = contains_body::<T>; }

#[inline(always)]
fn contains_body<T: Key>(words: &[u64], min: i64, span: u64, values: &[T], out: &mut Vec<u64>) {
    for block in values.chunks(64) {
        out.push(block.iter().enumerate().fold(0, |bits, (index, &value)| {
            let value: i64 = value.into();
            let is_in = (value.wrapping_sub(min) as u64 <= span) & bloom_may_contain(words, value);
            bits | u64::from(is_in) << index
        }));
    }
}

/// `count` is a power of two.
#[inline(always)]
fn word_of(hash: u64, count: usize) -> usize {
    hash as u32 as usize & (count - 1)
}

/// Four bits, of which some may be the same.
#[inline(always)]
fn bits_of(hash: u64) -> u64 {
    let bit = |index: u32| 1u64 << (hash >> (32 + 6 * index) & 63);
    bit(0) | bit(1) | bit(2) | bit(3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_are_found_and_what_is_outside_is_not(keys in prop::collection::vec(any::<i64>(), 1..200), others in prop::collection::vec(any::<i64>(), 0..200)) {
            let mut words = bloom_words(keys.len());
            keys.iter().for_each(|&key| bloom_insert(&mut words, key));
            prop_assert!(keys.iter().all(|&key| bloom_may_contain(&words, key)));
            let (min, max) = (keys[0].min(keys[keys.len() / 2]), keys[0].max(keys[keys.len() / 2]));
            let values: Vec<i64> = keys.iter().chain(&others).copied().collect();
            for tier in crate::isa::tiers() {
                let mut out = vec![];
                crate::isa::with_tier(tier, || bloom_contains(&words, min, max.wrapping_sub(min) as u64, &values, &mut out));
                for (row, &value) in values.iter().enumerate() {
                    let expected = value >= min && value <= max && bloom_may_contain(&words, value);
                    prop_assert_eq!(out[row / 64] >> (row % 64) & 1 == 1, expected);
                }
                prop_assert_eq!(out.len(), values.len().div_ceil(64));
            }
        }
    }

    proptest! {
        #[test]
        fn a_filter_made_smaller_is_the_small_one(keys in prop::collection::vec(any::<i64>(), 1..200), doublings in 0..6u32) {
            let (mut small, mut large) = (bloom_words(keys.len()), bloom_words(keys.len()));
            large.resize(small.len() << doublings, 0);
            for &key in &keys {
                bloom_insert(&mut small, key);
                bloom_insert(&mut large, key);
            }
            bloom_shrink(&mut large, keys.len());
            prop_assert_eq!(large, small);
        }
    }

    #[test]
    fn few_others_pass() {
        let mut words = bloom_words(100_000);
        (0..100_000).for_each(|key| bloom_insert(&mut words, key * 1_000_003));
        let passed = (0..100_000).filter(|&key| bloom_may_contain(&words, key * 1_000_003 + 1)).count();
        assert!(passed < 3_000, "{passed} of 100,000 pass");
    }
}
