//! `GetInfo`: who made the driver, and what it can do.

use std::sync::Arc;

use adbc_core::constants::{
    ADBC_INFO_DRIVER_ADBC_VERSION, ADBC_INFO_DRIVER_ARROW_VERSION, ADBC_INFO_DRIVER_NAME, ADBC_INFO_DRIVER_VERSION,
    ADBC_INFO_VENDOR_ARROW_VERSION, ADBC_INFO_VENDOR_NAME, ADBC_INFO_VENDOR_SQL, ADBC_INFO_VENDOR_SUBSTRAIT,
    ADBC_INFO_VENDOR_VERSION, ADBC_VERSION_1_1_0,
};
use adbc_core::schemas::GET_INFO_SCHEMA;
use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, UInt32Array, UnionArray, new_empty_array,
};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::DataType;

use crate::error::Result;

enum Value {
    Text(&'static str),
    Flag(bool),
    Number(i64),
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Every code that the driver answers, in the order of their numbers.
const KNOWN: [(u32, Value); 9] = [
    (ADBC_INFO_VENDOR_NAME, Value::Text("Plasmon")),
    (ADBC_INFO_VENDOR_VERSION, Value::Text(VERSION)),
    (ADBC_INFO_VENDOR_ARROW_VERSION, Value::Text(arrow::ARROW_VERSION)),
    (ADBC_INFO_VENDOR_SQL, Value::Flag(true)),
    (ADBC_INFO_VENDOR_SUBSTRAIT, Value::Flag(true)),
    (ADBC_INFO_DRIVER_NAME, Value::Text("Plasmon ADBC driver")),
    (ADBC_INFO_DRIVER_VERSION, Value::Text(VERSION)),
    (ADBC_INFO_DRIVER_ARROW_VERSION, Value::Text(arrow::ARROW_VERSION)),
    (ADBC_INFO_DRIVER_ADBC_VERSION, Value::Number(ADBC_VERSION_1_1_0 as i64)),
];

/// The codes that are wanted, or all; codes that the driver has no answer to are left out.
pub(crate) fn batch(wanted: Option<&Vec<u32>>) -> Result<RecordBatch> {
    let known = KNOWN.iter().filter(|(code, _)| wanted.is_none_or(|wanted| wanted.contains(code)));
    let (mut codes, mut kinds, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
    let (mut texts, mut flags, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    for (code, value) in known {
        codes.push(*code);
        let (kind, offset) = match value {
            Value::Text(text) => (0i8, push(&mut texts, *text)),
            Value::Flag(flag) => (1, push(&mut flags, *flag)),
            Value::Number(number) => (2, push(&mut numbers, *number)),
        };
        kinds.push(kind);
        offsets.push(offset);
    }
    let DataType::Union(fields, _) = GET_INFO_SCHEMA.field(1).data_type() else {
        return Err(plasmon::Error::internal("the schema of GetInfo has no union").into());
    };
    let mut children: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(texts)),
        Arc::new(BooleanArray::from(flags)),
        Arc::new(Int64Array::from(numbers)),
    ];
    children.extend(fields.iter().skip(3).map(|(_, field)| new_empty_array(field.data_type())));
    let values = UnionArray::try_new(fields.clone(), kinds.into(), Some(ScalarBuffer::from(offsets)), children)?;
    Ok(RecordBatch::try_new(GET_INFO_SCHEMA.clone(), vec![Arc::new(UInt32Array::from(codes)), Arc::new(values)])?)
}

/// Appends a value; where it stands.
pub(super) fn push<T>(values: &mut Vec<T>, value: T) -> i32 {
    values.push(value);
    values.len() as i32 - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_codes_are_left_out() {
        let batch = batch(Some(&vec![9999, ADBC_INFO_DRIVER_NAME, ADBC_INFO_VENDOR_SQL])).unwrap();
        assert_eq!(batch.num_rows(), 2);
        assert_eq!(super::batch(None).unwrap().num_rows(), KNOWN.len());
    }
}
