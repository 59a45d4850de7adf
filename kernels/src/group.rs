//! Keys → group ids, and grouped accumulation: the inner loops of hash aggregation.
//!
//! [`WordTable`] maps one 64-bit word to a dense group id; [`TupleTable`] maps tuples of words. Both are tagged open addressing with linear
//! probing at load ≤ ½; a word equal to the row before it takes that row's group without a look-up (clustered keys come in runs). While
//! the words seen span a small range, `WordTable` is a plain array indexed by `word − base`: no hash, no compare.
//! Benchmarks: `benchmarks/benches/kernels`.

use crate::hash::{combine, hash_word};
use crate::pack::bounds;

/// Widest span of words that is indexed directly, in slots of 4 bytes; wider spans are allowed while groups fill a quarter of them.
const ARRAY_SLOTS_ALWAYS: u64 = 1 << 16;
const ARRAY_SLOTS_MAX: u64 = 1 << 26;
const ARRAY_SLOTS_PER_GROUP: u64 = 8;

/// Words → group ids `0, 1, 2, …` in order of first appearance.
#[derive(Debug, Clone, Default)]
pub struct WordTable {
    /// The word of each group.
    words: Vec<u64>,
    index: WordIndex,
    /// The group of rows without a word (null keys), once there is one; its entry in `words` means nothing.
    null_group: Option<u32>,
    /// Slots of a table that was cleared, for the next one that hashes.
    spare: Vec<(u64, u32)>,
}

#[derive(Debug, Clone)]
enum WordIndex {
    /// `slots[word − base]` is group + 1, or 0.
    Array { base: u64, slots: Vec<u32> },
    /// Slots of (word, group + 1), or (_, 0); a power of two of them.
    Hash { slots: Vec<(u64, u32)>, shift: u32 },
}

impl Default for WordIndex {
    fn default() -> Self {
        WordIndex::Array { base: 0, slots: Vec::new() }
    }
}

impl WordTable {
    /// The word of each group.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Forgets all groups and keeps most of the memory.
    pub fn clear(&mut self) {
        self.words.clear();
        self.null_group = None;
        match &mut self.index {
            WordIndex::Array { slots, .. } => slots.clear(),
            // The next keys may lie closer together.
            WordIndex::Hash { slots, .. } => {
                self.spare = std::mem::take(slots);
                self.index = WordIndex::default();
            }
        }
    }

    /// The group of null keys, made on first demand.
    pub fn null_group_or_insert(&mut self) -> u32 {
        *self.null_group.get_or_insert_with(|| {
            self.words.push(0);
            self.words.len() as u32 - 1
        })
    }

    /// The group of null keys, when there is one.
    pub fn null_group(&self) -> Option<u32> {
        self.null_group
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        let index = match &self.index {
            WordIndex::Array { slots, .. } => slots.capacity() * 4,
            WordIndex::Hash { slots, .. } => slots.capacity() * 16,
        };
        self.words.capacity() * 8 + index + self.spare.capacity() * 16
    }

    /// Whether look-ups are plain array accesses.
    pub fn is_array(&self) -> bool {
        matches!(self.index, WordIndex::Array { .. })
    }

    /// `out[i] = ` group of `words[i]`, making new groups as needed. Words are compared as signed integers for the array's range.
    pub fn find_or_insert(&mut self, words: &[u64], out: &mut Vec<u32>) {
        if words.is_empty() {
            return;
        }
        if let (WordIndex::Array { .. }, Some((low, high))) = (&self.index, bounds(words, None)) {
            self.fit_array(low, high);
        }
        match &mut self.index {
            WordIndex::Array { base, slots } => {
                out.extend(words.iter().map(|&word| {
                    let slot = &mut slots[word.wrapping_sub(*base) as usize];
                    if *slot == 0 {
                        self.words.push(word);
                        *slot = self.words.len() as u32;
                    }
                    *slot - 1
                }));
            }
            WordIndex::Hash { .. } => {
                out.reserve(words.len());
                self.find_or_insert_hashed(words, out);
            }
        }
    }

