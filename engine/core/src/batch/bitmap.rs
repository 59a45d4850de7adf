//! A bit per row: validity (1 = valid) or a boolean column's values (1 = true).

use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use plasmon_kernels::gather::Position;

/// `len` bits in 64-bit words, least significant bit first, starting at bit 0 of word 0; bits past `len` are zero.
#[derive(Debug, Clone)]
pub struct Bitmap {
    words: ScalarBuffer<u64>,
    len: usize,
}

impl Bitmap {
    /// From `len.div_ceil(64)` words; bits past `len` are cleared here.
    pub fn new(mut words: Vec<u64>, len: usize) -> Self {
        words.truncate(len.div_ceil(64));
        assert!(words.len() == len.div_ceil(64), "bitmap of {len} bits in {} words", words.len());
        if len % 64 != 0
            && let Some(last) = words.last_mut()
        {
            *last &= (1u64 << (len % 64)) - 1;
        }
        Bitmap { words: ScalarBuffer::from(words), len }
    }

    /// All bits equal to `value`.
    pub fn constant(value: bool, len: usize) -> Self {
        Bitmap::new(vec![if value { u64::MAX } else { 0 }; len.div_ceil(64)], len)
    }

    /// From one bool per row.
    pub fn from_bools(bits: impl ExactSizeIterator<Item = bool>) -> Self {
        let len = bits.len();
        let mut words = vec![0u64; len.div_ceil(64)];
        for (i, bit) in bits.enumerate() {
            words[i / 64] |= (bit as u64) << (i % 64);
        }
        Bitmap::new(words, len)
    }

    /// The words; the last one's unused bits are zero.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Number of bits.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no bit.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bit `index`.
    #[inline]
    pub fn get(&self, index: usize) -> bool {
        assert!(index < self.len, "bit {index} of {}", self.len);
        self.words[index / 64] >> (index % 64) & 1 == 1
    }

    /// Number of set bits.
    pub fn count_ones(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Bits `offset..offset + len`, copied to start at bit 0.
    pub fn slice(&self, offset: usize, len: usize) -> Self {
        assert!(offset + len <= self.len, "bitmap slice out of range");
        if offset % 64 == 0 {
            return Bitmap::new(self.words[offset / 64..(offset + len).div_ceil(64)].to_vec(), len);
        }
        let (word, shift) = (offset / 64, offset % 64);
        let words = (0..len.div_ceil(64))
            .map(|i| {
                let low = self.words[word + i] >> shift;
                let high = self.words.get(word + i + 1).map_or(0, |w| w << (64 - shift));
                low | high
            })
            .collect();
        Bitmap::new(words, len)
    }

    /// Bits at `positions`, in their order.
    pub fn gather<I: Position + Into<u64>>(&self, positions: &[I]) -> Self {
        let mut words = vec![0u64; positions.len().div_ceil(64)];
        for (word, chunk) in words.iter_mut().zip(positions.chunks(64)) {
            for (i, &p) in chunk.iter().enumerate() {
                let p: u64 = p.into();
                *word |= (self.words[(p / 64) as usize] >> (p % 64) & 1) << i;
            }
        }
        Bitmap::new(words, positions.len())
    }

    /// Copies Arrow bits (any bit offset) into words.
    pub fn from_arrow(bits: &BooleanBuffer) -> Self {
        let words = bits.bit_chunks().iter_padded().take(bits.len().div_ceil(64)).collect();
        Bitmap::new(words, bits.len())
    }

    /// As Arrow bits, without a copy.
    pub fn to_arrow(&self) -> BooleanBuffer {
        let buffer: Buffer = self.words.inner().clone();
        BooleanBuffer::new(buffer, 0, self.len)
    }

    /// As Arrow validity, without a copy.
    pub fn to_nulls(&self) -> NullBuffer {
        NullBuffer::new(self.to_arrow())
    }

    /// Bit-wise AND of two bitmaps of equal length.
    pub fn and(&self, other: &Bitmap) -> Bitmap {
        assert!(self.len == other.len, "bitmaps of {} and {} bits", self.len, other.len);
        Bitmap::new(self.words.iter().zip(other.words.iter()).map(|(a, b)| a & b).collect(), self.len)
    }

    /// AND of two validities, `None` = all valid.
    pub fn and_optional(a: Option<&Bitmap>, b: Option<&Bitmap>) -> Option<Bitmap> {
        match (a, b) {
            (None, None) => None,
            (Some(x), None) | (None, Some(x)) => Some(x.clone()),
            (Some(a), Some(b)) => Some(a.and(b)),
        }
    }
}
