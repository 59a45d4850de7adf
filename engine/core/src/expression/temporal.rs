//! Arithmetic of dates, times, timestamps, durations and intervals.
//!
//! Native: date − date, time ± interval, and dates and timestamps (without a zone) ± one interval for all rows. The rest is rare (constants
//! are folded by the planner): Arrow's own kernels do it, on the selected rows only, also where a native result might not fit.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Datum, Scalar as ArrowScalar};
use arrow_buffer::IntervalMonthDayNano;
use arrow_schema::{DataType, IntervalUnit, TimeUnit};
use plasmon_kernels::arithmetic::map2;
use plasmon_kernels::temporal::part::Unit;
use plasmon_kernels::temporal::shift::{shift_days, shift_timestamps};

use super::ArithmeticOp;
use super::arithmetic::operand;
use super::case::merge;
use super::functions::{DAYS_MAX, unit_of, within};
use crate::batch::arrow::{export_column, import_column};
use crate::batch::{Bitmap, Column, Selection, Values};
use crate::error::{Error, Result};

const SECONDS_PER_DAY: i64 = 86_400;
const NANOSECONDS_PER_SECOND: i64 = 1_000_000_000;

/// `left op right` for the selected rows; the others are arbitrary.
pub(super) fn arithmetic(
    op: ArithmeticOp,
    sides: (&Column, &Column),
    types: (&DataType, &DataType),
    result: &DataType,
    selection: Option<&Selection>,
) -> Result<Column> {
    match native(op, sides, types, result) {
        Some(values) => {
            let validity = Bitmap::and_optional(sides.0.validity(), sides.1.validity());
            Ok(Column::flat_with_validity(values, validity))
        }
        None => by_arrow(op, sides, types, result, selection),
    }
}

const MONTH_DAY_NANO: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// The values, where kernels handle these types and values.
fn native(
    op: ArithmeticOp,
    sides: (&Column, &Column),
    types: (&DataType, &DataType),
    result: &DataType,
) -> Option<Values> {
    use ArithmeticOp::{Add, Subtract};
    match (op, types.0, types.1) {
        (Subtract, DataType::Date32 | DataType::Date64, to) if types.0 == to && *result == DataType::Int64 => {
            days_between(sides)
        }
        (Add | Subtract, DataType::Time32(unit) | DataType::Time64(unit), &MONTH_DAY_NANO) if types.0 == result => {
            turn_clock(sides.0, sides.1, unit_of(unit), op == Subtract)
        }
        (Add, &MONTH_DAY_NANO, DataType::Time32(unit) | DataType::Time64(unit)) if types.1 == result => {
            turn_clock(sides.1, sides.0, unit_of(unit), false)
        }
        (Add | Subtract, DataType::Date32 | DataType::Timestamp(_, None), &MONTH_DAY_NANO) if types.0 == result => {
            shift(sides.0, sides.1, types.0, op == Subtract)
        }
        (Add, &MONTH_DAY_NANO, DataType::Date32 | DataType::Timestamp(_, None)) if types.1 == result => {
            shift(sides.1, sides.0, types.1, false)
        }
        _ => None,
    }
}

fn days_between(sides: (&Column, &Column)) -> Option<Values> {
    const MILLISECONDS_PER_DAY: i64 = SECONDS_PER_DAY * 1_000;
    let (left, right, rows) = (operand(sides.0), operand(sides.1), sides.0.len());
    match (left.values(), right.values()) {
        (Values::Int32(l), Values::Int32(r)) => {
            Some(Values::Int64(map2(left.side(l), right.side(r), rows, |a, b| a as i64 - b as i64).into()))
        }
        (Values::Int64(l), Values::Int64(r)) => {
            let days = |a: i64, b: i64| a.wrapping_sub(b) / MILLISECONDS_PER_DAY;
            Some(Values::Int64(map2(left.side(l), right.side(r), rows, days).into()))
        }
        _ => None,
    }
}

/// Time of day ± interval around the clock; months and days do not count.
fn turn_clock(times: &Column, intervals: &Column, unit: Unit, subtract: bool) -> Option<Values> {
    let (left, right, rows) = (operand(times), operand(intervals), times.len());
    let (units_per_day, nanoseconds) =
        (SECONDS_PER_DAY * unit.per_second(), NANOSECONDS_PER_SECOND / unit.per_second());
    let turned = move |time: i64, interval: IntervalMonthDayNano| {
        let rest = interval.nanoseconds % (SECONDS_PER_DAY * NANOSECONDS_PER_SECOND);
        let delta = if subtract { -rest } else { rest }.div_euclid(nanoseconds);
        time.wrapping_add(delta).rem_euclid(units_per_day)
    };
    let Values::Interval(r) = right.values() else { return None };
    match left.values() {
        Values::Int32(l) => {
            Some(Values::Int32(map2(left.side(l), right.side(r), rows, |t, i| turned(t as i64, i) as i32).into()))
        }
        Values::Int64(l) => Some(Values::Int64(map2(left.side(l), right.side(r), rows, turned).into())),
        _ => None,
    }
}

