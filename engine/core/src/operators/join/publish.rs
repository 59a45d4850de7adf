//! Runtime filters from the build side's keys: the tightest form that is cheap to hold and to test.

use plasmon_kernels::bloom::{bloom_insert, bloom_words};

use crate::batch::{Column, Values};
use crate::operators::runtime_filter::KeyFilter;

/// Most bits of an exact bitmap: 64 MB.
const BITMAP_BITS_MAX: u64 = 1 << 29;
/// A bitmap may have this many bits per key …
const BITMAP_BITS_PER_KEY: u64 = 256;
/// … or always up to this many in all: 4 MB, within the caches of one core pair.
const BITMAP_BITS_ALWAYS: u64 = 1 << 25;
/// Keys of a Bloom filter, which then takes 32 to 64 MB: testing a larger one costs more than the join that it spares.
const BLOOM_KEYS_MAX: u64 = 1 << 24;

/// Of one key's columns, those of all `rows` rows of the build side.
pub(super) fn key_filter(columns: &[Column], rows: usize) -> KeyFilter {
    if rows == 0 {
        return KeyFilter::Empty;
    }
    let (mut min, mut max, mut keys) = (i64::MAX, i64::MIN, 0u64);
    let mut integers = true;
    each_key(columns, &mut integers, |value| {
        min = min.min(value);
        max = max.max(value);
        keys += 1;
    });
    match (integers, keys) {
        (false, _) => return KeyFilter::All,
        (true, 0) => return KeyFilter::Empty,
        _ => {}
    }
    let span = max.wrapping_sub(min) as u64;
    if span < BITMAP_BITS_ALWAYS.max(keys.saturating_mul(BITMAP_BITS_PER_KEY)).min(BITMAP_BITS_MAX) {
        let mut bits = vec![0u64; (span / 64 + 1) as usize];
        each_key(columns, &mut integers, |value| {
            let bit = value.wrapping_sub(min) as u64;
            bits[(bit / 64) as usize] |= 1 << (bit % 64);
        });
        return KeyFilter::Bitmap { min, max, bits };
    }
    if keys > BLOOM_KEYS_MAX {
        return KeyFilter::Range { min, max };
    }
    let mut words = bloom_words(keys as usize);
    each_key(columns, &mut integers, |value| bloom_insert(&mut words, value));
    KeyFilter::Bloom { min, max, words }
}

/// Bounds of keys that are not all in memory.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyRange {
    bounds: Option<(i64, i64)>,
    /// Some key is no integer.
    is_other: bool,
}

impl KeyRange {
    pub(super) fn add(&mut self, column: &Column) {
        let mut integers = true;
        let bounds = &mut self.bounds;
        each_key(std::slice::from_ref(column), &mut integers, |value| {
            let (min, max) = bounds.unwrap_or((value, value));
            *bounds = Some((min.min(value), max.max(value)));
        });
        self.is_other |= !integers;
    }

    pub(super) fn merge(&mut self, other: &KeyRange) {
        self.is_other |= other.is_other;
        self.bounds = match (self.bounds, other.bounds) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
    }

    pub(super) fn filter(&self) -> KeyFilter {
        match (self.is_other, self.bounds) {
            (true, _) => KeyFilter::All,
            (false, None) => KeyFilter::Empty,
            (false, Some((min, max))) => KeyFilter::Range { min, max },
        }
    }
}

/// Calls `visit` for every valid integer key; clears `integers` when the keys are of another kind.
fn each_key(columns: &[Column], integers: &mut bool, mut visit: impl FnMut(i64)) {
    for column in columns {
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
}
