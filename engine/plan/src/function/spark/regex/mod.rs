//! Java's regular expressions, as far as they mean the same to Rust's `regex`: what is beyond the subset of [`portable`] is refused when the plan is made.

mod portable;

use std::sync::Arc;

use arrow::array::{ArrayBuilder, ArrayRef, ListArray, StringViewBuilder};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;
use plasmon_core::{Error, Result};
use regex::Regex;

use self::portable::translate;
use super::columns::Call;
use super::definition::Definition;
use super::result::{is_text, require, takes};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("is_regex_portable", check_type, check),
    Definition::new("rlike", like_type, rlike),
    Definition::new("regexp_extract", extract_type, extract),
    Definition::new("regexp_replace", replace_type, replace),
    Definition::new("split", split_type, split),
];

fn check_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    require(is_text(&types[0]), "a pattern")?;
    Ok(DataType::Boolean)
}

fn like_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    require(types.iter().all(is_text), "a text and a pattern")?;
    Ok(DataType::Boolean)
}

fn extract_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 3)?;
    require(is_text(&types[0]) && is_text(&types[1]) && types[2] == DataType::Int32, "a text, a pattern and a group")?;
    Ok(DataType::Utf8View)
}

fn replace_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 3)?;
    require(types.iter().all(is_text), "a text, a pattern and a replacement")?;
    Ok(DataType::Utf8View)
}

fn split_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 4)?;
    let holds = is_text(&types[0]) && is_text(&types[1]) && types[2] == DataType::Int32;
    let is_list = matches!(&types[3], DataType::List(element) if is_text(element.data_type()));
    require(holds && is_list, "a text, a pattern, a limit and a null of the result's type, a list of texts")?;
    Ok(types[3].clone())
}

/// Bytes that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 10 << 20;

fn compiled(pattern: &str) -> Result<Regex> {
    let refused =
        || Error::unsupported(format!("the regular expression {pattern}, whose meaning to Java may be another"));
    let translated = translate(pattern).ok_or_else(refused)?;
    regex::RegexBuilder::new(&translated).size_limit(PATTERN_BYTES_MAX).build().map_err(|_| refused())
}

fn check(call: &Call) -> Result<ArrayRef> {
    let patterns = call.texts(0)?;
    call.boolean_result(|row| Ok(patterns.get(row).map(|pattern| compiled(pattern).is_ok())))
}

fn rlike(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    let Some(pattern) = call.constant_text(1)? else {
        return Ok(arrow::array::new_null_array(call.result(), call.rows()));
    };
    let regex = compiled(pattern)?;
    call.boolean_result(|row| Ok(texts.get(row).map(|text| regex.is_match(text))))
}

/// An empty text when nothing matches, or the group takes no part.
fn extract(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    let (Some(pattern), Some(group)) = (call.constant_text(1)?, call.constant_int(2)?) else {
        return Ok(arrow::array::new_null_array(call.result(), call.rows()));
    };
    let regex = compiled(pattern)?;
    let group = usize::try_from(group).ok().filter(|&group| group < regex.captures_len());
    let group = group.ok_or_else(|| Error::unsupported(format!("a group that {pattern} does not have")))?;
    call.text_result(|row, out| {
        let Some(text) = texts.get(row) else { return Ok(false) };
        let found = regex.captures(text).and_then(|captures| captures.get(group));
        out.push_str(found.map_or("", |found| found.as_str()));
        Ok(true)
    })
}

/// Whether the pattern may match an empty text.
fn matches_nothing(regex: &Regex) -> bool {
    let least = regex_syntax::parse(regex.as_str()).ok().and_then(|hir| hir.properties().minimum_len());
    least.is_none_or(|least| least == 0)
}

/// What is between the matches, in at most so many pieces when the limit is above 0. Patterns that match nothing are refused: Java splits elsewhere then.
fn split(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    let (Some(pattern), Some(limit)) = (call.constant_text(1)?, call.constant_int(2)?) else {
        return Ok(arrow::array::new_null_array(call.result(), call.rows()));
    };
    let regex = compiled(pattern)?;
    if matches_nothing(&regex) {
        return Err(Error::unsupported(format!("splitting at {pattern}, which may match nothing")));
    }
    let DataType::List(element) = call.result() else { return Err(Error::internal("no list")) };
    let (mut pieces, mut counts) = (StringViewBuilder::new(), Vec::with_capacity(call.rows()));
    let mut given = 0;
    for row in 0..call.rows() {
        match texts.get(row) {
            None => {}
            Some(text) if limit > 0 => {
                regex.splitn(text, limit as usize).for_each(|piece| pieces.append_value(piece));
            }
            Some(text) => regex.split(text).for_each(|piece| pieces.append_value(piece)),
        }
        counts.push(pieces.len() - given);
        given = pieces.len();
    }
    let valid: NullBuffer = (0..call.rows()).map(|row| texts.get(row).is_some()).collect();
    let pieces = arrow::compute::cast(&(Arc::new(pieces.finish()) as ArrayRef), element.data_type())?;
    let offsets = OffsetBuffer::from_lengths(counts);
    Ok(Arc::new(ListArray::try_new(element.clone(), offsets, pieces, Some(valid))?))
}

/// Patterns that match nothing are refused (Java replaces more often then), and so are replacements that refer to groups.
fn replace(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    let (Some(pattern), Some(replacement)) = (call.constant_text(1)?, call.constant_text(2)?) else {
        return Ok(arrow::array::new_null_array(call.result(), call.rows()));
    };
    let regex = compiled(pattern)?;
    if matches_nothing(&regex) || replacement.contains(['$', '\\']) {
        return Err(Error::unsupported(format!("replacing {pattern}, which may match nothing, or with groups")));
    }
    call.text_result(|row, out| {
        let Some(text) = texts.get(row) else { return Ok(false) };
        let mut end = 0;
        for found in regex.find_iter(text) {
            out.push_str(&text[end..found.start()]);
            out.push_str(replacement);
            end = found.end();
        }
        out.push_str(&text[end..]);
        Ok(true)
    })
}
