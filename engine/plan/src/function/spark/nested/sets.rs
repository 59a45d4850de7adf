//! Lists as sets, and parts of lists. Floats are left out: Spark tells −0 from 0 in some of these.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;
use plasmon_core::{Error, Result};

use super::{element, elements, list, ordered};
use crate::function::spark::columns::Call;
use crate::function::spark::definition::Definition;
use crate::function::spark::result::{is_float, require, takes};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("array_union", pair_type, |call| combined(call, Operation::Union)),
    Definition::new("array_intersect", pair_type, |call| combined(call, Operation::Intersect)),
    Definition::new("array_except", pair_type, |call| combined(call, Operation::Except)),
    Definition::new("arrays_overlap", overlap_type, overlap),
    Definition::new("slice", slice_type, slice),
    Definition::new("flatten", flat_type, flatten),
    Definition::new("array_reverse", list_type, reverse),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Intersect,
    Except,
}

fn pair_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    let of = element(&types[0])?;
    let holds = element(&types[1])? == of && !of.is_nested() && !is_float(of);
    require(holds, "two lists of one type, neither nested nor of floats")?;
    Ok(types[0].clone())
}

fn overlap_type(types: &[DataType]) -> Result<DataType> {
    pair_type(types)?;
    Ok(DataType::Boolean)
}

fn list_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    element(&types[0])?;
    Ok(types[0].clone())
}

fn flat_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    element(element(&types[0])?)?;
    Ok(element(&types[0])?.clone())
}

fn slice_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 3)?;
    require(types[1..].iter().all(|t| *t == DataType::Int32), "a list and two ints")?;
    element(&types[0])?;
    Ok(types[0].clone())
}

/// Lists of the result's type from positions in `values`; `None`: the list is null.
fn built(call: &Call, values: &ArrayRef, lists: Vec<Option<Vec<usize>>>) -> Result<ArrayRef> {
    let DataType::List(field) = call.result() else { return Err(Error::internal("no list")) };
    let lengths = lists.iter().map(|list| list.as_ref().map_or(0, Vec::len));
    let offsets = OffsetBuffer::from_lengths(lengths);
    let nulls = lists.iter().map(Option::is_some).collect();
    let positions: UInt32Array = lists.iter().flatten().flatten().map(|&at| at as u32).collect();
    let values = take(values, &positions, None)?;
    Ok(Arc::new(ListArray::try_new(field.clone(), offsets, values, Some(nulls))?))
}

/// Each element once, in the order of its first place; nulls are equal.
fn combined(call: &Call, operation: Operation) -> Result<ArrayRef> {
    let (left, right) = (list(call, 0)?, list(call, 1)?);
    let (left_place, right_place) = (call.place(0)?, call.place(1)?);
    let values = concat(&[left.values().as_ref(), right.values().as_ref()])?;
    let keys = ordered(&values)?;
    let second = left.values().len();
    let lists = (0..call.rows()).map(|row| {
        let (l, r) = (elements(left, left_place.of(row))?, elements(right, right_place.of(row))?);
        let r = r.start + second..r.end + second;
        let mut seen = HashSet::with_capacity(l.len());
        let others: HashSet<_> = r.clone().map(|at| keys.row(at)).collect();
        Some(match operation {
            Operation::Union => l.chain(r).filter(|&at| seen.insert(keys.row(at))).collect(),
            _ => l
                .filter(|&at| {
                    let key = keys.row(at);
                    others.contains(&key) == (operation == Operation::Intersect) && seen.insert(key)
                })
                .collect(),
        })
    });
    built(call, &values, lists.collect())
}

/// Null when nothing is in both but either has a null.
fn overlap(call: &Call) -> Result<ArrayRef> {
    let (left, right) = (list(call, 0)?, list(call, 1)?);
    let (left_place, right_place) = (call.place(0)?, call.place(1)?);
    let values = concat(&[left.values().as_ref(), right.values().as_ref()])?;
    let keys = ordered(&values)?;
    let second = left.values().len();
    call.boolean_result(|row| {
        let (Some(l), Some(r)) = (elements(left, left_place.of(row)), elements(right, right_place.of(row))) else {
            return Ok(None);
        };
        let r = r.start + second..r.end + second;
        let is_there = |at: &usize| values.is_valid(*at);
        let others: HashSet<_> = r.clone().filter(is_there).map(|at| keys.row(at)).collect();
        if l.clone().filter(is_there).any(|at| others.contains(&keys.row(at))) {
            return Ok(Some(true));
        }
        let has_null = l.clone().chain(r.clone()).any(|at| values.is_null(at));
        Ok(if has_null && !l.is_empty() && !r.is_empty() { None } else { Some(false) })
    })
}

/// From a position, counted from behind when it is negative, so many elements.
fn slice(call: &Call) -> Result<ArrayRef> {
    let (list, place) = (list(call, 0)?, call.place(0)?);
    let (starts, lengths) = (call.integers(1)?, call.integers(2)?);
    let mut lists = Vec::with_capacity(call.rows());
    for row in 0..call.rows() {
        let (Some(range), Some(start), Some(length)) =
            (elements(list, place.of(row)), starts.get(row), lengths.get(row))
        else {
            lists.push(None);
            continue;
        };
        if start == 0 || length < 0 {
            return Err(wrong_slice(start, length));
        }
        let count = range.len() as i64;
        let first = if start > 0 { start - 1 } else { count + start };
        let last = if first < 0 { first } else { (first + length).min(count) };
        lists.push(Some((first..last.max(first)).map(|at| range.start + at as usize).collect()));
    }
    built(call, list.values(), lists)
}

fn wrong_slice(start: i64, length: i64) -> Error {
    let (parameter, wanted, given) = match start {
        0 => ("START", "Expects a positive or a negative value for `start`, but got 0", String::new()),
        _ => ("LENGTH", "Expects `length` greater than or equal to 0, but got ", length.to_string()),
    };
    Error::data(format!(
        "[INVALID_PARAMETER_VALUE.{parameter}] The value of parameter(s) `{}` in `slice` is invalid: {wanted}{given}.",
        parameter.to_lowercase()
    ))
}

/// Null when a list among them is null.
fn flatten(call: &Call) -> Result<ArrayRef> {
    let (outer, place) = (list(call, 0)?, call.place(0)?);
    let inner = outer.values().as_list::<i32>();
    let lists = (0..call.rows()).map(|row| {
        let parts = elements(outer, place.of(row))?.map(|at| elements(inner, at)).collect::<Option<Vec<_>>>()?;
        Some(parts.into_iter().flatten().collect())
    });
    built(call, inner.values(), lists.collect())
}

fn reverse(call: &Call) -> Result<ArrayRef> {
    let (list, place) = (list(call, 0)?, call.place(0)?);
    let lists = (0..call.rows()).map(|row| Some(elements(list, place.of(row))?.rev().collect()));
    built(call, list.values(), lists.collect())
}
