//! Parts of texts, and texts put together.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use plasmon_core::{Error, Result};

use super::{alike, byte_of, count, text_and_int_to_text, texts_to_text};
use crate::function::spark::columns::Call;
use crate::function::spark::definition::{Definition, Mode};
use crate::function::spark::error;
use crate::function::spark::result::{is_binary, is_text, require, takes};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("substring", substring_type, substring),
    Definition::new("substring_index", index_type, substring_index),
    Definition::new("split_part", index_type, split_part).with_modes(),
    Definition::new("concat", alike, concat),
    Definition::new("concat_ws", joined_type, concat_ws),
    Definition::new("repeat", text_and_int_to_text, repeat),
    Definition::new("reverse", texts_to_text, reverse),
    Definition::new("overlay", overlay_type, overlay),
    Definition::new("elt", elt_type, elt).with_modes(),
    Definition::new("empty_to_null", texts_to_text, empty_to_null),
];

fn substring_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 3)?;
    let are_ints = types[1..].iter().all(|t| *t == DataType::Int32);
    require((is_text(&types[0]) || is_binary(&types[0])) && are_ints, "a text or binary and two ints")?;
    alike(&types[..1])
}

/// The positions, from 0, that a position and a length of SQL's mean for so many elements.
fn range(position: i64, length: i64, count: usize) -> (usize, usize) {
    let count = count as i64;
    let start = match position {
        1.. => position - 1,
        0 => 0,
        _ => count + position,
    };
    // As Java: the end is an int, and too far when it would not be one.
    let end = (start + length).min(i64::from(i32::MAX));
    let clamp = |at: i64| at.clamp(0, count) as usize;
    if end <= start { (0, 0) } else { (clamp(start), clamp(end)) }
}

fn substring(call: &Call) -> Result<ArrayRef> {
    let (positions, lengths) = (call.integers(1)?, call.integers(2)?);
    if is_binary(call.type_of(0)?) {
        let values = call.binaries(0)?;
        return call.binary_result(|row, out| {
            let (Some(bytes), Some(position), Some(length)) = (values.get(row), positions.get(row), lengths.get(row))
            else {
                return Ok(false);
            };
            let (start, end) = range(position, length, bytes.len());
            out.extend_from_slice(&bytes[start..end]);
            Ok(true)
        });
    }
    let texts = call.texts(0)?;
    call.text_result(|row, out| {
        let (Some(text), Some(position), Some(length)) = (texts.get(row), positions.get(row), lengths.get(row)) else {
            return Ok(false);
        };
        let (start, end) = range(position, length, count(text));
        out.push_str(&text[byte_of(text, start)..byte_of(text, end)]);
        Ok(true)
    })
}

fn index_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 3)?;
    let holds = is_text(&types[0]) && is_text(&types[1]) && types[2] == DataType::Int32;
    require(holds, "a text, a delimiter and an int")?;
    Ok(DataType::Utf8View)
}

/// Everything before the n-th delimiter, or behind the n-th last one.
fn substring_index(call: &Call) -> Result<ArrayRef> {
    let (texts, delimiters, counts) = (call.texts(0)?, call.texts(1)?, call.integers(2)?);
    call.text_result(|row, out| {
        let (Some(text), Some(delimiter), Some(count)) = (texts.get(row), delimiters.get(row), counts.get(row)) else {
            return Ok(false);
        };
        if !delimiter.is_empty() && count != 0 {
            out.push_str(before(text, delimiter, count));
        }
        Ok(true)
    })
}

/// Delimiters may overlap: the next one is looked for one byte further on.
fn before<'a>(text: &'a str, delimiter: &str, count: i64) -> &'a str {
    let starts = |at: &usize| text.as_bytes()[*at..].starts_with(delimiter.as_bytes());
    let nth = count.unsigned_abs() as usize - 1;
    match count > 0 {
        true => (0..text.len()).filter(starts).nth(nth).map_or(text, |at| &text[..at]),
        false => (0..text.len()).rev().filter(starts).nth(nth).map_or(text, |at| &text[at + delimiter.len()..]),
    }
}

/// The part of this number, from behind when it is negative; an empty text when there is none.
fn split_part(call: &Call) -> Result<ArrayRef> {
    let (texts, delimiters, parts) = (call.texts(0)?, call.texts(1)?, call.integers(2)?);
    call.text_result(|row, out| {
        let (Some(text), Some(delimiter), Some(part)) = (texts.get(row), delimiters.get(row), parts.get(row)) else {
            return Ok(false);
        };
        let nth = part.unsigned_abs() as usize;
        let found = match part {
            0 => {
                return Err(Error::data(
                    "[INVALID_INDEX_OF_ZERO] The index 0 is invalid. An index shall be either < 0 or > 0 (the first element has index 1).",
                ));
            }
            _ if delimiter.is_empty() => (nth == 1).then_some(text),
            1.. => text.split(delimiter).nth(nth - 1),
            // From the front, because delimiters that overlap are found from there.
            _ => {
                let all: Vec<&str> = text.split(delimiter).collect();
                all.len().checked_sub(nth).map(|index| all[index])
            }
        };
        out.push_str(found.unwrap_or_default());
        Ok(true)
    })
}

