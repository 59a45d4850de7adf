//! Where the host wants results to be written.

use crate::{Failure, Result};

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
