//! A block of a spill file: columns, each compressed where that pays, under a checksum.
//!
//! ```text
//! block  = XXH64 of the rest │ rows │ number of columns │ columns
//! column = bytes here │ bytes when encoded │ LZ4 of the encoded column, or the encoded column itself
//! ```
//! The checksum is held against the bytes before any of them is believed.

use lz4_flex::block::{CompressTable, compress_into_with_table, decompress, get_maximum_output_size};
use twox_hash::XxHash64;

use super::CHANGED;
use super::codec::{Types, decode, encode};
use crate::batch::Column;
use crate::error::Result;

/// Columns that were written together. Each has a length of its own; `rows` is what the writer said.
#[derive(Debug)]
pub struct Block {
    pub columns: Vec<Column>,
    pub rows: usize,
}

/// Compressed bytes are kept when they save this share of the plain ones: less does not pay for unpacking.
const SHARE_SAVED: usize = 8;
/// Columns that are longer than this are tried on so many bytes from their middle first: LZ4 is slowest where it finds nothing.
const SAMPLE: usize = 8 << 10;
/// LZ4 makes a byte of at most so many.
const EXPANSION_MAX: usize = 255;
/// Its own limit is 2 GiB; larger columns lie as they are.
const COMPRESSED_MAX: usize = 1 << 30;

const WORD: usize = size_of::<u64>();

/// The bytes of a block.
pub(super) fn seal(columns: &[Column], rows: usize, types: &Types) -> Result<Vec<u8>> {
    let mut bytes = vec![0; WORD];
    put(&mut bytes, rows);
    put(&mut bytes, columns.len());
    let (mut encoded, mut table) = (Vec::new(), CompressTable::default());
    for column in columns {
        encoded.clear();
        encode(column, types, &mut encoded)?;
        put_column(&encoded, &mut table, &mut bytes);
    }
    let sum = XxHash64::oneshot(0, &bytes[WORD..]);
    bytes[..WORD].copy_from_slice(&sum.to_ne_bytes());
    Ok(bytes)
}

fn put(bytes: &mut Vec<u8>, number: usize) {
    bytes.extend((number as u64).to_ne_bytes());
}

fn put_column(encoded: &[u8], table: &mut CompressTable, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    put(bytes, 0);
    put(bytes, encoded.len());
    let len = compressed(encoded, table, bytes).unwrap_or_else(|| {
        bytes.extend_from_slice(encoded);
        encoded.len()
    });
    bytes[start..start + WORD].copy_from_slice(&(len as u64).to_ne_bytes());
}

/// Appends `encoded` compressed and says how long it is; or leaves `bytes` alone because it does not pay.
fn compressed(encoded: &[u8], table: &mut CompressTable, bytes: &mut Vec<u8>) -> Option<usize> {
    let start = bytes.len();
    let mut pays = |plain: &[u8]| {
        bytes.resize(start + get_maximum_output_size(plain.len()), 0);
        let len = compress_into_with_table(plain, &mut bytes[start..], table).ok();
        len.filter(|&len| len <= plain.len() - plain.len() / SHARE_SAVED && len < plain.len())
    };
    let is_worth_it = match encoded.len() {
        ..=SAMPLE => true,
        len @ ..=COMPRESSED_MAX => pays(&encoded[(len - SAMPLE) / 2..][..SAMPLE]).is_some(),
        _ => false,
    };
    let len = is_worth_it.then(|| pays(encoded)).flatten();
    bytes.truncate(start + len.unwrap_or(0));
    len
}

/// The block that [`seal`] made these bytes of, or what is wrong with them.
pub(super) fn open(bytes: &[u8], types: &Types) -> Result<Block, String> {
    let (columns, rows) = open_where(bytes, types, |_| true)?;
    Ok(Block { columns: columns.into_iter().flatten().collect(), rows })
}

/// As [`open`], only the columns `wanted`, in that order; the others are not decoded.
pub(super) fn open_some(bytes: &[u8], types: &Types, wanted: &[usize]) -> Result<Block, String> {
    let (columns, rows) = open_where(bytes, types, |index| wanted.contains(&index))?;
    let column = |&index: &usize| columns.get(index).cloned().flatten().ok_or(format!("it has no column {index}"));
    Ok(Block { columns: wanted.iter().map(column).collect::<Result<_, _>>()?, rows })
}

