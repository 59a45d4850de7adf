//! Dates, timestamps and clocks to each other and to numbers.

use arrow::array::ArrayRef;
use arrow::datatypes::{Date32Type, TimestampMicrosecondType};
use plasmon_core::{Error, Result};

use super::{VALUE, zone};
use crate::function::spark::calendar::{MICROS_PER_DAY, MICROS_PER_SECOND};
use crate::function::spark::columns::Call;
use crate::function::spark::error;
use crate::function::spark::sql::{timestamp_literal, type_name};
use crate::function::spark::zone::Zone;

/// The day of a clock.
pub(in crate::function::spark) fn date_of(local: i64) -> i32 {
    local.div_euclid(MICROS_PER_DAY) as i32
}

fn long_overflow() -> Error {
    Error::data("[ARITHMETIC_OVERFLOW] long overflow.")
}

pub(super) fn date_to_timestamp(call: &Call) -> Result<ArrayRef> {
    let (dates, zone) = (call.values::<Date32Type>(VALUE)?, zone(call)?);
    call.number_result::<TimestampMicrosecondType>(|row| {
        dates.get(row).map(|days| zone.start_of_day(i64::from(days)).ok_or_else(long_overflow)).transpose()
    })
}

pub(super) fn date_to_clock(call: &Call) -> Result<ArrayRef> {
    let dates = call.values::<Date32Type>(VALUE)?;
    call.number_result::<TimestampMicrosecondType>(|row| {
        let clock = |days| i64::from(days).checked_mul(MICROS_PER_DAY).ok_or_else(long_overflow);
        dates.get(row).map(clock).transpose()
    })
}

pub(super) fn timestamp_to_date(call: &Call) -> Result<ArrayRef> {
    let (instants, zone) = (call.values::<TimestampMicrosecondType>(VALUE)?, zone(call)?);
    call.number_result::<Date32Type>(|row| Ok(instants.get(row).map(|micros| date_of(zone.to_local(micros)))))
}

pub(super) fn clock_to_date(call: &Call) -> Result<ArrayRef> {
    let clocks = call.values::<TimestampMicrosecondType>(VALUE)?;
    call.number_result::<Date32Type>(|row| Ok(clocks.get(row).map(date_of)))
}

pub(super) fn timestamp_to_clock(call: &Call) -> Result<ArrayRef> {
    let (instants, zone) = (call.values::<TimestampMicrosecondType>(VALUE)?, zone(call)?);
    call.number_result::<TimestampMicrosecondType>(|row| Ok(instants.get(row).map(|micros| zone.to_local(micros))))
}

pub(super) fn clock_to_timestamp(call: &Call) -> Result<ArrayRef> {
    let (clocks, zone) = (call.values::<TimestampMicrosecondType>(VALUE)?, zone(call)?);
    call.number_result::<TimestampMicrosecondType>(|row| {
        clocks.get(row).map(|local| zone.to_instant(local).ok_or_else(long_overflow)).transpose()
    })
}

pub(super) fn timestamp_to_integer(call: &Call) -> Result<ArrayRef> {
    let instants = call.values::<TimestampMicrosecondType>(VALUE)?;
    let zone: Zone = zone(call)?;
    let (min, max) = call.integer_range()?;
    call.integer_result(|row| {
        let Some(micros) = instants.get(row) else { return Ok(None) };
        let seconds = micros.div_euclid(MICROS_PER_SECOND);
        if (min..=max).contains(&seconds) {
            return Ok(Some(seconds));
        }
        let literal = timestamp_literal(micros, zone);
        call.mode().absent(|| error::cast_overflow(&literal, "TIMESTAMP", &type_name(call.result())))
    })
}

/// Seconds; what is too far is the last microsecond there is.
pub(super) fn integer_to_timestamp(call: &Call) -> Result<ArrayRef> {
    let values = call.integers(VALUE)?;
    call.number_result::<TimestampMicrosecondType>(|row| {
        Ok(values.get(row).map(|seconds| seconds.saturating_mul(MICROS_PER_SECOND)))
    })
}

pub(super) fn timestamp_to_float(call: &Call) -> Result<ArrayRef> {
    let instants = call.values::<TimestampMicrosecondType>(VALUE)?;
    call.float_result(|row| Ok(instants.get(row).map(|micros| micros as f64 / MICROS_PER_SECOND as f64)))
}
