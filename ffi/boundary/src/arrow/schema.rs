//! `ArrowSchema` → schema, checked before the library's own conversion, which trusts pointers, sees it.

use std::ffi::{CStr, c_char};
use std::ops::RangeInclusive;
use std::sync::Arc;

use ::arrow::array::timezone::Tz;
use ::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::ArrowSchema;
use crate::host::require;
use crate::{Code, Failure, Result};

/// Nesting beyond this is taken for a cycle.
pub(super) const DEPTH_MAX: usize = 64;
/// Nodes of one schema beyond this are taken for cycles, which multiply where two pointers lead back.
const NODES_MAX: usize = 100_000;
/// Children and metadata entries of one node beyond this are taken for garbage.
const COUNT_MAX: i64 = 1 << 20;

/// The schema of a struct type, whose children are the columns. The struct is moved and released.
///
/// # Safety
/// `schema` is null, or leads to an `ArrowSchema` that is released or as the C Data Interface says.
pub unsafe fn import_schema(schema: *mut ArrowSchema) -> Result<SchemaRef> {
    require(schema, "schema")?;
    // SAFETY: not null, and the caller's promise. An empty struct owns nothing; what stood there is now ours, and released at the end.
    let owned = unsafe { std::ptr::replace(schema, ArrowSchema::empty()) };
    convert(&owned)
}

/// The type of values, of any format, with the name that the struct has. The struct is moved and released.
///
/// # Safety
/// As for [`import_schema`].
pub unsafe fn import_field(schema: *mut ArrowSchema) -> Result<Field> {
    require(schema, "schema")?;
    // SAFETY: not null, and the caller's promise. An empty struct owns nothing; what stood there is now ours, and released at the end.
    let owned = unsafe { std::ptr::replace(schema, ArrowSchema::empty()) };
    check(&owned, "schema", 0, &mut 0)?;
    let field = Field::try_from(&owned).map_err(|e| Failure::arrow(format!("schema: {e}")))?;
    check_type(&field)?;
    Ok(field)
}

/// As [`import_schema`], of a struct that is ours already.
pub(super) fn convert(schema: &ArrowSchema) -> Result<SchemaRef> {
    check(schema, "schema", 0, &mut 0)?;
    if text(schema.format, "format")? != Some("+s") {
        return Err(Failure::arrow("the schema of rows is a struct of columns, this is another type"));
    }
    let whole = Schema::try_from(schema).map_err(|e| Failure::arrow(format!("schema: {e}")))?;
    whole.fields().iter().try_for_each(|field| check_type(field))?;
    Ok(Arc::new(whole))
}

/// Pointers, texts and counts of a schema and all below it. `path` names it in messages.
fn check(schema: &ArrowSchema, path: &str, depth: usize, nodes: &mut usize) -> Result<()> {
    if schema.release.is_none() {
        return Err(Failure::arrow(format!("{path} is released")));
    }
    *nodes += 1;
    if depth > DEPTH_MAX || *nodes > NODES_MAX {
        return Err(Failure::arrow(format!("the schema is nested more than {DEPTH_MAX} deep, or has cycles")));
    }
    let format = text(schema.format, &format!("format of {path}"))?
        .ok_or_else(|| Failure::arrow(format!("{path} has no format")))?;
    let name = text(schema.name, &format!("name of {path}"))?.unwrap_or_default();
    check_metadata(schema.metadata, path)?;
    if !children_of(format).contains(&schema.n_children) {
        return Err(Failure::arrow(format!("{path} of format {format:?} has {} children", schema.n_children)));
    }
    if schema.n_children > 0 && schema.children.is_null() {
        return Err(Failure::arrow(format!("{path} has {} children at a null pointer", schema.n_children)));
    }
    let path = if depth == 0 { path.to_string() } else { format!("{path}.{name}") };
    for index in 0..schema.n_children as usize {
        // SAFETY: the pointer is not null and leads to `n_children` pointers, as the interface says.
        let child = unsafe { *schema.children.add(index) };
        // SAFETY: a child's pointer is null, or leads to an `ArrowSchema` that its parent keeps alive.
        let child = unsafe { child.as_ref() }
            .ok_or_else(|| Failure::arrow(format!("child {index} of {path} is a null pointer")))?;
        check(child, &format!("{path}[{index}]"), depth + 1, nodes)?;
    }
    // SAFETY: null, or a schema that this one keeps alive.
    match unsafe { schema.dictionary.as_ref() } {
        Some(dictionary) => check(dictionary, &format!("dictionary of {path}"), depth + 1, nodes),
        None => Ok(()),
    }
}