    fn find_or_insert_hashed(&mut self, words: &[u64], out: &mut Vec<u32>) {
        let (mut last, mut group) = (words[0].wrapping_add(1), 0);
        for block in words.chunks(1024) {
            self.grow_hash(block.len());
            let WordIndex::Hash { slots, shift } = &mut self.index else { return };
            let mask = slots.len() - 1;
            for &word in block {
                if word == last {
                    out.push(group);
                    continue;
                }
                let mut at = (hash_word(word) >> *shift) as usize;
                group = loop {
                    let slot = &mut slots[at];
                    if slot.1 == 0 {
                        self.words.push(word);
                        *slot = (word, self.words.len() as u32);
                        break slot.1 - 1;
                    }
                    if slot.0 == word {
                        break slot.1 - 1;
                    }
                    at = (at + 1) & mask;
                };
                last = word;
                out.push(group);
            }
        }
    }

    /// Makes the array span `low..=high` and what it spans already, or turns to hashing when that is too wide.
    fn fit_array(&mut self, low: i64, high: i64) {
        let WordIndex::Array { base, slots } = &mut self.index else { return };
        let (old_low, old_high) =
            if slots.is_empty() { (low, high) } else { (*base as i64, *base as i64 + (slots.len() as i64 - 1)) };
        if !slots.is_empty() && low >= old_low && high <= old_high {
            return;
        }
        let (low, high) = (low.min(old_low), high.max(old_high));
        let span = (high as i128 - low as i128 + 1) as u128;
        let allowed = (ARRAY_SLOTS_PER_GROUP * self.words.len() as u64).clamp(ARRAY_SLOTS_ALWAYS, ARRAY_SLOTS_MAX);
        if span > allowed as u128 {
            self.index = WordIndex::Hash { slots: Vec::new(), shift: 64 };
            self.rehash(self.words.len() * 2 + 1024);
            return;
        }
        // Room on both sides, so that ascending keys do not move the array with every batch.
        let room = ((span as i64) / 2).min(allowed as i64 - span as i64).max(0);
        let (low, high) = (low, high.saturating_add(room));
        let wanted = (high as i128 - low as i128 + 1) as usize;
        if slots.is_empty() || low == old_low {
            slots.resize(wanted, 0);
            *base = low as u64;
            return;
        }
        let mut moved = vec![0u32; wanted];
        let shift = (old_low as i128 - low as i128) as usize;
        moved[shift..shift + slots.len()].copy_from_slice(slots);
        (*base, *slots) = (low as u64, moved);
    }

    fn grow_hash(&mut self, more: usize) {
        let WordIndex::Hash { slots, .. } = &self.index else { return };
        if (self.words.len() + more) * 2 > slots.len() {
            self.rehash((self.words.len() + more) * 2);
        }
    }

    fn rehash(&mut self, at_least: usize) {
        let mut slots = self.empty_slots(at_least.next_power_of_two().max(2048));
        let capacity = slots.len();
        let shift = 64 - capacity.trailing_zeros();
        for (group, &word) in self.words.iter().enumerate() {
            if self.null_group == Some(group as u32) {
                continue;
            }
            let mut at = (hash_word(word) >> shift) as usize;
            while slots[at].1 != 0 {
                at = (at + 1) & (capacity - 1);
            }
            slots[at] = (word, group as u32 + 1);
        }
        self.index = WordIndex::Hash { slots, shift };
    }

    /// At least so many slots, a power of two.
    fn empty_slots(&mut self, capacity: usize) -> Vec<(u64, u32)> {
        let mut slots = std::mem::take(&mut self.spare);
        if slots.len() < capacity {
            return vec![(0, 0); capacity];
        }
        slots.fill((0, 0));
        slots
    }
}

/// Tuples of `width` words → group ids in order of first appearance.
#[derive(Debug, Clone)]
pub struct TupleTable {
    width: usize,
    /// `width` words per group, group after group.
    tuples: Vec<u64>,
    /// (upper 32 bits of the hash, group + 1), or (_, 0).
    slots: Vec<(u32, u32)>,
    shift: u32,
    /// Test knob: all tuples hash alike.
    collide: bool,
}

impl TupleTable {
    /// An empty table of tuples of `width` words; `collide` makes every hash equal.
    pub fn new(width: usize, collide: bool) -> Self {
        TupleTable { width, tuples: Vec::new(), slots: vec![(0, 0); 2048], shift: 64 - 11, collide }
    }

    /// Forgets all groups and keeps the memory.
    pub fn clear(&mut self) {
        self.tuples.clear();
        self.slots.fill((0, 0));
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.tuples.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.tuples.is_empty()
    }

    /// The words of one group.
    pub fn tuple(&self, group: usize) -> &[u64] {
        &self.tuples[group * self.width..(group + 1) * self.width]
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.tuples.capacity() * 8 + self.slots.capacity() * 8
    }

