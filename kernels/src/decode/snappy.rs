//! A Snappy block → its bytes, fast where the bytes are 8-byte values: dictionaries and plain pages of keys and decimals.
//!
//! `decompress_eights` reads any block of the format and answers [`Malformed`] for anything else; the output grows without being zeroed
//! first. Text is not its business: there the general decoders of the library are faster.
//!
//! Sorted or similar 8-byte values compress to pairs: a literal of the 1–4 low bytes that differ, then a copy of the other 7–4 from an
//! earlier value. Lengths of literals and kinds of copies follow no pattern, so a decoder that branches on them mispredicts every other
//! value. [`Stream::pair`] decodes such a pair without a branch and builds the value in a register:
//!
//! ```text
//! input   04 | 2A 07 | 19 38 | …        literal of 2 bytes, copy of 6 from 56 bytes back
//! word    19 07 2A 04 → bits = 16       bits of the literal; the copy's tag stands behind them
//! before  00 00 00 00 00 00 12 34       the 8 bytes that start 56 back
//! value   00 00 00 00 00 00 07 2A       low 16 bits from the word, the others from `before`
//! ```
//!
//! Where the next pair starts is only known once this one's tags are: a dozen cycles, most of them spent waiting. Where nearly all pairs have one
//! size (sorted keys, random keys of 3 bytes), [`Stream::pairs_of`] goes on at that distance, and a comparison that the processor predicts finds the
//! others.
//!
//! Stores and loads then all are 8 bytes wide at the same alignment, which store-to-load forwarding wants: a copy from the value just
//! written would otherwise wait for two stores to retire. Everything that is no such pair goes through [`Stream::element`].
//! Benchmarks: `benchmarks/benches/kernels`, group `snappy`.

use super::Malformed;

/// Bytes behind the output that wide stores may touch: room for these and the block's bytes saves an allocation.
pub const SLACK: usize = 64;
/// The densest element makes 64 bytes from 3: a preamble that promises more lies and must not size an allocation.
const RATIO_MAX: usize = 32;

/// Values after which the usual size of a pair is found again …
const RUN: usize = 4096;
/// … by this many of them.
const SAMPLE: usize = 64;
/// No usual size.
const ANY: usize = 0;

/// What follows from a copy's tag: which bits of the two bytes behind it and which fixed bits are its offset, and how many bits it copies.
#[derive(Clone, Copy)]
struct Tag {
    mask: u16,
    high: u16,
    bits: u16,
}

/// Copies of at least 4 bytes by 1- and 2-byte offsets; `bits` = 1, which completes no value, for all other tags.
static TAGS: [Tag; 256] = {
    let mut tags = [Tag { mask: 0, high: 0, bits: 1 }; 256];
    let mut tag = 0u16;
    while tag < 256 {
        tags[tag as usize] = match tag & 3 {
            1 => Tag { mask: 0xff, high: (tag >> 5) << 8, bits: ((tag >> 2 & 7) + 4) * 8 },
            2 if tag >> 2 >= 3 => Tag { mask: 0xffff, high: 0, bits: ((tag >> 2) + 1) * 8 },
            _ => tags[tag as usize],
        };
        tag += 1;
    }
    tags
};

/// How many bytes a block says it holds.
pub fn snappy_len(block: &[u8]) -> Result<usize, Malformed> {
    Ok(preamble(block)?.0)
}

/// Replaces the content of `out` by the block's bytes. After an error `out` is empty.
pub fn decompress_eights(block: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.clear();
    let (len, start) = preamble(block)?;
    out.reserve(len + SLACK);
    let mut stream = Stream { input: block, at: start, out: out.as_mut_ptr(), len, done: 0 };
    // A pair copies from 8 or more bytes back.
    while stream.done < 8 && stream.at < block.len() {
        stream.element()?;
    }
    // The first values compress otherwise than those that follow.
    decode_some(&mut stream, RUN / 4)?;
    while stream.has_room() {
        let (at, done) = (stream.at, stream.done);
        decode_some(&mut stream, SAMPLE)?;
        match usual_size(stream.at - at, (stream.done - done) / 8) {
            4 => decode_fours(&mut stream, RUN)?,
            5 => decode_fives(&mut stream, RUN)?,
            6 => decode_sixes(&mut stream, RUN)?,
            _ => decode_rest(&mut stream)?,
        }
    }
    while stream.at < block.len() {
        stream.element()?;
    }
    if stream.done != len {
        return Err(Malformed("a Snappy block holds fewer bytes than it says"));
    }
    // SAFETY: `done` counts bytes written from the start of the allocation, and all `len` are.
    unsafe { out.set_len(len) };
    Ok(())
}

