//! Upper and lower case.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use plasmon_core::Result;

use super::texts_to_text;
use crate::function::spark::columns::Call;
use crate::function::spark::definition::Definition;
use crate::function::spark::result::takes;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("upper", one, upper),
    Definition::new("lower", one, lower),
    Definition::new("initcap", one, initcap),
];

fn one(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    texts_to_text(types)
}

fn upper(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    call.text_result(|row, out| {
        let Some(text) = texts.get(row) else { return Ok(false) };
        match text.is_ascii() {
            true => {
                out.push_str(text);
                out.make_ascii_uppercase();
            }
            false => out.push_str(&text.to_uppercase()),
        }
        Ok(true)
    })
}

fn lower(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    call.text_result(|row, out| {
        let Some(text) = texts.get(row) else { return Ok(false) };
        lower_into(text, out);
        Ok(true)
    })
}

fn lower_into(text: &str, out: &mut String) {
    match text.is_ascii() {
        true => out.extend(text.chars().map(|c| c.to_ascii_lowercase())),
        false => out.push_str(&text.to_lowercase()),
    }
}

/// Lower case, but for the first letter of each word; words are parted by spaces alone.
fn initcap(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    let mut lowered = String::new();
    call.text_result(|row, out| {
        let Some(text) = texts.get(row) else { return Ok(false) };
        lowered.clear();
        lower_into(text, &mut lowered);
        let mut is_first = true;
        for c in lowered.chars() {
            match is_first {
                true => out.push(title(c)),
                false => out.push(c),
            }
            is_first = c == ' ';
        }
        Ok(true)
    })
}

/// `Character.toTitleCase`: one character for one.
fn title(c: char) -> char {
    match c {
        'ǆ' | 'ǅ' | 'Ǆ' => return 'ǅ',
        'ǉ' | 'ǈ' | 'Ǉ' => return 'ǈ',
        'ǌ' | 'ǋ' | 'Ǌ' => return 'ǋ',
        'ǳ' | 'ǲ' | 'Ǳ' => return 'ǲ',
        _ => {}
    }
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) => upper,
        _ => c,
    }
}
