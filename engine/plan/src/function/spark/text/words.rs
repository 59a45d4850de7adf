//! How words sound, and how numbers are written for people.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use plasmon_core::Result;

use super::texts_to_text;
use crate::function::spark::columns::Call;
use crate::function::spark::definition::Definition;
use crate::function::spark::result::takes;

pub(super) const FUNCTIONS: &[Definition] = &[Definition::new("soundex", one, soundex)];

fn one(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    texts_to_text(types)
}

/// Codes of A to Z; `7`: passed over without parting equal codes (H and W).
const CODES: &[u8; 26] = b"01230127022455012623017202";

/// A text that does not begin with a letter is given as it is.
fn soundex(call: &Call) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    call.text_result(|row, out| {
        let Some(text) = texts.get(row) else { return Ok(false) };
        let code = |byte: u8| CODES[usize::from(byte.to_ascii_uppercase() - b'A')];
        let bytes = text.as_bytes();
        let Some(first) = bytes.first().copied().filter(u8::is_ascii_alphabetic) else {
            out.push_str(text);
            return Ok(true);
        };
        out.push(char::from(first.to_ascii_uppercase()));
        let mut last = code(first);
        for &byte in &bytes[1..] {
            if !byte.is_ascii_alphabetic() {
                last = b'0';
                continue;
            }
            match code(byte) {
                b'7' => {}
                code => {
                    if code != b'0' && code != last && out.len() < 4 {
                        out.push(char::from(code));
                    }
                    last = code;
                }
            }
        }
        out.extend(std::iter::repeat_n('0', 4 - out.len()));
        Ok(true)
    })
}
