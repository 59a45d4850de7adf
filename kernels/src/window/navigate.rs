//! Which other row a row looks at: lag, lead, first, last and nth value.

use super::frame::Frames;
use super::{NO_ROW, ranges};

/// The row `offset` rows after each row (before, when negative) in its partition.
pub fn shift_rows(partitions: &[u32], offset: i64, output: &mut Vec<u32>) {
    for partition in ranges(partitions) {
        let (low, high) = (partition.start as i64, partition.end as i64);
        output.extend((low..high).map(|row| {
            let target = row.saturating_add(offset);
            if (low..high).contains(&target) { target as u32 } else { NO_ROW }
        }));
    }
}

/// As [`shift_rows`], counting only valid rows: offset 1 is the next valid row after the row, −1 the last valid one before it; 0 is the row.
pub fn shift_valid_rows(partitions: &[u32], valid: &ValidRows, offset: i64, output: &mut Vec<u32>) {
    for partition in ranges(partitions) {
        output.extend(partition.clone().map(|row| {
            let ordinal = match offset {
                0 => return row,
                1.. => (valid.before(row + 1) as i64).saturating_add(offset - 1),
                _ => (valid.before(row) as i64).saturating_add(offset),
            };
            valid.at(ordinal).filter(|target| partition.contains(target)).unwrap_or(NO_ROW)
        }));
    }
}

/// The `n`th row of each frame (1-based; negative counts from the end; 0 = none).
pub fn nth_in_frames(frames: &Frames, n: i64, output: &mut Vec<u32>) {
    output.extend(frames.starts.iter().zip(&frames.ends).map(|(&start, &end)| {
        let target = match n {
            0 => return NO_ROW,
            1.. => (start as i64).saturating_add(n - 1),
            _ => (end as i64).saturating_add(n),
        };
        if (start as i64..end as i64).contains(&target) { target as u32 } else { NO_ROW }
    }));
}

/// The `n`th valid row of each frame, as [`nth_in_frames`].
pub fn nth_valid_in_frames(frames: &Frames, valid: &ValidRows, n: i64, output: &mut Vec<u32>) {
    output.extend(frames.starts.iter().zip(&frames.ends).map(|(&start, &end)| {
        let ordinal = match n {
            0 => return NO_ROW,
            1.. => (valid.before(start) as i64).saturating_add(n - 1),
            _ => (valid.before(end) as i64).saturating_add(n),
        };
        valid.at(ordinal).filter(|target| (start..end).contains(target)).unwrap_or(NO_ROW)
    }));
}

/// Which rows are valid, by row and by ordinal.
#[derive(Debug, Clone)]
pub struct ValidRows {
    /// Valid rows before each row, and in all.
    before: Vec<u32>,
    rows: Vec<u32>,
}

impl ValidRows {
    /// From validity bits of `len` rows; `None` = all valid.
    pub fn new(validity: Option<&[u64]>, len: usize) -> Self {
        let mut before = Vec::with_capacity(len + 1);
        let mut rows = Vec::new();
        for row in 0..len {
            before.push(rows.len() as u32);
            if validity.is_none_or(|words| words[row / 64] >> (row % 64) & 1 == 1) {
                rows.push(row as u32);
            }
        }
        before.push(rows.len() as u32);
        ValidRows { before, rows }
    }

    /// Valid rows among the first `row` rows.
    pub fn before(&self, row: u32) -> u32 {
        self.before[row as usize]
    }

    /// The valid row of an ordinal.
    pub fn at(&self, ordinal: i64) -> Option<u32> {
        usize::try_from(ordinal).ok().and_then(|o| self.rows.get(o).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifting_stops_at_partitions() {
        let mut output = Vec::new();
        shift_rows(&[0, 3, 5], -1, &mut output);
        assert_eq!(output, [NO_ROW, 0, 1, NO_ROW, 3]);
        output.clear();
        // Valid: 0, 2, 3.
        let valid = ValidRows::new(Some(&[0b01101]), 5);
        shift_valid_rows(&[0, 5], &valid, 1, &mut output);
        assert_eq!(output, [2, 2, 3, NO_ROW, NO_ROW]);
        output.clear();
        shift_valid_rows(&[0, 5], &valid, -2, &mut output);
        assert_eq!(output, [NO_ROW, NO_ROW, NO_ROW, 0, 2]);
    }

    #[test]
    fn nth_counts_from_both_ends() {
        let frames = Frames { starts: vec![0, 0, 2], ends: vec![1, 3, 2] };
        let mut output = Vec::new();
        nth_in_frames(&frames, 2, &mut output);
        nth_in_frames(&frames, -1, &mut output);
        assert_eq!(output, [NO_ROW, 1, NO_ROW, 0, 2, NO_ROW]);
        output.clear();
        let valid = ValidRows::new(Some(&[0b110]), 3);
        nth_valid_in_frames(&frames, &valid, 1, &mut output);
        nth_valid_in_frames(&frames, &valid, -1, &mut output);
        assert_eq!(output, [NO_ROW, 1, NO_ROW, NO_ROW, 2, NO_ROW]);
    }
}
