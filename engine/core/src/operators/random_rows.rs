//! Test data: random columns of every type and encoding, and plain scalar comparison to judge operators by.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{IntervalMonthDayNano, i256};
use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};

use crate::batch::Physical;
use crate::batch::arrow::import_column;
use crate::batch::{Batch, Bitmap, Column, Dictionary, Selection, Values, Views, physical_type};
use crate::expression::Scalar;
use crate::metrics::OperatorMetrics;
use crate::operators::Breaker;
use crate::pipeline::{Next, Source, TaskContext};

/// A small deterministic generator.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// One of `items`.
    pub(crate) fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize].clone()
    }
}

/// Every type that has an order, one per physical shape and a few more.
pub(crate) fn types() -> Vec<DataType> {
    vec![
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(12, 2),
        DataType::Decimal128(30, 3),
        DataType::Decimal256(60, 3),
        DataType::Date32,
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::Utf8,
        DataType::Binary,
        DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true))),
    ]
}

/// `len` random values of a type: few distinct ones (so that there are ties) or many, with or without nulls, in any encoding.
pub(crate) fn column(random: &mut Random, data_type: &DataType, len: usize) -> Column {
    let spread = random.pick(&[1u64, 3, 50, u64::MAX]);
    let nulls = random.pick(&[0u64, 0, 3, 10]);
    if let DataType::List(_) = data_type {
        return list_column(random, len, nulls);
    }
    let validity = (nulls > 0)
        .then(|| Bitmap::from_bools((0..len).map(|_| random.below(nulls) > 0).collect::<Vec<_>>().into_iter()));
    match random.below(6) {
        0 if len > 0 => {
            let dictionary = Arc::new(Dictionary::new(values(random, data_type, 5, spread)));
            Column::dictionary((0..len).map(|_| random.below(5) as u32).collect(), dictionary, validity)
        }
        1 => Column::constant(values(random, data_type, 1, spread), len),
        _ => Column::flat_with_validity(values(random, data_type, len, spread), validity),
    }
}

fn list_column(random: &mut Random, len: usize, nulls: u64) -> Column {
    let mut builder = ListBuilder::new(Int32Builder::new());
    for _ in 0..len {
        for _ in 0..random.below(3) {
            builder.values().append_value(random.below(3) as i32);
        }
        builder.append(nulls == 0 || random.below(nulls) > 0);
    }
    let array: ArrayRef = Arc::new(builder.finish());
    import_column(&array).expect("a list imports")
}

fn values(random: &mut Random, data_type: &DataType, len: usize, spread: u64) -> Values {
    macro_rules! numbers {
        ($variant:ident, $type:ty) => {
            Values::$variant((0..len).map(|_| (random.below(spread) as i64).wrapping_sub(1) as $type).collect())
        };
    }
    let floats =
        [-1.5, -0.0, 0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2.0, 1e300, -f64::NAN, f64::MIN_POSITIVE];
    let texts = [
        "",
        "a",
        "b",
        "ab",
        "a\0",
        "a\0b",
        "längere Zeichenkette",
        "längere Zeichenkette 2",
        "längere Zeichenkette 10",
        "zwölf bytes",
    ];
    let distinct = spread.clamp(1, 10);
    match physical_type(data_type) {
        Physical::Boolean => {
            Values::Boolean(Bitmap::from_bools((0..len).map(|_| random.below(2) == 0).collect::<Vec<_>>().into_iter()))
        }
        Physical::Int8 => numbers!(Int8, i8),
        Physical::Int16 => numbers!(Int16, i16),
        Physical::Int32 => numbers!(Int32, i32),
        Physical::Int64 => numbers!(Int64, i64),
        // Decimals of high precision often arrive narrow.
        Physical::Int128 if random.below(2) == 0 => numbers!(Int64, i64),
        Physical::Int128 => Values::Int128(
            (0..len).map(|_| random.below(spread) as i128 * random.pick(&[1, -1, i128::MAX >> 65])).collect(),
        ),
        Physical::Int256 => Values::Int256(
            (0..len).map(|_| i256::from_parts(random.below(spread) as u128, random.below(3) as i128 - 1)).collect(),
        ),
        Physical::UInt8 => numbers!(UInt8, u8),
        Physical::UInt16 => numbers!(UInt16, u16),
        Physical::UInt32 => numbers!(UInt32, u32),
        Physical::UInt64 => numbers!(UInt64, u64),
        Physical::Float32 => {
            Values::Float32((0..len).map(|_| floats[random.below(distinct) as usize] as f32).collect())
        }
        Physical::Float64 => Values::Float64((0..len).map(|_| floats[random.below(distinct) as usize]).collect()),
        Physical::Interval => Values::Interval(
            (0..len)
                .map(|_| {
                    IntervalMonthDayNano::new(
                        random.below(3) as i32 - 1,
                        random.below(40) as i32,
                        random.below(spread.min(1000)) as i64,
                    )
                })
                .collect::<Vec<_>>()
                .into(),
        ),
        Physical::View => {
            // Sometimes only strings that fit their views.
            let short = random.below(2) == 0;
            let texts: Vec<&str> = texts.iter().copied().filter(|t| !short || t.len() <= 12).collect();
            Values::View(Views::from_values(
                (0..len).map(|_| texts[random.below(distinct.min(texts.len() as u64)) as usize]),
            ))
        }
        Physical::Nested => unreachable!("nested columns are made elsewhere"),
    }
}

