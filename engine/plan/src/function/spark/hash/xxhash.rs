//! `xxhash64`: each column's hash is the seed of the next one's; nulls are passed over.

use std::hash::Hasher;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, TimestampMicrosecondType};
use plasmon_core::{Error, Result};
use twox_hash::XxHash64;

use crate::function::spark::columns::Call;
use crate::function::spark::definition::Definition;
use crate::function::spark::result::{is_binary, is_number, is_text, is_timestamp, require};

pub(super) const FUNCTIONS: &[Definition] = &[Definition::new("xxhash64", result, hash)];

/// Decimals of so many digits are hashed as longs.
const LONG_DIGITS: u8 = 18;

fn result(types: &[DataType]) -> Result<DataType> {
    let Some((DataType::Int64, values)) = types.split_last() else {
        return Err(Error::user("it takes values and a seed, a long"));
    };
    let is_taken = |t: &DataType| {
        is_number(t)
            || is_text(t)
            || is_binary(t)
            || is_timestamp(t)
            || matches!(t, DataType::Boolean | DataType::Date32)
    };
    require(values.iter().all(is_taken), "values that are not nested")?;
    Ok(DataType::Int64)
}

fn hash(call: &Call) -> Result<ArrayRef> {
    let seeds = call.integers(call.len() - 1)?;
    let rows = call.rows();
    let mut hashes: Vec<u64> = (0..rows).map(|row| seeds.get(row).unwrap_or(0) as u64).collect();
    for index in 0..call.len() - 1 {
        fold(call, index, &mut hashes)?;
    }
    call.integer_result(|row| Ok(Some(hashes[row] as i64)))
}

/// XXH64 of bytes from a seed.
pub(super) fn of_bytes(bytes: &[u8], seed: u64) -> u64 {
    let mut hasher = XxHash64::with_seed(seed);
    hasher.write(bytes);
    hasher.finish()
}

fn fold(call: &Call, index: usize, hashes: &mut [u64]) -> Result<()> {
    let mut each = |value: &dyn Fn(usize, &mut Vec<u8>) -> bool| {
        let mut bytes = Vec::with_capacity(16);
        for (row, hash) in hashes.iter_mut().enumerate() {
            bytes.clear();
            if value(row, &mut bytes) {
                *hash = of_bytes(&bytes, *hash);
            }
        }
    };
    macro_rules! by {
        ($values:expr, $bytes:expr) => {{
            let values = $values;
            each(&|row, out| values.get(row).map(|value| out.extend_from_slice($bytes(value).as_ref())).is_some())
        }};
    }
    match call.type_of(index)? {
        DataType::Boolean => by!(call.booleans(index)?, |v: bool| i32::from(v).to_le_bytes()),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => {
            by!(call.integers(index)?, |v: i64| (v as i32).to_le_bytes())
        }
        DataType::Date32 => by!(call.values::<Date32Type>(index)?, |v: i32| v.to_le_bytes()),
        DataType::Int64 => by!(call.integers(index)?, |v: i64| v.to_le_bytes()),
        DataType::Timestamp(_, _) => by!(call.values::<TimestampMicrosecondType>(index)?, |v: i64| v.to_le_bytes()),
        DataType::Float32 => by!(call.floats(index)?, |v: f64| float_bits(v as f32).to_le_bytes()),
        DataType::Float64 => by!(call.floats(index)?, |v: f64| double_bits(v).to_le_bytes()),
        DataType::Decimal128(precision, _) if *precision <= LONG_DIGITS => {
            by!(call.values::<Decimal128Type>(index)?, |v: i128| (v as i64).to_le_bytes())
        }
        DataType::Decimal128(_, _) => by!(call.values::<Decimal128Type>(index)?, big_integer_bytes),
        t if is_text(t) => by!(call.texts(index)?, |v: &str| v.as_bytes().to_vec()),
        _ => by!(call.binaries(index)?, |v: &[u8]| v.to_vec()),
    }
    Ok(())
}

/// `floatToIntBits`, −0 as 0.
fn float_bits(value: f32) -> u32 {
    if value.is_nan() { 0x7FC0_0000 } else { (value + 0.0).to_bits() }
}

/// `doubleToLongBits`, −0 as 0.
fn double_bits(value: f64) -> u64 {
    if value.is_nan() { 0x7FF8_0000_0000_0000 } else { (value + 0.0).to_bits() }
}

/// `BigInteger.toByteArray`: big-endian, as few bytes as hold the sign.
fn big_integer_bytes(value: i128) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let sign = if value < 0 { 0xFF } else { 0 };
    let is_spare = |index: usize| bytes[index] == sign && (bytes[index + 1] ^ sign) & 0x80 == 0;
    let start = (0..15).take_while(|&index| is_spare(index)).count();
    bytes[start..].to_vec()
}
