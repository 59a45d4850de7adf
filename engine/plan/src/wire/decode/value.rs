//! Constants: checked against their type, so that every scalar is one that the type has.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, FixedSizeBinaryArray, FixedSizeListArray, Float16Array, GenericListArray, IntervalDayTimeArray,
    MapArray, OffsetSizeTrait, StructArray, new_empty_array, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, FieldRef, Fields, Float16Type, IntervalDayTime, IntervalMonthDayNano, IntervalUnit,
    i256,
};
use plasmon_core::Result;
use plasmon_core::batch::arrow::export_column;
use plasmon_core::batch::{Physical, physical_type};
use plasmon_core::expression::Scalar;
use prost::bytes::Bytes;
use proto::value::Kind;

use super::types::fixed_size;
use crate::path::Path;
use crate::wire::fields::message;
use crate::wire::{TYPE_DEPTH_MAX, proto};

type Half = <Float16Type as ArrowPrimitiveType>::Native;

/// A null inside a nested constant takes as much room as its type has of fixed size: more than this would let few bytes ask for much memory.
const NULL_SIZE_MAX: usize = 64;
/// Nanoseconds in a millisecond.
const NANOS_PER_MILLI: i64 = 1_000_000;

/// The value in `bytes` as one of `data_type`.
pub(super) fn scalar(bytes: &Bytes, data_type: &DataType, path: &Path<'_>) -> Result<Scalar> {
    let kind = kind(bytes, path)?;
    typed(&kind, data_type, path, 0)
}

/// The value in `bytes` by its own kind: distances of frames, which are compared with keys of many types.
pub(super) fn distance(bytes: &Bytes, path: &Path<'_>) -> Result<Scalar> {
    Ok(match kind(bytes, path)? {
        Kind::Int64(v) => Scalar::Int64(v),
        Kind::Uint64(v) => Scalar::UInt64(v),
        Kind::Float32(v) => Scalar::Float32(v),
        Kind::Float64(v) => Scalar::Float64(v),
        Kind::Interval(v) => Scalar::Interval(IntervalMonthDayNano::new(v.months, v.days, v.nanoseconds)),
        Kind::Wide(bytes) => match bytes.len() {
            32 => Scalar::Int256(wide(&bytes, path)?),
            _ => Scalar::Int128(narrow(wide(&bytes, path)?, path)?),
        },
        _ => return Err(path.wrong("a distance is a number or an interval")),
    })
}

fn kind(bytes: &Bytes, path: &Path<'_>) -> Result<Kind> {
    let value: proto::Value = message(bytes, path)?;
    value.kind.ok_or_else(|| path.wrong("the value is missing"))
}

fn typed(kind: &Kind, data_type: &DataType, path: &Path<'_>, depth: usize) -> Result<Scalar> {
    let misfit = || path.wrong(format!("the value is none of {data_type}"));
    let integer = |min: i64, max: i64| match kind {
        Kind::Int64(v) if (min..=max).contains(v) => Ok(Scalar::Int64(*v)),
        _ => Err(misfit()),
    };
    let unsigned = |max: u64| match kind {
        Kind::Uint64(v) if *v <= max => Ok(Scalar::UInt64(*v)),
        _ => Err(misfit()),
    };
    if let Kind::Null(_) = kind {
        return Ok(Scalar::Null);
    }
    match (physical_type(data_type), kind) {
        (Physical::Boolean, Kind::Boolean(v)) => Ok(Scalar::Boolean(*v)),
        (Physical::Int8, _) => integer(i8::MIN.into(), i8::MAX.into()),
        (Physical::Int16, _) => integer(i16::MIN.into(), i16::MAX.into()),
        (Physical::Int32, _) => integer(i32::MIN.into(), i32::MAX.into()),
        (Physical::UInt8, _) => unsigned(u8::MAX.into()),
        (Physical::UInt16, _) => unsigned(u16::MAX.into()),
        (Physical::UInt32, _) => unsigned(u32::MAX.into()),
        (Physical::UInt64, _) => unsigned(u64::MAX),
        (Physical::Int64 | Physical::Int128 | Physical::Int256, _) if value_type(data_type).is_decimal() => {
            decimal(kind, value_type(data_type), path)
        }
        (Physical::Int64, _) => integer(i64::MIN, i64::MAX),
        (Physical::Float32, Kind::Float32(v)) => Ok(Scalar::Float32(*v)),
        (Physical::Float64, Kind::Float64(v)) => Ok(Scalar::Float64(*v)),
        (Physical::Interval, Kind::Interval(v)) => {
            Ok(Scalar::Interval(IntervalMonthDayNano::new(v.months, v.days, v.nanoseconds)))
        }
        (Physical::View, Kind::Bytes(bytes)) => {
            if value_type(data_type).is_string() && std::str::from_utf8(bytes).is_err() {
                return Err(path.wrong("the text is no UTF-8"));
            }
            Ok(Scalar::Bytes(Arc::from(&bytes[..])))
        }
        (Physical::Nested, _) if !data_type.is_null() => Ok(Scalar::Nested(array(kind, data_type, path, depth)?)),
        _ => Err(misfit()),
    }
}

