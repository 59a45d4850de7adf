//! Constants, both ways.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, MapArray, StructArray, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, IntervalMonthDayNano, TimeUnit};
use datafusion_common::ScalarValue;
use plasmon_core::batch::arrow::export_column;
use plasmon_core::expression::{Expression, Scalar};
use plasmon_core::{Error, Result};
use substrait_prost::expression::Literal;
use substrait_prost::expression::literal::{self as kinds, LiteralType};

use super::types::{DeclaredTypes, decimal, from_arrow, is_utc, map_type, unit};
use crate::error::convert_error;
use crate::path::Path;
use crate::sql::convert_scalar;

impl DeclaredTypes {
    /// The constant of a literal.
    pub(super) fn constant(&self, literal: &Literal, at: &Path<'_>) -> Result<Expression> {
        let value = self.value(literal, at)?;
        let data_type = value.data_type();
        Ok(Expression::literal(convert_scalar(&value).map_err(|e| at.locate(e))?, data_type))
    }

    fn value(&self, literal: &Literal, at: &Path<'_>) -> Result<ScalarValue> {
        let Some(kind) = &literal.literal_type else { return Err(at.wrong("a literal without a value")) };
        let unsigned = match literal.type_variation_reference {
            1 => self.variations.is_empty(),
            _ => false,
        };
        Ok(match kind {
            LiteralType::Boolean(v) => ScalarValue::Boolean(Some(*v)),
            LiteralType::I8(v) if unsigned => ScalarValue::UInt8(Some(fits(*v, at)?)),
            LiteralType::I16(v) if unsigned => ScalarValue::UInt16(Some(fits(*v, at)?)),
            LiteralType::I32(v) if unsigned => ScalarValue::UInt32(Some(*v as u32)),
            LiteralType::I64(v) if unsigned => ScalarValue::UInt64(Some(*v as u64)),
            LiteralType::I8(v) => ScalarValue::Int8(Some(fits(*v, at)?)),
            LiteralType::I16(v) => ScalarValue::Int16(Some(fits(*v, at)?)),
            LiteralType::I32(v) => ScalarValue::Int32(Some(*v)),
            LiteralType::I64(v) => ScalarValue::Int64(Some(*v)),
            LiteralType::Fp32(v) => ScalarValue::Float32(Some(*v)),
            LiteralType::Fp64(v) => ScalarValue::Float64(Some(*v)),
            LiteralType::String(v) | LiteralType::FixedChar(v) => ScalarValue::Utf8(Some(v.clone())),
            LiteralType::VarChar(v) => ScalarValue::Utf8(Some(v.value.clone())),
            LiteralType::Binary(v) => ScalarValue::Binary(Some(v.clone())),
            LiteralType::FixedBinary(v) if !v.is_empty() => {
                ScalarValue::FixedSizeBinary(fits(v.len(), at)?, Some(v.clone()))
            }
            LiteralType::FixedBinary(_) => return Err(at.refuse("a fixed_binary of 0 bytes")),
            LiteralType::Uuid(v) if v.len() == 16 => ScalarValue::FixedSizeBinary(16, Some(v.clone())),
            LiteralType::Date(v) => ScalarValue::Date32(Some(*v)),
            LiteralType::Decimal(v) => self.decimal(v, at)?,
            LiteralType::PrecisionTime(v) => match unit(v.precision, at)? {
                TimeUnit::Second => ScalarValue::Time32Second(Some(fits(v.value, at)?)),
                TimeUnit::Millisecond => ScalarValue::Time32Millisecond(Some(fits(v.value, at)?)),
                TimeUnit::Microsecond => ScalarValue::Time64Microsecond(Some(v.value)),
                TimeUnit::Nanosecond => ScalarValue::Time64Nanosecond(Some(v.value)),
            },
            LiteralType::PrecisionTimestamp(v) => timestamp(v, None, at)?,
            LiteralType::PrecisionTimestampTz(v) => timestamp(v, Some("UTC".into()), at)?,
            LiteralType::IntervalYearToMonth(v) => interval(Some(v), None, at)?,
            LiteralType::IntervalDayToSecond(v) => interval(None, Some(v), at)?,
            LiteralType::IntervalCompound(v) => {
                interval(v.interval_year_to_month.as_ref(), v.interval_day_to_second.as_ref(), at)?
            }
            LiteralType::Null(stated) => null(&self.to_arrow(stated, at)?)?,
            LiteralType::List(list) => self.list(list, at)?,
            LiteralType::EmptyList(list) => match &list.r#type {
                Some(inner) => ScalarValue::List(ScalarValue::new_list_nullable(&[], &self.to_arrow(inner, at)?)),
                None => return Err(at.wrong("the type of an empty list is missing")),
            },
            LiteralType::Struct(value) => self.structure(value, at)?,
            LiteralType::Map(value) => self.map(value, at)?,
            LiteralType::EmptyMap(stated) => match (&stated.key, &stated.value) {
                (Some(key), Some(value)) => {
                    map(&[], &[], self.to_arrow(key, at)?, self.to_arrow(value, at)?).map_err(|e| at.locate(e))?
                }
                _ => return Err(at.wrong("the type of an empty map is missing")),
            },
            LiteralType::Uuid(v) => return Err(at.wrong(format!("a UUID of {} bytes", v.len()))),
            LiteralType::UserDefined(_) => return Err(at.refuse("literals of user-defined types")),
        })
    }

    fn decimal(&self, value: &kinds::Decimal, at: &Path<'_>) -> Result<ScalarValue> {
        let data_type = decimal(value.precision, value.scale, at)?;
        let bytes: [u8; 16] = value.value.as_slice().try_into().map_err(|_| at.wrong("a decimal is 16 bytes"))?;
        match data_type {
            DataType::Decimal128(precision, scale) => {
                let number = i128::from_le_bytes(bytes);
                if number.unsigned_abs() >= 10u128.pow(u32::from(precision)) {
                    return Err(at.wrong(format!("a decimal literal of more than {precision} digits")));
                }
                Ok(ScalarValue::Decimal128(Some(number), precision, scale))
            }
            other => Err(at.refuse(format!("literals of type {other}"))),
        }
    }

    fn values<'l>(&self, values: impl IntoIterator<Item = &'l Literal>, at: &Path<'_>) -> Result<Vec<ScalarValue>> {
        values.into_iter().enumerate().map(|(i, v)| self.value(v, &at.item("values", i))).collect()
    }

    fn list(&self, list: &kinds::List, at: &Path<'_>) -> Result<ScalarValue> {
        let values = self.values(&list.values, at)?;
        let Some(first) = values.first() else {
            return Err(at.wrong("an empty list literal; it has a form of its own"));
        };
        let data_type = first.data_type();
        match values.iter().find(|v| v.data_type() != data_type) {
            Some(other) => Err(at.wrong(format!("a list of {data_type} and {}", other.data_type()))),
            None => Ok(ScalarValue::List(ScalarValue::new_list_nullable(&values, &data_type))),
        }
    }

    fn structure(&self, value: &kinds::Struct, at: &Path<'_>) -> Result<ScalarValue> {
        let values = self.values(&value.fields, at)?;
        let columns = values.iter().enumerate().map(|(i, v)| {
            let field: FieldRef = Arc::new(Field::new(format!("c{i}"), v.data_type(), true));
            Ok((field, v.to_array().map_err(convert_error)?))
        });
        let columns = columns.collect::<Result<Vec<(FieldRef, ArrayRef)>>>().map_err(|e| at.locate(e))?;
        if columns.is_empty() {
            return Err(at.refuse("structs without fields"));
        }
        Ok(ScalarValue::Struct(Arc::new(StructArray::from(columns))))
    }

    fn map(&self, value: &kinds::Map, at: &Path<'_>) -> Result<ScalarValue> {
        let keys = self.values(value.key_values.iter().filter_map(|kv| kv.key.as_ref()), at)?;
        let values = self.values(value.key_values.iter().filter_map(|kv| kv.value.as_ref()), at)?;
        let (Some(key), Some(item)) = (keys.first(), values.first()) else {
            return Err(at.wrong("an empty map literal; it has a form of its own"));
        };
        let (key_type, value_type) = (key.data_type(), item.data_type());
        let alike =
            keys.iter().all(|k| k.data_type() == key_type) && values.iter().all(|v| v.data_type() == value_type);
        if keys.len() != values.len() || keys.len() != value.key_values.len() || !alike {
            return Err(at.wrong("a map's entries differ in their types"));
        }
        map(&keys, &values, key_type, value_type).map_err(|e| at.locate(e))
    }
}

