//! Columns as bytes and back.
//!
//! ```text
//! column = shape │ flags │ physical type │ rows │ bounds? │ validity? │ values of the shape
//!   flat        values, one per row                     numbers.rs: base + offsets of the narrowest width
//!   constant    one value                               strings.rs: lengths, then bytes
//!   dictionary  used values, then a code per row        nested.rs:  an Arrow array, node by node
//! ```
//! The bytes never leave the process: words lie as the machine has them, and the types of nested arrays stay behind in [`Types`]. Every length is held
//! against the bytes that are there before anything is allocated, so that malformed bytes are an error and nothing worse.

mod input;
mod nested;
mod numbers;
mod strings;
#[cfg(test)]
mod tests;

use arrow_buffer::ToByteSlice;

use crate::batch::{Bitmap, Bounds, Column, Dictionary, Encoding, Physical, Values};
use crate::error::Result;
use crate::with_fixed_width;
use input::{Decoded, Input, put_count};
pub(super) use nested::Types;

const FLAT: u8 = 0;
const CONSTANT: u8 = 1;
const DICTIONARY: u8 = 2;

const IS_ASCII: u8 = 1;
const HAS_BOUNDS: u8 = 2;
/// Validity follows, bit by bit …
const HAS_NULLS: u8 = 4;
/// … or there is nothing but nulls.
const ALL_NULL: u8 = 8;

const PHYSICAL: [Physical; 16] = [
    Physical::Boolean,
    Physical::Int8,
    Physical::Int16,
    Physical::Int32,
    Physical::Int64,
    Physical::Int128,
    Physical::Int256,
    Physical::UInt8,
    Physical::UInt16,
    Physical::UInt32,
    Physical::UInt64,
    Physical::Float32,
    Physical::Float64,
    Physical::Interval,
    Physical::View,
    Physical::Nested,
];

/// A dictionary's codes are written when there are so many per value that is used; else its values, row by row.
const ROWS_PER_CODE: usize = 2;

/// Appends `column` to `bytes`.
pub(super) fn encode(column: &Column, types: &Types, bytes: &mut Vec<u8>) -> Result<()> {
    match column.encoding() {
        Encoding::Flat(values) => {
            encode_head(column, FLAT, bytes);
            encode_values(values, column.validity(), types, bytes)
        }
        Encoding::Constant(values) => {
            encode_head(column, CONSTANT, bytes);
            // What stands under nothing but nulls may be anything.
            let null = column.validity().filter(|v| is_all_null(v)).map(|_| Bitmap::constant(false, 1));
            encode_values(values, null.as_ref(), types, bytes)
        }
        Encoding::Dictionary { codes, dictionary } => match used_values(codes, dictionary) {
            Some((codes, values)) => {
                encode_head(column, DICTIONARY, bytes);
                put_count(bytes, values.len());
                encode_values(&values, None, types, bytes)?;
                numbers::encode(&codes, bytes);
                Ok(())
            }
            None => encode(&column.flatten(), types, bytes),
        },
    }
}

fn is_all_null(validity: &Bitmap) -> bool {
    validity.count_ones() == 0
}

fn encode_head(column: &Column, shape: u8, bytes: &mut Vec<u8>) {
    let nulls = column.validity().map_or(0, |validity| if is_all_null(validity) { ALL_NULL } else { HAS_NULLS });
    let mut flags = nulls;
    flags |= if column.is_ascii { IS_ASCII } else { 0 };
    flags |= if column.bounds.is_some() { HAS_BOUNDS } else { 0 };
    bytes.extend([shape, flags, column.physical() as u8]);
    put_count(bytes, column.len());
    if let Some(bounds) = column.bounds {
        bytes.extend(bounds.min.to_ne_bytes());
        bytes.extend(bounds.max.to_ne_bytes());
    }
    if let Some(validity) = column.validity().filter(|_| nulls == HAS_NULLS) {
        bytes.extend_from_slice(validity.words().to_byte_slice());
    }
}

/// The values that codes point to, each once, and the codes into them; `None` when too few rows share them.
fn used_values(codes: &[u32], dictionary: &Dictionary) -> Option<(Vec<u32>, Values)> {
    // A dictionary that is larger than what is written would cost more to look through than it saves.
    if dictionary.values.len() > codes.len() {
        return None;
    }
    const UNUSED: u32 = u32::MAX;
    let mut renamed = vec![UNUSED; dictionary.values.len()];
    let mut used: Vec<u32> = Vec::new();
    let codes: Vec<u32> = codes
        .iter()
        .map(|&code| {
            let name = &mut renamed[code as usize];
            if *name == UNUSED {
                *name = used.len() as u32;
                used.push(code);
            }
            *name
        })
        .collect();
    (used.len() * ROWS_PER_CODE <= codes.len()).then(|| (codes, dictionary.values.gather(&used)))
}

