//! The fields of a message against those that the format has: what a protobuf decoder would skip in silence is refused.

use prost::Name;
use prost::bytes::Bytes;

use crate::path::Path;
use plasmon_core::Result;

/// A message of the format.
pub(super) struct Message {
    name: &'static str,
    fields: &'static [Field],
}

struct Field {
    number: u32,
    name: &'static str,
    form: Form,
    repeated: bool,
}

/// How a field lies on the wire.
#[derive(Clone, Copy)]
enum Form {
    /// Varint; packed when repeated.
    Number,
    Fixed32,
    Fixed64,
    /// Text, bytes, or a message that is decoded on its own.
    Bytes,
    /// The message of that ordinal in [`MESSAGES`].
    Message(usize),
}

include!(concat!(env!("OUT_DIR"), "/plan_fields.rs"));

/// Messages nest no deeper than this without being decoded on their own: dictionaries of dictionaries.
const DEPTH_MAX: usize = 32;

/// The message in `bytes`, all of whose fields are known and stand where they may.
pub(super) fn message<M: prost::Message + Name + Default>(bytes: &Bytes, path: &Path<'_>) -> Result<M> {
    let known = MESSAGES.iter().find(|m| m.name == M::NAME);
    let known =
        known.ok_or_else(|| plasmon_core::Error::internal(format!("{} is no message of plan.proto", M::NAME)))?;
    check(known, bytes, 0).map_err(|what| path.wrong(what))?;
    M::decode(bytes.clone()).map_err(|e| path.wrong(e.to_string()))
}

fn check(message: &Message, mut bytes: &[u8], depth: usize) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("{} is nested more than {DEPTH_MAX} deep", message.name));
    }
    let mut given = 0u64;
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let (number, wire) = (key >> 3, key & 7);
        let Some(position) = message.fields.iter().position(|f| u64::from(f.number) == number) else {
            return Err(format!(
                "{} has a field {number} that version {} of the format does not know",
                message.name,
                super::VERSION
            ));
        };
        let field = &message.fields[position];
        if !field.repeated && given >> position & 1 == 1 {
            return Err(format!("{}.{} is given twice", message.name, field.name));
        }
        given |= 1 << position;
        let broken = |what: String| format!("{}.{}: {what}", message.name, field.name);
        match (field.form, wire) {
            (Form::Number, 0) => drop(varint(&mut bytes).map_err(broken)?),
            (Form::Fixed32, 5) => drop(take(&mut bytes, 4).map_err(broken)?),
            (Form::Fixed64, 1) => drop(take(&mut bytes, 8).map_err(broken)?),
            (Form::Bytes, 2) | (Form::Message(_), 2) => {
                let content = counted(&mut bytes).map_err(broken)?;
                if let Form::Message(index) = field.form {
                    check(&MESSAGES[index], content, depth + 1)?;
                }
            }
            (Form::Number, 2) if field.repeated => drop(counted(&mut bytes).map_err(broken)?),
            _ => return Err(broken(format!("wire type {wire} is not that of its type"))),
        }
    }
    Ok(())
}

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0u64;
    for shift in 0..10 {
        let (&byte, rest) = bytes.split_first().ok_or("the bytes end within a number")?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * shift);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("a number has more than ten bytes".to_string())
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], String> {
    let (taken, rest) = bytes.split_at_checked(count).ok_or("the bytes end too early")?;
    *bytes = rest;
    Ok(taken)
}

fn counted<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let length = varint(bytes)?;
    take(bytes, usize::try_from(length).unwrap_or(usize::MAX))
}
