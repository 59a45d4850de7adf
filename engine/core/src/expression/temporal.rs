//! Arithmetic of dates, times, timestamps, durations and intervals: rare in hot loops (constants are folded by the planner), so Arrow's own
//! kernels do it, on the selected rows only.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Datum, Scalar as ArrowScalar};
use arrow_schema::DataType;

use super::ArithmeticOp;
use super::case::merge;
use crate::batch::arrow::{export_column, import_column};
use crate::batch::{Column, Selection};
use crate::error::{Error, Result};

/// `left op right` through Arrow, for the selected rows; the others are null.
pub(super) fn arithmetic(
    op: ArithmeticOp,
    sides: (&Column, &Column),
    types: (&DataType, &DataType),
    result: &DataType,
    selection: Option<&Selection>,
) -> Result<Column> {
    let rows = sides.0.len();
    let (left, right) = (datum(sides.0, types.0, selection)?, datum(sides.1, types.1, selection)?);
    let computed = compute(op, left.as_ref(), right.as_ref())
        .map_err(|e| Error::data(format!("{} {op} {}: {e}", types.0, types.1)))?;
    let both_constant = sides.0.as_constant().is_some() && sides.1.as_constant().is_some();
    let computed = if computed.data_type() == result { computed } else { convert(&computed, result)? };
    let column = import_column(&computed)?;
    if both_constant {
        return Ok(column.gather(&vec![0u16; rows]));
    }
    match selection {
        None => Ok(column),
        Some(selection) => merge(&[(selection.positions().to_vec(), column)], result, rows),
    }
}

/// Days between dates may be asked for as an integer while Arrow gives a duration.
fn convert(array: &ArrayRef, result: &DataType) -> Result<ArrayRef> {
    const SECONDS_PER_DAY: i64 = 86_400;
    if let (DataType::Duration(arrow_schema::TimeUnit::Second), DataType::Int64) = (array.data_type(), result) {
        let seconds = arrow_cast::cast(array, &DataType::Int64)?;
        return Ok(arrow_arith::numeric::div(
            &seconds,
            &ArrowScalar::new(arrow_array::Int64Array::from(vec![SECONDS_PER_DAY])),
        )?);
    }
    Ok(arrow_cast::cast(array, result)?)
}

fn compute(op: ArithmeticOp, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, arrow_schema::ArrowError> {
    use arrow_arith::numeric::{add, div, mul, rem, sub};
    match op {
        ArithmeticOp::Add => add(left, right),
        ArithmeticOp::Subtract => sub(left, right),
        ArithmeticOp::Multiply => mul(left, right),
        ArithmeticOp::Divide => div(left, right),
        ArithmeticOp::Modulo => rem(left, right),
        other => Err(arrow_schema::ArrowError::InvalidArgumentError(format!(
            "operator {other} is not defined for these types"
        ))),
    }
}

fn datum(column: &Column, data_type: &DataType, selection: Option<&Selection>) -> Result<Box<dyn Datum>> {
    if column.as_constant().is_some() && !column.is_empty() {
        let array = export_column(&column.slice(0, 1), data_type)?;
        return Ok(Box::new(ArrowScalar::new(array)));
    }
    let dense = match selection {
        Some(selection) => column.select(selection),
        None => column.clone(),
    };
    let array: Arc<dyn Array> = export_column(&dense, data_type)?;
    Ok(Box::new(array))
}
