//! One column of a batch: values in one of three encodings, validity apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::ArrayRef;
use arrow_buffer::{Buffer, IntervalMonthDayNano, ScalarBuffer, i256};
use arrow_schema::DataType;
use plasmon_kernels::gather::{Position, gather};

use super::{Bitmap, Selection};
use crate::error::Result;

/// How values of a logical type lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Physical {
    Boolean,
    Int8,
    Int16,
    Int32,
    Int64,
    Int128,
    Int256,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float32,
    Float64,
    /// Month-day-nano interval, 16 bytes.
    Interval,
    /// Strings and binary of every kind: 16-byte views.
    View,
    /// Lists, structs, maps, and whatever else: an Arrow array.
    Nested,
}

/// The canonical physical type of a logical type: the one that hash tables, rows and sort keys use.
///
/// Decimals of precision ≤ 18 are `Int64`, ≤ 38 `Int128`, else `Int256`. A decimal column of precision 19..=38 may nevertheless
/// arrive as `Int64` ("narrow") when its values fit: [`Column::widen`] makes it canonical.
pub fn physical_type(data_type: &DataType) -> Physical {
    use DataType::*;
    match data_type {
        Boolean => Physical::Boolean,
        Int8 => Physical::Int8,
        Int16 => Physical::Int16,
        Int32 | Date32 | Time32(_) | Interval(arrow_schema::IntervalUnit::YearMonth) => Physical::Int32,
        Int64 | Date64 | Time64(_) | Timestamp(_, _) | Duration(_) => Physical::Int64,
        UInt8 => Physical::UInt8,
        UInt16 => Physical::UInt16,
        UInt32 => Physical::UInt32,
        UInt64 => Physical::UInt64,
        Float32 => Physical::Float32,
        Float64 => Physical::Float64,
        Decimal32(_, _) | Decimal64(_, _) => Physical::Int64,
        Decimal128(p, _) if *p <= 18 => Physical::Int64,
        Decimal128(_, _) => Physical::Int128,
        Decimal256(_, _) => Physical::Int256,
        Interval(arrow_schema::IntervalUnit::MonthDayNano) => Physical::Interval,
        Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView => Physical::View,
        Dictionary(_, value) => physical_type(value),
        _ => Physical::Nested,
    }
}

/// Whether all values of the type are null: Null itself, and dictionaries of it.
pub fn is_null_type(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_null_type(value),
        other => other.is_null(),
    }
}

/// 16-byte string views (Arrow's BinaryView layout: length, then 12 inline bytes or 4-byte prefix, buffer index, offset) and the
/// buffers they point into.
#[derive(Debug, Clone)]
pub struct Views {
    pub views: ScalarBuffer<u128>,
    pub buffers: Arc<[Buffer]>,
}

impl Views {
    /// Bytes of value `index`.
    #[inline]
    pub fn value(&self, index: usize) -> &[u8] {
        let view = &self.views[index];
        let len = *view as u32 as usize;
        if len <= INLINE_BYTES {
            // The inline bytes start at byte 4 of the little-endian view.
            let bytes: &[u8] = view_bytes(view);
            &bytes[4..4 + len]
        } else {
            let buffer = (*view >> 64) as u32 as usize;
            let offset = (*view >> 96) as u32 as usize;
            &self.buffers[buffer].as_slice()[offset..offset + len]
        }
    }

    /// Builds views over copied values.
    pub fn from_values<V: AsRef<[u8]>>(values: impl Iterator<Item = V>) -> Self {
        Views::copied(values, Vec::new())
    }

