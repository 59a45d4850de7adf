//! Key columns → keys that compare as integers or bytes, whatever their types.
//!
//! [`KeyParts`] brings columns into a few physical shapes, [`KeyStats`] tells which range of values occurs, [`Layout`] decides from
//! that how keys are encoded, [`Layout::encode`] does it. Two runs' keys compare with each other when their layouts are equal.

use arrow_array::ArrayRef;
use arrow_buffer::IntervalMonthDayNano;
use arrow_row::{RowConverter, SortField};
use arrow_schema::{DataType, SortOptions};
use plasmon_kernels::hash::{NULL_HASH, combine, hash_bytes};
use plasmon_kernels::sort::{group_starts, sort_rows, sort_words};
use plasmon_kernels::sort_key::{
    ByteRows, FieldCode, KeyWord, SortImage, TextOrder, fixed_bytes, hash_images, image_range, inline_view_image,
    pack_field, shorten_view_image, text_bytes,
};

use crate::batch::arrow::export_column;
use crate::batch::{Bitmap, Column, Physical, Values, Views, physical_type};
use crate::error::{Error, Result};
use crate::pipeline::CancelToken;

/// Keys of at most this many bits are packed into one integer with the row number; longer ones become byte rows.
const PACKED_BITS_MAX: u32 = 96;
/// Longest string whose view holds all its bytes.
const INLINE_VIEW_BYTES: usize = 12;

/// Direction and null order of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyOrder {
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

impl KeyOrder {
    /// For grouping only: any order will do.
    pub(crate) const ANY: KeyOrder = KeyOrder { descending: false, nulls_first: true };
}

/// One field's values in a shape that encodes.
enum PartValues {
    /// Integers and floats of any width.
    Fixed(Values),
    /// Images made here: intervals, halves of 256-bit integers, booleans.
    Images(Vec<u128>),
    Text(Views),
}

struct Part {
    values: PartValues,
    validity: Option<Bitmap>,
    order: KeyOrder,
}

/// The fields of a key over all rows of a run, most significant first.
pub(crate) struct KeyParts {
    parts: Vec<Part>,
    rows: usize,
}

/// Runs `$body` with `$values` bound to the slice of any fixed-width numeric variant.
macro_rules! with_numbers {
    ($any:expr, $values:ident => $body:expr) => {
        match $any {
            Values::Int8(b) => {
                let $values = &b[..];
                $body
            }
            Values::Int16(b) => {
                let $values = &b[..];
                $body
            }
            Values::Int32(b) => {
                let $values = &b[..];
                $body
            }
            Values::Int64(b) => {
                let $values = &b[..];
                $body
            }
            Values::Int128(b) => {
                let $values = &b[..];
                $body
            }
            Values::UInt8(b) => {
                let $values = &b[..];
                $body
            }
            Values::UInt16(b) => {
                let $values = &b[..];
                $body
            }
            Values::UInt32(b) => {
                let $values = &b[..];
                $body
            }
            Values::UInt64(b) => {
                let $values = &b[..];
                $body
            }
            Values::Float32(b) => {
                let $values = &b[..];
                $body
            }
            Values::Float64(b) => {
                let $values = &b[..];
                $body
            }
            other => return Err(Error::internal(format!("{:?} is no number to sort by", other.physical()))),
        }
    };
}

impl KeyParts {
    /// From one column of `rows` rows per key, its logical type and its order.
    pub(crate) fn new<'a>(
        keys: impl IntoIterator<Item = (&'a Column, &'a DataType, KeyOrder)>,
        rows: usize,
    ) -> Result<Self> {
        let mut parts = Vec::new();
        for (column, data_type, order) in keys {
            push_parts(column, data_type, order, &mut parts)?;
        }
        Ok(KeyParts { parts, rows })
    }

    /// What occurs in each field.
    pub(crate) fn stats(&self) -> Result<KeyStats> {
        Ok(KeyStats { fields: self.parts.iter().map(Part::stats).collect::<Result<_>>()? })
    }

    /// Fields of the key.
    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    /// A hash per row; equal keys hash equal.
    pub(crate) fn hashes(&self) -> Result<Vec<u64>> {
        let mut hashes = vec![0; self.rows];
        for part in &self.parts {
            match &part.values {
                PartValues::Fixed(values) => with_numbers!(values, v => hash_images(v, part.words(), &mut hashes)),
                PartValues::Images(images) => hash_images(images, part.words(), &mut hashes),
                PartValues::Text(views) => {
                    let text = |row| part.text(views, row).map_or(NULL_HASH, hash_bytes);
                    hashes.iter_mut().enumerate().for_each(|(row, hash)| *hash = combine(*hash, text(row)));
                }
            }
        }
        Ok(hashes)
    }

    fn orders(&self) -> impl Iterator<Item = KeyOrder> {
        self.parts.iter().map(|p| p.order)
    }
}

