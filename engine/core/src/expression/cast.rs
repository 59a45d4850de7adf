//! Casts: hot conversions in loops here, the long tail by Arrow's cast on the selected rows.

use arrow_buffer::i256;
use arrow_cast::CastOptions;
use arrow_cast::display::FormatOptions;
use arrow_schema::{DataType, TimeUnit};
use plasmon_kernels::arithmetic::map1;

use super::case::merge;
use super::decimal::divide_rounded;
use super::{CastMode, Scalar};
use crate::batch::arrow::{export_column, import_column, null_column};
use crate::batch::{Bounds, Column, Encoding, Physical, Selection, Values, physical_type};
use crate::error::{Error, Result};

/// `column` (a `from`) as a `to`. Values without an image fail or become null, at selected rows only.
pub(super) fn cast(
    column: &Column,
    from: &DataType,
    to: &DataType,
    mode: CastMode,
    selection: Option<&Selection>,
) -> Result<Column> {
    if from == to || is_relabelling(from, to) {
        return Ok(column.clone());
    }
    if *from == DataType::Null {
        return Ok(null_column(to, column.len()));
    }
    if let Some((values, valid)) = column.as_constant() {
        if !valid {
            return Ok(null_column(to, column.len()));
        }
        let one = cast(&Column::flat(values.clone()), from, to, mode, None)?;
        return Ok(Scalar::from_column(&one, 0)
            .to_column(to, column.len())
            .unwrap_or_else(|_| one.gather(&vec![0u16; column.len()])));
    }
    match fast(column, from, to) {
        Some(result) => Ok(result),
        None => by_arrow(column, from, to, mode, selection),
    }
}

/// Types whose values have the same bytes.
fn is_relabelling(from: &DataType, to: &DataType) -> bool {
    use DataType::*;
    let is_text = |t: &DataType| matches!(t, Utf8 | LargeUtf8 | Utf8View);
    let is_binary = |t: &DataType| matches!(t, Binary | LargeBinary | BinaryView);
    match (from, to) {
        (a, b) if is_text(a) && (is_text(b) || is_binary(b)) => true,
        (a, b) if is_binary(a) && is_binary(b) => true,
        (Timestamp(a, _), Timestamp(b, _)) => a == b && same_zone_kind(from, to),
        (Date32, Int32) | (Int32, Date32) => true,
        (Dictionary(_, value), to) => **value == *to,
        _ => false,
    }
}

/// Adding or dropping a zone shifts wall-clock values: only zone to zone is free.
fn same_zone_kind(from: &DataType, to: &DataType) -> bool {
    matches!(
        (from, to),
        (DataType::Timestamp(_, Some(_)), DataType::Timestamp(_, Some(_)))
            | (DataType::Timestamp(_, None), DataType::Timestamp(_, None))
    )
}

/// Conversions that cannot fail, in one loop.
fn fast(column: &Column, from: &DataType, to: &DataType) -> Option<Column> {
    use DataType::*;
    let flat = column.flatten();
    let Encoding::Flat(values) = flat.encoding() else { return None };
    let result = match (values, to) {
        (Values::Int32(v), Int64) if from.is_integer() => Values::Int64(map1(v, |x| x as i64).into()),
        (Values::Int16(v), Int64) => Values::Int64(map1(v, |x| x as i64).into()),
        (Values::Int8(v), Int64) => Values::Int64(map1(v, |x| x as i64).into()),
        (Values::UInt32(v), Int64) => Values::Int64(map1(v, |x| x as i64).into()),
        (Values::Int16(v), Int32) => Values::Int32(map1(v, |x| x as i32).into()),
        (Values::Int8(v), Int32) => Values::Int32(map1(v, |x| x as i32).into()),
        (Values::Int64(v), Float64) if from.is_integer() => Values::Float64(map1(v, |x| x as f64).into()),
        (Values::Int32(v), Float64) if from.is_integer() => Values::Float64(map1(v, |x| x as f64).into()),
        (Values::Float32(v), Float64) => Values::Float64(map1(v, |x| x as f64).into()),
        (Values::Int64(v), Float64) if from.is_decimal() => {
            let divisor = 10f64.powi(decimal_scale(from)?);
            Values::Float64(map1(v, |x| x as f64 / divisor).into())
        }
        (Values::Int128(v), Float64) if from.is_decimal() => {
            let divisor = 10f64.powi(decimal_scale(from)?);
            Values::Float64(map1(v, |x| x as f64 / divisor).into())
        }
        (Values::Int32(v), Timestamp(unit, None)) if *from == Date32 => {
            let factor = 86_400 * units_per_second(unit);
            // Dates outside of the unit's range fail in Arrow's cast.
            let (min, max) = v.iter().fold((0, 0), |(a, b), &d| (d.min(a), d.max(b)));
            (min as i64).checked_mul(factor)?;
            (max as i64).checked_mul(factor)?;
            Values::Int64(map1(v, |x| x as i64 * factor).into())
        }
        _ => return rescaled(&flat, from, to),
    };
    Some(Column::flat_with_validity(result, flat.validity().cloned()))
}

