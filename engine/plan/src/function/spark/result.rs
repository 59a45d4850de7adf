//! Types of results that many functions share.

use arrow::datatypes::{DataType, TimeUnit};
use plasmon_core::{Error, Result};

/// Refuses calls of another number of arguments.
pub(super) fn takes(types: &[DataType], count: usize) -> Result<()> {
    if types.len() == count {
        return Ok(());
    }
    Err(Error::user(format!("{} arguments where {count} are taken", types.len())))
}

/// Refuses arguments of other types; `what` describes those that are taken.
pub(super) fn require(holds: bool, what: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::user(format!("it takes {what}"))) }
}

pub(super) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

pub(super) fn is_binary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

pub(super) fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::Float64)
}

pub(super) fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(_, _))
}

pub(super) fn is_timestamp(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, _))
}

/// A number type of Spark's.
pub(super) fn is_number(data_type: &DataType) -> bool {
    data_type.is_signed_integer() || is_float(data_type) || is_decimal(data_type)
}

/// TIMESTAMP.
pub(super) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}
