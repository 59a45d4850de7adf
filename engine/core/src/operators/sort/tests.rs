//! Sort and top-N against plain comparison, on random rows of every type.

use std::cmp::Ordering;
use std::sync::atomic::Ordering::Relaxed;

use arrow_schema::DataType;

use super::{SortSpec, sort};
use crate::batch::{Batch, Column, Values, Views};
use crate::config::{Config, Fault};
use crate::error::Error;
use crate::expression::{Expression, Kind, Scalar, SortKey};
use crate::metrics::OperatorMetrics;
use crate::operators::random_rows::{self, Random, batch, compare, drive, drive_with, scalars};
use crate::pipeline::TaskContext;

struct Case {
    spec: SortSpec,
    batches: Vec<Batch>,
}

fn random_case(random: &mut Random) -> Case {
    let types = random_rows::types();
    let mut chosen: Vec<DataType> = (0..1 + random.below(3)).map(|_| random.pick(&types)).collect();
    let keys = chosen
        .iter()
        .enumerate()
        .map(|(i, t)| SortKey {
            expression: Expression::column(i, t.clone()),
            descending: random.below(2) == 0,
            nulls_first: random.below(2) == 0,
        })
        .collect();
    let mut first = 0;
    let batches = (0..random.below(6))
        .map(|_| {
            let len = random.pick(&[1u64, 7, 100, 3000]) as usize;
            first += len as i64;
            batch(random, &chosen, len, first - len as i64)
        })
        .collect();
    chosen.push(DataType::Int64);
    let fetch = random.pick(&[None, None, Some(0), Some(1), Some(10), Some(2500)]);
    Case {
        spec: SortSpec { keys, fetch, offset: random.pick(&[0, 0, 3, 1000]), types: chosen, threshold: None },
        batches,
    }
}

fn compare_rows(spec: &SortSpec, a: &[Scalar], b: &[Scalar]) -> Ordering {
    let mut keys = spec.keys.iter().enumerate().map(|(i, k)| compare(&a[i], &b[i], k.descending, k.nulls_first));
    keys.find(|o| *o != Ordering::Equal).unwrap_or(Ordering::Equal)
}

fn check(seed: u64, workers: usize, config: Config) {
    let mut random = Random(seed);
    let batch_rows = config.batch_rows;
    let case = random_case(&mut random);
    let mut expected = scalars(&case.batches);
    expected.sort_by(|a, b| compare_rows(&case.spec, a, b));
    let total = expected.len();
    let start = case.spec.offset.min(total);
    let end = case.spec.fetch.map_or(total, |f| (start + f).min(total));
    let task = TaskContext::new(Config { threads: 2, ..config });
    let breaker = sort(case.spec.clone()).expect("a sort");
    let output = drive(&breaker, case.batches.clone(), workers, &task).expect("sorted");
    drop(breaker);
    assert_eq!(task.memory.used(), 0, "everything is given back, seed {seed}");
    assert!(output.iter().all(|b| b.rows() <= batch_rows));
    let output = scalars(&output);
    assert_eq!(output.len(), end - start, "rows, seed {seed}");
    let id = case.spec.types.len() - 1;
    let mut seen = std::collections::HashSet::new();
    let by_id: std::collections::HashMap<i64, &Vec<Scalar>> =
        expected.iter().map(|r| (r[id].as_i64().expect("an id"), r)).collect();
    for (row, wanted) in output.iter().zip(&expected[start..end]) {
        assert_eq!(
            compare_rows(&case.spec, row, wanted),
            Ordering::Equal,
            "seed {seed}: {row:?} where {wanted:?} belongs; {:?}",
            case.spec
        );
        let row_id = row[id].as_i64().expect("an id");
        assert!(seen.insert(row_id), "row {row_id} twice, seed {seed}");
        let original = by_id[&row_id];
        assert!(
            row.iter().zip(original).all(|(a, b)| compare(a, b, false, false) == Ordering::Equal),
            "row changed, seed {seed}: {row:?} was {original:?}"
        );
    }
}

