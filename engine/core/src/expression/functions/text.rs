//! Functions of texts: cut, case, length, search, concatenation, replacement.

use arrow_schema::DataType;
use plasmon_kernels::text::Texts;
use plasmon_kernels::text::build::{Piece, TextBuilder, concatenate, replace};
use plasmon_kernels::text::case::{Case, convert};
use plasmon_kernels::text::length::{byte_lengths, character_lengths};
use plasmon_kernels::text::search::{contains, ends_with, positions, starts_with};
use plasmon_kernels::text::slice::{Counts, Ends, left, right, substring, trim_ascii, trim_spaces};

use super::{constant_integer, constant_text, is_text, validity, views_with};
use crate::batch::{Bitmap, Column, Values, Views};

/// A chosen function.
#[derive(Debug, Clone, Copy)]
pub(super) enum Text {
    Substring,
    Left,
    Right,
    Trim(Ends),
    Convert(Case),
    CharacterLength,
    ByteLength,
    StartsWith,
    EndsWith,
    Contains,
    Position,
    /// Null arguments count as empty.
    Concat,
    /// `||`: null when a side is.
    Join,
    Replace,
}

pub(super) fn choose(name: &str, types: &[&DataType], result: &DataType) -> Option<Text> {
    let text_result = is_text(result);
    let text = |count: usize| types.len() >= count && types[..count].iter().all(|t| is_text(t));
    Some(match (name, types.len()) {
        ("substr", 2 | 3) if text(1) && types[1..].iter().all(|t| **t == DataType::Int64) => Text::Substring,
        ("left", 2) if text(1) => Text::Left,
        ("right", 2) if text(1) => Text::Right,
        ("btrim", 1 | 2) if text(types.len()) => Text::Trim(Ends::Both),
        ("ltrim", 1 | 2) if text(types.len()) => Text::Trim(Ends::Left),
        ("rtrim", 1 | 2) if text(types.len()) => Text::Trim(Ends::Right),
        ("upper", 1) if text(1) => Text::Convert(Case::Upper),
        ("lower", 1) if text(1) => Text::Convert(Case::Lower),
        ("character_length", 1) if text(1) && *result == DataType::Int32 => Text::CharacterLength,
        ("octet_length", 1) if text(1) && *result == DataType::Int32 => Text::ByteLength,
        ("starts_with", 2) if text(2) => Text::StartsWith,
        ("ends_with", 2) if text(2) => Text::EndsWith,
        ("contains", 2) if text(2) => Text::Contains,
        ("strpos", 2) if text(2) && *result == DataType::Int32 => Text::Position,
        ("concat", _) if text(types.len()) && text_result => Text::Concat,
        ("||", 2) if text(2) && text_result => Text::Join,
        ("replace", 3) if text(3) && text_result => Text::Replace,
        _ => return None,
    })
}

