//! CRC-32, MD5 and the SHA family, as hexadecimal texts in lower case.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use md5::{Digest, Md5};
use plasmon_core::Result;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512, digest};
use sha2::Sha224;

use crate::function::spark::columns::Call;
use crate::function::spark::definition::Definition;
use crate::function::spark::result::{is_binary, require, takes};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("crc32", checksum_type, checksum),
    Definition::new("md5", text_type, |call| hexadecimal(call, |bytes| Md5::digest(bytes).to_vec())),
    Definition::new("sha1", text_type, |call| {
        hexadecimal(call, |bytes| digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec())
    }),
    Definition::new("sha2", sha2_type, sha2),
];

fn checksum_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    require(is_binary(&types[0]), "a binary")?;
    Ok(DataType::Int64)
}

fn text_type(types: &[DataType]) -> Result<DataType> {
    checksum_type(types)?;
    Ok(DataType::Utf8View)
}

fn sha2_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    require(is_binary(&types[0]) && types[1] == DataType::Int32, "a binary and a number of bits")?;
    Ok(DataType::Utf8View)
}

fn checksum(call: &Call) -> Result<ArrayRef> {
    let values = call.binaries(0)?;
    call.integer_result(|row| Ok(values.get(row).map(|bytes| i64::from(crc32fast::hash(bytes)))))
}

fn write_hexadecimal(bytes: &[u8], text: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

fn hexadecimal(call: &Call, of: impl Fn(&[u8]) -> Vec<u8>) -> Result<ArrayRef> {
    let values = call.binaries(0)?;
    call.text_result(|row, text| {
        let Some(bytes) = values.get(row) else { return Ok(false) };
        write_hexadecimal(&of(bytes), text);
        Ok(true)
    })
}

/// Null for a number of bits that there is not; 0 stands for 256.
fn sha2(call: &Call) -> Result<ArrayRef> {
    let (values, bits) = (call.binaries(0)?, call.integers(1)?);
    call.text_result(|row, text| {
        let (Some(bytes), Some(bits)) = (values.get(row), bits.get(row)) else { return Ok(false) };
        match bits {
            224 => write_hexadecimal(&Sha224::digest(bytes), text),
            0 | 256 => write_hexadecimal(digest(&SHA256, bytes).as_ref(), text),
            384 => write_hexadecimal(digest(&SHA384, bytes).as_ref(), text),
            512 => write_hexadecimal(digest(&SHA512, bytes).as_ref(), text),
            _ => return Ok(false),
        }
        Ok(true)
    })
}
