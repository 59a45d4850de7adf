//! Filters that appear while a query runs: a join's build keys for the probe side's scan, a top-N's threshold for its scan.
//!
//! A filter object is sealed before it is published and immutable afterwards; a scan that sees none yet reads unfiltered. What it holds is reserved as
//! long as the filter lives.

use std::sync::{Arc, OnceLock, RwLock};

use plasmon_kernels::bloom::bloom_may_contain;

use crate::expression::Scalar;
use crate::memory::Reservation;

/// The place where a build side publishes its keys.
#[derive(Debug, Default)]
pub struct RuntimeFilter {
    keys: OnceLock<Arc<KeyFilter>>,
    /// For the keys.
    held: OnceLock<Reservation>,
}

/// What is known of the build side's non-null keys: one column of integers (dates, decimals by unscaled 64-bit value).
#[derive(Debug)]
pub enum KeyFilter {
    /// No key: nothing can match.
    Empty,
    /// Exact: bit `key - min` of `bits` tells whether `key` is present; outside `min..=max` nothing is.
    Bitmap { min: i64, max: i64, bits: Vec<u64> },
    /// Superset: keys lie in `min..=max`.
    Range { min: i64, max: i64 },
    /// Superset: keys lie in `min..=max` and pass a filter of `plasmon_kernels::bloom`.
    Bloom { min: i64, max: i64, words: Vec<u64> },
    /// Everything may match (the build side is too large or too dense to filter).
    All,
}

impl RuntimeFilter {
    /// An unpublished filter.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Publishes the sealed keys; the first publication stays.
    pub fn publish(&self, keys: KeyFilter) {
        let _ = self.keys.set(Arc::new(keys));
    }

    /// As [`RuntimeFilter::publish`], of keys that another filter holds.
    pub fn publish_shared(&self, keys: Arc<KeyFilter>) {
        let _ = self.keys.set(keys);
    }

    /// As [`RuntimeFilter::publish`], with the token for what the keys take.
    pub fn publish_held(&self, keys: KeyFilter, held: Reservation) {
        let _ = self.held.set(held);
        self.publish(keys);
    }

    /// Bytes that are reserved for the keys.
    pub fn reserved_bytes(&self) -> usize {
        self.held.get().map_or(0, Reservation::held)
    }

    /// The keys, once published.
    pub fn keys(&self) -> Option<&Arc<KeyFilter>> {
        self.keys.get()
    }
}

impl KeyFilter {
    /// Whether an integer key may be present.
    #[inline]
    pub fn may_contain(&self, key: i64) -> bool {
        match self {
            KeyFilter::Empty => false,
            KeyFilter::Bitmap { min, max, bits } => {
                key >= *min && key <= *max && {
                    let bit = key.wrapping_sub(*min) as u64;
                    bits[(bit / 64) as usize] >> (bit % 64) & 1 == 1
                }
            }
            KeyFilter::Range { min, max } => key >= *min && key <= *max,
            KeyFilter::Bloom { min, max, words } => key >= *min && key <= *max && bloom_may_contain(words, key),
            KeyFilter::All => true,
        }
    }

    /// Whether any integer key within `min..=max` may be present (for row groups and pages).
    pub fn may_overlap(&self, low: i64, high: i64) -> bool {
        match self {
            KeyFilter::Empty => false,
            KeyFilter::All => true,
            KeyFilter::Range { min, max } | KeyFilter::Bitmap { min, max, .. } | KeyFilter::Bloom { min, max, .. }
                if high < *min || low > *max =>
            {
                false
            }
            KeyFilter::Range { .. } | KeyFilter::Bloom { .. } => true,
            KeyFilter::Bitmap { min, max, bits } => {
                let (from, to) = (low.max(*min).wrapping_sub(*min) as u64, high.min(*max).wrapping_sub(*min) as u64);
                (from / 64..=to / 64).any(|word| {
                    let below = if word == from / 64 { u64::MAX << (from % 64) } else { u64::MAX };
                    let above = if word == to / 64 { u64::MAX >> (63 - to % 64) } else { u64::MAX };
                    bits[word as usize] & below & above != 0
                })
            }
        }
    }
}

/// The worst row that a top-N still wants, by its first sort key; only ever tightens.
#[derive(Debug)]
pub struct TopNThreshold {
    pub descending: bool,
    pub nulls_first: bool,
    value: RwLock<Option<Scalar>>,
}

impl TopNThreshold {
    /// No threshold yet.
    pub fn new(descending: bool, nulls_first: bool) -> Arc<Self> {
        Arc::new(TopNThreshold { descending, nulls_first, value: RwLock::new(None) })
    }

    /// The current threshold: rows whose first key sorts strictly after it are not wanted.
    pub fn value(&self) -> Option<Scalar> {
        self.value.read().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Replaces the threshold; the caller has checked that `value` is tighter.
    pub fn tighten(&self, value: Scalar) {
        *self.value.write().unwrap_or_else(|e| e.into_inner()) = Some(value);
    }
}
