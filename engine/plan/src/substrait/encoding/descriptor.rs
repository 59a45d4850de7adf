//! What the protocol's own description says of every message: its fields by number and by JSON name.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::older;
use super::wire::{Field as WireField, Value, fields};

/// Every message of Substrait.
pub(super) struct Descriptor {
    messages: Vec<Message>,
    by_name: HashMap<String, usize>,
}

pub(super) struct Message {
    /// Without the package: `Expression.Literal`.
    pub(super) name: String,
    fields: HashMap<u32, Field>,
    by_json: HashMap<String, u32>,
}

#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) number: u32,
    /// As in the protocol's text: `post_join_filter`.
    pub(super) name: String,
    pub(super) repeated: bool,
    pub(super) kind: Kind,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Bool,
    /// Signed or unsigned, of 32 or 64 bits: the same varint for every value that is not negative.
    Integer,
    Float,
    Double,
    Text,
    Bytes,
    /// The values by name.
    Enum(HashMap<String, i32>),
    Message(usize),
}

static DESCRIPTOR: LazyLock<Descriptor> = LazyLock::new(|| Descriptor::read(substrait_prost::FILE_DESCRIPTOR_SET));

impl Descriptor {
    pub(super) fn get() -> &'static Descriptor {
        &DESCRIPTOR
    }

    /// Index of a message by its name without package.
    pub(super) fn index(&self, name: &str) -> usize {
        self.by_name.get(name).copied().unwrap_or(usize::MAX)
    }

    pub(super) fn message(&self, index: usize) -> Option<&Message> {
        self.messages.get(index)
    }

    /// From a `google.protobuf.FileDescriptorSet`. What it does not hold is unknown to the walk, which then refuses it.
    fn read(set: &[u8]) -> Descriptor {
        let mut raw = Raw::default();
        for file in nested(set, 1) {
            let package = text(file, 2);
            for message in nested(file, 4) {
                raw.message(&package, message);
            }
            for kind in nested(file, 5) {
                raw.enumeration(&package, kind);
            }
        }
        let by_name: HashMap<String, usize> =
            raw.messages.iter().enumerate().map(|(i, (name, _))| (short(name), i)).collect();
        let mut messages: Vec<Message> =
            raw.messages.iter().map(|(name, bytes)| message(short(name), bytes, &by_name, &raw.enums)).collect();
        for row in older::FIELDS {
            let Some(message) = by_name.get(row.message).and_then(|&i| messages.get_mut(i)) else { continue };
            let kind = older::kind(row.kind, &|name| by_name.get(name).copied());
            if let Some(kind) = kind {
                message.by_json.insert(row.json.to_string(), row.number);
                message.fields.entry(row.number).or_insert(Field {
                    number: row.number,
                    name: row.json.to_string(),
                    repeated: row.repeated,
                    kind,
                });
            }
        }
        Descriptor { messages, by_name }
    }
}

impl Message {
    pub(super) fn field(&self, number: u32) -> Option<&Field> {
        self.fields.get(&number)
    }

    /// By its JSON name or by its name in the protocol's text.
    pub(super) fn named(&self, name: &str) -> Option<&Field> {
        self.by_json.get(name).and_then(|number| self.fields.get(number))
    }
}

/// Messages and enumerations with their full names, nested ones too.
#[derive(Default)]
struct Raw<'a> {
    messages: Vec<(String, &'a [u8])>,
    enums: HashMap<String, HashMap<String, i32>>,
}

impl<'a> Raw<'a> {
    fn message(&mut self, scope: &str, bytes: &'a [u8]) {
        let name = format!("{scope}.{}", text(bytes, 1));
        for inner in nested(bytes, 3) {
            self.message(&name, inner);
        }
        for kind in nested(bytes, 4) {
            self.enumeration(&name, kind);
        }
        self.messages.push((name, bytes));
    }

    fn enumeration(&mut self, scope: &str, bytes: &[u8]) {
        let values = nested(bytes, 2).into_iter().map(|value| (text(value, 1), number(value, 2) as i32)).collect();
        self.enums.insert(format!(".{scope}.{}", text(bytes, 1)), values);
    }
}

fn message(
    name: String,
    bytes: &[u8],
    messages: &HashMap<String, usize>,
    enums: &HashMap<String, HashMap<String, i32>>,
) -> Message {
    const REPEATED: u64 = 3;
    let (mut by_number, mut by_json) = (HashMap::new(), HashMap::new());
    for field in nested(bytes, 2) {
        let type_name = text(field, 6);
        let kind = match number(field, 5) {
            1 => Kind::Double,
            2 => Kind::Float,
            8 => Kind::Bool,
            9 => Kind::Text,
            11 => match messages.get(&short(type_name.trim_start_matches('.'))) {
                Some(&index) => Kind::Message(index),
                None => continue,
            },
            12 => Kind::Bytes,
            14 => Kind::Enum(enums.get(&type_name).cloned().unwrap_or_default()),
            _ => Kind::Integer,
        };
        let (name, field_number) = (text(field, 1), number(field, 3) as u32);
        by_json.insert(text(field, 10), field_number);
        by_json.insert(name.clone(), field_number);
        let repeated = number(field, 4) == REPEATED;
        by_number.insert(field_number, Field { number: field_number, name, repeated, kind });
    }
    Message { name, fields: by_number, by_json }
}

/// A full name without the packages of Substrait.
fn short(name: &str) -> String {
    let name = name.strip_prefix("substrait.").unwrap_or(name);
    name.strip_prefix("extensions.").unwrap_or(name).to_string()
}

fn nested(bytes: &[u8], wanted: u32) -> Vec<&[u8]> {
    fields(bytes).flatten().filter(|f| f.number == wanted).filter_map(|f| f.bytes()).collect()
}

fn text(bytes: &[u8], wanted: u32) -> String {
    nested(bytes, wanted).first().map(|b| String::from_utf8_lossy(b).into_owned()).unwrap_or_default()
}

fn number(bytes: &[u8], wanted: u32) -> u64 {
    let found: Option<WireField<'_>> = fields(bytes).flatten().find(|f| f.number == wanted);
    match found.map(|f| f.value) {
        Some(Value::Varint(value)) => value,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocol_describes_itself() {
        let descriptor = Descriptor::get();
        let rel = descriptor.message(descriptor.index("Rel")).expect("a relation");
        assert_eq!(rel.field(1).expect("a read").kind, Kind::Message(descriptor.index("ReadRel")));
        let literal = descriptor.message(descriptor.index("Expression.Literal")).expect("a literal");
        assert_eq!(literal.named("varChar").expect("by its JSON name").number, 22);
        assert_eq!(literal.field(14).expect("of older versions").name, "timestamp");
    }
}
