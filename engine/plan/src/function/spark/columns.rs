//! The columns of one call: arguments by row whatever they are (a constant is one row that stands for all), and results built row by row without an
//! allocation for each.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BinaryViewBuilder, BooleanArray, BooleanBuilder, PrimitiveArray,
    PrimitiveBuilder, StringViewArray, StringViewBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use datafusion_common::DataFusionError;
use datafusion_expr::ColumnarValue;
use plasmon_core::{Error, Result};

use super::definition::Mode;

/// A call over `rows` rows.
pub(super) struct Call {
    arguments: Vec<Argument>,
    rows: usize,
    mode: Mode,
    result: DataType,
}

/// An argument: as many rows as the call has, or one that stands for all.
struct Argument {
    array: ArrayRef,
    is_constant: bool,
}

impl Call {
    pub(super) fn new(
        values: Vec<ColumnarValue>,
        rows: usize,
        mode: Mode,
        result: DataType,
    ) -> Result<Self, DataFusionError> {
        let argument = |value| {
            let (array, is_constant) = match value {
                ColumnarValue::Array(array) => (array, false),
                ColumnarValue::Scalar(scalar) => (scalar.to_array_of_size(1)?, true),
            };
            Ok(Argument { array: plain(array)?, is_constant })
        };
        let arguments = values.into_iter().map(argument).collect::<Result<_, DataFusionError>>()?;
        Ok(Call { arguments, rows, mode, result })
    }

    /// Rows of the result.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Number of arguments.
    pub(super) fn len(&self) -> usize {
        self.arguments.len()
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// The type that the result must have.
    pub(super) fn result(&self) -> &DataType {
        &self.result
    }

    fn argument(&self, index: usize) -> Result<&Argument> {
        let missing = || Error::user(format!("argument {} is missing", index + 1));
        self.arguments.get(index).ok_or_else(missing)
    }

    /// The type of an argument.
    pub(super) fn type_of(&self, index: usize) -> Result<&DataType> {
        Ok(self.argument(index)?.array.data_type())
    }

    /// An argument's values as they are: of one row when it is constant.
    pub(super) fn array(&self, index: usize) -> Result<&ArrayRef> {
        Ok(&self.argument(index)?.array)
    }

    /// An argument's values, a constant repeated.
    pub(super) fn full_array(&self, index: usize) -> Result<ArrayRef> {
        let argument = self.argument(index)?;
        if !argument.is_constant {
            return Ok(argument.array.clone());
        }
        let indices = arrow::array::UInt32Array::from(vec![0u32; self.rows]);
        Ok(arrow::compute::take(&argument.array, &indices, None)?)
    }

    /// Where each row's value of an argument lies in its array.
    pub(super) fn place(&self, index: usize) -> Result<Place> {
        Ok(Place { is_constant: self.argument(index)?.is_constant })
    }

    /// The one value of an argument that is constant; `None`: it is null.
    pub(super) fn constant(&self, index: usize) -> Result<Option<&ArrayRef>> {
        let argument = self.argument(index)?;
        if !argument.is_constant && argument.array.len() != 1 {
            return Err(Error::unsupported(format!("argument {} is another for each row, not a constant", index + 1)));
        }
        Ok((!argument.array.is_null(0)).then_some(&argument.array))
    }

    /// The text of a constant argument.
    pub(super) fn constant_text(&self, index: usize) -> Result<Option<&str>> {
        match self.constant(index)? {
            None => Ok(None),
            Some(array) => Ok(Some(array.as_string_view_opt().ok_or_else(|| misfit(array, "text"))?.value(0))),
        }
    }

    /// The Int32 of a constant argument.
    pub(super) fn constant_int(&self, index: usize) -> Result<Option<i32>> {
        match self.constant(index)? {
            None => Ok(None),
            Some(array) => {
                let array = array.as_primitive_opt::<arrow::datatypes::Int32Type>();
                Ok(Some(array.ok_or_else(|| Error::user(format!("argument {} is no int32", index + 1)))?.value(0)))
            }
        }
    }

    /// An argument of a primitive type.
    pub(super) fn values<T: ArrowPrimitiveType>(&self, index: usize) -> Result<Numbers<'_, T>> {
        let argument = self.argument(index)?;
        let array = argument.array.as_primitive_opt::<T>();
        let array = array.ok_or_else(|| misfit(&argument.array, &T::DATA_TYPE.to_string()))?;
        Ok(Numbers { array, place: Place { is_constant: argument.is_constant } })
    }

