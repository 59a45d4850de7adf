//! Building, in phases that the caller runs on as many threads as it has: within a phase in any order, with a barrier between phases.
//!
//! - [`Phase::Place`], for every part: writes rows into the direct layout, and notices keys that occur twice.
//! - [`Phase::Count`], for every shard: how many entries each of its slots gets. Once more, over hashes, when the slots come out too uneven.
//! - [`Phase::Scatter`], for every shard: entries go to their places.
//!
//! A shard is a range of slots that one thread writes, reading all parts: streaming over the keys once more is cheaper than partitioning them first, while
//! threads are few.

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

use super::{JoinTable, Slots};

/// A dense range may have this many slots a row …
const DENSE_SLOTS_PER_ROW: u128 = 8;
/// … or always up to this many.
const DENSE_SLOTS_ALWAYS: u128 = 1 << 16;
/// Keys compared on average when every row's key is looked up, above which a scaled table is given up for hashing. Even keys that occur
/// four times each stay below.
const SCALED_COMPARED_MAX: u64 = 8;
/// Longer slots are skew or repeated keys: not worth proving unique.
const UNIQUE_SLOT_MAX: usize = 16;

/// Key words of consecutive build rows.
#[derive(Debug, Clone, Copy)]
pub struct KeyPart<'a> {
    /// `width` words a row, row after row.
    pub words: &'a [u64],
    /// A bit per row, 1 = takes part; `None` = all do.
    pub valid: Option<&'a [u64]>,
    /// Number of the first row.
    pub first_row: u32,
    /// Rows: needed when keys have no words.
    pub rows: usize,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// [`JoinTableBuilder::place`] every part.
    Place,
    /// [`JoinTableBuilder::count`] every shard.
    Count,
    /// [`JoinTableBuilder::scatter`] every shard.
    Scatter,
    /// [`JoinTableBuilder::finish`].
    Finish,
}

/// A table under construction.
#[derive(Debug)]
pub struct JoinTableBuilder {
    table: JoinTable,
    rows: usize,
    collide: bool,
    phase: Option<Phase>,
    has_repeated: AtomicBool,
    placed: AtomicU64,
    /// Entries of each shard, and the sum of their slots' squares.
    shards: Box<[AtomicU32]>,
    compared: AtomicU64,
    shards_unique: AtomicBool,
}

impl JoinTableBuilder {
    /// For `rows` rows whose one-word keys, as signed integers, lie within `bounds` (`None`: unknown, or more words), built in that many
    /// `shards`. `collide` makes every hash equal.
    pub fn new(width: usize, bounds: Option<(i64, i64)>, rows: usize, shards: usize, collide: bool) -> Self {
        JoinTableBuilder {
            table: JoinTable {
                width,
                slots: choose_slots(width, bounds, rows, collide),
                direct: Box::default(),
                ends: Box::default(),
                rows: Box::default(),
                words: Box::default(),
                len: 0,
                is_unique: false,
            },
            rows,
            collide,
            phase: None,
            has_repeated: AtomicBool::new(false),
            placed: AtomicU64::new(0),
            shards: zeroed(shards.max(1)),
            compared: AtomicU64::new(0),
            shards_unique: AtomicBool::new(true),
        }
    }

    /// The phase that follows the one that was run last; lays out what it needs.
    pub fn advance(&mut self) -> Phase {
        let is_dense = matches!(self.table.slots, Slots::Dense { .. });
        let last = self.phase;
        let next = match last {
            None if is_dense => Phase::Place,
            None => Phase::Count,
            Some(Phase::Place) if self.is_direct() => Phase::Finish,
            Some(Phase::Count) if !self.is_uneven() => Phase::Scatter,
            Some(Phase::Place | Phase::Count) => Phase::Count,
            Some(Phase::Scatter | Phase::Finish) => Phase::Finish,
        };
        match (next, last) {
            (Phase::Place, _) => self.table.direct = zeroed(self.table.slots.count()),
            (Phase::Count, last) => {
                if last == Some(Phase::Count) {
                    self.table.slots = hash_slots(self.rows, self.collide);
                    self.compared = AtomicU64::new(0);
                }
                self.table.direct = Box::default();
                self.table.ends = zeroed(self.table.slots.count() + 1);
            }
            (Phase::Scatter, _) => {
                let entries = self.entries();
                self.table.rows = zeroed(entries);
                self.table.words =
                    zeroed_words(if self.table.slots.compares() { entries * self.table.width } else { 0 });
            }
            (Phase::Finish, _) => {}
        }
        self.phase = Some(next);
        next
    }

