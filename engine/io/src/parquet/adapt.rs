//! Stored columns as those that a host wants: found by name, of another type where that holds every value.
//!
//! Which types those are is told by types alone ([`check`]), before anything is read; single values still fail where they have no image (a text that is
//! no UTF-8, a timestamp too far off).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, Date32Type, Fields, Int64Type, TimeUnit};

use crate::schema::widest;

/// How names of columns are looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Naming {
    pub(super) case_sensitive: bool,
}

impl Naming {
    /// The field of that name; two are an error.
    pub(super) fn find(self, name: &str, fields: &Fields) -> Result<Option<usize>, String> {
        let lower = name.to_lowercase();
        let is_named = |other: &str| match self.case_sensitive {
            true => other == name,
            false => other == name || other.to_lowercase() == lower,
        };
        let mut found = fields.iter().enumerate().filter(|(_, field)| is_named(field.name()));
        match (found.next(), found.next()) {
            (Some((_, first)), Some((_, second))) => {
                Err(format!("columns {} and {} are both named {name}", first.name(), second.name()))
            }
            (first, _) => Ok(first.map(|(index, _)| index)),
        }
    }
}

/// How values of one type that is not nested become those of another.
#[derive(Debug, Clone, Copy)]
enum Conversion {
    Same,
    Cast,
    /// Timestamps of a unit, whatever the zone.
    Timestamp(TimeUnit),
    /// Midnights.
    Date,
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

fn conversion(stored: &DataType, wanted: &DataType) -> Option<Conversion> {
    use DataType::{Binary, BinaryView, Date32, Decimal128, FixedSizeBinary, Float32, Float64, LargeBinary, LargeUtf8};
    use DataType::{Decimal32, Decimal64, Dictionary, Timestamp, Utf8, Utf8View};
    let is_bytes = |t: &DataType| matches!(t, Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView);
    let holds = |when: bool| when.then_some(Conversion::Cast);
    match (stored, wanted) {
        (a, b) if a == b => Some(Conversion::Same),
        (Dictionary(_, values), b) => holds(is_bytes(values) && is_bytes(b)),
        (a, b) if is_bytes(a) && is_bytes(b) => Some(Conversion::Cast),
        (FixedSizeBinary(_), Binary | BinaryView) => Some(Conversion::Cast),
        (a, b) if a.is_integer() && b.is_integer() => holds(widest(a, b).as_ref() == Some(b)),
        (a, Float64) if a.is_integer() => holds(digits(a) <= 10),
        (Float32, Float64) => Some(Conversion::Cast),
        (a, Decimal128(precision, scale)) if a.is_integer() => holds(digits(a) + scale <= *precision as i8),
        (Decimal32(p, s) | Decimal64(p, s) | Decimal128(p, s), Decimal128(q, t)) => {
            holds(t >= s && *q as i8 - t >= *p as i8 - s)
        }
        (Timestamp(unit, _), Timestamp(TimeUnit::Microsecond, _)) => Some(Conversion::Timestamp(*unit)),
        (Date32, Timestamp(TimeUnit::Microsecond, None)) => Some(Conversion::Date),
        _ => None,
    }
}

/// Decimal digits of the longest value.
fn digits(integer: &DataType) -> i8 {
    match integer {
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        DataType::Int64 => 19,
        _ => 20,
    }
}

/// Whether a column is read as it is stored: only what its type is called differs.
pub(super) fn is_stored_as(stored: &DataType, wanted: &DataType) -> bool {
    match (stored, wanted) {
        (DataType::Timestamp(a, _), DataType::Timestamp(b, _)) => a == b,
        (DataType::BinaryView | DataType::Utf8View, DataType::BinaryView | DataType::Utf8View) => true,
        (a, b) => a == b,
    }
}

/// Why values of a stored type cannot all be had as the wanted one, if so.
pub(super) fn check(stored: &DataType, wanted: &DataType, naming: Naming) -> Result<(), String> {
    match (stored, wanted) {
        (DataType::Null, _) => Ok(()),
        (DataType::List(a), DataType::List(b)) => check(a.data_type(), b.data_type(), naming),
        (DataType::Map(a, _), DataType::Map(b, _)) => entries(a.data_type())?
            .iter()
            .zip(entries(b.data_type())?)
            .try_for_each(|(a, b)| check(a.data_type(), b.data_type(), naming)),
        (DataType::Struct(a), DataType::Struct(b)) => {
            let mut is_empty = !b.is_empty();
            for field in b {
                if let Some(index) = naming.find(field.name(), a)? {
                    check(a[index].data_type(), field.data_type(), naming)?;
                    is_empty = false;
                }
            }
            // Whether a struct is there cannot be told by fields that are not.
            if is_empty { Err(format!("{stored} has no field of {wanted}")) } else { Ok(()) }
        }
        (a, b) => conversion(a, b).map(drop).ok_or_else(|| format!("{a} cannot be read as {b}")),
    }
}

fn entries(data_type: &DataType) -> Result<&Fields, String> {
    match data_type {
        DataType::Struct(fields) if fields.len() == 2 => Ok(fields),
        other => Err(format!("entries of a map that are {other}")),
    }
}

/// The values as those of the wanted type, which [`check`] has found possible.
pub(super) fn adapt(array: &ArrayRef, wanted: &DataType, naming: Naming) -> Result<ArrayRef, String> {
    let failed = |e: arrow::error::ArrowError| e.to_string();
    Ok(match (array.data_type(), wanted) {
        (stored, wanted) if stored == wanted => array.clone(),
        // Which lie in 64 bits, as such decimals do in the engine.
        (DataType::Decimal64(_, s), DataType::Decimal128(p, t)) if s == t && *p <= 18 => array.clone(),
        (DataType::Null, wanted) => new_null_array(wanted, array.len()),
        (DataType::List(_), DataType::List(element)) => {
            let list = array.as_list::<i32>();
            let values = adapt(list.values(), element.data_type(), naming)?;
            let adapted = ListArray::try_new(element.clone(), list.offsets().clone(), values, list.nulls().cloned());
            Arc::new(adapted.map_err(failed)?)
        }
        (DataType::Map(_, _), DataType::Map(wanted, sorted)) => {
            let map = array.as_map();
            let fields = entries(wanted.data_type())?;
            let columns = map.entries().columns().iter().zip(fields);
            let columns = columns.map(|(column, field)| adapt(column, field.data_type(), naming));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let entries = StructArray::try_new(fields.clone(), columns, None).map_err(failed)?;
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            Arc::new(MapArray::try_new(wanted.clone(), offsets, entries, nulls, *sorted).map_err(failed)?)
        }
        (DataType::Struct(stored), DataType::Struct(fields)) => {
            let columns = fields.iter().map(|field| match naming.find(field.name(), stored)? {
                Some(index) => adapt(array.as_struct().column(index), field.data_type(), naming),
                None => Ok(new_null_array(field.data_type(), array.len())),
            });
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let nulls = array.nulls().cloned();
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, array.len()).map_err(failed)?)
        }
        (stored, wanted) => match conversion(stored, wanted) {
            Some(Conversion::Same) => array.clone(),
            Some(Conversion::Cast) => {
                let strict = CastOptions { safe: false, ..CastOptions::default() };
                arrow::compute::cast_with_options(array, wanted, &strict).map_err(failed)?
            }
            Some(Conversion::Timestamp(unit)) => microseconds(array, unit, wanted)?,
            Some(Conversion::Date) => {
                let days = array.as_primitive::<Date32Type>();
                let midnight = |day: i32| i64::from(day).checked_mul(MICROS_PER_DAY).ok_or_else(|| too_far(day.into()));
                let midnights: TimestampMicrosecondArray = days.try_unary(midnight).map_err(|e| e.to_string())?;
                Arc::new(midnights)
            }
            None => return Err(format!("{stored} cannot be read as {wanted}")),
        },
    })
}