/// The type of a dictionary's values; else the type itself.
fn value_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, value) => value,
        other => other,
    }
}

fn decimal(kind: &Kind, data_type: &DataType, path: &Path<'_>) -> Result<Scalar> {
    let misfit = || path.wrong(format!("the value is none of {data_type}"));
    let precision = match data_type {
        DataType::Decimal32(p, _) | DataType::Decimal64(p, _) | DataType::Decimal128(p, _) => *p,
        DataType::Decimal256(p, _) => *p,
        _ => return Err(misfit()),
    };
    let (value, scalar) = match kind {
        Kind::Int64(v) => (i256::from_i128((*v).into()), Scalar::Int64(*v)),
        Kind::Wide(bytes) => {
            let value = wide(bytes, path)?;
            match (physical_type(data_type), bytes.len()) {
                (Physical::Int256, 32) => (value, Scalar::Int256(value)),
                (_, 16) => (value, Scalar::Int128(narrow(value, path)?)),
                _ => return Err(misfit()),
            }
        }
        _ => return Err(misfit()),
    };
    let limit = i256::from_i128(10).checked_pow(precision.into()).ok_or_else(misfit)?;
    if value >= limit || value <= limit.wrapping_neg() { Err(misfit()) } else { Ok(scalar) }
}

/// An integer in two's complement, little-endian.
fn wide(bytes: &Bytes, path: &Path<'_>) -> Result<i256> {
    if let Ok(bytes) = <[u8; 16]>::try_from(&bytes[..]) {
        return Ok(i256::from_i128(i128::from_le_bytes(bytes)));
    }
    let bytes = <[u8; 32]>::try_from(&bytes[..]);
    bytes.map(i256::from_le_bytes).map_err(|_| path.wrong("a wide integer has 16 or 32 bytes"))
}

fn narrow(value: i256, path: &Path<'_>) -> Result<i128> {
    value.to_i128().ok_or_else(|| path.wrong("the value does not fit 128 bits"))
}

