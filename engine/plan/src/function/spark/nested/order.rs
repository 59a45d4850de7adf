//! Elements by their values: found, least and greatest, sorted, each once.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::DataType;
use plasmon_core::{Error, Result};

use super::{element, elements, list, ordered, ordered_together};
use crate::function::spark::columns::Call;
use crate::function::spark::definition::Definition;
use crate::function::spark::result::{is_binary, is_float, is_text, require, takes};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("array_contains", contains_type, array_contains),
    Definition::new("array_position", position_type, array_position),
    Definition::new("array_min", extreme_type, |call| extreme(call, false)),
    Definition::new("array_max", extreme_type, |call| extreme(call, true)),
    Definition::new("sort_array", sorted_type, sort_array),
    Definition::new("array_distinct", distinct_type, array_distinct),
];

fn plain(data_type: &DataType) -> DataType {
    match data_type {
        t if is_text(t) => DataType::Utf8View,
        t if is_binary(t) => DataType::BinaryView,
        other => other.clone(),
    }
}

fn contains_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    let of = element(&types[0])?;
    require(plain(of) == plain(&types[1]) && !of.is_nested(), "a list and a value of its type, not nested")?;
    Ok(DataType::Boolean)
}

fn position_type(types: &[DataType]) -> Result<DataType> {
    contains_type(types)?;
    Ok(DataType::Int64)
}

fn extreme_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    require(!element(&types[0])?.is_nested(), "a list of values that are not nested")?;
    Ok(plain(element(&types[0])?))
}

fn sorted_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    require(!element(&types[0])?.is_nested() && types[1] == DataType::Boolean, "a list and whether it ascends")?;
    Ok(types[0].clone())
}

fn distinct_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    let of = element(&types[0])?;
    require(!of.is_nested() && !is_float(of), "a list of values that are neither nested nor floats")?;
    Ok(types[0].clone())
}

/// Null rather than false when there is a null among the elements.
fn array_contains(call: &Call) -> Result<ArrayRef> {
    let (list, place, key_place) = (list(call, 0)?, call.place(0)?, call.place(1)?);
    let keys = call.array(1)?;
    let (wanted, given) = ordered_together(keys, list.values())?;
    call.boolean_result(|row| {
        let key = key_place.of(row);
        let Some(mut range) = elements(list, place.of(row)).filter(|_| keys.is_valid(key)) else { return Ok(None) };
        let is_equal = |&at: &usize| list.values().is_valid(at) && given.row(at) == wanted.row(key);
        if range.clone().any(|at| is_equal(&at)) {
            return Ok(Some(true));
        }
        Ok(if range.any(|at| list.values().is_null(at)) { None } else { Some(false) })
    })
}

/// From 1; 0 when it is not there.
fn array_position(call: &Call) -> Result<ArrayRef> {
    let (list, place, key_place) = (list(call, 0)?, call.place(0)?, call.place(1)?);
    let keys = call.array(1)?;
    let (wanted, given) = ordered_together(keys, list.values())?;
    call.integer_result(|row| {
        let key = key_place.of(row);
        let Some(mut range) = elements(list, place.of(row)).filter(|_| keys.is_valid(key)) else { return Ok(None) };
        let found = range.position(|at| list.values().is_valid(at) && given.row(at) == wanted.row(key));
        Ok(Some(found.map_or(0, |index| index as i64 + 1)))
    })
}

/// Nulls are passed over.
fn extreme(call: &Call, is_greatest: bool) -> Result<ArrayRef> {
    let (list, place) = (list(call, 0)?, call.place(0)?);
    let keys = ordered(list.values())?;
    let positions = (0..call.rows()).map(|row| {
        let present = elements(list, place.of(row))?.filter(|&at| list.values().is_valid(at));
        let further = |best: usize, at: usize| {
            let wanted = if is_greatest { Ordering::Greater } else { Ordering::Less };
            if keys.row(at).cmp(&keys.row(best)) == wanted { at } else { best }
        };
        present.reduce(further).map(|at| at as u32)
    });
    let positions: UInt32Array = positions.collect();
    Ok(cast(&take(list.values(), &positions, None)?, call.result())?)
}

/// The elements at these positions of each row's list.
fn rebuilt(
    call: &Call,
    list: &ListArray,
    mut positions: impl FnMut(usize, std::ops::Range<usize>) -> Vec<usize>,
) -> Result<ArrayRef> {
    let DataType::List(field) = call.result() else { return Err(Error::internal("no list")) };
    let place = call.place(0)?;
    let (mut all, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..call.rows() {
        let range = elements(list, place.of(row));
        valid.push(range.is_some());
        let chosen = range.map_or(Vec::new(), |range| positions(row, range));
        lengths.push(chosen.len());
        all.extend(chosen.into_iter().map(|at| at as u32));
    }
    let values = take(list.values(), &UInt32Array::from(all), None)?;
    let nulls = valid.into_iter().collect();
    Ok(Arc::new(ListArray::try_new(field.clone(), OffsetBuffer::from_lengths(lengths), values, Some(nulls))?))
}

/// Nulls come first when it ascends, else last.
fn sort_array(call: &Call) -> Result<ArrayRef> {
    let list = list(call, 0)?;
    let keys = ordered(list.values())?;
    let ascends = call.booleans(1)?;
    rebuilt(call, list, |row, range| {
        let mut positions: Vec<usize> = range.collect();
        match ascends.get(row).unwrap_or(true) {
            true => positions.sort_by(|&a, &b| keys.row(a).cmp(&keys.row(b))),
            false => positions.sort_by(|&a, &b| keys.row(b).cmp(&keys.row(a))),
        }
        positions
    })
}

/// The first of equal elements; nulls are equal.
fn array_distinct(call: &Call) -> Result<ArrayRef> {
    let list = list(call, 0)?;
    let keys = ordered(list.values())?;
    rebuilt(call, list, |_, range| {
        let mut seen = HashSet::with_capacity(range.len());
        range.filter(|&at| seen.insert(keys.row(at).owned())).collect()
    })
}
