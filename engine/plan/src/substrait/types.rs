//! Substrait's types ↔ Arrow's.
//!
//! Substrait has no unsigned integers. Read: the user-defined types `u8` … `u64` that Arrow's producers declare, and the type variation that
//! DataFusion uses undeclared. Written: the next wider signed integer, which holds every value; 64 bits stay 64 bits.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, IntervalUnit, TimeUnit};
use plasmon_core::Result;
use substrait_prost as proto;
use substrait_prost::r#type::{self as kinds, Kind, Nullability};

use crate::path::Path;

/// Every value of a fixed_binary is as long as its type says.
const FIXED_BYTES_MAX: i32 = 1 << 16;

/// The types and variations that a plan declares, by anchor.
#[derive(Debug, Default)]
pub(super) struct DeclaredTypes {
    /// Types resolved: aliases of structs of aliases stand for huge ones.
    resolved: Cell<usize>,
    pub(super) types: HashMap<u32, String>,
    pub(super) variations: HashMap<u32, String>,
    pub(super) aliases: HashMap<u32, proto::Type>,
}

impl DeclaredTypes {
    /// The Arrow type of a stated type; `None` when nothing is stated.
    pub(super) fn stated(&self, stated: Option<&proto::Type>, at: &Path<'_>) -> Result<Option<DataType>> {
        match stated {
            Some(stated) if stated.kind.is_some() => self.to_arrow(stated, at).map(Some),
            _ => Ok(None),
        }
    }

    /// The Arrow type of a type.
    pub(super) fn to_arrow(&self, stated: &proto::Type, at: &Path<'_>) -> Result<DataType> {
        self.resolve(stated, at, 0)
    }

