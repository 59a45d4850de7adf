//! Build keys → rows, unchained: the rows of one directory slot lie end to end.
//!
//! 1. Count the keys of each slot, 2. turn counts into ends (prefix sum), 3. put every row at its slot's place. A probe reads two adjacent
//! ends and compares keys in between: no pointers, no chains, and equal keys lie side by side. Slots are the key itself minus the smallest key
//! when the keys' range is dense (nothing is hashed or compared then), else the top bits of the hash, about one row a slot.
//! Source: Birler et al., "Simple, Efficient, and Robust Hash Tables for Join Processing", DaMoN 2024. Benchmarks: `benchmarks/benches/kernels.rs`.

use crate::hash::{combine, hash_word};

/// The dense range may have this many slots per row …
const ARRAY_SLOTS_PER_ROW: u128 = 8;
/// … or always up to this many in all.
const ARRAY_SLOTS_ALWAYS: u128 = 1 << 16;

/// An immutable multimap from keys of `width` words to row numbers.
#[derive(Debug)]
pub struct JoinTable {
    width: usize,
    slots: Slots,
    /// Rows of slot `s` are `rows[ends[s]..ends[s + 1]]`.
    ends: Vec<u32>,
    rows: Vec<u32>,
    /// Key words of `rows`, entry after entry; empty in array mode.
    words: Vec<u64>,
    /// No two rows have equal keys.
    is_unique: bool,
}

#[derive(Debug, Clone, Copy)]
enum Slots {
    /// Width 0: every row matches every probe.
    One,
    /// Key − base, for keys up to base + last.
    Array { base: i64, last: u64 },
    /// Top bits of the hash.
    Hash { shift: u32 },
}

impl JoinTable {
    /// From the key words of all build rows (`width` per row, row after row) and the rows that take part. `collide` makes every hash equal.
    pub fn build(width: usize, words: &[u64], rows: &[u32], collide: bool) -> JoinTable {
        let slots = choose_slots(width, words, rows, collide);
        let count = match slots {
            Slots::One => 1,
            Slots::Array { last, .. } => last as usize + 1,
            Slots::Hash { shift: 64 } => 1,
            Slots::Hash { shift } => 1 << (64 - shift),
        };
        let key = |row: u32| &words[row as usize * width..(row as usize + 1) * width];
        let mut ends = vec![0u32; count + 2];
        let slot_of: Vec<u32> = rows.iter().map(|&row| slot(slots, key(row)) as u32).collect();
        slot_of.iter().for_each(|&s| ends[s as usize + 2] += 1);
        for s in 2..ends.len() {
            ends[s] += ends[s - 1];
        }
        let mut placed = vec![0u32; rows.len()];
        for (&row, &s) in rows.iter().zip(&slot_of) {
            let end = &mut ends[s as usize + 1];
            placed[*end as usize] = row;
            *end += 1;
        }
        ends.pop();
        let stores_words = matches!(slots, Slots::Hash { .. });
        let words =
            if stores_words { placed.iter().flat_map(|&row| key(row).iter().copied()).collect() } else { Vec::new() };
        let mut table = JoinTable { width, slots, ends, rows: placed, words, is_unique: false };
        table.is_unique = table.find_unique();
        table
    }

    fn find_unique(&self) -> bool {
        match self.slots {
            Slots::One => self.rows.len() <= 1,
            Slots::Array { .. } => self.ends.windows(2).all(|w| w[1] - w[0] <= 1),
            Slots::Hash { .. } => self.ends.windows(2).all(|w| {
                let range = w[0] as usize..w[1] as usize;
                // Long slots are skew or duplicates; not worth proving unique.
                range.len() <= 16 && range.clone().all(|i| (i + 1..range.end).all(|j| self.entry(i) != self.entry(j)))
            }),
        }
    }

    #[inline]
    fn entry(&self, index: usize) -> &[u64] {
        &self.words[index * self.width..(index + 1) * self.width]
    }

    /// Rows in the table.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row is in the table.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether no two rows have equal keys.
    pub fn is_unique(&self) -> bool {
        self.is_unique
    }