/// Brings one key column into shape; 256-bit integers become two fields.
fn push_parts(column: &Column, data_type: &DataType, order: KeyOrder, parts: &mut Vec<Part>) -> Result<()> {
    let physical = physical_type(data_type);
    if physical == Physical::Nested {
        return push_nested(column, data_type, order, parts);
    }
    let column = column.flatten().widen(physical);
    let validity = column.validity().cloned();
    let mut push = |values| parts.push(Part { values, validity: validity.clone(), order });
    match column.flat_values() {
        Values::Boolean(bits) => {
            push(PartValues::Fixed(Values::UInt8((0..bits.len()).map(|i| bits.get(i) as u8).collect())))
        }
        Values::Int256(wide) => {
            push(PartValues::Images(wide.iter().map(|v| v.to_parts().1.image()).collect()));
            push(PartValues::Images(wide.iter().map(|v| v.to_parts().0).collect()));
        }
        Values::Interval(intervals) => {
            push(PartValues::Images(intervals.iter().map(|i| interval_nanos(*i).image()).collect()))
        }
        Values::View(views) => push(PartValues::Text(views)),
        values => push(PartValues::Fixed(values)),
    }
    Ok(())
}

/// Length of an interval for ordering: months of 30 days, days of 24 hours.
pub(crate) fn interval_nanos(interval: IntervalMonthDayNano) -> i128 {
    (interval.months as i128 * 30 + interval.days as i128) * 86_400_000_000_000 + interval.nanoseconds as i128
}

/// Nested values become byte strings by `arrow-row`, which folds direction and nulls in.
fn push_nested(column: &Column, data_type: &DataType, order: KeyOrder, parts: &mut Vec<Part>) -> Result<()> {
    if *data_type == DataType::Null {
        parts.push(Part { values: PartValues::Images(vec![0; column.len()]), validity: None, order });
        return Ok(());
    }
    let options = SortOptions { descending: order.descending, nulls_first: order.nulls_first };
    let converter = RowConverter::new(vec![SortField::new_with_options(data_type.clone(), options)]);
    let converter =
        converter.map_err(|e| Error::unsupported(format!("ordering or partitioning by {data_type}: {e}")))?;
    let array: ArrayRef = export_column(column, data_type)?;
    let rows = converter.convert_columns(&[array])?;
    let text = Views::from_values(rows.iter().map(|r| r.as_ref().to_vec()));
    parts.push(Part { values: PartValues::Text(text), validity: None, order: KeyOrder { descending: false, ..order } });
    Ok(())
}

impl Part {
    fn words(&self) -> Option<&[u64]> {
        self.validity.as_ref().map(Bitmap::words)
    }

    fn stats(&self) -> Result<FieldStats> {
        let has_nulls = self.validity.is_some();
        let kind = match &self.values {
            PartValues::Fixed(values) => FieldKind::Fixed(with_numbers!(values, v => image_range(v, self.words()))),
            PartValues::Images(images) => FieldKind::Fixed(image_range(images, self.words())),
            PartValues::Text(views) => FieldKind::Text(self.text_stats(views)),
        };
        Ok(FieldStats { kind, has_nulls })
    }

    fn text_stats(&self, views: &Views) -> Option<TextStats> {
        let lengths: Vec<u32> = views.views.iter().map(|v| *v as u32).collect();
        let (min_len, max_len) = image_range(&lengths, self.words())?;
        let inline = max_len as usize <= INLINE_VIEW_BYTES;
        let images =
            if inline { image_range(&view_images(views, INLINE_VIEW_BYTES as u32, false), self.words()) } else { None };
        Some(TextStats { min_len: min_len as u32, max_len: max_len as u32, images: images.unwrap_or((0, 0)) })
    }
}

fn view_images(views: &Views, max_len: u32, equal_lengths: bool) -> Vec<u128> {
    // Null slots may hold views of any length; their images are never looked at.
    views.views.iter().map(|&v| shorten_view_image(inline_view_image(v), max_len, equal_lengths)).collect()
}

