//! Texts against a constant or each other → bits. Called by comparisons.
//!
//! Equality of a short constant is equality of views, 16 bytes at a time in vector lanes: inline views are padded with zeros. A long constant is
//! first compared by length and prefix. Order is byte order, by the 4-byte prefix first. Benchmarks: `benchmarks/benches/text.rs`.

use std::cmp::Ordering;

use super::{INLINE_BYTES, Texts, make_view, value_of};
use crate::select::Comparison;

/// `texts[i] comparison constant`.
pub fn compare_constant(comparison: Comparison, texts: Texts<'_>, constant: &[u8]) -> Vec<u64> {
    let key = make_view(constant, 0, 0);
    let mut out = Vec::with_capacity(texts.len().div_ceil(64));
    match comparison {
        Comparison::Equal | Comparison::NotEqual => {
            let flip = if comparison == Comparison::NotEqual { u64::MAX } else { 0 };
            if constant.len() <= INLINE_BYTES {
                equal_words(texts.views, key, flip, &mut out);
            } else {
                let head = key as u64;
                let equal = |view: &u128| *view as u64 == head && value_of(view, texts.buffers) == constant;
                blocks(texts.views, flip, equal, &mut out);
            }
        }
        _ => {
            let prefix = ordered_prefix(key);
            let order = |view: &u128| match ordered_prefix(*view).cmp(&prefix) {
                Ordering::Equal => value_of(view, texts.buffers).cmp(constant),
                decided => decided,
            };
            match comparison {
                Comparison::Less => blocks(texts.views, 0, |v| order(v).is_lt(), &mut out),
                Comparison::LessEqual => blocks(texts.views, 0, |v| order(v).is_le(), &mut out),
                Comparison::Greater => blocks(texts.views, 0, |v| order(v).is_gt(), &mut out),
                _ => blocks(texts.views, 0, |v| order(v).is_ge(), &mut out),
            }
        }
    }
    clear_tail(&mut out, texts.len());
    out
}

/// `left[i] comparison right[i]`.
pub fn compare_columns(comparison: Comparison, left: Texts<'_>, right: Texts<'_>) -> Vec<u64> {
    assert_eq!(left.len(), right.len());
    let order = |row: usize| {
        let (a, b) = (left.views[row], right.views[row]);
        match ordered_prefix(a).cmp(&ordered_prefix(b)) {
            Ordering::Equal => left.value(row).cmp(right.value(row)),
            decided => decided,
        }
    };
    let equal = |row: usize| {
        let (a, b) = (left.views[row], right.views[row]);
        a as u64 == b as u64
            && if a as u32 as usize <= INLINE_BYTES { a == b } else { left.value(row) == right.value(row) }
    };
    match comparison {
        Comparison::Equal => bits(left.len(), equal),
        Comparison::NotEqual => bits(left.len(), |row| !equal(row)),
        Comparison::Less => bits(left.len(), |row| order(row).is_lt()),
        Comparison::LessEqual => bits(left.len(), |row| order(row).is_le()),
        Comparison::Greater => bits(left.len(), |row| order(row).is_gt()),
        Comparison::GreaterEqual => bits(left.len(), |row| order(row).is_ge()),
    }
}

/// The first four bytes as a number in byte order. Inline views are padded with zero bytes, so unequal prefixes decide.
#[inline(always)]
fn ordered_prefix(view: u128) -> u32 {
    ((view >> 32) as u32).swap_bytes()
}

#[inline(always)]
fn bits(rows: usize, test: impl Fn(usize) -> bool) -> Vec<u64> {
    (0..rows.div_ceil(64))
        .map(|word| (word * 64..rows.min(word * 64 + 64)).fold(0, |bits, row| bits | (test(row) as u64) << (row % 64)))
        .collect()
}

#[inline(always)]
fn blocks(views: &[u128], flip: u64, test: impl Fn(&u128) -> bool, out: &mut Vec<u64>) {
    out.extend(
        views
            .chunks(64)
            .map(|block| flip ^ block.iter().enumerate().fold(0, |bits, (i, view)| bits | (test(view) as u64) << i)),
    );
}

fn clear_tail(words: &mut [u64], len: usize) {
    if len % 64 != 0
        && let Some(last) = words.last_mut()
    {
        *last &= (1 << (len % 64)) - 1;
    }
}

fn equal_words(views: &[u128], key: u128, flip: u64, out: &mut Vec<u64>) {
    let (low, high) = (key as u64, (key >> 64) as u64);
    blocks(views, flip, |&view| ((view as u64 ^ low) | ((view >> 64) as u64 ^ high)) == 0, out);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Owned, texts};
    use super::*;
    use crate::oracle::{each_tier, mask};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn comparisons_agree(owned in texts(), other in "[ a-c]{0,15}", pick in any::<prop::sample::Index>()) {
            let constants = [other, owned.values.get(pick.index(owned.values.len().max(1))).cloned().unwrap_or_default()];
            let mut reversed = owned.values.clone();
            reversed.reverse();
            let right = Owned::new(reversed);
            for (comparison, holds) in [
                (Comparison::Equal, (|o: Ordering| o.is_eq()) as fn(Ordering) -> bool),
                (Comparison::NotEqual, |o| o.is_ne()),
                (Comparison::Less, |o| o.is_lt()),
                (Comparison::LessEqual, |o| o.is_le()),
                (Comparison::Greater, |o| o.is_gt()),
                (Comparison::GreaterEqual, |o| o.is_ge()),
            ] {
                owned.with(|t| each_tier(|_| {
                    for constant in &constants {
                        let expected = mask(t.len(), |row| holds(owned.values[row].as_bytes().cmp(constant.as_bytes())));
                        assert_eq!(compare_constant(comparison, t, constant.as_bytes()), expected);
                    }
                    let expected = mask(t.len(), |row| holds(owned.values[row].as_bytes().cmp(right.values[row].as_bytes())));
                    right.with(|r| assert_eq!(compare_columns(comparison, t, r), expected));
                }));
            }
        }
    }
}
