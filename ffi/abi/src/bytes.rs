//! Bytes that a function gives: plans in a wire format.

use plasmon_boundary::guard::guarded;
use plasmon_boundary::host::write;

/// Bytes that the library gave. They are the caller's: free them once with `plasmon_bytes_free`, as they were given.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct plasmon_bytes {
    /// The first byte; null when there are none.
    pub data: *mut u8,
    /// How many there are.
    pub length: u64,
}

impl plasmon_bytes {
    /// Hands bytes over to the host.
    pub(crate) fn give(bytes: Vec<u8>) -> Self {
        if bytes.is_empty() {
            return plasmon_bytes { data: std::ptr::null_mut(), length: 0 };
        }
        let length = bytes.len() as u64;
        plasmon_bytes { data: Box::into_raw(bytes.into_boxed_slice()).cast(), length }
    }
}

/// Frees the bytes and leaves none in the struct, so that freeing it again does nothing; null is allowed. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_bytes_free(bytes: *mut plasmon_bytes) {
    guarded(|| {
        if bytes.is_null() {
            return Ok(());
        }
        // SAFETY: ABI.md, "Pointers"; hosts in other languages need not align.
        let given = unsafe { bytes.read_unaligned() };
        if !given.data.is_null() {
            let slice = std::ptr::slice_from_raw_parts_mut(given.data, given.length as usize);
            // SAFETY: ABI.md, "Bytes": pointer and length are those that `give` gave, once.
            drop(unsafe { Box::from_raw(slice) });
        }
        // SAFETY: as above.
        unsafe { write(bytes, plasmon_bytes::give(Vec::new()), "bytes") }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_freed_once() {
        let mut given = plasmon_bytes::give(vec![1, 2, 3]);
        // SAFETY: three bytes that were just given.
        let seen = unsafe { std::slice::from_raw_parts(given.data, given.length as usize) };
        assert_eq!(seen, [1, 2, 3]);
        // SAFETY: bytes that were given; then none.
        unsafe {
            plasmon_bytes_free(&raw mut given);
            assert!(given.data.is_null() && given.length == 0);
            plasmon_bytes_free(&raw mut given);
            plasmon_bytes_free(std::ptr::null_mut());
        }
        assert!(plasmon_bytes::give(Vec::new()).data.is_null());
    }
}