    /// As [`Views::from_values`] of values that can be gone through twice: their buffer has the room that they take from the start.
    pub fn from_slices<'a>(values: impl Iterator<Item = &'a [u8]> + Clone) -> Self {
        let long: usize = values.clone().map(<[u8]>::len).filter(|&len| len > INLINE_BYTES).sum();
        Views::copied(values, Vec::with_capacity(long.min(BUFFER_BYTES_MAX)))
    }

    fn copied<V: AsRef<[u8]>>(values: impl Iterator<Item = V>, mut bytes: Vec<u8>) -> Self {
        let mut views = Vec::with_capacity(values.size_hint().0);
        let mut full: Vec<Buffer> = Vec::new();
        for value in values {
            let value = value.as_ref();
            if bytes.len() + value.len() > BUFFER_BYTES_MAX {
                full.push(fitted(std::mem::take(&mut bytes)));
            }
            views.push(arrow_array::builder::make_view(value, full.len() as u32, bytes.len() as u32));
            if value.len() > INLINE_BYTES {
                bytes.extend_from_slice(value);
            }
        }
        if !bytes.is_empty() {
            full.push(fitted(bytes));
        }
        Views { views: ScalarBuffer::from(views), buffers: full.into() }
    }

    /// As [`is_small_part`], of the buffers of strings.
    fn are_small_part(&self) -> bool {
        let kept = |buffer: &Buffer| buffer.capacity();
        self.buffers.iter().map(kept).sum::<usize>() > KEPT_TIMES_STRINGS * string_bytes(&self.views) + KEPT_BYTES
    }
}

/// Longest value that lies in its view.
pub(crate) const INLINE_BYTES: usize = 12;
/// Offsets are 32 bits wide: a buffer ends before one overflows.
const BUFFER_BYTES_MAX: usize = i32::MAX as usize;

/// Values that are kept may keep a buffer of so many times their bytes …
const KEPT_TIMES: usize = 2;
/// … strings, which are dearer to copy, buffers of so many times theirs …
const KEPT_TIMES_STRINGS: usize = 4;
/// … and so many more.
const KEPT_BYTES: usize = 1 << 10;

/// A buffer without the room that its bytes were given to grow: nobody reserves that.
fn fitted(mut bytes: Vec<u8>) -> Buffer {
    bytes.shrink_to_fit();
    Buffer::from_vec(bytes)
}

/// Bytes of strings by their views, which hold short ones.
pub(crate) fn string_bytes(views: &[u128]) -> usize {
    size_of_val(views) + long_bytes(views)
}

/// Bytes of the strings that their views do not hold.
pub(crate) fn long_bytes(views: &[u128]) -> usize {
    views.iter().map(|&view| view as u32 as usize).filter(|&len| len > INLINE_BYTES).sum()
}

/// The little-endian bytes of a view, borrowed.
#[inline]
fn view_bytes(view: &u128) -> &[u8] {
    use arrow_buffer::ToByteSlice;
    view.to_byte_slice()
}

/// Values of one physical type, flat.
#[derive(Debug, Clone)]
pub enum Values {
    Boolean(Bitmap),
    Int8(ScalarBuffer<i8>),
    Int16(ScalarBuffer<i16>),
    Int32(ScalarBuffer<i32>),
    Int64(ScalarBuffer<i64>),
    Int128(ScalarBuffer<i128>),
    Int256(ScalarBuffer<i256>),
    UInt8(ScalarBuffer<u8>),
    UInt16(ScalarBuffer<u16>),
    UInt32(ScalarBuffer<u32>),
    UInt64(ScalarBuffer<u64>),
    Float32(ScalarBuffer<f32>),
    Float64(ScalarBuffer<f64>),
    Interval(ScalarBuffer<IntervalMonthDayNano>),
    View(Views),
    /// Nulls, if any, live inside the Arrow array; the column's own validity repeats them.
    Nested(ArrayRef),
}

/// Runs `$body` with `$buffer` bound to the `ScalarBuffer` of any fixed-width variant and `$variant` to its constructor.
#[macro_export]
macro_rules! with_fixed_width {
    ($values:expr, $buffer:ident, $variant:ident => $body:expr, otherwise $other:pat => $else:expr) => {{
        use $crate::batch::Values;
        match $values {
            Values::Int8($buffer) => {
                let $variant = Values::Int8;
                $body
            }
            Values::Int16($buffer) => {
                let $variant = Values::Int16;
                $body
            }
            Values::Int32($buffer) => {
                let $variant = Values::Int32;
                $body
            }
            Values::Int64($buffer) => {
                let $variant = Values::Int64;
                $body
            }
            Values::Int128($buffer) => {
                let $variant = Values::Int128;
                $body
            }
            Values::Int256($buffer) => {
                let $variant = Values::Int256;
                $body
            }
            Values::UInt8($buffer) => {
                let $variant = Values::UInt8;
                $body
            }
            Values::UInt16($buffer) => {
                let $variant = Values::UInt16;
                $body
            }
            Values::UInt32($buffer) => {
                let $variant = Values::UInt32;
                $body
            }
            Values::UInt64($buffer) => {
                let $variant = Values::UInt64;
                $body
            }
            Values::Float32($buffer) => {
                let $variant = Values::Float32;
                $body
            }
            Values::Float64($buffer) => {
                let $variant = Values::Float64;
                $body
            }
            Values::Interval($buffer) => {
                let $variant = Values::Interval;
                $body
            }
            $other => $else,
        }
    }};
}

