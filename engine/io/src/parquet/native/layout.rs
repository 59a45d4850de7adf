//! Which chunks our decoders read, and how their stored values become a column's.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use arrow_buffer::{Buffer, ScalarBuffer};
use bytes::Bytes;
use parquet::basic::{Encoding, LogicalType, TimeUnit as ParquetTimeUnit, Type as PhysicalType};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::schema::types::ColumnDescriptor;
use plasmon_core::batch::{Bitmap, Values, Views};
use plasmon_kernels::decode;

/// How a chunk's stored values become a column's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) enum Layout {
    Boolean,
    /// Integers of less than 32 bits are stored as 32.
    Int8,
    Int16,
    UInt8,
    UInt16,
    Int32,
    UInt32,
    /// 32-bit decimals, whose columns are 64 bits wide.
    Int32AsInt64,
    Int64,
    UInt64,
    Float32,
    Float64,
    View {
        is_text: bool,
    },
    /// Big-endian decimals of `size` bytes.
    BigEndian {
        size: usize,
        is_narrow: bool,
    },
}

impl Layout {
    /// The layout for a chunk read as `data_type`; `None` when this decoder cannot read it.
    pub(super) fn of(descriptor: &ColumnDescriptor, chunk: &ColumnChunkMetaData, data_type: &DataType) -> Option<Self> {
        let is_flat =
            descriptor.max_rep_level() == 0 && descriptor.max_def_level() <= 1 && descriptor.path().parts().len() == 1;
        let layout = Layout::of_type(descriptor, data_type).filter(|_| is_flat)?;
        chunk.encodings().all(|encoding| layout.reads(encoding)).then_some(layout)
    }

    /// Whether pages of the encoding are read; levels and dictionaries are listed too.
    #[expect(deprecated, reason = "old writers list the bit-packed encoding for levels that have no bits")]
    fn reads(self, encoding: Encoding) -> bool {
        match encoding {
            Encoding::PLAIN | Encoding::RLE | Encoding::BIT_PACKED => true,
            Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY => self != Layout::Boolean,
            Encoding::DELTA_BINARY_PACKED => self.is_stored_integer(),
            Encoding::DELTA_LENGTH_BYTE_ARRAY => matches!(self, Layout::View { .. }),
            Encoding::DELTA_BYTE_ARRAY => matches!(self, Layout::View { .. } | Layout::BigEndian { .. }),
            Encoding::BYTE_STREAM_SPLIT => self.stored_size() > 0,
        }
    }

    /// The layout for values of a flat column; they are stored as they are shown.
    pub(in super::super) fn of_type(descriptor: &ColumnDescriptor, data_type: &DataType) -> Option<Self> {
        use PhysicalType::{BOOLEAN, BYTE_ARRAY, DOUBLE, FIXED_LEN_BYTE_ARRAY, FLOAT, INT32, INT64};
        let unit_is = |unit: &TimeUnit| match descriptor.logical_type_ref() {
            Some(LogicalType::Timestamp(stored)) => is_unit(&stored.unit, unit),
            Some(LogicalType::Time(stored)) => is_unit(&stored.unit, unit),
            _ => false,
        };
        match (descriptor.physical_type(), data_type) {
            (BOOLEAN, DataType::Boolean) => Some(Layout::Boolean),
            (INT32, DataType::Int8) => Some(Layout::Int8),
            (INT32, DataType::Int16) => Some(Layout::Int16),
            (INT32, DataType::UInt8) => Some(Layout::UInt8),
            (INT32, DataType::UInt16) => Some(Layout::UInt16),
            (INT32, DataType::UInt32) => Some(Layout::UInt32),
            (INT32, DataType::Int32 | DataType::Date32) => Some(Layout::Int32),
            (INT32, DataType::Time32(unit)) if unit_is(unit) => Some(Layout::Int32),
            (INT32, DataType::Decimal128(precision, _)) if *precision <= 18 => Some(Layout::Int32AsInt64),
            (INT64, DataType::Int64) => Some(Layout::Int64),
            (INT64, DataType::UInt64) => Some(Layout::UInt64),
            (INT64, DataType::Decimal128(precision, _)) if *precision <= 18 => Some(Layout::Int64),
            (INT64, DataType::Timestamp(unit, _) | DataType::Time64(unit)) if unit_is(unit) => Some(Layout::Int64),
            (FLOAT, DataType::Float32) => Some(Layout::Float32),
            (DOUBLE, DataType::Float64) => Some(Layout::Float64),
            (BYTE_ARRAY, DataType::Utf8View) => Some(Layout::View { is_text: true }),
            (BYTE_ARRAY, DataType::BinaryView) => Some(Layout::View { is_text: false }),
            (FIXED_LEN_BYTE_ARRAY, DataType::Decimal128(precision, _)) => {
                let size = usize::try_from(descriptor.type_length()).ok().filter(|s| (1..=16).contains(s))?;
                Some(Layout::BigEndian { size, is_narrow: *precision <= 18 })
            }
            _ => None,
        }
    }