    /// Most bytes that `more` groups take beside those held, while what is held moves to a larger place.
    pub fn growth(&self, more: usize) -> usize {
        let groups = self.len() + more;
        let words = groups * self.width;
        let tuples = if words > self.tuples.capacity() { 2 * words * 8 } else { 0 };
        let slots = if groups * 2 > self.slots.len() { (groups * 2).next_power_of_two() * 8 } else { 0 };
        tuples + slots
    }

    /// Group of each of `rows` tuples, which lie row after row in `tuples`, appended to `out`.
    pub fn find_or_insert(&mut self, tuples: &[u64], out: &mut Vec<u32>) {
        let width = self.width;
        let mut last: Option<(&[u64], u32)> = None;
        for tuple in tuples.chunks_exact(width) {
            if let Some((words, group)) = last
                && words == tuple
            {
                out.push(group);
                continue;
            }
            let group = self.find_or_insert_one(tuple);
            last = Some((tuple, group));
            out.push(group);
        }
    }

    #[inline]
    fn find_or_insert_one(&mut self, tuple: &[u64]) -> u32 {
        let hash = self.hash(tuple);
        let mask = self.slots.len() - 1;
        let tag = (hash >> 8) as u32;
        let mut at = if self.shift < 64 { (hash >> self.shift) as usize } else { 0 };
        loop {
            let (slot_tag, slot) = self.slots[at];
            if slot == 0 {
                let group = self.len() as u32;
                self.tuples.extend_from_slice(tuple);
                self.slots[at] = (tag, group + 1);
                if (group as usize + 1) * 2 > self.slots.len() {
                    self.rehash();
                }
                return group;
            }
            if slot_tag == tag && self.tuple(slot as usize - 1) == tuple {
                return slot - 1;
            }
            at = (at + 1) & mask;
        }
    }

    fn hash(&self, tuple: &[u64]) -> u64 {
        if self.collide { 0 } else { tuple.iter().skip(1).fold(hash_word(tuple[0]), |h, &w| combine(h, hash_word(w))) }
    }

    fn rehash(&mut self) {
        let capacity = self.slots.len() * 2;
        self.shift = 64 - capacity.trailing_zeros();
        let mut slots = vec![(0u32, 0u32); capacity];
        for group in 0..self.len() {
            let hash = self.hash(self.tuple(group));
            let mut at = (hash >> self.shift) as usize;
            while slots[at].1 != 0 {
                at = (at + 1) & (capacity - 1);
            }
            slots[at] = ((hash >> 8) as u32, group as u32 + 1);
        }
        self.slots = slots;
    }
}

crate::tiered! {
    /// Rows whose group differs from the row's before; the first row counts.
    pub fn count_changes(groups: &[u32]) -> usize = count_changes_body;
}

#[inline(always)]
fn count_changes_body(groups: &[u32]) -> usize {
    let changes = groups.iter().zip(groups.iter().skip(1)).map(|(a, b)| usize::from(a != b)).sum::<usize>();
    changes + usize::from(!groups.is_empty())
}

/// Above this many groups one accumulator per group is used; below it four, so that adjacent rows of one group do not wait for each other's store.
const FEW_GROUPS: usize = 64;

/// `sums[groups[i]] += values[i]` in 64-bit steps; the caller has proven that no partial sum of one call overflows.
pub fn add_i64(sums: &mut [i128], values: &[i64], groups: &[u32]) {
    assert_eq!(values.len(), groups.len());
    if sums.len() <= FEW_GROUPS {
        let mut lanes = [[0i64; FEW_GROUPS]; 4];
        let (value_blocks, value_tail) = values.as_chunks::<4>();
        let (group_blocks, group_tail) = groups.as_chunks::<4>();
        for (v, g) in value_blocks.iter().zip(group_blocks) {
            for lane in 0..4 {
                let sum = &mut lanes[lane][g[lane] as usize % FEW_GROUPS];
                *sum = sum.wrapping_add(v[lane]);
            }
        }
        for (group, sum) in sums.iter_mut().enumerate() {
            *sum += lanes.iter().map(|lane| lane[group] as i128).sum::<i128>();
        }
        value_tail.iter().zip(group_tail).for_each(|(&v, &g)| sums[g as usize] += v as i128);
        return;
    }
    // Runs of one group are added in a register.
    let mut at = 0;
    while at < values.len() {
        let group = groups[at];
        let mut sum = values[at];
        at += 1;
        while at < values.len() && groups[at] == group {
            sum = sum.wrapping_add(values[at]);
            at += 1;
        }
        sums[group as usize] += sum as i128;
    }
}

