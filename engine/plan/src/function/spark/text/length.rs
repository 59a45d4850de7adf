//! Lengths and code points.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use plasmon_core::Result;

use super::{alike, count, texts_to_text};
use crate::function::spark::columns::Call;
use crate::function::spark::definition::Definition;
use crate::function::spark::result::{is_binary, require, takes};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("length", one_to_int, |call| measure(call, |text| count(text) as i64, 1)),
    Definition::new("octet_length", one_to_int, |call| measure(call, |text| text.len() as i64, 1)),
    Definition::new("bit_length", one_to_int, |call| measure(call, |text| text.len() as i64 * 8, 8)),
    Definition::new("ascii", text_to_int, ascii),
    Definition::new("chr", long_to_text, chr),
    Definition::new("levenshtein", levenshtein_type, levenshtein),
];

fn one_to_int(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    alike(types)?;
    Ok(DataType::Int32)
}

fn text_to_int(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    texts_to_text(types)?;
    Ok(DataType::Int32)
}

fn long_to_text(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    require(types[0] == DataType::Int64, "a long")?;
    Ok(DataType::Utf8View)
}

fn measure(call: &Call, of_text: impl Fn(&str) -> i64, of_byte: i64) -> Result<ArrayRef> {
    if is_binary(call.type_of(0)?) {
        let values = call.binaries(0)?;
        return call.integer_result(|row| Ok(values.get(row).map(|bytes| bytes.len() as i64 * of_byte)));
    }
    let texts = call.texts(0)?;
    call.integer_result(|row| Ok(texts.get(row).map(&of_text)))
}

fn ascii(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    call.integer_result(|row| Ok(texts.get(row).map(|text| text.chars().next().map_or(0, |c| i64::from(u32::from(c))))))
}

/// The character of the lowest byte; a negative number gives an empty text.
fn chr(call: &Call) -> Result<ArrayRef> {
    let values = call.integers(0)?;
    call.text_result(|row, out| {
        let Some(value) = values.get(row) else { return Ok(false) };
        if value >= 0 {
            out.push(char::from(value as u8));
        }
        Ok(true)
    })
}

fn levenshtein_type(types: &[DataType]) -> Result<DataType> {
    require(matches!(types.len(), 2 | 3), "two texts and maybe a threshold")?;
    texts_to_text(&types[..2])?;
    require(types.get(2).is_none_or(|t| *t == DataType::Int32), "an int as threshold")?;
    Ok(DataType::Int32)
}

/// Edits from one to the other; −1 when there are more than the threshold.
fn levenshtein(call: &Call) -> Result<ArrayRef> {
    let (left, right) = (call.texts(0)?, call.texts(1)?);
    let thresholds = if call.len() == 3 { Some(call.integers(2)?) } else { None };
    let (mut a, mut b, mut costs) = (Vec::new(), Vec::new(), Vec::new());
    call.integer_result(|row| {
        let (Some(left), Some(right)) = (left.get(row), right.get(row)) else { return Ok(None) };
        let threshold = match &thresholds {
            None => None,
            Some(thresholds) => match thresholds.get(row) {
                None => return Ok(None),
                given => given,
            },
        };
        a.clear();
        a.extend(left.chars());
        b.clear();
        b.extend(right.chars());
        let edits = distance(&a, &b, &mut costs);
        Ok(Some(if threshold.is_some_and(|most| edits > most) { -1 } else { edits }))
    })
}

/// One row of the table at a time.
fn distance(a: &[char], b: &[char], costs: &mut Vec<i64>) -> i64 {
    costs.clear();
    costs.extend(0..=b.len() as i64);
    for (index, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut costs[0], index as i64 + 1);
        for (column, y) in b.iter().enumerate() {
            let changed = diagonal + i64::from(x != y);
            diagonal = costs[column + 1];
            costs[column + 1] = changed.min(diagonal + 1).min(costs[column] + 1);
        }
    }
    costs[b.len()]
}
