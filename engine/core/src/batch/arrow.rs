//! Arrow arrays in and out of columns; zero-copy for fixed-width values and string views.
//!
//! The only place in the engine's data path that knows Arrow arrays. Strings with offsets (`Utf8`, `Binary`, …) become views over the
//! same bytes; decimals of precision ≤ 18 narrow to 64 bits when their values fit.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::{ArrowNativeType, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer, i256};
use arrow_schema::{DataType, Field, FieldRef, IntervalUnit, Schema, SchemaRef, TimeUnit};
use plasmon_kernels::gather::Position;

use super::{Batch, Bitmap, Column, Dictionary, Encoding, Physical, Values, Views, physical_type, string_bytes};
use crate::error::{Error, Result};

/// A batch from an Arrow record batch; `batch.num_rows()` must be ≤ 32,768.
pub fn import_batch(batch: &RecordBatch) -> Result<Batch> {
    let columns = batch.columns().iter().map(import_column).collect::<Result<Vec<_>>>()?;
    Ok(Batch::new(columns, batch.num_rows()))
}

/// The selected rows of a batch as an Arrow record batch of `schema`.
pub fn export_batch(batch: Batch, schema: &SchemaRef) -> Result<RecordBatch> {
    let batch = batch.compact();
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| export_column(column, field.data_type()))
        .collect::<Result<Vec<_>>>()?;
    let schema = admitting_nulls(schema, &columns);
    let fits = |(column, field): (&ArrayRef, &FieldRef)| {
        column.len() == batch.rows() && column.data_type() == field.data_type()
    };
    if columns.len() != schema.fields().len() || !columns.iter().zip(schema.fields()).all(fits) {
        return Err(Error::internal("the columns of a result do not fit its schema"));
    }
    // SAFETY: just checked; and fields without nulls have none, by `admitting_nulls`.
    Ok(unsafe { RecordBatch::new_unchecked(schema, columns, batch.rows()) })
}