    /// Whether every row found a place of its own.
    fn is_direct(&mut self) -> bool {
        // Two threads that met in one slot may both have found it free; then fewer slots than rows are taken.
        let taken = || self.table.direct.iter().map(|slot| u64::from(slot.load(Relaxed) != 0)).sum::<u64>();
        let placed = self.placed.load(Relaxed);
        let is_direct = !self.has_repeated.load(Relaxed) && taken() == placed;
        if is_direct {
            (self.table.len, self.table.is_unique) = (placed as usize, true);
        }
        is_direct
    }

    fn is_uneven(&self) -> bool {
        let is_scaled = matches!(self.table.slots, Slots::Scaled { .. });
        is_scaled && self.compared.load(Relaxed) > SCALED_COMPARED_MAX * self.entries() as u64
    }

    fn entries(&self) -> usize {
        self.shards.iter().map(|s| s.load(Relaxed) as usize).sum()
    }

    /// [`Phase::Place`], for a part; stops early when keys repeat.
    pub fn place(&self, part: KeyPart) {
        let Slots::Dense { base, .. } = self.table.slots else { return };
        let mut placed = 0;
        for row in part.taking_part() {
            let slot = &self.table.direct[(part.words[row] as i64).wrapping_sub(base) as usize];
            if slot.load(Relaxed) != 0 {
                self.has_repeated.store(true, Relaxed);
            }
            slot.store(part.first_row + row as u32 + 1, Relaxed);
            placed += 1;
            if row % 1024 == 0 && self.has_repeated.load(Relaxed) {
                return;
            }
        }
        self.placed.fetch_add(placed, Relaxed);
    }

    /// [`Phase::Count`].
    pub fn count(&self, shard: usize, parts: &mut dyn Iterator<Item = KeyPart>) {
        let own = self.slots_of(shard);
        let (mut entries, mut compared) = (0, 0);
        for part in parts {
            self.each_of(&own, part, |slot, _, _| {
                let count = &self.table.ends[slot + 1];
                let before = count.load(Relaxed);
                count.store(before + 1, Relaxed);
                entries += 1;
                // Sums up to the sum of squares.
                compared += 2 * before as u64 + 1;
            });
        }
        self.shards[shard].store(entries, Relaxed);
        self.compared.fetch_add(compared, Relaxed);
    }

    /// [`Phase::Scatter`].
    pub fn scatter(&self, shard: usize, parts: &mut dyn Iterator<Item = KeyPart>) {
        let own = self.slots_of(shard);
        let first: u32 = self.shards[..shard].iter().map(|s| s.load(Relaxed)).sum();
        // Counts become starts; each entry moves its slot's on, to its end.
        own.clone().fold(first, |start, slot| start + self.table.ends[slot + 1].swap(start, Relaxed));
        let (width, keeps_words) = (self.table.width, !self.table.words.is_empty());
        for part in parts {
            self.each_of(&own, part, |slot, row, key| {
                let end = &self.table.ends[slot + 1];
                let entry = end.load(Relaxed);
                end.store(entry + 1, Relaxed);
                self.table.rows[entry as usize].store(row, Relaxed);
                if keeps_words {
                    let words = &self.table.words[entry as usize * width..(entry as usize + 1) * width];
                    words.iter().zip(key).for_each(|(to, &word)| to.store(word, Relaxed));
                }
            });
        }
        let ends = own.map(|slot| self.table.ends[slot + 1].load(Relaxed));
        if !self.table.has_single_keys(first, ends) {
            self.shards_unique.store(false, Relaxed);
        }
    }

    /// The finished table.
    pub fn finish(mut self) -> JoinTable {
        if self.table.direct.is_empty() {
            self.table.is_unique = self.shards_unique.load(Relaxed);
            self.table.len = self.entries();
        }
        self.table
    }

    /// All phases on this thread.
    pub fn build(mut self, parts: &[KeyPart]) -> JoinTable {
        loop {
            match self.advance() {
                Phase::Place => parts.iter().for_each(|&part| self.place(part)),
                Phase::Count => (0..self.shards.len()).for_each(|s| self.count(s, &mut parts.iter().copied())),
                Phase::Scatter => (0..self.shards.len()).for_each(|s| self.scatter(s, &mut parts.iter().copied())),
                Phase::Finish => return self.finish(),
            }
        }
    }

