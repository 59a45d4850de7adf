//! Frames: batches as bytes that carry no types, for who knows them: files of a shuffle, broadcasts.
//!
//! ```text
//! frame = u32, little-endian: bytes that follow │ a block (block.rs)
//! ```
//! A frame is read by the library that wrote it, in another process or on another machine of the same kind, and by no other: it is no format to keep.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, make_array};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field};

use super::block::{check, open, seal};
use super::codec::Types;
use crate::batch::{Batch, Column, Encoding, Physical, Values, is_null_type, physical_type};
use crate::config::BATCH_ROWS_MAX;
use crate::error::{Error, Result};

const LENGTH: usize = size_of::<u32>();

/// Writes and reads frames of columns of certain types.
#[derive(Debug)]
pub struct FrameCodec {
    types: Vec<DataType>,
    /// Those of nested values, which frames tell by number.
    nested: Types,
}

impl FrameCodec {
    /// For columns of these types, which both sides must know alike, up to names inside of them and layouts of texts.
    pub fn new(types: &[DataType]) -> Self {
        let nested = Types::default();
        let of_nested = types.iter().filter(|data_type| physical_type(data_type) == Physical::Nested);
        of_nested.for_each(|data_type| nested.add(&nameless(data_type)));
        FrameCodec { types: types.to_vec(), nested }
    }

    /// The columns' types.
    pub fn types(&self) -> &[DataType] {
        &self.types
    }

    /// Appends a frame of `rows` rows, at most 32,768.
    pub fn encode(&self, columns: &[Column], rows: usize, bytes: &mut Vec<u8>) -> Result<()> {
        if columns.len() != self.types.len() || rows > BATCH_ROWS_MAX {
            return Err(Error::internal(format!("a frame of {} columns and {rows} rows", columns.len())));
        }
        let columns = columns.iter().zip(&self.types).map(|(column, data_type)| as_type(column, &nameless(data_type)));
        let block = seal(&columns.collect::<Result<Vec<_>>>()?, rows, &self.nested)?;
        let length = u32::try_from(block.len());
        let length =
            length.map_err(|_| Error::unsupported(format!("a batch of {} bytes in one frame", block.len())))?;
        bytes.extend(length.to_le_bytes());
        bytes.extend(block);
        Ok(())
    }

    /// The batch of a frame, without the length in front.
    pub fn decode(&self, frame: &[u8]) -> Result<Batch> {
        let block = open(frame, &self.nested).map_err(|why| Error::data(format!("a frame cannot be read: {why}")))?;
        let fits = block.rows <= BATCH_ROWS_MAX
            && block.columns.len() == self.types.len()
            && block
                .columns
                .iter()
                .zip(&self.types)
                .all(|(column, data_type)| column.len() == block.rows && is_of(column, data_type));
        if !fits {
            return Err(Error::data(
                "a frame cannot be read: its columns are of other types than those that are wanted",
            ));
        }
        let columns = block.columns.iter().zip(&self.types).map(|(column, data_type)| as_type(column, data_type));
        Ok(Batch::new(columns.collect::<Result<_>>()?, block.rows))
    }
}

/// The frames in `bytes`, one after the other, without their lengths.
pub fn frames(mut bytes: &[u8]) -> impl Iterator<Item = Result<&[u8]>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let cut = bytes
            .split_first_chunk::<LENGTH>()
            .and_then(|(length, rest)| rest.split_at_checked(u32::from_le_bytes(*length) as usize));
        let Some((frame, rest)) = cut else {
            bytes = &[];
            return Some(Err(Error::data("a frame cannot be read: its bytes end too early")));
        };
        bytes = rest;
        Some(Ok(frame))
    })
}

/// That the bytes are whole frames that have not changed since they were written.
pub(crate) fn check_frames(bytes: &[u8]) -> Result<()> {
    frames(bytes).try_for_each(|frame| {
        check(frame?).map(drop).map_err(|why| Error::data(format!("a frame cannot be read: {why}")))
    })
}

/// Whether a column may be one of the type.
fn is_of(column: &Column, data_type: &DataType) -> bool {
    let wanted = physical_type(data_type);
    let narrow = matches!(
        (column.physical(), wanted),
        (Physical::Int64, Physical::Int128 | Physical::Int256) | (Physical::Int128, Physical::Int256)
    );
    match column.encoding() {
        _ if is_null_type(data_type) => true,
        Encoding::Flat(Values::Nested(array)) | Encoding::Constant(Values::Nested(array)) => {
            wanted == Physical::Nested && array.data_type() == &nameless(data_type)
        }
        _ => column.physical() == wanted || narrow && data_type_is_decimal(data_type),
    }
}

fn data_type_is_decimal(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => data_type_is_decimal(value),
        other => other.is_decimal(),
    }
}

/// The type without what may differ between who writes and who reads: names, hints on nulls, metadata.
fn nameless(data_type: &DataType) -> DataType {
    let field = |name: &str, of: &Field, nullable| Arc::new(Field::new(name, nameless(of.data_type()), nullable));
    match data_type {
        DataType::List(element) => DataType::List(field("", element, true)),
        DataType::LargeList(element) => DataType::LargeList(field("", element, true)),
        DataType::FixedSizeList(element, size) => DataType::FixedSizeList(field("", element, true), *size),
        DataType::Map(entries, _) => {
            DataType::Map(Arc::new(Field::new("", entries_of(entries.data_type()), false)), false)
        }
        DataType::Struct(fields) => {
            let fields = fields.iter().enumerate().map(|(i, f)| field(&i.to_string(), f, true));
            DataType::Struct(fields.collect())
        }
        other => other.clone(),
    }
}