fn encode_values(values: &Values, validity: Option<&Bitmap>, types: &Types, bytes: &mut Vec<u8>) -> Result<()> {
    match values {
        Values::Boolean(bits) => bytes.extend_from_slice(bits.words().to_byte_slice()),
        Values::Int16(v) => numbers::encode(v, bytes),
        Values::Int32(v) => numbers::encode(v, bytes),
        Values::Int64(v) => numbers::encode(v, bytes),
        Values::Int128(v) => numbers::encode(v, bytes),
        Values::UInt16(v) => numbers::encode(v, bytes),
        Values::UInt32(v) => numbers::encode(v, bytes),
        Values::UInt64(v) => numbers::encode(v, bytes),
        Values::View(views) => strings::encode(views, validity, bytes),
        Values::Nested(array) => return nested::encode(array, types, bytes),
        plain => {
            with_fixed_width!(plain, buffer, _variant => bytes.extend_from_slice(buffer.inner()), otherwise _ => ())
        }
    }
    Ok(())
}

/// Takes the next column off `bytes`. Flat, or constant if it was.
pub(super) fn decode(bytes: &[u8], types: &Types) -> Decoded<Column> {
    let mut input = Input::new(bytes);
    let column = decode_column(&mut input, types)?;
    input.end()?;
    Ok(column)
}

fn decode_column(input: &mut Input, types: &Types) -> Decoded<Column> {
    let [shape, flags, physical] = input.array()?;
    let physical = *PHYSICAL.get(physical as usize).ok_or("no such physical type")?;
    let rows = input.count()?;
    let bounds = match flags & HAS_BOUNDS {
        0 => None,
        _ => Some(Bounds { min: i64::from_ne_bytes(input.array()?), max: i64::from_ne_bytes(input.array()?) }),
    };
    let nulls = if flags & HAS_NULLS > 0 { Some(decode_bits(input, rows)?) } else { None };
    let column = match shape {
        FLAT => Column::flat(decode_values(input, physical, rows, types)?),
        CONSTANT => Column::constant(decode_values(input, physical, 1, types)?, rows),
        DICTIONARY => Column::flat(decode_dictionary(input, physical, rows, types)?),
        _ => return Err("no such shape of a column".into()),
    };
    // Not even a column without rows forgets that it is null.
    let mut column = match (flags & ALL_NULL > 0, column.encoding()) {
        (false, _) => column.with_validity(nulls),
        (true, Encoding::Constant(values)) => Column::constant_null(values.clone(), rows),
        (true, _) => column.with_validity(Some(Bitmap::constant(false, rows))),
    };
    column.is_ascii = flags & IS_ASCII > 0;
    Ok(column.with_bounds(bounds))
}

fn decode_dictionary(input: &mut Input, physical: Physical, rows: usize, types: &Types) -> Decoded<Values> {
    let used = input.count()?;
    let values = decode_values(input, physical, used, types)?;
    let codes = numbers::decode::<u32>(input, rows)?;
    if codes.iter().max().is_some_and(|&most| most as usize >= used) {
        return Err("a code without a value".into());
    }
    Ok(values.gather(&codes))
}

fn decode_bits(input: &mut Input, len: usize) -> Decoded<Bitmap> {
    let words = input.take(len.div_ceil(64), 8)?;
    Ok(Bitmap::new(words.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word)).collect(), len))
}

fn decode_values(input: &mut Input, physical: Physical, len: usize, types: &Types) -> Decoded<Values> {
    Ok(match physical {
        Physical::Boolean => Values::Boolean(decode_bits(input, len)?),
        Physical::Int8 => Values::Int8(input.buffer(len)?),
        Physical::Int16 => Values::Int16(numbers::decode(input, len)?),
        Physical::Int32 => Values::Int32(numbers::decode(input, len)?),
        Physical::Int64 => Values::Int64(numbers::decode(input, len)?),
        Physical::Int128 => Values::Int128(numbers::decode(input, len)?),
        Physical::Int256 => Values::Int256(input.buffer(len)?),
        Physical::UInt8 => Values::UInt8(input.buffer(len)?),
        Physical::UInt16 => Values::UInt16(numbers::decode(input, len)?),
        Physical::UInt32 => Values::UInt32(numbers::decode(input, len)?),
        Physical::UInt64 => Values::UInt64(numbers::decode(input, len)?),
        Physical::Float32 => Values::Float32(input.buffer(len)?),
        Physical::Float64 => Values::Float64(input.buffer(len)?),
        Physical::Interval => Values::Interval(input.buffer(len)?),
        Physical::View => Values::View(strings::decode(input, len)?),
        Physical::Nested => Values::Nested(nested::decode(input, len, types)?),
    })
}
