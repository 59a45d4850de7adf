//! Arrow arrays (lists, structs, maps and the rest of the long tail), node by node.
//!
//! ```text
//! node = type │ rows │ validity? │ buffers │ children
//! ```
//! Arrays are cut to their rows first: what shares its buffers with a million other rows is written without them.

use std::sync::Mutex;

use arrow_array::{Array, ArrayRef, make_array};
use arrow_buffer::{Buffer, ScalarBuffer, ToByteSlice};
use arrow_data::transform::MutableArrayData;
use arrow_data::{ArrayData, BufferSpec, layout};
use arrow_schema::DataType;

use super::input::{Decoded, Input, put_count};
use super::{decode_bits, strings};
use crate::batch::{Bitmap, Views};
use crate::error::{Error, Result};

/// The Arrow types of what was written to one file: few, and each once.
#[derive(Debug, Default)]
pub(in crate::spill) struct Types(Mutex<Vec<DataType>>);

impl Types {
    /// The number that stands for a type.
    fn number(&self, data_type: &DataType) -> usize {
        let mut types = self.0.lock().unwrap_or_else(|e| e.into_inner());
        types.iter().position(|t| t == data_type).unwrap_or_else(|| {
            types.push(data_type.clone());
            types.len() - 1
        })
    }

    /// Gives numbers to a type and all types in it, outermost first, so that who adds the same types knows them by the same numbers.
    pub(in crate::spill) fn add(&self, data_type: &DataType) {
        self.number(data_type);
        match data_type {
            DataType::List(f) | DataType::LargeList(f) | DataType::FixedSizeList(f, _) | DataType::Map(f, _) => {
                self.add(f.data_type());
            }
            DataType::Struct(fields) => fields.iter().for_each(|field| self.add(field.data_type())),
            _ => {}
        }
    }

    fn of(&self, number: usize) -> Decoded<DataType> {
        let types = self.0.lock().unwrap_or_else(|e| e.into_inner());
        types.get(number).cloned().ok_or_else(|| "no such Arrow type".to_string())
    }
}

/// Appends an array.
pub(super) fn encode(array: &ArrayRef, types: &Types, bytes: &mut Vec<u8>) -> Result<()> {
    encode_node(&cut(&array.to_data())?, types, bytes)
}

/// The rows of `data` and nothing else, from the start of each buffer.
fn cut(data: &ArrayData) -> Result<ArrayData> {
    let mut rows = MutableArrayData::new(vec![data], false, data.len());
    rows.try_extend(0, 0, data.len())?;
    Ok(rows.freeze())
}

fn encode_node(data: &ArrayData, types: &Types, bytes: &mut Vec<u8>) -> Result<()> {
    // A dictionary's values are as they were given.
    if data.offset() > 0 {
        return match cut(data)? {
            data if data.offset() > 0 => Err(Error::internal(format!("{} cannot be cut", data.data_type()))),
            data => encode_node(&data, types, bytes),
        };
    }
    put_count(bytes, types.number(data.data_type()));
    put_count(bytes, data.len());
    bytes.push(data.nulls().is_some() as u8);
    if let Some(nulls) = data.nulls() {
        bytes.extend_from_slice(Bitmap::from_arrow(nulls.inner()).words().to_byte_slice());
    }
    match data.data_type() {
        DataType::Utf8View | DataType::BinaryView => encode_views(data, bytes)?,
        _ => encode_buffers(data, bytes)?,
    }
    put_count(bytes, data.child_data().len());
    data.child_data().iter().try_for_each(|child| encode_node(child, types, bytes))
}

fn encode_views(data: &ArrayData, bytes: &mut Vec<u8>) -> Result<()> {
    let [views, buffers @ ..] = data.buffers() else { return Err(Error::internal("an array of views without views")) };
    let views = Views { views: ScalarBuffer::new(views.clone(), 0, data.len()), buffers: buffers.into() };
    strings::encode(&views, data.nulls().map(|nulls| Bitmap::from_arrow(nulls.inner())).as_ref(), bytes);
    Ok(())
}

fn encode_buffers(data: &ArrayData, bytes: &mut Vec<u8>) -> Result<()> {
    let specs = layout(data.data_type()).buffers;
    if specs.len() != data.buffers().len() {
        return Err(Error::internal(format!("{} with {} buffers", data.data_type(), data.buffers().len())));
    }
    for (spec, buffer) in specs.iter().zip(data.buffers()) {
        let most = match spec {
            // Offsets are one more than rows.
            BufferSpec::FixedWidth { byte_width, .. } => (data.len() + 1) * byte_width,
            BufferSpec::BitMap => data.len().div_ceil(8),
            BufferSpec::VariableWidth | BufferSpec::AlwaysNull => buffer.len(),
        };
        let used = &buffer[..most.min(buffer.len())];
        put_count(bytes, used.len());
        bytes.extend_from_slice(used);
    }
    Ok(())
}

/// Takes an array of `len` rows.
pub(super) fn decode(input: &mut Input, len: usize, types: &Types) -> Decoded<ArrayRef> {
    let data = decode_node(input, types)?;
    if data.len() != len {
        return Err(format!("an array of {} rows, not {len}", data.len()));
    }
    Ok(make_array(data))
}

fn decode_node(input: &mut Input, types: &Types) -> Decoded<ArrayData> {
    let data_type = types.of(input.count()?)?;
    let len = input.count()?;
    let [has_nulls] = input.array()?;
    let nulls = if has_nulls > 0 { Some(decode_bits(input, len)?.to_nulls()) } else { None };
    let buffers = match data_type {
        DataType::Utf8View | DataType::BinaryView => {
            let strings = strings::decode(input, len)?;
            [strings.views.into_inner()].into_iter().chain(strings.buffers.iter().cloned()).collect()
        }
        _ => decode_buffers(input, layout(&data_type).buffers.len())?,
    };
    let children = input.count()?;
    let children = (0..children).map(|_| decode_node(input, types)).collect::<Decoded<_>>()?;
    let data = ArrayData::builder(data_type).len(len).nulls(nulls).buffers(buffers).child_data(children);
    data.align_buffers(true).build().map_err(|e| e.to_string())
}

fn decode_buffers(input: &mut Input, count: usize) -> Decoded<Vec<Buffer>> {
    let mut buffer = || {
        let len = input.count()?;
        Ok(Buffer::from(input.take(len, 1)?))
    };
    (0..count).map(|_| buffer()).collect()
}
