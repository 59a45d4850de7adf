//! One window function over sorted rows → its column.

use arrow_schema::DataType;
use plasmon_kernels::window::NO_ROW;
use plasmon_kernels::window::navigate::{ValidRows, nth_in_frames, nth_valid_in_frames, shift_rows, shift_valid_rows};
use plasmon_kernels::window::rank::{
    distribute_rows, number_rows, rank_rows, rank_rows_densely, rank_rows_relatively, split_rows,
};

use super::partition::{Argument, FunctionColumns};
use super::rows::SortedRows;
use super::{WindowExpression, WindowFunction, aggregate, frame};
use crate::batch::arrow::{export_column, import_column};
use crate::batch::{Bitmap, Column, Physical, Values, physical_type};
use crate::error::{Error, Result};
use crate::expression::Scalar;
use crate::operators::sort::RowSources;

/// A function as EXPLAIN shows it.
pub(super) fn describe(function: &WindowExpression) -> String {
    let arguments = function.arguments.iter().map(|a| a.to_string()).collect::<Vec<_>>().join(", ");
    let distinct = if function.distinct { "DISTINCT " } else { "" };
    format!("{:?}({distinct}{arguments})", function.function)
}

/// The value of a function for every row.
pub(super) fn evaluate(
    function: &WindowExpression,
    columns: &FunctionColumns,
    rows: &SortedRows<'_>,
) -> Result<Column> {
    let (partitions, peers) = (&rows.partitions, &rows.peers);
    let ranked = |rank: &dyn Fn(&mut Vec<u64>)| {
        let mut output = Vec::with_capacity(rows.len());
        rank(&mut output);
        integer_column(output.into_iter().map(i128::from), None, &function.data_type)
    };
    let shared = |share: &dyn Fn(&mut Vec<f64>)| {
        let mut output = Vec::with_capacity(rows.len());
        share(&mut output);
        Ok(Column::flat(Values::Float64(output.into())))
    };
    match &function.function {
        WindowFunction::RowNumber => ranked(&|output| number_rows(partitions, output)),
        WindowFunction::Rank => ranked(&|output| rank_rows(partitions, peers, output)),
        WindowFunction::DenseRank => ranked(&|output| rank_rows_densely(partitions, peers, output)),
        WindowFunction::PercentRank => shared(&|output| rank_rows_relatively(partitions, peers, output)),
        WindowFunction::CumulativeDistribution => shared(&|output| distribute_rows(partitions, peers, output)),
        WindowFunction::Ntile => {
            let buckets = buckets(rows.constant(argument(columns, 0, function)?)?, function)?;
            ranked(&|output| split_rows(partitions, buckets, output))
        }
        WindowFunction::Lag => shifted(function, columns, rows, -1),
        WindowFunction::Lead => shifted(function, columns, rows, 1),
        WindowFunction::FirstValue => nth(function, columns, rows, 1),
        WindowFunction::LastValue => nth(function, columns, rows, -1),
        WindowFunction::NthValue => {
            let n = number(rows.constant(argument(columns, 1, function)?)?, function)?;
            nth(function, columns, rows, n)
        }
        WindowFunction::Aggregate(aggregate) => {
            let frames = frame::frames(&function.frame, rows)?;
            aggregate::evaluate(aggregate, function, columns, rows, &frames)
        }
    }
}

/// The argument of a number.
pub(super) fn argument<'a>(
    columns: &'a FunctionColumns,
    index: usize,
    function: &WindowExpression,
) -> Result<&'a Argument> {
    columns
        .arguments
        .get(index)
        .ok_or_else(|| Error::internal(format!("{:?} lacks argument {}", function.function, index + 1)))
}

/// A constant whole number.
pub(super) fn number(value: Scalar, function: &WindowExpression) -> Result<i64> {
    value.as_i64().ok_or_else(|| Error::user(format!("{:?} needs a whole number, not {value:?}", function.function)))
}

/// How many buckets ntile is to make.
pub(super) fn buckets(value: Scalar, function: &WindowExpression) -> Result<u64> {
    let buckets = u64::try_from(number(value, function)?).ok().filter(|&n| n > 0);
    buckets.ok_or_else(|| Error::user("ntile needs a number of buckets of at least 1"))
}

/// How far lag (direction −1) and lead (1) look, in rows behind the current one.
pub(super) fn offset(value: Option<Scalar>, function: &WindowExpression, direction: i64) -> Result<i64> {
    let offset = match value {
        Some(value) if !value.is_null() => number(value, function)?,
        _ => 1,
    };
    Ok(offset.saturating_mul(direction))
}

/// Lag (direction −1) and lead (1).
fn shifted(
    function: &WindowExpression,
    columns: &FunctionColumns,
    rows: &SortedRows<'_>,
    direction: i64,
) -> Result<Column> {
    let (values, data_type) = rows.argument(argument(columns, 0, function)?)?;
    let offset = columns.arguments.get(1).map(|argument| rows.constant(argument)).transpose()?;
    let offset = self::offset(offset, function, direction)?;
    let mut targets = Vec::with_capacity(rows.len());
    if function.ignore_nulls {
        let valid = ValidRows::new(values.validity().map(Bitmap::words), rows.len());
        shift_valid_rows(&rows.partitions, &valid, offset, &mut targets);
    } else {
        shift_rows(&rows.partitions, offset, &mut targets);
    }
    match default(columns) {
        Some(default) => {
            let (default, default_type) = rows.argument(default)?;
            let default = as_type(default, &default_type, &data_type)?;
            let sources = RowSources::new(vec![values.flatten().widen(physical_type(&data_type)), default], &data_type);
            let runs: Vec<u32> = targets.iter().map(|&t| (t == NO_ROW) as u32).collect();
            let positions: Vec<u32> =
                targets.iter().enumerate().map(|(row, &t)| if t == NO_ROW { row as u32 } else { t }).collect();
            sources.gather(&runs, &positions)
        }
        None => Ok(gather_optional(&values, &targets)),
    }
}

