//! Texts to values.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Date32Type, Float32Type, Float64Type, TimestampMicrosecondType};
use plasmon_core::{Error, Result};

use super::parse::{Parsed, is_blank, parse_date, parse_timestamp};
use super::{VALUE, zone};
use crate::function::spark::columns::{Call, decimal_shape};
use crate::function::spark::decimal::fits;
use crate::function::spark::definition::Mode;
use crate::function::spark::error;
use crate::function::spark::java::{parse_decimal, parse_f32, parse_f64};
use crate::function::spark::sql::{text_literal, type_name};

fn malformed(text: &str, to: &DataType) -> Error {
    error::invalid_input(&text_literal(text), "STRING", &type_name(to))
}

/// `UTF8String.trimAll`.
fn trim_all(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_ascii() && is_blank(c as u8))
}

pub(super) fn to_boolean(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(VALUE)?;
    let is = |text: &str, words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    call.boolean_result(|row| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        match trim_all(text) {
            word if is(word, &["t", "true", "y", "yes", "1"]) => Ok(Some(true)),
            word if is(word, &["f", "false", "n", "no", "0"]) => Ok(Some(false)),
            _ => call.mode().absent(|| malformed(text, call.result())),
        }
    })
}

pub(super) fn to_integer(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(VALUE)?;
    let takes_fraction = call.mode() == Mode::Legacy;
    let (min, max) = call.integer_range()?;
    call.integer_result(|row| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        match parse_integer(text, takes_fraction).filter(|value| (min..=max).contains(value)) {
            Some(value) => Ok(Some(value)),
            None => call.mode().absent(|| malformed(text, call.result())),
        }
    })
}

/// `UTF8String.toLong`: digits, and in legacy mode a fraction that is cut.
fn parse_integer(text: &str, takes_fraction: bool) -> Option<i64> {
    let bytes = trim_all(text).as_bytes();
    let (is_negative, digits) = match bytes.first()? {
        b'-' => (true, &bytes[1..]),
        b'+' => (false, &bytes[1..]),
        _ => (false, bytes),
    };
    let point = digits.iter().position(|&b| b == b'.');
    if digits.is_empty() || point.is_some() && !takes_fraction {
        return None;
    }
    let (whole, fraction) = point.map_or((digits, &[][..]), |at| (&digits[..at], &digits[at + 1..]));
    let mut value = 0i64;
    for digit in whole {
        value = value.checked_mul(10)?.checked_sub(i64::from(digit.checked_sub(b'0').filter(|d| *d <= 9)?))?;
    }
    let holds = fraction.iter().all(u8::is_ascii_digit);
    if is_negative { Some(value) } else { value.checked_neg() }.filter(|_| holds)
}

pub(super) fn to_float(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(VALUE)?;
    let failed = |text: &str| malformed(text, call.result());
    match call.result() {
        DataType::Float32 => call.number_result::<Float32Type>(|row| {
            let Some(text) = texts.get(row) else { return Ok(None) };
            match parse_f32(text).or_else(|| special_float(text).map(|v| v as f32)) {
                Some(value) => Ok(Some(value)),
                None => call.mode().absent(|| failed(text)),
            }
        }),
        _ => call.number_result::<Float64Type>(|row| {
            let Some(text) = texts.get(row) else { return Ok(None) };
            match parse_f64(text).or_else(|| special_float(text)) {
                Some(value) => Ok(Some(value)),
                None => call.mode().absent(|| failed(text)),
            }
        }),
    }
}

/// `Cast.processFloatingPointSpecialLiterals`.
fn special_float(text: &str) -> Option<f64> {
    Some(match text.trim_matches(|c| c <= ' ').to_ascii_lowercase().as_str() {
        "inf" | "+inf" | "infinity" | "+infinity" => f64::INFINITY,
        "-inf" | "-infinity" => f64::NEG_INFINITY,
        "nan" => f64::NAN,
        _ => return None,
    })
}

pub(super) fn to_decimal(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(VALUE)?;
    let (precision, scale) = decimal_shape(call.result())?;
    call.decimal_result(|row| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        let Some(decimal) = parse_decimal(text) else {
            return call.mode().absent(|| malformed(text, call.result()));
        };
        match decimal.unscaled(scale).filter(|&v| fits(v, precision) && !decimal.is_out_of_all()) {
            Some(value) => Ok(Some(value)),
            None if decimal.is_out_of_all() => call.mode().absent(|| out_of_all_decimals(text)),
            None => call.mode().absent(|| error::decimal_overflow(&decimal.plain(), precision, scale)),
        }
    })
}

fn out_of_all_decimals(text: &str) -> Error {
    Error::data(format!(
        "[NUMERIC_OUT_OF_SUPPORTED_RANGE] The value {text} cannot be interpreted as a numeric since it has more than 38 digits."
    ))
}

pub(super) fn to_date(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(VALUE)?;
    call.number_result::<Date32Type>(|row| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        match parse_date(text) {
            Some(days) => Ok(Some(days)),
            None => call.mode().absent(|| malformed(text, call.result())),
        }
    })
}

pub(super) fn to_timestamp(call: &Call) -> Result<ArrayRef> {
    let (texts, zone) = (call.texts(VALUE)?, zone(call)?);
    call.number_result::<TimestampMicrosecondType>(|row| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        match parse_timestamp(text).and_then(|parsed| parsed.instant(zone)) {
            Some(micros) => Ok(Some(micros)),
            None => call.mode().absent(|| malformed(text, call.result())),
        }
    })
}

pub(super) fn to_clock(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(VALUE)?;
    call.number_result::<TimestampMicrosecondType>(|row| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        match parse_timestamp(text).as_ref().and_then(Parsed::clock) {
            Some(micros) => Ok(Some(micros)),
            None => call.mode().absent(|| malformed(text, call.result())),
        }
    })
}
