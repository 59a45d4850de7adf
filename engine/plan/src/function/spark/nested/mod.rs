//! Functions of arrays, maps and structs.

mod access;
mod build;
mod order;
mod sets;

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, Rows, SortField};
use plasmon_core::{Error, Result};

use super::columns::Call;
use super::definition::Definition;

pub(super) const FUNCTIONS: [&[Definition]; 4] =
    [access::FUNCTIONS, build::FUNCTIONS, order::FUNCTIONS, sets::FUNCTIONS];

/// The type of a list's elements.
fn element(data_type: &DataType) -> Result<&DataType> {
    match data_type {
        DataType::List(element) => Ok(element.data_type()),
        other => Err(Error::user(format!("{other} is no list"))),
    }
}

/// Key and value types of a map.
fn entry(data_type: &DataType) -> Result<(&DataType, &DataType)> {
    let no_map = || Error::user(format!("{data_type} is no map"));
    let DataType::Map(entries, _) = data_type else { return Err(no_map()) };
    match entries.data_type() {
        DataType::Struct(fields) if fields.len() == 2 => Ok((fields[0].data_type(), fields[1].data_type())),
        _ => Err(no_map()),
    }
}

fn list(call: &Call, index: usize) -> Result<&ListArray> {
    let array = call.array(index)?;
    array.as_list_opt::<i32>().ok_or_else(|| Error::user(format!("{} is no list", array.data_type())))
}

/// Values in a form in which bytes compare as the values do: nulls first, NaN the greatest, −0 as 0.
fn ordered(values: &ArrayRef) -> Result<Rows> {
    let values = super::number::normalized(values);
    let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())])?;
    Ok(converter.convert_columns(&[values])?)
}

/// Values of two arrays in one such form, so that they compare with each other.
fn ordered_together(left: &ArrayRef, right: &ArrayRef) -> Result<(Rows, Rows)> {
    let right = arrow::compute::cast(right, left.data_type())?;
    let (left, right) = (super::number::normalized(left), super::number::normalized(&right));
    let converter = RowConverter::new(vec![SortField::new(left.data_type().clone())])?;
    Ok((converter.convert_columns(&[left])?, converter.convert_columns(&[right])?))
}

/// Positions of a list's elements in its values; `None`: the list is null.
fn elements(list: &ListArray, row: usize) -> Option<std::ops::Range<usize>> {
    let offsets = list.value_offsets();
    list.is_valid(row).then(|| offsets[row] as usize..offsets[row + 1] as usize)
}
