//! The one runner that holds every tier of every kernel against plain code: shapes of input that break vector loops, and each tier forced in turn.
//!
//! A test draws a [`Case`] (or several) with [`case`], computes the answer in the plainest way, and hands a closure to [`each_tier`].
//! Lengths cluster around lane counts and words, values around what breaks arithmetic, validity and selections are none, all, sparse or mixed,
//! and half of all slices start one element past an aligned allocation.

use proptest::prelude::*;

use crate::isa::{Isa, tiers, with_tier};

/// Runs `test` once per usable tier; its panics name the tier.
pub(crate) fn each_tier(test: impl Fn(Isa)) {
    for tier in tiers() {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| with_tier(tier, || test(tier))));
        if let Err(cause) = result {
            eprintln!("tier {tier:?} failed");
            std::panic::resume_unwind(cause);
        }
    }
}

/// A value type with its troublemakers.
pub(crate) trait Sample: Copy + std::fmt::Debug + Default + 'static {
    /// Values that break arithmetic and comparisons.
    const EXTREMES: &'static [Self];
    /// A value from random bits.
    fn of(bits: u64) -> Self;
}

macro_rules! integers {
    ($($type:ty),*) => { $(impl Sample for $type {
        const EXTREMES: &'static [Self] = &[0, 1, <$type>::MIN, <$type>::MAX, <$type>::MAX - 1, <$type>::MIN + 1, (0 as $type).wrapping_sub(1), 7];
        fn of(bits: u64) -> Self { bits as $type }
    })* };
}
integers!(i8, i16, i32, i64, i128, u8, u16, u32, u64);

impl Sample for f64 {
    const EXTREMES: &'static [Self] = &[
        0.0,
        -0.0,
        f64::NAN,
        -f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN,
        f64::MAX,
        f64::MIN_POSITIVE,
        9.223372036854775807e18,
        -9.223372036854775808e18,
        2147483647.5,
        0.5,
        -0.5,
        2.5,
    ];
    fn of(bits: u64) -> Self {
        (bits as i64 >> 20) as f64 / 1024.0
    }
}

impl Sample for f32 {
    const EXTREMES: &'static [Self] =
        &[0.0, -0.0, f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MIN, f32::MAX, 0.5, -1.5];
    fn of(bits: u64) -> Self {
        (bits as i32 >> 8) as f32 / 64.0
    }
}

/// One input of a kernel.
#[derive(Debug, Clone)]
pub(crate) struct Case<T> {
    storage: Vec<T>,
    offset: usize,
    /// Validity bits; `None` = no nulls.
    pub(crate) validity: Option<Vec<u64>>,
    /// Selected positions; `None` = all.
    pub(crate) selection: Option<Vec<u16>>,
}

impl<T> Case<T> {
    /// The values, aligned or not.
    pub(crate) fn values(&self) -> &[T] {
        &self.storage[self.offset..]
    }

    /// Whether a row counts: valid and selected.
    pub(crate) fn counts(&self, row: usize) -> bool {
        self.validity.as_ref().is_none_or(|v| v[row / 64] >> (row % 64) & 1 == 1)
            && self.selection.as_ref().is_none_or(|s| s.binary_search(&(row as u16)).is_ok())
    }
}

/// Lengths around lane counts, words and blocks.
pub(crate) fn length() -> impl Strategy<Value = usize> {
    let edges =
        [0usize, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1023, 4097];
    prop_oneof![3 => proptest::sample::select(edges.to_vec()), 1 => 0usize..700]
}

/// A case of any shape.
pub(crate) fn case<T: Sample>() -> impl Strategy<Value = Case<T>> {
    (length(), any::<u64>(), 0usize..2, 0u8..4, 0u8..4, 0u8..3).prop_map(
        |(len, seed, offset, nulls, selected, extremes)| {
            let mut state = seed;
            // SplitMix64: shapes are chosen by proptest, the many values by one seed, so that cases stay cheap to draw and to shrink.
            let mut next = move || {
                state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
                let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                mixed ^ (mixed >> 31)
            };
            let storage = (0..len + offset)
                .map(|_| {
                    let bits = next();
                    match extremes {
                        0 => T::of(bits % 100),
                        1 if bits % 5 == 0 => T::EXTREMES[(bits >> 8) as usize % T::EXTREMES.len()],
                        _ => T::of(bits),
                    }
                })
                .collect();
            let validity = match nulls {
                0 => None,
                1 => Some(mask(len, |_| false)),
                2 => Some(mask(len, |_| next() % 8 != 0)),
                _ => Some(mask(len, |_| next() % 2 == 0)),
            };
            let selection = match selected {
                0 => None,
                1 => Some(Vec::new()),
                2 => Some((0..len as u16).filter(|_| next() % 16 == 0).collect()),
                _ => Some((0..len as u16).filter(|_| next() % 2 == 0).collect()),
            };
            Case { storage, offset, validity, selection }
        },
    )
}

/// Bits of a predicate over rows.
pub(crate) fn mask(len: usize, mut bit: impl FnMut(usize) -> bool) -> Vec<u64> {
    let mut words = vec![0u64; len.div_ceil(64)];
    (0..len).for_each(|row| words[row / 64] |= (bit(row) as u64) << (row % 64));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tier_is_forced() {
        let seen = std::cell::RefCell::new(Vec::new());
        each_tier(|tier| {
            assert_eq!(crate::isa::isa(), tier);
            seen.borrow_mut().push(tier);
        });
        assert_eq!(seen.into_inner(), tiers().collect::<Vec<_>>());
    }
}
