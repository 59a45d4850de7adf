//! Constants.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float16Type, IntervalDayTimeType, IntervalUnit};
use plasmon_core::batch::arrow::import_column;
use plasmon_core::batch::{Physical, physical_type};
use plasmon_core::expression::Scalar;
use plasmon_core::{Error, Result};
use prost::Message as _;
use prost::bytes::Bytes;
use proto::value::Kind;

use crate::wire::proto;

/// A value; its type stands beside it.
pub(super) fn scalar(value: &Scalar) -> Result<Bytes> {
    let kind = match value {
        Scalar::Null => Kind::Null(true),
        Scalar::Boolean(v) => Kind::Boolean(*v),
        Scalar::Int64(v) => Kind::Int64(*v),
        Scalar::UInt64(v) => Kind::Uint64(*v),
        Scalar::Int128(v) => Kind::Wide(v.to_le_bytes().to_vec().into()),
        Scalar::Int256(v) => Kind::Wide(v.to_le_bytes().to_vec().into()),
        Scalar::Float32(v) => Kind::Float32(*v),
        Scalar::Float64(v) => Kind::Float64(*v),
        Scalar::Interval(v) => {
            Kind::Interval(proto::IntervalValue { months: v.months, days: v.days, nanoseconds: v.nanoseconds })
        }
        Scalar::Bytes(v) => Kind::Bytes(v.to_vec().into()),
        Scalar::Nested(array) => return row(array, 0),
    };
    Ok(value_of(kind))
}

fn value_of(kind: Kind) -> Bytes {
    proto::Value { kind: Some(kind) }.encode_to_vec().into()
}

/// The value at a row of an array.
fn row(array: &ArrayRef, row: usize) -> Result<Bytes> {
    if array.is_null(row) || array.data_type().is_null() {
        return Ok(value_of(Kind::Null(true)));
    }
    let kind = match array.data_type() {
        DataType::List(_) => list(&array.as_list::<i32>().value(row))?,
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row))?,
        DataType::FixedSizeList(_, _) => list(&array.as_fixed_size_list().value(row))?,
        DataType::Map(_, _) => list(&(std::sync::Arc::new(array.as_map().value(row)) as ArrayRef))?,
        DataType::Struct(_) => {
            let fields = array.as_struct().columns().iter().map(|c| self::row(c, row)).collect::<Result<_>>()?;
            Kind::Struct(proto::StructValue { fields })
        }
        DataType::FixedSizeBinary(_) => Kind::Bytes(array.as_fixed_size_binary().value(row).to_vec().into()),
        DataType::Float16 => Kind::Float32(array.as_primitive::<Float16Type>().value(row).to_f32()),
        DataType::Interval(IntervalUnit::DayTime) => {
            let value = array.as_primitive::<IntervalDayTimeType>().value(row);
            let nanoseconds = i64::from(value.milliseconds) * 1_000_000;
            Kind::Interval(proto::IntervalValue { months: 0, days: value.days, nanoseconds })
        }
        other if physical_type(other) == Physical::Nested => {
            return Err(Error::unsupported(format!("a constant of type {other} in the wire format of plans")));
        }
        _ => return scalar(&Scalar::from_column(&import_column(&array.slice(row, 1))?, 0)),
    };
    Ok(value_of(kind))
}

fn list(values: &ArrayRef) -> Result<Kind> {
    let elements = (0..values.len()).map(|i| row(values, i)).collect::<Result<_>>()?;
    Ok(Kind::List(proto::ListValue { elements }))
}