/// What occurs in the fields of a set of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyStats {
    fields: Vec<FieldStats>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldStats {
    kind: FieldKind,
    has_nulls: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum FieldKind {
    /// Smallest and greatest image; `None` = no valid value.
    Fixed(Option<(u128, u128)>),
    Text(Option<TextStats>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct TextStats {
    min_len: u32,
    max_len: u32,
    /// Range of inline images, when `max_len` allows them.
    images: (u128, u128),
}

impl KeyStats {
    /// What occurs in either.
    pub(crate) fn union(&self, other: &KeyStats) -> KeyStats {
        KeyStats { fields: self.fields.iter().zip(&other.fields).map(|(a, b)| a.union(b)).collect() }
    }

    /// The same with ranges widened a little, so that runs over like data get equal layouts.
    pub(crate) fn rounded(mut self) -> KeyStats {
        for field in &mut self.fields {
            if let FieldKind::Fixed(Some((min, max))) = &mut field.kind {
                let step = ((*max - *min) >> 3).checked_next_power_of_two().unwrap_or(1).max(1);
                *min -= *min % step;
                *max |= step - 1;
            }
        }
        self
    }
}

impl FieldStats {
    fn union(&self, other: &FieldStats) -> FieldStats {
        let range = |a: (u128, u128), b: (u128, u128)| (a.0.min(b.0), a.1.max(b.1));
        let kind = match (&self.kind, &other.kind) {
            (FieldKind::Fixed(Some(a)), FieldKind::Fixed(Some(b))) => FieldKind::Fixed(Some(range(*a, *b))),
            (FieldKind::Text(Some(a)), FieldKind::Text(Some(b))) => FieldKind::Text(Some(TextStats {
                min_len: a.min_len.min(b.min_len),
                max_len: a.max_len.max(b.max_len),
                images: range(a.images, b.images),
            })),
            (FieldKind::Fixed(None) | FieldKind::Text(None), kind) | (kind, _) => kind.clone(),
        };
        FieldStats { kind, has_nulls: self.has_nulls || other.has_nulls }
    }
}

/// How keys are encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    fields: Vec<Field>,
    /// Bits of a packed key; `None` = byte rows.
    packed_bits: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    Fixed(FieldCode),
    /// Strings short enough for their inline views to be images.
    ShortText {
        max_len: u32,
        equal_lengths: bool,
        code: FieldCode,
    },
    Text(TextOrder),
}

/// Keys, each with its row's number, in the order of the rows or (after [`Keys::sort`]) ascending.
pub(crate) enum Keys {
    /// The key above `row_bits` bits of row number.
    Narrow { words: Vec<u64>, row_bits: u32, key_bits: u32 },
    /// The key above 32 bits of row number.
    Wide { words: Vec<u128>, key_bits: u32 },
    /// Keys by row number, and the row numbers in order.
    Rows { rows: ByteRows, order: Vec<u32> },
}

impl Layout {
    /// The tightest layout for keys with these statistics.
    pub(crate) fn new(parts: &KeyParts, stats: &KeyStats) -> Layout {
        let short = |stats: &FieldStats, order: KeyOrder, packed: bool| -> Field {
            let code = |(min, max): (u128, u128)| FieldCode {
                min,
                max,
                descending: order.descending,
                has_nulls: stats.has_nulls,
                nulls_first: order.nulls_first,
            };
            match &stats.kind {
                FieldKind::Fixed(range) => Field::Fixed(code(range.unwrap_or((0, 0)))),
                FieldKind::Text(None) => Field::ShortText { max_len: 0, equal_lengths: true, code: code((0, 0)) },
                FieldKind::Text(Some(text)) if packed && text.max_len as usize <= INLINE_VIEW_BYTES => {
                    let equal_lengths = text.min_len == text.max_len;
                    let shorten = |image| shorten_view_image(image, text.max_len, equal_lengths);
                    Field::ShortText {
                        max_len: text.max_len,
                        equal_lengths,
                        code: code((shorten(text.images.0), shorten(text.images.1))),
                    }
                }
                FieldKind::Text(Some(_)) => Field::Text(TextOrder {
                    descending: order.descending,
                    has_nulls: stats.has_nulls,
                    nulls_first: order.nulls_first,
                }),
            }
        };
        let fields = |packed| -> Vec<Field> {
            stats.fields.iter().zip(parts.orders()).map(|(s, o)| short(s, o, packed)).collect()
        };
        let packed = fields(true);
        let bits = packed.iter().try_fold(0u32, |sum, field| match field {
            Field::Fixed(code) | Field::ShortText { code, .. } => Some(sum + code.bits()),
            Field::Text(_) => None,
        });
        match bits.filter(|&b| b <= PACKED_BITS_MAX) {
            Some(bits) => Layout { fields: packed, packed_bits: Some(bits) },
            None => Layout { fields: fields(false), packed_bits: None },
        }
    }

    /// The keys of all rows, in row order. Every value must lie in the range that the layout was made for.
    pub(crate) fn encode(&self, parts: &KeyParts) -> Result<Keys> {
        let row_bits = usize::BITS - parts.rows.saturating_sub(1).leading_zeros();
        match self.packed_bits {
            Some(key_bits) if key_bits + row_bits <= 64 => {
                let mut words = self.pack::<u64>(parts)?;
                words.iter_mut().enumerate().for_each(|(row, word)| *word = word.append(row_bits, row as u64));
                Ok(Keys::Narrow { words, row_bits, key_bits })
            }
            Some(key_bits) => {
                let mut words = self.pack::<u128>(parts)?;
                words.iter_mut().enumerate().for_each(|(row, word)| *word = *word << 32 | row as u128);
                Ok(Keys::Wide { words, key_bits })
            }
            None => Ok(Keys::Rows { rows: self.write_rows(parts)?, order: (0..parts.rows as u32).collect() }),
        }
    }

    /// Bits of the packed fields from `first` on; `None` for byte rows.
    pub(crate) fn bits_from(&self, first: usize) -> Option<u32> {
        let bits = |field: &Field| match field {
            Field::Fixed(code) | Field::ShortText { code, .. } => code.bits(),
            Field::Text(_) => 0,
        };
        self.packed_bits.map(|_| self.fields[first..].iter().map(bits).sum())
    }

    fn pack<K: KeyWord>(&self, parts: &KeyParts) -> Result<Vec<K>> {
        let mut words = vec![K::default(); parts.rows];
        for (field, part) in self.fields.iter().zip(&parts.parts) {
            match (field, &part.values) {
                (Field::Fixed(code), PartValues::Fixed(values)) => {
                    with_numbers!(values, v => pack_field(v, part.words(), code, &mut words))
                }
                (Field::Fixed(code), PartValues::Images(images)) => pack_field(images, part.words(), code, &mut words),
                (Field::ShortText { max_len, equal_lengths, code }, PartValues::Text(views)) => {
                    pack_field(&view_images(views, *max_len, *equal_lengths), part.words(), code, &mut words);
                }
                _ => return Err(Error::internal("a sort key does not match its layout")),
            }
        }
        Ok(words)
    }

    fn write_rows(&self, parts: &KeyParts) -> Result<ByteRows> {
        let mut lengths = vec![0u32; parts.rows];
        for (field, part) in self.fields.iter().zip(&parts.parts) {
            match (field, &part.values) {
                (Field::Fixed(code) | Field::ShortText { code, .. }, _) => {
                    lengths.iter_mut().for_each(|l| *l += fixed_bytes(code))
                }
                (Field::Text(order), PartValues::Text(views)) => {
                    lengths.iter_mut().enumerate().for_each(|(i, l)| *l += text_bytes(part.text(views, i), *order))
                }
                _ => return Err(Error::internal("a sort key does not match its layout")),
            }
        }
        let mut rows = ByteRows::with_lengths(&lengths);
        for (field, part) in self.fields.iter().zip(&parts.parts) {
            match (field, &part.values) {
                (Field::Fixed(code), PartValues::Fixed(values)) => {
                    with_numbers!(values, v => rows.write_fixed(v, part.words(), code))
                }
                (Field::Fixed(code), PartValues::Images(images)) => rows.write_fixed(images, part.words(), code),
                (Field::ShortText { code, .. }, _) => rows.write_fixed(&vec![0u64; parts.rows], part.words(), code),
                (Field::Text(order), PartValues::Text(views)) => {
                    (0..parts.rows).for_each(|i| rows.write_text(i, part.text(views, i), *order))
                }
                _ => return Err(Error::internal("a sort key does not match its layout")),
            }
        }
        rows.finish();
        Ok(rows)
    }
}

impl Part {
    fn text<'a>(&self, views: &'a Views, row: usize) -> Option<&'a [u8]> {
        self.validity.as_ref().is_none_or(|v| v.get(row)).then(|| views.value(row))
    }
}