fn too_far(value: i64) -> arrow::error::ArrowError {
    arrow::error::ArrowError::ComputeError(format!("{value} is too far off for microseconds"))
}

/// Timestamps in microseconds, of the zone that `wanted` names: they are the same instants, or the same times of day, whatever they are called.
fn microseconds(array: &ArrayRef, unit: TimeUnit, wanted: &DataType) -> Result<ArrayRef, String> {
    let failed = |e: arrow::error::ArrowError| e.to_string();
    let plain = arrow::compute::cast(&plain(array)?, &DataType::Int64).map_err(failed)?;
    let counts = plain.as_primitive::<Int64Type>();
    let times = |factor: i64| counts.try_unary(|count| count.checked_mul(factor).ok_or_else(|| too_far(count)));
    let micros: TimestampMicrosecondArray = match unit {
        TimeUnit::Second => times(1_000_000).map_err(failed)?,
        TimeUnit::Millisecond => times(1_000).map_err(failed)?,
        TimeUnit::Microsecond => counts.reinterpret_cast(),
        TimeUnit::Nanosecond => counts.unary(|count| count.div_euclid(1_000)),
    };
    let zone = if let DataType::Timestamp(_, zone) = wanted { zone.clone() } else { None };
    Ok(Arc::new(micros.with_timezone_opt(zone)))
}

/// The same counts without a zone, which is one more thing that a cast might mind.
fn plain(array: &ArrayRef) -> Result<ArrayRef, String> {
    let DataType::Timestamp(unit, _) = array.data_type() else { return Ok(array.clone()) };
    let data = array.to_data().into_builder().data_type(DataType::Timestamp(*unit, None));
    Ok(arrow::array::make_array(data.build().map_err(|e| e.to_string())?))
}
