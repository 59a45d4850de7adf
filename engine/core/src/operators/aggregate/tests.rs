//! Aggregations whose tables fill up and are merged from pieces, against a plain map.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arrow_buffer::i256;
use arrow_schema::{DataType, IntervalUnit};

use super::input::{Arguments, Rows};
use super::merge::{Partitions, Place};
use super::run::{Cut, Run};
use super::share::Share;
use super::{
    AggregateExpression, AggregateFunction, AggregatePhase, AggregateSpec, RepeatingAggregate, aggregate, state_types,
};
use crate::batch::arrow::null_column;
use crate::batch::{Batch, Bitmap, Column, Values, Views};
use crate::config::Config;
use crate::error::Error;
use crate::expression::{Expression, Scalar};
use crate::metrics::OperatorMetrics;
use crate::operators::Breaker;
use crate::operators::random_rows::{Random, drive, scalars};
use crate::pipeline::{Flow, Operator, TaskContext};

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

const KEYS: [Keys; 7] = [
    Keys::Clustered,
    Keys::Random { distinct: 1000 },
    Keys::Random { distinct: 60_000 },
    Keys::Random { distinct: u64::MAX },
    Keys::RandomWithNulls,
    Keys::Text,
    Keys::Pairs,
];

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

/// With `distinct`, one aggregate keeps the members of its groups; without, rows may pass the tables by.
pub(super) fn spec(keys: Keys, distinct: bool) -> AggregateSpec {
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
            aggregate(AggregateFunction::Count, distinct),
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
    values: i64,
    rows: i64,
}

/// By plain map, the groups of rows whose first `width` columns are keys.
fn grouped(batches: &[Batch], width: usize) -> HashMap<String, Expected> {
    let mut expected: HashMap<String, Expected> = HashMap::new();
    for row in scalars(batches) {
        let group = expected.entry(key(&row[..width])).or_default();
        group.rows += 1;
        if let Some(value) = row[width].as_i64() {
            group.sum = Some(group.sum.unwrap_or(0) + value);
            group.distinct.insert(value);
            group.values += 1;
        }
    }
    expected
}

pub(super) fn key(row: &[Scalar]) -> String {
    format!("{row:?}")
}

fn check(keys: Keys, workers: usize, config: Config) {
    check_with(keys, workers, config, |breaker, batches, task| drive(breaker, batches, workers, task));
}

/// Aggregates as `drive` does, with and without DISTINCT, and compares with a plain map.
pub(super) fn check_with(
    keys: Keys,
    seed: usize,
    config: Config,
    drive: impl Fn(&Breaker, Vec<Batch>, &TaskContext) -> crate::Result<Vec<Batch>>,
) {
    let (batches, width) = (batches(&mut Random(seed as u64), keys), key_types(keys).len());
    for distinct in [true, false] {
        let mut expected = grouped(&batches, width);
        let task = TaskContext::new(config.clone());
        let breaker = aggregate(spec(keys, distinct)).expect("an aggregation");
        let output = drive(&breaker, batches.clone(), &task).unwrap_or_else(|e| panic!("{keys:?}, {seed}: {e:?}"));
        let output = scalars(&output);
        assert_eq!(output.len(), expected.len(), "groups, {keys:?}, {seed}");
        for row in output {
            let group = expected.remove(&key(&row[..width])).unwrap_or_else(|| panic!("{row:?} twice or never seen"));
            let values: Vec<Option<i64>> = row[width..].iter().map(Scalar::as_i64).collect();
            let count = if distinct { group.distinct.len() as i64 } else { group.values };
            let max = group.distinct.last().copied();
            assert_eq!(values, [group.sum, Some(count), max, Some(group.rows)], "{row:?}");
        }
        drop(breaker);
        assert_eq!(task.memory.used(), 0, "everything reserved is given back");
    }
}

#[test]
fn full_tables_are_emptied_and_merged() {
    for workers in [1, 2, 3] {
        for keys in KEYS {
            check(keys, workers, Config { threads: workers, ..Config::default() });
        }
    }
}

