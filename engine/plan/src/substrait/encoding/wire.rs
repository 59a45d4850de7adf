//! Protobuf bytes → the same plan in today's form: known fields only, old ones rewritten, deep ones detached.

use plasmon_core::{Error, Result};

use super::descriptor::{Descriptor, Kind};
use super::{NESTING_MAX, older};
use crate::path::Path;

/// Messages in one plan: the memory of a decoded plan is bounded by it.
const MESSAGES_MAX: usize = 1 << 20;
/// Messages below one another in a piece that is decoded as one; the decoder stops at 100.
const PIECE_DEPTH: usize = 48;
/// Messages below one another over all pieces.
const DEPTH_MAX: usize = 5 * NESTING_MAX;

/// A field as it lies on the wire.
#[derive(Debug, Clone)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) value: Value<'a>,
}

#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Fixed32([u8; 4]),
    /// Made here.
    Bytes(Vec<u8>),
    /// As they were read.
    Borrowed(&'a [u8]),
}

impl<'a> Field<'a> {
    pub(super) fn message(number: u32, bytes: Vec<u8>) -> Field<'static> {
        Field { number, value: Value::Bytes(bytes) }
    }

    pub(super) fn varint(number: u32, value: u64) -> Field<'static> {
        Field { number, value: Value::Varint(value) }
    }

    /// The bytes as they were read.
    pub(super) fn bytes(&self) -> Option<&'a [u8]> {
        match self.value {
            Value::Borrowed(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The bytes, read or made.
    pub(super) fn payload(&self) -> &[u8] {
        match &self.value {
            Value::Borrowed(bytes) => bytes,
            Value::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let (wire_type, number) = (self.value.wire_type(), u64::from(self.number));
        put_varint(number << 3 | wire_type, out);
        match &self.value {
            Value::Varint(value) => put_varint(*value, out),
            Value::Fixed64(bytes) => out.extend_from_slice(bytes),
            Value::Fixed32(bytes) => out.extend_from_slice(bytes),
            Value::Bytes(_) | Value::Borrowed(_) => {
                put_varint(self.payload().len() as u64, out);
                out.extend_from_slice(self.payload());
            }
        }
    }
}

impl Value<'_> {
    fn wire_type(&self) -> u64 {
        match self {
            Value::Varint(_) => 0,
            Value::Fixed64(_) => 1,
            Value::Bytes(_) | Value::Borrowed(_) => 2,
            Value::Fixed32(_) => 5,
        }
    }
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Fields one after the other, as bytes.
pub(super) fn encode(fields: &[Field<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    fields.iter().for_each(|f| f.encode(&mut out));
    out
}

/// The fields of a message; ends after the first that is malformed.
pub(super) fn fields(bytes: &[u8]) -> impl Iterator<Item = Result<Field<'_>>> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let mut cursor = rest.filter(|r| !r.is_empty())?;
        let field = next_field(&mut cursor);
        rest = field.is_ok().then_some(cursor);
        Some(field)
    })
}

fn next_field<'a>(rest: &mut &'a [u8]) -> Result<Field<'a>> {
    let key = take_varint(rest)?;
    let number = u32::try_from(key >> 3).ok().filter(|&n| n > 0).ok_or_else(|| broken("a field number"))?;
    let value = match key & 7 {
        0 => Value::Varint(take_varint(rest)?),
        1 => Value::Fixed64(take(rest, 8)?.try_into().map_err(|_| broken("a value of 8 bytes"))?),
        2 => {
            let length = take_varint(rest)?;
            Value::Borrowed(take(rest, usize::try_from(length).map_err(|_| broken("a length"))?)?)
        }
        5 => Value::Fixed32(take(rest, 4)?.try_into().map_err(|_| broken("a value of 4 bytes"))?),
        _ => return Err(broken("a wire type")),
    };
    Ok(Field { number, value })
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(count).ok_or_else(|| broken("a value, which ends too early,"))?;
    *rest = tail;
    Ok(head)
}

fn take_varint(rest: &mut &[u8]) -> Result<u64> {
    let mut value = 0u64;
    for position in 0..10 {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f).checked_shl(7 * position).unwrap_or(0);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(broken("a number"))
}

/// Numbers one after the other, as packed fields have them.
pub(super) fn varints(bytes: &[u8]) -> Vec<u64> {
    let mut rest = bytes;
    std::iter::from_fn(|| (!rest.is_empty()).then(|| take_varint(&mut rest).ok()).flatten()).collect()
}

fn broken(what: &str) -> Error {
    Error::user(format!("no Substrait plan: {what} is malformed protobuf"))
}

/// The plan in today's form.
pub(super) fn upgrade(bytes: &[u8]) -> Result<Vec<u8>> {
    let version = older::version(bytes);
    walk(bytes, PIECE_DEPTH, &|message, fields| older::upgrade(message, fields, &version))
}

/// The plan with what readers of older versions look for beside today's form.
pub(super) fn with_older_forms(bytes: &[u8]) -> Result<Vec<u8>> {
    walk(bytes, usize::MAX, &older::add)
}

type Rewrite<'r> = &'r dyn Fn(&str, &mut Vec<Field<'_>>) -> Result<()>;

fn walk(bytes: &[u8], piece_depth: usize, rewrite: Rewrite<'_>) -> Result<Vec<u8>> {
    let descriptor = Descriptor::get();
    let mut walk = Walk { descriptor, messages: 0, detached: Detached::default(), piece_depth, rewrite };
    let place = Place { path: None, depth: 0, piece: 0 };
    Ok(encode(&walk.message(descriptor.index("Plan"), bytes, place)?))
}

struct Walk<'d> {
    descriptor: &'d Descriptor,
    messages: usize,
    detached: Detached,
    /// Deeper nodes are detached.
    piece_depth: usize,
    /// What becomes of the fields of a message, by its name; messages in it come first.
    rewrite: Rewrite<'d>,
}

