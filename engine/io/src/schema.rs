//! Files of one table need not agree: columns are merged by name, types widened where every value fits.

use arrow::datatypes::{DataType, Field, Schema};
use plasmon_core::{Error, Result};

/// Refuses a file that names two columns alike.
pub(crate) fn check_names(schema: &Schema, file: &str) -> Result<()> {
    let fields = schema.fields();
    match fields.iter().enumerate().find(|(i, f)| fields[..*i].iter().any(|g| g.name() == f.name())) {
        Some((_, field)) => Err(Error::io(file, format!("two columns are named {:?}", field.name()))),
        None => Ok(()),
    }
}

/// The columns of both; `right_name` is the file that `right` comes from.
pub(crate) fn merged(left: &Schema, right: &Schema, right_name: &str) -> Result<Schema> {
    let mut fields: Vec<Field> = left.fields().iter().map(|f| f.as_ref().clone()).collect();
    for field in right.fields() {
        let Some(known) = fields.iter_mut().find(|f| f.name() == field.name()) else {
            fields.push(field.as_ref().clone().with_nullable(true));
            continue;
        };
        let nullable = known.is_nullable() || field.is_nullable();
        let data_type = widest(known.data_type(), field.data_type()).or_else(|| merged_nested(known, field));
        let data_type = data_type.ok_or_else(|| {
            let (a, b) = (known.data_type(), field.data_type());
            Error::io(right_name, format!("column {} is {b} here and {a} in the files before", field.name()))
        })?;
        *known = Field::new(known.name(), data_type, nullable);
    }
    // A column that one file lacks is null there.
    for field in fields.iter_mut().filter(|f| right.field_with_name(f.name()).is_err()) {
        *field = field.clone().with_nullable(true);
    }
    Ok(Schema::new(fields))
}

fn merged_nested(left: &Field, right: &Field) -> Option<DataType> {
    let mut merged = left.clone();
    merged.try_merge(right).ok()?;
    Some(merged.data_type().clone())
}

/// The type that holds the values of both exactly; floats take integers as SQL does.
pub(crate) fn widest(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::{
        Binary, BinaryView, Date32, Decimal128, Float32, Float64, LargeBinary, LargeUtf8, Null, Timestamp, Utf8,
        Utf8View,
    };
    let is_text = |t: &DataType| matches!(t, Utf8 | LargeUtf8 | Utf8View);
    let is_binary = |t: &DataType| matches!(t, Binary | LargeBinary | BinaryView);
    Some(match (left, right) {
        (a, b) if a == b => a.clone(),
        (Null, other) | (other, Null) => other.clone(),
        (a, b) if a.is_integer() && b.is_integer() => widest_integer(a, b)?,
        (Float64, b) if b.is_integer() => Float64,
        (a, Float64) if a.is_integer() => Float64,
        (Float32, b) if b.is_integer() => Float64,
        (a, Float32) if a.is_integer() => Float64,
        (Float32 | Float64, Float32 | Float64) => Float64,
        (a, b) if is_text(a) && is_text(b) => Utf8View,
        (a, b) if is_binary(a) && is_binary(b) => BinaryView,
        (Decimal128(p, s), Decimal128(q, t)) => {
            let (scale, digits) = (*s.max(t), (*p as i8 - s).max(*q as i8 - t));
            let precision = u8::try_from(digits + scale).ok().filter(|p| *p <= 38)?;
            Decimal128(precision, scale)
        }
        (Timestamp(a, x), Timestamp(b, y)) if x == y => Timestamp(*a.max(b), x.clone()),
        (Date32, Timestamp(unit, zone)) | (Timestamp(unit, zone), Date32) => Timestamp(*unit, zone.clone()),
        _ => return None,
    })
}

fn widest_integer(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::{Int16, Int32, Int64, UInt16, UInt32, UInt64};
    let bits = |t: &DataType| t.primitive_width().map_or(0, |bytes| bytes * 8);
    let (a, b) = (left.is_signed_integer(), right.is_signed_integer());
    let width = match (a, b) {
        (true, true) | (false, false) => bits(left).max(bits(right)),
        (true, false) => bits(left).max(bits(right) * 2),
        (false, true) => bits(right).max(bits(left) * 2),
    };
    Some(match (a || b, width) {
        (true, 16) => Int16,
        (true, 32) => Int32,
        (true, 64) => Int64,
        (false, 16) => UInt16,
        (false, 32) => UInt32,
        (false, 64) => UInt64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::TimeUnit;

    #[test]
    fn types_widen_where_values_fit() {
        use DataType::*;
        for (a, b, wanted) in [
            (Int8, Int16, Some(Int16)),
            (Int32, Int64, Some(Int64)),
            (UInt32, Int32, Some(Int64)),
            (UInt8, UInt16, Some(UInt16)),
            (UInt64, Int64, None),
            (Int64, Float32, Some(Float64)),
            (Decimal128(10, 2), Decimal128(8, 4), Some(Decimal128(12, 4))),
            (Decimal128(38, 0), Decimal128(8, 4), None),
            (Utf8, Utf8View, Some(Utf8View)),
            (Utf8, Int64, None),
            (Null, Boolean, Some(Boolean)),
            (
                Timestamp(TimeUnit::Millisecond, None),
                Timestamp(TimeUnit::Nanosecond, None),
                Some(Timestamp(TimeUnit::Nanosecond, None)),
            ),
        ] {
            assert_eq!(widest(&a, &b), wanted, "{a} and {b}");
            assert_eq!(widest(&b, &a), wanted, "{b} and {a}");
        }
    }

    #[test]
    fn columns_merge_by_name() {
        let schema = |fields: &[(&str, DataType)]| {
            Schema::new(fields.iter().map(|(n, t)| Field::new(*n, t.clone(), false)).collect::<Vec<_>>())
        };
        let left = schema(&[("a", DataType::Int32), ("b", DataType::Utf8)]);
        let right = schema(&[("c", DataType::Boolean), ("a", DataType::Int64)]);
        let all = merged(&left, &right, "right").unwrap();
        let names: Vec<_> = all.fields().iter().map(|f| (f.name().as_str(), f.is_nullable())).collect();
        assert_eq!(names, [("a", false), ("b", true), ("c", true)]);
        let message = merged(&left, &schema(&[("b", DataType::Int32)]), "right.csv").unwrap_err().to_string();
        assert!(message.contains("right.csv") && message.contains("column b"), "{message}");
    }
}