impl Keys {
    /// Brings the keys into ascending order, unless the query is stopped.
    pub(crate) fn sort(&mut self, cancel: &CancelToken) -> Result<()> {
        let stops = || cancel.check().is_err();
        match self {
            Keys::Narrow { words, row_bits, key_bits } => sort_words(words, *row_bits, *row_bits + *key_bits, &stops),
            Keys::Wide { words, key_bits } => sort_words(words, 32, 32 + *key_bits, &stops),
            Keys::Rows { rows, order } => *order = sort_rows(rows, &stops),
        }
        cancel.check()
    }

    /// Keys in row order rearranged so that the one of row `order[i]` is at `i`.
    pub(crate) fn in_order(self, order: Vec<u32>) -> Keys {
        match self {
            Keys::Narrow { words, row_bits, key_bits } => {
                Keys::Narrow { words: order.iter().map(|&row| words[row as usize]).collect(), row_bits, key_bits }
            }
            Keys::Wide { words, key_bits } => {
                Keys::Wide { words: order.iter().map(|&row| words[row as usize]).collect(), key_bits }
            }
            Keys::Rows { rows, .. } => Keys::Rows { rows, order },
        }
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> usize {
        match self {
            Keys::Narrow { words, .. } => words.len(),
            Keys::Wide { words, .. } => words.len(),
            Keys::Rows { order, .. } => order.len(),
        }
    }

    /// Keeps the first `len` keys.
    pub(crate) fn truncate(&mut self, len: usize) {
        match self {
            Keys::Narrow { words, .. } => words.truncate(len),
            Keys::Wide { words, .. } => words.truncate(len),
            Keys::Rows { order, .. } => order.truncate(len),
        }
    }

    /// The row number of the key at `index`.
    pub(crate) fn row(&self, index: usize) -> u32 {
        match self {
            Keys::Narrow { words, row_bits, .. } => (words[index] & ((1u64 << row_bits) - 1)) as u32,
            Keys::Wide { words, .. } => words[index] as u32,
            Keys::Rows { order, .. } => order[index],
        }
    }

    /// The row numbers of keys `from..to`.
    pub(crate) fn rows(&self, from: usize, to: usize) -> Vec<u32> {
        match self {
            Keys::Narrow { words, row_bits, .. } => {
                let mask = (1u64 << row_bits) - 1;
                words[from..to].iter().map(|w| (w & mask) as u32).collect()
            }
            Keys::Wide { words, .. } => words[from..to].iter().map(|&w| w as u32).collect(),
            Keys::Rows { order, .. } => order[from..to].to_vec(),
        }
    }

    /// The key at `index` without its row number, comparable with any other of an equal layout.
    #[inline]
    pub(crate) fn key(&self, index: usize) -> Key<'_> {
        match self {
            Keys::Narrow { words, row_bits, .. } => Key::Packed((words[index] as u128) >> row_bits),
            Keys::Wide { words, .. } => Key::Packed(words[index] >> 32),
            Keys::Rows { rows, order } => Key::Bytes(rows.row(order[index] as usize)),
        }
    }

