//! `date_format` and `from_unixtime`: the patterns of Java's DateTimeFormatter that need no locale but English and no name of a zone.

use std::fmt::Write;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use plasmon_core::{Error, Result};

use super::zone;
use crate::function::spark::calendar::{Date, MICROS_PER_SECOND, Time, split, weekday};
use crate::function::spark::columns::Call;
use crate::function::spark::definition::Definition;
use crate::function::spark::result::{is_text, is_timestamp, require, takes};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("date_format", formatted_type, date_format),
    Definition::new("from_unixtime", unix_type, from_unixtime),
];

fn formatted_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 3)?;
    let is_zoned = is_timestamp(&types[0]) && matches!(types[0], DataType::Timestamp(_, Some(_)));
    require(is_zoned && is_text(&types[1]) && is_text(&types[2]), "a timestamp with a zone, a pattern and a zone")?;
    Ok(DataType::Utf8View)
}

fn unix_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 3)?;
    require(types[0] == DataType::Int64 && is_text(&types[1]) && is_text(&types[2]), "a long, a pattern and a zone")?;
    Ok(DataType::Utf8View)
}

/// A piece of a pattern: a letter so many times, or text as it is.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Field(char, usize),
    Text(String),
}

/// The pieces of a pattern; letters beyond the subset are refused.
fn parse(pattern: &str) -> Result<Vec<Piece>> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut characters = pattern.chars().peekable();
    while let Some(c) = characters.next() {
        let piece = match c {
            '\'' => Piece::Text(quoted(&mut characters).ok_or_else(|| refused(pattern))?),
            c if c.is_ascii_alphabetic() => {
                let mut count = 1;
                while characters.next_if_eq(&c).is_some() {
                    count += 1;
                }
                Piece::Field(c, count)
            }
            '[' | ']' | '{' | '}' | '#' => return Err(refused(pattern)),
            c => Piece::Text(c.to_string()),
        };
        let is_known = match &piece {
            Piece::Text(_) => true,
            Piece::Field('y' | 'u', count) => matches!(count, 1 | 2 | 4),
            Piece::Field('M', count) => (1..=4).contains(count),
            Piece::Field('d' | 'H' | 'h' | 'k' | 'K' | 'm' | 's', count) => (1..=2).contains(count),
            Piece::Field('S', count) => (1..=9).contains(count),
            Piece::Field('E', count) => (1..=4).contains(count),
            Piece::Field('D', count) => matches!(count, 1 | 3),
            Piece::Field('a', count) => *count == 1,
            Piece::Field(_, _) => false,
        };
        if !is_known {
            return Err(refused(pattern));
        }
        pieces.push(piece);
    }
    Ok(pieces)
}

/// What stands up to the closing quote; two quotes are one.
fn quoted(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    if characters.next_if_eq(&'\'').is_some() {
        return Some("'".into());
    }
    let mut text = String::new();
    loop {
        match characters.next()? {
            '\'' if characters.next_if_eq(&'\'').is_some() => text.push('\''),
            '\'' => return Some(text),
            c => text.push(c),
        }
    }
}

fn refused(pattern: &str) -> Error {
    Error::unsupported(format!("the pattern {pattern} of a date"))
}

fn date_format(call: &Call) -> Result<ArrayRef> {
    let values = call.values::<TimestampMicrosecondType>(0)?;
    formatted(call, |row| values.get(row))
}

fn from_unixtime(call: &Call) -> Result<ArrayRef> {
    let values = call.integers(0)?;
    // As Spark: seconds that are too far wrap.
    formatted(call, |row| values.get(row).map(|seconds| seconds.wrapping_mul(MICROS_PER_SECOND)))
}

fn formatted(call: &Call, micros: impl Fn(usize) -> Option<i64>) -> Result<ArrayRef> {
    let Some(pattern) = call.constant_text(1)? else {
        return Ok(arrow::array::new_null_array(&DataType::Utf8View, call.rows()));
    };
    let (pieces, zone) = (parse(pattern)?, zone(call, 2)?);
    call.text_result(|row, out| {
        let Some(micros) = micros(row) else { return Ok(false) };
        let (date, time) = split(zone.to_local(micros));
        pieces.iter().for_each(|piece| write(piece, date, time, out));
        Ok(true)
    })
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

fn write(piece: &Piece, date: Date, time: Time, out: &mut String) {
    let mut number = |value: i64, width: usize| {
        // Writing to a text cannot fail.
        let _ = write!(out, "{value:0width$}");
    };
    match *piece {
        Piece::Text(ref text) => out.push_str(text),
        Piece::Field('y' | 'u', 2) => number(date.year.abs() % 100, 2),
        Piece::Field('y' | 'u', 1) => number(date.year, 1),
        Piece::Field('y' | 'u', _) => {
            out.push_str(if date.year < 0 {
                "-"
            } else if date.year > 9999 {
                "+"
            } else {
                ""
            });
            let _ = write!(out, "{:04}", date.year.abs());
        }
        Piece::Field('M', count @ 1..=2) => number(date.month.into(), count),
        Piece::Field('M', count) => out.push_str(name(MONTHS[date.month as usize - 1], count)),
        Piece::Field('d', count) => number(date.day.into(), count),
        Piece::Field('D', count) => number(date.day_of_year().into(), count),
        Piece::Field('E', count) => out.push_str(name(DAYS[weekday(date.to_days()) as usize], count)),
        Piece::Field('H', count) => number(time.hour(), count),
        Piece::Field('k', count) => number((time.hour() + 23) % 24 + 1, count),
        Piece::Field('K', count) => number(time.hour() % 12, count),
        Piece::Field('h', count) => number((time.hour() + 11) % 12 + 1, count),
        Piece::Field('m', count) => number(time.minute(), count),
        Piece::Field('s', count) => number(time.second(), count),
        Piece::Field('S', count) => out.push_str(&format!("{:06}000", time.fraction())[..count]),
        Piece::Field(_, _) => out.push_str(if time.hour() < 12 { "AM" } else { "PM" }),
    }
}

/// Four letters stand for the whole name, fewer for its first three.
fn name(full: &'static str, count: usize) -> &'static str {
    if count == 4 { full } else { &full[..3] }
}
