//! Options: named values of a database, a connection or a statement, as text, bytes, integer or float.
//!
//! A value has one meaning whatever type it comes in: `"4"` and `4` are the same, and are read back as either.

use std::ffi::c_char;

use adbc_core::error::{AdbcStatusCode, Status};
use adbc_core::options::OptionValue;
use adbc_ffi::FFI_AdbcError;
use plasmon::Config;
use plasmon_boundary::handle::lock;
use plasmon_boundary::host::{require, write};
use plasmon_boundary::{Code, Failure, text};
use std::sync::Mutex;

use crate::entry::{Holder, answer, object, required};
use crate::error::{Result, Trouble};

/// What prefixes the engine's settings: `plasmon.threads`.
const SETTING_PREFIX: &str = "plasmon.";

/// Something that has options.
pub(crate) trait Options {
    /// Changes one.
    fn set(&self, key: &str, value: OptionValue) -> Result<()>;

    /// The value of one.
    fn get(&self, key: &str) -> Result<OptionValue>;
}

/// The engine's setting that an option is about.
pub(crate) fn setting_of(key: &str) -> Option<&str> {
    key.strip_prefix(SETTING_PREFIX)
}

/// The failure for an option that there is not.
pub(crate) fn unknown(key: &str, of: &str) -> Trouble {
    Trouble::not_implemented(format!("{of} has no option {key:?}"))
        .hint("the engine's settings are options by the name plasmon.<setting>; SHOW ALL lists them")
}

/// As [`unknown`], of an option that is asked for.
pub(crate) fn no_value(key: &str, of: &str) -> Trouble {
    Trouble::not_found(format!("{of} has no value of an option {key:?}"))
}

/// The failure for a value that an option cannot have.
pub(crate) fn wrong_value(key: &str, value: &str, wanted: &str) -> Trouble {
    Failure::argument(format!("option {key}: {value:?} is not {wanted}")).into()
}

/// A value as text.
pub(crate) fn text_of(key: &str, value: &OptionValue) -> Result<String> {
    match value {
        OptionValue::String(text) => Ok(text.clone()),
        OptionValue::Int(number) => Ok(number.to_string()),
        OptionValue::Double(number) => Ok(number.to_string()),
        OptionValue::Bytes(bytes) => String::from_utf8(bytes.clone()).map_err(|_| wrong_value(key, "bytes", "text")),
        _ => Err(wrong_value(key, "a value of another type", "text")),
    }
}

/// A value that is `true` or `false`.
pub(crate) fn switch_of(key: &str, value: &OptionValue) -> Result<bool> {
    match text_of(key, value)?.as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(wrong_value(key, other, "true or false")),
    }
}

/// Settings of the engine that lie over those of the session.
#[derive(Debug, Default)]
pub(crate) struct Settings(Mutex<Vec<(String, String)>>);

impl Settings {
    /// Adds one, when the engine has it and takes the value.
    pub(crate) fn set(&self, name: &str, value: String) -> Result<()> {
        Config::default().set(name, &value)?;
        let mut own = lock(&self.0, "the settings")?;
        own.retain(|(known, _)| known != name);
        own.push((name.to_string(), value));
        Ok(())
    }

    /// Writes them over `config`.
    pub(crate) fn apply(&self, config: &mut Config) -> Result<()> {
        let own = lock(&self.0, "the settings")?;
        Ok(own.iter().try_for_each(|(name, value)| config.set(name, value))?)
    }
}

/// The value of a setting under `config`.
pub(crate) fn value_of(config: &Config, name: &str, of: &str) -> Result<OptionValue> {
    let found = config.settings().into_iter().find(|s| s.name == name);
    found.map(|s| OptionValue::String(s.value)).ok_or_else(|| no_value(name, of))
}

/// `Adbc…SetOption`.
pub(crate) unsafe extern "C" fn set_text<H: Holder>(
    holder: *mut H,
    key: *const c_char,
    value: *const c_char,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    answer(error, || {
        // SAFETY: the rules of `adbc.h`.
        let (key, value) = unsafe { (required(key, "key")?, required(value, "value")?) };
        // SAFETY: as above.
        unsafe { object(holder)? }.set(key, OptionValue::String(value.to_string()))
    })
}

