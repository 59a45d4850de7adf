//! Numbers since 1970 to timestamps and back.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use plasmon_core::{Error, Result};

use crate::function::spark::calendar::MICROS_PER_SECOND;
use crate::function::spark::columns::Call;
use crate::function::spark::definition::Definition;
use crate::function::spark::result::{is_timestamp, require, takes, timestamp};

const MICROS_PER_MILLI: i64 = 1000;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("timestamp_seconds", integer_to_timestamp, |call| scaled(call, MICROS_PER_SECOND)),
    Definition::new("timestamp_millis", integer_to_timestamp, |call| scaled(call, MICROS_PER_MILLI)),
    Definition::new("timestamp_micros", integer_to_timestamp, |call| scaled(call, 1)),
    Definition::new("unix_seconds", timestamp_to_long, |call| divided(call, MICROS_PER_SECOND)),
    Definition::new("unix_millis", timestamp_to_long, |call| divided(call, MICROS_PER_MILLI)),
    Definition::new("unix_micros", timestamp_to_long, |call| divided(call, 1)),
    Definition::new("unix_date", date_to_int, unix_date),
    Definition::new("date_from_unix_date", int_to_date, date_from_unix_date),
];

fn integer_to_timestamp(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    require(types[0].is_signed_integer(), "an integer")?;
    Ok(timestamp())
}

fn timestamp_to_long(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    require(is_timestamp(&types[0]), "a timestamp")?;
    Ok(DataType::Int64)
}

fn date_to_int(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    require(types[0] == DataType::Date32, "a date")?;
    Ok(DataType::Int32)
}

fn int_to_date(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    require(types[0] == DataType::Int32, "an int")?;
    Ok(DataType::Date32)
}

fn scaled(call: &Call, factor: i64) -> Result<ArrayRef> {
    let values = call.integers(0)?;
    call.number_result::<TimestampMicrosecondType>(|row| {
        let overflow = || Error::data("[DATETIME_OVERFLOW] long overflow");
        values.get(row).map(|v| v.checked_mul(factor).ok_or_else(overflow)).transpose()
    })
}

fn divided(call: &Call, divisor: i64) -> Result<ArrayRef> {
    let values = call.values::<TimestampMicrosecondType>(0)?;
    call.integer_result(|row| Ok(values.get(row).map(|micros| micros.div_euclid(divisor))))
}

fn unix_date(call: &Call) -> Result<ArrayRef> {
    let dates = call.values::<Date32Type>(0)?;
    call.integer_result(|row| Ok(dates.get(row).map(i64::from)))
}

fn date_from_unix_date(call: &Call) -> Result<ArrayRef> {
    let days = call.integers(0)?;
    call.number_result::<Date32Type>(|row| Ok(days.get(row).map(|v| v as i32)))
}
