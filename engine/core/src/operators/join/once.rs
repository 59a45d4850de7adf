//! Rows of a side that matters by its keys alone, each key once: for semi, anti and mark joins without further condition.
//!
//! Keys are compared when rows go to disk or are cut to go there, a cut at a time. One key in many rows then takes next to nothing; keys that hardly repeat
//! cost a look at some of their hashes.

use arrow_schema::DataType;
use plasmon_kernels::group::{TupleTable, WordTable};

use super::JoinSpec;
use crate::batch::{Bitmap, Column};
use crate::error::Result;
use crate::operators::key::KeyEncoder;

/// Hashes that tell whether keys repeat …
const SAMPLE: usize = 2_048;
/// … and the part of them that must be of keys which are there already.
const REPEATED_SHARE: usize = 8;
/// Rows that are compared at a time: their words take memory.
const STEP_ROWS: usize = 1_024;

/// Of which side only the keys matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeysAlone {
    Probe,
    Build,
    Neither,
}

impl KeysAlone {
    pub(super) fn of(spec: &JoinSpec) -> Self {
        match spec.residual.is_none() && !spec.left_keys.is_empty() {
            true if spec.kind.is_right_only() => KeysAlone::Probe,
            true if spec.kind.is_left_only() => KeysAlone::Build,
            _ => KeysAlone::Neither,
        }
    }
}

/// The rows that are the first of their key, where keys, of these types, repeat; `None` = all rows: keys hardly do. Nulls equal nulls. `hashes` are of the keys.
pub(super) fn first_of_each(
    keys: &[Column],
    types: &[DataType],
    hashes: &[u64],
    collide: bool,
) -> Result<Option<Bitmap>> {
    if !repeat(hashes) {
        return Ok(None);
    }
    let mut encoder = KeyEncoder::with_nulls(types, collide, true)?;
    let mut seen = TupleTable::new(encoder.width(), collide);
    let (mut is_first, mut groups) = (Vec::with_capacity(hashes.len()), Vec::new());
    for start in (0..hashes.len()).step_by(STEP_ROWS) {
        let rows = STEP_ROWS.min(hashes.len() - start);
        let columns: Vec<Column> = keys.iter().map(|key| key.slice(start, rows)).collect();
        let mut next = seen.len() as u32;
        groups.clear();
        seen.find_or_insert(&encoder.encode(&columns, rows)?.words, &mut groups);
        is_first.extend(groups.iter().map(|&group| {
            let is_new = group == next;
            next += u32::from(is_new);
            is_new
        }));
    }
    Ok(Some(Bitmap::from_bools(is_first.into_iter())))
}

/// Whether many rows have keys that others have.
fn repeat(hashes: &[u64]) -> bool {
    let sample: Vec<u64> = hashes.iter().copied().step_by(hashes.len().div_ceil(SAMPLE).max(1)).collect();
    let (mut table, mut groups) = (WordTable::default(), Vec::new());
    table.find_or_insert(&sample, &mut groups);
    (sample.len() - table.words().len()) * REPEATED_SHARE >= sample.len().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Encoding, Values};
    use crate::operators::key_hash::hash_keys;

    fn first(values: Vec<i64>, valid: Option<Bitmap>, collide: bool) -> Option<Vec<bool>> {
        let keys = [Column::new(Encoding::Flat(Values::Int64(values.into())), valid)];
        let rows = keys[0].len();
        let hashes = if collide { vec![0; rows] } else { hash_keys(&keys, rows) };
        let first = first_of_each(&keys, &[DataType::Int64], &hashes, collide).unwrap();
        first.map(|first| (0..rows).map(|row| first.get(row)).collect())
    }

    #[test]
    fn a_repeated_key_is_there_once() {
        for collide in [false, true] {
            assert_eq!(first(vec![7, 7, 8, 7, 9], None, collide).unwrap(), [true, false, true, false, true]);
            let valid = Bitmap::from_bools([true, false, false, true].into_iter());
            assert_eq!(first(vec![0, 0, 5, 0], Some(valid), collide).unwrap(), [true, true, false, false]);
            assert_eq!(first(vec![], None, collide), None);
        }
    }

    #[test]
    fn keys_that_hardly_repeat_are_left() {
        let values: Vec<i64> = (0..5_000).map(|value| value % 4_900).collect();
        assert_eq!(first(values.clone(), None, false), None);
        // All hashes are alike then: every key is compared.
        assert_eq!(first(values, None, true).unwrap().into_iter().filter(|first| *first).count(), 4_900);
    }
}
