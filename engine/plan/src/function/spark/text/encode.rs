//! Hexadecimal and base 64.

use std::fmt::Write;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use plasmon_core::{Error, Result};

use super::texts_to_text;
use crate::function::spark::columns::Call;
use crate::function::spark::definition::Definition;
use crate::function::spark::result::{is_binary, is_text, require, takes};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("hex", hex_type, hex),
    Definition::new("unhex", text_to_binary, unhex),
    Definition::new("base64", binary_to_text, base64),
    Definition::new("unbase64", text_to_binary, unbase64),
];

fn hex_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    let holds = types[0] == DataType::Int64 || is_text(&types[0]) || is_binary(&types[0]);
    require(holds, "a long, a text or a binary")?;
    Ok(DataType::Utf8View)
}

fn text_to_binary(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    texts_to_text(types)?;
    Ok(DataType::BinaryView)
}

fn binary_to_text(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    require(is_binary(&types[0]), "a binary")?;
    Ok(DataType::Utf8View)
}

fn hex(call: &Call) -> Result<ArrayRef> {
    // Writing to a text cannot fail.
    let write = |bytes: &[u8], out: &mut String| {
        bytes.iter().for_each(|byte| {
            let _ = write!(out, "{byte:02X}");
        });
    };
    match call.type_of(0)? {
        DataType::Int64 => {
            let values = call.integers(0)?;
            call.text_result(|row, out| {
                let Some(value) = values.get(row) else { return Ok(false) };
                let _ = write!(out, "{value:X}");
                Ok(true)
            })
        }
        t if is_text(t) => {
            let texts = call.texts(0)?;
            call.text_result(|row, out| Ok(texts.get(row).map(|text| write(text.as_bytes(), out)).is_some()))
        }
        _ => {
            let values = call.binaries(0)?;
            call.text_result(|row, out| Ok(values.get(row).map(|bytes| write(bytes, out)).is_some()))
        }
    }
}

/// Null for what is not hexadecimal; an odd number of digits has a zero in front.
fn unhex(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    call.binary_result(|row, out| {
        let Some(text) = texts.get(row) else { return Ok(false) };
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|d| d as u8);
        let mut half = (text.len() % 2 == 1).then_some(0);
        for byte in text.bytes() {
            let Some(digit) = digit(byte) else { return Ok(false) };
            half = match half {
                None => Some(digit),
                Some(high) => {
                    out.push(high << 4 | digit);
                    None
                }
            };
        }
        Ok(true)
    })
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// In one line.
fn base64(call: &Call) -> Result<ArrayRef> {
    let values = call.binaries(0)?;
    call.text_result(|row, out| {
        let Some(bytes) = values.get(row) else { return Ok(false) };
        for chunk in bytes.chunks(3) {
            let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
            let word = byte(0) << 16 | byte(1) << 8 | byte(2);
            for index in 0..4 {
                let sextet = (word >> (18 - 6 * index)) as usize & 63;
                out.push(if index <= chunk.len() { char::from(ALPHABET[sextet]) } else { '=' });
            }
        }
        Ok(true)
    })
}

/// Java's MIME decoder: what is not of the alphabet is passed over, padding ends it.
fn unbase64(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    call.binary_result(|row, out| {
        let Some(text) = texts.get(row) else { return Ok(false) };
        let malformed = || Error::data(format!("[INVALID_BASE64] {text:?} is no base 64 text"));
        let (mut word, mut digits) = (0u32, 0);
        let mut bytes = text.bytes();
        for byte in bytes.by_ref() {
            if byte == b'=' {
                break;
            }
            let Some(digit) = ALPHABET.iter().position(|&a| a == byte) else { continue };
            (word, digits) = (word << 6 | digit as u32, digits + 1);
            if digits == 4 {
                out.extend_from_slice(&word.to_be_bytes()[1..]);
                (word, digits) = (0, 0);
            }
        }
        match digits {
            0 => {}
            2 => out.push((word >> 4) as u8),
            3 => out.extend_from_slice(&[(word >> 10) as u8, (word >> 2) as u8]),
            _ => return Err(malformed()),
        }
        if bytes.any(|byte| ALPHABET.contains(&byte)) {
            return Err(malformed());
        }
        Ok(true)
    })
}