impl Values {
    /// Number of values.
    pub fn len(&self) -> usize {
        with_fixed_width!(self, buffer, _variant => buffer.len(), otherwise other => match other {
            Values::Boolean(bits) => bits.len(),
            Values::View(views) => views.views.len(),
            Values::Nested(array) => arrow_array::Array::len(array),
            _ => unreachable!("fixed-width variants are matched above"),
        })
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The physical type.
    pub fn physical(&self) -> Physical {
        match self {
            Values::Boolean(_) => Physical::Boolean,
            Values::Int8(_) => Physical::Int8,
            Values::Int16(_) => Physical::Int16,
            Values::Int32(_) => Physical::Int32,
            Values::Int64(_) => Physical::Int64,
            Values::Int128(_) => Physical::Int128,
            Values::Int256(_) => Physical::Int256,
            Values::UInt8(_) => Physical::UInt8,
            Values::UInt16(_) => Physical::UInt16,
            Values::UInt32(_) => Physical::UInt32,
            Values::UInt64(_) => Physical::UInt64,
            Values::Float32(_) => Physical::Float32,
            Values::Float64(_) => Physical::Float64,
            Values::Interval(_) => Physical::Interval,
            Values::View(_) => Physical::View,
            Values::Nested(_) => Physical::Nested,
        }
    }

    /// Values at `positions` (each < len), in their order; positions may repeat.
    pub fn gather<I: Position + Into<u64>>(&self, positions: &[I]) -> Values {
        with_fixed_width!(self, buffer, variant => variant(gather(buffer, positions).into()), otherwise other => match other {
            Values::Boolean(bits) => Values::Boolean(bits.gather(positions)),
            Values::View(views) => Values::View(Views { views: gather(&views.views, positions).into(), buffers: views.buffers.clone() }),
            Values::Nested(array) => Values::Nested(super::arrow::take(array, positions)),
            _ => unreachable!("fixed-width variants are matched above"),
        })
    }

    /// Values `offset..offset + len`, without a copy where the layout allows it.
    pub fn slice(&self, offset: usize, len: usize) -> Values {
        with_fixed_width!(self, buffer, variant => variant(buffer.slice(offset, len)), otherwise other => match other {
            Values::Boolean(bits) => Values::Boolean(bits.slice(offset, len)),
            Values::View(views) => Values::View(Views { views: views.views.slice(offset, len), buffers: views.buffers.clone() }),
            Values::Nested(array) => Values::Nested(arrow_array::Array::slice(array, offset, len)),
            _ => unreachable!("fixed-width variants are matched above"),
        })
    }

    /// The same values, copied where they are a small part of a buffer: whoever keeps them would keep all of it.
    fn detach(&self) -> Values {
        with_fixed_width!(self, buffer, variant => {
            variant(if is_small_part(buffer.inner()) { buffer.to_vec().into() } else { buffer.clone() })
        }, otherwise other => match other {
            Values::View(views) if is_small_part(views.views.inner()) => {
                Values::View(Views { views: views.views.to_vec().into(), buffers: views.buffers.clone() })
            }
            other => other.clone(),
        })
    }

    /// Bytes that these values take; strings and lists count by their lengths, not by the buffers that they share with other batches.
    pub fn memory_bytes(&self) -> usize {
        with_fixed_width!(self, buffer, _variant => buffer.inner().len(), otherwise other => match other {
            Values::Boolean(bits) => bits.words().len() * 8,
            Values::View(views) => string_bytes(&views.views),
            Values::Nested(array) => super::arrow::array_bytes(array.as_ref()),
            _ => unreachable!("fixed-width variants are matched above"),
        })
    }
}

/// Whether much more than this part of the buffer's memory is kept for its sake.
fn is_small_part(buffer: &Buffer) -> bool {
    buffer.capacity() > KEPT_TIMES * buffer.len() + KEPT_BYTES
}

/// Distinct values that codes point into. Never holds nulls: those are in the column's validity.
#[derive(Debug)]
pub struct Dictionary {
    /// Equal ids mean the same dictionary, so that a result per distinct value can be cached across batches.
    pub id: u64,
    pub values: Values,
    /// Whether all bytes are ASCII (strings only; false = unknown).
    pub is_ascii: bool,
    /// Whether the values are proven distinct (a code then identifies a value).
    pub is_distinct: bool,
}

impl Dictionary {
    /// A dictionary with a fresh id, unique in the process.
    pub fn new(values: Values) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Dictionary { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), values, is_ascii: false, is_distinct: false }
    }
}