/// `sums[groups[i]] += values[i]`.
pub fn add_f64(sums: &mut [f64], values: &[f64], groups: &[u32]) {
    assert_eq!(values.len(), groups.len());
    values.iter().zip(groups).for_each(|(&v, &g)| sums[g as usize] += v);
}

/// `counts[groups[i]] += 1`.
pub fn add_ones(counts: &mut [i64], groups: &[u32]) {
    if counts.len() <= FEW_GROUPS {
        let mut lanes = [[0i64; FEW_GROUPS]; 4];
        let (blocks, tail) = groups.as_chunks::<4>();
        for block in blocks {
            for lane in 0..4 {
                lanes[lane][block[lane] as usize % FEW_GROUPS] += 1;
            }
        }
        for (group, count) in counts.iter_mut().enumerate() {
            *count += lanes.iter().map(|lane| lane[group]).sum::<i64>();
        }
        tail.iter().for_each(|&g| counts[g as usize] += 1);
        return;
    }
    groups.iter().for_each(|&g| counts[g as usize] += 1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn oracle<K: std::hash::Hash + Eq + Clone>(keys: &[K]) -> Vec<u32> {
        let mut groups: HashMap<K, u32> = HashMap::new();
        keys.iter()
            .map(|k| {
                let next = groups.len() as u32;
                *groups.entry(k.clone()).or_insert(next)
            })
            .collect()
    }

    proptest! {
        #[test]
        fn words_get_dense_groups(small in prop::collection::vec(-20i64..20, 0..300), large in prop::collection::vec(any::<i64>(), 0..300)) {
            let keys: Vec<u64> = small.iter().chain(&large).chain(&small).map(|&k| k as u64).collect();
            let mut table = WordTable::default();
            let mut groups = vec![];
            for part in keys.chunks(97) {
                table.find_or_insert(part, &mut groups);
            }
            prop_assert_eq!(&groups, &oracle(&keys));
            groups.iter().zip(&keys).for_each(|(&g, &k)| assert_eq!(table.words()[g as usize], k));
        }

        #[test]
        fn cleared_tables_start_anew(first in prop::collection::vec(any::<i64>(), 0..100), second in prop::collection::vec(-50i64..50, 0..100)) {
            let words = |keys: &[i64]| keys.iter().map(|&k| k as u64).collect::<Vec<_>>();
            let (mut table, mut tuples) = (WordTable::default(), TupleTable::new(1, false));
            for keys in [words(&second), words(&first), words(&second)] {
                table.clear();
                tuples.clear();
                let (mut groups, mut of_tuples) = (vec![], vec![]);
                table.find_or_insert(&keys, &mut groups);
                tuples.find_or_insert(&keys, &mut of_tuples);
                prop_assert_eq!(&groups, &oracle(&keys));
                prop_assert_eq!(&of_tuples, &groups);
                prop_assert_eq!(count_changes(&groups), groups.chunk_by(|a, b| a == b).count());
            }
        }

        #[test]
        fn tuples_get_dense_groups(rows in prop::collection::vec((0u64..4, 0u64..4), 0..400), collide in any::<bool>()) {
            let mut table = TupleTable::new(2, collide);
            let mut groups = vec![];
            table.find_or_insert(&rows.iter().flat_map(|r| [r.0, r.1]).collect::<Vec<_>>(), &mut groups);
            prop_assert_eq!(&groups, &oracle(&rows));
        }

        #[test]
        fn grouped_sums_agree(rows in prop::collection::vec((0u32..5, -100i64..100), 0..200), many in any::<bool>()) {
            let size = if many { 100 } else { 5 };
            let groups: Vec<u32> = rows.iter().map(|r| r.0).collect();
            let values: Vec<i64> = rows.iter().map(|r| r.1).collect();
            let (mut sums, mut counts) = (vec![0i128; size], vec![0i64; size]);
            add_i64(&mut sums, &values, &groups);
            add_ones(&mut counts, &groups);
            for g in 0..size {
                prop_assert_eq!(sums[g], rows.iter().filter(|r| r.0 as usize == g).map(|r| r.1 as i128).sum::<i128>());
                prop_assert_eq!(counts[g], rows.iter().filter(|r| r.0 as usize == g).count() as i64);
            }
        }
    }
}
