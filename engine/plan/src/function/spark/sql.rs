//! Types and values as Spark's messages name them.

use arrow::datatypes::DataType;

use super::calendar;
use super::decimal;
use super::java::{Java, write_f32, write_f64};
use super::zone::Zone;

/// The name of a type in SQL.
pub(super) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BINARY".into(),
        DataType::Date32 => "DATE".into(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP".into(),
        DataType::Timestamp(_, None) => "TIMESTAMP_NTZ".into(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision},{scale})"),
        other => other.to_string().to_uppercase(),
    }
}

/// A text as a literal.
pub(super) fn text_literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// An integer as a literal of its type.
pub(super) fn integer_literal(value: i64, data_type: &DataType) -> String {
    let suffix = match data_type {
        DataType::Int8 => "Y",
        DataType::Int16 => "S",
        DataType::Int64 => "L",
        _ => "",
    };
    format!("{value}{suffix}")
}

/// A double as Spark's messages have it: as a literal, where there is one.
pub(super) fn f64_literal(value: f64, java: Java) -> String {
    let mut text = String::new();
    write_f64(value, java, &mut text);
    if value.is_finite() { format!("{text}D") } else { text }
}

/// A float as Spark's messages have it.
pub(super) fn f32_literal(value: f32, java: Java) -> String {
    let mut text = String::new();
    write_f32(value, java, &mut text);
    text
}

/// A decimal as a literal.
pub(super) fn decimal_literal(value: i128, scale: i8) -> String {
    let mut text = String::new();
    decimal::write_plain(value, scale, &mut text);
    text + "BD"
}

/// A timestamp as a literal.
pub(super) fn timestamp_literal(micros: i64, zone: Zone) -> String {
    let (date, time) = calendar::split(zone.to_local(micros));
    let mut text = String::from("TIMESTAMP '");
    calendar::write_date(date, &mut text);
    text.push(' ');
    calendar::write_time(time, &mut text);
    text + "'"
}
