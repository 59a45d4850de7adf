//! Texts made longer or shorter at their ends.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use plasmon_core::{Error, Result};

use super::{byte_of, count, text_and_int_to_text, texts_to_text};
use crate::function::spark::columns::Call;
use crate::function::spark::definition::Definition;
use crate::function::spark::result::{is_text, require, takes};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("trim", trim_type, |call| trim(call, true, true)),
    Definition::new("ltrim", trim_type, |call| trim(call, true, false)),
    Definition::new("rtrim", trim_type, |call| trim(call, false, true)),
    Definition::new("lpad", pad_type, |call| pad(call, true)),
    Definition::new("rpad", pad_type, |call| pad(call, false)),
    Definition::new("space", space_type, space),
    Definition::new("char_read_padding", text_and_int_to_text, read_padding),
    Definition::new("char_write_check", text_and_int_to_text, |call| write_check(call, true)),
    Definition::new("varchar_write_check", text_and_int_to_text, |call| write_check(call, false)),
];

fn trim_type(types: &[DataType]) -> Result<DataType> {
    require(matches!(types.len(), 1 | 2), "a text and maybe characters")?;
    texts_to_text(types)
}

/// Spaces, or any of the given characters.
fn trim(call: &Call, left: bool, right: bool) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    let characters = if call.len() == 2 { Some(call.texts(1)?) } else { None };
    call.text_result(|row, out| {
        let Some(mut text) = texts.get(row) else { return Ok(false) };
        let goes = match &characters {
            None => " ",
            Some(characters) => match characters.get(row) {
                None => return Ok(false),
                Some(characters) => characters,
            },
        };
        if left {
            text = text.trim_start_matches(|c| goes.contains(c));
        }
        if right {
            text = text.trim_end_matches(|c| goes.contains(c));
        }
        out.push_str(text);
        Ok(true)
    })
}

fn pad_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 3)?;
    let holds = is_text(&types[0]) && types[1] == DataType::Int32 && is_text(&types[2]);
    require(holds, "a text, a length and what to pad with")?;
    Ok(DataType::Utf8View)
}

fn pad(call: &Call, at_left: bool) -> Result<ArrayRef> {
    let (texts, lengths, pads) = (call.texts(0)?, call.integers(1)?, call.texts(2)?);
    call.text_result(|row, out| {
        let (Some(text), Some(length), Some(pad)) = (texts.get(row), lengths.get(row), pads.get(row)) else {
            return Ok(false);
        };
        let wanted = length.max(0) as usize;
        let given = count(text);
        if given >= wanted || pad.is_empty() {
            out.push_str(&text[..byte_of(text, wanted)]);
            return Ok(true);
        }
        let filling = pad.chars().cycle().take(wanted - given);
        match at_left {
            true => {
                out.extend(filling);
                out.push_str(text);
            }
            false => {
                out.push_str(text);
                out.extend(filling);
            }
        }
        Ok(true)
    })
}

fn space_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    require(types[0] == DataType::Int32, "an int")?;
    Ok(DataType::Utf8View)
}

fn space(call: &Call) -> Result<ArrayRef> {
    let counts = call.integers(0)?;
    call.text_result(|row, out| {
        Ok(counts.get(row).map(|count| out.extend(std::iter::repeat_n(' ', count.max(0) as usize))).is_some())
    })
}

/// CHAR(n) is read with spaces up to n.
fn read_padding(call: &Call) -> Result<ArrayRef> {
    let (texts, lengths) = (call.texts(0)?, call.integers(1)?);
    call.text_result(|row, out| {
        let (Some(text), Some(length)) = (texts.get(row), lengths.get(row)) else { return Ok(false) };
        out.push_str(text);
        out.extend(std::iter::repeat_n(' ', (length.max(0) as usize).saturating_sub(count(text))));
        Ok(true)
    })
}

/// What is written to CHAR(n) or VARCHAR(n): spaces beyond n go, other characters are an error.
fn write_check(call: &Call, pads: bool) -> Result<ArrayRef> {
    let (texts, lengths) = (call.texts(0)?, call.integers(1)?);
    call.text_result(|row, out| {
        let (Some(text), Some(length)) = (texts.get(row), lengths.get(row)) else { return Ok(false) };
        let (most, given) = (length.max(0) as usize, count(text));
        if given <= most {
            out.push_str(text);
            out.extend(std::iter::repeat_n(' ', if pads { most - given } else { 0 }));
            return Ok(true);
        }
        let kept = text.trim_end_matches(' ');
        if count(kept) > most {
            return Err(Error::data(format!(
                "[EXCEED_LIMIT_LENGTH] Exceeds char/varchar type length limitation: {length}."
            )));
        }
        out.push_str(&text[..byte_of(text, most)]);
        Ok(true)
    })
}