/// An array of one row.
fn array(kind: &Kind, data_type: &DataType, path: &Path<'_>, depth: usize) -> Result<ArrayRef> {
    if depth > TYPE_DEPTH_MAX {
        return Err(path.wrong(format!("values are nested more than {TYPE_DEPTH_MAX} deep")));
    }
    if let Kind::Null(_) = kind {
        return match fixed_size(data_type) {
            size if size > NULL_SIZE_MAX => Err(path.refuse(format!("null as a {data_type} inside a constant"))),
            _ => Ok(new_null_array(data_type, 1)),
        };
    }
    let misfit = || path.wrong(format!("the value is none of {data_type}"));
    let list = || match kind {
        Kind::List(list) => Ok(&list.elements[..]),
        _ => Err(misfit()),
    };
    match data_type {
        DataType::List(element) => variable::<i32>(list()?, element, path, depth),
        DataType::LargeList(element) => variable::<i64>(list()?, element, path, depth),
        DataType::FixedSizeList(element, size) if list()?.len() == *size as usize => {
            let values = elements(list()?, element, path, depth)?;
            let array = FixedSizeListArray::try_new_with_length(element.clone(), *size, values, None, 1);
            Ok(Arc::new(array.map_err(|e| path.wrong(e.to_string()))?))
        }
        DataType::Map(entries, sorted) => {
            let values = elements(list()?, entries, path, depth)?;
            let offsets = OffsetBuffer::from_lengths([values.len()]);
            let values = values.as_any().downcast_ref::<StructArray>().ok_or_else(misfit)?.clone();
            let array = MapArray::try_new(entries.clone(), offsets, values, None, *sorted);
            Ok(Arc::new(array.map_err(|e| path.wrong(e.to_string()))?))
        }
        DataType::Struct(fields) => structure(kind, fields, path, depth),
        DataType::FixedSizeBinary(size) => match kind {
            Kind::Bytes(bytes) if bytes.len() == *size as usize => {
                let array = FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some(&bytes[..])].into_iter(), *size);
                Ok(Arc::new(array.map_err(|e| path.wrong(e.to_string()))?))
            }
            _ => Err(misfit()),
        },
        DataType::Float16 => match kind {
            Kind::Float32(v) => Ok(Arc::new(Float16Array::from(vec![Half::from_f32(*v)]))),
            _ => Err(misfit()),
        },
        DataType::Interval(IntervalUnit::DayTime) => match kind {
            Kind::Interval(v) if v.months == 0 && v.nanoseconds % NANOS_PER_MILLI == 0 => {
                let millis = i32::try_from(v.nanoseconds / NANOS_PER_MILLI).map_err(|_| misfit())?;
                Ok(Arc::new(IntervalDayTimeArray::from(vec![IntervalDayTime::new(v.days, millis)])))
            }
            _ => Err(misfit()),
        },
        _ if physical_type(data_type) != Physical::Nested => {
            let scalar = typed(kind, data_type, path, depth)?;
            let column = scalar.to_column(data_type, 1).map_err(|e| path.refused(e))?;
            export_column(&column, data_type).map_err(|e| path.refused(e))
        }
        _ => Err(misfit()),
    }
}

fn variable<O: OffsetSizeTrait>(
    values: &[Bytes],
    element: &FieldRef,
    path: &Path<'_>,
    depth: usize,
) -> Result<ArrayRef> {
    let values = elements(values, element, path, depth)?;
    let offsets = OffsetBuffer::from_lengths([values.len()]);
    let array = GenericListArray::<O>::try_new(element.clone(), offsets, values, None);
    Ok(Arc::new(array.map_err(|e| path.wrong(e.to_string()))?))
}

/// Values of one type, one below the other.
fn elements(values: &[Bytes], element: &FieldRef, path: &Path<'_>, depth: usize) -> Result<ArrayRef> {
    let parts = values.iter().enumerate().map(|(i, value)| {
        let path = path.item("elements", i);
        array(&kind(value, &path)?, element.data_type(), &path, depth + 1)
    });
    let parts = parts.collect::<Result<Vec<_>>>()?;
    if parts.is_empty() {
        return Ok(new_empty_array(element.data_type()));
    }
    let parts: Vec<&dyn Array> = parts.iter().map(|p| p.as_ref()).collect();
    arrow::compute::concat(&parts).map_err(|e| path.wrong(e.to_string()))
}

fn structure(kind: &Kind, fields: &Fields, path: &Path<'_>, depth: usize) -> Result<ArrayRef> {
    let values = match kind {
        Kind::Struct(given) if given.fields.len() == fields.len() => &given.fields,
        Kind::Struct(given) => {
            return Err(path.wrong(format!("{} values for {} fields", given.fields.len(), fields.len())));
        }
        _ => return Err(path.wrong("the value is no struct")),
    };
    let columns = values.iter().zip(fields).enumerate().map(|(i, (value, field))| {
        let path = path.item("fields", i);
        array(&self::kind(value, &path)?, field.data_type(), &path, depth + 1)
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let array = StructArray::try_new_with_length(fields.clone(), columns, None, 1);
    Ok(Arc::new(array.map_err(|e| path.wrong(e.to_string()))?))
}
