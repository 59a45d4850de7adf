//! Decimal arithmetic: 64-bit lanes whenever bounds prove that nothing can overflow, 128 or 256 bits else.
//!
//! A result's declared precision is the planner's; its values lie in 64 bits when they fit ("narrow"), whatever the precision. Bounds come
//! with the column (file statistics, earlier arithmetic) or from one vectorized pass over the batch, which costs less than 128-bit lanes.
//! Quotients round half away from zero.

use arrow_buffer::i256;
use arrow_schema::DataType;
use plasmon_kernels::arithmetic::{Side, map2, min_max_i64};

use super::arithmetic::{Counted, Operand, operand, out_of_range};
use super::{ArithmeticOp, Overflow};
use crate::batch::{Bounds, Column, Physical, Values, physical_type};
use crate::error::{Error, Result};

/// `left op right` of the decimal type `result`; scales may differ.
pub(super) fn arithmetic(
    op: ArithmeticOp,
    overflow: Overflow,
    sides: (&Column, &Column),
    types: (&DataType, &DataType),
    result: &DataType,
    counted: Counted<'_>,
) -> Result<Column> {
    let scales = Scales { left: scale(types.0), right: scale(types.1), result: scale(result) };
    if matches!(op, ArithmeticOp::Add | ArithmeticOp::Subtract | ArithmeticOp::Multiply)
        && let Some(column) = narrow(op, sides, scales, &counted)
    {
        return Ok(column);
    }
    let wide = matches!(result, DataType::Decimal256(_, _))
        || sides.0.physical() == Physical::Int256
        || sides.1.physical() == Physical::Int256;
    let (left, right) = (operand(sides.0), operand(sides.1));
    let mut values = Vec::with_capacity(counted.rows);
    values.resize(counted.rows, i256::ZERO);
    let mut narrow_values = if wide { Vec::new() } else { vec![0i128; counted.rows] };
    let mut nulls = Vec::new();
    counted.try_for_each(|row| {
        let exact = if wide {
            wide_value(op, wide_at(&left, row)?, wide_at(&right, row)?, scales).map(|v| values[row] = v)
        } else {
            let (a, b) = (at(&left, row)?, at(&right, row)?);
            value(op, a, b, scales).map(|v| narrow_values[row] = v)
        };
        match (exact, overflow) {
            (Some(()), _) => Ok(()),
            (None, Overflow::Null) => {
                nulls.push(row);
                Ok(())
            }
            (None, _) => Err(failure(op, &left, &right, row, types)),
        }
    })?;
    let validity = counted.without(nulls);
    let values = match (wide, physical_type(result)) {
        (true, _) => Values::Int256(values.into()),
        // Rows that do not count may wrap here: nobody reads them.
        (false, Physical::Int64) => {
            check_narrow(&narrow_values, &counted, op)?;
            Values::Int64(narrow_values.iter().map(|&v| v as i64).collect())
        }
        (false, _) => Values::Int128(narrow_values.into()),
    };
    Ok(Column::flat_with_validity(values, validity))
}

/// The scales of a decimal operation.
#[derive(Clone, Copy)]
struct Scales {
    left: i32,
    right: i32,
    result: i32,
}

fn scale(data_type: &DataType) -> i32 {
    match data_type {
        DataType::Decimal32(_, s)
        | DataType::Decimal64(_, s)
        | DataType::Decimal128(_, s)
        | DataType::Decimal256(_, s) => *s as i32,
        _ => 0,
    }
}

/// The operation in 64-bit lanes, when bounds prove it exact.
fn narrow(op: ArithmeticOp, sides: (&Column, &Column), scales: Scales, counted: &Counted<'_>) -> Option<Column> {
    let (left, right) = (operand(sides.0).narrow()?, operand(sides.1).narrow()?);
    let (Values::Int64(l), Values::Int64(r)) = (left.values(), right.values()) else { return None };
    let (a, b) = (bounds(sides.0, l)?, bounds(sides.1, r)?);
    let (left_factor, right_factor) = match op {
        ArithmeticOp::Multiply if scales.left + scales.right == scales.result => (1, 1),
        ArithmeticOp::Multiply => return None,
        _ => (power(scales.result - scales.left)?, power(scales.result - scales.right)?),
    };
    let scaled = |b: Bounds, factor: i64| (b.min as i128 * factor as i128, b.max as i128 * factor as i128);
    let ((a_min, a_max), (b_min, b_max)) = (scaled(a, left_factor), scaled(b, right_factor));
    let fits = |v: i128| i64::try_from(v).ok();
    let (min, max) = match op {
        ArithmeticOp::Add => (a_min + b_min, a_max + b_max),
        ArithmeticOp::Subtract => (a_min - b_max, a_max - b_min),
        _ => {
            let products = [a_min * b_min, a_min * b_max, a_max * b_min, a_max * b_max];
            (products.into_iter().min()?, products.into_iter().max()?)
        }
    };
    for bound in [a_min, a_max, b_min, b_max] {
        fits(bound)?;
    }
    let proven = Bounds { min: fits(min)?, max: fits(max)? };
    let (l, r, rows) = (left.side(l), right.side(r), counted.rows);
    let values = match (op, left_factor, right_factor) {
        (ArithmeticOp::Multiply, ..) => map2(l, r, rows, i64::wrapping_mul),
        (ArithmeticOp::Add, 1, 1) => map2(l, r, rows, i64::wrapping_add),
        (ArithmeticOp::Subtract, 1, 1) => map2(l, r, rows, i64::wrapping_sub),
        (ArithmeticOp::Add, ..) => {
            map2(l, r, rows, |a, b| a.wrapping_mul(left_factor).wrapping_add(b.wrapping_mul(right_factor)))
        }
        _ => map2(l, r, rows, |a, b| a.wrapping_mul(left_factor).wrapping_sub(b.wrapping_mul(right_factor))),
    };
    Some(Column::flat_with_validity(Values::Int64(values.into()), counted.validity.clone()).with_bounds(Some(proven)))
}

