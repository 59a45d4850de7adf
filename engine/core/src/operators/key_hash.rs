//! Key columns → one hash a row, by value: the same in every worker, batch and encoding, unlike the words of `key.rs`, which may be a worker's own ids.

use plasmon_kernels::gather::gather;
use plasmon_kernels::hash::{HashValue, NULL_HASH, combine, hash_bytes, hash_word};

use crate::batch::{Column, Encoding, Values};

/// Hashes of `rows` keys. Nested keys count as one value: other keys decide.
pub(crate) fn hash_keys(keys: &[Column], rows: usize) -> Vec<u64> {
    let mut hashes = vec![0u64; rows];
    for key in keys {
        let mut of_key = hash_column(key);
        if let Some(validity) = key.validity() {
            (0..rows).filter(|&row| !validity.get(row)).for_each(|row| of_key[row] = NULL_HASH);
        }
        hashes.iter_mut().zip(&of_key).for_each(|(hash, &next)| *hash = combine(*hash, next));
    }
    hashes
}

/// Hashes of the values; those under nulls are arbitrary.
fn hash_column(column: &Column) -> Vec<u64> {
    match column.encoding() {
        // Views of nulls may point anywhere.
        Encoding::Flat(Values::View(views)) if column.validity().is_some() => {
            let hash = |row| if column.is_valid(row) { hash_bytes(views.value(row)) } else { NULL_HASH };
            (0..column.len()).map(hash).collect()
        }
        Encoding::Flat(values) => hash_values(values),
        Encoding::Constant(values) => vec![hash_values(values)[0]; column.len()],
        // Of a dictionary that is larger than the rows, only their values.
        Encoding::Dictionary { codes, dictionary } if dictionary.values.len() > codes.len() => {
            hash_values(&dictionary.values.gather(codes))
        }
        Encoding::Dictionary { codes, dictionary } => gather(&hash_values(&dictionary.values), codes),
    }
}

fn hash_values(values: &Values) -> Vec<u64> {
    macro_rules! each {
        ($values:expr) => {
            $values.iter().map(|v| v.hash_value()).collect()
        };
    }
    match values {
        Values::Boolean(bits) => (0..bits.len()).map(|row| hash_word(u64::from(bits.get(row)))).collect(),
        Values::Int8(v) => each!(v),
        Values::Int16(v) => each!(v),
        Values::Int32(v) => each!(v),
        Values::Int64(v) => each!(v),
        Values::Int128(v) => each!(v),
        Values::Int256(v) => {
            v.iter().map(|v| v.to_i128().map_or_else(|| hash_bytes(&v.to_le_bytes()), HashValue::hash_value)).collect()
        }
        Values::UInt8(v) => each!(v),
        Values::UInt16(v) => each!(v),
        Values::UInt32(v) => each!(v),
        Values::UInt64(v) => each!(v),
        Values::Float32(v) => v.iter().map(|&v| (v as f64).hash_value()).collect(),
        Values::Float64(v) => each!(v),
        Values::Interval(v) => v
            .iter()
            .map(|v| {
                combine(
                    hash_word((v.months as u32 as u64) << 32 | v.days as u32 as u64),
                    hash_word(v.nanoseconds as u64),
                )
            })
            .collect(),
        Values::View(v) => (0..v.views.len()).map(|row| hash_bytes(v.value(row))).collect(),
        Values::Nested(array) => vec![0; arrow_array::Array::len(array)],
    }
}
