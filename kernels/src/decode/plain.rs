//! Plain layouts: length-prefixed byte arrays → 16-byte views, big-endian integers of any size, values spread over their nulls.

use super::Malformed;

/// Views (Arrow's layout; buffer index 0 = `bytes` itself) of `count` values from byte `start`, appended to `out`; answers the offset behind
/// the last. A value is a 4-byte length and its bytes.
pub fn plain_byte_arrays(bytes: &[u8], start: usize, count: usize, out: &mut Vec<u128>) -> Result<usize, Malformed> {
    if bytes.len() > i32::MAX as usize {
        return Err(Malformed("a page of 2 GiB or more"));
    }
    // A value takes at least 4 bytes: a count beyond that is a lie that must not size an allocation.
    if count > bytes.len().saturating_sub(start) / 4 {
        return Err(Malformed("fewer values than the header says"));
    }
    out.reserve(count);
    let mut position = start;
    for _ in 0..count {
        let (from, to) = value_range(bytes, position)?;
        out.push(view(&bytes[from..to], from));
        position = to;
    }
    Ok(position)
}

/// Like [`plain_byte_arrays`], but only of the values at `positions` (ascending, below `count`).
pub fn plain_byte_arrays_at(
    bytes: &[u8],
    start: usize,
    count: usize,
    positions: &[u16],
    out: &mut Vec<u128>,
) -> Result<usize, Malformed> {
    if bytes.len() > i32::MAX as usize {
        return Err(Malformed("a page of 2 GiB or more"));
    }
    let (mut at, mut passed) = (start, 0);
    for &position in positions {
        let (from, to) = value_range(bytes, skip_byte_arrays(bytes, at, position as usize - passed)?)?;
        out.push(view(&bytes[from..to], from));
        (at, passed) = (to, position as usize + 1);
    }
    skip_byte_arrays(bytes, at, count - passed)
}

/// Passes over `count` values from byte `start`; answers the offset behind the last.
pub fn skip_byte_arrays(bytes: &[u8], start: usize, count: usize) -> Result<usize, Malformed> {
    (0..count).try_fold(start, |position, _| Ok(value_range(bytes, position)?.1))
}

#[inline(always)]
fn value_range(bytes: &[u8], position: usize) -> Result<(usize, usize), Malformed> {
    let Some(prefix) = bytes.get(position..position + 4) else { return Err(Malformed("a value's length is cut off")) };
    let len = u32::from_le_bytes([prefix[0], prefix[1], prefix[2], prefix[3]]) as usize;
    let from = position + 4;
    if len > bytes.len() - from {
        return Err(Malformed("a value is cut off"));
    }
    Ok((from, from + len))
}

#[inline(always)]
pub(super) fn view(value: &[u8], offset: usize) -> u128 {
    let len = value.len();
    let mut bytes = [0u8; 16];
    bytes[..4].copy_from_slice(&(len as u32).to_le_bytes());
    if len <= 12 {
        bytes[4..4 + len].copy_from_slice(value);
    } else {
        bytes[4..8].copy_from_slice(&value[..4]);
        bytes[12..].copy_from_slice(&(offset as u32).to_le_bytes());
    }
    u128::from_le_bytes(bytes)
}

/// Sign-extended big-endian integers of `size` (1..=16) bytes each, appended to `out`; the remainder of `bytes` is left.
pub fn plain_big_endian(bytes: &[u8], size: usize, out: &mut Vec<i128>) {
    assert!((1..=16).contains(&size));
    out.extend(bytes.chunks_exact(size).map(|value| {
        let sign = if value[0] & 0x80 != 0 { -1i128 } else { 0 };
        value.iter().fold(sign, |v, &b| v << 8 | i128::from(b))
    }));
}

/// One value per bit of `validity` (`len` bits): the next of `values` where the bit is set, `T::default()` elsewhere. There must be as many
/// values as set bits.
pub fn spread<T: Copy + Default>(values: &[T], validity: &[u64], len: usize) -> Vec<T> {
    let mut out = vec![T::default(); len];
    let mut next = 0;
    for (word, block) in validity.iter().zip(out.chunks_mut(64)) {
        let mut bits = *word;
        while bits != 0 {
            block[bits.trailing_zeros() as usize] = values[next];
            next += 1;
            bits &= bits - 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_arrays_become_views() {
        let long = b"longer than twelve bytes";
        let mut bytes = vec![3, 0, 0, 0, b'a', b'b', b'c'];
        bytes.extend((long.len() as u32).to_le_bytes());
        bytes.extend(long);
        let mut views = vec![];
        assert_eq!(plain_byte_arrays(&bytes, 0, 2, &mut views), Ok(bytes.len()));
        assert_eq!(views[0], u128::from_le_bytes(*b"\x03\0\0\0abc\0\0\0\0\0\0\0\0\0"));
        assert_eq!((views[1] as u32, (views[1] >> 96) as u32), (24, 11));
        assert_eq!(skip_byte_arrays(&bytes, 0, 1), Ok(7));
        for positions in [&[][..], &[0], &[1], &[0, 1]] {
            let mut some = vec![];
            assert_eq!(plain_byte_arrays_at(&bytes, 0, 2, positions, &mut some), Ok(bytes.len()));
            assert_eq!(some, positions.iter().map(|&p| views[p as usize]).collect::<Vec<_>>());
            assert!(plain_byte_arrays_at(&bytes[..20], 0, 2, positions, &mut some).is_err());
        }
        assert!(plain_byte_arrays(&bytes, 0, 3, &mut views).is_err());
        assert!(plain_byte_arrays(&bytes[..20], 0, 2, &mut views).is_err());
        assert!(plain_byte_arrays(&bytes, 0, usize::MAX, &mut views).is_err());
    }

    #[test]
    fn big_endian_integers_keep_their_sign() {
        let mut out = vec![];
        plain_big_endian(&[0xff, 0xfe, 0x01, 0x00], 2, &mut out);
        assert_eq!(out, [-2, 256]);
    }

    #[test]
    fn nulls_get_defaults() {
        assert_eq!(spread(&[7, 8], &[0b1010], 5), [0, 7, 0, 8, 0]);
    }
}
