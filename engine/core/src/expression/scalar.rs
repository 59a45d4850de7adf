//! One value of any type: literals, bounds, results of scalar sub-queries.

use std::sync::{Arc, OnceLock};

use arrow_array::{Array, ArrayRef};
use arrow_buffer::{IntervalMonthDayNano, i256};
use arrow_schema::DataType;

use crate::batch::{self, Bitmap, Column, Encoding, Physical, Values, Views, physical_type};
use crate::error::{Error, Result};

/// A value without its logical type. Floats compare by bits, so that equal literals are equal.
#[derive(Debug, Clone)]
pub enum Scalar {
    Null,
    Boolean(bool),
    /// Every signed integer up to 64 bits, dates, times, timestamps, decimals whose canonical physical type is 64 bits.
    Int64(i64),
    /// Every unsigned integer.
    UInt64(u64),
    Int128(i128),
    Int256(i256),
    Float32(f32),
    Float64(f64),
    Interval(IntervalMonthDayNano),
    /// Text (UTF-8) or binary.
    Bytes(Arc<[u8]>),
    /// An Arrow array of length 1, for nested types.
    Nested(ArrayRef),
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Scalar::Null, Scalar::Null) => true,
            (Scalar::Boolean(a), Scalar::Boolean(b)) => a == b,
            (Scalar::Int64(a), Scalar::Int64(b)) => a == b,
            (Scalar::UInt64(a), Scalar::UInt64(b)) => a == b,
            (Scalar::Int128(a), Scalar::Int128(b)) => a == b,
            (Scalar::Int256(a), Scalar::Int256(b)) => a == b,
            (Scalar::Float32(a), Scalar::Float32(b)) => a.to_bits() == b.to_bits(),
            (Scalar::Float64(a), Scalar::Float64(b)) => a.to_bits() == b.to_bits(),
            (Scalar::Interval(a), Scalar::Interval(b)) => a == b,
            (Scalar::Bytes(a), Scalar::Bytes(b)) => a == b,
            (Scalar::Nested(a), Scalar::Nested(b)) => a == b,
            _ => false,
        }
    }
}

