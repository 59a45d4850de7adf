//! Aggregates over frames → a column.
//!
//! Counts, exact sums and boolean aggregates are differences of prefix sums; least and greatest slide a deque; the rest is folded
//! (`plasmon_kernels::window::fold`). DISTINCT over frames that only grow counts first occurrences; over others each frame anew.

use arrow_buffer::i256;
use arrow_schema::DataType;
use plasmon_kernels::window::NO_ROW;
use plasmon_kernels::window::fold::{
    Bits, FloatSum, Fold, IntegerSum, Moments, count_in_frames, extreme_in_frames, first_occurrences,
    fold_distinct_in_frames, fold_frames, sum_in_frames,
};
use plasmon_kernels::window::frame::Frames;
use plasmon_kernels::window::navigate::{ValidRows, nth_valid_in_frames};

use super::function::{floats, gather_optional, integer_column, integers};
use super::partition::FunctionColumns;
use super::rows::SortedRows;
use super::{WindowExpression, custom};
use crate::batch::arrow::null_column;
use crate::batch::{Bitmap, Column, Physical, Values, is_null_type};
use crate::error::{Error, Result};
use crate::expression::divide_rounded;
use crate::operators::aggregate::AggregateFunction;
use crate::operators::sort::{KeyOrder, KeyParts, Layout};

/// What an aggregate call works on.
pub(super) struct Call<'a> {
    pub(super) rows: &'a SortedRows<'a>,
    pub(super) frames: &'a Frames,
    pub(super) arguments: Vec<(Column, DataType)>,
    /// Rows that pass the filter; `None` = all.
    pub(super) filter: Option<Bitmap>,
    /// Rows that count: filter passed and arguments not null; for DISTINCT over growing frames, first occurrences.
    counted: Option<Bitmap>,
    /// DISTINCT over frames that move: an id per value, [`NO_ROW`] for rows that do not count.
    ids: Option<Vec<u32>>,
    pub(super) result: &'a DataType,
}

/// The aggregate of each row's frame.
pub(super) fn evaluate(
    aggregate: &AggregateFunction,
    function: &WindowExpression,
    columns: &FunctionColumns,
    rows: &SortedRows<'_>,
    frames: &Frames,
) -> Result<Column> {
    let call = Call::new(aggregate, function, columns, rows, frames)?;
    if aggregate.is_computing() && call.arguments.iter().any(|(_, data_type)| is_null_type(data_type)) {
        return Ok(null_column(call.result, rows.len()));
    }
    match aggregate {
        AggregateFunction::CountAll | AggregateFunction::Count => {
            integer_column(call.counts().into_iter().map(i128::from), None, call.result)
        }
        AggregateFunction::Sum => call.sum(),
        AggregateFunction::Avg => call.average(),
        AggregateFunction::Min => call.extreme(true),
        AggregateFunction::Max => call.extreme(false),
        AggregateFunction::VariancePopulation => call.deviation(0.0, false),
        AggregateFunction::VarianceSample => call.deviation(1.0, false),
        AggregateFunction::DeviationPopulation => call.deviation(0.0, true),
        AggregateFunction::DeviationSample => call.deviation(1.0, true),
        AggregateFunction::First { ignore_nulls } => call.nth(1, *ignore_nulls),
        AggregateFunction::Last { ignore_nulls } => call.nth(-1, *ignore_nulls),
        AggregateFunction::BoolAnd => call.boolean(true),
        AggregateFunction::BoolOr => call.boolean(false),
        AggregateFunction::BitAnd => call.bits::<0>(),
        AggregateFunction::BitOr => call.bits::<1>(),
        AggregateFunction::BitXor => call.bits::<2>(),
        AggregateFunction::Custom(custom) => custom::evaluate(custom.as_ref(), &call),
    }
}