/// The content of a block whose checksum is right.
pub(super) fn check(bytes: &[u8]) -> Result<&[u8], String> {
    let (sum, content) = bytes.split_first_chunk().ok_or("its bytes end too early")?;
    if XxHash64::oneshot(0, content) != u64::from_ne_bytes(*sum) {
        return Err(CHANGED.into());
    }
    Ok(content)
}

/// The columns whose number `is_wanted`, and the rows.
fn open_where(
    bytes: &[u8],
    types: &Types,
    is_wanted: impl Fn(usize) -> bool,
) -> Result<(Vec<Option<Column>>, usize), String> {
    let mut rest = check(bytes)?;
    let (rows, columns) = (take(&mut rest)?, take(&mut rest)?);
    let column = |index| open_column(&mut rest, types, is_wanted(index));
    Ok(((0..columns).map(column).collect::<Result<_, _>>()?, rows))
}

fn take(bytes: &mut &[u8]) -> Result<usize, String> {
    let (number, rest) = bytes.split_first_chunk().ok_or("its bytes end too early")?;
    *bytes = rest;
    usize::try_from(u64::from_ne_bytes(*number)).map_err(|e| e.to_string())
}

/// The next column, if it is wanted; it is passed in any case.
fn open_column(bytes: &mut &[u8], types: &Types, is_wanted: bool) -> Result<Option<Column>, String> {
    let (len, encoded_len) = (take(bytes)?, take(bytes)?);
    let (column, rest) = bytes.split_at_checked(len).ok_or("its bytes end too early")?;
    *bytes = rest;
    if !is_wanted {
        return Ok(None);
    }
    if len == encoded_len {
        return decode(column, types).map(Some);
    }
    if encoded_len / EXPANSION_MAX > len {
        return Err(format!("{len} bytes cannot become {encoded_len}"));
    }
    let encoded = decompress(column, encoded_len).map_err(|e| e.to_string())?;
    decode(&encoded, types).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Values, Views};

    fn sample() -> (Vec<Column>, Types) {
        let texts = (0..1000).map(|i| format!("customer#{:09} of the segment BUILDING", i * 7919 % 1000));
        let noise = (0..1000u64).map(|i| f64::from_bits(XxHash64::oneshot(i, &[])));
        let columns = vec![
            Column::flat(Values::View(Views::from_values(texts))),
            Column::flat(Values::Float64(noise.collect())),
            Column::flat(Values::Int64((0..17).collect())),
        ];
        (columns, Types::default())
    }

    #[test]
    fn columns_are_compressed_where_it_pays() {
        let (columns, types) = sample();
        let len = |columns: &[Column]| seal(columns, 0, &types).unwrap().len();
        assert!(len(&columns[..1]) < 20_000, "of 40,000");
        assert!((8_000..8_100).contains(&len(&columns[1..2])));
        let block = open(&seal(&columns, 77, &types).unwrap(), &types).unwrap();
        assert_eq!(block.rows, 77);
        let lengths: Vec<usize> = block.columns.iter().map(Column::len).collect();
        assert_eq!(lengths, [1000, 1000, 17]);
        assert!(open(&seal(&[], 5, &types).unwrap(), &types).unwrap().columns.is_empty());
        let some = open_some(&seal(&columns, 77, &types).unwrap(), &types, &[2, 0, 2]).unwrap();
        let lengths: Vec<usize> = some.columns.iter().map(Column::len).collect();
        assert_eq!((lengths, some.rows), (vec![17, 1000, 17], 77));
        assert!(open_some(&seal(&columns, 77, &types).unwrap(), &types, &[3]).is_err());
    }

    #[test]
    fn every_flipped_bit_and_missing_byte_is_found() {
        let (columns, types) = sample();
        let bytes = seal(&columns.iter().map(|c| c.slice(0, 17)).collect::<Vec<_>>(), 17, &types).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&changed, &types).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(open(&bytes[..len], &types).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn lengths_are_held_against_the_bytes_even_under_a_right_checksum() {
        let (columns, types) = sample();
        let bytes = seal(&columns, 17, &types).unwrap();
        for word in 1..5 {
            let mut changed = bytes.clone();
            changed[word * WORD..][..WORD].copy_from_slice(&(u64::MAX / 3).to_ne_bytes());
            let sum = XxHash64::oneshot(0, &changed[WORD..]);
            changed[..WORD].copy_from_slice(&sum.to_ne_bytes());
            assert!(open(&changed, &types).is_err() || word == 1, "word {word}");
        }
    }
}
