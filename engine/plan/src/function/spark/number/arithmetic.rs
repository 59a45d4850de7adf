//! Quotients, remainders and absolute values.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Decimal128Type};
use plasmon_core::{Error, Result};

use crate::function::spark::columns::{Call, decimal_shape};
use crate::function::spark::decimal::{fits, power};
use crate::function::spark::definition::{Definition, Mode};
use crate::function::spark::error;
use crate::function::spark::result::{is_decimal, is_float, is_number, require, takes};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("divide", of_doubles, divide).with_modes(),
    Definition::new("remainder", same, remainder).with_modes(),
    Definition::new("pmod", same, remainder_positive).with_modes(),
    Definition::new("integral_divide", long, integral_divide).with_modes(),
    Definition::new("abs", absolute_type, absolute).with_modes(),
];

fn of_doubles(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    require(types.iter().all(|t| *t == DataType::Float64), "two doubles")?;
    Ok(DataType::Float64)
}

/// Two numbers of one type give that type; decimals whose scales differ are refused.
fn same(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    require(types[0] == types[1] && is_number(&types[0]), "two numbers of one type")?;
    Ok(types[0].clone())
}

fn long(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    let are_longs = types.iter().all(|t| *t == DataType::Int64);
    require(are_longs || types.iter().all(is_decimal), "two longs or two decimals")?;
    Ok(DataType::Int64)
}

fn absolute_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    require(is_number(&types[0]), "a number")?;
    Ok(types[0].clone())
}

fn divide(call: &Call) -> Result<ArrayRef> {
    let (left, right) = (call.floats(0)?, call.floats(1)?);
    call.float_result(|row| match (left.get(row), right.get(row)) {
        (Some(_), Some(0.0)) => call.mode().absent(error::divide_by_zero),
        (Some(left), Some(right)) => Ok(Some(left / right)),
        _ => Ok(None),
    })
}

fn remainder(call: &Call) -> Result<ArrayRef> {
    by_type(call, |l, r| l.wrapping_rem(r), |l, r| l % r, |l, r| l % r)
}

/// Spark's `pmod`: the remainder moved into the divisor's sign when it is negative.
fn remainder_positive(call: &Call) -> Result<ArrayRef> {
    let double = |l: f64, r: f64| if l % r < 0.0 { (l % r + r) % r } else { l % r };
    let single = *call.type_of(0)? == DataType::Float32;
    let float = move |l: f64, r: f64| match single {
        true => {
            let (l, r) = (l as f32, r as f32);
            f64::from(if l % r < 0.0 { (l % r + r) % r } else { l % r })
        }
        false => double(l, r),
    };
    // In Java the sum of two ints wraps; bytes and shorts are ints there.
    let narrow = !matches!(call.type_of(0)?, DataType::Int64);
    let integer = move |l: i64, r: i64| match l.wrapping_rem(r) {
        rest @ ..0 if narrow => i64::from((rest as i32).wrapping_add(r as i32)).wrapping_rem(r),
        rest @ ..0 => rest.wrapping_add(r).wrapping_rem(r),
        rest => rest,
    };
    by_type(call, integer, float, |l, r| if l % r < 0 { (l % r + r) % r } else { l % r })
}

fn by_type(
    call: &Call,
    integer: impl Fn(i64, i64) -> i64,
    float: impl Fn(f64, f64) -> f64,
    decimal: impl Fn(i128, i128) -> i128,
) -> Result<ArrayRef> {
    let by_zero = || call.mode().absent(error::remainder_by_zero);
    match call.result() {
        t if is_float(t) => {
            let (left, right) = (call.floats(0)?, call.floats(1)?);
            call.float_result(|row| match (left.get(row), right.get(row)) {
                (Some(_), Some(0.0)) => Ok(by_zero()?),
                (Some(left), Some(right)) => Ok(Some(float(left, right))),
                _ => Ok(None),
            })
        }
        t if is_decimal(t) => {
            let (left, right) = (call.values::<Decimal128Type>(0)?, call.values::<Decimal128Type>(1)?);
            call.decimal_result(|row| match (left.get(row), right.get(row)) {
                (Some(_), Some(0)) => call.mode().absent(error::remainder_by_zero),
                (Some(left), Some(right)) => Ok(Some(decimal(left, right))),
                _ => Ok(None),
            })
        }
        _ => {
            let (left, right) = (call.integers(0)?, call.integers(1)?);
            call.integer_result(|row| match (left.get(row), right.get(row)) {
                (Some(_), Some(0)) => call.mode().absent(error::remainder_by_zero),
                (Some(left), Some(right)) => Ok(Some(integer(left, right))),
                _ => Ok(None),
            })
        }
    }
}

fn integral_divide(call: &Call) -> Result<ArrayRef> {
    let overflow = || error::arithmetic_overflow("Overflow in integral divide", Some("try_divide"));
    if *call.type_of(0)? == DataType::Int64 {
        let (left, right) = (call.integers(0)?, call.integers(1)?);
        return call.integer_result(|row| match (left.get(row), right.get(row)) {
            (Some(_), Some(0)) => call.mode().absent(error::divide_by_zero),
            (Some(i64::MIN), Some(-1)) if call.mode() != Mode::Legacy => call.mode().absent(overflow),
            (Some(left), Some(right)) => Ok(Some(left.wrapping_div(right))),
            _ => Ok(None),
        });
    }
    let (left, right) = (call.values::<Decimal128Type>(0)?, call.values::<Decimal128Type>(1)?);
    let (left_scale, right_scale) = (decimal_shape(call.type_of(0)?)?.1, decimal_shape(call.type_of(1)?)?.1);
    let common = left_scale.max(right_scale);
    let scaled = |value: i128, scale: i8| {
        let factor = power((common - scale).unsigned_abs().into())?;
        value.checked_mul(factor)
    };
    call.integer_result(|row| {
        let (Some(left), Some(right)) = (left.get(row), right.get(row)) else { return Ok(None) };
        if right == 0 {
            return call.mode().absent(error::divide_by_zero);
        }
        let wide = || Error::unsupported("a whole quotient of decimals whose scales are too far apart");
        let (left, right) = (scaled(left, left_scale).ok_or_else(wide)?, scaled(right, right_scale).ok_or_else(wide)?);
        let quotient = left / right;
        match i64::try_from(quotient) {
            Ok(quotient) => Ok(Some(quotient)),
            Err(_) if call.mode() == Mode::Legacy => Ok(Some(quotient as i64)),
            Err(_) => call.mode().absent(overflow),
        }
    })
}

fn absolute(call: &Call) -> Result<ArrayRef> {
    match call.result() {
        t if is_float(t) => {
            let values = call.floats(0)?;
            call.float_result(|row| Ok(values.get(row).map(f64::abs)))
        }
        DataType::Decimal128(precision, _) => {
            let values = call.values::<Decimal128Type>(0)?;
            call.decimal_result(|row| Ok(values.get(row).map(i128::abs).filter(|&v| fits(v, *precision))))
        }
        _ => {
            let values = call.integers(0)?;
            let (min, _) = call.integer_range()?;
            call.integer_result(|row| match values.get(row) {
                Some(value) if value == min && call.mode() != Mode::Legacy => {
                    call.mode().absent(|| error::arithmetic_overflow("overflow", None))
                }
                other => Ok(other.map(i64::wrapping_abs)),
            })
        }
    }
}
