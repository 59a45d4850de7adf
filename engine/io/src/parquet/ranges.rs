//! Which rows of a row group are read.

use std::ops::Range;

/// Ascending ranges of rows that neither touch nor are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowRanges(Vec<Range<usize>>);

impl RowRanges {
    /// All of `rows` rows.
    pub(super) fn all(rows: usize) -> Self {
        RowRanges::of([0..rows])
    }

    /// Of ascending disjoint ranges; those that touch become one.
    pub(super) fn of(ranges: impl IntoIterator<Item = Range<usize>>) -> Self {
        let mut kept: Vec<Range<usize>> = Vec::new();
        for range in ranges.into_iter().filter(|r| !r.is_empty()) {
            match kept.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => kept.push(range),
            }
        }
        debug_assert!(kept.is_sorted_by(|a, b| a.end < b.start));
        RowRanges(kept)
    }

    /// Rows in all ranges.
    pub(super) fn rows(&self) -> usize {
        self.0.iter().map(|r| r.len()).sum()
    }

    /// Whether there is no row.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges.
    pub(super) fn iter(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.0.iter().cloned()
    }

    /// Whether some row lies in `range`.
    pub(super) fn overlap(&self, range: Range<usize>) -> bool {
        let next = self.0.partition_point(|r| r.end <= range.start);
        !range.is_empty() && self.0.get(next).is_some_and(|r| r.start < range.end)
    }

    /// The row that has `rows` of these before it; the end when there are not as many.
    pub(super) fn nth(&self, mut rows: usize) -> usize {
        for range in &self.0 {
            if rows < range.len() {
                return range.start + rows;
            }
            rows -= range.len();
        }
        self.0.last().map_or(0, |r| r.end)
    }

    /// The rows that both have.
    pub(super) fn intersect(&self, other: &RowRanges) -> RowRanges {
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut both = Vec::new();
        while let (Some(a), Some(b)) = (mine.peek(), theirs.peek()) {
            both.push(a.start.max(b.start)..a.end.min(b.end));
            if a.end <= b.end {
                mine.next().is_some()
            } else {
                theirs.next().is_some()
            };
        }
        RowRanges::of(both)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn from_bits(bits: &[bool]) -> RowRanges {
        RowRanges::of(bits.iter().enumerate().filter(|(_, bit)| **bit).map(|(row, _)| row..row + 1))
    }

    proptest! {
        #[test]
        fn ranges_are_sets_of_rows(pairs in proptest::collection::vec(any::<(bool, bool)>(), 0..40), from in 0usize..40, len in 0usize..9) {
            let (a, b): (Vec<bool>, Vec<bool>) = pairs.iter().copied().unzip();
            let both: Vec<bool> = pairs.iter().map(|(a, b)| *a && *b).collect();
            prop_assert_eq!(from_bits(&a).intersect(&from_bits(&b)), from_bits(&both));
            prop_assert_eq!(from_bits(&a).rows(), a.iter().filter(|a| **a).count());
            let within = a.iter().skip(from).take(len).any(|a| *a);
            let nth = (0..a.len()).filter(|&row| a[row]).nth(len);
            prop_assert!(nth.is_none() || nth == Some(from_bits(&a).nth(len)));
            prop_assert_eq!(from_bits(&a).overlap(from..from + len), within);
        }
    }
}
