//! The run-length/bit-packed hybrid of Parquet levels and dictionary codes, read in pieces.

use super::{Malformed, unpack_u32};

/// A position in a hybrid stream. The bytes are passed to every call (always the same), so that the cursor can live beside their owner.
#[derive(Debug, Clone)]
pub struct HybridCursor {
    width: u32,
    /// Offset of the next run's header.
    next: usize,
    run: Run,
}

#[derive(Debug, Clone, Copy)]
enum Run {
    Repeat {
        value: u32,
        left: usize,
    },
    /// Values `index..len` of the packed run whose bytes start at `start` are left.
    Packed {
        start: usize,
        index: usize,
        len: usize,
    },
}

impl Run {
    fn is_over(&self) -> bool {
        match self {
            Run::Repeat { left, .. } => *left == 0,
            Run::Packed { index, len, .. } => index == len,
        }
    }
}

impl HybridCursor {
    /// At the first value of a stream of `width`-bit values that starts at byte `start`.
    pub fn new(width: u32, start: usize) -> Result<Self, Malformed> {
        if width > 32 {
            return Err(Malformed("values wider than 32 bits"));
        }
        let run = Run::Repeat { value: 0, left: if width == 0 { usize::MAX } else { 0 } };
        Ok(HybridCursor { width, next: start, run })
    }

    /// Appends the next `count` values and answers the greatest of them (0 of none).
    pub fn read(&mut self, bytes: &[u8], count: usize, out: &mut Vec<u32>) -> Result<u32, Malformed> {
        let (end, mut greatest) = (out.len() + count, 0);
        while out.len() < end {
            let wanted = end - out.len();
            self.enter_run(bytes)?;
            match &mut self.run {
                Run::Repeat { value, left } => {
                    let count = wanted.min(*left);
                    out.resize(out.len() + count, *value);
                    *left -= count;
                    greatest = greatest.max(*value);
                }
                Run::Packed { start, index, len } => {
                    let count = wanted.min(*len - *index);
                    let within = *index % 8;
                    // Groups of eight start at byte borders: a piece that starts inside a group is unpacked from the group's start.
                    let group = &bytes[*start + *index / 8 * self.width as usize..];
                    if within == 0 {
                        greatest = greatest.max(unpack_u32(group, self.width, count, out));
                        *index += count;
                    } else {
                        let count = count.min(8 - within);
                        let mut values = Vec::with_capacity(8);
                        unpack_u32(group, self.width, within + count, &mut values);
                        greatest = values[within..].iter().fold(greatest, |a, &b| a.max(b));
                        out.extend_from_slice(&values[within..]);
                        *index += count;
                    }
                }
            }
        }
        Ok(greatest)
    }

    /// Appends those of the next `count` values that are at `positions` (ascending, below `count`) and answers the greatest of them. For few
    /// positions: each is taken out of the packed bits by itself.
    pub fn read_at(
        &mut self,
        bytes: &[u8],
        count: usize,
        positions: &[u16],
        out: &mut Vec<u32>,
    ) -> Result<u32, Malformed> {
        let (mut done, mut left, mut greatest) = (0, positions, 0);
        while done < count {
            let wanted = count - done;
            self.enter_run(bytes)?;
            let taken = match &self.run {
                Run::Repeat { left, .. } => wanted.min(*left),
                Run::Packed { index, len, .. } => wanted.min(*len - *index),
            };
            let (here, rest) = left.split_at(left.partition_point(|&p| (p as usize) < done + taken));
            match &mut self.run {
                Run::Repeat { value, left } => {
                    out.extend(here.iter().map(|_| *value));
                    *left -= taken;
                }
                Run::Packed { start, index, .. } => {
                    let packed = &bytes[*start..];
                    out.extend(here.iter().map(|&p| packed_value(packed, self.width, *index + p as usize - done)));
                    *index += taken;
                }
            }
            (done, left) = (done + taken, rest);
        }
        for value in &out[out.len() - positions.len()..] {
            greatest = greatest.max(*value);
        }
        Ok(greatest)
    }

