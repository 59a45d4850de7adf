//! What the host gives for us to call: a function's context, and where results are to be written.

use std::ffi::c_void;

use crate::{Failure, Result};

/// A pointer that the host wants back in its callbacks; never looked into.
#[derive(Debug, Clone, Copy)]
pub struct Context(pub *mut c_void);

// SAFETY: the library only passes the pointer on; the host promises that its callbacks may run on any thread (ABI.md, "Callbacks").
unsafe impl Send for Context {}
// SAFETY: as for `Send`.
unsafe impl Sync for Context {}

/// Writes a result to where the host wants it. `what` names the argument.
///
/// # Safety
/// `out` is null, or leads to room for a `T` that nobody else reads or writes during the call. What stood there is not dropped.
pub unsafe fn write<T>(out: *mut T, value: T, what: &str) -> Result<()> {
    require(out, what)?;
    // SAFETY: the caller's promise; hosts in other languages need not align.
    unsafe { out.write_unaligned(value) };
    Ok(())
}

/// Refuses a null pointer, before work is done for nothing.
pub fn require<T>(pointer: *const T, what: &str) -> Result<()> {
    if pointer.is_null() { Err(Failure::argument(format!("{what} is null"))) } else { Ok(()) }
}
