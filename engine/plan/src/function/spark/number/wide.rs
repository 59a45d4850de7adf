//! Decimal arithmetic whose result may have more than 38 digits: exact in 256 bits, then rounded to the result's type, null or an error when it does not fit.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Decimal128Type, i256};
use plasmon_core::Result;

use crate::function::spark::columns::{Call, decimal_shape};
use crate::function::spark::decimal::fits;
use crate::function::spark::definition::Definition;
use crate::function::spark::error;
use crate::function::spark::result::{is_decimal, require, takes};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("decimal_add", result, |call| compute(call, Operation::Add)).with_modes(),
    Definition::new("decimal_subtract", result, |call| compute(call, Operation::Subtract)).with_modes(),
    Definition::new("decimal_multiply", result, |call| compute(call, Operation::Multiply)).with_modes(),
    Definition::new("decimal_divide", result, |call| compute(call, Operation::Divide)).with_modes(),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
}

fn result(types: &[DataType]) -> Result<DataType> {
    takes(types, 3)?;
    require(types.iter().all(is_decimal), "two decimals and a null of the result's type")?;
    Ok(types[2].clone())
}

fn ten_to(exponent: i32) -> Option<i256> {
    i256::from_i128(10).checked_pow(u32::try_from(exponent).ok()?)
}

/// `dividend / divisor`, half away from zero.
fn quotient(dividend: i256, divisor: i256) -> Option<i256> {
    let (quotient, rest) = (dividend.checked_div(divisor)?, dividend.checked_rem(divisor)?);
    // Twice the rest may not fit; what is left to the divisor does.
    let left = divisor.wrapping_abs().checked_sub(rest.wrapping_abs())?;
    let is_negative = (dividend < i256::ZERO) != (divisor < i256::ZERO);
    let step = if is_negative { i256::MINUS_ONE } else { i256::ONE };
    if rest.wrapping_abs() >= left { quotient.checked_add(step) } else { Some(quotient) }
}

/// The value at another scale.
fn rescaled(value: i256, from: i32, to: i32) -> Option<i256> {
    match to >= from {
        true => value.checked_mul(ten_to(to - from)?),
        false => quotient(value, ten_to(from - to)?),
    }
}

/// Scales of the operands and of the result.
#[derive(Clone, Copy)]
struct Scales(i32, i32, i32);

/// `None`: more than 256 bits, so more than 38 digits; the divisor is not zero.
fn exact(operation: Operation, left: i256, right: i256, Scales(l, r, to): Scales) -> Option<i256> {
    match operation {
        Operation::Add | Operation::Subtract => {
            let common = l.max(r);
            let (left, right) = (rescaled(left, l, common)?, rescaled(right, r, common)?);
            let sum = if operation == Operation::Add { left.checked_add(right) } else { left.checked_sub(right) };
            rescaled(sum?, common, to)
        }
        Operation::Multiply => rescaled(left.checked_mul(right)?, l + r, to),
        Operation::Divide => match to - l + r {
            up @ 0.. => quotient(left.checked_mul(ten_to(up)?)?, right),
            down => quotient(left, right.checked_mul(ten_to(-down)?)?),
        },
    }
}

fn compute(call: &Call, operation: Operation) -> Result<ArrayRef> {
    let (left, right) = (call.values::<Decimal128Type>(0)?, call.values::<Decimal128Type>(1)?);
    let scale_of = |index| Ok::<_, plasmon_core::Error>(i32::from(decimal_shape(call.type_of(index)?)?.1));
    let (precision, scale) = decimal_shape(call.result())?;
    let scales = Scales(scale_of(0)?, scale_of(1)?, i32::from(scale));
    call.decimal_result(|row| {
        let (Some(left), Some(right)) = (left.get(row), right.get(row)) else { return Ok(None) };
        if operation == Operation::Divide && right == 0 {
            return call.mode().absent(error::divide_by_zero);
        }
        let exact = exact(operation, i256::from_i128(left), i256::from_i128(right), scales);
        match exact.and_then(i256::to_i128).filter(|&v| fits(v, precision)) {
            Some(value) => Ok(Some(value)),
            None => call.mode().absent(|| {
                let value = exact.map_or_else(|| "a result".to_string(), |v| plain(v, scale));
                error::decimal_overflow(&value, precision, scale)
            }),
        }
    })
}

/// The value with its point.
fn plain(value: i256, scale: i8) -> String {
    let digits = value.wrapping_abs().to_string();
    let scale = usize::from(scale.unsigned_abs());
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if value < i256::ZERO { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}