    /// The next `count` values of a stream of 1-bit values, as ⌈count / 64⌉ words.
    pub fn read_bits(&mut self, bytes: &[u8], count: usize) -> Result<Vec<u64>, Malformed> {
        assert_eq!(self.width, 1);
        let mut words = vec![0u64; count.div_ceil(64)];
        let mut filled = 0;
        while filled < count {
            // Never past the word that is being filled.
            let wanted = (count - filled).min(64 - filled % 64);
            self.enter_run(bytes)?;
            let (taken, bits) = match &mut self.run {
                Run::Repeat { value, left } => {
                    let taken = wanted.min(*left);
                    *left -= taken;
                    // A value of one bit fills a byte: its other bits mean nothing.
                    (taken, if *value & 1 == 1 { u64::MAX } else { 0 })
                }
                Run::Packed { start, index, len } => {
                    let within = *index % 8;
                    let taken = wanted.min(*len - *index).min(64 - within);
                    let packed = &bytes[*start + *index / 8..];
                    let mut word = [0u8; 8];
                    let present = packed.len().min(8);
                    word[..present].copy_from_slice(&packed[..present]);
                    *index += taken;
                    (taken, u64::from_le_bytes(word) >> within)
                }
            };
            words[filled / 64] |= (bits & (u64::MAX >> (64 - taken))) << (filled % 64);
            filled += taken;
        }
        Ok(words)
    }

    /// Passes over `count` values.
    pub fn skip(&mut self, bytes: &[u8], mut count: usize) -> Result<(), Malformed> {
        while count > 0 {
            self.enter_run(bytes)?;
            match &mut self.run {
                Run::Repeat { left, .. } => {
                    let passed = count.min(*left);
                    *left -= passed;
                    count -= passed;
                }
                Run::Packed { index, len, .. } => {
                    let passed = count.min(*len - *index);
                    *index += passed;
                    count -= passed;
                }
            }
        }
        Ok(())
    }

    /// Whether the current run repeats one value for at least `count` more values, and which: levels are mostly one long run.
    pub fn repeats(&mut self, bytes: &[u8], count: usize) -> Result<Option<u32>, Malformed> {
        self.enter_run(bytes)?;
        Ok(match self.run {
            Run::Repeat { value, left } if left >= count => Some(value),
            _ => None,
        })
    }

    /// Goes to the next run that has values when the current one is over.
    fn enter_run(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        while self.run.is_over() {
            self.next_run(bytes)?;
        }
        Ok(())
    }

    fn next_run(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let (mut header, mut shift) = (0u64, 0);
        loop {
            let byte = *bytes.get(self.next).ok_or(Malformed("runs end before the last value"))?;
            self.next += 1;
            header |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
            if shift > 35 {
                return Err(Malformed("a run's header is too long"));
            }
        }
        let rest = &bytes[self.next..];
        let count = (header >> 1) as usize;
        if header & 1 == 1 {
            // Some writers cut the padding of the last group: what is there counts.
            let size = count.saturating_mul(self.width as usize).min(rest.len());
            let len = count.saturating_mul(8).min(size * 8 / self.width as usize);
            self.run = Run::Packed { start: self.next, index: 0, len };
            self.next += size;
        } else {
            let size = (self.width as usize).div_ceil(8);
            let value = rest.get(..size).ok_or(Malformed("a run's value is cut off"))?;
            let value = value.iter().rev().fold(0u32, |v, &b| v << 8 | u32::from(b));
            self.run = Run::Repeat { value, left: count };
            self.next += size;
        }
        Ok(())
    }
}

