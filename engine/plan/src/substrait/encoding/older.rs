//! What older versions of Substrait wrote, and how today's says the same.
//!
//! A field stands here when the current protocol has retired its number; [`FIELDS`] makes it known, [`upgrade`] rewrites it. Where both
//! forms are given (producers do so while consumers catch up), today's counts.

use plasmon_core::{Error, Result};

use super::descriptor::Kind;
use super::wire::{Field, Value, encode, fields, varints};

/// A retired field.
pub(super) struct Row {
    pub(super) message: &'static str,
    pub(super) number: u32,
    pub(super) json: &'static str,
    pub(super) repeated: bool,
    /// `integer`, `text` or the name of a message.
    pub(super) kind: &'static str,
}

const fn row(message: &'static str, number: u32, json: &'static str, repeated: bool, kind: &'static str) -> Row {
    Row { message, number, json, repeated, kind }
}

pub(super) const FIELDS: &[Row] = &[
    row("Plan", 1, "extensionUris", true, "SimpleExtensionURN"),
    row("SimpleExtensionURN", 1, "extensionUriAnchor", false, "integer"),
    row("SimpleExtensionURN", 2, "uri", false, "text"),
    row("SimpleExtensionDeclaration.ExtensionType", 1, "extensionUriReference", false, "integer"),
    row("SimpleExtensionDeclaration.ExtensionTypeVariation", 1, "extensionUriReference", false, "integer"),
    row("SimpleExtensionDeclaration.ExtensionFunction", 1, "extensionUriReference", false, "integer"),
    row("FetchRel", 3, "offset", false, "integer"),
    row("FetchRel", 4, "count", false, "integer"),
    row("ReadRel.VirtualTable", 1, "values", true, "Expression.Literal.Struct"),
    row("ReadRel.LocalFiles.FileOrFiles", 5, "format", false, "integer"),
    row("HashJoinRel", 4, "leftKeys", true, "Expression.FieldReference"),
    row("HashJoinRel", 5, "rightKeys", true, "Expression.FieldReference"),
    row("MergeJoinRel", 4, "leftKeys", true, "Expression.FieldReference"),
    row("MergeJoinRel", 5, "rightKeys", true, "Expression.FieldReference"),
    row("AggregateRel.Grouping", 1, "groupingExpressions", true, "Expression"),
    row("Expression.ScalarFunction", 2, "args", true, "Expression"),
    row("AggregateFunction", 2, "args", true, "Expression"),
    row("Expression.WindowFunction", 8, "args", true, "Expression"),
    row("Type", 14, "timestamp", false, "Type.String"),
    row("Type", 17, "time", false, "Type.String"),
    row("Type", 29, "timestampTz", false, "Type.String"),
    row("Expression.Literal", 14, "timestamp", false, "integer"),
    row("Expression.Literal", 17, "time", false, "integer"),
    row("Expression.Literal", 27, "timestampTz", false, "integer"),
    row("Expression.Literal.IntervalDayToSecond", 3, "microseconds", false, "integer"),
];

pub(super) fn kind(name: &str, message: &dyn Fn(&str) -> Option<usize>) -> Option<Kind> {
    match name {
        "integer" => Some(Kind::Integer),
        "text" => Some(Kind::Text),
        name => message(name).map(Kind::Message),
    }
}

/// The version that a plan says it is of.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Version {
    minor: u64,
    major: u64,
    has_urns: bool,
}

impl Version {
    /// Before 0.58, a fetch without a count gave no rows; since then it gives all.
    fn counts_always(self) -> bool {
        self.major == 0 && (1..58).contains(&self.minor)
    }
}

/// What the outermost fields of a plan tell about its age.
pub(super) fn version(plan: &[u8]) -> Version {
    let mut found = Version::default();
    for field in fields(plan).flatten() {
        match (field.number, field.bytes()) {
            (6, Some(version)) => {
                for field in fields(version).flatten() {
                    match (field.number, &field.value) {
                        (1, Value::Varint(major)) => found.major = *major,
                        (2, Value::Varint(minor)) => found.minor = *minor,
                        _ => {}
                    }
                }
            }
            (8, _) => found.has_urns = true,
            _ => {}
        }
    }
    found
}

/// Microseconds, which is what times were in before they had a precision.
const MICROSECONDS: u64 = 6;

