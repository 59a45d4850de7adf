//! Where a text is in another, and what takes its place.

use std::collections::HashMap;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use plasmon_core::Result;

use super::{alike, byte_of, count, texts_to_text};
use crate::function::spark::columns::Call;
use crate::function::spark::definition::Definition;
use crate::function::spark::result::{is_binary, is_text, require, takes};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("instr", pair_to_int, instr),
    Definition::new("locate", locate_type, locate),
    Definition::new("replace", three_texts, replace),
    Definition::new("translate", three_texts, translate),
    Definition::new("find_in_set", pair_to_int, find_in_set),
    Definition::new("starts_with", pair_to_boolean, |call| compare(call, |text, part| text.starts_with(part))),
    Definition::new("ends_with", pair_to_boolean, |call| compare(call, |text, part| text.ends_with(part))),
    Definition::new("contains", pair_to_boolean, |call| compare(call, contains)),
];

fn pair_to_int(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    texts_to_text(types)?;
    Ok(DataType::Int32)
}

fn pair_to_boolean(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    alike(types)?;
    Ok(DataType::Boolean)
}

fn three_texts(types: &[DataType]) -> Result<DataType> {
    takes(types, 3)?;
    texts_to_text(types)
}

fn locate_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 3)?;
    let holds = is_text(&types[0]) && is_text(&types[1]) && types[2] == DataType::Int32;
    require(holds, "two texts and a start")?;
    Ok(DataType::Int32)
}

/// The position, from 1, of a part at or behind a code point (from 0); 0: it is not there.
fn position(text: &str, part: &str, start: usize) -> i64 {
    if part.is_empty() {
        return 1;
    }
    let from = byte_of(text, start);
    text[from..].find(part).map_or(0, |at| count(&text[..from + at]) as i64 + 1)
}

fn instr(call: &Call) -> Result<ArrayRef> {
    let (texts, parts) = (call.texts(0)?, call.texts(1)?);
    call.integer_result(|row| match (texts.get(row), parts.get(row)) {
        (Some(text), Some(part)) => Ok(Some(position(text, part, 0))),
        _ => Ok(None),
    })
}

/// A null start gives 0, and so does one before the first position.
fn locate(call: &Call) -> Result<ArrayRef> {
    let (parts, texts, starts) = (call.texts(0)?, call.texts(1)?, call.integers(2)?);
    call.integer_result(|row| {
        let Some(start) = starts.get(row) else { return Ok(Some(0)) };
        let (Some(part), Some(text)) = (parts.get(row), texts.get(row)) else { return Ok(None) };
        Ok(Some(if start < 1 { 0 } else { position(text, part, start as usize - 1) }))
    })
}

fn replace(call: &Call) -> Result<ArrayRef> {
    let (texts, searches, replacements) = (call.texts(0)?, call.texts(1)?, call.texts(2)?);
    call.text_result(|row, out| {
        let (Some(text), Some(search), Some(replacement)) = (texts.get(row), searches.get(row), replacements.get(row))
        else {
            return Ok(false);
        };
        if search.is_empty() {
            out.push_str(text);
            return Ok(true);
        }
        let mut rest = text;
        while let Some(at) = rest.find(search) {
            out.push_str(&rest[..at]);
            out.push_str(replacement);
            rest = &rest[at + search.len()..];
        }
        out.push_str(rest);
        Ok(true)
    })
}

/// Each character by the one at its place; one that has none goes.
fn translate(call: &Call) -> Result<ArrayRef> {
    let (texts, from, to) = (call.texts(0)?, call.texts(1)?, call.texts(2)?);
    let mut known: Option<(&str, &str)> = None;
    let mut table: HashMap<char, Option<char>> = HashMap::new();
    call.text_result(|row, out| {
        let (Some(text), Some(from), Some(to)) = (texts.get(row), from.get(row), to.get(row)) else {
            return Ok(false);
        };
        if known != Some((from, to)) {
            table.clear();
            let mut images = to.chars();
            for c in from.chars() {
                // A character that maps to U+0000 goes, too.
                let image = images.next().filter(|&image| image != '\0');
                table.entry(c).or_insert(image);
            }
            known = Some((from, to));
        }
        out.extend(text.chars().filter_map(|c| table.get(&c).copied().unwrap_or(Some(c))));
        Ok(true)
    })
}

/// The number of the word in a list with commas; 0 when it is not there or has a comma itself.
fn find_in_set(call: &Call) -> Result<ArrayRef> {
    let (words, sets) = (call.texts(0)?, call.texts(1)?);
    call.integer_result(|row| {
        let (Some(word), Some(set)) = (words.get(row), sets.get(row)) else { return Ok(None) };
        let found = if word.contains(',') { None } else { set.split(',').position(|w| w == word) };
        Ok(Some(found.map_or(0, |index| index as i64 + 1)))
    })
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

fn compare(call: &Call, holds: impl Fn(&[u8], &[u8]) -> bool) -> Result<ArrayRef> {
    if is_binary(call.type_of(0)?) {
        let (values, parts) = (call.binaries(0)?, call.binaries(1)?);
        return call.boolean_result(|row| Ok(values.get(row).zip(parts.get(row)).map(|(v, p)| holds(v, p))));
    }
    let (texts, parts) = (call.texts(0)?, call.texts(1)?);
    call.boolean_result(|row| {
        Ok(texts.get(row).zip(parts.get(row)).map(|(text, part)| holds(text.as_bytes(), part.as_bytes())))
    })
}
