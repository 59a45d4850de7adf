//! Sort, top-N and window.

use arrow_schema::DataType;
use plasmon_core::batch::Column;
use plasmon_core::expression::{Expression, SortKey};
use plasmon_core::operators::aggregate::AggregateFunction;
use plasmon_core::operators::sort::{SortSpec, sort};
use plasmon_core::operators::window::{
    Frame, FrameBound, FrameUnits, WindowExpression, WindowFunction, WindowSpec, window,
};

use crate::harness::{ROWS, breaker, codes, integers, mixed, texts};

const BATCHES: u64 = 64;

fn rows(batch: u64) -> Vec<Column> {
    let first = batch * ROWS as u64;
    vec![
        integers(first, ROWS, |row| mixed(row) as i64),
        texts(first, ROWS, mixed),
        codes(first, ROWS, 50),
        integers(first, ROWS, |row| (mixed(row) % 1000) as i64),
    ]
}

fn types() -> Vec<DataType> {
    vec![DataType::Int64, DataType::Utf8View, DataType::Utf8View, DataType::Int64]
}

fn by(columns: &[usize]) -> Vec<SortKey> {
    let key = |&column: &usize| SortKey {
        expression: Expression::column(column, types()[column].clone()),
        descending: false,
        nulls_first: false,
    };
    columns.iter().map(key).collect()
}

fn sorted(name: &str, memory: Option<usize>, keys: &[usize], fetch: Option<usize>) {
    let spec = SortSpec { keys: by(keys), fetch, offset: 0, types: types(), threshold: None };
    let measured = breaker(name, memory, BATCHES, rows, sort(spec).expect("a sort"));
    assert_eq!(measured.rows, fetch.unwrap_or(BATCHES as usize * ROWS));
}

#[test]
fn sorts() {
    sorted("sort by integer", None, &[0], None);
    sorted("sort by text", None, &[1], None);
    sorted("sort by code, integer and text", None, &[2, 3, 1], None);
    sorted("sort, first 100 000", None, &[3, 0], Some(100_000));
    sorted("sort beyond memory", Some(8 << 20), &[0], None);
    sorted("sort by text beyond memory", Some(8 << 20), &[1], None);
}

#[test]
fn top_ns() {
    sorted("top 100 by integer", None, &[0], Some(100));
    sorted("top 10 000 by text", None, &[1], Some(10_000));
    sorted("top 60 000 beyond memory", Some(4 << 20), &[0], Some(60_000));
}

fn windowed(name: &str, memory: Option<usize>, partition: &[usize], functions: Vec<WindowExpression>) {
    let spec = WindowSpec {
        partition_by: partition.iter().map(|&c| Expression::column(c, types()[c].clone())).collect(),
        order_by: by(&[0]),
        functions,
        types: types(),
    };
    let measured = breaker(name, memory, BATCHES, rows, window(spec).expect("a window"));
    assert_eq!(measured.rows, BATCHES as usize * ROWS);
}

fn function(function: WindowFunction, arguments: &[usize], data_type: DataType) -> WindowExpression {
    WindowExpression {
        function,
        arguments: arguments.iter().map(|&c| Expression::column(c, types()[c].clone())).collect(),
        frame: Frame { units: FrameUnits::Rows, start: FrameBound::UnboundedPreceding, end: FrameBound::CurrentRow },
        filter: None,
        distinct: false,
        ignore_nulls: false,
        data_type,
    }
}

fn functions() -> Vec<WindowExpression> {
    vec![
        function(WindowFunction::RowNumber, &[], DataType::UInt64),
        function(WindowFunction::Aggregate(AggregateFunction::Sum), &[3], DataType::Int64),
        function(WindowFunction::Aggregate(AggregateFunction::Max), &[1], DataType::Utf8View),
        function(WindowFunction::FirstValue, &[1], DataType::Utf8View),
    ]
}

#[test]
fn windows() {
    windowed("window by partition", None, &[3], functions());
    windowed("window without partition", None, &[], functions());
    windowed("window by text", None, &[1], functions());
    windowed("window beyond memory", Some(8 << 20), &[3], functions());
}