    fn resolve(&self, stated: &proto::Type, at: &Path<'_>, aliases: usize) -> Result<DataType> {
        const ALIASES_MAX: usize = 16;
        const TYPES_MAX: usize = 1 << 20;
        self.resolved.set(self.resolved.get() + 1);
        if self.resolved.get() > TYPES_MAX {
            return Err(at.refuse(format!("more than {TYPES_MAX} types")));
        }
        let Some(kind) = &stated.kind else { return Err(at.wrong("a type is missing")) };
        let nested = |inner: Option<&proto::Type>| match inner {
            Some(inner) => self.resolve(inner, at, aliases),
            None => Err(at.wrong("the type of an element is missing")),
        };
        Ok(match kind {
            Kind::Bool(_) => DataType::Boolean,
            Kind::I8(t) => self.integer(t.type_variation_reference, DataType::Int8, DataType::UInt8, at)?,
            Kind::I16(t) => self.integer(t.type_variation_reference, DataType::Int16, DataType::UInt16, at)?,
            Kind::I32(t) => self.integer(t.type_variation_reference, DataType::Int32, DataType::UInt32, at)?,
            Kind::I64(t) => self.integer(t.type_variation_reference, DataType::Int64, DataType::UInt64, at)?,
            Kind::Fp32(_) => DataType::Float32,
            Kind::Fp64(_) => DataType::Float64,
            Kind::String(_) | Kind::FixedChar(_) | Kind::Varchar(_) => DataType::Utf8,
            Kind::Binary(_) => DataType::Binary,
            Kind::Date(_) => DataType::Date32,
            Kind::IntervalYear(_) | Kind::IntervalDay(_) | Kind::IntervalCompound(_) => {
                DataType::Interval(IntervalUnit::MonthDayNano)
            }
            Kind::Uuid(_) => DataType::FixedSizeBinary(16),
            Kind::FixedBinary(t) if (1..=FIXED_BYTES_MAX).contains(&t.length) => DataType::FixedSizeBinary(t.length),
            Kind::FixedBinary(t) => return Err(at.refuse(format!("fixed_binary of {} bytes", t.length))),
            Kind::Decimal(t) => decimal(t.precision, t.scale, at)?,
            Kind::PrecisionTime(t) => match unit(t.precision, at)? {
                unit @ (TimeUnit::Second | TimeUnit::Millisecond) => DataType::Time32(unit),
                unit => DataType::Time64(unit),
            },
            Kind::PrecisionTimestamp(t) => DataType::Timestamp(unit(t.precision, at)?, None),
            Kind::PrecisionTimestampTz(t) => DataType::Timestamp(unit(t.precision, at)?, Some("UTC".into())),
            Kind::Struct(t) => {
                let types = t.types.iter().map(|t| self.resolve(t, at, aliases)).collect::<Result<Vec<_>>>()?;
                let fields = types.into_iter().enumerate().map(|(i, t)| Field::new(format!("c{i}"), t, true));
                DataType::Struct(fields.collect())
            }
            Kind::List(t) => DataType::new_list(nested(t.r#type.as_deref())?, true),
            Kind::Map(t) => map_type(nested(t.key.as_deref())?, nested(t.value.as_deref())?),
            Kind::UserDefined(t) => self.user_defined(t.type_reference, at)?,
            Kind::Alias(alias) => match self.aliases.get(&alias.type_alias_reference) {
                Some(stated) if aliases < ALIASES_MAX => self.resolve(stated, at, aliases + 1)?,
                _ => return Err(at.wrong(format!("type alias {} is not declared", alias.type_alias_reference))),
            },
            other => return Err(at.refuse(format!("type {}", type_name(other)))),
        })
    }

    /// The names of a struct's fields, in depth-first order, put to its types.
    pub(super) fn named(&self, schema: &proto::NamedStruct, at: &Path<'_>) -> Result<Vec<Field>> {
        let types = schema.r#struct.as_ref().map_or(&[][..], |s| &s.types[..]);
        let mut names = schema.names.iter();
        let fields = types
            .iter()
            .enumerate()
            .map(|(i, stated)| {
                let data_type = self.to_arrow(stated, &at.item("types", i))?;
                let field = Field::new(String::new(), data_type, !is_required(stated));
                rename(&field, &mut names).ok_or_else(|| at.wrong("there are fewer names than fields"))
            })
            .collect::<Result<Vec<_>>>()?;
        match names.next() {
            Some(extra) => Err(at.wrong(format!("name {extra} is one more than there are fields"))),
            None => Ok(fields),
        }
    }

    fn integer(&self, variation: u32, signed: DataType, unsigned: DataType, at: &Path<'_>) -> Result<DataType> {
        match (variation, self.variations.get(&variation)) {
            (0, _) => Ok(signed),
            (1, None) => Ok(unsigned),
            (_, Some(name)) => Err(at.refuse(format!("type variation {name}"))),
            (other, None) => Err(at.wrong(format!("type variation {other} is not declared"))),
        }
    }

    fn user_defined(&self, anchor: u32, at: &Path<'_>) -> Result<DataType> {
        let Some(name) = self.types.get(&anchor) else {
            return Err(at.wrong(format!("user-defined type {anchor} is not declared")));
        };
        Ok(match name.as_str() {
            "u8" => DataType::UInt8,
            "u16" => DataType::UInt16,
            "u32" => DataType::UInt32,
            "u64" => DataType::UInt64,
            other => return Err(at.refuse(format!("user-defined type {other}"))),
        })
    }
}

/// The field under the next names: its own, then those of the structs in it.
pub(super) fn rename<'n>(field: &Field, names: &mut impl Iterator<Item = &'n String>) -> Option<Field> {
    let name = names.next()?.clone();
    let data_type = rename_inside(field.data_type(), names)?;
    Some(Field::new(name, data_type, field.is_nullable()))
}

fn rename_inside<'n>(data_type: &DataType, names: &mut impl Iterator<Item = &'n String>) -> Option<DataType> {
    let inner = |field: &FieldRef, names: &mut dyn Iterator<Item = &'n String>| {
        let mut names = names;
        Some(Arc::new(field.as_ref().clone().with_data_type(rename_inside(field.data_type(), &mut names)?)))
    };
    Some(match data_type {
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|f| rename(f, names).map(Arc::new)).collect::<Option<Fields>>()?)
        }
        DataType::List(field) => DataType::List(inner(field, names)?),
        DataType::LargeList(field) => DataType::LargeList(inner(field, names)?),
        DataType::Map(entries, sorted) => match entries.data_type() {
            DataType::Struct(fields) => {
                let fields = fields.iter().map(|f| inner(f, names)).collect::<Option<Fields>>()?;
                DataType::Map(Arc::new(entries.as_ref().clone().with_data_type(DataType::Struct(fields))), *sorted)
            }
            _ => data_type.clone(),
        },
        other => other.clone(),
    })
}