    /// A text argument.
    pub(super) fn texts(&self, index: usize) -> Result<Texts<'_>> {
        let argument = self.argument(index)?;
        let array = argument.array.as_string_view_opt().ok_or_else(|| misfit(&argument.array, "text"))?;
        Ok(Texts { array, place: Place { is_constant: argument.is_constant } })
    }

    /// A binary argument.
    pub(super) fn binaries(&self, index: usize) -> Result<Binaries<'_>> {
        let argument = self.argument(index)?;
        let array = argument.array.as_binary_view_opt().ok_or_else(|| misfit(&argument.array, "binary"))?;
        Ok(Binaries { array, place: Place { is_constant: argument.is_constant } })
    }

    /// A boolean argument.
    pub(super) fn booleans(&self, index: usize) -> Result<Booleans<'_>> {
        let argument = self.argument(index)?;
        let array = argument.array.as_boolean_opt().ok_or_else(|| misfit(&argument.array, "boolean"))?;
        Ok(Booleans { array, place: Place { is_constant: argument.is_constant } })
    }

    /// A column of a primitive type, by its rows.
    pub(super) fn number_result<T: ArrowPrimitiveType>(
        &self,
        mut value: impl FnMut(usize) -> Result<Option<T::Native>>,
    ) -> Result<ArrayRef> {
        let mut builder = PrimitiveBuilder::<T>::with_capacity(self.rows).with_data_type(self.result.clone());
        for row in 0..self.rows {
            builder.append_option(value(row)?);
        }
        Ok(Arc::new(builder.finish()))
    }

    /// The range of the result's integer type.
    pub(super) fn integer_range(&self) -> Result<(i64, i64)> {
        Ok(match &self.result {
            DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
            DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
            DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
            DataType::Int64 => (i64::MIN, i64::MAX),
            other => return Err(Error::internal(format!("{other} is no integer type"))),
        })
    }

    /// A column of integers of the result's width, of which higher bits are cut.
    pub(super) fn integer_result(&self, mut value: impl FnMut(usize) -> Result<Option<i64>>) -> Result<ArrayRef> {
        match &self.result {
            DataType::Int8 => self.number_result::<Int8Type>(|row| Ok(value(row)?.map(|v| v as i8))),
            DataType::Int16 => self.number_result::<Int16Type>(|row| Ok(value(row)?.map(|v| v as i16))),
            DataType::Int32 => self.number_result::<Int32Type>(|row| Ok(value(row)?.map(|v| v as i32))),
            _ => self.number_result::<Int64Type>(value),
        }
    }

    /// A column of floats of the result's width.
    pub(super) fn float_result(&self, mut value: impl FnMut(usize) -> Result<Option<f64>>) -> Result<ArrayRef> {
        match &self.result {
            DataType::Float32 => self.number_result::<Float32Type>(|row| Ok(value(row)?.map(|v| v as f32))),
            _ => self.number_result::<Float64Type>(value),
        }
    }

    /// An integer argument of any width.
    pub(super) fn integers(&self, index: usize) -> Result<Integers> {
        let argument = self.argument(index)?;
        if !argument.array.data_type().is_signed_integer() {
            return Err(misfit(&argument.array, "an integer"));
        }
        let array = cast(&argument.array, &DataType::Int64)?.as_primitive::<Int64Type>().clone();
        Ok(Integers { array, place: Place { is_constant: argument.is_constant } })
    }

    /// A float argument of any width.
    pub(super) fn floats(&self, index: usize) -> Result<Floats> {
        let argument = self.argument(index)?;
        if !matches!(argument.array.data_type(), DataType::Float32 | DataType::Float64) {
            return Err(misfit(&argument.array, "a float"));
        }
        let array = cast(&argument.array, &DataType::Float64)?.as_primitive::<Float64Type>().clone();
        Ok(Floats { array, place: Place { is_constant: argument.is_constant } })
    }

    /// A column of decimals, unscaled, by its rows.
    pub(super) fn decimal_result(&self, value: impl FnMut(usize) -> Result<Option<i128>>) -> Result<ArrayRef> {
        self.number_result::<Decimal128Type>(value)
    }

    /// A boolean column by its rows.
    pub(super) fn boolean_result(&self, mut value: impl FnMut(usize) -> Result<Option<bool>>) -> Result<ArrayRef> {
        let mut builder = BooleanBuilder::with_capacity(self.rows);
        for row in 0..self.rows {
            builder.append_option(value(row)?);
        }
        Ok(Arc::new(builder.finish()))
    }

    /// A column of texts: `write` appends to an empty text and says whether there is a value.
    pub(super) fn text_result(&self, mut write: impl FnMut(usize, &mut String) -> Result<bool>) -> Result<ArrayRef> {
        let mut builder = StringViewBuilder::with_capacity(self.rows);
        let mut text = String::new();
        for row in 0..self.rows {
            text.clear();
            match write(row, &mut text)? {
                true => builder.append_value(&text),
                false => builder.append_null(),
            }
        }
        Ok(Arc::new(builder.finish()))
    }

    /// A column of binaries, likewise.
    pub(super) fn binary_result(&self, mut write: impl FnMut(usize, &mut Vec<u8>) -> Result<bool>) -> Result<ArrayRef> {
        let mut builder = BinaryViewBuilder::with_capacity(self.rows);
        let mut bytes = Vec::new();
        for row in 0..self.rows {
            bytes.clear();
            match write(row, &mut bytes)? {
                true => builder.append_value(&bytes),
                false => builder.append_null(),
            }
        }
        Ok(Arc::new(builder.finish()))
    }
}

