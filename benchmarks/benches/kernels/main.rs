//! Criterion benchmarks of the kernels, one group a kernel file: `cargo bench --workspace --bench kernels -- select`. Folders of kernels have a
//! module here.

mod decode;
mod text;
mod window;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use plasmon_kernels::arithmetic::{Side, map2, min_max_i64};
use plasmon_kernels::bloom::{bloom_contains, bloom_insert, bloom_words};
use plasmon_kernels::byte_table::ByteTable;
use plasmon_kernels::group::{TupleTable, WordTable, add_i64};
use plasmon_kernels::join_table::{Cursor, JoinTableBuilder, KeyPart, matches};
use plasmon_kernels::like::LikePattern;
use plasmon_kernels::membership::{bitmap_contains, lookup_bits};
use plasmon_kernels::pack::{Field, pack};
use plasmon_kernels::partition::partition_rows;
use plasmon_kernels::select::{Comparison, bits_to_selection, compare_constant};
use plasmon_kernels::sort::sort_words;
use plasmon_kernels::{gather, hash};

/// Rows of a batch-sized input, and of one far larger than the caches.
const BATCH: usize = 4096;
const LARGE: usize = 1 << 20;

/// Well-mixed numbers, the same in every run.
fn numbers(count: usize) -> Vec<u64> {
    (0..count as u64).map(hash::hash_word).collect()
}

fn select(criterion: &mut Criterion) {
    let values: Vec<i64> = numbers(BATCH).iter().map(|v| (v % 100) as i64).collect();
    let mut group = criterion.benchmark_group("select");
    group.throughput(Throughput::Elements(BATCH as u64));
    for percent in [1, 20, 50, 99] {
        let (mut words, mut positions) = (Vec::new(), Vec::new());
        group.bench_function(format!("compare i64, {percent} % pass"), |b| {
            b.iter(|| {
                words.clear();
                compare_constant(Comparison::Less, black_box(&values), percent, &mut words);
            })
        });
        group.bench_function(format!("bits to selection, {percent} % set"), |b| {
            b.iter(|| {
                positions.clear();
                bits_to_selection(black_box(&words), BATCH, &mut positions);
            })
        });
    }
}

fn movement(criterion: &mut Criterion) {
    let values: Vec<i64> = (0..LARGE as i64).collect();
    let positions: Vec<u32> = numbers(BATCH).iter().map(|v| (v % LARGE as u64) as u32).collect();
    let mut group = criterion.benchmark_group("gather");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("i64 from 8 MB", |b| b.iter(|| gather::gather(black_box(&values), &positions)));
    let mut hashes = vec![0; BATCH];
    group.bench_function("hash i64", |b| b.iter(|| hash::hash_values(black_box(&values[..BATCH]), &mut hashes)));
}

fn arithmetic(criterion: &mut Criterion) {
    let (left, right): (Vec<i64>, Vec<i64>) = ((0..BATCH as i64).collect(), (1..=BATCH as i64).collect());
    let mut group = criterion.benchmark_group("arithmetic");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("multiply i64", |b| {
        b.iter(|| map2(Side::Slice(black_box(&left)), Side::Slice(&right), BATCH, i64::wrapping_mul))
    });
    group.bench_function("bounds i64", |b| b.iter(|| min_max_i64(black_box(&left))));
}

fn grouping(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("group");
    group.throughput(Throughput::Elements(LARGE as u64));
    group.sample_size(10);
    for (name, keys) in [
        ("1 M random words", numbers(LARGE)),
        ("64 K dense words", numbers(LARGE).iter().map(|v| v % 65_536).collect::<Vec<_>>()),
        ("clustered words", (0..LARGE as u64).map(|v| v / 4).collect()),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let (mut table, mut groups) = (WordTable::default(), Vec::new());
                keys.chunks(BATCH).for_each(|part| table.find_or_insert(part, &mut groups));
                groups.len()
            })
        });
    }
    let pairs: Vec<u64> = numbers(LARGE * 2).iter().map(|v| v % 1000).collect();
    group.bench_function("1 M pairs", |b| {
        b.iter(|| {
            let (mut table, mut groups) = (TupleTable::new(2, false), Vec::new());
            table.find_or_insert(black_box(&pairs), &mut groups);
            groups.len()
        })
    });
    let (brands, sizes): (Vec<u64>, Vec<u64>) = numbers(LARGE).iter().map(|v| (v % 1000, v / 1000 % 1000)).unzip();
    let fields = [Field { base: 0, shift: 0, bits: 10 }, Field { base: 0, shift: 10, bits: 10 }];
    group.bench_function("1 M pairs, packed", |b| {
        b.iter(|| {
            let (mut table, mut groups) = (WordTable::default(), Vec::new());
            for (first, second) in brands.chunks(BATCH).zip(sizes.chunks(BATCH)) {
                let mut words = vec![0; first.len()];
                pack(first, None, fields[0], &mut words);
                pack(second, None, fields[1], &mut words);
                table.find_or_insert(black_box(&words), &mut groups);
            }
            groups.len()
        })
    });
    let (values, groups): (Vec<i64>, Vec<u32>) =
        ((0..LARGE as i64).collect(), (0..LARGE as u32).map(|v| v % 4).collect());
    group.bench_function("sum i64 into 4 groups", |b| b.iter(|| add_i64(&mut [0; 4], black_box(&values), &groups)));
    for distinct in [1 << 12, LARGE] {
        let names: Vec<String> =
            numbers(LARGE).iter().map(|v| format!("Customer#{:09}", v % distinct as u64)).collect();
        group.bench_function(format!("intern, {distinct} distinct"), |b| {
            b.iter(|| {
                let mut table = ByteTable::new(false);
                names.iter().map(|name| table.find_or_insert(name.as_bytes()) as u64).sum::<u64>()
            })
        });
    }
}

