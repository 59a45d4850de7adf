//! Lists and structs of values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, interleave};
use arrow::datatypes::DataType;
use plasmon_core::{Error, Result};

use super::{elements, list};
use crate::function::spark::columns::Call;
use crate::function::spark::definition::Definition;
use crate::function::spark::result::{is_text, require};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("array", array_type, array),
    Definition::new("struct", struct_type, structure),
    Definition::new("array_join", join_type, array_join),
];

fn array_type(types: &[DataType]) -> Result<DataType> {
    match types.last() {
        Some(list @ DataType::List(_)) => Ok(list.clone()),
        _ => Err(Error::user("the last argument is a null of the result's type, a list")),
    }
}

fn struct_type(types: &[DataType]) -> Result<DataType> {
    match types.split_last() {
        Some((all @ DataType::Struct(fields), values)) => {
            require(fields.len() == values.len(), "as many values as the struct has fields")?;
            Ok(all.clone())
        }
        _ => Err(Error::user("the last argument is a null of the result's type, a struct")),
    }
}

/// The values side by side; a null among them is an element.
fn array(call: &Call) -> Result<ArrayRef> {
    let DataType::List(field) = call.result() else { return Err(Error::internal("no list")) };
    let (count, rows) = (call.len() - 1, call.rows());
    let columns =
        (0..count).map(|index| Ok(cast(&call.full_array(index)?, field.data_type())?)).collect::<Result<Vec<_>>>()?;
    let places: Vec<(usize, usize)> = (0..rows).flat_map(|row| (0..count).map(move |column| (column, row))).collect();
    let values = match count {
        0 => arrow::array::new_empty_array(field.data_type()),
        _ => interleave(&columns.iter().map(|c| c.as_ref()).collect::<Vec<&dyn Array>>(), &places)?,
    };
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(count, rows));
    Ok(Arc::new(ListArray::try_new(field.clone(), offsets, values, None)?))
}

fn structure(call: &Call) -> Result<ArrayRef> {
    let DataType::Struct(fields) = call.result() else { return Err(Error::internal("no struct")) };
    let columns =
        fields.iter().enumerate().map(|(index, field)| Ok(cast(&call.full_array(index)?, field.data_type())?));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, None, call.rows())?))
}

fn join_type(types: &[DataType]) -> Result<DataType> {
    let is_list = |t: &DataType| matches!(t, DataType::List(element) if is_text(element.data_type()));
    let holds = matches!(types.len(), 2 | 3) && is_list(&types[0]) && types[1..].iter().all(is_text);
    require(holds, "a list of texts, a delimiter and maybe what stands for nulls")?;
    Ok(DataType::Utf8View)
}

/// Nulls are passed over unless there is a text for them.
fn array_join(call: &Call) -> Result<ArrayRef> {
    let (list, place, delimiters) = (list(call, 0)?, call.place(0)?, call.texts(1)?);
    let replacements = if call.len() == 3 { Some(call.texts(2)?) } else { None };
    let values = cast(list.values(), &DataType::Utf8View)?;
    let values = values.as_string_view();
    call.text_result(|row, out| {
        let (Some(range), Some(delimiter)) = (elements(list, place.of(row)), delimiters.get(row)) else {
            return Ok(false);
        };
        let replacement = match &replacements {
            None => None,
            Some(texts) => match texts.get(row) {
                None => return Ok(false),
                given => given,
            },
        };
        let present = range.filter_map(|i| if values.is_valid(i) { Some(values.value(i)) } else { replacement });
        for (index, text) in present.enumerate() {
            out.push_str(if index > 0 { delimiter } else { "" });
            out.push_str(text);
        }
        Ok(true)
    })
}
