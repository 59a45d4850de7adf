//! Functions of texts. Positions count code points from 1, as `UTF8String` does.

mod encode;
mod form;
mod length;
mod pad;
mod part;
mod search;
mod words;

use arrow::datatypes::DataType;
use plasmon_core::Result;

use super::definition::Definition;
use super::result::{is_binary, is_text, require, takes};

pub(super) const FUNCTIONS: [&[Definition]; 7] = [
    encode::FUNCTIONS,
    form::FUNCTIONS,
    length::FUNCTIONS,
    pad::FUNCTIONS,
    part::FUNCTIONS,
    search::FUNCTIONS,
    words::FUNCTIONS,
];

/// A function of texts alone gives a text.
fn texts_to_text(types: &[DataType]) -> Result<DataType> {
    require(!types.is_empty() && types.iter().all(is_text), "texts")?;
    Ok(DataType::Utf8View)
}

/// A text and an int give a text.
fn text_and_int_to_text(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    require(is_text(&types[0]) && types[1] == DataType::Int32, "a text and an int")?;
    Ok(DataType::Utf8View)
}

/// Texts or binaries, all of one kind, give that kind.
fn alike(types: &[DataType]) -> Result<DataType> {
    let are = |is: fn(&DataType) -> bool| !types.is_empty() && types.iter().all(is);
    require(are(is_text) || are(is_binary), "texts or binaries")?;
    Ok(if is_text(&types[0]) { DataType::Utf8View } else { DataType::BinaryView })
}

/// The byte at which the code point of this number (from 0) begins; the length when there are fewer.
fn byte_of(text: &str, position: usize) -> usize {
    match text.is_ascii() {
        true => position.min(text.len()),
        false => text.char_indices().nth(position).map_or(text.len(), |(at, _)| at),
    }
}

/// Number of code points.
fn count(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}