fn concat(call: &Call) -> Result<ArrayRef> {
    if is_binary(call.result()) {
        let parts = (0..call.len()).map(|index| call.binaries(index)).collect::<Result<Vec<_>>>()?;
        return call.binary_result(|row, out| {
            Ok(parts.iter().all(|part| part.get(row).map(|bytes| out.extend_from_slice(bytes)).is_some()))
        });
    }
    let parts = (0..call.len()).map(|index| call.texts(index)).collect::<Result<Vec<_>>>()?;
    call.text_result(|row, out| Ok(parts.iter().all(|part| part.get(row).map(|text| out.push_str(text)).is_some())))
}

fn joined_type(types: &[DataType]) -> Result<DataType> {
    let is_list = |t: &DataType| matches!(t, DataType::List(element) if is_text(element.data_type()));
    let holds = types.first().is_some_and(is_text) && types.iter().all(|t| is_text(t) || is_list(t));
    require(holds, "a separator and texts or lists of texts")?;
    Ok(DataType::Utf8View)
}

/// Nulls are passed over; a null separator gives null.
fn concat_ws(call: &Call) -> Result<ArrayRef> {
    let separators = call.texts(0)?;
    let mut parts = Vec::new();
    for index in 1..call.len() {
        parts.push(match call.type_of(index)? {
            DataType::List(_) => {
                let list = call.array(index)?.as_list::<i32>();
                let elements = arrow::compute::cast(list.values(), &DataType::Utf8View)?;
                Part::List(list, elements, call.place(index)?)
            }
            _ => Part::Text(call.texts(index)?),
        });
    }
    call.text_result(|row, out| {
        let Some(separator) = separators.get(row) else { return Ok(false) };
        let mut is_first = true;
        let mut add = |text: &str, out: &mut String| {
            if !std::mem::take(&mut is_first) {
                out.push_str(separator);
            }
            out.push_str(text);
        };
        for part in &parts {
            match part {
                Part::Text(texts) => texts.get(row).into_iter().for_each(|text| add(text, out)),
                Part::List(list, elements, place) if list.is_valid(place.of(row)) => {
                    let at = place.of(row);
                    let range = list.value_offsets()[at] as usize..list.value_offsets()[at + 1] as usize;
                    let elements = elements.as_string_view();
                    range.filter(|&i| elements.is_valid(i)).for_each(|i| add(elements.value(i), out));
                }
                Part::List(..) => {}
            }
        }
        Ok(true)
    })
}

enum Part<'a> {
    Text(crate::function::spark::columns::Texts<'a>),
    List(&'a arrow::array::ListArray, ArrayRef, crate::function::spark::columns::Place),
}

/// A text of one call is at most this long, as Java's arrays.
const BYTES_MAX: usize = i32::MAX as usize - 15;

fn repeat(call: &Call) -> Result<ArrayRef> {
    let (texts, times) = (call.texts(0)?, call.integers(1)?);
    call.text_result(|row, out| {
        let (Some(text), Some(times)) = (texts.get(row), times.get(row)) else { return Ok(false) };
        let times = times.max(0) as usize;
        if text.len().saturating_mul(times) > BYTES_MAX {
            return Err(Error::unsupported("a repeated text of 2 GiB or more"));
        }
        (0..if text.is_empty() { 0 } else { times }).for_each(|_| out.push_str(text));
        Ok(true)
    })
}

fn reverse(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    call.text_result(|row, out| Ok(texts.get(row).map(|text| out.extend(text.chars().rev())).is_some()))
}

fn overlay_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 4)?;
    let holds = is_text(&types[0]) && is_text(&types[1]) && types[2..].iter().all(|t| *t == DataType::Int32);
    require(holds, "two texts and two ints")?;
    Ok(DataType::Utf8View)
}

fn overlay(call: &Call) -> Result<ArrayRef> {
    let (texts, others) = (call.texts(0)?, call.texts(1)?);
    let (positions, lengths) = (call.integers(2)?, call.integers(3)?);
    call.text_result(|row, out| {
        let (Some(text), Some(other), Some(position), Some(length)) =
            (texts.get(row), others.get(row), positions.get(row), lengths.get(row))
        else {
            return Ok(false);
        };
        let length = if length >= 0 { length } else { count(other) as i64 };
        let part = |position: i64, length: i64| {
            let (start, end) = range(position, length, count(text));
            &text[byte_of(text, start)..byte_of(text, end)]
        };
        out.push_str(part(1, position - 1));
        out.push_str(other);
        out.push_str(part(position + length, i64::from(i32::MAX)));
        Ok(true)
    })
}

fn elt_type(types: &[DataType]) -> Result<DataType> {
    let holds = types.len() >= 2 && types[0] == DataType::Int32;
    require(holds && types[1..].iter().all(is_text), "a number and texts")?;
    Ok(DataType::Utf8View)
}

fn elt(call: &Call) -> Result<ArrayRef> {
    let numbers = call.integers(0)?;
    let texts = (1..call.len()).map(|index| call.texts(index)).collect::<Result<Vec<_>>>()?;
    call.text_result(|row, out| {
        let Some(number) = numbers.get(row) else { return Ok(false) };
        match usize::try_from(number).ok().filter(|n| (1..=texts.len()).contains(n)) {
            Some(number) => Ok(texts[number - 1].get(row).map(|text| out.push_str(text)).is_some()),
            None if call.mode() == Mode::Ansi => Err(error::invalid_index(number, texts.len())),
            None => Ok(false),
        }
    })
}

fn empty_to_null(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    call.text_result(|row, out| {
        Ok(texts.get(row).filter(|text| !text.is_empty()).map(|text| out.push_str(text)).is_some())
    })
}
