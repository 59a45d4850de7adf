//! Timestamps: fields of their clock, other zones, months between.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Decimal128Type, TimestampMicrosecondType};
use plasmon_core::{Error, Result};

use super::zone;
use crate::function::spark::calendar::{Date, MICROS_PER_SECOND, Time, split};
use crate::function::spark::columns::Call;
use crate::function::spark::definition::Definition;
use crate::function::spark::result::{is_text, is_timestamp, require, takes};
use crate::function::spark::zone::Zone;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("hour", field_type, |call| field(call, Time::hour)),
    Definition::new("minute", field_type, |call| field(call, Time::minute)),
    Definition::new("second", field_type, |call| field(call, Time::second)),
    Definition::new("second_with_fraction", fraction_type, second_with_fraction),
    Definition::new("months_between", months_type, months_between),
    Definition::new("from_utc_timestamp", shifted_type, |call| {
        shifted(call, |zone, micros| Some(zone.to_local(micros)))
    }),
    Definition::new("to_utc_timestamp", shifted_type, |call| shifted(call, Zone::to_instant)),
];

fn field_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    require(is_timestamp(&types[0]) && is_text(&types[1]), "a timestamp and a zone")?;
    Ok(DataType::Int32)
}

fn fraction_type(types: &[DataType]) -> Result<DataType> {
    field_type(types)?;
    Ok(DataType::Decimal128(8, 6))
}

/// The clock of a timestamp; one without a zone is a clock already.
fn clock(call: &Call, index: usize, zone: Zone, micros: i64) -> Result<i64> {
    let has_zone = matches!(call.type_of(index)?, DataType::Timestamp(_, Some(_)));
    Ok(if has_zone { zone.to_local(micros) } else { micros })
}

fn field(call: &Call, of: impl Fn(Time) -> i64) -> Result<ArrayRef> {
    let (values, zone) = (call.values::<TimestampMicrosecondType>(0)?, zone(call, 1)?);
    call.integer_result(|row| {
        let Some(micros) = values.get(row) else { return Ok(None) };
        Ok(Some(of(split(clock(call, 0, zone, micros)?).1)))
    })
}

fn second_with_fraction(call: &Call) -> Result<ArrayRef> {
    let (values, zone) = (call.values::<TimestampMicrosecondType>(0)?, zone(call, 1)?);
    call.number_result::<Decimal128Type>(|row| {
        let Some(micros) = values.get(row) else { return Ok(None) };
        let (_, time) = split(clock(call, 0, zone, micros)?);
        Ok(Some(i128::from(time.second() * MICROS_PER_SECOND + time.fraction())))
    })
}

fn months_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 4)?;
    let holds =
        is_timestamp(&types[0]) && is_timestamp(&types[1]) && types[2] == DataType::Boolean && is_text(&types[3]);
    require(holds, "two timestamps, whether to round, and a zone")?;
    Ok(DataType::Float64)
}

/// Whole months when both are on the same day of the month, or both on the last one; else with the rest in 31sts.
fn months_between(call: &Call) -> Result<ArrayRef> {
    let (left, right) = (call.values::<TimestampMicrosecondType>(0)?, call.values::<TimestampMicrosecondType>(1)?);
    let (rounds, zone) = (call.booleans(2)?, zone(call, 3)?);
    call.float_result(|row| {
        let (Some(left), Some(right), Some(rounds)) = (left.get(row), right.get(row), rounds.get(row)) else {
            return Ok(None);
        };
        let (left, right) = (split(clock(call, 0, zone, left)?), split(clock(call, 1, zone, right)?));
        Ok(Some(months(left, right, rounds)))
    })
}

const SECONDS_PER_DAY: i64 = 86_400;
const SECONDS_PER_MONTH: f64 = (31 * SECONDS_PER_DAY) as f64;

fn months(left: (Date, Time), right: (Date, Time), rounds: bool) -> f64 {
    let number = |date: Date| date.year * 12 + i64::from(date.month);
    let difference = (number(left.0) - number(right.0)) as f64;
    let is_end = |date: Date| date == date.month_end();
    if left.0.day == right.0.day || is_end(left.0) && is_end(right.0) {
        return difference;
    }
    let seconds = |time: Time| time.micros / MICROS_PER_SECOND;
    let days = i64::from(left.0.day) - i64::from(right.0.day);
    let rest = days * SECONDS_PER_DAY + seconds(left.1) - seconds(right.1);
    let exact = difference + rest as f64 / SECONDS_PER_MONTH;
    // As Java's Math.round: halves go up.
    if rounds { (exact * 1e8 + 0.5).floor() / 1e8 } else { exact }
}

fn shifted_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    require(is_timestamp(&types[0]) && is_text(&types[1]), "a timestamp and a zone")?;
    Ok(types[0].clone())
}

fn shifted(call: &Call, shift: impl Fn(Zone, i64) -> Option<i64>) -> Result<ArrayRef> {
    let (values, zones) = (call.values::<TimestampMicrosecondType>(0)?, call.texts(1)?);
    let mut known: Option<(&str, Zone)> = None;
    call.number_result::<TimestampMicrosecondType>(|row| {
        let (Some(micros), Some(name)) = (values.get(row), zones.get(row)) else { return Ok(None) };
        let zone = match known {
            Some((last, zone)) if last == name => zone,
            _ => Zone::parse(name)
                .ok_or_else(|| Error::data(format!("[INVALID_TIMEZONE] The timezone: {name} is invalid.")))?,
        };
        known = Some((name, zone));
        Ok(shift(zone, micros))
    })
}
