//! Aggregation: every kind of key table, every kind of state.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder};
use arrow_array::{Array, ArrayRef, BinaryArray};
use arrow_schema::{DataType, Field};
use plasmon_core::batch::{Column, arrow::import_column};
use plasmon_core::error::Result;
use plasmon_core::expression::{Expression, SortKey};
use plasmon_core::operators::aggregate::{
    AggregateExpression, AggregateFunction, AggregatePhase, AggregateSpec, CustomAccumulator, CustomAggregate,
    RepeatingAggregate, aggregate,
};

use crate::harness::{Make, ROWS, breaker, codes, integers, measure, mixed, texts};

/// Columns: 0 sequence, 1 mixed, 2 repeated thrice, 3 few, 4 text, 5 code, 6 sparse, 7 wide later.
fn rows(batch: u64) -> Vec<Column> {
    let first = batch * ROWS as u64;
    vec![
        integers(first, ROWS, |row| row as i64),
        integers(first, ROWS, |row| mixed(row) as i64),
        integers(first, ROWS, |row| (row / 3) as i64),
        integers(first, ROWS, |row| (mixed(row) % 100) as i64),
        texts(first, ROWS, |row| mixed(row / 2)),
        codes(first, ROWS, 50),
        integers(first, ROWS, |row| (mixed(row) % 1000 * 1_000_000_007) as i64),
        // Fits few bits at first, and then all.
        integers(first, ROWS, |row| if row < 100_000 { row as i64 } else { mixed(row) as i64 }),
        integers(first, ROWS, |row| if row < 100_000 { (row % 7) as i64 } else { mixed(row) as i64 }),
    ]
}

fn types() -> Vec<DataType> {
    let mut types = vec![DataType::Int64; 9];
    types[4] = DataType::Utf8View;
    types[5] = DataType::Utf8View;
    types
}

fn column(index: usize) -> Expression {
    Expression::column(index, types()[index].clone())
}

fn call(function: AggregateFunction, arguments: &[usize], data_type: DataType) -> AggregateExpression {
    AggregateExpression {
        function,
        arguments: arguments.iter().map(|&c| column(c)).collect(),
        filter: None,
        distinct: false,
        order_by: Vec::new(),
        data_type,
    }
}

fn distinct(argument: usize) -> AggregateExpression {
    AggregateExpression { distinct: true, ..call(AggregateFunction::Count, &[argument], DataType::Int64) }
}

fn spec(group_by: &[usize], aggregates: Vec<AggregateExpression>) -> AggregateSpec {
    AggregateSpec {
        group_by: group_by.iter().map(|&c| column(c)).collect(),
        grouping_sets: Vec::new(),
        grouping_id: None,
        aggregates,
        phase: AggregatePhase::Single,
    }
}

fn aggregated(name: &str, memory: Option<usize>, keys: &[usize], aggregates: Vec<AggregateExpression>) {
    breaker(name, memory, 64, rows as Make, aggregate(spec(keys, aggregates)).expect("an aggregation"));
}

/// Ahead of another aggregation.
fn repeating(name: &str, memory: Option<usize>, keys: &[usize]) {
    let spec = AggregateSpec { phase: AggregatePhase::Repeating, ..spec(keys, sums()) };
    measure(name, memory, |plan| {
        let aggregate = RepeatingAggregate::new(spec).expect("an aggregation");
        let result = plan.result();
        let input = plan.input(64, rows as Make);
        plan.pipeline(input, vec![Arc::new(aggregate)], result, Vec::new());
    });
}

#[test]
fn groups_that_repeat() {
    repeating("repeating groups, a few", None, &[3]);
    repeating("repeating groups, all rows", None, &[1]);
    repeating("repeating groups of text", None, &[4]);
    repeating("repeating groups, little memory", Some(1 << 20), &[4]);
}

fn sums() -> Vec<AggregateExpression> {
    vec![
        call(AggregateFunction::CountAll, &[], DataType::Int64),
        call(AggregateFunction::Sum, &[3], DataType::Int64),
        call(AggregateFunction::Max, &[3], DataType::Int64),
        call(AggregateFunction::Min, &[1], DataType::Int64),
    ]
}

#[test]
fn keys() {
    aggregated("one ascending key", None, &[0], vec![]);
    aggregated(
        "one ascending key, repeated",
        None,
        &[2],
        vec![call(AggregateFunction::CountAll, &[], DataType::Int64)],
    );
    aggregated("one mixed key", None, &[1], vec![]);
    aggregated("packed keys", None, &[0, 3], vec![]);
    aggregated("keys too wide to be packed", None, &[1, 0], vec![]);
    aggregated("keys that get too wide", None, &[7, 8], vec![]);
    aggregated("a key that leaves its array", None, &[7], vec![]);
    aggregated("text key", None, &[4], vec![]);
    aggregated("text key and integer", None, &[4, 0], vec![]);
    aggregated("codes", None, &[5, 3], vec![]);
    aggregated("no key", None, &[], vec![call(AggregateFunction::CountAll, &[], DataType::Int64)]);
}