/// What lag and lead give where there is no row, unless it is null.
pub(super) fn default(columns: &FunctionColumns) -> Option<&Argument> {
    columns.arguments.get(2).filter(|default| !matches!(default, Argument::Constant(value, _) if value.is_null()))
}

/// A flat canonical column of type `to`, cast when needed.
pub(super) fn as_type(column: Column, from: &DataType, to: &DataType) -> Result<Column> {
    let column =
        if from == to { column } else { import_column(&arrow_cast::cast(&export_column(&column, from)?, to)?)? };
    Ok(column.flatten().widen(physical_type(to)))
}

/// First (1), last (−1) and nth value of the frame.
fn nth(function: &WindowExpression, columns: &FunctionColumns, rows: &SortedRows<'_>, n: i64) -> Result<Column> {
    let (values, _) = rows.argument(argument(columns, 0, function)?)?;
    let frames = frame::frames(&function.frame, rows)?;
    let mut targets = Vec::with_capacity(rows.len());
    if function.ignore_nulls {
        let valid = ValidRows::new(values.validity().map(Bitmap::words), rows.len());
        nth_valid_in_frames(&frames, &valid, n, &mut targets);
    } else {
        nth_in_frames(&frames, n, &mut targets);
    }
    Ok(gather_optional(&values, &targets))
}

/// Values at `rows`; null where there is no row.
pub(super) fn gather_optional(column: &Column, rows: &[u32]) -> Column {
    if !rows.contains(&NO_ROW) {
        return column.gather(rows);
    }
    let present = Bitmap::from_bools(rows.iter().map(|&r| r != NO_ROW));
    let positions: Vec<u32> = rows.iter().map(|&r| if r == NO_ROW { 0 } else { r }).collect();
    let gathered = column.gather(&positions).flatten();
    let validity = Bitmap::and_optional(Some(&present), gathered.validity());
    gathered.with_validity(validity)
}

/// A column of whole numbers (unscaled decimals) in the physical type of `data_type`.
pub(super) fn integer_column(
    values: impl ExactSizeIterator<Item = i128>,
    validity: Option<Bitmap>,
    data_type: &DataType,
) -> Result<Column> {
    // Values at null rows are arbitrary: only those that show must fit.
    let wide: Vec<i128> = values.collect();
    let shows = |row: usize| validity.as_ref().is_none_or(|v| v.get(row));
    macro_rules! fit {
        ($type:ty) => {
            wide.iter()
                .enumerate()
                .map(|(row, &v)| match <$type>::try_from(v) {
                    Ok(fitting) => Ok(fitting),
                    Err(_) if !shows(row) => Ok(0),
                    Err(_) => Err(Error::data(format!("a window sum of {v} does not fit {data_type}"))),
                })
                .collect::<Result<Vec<$type>>>()?
                .into()
        };
    }
    let values = match physical_type(data_type) {
        Physical::Int8 => Values::Int8(fit!(i8)),
        Physical::Int16 => Values::Int16(fit!(i16)),
        Physical::Int32 => Values::Int32(fit!(i32)),
        Physical::Int64 => Values::Int64(fit!(i64)),
        Physical::UInt8 => Values::UInt8(fit!(u8)),
        Physical::UInt16 => Values::UInt16(fit!(u16)),
        Physical::UInt32 => Values::UInt32(fit!(u32)),
        Physical::UInt64 => Values::UInt64(fit!(u64)),
        Physical::Int128 => Values::Int128(wide.into()),
        Physical::Int256 => Values::Int256(wide.iter().map(|&v| arrow_buffer::i256::from_i128(v)).collect()),
        Physical::Float64 => Values::Float64(wide.iter().map(|&v| v as f64).collect()),
        other => return Err(Error::internal(format!("whole numbers cannot be shown as {other:?}"))),
    };
    Ok(Column::flat_with_validity(values, validity))
}

/// Whole numbers of any width as 128-bit ones.
pub(super) fn integers(column: &Column) -> Result<Vec<i128>> {
    macro_rules! wide {
        ($values:expr) => {
            $values.iter().map(|&v| v as i128).collect()
        };
    }
    Ok(match column.flat_values() {
        Values::Int8(v) => wide!(v),
        Values::Int16(v) => wide!(v),
        Values::Int32(v) => wide!(v),
        Values::Int64(v) => wide!(v),
        Values::Int128(v) => v.to_vec(),
        Values::UInt8(v) => wide!(v),
        Values::UInt16(v) => wide!(v),
        Values::UInt32(v) => wide!(v),
        Values::UInt64(v) => wide!(v),
        Values::Int256(v) => v
            .iter()
            .enumerate()
            .map(|(row, v)| match v.to_i128() {
                Some(narrow) => Ok(narrow),
                None if !column.is_valid(row) => Ok(0),
                None => Err(Error::unsupported("window frames over decimals that do not fit 128 bits")),
            })
            .collect::<Result<_>>()?,
        other => return Err(Error::internal(format!("{:?} values are no whole numbers", other.physical()))),
    })
}

/// Numbers of any type as floats; decimals by unscaled value.
pub(super) fn floats(column: &Column) -> Result<Vec<f64>> {
    Ok(match column.flat_values() {
        Values::Float32(v) => v.iter().map(|&x| x as f64).collect(),
        Values::Float64(v) => v.to_vec(),
        _ => integers(column)?.into_iter().map(|v| v as f64).collect(),
    })
}
