//! Window functions against a quadratic oracle, on random rows, orders and frames.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array};
use arrow_buffer::IntervalMonthDayNano;
use arrow_schema::DataType;

use super::*;
use crate::config::{Config, Fault};
use crate::operators::aggregate::{CustomAccumulator, CustomAggregate};
use crate::operators::random_rows::{self, Random, batch, compare, drive, drive_with, scalars};

pub(super) type Row = Vec<Scalar>;

/// Columns of every test: partition key, order key, then arguments; `random_rows::batch` adds the row number.
const PARTITION: usize = 0;
pub(super) const ORDER: usize = 1;
pub(super) const INTEGER: usize = 2;
const DECIMAL: usize = 3;
pub(super) const FLOAT: usize = 4;
pub(super) const TEXT: usize = 5;
pub(super) const FLAG: usize = 6;
pub(super) const ID: usize = 7;

pub(super) fn types(order: DataType, partition: DataType) -> Vec<DataType> {
    let decimal = DataType::Decimal128(12, 2);
    vec![partition, order, DataType::Int32, decimal, DataType::Float64, DataType::Utf8, DataType::Boolean]
}

fn argument_type(column: usize) -> DataType {
    match column {
        INTEGER => DataType::Int32,
        DECIMAL => DataType::Decimal128(12, 2),
        FLOAT => DataType::Float64,
        TEXT => DataType::Utf8,
        _ => DataType::Boolean,
    }
}

fn column(index: usize) -> Expression {
    Expression::column(index, argument_type(index))
}

fn whole(value: i64) -> Expression {
    Expression::literal(Scalar::Int64(value), DataType::Int64)
}

fn call(function: WindowFunction, arguments: Vec<Expression>, data_type: DataType, frame: &Frame) -> WindowExpression {
    WindowExpression {
        function,
        arguments,
        frame: frame.clone(),
        filter: None,
        distinct: false,
        ignore_nulls: false,
        data_type,
    }
}

pub(super) fn aggregates(random: &mut Random, frame: &Frame) -> Vec<WindowExpression> {
    use AggregateFunction as F;
    let decimal = DataType::Decimal128(38, 2);
    let mut calls = vec![
        (F::CountAll, vec![], DataType::Int64),
        (F::Count, vec![column(TEXT)], DataType::Int64),
        (F::Sum, vec![column(INTEGER)], DataType::Int64),
        (F::Sum, vec![column(DECIMAL)], decimal),
        (F::Sum, vec![column(FLOAT)], DataType::Float64),
        (F::Avg, vec![column(FLOAT)], DataType::Float64),
        (F::Avg, vec![column(DECIMAL)], DataType::Decimal128(38, 6)),
        (F::Min, vec![column(TEXT)], DataType::Utf8),
        (F::Max, vec![column(FLOAT)], DataType::Float64),
        (F::Min, vec![column(INTEGER)], DataType::Int32),
        (F::BoolAnd, vec![column(FLAG)], DataType::Boolean),
        (F::BoolOr, vec![column(FLAG)], DataType::Boolean),
        (F::BitXor, vec![column(INTEGER)], DataType::Int32),
        (F::VarianceSample, vec![column(INTEGER)], DataType::Float64),
        (F::Custom(Arc::new(SumAll)), vec![column(INTEGER)], DataType::Int64),
    ];
    calls
        .drain(..)
        .map(|(f, arguments, data_type)| {
            let mut aggregate = call(WindowFunction::Aggregate(f), arguments, data_type, frame);
            if random.below(3) == 0 {
                aggregate.filter = Some(column(FLAG));
            }
            let custom = matches!(aggregate.function, WindowFunction::Aggregate(F::Custom(_) | F::CountAll));
            aggregate.distinct = !custom && random.below(3) == 0;
            aggregate
        })
        .collect()
}

/// Functions whose result depends on the order of rows, for orders without ties.
pub(super) fn ordered(random: &mut Random, frame: &Frame) -> Vec<WindowExpression> {
    use WindowFunction as F;
    let offset = random.below(5) as i64 - 2;
    let mut calls = vec![
        call(F::RowNumber, vec![], DataType::UInt64, frame),
        call(F::Ntile, vec![whole(1 + random.below(6) as i64)], DataType::UInt64, frame),
        call(F::Lag, vec![column(TEXT), whole(offset)], DataType::Utf8, frame),
        call(F::Lead, vec![column(INTEGER), whole(offset), whole(77)], DataType::Int32, frame),
        call(F::Lag, vec![column(DECIMAL)], argument_type(DECIMAL), frame),
        call(F::FirstValue, vec![column(TEXT)], DataType::Utf8, frame),
        call(F::LastValue, vec![column(FLOAT)], DataType::Float64, frame),
        call(F::NthValue, vec![column(INTEGER), whole(offset)], DataType::Int32, frame),
    ];
    for call in &mut calls {
        call.ignore_nulls = call.arguments.len() > 0 && !matches!(call.function, F::Ntile) && random.below(2) == 0;
    }
    calls
}

