//! The dispatched kernels of movement, comparison and arithmetic against plain code, on every tier: see [`crate::oracle`].

use std::cmp::Ordering;

use proptest::prelude::*;

use crate::arithmetic::{Side, map1, map2, map2_checked, min_max_i64};
use crate::gather::gather;
use crate::hash::{HashValue, combine, combine_values, hash_values};
use crate::like::find;
use crate::oracle::{Case, Sample, case, each_tier, mask};
use crate::select::{
    Comparison, Ordered, and3, bits_to_selection, compare_columns, compare_constant, filter_selection, or3,
    selection_to_bits,
};

const COMPARISONS: [(Comparison, fn(Ordering) -> bool); 6] = [
    (Comparison::Equal, Ordering::is_eq),
    (Comparison::NotEqual, Ordering::is_ne),
    (Comparison::Less, Ordering::is_lt),
    (Comparison::LessEqual, Ordering::is_le),
    (Comparison::Greater, Ordering::is_gt),
    (Comparison::GreaterEqual, Ordering::is_ge),
];

/// Comparison with a constant and with another column, for one type and its plain order.
fn comparisons<T: Sample + Ordered>(case: &Case<T>, order: impl Fn(T, T) -> Ordering) {
    let values = case.values();
    let reversed: Vec<T> = values.iter().rev().copied().collect();
    for (comparison, holds) in COMPARISONS {
        let constants = T::EXTREMES.iter().copied().take(4).chain(values.first().copied());
        for constant in constants {
            let expected = mask(values.len(), |row| holds(order(values[row], constant)));
            each_tier(|_| {
                let mut words = vec![];
                compare_constant(comparison, values, constant, &mut words);
                assert_eq!(words, expected, "{comparison:?} {constant:?}");
            });
        }
        let expected = mask(values.len(), |row| holds(order(values[row], reversed[row])));
        each_tier(|_| {
            let mut words = vec![];
            compare_columns(comparison, values, &reversed, &mut words);
            assert_eq!(words, expected, "{comparison:?} of columns");
        });
    }
}

/// SQL's order of floats, written out.
fn float_order(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => a.partial_cmp(&b).unwrap(),
    }
}

