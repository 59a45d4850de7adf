//! Bytes that are read from the front, and never past their end.

use arrow_buffer::{ArrowNativeType, Buffer, ScalarBuffer};

/// What was read, or what is wrong with the bytes.
pub(in crate::spill) type Decoded<T> = Result<T, String>;

/// What is left to read.
pub(super) struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Input { bytes }
    }

    /// The next `count` items of `width` bytes each.
    pub(super) fn take(&mut self, count: usize, width: usize) -> Decoded<&'a [u8]> {
        let taken = count.checked_mul(width).and_then(|len| self.bytes.split_at_checked(len));
        let (taken, rest) = taken.ok_or_else(|| {
            format!("{count} items of {width} bytes are to follow, and only {} bytes do", self.bytes.len())
        })?;
        self.bytes = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or("the bytes end too early")?;
        self.bytes = rest;
        Ok(*taken)
    }

    /// A number that [`put_count`] wrote.
    pub(super) fn count(&mut self) -> Decoded<usize> {
        usize::try_from(u64::from_ne_bytes(self.array()?)).map_err(|e| e.to_string())
    }

    /// The next `len` values as they lie in memory.
    pub(super) fn buffer<T: ArrowNativeType>(&mut self, len: usize) -> Decoded<ScalarBuffer<T>> {
        let bytes = self.take(len, size_of::<T>())?;
        Ok(ScalarBuffer::new(Buffer::from(bytes), 0, len))
    }

    /// That nothing is left.
    pub(super) fn end(&self) -> Decoded<()> {
        if self.bytes.is_empty() { Ok(()) } else { Err(format!("{} bytes too many", self.bytes.len())) }
    }
}

/// Appends a number.
pub(super) fn put_count(bytes: &mut Vec<u8>, count: usize) {
    bytes.extend((count as u64).to_ne_bytes());
}