/// Value `index` of packed values of `width` bits, which `packed` must hold.
fn packed_value(packed: &[u8], width: u32, index: usize) -> u32 {
    let bit = index * width as usize;
    let mut word = [0u8; 8];
    // Up to 32 bits, from any bit of a byte on, lie in 5 bytes.
    let rest = &packed[bit / 8..];
    let present = rest.len().min(8);
    word[..present].copy_from_slice(&rest[..present]);
    (u64::from_le_bytes(word) >> (bit % 8)) as u32 & (((1u64 << width) - 1) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 5 × 3, packed 0..8 of 4 bits, 2 × 15.
    const STREAM: [u8; 9] = [10, 3, 3, 0x10, 0x32, 0x54, 0x76, 4, 15];

    fn expected() -> Vec<u32> {
        [vec![3; 5], (0..8).collect(), vec![15; 2]].concat()
    }

    #[test]
    fn reads_in_pieces_of_any_size() {
        for piece in 1..=15 {
            let mut cursor = HybridCursor::new(4, 0).unwrap();
            let mut all = vec![];
            for chunk in expected().chunks(piece) {
                let greatest = cursor.read(&STREAM, chunk.len(), &mut all).unwrap();
                assert_eq!(Some(greatest), chunk.iter().copied().max());
            }
            assert_eq!(all, expected());
            assert!(cursor.read(&STREAM, 1, &mut all).is_err());
        }
    }

    #[test]
    fn bits_in_pieces_of_any_size() {
        // 70 ones, 16 packed, 100 zeroes, 3 packed groups of which the last is cut.
        let stream = [140, 1, 1, 5, 0b1010_0101, 0xf0, 200, 1, 0, 7, 0x0f, 0x33];
        let packed = |bytes: &[u8]| (0..bytes.len() * 8).map(|i| bytes[i / 8] >> (i % 8) & 1 == 1).collect::<Vec<_>>();
        let expected = [vec![true; 70], packed(&[0b1010_0101, 0xf0]), vec![false; 100], packed(&[0x0f, 0x33])].concat();
        for piece in 1..=expected.len() {
            let mut cursor = HybridCursor::new(1, 0).unwrap();
            for chunk in expected.chunks(piece) {
                let words = cursor.read_bits(&stream, chunk.len()).unwrap();
                let bits: Vec<bool> = (0..chunk.len()).map(|i| words[i / 64] >> (i % 64) & 1 == 1).collect();
                assert_eq!(bits, chunk, "pieces of {piece}");
                assert!(chunk.len() % 64 == 0 || words[chunk.len() / 64] >> (chunk.len() % 64) == 0);
            }
            assert!(cursor.read_bits(&stream, 1).is_err());
        }
    }

    #[test]
    fn picks_what_reading_all_gives() {
        for piece in [1, 4, 7, 15] {
            for mask in 0u32..1 << piece {
                let mut cursor = HybridCursor::new(4, 0).unwrap();
                for chunk in expected().chunks(piece) {
                    let positions: Vec<u16> = (0..chunk.len() as u16).filter(|p| mask >> p & 1 == 1).collect();
                    let wanted: Vec<u32> = positions.iter().map(|&p| chunk[p as usize]).collect();
                    let mut out = vec![99];
                    let greatest = cursor.read_at(&STREAM, chunk.len(), &positions, &mut out).unwrap();
                    assert_eq!((&out[1..], greatest), (&wanted[..], wanted.iter().copied().max().unwrap_or(0)));
                }
                assert!(cursor.read_at(&STREAM, 1, &[], &mut vec![]).is_err());
            }
        }
    }

    #[test]
    fn skips_anywhere() {
        for skipped in 0..=14 {
            let mut cursor = HybridCursor::new(4, 0).unwrap();
            cursor.skip(&STREAM, skipped).unwrap();
            let mut value = vec![];
            cursor.read(&STREAM, 1, &mut value).unwrap();
            assert_eq!(value[0], expected()[skipped]);
        }
    }

    #[test]
    fn malformed_bytes_are_errors() {
        for bytes in [&[][..], &[0xff; 12], &[10], &[0, 0, 0], &[3, 1]] {
            assert!(HybridCursor::new(9, 0).unwrap().read(bytes, 64, &mut vec![]).is_err(), "{bytes:?}");
        }
        assert!(HybridCursor::new(33, 0).is_err());
    }
}
