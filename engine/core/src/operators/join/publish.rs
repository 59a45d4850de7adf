//! Runtime filters from the build side's keys: the tightest form that is cheap to hold and to test.

use std::sync::{Arc, Mutex, MutexGuard};

use plasmon_kernels::bloom::{bloom_insert, bloom_shrink, bloom_word_count, bloom_words};

use crate::batch::{Column, Values};
use crate::error::Result;
use crate::memory::{Reservation, granted};
use crate::operators::runtime_filter::{KeyFilter, RuntimeFilter};
use crate::pipeline::{CancelToken, TaskContext};

/// A key of the build side, and where its filter is published.
pub(super) type Publish = (usize, Arc<RuntimeFilter>);

/// Most bits of an exact bitmap: 64 MB.
const BITMAP_BITS_MAX: u64 = 1 << 29;
/// A bitmap may have this many bits per key …
const BITMAP_BITS_PER_KEY: u64 = 256;
/// … or always up to this many in all: 4 MB, within the caches of one core pair.
const BITMAP_BITS_ALWAYS: u64 = 1 << 25;
/// Keys of a Bloom filter, which then takes 32 to 64 MB: testing a larger one costs more than the join that it spares.
const BLOOM_KEYS_MAX: u64 = 1 << 24;
/// With fewer bits a key, most values pass, and testing them is not worth it.
const SKETCH_BITS_PER_KEY: u64 = 3;
/// Of the rows' bytes, the part that sketches may take from them.
const SKETCH_SHARE: usize = 4;
/// Memory of all sketches while rows arrive, in floors ([`crate::memory::MemoryBudget::floor`]), which are a sixty-fourth of all; then they shrink …
const SKETCH_FLOORS: usize = 16;
/// … and most and least bytes of one.
const SKETCH_BYTES: std::ops::RangeInclusive<usize> = 16 << 10..=16 << 20;

/// Of one key's columns, those of all `rows` rows of the build side; `has_room` says whether there is memory for so many bytes.
pub(super) fn key_filter(
    columns: &[Column],
    rows: usize,
    cancel: &CancelToken,
    has_room: impl FnOnce(usize) -> Result<bool>,
) -> Result<KeyFilter> {
    if rows == 0 {
        return Ok(KeyFilter::Empty);
    }
    let (mut min, mut max, mut keys) = (i64::MAX, i64::MIN, 0u64);
    let mut integers = true;
    each_key_of(columns, cancel, &mut integers, |value| {
        min = min.min(value);
        max = max.max(value);
        keys += 1;
    })?;
    match (integers, keys) {
        (false, _) => return Ok(KeyFilter::All),
        (true, 0) => return Ok(KeyFilter::Empty),
        _ => {}
    }
    let span = max.wrapping_sub(min) as u64;
    let is_dense = span < BITMAP_BITS_ALWAYS.max(keys.saturating_mul(BITMAP_BITS_PER_KEY)).min(BITMAP_BITS_MAX);
    let words = if is_dense { (span / 64 + 1) as usize } else { bloom_word_count(keys as usize) };
    // A filter is worth having, not worth spilling for.
    if !is_dense && keys > BLOOM_KEYS_MAX || !has_room(words * size_of::<u64>())? {
        return Ok(KeyFilter::Range { min, max });
    }
    if is_dense {
        let mut bits = vec![0u64; words];
        each_key_of(columns, cancel, &mut integers, |value| {
            let bit = value.wrapping_sub(min) as u64;
            bits[(bit / 64) as usize] |= 1 << (bit % 64);
        })?;
        return Ok(KeyFilter::Bitmap { min, max, bits });
    }
    let mut words = bloom_words(keys as usize);
    each_key_of(columns, cancel, &mut integers, |value| bloom_insert(&mut words, value))?;
    Ok(KeyFilter::Bloom { min, max, words })
}

