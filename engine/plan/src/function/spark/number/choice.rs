//! One of several values, and floats that are made alike.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::row::{RowConverter, SortField};
use plasmon_core::Result;

use crate::function::spark::columns::Call;
use crate::function::spark::definition::Definition;
use crate::function::spark::result::{is_float, require, takes};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("greatest", chosen_type, |call| choose(call, Ordering::Greater)),
    Definition::new("least", chosen_type, |call| choose(call, Ordering::Less)),
    Definition::new("nanvl", nanvl_type, nanvl),
    Definition::new("isnan", isnan_type, isnan),
    Definition::new("normalize_nan_and_zero", normal_type, normalize),
];

fn chosen_type(types: &[DataType]) -> Result<DataType> {
    let alike = types.len() >= 2 && types.iter().all(|t| *t == types[0]) && !types[0].is_nested();
    require(alike, "two values or more of one type that is not nested")?;
    Ok(match &types[0] {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        other => other.clone(),
    })
}

/// The first of the values that go farthest; nulls are passed over, NaN is the greatest and −0 is 0.
fn choose(call: &Call, wanted: Ordering) -> Result<ArrayRef> {
    let columns = (0..call.len()).map(|index| call.full_array(index)).collect::<Result<Vec<_>>>()?;
    let converter = RowConverter::new(vec![SortField::new(call.result().clone())])?;
    let keys = columns
        .iter()
        .map(|column| Ok(converter.convert_columns(&[normalized(column)])?))
        .collect::<Result<Vec<_>>>()?;
    let best = |row: usize| {
        let mut best: Option<usize> = None;
        for (index, column) in columns.iter().enumerate() {
            if column.is_valid(row) && best.is_none_or(|best| keys[index].row(row).cmp(&keys[best].row(row)) == wanted)
            {
                best = Some(index);
            }
        }
        best.unwrap_or(0)
    };
    let places: Vec<(usize, usize)> = (0..call.rows()).map(|row| (best(row), row)).collect();
    let columns: Vec<&dyn Array> = columns.iter().map(|c| c.as_ref()).collect();
    Ok(interleave(&columns, &places)?)
}

/// One NaN and one zero.
pub(in crate::function::spark) fn normalized(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float64 => Arc::new(column.as_primitive::<Float64Type>().unary::<_, Float64Type>(normal)),
        DataType::Float32 => {
            Arc::new(column.as_primitive::<Float32Type>().unary::<_, Float32Type>(|v| normal(f64::from(v)) as f32))
        }
        _ => column.clone(),
    }
}

fn normal(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value + 0.0 }
}

fn nanvl_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    require(types[0] == types[1] && is_float(&types[0]), "two floats of one type")?;
    Ok(types[0].clone())
}

fn nanvl(call: &Call) -> Result<ArrayRef> {
    let (values, others) = (call.floats(0)?, call.floats(1)?);
    call.float_result(|row| {
        Ok(match values.get(row) {
            Some(value) if value.is_nan() => others.get(row),
            other => other,
        })
    })
}

fn isnan_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    require(is_float(&types[0]), "a float")?;
    Ok(DataType::Boolean)
}

/// Never null.
fn isnan(call: &Call) -> Result<ArrayRef> {
    let values = call.floats(0)?;
    call.boolean_result(|row| Ok(Some(values.get(row).is_some_and(f64::is_nan))))
}

fn normal_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    require(is_float(&types[0]), "a float")?;
    Ok(types[0].clone())
}

fn normalize(call: &Call) -> Result<ArrayRef> {
    Ok(normalized(&call.full_array(0)?))
}