    pub(super) fn is_signed_integer(self) -> bool {
        let is_unsigned = matches!(self, Layout::UInt8 | Layout::UInt16 | Layout::UInt32 | Layout::UInt64);
        self.is_stored_integer() && !is_unsigned
    }

    fn is_stored_integer(self) -> bool {
        !matches!(
            self,
            Layout::Boolean | Layout::Float32 | Layout::Float64 | Layout::View { .. } | Layout::BigEndian { .. }
        )
    }

    /// Bytes of a stored value; 0 = they differ, or are bits.
    pub(super) fn stored_size(self) -> usize {
        match self {
            Layout::Int8 | Layout::Int16 | Layout::UInt8 | Layout::UInt16 | Layout::UInt32 => 4,
            Layout::Int32 | Layout::Int32AsInt64 | Layout::Float32 => 4,
            Layout::Int64 | Layout::UInt64 | Layout::Float64 => 8,
            Layout::BigEndian { size, .. } => size,
            Layout::View { .. } | Layout::Boolean => 0,
        }
    }

    /// All values of plain fixed-width `bytes`; those are used as they are where the memory layout is the stored one.
    pub(super) fn fixed(self, bytes: Bytes) -> Values {
        macro_rules! little_endian {
            ($stored:ty, $wanted:ty) => {{
                let is_native = cfg!(target_endian = "little") && size_of::<$stored>() == size_of::<$wanted>();
                if is_native && bytes.as_ptr().cast::<$wanted>().is_aligned() {
                    let len = bytes.len() / size_of::<$wanted>();
                    ScalarBuffer::<$wanted>::new(Buffer::from(bytes), 0, len)
                } else {
                    let (chunks, _) = bytes.as_chunks::<{ size_of::<$stored>() }>();
                    ScalarBuffer::<$wanted>::from(
                        chunks.iter().map(|&b| <$stored>::from_le_bytes(b) as $wanted).collect::<Vec<$wanted>>(),
                    )
                }
            }};
        }
        match self {
            Layout::Int8 => Values::Int8(little_endian!(i32, i8)),
            Layout::Int16 => Values::Int16(little_endian!(i32, i16)),
            Layout::UInt8 => Values::UInt8(little_endian!(i32, u8)),
            Layout::UInt16 => Values::UInt16(little_endian!(i32, u16)),
            Layout::Int32 => Values::Int32(little_endian!(i32, i32)),
            Layout::UInt32 => Values::UInt32(little_endian!(u32, u32)),
            Layout::Int32AsInt64 => Values::Int64(little_endian!(i32, i64)),
            Layout::Int64 => Values::Int64(little_endian!(i64, i64)),
            Layout::UInt64 => Values::UInt64(little_endian!(u64, u64)),
            Layout::Float32 => Values::Float32(little_endian!(f32, f32)),
            Layout::Float64 => Values::Float64(little_endian!(f64, f64)),
            Layout::BigEndian { size, is_narrow } => {
                let mut wide = Vec::with_capacity(bytes.len() / size);
                decode::plain_big_endian(&bytes, size, &mut wide);
                if is_narrow {
                    Values::Int64(wide.iter().map(|&v| v as i64).collect())
                } else {
                    Values::Int128(wide.into())
                }
            }
            Layout::View { .. } => Values::View(Views { views: Vec::new().into(), buffers: Arc::from([]) }),
            Layout::Boolean => Values::Boolean(Bitmap::constant(false, 0)),
        }
    }
}

fn is_unit(stored: &ParquetTimeUnit, unit: &TimeUnit) -> bool {
    matches!(
        (stored, unit),
        (ParquetTimeUnit::MILLIS, TimeUnit::Millisecond)
            | (ParquetTimeUnit::MICROS, TimeUnit::Microsecond)
            | (ParquetTimeUnit::NANOS, TimeUnit::Nanosecond)
    )
}