/// What is known of the keys of a build side of which rows go to disk, one sketch a filter; all workers share them.
#[derive(Debug, Default)]
pub(super) struct Sketches {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None` = nothing has gone to disk yet.
    all: Option<Vec<KeySketch>>,
    /// For the Bloom filters, as long as somebody may read them.
    reservation: Option<Reservation>,
}

/// One key's columns as they pass on their way to disk: bounds, and a Bloom filter of a fixed size, since nobody knows how many keys will come.
#[derive(Debug, Default)]
struct KeySketch {
    bounds: Option<(i64, i64)>,
    /// Some key is no integer.
    is_other: bool,
    keys: u64,
    /// Empty = there was no room.
    words: Vec<u64>,
}

impl Sketches {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Bytes that [`Sketches::make`] can do with, where all rows take `rows` bytes.
    pub(super) fn missing(&self, publishes: &[Publish], rows: usize, task: &TaskContext) -> usize {
        if self.state().all.is_some() {
            return 0;
        }
        publishes.len() * sketch_bytes(publishes.len(), task).min(rows / SKETCH_SHARE)
    }

    /// Makes them, if nobody has: with Bloom filters as large as there is room for.
    pub(super) fn make(&self, publishes: &[Publish], task: &TaskContext) -> Result<()> {
        let mut state = self.state();
        if state.all.is_some() {
            return Ok(());
        }
        let count = publishes.len();
        let reservation = task.memory.reservation("Join filter");
        let mut bytes = sketch_bytes(count, task);
        while bytes > 0 && !granted(reservation.grow(bytes * count))? {
            bytes = if bytes > *SKETCH_BYTES.start() { bytes / 2 } else { 0 };
        }
        let sketch = || KeySketch { words: vec![0; bytes / 8], ..Default::default() };
        *state =
            State { all: Some(std::iter::repeat_with(sketch).take(count).collect()), reservation: Some(reservation) };
        Ok(())
    }

    /// Adds a batch's keys.
    pub(super) fn add(&self, publishes: &[Publish], keys: &[Column]) {
        let mut state = self.state();
        let sketches = state.all.iter_mut().flatten();
        publishes.iter().zip(sketches).for_each(|((key, _), sketch)| sketch.add(&keys[*key]));
    }

    /// Publishes the filters: all keys were added.
    pub(super) fn publish(&self, publishes: &[Publish]) {
        let mut state = self.state();
        let State { all, reservation } = &mut *state;
        let mut kept = 0;
        for ((_, filter), sketch) in publishes.iter().zip(all.iter_mut().flatten()) {
            let keys = sketch.filter();
            if let KeyFilter::Bloom { words, .. } = &keys {
                kept += 8 * words.len();
            }
            filter.publish(keys);
        }
        if let Some(reservation) = reservation {
            reservation.shrink(reservation.held().saturating_sub(kept));
        }
    }
}

impl KeySketch {
    fn add(&mut self, column: &Column) {
        let mut integers = true;
        let KeySketch { bounds, keys, words, .. } = self;
        each_key(column, &mut integers, |value| {
            let (min, max) = bounds.unwrap_or((value, value));
            *bounds = Some((min.min(value), max.max(value)));
            *keys += 1;
            if !words.is_empty() {
                bloom_insert(words, value);
            }
        });
        self.is_other |= !integers;
    }

    /// The filter, as small as it may be.
    fn filter(&mut self) -> KeyFilter {
        let mut words = std::mem::take(&mut self.words);
        match (self.is_other, self.bounds) {
            (true, _) => KeyFilter::All,
            (false, None) => KeyFilter::Empty,
            (false, Some((min, max))) if (words.len() as u64) * 64 < self.keys * SKETCH_BITS_PER_KEY => {
                KeyFilter::Range { min, max }
            }
            (false, Some((min, max))) => {
                bloom_shrink(&mut words, self.keys as usize);
                KeyFilter::Bloom { min, max, words }
            }
        }
    }
}

/// Most bytes of each of `count` Bloom filters of keys that go to disk. A key takes a byte or less, and keeps probe rows of many bytes off the disk.
fn sketch_bytes(count: usize, task: &TaskContext) -> usize {
    let bytes = (SKETCH_FLOORS * task.memory.floor() / count.max(1)).clamp(8, *SKETCH_BYTES.end());
    1 << bytes.ilog2()
}

/// As [`each_key`], of many columns, unless the query is stopped.
fn each_key_of(
    columns: &[Column],
    cancel: &CancelToken,
    integers: &mut bool,
    mut visit: impl FnMut(i64),
) -> Result<()> {
    for column in columns {
        cancel.check()?;
        each_key(column, integers, &mut visit);
    }
    Ok(())
}

/// Calls `visit` for every valid integer key; clears `integers` when the keys are of another kind.
fn each_key(column: &Column, integers: &mut bool, mut visit: impl FnMut(i64)) {
    let mut each = |row: usize, value: i64| {
        if column.is_valid(row) {
            visit(value);
        }
    };
    match column.flat_values() {
        Values::Int64(v) => v.iter().enumerate().for_each(|(row, &x)| each(row, x)),
        Values::Int32(v) => v.iter().enumerate().for_each(|(row, &x)| each(row, x as i64)),
        Values::Int16(v) => v.iter().enumerate().for_each(|(row, &x)| each(row, x as i64)),
        Values::Int8(v) => v.iter().enumerate().for_each(|(row, &x)| each(row, x as i64)),
        _ => *integers = false,
    }
}
