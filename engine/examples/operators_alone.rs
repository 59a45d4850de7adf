//! Operators without SQL, on `plasmon-core` alone: batches go through filter → join → aggregate in pipelines wired by hand.
//!
//! ```text
//! customers ───────────────► join build
//! orders ──► filter ──► join probe ──► aggregate
//!            what the join spilled ──► aggregate
//!                                      aggregate ──► collect
//! ```
//! `cargo run --release --workspace --example operators_alone`

#![expect(clippy::print_stdout, reason = "examples show their results")]

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::util::pretty::pretty_format_batches;
use plasmon_core::batch::arrow::{export_batch, import_batch};
use plasmon_core::expression::{CompareOp, Expression, Scalar};
use plasmon_core::operators::Breaker;
use plasmon_core::operators::aggregate::{
    AggregateExpression, AggregateFunction, AggregatePhase, AggregateSpec, aggregate,
};
use plasmon_core::operators::collect::Collect;
use plasmon_core::operators::filter::Filter;
use plasmon_core::operators::join::{Join, JoinKind, JoinSpec};
use plasmon_core::operators::values::Values;
use plasmon_core::pipeline::{Graph, InlineDriver, Part, Pipeline, TaskContext, Wait};
use plasmon_core::{Config, Result};

/// customer → country.
fn customers() -> Result<RecordBatch> {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1_000));
    let countries: ArrayRef = Arc::new(StringArray::from_iter_values((0..1_000).map(|n| ["NO", "PE", "IN"][n % 3])));
    Ok(RecordBatch::try_from_iter([("customer", numbers), ("country", countries)])?)
}

/// customer, cents; every second customer is unknown.
fn orders(first: i64) -> Result<RecordBatch> {
    let buyers: ArrayRef = Arc::new(Int64Array::from_iter_values((first..first + 4_096).map(|n| n * 7 % 2_000)));
    let cents: ArrayRef = Arc::new(Int64Array::from_iter_values((first..first + 4_096).map(|n| n % 500)));
    Ok(RecordBatch::try_from_iter([("customer", buyers), ("cents", cents)])?)
}

/// The operators. Columns are ordinals, types are explicit: nothing is inferred here.
fn operators() -> Result<(Expression, Join, Breaker)> {
    let int = || DataType::Int64;
    let column = |index| Expression::column(index, DataType::Int64);
    let expensive =
        Expression::compare(CompareOp::GreaterEqual, column(1), Expression::literal(Scalar::Int64(250), int()));
    let join = Join::new(
        JoinSpec {
            kind: JoinKind::Inner,
            left_keys: vec![column(0)],
            right_keys: vec![column(0)],
            null_equal: vec![false],
            residual: None,
            null_aware: false,
            left_types: vec![int(), int()],
            right_types: vec![int(), DataType::Utf8],
            // Of (customer, cents, customer, country) only cents and country go on.
            projection: Some(vec![1, 3]),
        },
        Vec::new(),
    )?;
    let call = |function, arguments| AggregateExpression {
        function,
        arguments,
        filter: None,
        distinct: false,
        order_by: Vec::new(),
        data_type: DataType::Int64,
    };
    let by_country = aggregate(AggregateSpec {
        group_by: vec![Expression::column(1, DataType::Utf8)],
        grouping_sets: Vec::new(),
        grouping_id: None,
        aggregates: vec![call(AggregateFunction::CountAll, Vec::new()), call(AggregateFunction::Sum, vec![column(0)])],
        phase: AggregatePhase::Single,
    })?;
    Ok((expensive, join, by_country))
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let (expensive, join, by_country) = operators()?;

    // The pipelines, each ending in a sink; a pipeline waits for the sinks whose results it reads.
    let mut graph = Graph::default();
    let build = graph.add_sink(join.build(), 0);
    let groups = graph.add_sink(by_country.sink, 0);
    let (collect, results) = Collect::new(None);
    let output = graph.add_sink(Arc::new(collect), 0);
    graph.add_pipeline(Pipeline {
        source: Part::new(Arc::new(Values::new(vec![import_batch(&customers()?)?])), 0),
        operators: Vec::new(),
        sink: build,
        waits: Vec::new(),
    });
    let batches = (0..25).map(|n| import_batch(&orders(n * 4_096)?)).collect::<Result<Vec<_>>>()?;
    let probing = graph.add_pipeline(Pipeline {
        source: Part::new(Arc::new(Values::new(batches)), 0),
        operators: vec![Part::new(Arc::new(Filter::new(expensive)), 0), Part::new(join.probe(), 0)],
        sink: groups,
        waits: vec![Wait::Sink(build)],
    });
    // A join that is not asked for this keeps everything in memory, or fails.
    graph.add_pipeline(Pipeline {
        source: Part::new(join.spilled(), 0),
        operators: Vec::new(),
        sink: groups,
        waits: vec![Wait::Sink(build), Wait::Pipeline(probing)],
    });
    graph.add_pipeline(Pipeline {
        source: Part::new(by_country.source, 0),
        operators: Vec::new(),
        sink: output,
        waits: vec![Wait::Sink(groups)],
    });

    // This thread drives; `InlineDriver::step` would give it back between any two batches, `run_on_pool` takes several threads.
    let task = TaskContext::new(Config { memory_bytes: Some(64 << 20), ..Config::default() });
    let graph = Arc::new(graph);
    InlineDriver::new(graph.clone(), task.clone()).run()?;

    let schema: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("country", DataType::Utf8, false),
        Field::new("orders", DataType::Int64, false),
        Field::new("cents", DataType::Int64, true),
    ]));
    let batches = results.try_iter().map(|b| export_batch(b, &schema)).collect::<Result<Vec<_>>>()?;
    println!("{}", pretty_format_batches(&batches)?);
    println!("most memory reserved: {} bytes", task.memory.peak());

    let total: i64 = batches.iter().flat_map(|b| b.column(2).as_primitive::<Int64Type>().values().to_vec()).sum();
    assert_eq!(total, expected_cents()?);
    Ok(())
}

/// The same sum by a plain loop.
fn expected_cents() -> Result<i64> {
    let mut expected = 0;
    for first in 0..25 {
        let batch = orders(first * 4_096)?;
        let (buyers, cents) =
            (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_primitive::<Int64Type>());
        let rows = buyers.values().iter().zip(cents.values());
        expected += rows.filter(|(b, c)| **b < 1_000 && **c >= 250).map(|(_, c)| c).sum::<i64>();
    }
    Ok(expected)
}
