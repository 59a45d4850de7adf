//! LIKE and ILIKE: the pattern is compiled once per batch when it is constant, once per row else.

use plasmon_kernels::like::LikePattern;

use crate::batch::{Bitmap, Column, Encoding, Selection, Values, Views};
use crate::error::{Error, Result};

/// `operand [NOT] [I]LIKE pattern`; null where either side is null.
pub(super) fn evaluate_like(
    operand: &Column,
    pattern: &Column,
    escape: Option<char>,
    case_insensitive: bool,
    negated: bool,
    rows: usize,
    selection: Option<&Selection>,
) -> Result<Column> {
    let validity = Bitmap::and_optional(operand.validity(), pattern.validity());
    let texts = operand.flatten();
    let Encoding::Flat(Values::View(texts)) = texts.encoding() else { return Err(not_text(operand)) };
    let matches = match pattern.as_constant() {
        Some((Values::View(pattern), true)) => {
            let compiled = compile(pattern, 0, escape, case_insensitive)?;
            per_row(texts, rows, selection, negated, |text, _| Ok(compiled.matches(text)))?
        }
        Some((_, false)) => Bitmap::constant(false, rows),
        _ => {
            let patterns = pattern.flatten();
            let Encoding::Flat(Values::View(patterns)) = patterns.encoding() else { return Err(not_text(pattern)) };
            per_row(texts, rows, selection, negated, |text, row| {
                Ok(compile(patterns, row, escape, case_insensitive)?.matches(text))
            })?
        }
    };
    Ok(Column::flat_with_validity(Values::Boolean(matches), validity))
}

fn compile(patterns: &Views, row: usize, escape: Option<char>, case_insensitive: bool) -> Result<LikePattern> {
    let text = std::str::from_utf8(patterns.value(row)).map_err(|_| Error::data("a LIKE pattern is no valid UTF-8"))?;
    Ok(LikePattern::new(text, escape, case_insensitive))
}

fn per_row(
    texts: &Views,
    rows: usize,
    selection: Option<&Selection>,
    negated: bool,
    test: impl Fn(&[u8], usize) -> Result<bool>,
) -> Result<Bitmap> {
    let mut words = vec![0u64; rows.div_ceil(64)];
    let mut set = |row: usize| -> Result<()> {
        words[row / 64] |= u64::from(test(texts.value(row), row)? != negated) << (row % 64);
        Ok(())
    };
    match selection {
        Some(selection) => selection.positions().iter().try_for_each(|&row| set(row as usize))?,
        None => (0..rows).try_for_each(set)?,
    }
    Ok(Bitmap::new(words, rows))
}

fn not_text(column: &Column) -> Error {
    Error::internal(format!("LIKE over {:?} values", column.physical()))
}
