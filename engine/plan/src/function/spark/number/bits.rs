//! Bits and digits of integers.

use std::fmt::Write;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use plasmon_core::{Error, Result};

use crate::function::spark::columns::Call;
use crate::function::spark::definition::{Definition, Mode};
use crate::function::spark::error;
use crate::function::spark::result::{is_text, require, takes};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("bit_count", count_type, count),
    Definition::new("bit_get", get_type, get),
    Definition::new("shift_right_unsigned", shifted_type, shift_right_unsigned),
    Definition::new("factorial", factorial_type, factorial),
    Definition::new("bin", bin_type, bin),
    Definition::new("conv", conv_type, conv).with_modes(),
];

fn count_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    require(types[0].is_signed_integer() || types[0] == DataType::Boolean, "an integer or a boolean")?;
    Ok(DataType::Int32)
}

/// Of the number as a long: a negative byte has the bits of a negative long.
fn count(call: &Call) -> Result<ArrayRef> {
    if *call.type_of(0)? == DataType::Boolean {
        let values = call.booleans(0)?;
        return call.integer_result(|row| Ok(values.get(row).map(i64::from)));
    }
    let values = call.integers(0)?;
    call.integer_result(|row| Ok(values.get(row).map(|v| i64::from(v.count_ones()))))
}

fn get_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    require(types[0].is_signed_integer() && types[1] == DataType::Int32, "an integer and a position")?;
    Ok(DataType::Int8)
}

fn get(call: &Call) -> Result<ArrayRef> {
    let (values, positions) = (call.integers(0)?, call.integers(1)?);
    let bits = match call.type_of(0)? {
        DataType::Int8 => 8,
        DataType::Int16 => 16,
        DataType::Int32 => 32,
        _ => 64,
    };
    call.integer_result(|row| {
        let (Some(value), Some(position)) = (values.get(row), positions.get(row)) else { return Ok(None) };
        match (0..bits).contains(&position) {
            true => Ok(Some(value >> position & 1)),
            false => Err(Error::data(format!(
                "[INVALID_PARAMETER_VALUE.BIT_POSITION_RANGE] The value of parameter(s) `pos` in `bit_get` is invalid: expects an integer value in [0, {bits}), but got {position}."
            ))),
        }
    })
}

fn shifted_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    let holds = matches!(types[0], DataType::Int32 | DataType::Int64) && types[1] == DataType::Int32;
    require(holds, "an int or a long and a distance")?;
    Ok(types[0].clone())
}

fn shift_right_unsigned(call: &Call) -> Result<ArrayRef> {
    let (values, distances) = (call.integers(0)?, call.integers(1)?);
    let is_int = *call.result() == DataType::Int32;
    call.integer_result(|row| {
        let (Some(value), Some(distance)) = (values.get(row), distances.get(row)) else { return Ok(None) };
        Ok(Some(match is_int {
            true => i64::from((value as u32).wrapping_shr(distance as u32)),
            false => (value as u64).wrapping_shr(distance as u32) as i64,
        }))
    })
}

fn factorial_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    require(types[0] == DataType::Int32, "an int")?;
    Ok(DataType::Int64)
}

/// Null outside of 0 to 20, whose factorials a long holds.
fn factorial(call: &Call) -> Result<ArrayRef> {
    let values = call.integers(0)?;
    call.integer_result(|row| Ok(values.get(row).filter(|v| (0..=20).contains(v)).map(|v| (1..=v).product())))
}

fn bin_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    require(types[0] == DataType::Int64, "a long")?;
    Ok(DataType::Utf8View)
}

fn bin(call: &Call) -> Result<ArrayRef> {
    let values = call.integers(0)?;
    call.text_result(|row, text| {
        let Some(value) = values.get(row) else { return Ok(false) };
        // Writing to a text cannot fail.
        let _ = write!(text, "{value:b}");
        Ok(true)
    })
}

fn conv_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 3)?;
    let holds = is_text(&types[0]) && types[1] == DataType::Int32 && types[2] == DataType::Int32;
    require(holds, "a text and two bases")?;
    Ok(DataType::Utf8View)
}

/// `NumberConverter.convert`.
fn conv(call: &Call) -> Result<ArrayRef> {
    let (texts, from, to) = (call.texts(0)?, call.integers(1)?, call.integers(2)?);
    call.text_result(|row, out| {
        let (Some(text), Some(from), Some(to)) = (texts.get(row), from.get(row), to.get(row)) else {
            return Ok(false);
        };
        let text = text.trim_matches(' ');
        if !(2..=36).contains(&from) || !(2..=36).contains(&to.abs()) || text.is_empty() {
            return Ok(false);
        }
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let magnitude = match magnitude(digits, from as u32) {
            Some(magnitude) => magnitude,
            None if call.mode() == Mode::Ansi => {
                return Err(error::arithmetic_overflow("Overflow in function conv()", None));
            }
            None => u64::MAX,
        };
        write_converted(magnitude, is_negative, to, out);
        Ok(true)
    })
}

/// The leading digits of a base; `None`: more than 64 bits.
fn magnitude(digits: &str, base: u32) -> Option<u64> {
    let mut value = 0u64;
    for c in digits.chars() {
        let Some(digit) = c.is_ascii().then(|| c.to_digit(base)).flatten() else { break };
        value = value.checked_mul(u64::from(base))?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

/// Unsigned, or with a sign when the base is negative.
fn write_converted(magnitude: u64, is_negative: bool, base: i64, out: &mut String) {
    let mut value = if is_negative { magnitude.wrapping_neg() } else { magnitude };
    let mut sign = false;
    if base < 0 && (value as i64) < 0 {
        value = value.wrapping_neg();
        sign = true;
    }
    let base = base.unsigned_abs();
    let mut digits = Vec::with_capacity(64);
    loop {
        digits.push(char::from_digit((value % base) as u32, base as u32).unwrap_or('0').to_ascii_uppercase());
        value /= base;
        if value == 0 {
            break;
        }
    }
    if sign {
        out.push('-');
    }
    out.extend(digits.into_iter().rev());
}
