//! Types and fields.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{
    DECIMAL32_MAX_PRECISION, DECIMAL64_MAX_PRECISION, DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType,
    Field, FieldRef, Fields, IntervalUnit, Schema, SchemaRef, TimeUnit,
};
use plasmon_core::Result;
use prost::bytes::Bytes;

use crate::path::Path;
use crate::wire::fields::message;
use crate::wire::{SIZE_MAX, TYPE_DEPTH_MAX, proto};

/// The schema of a list of fields.
pub(super) fn schema(fields: &[Bytes], path: &Path<'_>) -> Result<SchemaRef> {
    let fields = fields.iter().enumerate().map(|(i, bytes)| {
        let path = path.item("fields", i);
        let field = field(bytes, &path, 0)?;
        check_size(field.data_type(), &path)?;
        Ok(field)
    });
    Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?)))
}

fn field(bytes: &Bytes, path: &Path<'_>, depth: usize) -> Result<FieldRef> {
    if depth > TYPE_DEPTH_MAX {
        return Err(path.wrong(format!("types are nested more than {TYPE_DEPTH_MAX} deep")));
    }
    let field: proto::Field = message(bytes, path)?;
    let data_type = nested(field.r#type.as_ref(), &path.field("type"), depth)?;
    let metadata: HashMap<String, String> = field.metadata.into_iter().map(|m| (m.key, m.value)).collect();
    Ok(Arc::new(Field::new(field.name, data_type, field.nullable).with_metadata(metadata)))
}

/// A type that must be there.
pub(super) fn data_type(data_type: Option<&proto::Type>, path: &Path<'_>) -> Result<DataType> {
    let data_type = nested(data_type, &path.field("type"), 0)?;
    check_size(&data_type, path)?;
    Ok(data_type)
}

fn check_size(data_type: &DataType, path: &Path<'_>) -> Result<()> {
    match fixed_size(data_type) {
        size if size > SIZE_MAX => {
            Err(path.refuse(format!("{size} elements or bytes in one value of a fixed size; at most {SIZE_MAX} are")))
        }
        _ => Ok(()),
    }
}

/// Elements or bytes that a value of the type has even when it is null.
pub(super) fn fixed_size(data_type: &DataType) -> usize {
    match data_type {
        DataType::FixedSizeBinary(size) => *size as usize,
        DataType::FixedSizeList(element, size) => (*size as usize).saturating_mul(fixed_size(element.data_type())),
        DataType::Struct(fields) => fields.iter().fold(1, |all, f| all.saturating_add(fixed_size(f.data_type()))),
        DataType::List(element) | DataType::LargeList(element) | DataType::Map(element, _) => {
            fixed_size(element.data_type())
        }
        DataType::Dictionary(_, value) => fixed_size(value),
        _ => 1,
    }
}

fn nested(data_type: Option<&proto::Type>, path: &Path<'_>, depth: usize) -> Result<DataType> {
    use proto::r#type::Kind;
    if depth > TYPE_DEPTH_MAX {
        return Err(path.wrong(format!("types are nested more than {TYPE_DEPTH_MAX} deep")));
    }
    let kind = data_type.and_then(|t| t.kind.as_ref()).ok_or_else(|| path.wrong("the type is missing"))?;
    let below = depth + 1;
    Ok(match kind {
        Kind::Simple(simple) => simple_type(*simple, path)?,
        Kind::Decimal(decimal) => decimal_type(decimal, path)?,
        Kind::Time(unit) => match time_unit(*unit, path)? {
            unit @ (TimeUnit::Second | TimeUnit::Millisecond) => DataType::Time32(unit),
            unit => DataType::Time64(unit),
        },
        Kind::Timestamp(t) => DataType::Timestamp(time_unit(t.unit, path)?, t.zone.as_deref().map(Arc::from)),
        Kind::Duration(unit) => DataType::Duration(time_unit(*unit, path)?),
        Kind::FixedSizeBinary(size) => DataType::FixedSizeBinary(size_of(*size, path)?),
        Kind::List(element) => DataType::List(field(element, &path.field("list"), below)?),
        Kind::LargeList(element) => DataType::LargeList(field(element, &path.field("large_list"), below)?),
        Kind::FixedSizeList(list) => {
            let element = field(&list.element, &path.field("element"), below)?;
            DataType::FixedSizeList(element, size_of(list.size, path)?)
        }
        Kind::Struct(fields) => DataType::Struct(struct_fields(&fields.fields, path, below)?),
        Kind::Map(map) => {
            let entries = field(&map.entries, &path.field("entries"), below)?;
            match entries.data_type() {
                DataType::Struct(fields) if fields.len() == 2 => DataType::Map(entries, map.keys_sorted),
                other => {
                    return Err(path.wrong(format!("the entries of a map are a struct of two fields, not {other}")));
                }
            }
        }
        Kind::Dictionary(dictionary) => {
            let index = simple_type(dictionary.index, path)?;
            let value = nested(dictionary.value.as_deref(), &path.field("value"), below)?;
            if !index.is_integer() || value.is_nested() || value.is_null() {
                return Err(path.refuse(format!("a dictionary of {value} with codes of type {index}")));
            }
            DataType::Dictionary(Box::new(index), Box::new(value))
        }
    })
}

fn struct_fields(fields: &[Bytes], path: &Path<'_>, depth: usize) -> Result<Fields> {
    fields.iter().enumerate().map(|(i, f)| field(f, &path.item("fields", i), depth)).collect()
}

fn size_of(size: u32, path: &Path<'_>) -> Result<i32> {
    match i32::try_from(size) {
        Ok(size) if (1..=SIZE_MAX).contains(&(size as usize)) => Ok(size),
        _ => Err(path.refuse(format!("a fixed size of {size}; 1 to {SIZE_MAX} are"))),
    }
}

fn decimal_type(decimal: &proto::DecimalType, path: &Path<'_>) -> Result<DataType> {
    let (max, make): (u8, fn(u8, i8) -> DataType) = match decimal.bits {
        32 => (DECIMAL32_MAX_PRECISION, DataType::Decimal32),
        64 => (DECIMAL64_MAX_PRECISION, DataType::Decimal64),
        128 => (DECIMAL128_MAX_PRECISION, DataType::Decimal128),
        256 => (DECIMAL256_MAX_PRECISION, DataType::Decimal256),
        other => return Err(path.wrong(format!("a decimal of {other} bits"))),
    };
    match (u8::try_from(decimal.precision), i8::try_from(decimal.scale)) {
        (Ok(precision), Ok(scale))
            if (1..=max).contains(&precision) && i16::from(scale).abs() <= i16::from(precision) =>
        {
            Ok(make(precision, scale))
        }
        _ => Err(path.wrong(format!(
            "a decimal of {} digits, {} of them behind the point, in {} bits",
            decimal.precision, decimal.scale, decimal.bits
        ))),
    }
}

fn time_unit(unit: i32, path: &Path<'_>) -> Result<TimeUnit> {
    use proto::TimeUnit as Unit;
    Ok(match super::known::<Unit>(unit, "TimeUnit", path)? {
        Unit::Second => TimeUnit::Second,
        Unit::Millisecond => TimeUnit::Millisecond,
        Unit::Microsecond => TimeUnit::Microsecond,
        Unit::Nanosecond => TimeUnit::Nanosecond,
        Unit::Unspecified => return Err(path.wrong("the unit of time is missing")),
    })
}

fn simple_type(simple: i32, path: &Path<'_>) -> Result<DataType> {
    use proto::SimpleType as Simple;
    Ok(match super::known::<Simple>(simple, "SimpleType", path)? {
        Simple::Unspecified => return Err(path.wrong("the type is missing")),
        Simple::Null => DataType::Null,
        Simple::Boolean => DataType::Boolean,
        Simple::Int8 => DataType::Int8,
        Simple::Int16 => DataType::Int16,
        Simple::Int32 => DataType::Int32,
        Simple::Int64 => DataType::Int64,
        Simple::Uint8 => DataType::UInt8,
        Simple::Uint16 => DataType::UInt16,
        Simple::Uint32 => DataType::UInt32,
        Simple::Uint64 => DataType::UInt64,
        Simple::Float16 => DataType::Float16,
        Simple::Float32 => DataType::Float32,
        Simple::Float64 => DataType::Float64,
        Simple::Date32 => DataType::Date32,
        Simple::Date64 => DataType::Date64,
        Simple::IntervalYearMonth => DataType::Interval(IntervalUnit::YearMonth),
        Simple::IntervalDayTime => DataType::Interval(IntervalUnit::DayTime),
        Simple::IntervalMonthDayNano => DataType::Interval(IntervalUnit::MonthDayNano),
        Simple::Utf8 => DataType::Utf8,
        Simple::LargeUtf8 => DataType::LargeUtf8,
        Simple::Utf8View => DataType::Utf8View,
        Simple::Binary => DataType::Binary,
        Simple::LargeBinary => DataType::LargeBinary,
        Simple::BinaryView => DataType::BinaryView,
    })
}
