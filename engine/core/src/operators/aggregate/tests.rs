//! Aggregations whose tables fill up and are merged from pieces, against a plain map.

use std::collections::{BTreeSet, HashMap};

use arrow_buffer::i256;
use arrow_schema::{DataType, IntervalUnit};

use super::{AggregateExpression, AggregateFunction, AggregatePhase, AggregateSpec, aggregate, state_types};
use crate::batch::arrow::null_column;
use crate::batch::{Batch, Bitmap, Column, Values, Views};
use crate::config::Config;
use crate::error::Error;
use crate::expression::{Expression, Scalar};
use crate::operators::Breaker;
use crate::operators::random_rows::{Random, drive, scalars};
use crate::pipeline::TaskContext;

pub(super) const ROWS: usize = 150_000;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Keys {
    /// Ascending, a few rows each; workers' ranges interleave and share border keys.
    Clustered,
    Random {
        distinct: u64,
    },
    RandomWithNulls,
    Text,
    Pairs,
}

pub(super) fn key_types(keys: Keys) -> Vec<DataType> {
    match keys {
        Keys::Text => vec![DataType::Utf8View],
        Keys::Pairs => vec![DataType::Int32, DataType::Utf8View],
        _ => vec![DataType::Int64],
    }
}

pub(super) fn text(number: u64) -> String {
    // Some fit their views, some do not.
    if number.is_multiple_of(2) { format!("{number}") } else { format!("number {number} as a text") }
}

fn key_columns(random: &mut Random, keys: Keys, first: usize, rows: usize) -> Vec<Column> {
    let integers = |values: Vec<i64>| Column::flat(Values::Int64(values.into()));
    match keys {
        Keys::Clustered => vec![integers((first..first + rows).map(|row| row as i64 / 3 * 4).collect())],
        Keys::Random { distinct } => {
            vec![integers(
                (0..rows)
                    .map(|_| (random.below(distinct) as i64).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64))
                    .collect(),
            )]
        }
        Keys::RandomWithNulls => {
            let valid: Vec<bool> = (0..rows).map(|_| random.below(10) > 0).collect();
            let values: Vec<i64> = (0..rows).map(|_| random.below(100_000) as i64 - 50_000).collect();
            vec![integers(values).with_validity(Some(Bitmap::from_bools(valid.into_iter())))]
        }
        Keys::Text => {
            vec![Column::flat(Values::View(Views::from_values((0..rows).map(|_| text(random.below(90_000))))))]
        }
        Keys::Pairs => vec![
            Column::flat(Values::Int32((0..rows).map(|_| random.below(3000) as i32 - 1500).collect())),
            Column::flat(Values::View(Views::from_values((0..rows).map(|_| text(random.below(30)))))),
        ],
    }
}

/// Batches of keys and, last, a value with nulls.
pub(super) fn batches(random: &mut Random, keys: Keys) -> Vec<Batch> {
    let mut first = 0;
    let mut batches = Vec::new();
    while first < ROWS {
        let rows = (ROWS - first).min(4096);
        let mut columns = key_columns(random, keys, first, rows);
        let valid: Vec<bool> = (0..rows).map(|_| random.below(5) > 0).collect();
        let values = Values::Int64((0..rows).map(|_| random.below(7) as i64 - 3).collect());
        columns.push(Column::flat_with_validity(values, Some(Bitmap::from_bools(valid.into_iter()))));
        batches.push(Batch::new(columns, rows));
        first += rows;
    }
    batches
}

pub(super) fn spec(keys: Keys) -> AggregateSpec {
    let types = key_types(keys);
    let value = Expression::column(types.len(), DataType::Int64);
    let aggregate = |function, distinct| AggregateExpression {
        function,
        arguments: vec![value.clone()],
        filter: None,
        distinct,
        order_by: Vec::new(),
        data_type: DataType::Int64,
    };
    AggregateSpec {
        group_by: types.iter().enumerate().map(|(i, t)| Expression::column(i, t.clone())).collect(),
        grouping_sets: Vec::new(),
        grouping_id: None,
        aggregates: vec![
            aggregate(AggregateFunction::Sum, false),
            aggregate(AggregateFunction::Count, true),
            aggregate(AggregateFunction::Max, false),
            aggregate(AggregateFunction::CountAll, false),
        ],
        phase: AggregatePhase::Single,
    }
}

#[derive(Default)]
struct Expected {
    sum: Option<i64>,
    distinct: BTreeSet<i64>,
    rows: i64,
}

pub(super) fn key(row: &[Scalar]) -> String {
    format!("{row:?}")
}

fn check(keys: Keys, workers: usize, config: Config) {
    check_with(keys, workers, config, |breaker, batches, task| drive(breaker, batches, workers, task));
}

