//! Columns one after the other as one flat column.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_buffer::Buffer;
use arrow_schema::DataType;

use super::arrow::{export_column, import_column};
use super::{Bitmap, Bounds, Column, Dictionary, Encoding, INLINE_BYTES, Physical, Values, Views, physical_type};
use crate::error::{Error, Result};
use crate::expression::Scalar;

/// See [`Column::concat`].
pub(super) fn concat(columns: &[Column], data_type: &DataType) -> Result<Column> {
    concat_owned(columns.to_vec(), data_type)
}

/// See [`Column::concat_owned`].
pub(super) fn concat_owned(columns: Vec<Column>, data_type: &DataType) -> Result<Column> {
    let physical = physical_type(data_type);
    if physical == Physical::Nested {
        return concat_nested(&columns, data_type);
    }
    let len = columns.iter().map(Column::len).sum();
    let (validity, is_ascii) = (concat_validity(&columns), columns.iter().all(|c| c.is_ascii));
    let flat = columns.into_iter().map(|column| column.flatten().widen(physical));
    let mismatch =
        |column: &Column| Error::internal(format!("cannot concatenate {:?} values as {data_type}", column.physical()));
    macro_rules! parts {
        ($variant:ident, $part:ident => $take:expr) => {
            for column in flat {
                let Encoding::Flat(Values::$variant($part)) = column.encoding() else { return Err(mismatch(&column)) };
                $take;
            }
        };
    }
    macro_rules! joined {
        ($($variant:ident),*) => {
            match physical {
                $(Physical::$variant => {
                    let mut joined = Vec::with_capacity(len);
                    parts!($variant, values => joined.extend_from_slice(values));
                    Values::$variant(joined.into())
                })*
                Physical::Boolean => {
                    let mut parts = Vec::new();
                    parts!(Boolean, bits => parts.push(bits.clone()));
                    Values::Boolean(join_bits(parts.iter()))
                }
                Physical::View => {
                    let mut joined = JoinedViews::with_capacity(len);
                    parts!(View, views => joined.push(views));
                    Values::View(joined.finish())
                }
                Physical::Nested => return Err(Error::internal("nested values are concatenated elsewhere")),
            }
        };
    }
    let values =
        joined!(Int8, Int16, Int32, Int64, Int128, Int256, UInt8, UInt16, UInt32, UInt64, Float32, Float64, Interval);
    let mut column = Column::flat_with_validity(values, validity);
    column.is_ascii = is_ascii;
    Ok(column)
}

/// See [`Column::join`].
pub(super) fn join(columns: &[Column], data_type: &DataType) -> Result<Column> {
    Ok(join_values(columns, data_type)?.with_bounds(common_bounds(columns)))
}

fn join_values(columns: &[Column], data_type: &DataType) -> Result<Column> {
    if let Some(dictionary) = shared_dictionary(columns) {
        let codes = columns.iter().filter_map(|column| match column.encoding() {
            Encoding::Dictionary { codes, .. } => Some(&codes[..]),
            _ => None,
        });
        let codes = codes.collect::<Vec<_>>().concat();
        return Ok(Column::dictionary(codes.into(), dictionary.clone(), concat_validity(columns)));
    }
    match common_constant(columns) {
        Some(value) => value.to_column(data_type, columns.iter().map(Column::len).sum()),
        None => concat(columns, data_type),
    }
}

/// The dictionary into which all of the columns point.
fn shared_dictionary(columns: &[Column]) -> Option<&Arc<Dictionary>> {
    let mut dictionaries = columns.iter().map(|column| match column.encoding() {
        Encoding::Dictionary { dictionary, .. } => Some(dictionary),
        _ => None,
    });
    let first = dictionaries.next()??;
    dictionaries.all(|other| other.is_some_and(|other| other.id == first.id)).then_some(first)
}