/// Proven bounds of a 64-bit column: carried, or found by a pass over all values (also ones that do not count).
fn bounds(column: &Column, values: &[i64]) -> Option<Bounds> {
    if let Some(bounds) = column.bounds {
        // Values that do not count may lie outside of carried bounds; wrapping them is harmless.
        return Some(bounds);
    }
    let (min, max) = min_max_i64(values);
    Some(if values.is_empty() { Bounds { min: 0, max: 0 } } else { Bounds { min, max } })
}

fn power(exponent: i32) -> Option<i64> {
    10i64.checked_pow(u32::try_from(exponent).ok()?)
}

fn at(operand: &Operand, row: usize) -> Result<i128> {
    match operand.values() {
        Values::Int64(v) => Ok(operand.side(v).get(row) as i128),
        Values::Int128(v) => Ok(operand.side(v).get(row)),
        other => Err(Error::internal(format!("{:?} values in a decimal operation", other.physical()))),
    }
}

fn wide_at(operand: &Operand, row: usize) -> Result<i256> {
    match operand.values() {
        Values::Int256(v) => Ok(operand.side(v).get(row)),
        _ => at(operand, row).map(i256::from_i128),
    }
}

/// One exact value in 128 bits (256 inside where needed); `None` when it does not fit or the divisor is zero.
fn value(op: ArithmeticOp, a: i128, b: i128, scales: Scales) -> Option<i128> {
    let rescale = |v: i128, from: i32, to: i32| 10i128.checked_pow(u32::try_from(to - from).ok()?)?.checked_mul(v);
    match op {
        ArithmeticOp::Add => {
            rescale(a, scales.left, scales.result)?.checked_add(rescale(b, scales.right, scales.result)?)
        }
        ArithmeticOp::Subtract => {
            rescale(a, scales.left, scales.result)?.checked_sub(rescale(b, scales.right, scales.result)?)
        }
        ArithmeticOp::Multiply if scales.left + scales.right == scales.result => a.checked_mul(b),
        _ => wide_value(op, i256::from_i128(a), i256::from_i128(b), scales)?.to_i128(),
    }
}

fn wide_power(exponent: i32) -> Option<i256> {
    i256::from_i128(10).checked_pow(u32::try_from(exponent).ok()?)
}

/// One exact value in 256 bits.
fn wide_value(op: ArithmeticOp, a: i256, b: i256, scales: Scales) -> Option<i256> {
    let rescale = |v: i256, from: i32| v.checked_mul(wide_power(scales.result - from)?);
    match op {
        ArithmeticOp::Add => rescale(a, scales.left)?.checked_add(rescale(b, scales.right)?),
        ArithmeticOp::Subtract => rescale(a, scales.left)?.checked_sub(rescale(b, scales.right)?),
        ArithmeticOp::Multiply => {
            let product = a.checked_mul(b)?;
            let drop = scales.left + scales.right - scales.result;
            if drop >= 0 { divide_rounded(product, wide_power(drop)?) } else { product.checked_mul(wide_power(-drop)?) }
        }
        ArithmeticOp::Divide => {
            let shift = scales.result - scales.left + scales.right;
            if shift >= 0 {
                divide_rounded(a.checked_mul(wide_power(shift)?)?, b)
            } else {
                divide_rounded(a, b.checked_mul(wide_power(-shift)?)?)
            }
        }
        ArithmeticOp::Modulo => {
            let common = scales.left.max(scales.right);
            let (a, b) =
                (a.checked_mul(wide_power(common - scales.left)?)?, b.checked_mul(wide_power(common - scales.right)?)?);
            let remainder = a.checked_rem(b)?;
            if scales.result >= common {
                remainder.checked_mul(wide_power(scales.result - common)?)
            } else {
                divide_rounded(remainder, wide_power(common - scales.result)?)
            }
        }
        _ => None,
    }
}

/// Quotient rounded half away from zero.
pub(crate) fn divide_rounded(a: i256, b: i256) -> Option<i256> {
    let quotient = a.checked_div(b)?;
    let remainder = a.checked_rem(b)?;
    let twice = remainder.checked_add(remainder)?;
    if twice.wrapping_abs() >= b.wrapping_abs() && remainder != i256::ZERO {
        let step = if (a < i256::ZERO) == (b < i256::ZERO) { i256::ONE } else { i256::MINUS_ONE };
        quotient.checked_add(step)
    } else {
        Some(quotient)
    }
}

fn check_narrow(values: &[i128], counted: &Counted<'_>, op: ArithmeticOp) -> Result<()> {
    counted.try_for_each(|row| match i64::try_from(values[row]) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::data(format!("arithmetic overflow: decimal result of {op} is out of range"))),
    })
}

fn failure(op: ArithmeticOp, left: &Operand, right: &Operand, row: usize, types: (&DataType, &DataType)) -> Error {
    let show = |operand: &Operand, data_type: &DataType| {
        let row = match operand.side(&[(), ()]) {
            Side::Constant(()) => 0,
            Side::Slice(_) => row,
        };
        super::Scalar::from_values(operand.values(), row).display(data_type)
    };
    let divides = matches!(op, ArithmeticOp::Divide | ArithmeticOp::Modulo);
    let divisor_is_zero = wide_at(right, row).is_ok_and(|b| b == i256::ZERO);
    if divides && divisor_is_zero {
        return Error::data(format!("division by zero: {} {op} 0", show(left, types.0)));
    }
    out_of_range(op, show(left, types.0), show(right, types.1))
}
