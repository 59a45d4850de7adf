//! Build keys → build rows: the table of hash joins, immutable once built, built by any number of threads.
//!
//! Three layouts, the first that fits:
//! - **direct**: one row number per possible key. For one-word keys in a dense range of which none occurs twice: no hash, no comparison, one cache miss a probe.
//! - **array**: slots are the keys of a dense range, the rows of one slot lie end to end.
//! - **scaled**: slots are equal steps of the keys' range, about one key a slot; the keys of one slot lie end to end and are compared. Keeps the order of the
//!   keys, so that inputs that are clustered by the key (facts by their order number, say) touch memory in order.
//! - **hash**: slots are the top bits of the hash: when keys have several words, or crowd in parts of their range.
//!
//! In all but the first the table is *unchained*: a probe reads two adjacent ends and what lies between: no pointers, and equal keys are neighbours.
//! Source: Birler et al., "Simple, Efficient, and Robust Hash Tables for Join Processing", DaMoN 2024.
//!
//! Shapes: a key is `width` words; a row number is below `u32::MAX`. Benchmark: `join_table` of `benchmarks/benches/kernels`.

mod build;
mod probe;
#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;

use crate::hash::{combine, hash_word};

pub use build::{JoinTableBuilder, KeyPart, Phase};
pub use probe::{Cursor, matches};

/// An immutable multimap from keys of `width` words to row numbers. Atomics are only written while it is built, by several threads.
#[derive(Debug)]
pub struct JoinTable {
    width: usize,
    slots: Slots,
    /// Direct: row + 1 of each slot, 0 = no row; else empty.
    direct: Box<[AtomicU32]>,
    /// Entries of slot `s` are `ends[s]..ends[s + 1]`.
    ends: Box<[AtomicU32]>,
    /// Rows, entry after entry.
    rows: Box<[AtomicU32]>,
    /// Key words of the entries, where they are compared.
    words: Box<[AtomicU64]>,
    len: usize,
    is_unique: bool,
}

/// How a key's slot is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slots {
    /// Width 0: every row matches every probe.
    One,
    /// Key − base, for keys up to base + last.
    Dense { base: i64, last: u64 },
    /// (Key − base) >> shift, for keys up to base + last.
    Scaled { base: i64, last: u64, shift: u32 },
    /// Top bits of the hash; 64: a single slot.
    Hash { shift: u32 },
}

impl Slots {
    fn count(self) -> usize {
        match self {
            Slots::One | Slots::Hash { shift: 64 } => 1,
            Slots::Dense { last, .. } => last as usize + 1,
            Slots::Scaled { last, shift, .. } => (last >> shift) as usize + 1,
            Slots::Hash { shift } => 1 << (64 - shift),
        }
    }

    /// The slot of a key; none when it lies outside the dense range.
    #[inline(always)]
    fn of(self, key: &[u64]) -> Option<usize> {
        match self {
            Slots::One | Slots::Hash { shift: 64 } => Some(0),
            Slots::Dense { base, last } => {
                let offset = (key[0] as i64).wrapping_sub(base) as u64;
                (offset <= last).then_some(offset as usize)
            }
            Slots::Scaled { base, last, shift } => {
                let offset = (key[0] as i64).wrapping_sub(base) as u64;
                (offset <= last).then_some((offset >> shift) as usize)
            }
            Slots::Hash { shift } => Some((hash_key(key) >> shift) as usize),
        }
    }

    /// Whether a slot may hold different keys.
    #[inline(always)]
    fn compares(self) -> bool {
        matches!(self, Slots::Scaled { .. } | Slots::Hash { .. })
    }
}

#[inline(always)]
fn hash_key(key: &[u64]) -> u64 {
    key.iter().skip(1).fold(hash_word(key[0]), |hash, &word| combine(hash, hash_word(word)))
}

impl JoinTable {
    /// Rows in the table.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no row is in the table.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether no two rows have equal keys, as far as it was cheap to prove.
    pub fn is_unique(&self) -> bool {
        self.is_unique
    }

    /// The layout, for EXPLAIN ANALYZE.
    pub fn mode(&self) -> &'static str {
        match self.slots {
            Slots::One => "nested loop",
            Slots::Dense { .. } if !self.direct.is_empty() => "direct",
            Slots::Dense { .. } => "array",
            Slots::Scaled { .. } => "scaled",
            Slots::Hash { .. } if self.width == 1 => "hash of one word",
            Slots::Hash { .. } => "hash of several words",
        }
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        (self.direct.len() + self.ends.len() + self.rows.len()) * 4 + self.words.len() * 8
    }
}
