//! Spark's casts: `spark_cast(value, NULL::target, zone, java)`.

mod moment;
mod number;
mod parse;
mod text;
mod write;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use plasmon_core::{Error, Result};

use super::columns::Call;
use super::definition::Definition;
use super::sql::type_name;
use super::zone::Zone;

pub(super) const FUNCTIONS: &[Definition] = &[Definition::new("cast", result, cast).with_modes()];

/// Positions of the arguments.
const VALUE: usize = 0;
const ZONE: usize = 2;
const JAVA: usize = 3;

fn result(types: &[DataType]) -> Result<DataType> {
    let [from, to, _, DataType::Int32] = types else {
        return Err(Error::user("it takes a value, a null of the target's type, a time zone and Java's version"));
    };
    if conversion(from, to).is_none() {
        return Err(Error::unsupported(format!("Spark's cast from {} to {}", type_name(from), type_name(to))));
    }
    Ok(canonical(to))
}

/// Texts and binaries are views here.
fn canonical(data_type: &DataType) -> DataType {
    match kind(data_type) {
        Some(Kind::Text) => DataType::Utf8View,
        Some(Kind::Binary) => DataType::BinaryView,
        _ => data_type.clone(),
    }
}

/// What types have in common for a cast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    Integer,
    Float,
    Decimal,
    Text,
    Binary,
    Date,
    /// With a zone.
    Timestamp,
    /// Without.
    Clock,
}

fn kind(data_type: &DataType) -> Option<Kind> {
    use DataType::*;
    Some(match data_type {
        Boolean => Kind::Boolean,
        Int8 | Int16 | Int32 | Int64 => Kind::Integer,
        Float32 | Float64 => Kind::Float,
        Decimal128(_, _) => Kind::Decimal,
        Utf8 | LargeUtf8 | Utf8View => Kind::Text,
        Binary | LargeBinary | BinaryView => Kind::Binary,
        Date32 => Kind::Date,
        Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some(_)) => Kind::Timestamp,
        Timestamp(arrow::datatypes::TimeUnit::Microsecond, None) => Kind::Clock,
        _ => return None,
    })
}

type Conversion = fn(&Call) -> Result<ArrayRef>;

/// How values of one type become values of the other; `None`: Spark, or this, has no such cast.
fn conversion(from: &DataType, to: &DataType) -> Option<Conversion> {
    use Kind::*;
    Some(match (kind(from)?, kind(to)?) {
        (Text, Boolean) => text::to_boolean,
        (Text, Integer) => text::to_integer,
        (Text, Float) => text::to_float,
        (Text, Decimal) => text::to_decimal,
        (Text, Date) => text::to_date,
        (Text, Timestamp) => text::to_timestamp,
        (Text, Clock) => text::to_clock,
        (Text, Binary) | (Binary, Binary) | (Text, Text) => relabelled,
        (Boolean, Integer) => number::boolean_to_integer,
        (Boolean, Float) => number::boolean_to_float,
        (Boolean, Decimal) => number::boolean_to_decimal,
        (Integer, Boolean) => number::integer_to_boolean,
        (Float, Boolean) => number::float_to_boolean,
        (Decimal, Boolean) => number::decimal_to_boolean,
        (Integer, Integer) => number::integer_to_integer,
        (Float, Integer) => number::float_to_integer,
        (Decimal, Integer) => number::decimal_to_integer,
        (Integer, Float) => number::integer_to_float,
        (Float, Float) => number::float_to_float,
        (Decimal, Float) => number::decimal_to_float,
        (Integer, Decimal) => number::integer_to_decimal,
        (Float, Decimal) => number::float_to_decimal,
        (Decimal, Decimal) => number::decimal_to_decimal,
        (Date, Timestamp) => moment::date_to_timestamp,
        (Date, Clock) => moment::date_to_clock,
        (Timestamp, Date) => moment::timestamp_to_date,
        (Clock, Date) => moment::clock_to_date,
        (Timestamp, Clock) => moment::timestamp_to_clock,
        (Clock, Timestamp) => moment::clock_to_timestamp,
        (Timestamp, Integer) => moment::timestamp_to_integer,
        (Integer, Timestamp) => moment::integer_to_timestamp,
        (Timestamp, Float) => moment::timestamp_to_float,
        (Boolean, Text) => write::boolean,
        (Integer, Text) => write::integer,
        (Float, Text) => write::float,
        (Decimal, Text) => write::decimal,
        (Binary, Text) => write::binary,
        (Date, Text) => write::date,
        (Timestamp, Text) => write::timestamp,
        (Clock, Text) => write::clock,
        _ => return None,
    })
}

fn cast(call: &Call) -> Result<ArrayRef> {
    let from = call.type_of(VALUE)?;
    match conversion(from, call.result()) {
        Some(convert) => convert(call),
        None => Err(Error::internal(format!("no cast from {from}"))),
    }
}

fn relabelled(call: &Call) -> Result<ArrayRef> {
    Ok(arrow::compute::cast(&call.full_array(VALUE)?, call.result())?)
}

fn zone(call: &Call) -> Result<Zone> {
    match call.constant_text(ZONE)? {
        Some(name) => Zone::of_session(name),
        None => Err(Error::user("this cast wants a time zone")),
    }
}