#[test]
fn collisions_change_nothing() {
    check(Keys::Random { distinct: 1000 }, 2, Config { hash_collisions: true, threads: 2, ..Config::default() });
}

/// Pushes all batches; gives what comes out.
fn flow_through(spec: AggregateSpec, batches: Vec<Batch>, task: &TaskContext) -> Vec<Batch> {
    let metrics = OperatorMetrics::new();
    let mut state = RepeatingAggregate::new(spec).and_then(|made| made.open(task, &metrics)).expect("an aggregation");
    let mut output = Vec::new();
    let mut batches = batches.into_iter();
    loop {
        let (mut flow, is_over) = match batches.next() {
            Some(batch) => (state.push(batch).expect("taken"), false),
            None => (state.finish().expect("finished"), true),
        };
        while let Flow::More(batch) = flow {
            output.push(batch);
            flow = state.resume().expect("resumed");
        }
        match flow {
            Flow::Output(batch) => output.push(batch),
            other => assert!(matches!(other, Flow::NeedInput)),
        }
        if is_over {
            return output;
        }
    }
}

#[test]
fn groups_that_repeat_add_up() {
    for memory_bytes in [None, Some(1 << 20), Some(0)] {
        for keys in KEYS {
            let (batches, width) = (batches(&mut Random(7), keys), key_types(keys).len());
            let mut expected = grouped(&batches, width);
            let task = TaskContext::new(Config { memory_bytes, threads: 1, ..Config::default() });
            let spec = AggregateSpec { phase: AggregatePhase::Repeating, ..spec(keys, false) };
            let output = scalars(&flow_through(spec, batches, &task));
            if memory_bytes.is_none() && keys == (Keys::Random { distinct: 1000 }) {
                assert_eq!(output.len(), 1000, "a table of few groups is given once");
            }
            for row in &output {
                let group = expected.get_mut(&key(&row[..width])).expect("a group of the input");
                let values: Vec<Option<i64>> = row[width..].iter().map(Scalar::as_i64).collect();
                // What is left of the group once every part of it is taken away.
                group.sum = group.sum.map(|sum| sum - values[0].unwrap_or(0));
                group.values -= values[1].expect("a count");
                assert!(values[2].is_none_or(|max| group.distinct.contains(&max)), "{row:?}");
                group.rows -= values[3].expect("a count");
            }
            let is_whole = |group: &Expected| group.sum.unwrap_or(0) == 0 && group.values == 0 && group.rows == 0;
            assert!(expected.values().all(is_whole), "{keys:?}, {memory_bytes:?}");
            assert_eq!(task.memory.used(), 0, "everything reserved is given back");
        }
    }
}

#[test]
fn rows_of_few_groups_are_merged_before_they_are_all_there() {
    let task = TaskContext::new(Config { threads: 1, ..Config::default() });
    let spec = Arc::new(spec(Keys::Random { distinct: 0 }, false));
    let cut = Cut::Hashes { partitions: 2, level: 0 };
    let partitions = Partitions::new(spec.clone(), cut, &task, &OperatorMetrics::new()).expect("partitions");
    let (groups, rows, dealt) = (5000, 1 << 14, 40);
    let share = Share::new(&spec, &task).expect("a share");
    for _ in 0..dealt {
        let keys = Values::Int64((0..rows).map(|row| row % groups).collect());
        let columns = vec![Column::flat(keys), Column::flat(Values::Int64((0..rows).collect()))];
        let batch = Batch::new(columns, rows as usize);
        let rows = Rows::of(&spec, &Arguments::of(&spec), &batch, &share).expect("rows");
        partitions.deal(Run::of_each_row(&spec, &rows).expect("a run"), Place::Memory).expect("dealt");
    }
    let cursor = AtomicUsize::default();
    let parts: Vec<usize> = std::iter::from_fn(|| partitions.next(&cursor)).map(|part| part.groups()).collect();
    assert_eq!(parts.len(), 2);
    assert!(parts.iter().sum::<usize>() < 20 * groups as usize, "{parts:?} rows for {groups} groups");
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