impl Scalar {
    /// Whether the value is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Scalar::Null)
    }

    /// `len` rows of this value, in the canonical physical type of `data_type`.
    pub fn to_column(&self, data_type: &DataType, len: usize) -> Result<Column> {
        if self.is_null() {
            return Ok(batch::arrow::null_column(data_type, len));
        }
        let values = match (physical_type(data_type), self) {
            (Physical::Boolean, Scalar::Boolean(v)) => Values::Boolean(Bitmap::constant(*v, 1)),
            (Physical::Int8, Scalar::Int64(v)) => Values::Int8(vec![*v as i8].into()),
            (Physical::Int16, Scalar::Int64(v)) => Values::Int16(vec![*v as i16].into()),
            (Physical::Int32, Scalar::Int64(v)) => Values::Int32(vec![*v as i32].into()),
            (Physical::Int64, Scalar::Int64(v)) => Values::Int64(vec![*v].into()),
            (Physical::Int64, Scalar::Int128(v)) => Values::Int64(vec![*v as i64].into()),
            (Physical::Int128, Scalar::Int64(v)) => Values::Int128(vec![*v as i128].into()),
            (Physical::Int128, Scalar::Int128(v)) => Values::Int128(vec![*v].into()),
            (Physical::Int256, Scalar::Int64(v)) => Values::Int256(vec![i256::from_i128(*v as i128)].into()),
            (Physical::Int256, Scalar::Int128(v)) => Values::Int256(vec![i256::from_i128(*v)].into()),
            (Physical::Int256, Scalar::Int256(v)) => Values::Int256(vec![*v].into()),
            (Physical::UInt8, Scalar::UInt64(v)) => Values::UInt8(vec![*v as u8].into()),
            (Physical::UInt16, Scalar::UInt64(v)) => Values::UInt16(vec![*v as u16].into()),
            (Physical::UInt32, Scalar::UInt64(v)) => Values::UInt32(vec![*v as u32].into()),
            (Physical::UInt64, Scalar::UInt64(v)) => Values::UInt64(vec![*v].into()),
            (Physical::Float32, Scalar::Float32(v)) => Values::Float32(vec![*v].into()),
            (Physical::Float64, Scalar::Float64(v)) => Values::Float64(vec![*v].into()),
            (Physical::Interval, Scalar::Interval(v)) => Values::Interval(vec![*v].into()),
            (Physical::View, Scalar::Bytes(v)) => Values::View(Views::from_values(std::iter::once(v))),
            (Physical::Nested, Scalar::Nested(v)) => Values::Nested(v.clone()),
            (physical, value) => return Err(Error::internal(format!("{value:?} is no {data_type} ({physical:?})"))),
        };
        Ok(Column::constant(values, len))
    }

    /// The value at `row` of a column.
    pub fn from_column(column: &Column, row: usize) -> Scalar {
        if !column.is_valid(row) {
            return Scalar::Null;
        }
        match column.encoding() {
            Encoding::Flat(values) => Scalar::from_values(values, row),
            Encoding::Constant(values) => Scalar::from_values(values, 0),
            Encoding::Dictionary { codes, dictionary } => Scalar::from_values(&dictionary.values, codes[row] as usize),
        }
    }

    /// The value at `row` of flat values.
    pub fn from_values(values: &Values, row: usize) -> Scalar {
        match values {
            Values::Boolean(v) => Scalar::Boolean(v.get(row)),
            Values::Int8(v) => Scalar::Int64(v[row] as i64),
            Values::Int16(v) => Scalar::Int64(v[row] as i64),
            Values::Int32(v) => Scalar::Int64(v[row] as i64),
            Values::Int64(v) => Scalar::Int64(v[row]),
            Values::Int128(v) => Scalar::Int128(v[row]),
            Values::Int256(v) => Scalar::Int256(v[row]),
            Values::UInt8(v) => Scalar::UInt64(v[row] as u64),
            Values::UInt16(v) => Scalar::UInt64(v[row] as u64),
            Values::UInt32(v) => Scalar::UInt64(v[row] as u64),
            Values::UInt64(v) => Scalar::UInt64(v[row]),
            Values::Float32(v) => Scalar::Float32(v[row]),
            Values::Float64(v) => Scalar::Float64(v[row]),
            Values::Interval(v) => Scalar::Interval(v[row]),
            Values::View(v) => Scalar::Bytes(v.value(row).into()),
            Values::Nested(v) => Scalar::Nested(v.slice(row, 1)),
        }
    }

    /// As a 64-bit integer, when it is one and fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Scalar::Int64(v) => Some(*v),
            Scalar::UInt64(v) => i64::try_from(*v).ok(),
            Scalar::Int128(v) => i64::try_from(*v).ok(),
            _ => None,
        }
    }

    /// SQL-like text of the value as a `data_type`.
    pub fn display(&self, data_type: &DataType) -> String {
        match (self, data_type) {
            (Scalar::Null, _) => "NULL".to_string(),
            (Scalar::Bytes(bytes), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => {
                format!("'{}'", String::from_utf8_lossy(bytes))
            }
            _ => {
                let array = self.to_column(data_type, 1).and_then(|c| batch::arrow::export_column(&c, data_type));
                let text = array.and_then(|a| Ok(arrow_cast::display::array_value_to_string(&a, 0)?));
                text.unwrap_or_else(|_| format!("{self:?}"))
            }
        }
    }
}

/// The place where a scalar sub-query leaves its value. Identity is the slot's address.
#[derive(Debug, Default)]
pub struct ScalarSlot {
    value: OnceLock<Scalar>,
}

impl ScalarSlot {
    /// An empty slot.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Binds the value; the first binding stays.
    pub fn bind(&self, value: Scalar) {
        let _ = self.value.set(value);
    }

    /// The bound value; an internal error when read too early.
    pub fn value(&self) -> Result<&Scalar> {
        self.value.get().ok_or_else(|| Error::internal("a scalar sub-query was read before it ran"))
    }
}

impl PartialEq for ScalarSlot {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}
