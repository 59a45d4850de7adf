//! `hash`: what Spark deals rows to partitions by, and SQL's function of that name.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array};
use arrow::datatypes::DataType;
use plasmon_core::batch::Column;
use plasmon_core::batch::arrow::import_column;
use plasmon_core::expression::{has_murmur3, murmur3};
use plasmon_core::{Error, Result};

use crate::function::spark::columns::Call;
use crate::function::spark::definition::Definition;

pub(super) const FUNCTIONS: &[Definition] = &[Definition::new("murmur3_hash", result, hash)];

fn result(arguments: &[DataType]) -> Result<DataType> {
    match arguments.iter().find(|argument| !has_murmur3(argument)) {
        None => Ok(DataType::Int32),
        Some(other) => Err(Error::unsupported(format!("Spark's hash of {other}"))),
    }
}

fn hash(call: &Call) -> Result<ArrayRef> {
    let arrays = (0..call.len()).map(|index| call.full_array(index)).collect::<Result<Vec<_>>>()?;
    let columns = arrays.iter().map(import_column).collect::<Result<Vec<Column>>>()?;
    let hashes = murmur3(columns.iter().zip(arrays.iter().map(|array| array.data_type())), call.rows())?;
    Ok(Arc::new(Int32Array::from(hashes)))
}
