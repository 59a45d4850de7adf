//! Values of the golden files as arrays, and of arrays as texts to compare.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, ListArray, StringViewArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, TimeUnit};
use serde_json::Value;

/// The type of a name: `int32`, `decimal(10,2)`, `list<text>`.
pub(super) fn data_type(name: &str) -> DataType {
    if let Some(element) = name.strip_prefix("list<").and_then(|n| n.strip_suffix('>')) {
        return DataType::List(Arc::new(Field::new("element", data_type(element), true)));
    }
    if let Some(shape) = name.strip_prefix("decimal(").and_then(|n| n.strip_suffix(')')) {
        let (precision, scale) = shape.split_once(',').expect("precision, scale");
        return DataType::Decimal128(precision.parse().expect("precision"), scale.parse().expect("scale"));
    }
    match name {
        "boolean" => DataType::Boolean,
        "int8" => DataType::Int8,
        "int16" => DataType::Int16,
        "int32" => DataType::Int32,
        "int64" => DataType::Int64,
        "float32" => DataType::Float32,
        "float64" => DataType::Float64,
        "text" => DataType::Utf8View,
        "binary" => DataType::BinaryView,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "clock" => DataType::Timestamp(TimeUnit::Microsecond, None),
        other => panic!("no type {other}"),
    }
}

/// The type without what names of elements say.
pub(super) fn canonical(data_type: &DataType) -> String {
    match data_type {
        DataType::List(element) => format!("list of {}", canonical(element.data_type())),
        other => other.to_string(),
    }
}

fn number<T: std::str::FromStr>(value: &Value) -> Option<T> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.parse().ok().or_else(|| panic!("no number: {value}"))
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    let text = value.as_str()?;
    Some((0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hexadecimal")).collect())
}

/// An array of these values.
pub(super) fn array(data_type: &DataType, values: &[&Value]) -> ArrayRef {
    macro_rules! numbers {
        ($array:ty, $native:ty) => {
            Arc::new(values.iter().map(|v| number::<$native>(v)).collect::<$array>())
        };
    }
    match data_type {
        DataType::Boolean => Arc::new(values.iter().map(|v| v.as_bool()).collect::<BooleanArray>()),
        DataType::Int8 => numbers!(Int8Array, i8),
        DataType::Int16 => numbers!(Int16Array, i16),
        DataType::Int32 => numbers!(Int32Array, i32),
        DataType::Int64 => numbers!(Int64Array, i64),
        DataType::Float32 => {
            Arc::new(values.iter().map(|v| number::<f64>(v).map(|v| v as f32)).collect::<Float32Array>())
        }
        DataType::Float64 => numbers!(Float64Array, f64),
        DataType::Date32 => numbers!(Date32Array, i32),
        DataType::Utf8View => Arc::new(values.iter().map(|v| v.as_str()).collect::<StringViewArray>()),
        DataType::BinaryView => Arc::new(values.iter().map(|v| bytes(v)).collect::<BinaryViewArray>()),
        DataType::Timestamp(_, zone) => {
            let array: TimestampMicrosecondArray = values.iter().map(|v| number::<i64>(v)).collect();
            Arc::new(array.with_timezone_opt(zone.clone()))
        }
        DataType::Decimal128(_, _) => {
            let array: Decimal128Array = values.iter().map(|v| number::<i128>(v)).collect();
            Arc::new(array.with_data_type(data_type.clone()))
        }
        DataType::List(element) => {
            let lists: Vec<Option<&Vec<Value>>> = values.iter().map(|v| v.as_array()).collect();
            let elements: Vec<&Value> = lists.iter().flatten().flat_map(|list| list.iter()).collect();
            let offsets = OffsetBuffer::from_lengths(lists.iter().map(|list| list.map_or(0, Vec::len)));
            let nulls: NullBuffer = lists.iter().map(Option::is_some).collect();
            let elements = array(element.data_type(), &elements);
            Arc::new(ListArray::new(element.clone(), offsets, elements, Some(nulls)))
        }
        other => panic!("no values of {other}"),
    }
}

/// A value as a text that equal values share.
pub(super) fn render(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "null".into();
    }
    match array.data_type() {
        DataType::Float64 => format!("{:?}", array.as_primitive::<Float64Type>().value(row)),
        DataType::Float32 => format!("{:?}", array.as_primitive::<Float32Type>().value(row)),
        DataType::Utf8View => format!("{:?}", array.as_string_view().value(row)),
        DataType::List(_) => {
            let list = array.as_list::<i32>().value(row);
            let elements: Vec<String> = (0..list.len()).map(|i| render(&list, i)).collect();
            format!("[{}]", elements.join(", "))
        }
        DataType::Decimal128(_, _) => array.as_primitive::<arrow::datatypes::Decimal128Type>().value(row).to_string(),
        DataType::Timestamp(_, _) => {
            array.as_primitive::<arrow::datatypes::TimestampMicrosecondType>().value(row).to_string()
        }
        _ => arrow::util::display::array_value_to_string(array, row).expect("a value"),
    }
}