    /// The first 96 bits of the key at `index`: orders as keys of an equal layout do, and leaves only long byte rows tied that are not equal.
    #[inline]
    pub(crate) fn head(&self, index: usize) -> u128 {
        match self {
            Keys::Narrow { words, row_bits, .. } => (words[index] as u128) >> row_bits,
            Keys::Wide { words, .. } => words[index] >> 32,
            Keys::Rows { rows, order } => rows.prefix(order[index] as usize, 0),
        }
    }

    /// Where groups of equal keys start among sorted keys, looking at all but the lowest `ignored_bits` bits of packed keys, and the number of keys.
    pub(crate) fn group_starts(&self, ignored_bits: u32) -> Vec<u32> {
        match self {
            Keys::Narrow { words, row_bits, .. } => group_starts(words.len(), |a, b| {
                (words[a] ^ words[b]).checked_shr(row_bits + ignored_bits).unwrap_or(0) == 0
            }),
            Keys::Wide { words, .. } => {
                group_starts(words.len(), |a, b| (words[a] ^ words[b]).checked_shr(32 + ignored_bits).unwrap_or(0) == 0)
            }
            Keys::Rows { rows, order } => {
                group_starts(order.len(), |a, b| rows.row(order[a] as usize) == rows.row(order[b] as usize))
            }
        }
    }

    /// How keys are encoded, for EXPLAIN ANALYZE.
    pub(crate) fn describe(&self) -> String {
        match self {
            Keys::Narrow { key_bits, row_bits, .. } => format!("{key_bits} bits + {row_bits} bits of row in 64"),
            Keys::Wide { key_bits, .. } => format!("{key_bits} bits + 32 bits of row in 128"),
            Keys::Rows { .. } => "byte rows".to_string(),
        }
    }

    /// Bytes held.
    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            Keys::Narrow { words, .. } => words.capacity() * 8,
            Keys::Wide { words, .. } => words.capacity() * 16,
            Keys::Rows { rows, order } => rows.memory_bytes() + order.capacity() * 4,
        }
    }
}

/// One key; keys of one layout are all of the same variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key<'a> {
    Packed(u128),
    Bytes(&'a [u8]),
}