/// Nodes of the plan relation being walked that are kept apart; ordinals count on from those that the plan itself detached.
#[derive(Default)]
struct Detached {
    relations: Vec<Vec<u8>>,
    expressions: Vec<Vec<u8>>,
    own_relations: usize,
    own_expressions: usize,
}

#[derive(Clone, Copy)]
struct Place<'a> {
    path: Option<&'a Path<'a>>,
    depth: usize,
    /// Depth within the piece.
    piece: usize,
}

impl Place<'_> {
    fn error(&self, message: String) -> Error {
        match self.path {
            Some(path) => path.wrong(message),
            None => Error::user(message),
        }
    }
}

impl Walk<'_> {
    fn message<'a>(&mut self, index: usize, bytes: &'a [u8], place: Place<'_>) -> Result<Vec<Field<'a>>> {
        let descriptor = self.descriptor;
        let Some(message) = descriptor.message(index) else { return Err(place.error("an unknown message".into())) };
        self.messages += 1;
        if self.messages > MESSAGES_MAX || place.depth > DEPTH_MAX {
            let limit =
                if self.messages > MESSAGES_MAX { "more than 1,048,576 nodes" } else { "too deeply nested nodes" };
            let error = Error::unsupported(format!("a plan of {limit}"));
            return Err(place.path.map_or(error.clone(), |path| path.locate(error)));
        }
        if message.name == "PlanRel" {
            self.detached = Detached::of(bytes);
        }
        let (mut walked, mut counts) = (Vec::new(), Vec::<(u32, usize)>::new());
        for field in fields(bytes) {
            let field = field.map_err(|e| place.error(e.to_string()))?;
            let Some(known) = message.field(field.number) else {
                return Err(place.error(format!(
                    "{} has a field {} that this version of Substrait does not know",
                    message.name, field.number
                )));
            };
            let count = match counts.iter_mut().find(|(n, _)| *n == field.number) {
                Some((_, count)) => std::mem::replace(count, *count + 1),
                None => {
                    counts.push((field.number, 1));
                    0
                }
            };
            let Kind::Message(inner) = known.kind else {
                walked.push(field);
                continue;
            };
            let Some(payload) = field.bytes() else {
                return Err(place.error(format!("field {} of {} is no message", known.name, message.name)));
            };
            let index = known.repeated.then_some(count);
            let field = self.inner(field.number, inner, payload, (&message.name, &known.name, index), place)?;
            walked.push(field);
        }
        (self.rewrite)(&message.name, &mut walked).map_err(|e| match place.path {
            Some(path) => path.locate(e),
            None => e,
        })?;
        if message.name == "PlanRel" {
            walked.extend(self.detached.relations.drain(..).map(|r| Field::message(4, r)));
            walked.extend(self.detached.expressions.drain(..).map(|e| Field::message(3, e)));
        }
        Ok(walked)
    }

    /// A message in a field of another, detached when its piece is deep enough.
    fn inner(
        &mut self,
        number: u32,
        index: usize,
        bytes: &[u8],
        (parent, name, item): (&str, &str, Option<usize>),
        place: Place<'_>,
    ) -> Result<Field<'static>> {
        // Choices between kinds of nodes are no steps of a path.
        let is_step = !matches!(parent, "Plan" | "Rel" | "Expression" | "FunctionArgument");
        let whole;
        let path = match (place.path, item) {
            (Some(parent), _) if !is_step => parent,
            (Some(parent), Some(index)) => {
                whole = parent.item(name, index);
                &whole
            }
            (Some(parent), None) => {
                whole = parent.field(name);
                &whole
            }
            (None, _) if name == "rel" || name == "root" => {
                whole = Path::root(name);
                &whole
            }
            (None, Some(index)) => {
                whole = Path::root_at(name, index);
                &whole
            }
            (None, None) => {
                whole = Path::root(name);
                &whole
            }
        };
        let path = if parent == "Plan" && name == "relations" { None } else { Some(path) };
        let kind = self.descriptor.message(index).map(|m| m.name.as_str());
        let detaches = place.piece >= self.piece_depth && matches!(kind, Some("Rel" | "Expression"));
        let piece = if detaches { 0 } else { place.piece + 1 };
        let inner = self.message(index, bytes, Place { path, depth: place.depth + 1, piece })?;
        let encoded = encode(&inner);
        if !detaches {
            return Ok(Field::message(number, encoded));
        }
        let (field, ordinal) = match kind {
            Some("Rel") => (25, self.detached.own_relations + self.detached.relations.len()),
            _ => (18, self.detached.own_expressions + self.detached.expressions.len()),
        };
        let pieces = if field == 25 { &mut self.detached.relations } else { &mut self.detached.expressions };
        pieces.push(encoded);
        Ok(Field::message(number, encode(&[Field::varint(field, ordinal as u64)])))
    }
}

impl Detached {
    fn of(relation: &[u8]) -> Detached {
        let count = |number| fields(relation).flatten().filter(|f| f.number == number).count();
        Detached { own_relations: count(4), own_expressions: count(3), ..Detached::default() }
    }
}
