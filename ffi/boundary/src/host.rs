//! Where the host wants results to be written, and what it hands over by pointer: lists, and options that grow with the versions of the ABI.

use std::mem::{MaybeUninit, size_of};

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

/// Lists of more elements are taken for garbage.
const LIST_MAX: u64 = 1 << 20;
/// Options of more bytes too.
const OPTIONS_MAX: u64 = 4096;

/// The `count` elements at `list`; null is allowed when there are none. `what` names the argument.
///
/// # Safety
/// `list` is null, or leads to `count` elements of `T`, of which every bit pattern is a value.
pub unsafe fn list<T: Copy>(list: *const T, count: u64, what: &str) -> Result<Vec<T>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    require(list, what)?;
    if count > LIST_MAX {
        return Err(Failure::argument(format!("{what}: {count} elements, at most {LIST_MAX}")));
    }
    // SAFETY: the caller's promise; hosts in other languages need not align.
    Ok((0..count as usize).map(|index| unsafe { list.add(index).read_unaligned() }).collect())
}

/// Options of a call: structs whose first field is a `u64`, their size in the version of the ABI that the program was compiled for. Fields that the
/// program does not know are zero, which means the default. Fields are only ever added behind the others.
///
/// # Safety
/// Every bit pattern is a value of the type, its first field is the `u64`, and the others are words or pairs of halves.
pub unsafe trait Options: Copy {}

/// The options at `options`; all zero when it is null.
///
/// # Safety
/// `options` is null, or leads to as many bytes as the `u64` there says.
pub unsafe fn options<T: Options>(options: *const T, what: &str) -> Result<T> {
    let mut own = MaybeUninit::<T>::zeroed();
    if !options.is_null() {
        // SAFETY: the caller's promise: the size, and as many bytes as it says.
        let size = unsafe { options.cast::<u64>().read_unaligned() };
        // All fields are words, or pairs of halves: no version cuts one in the middle.
        if !(size_of::<u64>() as u64..=OPTIONS_MAX).contains(&size) || size % 8 != 0 {
            return Err(Failure::argument(format!("{what}: a size of {size} bytes; set it to the size of the struct")));
        }
        let known = size_of::<T>().min(size as usize);
        // SAFETY: as above.
        let given = unsafe { std::slice::from_raw_parts(options.cast::<u8>(), size as usize) };
        if given[known..].iter().any(|byte| *byte != 0) {
            return Err(Failure::argument(format!(
                "{what}: set are fields that this version of the library does not know"
            )));
        }
        // SAFETY: `known` bytes are in both.
        unsafe { std::ptr::copy_nonoverlapping(given.as_ptr(), own.as_mut_ptr().cast::<u8>(), known) };
    }
    // SAFETY: every bit pattern is a value, all zero included.
    Ok(unsafe { own.assume_init() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Two {
        size: u64,
        first: u64,
        second: u64,
    }
    // SAFETY: numbers, the size first.
    unsafe impl Options for Two {}

    /// What the library makes of 32 bytes that start with a size.
    fn read(size: u64, words: [u64; 3]) -> Result<Two> {
        let words = [size, words[0], words[1], words[2]];
        // SAFETY: 32 bytes; larger sizes are refused before they are read.
        unsafe { options(words.as_ptr().cast::<Two>(), "options") }
    }

    #[test]
    fn options_of_older_and_newer_programs_are_read() {
        assert_eq!(read(24, [1, 2, 9]).unwrap(), Two { size: 24, first: 1, second: 2 });
        assert_eq!(read(16, [1, 2, 9]).unwrap(), Two { size: 16, first: 1, second: 0 });
        assert_eq!(read(32, [1, 2, 0]).unwrap().second, 2);
        assert!(read(32, [1, 2, 9]).unwrap_err().message.contains("does not know"));
        assert!(read(7, [0; 3]).is_err() && read(20, [0; 3]).is_err() && read(u64::MAX, [0; 3]).is_err());
        // SAFETY: null is none.
        assert_eq!(unsafe { options::<Two>(std::ptr::null(), "options") }.unwrap().first, 0);
    }

    #[test]
    fn lists_are_read_where_they_are() {
        let bytes = [0_u8, 1, 0, 2, 0];
        // SAFETY: two unaligned numbers behind the first byte.
        assert_eq!(unsafe { list(bytes[1..].as_ptr().cast::<u16>(), 2, "list") }.unwrap(), [1, 2]);
        // SAFETY: nothing is read.
        unsafe {
            assert!(list::<u16>(std::ptr::null(), 0, "list").unwrap().is_empty());
            assert!(list::<u16>(std::ptr::null(), 1, "list").is_err());
            assert!(list(bytes.as_ptr(), 1 << 40, "list").is_err());
        }
    }
}