/// How many children a format can have.
fn children_of(format: &str) -> RangeInclusive<i64> {
    match format.as_bytes() {
        [b'+', b's' | b'u', ..] => 0..=COUNT_MAX,
        [b'+', b'r', ..] => 2..=2,
        [b'+', ..] => 1..=1,
        _ => 0..=0,
    }
}

fn text<'a>(text: *const c_char, what: &str) -> Result<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: texts of a schema are null or terminated, and live as long as the schema, which outlives this check.
    let bytes = unsafe { CStr::from_ptr(text) };
    bytes.to_str().map(Some).map_err(|_| Failure::arrow(format!("{what} is no UTF-8")))
}

/// Metadata: a count, then keys and values, each behind its length, all native 32-bit integers.
fn check_metadata(metadata: *const c_char, path: &str) -> Result<()> {
    if metadata.is_null() {
        return Ok(());
    }
    let mut position = 0;
    let count = metadata_number(metadata, &mut position);
    if !(0..=COUNT_MAX).contains(&i64::from(count)) {
        return Err(Failure::arrow(format!("metadata of {path} has {count} entries")));
    }
    for _ in 0..i64::from(count) * 2 {
        let length = metadata_number(metadata, &mut position);
        if !(0..=i32::MAX / 2).contains(&length) {
            return Err(Failure::arrow(format!("metadata of {path} has a text of {length} bytes")));
        }
        // SAFETY: the length leads to the text's end, as the interface says.
        let bytes = unsafe { std::slice::from_raw_parts(metadata.add(position).cast::<u8>(), length as usize) };
        if std::str::from_utf8(bytes).is_err() {
            return Err(Failure::arrow(format!("metadata of {path} is no UTF-8")));
        }
        position += length as usize;
    }
    Ok(())
}

fn metadata_number(metadata: *const c_char, position: &mut usize) -> i32 {
    // SAFETY: the interface says that counts and lengths lead through the metadata; each is read after those before it were found sane.
    let bytes = unsafe { metadata.add(*position).cast::<[u8; 4]>().read() };
    *position += 4;
    i32::from_ne_bytes(bytes)
}

fn unsupported(field: &Field, what: &str) -> Result<()> {
    Err(Failure::new(Code::Unsupported, format!("column {}: no {what}", field.name()))
        .hint("cast it to another plain, list or dictionary type"))
}

/// What formats can say but no value can be of, and the types that the engine has no columns for.
fn check_type(field: &Field) -> Result<()> {
    let wrong = |what: String| Err(Failure::arrow(format!("column {}: {what}", field.name())));
    let digits = |precision: u8, scale: i8, most: u8| match (1..=most).contains(&precision) && scale <= precision as i8
    {
        true => Ok(()),
        false => wrong(format!("a decimal of {precision} digits, {scale} of them after the point; at most {most}")),
    };
    match field.data_type() {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale)
            if *scale < 0 =>
        {
            unsupported(field, &format!("decimals of {scale} digits after the point"))
        }
        DataType::Timestamp(_, Some(zone)) if zone.parse::<Tz>().is_err() => wrong(format!("no time zone {zone}")),
        DataType::Decimal32(precision, scale) => digits(*precision, *scale, 9),
        DataType::Decimal64(precision, scale) => digits(*precision, *scale, 18),
        DataType::Decimal128(precision, scale) => digits(*precision, *scale, 38),
        DataType::Decimal256(precision, scale) => digits(*precision, *scale, 76),
        DataType::FixedSizeBinary(width) if *width < 0 => wrong(format!("values of {width} bytes")),
        DataType::FixedSizeList(_, length) if *length < 0 => wrong(format!("lists of {length} values")),
        // How many there are cannot be told from what they are made of.
        DataType::FixedSizeBinary(0) => unsupported(field, "values of no bytes"),
        DataType::FixedSizeList(_, 0) => unsupported(field, "lists of a fixed length of 0"),
        DataType::Union(..) | DataType::RunEndEncoded(..) | DataType::ListView(_) | DataType::LargeListView(_) => {
            unsupported(field, &format!("columns of type {}", field.data_type()))
        }
        DataType::List(child) | DataType::LargeList(child) | DataType::FixedSizeList(child, _) => check_type(child),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => fields.iter().try_for_each(|f| check_type(f)),
            other => wrong(format!("a map of {other}, not of keys and values")),
        },
        DataType::Struct(fields) if fields.is_empty() => unsupported(field, "structs without fields"),
        DataType::Struct(fields) => fields.iter().try_for_each(|f| check_type(f)),
        DataType::Dictionary(codes, values) if codes.is_integer() => {
            check_type(&Field::new(field.name(), values.as_ref().clone(), true))
        }
        DataType::Dictionary(codes, _) => wrong(format!("dictionary codes of type {codes}")),
        _ => Ok(()),
    }
}