/// Rewrites the retired fields of one message; messages in it are of today's form already.
pub(super) fn upgrade(message: &str, fields: &mut Vec<Field<'_>>, version: &Version) -> Result<()> {
    match message {
        "Plan" if version.has_urns => fields.retain(|f| f.number != 1),
        "Plan" => renumber(fields, 1, 8),
        "SimpleExtensionDeclaration.ExtensionType"
        | "SimpleExtensionDeclaration.ExtensionTypeVariation"
        | "SimpleExtensionDeclaration.ExtensionFunction" => {
            match version.has_urns {
                true => fields.retain(|f| f.number != 1),
                false => {
                    // Some producers state a reference that nothing has, beside the one to a URI.
                    if has(fields, 1) {
                        fields.retain(|f| f.number != 4);
                    }
                    renumber(fields, 1, 4);
                }
            }
        }
        "FetchRel" => fetch(fields, version),
        "ReadRel.VirtualTable" => virtual_table(fields),
        "ReadRel.LocalFiles.FileOrFiles" => file_format(fields)?,
        "HashJoinRel" | "MergeJoinRel" => join_keys(fields)?,
        "AggregateRel" => groupings(fields),
        "Expression.ScalarFunction" => arguments(fields, 2, 4),
        "AggregateFunction" => arguments(fields, 2, 7),
        "Expression.WindowFunction" => arguments(fields, 8, 9),
        "Type" => times(fields, |field| {
            let mut inner = vec![Field::varint(1, MICROSECONDS)];
            for old in self::fields(field.payload()).flatten() {
                inner.push(Field { number: old.number + 1, value: old.value });
            }
            encode(&inner)
        }),
        "Expression.Literal" => times(fields, |field| {
            let value = Field { number: 2, value: field.value.clone() };
            encode(&[Field::varint(1, MICROSECONDS), value])
        }),
        "Expression.Literal.IntervalDayToSecond" if has(fields, 3) => {
            fields.retain(|f| f.number != 4 && f.number != 5);
            renumber(fields, 3, 5);
            fields.push(Field::varint(4, MICROSECONDS));
        }
        _ => {}
    }
    Ok(())
}

/// Adds what readers of older versions look for beside today's form of a message: URIs of extensions, counts as numbers, grouping expressions in
/// their groupings.
pub(super) fn add(message: &str, fields: &mut Vec<Field<'_>>) -> Result<()> {
    match message {
        "Plan" => {
            let urns: Vec<Vec<u8>> = fields.iter().filter(|f| f.number == 8).map(|f| f.payload().to_vec()).collect();
            fields.extend(urns.iter().map(|urn| Field::message(1, as_uri(urn))));
        }
        "SimpleExtensionDeclaration.ExtensionFunction" => {
            if let Some(Value::Varint(urn)) = fields.iter().find(|f| f.number == 4).map(|f| f.value.clone()) {
                fields.push(Field::varint(1, urn));
            }
        }
        "FetchRel" => {
            const ALL: u64 = u64::MAX;
            let (offset, count) = (plain_number(fields, 5), plain_number(fields, 6));
            if has(fields, 5) && offset.is_none() || has(fields, 6) && count.is_none() {
                return Ok(());
            }
            fields.insert(0, Field::varint(4, count.unwrap_or(ALL)));
            fields.insert(0, Field::varint(3, offset.unwrap_or(0)));
        }
        "AggregateRel" => {
            let expressions: Vec<Vec<u8>> =
                fields.iter().filter(|f| f.number == 5).map(|f| f.payload().to_vec()).collect();
            for grouping in fields.iter_mut().filter(|f| f.number == 3) {
                let mut kept = grouping.payload().to_vec();
                for reference in references(grouping.payload()) {
                    if let Some(expression) = expressions.get(reference as usize) {
                        Field::message(1, expression.clone()).encode(&mut kept);
                    }
                }
                *grouping = Field::message(3, kept);
            }
        }
        _ => {}
    }
    Ok(())
}

/// The references of a grouping, packed or not.
fn references(grouping: &[u8]) -> Vec<u64> {
    let mut found = Vec::new();
    for field in fields(grouping).flatten().filter(|f| f.number == 2) {
        match &field.value {
            Value::Varint(reference) => found.push(*reference),
            _ => found.extend(varints(field.payload())),
        }
    }
    found
}

/// A URN's message with the URI of the same extension.
fn as_uri(urn: &[u8]) -> Vec<u8> {
    const STANDARD: &str = "extension:io.substrait:";
    let rewritten = fields(urn).flatten().map(|field| {
        let text = String::from_utf8_lossy(field.payload()).into_owned();
        match (field.number, text.strip_prefix(STANDARD)) {
            (2, Some(name)) => {
                let uri = format!("https://github.com/substrait-io/substrait/blob/main/extensions/{name}.yaml");
                Field::message(2, uri.into_bytes())
            }
            _ => Field { number: field.number, value: field.value },
        }
    });
    encode(&rewritten.collect::<Vec<_>>())
}