fn fits<A, B: TryFrom<A>>(value: A, at: &Path<'_>) -> Result<B> {
    B::try_from(value).map_err(|_| at.wrong("a literal that its type does not hold"))
}

fn null(data_type: &DataType) -> Result<ScalarValue> {
    ScalarValue::try_from(data_type).map_err(convert_error)
}

fn timestamp(value: &kinds::PrecisionTimestamp, zone: Option<Arc<str>>, at: &Path<'_>) -> Result<ScalarValue> {
    Ok(match unit(value.precision, at)? {
        TimeUnit::Second => ScalarValue::TimestampSecond(Some(value.value), zone),
        TimeUnit::Millisecond => ScalarValue::TimestampMillisecond(Some(value.value), zone),
        TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(Some(value.value), zone),
        TimeUnit::Nanosecond => ScalarValue::TimestampNanosecond(Some(value.value), zone),
    })
}

fn interval(
    months: Option<&kinds::IntervalYearToMonth>,
    days: Option<&kinds::IntervalDayToSecond>,
    at: &Path<'_>,
) -> Result<ScalarValue> {
    let months = months.map_or(Some(0), |v| v.years.checked_mul(12).and_then(|m| m.checked_add(v.months)));
    let nanos = days.map_or(Some(0), |v| {
        let digits = u32::try_from(v.precision).ok().filter(|&d| d <= 9)?;
        let below = v.subseconds.checked_mul(10i64.pow(9 - digits))?;
        i64::from(v.seconds).checked_mul(1_000_000_000)?.checked_add(below)
    });
    match (months, nanos) {
        (Some(months), Some(nanoseconds)) => Ok(ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano {
            months,
            days: days.map_or(0, |v| v.days),
            nanoseconds,
        }))),
        _ => Err(at.wrong("an interval beyond what months, days and nanoseconds hold")),
    }
}

