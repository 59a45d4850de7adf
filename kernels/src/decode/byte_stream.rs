//! BYTE_STREAM_SPLIT: the first bytes of all values, then all second bytes, … → values.
//!
//! With the size known each value is put together in a register from one byte of each stream, which compilers turn into shuffles.
//! Benchmarks: `benchmarks/benches/kernels`, group `byte_stream`.

/// Replaces the content of `out` by the values of `size` bytes whose split streams are `bytes`, which must be a multiple of `size` long.
pub fn join_byte_streams(bytes: &[u8], size: usize, out: &mut Vec<u8>) {
    assert!(size > 0 && bytes.len() % size == 0, "{} bytes of {size}-byte values", bytes.len());
    out.clear();
    out.resize(bytes.len(), 0);
    match size {
        4 => join_tiered_4(bytes, out),
        8 => join_tiered_8(bytes, out),
        _ => join_any(bytes, size, out),
    }
}

crate::tiered! { fn join_tiered_4(bytes: &[u8], out: &mut [u8]) = join::<4>; }
crate::tiered! { fn join_tiered_8(bytes: &[u8], out: &mut [u8]) = join::<8>; }

#[inline(always)]
fn join<const SIZE: usize>(bytes: &[u8], out: &mut [u8]) {
    let count = bytes.len() / SIZE;
    let streams: [&[u8]; SIZE] = std::array::from_fn(|s| &bytes[s * count..(s + 1) * count]);
    let (values, _) = out.as_chunks_mut::<SIZE>();
    for (index, value) in values.iter_mut().enumerate() {
        *value = std::array::from_fn(|s| streams[s][index]);
    }
}

/// The plainest code.
fn join_any(bytes: &[u8], size: usize, out: &mut [u8]) {
    let count = bytes.len() / size;
    for (index, byte) in out.iter_mut().enumerate() {
        *byte = bytes[index % size * count + index / size];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{case, each_tier};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_come_back(case in case::<u8>(), size in 1usize..=16) {
            let bytes = &case.values()[..case.values().len() / size * size];
            let mut plain = vec![0; bytes.len()];
            join_any(bytes, size, &mut plain);
            each_tier(|_| {
                let mut out = vec![1, 2, 3];
                join_byte_streams(bytes, size, &mut out);
                assert_eq!(out, plain);
            });
        }
    }

    #[test]
    fn first_bytes_come_first() {
        let mut out = vec![];
        join_byte_streams(b"adbecf", 2, &mut out);
        assert_eq!(out, *b"aedcbf");
    }
}
