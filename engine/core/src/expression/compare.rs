//! Comparisons of two columns of the same logical type.

use std::cmp::Ordering;

use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType;
use plasmon_kernels::select::{self, Comparison};
use plasmon_kernels::text::compare as text;

use super::CompareOp;
use super::functions::with_texts;
use crate::batch::{Bitmap, Column, Physical, Values};
use crate::error::{Error, Result};

/// `left op right`, boolean; null where either side is null, except for the null-safe operators.
pub(super) fn compare(op: CompareOp, left: &Column, right: &Column, data_type: &DataType) -> Result<Column> {
    let (left, right) = same_physical(left, right);
    let comparison = match op {
        CompareOp::Equal | CompareOp::NotDistinctFrom => Comparison::Equal,
        CompareOp::NotEqual | CompareOp::DistinctFrom => Comparison::NotEqual,
        CompareOp::Less => Comparison::Less,
        CompareOp::LessEqual => Comparison::LessEqual,
        CompareOp::Greater => Comparison::Greater,
        CompareOp::GreaterEqual => Comparison::GreaterEqual,
    };
    let bits = compare_values(comparison, &left, &right, data_type)?;
    match op {
        CompareOp::DistinctFrom | CompareOp::NotDistinctFrom => Ok(null_safe(op, bits, &left, &right)),
        _ => {
            let validity = Bitmap::and_optional(left.validity(), right.validity());
            Ok(Column::flat_with_validity(Values::Boolean(bits), validity))
        }
    }
}

/// Both columns in the wider of their physical types (decimals may come narrow).
pub(super) fn same_physical(left: &Column, right: &Column) -> (Column, Column) {
    let rank = |p: Physical| match p {
        Physical::Int128 => 1,
        Physical::Int256 => 2,
        _ => 0,
    };
    let (l, r) = (left.physical(), right.physical());
    match rank(l).cmp(&rank(r)) {
        Ordering::Less => (left.widen(r), right.clone()),
        Ordering::Greater => (left.clone(), right.widen(l)),
        Ordering::Equal => (left.clone(), right.clone()),
    }
}

/// Equality where both are valid; null = null.
fn null_safe(op: CompareOp, bits: Bitmap, left: &Column, right: &Column) -> Column {
    let all = Bitmap::constant(true, left.len());
    let (l, r) = (left.validity().unwrap_or(&all), right.validity().unwrap_or(&all));
    let distinct = op == CompareOp::DistinctFrom;
    let words = (0..bits.words().len())
        .map(|i| {
            let (l, r, b) = (l.words()[i], r.words()[i], bits.words()[i]);
            if distinct { (l & r & b) | (l ^ r) } else { (l & r & b) | !(l | r) }
        })
        .collect();
    Column::flat(Values::Boolean(Bitmap::new(words, left.len())))
}

fn flipped(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Less => Comparison::Greater,
        Comparison::LessEqual => Comparison::GreaterEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterEqual => Comparison::LessEqual,
        same => same,
    }
}

fn compare_values(comparison: Comparison, left: &Column, right: &Column, data_type: &DataType) -> Result<Bitmap> {
    // A constant on the left is a constant on the right of the flipped comparison.
    if left.as_constant().is_some() && right.as_constant().is_none() {
        return compare_values(flipped(comparison), right, left, data_type);
    }
    let rows = left.len();
    let constant = right.as_constant().map(|(values, _)| values);
    let (left, right) = (left.flat_values(), constant.cloned().unwrap_or_else(|| right.flat_values()));
    let mut words = Vec::with_capacity(rows.div_ceil(64));
    macro_rules! ordered {
        ($($variant:ident),*) => {
            match (&left, &right) {
                $((Values::$variant(l), Values::$variant(r)) if constant.is_some() => select::compare_constant(comparison, l, r[0], &mut words),
                (Values::$variant(l), Values::$variant(r)) => select::compare_columns(comparison, l, r, &mut words),)*
                (l, r) => return compare_others(comparison, l, r, constant.is_some(), data_type),
            }
        };
    }
    ordered!(Int8, Int16, Int32, Int64, Int128, UInt8, UInt16, UInt32, UInt64, Float32, Float64);
    Ok(Bitmap::new(words, rows))
}

fn compare_others(
    comparison: Comparison,
    left: &Values,
    right: &Values,
    constant: bool,
    data_type: &DataType,
) -> Result<Bitmap> {
    let rows = left.len();
    let other = |row: usize| if constant { 0 } else { row };
    let holds = |ordering: Ordering| match comparison {
        Comparison::Equal => ordering.is_eq(),
        Comparison::NotEqual => ordering.is_ne(),
        Comparison::Less => ordering.is_lt(),
        Comparison::LessEqual => ordering.is_le(),
        Comparison::Greater => ordering.is_gt(),
        Comparison::GreaterEqual => ordering.is_ge(),
    };
    Ok(match (left, right) {
        (Values::View(l), Values::View(r)) if constant => {
            Bitmap::new(with_texts(l, |l| text::compare_constant(comparison, l, r.value(0))), rows)
        }
        (Values::View(l), Values::View(r)) => {
            let words = with_texts(l, |l| with_texts(r, |r| text::compare_columns(comparison, l, r)));
            Bitmap::new(words, rows)
        }
        (Values::Boolean(l), Values::Boolean(r)) => {
            Bitmap::from_bools((0..rows).map(|row| holds(l.get(row).cmp(&r.get(other(row))))))
        }
        (Values::Int256(l), Values::Int256(r)) => {
            Bitmap::from_bools((0..rows).map(|row| holds(l[row].cmp(&r[other(row)]))))
        }
        (Values::Interval(l), Values::Interval(r)) => {
            let key = |v: &arrow_buffer::IntervalMonthDayNano| {
                // Compared as lengths: months of 30 days, days of 24 hours.
                (v.months as i128 * 30 + v.days as i128) * 86_400_000_000_000 + v.nanoseconds as i128
            };
            Bitmap::from_bools((0..rows).map(|row| holds(key(&l[row]).cmp(&key(&r[other(row)])))))
        }
        (Values::Nested(l), Values::Nested(r)) => {
            let converter = RowConverter::new(vec![SortField::new(data_type.clone())])?;
            let (l, r) = (arrow_cast::cast(l, data_type)?, arrow_cast::cast(r, data_type)?);
            let (l, r) = (converter.convert_columns(&[l])?, converter.convert_columns(&[r])?);
            Bitmap::from_bools((0..rows).map(|row| holds(l.row(row).cmp(&r.row(other(row))))))
        }
        (l, r) => return Err(Error::internal(format!("comparison of {:?} with {:?}", l.physical(), r.physical()))),
    })
}