#[test]
fn random_rows_come_out_in_order() {
    for seed in 0..400 {
        check(seed, 1 + (seed % 4) as usize, batches_of(seed));
    }
}

fn batches_of(seed: u64) -> Config {
    Config { batch_rows: if seed % 5 == 0 { 7 } else { 4096 }, ..Config::default() }
}

#[test]
fn random_rows_come_out_in_order_from_disk() {
    for seed in 0..300 {
        let every = [1, 1, 2, 5][(seed % 4) as usize];
        check(seed, 1 + (seed / 4 % 4) as usize, Config { fault: Some(Fault::SpillEvery(every)), ..batches_of(seed) });
    }
}

#[test]
fn random_rows_come_out_in_order_with_hardly_any_memory() {
    for seed in 0..200 {
        let memory_bytes = Some([0, 1 << 10, 300 << 10, 1 << 20][(seed % 4) as usize]);
        check(seed, 1 + (seed / 4 % 4) as usize, Config { memory_bytes, ..batches_of(seed) });
    }
}

/// Keys of few or many values, strings of up to `longest` bytes beside them, and the row's number.
fn wide_batches(random: &mut Random, batches: usize, distinct: u64, longest: u64) -> Vec<Batch> {
    let batch = |first: usize| {
        let rows = 4000;
        let keys = (0..rows).map(|_| random.below(distinct) as i64 * 1_000_003).collect();
        let texts: Vec<String> = (0..rows).map(|_| "wide ".repeat(random.below(longest / 5) as usize)).collect();
        let numbers = (first as i64 * rows as i64..).take(rows).collect();
        let columns = [Values::Int64(keys), Values::View(Views::from_values(texts.iter())), Values::Int64(numbers)];
        Batch::new(columns.map(Column::flat).to_vec(), rows)
    };
    (0..batches).map(batch).collect()
}

fn wide_spec(keys: &[usize], fetch: Option<usize>, offset: usize) -> SortSpec {
    let types = vec![DataType::Int64, DataType::Utf8, DataType::Int64];
    let key = |&i: &usize| SortKey {
        expression: Expression::column(i, types[i].clone()),
        descending: i == 1,
        nulls_first: false,
    };
    SortSpec { keys: keys.iter().map(key).collect(), fetch, offset, types: types.clone(), threshold: None }
}

/// Sorts within `memory_bytes`: what came out is right, was on disk, and the budget held but for what whoever spills may always hold.
fn check_wide(batches: Vec<Batch>, spec: SortSpec, workers: usize, memory_bytes: usize) -> Vec<(String, String)> {
    let mut expected = scalars(&batches);
    expected.sort_by(|a, b| compare_keys(&spec, a, b));
    let end = spec.fetch.map_or(expected.len(), |fetch| spec.offset + fetch);
    let task = TaskContext::new(Config { memory_bytes: Some(memory_bytes), threads: workers, ..Config::default() });
    let breaker = sort(spec.clone()).expect("a sort");
    let metrics = OperatorMetrics::new();
    let output = drive_with(&breaker, batches, workers, &task, &metrics).expect("sorted");
    assert!(metrics.bytes_spilled.load(Relaxed) > 0, "it was on disk");
    let most = memory_bytes + (workers + 2) * task.memory.floor();
    assert!(task.memory.peak() <= most, "{} bytes of {most}", task.memory.peak());
    let output = scalars(&output);
    assert_eq!(output.len(), end - spec.offset);
    for (row, wanted) in output.iter().zip(&expected[spec.offset..end]) {
        assert_eq!(compare_keys(&spec, row, wanted), Ordering::Equal);
    }
    let mut numbers: Vec<_> = output.iter().map(|row| row[2].as_i64()).collect();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), output.len(), "no row twice");
    drop(breaker);
    assert_eq!(task.memory.used(), 0, "everything is given back");
    metrics.notes()
}

fn compare_keys(spec: &SortSpec, a: &[Scalar], b: &[Scalar]) -> Ordering {
    let key = |k: &SortKey| match k.expression.kind {
        Kind::Column(column) => compare(&a[column], &b[column], k.descending, k.nulls_first),
        _ => Ordering::Equal,
    };
    spec.keys.iter().map(key).find(|o| *o != Ordering::Equal).unwrap_or(Ordering::Equal)
}