/// Calls `work` with views as kernels take them.
pub(in crate::expression) fn with_texts<R>(views: &Views, work: impl FnOnce(Texts<'_>) -> R) -> R {
    let buffers: Vec<&[u8]> = views.buffers.iter().map(|b| b.as_slice()).collect();
    work(Texts { views: &views.views, buffers: &buffers })
}

impl Text {
    pub(super) fn evaluate(&self, arguments: &[Column], rows: usize) -> Option<Column> {
        if matches!(self, Text::Concat | Text::Join) {
            return self.concatenated(arguments, rows);
        }
        let Values::View(views) = arguments[0].flat_values() else { return None };
        let ascii = arguments[0].is_ascii;
        let (values, is_ascii) = with_texts(&views, |texts| self.of_texts(texts, &views, arguments, ascii))?;
        let mut column = Column::flat_with_validity(values, validity(arguments));
        column.is_ascii = is_ascii;
        Some(column)
    }

    /// The values, and whether they are proven ASCII.
    fn of_texts(&self, texts: Texts<'_>, views: &Views, arguments: &[Column], ascii: bool) -> Option<(Values, bool)> {
        let rows = texts.len();
        let cut =
            |cut: Vec<u128>| Some((Values::View(Views { views: cut.into(), buffers: views.buffers.clone() }), ascii));
        let built = |built: TextBuilder, ascii: bool| {
            (!built.is_full()).then(|| (views_with(built.views, views, built.bytes), ascii))
        };
        let bits = |words: Vec<u64>| Some((Values::Boolean(Bitmap::new(words, rows)), false));
        let integers = |values: Vec<i32>| Some((Values::Int32(values.into()), false));
        let buffer = views.buffers.len() as u32;
        match self {
            Text::Substring => {
                let (start, count) = (numbers(&arguments[1])?, arguments.get(2).map(numbers));
                let count = match count {
                    None => None,
                    Some(count) => Some(count?),
                };
                // A start without a predecessor and a negative count are errors that the library words.
                let fails = start.least() == i64::MIN || count.as_ref().is_some_and(|c| c.least() < 0);
                if fails {
                    return None;
                }
                cut(substring(texts, start.counts(), count.as_ref().map(Numbers::counts), ascii))
            }
            Text::Left => cut(left(texts, numbers(&arguments[1])?.counts(), ascii)),
            Text::Right => cut(right(texts, numbers(&arguments[1])?.counts(), ascii)),
            Text::Trim(ends) => match arguments.get(1) {
                None => cut(trim_spaces(texts, *ends)),
                Some(set) => {
                    let set = constant_text(set).filter(|s| s.is_ascii())?;
                    cut(trim_ascii(texts, *ends, &set))
                }
            },
            Text::Convert(case) => built(convert(texts, *case, buffer), ascii),
            Text::CharacterLength => integers(character_lengths(texts, ascii)),
            Text::ByteLength => integers(byte_lengths(texts)),
            Text::StartsWith => bits(starts_with(texts, &constant_text(&arguments[1])?)),
            Text::EndsWith => bits(ends_with(texts, &constant_text(&arguments[1])?)),
            Text::Contains => bits(contains(texts, &constant_text(&arguments[1])?)),
            Text::Position => integers(positions(texts, &constant_text(&arguments[1])?, ascii)),
            Text::Replace => {
                let (from, to) = (constant_text(&arguments[1])?, constant_text(&arguments[2])?);
                if from.is_empty() {
                    return None;
                }
                built(replace(texts, &from, &to, buffer), ascii && to.is_ascii())
            }
            Text::Concat | Text::Join => None,
        }
    }

    fn concatenated(&self, arguments: &[Column], rows: usize) -> Option<Column> {
        let flat: Vec<Values> = arguments
            .iter()
            .map(|a| match a.as_constant() {
                Some((values, _)) => values.clone(),
                None => a.flat_values(),
            })
            .collect();
        let views: Vec<&Views> = flat
            .iter()
            .map(|v| match v {
                Values::View(views) => Some(views),
                _ => None,
            })
            .collect::<Option<_>>()?;
        let buffers: Vec<Vec<&[u8]>> = views.iter().map(|v| v.buffers.iter().map(|b| b.as_slice()).collect()).collect();
        let pieces: Vec<Piece<'_>> = arguments
            .iter()
            .zip(&views)
            .zip(&buffers)
            .map(|((argument, views), buffers)| match argument.as_constant() {
                Some((_, true)) => Piece::Constant(views.value(0)),
                Some((_, false)) => Piece::Constant(&[]),
                None => Piece::Texts(Texts { views: &views.views, buffers }, argument.validity().map(Bitmap::words)),
            })
            .collect();
        let built = concatenate(&pieces, rows, 0);
        if built.is_full() {
            return None;
        }
        let none = Views { views: Vec::new().into(), buffers: std::sync::Arc::from([]) };
        let validity = if matches!(self, Text::Concat) { None } else { validity(arguments) };
        Some(Column::flat_with_validity(views_with(built.views, &none, built.bytes), validity))
    }
}

/// A number per row, or one.
enum Numbers {
    Constant(i64),
    PerRow(arrow_buffer::ScalarBuffer<i64>),
}

fn numbers(column: &Column) -> Option<Numbers> {
    if column.as_constant().is_some() {
        return Some(Numbers::Constant(constant_integer(column)?));
    }
    match column.flat_values() {
        Values::Int64(values) => Some(Numbers::PerRow(values)),
        _ => None,
    }
}

impl Numbers {
    fn counts(&self) -> Counts<'_> {
        match self {
            Numbers::Constant(value) => Counts::Constant(*value),
            Numbers::PerRow(values) => Counts::PerRow(values),
        }
    }

    fn least(&self) -> i64 {
        match self {
            Numbers::Constant(value) => *value,
            Numbers::PerRow(values) => plasmon_kernels::arithmetic::min_max_i64(values).0,
        }
    }
}
