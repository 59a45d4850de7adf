//! `kernels/src/gather.rs`: values at random positions.

use std::hint::black_box;

use arrow::array::{Int64Array, UInt32Array};
use arrow::compute::take;
use criterion::Criterion;
use plasmon_kernels::gather::gather;

use super::{SIZES, compare, numbers};

pub(super) fn bench(criterion: &mut Criterion) {
    const TAKEN: usize = 4096;
    for (size, rows) in SIZES {
        let values: Vec<i64> = (0..rows as i64).collect();
        let positions: Vec<u32> = numbers(TAKEN).map(|v| (v % rows as u64) as u32).collect();
        let (array, indices) = (Int64Array::from(values.clone()), UInt32Array::from(positions.clone()));
        let ours = || drop(black_box(gather(black_box(&values), &positions)));
        let arrow = || drop(black_box(take(black_box(&array), &indices, None)));
        compare(criterion, "gather", &format!("i64, {size}"), TAKEN, &ours, Some(&arrow));
    }
}
