//! What Spark puts around decimals: checks of their digits, and their unscaled form.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Decimal128Type};
use plasmon_core::Result;

use crate::function::spark::columns::{Call, decimal_shape};
use crate::function::spark::decimal::{fits, rescale, write_plain};
use crate::function::spark::definition::{Definition, Mode};
use crate::function::spark::error;
use crate::function::spark::result::{is_decimal, require, takes};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("check_overflow", checked_type, check_overflow).with_modes(),
    Definition::new("unscaled_value", unscaled_type, unscaled_value),
    Definition::new("make_decimal", made_type, make_decimal).with_modes(),
    Definition::new("decimal_average", average_type, average).with_modes(),
];

fn checked_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    require(types.iter().all(is_decimal), "a decimal and a null of the result's type")?;
    Ok(types[1].clone())
}

fn unscaled_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    require(is_decimal(&types[0]), "a decimal")?;
    Ok(DataType::Int64)
}

fn made_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    require(types[0] == DataType::Int64 && is_decimal(&types[1]), "a long and a null of the result's type")?;
    Ok(types[1].clone())
}

fn average_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 3)?;
    let holds = is_decimal(&types[0]) && types[1] == DataType::Int64 && is_decimal(&types[2]);
    require(holds, "a decimal, a long and a null of the result's type")?;
    Ok(types[2].clone())
}

fn check_overflow(call: &Call) -> Result<ArrayRef> {
    let values = call.values::<Decimal128Type>(0)?;
    let (_, from) = decimal_shape(call.type_of(0)?)?;
    let (precision, scale) = decimal_shape(call.result())?;
    call.decimal_result(|row| {
        let Some(value) = values.get(row) else { return Ok(None) };
        match rescale(value, i32::from(from), i32::from(scale), precision) {
            Some(value) => Ok(Some(value)),
            None => call.mode().absent(|| too_wide(value, from, precision, scale)),
        }
    })
}

fn too_wide(value: i128, value_scale: i8, precision: u8, scale: i8) -> plasmon_core::Error {
    let mut text = String::new();
    write_plain(value, value_scale, &mut text);
    error::decimal_overflow(&text, precision, scale)
}

/// Of a decimal that a long holds.
fn unscaled_value(call: &Call) -> Result<ArrayRef> {
    let values = call.values::<Decimal128Type>(0)?;
    call.integer_result(|row| Ok(values.get(row).map(|v| v as i64)))
}

fn make_decimal(call: &Call) -> Result<ArrayRef> {
    let values = call.integers(0)?;
    let (precision, scale) = decimal_shape(call.result())?;
    call.decimal_result(|row| match values.get(row).map(i128::from) {
        Some(value) if !fits(value, precision) => call.mode().absent(|| too_wide(value, scale, precision, scale)),
        other => Ok(other),
    })
}

/// `sum / count` at the result's scale, half away from zero.
fn average(call: &Call) -> Result<ArrayRef> {
    let (sums, counts) = (call.values::<Decimal128Type>(0)?, call.integers(1)?);
    let (_, from) = decimal_shape(call.type_of(0)?)?;
    let (precision, scale) = decimal_shape(call.result())?;
    call.decimal_result(|row| {
        let (Some(sum), Some(count @ 1..)) = (sums.get(row), counts.get(row)) else { return Ok(None) };
        match quotient(sum, i128::from(count), i32::from(scale - from)).filter(|&v| fits(v, precision)) {
            Some(value) => Ok(Some(value)),
            None if call.mode() == Mode::Ansi => Err(too_wide(sum / i128::from(count), from, precision, scale)),
            None => Ok(None),
        }
    })
}

/// `sum × 10^shift / count`, half away from zero.
fn quotient(sum: i128, count: i128, shift: i32) -> Option<i128> {
    use arrow::datatypes::i256;
    let ten_to = |exponent: u32| i256::from_i128(10).checked_pow(exponent);
    let (sum, count) = (i256::from_i128(sum), i256::from_i128(count));
    let (dividend, divisor) = match shift {
        0.. => (sum.checked_mul(ten_to(shift as u32)?)?, count),
        _ => (sum, count.checked_mul(ten_to(shift.unsigned_abs())?)?),
    };
    let (quotient, rest) = (dividend.checked_div(divisor)?, dividend.checked_rem(divisor)?);
    let twice = rest.wrapping_abs().checked_mul(i256::from_i128(2))?;
    let step = if sum < i256::ZERO { i256::MINUS_ONE } else { i256::ONE };
    if twice >= divisor { quotient.checked_add(step)?.to_i128() } else { quotient.to_i128() }
}