/// Dates or timestamps ± the same interval for every row, when no result can leave its range.
fn shift(moments: &Column, interval: &Column, data_type: &DataType, subtract: bool) -> Option<Values> {
    const YEARS_MAX: i32 = 1_000;
    let (Values::Interval(by), true) = interval.as_constant()? else { return None };
    let sign = if subtract { -1 } else { 1 };
    let (months, days) = (by[0].months.checked_mul(sign)?, by[0].days.checked_mul(sign)?);
    let nanoseconds = by[0].nanoseconds.checked_mul(sign as i64)?;
    if months.unsigned_abs() > 12 * YEARS_MAX as u32 || days.unsigned_abs() > 366 * YEARS_MAX as u32 {
        return None;
    }
    match (moments.flat_values(), data_type) {
        (Values::Int32(v), _) if nanoseconds == 0 => {
            let (min, max) = v.iter().fold((0, 0), |(min, max), &d| (d.min(min), d.max(max)));
            let fits = -DAYS_MAX < min as i64 && (max as i64) < DAYS_MAX;
            fits.then(|| Values::Int32(shift_days(&v, months, days).into()))
        }
        (Values::Int64(v), DataType::Timestamp(unit, _)) => {
            let unit = unit_of(unit);
            let step = NANOSECONDS_PER_SECOND / unit.per_second();
            let units_per_day = SECONDS_PER_DAY * unit.per_second();
            let reach =
                (2 * 366 * YEARS_MAX as i64).checked_mul(units_per_day)?.checked_add((nanoseconds / step).abs())?;
            let limit = DAYS_MAX.saturating_mul(units_per_day).min(i64::MAX.checked_sub(reach)?);
            let exact = nanoseconds % step == 0 && within(&v, limit);
            exact.then(|| Values::Int64(shift_timestamps(&v, unit, months, days, nanoseconds / step).into()))
        }
        _ => None,
    }
}

/// `left op right` through Arrow, for the selected rows; the others are null.
fn by_arrow(
    op: ArithmeticOp,
    sides: (&Column, &Column),
    types: (&DataType, &DataType),
    result: &DataType,
    selection: Option<&Selection>,
) -> Result<Column> {
    let rows = sides.0.len();
    let (left, right) = (datum(sides.0, types.0, selection)?, datum(sides.1, types.1, selection)?);
    let computed = compute(op, left.as_ref(), right.as_ref())
        .map_err(|e| Error::data(format!("{} {op} {}: {e}", types.0, types.1)))?;
    let both_constant = sides.0.as_constant().is_some() && sides.1.as_constant().is_some();
    let computed = if computed.data_type() == result { computed } else { convert(&computed, result)? };
    let column = import_column(&computed)?;
    if both_constant {
        return Ok(column.gather(&vec![0u16; rows]));
    }
    match selection {
        None => Ok(column),
        Some(selection) => merge(&[(selection.positions().to_vec(), column)], result, rows),
    }
}

/// Days between dates may be asked for as an integer while Arrow gives a duration.
fn convert(array: &ArrayRef, result: &DataType) -> Result<ArrayRef> {
    if let (DataType::Duration(TimeUnit::Second), DataType::Int64) = (array.data_type(), result) {
        let seconds = arrow_cast::cast(array, &DataType::Int64)?;
        return Ok(arrow_arith::numeric::div(
            &seconds,
            &ArrowScalar::new(arrow_array::Int64Array::from(vec![SECONDS_PER_DAY])),
        )?);
    }
    Ok(arrow_cast::cast(array, result)?)
}

fn compute(op: ArithmeticOp, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, arrow_schema::ArrowError> {
    use arrow_arith::numeric::{add, div, mul, rem, sub};
    match op {
        ArithmeticOp::Add => add(left, right),
        ArithmeticOp::Subtract => sub(left, right),
        ArithmeticOp::Multiply => mul(left, right),
        ArithmeticOp::Divide => div(left, right),
        ArithmeticOp::Modulo => rem(left, right),
        other => Err(arrow_schema::ArrowError::InvalidArgumentError(format!(
            "operator {other} is not defined for these types"
        ))),
    }
}

fn datum(column: &Column, data_type: &DataType, selection: Option<&Selection>) -> Result<Box<dyn Datum>> {
    if column.as_constant().is_some() && !column.is_empty() {
        let array = export_column(&column.slice(0, 1), data_type)?;
        return Ok(Box::new(ArrowScalar::new(array)));
    }
    let dense = match selection {
        Some(selection) => column.select(selection),
        None => column.clone(),
    };
    let array: Arc<dyn Array> = export_column(&dense, data_type)?;
    Ok(Box::new(array))
}