/// Aggregates as `drive` does, and compares with a plain map.
pub(super) fn check_with(
    keys: Keys,
    seed: usize,
    config: Config,
    drive: impl FnOnce(&Breaker, Vec<Batch>, &TaskContext) -> crate::Result<Vec<Batch>>,
) {
    let mut random = Random(seed as u64);
    let (batches, width) = (batches(&mut random, keys), key_types(keys).len());
    let mut expected: HashMap<String, Expected> = HashMap::new();
    for row in scalars(&batches) {
        let group = expected.entry(key(&row[..width])).or_default();
        group.rows += 1;
        if let Some(value) = row[width].as_i64() {
            group.sum = Some(group.sum.unwrap_or(0) + value);
            group.distinct.insert(value);
        }
    }
    let task = TaskContext::new(config);
    let breaker = aggregate(spec(keys)).expect("an aggregation");
    let output = scalars(&drive(&breaker, batches, &task).unwrap_or_else(|e| panic!("{keys:?}, {seed}: {e:?}")));
    assert_eq!(output.len(), expected.len(), "groups, {keys:?}, {seed}");
    for row in output {
        let group = expected.remove(&key(&row[..width])).unwrap_or_else(|| panic!("{row:?} twice or out of nowhere"));
        let values: Vec<Option<i64>> = row[width..].iter().map(Scalar::as_i64).collect();
        let max = group.distinct.last().copied();
        assert_eq!(values, [group.sum, Some(group.distinct.len() as i64), max, Some(group.rows)], "{row:?}");
    }
    drop(breaker);
    assert_eq!(task.memory.used(), 0, "everything reserved is given back");
}

#[test]
fn full_tables_are_emptied_and_merged() {
    for workers in [1, 2, 3] {
        for keys in [
            Keys::Clustered,
            Keys::Random { distinct: 1000 },
            Keys::Random { distinct: 60_000 },
            Keys::Random { distinct: u64::MAX },
            Keys::RandomWithNulls,
            Keys::Text,
            Keys::Pairs,
        ] {
            check(keys, workers, Config { threads: workers, ..Config::default() });
        }
    }
}

#[test]
fn collisions_change_nothing() {
    check(Keys::Random { distinct: 1000 }, 2, Config { hash_collisions: true, threads: 2, ..Config::default() });
}

pub(super) fn call(function: AggregateFunction, argument: DataType, data_type: DataType) -> AggregateExpression {
    let arguments = vec![Expression::column(0, argument)];
    AggregateExpression { function, arguments, filter: None, distinct: false, order_by: Vec::new(), data_type }
}

/// The result over one group, at once and in two phases, which must be the same.
fn result(call: &AggregateExpression, columns: &[Column]) -> Scalar {
    let spec = |phase| AggregateSpec {
        group_by: Vec::new(),
        grouping_sets: Vec::new(),
        grouping_id: None,
        aggregates: vec![call.clone()],
        phase,
    };
    let run = |phase, batches| {
        let breaker = aggregate(spec(phase)).expect("an aggregation");
        drive(&breaker, batches, 2, &TaskContext::new(Config::default())).expect("aggregated")
    };
    let batches: Vec<Batch> = columns.iter().map(|c| Batch::new(vec![c.clone()], c.len())).collect();
    let whole = scalars(&run(AggregatePhase::Single, batches.clone())).remove(0).remove(0);
    if !call.distinct {
        let states = batches.into_iter().flat_map(|b| run(AggregatePhase::Partial, vec![b])).collect();
        assert_eq!(scalars(&run(AggregatePhase::Final, states)), [[whole.clone()]], "{call:?}");
    }
    whole
}

#[test]
fn what_is_computed_of_nulls_is_null() {
    use AggregateFunction::*;
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Null));
    for (function, data_type) in [
        (Sum, DataType::Int64),
        (Avg, DataType::Float64),
        (VarianceSample, DataType::Float64),
        (BoolAnd, DataType::Boolean),
        (BitXor, DataType::Int64),
        (BitAnd, DataType::Null),
    ] {
        for argument in [DataType::Null, dictionary.clone()] {
            let columns = [null_column(&argument, 3), null_column(&argument, 2)];
            let call = call(function.clone(), argument, data_type.clone());
            assert_eq!(result(&call, &columns), Scalar::Null);
            assert_eq!(result(&AggregateExpression { distinct: true, ..call }, &columns), Scalar::Null);
        }
    }
}

#[test]
fn wide_decimals_have_averages() {
    let values = |high: i128, rows: std::ops::Range<u128>| {
        let present: Vec<bool> = rows.clone().map(|row| row % 4 != 3).collect();
        let validity = Bitmap::from_bools(present.into_iter());
        let values: Vec<i256> = rows.map(|row| i256::from_parts(row * 10, high)).collect();
        Column::flat_with_validity(Values::Int256(values.into()), Some(validity))
    };
    // Rows 3 and 7 are null; the others' sum is 0+1+2+4+5+6 = 18 tens over 6.
    let of = |high: i128| {
        let call = call(AggregateFunction::Avg, DataType::Decimal256(50, 3), DataType::Decimal256(54, 7));
        result(&call, &[values(high, 0..4), values(high, 4..8)])
    };
    assert_eq!(of(0), Scalar::Int256(i256::from_i128(300_000)));
    let wide = i256::from_parts(30, 4).checked_mul(i256::from_i128(10_000)).expect("fits");
    assert_eq!(of(4), Scalar::Int256(wide), "beyond 128 bits");
}

#[test]
fn what_cannot_be_computed_is_refused() {
    use AggregateFunction::*;
    for unit in [IntervalUnit::MonthDayNano, IntervalUnit::DayTime] {
        for function in [Sum, Avg, DeviationSample, BitOr, BoolOr] {
            let call = call(function, DataType::Interval(unit), DataType::Interval(unit));
            assert!(matches!(state_types(&call), Err(Error::Unsupported(_))), "{call:?}");
        }
    }
    let without = AggregateExpression { arguments: Vec::new(), ..call(Sum, DataType::Int64, DataType::Int64) };
    assert!(matches!(state_types(&without), Err(Error::User(_))));
}
