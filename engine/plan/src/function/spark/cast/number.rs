//! Numbers and truth values to each other.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Decimal128Type};
use plasmon_core::{Error, Result};

use super::{JAVA, VALUE};
use crate::function::spark::columns::{Call, decimal_shape};
use crate::function::spark::decimal::{fits, rescale, to_f32, to_f64, truncated, write_plain};
use crate::function::spark::definition::Mode;
use crate::function::spark::error;
use crate::function::spark::java::{Java, parse_decimal, write_f64};
use crate::function::spark::sql::{decimal_literal, f32_literal, f64_literal, integer_literal, type_name};

pub(super) fn boolean_to_integer(call: &Call) -> Result<ArrayRef> {
    let values = call.booleans(VALUE)?;
    call.integer_result(|row| Ok(values.get(row).map(i64::from)))
}

pub(super) fn boolean_to_float(call: &Call) -> Result<ArrayRef> {
    let values = call.booleans(VALUE)?;
    call.float_result(|row| Ok(values.get(row).map(f64::from)))
}

pub(super) fn boolean_to_decimal(call: &Call) -> Result<ArrayRef> {
    let values = call.booleans(VALUE)?;
    decimals_of(call, 0, |row| values.get(row).map(i128::from))
}

pub(super) fn integer_to_boolean(call: &Call) -> Result<ArrayRef> {
    let values = call.integers(VALUE)?;
    call.boolean_result(|row| Ok(values.get(row).map(|v| v != 0)))
}

pub(super) fn float_to_boolean(call: &Call) -> Result<ArrayRef> {
    let values = call.floats(VALUE)?;
    call.boolean_result(|row| Ok(values.get(row).map(|v| v != 0.0)))
}

pub(super) fn decimal_to_boolean(call: &Call) -> Result<ArrayRef> {
    let values = call.values::<Decimal128Type>(VALUE)?;
    call.boolean_result(|row| Ok(values.get(row).map(|v| v != 0)))
}

pub(super) fn integer_to_float(call: &Call) -> Result<ArrayRef> {
    let values = call.integers(VALUE)?;
    match call.result() {
        // Straight to the float: by way of a double it might be rounded twice.
        DataType::Float32 => {
            call.number_result::<arrow::datatypes::Float32Type>(|row| Ok(values.get(row).map(|v| v as f32)))
        }
        _ => call.float_result(|row| Ok(values.get(row).map(|v| v as f64))),
    }
}

pub(super) fn float_to_float(call: &Call) -> Result<ArrayRef> {
    let values = call.floats(VALUE)?;
    call.float_result(|row| Ok(values.get(row)))
}

/// The error of a number outside of the target's range.
fn overflow(literal: String, call: &Call) -> Error {
    let from = call.type_of(VALUE).map(type_name).unwrap_or_default();
    error::cast_overflow(&literal, &from, &type_name(call.result()))
}

pub(super) fn integer_to_integer(call: &Call) -> Result<ArrayRef> {
    let (values, from) = (call.integers(VALUE)?, call.type_of(VALUE)?);
    let (min, max) = call.integer_range()?;
    call.integer_result(|row| match values.get(row) {
        Some(v) if call.mode() != Mode::Legacy && !(min..=max).contains(&v) => {
            call.mode().absent(|| overflow(integer_literal(v, from), call))
        }
        other => Ok(other),
    })
}

pub(super) fn float_to_integer(call: &Call) -> Result<ArrayRef> {
    let (values, java) = (call.floats(VALUE)?, Java::of_call(call, JAVA)?);
    let is_single = *call.type_of(VALUE)? == DataType::Float32;
    let is_long = *call.result() == DataType::Int64;
    let (min, max) = call.integer_range()?;
    // As Java: the bounds of a long are the nearest doubles.
    let (least, most) = (min as f64, max as f64);
    call.integer_result(|row| {
        let Some(value) = values.get(row) else { return Ok(None) };
        if call.mode() != Mode::Legacy && !(value.floor() <= most && value.ceil() >= least) {
            let literal = || if is_single { f32_literal(value as f32, java) } else { f64_literal(value, java) };
            return call.mode().absent(|| overflow(literal(), call));
        }
        // Java's own: NaN is 0, what is too far is the bound; shorts and bytes are cut from an int.
        Ok(Some(if is_long { value as i64 } else { i64::from(value as i32) }))
    })
}

