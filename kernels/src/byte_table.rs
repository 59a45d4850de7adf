//! Byte strings → dense ids: interning of text and other variable-width keys.
//!
//! The strings lie end to end in one arena; slots hold a 32-bit tag and the id, linear probing at load ≤ ½. The lowest bits of the tag are the place
//! where probing begins, so that a table grows without a look at its strings.
//! Benchmarks: `benchmarks/benches/kernels`.

use crate::hash::hash_bytes;

/// A vector of bytes or words that grows has room for so many at least.
const LEAST_CAPACITY: usize = 8;

/// Distinct byte strings with ids `0, 1, 2, …` in order of first appearance.
#[derive(Debug, Clone)]
pub struct ByteTable {
    bytes: Vec<u8>,
    /// String `i` is `bytes[ends[i - 1]..ends[i]]`.
    ends: Vec<usize>,
    /// (upper half of the hash, id + 1), or (_, 0).
    slots: Vec<(u32, u32)>,
    /// Test knob: all strings hash alike.
    collide: bool,
}

impl ByteTable {
    /// An empty table; `collide` makes every hash equal.
    pub fn new(collide: bool) -> Self {
        ByteTable { bytes: Vec::new(), ends: Vec::new(), slots: vec![(0, 0); 64], collide }
    }

    /// Forgets all strings and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.slots.fill((0, 0));
    }

    /// Number of strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no string.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The string with this id.
    #[inline]
    pub fn get(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.bytes[start..self.ends[id]]
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * 8 + self.slots.capacity() * 8
    }

    /// Most bytes that `strings` more, of `bytes` in all, take for the time being beside what is held: what grows is there twice while it is moved.
    pub fn growth(&self, strings: usize, bytes: usize) -> usize {
        let moved = |length: usize, capacity: usize, more: usize| match length + more {
            all if all <= capacity => 0,
            all => (2 * all).max(LEAST_CAPACITY),
        };
        let slots = (2 * (self.len() + strings)).next_power_of_two();
        let slots = if slots > self.slots.len() { slots } else { 0 };
        moved(self.bytes.len(), self.bytes.capacity(), bytes)
            + 8 * (moved(self.ends.len(), self.ends.capacity(), strings) + slots)
    }

    /// The id of a string that is there.
    #[inline]
    pub fn find(&self, string: &[u8]) -> Option<u32> {
        self.probe(string).ok()
    }

    /// The id of a string, which is added when it is not there.
    #[inline]
    pub fn find_or_insert(&mut self, string: &[u8]) -> u32 {
        match self.probe(string) {
            Ok(id) => id,
            Err((at, tag)) => {
                let id = self.ends.len() as u32;
                self.bytes.extend_from_slice(string);
                self.ends.push(self.bytes.len());
                self.slots[at] = (tag, id + 1);
                if self.ends.len() * 2 > self.slots.len() {
                    self.rehash();
                }
                id
            }
        }
    }

    fn hash(&self, string: &[u8]) -> u64 {
        if self.collide { 0 } else { hash_bytes(string) }
    }

    /// The id, or the free slot and tag.
    #[inline]
    fn probe(&self, string: &[u8]) -> Result<u32, (usize, u32)> {
        let tag = (self.hash(string) >> 32) as u32;
        let mask = self.slots.len() - 1;
        let mut at = tag as usize & mask;
        loop {
            match self.slots[at] {
                (_, 0) => return Err((at, tag)),
                (found, id) if found == tag && self.get(id - 1) == string => return Ok(id - 1),
                _ => at = (at + 1) & mask,
            }
        }
    }

    fn rehash(&mut self) {
        let capacity = self.slots.len() * 2;
        let mut slots = vec![(0u32, 0u32); capacity];
        for &(tag, id) in self.slots.iter().filter(|(_, id)| *id != 0) {
            let mut at = tag as usize & (capacity - 1);
            while slots[at].1 != 0 {
                at = (at + 1) & (capacity - 1);
            }
            slots[at] = (tag, id);
        }
        self.slots = slots;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn ids_are_dense_and_stable(strings in prop::collection::vec("[ab]{0,5}", 0..300), collide in any::<bool>()) {
            let mut table = ByteTable::new(collide);
            let mut oracle: HashMap<String, u32> = HashMap::new();
            let at_most = table.memory_bytes() + table.growth(strings.len(), strings.iter().map(String::len).sum());
            for string in &strings {
                let next = oracle.len() as u32;
                let expected = *oracle.entry(string.clone()).or_insert(next);
                prop_assert_eq!(table.find_or_insert(string.as_bytes()), expected);
                prop_assert_eq!(table.get(expected), string.as_bytes());
            }
            oracle.iter().for_each(|(s, id)| assert_eq!(table.find(s.as_bytes()), Some(*id)));
            prop_assert_eq!(table.find(b"zzz"), None);
            prop_assert!(table.memory_bytes() <= at_most);
            prop_assert_eq!(table.growth(0, 0), 0);
        }
    }
}