/// The type of a map's entries: keys are never null.
fn entries_of(entries: &DataType) -> DataType {
    let DataType::Struct(fields) = nameless(entries) else { return entries.clone() };
    let fields = fields.iter().enumerate().map(|(i, f)| Arc::new(f.as_ref().clone().with_nullable(i > 0)));
    DataType::Struct(fields.collect())
}

/// The column with nested values of that type, which is theirs but for names.
fn as_type(column: &Column, data_type: &DataType) -> Result<Column> {
    if column.physical() != Physical::Nested {
        return Ok(column.clone());
    }
    let flat = column.flatten();
    let Encoding::Flat(Values::Nested(array)) = flat.encoding() else { return Ok(column.clone()) };
    if array.data_type() == data_type || is_null_type(data_type) {
        return Ok(column.clone());
    }
    let array: ArrayRef = make_array(renamed(&array.to_data(), data_type)?);
    Ok(Column::flat(Values::Nested(array)).with_validity(flat.validity().cloned()))
}

fn renamed(data: &ArrayData, data_type: &DataType) -> Result<ArrayData> {
    let children: Vec<&Field> = match data_type {
        DataType::List(f) | DataType::LargeList(f) | DataType::FixedSizeList(f, _) | DataType::Map(f, _) => vec![f],
        DataType::Struct(fields) => fields.iter().map(|field| field.as_ref()).collect(),
        // Whose values have no names.
        DataType::Dictionary(_, _) => return Ok(data.clone()),
        _ => Vec::new(),
    };
    if children.len() != data.child_data().len() {
        return Err(Error::internal(format!("{} as {data_type}", data.data_type())));
    }
    let children = data.child_data().iter().zip(children).map(|(child, field)| renamed(child, field.data_type()));
    let children = children.collect::<Result<Vec<_>>>()?;
    Ok(data.clone().into_builder().data_type(data_type.clone()).child_data(children).build()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::Scalar;
    use crate::operators::random_rows::{self, Random};

    #[test]
    fn random_batches_survive() {
        for seed in 0..150 {
            let mut random = Random(seed);
            let types: Vec<DataType> = (0..random.below(5)).map(|_| random.pick(&random_rows::types())).collect();
            let codec = FrameCodec::new(&types);
            let (mut bytes, mut written) = (Vec::new(), Vec::new());
            for _ in 0..random.below(4) {
                let rows = random.below(300) as usize;
                let columns: Vec<Column> = types.iter().map(|t| random_rows::column(&mut random, t, rows)).collect();
                codec.encode(&columns, rows, &mut bytes).unwrap();
                written.push(Batch::new(columns, rows));
            }
            // Read by who has never written.
            let reader = FrameCodec::new(&types);
            let read: Vec<Batch> = frames(&bytes).map(|frame| reader.decode(frame.unwrap()).unwrap()).collect();
            assert_eq!(read.len(), written.len());
            for (read, written) in read.iter().zip(&written) {
                assert_eq!(read.rows(), written.rows());
                for (a, b) in read.columns().iter().zip(written.columns()) {
                    let same = (0..read.rows()).all(|row| Scalar::from_column(a, row) == Scalar::from_column(b, row));
                    assert!(same, "seed {seed}");
                }
            }
            check_frames(&bytes).unwrap();
        }
    }

    #[test]
    fn maps_survive_under_other_names() {
        use arrow_array::builder::{Int64Builder, MapBuilder, StringBuilder};
        let mut builder = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
        for row in 0..50 {
            (0..row % 4).for_each(|entry| {
                builder.keys().append_value(format!("{entry} of {row}"));
                builder.values().append_option((entry != 2).then_some(row));
            });
            builder.append(row % 7 != 0).unwrap();
        }
        let written: ArrayRef = Arc::new(builder.finish());
        // As Spark calls them.
        let entries = Field::new(
            "key_value",
            DataType::Struct(
                vec![Field::new("k", DataType::Utf8, false), Field::new("v", DataType::Int64, true)].into(),
            ),
            false,
        );
        let theirs = DataType::Map(Arc::new(entries), false);
        let mut bytes = Vec::new();
        let column = crate::batch::arrow::import_column(&written).unwrap();
        FrameCodec::new(std::slice::from_ref(&theirs)).encode(&[column], 50, &mut bytes).unwrap();
        let frame = frames(&bytes).next().unwrap().unwrap();
        let read = FrameCodec::new(&[theirs.clone()]).decode(frame).unwrap();
        let read = crate::batch::arrow::export_column(read.column(0), written.data_type()).unwrap();
        assert_eq!(&read, &written);
    }

    #[test]
    fn other_types_and_damage_are_errors() {
        let mut random = Random(7);
        let types = [DataType::Int64, DataType::Utf8];
        let columns: Vec<Column> = types.iter().map(|t| random_rows::column(&mut random, t, 20)).collect();
        let codec = FrameCodec::new(&types);
        let mut bytes = Vec::new();
        codec.encode(&columns, 20, &mut bytes).unwrap();
        let whole = frames(&bytes).next().unwrap().unwrap();
        for other in [&[DataType::Int64][..], &[DataType::Utf8, DataType::Int64], &[DataType::Int32, DataType::Utf8]] {
            let message = FrameCodec::new(other).decode(whole).unwrap_err().to_string();
            assert!(message.contains("of other types"), "{message}");
        }
        for len in 1..bytes.len() {
            assert!(frames(&bytes[..len]).any(|frame| frame.is_err()), "{len} bytes");
        }
        for byte in LENGTH..bytes.len() {
            let mut changed = bytes.clone();
            changed[byte] ^= 1;
            assert!(codec.decode(&changed[LENGTH..]).is_err() && check_frames(&changed).is_err(), "byte {byte}");
        }
    }
}