/// Texts and binaries as views, whatever layout they come in.
fn plain(array: ArrayRef) -> Result<ArrayRef, DataFusionError> {
    Ok(match array.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => cast(&array, &DataType::Utf8View)?,
        DataType::Binary | DataType::LargeBinary => cast(&array, &DataType::BinaryView)?,
        _ => array,
    })
}

fn misfit(array: &ArrayRef, wanted: &str) -> Error {
    Error::user(format!("an argument is of type {} where {wanted} is taken", array.data_type()))
}

/// Where the value for a row is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    is_constant: bool,
}

impl Place {
    pub(super) fn of(self, row: usize) -> usize {
        if self.is_constant { 0 } else { row }
    }
}

macro_rules! by_row {
    ($(#[$doc:meta])* $name:ident, $array:ty, $value:ty) => {
        $(#[$doc])*
        pub(super) struct $name<'a> {
            array: &'a $array,
            place: Place,
        }

        impl<'a> $name<'a> {
            /// The value for a row; `None`: it is null.
            pub(super) fn get(&self, row: usize) -> Option<$value> {
                let row = self.place.of(row);
                self.array.is_valid(row).then(|| self.array.value(row))
            }
        }
    };
}

by_row!(
    /// Texts by row.
    Texts, StringViewArray, &'a str
);
by_row!(
    /// Binaries by row.
    Binaries, BinaryViewArray, &'a [u8]
);
by_row!(
    /// Booleans by row.
    Booleans, BooleanArray, bool
);

macro_rules! widened {
    ($(#[$doc:meta])* $name:ident, $array:ty, $value:ty) => {
        $(#[$doc])*
        pub(super) struct $name {
            array: $array,
            place: Place,
        }

        impl $name {
            /// The value for a row; `None`: it is null.
            pub(super) fn get(&self, row: usize) -> Option<$value> {
                let row = self.place.of(row);
                self.array.is_valid(row).then(|| self.array.value(row))
            }
        }
    };
}

widened!(
    /// Integers of any width by row.
    Integers, arrow::array::Int64Array, i64
);
widened!(
    /// Floats of any width by row.
    Floats, arrow::array::Float64Array, f64
);

/// Numbers, dates and timestamps by row.
pub(super) struct Numbers<'a, T: ArrowPrimitiveType> {
    array: &'a PrimitiveArray<T>,
    place: Place,
}

impl<T: ArrowPrimitiveType> Numbers<'_, T> {
    /// The value for a row; `None`: it is null.
    pub(super) fn get(&self, row: usize) -> Option<T::Native> {
        let row = self.place.of(row);
        self.array.is_valid(row).then(|| self.array.value(row))
    }
}

/// Precision and scale of a decimal type.
pub(super) fn decimal_shape(data_type: &DataType) -> Result<(u8, i8)> {
    match data_type {
        DataType::Decimal128(precision, scale) => Ok((*precision, *scale)),
        other => Err(Error::user(format!("{other} is no decimal of 128 bits"))),
    }
}
