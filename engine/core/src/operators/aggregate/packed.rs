//! Several keys packed into one word: groups of few or narrow key columns, looked up like those of a single integer.
//!
//! Fields are as wide as the words seen so far need; when a batch brings wider ones, all groups are packed anew, and when 64 bits do not do the
//! keys are compared word by word instead.

use plasmon_kernels::group::WordTable;
use plasmon_kernels::pack::{Field, bounds, pack, unpack};

use crate::batch::{Bitmap, Column};

/// Groups by packed words.
#[derive(Default)]
pub(super) struct PackedTable {
    /// One field a key column, once there was a batch.
    fields: Vec<Field>,
    pub(super) table: WordTable,
}

/// The keys do not fit 64 bits together.
pub(super) struct TooWide;

impl PackedTable {
    /// The group of every row, appended to `out`; `words` are those of each key column.
    pub(super) fn find_or_insert(
        &mut self,
        words: &[Vec<u64>],
        keys: &[Column],
        rows: usize,
        out: &mut Vec<u32>,
    ) -> Result<(), TooWide> {
        self.fit(words, keys)?;
        let mut packed = vec![0u64; rows];
        for ((words, key), field) in words.iter().zip(keys).zip(&self.fields) {
            pack(words, key.validity().map(Bitmap::words), *field, &mut packed);
        }
        self.table.find_or_insert(&packed, out);
        Ok(())
    }

    /// Makes the fields hold these words too.
    fn fit(&mut self, words: &[Vec<u64>], keys: &[Column]) -> Result<(), TooWide> {
        let ranges = words.iter().zip(keys).enumerate().map(|(index, (words, key))| {
            let seen = bounds(words, key.validity().map(Bitmap::words));
            match (self.fields.get(index).map(range), seen) {
                (Some(held), Some(seen)) => (held.0.min(seen.0 as i128), held.1.max(seen.1 as i128)),
                (Some(held), None) => held,
                (None, Some(seen)) => (seen.0 as i128, seen.1 as i128),
                (None, None) => (0, 0),
            }
        });
        let ranges: Vec<(i128, i128)> = ranges.collect();
        if !self.fields.is_empty() && self.fields.iter().map(range).eq(ranges.iter().copied()) {
            return Ok(());
        }
        let mut shift = 0;
        let mut fields = Vec::with_capacity(ranges.len());
        for (min, max) in ranges {
            // One code more, for null.
            let bits = 128 - ((max - min + 1) as u128).leading_zeros();
            if shift + bits > 64 {
                return Err(TooWide);
            }
            fields.push(Field { base: min as i64 as u64, shift, bits });
            shift += bits;
        }
        let old = std::mem::replace(&mut self.fields, fields);
        if !self.table.words().is_empty() {
            self.repack(&old);
        }
        Ok(())
    }

    fn repack(&mut self, old: &[Field]) {
        let old_words = std::mem::take(&mut self.table);
        let repacked: Vec<u64> = old_words
            .words()
            .iter()
            .map(|&word| {
                let columns = old.iter().zip(&self.fields);
                columns.fold(0, |packed, (old, new)| {
                    let code = unpack(word, *old).map_or(0, |word| word.wrapping_sub(new.base).wrapping_add(1));
                    packed | code << new.shift
                })
            })
            .collect();
        // Distinct words get the groups 0, 1, 2, … again.
        self.table.find_or_insert(&repacked, &mut Vec::with_capacity(repacked.len()));
    }

    /// Words of the key columns of some groups, group after group, each group with a last word of null bits.
    pub(super) fn tuples(&self, groups: impl ExactSizeIterator<Item = usize>) -> Vec<u64> {
        let mut tuples = Vec::with_capacity(groups.len() * (self.fields.len() + 1));
        for group in groups {
            let packed = self.table.words()[group];
            let mut nulls = 0;
            for (index, field) in self.fields.iter().enumerate() {
                let word = unpack(packed, *field);
                nulls |= u64::from(word.is_none()) << index;
                tuples.push(word.unwrap_or(0));
            }
            tuples.push(nulls);
        }
        tuples
    }
}

/// Words that a field holds, as signed integers; a field that is as wide as the words holds all of them.
fn range(field: &Field) -> (i128, i128) {
    let min = field.base as i64 as i128;
    (min, min + (u64::MAX >> (64 - field.bits)) as i128 - 1)
}
