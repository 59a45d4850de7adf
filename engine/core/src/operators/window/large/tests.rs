//! Partitions of many times the memory, against the same in memory.

use std::sync::atomic::Ordering::Relaxed;

use super::super::tests::{
    FLAG, ID, INTEGER, ORDER, Row, TEXT, aggregates, is_close, ordered, ranks, spec, types, without_memory,
};
use super::super::{Frame, FrameBound, FrameUnits, WindowExpression, WindowFunction, WindowSpec, window};
use super::*;
use crate::batch::{Bitmap, Views};
use crate::config::{Config, Fault};
use crate::error::Error;
use crate::expression::Expression;
use crate::operators::random_rows::{Random, batch, compare, drive_with, scalars};
use crate::operators::sort::retained_bytes;
use arrow_schema::DataType;

const MEMORY: usize = 1 << 20;

/// All rows by number.
fn run(spec: &WindowSpec, batches: &[Batch], config: Config) -> Result<(Vec<Row>, String, usize)> {
    let task = TaskContext::new(config);
    let (breaker, metrics) = (window(spec.clone())?, OperatorMetrics::new());
    let output = drive_with(&breaker, batches.to_vec(), 2, &task, &metrics);
    drop(breaker);
    assert_eq!(task.memory.used(), 0, "everything is given back");
    let mut rows = scalars(&output?);
    rows.sort_by_key(|row| row[ID].as_i64());
    let on_disk = metrics.notes().into_iter().find(|(name, _)| name == "partitions computed on disk");
    assert!(on_disk.is_none() || metrics.bytes_spilled.load(Relaxed) > 0);
    Ok((rows, on_disk.map(|(_, partitions)| partitions).unwrap_or_default(), task.memory.peak()))
}

fn same(spec: &WindowSpec, actual: &[Row], expected: &[Row]) {
    assert_eq!(actual.len(), expected.len());
    for (a, e) in actual.iter().zip(expected) {
        for (index, (a, e)) in a.iter().zip(e).enumerate() {
            let is_input = index <= ID;
            let function = || &spec.functions[index - ID - 1];
            assert!(
                if is_input { compare(a, e, false, false).is_eq() } else { is_close(a, e) },
                "{a:?} where {e:?} belongs, column {index}: {:?}",
                (!is_input).then(function)
            );
        }
    }
}

/// Rows of about 180 bytes; the order key takes few values, so that some groups of peers are larger than the memory.
fn input(random: &mut Random, batches: usize) -> Vec<Batch> {
    let types = types(DataType::Int64, DataType::Int32);
    (0..batches as i64)
        .map(|i| {
            let batch = batch(random, &types, 4000, i * 4000);
            let mut columns = batch.columns().to_vec();
            let keys = (0..4000).map(|_| [0, 1, 2, 50, 51, 52, 53, 90][random.below(8).min(random.below(8)) as usize]);
            columns[ORDER] = Column::flat(Values::Int64(keys.collect()));
            let texts = (0..4000_usize).map(|row| format!("{:0>100}", row * 7919 % 1013)).collect::<Vec<_>>();
            let valid = Bitmap::from_bools((0..4000).map(|row| row % 11 > 0));
            let texts = Values::View(Views::from_values(texts.iter()));
            columns[TEXT] = Column::flat_with_validity(texts, Some(valid));
            batch.with_columns(columns)
        })
        .collect()
}

/// Bytes of all rows, one after the other.
fn flat_bytes(batches: &[Batch]) -> usize {
    let bytes =
        |batch: &Batch| batch.clone().compact().columns().iter().map(|c| retained_bytes(&c.flatten())).sum::<usize>();
    batches.iter().map(bytes).sum()
}

/// Functions whose values do not depend on the order of peers.
fn functions(random: &mut Random, frame: &Frame) -> Vec<WindowExpression> {
    let mut functions = ranks(frame);
    functions.extend(aggregates(random, frame));
    without_memory(functions)
}

fn check(spec: &WindowSpec, batches: &[Batch]) {
    let (expected, on_disk, _) = run(spec, batches, Config::default()).expect("computed in memory");
    assert_eq!(on_disk, "");
    let config = Config { memory_bytes: Some(MEMORY), ..Config::default() };
    let floor = TaskContext::new(config.clone()).memory.floor();
    let (actual, on_disk, peak) = run(spec, batches, config).expect("computed on disk");
    assert!(on_disk != "", "a partition was on disk");
    same(spec, &actual, &expected);
    assert!(peak <= MEMORY + 5 * floor, "{peak} bytes");
}

fn bounds() -> [(FrameBound, FrameBound); 6] {
    use FrameBound::*;
    let (near, far) = (Scalar::UInt64(2), Scalar::UInt64(30_000));
    [
        (UnboundedPreceding, UnboundedFollowing),
        (CurrentRow, UnboundedFollowing),
        (Preceding(near.clone()), Following(near.clone())),
        (Preceding(far.clone()), Following(Scalar::UInt64(9_000))),
        (Following(near), Following(far)),
        (UnboundedPreceding, Following(Scalar::UInt64(700))),
    ]
}

