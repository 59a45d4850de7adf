//! Sort and top-N against plain comparison, on random rows of every type.

use std::cmp::Ordering;

use arrow_schema::DataType;

use super::{SortSpec, sort};
use crate::batch::Batch;
use crate::config::Config;
use crate::error::Error;
use crate::expression::{Expression, Scalar, SortKey};
use crate::operators::random_rows::{self, Random, batch, compare, drive, scalars};
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

fn check(seed: u64, workers: usize, batch_rows: usize) {
    let mut random = Random(seed);
    let case = random_case(&mut random);
    let mut expected = scalars(&case.batches);
    expected.sort_by(|a, b| compare_rows(&case.spec, a, b));
    let total = expected.len();
    let start = case.spec.offset.min(total);
    let end = case.spec.fetch.map_or(total, |f| (start + f).min(total));
    let task = TaskContext::new(Config { batch_rows, threads: 2, ..Config::default() });
    let breaker = sort(case.spec.clone()).expect("a sort");
    let output = drive(&breaker, case.batches.clone(), workers, &task).expect("sorted");
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
        check(seed, 1 + (seed % 4) as usize, if seed % 5 == 0 { 7 } else { 4096 });
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

#[test]
fn refused_memory_is_a_typed_error() {
    let mut random = Random(1);
    let types = vec![DataType::Int64];
    let key = SortKey { expression: Expression::column(0, DataType::Int64), descending: false, nulls_first: false };
    let spec = SortSpec { keys: vec![key], fetch: None, offset: 0, types: vec![DataType::Int64; 2], threshold: None };
    let batches = (0..50).map(|i| batch(&mut random, &types, 4000, i * 4000)).collect();
    let task = TaskContext::new(Config { memory_bytes: Some(100_000), ..Config::default() });
    let error = drive(&sort(spec).expect("a sort"), batches, 1, &task).expect_err("too little memory");
    assert!(matches!(&error, Error::OutOfMemory { consumer, .. } if consumer == "Sort"), "{error}");
    assert_eq!(task.memory.used(), 0, "everything is given back");
}