/// The schema, its fields nullable where columns have nulls: nullability is a planner's promise that inference may get wrong (outer joins over
/// declared keys), and data decides.
fn admitting_nulls(schema: &SchemaRef, columns: &[ArrayRef]) -> SchemaRef {
    let is_broken = |field: &Field, column: &ArrayRef| !field.is_nullable() && column.null_count() > 0;
    if !schema.fields().iter().zip(columns).any(|(field, column)| is_broken(field, column)) {
        return schema.clone();
    }
    let fields = schema.fields().iter().zip(columns).map(|(field, column)| match is_broken(field, column) {
        true => Arc::new(field.as_ref().clone().with_nullable(true)),
        false => field.clone(),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// A column over the array's buffers.
pub fn import_column(array: &ArrayRef) -> Result<Column> {
    let validity = array.logical_nulls().filter(|n| n.null_count() > 0).map(|n| Bitmap::from_arrow(n.inner()));
    let flat = |values| Ok(Column::flat_with_validity(values, validity.clone()));
    use DataType::*;
    match array.data_type() {
        Boolean => flat(Values::Boolean(Bitmap::from_arrow(array.as_boolean().values()))),
        Int8 => flat(Values::Int8(array.as_primitive::<Int8Type>().values().clone())),
        Int16 => flat(Values::Int16(array.as_primitive::<Int16Type>().values().clone())),
        Int32 => flat(Values::Int32(array.as_primitive::<Int32Type>().values().clone())),
        Int64 => flat(Values::Int64(array.as_primitive::<Int64Type>().values().clone())),
        UInt8 => flat(Values::UInt8(array.as_primitive::<UInt8Type>().values().clone())),
        UInt16 => flat(Values::UInt16(array.as_primitive::<UInt16Type>().values().clone())),
        UInt32 => flat(Values::UInt32(array.as_primitive::<UInt32Type>().values().clone())),
        UInt64 => flat(Values::UInt64(array.as_primitive::<UInt64Type>().values().clone())),
        Float32 => flat(Values::Float32(array.as_primitive::<Float32Type>().values().clone())),
        Float64 => flat(Values::Float64(array.as_primitive::<Float64Type>().values().clone())),
        Date32 => flat(Values::Int32(array.as_primitive::<Date32Type>().values().clone())),
        Date64 => flat(Values::Int64(array.as_primitive::<Date64Type>().values().clone())),
        Time32(TimeUnit::Second) => flat(Values::Int32(array.as_primitive::<Time32SecondType>().values().clone())),
        Time32(_) => flat(Values::Int32(array.as_primitive::<Time32MillisecondType>().values().clone())),
        Time64(TimeUnit::Microsecond) => {
            flat(Values::Int64(array.as_primitive::<Time64MicrosecondType>().values().clone()))
        }
        Time64(_) => flat(Values::Int64(array.as_primitive::<Time64NanosecondType>().values().clone())),
        Timestamp(TimeUnit::Second, _) => {
            flat(Values::Int64(array.as_primitive::<TimestampSecondType>().values().clone()))
        }
        Timestamp(TimeUnit::Millisecond, _) => {
            flat(Values::Int64(array.as_primitive::<TimestampMillisecondType>().values().clone()))
        }
        Timestamp(TimeUnit::Microsecond, _) => {
            flat(Values::Int64(array.as_primitive::<TimestampMicrosecondType>().values().clone()))
        }
        Timestamp(TimeUnit::Nanosecond, _) => {
            flat(Values::Int64(array.as_primitive::<TimestampNanosecondType>().values().clone()))
        }
        Duration(TimeUnit::Second) => flat(Values::Int64(array.as_primitive::<DurationSecondType>().values().clone())),
        Duration(TimeUnit::Millisecond) => {
            flat(Values::Int64(array.as_primitive::<DurationMillisecondType>().values().clone()))
        }
        Duration(TimeUnit::Microsecond) => {
            flat(Values::Int64(array.as_primitive::<DurationMicrosecondType>().values().clone()))
        }
        Duration(TimeUnit::Nanosecond) => {
            flat(Values::Int64(array.as_primitive::<DurationNanosecondType>().values().clone()))
        }
        Interval(IntervalUnit::YearMonth) => {
            flat(Values::Int32(array.as_primitive::<IntervalYearMonthType>().values().clone()))
        }
        Interval(IntervalUnit::MonthDayNano) => {
            flat(Values::Interval(array.as_primitive::<IntervalMonthDayNanoType>().values().clone()))
        }
        Decimal32(_, _) => {
            flat(Values::Int64(array.as_primitive::<Decimal32Type>().values().iter().map(|&v| v as i64).collect()))
        }
        Decimal64(_, _) => flat(Values::Int64(array.as_primitive::<Decimal64Type>().values().clone())),
        Decimal128(precision, _) => {
            let values = array.as_primitive::<Decimal128Type>().values();
            flat(if *precision <= 18 { Values::Int64(narrow(values)?) } else { Values::Int128(values.clone()) })
        }
        Decimal256(_, _) => flat(Values::Int256(array.as_primitive::<Decimal256Type>().values().clone())),
        Utf8 => {
            flat(Values::View(views_of_offsets(array.as_string::<i32>().offsets(), array.as_string::<i32>().values())))
        }
        LargeUtf8 => large_views(array).and_then(flat),
        Binary => {
            flat(Values::View(views_of_offsets(array.as_binary::<i32>().offsets(), array.as_binary::<i32>().values())))
        }
        LargeBinary => large_views(array).and_then(flat),
        Utf8View => {
            let array = array.as_string_view();
            flat(Values::View(Views { views: array.views().clone(), buffers: array.data_buffers().to_vec().into() }))
        }
        BinaryView => {
            let array = array.as_binary_view();
            flat(Values::View(Views { views: array.views().clone(), buffers: array.data_buffers().to_vec().into() }))
        }
        DataType::Dictionary(_, _) => import_dictionary(array, validity),
        Null => Ok(Column::constant_null(Values::Nested(new_null_array(&Null, 1)), array.len())),
        _ => Ok(Column::flat_with_validity(Values::Nested(array.clone()), validity)),
    }
}

fn narrow(values: &[i128]) -> Result<ScalarBuffer<i64>> {
    // Null slots may hold anything: they wrap silently, which is harmless because nobody reads them.
    Ok(values.iter().map(|&v| v as i64).collect())
}

fn import_dictionary(array: &ArrayRef, validity: Option<Bitmap>) -> Result<Column> {
    let dictionary = array.as_any_dictionary();
    let values = import_column(dictionary.values())?;
    if values.validity().is_some() || values.is_empty() {
        // Nulls inside the dictionary were folded into `logical_nulls`; rows that point at them need a valid code only.
        if values.is_empty() {
            return Ok(Column::constant_null(default_value(values.physical()), array.len()));
        }
    }
    let last = dictionary.values().len() as u64 - 1;
    let codes: ScalarBuffer<u32> =
        dictionary.normalized_keys().into_iter().map(|k| (k as u64).min(last) as u32).collect();
    Ok(Column::dictionary(codes, Arc::new(Dictionary::new(values.flat_values())), validity))
}

/// Bytes of the rows of an array: a slice of a large one counts as what it shows.
pub(crate) fn array_bytes(array: &dyn Array) -> usize {
    use DataType::*;
    let items = match array.data_type() {
        List(_) => item_bytes(array.as_list::<i32>().values().as_ref(), array.as_list::<i32>().offsets()),
        LargeList(_) => item_bytes(array.as_list::<i64>().values().as_ref(), array.as_list::<i64>().offsets()),
        Map(_, _) => item_bytes(array.as_map().entries(), array.as_map().offsets()),
        FixedSizeList(_, _) => array_bytes(array.as_fixed_size_list().values().as_ref()),
        Struct(_) => array.as_struct().columns().iter().map(|column| array_bytes(column.as_ref())).sum(),
        Utf8View => string_bytes(array.as_string_view().views()),
        BinaryView => string_bytes(array.as_binary_view().views()),
        _ => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()),
    };
    items + array.nulls().map_or(0, |nulls| nulls.len().div_ceil(8))
}

/// Bytes of the items between the first and the last of `offsets`.
fn item_bytes<O: OffsetSizeTrait>(items: &dyn Array, offsets: &[O]) -> usize {
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else { return 0 };
    let used = items.slice(first.as_usize(), last.as_usize() - first.as_usize());
    size_of_val(offsets) + array_bytes(used.as_ref())
}

/// One arbitrary value of a physical type, to stand under nulls.
pub fn default_value(physical: Physical) -> Values {
    match physical {
        Physical::Boolean => Values::Boolean(Bitmap::constant(false, 1)),
        Physical::Int8 => Values::Int8(vec![0].into()),
        Physical::Int16 => Values::Int16(vec![0].into()),
        Physical::Int32 => Values::Int32(vec![0].into()),
        Physical::Int64 => Values::Int64(vec![0].into()),
        Physical::Int128 => Values::Int128(vec![0].into()),
        Physical::Int256 => Values::Int256(vec![i256::ZERO].into()),
        Physical::UInt8 => Values::UInt8(vec![0].into()),
        Physical::UInt16 => Values::UInt16(vec![0].into()),
        Physical::UInt32 => Values::UInt32(vec![0].into()),
        Physical::UInt64 => Values::UInt64(vec![0].into()),
        Physical::Float32 => Values::Float32(vec![0.0].into()),
        Physical::Float64 => Values::Float64(vec![0.0].into()),
        Physical::Interval => Values::Interval(vec![arrow_buffer::IntervalMonthDayNano::new(0, 0, 0)].into()),
        Physical::View => Values::View(Views { views: vec![0u128].into(), buffers: Arc::from([]) }),
        Physical::Nested => Values::Nested(new_null_array(&DataType::Null, 1)),
    }
}

/// A column of `len` nulls of a logical type.
pub fn null_column(data_type: &DataType, len: usize) -> Column {
    match physical_type(data_type) {
        Physical::Nested => Column::constant_null(Values::Nested(new_null_array(data_type, 1)), len),
        physical => Column::constant_null(default_value(physical), len),
    }
}

fn views_of_offsets(offsets: &OffsetBuffer<i32>, bytes: &Buffer) -> Views {
    let data = bytes.as_slice();
    let views: Vec<u128> = offsets
        .windows(2)
        .map(|w| arrow_array::builder::make_view(&data[w[0].as_usize()..w[1].as_usize()], 0, w[0] as u32))
        .collect();
    Views { views: views.into(), buffers: vec![bytes.clone()].into() }
}

fn large_views(array: &ArrayRef) -> Result<Values> {
    let views = match array.data_type() {
        DataType::LargeUtf8 => array.as_string::<i64>().to_bytes_values(),
        _ => array.as_binary::<i64>().to_bytes_values(),
    };
    Ok(Values::View(Views::from_slices(views.iter().copied())))
}

trait ToBytesValues {
    fn to_bytes_values(&self) -> Vec<&[u8]>;
}
impl<T: ByteArrayType<Offset = i64>> ToBytesValues for GenericByteArray<T> {
    fn to_bytes_values(&self) -> Vec<&[u8]> {
        let data = self.value_data();
        self.offsets().windows(2).map(|w| &data[w[0] as usize..w[1] as usize]).collect()
    }
}

/// An Arrow array of `data_type` holding every row of the column.
pub fn export_column(column: &Column, data_type: &DataType) -> Result<ArrayRef> {
    use DataType::*;
    if let DataType::Dictionary(_, value) = data_type {
        let flat = export_column(column, value)?;
        return Ok(arrow_cast::cast(&flat, data_type)?);
    }
    if *data_type == Null {
        return Ok(new_null_array(&Null, column.len()));
    }
    let canonical = physical_type(data_type);
    let made;
    let column = match column.encoding() {
        Encoding::Flat(values) if values.physical() == canonical => column,
        _ => {
            made = column.flatten().widen(canonical);
            &made
        }
    };
    let nulls: Option<NullBuffer> = column.validity().map(Bitmap::to_nulls);
    let Encoding::Flat(values) = column.encoding() else { return Err(Error::internal("flatten left an encoding")) };
    macro_rules! primitive {
        ($array:ident, $values:expr) => {
            Arc::new($array::try_new($values.clone(), nulls)?) as ArrayRef
        };
    }
    Ok(match (data_type, values) {
        (Boolean, Values::Boolean(bits)) => Arc::new(BooleanArray::new(bits.to_arrow(), nulls)),
        (Int8, Values::Int8(v)) => primitive!(Int8Array, v),
        (Int16, Values::Int16(v)) => primitive!(Int16Array, v),
        (Int32, Values::Int32(v)) => primitive!(Int32Array, v),
        (Int64, Values::Int64(v)) => primitive!(Int64Array, v),
        (UInt8, Values::UInt8(v)) => primitive!(UInt8Array, v),
        (UInt16, Values::UInt16(v)) => primitive!(UInt16Array, v),
        (UInt32, Values::UInt32(v)) => primitive!(UInt32Array, v),
        (UInt64, Values::UInt64(v)) => primitive!(UInt64Array, v),
        (Float32, Values::Float32(v)) => primitive!(Float32Array, v),
        (Float64, Values::Float64(v)) => primitive!(Float64Array, v),
        (Date32, Values::Int32(v)) => primitive!(Date32Array, v),
        (Date64, Values::Int64(v)) => primitive!(Date64Array, v),
        (Time32(TimeUnit::Second), Values::Int32(v)) => primitive!(Time32SecondArray, v),
        (Time32(_), Values::Int32(v)) => primitive!(Time32MillisecondArray, v),
        (Time64(TimeUnit::Microsecond), Values::Int64(v)) => primitive!(Time64MicrosecondArray, v),
        (Time64(_), Values::Int64(v)) => primitive!(Time64NanosecondArray, v),
        (Timestamp(unit, zone), Values::Int64(v)) => match unit {
            TimeUnit::Second => {
                Arc::new(TimestampSecondArray::try_new(v.clone(), nulls)?.with_timezone_opt(zone.clone()))
            }
            TimeUnit::Millisecond => {
                Arc::new(TimestampMillisecondArray::try_new(v.clone(), nulls)?.with_timezone_opt(zone.clone()))
            }
            TimeUnit::Microsecond => {
                Arc::new(TimestampMicrosecondArray::try_new(v.clone(), nulls)?.with_timezone_opt(zone.clone()))
            }
            TimeUnit::Nanosecond => {
                Arc::new(TimestampNanosecondArray::try_new(v.clone(), nulls)?.with_timezone_opt(zone.clone()))
            }
        },
        (Duration(TimeUnit::Second), Values::Int64(v)) => primitive!(DurationSecondArray, v),
        (Duration(TimeUnit::Millisecond), Values::Int64(v)) => primitive!(DurationMillisecondArray, v),
        (Duration(TimeUnit::Microsecond), Values::Int64(v)) => primitive!(DurationMicrosecondArray, v),
        (Duration(TimeUnit::Nanosecond), Values::Int64(v)) => primitive!(DurationNanosecondArray, v),
        (Interval(IntervalUnit::YearMonth), Values::Int32(v)) => primitive!(IntervalYearMonthArray, v),
        (Interval(IntervalUnit::MonthDayNano), Values::Interval(v)) => primitive!(IntervalMonthDayNanoArray, v),
        (Decimal32(p, s), Values::Int64(v)) => {
            let narrow: ScalarBuffer<i32> = v.iter().map(|&x| x as i32).collect();
            Arc::new(Decimal32Array::try_new(narrow, nulls)?.with_precision_and_scale(*p, *s)?)
        }
        (Decimal64(p, s), Values::Int64(v)) => {
            Arc::new(Decimal64Array::try_new(v.clone(), nulls)?.with_precision_and_scale(*p, *s)?)
        }
        (Decimal128(p, s), Values::Int64(v)) => {
            let wide: ScalarBuffer<i128> = v.iter().map(|&x| x as i128).collect();
            Arc::new(Decimal128Array::try_new(wide, nulls)?.with_precision_and_scale(*p, *s)?)
        }
        (Decimal128(p, s), Values::Int128(v)) => {
            Arc::new(Decimal128Array::try_new(v.clone(), nulls)?.with_precision_and_scale(*p, *s)?)
        }
        (Decimal256(p, s), Values::Int256(v)) => {
            Arc::new(Decimal256Array::try_new(v.clone(), nulls)?.with_precision_and_scale(*p, *s)?)
        }
        (Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView, Values::View(v)) => {
            export_views(v, nulls, data_type)?
        }
        (_, Values::Nested(array)) if array.data_type() == data_type => with_nulls(array, nulls)?,
        (_, Values::Nested(array)) => with_nulls(&arrow_cast::cast(array, data_type)?, nulls)?,
        (wanted, values) => {
            return Err(Error::internal(format!("a {:?} column cannot be shown as {wanted}", values.physical())));
        }
    })
}

/// The array with the column's nulls, which may be more than its own (rows that a window or an outer join left without a value).
fn with_nulls(array: &ArrayRef, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
    match nulls {
        Some(nulls) if nulls.null_count() != array.logical_null_count() => {
            let is_null = BooleanArray::new(!nulls.inner(), None);
            Ok(arrow_select::nullif::nullif(array, &is_null)?)
        }
        _ => Ok(array.clone()),
    }
}

fn export_views(views: &Views, nulls: Option<NullBuffer>, data_type: &DataType) -> Result<ArrayRef> {
    // SAFETY: every view was made by Arrow, by `make_view` over buffers that `Views` keeps alive, or by a kernel that copies such views,
    // and text columns only ever hold UTF-8: sources validate it and functions preserve it. Unselected garbage was gathered away.
    let binary = unsafe { BinaryViewArray::new_unchecked(views.views.clone(), views.buffers.to_vec(), nulls) };
    Ok(match data_type {
        DataType::BinaryView => Arc::new(binary),
        DataType::Binary | DataType::LargeBinary => arrow_cast::cast(&(Arc::new(binary) as ArrayRef), data_type)?,
        // SAFETY: see above.
        DataType::Utf8View => Arc::new(unsafe { binary.to_string_view_unchecked() }),
        _ => {
            // SAFETY: see above.
            let text: ArrayRef = Arc::new(unsafe { binary.to_string_view_unchecked() });
            arrow_cast::cast(&text, data_type)?
        }
    })
}

/// `array[p]` for each position, for nested types.
pub(super) fn take<I: Position + Into<u64>>(array: &ArrayRef, positions: &[I]) -> ArrayRef {
    let indices: UInt32Array = positions.iter().map(|&p| p.into() as u32).collect::<Vec<_>>().into();
    match arrow_select::take::take(array, &indices, None) {
        Ok(taken) => taken,
        Err(error) => unreachable!("take with in-range positions failed: {error}"),
    }
}
