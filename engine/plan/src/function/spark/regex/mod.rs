//! Java's regular expressions, as far as they mean the same to Rust's `regex`: what is beyond the subset of [`portable`] is refused when the plan is made.

mod portable;

use arrow::array::ArrayRef;
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

/// Patterns that match nothing are refused (Java replaces more often then), and so are replacements that refer to groups.
fn replace(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    let (Some(pattern), Some(replacement)) = (call.constant_text(1)?, call.constant_text(2)?) else {
        return Ok(arrow::array::new_null_array(call.result(), call.rows()));
    };
    let regex = compiled(pattern)?;
    let least = regex_syntax::parse(regex.as_str()).ok().and_then(|hir| hir.properties().minimum_len());
    if least.is_none_or(|least| least == 0) || replacement.contains(['$', '\\']) {
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