fn units_per_second(unit: &TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

fn decimal_scale(data_type: &DataType) -> Option<i32> {
    match data_type {
        DataType::Decimal32(_, s)
        | DataType::Decimal64(_, s)
        | DataType::Decimal128(_, s)
        | DataType::Decimal256(_, s) => Some(*s as i32),
        t if t.is_integer() => Some(0),
        _ => None,
    }
}

fn decimal_precision(data_type: &DataType) -> Option<u32> {
    match data_type {
        DataType::Decimal32(p, _) | DataType::Decimal64(p, _) | DataType::Decimal128(p, _) => Some(*p as u32),
        _ => None,
    }
}

/// Integer or decimal → decimal of equal or larger scale in 64-bit lanes, when bounds prove that values and precision hold.
fn rescaled(column: &Column, from: &DataType, to: &DataType) -> Option<Column> {
    let (from_scale, to_scale, precision) = (decimal_scale(from)?, decimal_scale(to)?, decimal_precision(to)?);
    let factor = 10i64.checked_pow(u32::try_from(to_scale - from_scale).ok()?)?;
    let values: std::borrow::Cow<'_, [i64]> = match column.encoding() {
        Encoding::Flat(Values::Int64(v)) => v[..].into(),
        Encoding::Flat(Values::Int32(v)) => map1(v, |x| x as i64).into(),
        Encoding::Flat(Values::Int16(v)) => map1(v, |x| x as i64).into(),
        Encoding::Flat(Values::Int8(v)) => map1(v, |x| x as i64).into(),
        _ => return None,
    };
    let (min, max) = plasmon_kernels::arithmetic::min_max_i64(&values);
    let (min, max) = if values.is_empty() { (0, 0) } else { (min.checked_mul(factor)?, max.checked_mul(factor)?) };
    let limit = 10i128.checked_pow(precision)?;
    if (min as i128) <= -limit || (max as i128) >= limit {
        return None;
    }
    let scaled = if factor == 1 { values.into_owned() } else { map1(&values, |x| x * factor) };
    Some(
        Column::flat_with_validity(Values::Int64(scaled.into()), column.validity().cloned())
            .with_bounds(Some(Bounds { min, max })),
    )
}

/// Arrow's cast of the selected rows.
fn by_arrow(
    column: &Column,
    from: &DataType,
    to: &DataType,
    mode: CastMode,
    selection: Option<&Selection>,
) -> Result<Column> {
    let dense = match selection {
        Some(selection) => column.select(selection),
        None => column.clone(),
    };
    let cast = match decimal_to_decimal(&dense, from, to, mode)? {
        Some(cast) => cast,
        None => {
            let array = export_column(&dense, from)?;
            let options = CastOptions { safe: mode == CastMode::Null, format_options: FormatOptions::default() };
            let cast = arrow_cast::cast_with_options(&array, to, &options).map_err(|e| failure(&e, from, to))?;
            import_column(&cast)?
        }
    };
    match selection {
        None => Ok(cast),
        Some(selection) => merge(&[(selection.positions().to_vec(), cast)], to, column.len()),
    }
}

fn failure(error: &arrow_schema::ArrowError, from: &DataType, to: &DataType) -> Error {
    let message = error.to_string();
    let message = message.split_once("error: ").map_or(message.as_str(), |(_, m)| m);
    Error::data(format!("cast from {from} to {to}: {message}"))
}

/// Decimal → decimal with rounding half away from zero, in 256 bits.
fn decimal_to_decimal(column: &Column, from: &DataType, to: &DataType, mode: CastMode) -> Result<Option<Column>> {
    let (true, true, Some(from_scale), Some(to_scale)) =
        (from.is_decimal(), to.is_decimal(), decimal_scale(from), decimal_scale(to))
    else {
        return Ok(None);
    };
    let Some(precision) = decimal_precision(to) else { return Ok(None) };
    let wide = column.flatten().widen(Physical::Int256);
    let Encoding::Flat(Values::Int256(values)) = wide.encoding() else { return Ok(None) };
    let shift = i256::from_i128(10).checked_pow(to_scale.abs_diff(from_scale));
    let limit = i256::from_i128(10).wrapping_pow(precision);
    let image = |value: i256| {
        let scaled = if to_scale >= from_scale { value.checked_mul(shift?)? } else { divide_rounded(value, shift?)? };
        (scaled < limit && scaled > limit.wrapping_neg()).then(|| scaled.to_i128()).flatten()
    };
    let mut valid = Vec::with_capacity(values.len());
    let mut images = Vec::with_capacity(values.len());
    for (row, &value) in values.iter().enumerate() {
        let image = if column.is_valid(row) { image(value) } else { None };
        if image.is_none() && column.is_valid(row) && mode == CastMode::Fail {
            let text = Scalar::Int256(value).display(&DataType::Decimal256(76, from_scale as i8));
            return Err(Error::data(format!("cast from {from} to {to}: {text} does not fit")));
        }
        valid.push(image.is_some());
        images.push(image.unwrap_or(0));
    }
    let values = match physical_type(to) {
        Physical::Int64 => Values::Int64(images.iter().map(|&v| v as i64).collect()),
        _ => Values::Int128(images.into()),
    };
    let validity = crate::batch::Bitmap::from_bools(valid.into_iter());
    Ok(Some(Column::flat_with_validity(values, Some(validity))))
}
