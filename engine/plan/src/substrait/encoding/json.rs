//! A plan as the JSON of protobuf → its bytes. Names are those of the protocol in either spelling; unknown ones are refused with their path.

use plasmon_core::{Error, Result};
use serde_json::Value as Json;

use super::descriptor::{Descriptor, Field, Kind};
use super::wire::{Field as WireField, Value, encode};
use crate::path::Path;

/// The bytes of the plan.
pub(super) fn to_bytes(text: &[u8]) -> Result<Vec<u8>> {
    let value: Json = serde_json::from_slice(text).map_err(|e| Error::user(format!("no Substrait plan: {e}")))?;
    let descriptor = Descriptor::get();
    message(descriptor, descriptor.index("Plan"), &value, &Path::root("plan"))
}

fn message(descriptor: &Descriptor, index: usize, value: &Json, at: &Path<'_>) -> Result<Vec<u8>> {
    let (Some(message), Json::Object(members)) = (descriptor.message(index), value) else {
        return Err(at.wrong(format!("an object expected, got {}", describe(value))));
    };
    let mut fields = Vec::with_capacity(members.len());
    for (name, value) in members {
        // Extensions say their type by "@type"; the engine runs none of them, so their content does not matter.
        if message.name == "google.protobuf.Any" {
            continue;
        }
        let field = message
            .named(name)
            .ok_or_else(|| at.wrong(format!("{} has no field {name} that this version knows", message.name)))?;
        match (field.repeated, value) {
            (_, Json::Null) => {}
            (true, Json::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    fields.push(one(descriptor, field, item, &at.item(name, index))?);
                }
            }
            (true, _) => return Err(at.field(name).wrong(format!("a list expected, got {}", describe(value)))),
            (false, _) => fields.push(one(descriptor, field, value, &at.field(name))?),
        }
    }
    Ok(encode(&fields))
}

fn one(descriptor: &Descriptor, field: &Field, value: &Json, at: &Path<'_>) -> Result<WireField<'static>> {
    let bad = |what: &str| at.wrong(format!("{what} expected, got {}", describe(value)));
    let value = match &field.kind {
        Kind::Bool => Value::Varint(u64::from(value.as_bool().ok_or_else(|| bad("true or false"))?)),
        Kind::Integer => Value::Varint(integer(value).ok_or_else(|| bad("a whole number"))? as u64),
        Kind::Float => Value::Fixed32((number(value).ok_or_else(|| bad("a number"))? as f32).to_le_bytes()),
        Kind::Double => Value::Fixed64(number(value).ok_or_else(|| bad("a number"))?.to_le_bytes()),
        Kind::Text => bytes(value.as_str().ok_or_else(|| bad("a text"))?.as_bytes().to_vec()),
        Kind::Bytes => bytes(value.as_str().and_then(base64).ok_or_else(|| bad("base64"))?),
        Kind::Enum(values) => {
            let number = match value {
                Json::String(name) => values.get(name).copied().map(i64::from),
                other => integer(other),
            };
            Value::Varint(number.ok_or_else(|| bad("one of the protocol's names"))? as u64)
        }
        Kind::Message(index) => bytes(message(descriptor, *index, value, at)?),
    };
    Ok(WireField { number: field.number, value })
}

fn bytes(bytes: Vec<u8>) -> Value<'static> {
    Value::Bytes(bytes)
}

/// 64-bit numbers come as texts.
fn integer(value: &Json) -> Option<i64> {
    match value {
        Json::String(text) => text.parse::<i64>().ok().or_else(|| text.parse::<u64>().ok().map(|v| v as i64)),
        other => other.as_i64().or_else(|| other.as_u64().map(|v| v as i64)),
    }
}

fn number(value: &Json) -> Option<f64> {
    match value {
        Json::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            other => other.parse().ok(),
        },
        other => other.as_f64(),
    }
}

/// Of either alphabet, with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for c in text.trim_end_matches('=').bytes() {
        let digit = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(out)
}

fn describe(value: &Json) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_both_alphabets() {
        assert_eq!(base64("aGVsbG8="), Some(b"hello".to_vec()));
        assert_eq!(base64("-_8"), Some(vec![0xfb, 0xff]));
        assert_eq!(base64("a*"), None);
    }
}
