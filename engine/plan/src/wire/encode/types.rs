//! Types and fields.

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use plasmon_core::{Error, Result};
use prost::Message as _;
use prost::bytes::Bytes;

use crate::wire::proto;

/// A list of fields.
pub(super) fn fields<'a>(fields: impl IntoIterator<Item = &'a FieldRef>) -> Result<Vec<Bytes>> {
    fields.into_iter().map(|f| field(f)).collect()
}

fn field(field: &Field) -> Result<Bytes> {
    let mut metadata: Vec<proto::KeyValue> = key_values(field.metadata());
    metadata.sort_by(|a, b| a.key.cmp(&b.key));
    let field = proto::Field {
        name: field.name().clone(),
        r#type: Some(data_type(field.data_type())?),
        nullable: field.is_nullable(),
        metadata,
    };
    Ok(field.encode_to_vec().into())
}

/// Pairs of texts.
pub(super) fn key_values<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<proto::KeyValue> {
    pairs.into_iter().map(|(key, value)| proto::KeyValue { key: key.clone(), value: value.clone() }).collect()
}

/// A type.
pub(super) fn data_type(data_type: &DataType) -> Result<proto::Type> {
    use proto::r#type::Kind;
    let kind = match data_type {
        DataType::Decimal32(p, s) => decimal(32, *p, *s),
        DataType::Decimal64(p, s) => decimal(64, *p, *s),
        DataType::Decimal128(p, s) => decimal(128, *p, *s),
        DataType::Decimal256(p, s) => decimal(256, *p, *s),
        DataType::Time32(unit) | DataType::Time64(unit) => Kind::Time(time_unit(unit)),
        DataType::Timestamp(unit, zone) => {
            Kind::Timestamp(proto::TimestampType { unit: time_unit(unit), zone: zone.as_deref().map(str::to_string) })
        }
        DataType::Duration(unit) => Kind::Duration(time_unit(unit)),
        DataType::FixedSizeBinary(size) => Kind::FixedSizeBinary(*size as u32),
        DataType::List(element) => Kind::List(field(element)?),
        DataType::LargeList(element) => Kind::LargeList(field(element)?),
        DataType::FixedSizeList(element, size) => {
            Kind::FixedSizeList(proto::FixedSizeListType { element: field(element)?, size: *size as u32 })
        }
        DataType::Struct(members) => Kind::Struct(proto::StructType { fields: fields(members)? }),
        DataType::Map(entries, keys_sorted) => {
            Kind::Map(proto::MapType { entries: field(entries)?, keys_sorted: *keys_sorted })
        }
        DataType::Dictionary(index, value) => Kind::Dictionary(Box::new(proto::DictionaryType {
            index: simple(index)?,
            value: Some(Box::new(self::data_type(value)?)),
        })),
        other => Kind::Simple(simple(other)?),
    };
    Ok(proto::Type { kind: Some(kind) })
}

fn decimal(bits: u32, precision: u8, scale: i8) -> proto::r#type::Kind {
    proto::r#type::Kind::Decimal(proto::DecimalType { bits, precision: precision.into(), scale: scale.into() })
}

fn time_unit(unit: &TimeUnit) -> i32 {
    use proto::TimeUnit as Unit;
    match unit {
        TimeUnit::Second => Unit::Second as i32,
        TimeUnit::Millisecond => Unit::Millisecond as i32,
        TimeUnit::Microsecond => Unit::Microsecond as i32,
        TimeUnit::Nanosecond => Unit::Nanosecond as i32,
    }
}

fn simple(data_type: &DataType) -> Result<i32> {
    use proto::SimpleType as Simple;
    let simple = match data_type {
        DataType::Null => Simple::Null,
        DataType::Boolean => Simple::Boolean,
        DataType::Int8 => Simple::Int8,
        DataType::Int16 => Simple::Int16,
        DataType::Int32 => Simple::Int32,
        DataType::Int64 => Simple::Int64,
        DataType::UInt8 => Simple::Uint8,
        DataType::UInt16 => Simple::Uint16,
        DataType::UInt32 => Simple::Uint32,
        DataType::UInt64 => Simple::Uint64,
        DataType::Float16 => Simple::Float16,
        DataType::Float32 => Simple::Float32,
        DataType::Float64 => Simple::Float64,
        DataType::Date32 => Simple::Date32,
        DataType::Date64 => Simple::Date64,
        DataType::Interval(IntervalUnit::YearMonth) => Simple::IntervalYearMonth,
        DataType::Interval(IntervalUnit::DayTime) => Simple::IntervalDayTime,
        DataType::Interval(IntervalUnit::MonthDayNano) => Simple::IntervalMonthDayNano,
        DataType::Utf8 => Simple::Utf8,
        DataType::LargeUtf8 => Simple::LargeUtf8,
        DataType::Utf8View => Simple::Utf8View,
        DataType::Binary => Simple::Binary,
        DataType::LargeBinary => Simple::LargeBinary,
        DataType::BinaryView => Simple::BinaryView,
        other => return Err(Error::unsupported(format!("type {other} in the wire format of plans"))),
    };
    Ok(simple as i32)
}