    /// How slots are found, for EXPLAIN ANALYZE.
    pub fn mode(&self) -> &'static str {
        match self.slots {
            Slots::One => "nested loop",
            Slots::Array { .. } => "array",
            Slots::Hash { .. } if self.width == 1 => "normalized key",
            Slots::Hash { .. } => "generic",
        }
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.ends.capacity() * 4 + self.rows.capacity() * 4 + self.words.capacity() * 8
    }

    /// Candidate entries of every probe key, as ranges for [`JoinTable::matches`]; independent loads, so that cache misses overlap.
    pub fn probe(&self, words: &[u64], probes: usize, out: &mut Vec<(u32, u32)>) {
        out.clear();
        out.reserve(probes);
        match self.slots {
            Slots::One => out.resize(probes, (self.ends[0], self.ends[1])),
            Slots::Array { base, last } => out.extend(words.iter().map(|&word| {
                let offset = (word as i64).wrapping_sub(base) as u64;
                if offset <= last { (self.ends[offset as usize], self.ends[offset as usize + 1]) } else { (0, 0) }
            })),
            Slots::Hash { shift } => {
                let slot = |hash: u64| if shift < 64 { (hash >> shift) as usize } else { 0 };
                let range = |s: usize| (self.ends[s], self.ends[s + 1]);
                if self.width == 1 {
                    out.extend(words.iter().map(|&word| range(slot(hash_word(word)))));
                } else {
                    out.extend(words.chunks_exact(self.width).map(|key| range(slot(hash_key(key)))));
                }
            }
        }
    }

    /// The row of entry `index` when its key equals `key`.
    #[inline]
    pub fn row_if_equal(&self, index: u32, key: &[u64]) -> Option<u32> {
        let index = index as usize;
        match self.slots {
            Slots::Hash { .. } if self.entry(index) != key => None,
            _ => Some(self.rows[index]),
        }
    }
}

fn hash_key(key: &[u64]) -> u64 {
    key.iter().skip(1).fold(hash_word(key[0]), |hash, &word| combine(hash, hash_word(word)))
}

fn choose_slots(width: usize, words: &[u64], rows: &[u32], collide: bool) -> Slots {
    if width == 0 {
        return Slots::One;
    }
    if collide {
        return Slots::Hash { shift: 64 };
    }
    if width == 1
        && let Some((low, high)) = rows
            .iter()
            .map(|&row| words[row as usize] as i64)
            .fold(None, |bounds, w| Some(bounds.map_or((w, w), |(l, h): (i64, i64)| (l.min(w), h.max(w)))))
    {
        let span = (high as i128 - low as i128 + 1) as u128;
        if span <= ARRAY_SLOTS_ALWAYS.max(ARRAY_SLOTS_PER_ROW * rows.len() as u128) {
            return Slots::Array { base: low, last: (span - 1) as u64 };
        }
    }
    let bits = rows.len().next_power_of_two().trailing_zeros().max(1);
    Slots::Hash { shift: 64 - bits }
}

#[inline]
fn slot(slots: Slots, key: &[u64]) -> usize {
    match slots {
        Slots::One | Slots::Hash { shift: 64 } => 0,
        Slots::Array { base, .. } => (key[0] as i64).wrapping_sub(base) as usize,
        Slots::Hash { shift } if key.len() == 1 => (hash_word(key[0]) >> shift) as usize,
        Slots::Hash { shift } => (hash_key(key) >> shift) as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(width: usize, build: &[u64], probe: &[u64], collide: bool) {
        let rows: Vec<u32> = (0..(build.len() / width) as u32).filter(|r| r % 7 != 3).collect();
        let table = JoinTable::build(width, build, &rows, collide);
        let mut ranges = vec![];
        table.probe(probe, probe.len() / width, &mut ranges);
        for (key, &(start, end)) in probe.chunks(width).zip(&ranges) {
            let mut found: Vec<u32> = (start..end).filter_map(|i| table.row_if_equal(i, key)).collect();
            found.sort();
            let expected: Vec<u32> =
                rows.iter().copied().filter(|&r| build[r as usize * width..(r as usize + 1) * width] == *key).collect();
            assert_eq!(found, expected);
            assert!(!table.is_unique() || expected.len() <= 1);
        }
    }

    proptest! {
        #[test]
        fn finds_exactly_the_equal_rows(dense in prop::collection::vec(-9i64..9, 0..60), sparse in prop::collection::vec(any::<u64>(), 0..60), collide in any::<bool>()) {
            let dense: Vec<u64> = dense.iter().map(|&k| k as u64).collect();
            let probe: Vec<u64> = dense.iter().chain(&sparse).copied().chain([0, 5, u64::MAX]).collect();
            check(1, &dense, &probe, collide);
            check(1, &sparse, &probe, collide);
            let even = dense.len() / 2 * 2;
            check(2, &dense[..even], &dense[..even], collide);
        }
    }
}