pub(super) fn ranks(frame: &Frame) -> Vec<WindowExpression> {
    use WindowFunction as F;
    let share = |f| call(f, vec![], DataType::Float64, frame);
    let rank = |f| call(f, vec![], DataType::UInt64, frame);
    vec![rank(F::Rank), rank(F::DenseRank), share(F::PercentRank), share(F::CumulativeDistribution)]
}

/// A random end; `distance` makes values for it.
fn bound(random: &mut Random, is_start: bool, distance: &mut dyn FnMut(&mut Random) -> Option<Scalar>) -> FrameBound {
    match random.below(5) {
        0 if is_start => FrameBound::UnboundedPreceding,
        0 => FrameBound::UnboundedFollowing,
        1 | 2 => distance(random).map_or(FrameBound::CurrentRow, FrameBound::Preceding),
        3 => FrameBound::CurrentRow,
        _ => distance(random).map_or(FrameBound::CurrentRow, FrameBound::Following),
    }
}

// ---------------------------------------------------------------- Oracle
/// Half away from zero.
fn rounded(sum: i128, count: i128) -> i128 {
    (2 * sum + sum.signum() * count) / (2 * count)
}

struct Oracle<'a> {
    spec: &'a WindowSpec,
    /// Rows of one partition in order.
    rows: Vec<&'a Row>,
}