/// Text, code, integer; text and code; text; all together.
#[test]
fn grouping_sets() {
    for memory in [None, Some(8 << 20)] {
        let rollup = AggregateSpec {
            grouping_sets: (0..4).map(|kept| (0..3).map(|key| key < 3 - kept).collect()).collect(),
            grouping_id: Some(DataType::UInt8),
            ..spec(&[4, 5, 3], vec![call(AggregateFunction::Sum, &[3], DataType::Int64)])
        };
        let name = if memory.is_some() { "rollup beyond memory" } else { "rollup" };
        breaker(name, memory, 64, rows as Make, aggregate(rollup).expect("an aggregation"));
    }
}

#[test]
fn keys_beyond_memory() {
    aggregated("one mixed key beyond memory", Some(8 << 20), &[1], vec![]);
    aggregated("keys that get too wide beyond memory", Some(8 << 20), &[7, 8], vec![]);
    aggregated("text key beyond memory", Some(8 << 20), &[4], vec![]);
    aggregated(
        "sums beyond memory",
        Some(8 << 20),
        &[1],
        vec![call(AggregateFunction::CountAll, &[], DataType::Int64)],
    );
}

#[test]
fn states() {
    let text = |function| vec![call(function, &[4], DataType::Utf8View)];
    aggregated("counts", None, &[1], vec![call(AggregateFunction::CountAll, &[], DataType::Int64)]);
    aggregated("sum", None, &[1], vec![call(AggregateFunction::Sum, &[3], DataType::Int64)]);
    aggregated("least text", None, &[2], text(AggregateFunction::Min));
    aggregated("least text of few", None, &[3], text(AggregateFunction::Min));
    let first = AggregateFunction::First { ignore_nulls: false };
    let order = vec![SortKey { expression: column(1), descending: false, nulls_first: false }];
    aggregated("first text", None, &[2], vec![AggregateExpression { order_by: order, ..text(first)[0].clone() }]);
    aggregated("distinct integers", None, &[3], vec![distinct(1)]);
    aggregated("distinct texts", None, &[3], vec![distinct(4)]);
    aggregated("distinct texts beyond memory", Some(8 << 20), &[3], vec![distinct(4)]);
    aggregated("several sums", None, &[1], sums());
}

fn lists(batch: u64) -> Vec<Column> {
    let mut builder = ListBuilder::new(Int64Builder::new());
    for row in batch * ROWS as u64..(batch + 1) * ROWS as u64 {
        (0..3).for_each(|item| builder.values().append_value((mixed(row / 2) + item) as i64));
        builder.append(true);
    }
    let array: ArrayRef = Arc::new(builder.finish());
    vec![import_column(&array).expect("a list")]
}

#[test]
fn nested_keys() {
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)));
    let spec = AggregateSpec { group_by: vec![Expression::column(0, list)], ..spec(&[], vec![]) };
    breaker("list key", None, 32, lists, aggregate(spec).expect("an aggregation"));
}

/// A library's aggregate whose state is large from the first row on, as a sketch of distinct values is.
#[derive(Debug)]
struct Sketch;

const SKETCH_BYTES: usize = 16 << 10;

#[derive(Default)]
struct Sketches(Vec<Vec<u8>>);

impl CustomAggregate for Sketch {
    fn name(&self) -> &str {
        "sketch"
    }
    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Binary]
    }
    fn argument_types(&self) -> Vec<DataType> {
        vec![DataType::Int64]
    }
    fn create(&self) -> Result<Box<dyn CustomAccumulator>> {
        Ok(Box::<Sketches>::default())
    }
}

impl CustomAccumulator for Sketches {
    fn update(&mut self, _arguments: &[ArrayRef], groups: &[usize], group_count: usize) -> Result<()> {
        self.0.resize(group_count.max(self.0.len()), Vec::new());
        for &group in groups {
            self.0[group].resize(SKETCH_BYTES, 1);
        }
        Ok(())
    }
    fn merge(&mut self, states: &[ArrayRef], groups: &[usize], group_count: usize) -> Result<()> {
        self.update(states, groups, group_count)
    }
    fn state(&mut self) -> Result<Vec<ArrayRef>> {
        let states = std::mem::take(&mut self.0);
        Ok(vec![Arc::new(BinaryArray::from_iter_values(states.into_iter()))])
    }
    fn evaluate(&mut self) -> Result<ArrayRef> {
        let lengths: Vec<i64> = std::mem::take(&mut self.0).iter().map(|state| state.len() as i64).collect();
        let array: ArrayRef = Arc::new(arrow_array::Int64Array::from(lengths));
        debug_assert!(!array.is_empty());
        Ok(array)
    }
    fn memory_bytes(&self) -> usize {
        self.0.iter().map(|state| state.capacity() + size_of::<Vec<u8>>()).sum()
    }
}

#[test]
fn custom_states() {
    let sketch = |argument| call(AggregateFunction::Custom(Arc::new(Sketch)), &[argument], DataType::Int64);
    aggregated("sketches", None, &[6], vec![sketch(1)]);
}
