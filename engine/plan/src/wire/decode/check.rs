//! Whether what stands together fits together: types by rule, operations by asking the engine.

use arrow::array::new_empty_array;
use arrow::datatypes::{DataType, Field};
use arrow::row::{RowConverter, SortField};
use plasmon_core::Result;
use plasmon_core::batch::arrow::import_column;
use plasmon_core::batch::{Batch, Physical, physical_type};
use plasmon_core::expression::{Expression, Kind, evaluate};

use crate::path::Path;

/// Whether values of both types are the same to the engine: texts of any layout, binaries of any, dictionaries as their values; nested types
/// up to names, nullability and metadata.
pub(super) fn agree(a: &DataType, b: &DataType) -> bool {
    use DataType::*;
    let fields = |a: &Field, b: &Field| agree_nested(a.data_type(), b.data_type());
    match (a, b) {
        (Dictionary(_, a), b) | (b, Dictionary(_, a)) => agree(a, b),
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) => true,
        (Binary | LargeBinary | BinaryView, Binary | LargeBinary | BinaryView) => true,
        (List(a), List(b)) | (LargeList(a), LargeList(b)) => fields(a, b),
        (FixedSizeList(a, m), FixedSizeList(b, n)) => m == n && fields(a, b),
        (Map(a, _), Map(b, _)) => fields(a, b),
        (Struct(a), Struct(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| fields(a, b)),
        (a, b) => a == b,
    }
}

/// As [`agree`], inside of nested types, whose values are Arrow arrays: layouts count.
fn agree_nested(a: &DataType, b: &DataType) -> bool {
    if a.is_nested() { agree(a, b) } else { a == b }
}

/// Refuses an expression whose type is not `wanted`.
pub(super) fn of_type(expression: &Expression, wanted: &DataType, path: &Path<'_>) -> Result<()> {
    if agree(&expression.data_type, wanted) {
        return Ok(());
    }
    Err(path.wrong(format!("it is of type {}, {wanted} is wanted", expression.data_type)))
}

/// Refuses an expression that is no condition.
pub(super) fn boolean(expression: &Expression, path: &Path<'_>) -> Result<()> {
    of_type(expression, &DataType::Boolean, path)
}

/// Refuses a key that rows cannot be ordered or grouped by.
pub(super) fn key(expression: &Expression, path: &Path<'_>) -> Result<()> {
    let data_type = &expression.data_type;
    let has_order = physical_type(data_type) != Physical::Nested
        || RowConverter::supports_fields(&[SortField::new(data_type.clone())]);
    if has_order { Ok(()) } else { Err(path.refuse(format!("a key of type {data_type}"))) }
}

/// Refuses an operation that the engine has no way to compute for operands of these types, or that gives another type than it says: the engine
/// is asked, on no rows.
pub(super) fn operation(expression: &Expression, path: &Path<'_>) -> Result<()> {
    let column = |ordinal: usize, of: &Expression| Box::new(Expression::column(ordinal, of.data_type.clone()));
    let kind = match &expression.kind {
        Kind::Compare { op, left, right } => Kind::Compare { op: *op, left: column(0, left), right: column(1, right) },
        Kind::Arithmetic { op, overflow, left, right } => {
            Kind::Arithmetic { op: *op, overflow: *overflow, left: column(0, left), right: column(1, right) }
        }
        Kind::Negate { operand, overflow } => Kind::Negate { operand: column(0, operand), overflow: *overflow },
        Kind::Cast { operand, mode } => Kind::Cast { operand: column(0, operand), mode: *mode },
        _ => return Ok(()),
    };
    let operands: Vec<&DataType> = expression.children().iter().map(|c| &c.data_type).collect();
    let columns = operands.iter().map(|t| import_column(&new_empty_array(t))).collect::<Result<Vec<_>>>();
    let batch = Batch::new(columns.map_err(|e| path.refused(e))?, 0);
    let data_type = expression.data_type.clone();
    let given = evaluate(&Expression { kind, data_type }, &batch).map_err(|e| path.refused(e))?;
    let fits = match (given.physical(), physical_type(&expression.data_type)) {
        // Decimals lie in fewer bits when they fit.
        (Physical::Int64, Physical::Int128 | Physical::Int256) | (Physical::Int128, Physical::Int256) => true,
        (given, wanted) => given == wanted,
    };
    if fits || expression.data_type.is_null() {
        return Ok(());
    }
    let operands: Vec<String> = operands.iter().map(|t| t.to_string()).collect();
    Err(path.wrong(format!("over {} it does not give {}", operands.join(" and "), expression.data_type)))
}
