//! `ArrowArray` → arrays over the host's own buffers, each checked before it is trusted.

use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use ::arrow::array::{
    Array, ArrayData, ArrayDataBuilder, ArrayRef, FixedSizeListArray, PrimitiveArray, RecordBatch, StructArray,
    downcast_primitive, make_array,
};
use ::arrow::buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer, ScalarBuffer};
use ::arrow::datatypes::{ArrowPrimitiveType, DataType, FieldRef, Fields, SchemaRef};

use super::schema::{DEPTH_MAX, import_schema};
use super::{ArrowArray, ArrowSchema};
use crate::host::require;
use crate::{Failure, Result};

/// Rows of one array beyond this are taken for garbage; offsets into texts and lists are 32-bit anyway.
const ROWS_MAX: i64 = 1 << 40;

/// The rows of a struct array whose children are the columns of `schema`. The struct is moved; its buffers are shared, not copied.
///
/// # Safety
/// `array` is null, or leads to an `ArrowArray` that is released or as the C Data Interface says, with buffers of the lengths that `schema`, lengths
/// and offsets say.
pub unsafe fn import_batch(array: *mut ArrowArray, schema: &SchemaRef) -> Result<RecordBatch> {
    // SAFETY: the caller's promise.
    checked_batch(unsafe { taken(array)? }, schema)
}

/// As [`import_batch`], with the schema as the host gave it. Both structs are moved in every case.
///
/// # Safety
/// As for [`import_schema`] and [`import_batch`].
pub unsafe fn import_rows(schema: *mut ArrowSchema, array: *mut ArrowArray) -> Result<RecordBatch> {
    // SAFETY: the caller's promise.
    let (schema, array) = unsafe { (import_schema(schema), taken(array)) };
    let schema = schema?;
    checked_batch(array?, &schema)
}

/// One array of type `data_type`. The struct is moved; its buffers are shared, not copied.
///
/// # Safety
/// As for [`import_batch`].
pub unsafe fn import_array(array: *mut ArrowArray, data_type: &DataType) -> Result<ArrayRef> {
    // SAFETY: the caller's promise.
    let owner = Arc::new(unsafe { taken(array)? });
    Import { array: &owner, owner: &owner, path: Path::Root, depth: 0 }.array_of(data_type)
}

/// The host's struct, moved out of where it stood.
unsafe fn taken(array: *mut ArrowArray) -> Result<ArrowArray> {
    require(array, "array")?;
    // SAFETY: not null, and the caller's promise. An empty struct owns nothing; what stood there is now ours.
    let owned = unsafe { std::ptr::replace(array, ArrowArray::empty()) };
    if owned.release.is_none() { Err(Failure::arrow("the array is released")) } else { Ok(owned) }
}

/// As [`import_batch`], of a struct that is ours already.
pub(super) fn checked_batch(array: ArrowArray, schema: &SchemaRef) -> Result<RecordBatch> {
    let owner = Arc::new(array);
    let root = Import { array: &owner, owner: &owner, path: Path::Root, depth: 0 };
    let end = root.span()? as i64;
    if root.nulls(end as usize)?.is_some() {
        return Err(Failure::arrow("rows of a batch cannot be null, only their columns"));
    }
    root.require_children(schema.fields().len(), end)?;
    let (offset, rows) = (root.array.offset as usize, root.array.length as usize);
    let columns = schema.fields().iter().enumerate().map(|(index, field)| {
        let column = root.child(index)?.array_of(field.data_type())?;
        let column = if column.len() == rows { column } else { column.slice(offset, rows) };
        match !field.is_nullable() && column.logical_null_count() > 0 {
            true => Err(Failure::arrow(format!("column {} has nulls, its schema says that it has none", field.name()))),
            false => Ok(column),
        }
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    // SAFETY: each column was imported as its field's type and has `rows` rows; there are as many as fields, and fields without nulls have none.
    Ok(unsafe { RecordBatch::new_unchecked(schema.clone(), columns, rows) })
}

/// Where an array stands in its tree; made into text only for a message.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Child(&'a Path<'a>, usize),
    Dictionary(&'a Path<'a>),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => f.write_str("array"),
            Path::Child(parent, index) => write!(f, "{parent}[{index}]"),
            Path::Dictionary(parent) => write!(f, "{parent}'s dictionary"),
        }
    }
}

/// One array of a tree that `owner` keeps alive.
struct Import<'a> {
    array: &'a ArrowArray,
    owner: &'a Arc<ArrowArray>,
    path: Path<'a>,
    depth: usize,
}

