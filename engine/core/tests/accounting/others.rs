//! Exchange, shuffle files, materialize, unnest, recursion and the queue of a result.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{Int64Builder, ListBuilder};
use arrow_schema::{DataType, Field};
use plasmon_core::batch::{Column, arrow::import_column};
use plasmon_core::expression::Expression;
use plasmon_core::operators::Breaker;
use plasmon_core::operators::collect::Collect;
use plasmon_core::operators::exchange::{Distribution, Exchange, ExchangeSpec};
use plasmon_core::operators::gather::Gather;
use plasmon_core::operators::materialize::Materialize;
use plasmon_core::operators::recursive::Recursive;
use plasmon_core::operators::shuffle_write::{Partitioning, ShuffleWriteSpec, shuffle_write};
use plasmon_core::operators::unnest::{Unnest, UnnestOutput};
use plasmon_core::pipeline::{Graph, Part, Pipeline, Wait};

use crate::harness::{Make, ROWS, breaker, codes, integers, measure, mixed, texts};

fn rows(batch: u64) -> Vec<Column> {
    let first = batch * ROWS as u64;
    vec![integers(first, ROWS, |row| mixed(row) as i64), texts(first, ROWS, mixed), codes(first, ROWS, 50)]
}

fn types() -> Vec<DataType> {
    vec![DataType::Int64, DataType::Utf8View, DataType::Utf8View]
}

fn exchanged(name: &str, memory: Option<usize>, partitions: usize, distribution: Distribution) {
    let spec = ExchangeSpec { distribution, partitions, types: types(), numbered: true };
    let measured = {
        let exchange = Exchange::new(spec).expect("an exchange").breaker();
        breaker(name, memory, 64, rows, exchange)
    };
    assert_eq!(measured.rows, 64 * ROWS);
}

#[test]
fn exchanges() {
    let by = || Distribution::Keys(vec![Expression::column(0, DataType::Int64)]);
    exchanged("exchange by key", None, 16, by());
    exchanged("exchange by key to many", None, 1000, by());
    exchanged("exchange in turn", None, 16, Distribution::InTurn);
    exchanged("exchange beyond memory", Some(8 << 20), 16, by());
}

#[test]
fn shuffle_files() {
    for (name, memory) in [("shuffle file", None), ("shuffle file beyond memory", Some(8 << 20))] {
        let path = std::env::temp_dir().join(format!("plasmon-accounting-{}", std::process::id()));
        let spec = ShuffleWriteSpec {
            partitioning: Partitioning::Hash(vec![Expression::column(0, DataType::Int64)]),
            partitions: 200,
            path: path.clone(),
            types: types(),
        };
        let measured = breaker(name, memory, 64, rows, shuffle_write(spec).expect("a file to write"));
        std::fs::remove_file(path).expect("a file was written");
        assert_eq!(measured.rows, 200);
    }
}

#[test]
fn materialized_rows() {
    for (name, memory) in [("materialize", None), ("materialize beyond memory", Some(8 << 20))] {
        let kept = Materialize::new();
        let source = kept.reader();
        let measured = breaker(name, memory, 64, rows, Breaker { sink: Arc::new(kept), source });
        assert_eq!(measured.rows, 64 * ROWS);
    }
}

fn lists(batch: u64) -> Vec<Column> {
    let mut builder = ListBuilder::new(Int64Builder::new());
    for row in batch * ROWS as u64..(batch + 1) * ROWS as u64 {
        (0..20).for_each(|item| builder.values().append_value((row + item) as i64));
        builder.append(true);
    }
    let array: ArrayRef = Arc::new(builder.finish());
    vec![integers(batch * ROWS as u64, ROWS, |row| row as i64), import_column(&array).expect("a list")]
}

#[test]
fn unnested_rows() {
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)));
    measure("unnest", None, |plan| {
        let outputs = vec![UnnestOutput::Keep(0), UnnestOutput::List { column: 1, depth: 1 }];
        let unnest = Unnest::new(outputs, false, vec![DataType::Int64, list]);
        let result = plan.result();
        let input = plan.input(32, lists);
        plan.pipeline(input, vec![Arc::new(unnest)], result, Vec::new());
    });
}

#[test]
fn gathered_rows() {
    measure("gather", None, |plan| {
        let result = plan.result();
        let input = plan.input(64, rows as Make);
        plan.pipeline(input, vec![Arc::new(Gather::new(types()))], result, Vec::new());
    });
}

#[test]
fn recursive_rows() {
    measure("recursion", None, |plan| {
        let initial = Arc::new(Materialize::new());
        let kept = plan.graph.add_sink(initial.clone(), 0);
        let input = plan.input(64, rows as Make);
        plan.pipeline(input, Vec::new(), kept, Vec::new());
        // The second round gives the rows of the first again, which are not new.
        let step = Arc::new(|table: Arc<Materialize>| {
            let (rows, source) = (Arc::new(Materialize::new()), table.reader());
            let mut graph = Graph::default();
            let sink = graph.add_sink(rows.clone(), 0);
            graph.add_pipeline(Pipeline {
                source: Part::new(source, 0),
                operators: Vec::new(),
                sink,
                waits: Vec::new(),
            });
            Ok((graph, rows))
        });
        let recursive = Recursive { initial, step, distinct: true, types: types() };
        let result = plan.result();
        plan.pipeline(Arc::new(recursive), Vec::new(), result, vec![Wait::Sink(kept)]);
    });
}

#[test]
fn rows_that_wait_for_their_reader() {
    let mut waiting = None;
    measure("collect", None, |plan| {
        let (sink, queue) = Collect::new(Some(64));
        let sink = plan.graph.add_sink(Arc::new(sink), 0);
        let input = plan.input(64, rows as Make);
        plan.pipeline(input, Vec::new(), sink, Vec::new());
        waiting = Some(queue);
    });
    assert_eq!(waiting.expect("a queue").iter().count(), 64);
}