impl<'a> Call<'a> {
    fn new(
        aggregate: &AggregateFunction,
        function: &'a WindowExpression,
        columns: &FunctionColumns,
        rows: &'a SortedRows<'a>,
        frames: &'a Frames,
    ) -> Result<Self> {
        let arguments = columns.arguments.iter().map(|a| rows.argument(a)).collect::<Result<Vec<_>>>()?;
        let filter = columns.filter.map(|c| Ok::<_, Error>(true_rows(&rows.column(c)?))).transpose()?;
        let validity = arguments.iter().fold(None, |all, (c, _)| Bitmap::and_optional(all.as_ref(), c.validity()));
        let counted = match aggregate {
            AggregateFunction::CountAll => filter.clone(),
            _ => Bitmap::and_optional(filter.as_ref(), validity.as_ref()),
        };
        let mut call = Call { rows, frames, arguments, filter, counted, ids: None, result: &function.data_type };
        // Least, greatest and bit-wise AND and OR do not change when values repeat.
        let is_indifferent = matches!(
            aggregate,
            AggregateFunction::Min
                | AggregateFunction::Max
                | AggregateFunction::BoolAnd
                | AggregateFunction::BoolOr
                | AggregateFunction::BitAnd
                | AggregateFunction::BitOr
        );
        if function.distinct && !is_indifferent && !matches!(aggregate, AggregateFunction::Custom(_)) {
            call.make_distinct()?;
        }
        Ok(call)
    }

    fn make_distinct(&mut self) -> Result<()> {
        let len = self.rows.len();
        let parts = KeyParts::new(self.arguments.iter().map(|(c, t)| (c, t, KeyOrder::ANY)), len)?;
        let layout = Layout::new(&parts, &parts.stats()?);
        let mut keys = layout.encode(&parts)?;
        keys.sort(&self.rows.cancel)?;
        let starts = keys.group_starts(0);
        let order = keys.rows(0, len);
        let mut ids = vec![NO_ROW; len];
        for (id, group) in starts.windows(2).enumerate() {
            for &row in &order[group[0] as usize..group[1] as usize] {
                if self.is_counted(row) {
                    ids[row as usize] = id as u32;
                }
            }
        }
        if self.frames.only_grow(&self.rows.partitions) {
            self.counted = Some(Bitmap::new(first_occurrences(&self.rows.partitions, self.frames, &ids), len));
        } else {
            self.ids = Some(ids);
        }
        Ok(())
    }

    fn is_counted(&self, row: u32) -> bool {
        self.counted.as_ref().is_none_or(|c| c.get(row as usize))
    }

    fn words(&self) -> Option<&[u64]> {
        self.counted.as_ref().map(Bitmap::words)
    }

    fn argument(&self) -> Result<&(Column, DataType)> {
        self.arguments.first().ok_or_else(|| Error::internal("an aggregate lacks its argument"))
    }

    fn fold<F: Fold>(&self, leaf: impl Fn(usize) -> F) -> Vec<F> {
        match &self.ids {
            Some(ids) => fold_distinct_in_frames(self.frames, ids, |row| leaf(row as usize)),
            None => fold_frames(self.frames, self.rows.len(), |row| {
                if self.is_counted(row) { leaf(row as usize) } else { F::EMPTY }
            }),
        }
    }

    fn counts(&self) -> Vec<u64> {
        match &self.ids {
            Some(_) => self.fold(|_| IntegerSum { sum: 0, count: 1 }).into_iter().map(|s| s.count).collect(),
            None => count_in_frames(self.frames, self.words(), self.rows.len()),
        }
    }

    /// Exact sums and counts.
    fn integer_sums(&self, column: &Column) -> Result<(Vec<i128>, Vec<u64>)> {
        let values = integers(column)?;
        Ok(match &self.ids {
            Some(_) => {
                self.fold(|row| IntegerSum { sum: values[row], count: 1 }).into_iter().map(|s| (s.sum, s.count)).unzip()
            }
            None => (sum_in_frames(self.frames, self.words(), &values), self.counts()),
        })
    }

    fn float_sums(&self, column: &Column) -> Result<Vec<FloatSum>> {
        let values = floats(column)?;
        Ok(self.fold(|row| FloatSum { sum: values[row], count: 1 }))
    }