/// The whole number of a literal in a field.
fn plain_number(fields: &[Field<'_>], number: u32) -> Option<u64> {
    let expression = fields.iter().find(|f| f.number == number)?;
    let literal = self::fields(expression.payload()).flatten().find(|f| f.number == 1)?;
    match self::fields(literal.payload()).flatten().find(|f| f.number == 7)?.value {
        Value::Varint(value) => Some(value),
        _ => None,
    }
}

fn has(fields: &[Field<'_>], number: u32) -> bool {
    fields.iter().any(|f| f.number == number)
}

fn renumber(fields: &mut [Field<'_>], from: u32, to: u32) {
    fields.iter_mut().filter(|f| f.number == from).for_each(|f| f.number = to);
}

/// Takes the fields of a number out.
fn drain<'a>(fields: &mut Vec<Field<'a>>, number: u32) -> Vec<Field<'a>> {
    let (taken, kept) = std::mem::take(fields).into_iter().partition(|f| f.number == number);
    *fields = kept;
    taken
}

/// `timestamp`, `time` and `timestamp_tz` of microseconds as the types with a precision.
fn times(fields: &mut [Field<'_>], rewrite: impl Fn(&Field<'_>) -> Vec<u8>) {
    let is_literal = fields.iter().any(|f| matches!(f.value, Value::Varint(_)));
    for field in fields {
        let number = match (field.number, is_literal) {
            (14, true) => 34,
            (17, true) => 37,
            (27, true) => 35,
            (14, false) => 33,
            (17, false) => 36,
            (29, false) => 34,
            _ => continue,
        };
        *field = Field::message(number, rewrite(field));
    }
}

/// Counts as expressions.
fn fetch(fields: &mut Vec<Field<'_>>, version: &Version) {
    const ALL: u64 = u64::MAX;
    if version.counts_always() && !has(fields, 4) && !has(fields, 6) {
        fields.push(Field::varint(4, 0));
    }
    let mut literal = |old: u32, new: u32, skipped: &[u64]| {
        let values = drain(fields, old);
        let Some(Value::Varint(value)) = values.last().map(|f| f.value.clone()) else { return };
        if !has(fields, new) && !skipped.contains(&value) {
            let literal = encode(&[Field::varint(7, value)]);
            fields.push(Field::message(new, encode(&[Field::message(1, literal)])));
        }
    };
    literal(3, 5, &[0]);
    literal(4, 6, &[ALL]);
}

/// Rows of literals as rows of expressions.
fn virtual_table(fields: &mut [Field<'_>]) {
    for row in fields.iter_mut().filter(|f| f.number == 1) {
        let values: Vec<Field<'_>> = self::fields(row.payload())
            .flatten()
            .map(|literal| Field::message(1, encode(&[Field::message(1, literal.payload().to_vec())])))
            .collect();
        *row = Field::message(2, encode(&values));
    }
}

/// The format by its number; only Parquet ever had one.
fn file_format(fields: &mut Vec<Field<'_>>) -> Result<()> {
    const PARQUET: u64 = 1;
    match drain(fields, 5).last().map(|f| f.value.clone()) {
        None | Some(Value::Varint(0)) => {}
        Some(Value::Varint(PARQUET)) => fields.push(Field::message(9, Vec::new())),
        Some(_) => return Err(Error::unsupported("a file format by an unknown number")),
    }
    Ok(())
}

/// Two lists of keys as one list of equal pairs.
fn join_keys(fields: &mut Vec<Field<'_>>) -> Result<()> {
    let (left, right) = (drain(fields, 4), drain(fields, 5));
    if has(fields, 8) {
        return Ok(());
    }
    if left.len() != right.len() {
        return Err(Error::user(format!("{} left keys and {} right keys", left.len(), right.len())));
    }
    for (left, right) in left.iter().zip(&right) {
        const EQUAL: u64 = 1;
        let (left, right) = (left.payload().to_vec(), right.payload().to_vec());
        let comparison = encode(&[Field::varint(1, EQUAL)]);
        let pair = encode(&[Field::message(1, left), Field::message(2, right), Field::message(3, comparison)]);
        fields.push(Field::message(8, pair));
    }
    Ok(())
}

/// Grouping expressions within each set as one list and references into it.
fn groupings(fields: &mut Vec<Field<'_>>) {
    let is_new = has(fields, 5);
    let mut expressions: Vec<Vec<u8>> = Vec::new();
    for grouping in fields.iter_mut().filter(|f| f.number == 3) {
        let payload = grouping.payload().to_vec();
        let inner: Vec<Field<'_>> = self::fields(&payload).flatten().collect();
        if !has(&inner, 1) {
            continue;
        }
        let (old, mut kept): (Vec<_>, Vec<_>) = inner.into_iter().partition(|f| f.number == 1);
        if !is_new {
            kept.retain(|f| f.number != 2);
            for expression in old {
                let bytes = expression.payload().to_vec();
                let position = expressions.iter().position(|e| *e == bytes).unwrap_or_else(|| {
                    expressions.push(bytes);
                    expressions.len() - 1
                });
                kept.push(Field::varint(2, position as u64));
            }
        }
        *grouping = Field::message(3, encode(&kept));
    }
    fields.extend(expressions.into_iter().map(|e| Field::message(5, e)));
}

/// Bare expressions as arguments.
fn arguments(fields: &mut Vec<Field<'_>>, old: u32, new: u32) {
    let bare = drain(fields, old);
    if !has(fields, new) {
        let argument = |e: Field<'_>| Field::message(new, encode(&[Field::message(3, e.payload().to_vec())]));
        fields.extend(bare.into_iter().map(argument));
    }
}
