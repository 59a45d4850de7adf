//! Texts that cross: in as pointers that may be null, unterminated or no UTF-8; out as C strings that cannot hold a zero.

use std::ffi::{CStr, CString, c_char};

use crate::{Failure, Result};

/// The text at `text`: `length` bytes, or up to its zero when `length` is negative (as in `sqlite3_prepare_v2`). `what` names the argument.
///
/// # Safety
/// `text` is null, or leads to `length` bytes (a zero-terminated string when negative) that nobody changes during `'a`.
pub unsafe fn borrow<'a>(text: *const c_char, length: i64, what: &str) -> Result<&'a str> {
    if text.is_null() {
        return Err(Failure::argument(format!("{what} is null")));
    }
    let bytes = if length < 0 {
        // SAFETY: the caller's promise for terminated strings.
        unsafe { CStr::from_ptr(text) }.to_bytes()
    } else {
        // SAFETY: the caller's promise for lengths that are given.
        unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length as usize) }
    };
    std::str::from_utf8(bytes).map_err(|e| Failure::argument(format!("{what} is no UTF-8: {e}")))
}

/// The bytes at `bytes`; null is allowed when `length` is zero.
///
/// # Safety
/// `bytes` is null, or leads to `length` bytes that nobody changes during `'a`.
pub unsafe fn borrow_bytes<'a>(bytes: *const u8, length: u64, what: &str) -> Result<&'a [u8]> {
    match (bytes.is_null(), usize::try_from(length)) {
        (_, Ok(0)) => Ok(&[]),
        (true, _) => Err(Failure::argument(format!("{what} is null"))),
        // SAFETY: the caller's promise.
        (false, Ok(length)) if length <= isize::MAX as usize => {
            Ok(unsafe { std::slice::from_raw_parts(bytes, length) })
        }
        _ => Err(Failure::argument(format!("{what}: a length of {length} bytes"))),
    }
}

/// A C string of `text`; zeros inside become `�`, which no message loses its meaning by.
pub fn terminated(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|_| CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_in_by_length_or_zero() {
        let text = c"SELECT 1; no";
        // SAFETY: a terminated literal of 12 bytes.
        unsafe {
            assert_eq!(borrow(text.as_ptr(), -1, "sql").unwrap(), "SELECT 1; no");
            assert_eq!(borrow(text.as_ptr(), 8, "sql").unwrap(), "SELECT 1");
            assert_eq!(borrow(std::ptr::null(), 8, "sql").unwrap_err().message, "sql is null");
            assert!(borrow(c"\xff".as_ptr(), -1, "sql").unwrap_err().message.contains("no UTF-8"));
            assert_eq!(borrow_bytes(std::ptr::null(), 0, "plan").unwrap(), b"");
            assert!(borrow_bytes(std::ptr::null(), 1, "plan").is_err());
        }
        assert_eq!(terminated("a\0b").to_str().unwrap(), "a\u{fffd}b");
    }
}
