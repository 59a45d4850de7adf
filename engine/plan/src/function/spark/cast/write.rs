//! Values to texts.

use std::fmt::Write;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, TimestampMicrosecondType};
use plasmon_core::{Error, Result};

use super::{JAVA, VALUE, zone};
use crate::function::spark::calendar::{Date, split, write_date, write_time};
use crate::function::spark::columns::{Call, decimal_shape};
use crate::function::spark::decimal::{write_java, write_plain};
use crate::function::spark::definition::Mode;
use crate::function::spark::java::{Java, write_f32, write_f64};

pub(super) fn boolean(call: &Call) -> Result<ArrayRef> {
    let values = call.booleans(VALUE)?;
    call.text_result(|row, text| {
        let Some(value) = values.get(row) else { return Ok(false) };
        text.push_str(if value { "true" } else { "false" });
        Ok(true)
    })
}

pub(super) fn integer(call: &Call) -> Result<ArrayRef> {
    let values = call.integers(VALUE)?;
    call.text_result(|row, text| {
        let Some(value) = values.get(row) else { return Ok(false) };
        // Writing to a text cannot fail.
        let _ = write!(text, "{value}");
        Ok(true)
    })
}

pub(super) fn float(call: &Call) -> Result<ArrayRef> {
    let (values, java) = (call.floats(VALUE)?, Java::of_call(call, JAVA)?);
    let is_single = *call.type_of(VALUE)? == DataType::Float32;
    call.text_result(|row, text| {
        let Some(value) = values.get(row) else { return Ok(false) };
        match is_single {
            true => write_f32(value as f32, java, text),
            false => write_f64(value, java, text),
        }
        Ok(true)
    })
}

pub(super) fn decimal(call: &Call) -> Result<ArrayRef> {
    let values = call.values::<Decimal128Type>(VALUE)?;
    let (_, scale) = decimal_shape(call.type_of(VALUE)?)?;
    let write = if call.mode() == Mode::Ansi { write_plain } else { write_java };
    call.text_result(|row, text| {
        let Some(value) = values.get(row) else { return Ok(false) };
        write(value, scale, text);
        Ok(true)
    })
}

pub(super) fn binary(call: &Call) -> Result<ArrayRef> {
    let values = call.binaries(VALUE)?;
    call.text_result(|row, text| {
        let Some(value) = values.get(row) else { return Ok(false) };
        let valid = std::str::from_utf8(value);
        text.push_str(valid.map_err(|_| Error::unsupported("bytes that are no UTF-8 as a text"))?);
        Ok(true)
    })
}

pub(super) fn date(call: &Call) -> Result<ArrayRef> {
    let values = call.values::<Date32Type>(VALUE)?;
    call.text_result(|row, text| {
        let Some(days) = values.get(row) else { return Ok(false) };
        write_date(Date::from_days(i64::from(days)), text);
        Ok(true)
    })
}

pub(super) fn timestamp(call: &Call) -> Result<ArrayRef> {
    let (values, zone) = (call.values::<TimestampMicrosecondType>(VALUE)?, zone(call)?);
    call.text_result(|row, text| {
        let Some(micros) = values.get(row) else { return Ok(false) };
        write_moment(zone.to_local(micros), text);
        Ok(true)
    })
}

pub(super) fn clock(call: &Call) -> Result<ArrayRef> {
    let values = call.values::<TimestampMicrosecondType>(VALUE)?;
    call.text_result(|row, text| {
        let Some(micros) = values.get(row) else { return Ok(false) };
        write_moment(micros, text);
        Ok(true)
    })
}

fn write_moment(local: i64, text: &mut String) {
    let (date, time) = split(local);
    write_date(date, text);
    text.push(' ');
    write_time(time, text);
}
