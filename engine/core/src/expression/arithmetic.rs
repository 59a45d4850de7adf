//! Arithmetic over two columns: integers and floats here, decimals in [`super::decimal`], dates and intervals in [`super::temporal`].

use arrow_schema::DataType;
use plasmon_kernels::arithmetic::{Side, map1, map2, map2_checked, narrow_i128};

use super::{ArithmeticOp, Overflow, decimal, temporal};
use crate::batch::{Bitmap, Column, Encoding, Physical, Selection, Values, is_null_type, physical_type};
use crate::error::{Error, Result};

/// `left op right` of type `result`. Errors of single values count at selected, valid rows only.
pub(super) fn arithmetic(
    op: ArithmeticOp,
    overflow: Overflow,
    sides: (&Column, &Column),
    types: (&DataType, &DataType),
    result: &DataType,
    selection: Option<&Selection>,
) -> Result<Column> {
    let counted = Counted {
        validity: Bitmap::and_optional(sides.0.validity(), sides.1.validity()),
        selection,
        rows: sides.0.len(),
    };
    if types.0.is_decimal() && types.1.is_decimal() && result.is_decimal() {
        return decimal::arithmetic(op, overflow, sides, types, result, counted);
    }
    if types.0.is_temporal() || types.1.is_temporal() {
        return temporal::arithmetic(op, sides, types, result, selection);
    }
    let (left, right) = (operand(sides.0), operand(sides.1));
    macro_rules! integers {
        ($($variant:ident),*) => {
            match (left.values(), right.values()) {
                $((Values::$variant(l), Values::$variant(r)) if result.is_integer() => {
                    let (values, nulls) = integer(op, overflow, left.side(l), right.side(r), &counted)?;
                    Ok(Column::flat_with_validity(Values::$variant(values.into()), counted.without(nulls)))
                })*
                (Values::Float64(l), Values::Float64(r)) => {
                    let values = float(op, left.side(l), right.side(r), counted.rows)?;
                    Ok(Column::flat_with_validity(Values::Float64(values.into()), counted.validity))
                }
                (Values::Float32(l), Values::Float32(r)) => {
                    let values = float(op, left.side(l), right.side(r), counted.rows)?;
                    Ok(Column::flat_with_validity(Values::Float32(values.into()), counted.validity))
                }
                _ => temporal::arithmetic(op, sides, types, result, selection),
            }
        };
    }
    integers!(Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64)
}

/// Which rows may raise errors, and the validity of the result.
pub(super) struct Counted<'a> {
    pub validity: Option<Bitmap>,
    pub selection: Option<&'a Selection>,
    pub rows: usize,
}

impl Counted<'_> {
    /// Calls `visit` for every selected valid row.
    pub(super) fn try_for_each(&self, mut visit: impl FnMut(usize) -> Result<()>) -> Result<()> {
        let mut visit =
            |row: usize| if self.validity.as_ref().is_none_or(|v| v.get(row)) { visit(row) } else { Ok(()) };
        match self.selection {
            Some(selection) => selection.positions().iter().try_for_each(|&p| visit(p as usize)),
            None => (0..self.rows).try_for_each(visit),
        }
    }

    /// The validity, less the rows in `nulls`.
    pub(super) fn without(&self, nulls: Vec<usize>) -> Option<Bitmap> {
        if nulls.is_empty() {
            return self.validity.clone();
        }
        let mut words = self.validity.clone().unwrap_or_else(|| Bitmap::constant(true, self.rows)).words().to_vec();
        nulls.iter().for_each(|&row| words[row / 64] &= !(1 << (row % 64)));
        Some(Bitmap::new(words, self.rows))
    }
}

/// Flat or constant values of a column.
pub(super) struct Operand {
    values: Values,
    is_constant: bool,
}

impl Operand {
    pub(super) fn values(&self) -> &Values {
        &self.values
    }

    /// The same values in 64 bits, when they are integers that fit.
    pub(super) fn narrow(self) -> Option<Operand> {
        match &self.values {
            Values::Int64(_) => Some(self),
            Values::Int128(wide) => {
                let values = Values::Int64(narrow_i128(wide)?.into());
                Some(Operand { values, is_constant: self.is_constant })
            }
            _ => None,
        }
    }

    /// `slice` (of these values) as a side: a constant when the column is one.
    pub(super) fn side<'a, T: Copy>(&self, slice: &'a [T]) -> Side<'a, T> {
        if self.is_constant { Side::Constant(slice[0]) } else { Side::Slice(slice) }
    }
}

/// A column's values without repeating a constant.
pub(super) fn operand(column: &Column) -> Operand {
    match column.encoding() {
        Encoding::Constant(values) => Operand { values: values.clone(), is_constant: true },
        _ => Operand { values: column.flat_values(), is_constant: false },
    }
}

/// What integer arithmetic needs of a type.
pub(super) trait Integer: Copy + std::fmt::Display {
    fn overflowing(op: ArithmeticOp, a: Self, b: Self) -> (Self, bool);
    fn divide(op: ArithmeticOp, a: Self, b: Self) -> Option<Self>;
    fn bits(op: ArithmeticOp, a: Self, b: Self) -> Self;
    fn is_zero(self) -> bool;
    const ZERO: Self;
}