/// `Adbc…SetOptionBytes`.
pub(crate) unsafe extern "C" fn set_bytes<H: Holder>(
    holder: *mut H,
    key: *const c_char,
    value: *const u8,
    length: usize,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    answer(error, || {
        // SAFETY: the rules of `adbc.h`.
        let (key, value) = unsafe { (required(key, "key")?, text::borrow_bytes(value, length as u64, "value")?) };
        // SAFETY: as above.
        unsafe { object(holder)? }.set(key, OptionValue::Bytes(value.to_vec()))
    })
}

/// `Adbc…SetOptionInt`.
pub(crate) unsafe extern "C" fn set_int<H: Holder>(
    holder: *mut H,
    key: *const c_char,
    value: i64,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    // SAFETY: the rules of `adbc.h`.
    answer(error, || unsafe { object(holder)?.set(required(key, "key")?, OptionValue::Int(value)) })
}

/// `Adbc…SetOptionDouble`.
pub(crate) unsafe extern "C" fn set_double<H: Holder>(
    holder: *mut H,
    key: *const c_char,
    value: f64,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    // SAFETY: the rules of `adbc.h`.
    answer(error, || unsafe { object(holder)?.set(required(key, "key")?, OptionValue::Double(value)) })
}

/// `Adbc…GetOption`: `length` becomes the text's with its zero; the text is written when there is room for it.
pub(crate) unsafe extern "C" fn get_text<H: Holder>(
    holder: *mut H,
    key: *const c_char,
    value: *mut c_char,
    length: *mut usize,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    answer(error, || {
        // SAFETY: the rules of `adbc.h`.
        let (object, key) = unsafe { (object(holder)?, required(key, "key")?) };
        let found = text::terminated(&text_of(key, &object.get(key)?)?);
        // SAFETY: as above.
        unsafe { fill(value.cast(), length, found.as_bytes_with_nul()) }
    })
}

/// `Adbc…GetOptionBytes`: as [`get_text`], without a zero.
pub(crate) unsafe extern "C" fn get_bytes<H: Holder>(
    holder: *mut H,
    key: *const c_char,
    value: *mut u8,
    length: *mut usize,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    answer(error, || {
        // SAFETY: the rules of `adbc.h`.
        let (object, key) = unsafe { (object(holder)?, required(key, "key")?) };
        let found = match object.get(key)? {
            OptionValue::Bytes(bytes) => bytes,
            other => text_of(key, &other)?.into_bytes(),
        };
        // SAFETY: as above.
        unsafe { fill(value, length, &found) }
    })
}

/// `Adbc…GetOptionInt`.
pub(crate) unsafe extern "C" fn get_int<H: Holder>(
    holder: *mut H,
    key: *const c_char,
    value: *mut i64,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    // SAFETY: the rules of `adbc.h`.
    answer(error, || unsafe { get_number(holder, key, value) })
}

/// `Adbc…GetOptionDouble`.
pub(crate) unsafe extern "C" fn get_double<H: Holder>(
    holder: *mut H,
    key: *const c_char,
    value: *mut f64,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    // SAFETY: the rules of `adbc.h`.
    answer(error, || unsafe { get_number(holder, key, value) })
}

/// A value that is a number, or whose text is one.
///
/// # Safety
/// As `adbc.h` says of the pointers.
unsafe fn get_number<H: Holder, T: std::str::FromStr>(holder: *mut H, key: *const c_char, value: *mut T) -> Result<()> {
    require(value, "value")?;
    // SAFETY: the caller's promise.
    let (object, key) = unsafe { (object(holder)?, required(key, "key")?) };
    let found = text_of(key, &object.get(key)?)?;
    let number = found.parse::<T>().map_err(|_| {
        Trouble::new(
            Status::NotFound,
            Code::User,
            format!("option {key}: its value {found:?} is no number of this type"),
        )
    })?;
    // SAFETY: as above.
    Ok(unsafe { write(value, number, "value")? })
}

/// Writes `found` where there is room for it, and its length.
///
/// # Safety
/// `value` leads to `length` bytes, or is null when that is zero.
unsafe fn fill(value: *mut u8, length: *mut usize, found: &[u8]) -> Result<()> {
    require(length, "length")?;
    // SAFETY: not null, and the caller's promise.
    let room = unsafe { length.read_unaligned() };
    if found.len() <= room && !found.is_empty() {
        require(value, "value")?;
        // SAFETY: `value` has `room` bytes, which the host owns.
        unsafe { std::ptr::copy_nonoverlapping(found.as_ptr(), value, found.len()) };
    }
    // SAFETY: as above.
    Ok(unsafe { write(length, found.len(), "length")? })
}
