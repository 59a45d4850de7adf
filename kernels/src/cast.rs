//! Numbers → narrower numbers, when all fit. Called by casts.
//!
//! One pass tests, one converts: both vectorize, and the caller goes the slow way (which words the error or makes nulls) only when a value does
//! not fit. Values at null rows count as well. Benchmarks: `benchmarks/benches/tiers/arithmetic.rs`.

use crate::arithmetic::map1;

/// A number type that others convert to, when they fit.
pub trait Target<A>: Copy {
    /// Whether `value`, cut to a whole number, is one of this type's.
    fn fits(value: A) -> bool;
    /// The conversion of a value that fits.
    fn of(value: A) -> Self;
}

macro_rules! integers {
    ($from:ty => $($to:ty),*) => { $(impl Target<$from> for $to {
        #[inline(always)]
        fn fits(value: $from) -> bool { <$to>::try_from(value).is_ok() }
        #[inline(always)]
        fn of(value: $from) -> $to { value as $to }
    })* };
}
macro_rules! all_integers {
    ($($from:ty),*) => { $(integers!($from => i8, i16, i32, i64, u8, u16, u32, u64);)* };
}
all_integers!(i8, i16, i32, i64, i128, u8, u16, u32, u64);

macro_rules! floats {
    ($($to:ty),*) => { $(impl Target<f64> for $to {
        // The bounds are exact floats: the first below the smallest value and the first above the greatest that do not fit.
        #[inline(always)]
        fn fits(value: f64) -> bool {
            const BEYOND: f64 = 2.0 * ((1u64 << (<$to>::BITS - 1 - (<$to>::MIN != 0) as u32)) as f64);
            let least = <$to>::MIN as f64;
            value < BEYOND && (value > least - 1.0 || value == least)
        }
        #[inline(always)]
        fn of(value: f64) -> $to { value as $to }
    })* };
}
floats!(i8, i16, i32, i64, u8, u16, u32, u64);

/// Every value as a `B`, or `None` when one does not fit.
pub fn convert_all<A: Copy, B: Target<A>>(values: &[A]) -> Option<Vec<B>> {
    all_fit::<A, B>(values).then(|| map1(values, B::of))
}

crate::tiered! { fn all_fit<A: Copy, B: Target<A>>(values: &[A]) -> bool = all_fit_body::<A, B>; }

#[inline(always)]
fn all_fit_body<A: Copy, B: Target<A>>(values: &[A]) -> bool {
    // Blocks without a branch inside, so that they vectorize, and an early end between them.
    values.chunks(1024).all(|block| block.iter().fold(true, |fit, &v| fit & B::fits(v)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{Sample, case, each_tier};
    use proptest::prelude::*;

    fn check<A: Sample, B: Target<A> + PartialEq + std::fmt::Debug>(values: &[A], oracle: impl Fn(A) -> Option<B>) {
        let expected: Option<Vec<B>> = values.iter().map(|&v| oracle(v)).collect();
        each_tier(|_| assert_eq!(convert_all::<A, B>(values), expected));
        for &value in values.iter().chain(A::EXTREMES) {
            assert_eq!(convert_all::<A, B>(&[value]), oracle(value).map(|v| vec![v]), "{value:?}");
        }
    }

    fn whole<B: TryFrom<i128>>(value: f64) -> Option<B> {
        (value.is_finite() && value.abs() < 1e30).then(|| value.trunc() as i128).and_then(|v| B::try_from(v).ok())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn conversions_agree(a in case::<i64>(), b in case::<i32>(), c in case::<u64>(), d in case::<i128>(), e in case::<f64>()) {
            check(a.values(), |v| i32::try_from(v).ok());
            check(a.values(), |v| u64::try_from(v).ok());
            check(a.values(), |v| i8::try_from(v).ok());
            check(b.values(), |v| i16::try_from(v).ok());
            check(b.values(), |v| i64::try_from(v).ok());
            check(b.values(), |v| u8::try_from(v).ok());
            check(c.values(), |v| i64::try_from(v).ok());
            check(c.values(), |v| u32::try_from(v).ok());
            check(d.values(), |v| i64::try_from(v).ok());
            check(d.values(), |v| u16::try_from(v).ok());
            check::<f64, i8>(e.values(), whole);
            check::<f64, i32>(e.values(), whole);
            check::<f64, i64>(e.values(), whole);
            check::<f64, u8>(e.values(), whole);
            check::<f64, u64>(e.values(), whole);
        }
    }
}
