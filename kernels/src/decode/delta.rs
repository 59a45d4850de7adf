//! Delta encodings: differences of integers packed by blocks, texts by their lengths, texts by what they share with the one before.
//!
//! A stream of integers is a header (values a block, miniblocks a block, values in all, the first value) and blocks of the differences to
//! the value before: the least difference, a bit width a miniblock, then what each difference has above the least, bit-packed. Sums wrap
//! around 64 bits; those of 32-bit columns are right in their low 32 bits.
//! Benchmarks: `benchmarks/benches/kernels`, group `delta`.

use super::plain::view;
use super::{Malformed, unpack_u32};

/// Appends the integers of the stream at byte `start`, at most `max`, and answers the offset behind it.
pub fn delta_integers(bytes: &[u8], start: usize, max: usize, out: &mut Vec<i64>) -> Result<usize, Malformed> {
    let mut at = start;
    let block = varint(bytes, &mut at)?;
    let miniblocks = varint(bytes, &mut at)?;
    let count = varint(bytes, &mut at)?;
    let mut value = zigzag(varint(bytes, &mut at)?);
    if miniblocks == 0 || block % miniblocks != 0 || (block / miniblocks) % 8 != 0 || block == 0 {
        return Err(Malformed("a block of deltas of an impossible size"));
    }
    // Equal differences take no bytes: only the page says how many values may come.
    if count > max as u64 {
        return Err(Malformed("more deltas than the page has values"));
    }
    let (block, miniblocks, mut left) = (block / miniblocks, miniblocks as usize, count as usize);
    if left > 0 {
        out.push(value);
        left -= 1;
    }
    while left > 0 {
        let least = zigzag(varint(bytes, &mut at)?);
        let widths = bytes.get(at..).and_then(|rest| rest.get(..miniblocks));
        let widths = widths.ok_or(Malformed("the widths of a block of deltas are cut off"))?;
        at += miniblocks;
        for &width in widths {
            if left == 0 {
                break;
            }
            let here = left.min(usize::try_from(block).unwrap_or(usize::MAX));
            at = miniblock(bytes, at, (u32::from(width), block), here, least, &mut value, out)?;
            left -= here;
        }
    }
    Ok(at)
}

/// Appends `count` of a miniblock's values; answers the offset behind it. Some writers cut off the padding of the last one.
fn miniblock(
    bytes: &[u8],
    start: usize,
    (width, block): (u32, u64),
    count: usize,
    least: i64,
    value: &mut i64,
    out: &mut Vec<i64>,
) -> Result<usize, Malformed> {
    let size = usize::try_from(block.saturating_mul(u64::from(width)) / 8).unwrap_or(usize::MAX);
    let packed = &bytes[start..start.saturating_add(size).min(bytes.len())];
    if width > 64 || packed.len().saturating_mul(8) < count.saturating_mul(width as usize) {
        return Err(Malformed("a block of deltas is cut off"));
    }
    let mut add = |difference: u64| {
        *value = value.wrapping_add(least).wrapping_add(difference as i64);
        out.push(*value);
    };
    if width <= 32 {
        let mut differences = Vec::with_capacity(count);
        unpack_u32(packed, width, count, &mut differences);
        differences.into_iter().for_each(|d| add(u64::from(d)));
    } else {
        (0..count).for_each(|index| add(wide_value(packed, width as usize, index)));
    }
    Ok(start + packed.len())
}

/// Value `index` of packed values of up to 64 bits.
fn wide_value(packed: &[u8], width: usize, index: usize) -> u64 {
    let bit = index * width;
    let mut word = [0u8; 16];
    let rest = &packed[bit / 8..];
    let present = rest.len().min(16);
    word[..present].copy_from_slice(&rest[..present]);
    (u128::from_le_bytes(word) >> (bit % 8)) as u64 & (u64::MAX >> (64 - width))
}

/// Views (buffer index 0 = `bytes` itself) of texts whose lengths come first, appended to `out`.
pub fn delta_length_byte_arrays(bytes: &[u8], max: usize, out: &mut Vec<u128>) -> Result<(), Malformed> {
    let mut lengths = Vec::new();
    let mut from = delta_integers(bytes, 0, max, &mut lengths)?;
    if bytes.len() > i32::MAX as usize {
        return Err(Malformed("a page of 2 GiB or more"));
    }
    out.reserve(lengths.len());
    for length in lengths {
        let value = part(bytes, from, length)?;
        out.push(view(value, from));
        from += value.len();
    }
    Ok(())
}

/// Texts each of which repeats the first bytes of the one before: their bytes are appended to `joined`, and views of them (buffer index 0 =
/// `joined`) to `out`.
pub fn delta_byte_arrays(bytes: &[u8], max: usize, joined: &mut Vec<u8>, out: &mut Vec<u128>) -> Result<(), Malformed> {
    let (mut prefixes, mut suffixes) = (Vec::new(), Vec::new());
    let end = delta_integers(bytes, 0, max, &mut prefixes)?;
    let mut from = delta_integers(bytes, end, max, &mut suffixes)?;
    if prefixes.len() != suffixes.len() {
        return Err(Malformed("texts of as many beginnings as ends"));
    }
    let (mut last, mut last_len) = (joined.len(), 0);
    for (prefix, suffix) in prefixes.into_iter().zip(suffixes) {
        let suffix = part(bytes, from, suffix)?;
        from += suffix.len();
        let prefix = usize::try_from(prefix).ok().filter(|&p| p <= last_len);
        let prefix = prefix.ok_or(Malformed("a text repeats more than the one before has"))?;
        let start = joined.len();
        if start + prefix + suffix.len() > i32::MAX as usize {
            return Err(Malformed("a page of 2 GiB or more"));
        }
        joined.extend_from_within(last..last + prefix);
        joined.extend_from_slice(suffix);
        (last, last_len) = (start, prefix + suffix.len());
        out.push(view(&joined[start..], start));
    }
    Ok(())
}