    fn sum(&self) -> Result<Column> {
        let (column, _) = self.argument()?;
        match column.physical() {
            Physical::Float32 | Physical::Float64 => {
                let sums = self.float_sums(column)?;
                let validity = non_empty(sums.iter().map(|s| s.count));
                Ok(Column::flat_with_validity(Values::Float64(sums.iter().map(|s| s.sum).collect()), validity))
            }
            Physical::Int256 => self.wide_sum(column),
            _ => {
                let (sums, counts) = self.integer_sums(column)?;
                integer_column(sums.into_iter(), non_empty(counts.into_iter()), self.result)
            }
        }
    }

    fn wide_sum(&self, column: &Column) -> Result<Column> {
        let Values::Int256(values) = column.flat_values() else {
            return Err(Error::internal("a 256-bit column is not flat"));
        };
        let sums = self.fold(|row| WideSum { sum: values[row], count: 1 });
        let validity = non_empty(sums.iter().map(|s| s.count));
        Ok(Column::flat_with_validity(Values::Int256(sums.iter().map(|s| s.sum).collect()), validity))
    }

    fn average(&self) -> Result<Column> {
        let (column, data_type) = self.argument()?;
        match (column.physical(), scale(data_type), scale(self.result)) {
            (Physical::Int256, Some(from), Some(to)) => {
                let Values::Int256(values) = column.flat_values() else {
                    return Err(Error::internal("a 256-bit column is not flat"));
                };
                let sums = self.fold(|row| WideSum { sum: values[row], count: 1 });
                self.decimal_average(sums.iter().map(|s| (s.sum, s.count)), to - from)
            }
            (_, Some(from), Some(to)) => {
                let (sums, counts) = self.integer_sums(column)?;
                self.decimal_average(sums.into_iter().map(i256::from_i128).zip(counts), to - from)
            }
            (Physical::Float32 | Physical::Float64, _, _) => {
                let sums = self.float_sums(column)?;
                let validity = non_empty(sums.iter().map(|s| s.count));
                Ok(Column::flat_with_validity(
                    Values::Float64(sums.iter().map(|s| s.sum / s.count as f64).collect()),
                    validity,
                ))
            }
            (_, from, _) => {
                let (sums, counts) = self.integer_sums(column)?;
                let unit = 10f64.powi(from.unwrap_or(0));
                let averages = sums.iter().zip(&counts).map(|(&s, &c)| s as f64 / unit / c as f64).collect();
                Ok(Column::flat_with_validity(Values::Float64(averages), non_empty(counts.into_iter())))
            }
        }
    }

    /// `sum × 10^shift / count`, rounded half away from zero as grouped averages are.
    fn decimal_average(&self, sums: impl ExactSizeIterator<Item = (i256, u64)>, shift: i32) -> Result<Column> {
        let unit = i256::from_i128(10).wrapping_pow(shift.max(0) as u32);
        let mut present = Vec::with_capacity(sums.len());
        let averages = sums
            .map(|(sum, count)| {
                present.push(count > 0);
                let scaled = sum
                    .checked_mul(unit)
                    .ok_or_else(|| Error::data(format!("a window average does not fit {}", self.result)))?;
                Ok(divide_rounded(scaled, i256::from_i128(count.max(1) as i128)).unwrap_or(i256::ZERO))
            })
            .collect::<Result<Vec<i256>>>()?;
        let validity = Some(Bitmap::from_bools(present.into_iter()));
        if crate::batch::physical_type(self.result) == Physical::Int256 {
            return Ok(Column::flat_with_validity(Values::Int256(averages.into()), validity));
        }
        let fits = averages
            .iter()
            .map(|v| v.to_i128().ok_or_else(|| Error::data(format!("a window average does not fit {}", self.result))));
        integer_column(fits.collect::<Result<Vec<i128>>>()?.into_iter(), validity, self.result)
    }

    fn extreme(&self, least: bool) -> Result<Column> {
        let (column, data_type) = self.argument()?;
        let order = KeyOrder { descending: !least, nulls_first: false };
        let parts = KeyParts::new([(column, data_type, order)], self.rows.len())?;
        let keys = Layout::new(&parts, &parts.stats()?).encode(&parts)?;
        let before = |a: u32, b: u32| keys.key(a as usize) < keys.key(b as usize);
        Ok(gather_optional(column, &extreme_in_frames(self.frames, |row| self.is_counted(row), before)))
    }