#[test]
fn twenty_times_the_budget_is_sorted() {
    let mut random = Random(11);
    for (keys, distinct, workers) in
        [(&[0][..], u64::MAX >> 24, 1), (&[0, 1], 3, 2), (&[1, 0], 1, 3), (&[0], 1, 4), (&[0, 2], 5000, 2)]
    {
        let batches = wide_batches(&mut random, 60, distinct, 160);
        check_wide(batches, wide_spec(keys, None, 0), workers, 1200 << 10);
    }
}

#[test]
fn many_runs_are_merged_in_passes() {
    let batches = wide_batches(&mut Random(12), 150, u64::MAX >> 24, 60);
    let notes = check_wide(batches, wide_spec(&[0], None, 0), 2, 400 << 10);
    assert!(notes.iter().any(|(name, _)| name == "merge passes"), "{notes:?}");
}

#[test]
fn rows_wider_than_a_block_are_sorted() {
    let batches: Vec<Batch> = wide_batches(&mut Random(13), 3, 1000, 20_000)
        .into_iter()
        .map(|b| b.slice(0, 500).expect("500 rows"))
        .collect();
    check_wide(batches, wide_spec(&[0], None, 0), 1, 1 << 20);
}

#[test]
fn a_top_n_that_memory_cannot_hold_goes_to_disk() {
    let batches = wide_batches(&mut Random(14), 60, u64::MAX >> 24, 160);
    check_wide(batches.clone(), wide_spec(&[0], Some(30_000), 10_000), 2, 1 << 20);
    check_wide(batches.clone(), wide_spec(&[1, 0], Some(100), 60_000), 1, 1 << 20);
    check_wide(batches, wide_spec(&[0], Some(100_000), 20_000), 2, 1 << 20);
}

#[test]
fn refused_memory_and_cancelling_leave_nothing() {
    let batches = wide_batches(&mut Random(15), 12, 1000, 60);
    for nth in 1..40 {
        for fault in [Fault::RefuseMemory(nth), Fault::Cancel(nth)] {
            let config = Config { memory_bytes: Some(512 << 10), fault: Some(fault), ..Config::default() };
            let task = TaskContext::new(config);
            let breaker = sort(wide_spec(&[0], None, 0)).expect("a sort");
            match drive(&breaker, batches.clone(), 2, &task) {
                Ok(output) => assert_eq!(scalars(&output).len(), 48_000),
                Err(error) => assert!(matches!(error, Error::OutOfMemory { .. } | Error::Cancelled), "{error}"),
            }
            drop(breaker);
            assert_eq!(task.memory.used(), 0, "everything is given back, {fault:?}");
        }
    }
}

#[test]
fn large_top_n_drops_late_rows() {
    let mut random = Random(5);
    let types = vec![DataType::Int64, DataType::Utf8];
    for descending in [false, true] {
        let batches: Vec<Batch> = (0..60).map(|i| batch(&mut random, &types, 4000, i * 4000)).collect();
        let key = |i: usize| SortKey {
            expression: Expression::column(i, types[i].clone()),
            descending,
            nulls_first: descending,
        };
        let spec = SortSpec {
            keys: vec![key(1), key(0)],
            fetch: Some(20),
            offset: 5,
            types: vec![DataType::Int64, DataType::Utf8, DataType::Int64],
            threshold: None,
        };
        let mut expected = scalars(&batches);
        let order = |a: &[Scalar], b: &[Scalar]| {
            compare(&a[1], &b[1], descending, descending).then(compare(&a[0], &b[0], descending, descending))
        };
        expected.sort_by(|a, b| order(a, b));
        let task = TaskContext::new(Config::default());
        let output = scalars(&drive(&sort(spec).expect("a sort"), batches, 2, &task).expect("sorted"));
        assert_eq!(output.len(), 20);
        assert!(output.iter().zip(&expected[5..]).all(|(a, b)| order(a, b) == Ordering::Equal));
    }
}