/// A batch of random columns, sometimes with a selection; the last column numbers the rows from `first`.
pub(crate) fn batch(random: &mut Random, types: &[DataType], len: usize, first: i64) -> Batch {
    let mut columns: Vec<Column> = types.iter().map(|t| column(random, t, len)).collect();
    columns.push(Column::flat(Values::Int64((first..first + len as i64).collect())));
    let batch = Batch::new(columns, len);
    if random.below(3) == 0 {
        let positions = (0..len as u16).filter(|_| random.below(3) > 0).collect();
        return batch.with_selection(Selection::new(positions));
    }
    batch
}

/// The selected rows of batches, value by value.
pub(crate) fn scalars(batches: &[Batch]) -> Vec<Vec<Scalar>> {
    let mut rows = Vec::new();
    for batch in batches {
        let batch = batch.clone().compact();
        rows.extend(
            (0..batch.rows())
                .map(|row| batch.columns().iter().map(|c| Scalar::from_column(c, row)).collect::<Vec<_>>()),
        );
    }
    rows
}

/// SQL's order of two values under a key's direction and null order.
pub(crate) fn compare(a: &Scalar, b: &Scalar, descending: bool, nulls_first: bool) -> Ordering {
    let nulls = if nulls_first { Ordering::Less } else { Ordering::Greater };
    match (a.is_null(), b.is_null()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return nulls,
        (false, true) => return nulls.reverse(),
        (false, false) => {}
    }
    let floats = |a: f64, b: f64| match (a.is_nan(), b.is_nan()) {
        (false, false) => a.partial_cmp(&b).expect("neither is NaN"),
        (a, b) => a.cmp(&b),
    };
    let wide = |s: &Scalar| match s {
        Scalar::Int64(v) => Some(i256::from_i128(*v as i128)),
        Scalar::UInt64(v) => Some(i256::from_i128(*v as i128)),
        Scalar::Int128(v) => Some(i256::from_i128(*v)),
        Scalar::Int256(v) => Some(*v),
        Scalar::Boolean(v) => Some(i256::from_i128(*v as i128)),
        Scalar::Interval(v) => {
            Some(i256::from_i128((v.months as i128 * 30 + v.days as i128) * 86_400_000_000_000 + v.nanoseconds as i128))
        }
        _ => None,
    };
    let ascending = match (a, b) {
        (Scalar::Float32(a), Scalar::Float32(b)) => floats(*a as f64, *b as f64),
        (Scalar::Float64(a), Scalar::Float64(b)) => floats(*a, *b),
        (Scalar::Bytes(a), Scalar::Bytes(b)) => a.cmp(b),
        (Scalar::Nested(a), Scalar::Nested(b)) => list_items(a).cmp(&list_items(b)),
        (a, b) => wide(a).expect("a number").cmp(&wide(b).expect("a number")),
    };
    if descending { ascending.reverse() } else { ascending }
}

fn list_items(array: &ArrayRef) -> Vec<i32> {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int32Type;
    let list = array.as_list::<i32>().value(0);
    (0..list.len()).map(|i| list.as_primitive::<Int32Type>().value(i)).collect()
}

/// Runs a breaker: batches dealt to `workers` workers, finalized, and read by one.
pub(crate) fn drive(
    breaker: &Breaker,
    batches: Vec<Batch>,
    workers: usize,
    task: &TaskContext,
) -> crate::Result<Vec<Batch>> {
    drive_with(breaker, batches, workers, task, &OperatorMetrics::new())
}

/// The same, counting in `metrics`.
pub(crate) fn drive_with(
    breaker: &Breaker,
    batches: Vec<Batch>,
    workers: usize,
    task: &TaskContext,
    metrics: &Arc<OperatorMetrics>,
) -> crate::Result<Vec<Batch>> {
    let mut states = (0..workers).map(|_| breaker.sink.open(task, metrics)).collect::<crate::Result<Vec<_>>>()?;
    for (i, batch) in batches.into_iter().enumerate() {
        if batch.selected_rows() > 0 {
            states[i % workers].push(batch)?;
        }
    }
    states.iter_mut().try_for_each(|s| s.combine())?;
    drop(states);
    for stage in 0.. {
        let tasks = breaker.sink.finalize(stage, task)?;
        if tasks.is_empty() {
            break;
        }
        tasks.into_iter().try_for_each(|work| work(task))?;
    }
    breaker.sink.seal(task)?;
    read(breaker.source.as_ref(), task)
}

fn read(source: &dyn Source, task: &TaskContext) -> crate::Result<Vec<Batch>> {
    let mut state = source.open(task, &OperatorMetrics::new())?;
    let mut batches = Vec::new();
    while let Next::Batch(batch) = state.next()? {
        batches.push(batch);
    }
    Ok(batches)
}