macro_rules! integer_types {
    ($($type:ty),*) => { $(impl Integer for $type {
        #[inline(always)]
        fn overflowing(op: ArithmeticOp, a: Self, b: Self) -> (Self, bool) {
            match op {
                ArithmeticOp::Add => a.overflowing_add(b),
                ArithmeticOp::Subtract => a.overflowing_sub(b),
                _ => a.overflowing_mul(b),
            }
        }
        fn divide(op: ArithmeticOp, a: Self, b: Self) -> Option<Self> {
            // The remainder of the smallest value by −1 is zero, although the quotient does not fit.
            if op == ArithmeticOp::Divide { a.checked_div(b) } else { Some(a.wrapping_rem(b)) }
        }
        #[inline(always)]
        fn bits(op: ArithmeticOp, a: Self, b: Self) -> Self {
            match op {
                ArithmeticOp::BitAnd => a & b,
                ArithmeticOp::BitOr => a | b,
                ArithmeticOp::BitXor => a ^ b,
                ArithmeticOp::ShiftLeft => a.wrapping_shl(b as u32),
                _ => a.wrapping_shr(b as u32),
            }
        }
        fn is_zero(self) -> bool { self == 0 }
        const ZERO: Self = 0;
    })* };
}
integer_types!(i8, i16, i32, i64, u8, u16, u32, u64);

/// Values, and the rows that overflow made null.
fn integer<T: Integer>(
    op: ArithmeticOp,
    overflow: Overflow,
    left: Side<'_, T>,
    right: Side<'_, T>,
    counted: &Counted<'_>,
) -> Result<(Vec<T>, Vec<usize>)> {
    let rows = counted.rows;
    match op {
        ArithmeticOp::Add | ArithmeticOp::Subtract | ArithmeticOp::Multiply => {
            // One monomorphic loop per operator, so that each vectorizes.
            let (values, wrapped) = match op {
                ArithmeticOp::Add => map2_checked(left, right, rows, |a, b| T::overflowing(ArithmeticOp::Add, a, b)),
                ArithmeticOp::Subtract => {
                    map2_checked(left, right, rows, |a, b| T::overflowing(ArithmeticOp::Subtract, a, b))
                }
                _ => map2_checked(left, right, rows, |a, b| T::overflowing(ArithmeticOp::Multiply, a, b)),
            };
            let mut nulls = Vec::new();
            if wrapped && overflow != Overflow::Wrap {
                counted.try_for_each(|row| match (T::overflowing(op, left.get(row), right.get(row)).1, overflow) {
                    (true, Overflow::Fail) => Err(out_of_range(op, left.get(row), right.get(row))),
                    (true, _) => {
                        nulls.push(row);
                        Ok(())
                    }
                    _ => Ok(()),
                })?;
            }
            Ok((values, nulls))
        }
        ArithmeticOp::Divide | ArithmeticOp::Modulo => {
            let mut values = vec![T::ZERO; rows];
            let mut nulls = Vec::new();
            counted.try_for_each(|row| {
                let (a, b) = (left.get(row), right.get(row));
                let quotient = if b.is_zero() { None } else { T::divide(op, a, b) };
                match (quotient, overflow) {
                    (Some(value), _) => values[row] = value,
                    (None, Overflow::Null) => nulls.push(row),
                    (None, _) if b.is_zero() => return Err(Error::data(format!("division by zero: {a} {op} 0"))),
                    (None, _) => return Err(out_of_range(op, a, b)),
                }
                Ok(())
            })?;
            Ok((values, nulls))
        }
        _ => Ok((map2(left, right, rows, |a, b| T::bits(op, a, b)), Vec::new())),
    }
}

pub(super) fn out_of_range(op: ArithmeticOp, a: impl std::fmt::Display, b: impl std::fmt::Display) -> Error {
    Error::data(format!("arithmetic overflow: {a} {op} {b} is out of range"))
}

trait Float:
    Copy
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::Rem<Output = Self>
{
}
impl Float for f32 {}
impl Float for f64 {}

fn float<T: Float>(op: ArithmeticOp, left: Side<'_, T>, right: Side<'_, T>, rows: usize) -> Result<Vec<T>> {
    Ok(match op {
        ArithmeticOp::Add => map2(left, right, rows, |a, b| a + b),
        ArithmeticOp::Subtract => map2(left, right, rows, |a, b| a - b),
        ArithmeticOp::Multiply => map2(left, right, rows, |a, b| a * b),
        ArithmeticOp::Divide => map2(left, right, rows, |a, b| a / b),
        ArithmeticOp::Modulo => map2(left, right, rows, |a, b| a % b),
        other => return Err(Error::unsupported(format!("operator {other} on floating-point values"))),
    })
}

/// `-column`.
pub(super) fn negate(
    column: &Column,
    data_type: &DataType,
    overflow: Overflow,
    selection: Option<&Selection>,
) -> Result<Column> {
    let flat = column.flatten();
    let negated = |values| Ok(Column::flat_with_validity(values, flat.validity().cloned()));
    match flat.encoding() {
        Encoding::Flat(Values::Float64(v)) => negated(Values::Float64(map1(v, |x| -x).into())),
        Encoding::Flat(Values::Float32(v)) => negated(Values::Float32(map1(v, |x| -x).into())),
        Encoding::Flat(Values::Interval(v)) => {
            let minus = |x: arrow_buffer::IntervalMonthDayNano| {
                arrow_buffer::IntervalMonthDayNano::new(
                    x.months.wrapping_neg(),
                    x.days.wrapping_neg(),
                    x.nanoseconds.wrapping_neg(),
                )
            };
            negated(Values::Interval(v.iter().map(|&x| minus(x)).collect()))
        }
        _ if is_null_type(data_type) => Ok(column.clone()),
        _ if data_type.is_unsigned_integer() || physical_type(data_type) == Physical::Nested => {
            Err(Error::unsupported(format!("negation of {data_type}")))
        }
        _ => {
            let zero = super::Scalar::Int64(0).to_column(data_type, column.len())?;
            arithmetic(ArithmeticOp::Subtract, overflow, (&zero, column), (data_type, data_type), data_type, selection)
        }
    }
}