/// How a column's values are laid out.
#[derive(Debug, Clone)]
pub enum Encoding {
    /// One value per row.
    Flat(Values),
    /// The one value of all rows (`Values` of length 1).
    Constant(Values),
    /// A code per row; codes are < the dictionary's length at every position, selected, valid or not.
    Dictionary { codes: ScalarBuffer<u32>, dictionary: Arc<Dictionary> },
}

/// Proven inclusive bounds of a column's valid values (integers, dates, decimals by unscaled value).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub min: i64,
    pub max: i64,
}

/// One column of a batch.
#[derive(Debug, Clone)]
pub struct Column {
    encoding: Encoding,
    len: usize,
    /// Bit 1 = valid; `None` = no nulls. For a constant null: all zero.
    validity: Option<Bitmap>,
    /// Proven bounds, from file statistics or arithmetic; `None` = unknown.
    pub bounds: Option<Bounds>,
    /// All strings are proven ASCII.
    pub is_ascii: bool,
}

impl Column {
    /// A flat column without nulls.
    pub fn flat(values: Values) -> Self {
        Column::new(Encoding::Flat(values), None)
    }

    /// A flat column with validity (same length).
    pub fn flat_with_validity(values: Values, validity: Option<Bitmap>) -> Self {
        Column::new(Encoding::Flat(values), validity)
    }

    /// `len` rows of the single value in `values`.
    pub fn constant(values: Values, len: usize) -> Self {
        debug_assert_eq!(values.len(), 1);
        Column { encoding: Encoding::Constant(values), len, validity: None, bounds: None, is_ascii: false }
    }

    /// `len` nulls of a physical type (`values` is any one value of that type, never shown).
    pub fn constant_null(values: Values, len: usize) -> Self {
        let validity = Some(Bitmap::constant(false, len));
        Column { encoding: Encoding::Constant(values), len, validity, bounds: None, is_ascii: false }
    }

    /// A dictionary column; every code must be < the dictionary's length.
    pub fn dictionary(codes: ScalarBuffer<u32>, dictionary: Arc<Dictionary>, validity: Option<Bitmap>) -> Self {
        Column::new(Encoding::Dictionary { codes, dictionary }, validity)
    }

