//! What every function of the driver does: find the object behind the host's struct, catch panics, write errors.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use adbc_core::constants::ADBC_STATUS_OK;
use adbc_core::error::AdbcStatusCode;
use adbc_ffi::{FFI_AdbcConnection, FFI_AdbcDatabase, FFI_AdbcError, FFI_AdbcStatement};
use plasmon_boundary::handle::{self, Object};
use plasmon_boundary::host::require;
use plasmon_boundary::{Failure, guard, text};

use crate::connection::ConnectionObject;
use crate::database::DatabaseObject;
use crate::error::{Result, write_error};
use crate::options::Options;
use crate::statement::StatementObject;

/// Runs `work`; its failure, or its panic, is written to `error`.
pub(crate) fn answer(error: *mut FFI_AdbcError, work: impl FnOnce() -> Result<()>) -> AdbcStatusCode {
    let outcome = guard::caught(|| Ok(work())).unwrap_or_else(|failure| Err(failure.into()));
    match outcome {
        Ok(()) => ADBC_STATUS_OK,
        // SAFETY: `adbc.h`: null, or an error that is zero but for its vendor code or that a driver has written.
        Err(trouble) => unsafe { write_error(error, &trouble) },
    }
}

/// A struct of the host. Where other drivers keep a pointer it holds a handle's number; null is none.
pub(crate) trait Holder: Sized {
    type Object: Object + Options;

    /// Where in the struct at `holder` the number is.
    fn data(holder: *mut Self) -> *mut *mut c_void;
}

macro_rules! holders {
    ($($holder:ty => $object:ty),*) => {$(
        impl Holder for $holder {
            type Object = $object;

            fn data(holder: *mut Self) -> *mut *mut c_void {
                holder.wrapping_byte_add(std::mem::offset_of!($holder, private_data)).cast()
            }
        }
    )*};
}
holders!(FFI_AdbcDatabase => DatabaseObject, FFI_AdbcConnection => ConnectionObject, FFI_AdbcStatement => StatementObject);

const _: () = assert!(size_of::<usize>() == size_of::<u64>(), "a handle's number fits a pointer");

fn number(data: *mut c_void) -> u64 {
    data.addr() as u64
}

/// Puts a new object into a struct; what the struct held before is not looked at.
///
/// # Safety
/// `holder` is null, or leads to a struct that no other thread uses in a way that `adbc.h` forbids.
pub(crate) unsafe fn place<H: Holder>(holder: *mut H, object: impl FnOnce() -> Result<H::Object>) -> Result<()> {
    require(holder, H::Object::NAME)?;
    let data = std::ptr::without_provenance_mut(handle::open(object()?) as usize);
    // SAFETY: not null, and the caller's promise.
    unsafe { H::data(holder).write_unaligned(data) };
    Ok(())
}

/// The object of a struct. It is held during the call, so that a release by another thread does not take it away.
///
/// # Safety
/// As for [`place`].
pub(crate) unsafe fn object<H: Holder>(holder: *mut H) -> Result<Arc<H::Object>> {
    require(holder, H::Object::NAME)?;
    // SAFETY: not null, and the caller's promise.
    match number(unsafe { H::data(holder).read_unaligned() }) {
        0 => {
            Err(Failure::state(format!("the struct holds no {}: it was not made, or was released", bare::<H>())).into())
        }
        number => Ok(handle::get::<H::Object>(number)?),
    }
}

/// Takes the object out of a struct and makes its handle invalid; other structs that were copied from this one hold nothing any more.
///
/// # Safety
/// As for [`place`].
pub(crate) unsafe fn take<H: Holder>(holder: *mut H) -> Result<Arc<H::Object>> {
    // SAFETY: the caller's promise.
    let held = unsafe { object(holder)? };
    let place = H::data(holder);
    // SAFETY: as above; `object` has found it not null.
    let data = unsafe { place.read_unaligned() };
    // SAFETY: as above.
    unsafe { place.write_unaligned(std::ptr::null_mut()) };
    handle::close::<H::Object>(number(data))?;
    Ok(held)
}

fn bare<H: Holder>() -> &'static str {
    H::Object::NAME.trim_start_matches("an ").trim_start_matches("a ")
}

/// A text that must be there.
///
/// # Safety
/// `given` is null or a terminated text that nobody changes during `'a`.
pub(crate) unsafe fn required<'a>(given: *const c_char, what: &str) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    Ok(unsafe { text::borrow(given, -1, what)? })
}

/// A text that may be null.
///
/// # Safety
/// As for [`required`].
pub(crate) unsafe fn optional<'a>(given: *const c_char, what: &str) -> Result<Option<&'a str>> {
    // SAFETY: the caller's promise.
    if given.is_null() { Ok(None) } else { unsafe { required(given, what) }.map(Some) }
}
