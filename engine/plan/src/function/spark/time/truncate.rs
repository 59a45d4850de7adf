//! `trunc` and `date_trunc`: the first day or instant of the year, quarter, month, week, …

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use plasmon_core::Result;

use super::zone;
use crate::function::spark::calendar::{Date, MICROS_PER_DAY, MICROS_PER_SECOND, weekday};
use crate::function::spark::columns::Call;
use crate::function::spark::definition::Definition;
use crate::function::spark::result::{is_text, is_timestamp, require, takes, timestamp};
use crate::function::spark::zone::Zone;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("trunc", date_type, truncate_dates),
    Definition::new("date_trunc", timestamp_type, truncate_timestamps),
];

/// What is kept, coarsest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

/// `DateTimeUtils.parseTruncLevel`.
fn level(name: &str) -> Option<Level> {
    Some(match name.to_uppercase().as_str() {
        "MICROSECOND" => Level::Microsecond,
        "MILLISECOND" => Level::Millisecond,
        "SECOND" => Level::Second,
        "MINUTE" => Level::Minute,
        "HOUR" => Level::Hour,
        "DAY" | "DD" => Level::Day,
        "WEEK" => Level::Week,
        "MON" | "MONTH" | "MM" => Level::Month,
        "QUARTER" => Level::Quarter,
        "YEAR" | "YYYY" | "YY" => Level::Year,
        _ => return None,
    })
}

/// The first day, of a level of weeks or more.
fn first_day(days: i64, level: Level) -> i64 {
    let date = Date::from_days(days);
    let month = match level {
        Level::Week => return days - i64::from(weekday(days)),
        Level::Month => date.month,
        Level::Quarter => (date.month - 1) / 3 * 3 + 1,
        Level::Year => 1,
        _ => return days,
    };
    Date { month, day: 1, ..date }.to_days()
}

fn date_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    require(types[0] == DataType::Date32 && is_text(&types[1]), "a date and a format")?;
    Ok(DataType::Date32)
}

fn truncate_dates(call: &Call) -> Result<ArrayRef> {
    let (dates, formats) = (call.values::<Date32Type>(0)?, call.texts(1)?);
    call.number_result::<Date32Type>(|row| {
        let (Some(days), Some(format)) = (dates.get(row), formats.get(row)) else { return Ok(None) };
        let level = level(format).filter(|&level| level >= Level::Week);
        Ok(level.map(|level| first_day(i64::from(days), level) as i32))
    })
}

fn timestamp_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 3)?;
    let holds = is_text(&types[0]) && is_timestamp(&types[1]) && is_text(&types[2]);
    require(
        holds && matches!(types[1], DataType::Timestamp(_, Some(_))),
        "a format, a timestamp with a zone, and the session's zone",
    )?;
    Ok(timestamp())
}

fn truncate_timestamps(call: &Call) -> Result<ArrayRef> {
    let (formats, values) = (call.texts(0)?, call.values::<TimestampMicrosecondType>(1)?);
    let zone = zone(call, 2)?;
    call.number_result::<TimestampMicrosecondType>(|row| {
        let (Some(format), Some(micros)) = (formats.get(row), values.get(row)) else { return Ok(None) };
        Ok(level(format).and_then(|level| truncate(micros, level, zone)))
    })
}

fn truncate(micros: i64, level: Level, zone: Zone) -> Option<i64> {
    let down = |value: i64, unit: i64| value - value.rem_euclid(unit);
    match level {
        Level::Microsecond => Some(micros),
        // Offsets have whole seconds, so these are the same on every clock.
        Level::Millisecond => Some(down(micros, 1000)),
        Level::Second => Some(down(micros, MICROS_PER_SECOND)),
        Level::Minute | Level::Hour => {
            let unit = if level == Level::Minute { 60 } else { 3600 } * MICROS_PER_SECOND;
            let local = zone.to_local(micros);
            // By the offset at this instant: the hour that a clock shows twice stays itself.
            Some(micros - local.rem_euclid(unit))
        }
        _ => zone.start_of_day(first_day(zone.to_local(micros).div_euclid(MICROS_PER_DAY), level)),
    }
}