/// Decimals of more digits are no longs in Spark, which then compares with the range as doubles.
const LONG_DIGITS: u8 = 18;

pub(super) fn decimal_to_integer(call: &Call) -> Result<ArrayRef> {
    let values = call.values::<Decimal128Type>(VALUE)?;
    let (precision, scale) = decimal_shape(call.type_of(VALUE)?)?;
    let (min, max) = call.integer_range()?;
    let by_double = precision > LONG_DIGITS && *call.result() != DataType::Int64;
    call.integer_result(|row| {
        let Some(value) = values.get(row) else { return Ok(None) };
        let whole = truncated(value, i32::from(scale));
        let is_within = match by_double {
            true => {
                let double = to_f64(value, scale);
                double.floor() <= max as f64 && double.ceil() >= min as f64
            }
            false => (i128::from(min)..=i128::from(max)).contains(&whole),
        };
        match call.mode() != Mode::Legacy && !is_within {
            true => call.mode().absent(|| overflow(decimal_literal(value, scale), call)),
            false => Ok(Some(whole as i64)),
        }
    })
}

pub(super) fn decimal_to_float(call: &Call) -> Result<ArrayRef> {
    let values = call.values::<Decimal128Type>(VALUE)?;
    let (_, scale) = decimal_shape(call.type_of(VALUE)?)?;
    match call.result() {
        DataType::Float32 => {
            call.number_result::<arrow::datatypes::Float32Type>(|row| Ok(values.get(row).map(|v| to_f32(v, scale))))
        }
        _ => call.float_result(|row| Ok(values.get(row).map(|v| to_f64(v, scale)))),
    }
}

/// Decimals of the result's type from unscaled values of another scale.
fn decimals_of(call: &Call, from: i8, value: impl Fn(usize) -> Option<i128>) -> Result<ArrayRef> {
    let (precision, scale) = decimal_shape(call.result())?;
    call.decimal_result(|row| {
        let Some(value) = value(row) else { return Ok(None) };
        match rescale(value, i32::from(from), i32::from(scale), precision) {
            Some(rescaled) => Ok(Some(rescaled)),
            None => call.mode().absent(|| {
                let mut text = String::new();
                write_plain(value, from, &mut text);
                error::decimal_overflow(&text, precision, scale)
            }),
        }
    })
}

pub(super) fn integer_to_decimal(call: &Call) -> Result<ArrayRef> {
    let values = call.integers(VALUE)?;
    decimals_of(call, 0, |row| values.get(row).map(i128::from))
}

pub(super) fn decimal_to_decimal(call: &Call) -> Result<ArrayRef> {
    let values = call.values::<Decimal128Type>(VALUE)?;
    let (_, from) = decimal_shape(call.type_of(VALUE)?)?;
    decimals_of(call, from, |row| values.get(row))
}

/// By the digits that Java writes.
pub(super) fn float_to_decimal(call: &Call) -> Result<ArrayRef> {
    let (values, java) = (call.floats(VALUE)?, Java::of_call(call, JAVA)?);
    let (precision, scale) = decimal_shape(call.result())?;
    let mut text = String::new();
    call.decimal_result(|row| {
        let Some(value) = values.get(row) else { return Ok(None) };
        text.clear();
        write_f64(value, java, &mut text);
        // Infinities and NaN are null in every mode.
        let Some(decimal) = parse_decimal(&text) else { return Ok(None) };
        match decimal.unscaled(scale).filter(|&v| fits(v, precision)) {
            Some(value) => Ok(Some(value)),
            None => call.mode().absent(|| error::decimal_overflow(&decimal.plain(), precision, scale)),
        }
    })
}