fn map(keys: &[ScalarValue], values: &[ScalarValue], key: DataType, value: DataType) -> Result<ScalarValue> {
    let array = |values: &[ScalarValue], data_type: &DataType| match values {
        [] => Ok(new_empty_array(data_type)),
        values => ScalarValue::iter_to_array(values.iter().cloned()).map_err(convert_error),
    };
    let (keys, values) = (array(keys, &key)?, array(values, &value)?);
    let DataType::Map(entries, sorted) = map_type(key, value) else { return Err(Error::internal("a map type")) };
    let DataType::Struct(fields) = entries.data_type() else { return Err(Error::internal("entries of a map")) };
    let offsets = OffsetBuffer::from_lengths([keys.len()]);
    let entries_array = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
    Ok(ScalarValue::Map(Arc::new(MapArray::try_new(entries, offsets, entries_array, None, sorted)?)))
}

/// The literal of a constant; `Err` is why there is none.
pub(super) fn literal(value: &Scalar, data_type: &DataType) -> Result<Literal, String> {
    let nullable = value.is_null();
    let literal_type = if nullable {
        LiteralType::Null(from_arrow(data_type, true)?)
    } else {
        let column =
            value.to_column(data_type, 1).and_then(|c| export_column(&c, data_type)).map_err(|e| e.to_string())?;
        of_value(&ScalarValue::try_from_array(&column, 0).map_err(|e| e.to_string())?)?
    };
    Ok(Literal { nullable, type_variation_reference: 0, literal_type: Some(literal_type) })
}