    fn slots_of(&self, shard: usize) -> Range<usize> {
        let (slots, shards) = (self.table.slots.count(), self.shards.len());
        slots * shard / shards..slots * (shard + 1) / shards
    }

    /// Calls `visit(slot, row, key)` for the rows of a part whose slot is in `own`.
    #[inline(always)]
    fn each_of(&self, own: &Range<usize>, part: KeyPart, mut visit: impl FnMut(usize, u32, &[u64])) {
        let (width, slots) = (self.table.width, self.table.slots);
        for row in part.taking_part() {
            let key = &part.words[row * width..(row + 1) * width];
            if let Some(slot) = slots.of(key).filter(|slot| own.contains(slot)) {
                visit(slot, part.first_row + row as u32, key);
            }
        }
    }
}

impl KeyPart<'_> {
    #[inline(always)]
    fn taking_part(&self) -> impl Iterator<Item = usize> {
        let valid = self.valid;
        (0..self.rows).filter(move |&row| valid.is_none_or(|bits| bits[row / 64] >> (row % 64) & 1 == 1))
    }
}

impl JoinTable {
    /// Most bytes that the table for such rows takes, also while it is built.
    pub fn bytes_at_most(width: usize, bounds: Option<(i64, i64)>, rows: usize, collide: bool) -> usize {
        let chosen = choose_slots(width, bounds, rows, collide);
        // Keys that crowd are hashed in the end.
        let slots = chosen.count().max(hash_slots(rows, collide).count()) + 1;
        let words = if matches!(chosen, Slots::One | Slots::Dense { .. }) { 0 } else { rows * width * 8 };
        (slots + rows) * 4 + words
    }

    /// Whether no slot holds a key twice; `ends` of consecutive slots of which the first starts at `start`.
    fn has_single_keys(&self, mut start: u32, mut ends: impl Iterator<Item = u32>) -> bool {
        ends.all(|end| {
            let entries = std::mem::replace(&mut start, end) as usize..end as usize;
            let differ = || entries.clone().all(|a| (a + 1..entries.end).all(|b| !self.are_equal(a, b)));
            entries.len() <= 1 || self.slots.compares() && entries.len() <= UNIQUE_SLOT_MAX && differ()
        })
    }

    fn are_equal(&self, a: usize, b: usize) -> bool {
        let words = |entry: usize| self.words[entry * self.width..(entry + 1) * self.width].iter();
        words(a).zip(words(b)).all(|(a, b)| a.load(Relaxed) == b.load(Relaxed))
    }
}

fn choose_slots(width: usize, bounds: Option<(i64, i64)>, rows: usize, collide: bool) -> Slots {
    match bounds {
        _ if width == 0 => Slots::One,
        Some((low, high)) if width == 1 && !collide => {
            let last = high.wrapping_sub(low) as u64;
            if is_dense(low, high, rows) {
                return Slots::Dense { base: low, last };
            }
            let shift = (64 - last.leading_zeros()).saturating_sub(slot_bits(rows));
            Slots::Scaled { base: low, last, shift }
        }
        _ => hash_slots(rows, collide),
    }
}

fn hash_slots(rows: usize, collide: bool) -> Slots {
    Slots::Hash { shift: if collide { 64 } else { 64 - slot_bits(rows) } }
}

/// About one slot a row.
fn slot_bits(rows: usize) -> u32 {
    rows.next_power_of_two().trailing_zeros().max(1)
}

fn is_dense(low: i64, high: i64, rows: usize) -> bool {
    let span = (high as i128 - low as i128 + 1) as u128;
    span <= DENSE_SLOTS_ALWAYS.max(DENSE_SLOTS_PER_ROW * rows as u128)
}

/// Zeros that the system gives page by page when they are first written, by whichever thread that is.
fn zeroed(len: usize) -> Box<[AtomicU32]> {
    // SAFETY: all bits zero is a valid `AtomicU32`.
    unsafe { Box::new_zeroed_slice(len).assume_init() }
}

fn zeroed_words(len: usize) -> Box<[AtomicU64]> {
    // SAFETY: all bits zero is a valid `AtomicU64`.
    unsafe { Box::new_zeroed_slice(len).assume_init() }
}
