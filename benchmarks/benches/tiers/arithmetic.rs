//! `kernels/src/arithmetic.rs`: element-wise operations and bounds.

use std::hint::black_box;

use arrow::array::{Float64Array, Int64Array};
use arrow::compute::kernels::numeric::{add, add_wrapping, mul};
use criterion::Criterion;
use plasmon_kernels::arithmetic::{Side, map2, map2_checked, min_max_i64};

use super::{SIZES, compare, numbers};

pub(super) fn bench(criterion: &mut Criterion) {
    for (size, rows) in SIZES {
        let values: Vec<i64> = numbers(rows).map(|v| (v >> 40) as i64).collect();
        let floats: Vec<f64> = values.iter().map(|&v| v as f64).collect();
        let (integers, doubles) = (Int64Array::from(values.clone()), Float64Array::from(floats.clone()));
        let side = Side::Slice(&values[..]);
        let ours = || drop(black_box(map2(black_box(side), side, rows, i64::wrapping_add)));
        let arrow = || drop(black_box(add_wrapping(black_box(&integers), &integers)));
        compare(criterion, "arithmetic", &format!("i64 + i64 wrapping, {size}"), rows, &ours, Some(&arrow));
        let ours = || drop(black_box(map2_checked(black_box(side), side, rows, i64::overflowing_add)));
        let arrow = || drop(black_box(add(black_box(&integers), &integers)));
        compare(criterion, "arithmetic", &format!("i64 + i64 checked, {size}"), rows, &ours, Some(&arrow));
        let ours = || drop(black_box(map2(black_box(side), side, rows, i64::wrapping_mul)));
        compare(criterion, "arithmetic", &format!("i64 × i64 wrapping, {size}"), rows, &ours, None);
        let side = Side::Slice(&floats[..]);
        let ours = || drop(black_box(map2(black_box(side), side, rows, |a, b| a * b)));
        let arrow = || drop(black_box(mul(black_box(&doubles), &doubles)));
        compare(criterion, "arithmetic", &format!("f64 × f64, {size}"), rows, &ours, Some(&arrow));
        let ours = || {
            black_box(min_max_i64(black_box(&values)));
        };
        compare(criterion, "arithmetic", &format!("bounds of i64, {size}"), rows, &ours, None);
    }
}
