//! `kernels/src/select.rs`: comparisons to bits, bits to positions.

use std::hint::black_box;

use arrow::array::{Int32Array, Int64Array, Scalar};
use arrow::compute::kernels::cmp::lt;
use criterion::Criterion;
use plasmon_kernels::select::{Comparison, bits_to_selection, compare_constant};

use super::{SIZES, compare, numbers};

pub(super) fn bench(criterion: &mut Criterion) {
    for (size, rows) in SIZES {
        let wide: Vec<i64> = numbers(rows).map(|v| (v % 100) as i64).collect();
        let array = Int64Array::from(wide.clone());
        let constant = Scalar::new(Int64Array::from(vec![50]));
        let ours = || {
            let mut words = Vec::with_capacity(rows / 64 + 1);
            compare_constant(Comparison::Less, black_box(&wide), 50, &mut words);
            black_box(words);
        };
        let arrow = || drop(black_box(lt(black_box(&array), &constant)));
        compare(criterion, "select", &format!("i64 < constant, {size}"), rows, &ours, Some(&arrow));
        let narrow: Vec<i32> = wide.iter().map(|&v| v as i32).collect();
        let array = Int32Array::from(narrow.clone());
        let constant = Scalar::new(Int32Array::from(vec![50]));
        let ours = || {
            let mut words = Vec::with_capacity(rows / 64 + 1);
            compare_constant(Comparison::Less, black_box(&narrow), 50, &mut words);
            black_box(words);
        };
        let arrow = || drop(black_box(lt(black_box(&array), &constant)));
        compare(criterion, "select", &format!("i32 < constant, {size}"), rows, &ours, Some(&arrow));
    }
    const BATCH: usize = 32 << 10;
    for one_in in [2, 20] {
        let hashed: Vec<u64> = numbers(BATCH).collect();
        let word = |part: &[u64]| part.iter().enumerate().fold(0, |b, (i, v)| b | u64::from(v % one_in == 0) << i);
        let bits: Vec<u64> = hashed.chunks(64).map(word).collect();
        let ours = || {
            let mut positions = Vec::with_capacity(BATCH + 64);
            bits_to_selection(black_box(&bits), BATCH, &mut positions);
            black_box(positions);
        };
        compare(criterion, "select", &format!("bits to selection, 1 of {one_in}"), BATCH, &ours, None);
    }
}