fn of_value(value: &ScalarValue) -> Result<LiteralType, String> {
    use ScalarValue as V;
    let time = |precision, value| Ok(LiteralType::PrecisionTime(kinds::PrecisionTime { precision, value }));
    let stamp = |precision, value, zone: &Option<Arc<str>>| {
        let value = kinds::PrecisionTimestamp { precision, value };
        match zone.as_deref() {
            None => Ok(LiteralType::PrecisionTimestamp(value)),
            Some(zone) if is_utc(zone) => Ok(LiteralType::PrecisionTimestampTz(value)),
            Some(zone) => Err(format!("timestamps of zone {zone} have no form in Substrait")),
        }
    };
    Ok(match value {
        V::Boolean(Some(v)) => LiteralType::Boolean(*v),
        V::Int8(Some(v)) => LiteralType::I8(i32::from(*v)),
        V::Int16(Some(v)) => LiteralType::I16(i32::from(*v)),
        V::UInt8(Some(v)) => LiteralType::I16(i32::from(*v)),
        V::Int32(Some(v)) => LiteralType::I32(*v),
        V::UInt16(Some(v)) => LiteralType::I32(i32::from(*v)),
        V::Int64(Some(v)) => LiteralType::I64(*v),
        V::UInt32(Some(v)) => LiteralType::I64(i64::from(*v)),
        V::UInt64(Some(v)) => {
            LiteralType::I64(i64::try_from(*v).map_err(|_| format!("{v} is beyond Substrait's integers"))?)
        }
        V::Float32(Some(v)) => LiteralType::Fp32(*v),
        V::Float64(Some(v)) => LiteralType::Fp64(*v),
        V::Utf8(Some(v)) | V::LargeUtf8(Some(v)) | V::Utf8View(Some(v)) => LiteralType::String(v.clone()),
        V::Binary(Some(v)) | V::LargeBinary(Some(v)) | V::BinaryView(Some(v)) => LiteralType::Binary(v.clone()),
        V::FixedSizeBinary(_, Some(v)) => LiteralType::FixedBinary(v.clone()),
        V::Date32(Some(v)) => LiteralType::Date(*v),
        V::Decimal32(Some(v), p, s) => of_decimal(i128::from(*v), *p, *s),
        V::Decimal64(Some(v), p, s) => of_decimal(i128::from(*v), *p, *s),
        V::Decimal128(Some(v), p, s) => of_decimal(*v, *p, *s),
        V::Time32Second(Some(v)) => return time(0, i64::from(*v)),
        V::Time32Millisecond(Some(v)) => return time(3, i64::from(*v)),
        V::Time64Microsecond(Some(v)) => return time(6, *v),
        V::Time64Nanosecond(Some(v)) => return time(9, *v),
        V::TimestampSecond(Some(v), zone) => return stamp(0, *v, zone),
        V::TimestampMillisecond(Some(v), zone) => return stamp(3, *v, zone),
        V::TimestampMicrosecond(Some(v), zone) => return stamp(6, *v, zone),
        V::TimestampNanosecond(Some(v), zone) => return stamp(9, *v, zone),
        V::IntervalMonthDayNano(Some(v)) => of_interval(*v)?,
        V::IntervalYearMonth(Some(v)) => of_interval(IntervalMonthDayNano::new(*v, 0, 0))?,
        V::IntervalDayTime(Some(v)) => {
            of_interval(IntervalMonthDayNano::new(0, v.days, i64::from(v.milliseconds) * 1_000_000))?
        }
        V::List(array) => of_list(&array.value(0))?,
        V::Struct(array) => LiteralType::Struct(kinds::Struct {
            fields: array.columns().iter().map(|c| of_element(c, 0)).collect::<Result<_, _>>()?,
        }),
        V::Map(array) if array.value_length(0) > 0 => {
            let entries = array.value(0);
            let (keys, values) = (of_array(entries.column(0))?, of_array(entries.column(1))?);
            let pair = |(key, value)| kinds::map::KeyValue { key: Some(key), value: Some(value) };
            LiteralType::Map(kinds::Map { key_values: keys.into_iter().zip(values).map(pair).collect() })
        }
        V::Dictionary(_, inner) => return of_value(inner),
        other => return Err(format!("literals of type {} have no form in Substrait", other.data_type())),
    })
}

fn of_list(values: &ArrayRef) -> Result<LiteralType, String> {
    if !values.is_empty() {
        return Ok(LiteralType::List(kinds::List { values: of_array(values)? }));
    }
    match from_arrow(&DataType::new_list(values.data_type().clone(), true), false)?.kind {
        Some(substrait_prost::r#type::Kind::List(list)) => Ok(LiteralType::EmptyList(*list)),
        _ => Err(format!("an empty list of {}", values.data_type())),
    }
}

fn of_array(array: &ArrayRef) -> Result<Vec<Literal>, String> {
    (0..array.len()).map(|row| of_element(array, row)).collect()
}

fn of_element(array: &ArrayRef, row: usize) -> Result<Literal, String> {
    let value = ScalarValue::try_from_array(array, row).map_err(|e| e.to_string())?;
    let nullable = value.is_null();
    let literal_type = match nullable {
        true => LiteralType::Null(from_arrow(array.data_type(), true)?),
        false => of_value(&value)?,
    };
    Ok(Literal { nullable, type_variation_reference: 0, literal_type: Some(literal_type) })
}

fn of_decimal(value: i128, precision: u8, scale: i8) -> LiteralType {
    LiteralType::Decimal(kinds::Decimal {
        value: value.to_le_bytes().to_vec(),
        precision: i32::from(precision),
        scale: i32::from(scale),
    })
}

/// The shortest of the three kinds that holds the value.
fn of_interval(value: IntervalMonthDayNano) -> Result<LiteralType, String> {
    const NANOS: i64 = 1_000_000_000;
    let seconds = i32::try_from(value.nanoseconds / NANOS).map_err(|_| format!("interval {value:?} is too long"))?;
    let months = kinds::IntervalYearToMonth { years: value.months / 12, months: value.months % 12 };
    let days =
        kinds::IntervalDayToSecond { days: value.days, seconds, precision: 9, subseconds: value.nanoseconds % NANOS };
    Ok(match (value.months, value.days == 0 && value.nanoseconds == 0) {
        (_, true) => LiteralType::IntervalYearToMonth(months),
        (0, false) => LiteralType::IntervalDayToSecond(days),
        _ => LiteralType::IntervalCompound(kinds::IntervalCompound {
            interval_year_to_month: Some(months),
            interval_day_to_second: Some(days),
        }),
    })
}