impl Oracle<'_> {
    fn order(&self, a: &Row, b: &Row) -> Ordering {
        let key = |k: &SortKey| match k.expression.kind {
            crate::expression::Kind::Column(c) => compare(&a[c], &b[c], k.descending, k.nulls_first),
            _ => Ordering::Equal,
        };
        self.spec.order_by.iter().map(key).find(|o| *o != Ordering::Equal).unwrap_or(Ordering::Equal)
    }

    fn group(&self, i: usize) -> usize {
        (1..=i).filter(|&j| self.order(self.rows[j - 1], self.rows[j]) != Ordering::Equal).count()
    }

    /// Rows of row `i`'s frame.
    fn frame(&self, frame: &Frame, i: usize) -> Vec<usize> {
        (0..self.rows.len())
            .filter(|&j| {
                self.is_inside(frame, &frame.start, i, j, true) && self.is_inside(frame, &frame.end, i, j, false)
            })
            .collect()
    }

    fn is_inside(&self, frame: &Frame, bound: &FrameBound, i: usize, j: usize, is_start: bool) -> bool {
        let offset = match bound {
            FrameBound::UnboundedPreceding => return is_start,
            FrameBound::UnboundedFollowing => return !is_start,
            FrameBound::CurrentRow => None,
            FrameBound::Preceding(d) => Some((d, -1)),
            FrameBound::Following(d) => Some((d, 1)),
        };
        let whole = offset.map_or(0, |(d, sign)| d.as_i64().unwrap_or(0) * sign);
        let place = match frame.units {
            FrameUnits::Rows => (j as i64).cmp(&(i as i64 + whole)),
            FrameUnits::Groups => (self.group(j) as i64).cmp(&(self.group(i) as i64 + whole)),
            FrameUnits::Range => match offset {
                None => self.order(self.rows[j], self.rows[i]),
                Some((distance, sign)) => self.reach(distance, sign, i, j),
            },
        };
        if is_start { place != Ordering::Less } else { place != Ordering::Greater }
    }

    /// Where row `j` lies relative to the point `distance` away from row `i`.
    fn reach(&self, distance: &Scalar, sign: i64, i: usize, j: usize) -> Ordering {
        let key = &self.spec.order_by[0];
        let (a, b) = (&self.rows[i][ORDER], &self.rows[j][ORDER]);
        if a.is_null() || b.is_null() {
            return compare(b, a, key.descending, key.nulls_first);
        }
        let sign = if key.descending { -sign } else { sign };
        let point = match (a, distance) {
            (Scalar::Int64(v), Scalar::Int64(d)) => Scalar::Int64(v + sign * d),
            (Scalar::Int64(v), Scalar::Interval(d)) => Scalar::Int64(v + sign * d.days as i64),
            (Scalar::Float64(v), Scalar::Float64(d)) => Scalar::Float64(v + sign as f64 * d),
            other => panic!("no oracle for {other:?}"),
        };
        compare(b, &point, key.descending, key.nulls_first)
    }

    fn value(&self, f: &WindowExpression, i: usize) -> Scalar {
        let n = self.rows.len();
        let rank = (0..n).filter(|&j| self.order(self.rows[j], self.rows[i]) == Ordering::Less).count();
        let up_to = (0..n).filter(|&j| self.order(self.rows[j], self.rows[i]) != Ordering::Greater).count();
        let constant = |k: usize| match &f.arguments[k].kind {
            crate::expression::Kind::Literal(value) => value.as_i64().expect("a whole number"),
            other => panic!("{other:?} is no constant"),
        };
        let argument = |j: usize| match f.arguments[0].kind {
            crate::expression::Kind::Column(c) => self.rows[j][c].clone(),
            _ => Scalar::Null,
        };
        let shift = |direction: i64| {
            let offset = if f.arguments.len() > 1 { constant(1) } else { 1 } * direction;
            let default = if f.arguments.len() > 2 { Scalar::Int64(constant(2)) } else { Scalar::Null };
            let mut targets: Vec<usize> = if offset < 0 { (0..i).rev().collect() } else { (i + 1..n).collect() };
            if f.ignore_nulls {
                targets.retain(|&j| !argument(j).is_null());
            }
            if offset == 0 {
                argument(i)
            } else {
                targets.get(offset.unsigned_abs() as usize - 1).map_or(default, |&j| argument(j))
            }
        };
        let nth = |k: i64| {
            let mut inside = self.frame(&f.frame, i);
            inside.retain(|&j| !f.ignore_nulls || !argument(j).is_null());
            let index = if k > 0 { k - 1 } else { inside.len() as i64 + k };
            if k == 0 {
                Scalar::Null
            } else {
                usize::try_from(index).ok().and_then(|x| inside.get(x)).map_or(Scalar::Null, |&j| argument(j))
            }
        };
        match &f.function {
            WindowFunction::RowNumber => Scalar::UInt64(i as u64 + 1),
            WindowFunction::Rank => Scalar::UInt64(rank as u64 + 1),
            WindowFunction::DenseRank => Scalar::UInt64(self.group(i) as u64 + 1),
            WindowFunction::PercentRank => Scalar::Float64(if n == 1 { 0.0 } else { rank as f64 / (n - 1) as f64 }),
            WindowFunction::CumulativeDistribution => Scalar::Float64(up_to as f64 / n as f64),
            WindowFunction::Ntile => {
                let buckets = constant(0) as usize;
                let sizes = (0..buckets).map(|b| n / buckets + usize::from(b < n % buckets));
                let ends: Vec<usize> = sizes
                    .scan(0, |sum, s| {
                        *sum += s;
                        Some(*sum)
                    })
                    .collect();
                Scalar::UInt64(ends.iter().filter(|&&end| end <= i).count() as u64 + 1)
            }
            WindowFunction::Lag => shift(-1),
            WindowFunction::Lead => shift(1),
            WindowFunction::FirstValue => nth(1),
            WindowFunction::LastValue => nth(-1),
            WindowFunction::NthValue => nth(constant(1)),
            WindowFunction::Aggregate(aggregate) => self.aggregate(aggregate, f, i),
        }
    }

    fn aggregate(&self, aggregate: &AggregateFunction, f: &WindowExpression, i: usize) -> Scalar {
        use AggregateFunction as F;
        let mut inside = self.frame(&f.frame, i);
        if f.filter.is_some() {
            inside.retain(|&j| self.rows[j][FLAG] == Scalar::Boolean(true));
        }
        let Some(argument) = f.arguments.first() else { return Scalar::Int64(inside.len() as i64) };
        let crate::expression::Kind::Column(c) = argument.kind else { panic!("arguments are columns") };
        let mut values: Vec<&Scalar> = inside.iter().map(|&j| &self.rows[j][c]).filter(|v| !v.is_null()).collect();
        if f.distinct {
            let mut distinct: Vec<&Scalar> = Vec::new();
            values.into_iter().for_each(|v| {
                if !distinct.iter().any(|d| compare(d, v, false, false).is_eq()) {
                    distinct.push(v)
                }
            });
            values = distinct;
        }
        if matches!(aggregate, F::Count) {
            return Scalar::Int64(values.len() as i64);
        }
        if values.is_empty() {
            return Scalar::Null;
        }
        let number = |v: &Scalar| match v {
            Scalar::Float64(v) => *v,
            other => other.as_i64().unwrap_or(0) as f64,
        };
        let sum: f64 = values.iter().map(|v| number(v)).sum();
        let wide: i128 = values.iter().filter_map(|v| v.as_i64()).map(i128::from).sum();
        match (aggregate, &f.data_type) {
            (F::Sum, DataType::Float64) => Scalar::Float64(sum),
            (F::Sum, DataType::Int64) | (F::Custom(_), _) => Scalar::Int64(wide as i64),
            (F::Sum, _) => Scalar::Int128(wide),
            (F::Avg, DataType::Float64) => Scalar::Float64(sum / values.len() as f64),
            (F::Avg, _) => Scalar::Int128(rounded(wide * 10_000, values.len() as i128)),
            (F::Min, _) => {
                values.iter().copied().min_by(|a, b| compare(a, b, false, false)).cloned().unwrap_or(Scalar::Null)
            }
            (F::Max, _) => {
                values.iter().copied().max_by(|a, b| compare(a, b, false, false)).cloned().unwrap_or(Scalar::Null)
            }
            (F::BoolAnd, _) => Scalar::Boolean(values.iter().all(|v| **v == Scalar::Boolean(true))),
            (F::BoolOr, _) => Scalar::Boolean(values.iter().any(|v| **v == Scalar::Boolean(true))),
            (F::BitXor, _) => Scalar::Int64(values.iter().filter_map(|v| v.as_i64()).fold(0, |a, b| a ^ b)),
            (F::VarianceSample, _) if values.len() < 2 => Scalar::Null,
            (F::VarianceSample, _) => {
                let mean = sum / values.len() as f64;
                Scalar::Float64(
                    values.iter().map(|v| (number(v) - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64,
                )
            }
            other => panic!("no oracle for {other:?}"),
        }
    }
}

pub(super) fn is_close(a: &Scalar, b: &Scalar) -> bool {
    match (a, b) {
        (Scalar::Float64(a), Scalar::Float64(b)) if a.is_finite() && b.is_finite() => {
            (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
        }
        _ => compare(a, b, false, false) == Ordering::Equal,
    }
}

/// In memory, and with a sort that goes to disk; partitions go there, too, where most functions allow that.
fn check(mut spec: WindowSpec, batches: Vec<Batch>, workers: usize, batch_rows: usize, seed: u64) {
    for fault in [None, Some(Fault::SpillEvery(1 + seed as usize % 3))] {
        let config = Config { batch_rows, fault, threads: 2, ..Config::default() };
        check_with(spec.clone(), batches.clone(), workers, config, seed);
        if seed % 4 < 3 {
            spec.functions = without_memory(spec.functions);
        }
    }
}

/// Those that do not need their partition in memory.
pub(super) fn without_memory(functions: Vec<WindowExpression>) -> Vec<WindowExpression> {
    functions.into_iter().filter(|f| large::in_memory_only(std::slice::from_ref(f), true).is_none()).collect()
}

fn check_with(spec: WindowSpec, batches: Vec<Batch>, workers: usize, config: Config, seed: u64) {
    let input = scalars(&batches);
    let batch_rows = config.batch_rows;
    let task = TaskContext::new(config);
    let breaker = window(spec.clone()).expect("a window");
    let output = drive(&breaker, batches, workers, &task).expect("computed");
    drop(breaker);
    assert_eq!(task.memory.used(), 0, "everything is given back, seed {seed}");
    assert!(output.iter().all(|b| b.rows() <= batch_rows));
    let output: HashMap<i64, Row> = scalars(&output).into_iter().map(|r| (r[ID].as_i64().expect("an id"), r)).collect();
    assert_eq!(output.len(), input.len(), "rows, seed {seed}");
    let mut partitions: Vec<Vec<&Row>> = Vec::new();
    for row in &input {
        let same = |p: &&mut Vec<&Row>| {
            spec.partition_by.is_empty() || compare(&p[0][PARTITION], &row[PARTITION], false, false).is_eq()
        };
        match partitions.iter_mut().find(same) {
            Some(partition) => partition.push(row),
            None => partitions.push(vec![row]),
        }
    }
    for rows in partitions {
        let mut oracle = Oracle { spec: &spec, rows: Vec::new() };
        let mut sorted = rows.clone();
        sorted.sort_by(|a, b| oracle.order(a, b));
        oracle.rows = sorted;
        for i in 0..oracle.rows.len() {
            let actual = &output[&oracle.rows[i][ID].as_i64().expect("an id")];
            assert!(
                actual.iter().zip(oracle.rows[i]).all(|(a, b)| compare(a, b, false, false).is_eq()),
                "input changed, seed {seed}"
            );
            for (k, f) in spec.functions.iter().enumerate() {
                let expected = oracle.value(f, i);
                assert!(
                    is_close(&actual[ID + 1 + k], &expected),
                    "seed {seed}: {:?} where {expected:?} belongs\n{f:?}\nrow {i} of {:?}\norder {:?}",
                    actual[ID + 1 + k],
                    oracle.rows.len(),
                    spec.order_by
                );
            }
        }
    }
}

fn random_batches(random: &mut Random, types: &[DataType], most: u64) -> Vec<Batch> {
    let mut first = 0;
    (0..1 + random.below(4))
        .map(|_| {
            let len = 1 + random.below(most) as usize;
            first += len as i64;
            batch(random, types, len, first - len as i64)
        })
        .collect()
}

pub(super) fn spec(
    random: &mut Random,
    types: &[DataType],
    order: Vec<usize>,
    functions: Vec<WindowExpression>,
) -> WindowSpec {
    let mut types = types.to_vec();
    types.push(DataType::Int64);
    let partition_by =
        if random.below(4) == 0 { vec![] } else { vec![Expression::column(PARTITION, types[PARTITION].clone())] };
    let mut key = |c: usize| SortKey {
        expression: Expression::column(c, types[c].clone()),
        descending: random.below(2) == 0,
        nulls_first: random.below(2) == 0,
    };
    let order_by = order.into_iter().map(&mut key).collect();
    WindowSpec { partition_by, order_by, functions, types }
}

#[test]
fn total_orders_and_counted_frames() {
    for seed in 0..150 {
        let mut random = Random(seed);
        let all = random_rows::types();
        let types = types(random.pick(&all), random.pick(&all));
        let units = random.pick(&[FrameUnits::Rows, FrameUnits::Groups]);
        let mut distance = |random: &mut Random| Some(Scalar::UInt64(random.pick(&[0, 1, 3, 40, 1 << 40])));
        let frame = Frame {
            units,
            start: bound(&mut random, true, &mut distance),
            end: bound(&mut random, false, &mut distance),
        };
        let mut functions = ordered(&mut random, &frame);
        functions.extend(ranks(&frame));
        functions.extend(aggregates(&mut random, &frame));
        let batches = random_batches(&mut random, &types, 60);
        let spec = spec(&mut random, &types, vec![ORDER, ID], functions);
        check(spec, batches, 1 + (seed % 3) as usize, [7, 4096, 13][seed as usize % 3], seed);
    }
}

#[test]
fn ties_groups_and_ranges_to_peers() {
    for seed in 0..100 {
        let mut random = Random(1000 + seed);
        let all = random_rows::types();
        let types = types(random.pick(&all), DataType::Int8);
        let units = random.pick(&[FrameUnits::Range, FrameUnits::Groups]);
        let mut distance =
            |random: &mut Random| (units == FrameUnits::Groups).then(|| Scalar::Int64(random.below(3) as i64));
        let frame = Frame {
            units,
            start: bound(&mut random, true, &mut distance),
            end: bound(&mut random, false, &mut distance),
        };
        let mut functions = ranks(&frame);
        functions.extend(aggregates(&mut random, &frame));
        let order = if random.below(4) == 0 { vec![] } else { vec![ORDER] };
        let batches = random_batches(&mut random, &types, 60);
        let spec = spec(&mut random, &types, order, functions);
        check(spec, batches, 2, [5, 4096, 16][seed as usize % 3], seed);
    }
}

#[test]
fn ranges_by_distance() {
    for seed in 0..150 {
        let mut random = Random(5000 + seed);
        let order = random.pick(&[DataType::Int8, DataType::Decimal128(12, 2), DataType::Date32, DataType::Float64]);
        let types = types(order.clone(), DataType::Utf8);
        let mut distance = |random: &mut Random| {
            let whole = random.pick(&[0, 1, 10, 100]);
            Some(match order {
                DataType::Date32 => Scalar::Interval(IntervalMonthDayNano::new(0, whole as i32, 0)),
                DataType::Float64 => Scalar::Float64(whole as f64 / 2.0),
                _ => Scalar::Int64(whole),
            })
        };
        let frame = Frame {
            units: FrameUnits::Range,
            start: bound(&mut random, true, &mut distance),
            end: bound(&mut random, false, &mut distance),
        };
        let functions = aggregates(&mut random, &frame);
        // Distances stay far from the limits of 64 bits.
        let batches: Vec<Batch> =
            random_batches(&mut random, &types, 60).into_iter().map(|b| narrow_order(b, &order)).collect();
        let spec = spec(&mut random, &types, vec![ORDER], functions);
        check(spec, batches, 2, [5, 4096, 16][seed as usize % 3], seed);
    }
}

/// Order keys of wide integer types cut to a small range.
fn narrow_order(batch: Batch, order: &DataType) -> Batch {
    use crate::batch::{Column, Values};
    let mut columns = batch.columns().to_vec();
    let column = columns[ORDER].flatten();
    let validity = column.validity().cloned();
    let narrow = match (column.flat_values(), order) {
        (Values::Int64(v), _) => Values::Int64(v.iter().map(|x| x % 200).collect()),
        (Values::Int32(v), _) => Values::Int32(v.iter().map(|x| x % 200).collect()),
        (other, _) => other,
    };
    columns[ORDER] = Column::flat_with_validity(narrow, validity);
    batch.with_columns(columns)
}

#[test]
fn large_input_is_computed_in_groups() {
    let mut random = Random(9);
    let types = types(DataType::Int64, DataType::Int32);
    let frame = Frame { units: FrameUnits::Rows, start: FrameBound::UnboundedPreceding, end: FrameBound::CurrentRow };
    let batches: Vec<Batch> = (0..40).map(|i| batch(&mut random, &types, 3000, i * 3000)).collect();
    let batches: Vec<Batch> = batches.into_iter().map(with_small_partitions).collect();
    let rows: usize = batches.iter().map(Batch::selected_rows).sum();
    let number = call(WindowFunction::RowNumber, vec![], DataType::UInt64, &frame);
    let mut spec = spec(&mut random, &types, vec![ID], vec![number]);
    spec.partition_by = vec![Expression::column(PARTITION, DataType::Int32)];
    for memory_bytes in [None, Some(1 << 20)] {
        let task = TaskContext::new(Config { memory_bytes, ..Config::default() });
        let (breaker, metrics) = (window(spec.clone()).expect("a window"), OperatorMetrics::new());
        let output = drive_with(&breaker, batches.clone(), 3, &task, &metrics).expect("computed");
        assert_eq!(metrics.bytes_spilled.load(Relaxed) > 0, memory_bytes.is_some());
        assert!(memory_bytes.is_none_or(|most| task.memory.peak() <= most + 5 * task.memory.floor()));
        check_numbers(&scalars(&output), rows);
    }
}

/// Partition keys of 600 values, none of which has many rows.
fn with_small_partitions(batch: Batch) -> Batch {
    use crate::batch::{Column, Values};
    let mut columns = batch.columns().to_vec();
    let Values::Int64(ids) = columns[ID].flat_values() else { panic!("ids are integers") };
    columns[PARTITION] = Column::flat(Values::Int32(ids.iter().map(|id| (id * 7919 % 600) as i32).collect()));
    batch.with_columns(columns)
}

/// Every partition's row numbers are 1, 2, 3 …
fn check_numbers(output: &[Row], rows: usize) {
    assert_eq!(output.len(), rows);
    let mut counts: HashMap<Option<i64>, (u64, u64)> = HashMap::new();
    for row in output {
        let Scalar::UInt64(number) = row[ID + 1] else { panic!("a row number is missing") };
        let entry = counts.entry(row[PARTITION].as_i64()).or_default();
        *entry = (entry.0 + 1, entry.1 + number);
    }
    assert!(counts.values().all(|(n, sum)| n * (n + 1) / 2 == *sum));
}

#[test]
fn rows_without_columns_are_counted_from_disk() {
    let frame = Frame { units: FrameUnits::Rows, start: FrameBound::UnboundedPreceding, end: FrameBound::CurrentRow };
    let number = call(WindowFunction::RowNumber, vec![], DataType::UInt64, &frame);
    let spec = WindowSpec { partition_by: vec![], order_by: vec![], functions: vec![number], types: vec![] };
    let task = TaskContext::new(Config { fault: Some(Fault::SpillEvery(1)), ..Config::default() });
    let batches = vec![Batch::new(vec![], 5000); 3];
    let output = scalars(&drive(&window(spec).expect("a window"), batches, 2, &task).expect("computed"));
    let numbers: Vec<Row> = (1..=15_000).map(|n| vec![Scalar::UInt64(n)]).collect();
    assert!(output == numbers);
}

/// Functions that need no whole partition, over frames that grow with their rows.
fn running(units: FrameUnits) -> Vec<WindowExpression> {
    use AggregateFunction as F;
    let frame = Frame { units, start: FrameBound::UnboundedPreceding, end: FrameBound::CurrentRow };
    let aggregate = |f, column_of: usize, t| call(WindowFunction::Aggregate(f), vec![column(column_of)], t, &frame);
    let mut filtered = aggregate(F::Count, TEXT, DataType::Int64);
    filtered.filter = Some(column(FLAG));
    vec![
        filtered,
        call(WindowFunction::Aggregate(F::CountAll), vec![], DataType::Int64, &frame),
        aggregate(F::Sum, INTEGER, DataType::Int64),
        aggregate(F::Sum, DECIMAL, DataType::Decimal128(38, 2)),
        call(WindowFunction::FirstValue, vec![column(TEXT)], DataType::Utf8, &frame),
        call(WindowFunction::RowNumber, vec![], DataType::UInt64, &frame),
    ]
}

#[test]
fn partitions_are_computed_in_pieces() {
    for seed in 0..90 {
        let mut random = Random(8000 + seed);
        let all = random_rows::types();
        let types = types(random.pick(&all), DataType::Int8);
        let units = random.pick(&[FrameUnits::Rows, FrameUnits::Range, FrameUnits::Groups]);
        let mut functions = running(units);
        if units != FrameUnits::Rows {
            functions.truncate(4);
            functions.extend(ranks(&running(units)[0].frame).into_iter().take(2));
        }
        let order = if units == FrameUnits::Rows { vec![ORDER, ID] } else { vec![ORDER] };
        let batches = random_batches(&mut random, &types, 60);
        let spec = spec(&mut random, &types, order, functions);
        check(spec, batches, 2, if seed % 2 == 0 { 7 } else { 4096 }, seed);
    }
}

#[test]
fn a_partition_that_memory_cannot_hold_is_computed_in_pieces() {
    let mut random = Random(12);
    let types = types(DataType::Int64, DataType::Int32);
    let batches: Vec<Batch> = (0..40).map(|i| batch(&mut random, &types, 3000, i * 3000)).collect();
    let mut expected = None;
    for units in [FrameUnits::Rows, FrameUnits::Range] {
        for memory_bytes in [None, Some(1 << 20)] {
            let mut spec = spec(&mut random, &types, vec![ID], running(units));
            spec.order_by[0].descending = false;
            spec.partition_by = vec![Expression::column(FLAG, DataType::Boolean)];
            let task = TaskContext::new(Config { memory_bytes, ..Config::default() });
            let breaker = window(spec).expect("a window");
            let mut output = scalars(&drive(&breaker, batches.clone(), 2, &task).expect("computed"));
            output.sort_by_key(|row| row[ID].as_i64());
            let text: Vec<String> = output.iter().map(|row| format!("{:?}", &row[ID..])).collect();
            assert_eq!(&text, expected.get_or_insert_with(|| text.clone()), "{units:?} {memory_bytes:?}");
            drop(breaker);
            assert_eq!(task.memory.used(), 0);
        }
    }
}

#[test]
fn a_partition_that_memory_cannot_hold_is_named() {
    use AggregateFunction as F;
    let mut random = Random(10);
    let types = types(DataType::Int64, DataType::Int32);
    let frame = Frame { units: FrameUnits::Rows, start: FrameBound::UnboundedPreceding, end: FrameBound::CurrentRow };
    let batches: Vec<Batch> = (0..40).map(|i| batch(&mut random, &types, 3000, i * 3000)).collect();
    let aggregate = |f| call(WindowFunction::Aggregate(f), vec![column(INTEGER)], DataType::Int64, &frame);
    let custom = aggregate(F::Custom(Arc::new(SumAll)));
    let distinct = WindowExpression { distinct: true, ..aggregate(F::Count) };
    for (function, name) in [(custom, "Custom(SumAll)"), (distinct, "(Count)(DISTINCT ")] {
        let mut spec = spec(&mut random, &types, vec![ID], vec![function]);
        spec.partition_by = vec![];
        let task = TaskContext::new(Config { memory_bytes: Some(1 << 20), ..Config::default() });
        let breaker = window(spec).expect("a window");
        let error = drive(&breaker, batches.clone(), 2, &task).expect_err("too large").to_string();
        assert!(error.contains("Window (a partition of more than") && error.contains(name), "{error}");
        assert!(error.contains("needs at once"), "{error}");
        drop(breaker);
        assert_eq!(task.memory.used(), 0);
    }
}

#[test]
fn wrong_arguments_are_user_errors() {
    let frame = |units, start| Frame { units, start, end: FrameBound::CurrentRow };
    let rows = frame(FrameUnits::Rows, FrameBound::UnboundedPreceding);
    let negative = frame(FrameUnits::Rows, FrameBound::Preceding(Scalar::Int64(-1)));
    let text = frame(FrameUnits::Range, FrameBound::Preceding(Scalar::Int64(1)));
    let count = WindowFunction::Aggregate(AggregateFunction::CountAll);
    let cases = [
        call(WindowFunction::Ntile, vec![whole(0)], DataType::UInt64, &rows),
        call(count.clone(), vec![], DataType::Int64, &negative),
        call(count, vec![], DataType::Int64, &text),
    ];
    for function in cases {
        let mut random = Random(3);
        let types = types(DataType::Utf8, DataType::Int8);
        let batches = random_batches(&mut random, &types, 10);
        let spec = spec(&mut random, &types, vec![ORDER], vec![function]);
        let error = drive(&window(spec).expect("a window"), batches, 1, &TaskContext::new(Config::default()))
            .expect_err("refused");
        assert!(matches!(error, Error::User(_) | Error::Unsupported(_)), "{error}");
    }
}

/// A sum of 64-bit integers behind the interface of library aggregates.
#[derive(Debug)]
struct SumAll;

impl CustomAggregate for SumAll {
    fn name(&self) -> &str {
        "sum_all"
    }
    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Int64]
    }
    fn argument_types(&self) -> Vec<DataType> {
        vec![DataType::Int64]
    }
    fn create(&self) -> Result<Box<dyn CustomAccumulator>> {
        Ok(Box::new(Sums(Vec::new())))
    }
}