/// Bounds of all columns, when all have some.
fn common_bounds(columns: &[Column]) -> Option<Bounds> {
    let mut bounds = columns.iter().map(|column| column.bounds);
    let first = bounds.next()??;
    bounds.try_fold(first, |all, own| own.map(|own| Bounds { min: all.min.min(own.min), max: all.max.max(own.max) }))
}

fn common_constant(columns: &[Column]) -> Option<Scalar> {
    columns.first()?.as_constant()?;
    let value = Scalar::from_column(&columns[0], 0);
    columns.iter().all(|c| c.as_constant().is_some() && Scalar::from_column(c, 0) == value).then_some(value)
}

/// See [`Column::own_strings`].
pub(super) fn own_strings(column: &Column) -> Column {
    let Encoding::Flat(Values::View(views)) = column.encoding() else { return column.clone() };
    if views.buffers.is_empty() {
        return column.clone();
    }
    // Views of nulls may point anywhere.
    let text = |row: usize| if column.is_valid(row) { views.value(row) } else { &[][..] };
    let values = Values::View(Views::from_slices((0..column.len()).map(text)));
    let mut copy = Column::flat_with_validity(values, column.validity().cloned());
    copy.is_ascii = column.is_ascii;
    copy
}

fn concat_nested(columns: &[Column], data_type: &DataType) -> Result<Column> {
    let arrays = columns.iter().map(|c| export_column(c, data_type)).collect::<Result<Vec<ArrayRef>>>()?;
    if arrays.is_empty() {
        return import_column(&arrow_array::new_empty_array(data_type));
    }
    let parts: Vec<&dyn Array> = arrays.iter().map(|a| a.as_ref()).collect();
    import_column(&arrow_select::concat::concat(&parts)?)
}

/// Validity of all rows of the columns, one column after the other; `None` = no nulls.
fn concat_validity(columns: &[Column]) -> Option<Bitmap> {
    if columns.iter().all(|c| c.validity().is_none()) {
        return None;
    }
    let full: Vec<Bitmap> =
        columns.iter().map(|c| c.validity().cloned().unwrap_or_else(|| Bitmap::constant(true, c.len()))).collect();
    Some(join_bits(full.iter()))
}

/// Bit-wise concatenation, a word at a time.
fn join_bits<'a>(parts: impl Iterator<Item = &'a Bitmap> + Clone) -> Bitmap {
    let len: usize = parts.clone().map(Bitmap::len).sum();
    let mut words = vec![0u64; len.div_ceil(64) + 1];
    let mut at = 0;
    for part in parts {
        let (word, shift) = (at / 64, at % 64);
        for (i, &bits) in part.words().iter().enumerate() {
            words[word + i] |= bits << shift;
            if shift > 0 && word + i + 1 < words.len() {
                words[word + i + 1] |= bits >> (64 - shift);
            }
        }
        at += part.len();
    }
    Bitmap::new(words, len)
}

/// Views over the union of the parts' buffers; long views are re-pointed.
struct JoinedViews {
    views: Vec<u128>,
    buffers: Vec<Buffer>,
}

impl JoinedViews {
    fn with_capacity(views: usize) -> Self {
        JoinedViews { views: Vec::with_capacity(views), buffers: Vec::new() }
    }

    fn push(&mut self, part: &Views) {
        // Parts cut from one batch share their buffers: reuse them when the last ones added are the same.
        let start = self.buffers.len().saturating_sub(part.buffers.len());
        let same = !part.buffers.is_empty()
            && self.buffers.len() >= part.buffers.len()
            && self.buffers[start..]
                .iter()
                .zip(part.buffers.iter())
                .all(|(a, b)| a.as_ptr() == b.as_ptr() && a.len() == b.len());
        let base = if same { start } else { self.buffers.len() } as u128;
        if !same {
            self.buffers.extend(part.buffers.iter().cloned());
        }
        self.views.extend(
            part.views.iter().map(|&view| if view as u32 > INLINE_BYTES as u32 { view + (base << 64) } else { view }),
        );
    }

    fn finish(self) -> Views {
        Views { views: self.views.into(), buffers: self.buffers.into() }
    }
}