// Each way is compiled by itself: beside each other they run short of registers.
crate::tiered! { fn decode_rest(stream: &mut Stream<'_>) -> Result<(), Malformed> = decode_all; }
crate::tiered! { fn decode_some(stream: &mut Stream<'_>, values: usize) -> Result<(), Malformed> = decode::<ANY>; }
crate::tiered! { fn decode_fours(stream: &mut Stream<'_>, values: usize) -> Result<(), Malformed> = decode::<4>; }
crate::tiered! { fn decode_fives(stream: &mut Stream<'_>, values: usize) -> Result<(), Malformed> = decode::<5>; }
crate::tiered! { fn decode_sixes(stream: &mut Stream<'_>, values: usize) -> Result<(), Malformed> = decode::<6>; }

/// Decodes values while there is room.
#[inline(always)]
fn decode_all(whole: &mut Stream<'_>) -> Result<(), Malformed> {
    let mut stream = Stream { ..*whole };
    while stream.has_room() {
        if !stream.pair::<ANY>() {
            stream.element()?;
        }
    }
    *whole = stream;
    Ok(())
}

/// Decodes about as many values as are asked for, guessing that pairs have `SIZE` bytes unless that is [`ANY`].
#[inline(always)]
fn decode<const SIZE: usize>(whole: &mut Stream<'_>, values: usize) -> Result<(), Malformed> {
    let end = whole.len.min(whole.done + values * 8);
    let mut stream = Stream { ..*whole };
    while stream.at + 8 <= stream.input.len() && stream.done + 8 <= end {
        if SIZE != ANY {
            stream.pairs_of::<SIZE>(end);
            if !stream.has_room() {
                break;
            }
        }
        if !stream.pair::<ANY>() {
            stream.element()?;
        }
    }
    *whole = stream;
    Ok(())
}

/// The size that nearly all of `count` values had which took `bytes` bytes; else [`ANY`]: a wrong guess costs more than four right ones save.
fn usual_size(bytes: usize, count: usize) -> usize {
    let size = (bytes + count / 2) / count.max(1);
    if bytes.abs_diff(size * count) * 8 <= count { size } else { ANY }
}

/// The promised length and the offset of the first element.
fn preamble(block: &[u8]) -> Result<(usize, usize), Malformed> {
    let (mut len, mut shift) = (0u64, 0);
    for (index, &byte) in block.iter().take(5).enumerate() {
        len |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            let len = u32::try_from(len).map_err(|_| Malformed("a Snappy block of 4 GiB or more"))? as usize;
            return match len / RATIO_MAX > block.len() {
                true => Err(Malformed("a Snappy block promises an impossible size")),
                false => Ok((len, index + 1)),
            };
        }
    }
    Err(Malformed("a Snappy block without a length"))
}

/// A block being decompressed into `out`, of whose `len` bytes `done` are written; `SLACK` more may be written to.
struct Stream<'a> {
    input: &'a [u8],
    at: usize,
    out: *mut u8,
    len: usize,
    done: usize,
}

impl Stream<'_> {
    /// Whether a pair may be read and written.
    #[inline(always)]
    fn has_room(&self) -> bool {
        self.at + 8 <= self.input.len() && self.done + 8 <= self.len
    }

    /// Decodes pairs of `SIZE` bytes up to `end` bytes, while there is room and nothing else comes: where the next one starts is so known before this
    /// one is read.
    #[inline(always)]
    fn pairs_of<const SIZE: usize>(&mut self, end: usize) {
        // A pair has at most 8 bytes.
        let room = ((self.input.len() - self.at) / 8).min((end - self.done) / 8);
        let end = self.done + room * 8;
        while self.done < end && self.pair::<SIZE>() {}
    }

    /// Decodes one value that is a literal and a copy, of `SIZE` bytes unless that is [`ANY`]; false when the next elements are something else. There
    /// must be room, and 8 bytes done.
    #[inline(always)]
    fn pair<const SIZE: usize>(&mut self) -> bool {
        debug_assert!(self.has_room() && self.done >= 8);
        // SAFETY: there is room, so 8 bytes of input are left.
        let word = u64::from_le(unsafe { self.input.as_ptr().add(self.at).cast::<u64>().read_unaligned() });
        let tag = word & 0xff;
        let bits = tag * 2 + 8;
        let copy = word >> (bits + 8 & 63);
        let known = TAGS[(copy & 0xff) as usize];
        let offset = ((copy >> 8 & u64::from(known.mask)) | u64::from(known.high)) as usize;
        // Only a literal's tag makes a multiple of 8; a literal longer than 4 bytes would need a copy shorter than 4.
        if bits + u64::from(known.bits) != 64 || offset.wrapping_sub(8) > self.done - 8 {
            return false;
        }
        // The literal's tag and bytes, the copy's tag, and one or two bytes of offset.
        let size = (tag >> 2) as usize + 4 + (copy >> 1 & 1) as usize;
        if SIZE != ANY && size != SIZE {
            return false;
        }
        // SAFETY: 8 ≤ offset ≤ done, so the 8 bytes read are all written; done + 8 ≤ len, so those written are inside the allocation.
        unsafe {
            let before = u64::from_le(self.out.add(self.done - offset).cast::<u64>().read_unaligned());
            let value = word >> 8 & (1 << bits) - 1 | before >> (bits & 63) << (bits & 63);
            self.out.add(self.done).cast::<u64>().write_unaligned(value.to_le());
        }
        self.done += 8;
        self.at += if SIZE == ANY { size } else { SIZE };
        true
    }

    /// Decodes one element of any kind.
    #[inline(always)]
    fn element(&mut self) -> Result<(), Malformed> {
        let tag = self.input[self.at] as usize;
        if tag & 3 == 0 { self.literal(tag >> 2) } else { self.copy(tag) }
    }

    #[inline(always)]
    fn literal(&mut self, code: usize) -> Result<(), Malformed> {
        let (mut length, mut from) = (code + 1, self.at + 1);
        if length <= 16 && from + 16 <= self.input.len() && length <= self.len - self.done {
            // SAFETY: 16 bytes of input are left, and 16 bytes from `done` ≤ len are inside the allocation with its slack.
            unsafe { std::ptr::copy_nonoverlapping(self.input.as_ptr().add(from), self.out.add(self.done), 16) };
        } else {
            if code >= 60 {
                let bytes = self.input.get(from..from + code - 59).ok_or(Malformed("a Snappy literal is cut off"))?;
                length = bytes.iter().rev().fold(0, |v, &b| v << 8 | b as usize) + 1;
                from += code - 59;
            }
            if length > self.input.len().saturating_sub(from) || length > self.len - self.done {
                return Err(Malformed("a Snappy literal reaches past its block"));
            }
            // SAFETY: both ranges were just checked; input and output do not overlap.
            unsafe { std::ptr::copy_nonoverlapping(self.input.as_ptr().add(from), self.out.add(self.done), length) };
        }
        self.done += length;
        self.at = from + length;
        Ok(())
    }

    #[inline(always)]
    fn copy(&mut self, tag: usize) -> Result<(), Malformed> {
        let size = [0, 1, 2, 4][tag & 3];
        let bytes = self.input.get(self.at + 1..self.at + 1 + size).ok_or(Malformed("a Snappy copy is cut off"))?;
        let low = bytes.iter().rev().fold(0, |v, &b| v << 8 | b as usize);
        let (length, offset) =
            if tag & 3 == 1 { ((tag >> 2 & 7) + 4, (tag >> 5) << 8 | low) } else { ((tag >> 2) + 1, low) };
        if offset == 0 || offset > self.done || length > self.len - self.done {
            return Err(Malformed("a Snappy copy reaches outside its block"));
        }
        // SAFETY: 1 ≤ offset ≤ done and length ≤ 64 ≤ SLACK: every source byte is written before it is read (a step is never longer than
        // the offset), and steps end at most 64 bytes behind done ≤ len.
        unsafe {
            let to = self.out.add(self.done);
            let from = to.sub(offset);
            match offset {
                16.. => (0..length).step_by(16).for_each(|i| std::ptr::copy_nonoverlapping(from.add(i), to.add(i), 16)),
                8.. => (0..length).step_by(8).for_each(|i| std::ptr::copy_nonoverlapping(from.add(i), to.add(i), 8)),
                _ => (0..length).for_each(|i| *to.add(i) = *from.add(i)),
            }
        }
        self.done += length;
        self.at += 1 + size;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn oracle(block: &[u8]) -> Option<Vec<u8>> {
        snap::raw::Decoder::new().decompress_vec(block).ok()
    }

    fn compress(bytes: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(bytes).unwrap()
    }

    fn check(bytes: &[u8]) {
        let mut out = vec![1; 3];
        decompress_eights(&compress(bytes), &mut out).unwrap();
        assert_eq!(out, bytes);
    }

    #[test]
    fn eight_byte_values_of_every_spread() {
        for step in [0u64, 1, 3, 255, 256, 65_537, 1 << 33] {
            for values in [0usize, 1, 2, 7, 100, 20_000] {
                let sorted: Vec<u64> = (0..values as u64).map(|i| i.wrapping_mul(step)).collect();
                let mixed = sorted.iter().map(|v| crate::hash::hash_word(*v) % (step + 1));
                check(&sorted.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
                check(&mixed.flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
            }
        }
    }

    #[test]
    fn rare_elements() {
        // A literal with a 3-byte length, a copy with a 4-byte offset, overlapping copies by 1, 3, 9 and 17 bytes.
        let mut block = vec![70 + 64 + 4 * 20, 1, 62 << 2, 69, 0, 0];
        block.extend((0..70).map(|i| i as u8 ^ 0x5a));
        block.extend([63 << 2 | 3, 70, 0, 0, 0]);
        for offset in [1, 3, 9, 17] {
            block.extend([19 << 2 | 2, offset, 0]);
        }
        let mut out = vec![];
        decompress_eights(&block, &mut out).unwrap();
        assert_eq!(Some(out), oracle(&block));
    }

    #[test]
    fn lies_are_errors() {
        let mut out = vec![];
        for block in [
            &[][..],
            &[0x80],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 1],
            &[0xff, 0xff, 0xff, 0xff, 0x0f],
            &[5, 0, b'a'],
            &[1, 0],
            &[1, 4, b'a', b'b'],
            &[8, 1, 1],
            &[9, 0, b'a', 17, 0],
            &[9, 0, b'a', 17, 2],
            &[9, 0, b'a', 17],
            &[4, 63 << 2, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(decompress_eights(block, &mut out).is_err(), "{block:?}");
            assert!(out.is_empty());
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_library(values in prop::collection::vec((0u64..1 << 20, 0u32..40), 0..3000), cut in 0usize..9) {
            let bytes: Vec<u8> = values.iter().flat_map(|&(v, shift)| (v << shift).to_le_bytes()).collect();
            check(&bytes[cut.min(bytes.len())..]);
        }

        #[test]
        fn damage_never_panics_and_never_differs(
            values in prop::collection::vec(0u64..5000, 1..600),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut block = compress(&values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
            for (at, byte) in damage {
                let at = at.index(block.len());
                block[at] = byte;
            }
            for block in [&block[..], &block[..cut.index(block.len())]] {
                let mut out = vec![];
                if decompress_eights(block, &mut out).is_ok() {
                    prop_assert_eq!(Some(out), oracle(block));
                }
            }
        }
    }
}
