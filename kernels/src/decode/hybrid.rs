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

impl HybridCursor {
    /// At the first value of a stream of `width`-bit values that starts at byte `start`.
    pub fn new(width: u32, start: usize) -> Result<Self, Malformed> {
        if width > 32 {
            return Err(Malformed("values wider than 32 bits"));
        }
        let run = Run::Repeat { value: 0, left: if width == 0 { usize::MAX } else { 0 } };
        Ok(HybridCursor { width, next: start, run })
    }

    /// The next `out.len()` values.
    pub fn read(&mut self, bytes: &[u8], out: &mut [u32]) -> Result<(), Malformed> {
        let mut filled = 0;
        while filled < out.len() {
            let wanted = out.len() - filled;
            match &mut self.run {
                Run::Repeat { left: 0, .. } => self.next_run(bytes)?,
                Run::Packed { index, len, .. } if index == len => self.next_run(bytes)?,
                Run::Repeat { value, left } => {
                    let count = wanted.min(*left);
                    out[filled..filled + count].fill(*value);
                    *left -= count;
                    filled += count;
                }
                Run::Packed { start, index, len } => {
                    let count = wanted.min(*len - *index);
                    let within = *index % 8;
                    // Groups of eight start at byte borders: a piece that starts inside a group is unpacked from the group's start.
                    let group = &bytes[*start + *index / 8 * self.width as usize..];
                    if within == 0 {
                        unpack_u32(group, self.width, &mut out[filled..filled + count]);
                        *index += count;
                        filled += count;
                    } else {
                        let count = count.min(8 - within);
                        let mut values = [0u32; 8];
                        unpack_u32(group, self.width, &mut values[..within + count]);
                        out[filled..filled + count].copy_from_slice(&values[within..within + count]);
                        *index += count;
                        filled += count;
                    }
                }
            }
        }
        Ok(())
    }

    /// Passes over `count` values.
    pub fn skip(&mut self, bytes: &[u8], mut count: usize) -> Result<(), Malformed> {
        while count > 0 {
            match &mut self.run {
                Run::Repeat { left: 0, .. } => self.next_run(bytes)?,
                Run::Packed { index, len, .. } if index == len => self.next_run(bytes)?,
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
        while matches!(self.run, Run::Repeat { left: 0, .. })
            || matches!(self.run, Run::Packed { index, len, .. } if index == len)
        {
            self.next_run(bytes)?;
        }
        Ok(match self.run {
            Run::Repeat { value, left } if left >= count => Some(value),
            _ => None,
        })
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
                let mut out = vec![0; chunk.len()];
                cursor.read(&STREAM, &mut out).unwrap();
                all.extend(out);
            }
            assert_eq!(all, expected());
            assert!(cursor.read(&STREAM, &mut [0]).is_err());
        }
    }

    #[test]
    fn skips_anywhere() {
        for skipped in 0..=14 {
            let mut cursor = HybridCursor::new(4, 0).unwrap();
            cursor.skip(&STREAM, skipped).unwrap();
            let mut value = [0];
            cursor.read(&STREAM, &mut value).unwrap();
            assert_eq!(value[0], expected()[skipped]);
        }
    }

    #[test]
    fn malformed_bytes_are_errors() {
        let mut out = [0; 64];
        for bytes in [&[][..], &[0xff; 12], &[10], &[0, 0, 0], &[3, 1]] {
            assert!(HybridCursor::new(9, 0).unwrap().read(bytes, &mut out).is_err(), "{bytes:?}");
        }
        assert!(HybridCursor::new(33, 0).is_err());
    }
}
