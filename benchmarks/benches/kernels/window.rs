//! `kernels/src/window`: window functions over sorted rows.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group};
use plasmon_kernels::window::axis::shift_time;
use plasmon_kernels::window::fold::{
    FloatSum, count_in_frames, extreme_in_frames, first_occurrences, fold_frames, sum_in_frames,
};
use plasmon_kernels::window::frame::{Axis, Bound, Frames, RangeBound, frame_by_groups, frame_by_range, frame_by_rows};
use plasmon_kernels::window::navigate::{ValidRows, nth_in_frames, nth_valid_in_frames, shift_rows, shift_valid_rows};
use plasmon_kernels::window::rank::{distribute_rows, number_rows, rank_rows, split_rows};

use super::{BATCH, numbers};

/// Rows of a partition, and of a group of equal rows in it.
const PARTITION: usize = 256;
const PEERS: usize = 4;

/// Starts of groups of `size` rows, and the end.
fn groups_of(size: usize) -> Vec<u32> {
    (0..=BATCH as u32).step_by(size).collect()
}

fn window(criterion: &mut Criterion) {
    let (partitions, peers) = (groups_of(PARTITION), groups_of(PEERS));
    let mut group = criterion.benchmark_group("window");
    group.throughput(Throughput::Elements(BATCH as u64));

    let (mut numbers_out, mut shares, mut rows_out) = (Vec::new(), Vec::new(), Vec::new());
    let mut fill = |name: &str, work: &dyn Fn(&mut Vec<u64>, &mut Vec<f64>, &mut Vec<u32>)| {
        group.bench_function(name, |b| {
            b.iter(|| {
                (numbers_out.clear(), shares.clear(), rows_out.clear());
                work(&mut numbers_out, &mut shares, &mut rows_out);
            })
        });
    };
    fill("row numbers", &|out, _, _| number_rows(black_box(&partitions), out));
    fill("rank", &|out, _, _| rank_rows(black_box(&partitions), &peers, out));
    fill("cumulative distribution", &|_, out, _| distribute_rows(black_box(&partitions), &peers, out));
    fill("ntile", &|out, _, _| split_rows(black_box(&partitions), 10, out));
    let validity: Vec<u64> = numbers(BATCH / 64);
    let valid = ValidRows::new(Some(&validity), BATCH);
    let week = frame_by_rows(&partitions, Bound::Offset(-6), Bound::Offset(0));
    fill("lag", &|_, _, out| shift_rows(black_box(&partitions), -1, out));
    fill("lag ignoring nulls", &|_, _, out| shift_valid_rows(black_box(&partitions), &valid, -1, out));
    fill("second value", &|_, _, out| nth_in_frames(black_box(&week), 2, out));
    fill("second value ignoring nulls", &|_, _, out| nth_valid_in_frames(black_box(&week), &valid, 2, out));
    group.finish();
    frames(criterion, &partitions, &peers);
    folds(criterion, &partitions, &week);
}

fn frames(criterion: &mut Criterion, partitions: &[u32], peers: &[u32]) {
    let mut group = criterion.benchmark_group("window");
    group.throughput(Throughput::Elements(BATCH as u64));
    let (start, end) = (Bound::Offset(-6), Bound::Offset(0));
    group.bench_function("frames by rows", |b| b.iter(|| frame_by_rows(black_box(partitions), start, end)));
    group.bench_function("frames by groups", |b| b.iter(|| frame_by_groups(black_box(partitions), peers, start, end)));
    let positions: Vec<i128> = (0..BATCH as i128).map(|row| row / PEERS as i128 * 86_400_000_000_000).collect();
    let axis = Axis { positions: &positions, nulls: None };
    let reach: Vec<i128> = positions.iter().map(|&nanos| shift_time(nanos, 0, -7, 0)).collect();
    group.bench_function("frames by range", |b| {
        b.iter(|| frame_by_range(black_box(partitions), peers, axis, RangeBound::Reach(&reach), RangeBound::CurrentRow))
    });
    for (name, months, days) in [("days", 0, -7), ("months", -1, 0)] {
        group.bench_function(format!("points in time moved by {name}"), |b| {
            b.iter(|| black_box(&positions).iter().map(|&nanos| shift_time(nanos, months, days, 0)).sum::<i128>())
        });
    }
}

fn folds(criterion: &mut Criterion, partitions: &[u32], week: &Frames) {
    let mut group = criterion.benchmark_group("window");
    group.throughput(Throughput::Elements(BATCH as u64));
    let words = numbers(BATCH);
    let integers: Vec<i128> = words.iter().map(|v| (v % 1000) as i128).collect();
    let floats: Vec<f64> = integers.iter().map(|&v| v as f64).collect();
    let ids: Vec<u32> = words.iter().map(|v| (v % 100) as u32).collect();
    let validity: Vec<u64> = numbers(BATCH / 64);
    let running = frame_by_rows(partitions, Bound::UnboundedPreceding, Bound::Offset(0));
    for (name, frames) in [("the last 7 rows", week), ("all rows before", &running)] {
        group.bench_function(format!("count over {name}"), |b| {
            b.iter(|| count_in_frames(black_box(frames), Some(&validity), BATCH))
        });
        group.bench_function(format!("sum of integers over {name}"), |b| {
            b.iter(|| sum_in_frames(black_box(frames), None, &integers))
        });
        group.bench_function(format!("sum of floats over {name}"), |b| {
            let leaf = |row: u32| FloatSum { sum: floats[row as usize], count: 1 };
            b.iter(|| fold_frames(black_box(frames), BATCH, leaf))
        });
        group.bench_function(format!("least over {name}"), |b| {
            let before = |left: u32, right: u32| floats[left as usize] < floats[right as usize];
            b.iter(|| extreme_in_frames(black_box(frames), |_| true, before))
        });
    }
    group.bench_function("first occurrences", |b| b.iter(|| first_occurrences(black_box(partitions), &running, &ids)));
}

criterion_group!(benches, window);