fn sorting(criterion: &mut Criterion) {
    // Key above, row number in the low 20 bits.
    let packed: Vec<u64> = numbers(LARGE).iter().zip(0u64..).map(|(key, row)| key >> 20 << 20 | row).collect();
    let mut group = criterion.benchmark_group("sort");
    group.throughput(Throughput::Elements(LARGE as u64));
    group.sample_size(10);
    group.bench_function("1 M random 44-bit keys", |b| {
        b.iter_batched(
            || packed.clone(),
            |mut words| sort_words(&mut words, 20, 64, &|| false),
            criterion::BatchSize::LargeInput,
        )
    });
    group.bench_function("1 M random 44-bit keys, standard library", |b| {
        b.iter_batched(|| packed.clone(), |mut words| words.sort_unstable(), criterion::BatchSize::LargeInput)
    });
}

fn joins(criterion: &mut Criterion) {
    let probes = numbers(BATCH);
    let mut group = criterion.benchmark_group("join_table");
    group.sample_size(10);
    let repeated = (0..LARGE as u64).map(|i| i / 4 % 100_000).collect();
    let dense = (0..LARGE as u64).collect();
    let all: [(&str, Vec<u64>); 3] =
        [("1 M sparse keys", numbers(LARGE)), ("1 M dense keys", dense), ("1 M dense repeated keys", repeated)];
    for (name, keys) in all {
        let bounds = keys.iter().map(|&k| k as i64).min().zip(keys.iter().map(|&k| k as i64).max());
        let part = KeyPart { words: &keys, valid: None, first_row: 0, rows: keys.len() };
        let build = || JoinTableBuilder::new(1, bounds, LARGE, 1, false).build(black_box(&[part]));
        group.throughput(Throughput::Elements(LARGE as u64));
        group.bench_function(format!("build {name}"), |b| b.iter(build));
        let table = build();
        let hits: Vec<u64> = probes.iter().map(|p| keys[(p % LARGE as u64) as usize]).collect();
        let (mut ranges, mut left, mut right) = (Vec::new(), Vec::new(), Vec::new());
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function(format!("pairs of {name}"), |b| {
            b.iter(|| {
                (left.clear(), right.clear());
                table.candidates(black_box(&hits), BATCH, &mut ranges);
                table.pairs(&hits, &ranges, &mut Cursor::default(), usize::MAX, false, (&mut left, &mut right))
            })
        });
        if table.is_unique() {
            let mut found = Vec::new();
            group.bench_function(format!("find {name}"), |b| {
                b.iter(|| {
                    table.find(black_box(&hits), BATCH, &mut found);
                    matches(&found, &mut left, &mut right);
                })
            });
        }
    }
}

fn partitioning(criterion: &mut Criterion) {
    let hashes = numbers(BATCH);
    let (mut rows, mut ends) = (Vec::new(), Vec::new());
    let mut group = criterion.benchmark_group("partition");
    group.throughput(Throughput::Elements(BATCH as u64));
    for partitions in [16, 200] {
        group.bench_function(format!("{partitions} partitions"), |b| {
            b.iter(|| partition_rows(black_box(&hashes), partitions, &mut rows, &mut ends))
        });
    }
}

fn blooming(criterion: &mut Criterion) {
    let keys: Vec<i64> = numbers(LARGE).iter().map(|&k| k as i64).collect();
    let mut words = bloom_words(LARGE / 16);
    keys.iter().step_by(16).for_each(|&key| bloom_insert(&mut words, key));
    let mut bits = Vec::new();
    let mut group = criterion.benchmark_group("bloom");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("4,096 values, 64 K keys", |b| {
        b.iter(|| {
            bits.clear();
            bloom_contains(&words, i64::MIN, u64::MAX, black_box(&keys[..BATCH]), &mut bits);
        })
    });
}

fn like(criterion: &mut Criterion) {
    let texts: Vec<String> = numbers(BATCH)
        .iter()
        .map(|v| {
            format!("the {v} packages sleep {} requests above {v}", if v % 50 == 0 { "special" } else { "ironic" })
        })
        .collect();
    let pattern = LikePattern::new("%special%requests%", None, false);
    let mut group = criterion.benchmark_group("like");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("%special%requests%", |b| {
        b.iter(|| texts.iter().filter(|t| pattern.matches(black_box(t.as_bytes()))).count())
    });
}

/// Codes and keys of which few are wanted.
fn membership(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("membership");
    group.throughput(Throughput::Elements(BATCH as u64));
    let mut out = Vec::new();
    for bits in [1 << 10, 1 << 17, 1 << 21] {
        let table = vec![1u64 << 17; bits / 64];
        let keys: Vec<i64> = numbers(BATCH).iter().map(|v| (v % bits as u64) as i64).collect();
        let codes: Vec<u32> = keys.iter().map(|&k| k as u32).collect();
        group.bench_function(format!("codes, table of {bits}"), |b| {
            b.iter(|| {
                out.clear();
                lookup_bits(black_box(&table), &codes, &mut out);
            })
        });
        group.bench_function(format!("keys, bitmap of {bits}"), |b| {
            b.iter(|| {
                out.clear();
                bitmap_contains(black_box(&table), 0, bits as u64 - 1, &keys, &mut out);
            })
        });
    }
}

criterion_group!(
    kernels,
    select,
    movement,
    arithmetic,
    grouping,
    sorting,
    joins,
    partitioning,
    blooming,
    like,
    membership
);
criterion_main!(kernels, decode::benches, text::benches, window::benches);