fn arithmetic<T: Sample + PartialEq>(
    case: &Case<T>,
    wrapping: impl Fn(T, T) -> T + Copy,
    overflowing: impl Fn(T, T) -> (T, bool) + Copy,
) {
    let left = case.values();
    let right: Vec<T> = left.iter().rev().copied().collect();
    let (rows, constant) = (left.len(), T::EXTREMES[2]);
    let expect =
        |l: &dyn Fn(usize) -> T, r: &dyn Fn(usize) -> T| (0..rows).map(|i| wrapping(l(i), r(i))).collect::<Vec<T>>();
    let (column, other, same) = (|i: usize| left[i], |i: usize| right[i], |_: usize| constant);
    let overflows = (0..rows).any(|i| overflowing(left[i], right[i]).1);
    each_tier(|_| {
        assert_eq!(map2(Side::Slice(left), Side::Slice(&right), rows, wrapping), expect(&column, &other));
        assert_eq!(map2(Side::Slice(left), Side::Constant(constant), rows, wrapping), expect(&column, &same));
        assert_eq!(map2(Side::Constant(constant), Side::Slice(left), rows, wrapping), expect(&same, &column));
        let (values, overflow) = map2_checked(Side::Slice(left), Side::Slice(&right), rows, overflowing);
        assert_eq!((values, overflow), (expect(&column, &other), overflows));
        assert_eq!(map1(left, |v| wrapping(v, constant)), expect(&column, &same));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn narrow_integers_compare(a in case::<i8>(), b in case::<u8>(), c in case::<i16>(), d in case::<u16>()) {
        comparisons(&a, |x, y| x.cmp(&y));
        comparisons(&b, |x, y| x.cmp(&y));
        comparisons(&c, |x, y| x.cmp(&y));
        comparisons(&d, |x, y| x.cmp(&y));
    }

    #[test]
    fn wide_integers_compare(a in case::<i32>(), b in case::<u32>(), c in case::<i64>(), d in case::<u64>(), e in case::<i128>()) {
        comparisons(&a, |x, y| x.cmp(&y));
        comparisons(&b, |x, y| x.cmp(&y));
        comparisons(&c, |x, y| x.cmp(&y));
        comparisons(&d, |x, y| x.cmp(&y));
        comparisons(&e, |x, y| x.cmp(&y));
    }

    #[test]
    fn floats_compare(a in case::<f64>(), b in case::<f32>()) {
        comparisons(&a, float_order);
        comparisons(&b, |x, y| float_order(x as f64, y as f64));
    }

    #[test]
    fn integers_compute(a in case::<i8>(), b in case::<i32>(), c in case::<i64>(), d in case::<i128>(), e in case::<u64>()) {
        arithmetic(&a, i8::wrapping_add, i8::overflowing_add);
        arithmetic(&b, i32::wrapping_mul, i32::overflowing_mul);
        arithmetic(&c, i64::wrapping_sub, i64::overflowing_sub);
        arithmetic(&c, i64::wrapping_mul, i64::overflowing_mul);
        arithmetic(&d, i128::wrapping_add, i128::overflowing_add);
        arithmetic(&d, i128::wrapping_mul, i128::overflowing_mul);
        arithmetic(&e, u64::wrapping_sub, u64::overflowing_sub);
        let bounds = (c.values().iter().copied().min().unwrap_or(i64::MAX), c.values().iter().copied().max().unwrap_or(i64::MIN));
        each_tier(|_| assert_eq!(min_max_i64(c.values()), bounds));
    }

    #[test]
    fn floats_compute(a in case::<f64>()) {
        let right: Vec<f64> = a.values().iter().rev().copied().collect();
        let rows = right.len();
        let bits = |v: Vec<f64>| v.into_iter().map(|x| if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() }).collect::<Vec<_>>();
        for f in [|x: f64, y: f64| x + y, |x, y| x * y, |x, y| x - y, |x, y| x / y] as [fn(f64, f64) -> f64; 4] {
            let expected = bits((0..rows).map(|i| f(a.values()[i], right[i])).collect());
            each_tier(|_| assert_eq!(bits(map2(Side::Slice(a.values()), Side::Slice(&right), rows, f)), expected));
        }
    }

    #[test]
    fn selections_and_bits(case in case::<i64>()) {
        let rows = case.values().len();
        let expected: Vec<u16> = (0..rows as u16).filter(|&row| case.counts(row as usize)).collect();
        let words = mask(rows, |row| case.counts(row));
        let valid = case.validity.clone().unwrap_or_else(|| mask(rows, |_| true));
        let selected: Vec<u16> = case.selection.clone().unwrap_or_else(|| (0..rows as u16).collect());
        each_tier(|_| {
            let (mut found, mut filtered) = (vec![], vec![]);
            bits_to_selection(&words, rows, &mut found);
            assert_eq!(found, expected);
            assert_eq!(selection_to_bits(&expected, rows), words);
            filter_selection(&selected, &valid, &mut filtered);
            assert_eq!(filtered, expected);
        });
    }

    #[test]
    fn logic(a in case::<u8>(), seed in any::<u64>()) {
        let rows = a.values().len();
        let bit = |row: usize, shift: u32| (a.values()[row] as u64).wrapping_mul(seed | 1) >> shift & 1 == 1;
        let of = |shift: u32| (mask(rows, |r| bit(r, shift)), mask(rows, |r| bit(r, shift + 7)));
        let ((left, left_valid), (right, right_valid)) = (of(11), of(23));
        let truth = |values: &[u64], valid: &[u64], row: usize| (valid[row / 64] >> (row % 64) & 1 == 1).then(|| values[row / 64] >> (row % 64) & 1 == 1);
        each_tier(|_| {
            let (and, and_valid) = and3((&left, Some(&left_valid)), (&right, Some(&right_valid)));
            let (or, or_valid) = or3((&left, Some(&left_valid)), (&right, Some(&right_valid)));
            for row in 0..rows {
                let (x, y) = (truth(&left, &left_valid, row), truth(&right, &right_valid, row));
                let both = if x == Some(false) || y == Some(false) { Some(false) } else { x.zip(y).map(|_| true) };
                let either = if x == Some(true) || y == Some(true) { Some(true) } else { x.zip(y).map(|_| false) };
                assert_eq!(truth(&and, and_valid.as_deref().unwrap_or(&[]), row), both);
                assert_eq!(truth(&or, or_valid.as_deref().unwrap_or(&[]), row), either);
            }
        });
    }

    #[test]
    fn gathers(a in case::<i32>(), b in case::<i128>(), picks in prop::collection::vec(any::<u32>(), 0..200)) {
        fn check<T: Copy + PartialEq + std::fmt::Debug>(values: &[T], picks: &[u32]) {
            let positions: Vec<u32> = picks.iter().map(|p| p % values.len().max(1) as u32).take(if values.is_empty() { 0 } else { usize::MAX }).collect();
            let short: Vec<u16> = positions.iter().map(|&p| p as u16).collect();
            let expected: Vec<T> = positions.iter().map(|&p| values[p as usize]).collect();
            each_tier(|_| {
                assert_eq!(gather(values, &positions), expected);
                assert_eq!(gather(values, &short), expected);
            });
        }
        check(a.values(), &picks);
        check(b.values(), &picks);
    }

    #[test]
    fn hashes(a in case::<i64>(), b in case::<i128>(), c in case::<f64>()) {
        fn check<T: HashValue>(values: &[T]) {
            let expected: Vec<u64> = values.iter().map(|v| v.hash_value()).collect();
            let combined: Vec<u64> = expected.iter().map(|&h| combine(h, h)).collect();
            each_tier(|_| {
                let mut hashes = vec![0; values.len()];
                hash_values(values, &mut hashes);
                assert_eq!(hashes, expected);
                combine_values(values, &mut hashes);
                assert_eq!(hashes, combined);
            });
        }
        check(a.values());
        check(b.values());
        check(c.values());
    }

    #[test]
    fn searches(haystack in "[ab]{0,200}", needle in "[ab]{0,9}") {
        each_tier(|_| assert_eq!(find(haystack.as_bytes(), needle.as_bytes()), haystack.find(&needle)));
    }
}