impl Import<'_> {
    /// The array, checked to the last value.
    fn array_of(&self, data_type: &DataType) -> Result<ArrayRef> {
        if self.depth > DEPTH_MAX {
            return Err(self.wrong(format_args!("nested more than {DEPTH_MAX} deep")));
        }
        macro_rules! primitive {
            ($type:ty) => {
                Some(self.primitive::<$type>(data_type)?)
            };
        }
        let primitive = downcast_primitive! { data_type => (primitive), _ => None };
        if let Some(array) = primitive {
            return Ok(array);
        }
        self.require_buffers_of(data_type)?;
        match data_type {
            DataType::Struct(fields) => self.structs(fields),
            DataType::FixedSizeList(field, size) => self.sized_lists(field, *size),
            _ => {
                let data = self.data(data_type)?;
                // Everything that lengths and offsets promise holds, and what is below was checked; now the values: offsets rise, texts are
                // UTF-8, codes are in the dictionary.
                data.validate_data().map_err(|e| self.wrong(e))?;
                Ok(make_array(data))
            }
        }
    }

    /// Structs, whose offset counts in their children too. Put together by hand: Arrow's own way takes the offset of nested ones twice.
    fn structs(&self, fields: &Fields) -> Result<ArrayRef> {
        let end = self.span()?;
        self.require_children(fields.len(), end as i64)?;
        let (offset, length) = (self.array.offset as usize, self.array.length as usize);
        let columns = fields.iter().enumerate();
        let columns = columns.map(|(index, f)| Ok(self.child(index)?.array_of(f.data_type())?.slice(offset, length)));
        let (columns, nulls) = (columns.collect::<Result<Vec<_>>>()?, self.nulls(end)?);
        let array = StructArray::try_new_with_length(fields.clone(), columns, nulls, length);
        Ok(Arc::new(array.map_err(|e| self.wrong(e))?))
    }

    /// Lists of `size` values each, whose offset counts in their values too.
    fn sized_lists(&self, field: &FieldRef, size: i32) -> Result<ArrayRef> {
        let end = self.span()?;
        let rows = (end as i64).checked_mul(i64::from(size)).ok_or_else(|| self.wrong("too many values"))?;
        self.require_children(1, rows)?;
        let (offset, length) = (self.array.offset as usize, self.array.length as usize);
        let values = self.child(0)?.array_of(field.data_type())?.slice(offset * size as usize, length * size as usize);
        let nulls = self.nulls(end)?;
        let array = FixedSizeListArray::try_new_with_length(field.clone(), size, values, nulls, length);
        Ok(Arc::new(array.map_err(|e| self.wrong(e))?))
    }

    /// Numbers, which have nothing but a width to be checked; those that are not aligned are copied.
    fn primitive<T: ArrowPrimitiveType>(&self, data_type: &DataType) -> Result<ArrayRef> {
        let span = self.span()?;
        self.require_buffers_of(data_type)?;
        self.require_children(0, 0)?;
        let (offset, length) = (self.array.offset as usize, self.array.length as usize);
        let width = size_of::<T::Native>();
        let bytes = span.checked_mul(width).ok_or_else(|| self.wrong("too many values"))?;
        let values = self.buffer(1, bytes)?;
        // Arrow's own functions take a day-time interval, two 32-bit numbers, for one of 64 bits.
        let alignment = align_of::<T::Native>().max(width.min(align_of::<i64>()));
        let is_aligned = values.as_ptr().align_offset(alignment) == 0;
        let values = if is_aligned { values } else { Buffer::from_slice_ref(values.as_slice()) };
        let nulls = self.nulls(span)?;
        let array = PrimitiveArray::<T>::try_new(ScalarBuffer::new(values, offset, length), nulls);
        let array = array.map_err(|e| self.wrong(e))?;
        let is_exact = *array.data_type() == *data_type;
        Ok(Arc::new(if is_exact { array } else { array.with_data_type(data_type.clone()) }))
    }

    fn wrong(&self, what: impl fmt::Display) -> Failure {
        Failure::arrow(format!("{}: {what}", self.path))
    }

    /// All other types: lengths, offsets, pointers and what is below are checked, the values are not yet.
    fn data(&self, data_type: &DataType) -> Result<ArrayData> {
        let span = self.span()?;
        let mut builder =
            ArrayData::builder(data_type.clone()).len(self.array.length as usize).offset(self.array.offset as usize);
        builder = match data_type {
            DataType::Null => builder,
            _ => builder.nulls(self.nulls(span)?),
        };
        builder = self.with_values(builder, data_type, span)?;
        for (index, child) in self.children(data_type)?.into_iter().enumerate() {
            let values = self.child(index)?.array_of(child.data_type())?;
            // A null in a dictionary counts, as it does for Arrow's own lists.
            if !child.is_nullable() && values.is_nullable() {
                return Err(self.wrong("its values have nulls, its schema says that they have none"));
            }
            builder = builder.add_child_data(values.to_data());
        }
        if let DataType::Dictionary(_, values) = data_type {
            builder = builder.add_child_data(self.dictionary()?.array_of(values)?.to_data());
        }
        // SAFETY: `array_of` validates the values before anyone reads them; this only puts them together, copying buffers that are not aligned.
        Ok(unsafe { builder.align_buffers(true).build_unchecked() })
    }

    /// Rows from the first of the buffers: offset and length.
    fn span(&self) -> Result<usize> {
        let (length, offset) = (self.array.length, self.array.offset);
        if !(0..=ROWS_MAX).contains(&length) || !(0..=ROWS_MAX).contains(&offset) {
            return Err(self.wrong(format_args!("{length} rows from row {offset}")));
        }
        if self.array.null_count < -1 || self.array.null_count > length {
            return Err(self.wrong(format_args!("{} nulls in {length} rows", self.array.null_count)));
        }
        Ok((offset + length) as usize)
    }

    /// Which rows are null; `None` when none is.
    fn nulls(&self, span: usize) -> Result<Option<NullBuffer>> {
        self.require_buffers(1)?;
        let declared = self.array.null_count;
        // Known to have none: nobody need count.
        if declared == 0 || span == 0 {
            return Ok(None);
        }
        if self.pointer(0)?.is_none() {
            return match declared {
                -1 => Ok(None),
                _ => Err(self.wrong(format_args!("{declared} nulls and no validity buffer"))),
            };
        }
        let bits = self.buffer(0, span.div_ceil(8))?;
        let (offset, length) = (self.array.offset as usize, self.array.length as usize);
        let nulls = length - bits.count_set_bits_offset(offset, length);
        if declared > 0 && nulls != declared as usize {
            return Err(self.wrong(format_args!("it says {declared} nulls and has {nulls}")));
        }
        let bits = BooleanBuffer::new(bits, offset, length);
        // SAFETY: they were just counted.
        Ok((nulls > 0).then(|| unsafe { NullBuffer::new_unchecked(bits, nulls) }))
    }

    /// The buffers after the validity.
    fn with_values(&self, builder: ArrayDataBuilder, data_type: &DataType, span: usize) -> Result<ArrayDataBuilder> {
        let bytes = |width: usize| {
            span.checked_mul(width).ok_or_else(|| self.wrong(format_args!("{span} values of {width} bytes")))
        };
        Ok(match data_type {
            DataType::Null => builder,
            DataType::Boolean => builder.add_buffer(self.buffer(1, span.div_ceil(8))?),
            DataType::FixedSizeBinary(width) => builder.add_buffer(self.buffer(1, bytes(*width as usize)?)?),
            DataType::Utf8 | DataType::Binary => {
                let (offsets, end) = self.offsets::<4>(span)?;
                builder.add_buffer(offsets).add_buffer(self.buffer(2, end)?)
            }
            DataType::LargeUtf8 | DataType::LargeBinary => {
                let (offsets, end) = self.offsets::<8>(span)?;
                builder.add_buffer(offsets).add_buffer(self.buffer(2, end)?)
            }
            DataType::List(_) | DataType::Map(..) => builder.add_buffer(self.offsets::<4>(span)?.0),
            DataType::LargeList(_) => builder.add_buffer(self.offsets::<8>(span)?.0),
            DataType::Utf8View | DataType::BinaryView => {
                builder.add_buffer(self.buffer(1, bytes(16)?)?).add_buffers(self.variadic()?)
            }
            DataType::Dictionary(codes, _) => {
                builder.add_buffer(self.buffer(1, bytes(codes.primitive_width().unwrap_or(0))?)?)
            }
            other => match other.primitive_width() {
                Some(width) => builder.add_buffer(self.buffer(1, bytes(width)?)?),
                None => return Err(self.wrong(format_args!("no columns of type {other}"))),
            },
        })
    }

    /// Offsets of `WIDTH` bytes, one more than rows, and the last of them. No rows may come without any.
    fn offsets<const WIDTH: usize>(&self, span: usize) -> Result<(Buffer, usize)> {
        if span == 0 && self.pointer(1)?.is_none() {
            return Ok((MutableBuffer::from_len_zeroed(WIDTH).into(), 0));
        }
        let buffer = self.buffer(1, (span + 1) * WIDTH)?;
        let mut last = [0u8; 8];
        last[..WIDTH].copy_from_slice(&buffer[span * WIDTH..]);
        let end = if WIDTH == 4 { i64::from(i64::from_le_bytes(last) as i32) } else { i64::from_le_bytes(last) };
        if !(0..=ROWS_MAX).contains(&end) {
            return Err(self.wrong(format_args!("the last offset is {end}")));
        }
        Ok((buffer, end as usize))
    }

    /// The data buffers of views; their lengths stand in the last buffer.
    fn variadic(&self) -> Result<Vec<Buffer>> {
        let count = self.array.n_buffers as usize - 3;
        if count == 0 {
            return Ok(Vec::new());
        }
        let lengths = self.buffer(count + 2, count * 8)?;
        let lengths = lengths.chunks_exact(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap_or_default()));
        lengths
            .enumerate()
            .map(|(index, length)| match (0..=ROWS_MAX).contains(&length) {
                true => self.buffer(index + 2, length as usize),
                false => Err(self.wrong(format_args!("data buffer {index} of {length} bytes"))),
            })
            .collect()
    }

    /// The children of a type, whose number must be right.
    fn children<'t>(&self, data_type: &'t DataType) -> Result<Vec<&'t FieldRef>> {
        let children = match data_type {
            DataType::List(field) | DataType::LargeList(field) | DataType::Map(field, _) => vec![field],
            _ => Vec::new(),
        };
        self.require_children(children.len(), 0)?;
        Ok(children)
    }

    /// Refuses other than `count` children of at least `rows` rows each.
    fn require_children(&self, count: usize, rows: i64) -> Result<()> {
        if self.array.n_children != count as i64 {
            return Err(self.wrong(format_args!("{} children, not {count}", self.array.n_children)));
        }
        if count > 0 && self.array.children.is_null() {
            return Err(self.wrong("its children are a null pointer"));
        }
        for index in 0..count {
            let given = self.child(index)?.array.length;
            if given < rows {
                return Err(self.wrong(format_args!("child {index} has {given} rows, {rows} are needed")));
            }
        }
        Ok(())
    }

    /// Child `index`, one of those that `require_children` has counted.
    fn child(&self, index: usize) -> Result<Import<'_>> {
        // SAFETY: `children` is not null and leads to `n_children` pointers, of which `index` is one.
        let child = unsafe { *self.array.children.add(index) };
        // SAFETY: a child is null, or an `ArrowArray` that its parent keeps alive.
        self.below(unsafe { child.as_ref() }, Path::Child(&self.path, index))
    }

    fn dictionary(&self) -> Result<Import<'_>> {
        // SAFETY: null, or an `ArrowArray` that this one keeps alive.
        self.below(unsafe { self.array.dictionary.as_ref() }, Path::Dictionary(&self.path))
    }

    fn below<'b>(&'b self, array: Option<&'b ArrowArray>, path: Path<'b>) -> Result<Import<'b>> {
        match array {
            None => Err(Failure::arrow(format!("{path} is a null pointer"))),
            Some(array) if array.release.is_none() => Err(Failure::arrow(format!("{path} is released"))),
            Some(array) => Ok(Import { array, owner: self.owner, path, depth: self.depth + 1 }),
        }
    }

    /// Refuses a number of buffers that the type does not have.
    fn require_buffers_of(&self, data_type: &DataType) -> Result<()> {
        let given = self.array.n_buffers;
        let is_right = match data_type {
            // Some producers give it a validity.
            DataType::Null => (0..=1).contains(&given),
            DataType::Struct(_) | DataType::FixedSizeList(..) => given == 1,
            DataType::Utf8 | DataType::Binary | DataType::LargeUtf8 | DataType::LargeBinary => given == 3,
            DataType::Utf8View | DataType::BinaryView => (3..1 << 31).contains(&given),
            _ => given == 2,
        };
        if is_right { Ok(()) } else { Err(self.wrong(format_args!("{given} buffers, which {data_type} has not"))) }
    }

    fn require_buffers(&self, count: i64) -> Result<()> {
        if self.array.n_buffers < count {
            return Err(self.wrong(format_args!("{} buffers", self.array.n_buffers)));
        }
        if self.array.buffers.is_null() {
            return Err(self.wrong("its buffers are a null pointer"));
        }
        Ok(())
    }

    fn pointer(&self, index: usize) -> Result<Option<NonNull<u8>>> {
        self.require_buffers(index as i64 + 1)?;
        // SAFETY: `buffers` is not null and leads to `n_buffers` pointers, of which `index` is one.
        Ok(NonNull::new(unsafe { *self.array.buffers.add(index) } as *mut u8))
    }

    /// Buffer `index`, of `length` bytes; null is allowed for none.
    fn buffer(&self, index: usize, length: usize) -> Result<Buffer> {
        match self.pointer(index)? {
            _ if length == 0 => Ok(MutableBuffer::new(0).into()),
            None => Err(self.wrong(format_args!("buffer {index} is a null pointer, {length} bytes are needed"))),
            // SAFETY: the host's promise that a buffer is as long as lengths and offsets say; `owner` keeps it alive.
            Some(pointer) => Ok(unsafe { Buffer::from_custom_allocation(pointer, length, self.owner.clone()) }),
        }
    }
}