    /// From flat or dictionary parts; a validity without zero bits is dropped.
    pub fn new(encoding: Encoding, validity: Option<Bitmap>) -> Self {
        let (len, is_ascii) = match &encoding {
            Encoding::Flat(values) => (values.len(), false),
            Encoding::Constant(_) => (validity.as_ref().map_or(1, Bitmap::len), false),
            Encoding::Dictionary { codes, dictionary } => (codes.len(), dictionary.is_ascii),
        };
        let validity = validity.filter(|v| {
            debug_assert_eq!(v.len(), len);
            v.count_ones() < len
        });
        Column { encoding, len, validity, bounds: None, is_ascii }
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The encoding.
    pub fn encoding(&self) -> &Encoding {
        &self.encoding
    }

    /// Validity; `None` = no nulls.
    pub fn validity(&self) -> Option<&Bitmap> {
        self.validity.as_ref()
    }

    /// Whether row `index` is not null.
    #[inline]
    pub fn is_valid(&self, index: usize) -> bool {
        self.validity.as_ref().is_none_or(|v| v.get(index))
    }

    /// The physical type of the values.
    pub fn physical(&self) -> Physical {
        match &self.encoding {
            Encoding::Flat(values) | Encoding::Constant(values) => values.physical(),
            Encoding::Dictionary { dictionary, .. } => dictionary.values.physical(),
        }
    }

    /// The same values with another validity.
    pub fn with_validity(mut self, validity: Option<Bitmap>) -> Self {
        self.validity = validity.filter(|v| v.count_ones() < self.len);
        self
    }

    /// The same column with proven bounds.
    pub fn with_bounds(mut self, bounds: Option<Bounds>) -> Self {
        self.bounds = bounds;
        self
    }

    /// Values one per row: constants repeated, dictionaries looked up. Free when flat already.
    pub fn flatten(&self) -> Column {
        let values = match &self.encoding {
            Encoding::Flat(_) => return self.clone(),
            Encoding::Constant(values) => values.gather(&vec![0u16; self.len]),
            Encoding::Dictionary { codes, dictionary } => dictionary.values.gather(codes),
        };
        Column {
            encoding: Encoding::Flat(values),
            len: self.len,
            validity: self.validity.clone(),
            bounds: self.bounds,
            is_ascii: self.is_ascii,
        }
    }

    /// Flat when its dictionary has more values than it has rows; else as it is.
    pub fn without_large_dictionary(&self) -> Column {
        match &self.encoding {
            Encoding::Dictionary { dictionary, .. } if dictionary.values.len() > self.len => self.flatten(),
            _ => self.clone(),
        }
    }

    /// Without a dictionary of more values than it has rows, and in buffers of its own when it is a small part of those that it came in.
    pub fn detach(&self) -> Column {
        let column = self.without_large_dictionary();
        match &column.encoding {
            Encoding::Flat(Values::View(views)) if views.are_small_part() => column.own_strings(),
            Encoding::Flat(values) => Column { encoding: Encoding::Flat(values.detach()), ..column },
            _ => column,
        }
    }

    /// Whether somebody else holds the same buffer of values, or of codes.
    pub fn is_shared(&self) -> bool {
        let values = match &self.encoding {
            Encoding::Dictionary { codes, .. } => return codes.inner().strong_count() > 1,
            Encoding::Flat(values) | Encoding::Constant(values) => values,
        };
        with_fixed_width!(values, buffer, _variant => buffer.inner().strong_count() > 1, otherwise other => match other {
            Values::View(views) => views.views.inner().strong_count() > 1,
            Values::Nested(array) => Arc::strong_count(array) > 1,
            _ => false,
        })
    }

    /// The flat values, looking up or repeating where needed.
    pub fn flat_values(&self) -> Values {
        match self.flatten().encoding {
            Encoding::Flat(values) => values,
            _ => unreachable!("flatten returns a flat column"),
        }
    }

    /// The one value of a constant column and whether it is valid.
    pub fn as_constant(&self) -> Option<(&Values, bool)> {
        match &self.encoding {
            Encoding::Constant(values) => Some((values, self.validity.is_none())),
            _ => None,
        }
    }

    /// Rows of `selection`, in order, keeping the encoding.
    pub fn select(&self, selection: &Selection) -> Column {
        self.gather(selection.positions())
    }

    /// Rows at `positions` (each < len), in their order, keeping the encoding; positions may repeat.
    pub fn gather<I: Position + Into<u64>>(&self, positions: &[I]) -> Column {
        let encoding = match &self.encoding {
            Encoding::Flat(values) => Encoding::Flat(values.gather(positions)),
            Encoding::Constant(values) => Encoding::Constant(values.clone()),
            Encoding::Dictionary { codes, dictionary } => {
                Encoding::Dictionary { codes: gather(codes, positions).into(), dictionary: dictionary.clone() }
            }
        };
        let validity = self.validity.as_ref().map(|v| v.gather(positions)).filter(|v| v.count_ones() < v.len());
        Column { encoding, len: positions.len(), validity, bounds: self.bounds, is_ascii: self.is_ascii }
    }

    /// Rows `offset..offset + len`.
    pub fn slice(&self, offset: usize, len: usize) -> Column {
        let encoding = match &self.encoding {
            Encoding::Flat(values) => Encoding::Flat(values.slice(offset, len)),
            Encoding::Constant(values) => Encoding::Constant(values.clone()),
            Encoding::Dictionary { codes, dictionary } => {
                Encoding::Dictionary { codes: codes.slice(offset, len), dictionary: dictionary.clone() }
            }
        };
        let validity = self.validity.as_ref().map(|v| v.slice(offset, len)).filter(|v| v.count_ones() < len);
        Column { encoding, len, validity, bounds: self.bounds, is_ascii: self.is_ascii }
    }

    /// The rows of all `columns` one after the other, flat, in the canonical physical type of `data_type`.
    pub fn concat(columns: &[Column], data_type: &DataType) -> Result<Column> {
        super::concat::concat(columns, data_type)
    }

    /// As [`Column::concat`], letting go of each column when it is copied: hardly more memory than one of them is taken beside the result.
    pub fn concat_owned(columns: Vec<Column>, data_type: &DataType) -> Result<Column> {
        super::concat::concat_owned(columns, data_type)
    }

    /// As [`Column::concat`], but codes stay codes when all point into one dictionary, and constants of one value a constant; bounds that all have stay, too.
    pub fn join(columns: &[Column], data_type: &DataType) -> Result<Column> {
        super::concat::join(columns, data_type)
    }

    /// The same column with flat strings in buffers of its own: what is kept must not keep alive what it came from.
    pub fn own_strings(&self) -> Column {
        super::concat::own_strings(self)
    }

    /// A narrow decimal (`Int64`) made canonical (`Int128` or `Int256`); other columns as they are.
    pub fn widen(&self, to: Physical) -> Column {
        if self.physical() == to {
            return self.clone();
        }
        let convert = |values: &Values| match (values, to) {
            (Values::Int64(v), Physical::Int128) => {
                Values::Int128(v.iter().map(|&x| x as i128).collect::<Vec<_>>().into())
            }
            (Values::Int64(v), Physical::Int256) => {
                Values::Int256(v.iter().map(|&x| i256::from_i128(x as i128)).collect::<Vec<_>>().into())
            }
            (Values::Int128(v), Physical::Int256) => {
                Values::Int256(v.iter().map(|&x| i256::from_i128(x)).collect::<Vec<_>>().into())
            }
            (other, _) => other.clone(),
        };
        let encoding = match &self.encoding {
            Encoding::Flat(values) => Encoding::Flat(convert(values)),
            Encoding::Constant(values) => Encoding::Constant(convert(values)),
            Encoding::Dictionary { codes, dictionary } => {
                let mut wide = Dictionary::new(convert(&dictionary.values));
                wide.is_distinct = dictionary.is_distinct;
                Encoding::Dictionary { codes: codes.clone(), dictionary: Arc::new(wide) }
            }
        };
        Column {
            encoding,
            len: self.len,
            validity: self.validity.clone(),
            bounds: self.bounds,
            is_ascii: self.is_ascii,
        }
    }

    /// Bytes of the values, one a row, where equal ones take as much as others: what those take who keep them all.
    pub fn value_bytes(&self) -> usize {
        match &self.encoding {
            Encoding::Flat(values) => values.memory_bytes(),
            Encoding::Constant(values) => values.memory_bytes() * self.len,
            Encoding::Dictionary { codes, dictionary } => match &dictionary.values {
                Values::View(views) => {
                    // Codes of nulls may point anywhere.
                    let long = |code: &u32| views.views.get(*code as usize).map_or(0, |&view| view as u32 as usize);
                    codes.iter().map(|code| size_of::<u128>() + long(code)).sum()
                }
                values => values.memory_bytes().div_ceil(values.len().max(1)) * codes.len(),
            },
        }
    }

    /// Bytes held by the column's buffers.
    pub fn memory_bytes(&self) -> usize {
        let values = match &self.encoding {
            Encoding::Flat(values) | Encoding::Constant(values) => values.memory_bytes(),
            Encoding::Dictionary { codes, .. } => codes.inner().len(),
        };
        values + self.validity.as_ref().map_or(0, |v| v.words().len() * 8)
    }
}
