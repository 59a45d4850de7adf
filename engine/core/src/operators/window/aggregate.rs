//! Aggregates over frames → a column.
//!
//! Counts, exact sums and boolean aggregates are differences of prefix sums; least and greatest slide a deque; the rest is folded
//! (`plasmon_kernels::window::fold`). DISTINCT over frames that only grow counts first occurrences; over others each frame anew.

use arrow_schema::DataType;
use plasmon_kernels::window::NO_ROW;
use plasmon_kernels::window::fold::{
    Bits, FloatSum, Fold, IntegerSum, Moments, count_in_frames, extreme_in_frames, first_occurrences,
    fold_distinct_in_frames, fold_frames, sum_in_frames,
};
use plasmon_kernels::window::frame::Frames;
use plasmon_kernels::window::navigate::{ValidRows, nth_valid_in_frames};

use super::folded::{Folded, WideSum, scale};
use super::function::{floats, gather_optional, integers};
use super::partition::FunctionColumns;
use super::rows::SortedRows;
use super::{WindowExpression, custom};
use crate::batch::arrow::null_column;
use crate::batch::{Bitmap, Column, Physical, Values, is_null_type};
use crate::error::{Error, Result};
use crate::operators::aggregate::AggregateFunction;
use crate::operators::sort::{KeyOrder, KeyParts, Layout};
use crate::pipeline::CancelToken;

/// What an aggregate call works on.
pub(super) struct Call<'a> {
    pub(super) len: usize,
    /// Starts of partitions, and the number of rows.
    pub(super) partitions: &'a [u32],
    pub(super) frames: &'a Frames,
    pub(super) arguments: Vec<(Column, DataType)>,
    /// Rows that pass the filter; `None` = all.
    pub(super) filter: Option<Bitmap>,
    /// Rows that count: filter passed and arguments not null; for DISTINCT over growing frames, first occurrences.
    counted: Option<Bitmap>,
    /// DISTINCT over frames that move: an id per value, [`NO_ROW`] for rows that do not count.
    ids: Option<Vec<u32>>,
    pub(super) result: &'a DataType,
    pub(super) cancel: &'a CancelToken,
}

/// The aggregate of each row's frame.
pub(super) fn evaluate(
    aggregate: &AggregateFunction,
    function: &WindowExpression,
    columns: &FunctionColumns,
    rows: &SortedRows<'_>,
    frames: &Frames,
) -> Result<Column> {
    let arguments = columns.arguments.iter().map(|a| rows.argument(a)).collect::<Result<Vec<_>>>()?;
    let filter = columns.filter.map(|c| rows.column(c)).transpose()?;
    let (partitions, result, cancel) = (&rows.partitions, &function.data_type, &rows.cancel);
    let mut call = Call::new(aggregate, arguments, filter.as_ref(), frames, partitions, result, cancel);
    if function.distinct && !aggregate.ignores_duplicates() && !matches!(aggregate, AggregateFunction::Custom(_)) {
        call.make_distinct()?;
    }
    if is_null(aggregate, &call.arguments) {
        return Ok(null_column(call.result, rows.len()));
    }
    match aggregate {
        AggregateFunction::Min => call.extreme(true),
        AggregateFunction::Max => call.extreme(false),
        AggregateFunction::First { ignore_nulls } => call.nth(1, *ignore_nulls),
        AggregateFunction::Last { ignore_nulls } => call.nth(-1, *ignore_nulls),
        AggregateFunction::Custom(custom) => custom::evaluate(custom.as_ref(), &call),
        _ => {
            let argument = call.arguments.first().map(|(_, data_type)| data_type);
            call.folded(aggregate)?.finish(aggregate, argument, call.result)
        }
    }
}

/// Whether the result is null whatever the rows, since an argument is.
fn is_null(aggregate: &AggregateFunction, arguments: &[(Column, DataType)]) -> bool {
    aggregate.is_computing() && arguments.iter().any(|(_, data_type)| is_null_type(data_type))
}

impl<'a> Call<'a> {
    /// `filter` is a boolean column.
    pub(super) fn new(
        aggregate: &AggregateFunction,
        arguments: Vec<(Column, DataType)>,
        filter: Option<&Column>,
        frames: &'a Frames,
        partitions: &'a [u32],
        result: &'a DataType,
        cancel: &'a CancelToken,
    ) -> Self {
        let filter = filter.map(true_rows);
        let validity = arguments.iter().fold(None, |all, (c, _)| Bitmap::and_optional(all.as_ref(), c.validity()));
        let counted = match aggregate {
            AggregateFunction::CountAll => filter.clone(),
            _ => Bitmap::and_optional(filter.as_ref(), validity.as_ref()),
        };
        let len = partitions.last().map_or(0, |&end| end as usize);
        Call { len, partitions, frames, arguments, filter, counted, ids: None, result, cancel }
    }

    fn make_distinct(&mut self) -> Result<()> {
        let len = self.len;
        let parts = KeyParts::new(self.arguments.iter().map(|(c, t)| (c, t, KeyOrder::ANY)), len)?;
        let layout = Layout::new(&parts, &parts.stats()?);
        let mut keys = layout.encode(&parts)?;
        keys.sort(self.cancel)?;
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
        if self.frames.only_grow(self.partitions) {
            self.counted = Some(Bitmap::new(first_occurrences(self.partitions, self.frames, &ids), len));
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
            None => {
                fold_frames(
                    self.frames,
                    self.len,
                    |row| {
                        if self.is_counted(row) { leaf(row as usize) } else { F::EMPTY }
                    },
                )
            }
        }
    }