#[test]
fn frames_of_rows_over_twenty_times_the_memory() {
    let mut random = Random(31);
    let types = types(DataType::Int64, DataType::Int32);
    let batches = input(&mut random, 38);
    assert!(flat_bytes(&batches) > 20 * MEMORY, "{} bytes", flat_bytes(&batches));
    for (index, (start, end)) in bounds().into_iter().enumerate() {
        let batches = if index < 2 { &batches[..] } else { &batches[..9] };
        let frame = Frame { units: FrameUnits::Rows, start, end };
        let mut functions = without_memory(ordered(&mut random, &frame));
        functions.extend(functions_of_few(&mut random, &frame));
        let mut spec = spec(&mut random, &types, vec![ID], functions);
        spec.partition_by = vec![];
        check(&spec, batches);
    }
}

/// Some of the functions that do not depend on the order of peers, and the last one: the custom one where frames are whole partitions.
fn functions_of_few(random: &mut Random, frame: &Frame) -> Vec<WindowExpression> {
    let skip = random.below(2) as usize;
    let mut all = functions(random, frame);
    let last = all.pop();
    all.into_iter().skip(skip).step_by(2).chain(last).collect()
}

#[test]
fn groups_of_peers_larger_than_the_memory() {
    let mut random = Random(32);
    let types = types(DataType::Int64, DataType::Int32);
    let batches = input(&mut random, 12);
    for units in [FrameUnits::Groups, FrameUnits::Range] {
        for (start, end) in bounds().into_iter().take(if units == FrameUnits::Range { 3 } else { 5 }) {
            let distance = |bound| match bound {
                FrameBound::Preceding(_) if units == FrameUnits::Range => FrameBound::Preceding(Scalar::Int64(1)),
                FrameBound::Following(_) if units == FrameUnits::Range => FrameBound::Following(Scalar::Int64(38)),
                other => other,
            };
            let frame = Frame { units, start: distance(start), end: distance(end) };
            let functions = functions_of_few(&mut random, &frame);
            let mut spec = spec(&mut random, &types, vec![ORDER], functions);
            spec.partition_by = vec![];
            check(&spec, &batches);
        }
    }
}

#[test]
fn large_and_small_partitions_one_after_the_other() {
    let mut random = Random(33);
    let types = types(DataType::Int64, DataType::Int32);
    let batches = input(&mut random, 12);
    let frame = Frame { units: FrameUnits::Range, start: FrameBound::CurrentRow, end: FrameBound::UnboundedFollowing };
    for (partition, order) in [(FLAG, vec![ORDER]), (ORDER, vec![]), (ORDER, vec![ID])] {
        let data_type = if partition == FLAG { DataType::Boolean } else { DataType::Int64 };
        let functions = functions_of_few(&mut random, &frame);
        let mut spec = spec(&mut random, &types, order, functions);
        spec.partition_by = vec![Expression::column(partition, data_type)];
        check(&spec, &batches);
    }
}

#[test]
fn what_is_left_of_a_partition_in_pieces_goes_to_disk() {
    // Running functions over peers: groups of some rows, then one that memory cannot hold.
    let mut random = Random(34);
    let types = types(DataType::Int64, DataType::Int32);
    let batches: Vec<Batch> = (0..26)
        .map(|i| {
            let batch = batch(&mut random, &types, 4000, i * 4000);
            let mut columns = batch.columns().to_vec();
            columns[ORDER] =
                Column::flat(Values::Int64((i * 4000..i * 4000 + 4000).map(|id| (id / 7).min(5000)).collect()));
            batch.with_columns(columns)
        })
        .collect();
    let frame = Frame { units: FrameUnits::Range, start: FrameBound::UnboundedPreceding, end: FrameBound::CurrentRow };
    let sum = WindowExpression {
        function: WindowFunction::Aggregate(AggregateFunction::Sum),
        arguments: vec![Expression::column(INTEGER, DataType::Int32)],
        frame: frame.clone(),
        filter: None,
        distinct: false,
        ignore_nulls: false,
        data_type: DataType::Int64,
    };
    let mut functions = ranks(&frame);
    functions.truncate(2);
    functions.push(sum);
    let mut spec = spec(&mut random, &types, vec![ORDER], functions);
    spec.partition_by = vec![];
    spec.order_by[0].descending = false;
    check(&spec, &batches);
}

#[test]
fn faults_are_typed_errors_and_leave_nothing() {
    let mut random = Random(35);
    let types = types(DataType::Int64, DataType::Int32);
    let batches = input(&mut random, 5);
    let frame = Frame { units: FrameUnits::Rows, start: FrameBound::CurrentRow, end: FrameBound::UnboundedFollowing };
    let functions = without_memory(ordered(&mut random, &frame));
    let mut spec = spec(&mut random, &types, vec![ID], functions);
    spec.functions.extend(functions_of_few(&mut random, &frame).into_iter().take(2));
    spec.partition_by = vec![];
    let (expected, ..) = run(&spec, &batches, Config::default()).expect("computed in memory");
    let mut failed = [0; 5];
    for nth in [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233] {
        for (kind, fault) in Fault::all_at(nth).into_iter().enumerate() {
            let config = Config { memory_bytes: Some(MEMORY), fault: Some(fault), ..Config::default() };
            match run(&spec, &batches, config) {
                Ok((rows, ..)) => same(&spec, &rows, &expected),
                Err(Error::OutOfMemory { .. } | Error::Cancelled | Error::Io { .. }) => failed[kind] += 1,
                Err(other) => panic!("{fault:?}: {other}"),
            }
        }
    }
    // Most refusals are met by spilling.
    assert!(failed[1..].iter().all(|&times| times > 0), "{failed:?}");
}