struct Sums(Vec<Option<i64>>);

impl CustomAccumulator for Sums {
    fn update(&mut self, arguments: &[ArrayRef], groups: &[usize], group_count: usize) -> Result<()> {
        self.0.resize(group_count, None);
        let values = arguments[0].as_primitive::<Int64Type>();
        assert_eq!(values.len(), groups.len());
        for (row, &group) in groups.iter().enumerate() {
            if values.is_valid(row) {
                self.0[group] = Some(self.0[group].unwrap_or(0) + values.value(row));
            }
        }
        Ok(())
    }
    fn merge(&mut self, states: &[ArrayRef], groups: &[usize], group_count: usize) -> Result<()> {
        self.update(states, groups, group_count)
    }
    fn state(&mut self) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate()?])
    }
    fn evaluate(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(Int64Array::from(std::mem::take(&mut self.0))))
    }
    fn memory_bytes(&self) -> usize {
        self.0.len() * 16
    }
}

#[test]
fn what_is_computed_of_nulls_is_null() {
    use AggregateFunction as F;
    let frame = Frame { units: FrameUnits::Rows, start: FrameBound::UnboundedPreceding, end: FrameBound::CurrentRow };
    let argument = Expression::column(0, DataType::Null);
    let computed = [(F::Sum, DataType::Int64), (F::Avg, DataType::Float64), (F::BoolOr, DataType::Boolean)];
    let functions = computed.map(|(f, t)| call(WindowFunction::Aggregate(f), vec![argument.clone()], t, &frame));
    let (partition_by, order_by, types) = (vec![], vec![], vec![DataType::Null]);
    let spec = WindowSpec { partition_by, order_by, functions: functions.into(), types };
    let input = Batch::new(vec![crate::batch::arrow::null_column(&DataType::Null, 5)], 5);
    let task = TaskContext::new(Config::default());
    let output = drive(&window(spec).expect("a window"), vec![input], 1, &task).expect("computed");
    assert_eq!(scalars(&output), vec![vec![Scalar::Null; 4]; 5]);
}