/// The names of a field in depth-first order.
pub(super) fn names_of(field: &Field, names: &mut Vec<String>) {
    fn inside(data_type: &DataType, names: &mut Vec<String>) {
        match data_type {
            DataType::Struct(fields) => fields.iter().for_each(|f| names_of(f, names)),
            DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
                inside(field.data_type(), names)
            }
            DataType::Map(entries, _) => {
                if let DataType::Struct(fields) = entries.data_type() {
                    fields.iter().for_each(|f| inside(f.data_type(), names));
                }
            }
            _ => {}
        }
    }
    names.push(field.name().clone());
    inside(field.data_type(), names);
}

/// Whether values of both types are the same to Substrait, whose types say nothing of layouts, encodings and names.
pub(super) fn same(a: &DataType, b: &DataType) -> bool {
    use DataType::*;
    let text = |t: &DataType| matches!(t, Utf8 | LargeUtf8 | Utf8View);
    let binary = |t: &DataType| matches!(t, Binary | LargeBinary | BinaryView);
    match (a, b) {
        (Dictionary(_, value), other) | (other, Dictionary(_, value)) => same(value, other),
        (Interval(_), Interval(_)) => true,
        (Timestamp(a, zone), Timestamp(b, other)) => a == b && zone.is_some() == other.is_some(),
        (
            Decimal32(p, s) | Decimal64(p, s) | Decimal128(p, s),
            Decimal32(q, t) | Decimal64(q, t) | Decimal128(q, t),
        ) => (p, s) == (q, t),
        (List(a) | LargeList(a) | FixedSizeList(a, _), List(b) | LargeList(b) | FixedSizeList(b, _)) => {
            same(a.data_type(), b.data_type())
        }
        (Map(a, _), Map(b, _)) => same(a.data_type(), b.data_type()),
        (Struct(a), Struct(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a.data_type(), b.data_type()))
        }
        (a, b) => a == b || text(a) && text(b) || binary(a) && binary(b),
    }
}

pub(super) fn map_type(key: DataType, value: DataType) -> DataType {
    let entries = vec![Field::new("key", key, false), Field::new("value", value, true)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries.into()), false)), false)
}

/// The unit with that many digits behind the second.
pub(super) fn unit(precision: i32, at: &Path<'_>) -> Result<TimeUnit> {
    Ok(match precision {
        0 => TimeUnit::Second,
        3 => TimeUnit::Millisecond,
        6 => TimeUnit::Microsecond,
        9 => TimeUnit::Nanosecond,
        other => return Err(at.refuse(format!("times of {other} digits behind the second (0, 3, 6 and 9 are there)"))),
    })
}

pub(super) fn decimal(precision: i32, scale: i32, at: &Path<'_>) -> Result<DataType> {
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(p), Ok(s)) if (1..=38).contains(&p) && (0..=p as i8).contains(&s) => Ok(DataType::Decimal128(p, s)),
        _ => Err(at.wrong(format!("decimal({precision}, {scale}) is no type"))),
    }
}