    fn counts(&self) -> Vec<u64> {
        match &self.ids {
            Some(_) => self.fold(|_| IntegerSum { sum: 0, count: 1 }).into_iter().map(|s| s.count).collect(),
            None => count_in_frames(self.frames, self.words(), self.len),
        }
    }

    /// Exact sums and counts.
    fn integer_sums(&self, column: &Column) -> Result<Vec<IntegerSum>> {
        let values = integers(column)?;
        if self.ids.is_some() {
            return Ok(self.fold(|row| IntegerSum { sum: values[row], count: 1 }));
        }
        let sums = sum_in_frames(self.frames, self.words(), &values);
        Ok(sums.into_iter().zip(self.counts()).map(|(sum, count)| IntegerSum { sum, count }).collect())
    }

    /// The partial aggregate of each frame; not of least, greatest, first and last.
    pub(super) fn folded(&self, aggregate: &AggregateFunction) -> Result<Folded> {
        use AggregateFunction as F;
        if matches!(aggregate, F::Count | F::CountAll) {
            let count = |count| IntegerSum { sum: 0, count };
            return Ok(Folded::Integers(self.counts().into_iter().map(count).collect()));
        }
        let (column, data_type) = self.argument()?;
        let is_wide = column.physical() == Physical::Int256;
        Ok(match (aggregate, column.physical()) {
            (F::Sum | F::Avg, Physical::Float32 | Physical::Float64) => {
                let values = floats(column)?;
                Folded::Floats(self.fold(|row| FloatSum { sum: values[row], count: 1 }))
            }
            (F::Sum | F::Avg, _) if is_wide && (*aggregate == F::Sum || scale(self.result).is_some()) => {
                let Values::Int256(values) = column.flat_values() else {
                    return Err(Error::internal("a 256-bit column is not flat"));
                };
                Folded::Wide(self.fold(|row| WideSum { sum: values[row], count: 1 }))
            }
            (F::Sum | F::Avg, _) => Folded::Integers(self.integer_sums(column)?),
            (F::BoolAnd, _) => Folded::Integers(self.decisive(column, true)?),
            (F::BoolOr, _) => Folded::Integers(self.decisive(column, false)?),
            (F::BitAnd, _) => Folded::And(self.bits(column)?),
            (F::BitOr, _) => Folded::Or(self.bits(column)?),
            (F::BitXor, _) => Folded::Xor(self.bits(column)?),
            (F::VariancePopulation | F::VarianceSample | F::DeviationPopulation | F::DeviationSample, _) => {
                let unit = 10f64.powi(scale(data_type).unwrap_or(0));
                let values = floats(column)?;
                Folded::Moments(self.fold(|row| Moments::of(values[row] / unit)))
            }
            (other, _) => return Err(Error::internal(format!("{other:?} is not folded"))),
        })
    }

    /// The rows with the least or the greatest value of each frame.
    pub(super) fn extreme(&self, least: bool) -> Result<Column> {
        let (column, data_type) = self.argument()?;
        let order = KeyOrder { descending: !least, nulls_first: false };
        let parts = KeyParts::new([(column, data_type, order)], self.len)?;
        let keys = Layout::new(&parts, &parts.stats()?).encode(&parts)?;
        let before = |a: u32, b: u32| keys.key(a as usize) < keys.key(b as usize);
        Ok(gather_optional(column, &extreme_in_frames(self.frames, |row| self.is_counted(row), before)))
    }

    fn nth(&self, n: i64, ignore_nulls: bool) -> Result<Column> {
        let (column, _) = self.argument()?;
        let wanted = if ignore_nulls { &self.counted } else { &self.filter };
        let valid = ValidRows::new(wanted.as_ref().map(Bitmap::words), self.len);
        let mut targets = Vec::with_capacity(self.len);
        nth_valid_in_frames(self.frames, &valid, n, &mut targets);
        Ok(gather_optional(column, &targets))
    }

    /// AND: no counted row is false. OR: some counted row is true. Those that decide it, and those that count.
    fn decisive(&self, column: &Column, all: bool) -> Result<Vec<IntegerSum>> {
        let Values::Boolean(bits) = column.flat_values() else {
            return Err(Error::internal("a boolean aggregate over another type"));
        };
        let decisive = if all { Bitmap::new(bits.words().iter().map(|w| !w).collect(), bits.len()) } else { bits };
        let decisive = Bitmap::and_optional(Some(&decisive), self.counted.as_ref());
        let found = count_in_frames(self.frames, decisive.as_ref().map(Bitmap::words), self.len);
        let sum = |(found, count)| IntegerSum { sum: i128::from(found), count };
        Ok(found.into_iter().zip(self.counts()).map(sum).collect())
    }

    fn bits<const OPERATION: u8>(&self, column: &Column) -> Result<Vec<Bits<OPERATION>>> {
        let values = integers(column)?;
        Ok(self.fold(|row| Bits::<OPERATION> { bits: values[row] as u64, count: 1 }))
    }
}

/// Rows where a boolean column is true (not null).
pub(super) fn true_rows(column: &Column) -> Bitmap {
    match column.flat_values() {
        Values::Boolean(bits) => Bitmap::and_optional(Some(&bits), column.validity()).unwrap_or(bits),
        other => Bitmap::constant(false, other.len()),
    }
}
