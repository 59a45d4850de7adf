//! Elements, fields and sizes.

use arrow::array::{Array, ArrayRef, AsArray, MapArray, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::DataType;
use plasmon_core::{Error, Result};

use super::{element, elements, entry, list, ordered_together};
use crate::function::spark::columns::Call;
use crate::function::spark::definition::{Definition, Mode};
use crate::function::spark::error;
use crate::function::spark::result::{is_binary, is_text, require, takes};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("size", size_type, size).with_modes(),
    Definition::new("element_at", element_type, element_at).with_modes(),
    Definition::new("get_array_item", item_type, get_array_item).with_modes(),
    Definition::new("get_struct_field", field_type, get_struct_field),
    Definition::new("get_map_value", value_type, get_map_value),
    Definition::new("map_keys", keys_type, |call| side(call, 0)),
    Definition::new("map_values", values_type, |call| side(call, 1)),
];

/// What stands alone for an element's type.
fn plain(data_type: &DataType) -> DataType {
    match data_type {
        t if is_text(t) => DataType::Utf8View,
        t if is_binary(t) => DataType::BinaryView,
        other => other.clone(),
    }
}

fn size_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    require(matches!(types[0], DataType::List(_) | DataType::Map(_, _)), "a list or a map")?;
    Ok(DataType::Int32)
}

/// Of null: −1 in legacy mode.
fn size(call: &Call) -> Result<ArrayRef> {
    let (array, place) = (call.array(0)?, call.place(0)?);
    let offsets = match array.data_type() {
        DataType::List(_) => list(call, 0)?.value_offsets(),
        _ => array.as_map().value_offsets(),
    };
    call.integer_result(|row| {
        let at = place.of(row);
        match array.is_valid(at) {
            true => Ok(Some(i64::from(offsets[at + 1] - offsets[at]))),
            false => Ok((call.mode() == Mode::Legacy).then_some(-1)),
        }
    })
}

fn element_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    match &types[0] {
        DataType::Map(_, _) => value_type(types),
        list => {
            require(types[1] == DataType::Int32, "a list and an int")?;
            Ok(plain(element(list)?))
        }
    }
}

fn item_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    require(types[1].is_signed_integer(), "a list and an integer")?;
    Ok(plain(element(&types[0])?))
}

/// The values at these positions, as the result's type.
fn gather(values: &ArrayRef, positions: Vec<Option<u32>>, result: &DataType) -> Result<ArrayRef> {
    Ok(cast(&take(values, &UInt32Array::from(positions), None)?, result)?)
}

fn element_at(call: &Call) -> Result<ArrayRef> {
    if matches!(call.type_of(0)?, DataType::Map(_, _)) {
        return get_map_value(call);
    }
    items(call, |index, length| {
        if index == 0 {
            return Err(Error::data(
                "[INVALID_INDEX_OF_ZERO] The index 0 is invalid. An index shall be either < 0 or > 0 (the first element has index 1).",
            ));
        }
        let offset = if index > 0 { index - 1 } else { length + index };
        match (0..length).contains(&offset) {
            true => Ok(Some(offset)),
            false => call.mode().absent(|| out_of_list(index, length)),
        }
    })
}

/// The elements of lists at what `offset` makes of an index and the list's length: a place from 0 on, or none.
fn items(call: &Call, offset: impl Fn(i64, i64) -> Result<Option<i64>>) -> Result<ArrayRef> {
    let (list, place, indices) = (list(call, 0)?, call.place(0)?, call.integers(1)?);
    let mut positions = Vec::with_capacity(call.rows());
    for row in 0..call.rows() {
        positions.push(match (elements(list, place.of(row)), indices.get(row)) {
            (Some(range), Some(index)) => {
                offset(index, range.len() as i64)?.map(|offset| (range.start as i64 + offset) as u32)
            }
            _ => None,
        });
    }
    gather(list.values(), positions, call.result())
}

fn out_of_list(index: i64, length: i64) -> Error {
    Error::data(format!(
        "[INVALID_ARRAY_INDEX_IN_ELEMENT_AT] The index {index} is out of bounds. The array has {length} elements. Use `try_element_at` to tolerate accessing \
         element at invalid index and return NULL instead."
    ))
}

fn get_array_item(call: &Call) -> Result<ArrayRef> {
    items(call, |index, length| match (0..length).contains(&index) {
        true => Ok(Some(index)),
        false => call.mode().absent(|| error::invalid_index(index, length as usize)),
    })
}

fn field_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 3)?;
    require(matches!(types[0], DataType::Struct(_)) && types[1] == DataType::Int32, "a struct and a field's number")?;
    Ok(plain(&types[2]))
}

fn get_struct_field(call: &Call) -> Result<ArrayRef> {
    let full = call.full_array(0)?;
    let structs = full.as_struct();
    let number = call.constant_int(1)?.and_then(|n| usize::try_from(n).ok()).filter(|&n| n < structs.num_columns());
    let number = number.ok_or_else(|| Error::user("the struct has no such field"))?;
    let field = structs.column(number);
    // A field of a struct that is null is null.
    let is_there = arrow::compute::is_not_null(structs)?;
    let values = arrow::compute::nullif(field, &arrow::compute::not(&is_there)?)?;
    Ok(cast(&values, call.result())?)
}

fn value_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    let (key, value) = entry(&types[0])?;
    require(plain(key) == plain(&types[1]) && !key.is_nested(), "a map and a key of its type")?;
    Ok(plain(value))
}

/// The value of the first equal key; null when there is none.
fn get_map_value(call: &Call) -> Result<ArrayRef> {
    let (array, place, key_place) = (call.array(0)?, call.place(0)?, call.place(1)?);
    let map: &MapArray = array.as_map();
    let keys = call.array(1)?;
    let (wanted, given) = ordered_together(keys, map.keys())?;
    let positions = (0..call.rows()).map(|row| {
        let (at, key) = (place.of(row), key_place.of(row));
        if map.is_null(at) || keys.is_null(key) {
            return None;
        }
        let mut range = map.value_offsets()[at] as usize..map.value_offsets()[at + 1] as usize;
        range.find(|&entry| given.row(entry) == wanted.row(key)).map(|entry| entry as u32)
    });
    gather(map.values(), positions.collect(), call.result())
}

fn keys_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    let (key, _) = entry(&types[0])?;
    Ok(DataType::List(std::sync::Arc::new(arrow::datatypes::Field::new("element", key.clone(), false))))
}

fn values_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    let (_, value) = entry(&types[0])?;
    Ok(DataType::List(std::sync::Arc::new(arrow::datatypes::Field::new("element", value.clone(), true))))
}

fn side(call: &Call, index: usize) -> Result<ArrayRef> {
    let full = call.full_array(0)?;
    let map = full.as_map();
    let DataType::List(field) = call.result() else { return Err(Error::internal("no list")) };
    let values = map.entries().column(index).clone();
    let list = arrow::array::ListArray::try_new(field.clone(), map.offsets().clone(), values, map.nulls().cloned())?;
    Ok(std::sync::Arc::new(list))
}
