//! Probing: the one row of each key when keys are unique, else pairs, a bounded number at a time.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use super::{JoinTable, Slots, hash_key};
use crate::hash::hash_word;

/// Where [`JoinTable::pairs`] stopped: a probe and the next candidate entry of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    pub probe: usize,
    /// Candidates of the probe that are done.
    pub done: u32,
}

impl JoinTable {
    /// For a table of unique keys: row + 1 of each probe's match, 0 = none. Loads are independent, so that cache misses overlap.
    pub fn find(&self, words: &[u64], probes: usize, out: &mut Vec<u32>) {
        debug_assert!(self.is_unique);
        out.clear();
        match self.slots {
            Slots::Dense { base, last } if !self.direct.is_empty() => find_direct(&self.direct, base, last, words, out),
            _ => {
                let mut ranges = Vec::new();
                self.candidates(words, probes, &mut ranges);
                let width = self.width;
                out.extend(ranges.iter().enumerate().map(|(probe, &(start, end))| {
                    let key = &words[probe * width..(probe + 1) * width];
                    let entry = (start..end).find(|&entry| self.has_key(entry as usize, key));
                    entry.map_or(0, |entry| self.rows[entry as usize].load(Relaxed) + 1)
                }));
            }
        }
    }

    /// Candidate entries of every probe, as ranges for [`JoinTable::pairs`].
    pub fn candidates(&self, words: &[u64], probes: usize, out: &mut Vec<(u32, u32)>) {
        out.clear();
        out.reserve(probes);
        match self.slots {
            Slots::Dense { base, last } if !self.direct.is_empty() => out.extend(words.iter().map(|&word| {
                let found = direct_row(&self.direct, base, last, word);
                (found.saturating_sub(1), found)
            })),
            Slots::Hash { shift } if shift < 64 && self.width == 1 => {
                out.extend(words.iter().map(|&word| self.entries((hash_word(word) >> shift) as usize)))
            }
            Slots::Hash { shift } if shift < 64 => {
                out.extend(words.chunks_exact(self.width).map(|key| self.entries((hash_key(key) >> shift) as usize)))
            }
            Slots::One | Slots::Hash { .. } => out.resize(probes, self.entries(0)),
            slots => out.extend(words.iter().map(|word| {
                let slot = slots.of(std::slice::from_ref(word));
                slot.map_or((0, 0), |slot| self.entries(slot))
            })),
        }
    }

    /// Pairs (probe, row) of equal keys, from `cursor` on, until `limit` pairs are found or the probes are over; gives whether they are.
    /// `first_only`: one pair a probe is enough.
    pub fn pairs(
        &self,
        words: &[u64],
        ranges: &[(u32, u32)],
        cursor: &mut Cursor,
        limit: usize,
        first_only: bool,
        out: (&mut Vec<u16>, &mut Vec<u32>),
    ) -> bool {
        let (probes, rows) = out;
        let width = self.width;
        while let Some(&(start, end)) = ranges.get(cursor.probe) {
            let key = &words[cursor.probe * width..(cursor.probe + 1) * width];
            let mut entry = start + cursor.done;
            while entry < end {
                if probes.len() == limit {
                    cursor.done = entry - start;
                    return false;
                }
                if self.has_key(entry as usize, key) {
                    probes.push(cursor.probe as u16);
                    rows.push(self.row(entry));
                    if first_only {
                        break;
                    }
                }
                entry += 1;
            }
            *cursor = Cursor { probe: cursor.probe + 1, done: 0 };
        }
        true
    }

    #[inline(always)]
    fn entries(&self, slot: usize) -> (u32, u32) {
        (self.ends[slot].load(Relaxed), self.ends[slot + 1].load(Relaxed))
    }

    #[inline(always)]
    fn row(&self, entry: u32) -> u32 {
        // In the direct layout an entry is the row itself.
        if self.direct.is_empty() { self.rows[entry as usize].load(Relaxed) } else { entry }
    }

    /// Whether an entry of the key's slot has this key.
    #[inline(always)]
    fn has_key(&self, entry: usize, key: &[u64]) -> bool {
        let words = || self.words[entry * self.width..(entry + 1) * self.width].iter();
        !self.slots.compares() || words().zip(key).all(|(own, &word)| own.load(Relaxed) == word)
    }
}

/// Ranks of the probes that found something, and their rows; `found` is what [`JoinTable::find`] gives, at most 65,536 probes.
pub fn matches(found: &[u32], ranks: &mut Vec<u16>, rows: &mut Vec<u32>) {
    assert!(found.len() <= 1 << 16);
    ranks.clear();
    rows.clear();
    ranks.resize(found.len(), 0);
    rows.resize(found.len(), 0);
    let mut count = 0;
    // Written always, kept when it is a match: no branch to mispredict.
    for (rank, &row) in found.iter().enumerate() {
        ranks[count] = rank as u16;
        rows[count] = row.wrapping_sub(1);
        count += usize::from(row != 0);
    }
    ranks.truncate(count);
    rows.truncate(count);
}

crate::tiered! { fn find_direct(direct: &[AtomicU32], base: i64, last: u64, words: &[u64], out: &mut Vec<u32>) = find_direct_body; }

#[inline(always)]
fn find_direct_body(direct: &[AtomicU32], base: i64, last: u64, words: &[u64], out: &mut Vec<u32>) {
    out.extend(words.iter().map(|&word| direct_row(direct, base, last, word)));
}

#[inline(always)]
fn direct_row(direct: &[AtomicU32], base: i64, last: u64, word: u64) -> u32 {
    let offset = (word as i64).wrapping_sub(base) as u64;
    if offset <= last { direct[offset as usize].load(Relaxed) } else { 0 }
}