fn is_required(stated: &proto::Type) -> bool {
    let required = Nullability::Required as i32;
    match &stated.kind {
        Some(Kind::Bool(t)) => t.nullability == required,
        Some(Kind::I32(t)) => t.nullability == required,
        Some(Kind::I64(t)) => t.nullability == required,
        Some(Kind::Fp64(t)) => t.nullability == required,
        Some(Kind::String(t)) => t.nullability == required,
        Some(Kind::Date(t)) => t.nullability == required,
        Some(Kind::Decimal(t)) => t.nullability == required,
        _ => false,
    }
}

fn type_name(kind: &Kind) -> String {
    let text = format!("{kind:?}");
    text.split('(').next().unwrap_or_default().to_lowercase()
}

/// Whether a zone is the one that Substrait's timestamps with a zone have.
pub(super) fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "Z" | "+00:00" | "+00")
}

/// The Substrait type of an Arrow type; `Err` is why there is none.
pub(super) fn from_arrow(data_type: &DataType, nullable: bool) -> Result<proto::Type, String> {
    let nullability = if nullable { Nullability::Nullable } else { Nullability::Required } as i32;
    let type_variation_reference = 0;
    macro_rules! plain {
        ($variant:ident, $message:ident) => {
            Kind::$variant(kinds::$message { type_variation_reference, nullability })
        };
    }
    let digits = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    let kind = match data_type {
        DataType::Boolean => plain!(Bool, Boolean),
        DataType::Int8 => plain!(I8, I8),
        DataType::Int16 | DataType::UInt8 => plain!(I16, I16),
        DataType::Int32 | DataType::UInt16 => plain!(I32, I32),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => plain!(I64, I64),
        DataType::Float32 => plain!(Fp32, Fp32),
        DataType::Float64 => plain!(Fp64, Fp64),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => plain!(String, String),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => plain!(Binary, Binary),
        DataType::Date32 => plain!(Date, Date),
        DataType::Interval(_) => {
            Kind::IntervalCompound(kinds::IntervalCompound { type_variation_reference, nullability, precision: 9 })
        }
        DataType::FixedSizeBinary(length) => {
            Kind::FixedBinary(kinds::FixedBinary { length: *length, type_variation_reference, nullability })
        }
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) if *s >= 0 => {
            let (precision, scale) = (i32::from(*p), i32::from(*s));
            Kind::Decimal(kinds::Decimal { scale, precision, type_variation_reference, nullability })
        }
        DataType::Time32(unit) | DataType::Time64(unit) => {
            Kind::PrecisionTime(kinds::PrecisionTime { precision: digits(unit), type_variation_reference, nullability })
        }
        DataType::Timestamp(unit, None) => {
            let precision = digits(unit);
            Kind::PrecisionTimestamp(kinds::PrecisionTimestamp { precision, type_variation_reference, nullability })
        }
        DataType::Timestamp(unit, Some(zone)) if is_utc(zone) => {
            let precision = digits(unit);
            Kind::PrecisionTimestampTz(kinds::PrecisionTimestampTz { precision, type_variation_reference, nullability })
        }
        DataType::Struct(fields) => {
            let types = fields.iter().map(|f| from_arrow(f.data_type(), f.is_nullable()));
            let types = types.collect::<Result<Vec<_>, _>>()?;
            Kind::Struct(kinds::Struct { types, type_variation_reference, nullability })
        }
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            let inner = from_arrow(field.data_type(), field.is_nullable())?;
            Kind::List(Box::new(kinds::List { r#type: Some(Box::new(inner)), type_variation_reference, nullability }))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                let side =
                    |i: usize| from_arrow(fields[i].data_type(), fields[i].is_nullable()).map(Box::new).map(Some);
                let (key, value) = (side(0)?, side(1)?);
                Kind::Map(Box::new(kinds::Map { key, value, type_variation_reference, nullability }))
            }
            other => return Err(format!("a map of {other}")),
        },
        DataType::Dictionary(_, value) => return from_arrow(value, nullable),
        other => return Err(format!("type {other} has no form in Substrait")),
    };
    Ok(proto::Type { kind: Some(kind) })
}