fn part(bytes: &[u8], from: usize, length: i64) -> Result<&[u8], Malformed> {
    let length = usize::try_from(length).map_err(|_| Malformed("a text of negative length"))?;
    let rest = bytes.get(from..).ok_or(Malformed("a text is cut off"))?;
    rest.get(..length).ok_or(Malformed("a text is cut off"))
}

fn varint(bytes: &[u8], at: &mut usize) -> Result<u64, Malformed> {
    let (mut value, mut shift) = (0u64, 0);
    loop {
        let byte = *bytes.get(*at).ok_or(Malformed("a number is cut off"))?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        match byte < 0x80 {
            true => return Ok(value),
            false if shift > 63 => return Err(Malformed("a number is too long")),
            false => {}
        }
    }
}

fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{case, each_tier};
    use proptest::prelude::*;

    fn push_varint(out: &mut Vec<u8>, mut value: u64) {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }

    fn push_zigzag(out: &mut Vec<u8>, value: i64) {
        push_varint(out, (value << 1 ^ value >> 63) as u64);
    }

    /// The plainest writer: one bit at a time, blocks of 128 values in 4 miniblocks.
    fn encode(values: &[i64]) -> Vec<u8> {
        let mut out = vec![];
        [128, 4, values.len() as u64].into_iter().for_each(|v| push_varint(&mut out, v));
        push_zigzag(&mut out, values.first().copied().unwrap_or(0));
        let differences: Vec<i64> = values.windows(2).map(|w| w[1].wrapping_sub(w[0])).collect();
        for block in differences.chunks(128) {
            let least = *block.iter().min().unwrap();
            push_zigzag(&mut out, least);
            let above: Vec<u64> = block.iter().map(|d| d.wrapping_sub(least) as u64).collect();
            let width = |mini: &[u64]| 64 - mini.iter().fold(0, |a, &b| a | b).leading_zeros();
            let widths: Vec<u32> = above.chunks(32).map(width).collect();
            out.extend((0..4).map(|i| widths.get(i).copied().unwrap_or(0) as u8));
            for (mini, &width) in above.chunks(32).zip(&widths) {
                let mut packed = vec![0u8; 4 * width as usize];
                for bit in 0..mini.len() * width as usize {
                    let set = mini[bit / width as usize] >> (bit % width as usize) & 1;
                    packed[bit / 8] |= (set as u8) << (bit % 8);
                }
                out.extend(packed);
            }
        }
        out
    }

    proptest! {
        #[test]
        fn integers_come_back(case in case::<i64>(), behind in proptest::collection::vec(any::<u8>(), 0..3)) {
            let encoded = encode(case.values());
            let stream = [&encoded[..], &behind].concat();
            each_tier(|_| {
                let mut out = vec![7];
                assert_eq!(delta_integers(&stream, 0, case.values().len(), &mut out), Ok(encoded.len()));
                assert_eq!(&out[1..], case.values());
            });
            if !case.values().is_empty() {
                prop_assert!(delta_integers(&stream, 0, case.values().len() - 1, &mut vec![]).is_err());
            }
        }

        #[test]
        fn texts_come_back(texts in proptest::collection::vec("[ab]{0,20}", 0..300)) {
            let text = |buffer: &[u8], view: u128| {
                let (bytes, len) = (view.to_le_bytes(), view as u32 as usize);
                let from = (view >> 96) as usize;
                if len <= 12 { bytes[4..4 + len].to_vec() } else { buffer[from..from + len].to_vec() }
            };
            let wanted: Vec<Vec<u8>> = texts.iter().map(|t| t.clone().into_bytes()).collect();
            let lengths: Vec<i64> = texts.iter().map(|t| t.len() as i64).collect();
            let plain = [encode(&lengths), texts.concat().into_bytes()].concat();
            let mut views = vec![];
            delta_length_byte_arrays(&plain, texts.len(), &mut views).unwrap();
            prop_assert_eq!(views.iter().map(|&v| text(&plain, v)).collect::<Vec<_>>(), wanted.clone());

            let shared = |i: usize| match i {
                0 => 0,
                _ => wanted[i - 1].iter().zip(&wanted[i]).take_while(|(a, b)| a == b).count(),
            };
            let prefixes: Vec<i64> = (0..texts.len()).map(|i| shared(i) as i64).collect();
            let suffixes: Vec<i64> = lengths.iter().zip(&prefixes).map(|(l, p)| l - p).collect();
            let ends: Vec<u8> = (0..texts.len()).flat_map(|i| wanted[i][shared(i)..].to_vec()).collect();
            let (mut joined, mut views) = (vec![], vec![]);
            let page = [encode(&prefixes), encode(&suffixes), ends].concat();
            delta_byte_arrays(&page, texts.len(), &mut joined, &mut views).unwrap();
            prop_assert_eq!(views.iter().map(|&v| text(&joined, v)).collect::<Vec<_>>(), wanted);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = delta_integers(&bytes, 0, 1000, &mut vec![]);
            let _ = delta_length_byte_arrays(&bytes, 1000, &mut vec![]);
            let _ = delta_byte_arrays(&bytes, 1000, &mut vec![], &mut vec![]);
            let framed = [&[128u8, 1, 4, 100, 2, 0][..], &bytes].concat();
            let _ = delta_integers(&framed, 0, 1000, &mut vec![]);
        }
    }
}
