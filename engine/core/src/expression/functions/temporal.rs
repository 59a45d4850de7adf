//! `date_part` and `date_trunc` of dates and of timestamps without a zone.

use arrow_schema::{DataType, TimeUnit};
use plasmon_kernels::arithmetic::min_max_i64;
use plasmon_kernels::temporal::part::{DatePart, TimePart, Unit, date_part, days_of_timestamps, time_part};
use plasmon_kernels::temporal::truncate::{Granularity, truncate};

use super::Scalar;
use crate::batch::{Column, Values};

/// A chosen function.
#[derive(Debug, Clone, Copy)]
pub(super) enum Temporal {
    DatePartOfDate(DatePart),
    DatePartOfTimestamp(DatePart, Unit),
    TimePartOfTimestamp(TimePart, Unit),
    Truncate(Granularity, Unit),
}

/// Days beyond which the library's calendar (± 262,000 years) gives nulls; well inside.
pub(in crate::expression) const DAYS_MAX: i64 = 90_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

pub(super) fn choose(
    name: &str,
    types: &[&DataType],
    constants: &[Option<&Scalar>],
    result: &DataType,
) -> Option<Temporal> {
    let [_, operand] = types else { return None };
    let Some(Scalar::Bytes(word)) = constants[0] else { return None };
    let word = std::str::from_utf8(word).ok()?.to_lowercase();
    match (name, operand) {
        ("date_part", DataType::Date32) if *result == DataType::Int32 => {
            Some(Temporal::DatePartOfDate(date_part_of(&word)?))
        }
        ("date_part", DataType::Timestamp(unit, None)) if *result == DataType::Int32 => {
            let unit = unit_of(unit);
            Some(match date_part_of(&word) {
                Some(part) => Temporal::DatePartOfTimestamp(part, unit),
                None => Temporal::TimePartOfTimestamp(time_part_of(&word)?, unit),
            })
        }
        ("date_trunc", DataType::Timestamp(unit, None)) if *operand == result => {
            Some(Temporal::Truncate(granularity_of(&word)?, unit_of(unit)))
        }
        _ => None,
    }
}

pub(in crate::expression) fn unit_of(unit: &TimeUnit) -> Unit {
    match unit {
        TimeUnit::Second => Unit::Second,
        TimeUnit::Millisecond => Unit::Millisecond,
        TimeUnit::Microsecond => Unit::Microsecond,
        TimeUnit::Nanosecond => Unit::Nanosecond,
    }
}

// Only the plain words: the library also knows plurals and abbreviations.
fn date_part_of(word: &str) -> Option<DatePart> {
    Some(match word {
        "year" => DatePart::Year,
        "isoyear" => DatePart::IsoYear,
        "quarter" => DatePart::Quarter,
        "month" => DatePart::Month,
        "week" => DatePart::Week,
        "day" => DatePart::Day,
        "doy" => DatePart::DayOfYear,
        "dow" => DatePart::DayOfWeek,
        "isodow" => DatePart::IsoDayOfWeek,
        _ => return None,
    })
}

fn time_part_of(word: &str) -> Option<TimePart> {
    Some(match word {
        "hour" => TimePart::Hour,
        "minute" => TimePart::Minute,
        "second" => TimePart::Second,
        "millisecond" => TimePart::Millisecond,
        "microsecond" => TimePart::Microsecond,
        _ => return None,
    })
}

fn granularity_of(word: &str) -> Option<Granularity> {
    Some(match word {
        "microsecond" => Granularity::Microsecond,
        "millisecond" => Granularity::Millisecond,
        "second" => Granularity::Second,
        "minute" => Granularity::Minute,
        "hour" => Granularity::Hour,
        "day" => Granularity::Day,
        "week" => Granularity::Week,
        "month" => Granularity::Month,
        "quarter" => Granularity::Quarter,
        "year" => Granularity::Year,
        _ => return None,
    })
}

/// Whether all values lie within ± `limit`.
pub(in crate::expression) fn within(values: &[i64], limit: i64) -> bool {
    let (min, max) = min_max_i64(values);
    values.is_empty() || (min >= -limit && max <= limit)
}

impl Temporal {
    pub(super) fn evaluate(&self, arguments: &[Column]) -> Option<Column> {
        let operand = &arguments[1];
        let values = match (self, operand.flat_values()) {
            (Temporal::DatePartOfDate(part), Values::Int32(days)) => {
                let (min, max) = days.iter().fold((0, 0), |(min, max), &d| (d.min(min), d.max(max)));
                if (min as i64) < -DAYS_MAX || (max as i64) > DAYS_MAX {
                    return None;
                }
                Values::Int32(date_part(*part, &days).into())
            }
            (Temporal::DatePartOfTimestamp(part, unit), Values::Int64(stamps)) => {
                if !in_calendar(&stamps, *unit) {
                    return None;
                }
                Values::Int32(date_part(*part, &days_of_timestamps(&stamps, *unit)).into())
            }
            (Temporal::TimePartOfTimestamp(part, unit), Values::Int64(stamps)) => {
                if !in_calendar(&stamps, *unit) {
                    return None;
                }
                Values::Int32(time_part(*part, &stamps, *unit).into())
            }
            (Temporal::Truncate(granularity, unit), Values::Int64(stamps)) => {
                // The library computes in nanoseconds: beyond their range (less a year's room) it has its say.
                let limit = i64::MAX / (1_000_000_000 / unit.per_second()) - 400 * SECONDS_PER_DAY * unit.per_second();
                if !within(&stamps, limit) {
                    return None;
                }
                Values::Int64(truncate(*granularity, &stamps, *unit).into())
            }
            _ => return None,
        };
        Some(Column::flat_with_validity(values, operand.validity().cloned()))
    }
}

fn in_calendar(stamps: &[i64], unit: Unit) -> bool {
    within(stamps, (DAYS_MAX * SECONDS_PER_DAY).saturating_mul(unit.per_second()))
}
