//! Compiles `proto/plan.proto` to Rust, and to a table of which fields each message has, by which unknown ones are found.

use std::fmt::Write;
use std::path::PathBuf;

use protox::prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use protox::prost_reflect::prost_types::{DescriptorProto, FileDescriptorSet};

/// Messages that nest in themselves. Their fields become bytes in Rust (on the wire both are the same), so that the decoder goes down by itself, with
/// the way to the node at hand and a limit of its own on depth.
const RECURSIVE: [&str; 4] =
    [".plasmon.plan.Relation", ".plasmon.plan.Expression", ".plasmon.plan.Field", ".plasmon.plan.Value"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/plan.proto");
    println!("cargo:rerun-if-changed=build.rs");
    let mut files = protox::compile(["proto/plan.proto"], ["proto"])?;
    let table = field_table(&files)?;
    for message in files.file.iter_mut().flat_map(|f| &mut f.message_type) {
        for field in &mut message.field {
            if RECURSIVE.contains(&field.type_name()) {
                field.set_type(Type::Bytes);
                field.type_name = None;
            }
        }
    }
    prost_build::Config::new().enable_type_names().bytes(["."]).compile_fds(files)?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    Ok(std::fs::write(out.join("plan_fields.rs"), table)?)
}

/// `const MESSAGES: &[Message]`: name, and per field its number, its wire form and whether it may repeat.
fn field_table(files: &FileDescriptorSet) -> Result<String, Box<dyn std::error::Error>> {
    let messages: Vec<&DescriptorProto> = files.file.iter().flat_map(|f| &f.message_type).collect();
    let mut table = "pub(super) const MESSAGES: &[Message] = &[\n".to_string();
    for message in &messages {
        writeln!(table, "    Message {{ name: {:?}, fields: &[", message.name())?;
        for field in &message.field {
            let form = match field.r#type() {
                Type::Message if !RECURSIVE.contains(&field.type_name()) => {
                    let name = field.type_name().rsplit('.').next().unwrap_or_default();
                    let index = messages.iter().position(|m| m.name() == name).ok_or("messages stand in plan.proto")?;
                    format!("Form::Message({index})")
                }
                Type::Message | Type::String | Type::Bytes => "Form::Bytes".to_string(),
                Type::Float => "Form::Fixed32".to_string(),
                Type::Double => "Form::Fixed64".to_string(),
                _ => "Form::Number".to_string(),
            };
            let repeated = field.label() == Label::Repeated;
            let (number, name) = (field.number(), field.name());
            writeln!(
                table,
                "        Field {{ number: {number}, name: {name:?}, form: {form}, repeated: {repeated} }},"
            )?;
        }
        writeln!(table, "    ] }},")?;
    }
    table.push_str("];\n");
    Ok(table)
}