    /// Variance (or its root) with `lost` degrees of freedom; null below that many values plus one.
    fn deviation(&self, lost: f64, root: bool) -> Result<Column> {
        let (column, data_type) = self.argument()?;
        let unit = 10f64.powi(scale(data_type).unwrap_or(0));
        let values = floats(column)?;
        let moments = self.fold(|row| Moments::of(values[row] / unit));
        let validity = Bitmap::from_bools(moments.iter().map(|m| m.count > lost));
        let results = moments.iter().map(|m| {
            let variance = m.squares / (m.count - lost);
            if root { variance.sqrt() } else { variance }
        });
        Ok(Column::flat_with_validity(Values::Float64(results.collect()), Some(validity)))
    }

    fn nth(&self, n: i64, ignore_nulls: bool) -> Result<Column> {
        let (column, _) = self.argument()?;
        let wanted = if ignore_nulls { &self.counted } else { &self.filter };
        let valid = ValidRows::new(wanted.as_ref().map(Bitmap::words), self.rows.len());
        let mut targets = Vec::with_capacity(self.rows.len());
        nth_valid_in_frames(self.frames, &valid, n, &mut targets);
        Ok(gather_optional(column, &targets))
    }

    /// AND: no counted row is false. OR: some counted row is true.
    fn boolean(&self, all: bool) -> Result<Column> {
        let (column, _) = self.argument()?;
        let Values::Boolean(bits) = column.flat_values() else {
            return Err(Error::internal("a boolean aggregate over another type"));
        };
        let decisive = if all { Bitmap::new(bits.words().iter().map(|w| !w).collect(), bits.len()) } else { bits };
        let decisive = Bitmap::and_optional(Some(&decisive), self.counted.as_ref());
        let found = count_in_frames(self.frames, decisive.as_ref().map(Bitmap::words), self.rows.len());
        let results = Bitmap::from_bools(found.iter().map(|&n| (n > 0) != all));
        Ok(Column::flat_with_validity(Values::Boolean(results), non_empty(self.counts().into_iter())))
    }

    fn bits<const OPERATION: u8>(&self) -> Result<Column> {
        let (column, data_type) = self.argument()?;
        let values = integers(column)?;
        let folded = self.fold(|row| Bits::<OPERATION> { bits: values[row] as u64, count: 1 });
        let signed = !data_type.is_unsigned_integer();
        let results: Vec<i128> =
            folded.iter().map(|f| if signed { f.bits as i64 as i128 } else { f.bits as i128 }).collect();
        integer_column(results.into_iter(), non_empty(folded.iter().map(|f| f.count)), self.result)
    }
}

/// Rows where a boolean column is true (not null).
fn true_rows(column: &Column) -> Bitmap {
    match column.flat_values() {
        Values::Boolean(bits) => Bitmap::and_optional(Some(&bits), column.validity()).unwrap_or(bits),
        other => Bitmap::constant(false, other.len()),
    }
}

fn non_empty(counts: impl ExactSizeIterator<Item = u64>) -> Option<Bitmap> {
    Some(Bitmap::from_bools(counts.map(|c| c > 0)))
}

/// Digits after the point of a decimal type.
fn scale(data_type: &DataType) -> Option<i32> {
    match data_type {
        DataType::Decimal32(_, s)
        | DataType::Decimal64(_, s)
        | DataType::Decimal128(_, s)
        | DataType::Decimal256(_, s) => Some(*s as i32),
        _ => None,
    }
}

/// Sum of 256-bit decimals.
#[derive(Clone, Copy)]
struct WideSum {
    sum: i256,
    count: u64,
}

impl Fold for WideSum {
    const EMPTY: Self = WideSum { sum: i256::ZERO, count: 0 };
    fn merge(self, other: Self) -> Self {
        WideSum { sum: self.sum.wrapping_add(other.sum), count: self.count + other.count }
    }
}
