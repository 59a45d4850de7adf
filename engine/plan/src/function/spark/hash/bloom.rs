//! `might_contain`: whether a Bloom filter of Spark's, in its serialized form, may hold a long.
//!
//! Big-endian: version (1 or 2), number of hash functions, in version 2 their seed, number of words, words. The functions are combinations of two Murmur3
//! hashes; version 2 combines them in 64 bits.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use plasmon_core::{Error, Result};

use crate::function::spark::columns::Call;
use crate::function::spark::definition::Definition;
use crate::function::spark::result::{is_binary, require, takes};

pub(super) const FUNCTIONS: &[Definition] = &[Definition::new("might_contain", result, might_contain)];

fn result(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    require(
        (is_binary(&types[0]) || types[0] == DataType::Null) && types[1] == DataType::Int64,
        "a filter and a long",
    )?;
    Ok(DataType::Boolean)
}

fn might_contain(call: &Call) -> Result<ArrayRef> {
    let Some(filter) = call.constant(0)?.filter(|array| *array.data_type() != DataType::Null) else {
        return Ok(arrow::array::new_null_array(&DataType::Boolean, call.rows()));
    };
    let filters = call.binaries(0)?;
    debug_assert!(!filter.is_empty());
    let filter = BloomFilter::read(filters.get(0).unwrap_or_default())?;
    let values = call.integers(1)?;
    call.boolean_result(|row| Ok(values.get(row).map(|value| filter.might_contain(value))))
}

/// A filter as Spark's `BloomFilterImpl` and `BloomFilterImplV2` have it.
struct BloomFilter {
    version: i32,
    functions: i32,
    seed: i32,
    words: Vec<u64>,
}

impl BloomFilter {
    fn read(bytes: &[u8]) -> Result<BloomFilter> {
        let broken = || Error::data("a Bloom filter that is cut off or of no known version");
        let int = |at: usize| -> Result<i32> {
            let word = bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).ok_or_else(broken)?;
            Ok(i32::from_be_bytes(word))
        };
        let (version, functions) = (int(0)?, int(4)?);
        let (seed, start) = match version {
            1 => (0, 8),
            2 => (int(8)?, 12),
            _ => return Err(broken()),
        };
        let count = usize::try_from(int(start)?).map_err(|_| broken())?;
        let words = bytes.get(start + 4..).filter(|rest| rest.len() == count * 8 && count > 0).ok_or_else(broken)?;
        let words = words.chunks_exact(8).map(|w| w.iter().fold(0, |word, &b| word << 8 | u64::from(b))).collect();
        Ok(BloomFilter { version, functions, seed, words })
    }

    fn has(&self, bit: u64) -> bool {
        self.words[(bit >> 6) as usize] >> (bit & 63) & 1 == 1
    }

    fn might_contain(&self, value: i64) -> bool {
        let bits = self.words.len() as u64 * 64;
        let first = murmur3_long(value, self.seed);
        let second = murmur3_long(value, first);
        match self.version {
            1 => (1..=self.functions).all(|index| {
                let combined = first.wrapping_add(index.wrapping_mul(second));
                let positive = if combined < 0 { !combined } else { combined };
                self.has(positive as u64 % bits)
            }),
            _ => {
                let mut combined = i64::from(first).wrapping_mul(i64::from(i32::MAX));
                (0..self.functions).all(|_| {
                    combined = combined.wrapping_add(i64::from(second));
                    let positive = if combined < 0 { !combined } else { combined };
                    self.has(positive as u64 % bits)
                })
            }
        }
    }
}

/// `Murmur3_x86_32.hashLong`.
fn murmur3_long(value: i64, seed: i32) -> i32 {
    let mix = |hash: u32, word: u32| {
        let word = word.wrapping_mul(0xCC9E_2D51).rotate_left(15).wrapping_mul(0x1B87_3593);
        (hash ^ word).rotate_left(13).wrapping_mul(5).wrapping_add(0xE654_6B64)
    };
    let mut hash = mix(mix(seed as u32, value as u32), (value >> 32) as u32) ^ 8;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85EB_CA6B);
    hash = (hash ^ hash >> 13).wrapping_mul(0xC2B2_AE35);
    (hash ^ hash >> 16) as i32
}
