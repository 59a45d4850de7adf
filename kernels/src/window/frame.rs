//! Where each row's frame starts and ends.

use super::ranges;

/// One end of a frame, counted in rows or peer groups: negative = preceding, 0 = current, positive = following.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    UnboundedPreceding,
    Offset(i64),
    UnboundedFollowing,
}

/// Frames of all rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frames {
    pub starts: Vec<u32>,
    pub ends: Vec<u32>,
}

impl Frames {
    /// Adds a frame, made empty when it ends before it starts.
    #[inline(always)]
    fn push(&mut self, start: u32, end: u32) {
        self.starts.push(start);
        self.ends.push(end.max(start));
    }

    /// Whether every frame starts where its partition's first frame does, so that it only grows.
    pub fn only_grow(&self, partitions: &[u32]) -> bool {
        ranges(partitions).all(|p| {
            let starts = &self.starts[p.start as usize..p.end as usize];
            starts.first().is_none_or(|first| starts.iter().all(|s| s == first))
        })
    }
}

/// Frames counted in rows.
pub fn frame_by_rows(partitions: &[u32], start: Bound, end: Bound) -> Frames {
    let mut frames = Frames::default();
    for partition in ranges(partitions) {
        let (low, high) = (partition.start as i64, partition.end as i64);
        for row in low..high {
            let first = match start {
                Bound::UnboundedPreceding => low,
                Bound::Offset(offset) => row.saturating_add(offset).clamp(low, high),
                Bound::UnboundedFollowing => high,
            };
            let last = match end {
                Bound::UnboundedPreceding => low,
                Bound::Offset(offset) => row.saturating_add(offset).saturating_add(1).clamp(low, high),
                Bound::UnboundedFollowing => high,
            };
            frames.push(first as u32, last as u32);
        }
    }
    frames
}

/// Frames counted in peer groups; offset 0 is the row's own group.
pub fn frame_by_groups(partitions: &[u32], peers: &[u32], start: Bound, end: Bound) -> Frames {
    let mut frames = Frames::default();
    let mut first_group = 0;
    for partition in ranges(partitions) {
        let groups = peers[first_group..].iter().take_while(|&&p| p < partition.end).count();
        // Starts of this partition's groups, and its end.
        let starts = &peers[first_group..=first_group + groups];
        for group in 0..groups {
            let at = |offset: i64| (group as i64).saturating_add(offset).clamp(0, groups as i64) as usize;
            let first = match start {
                Bound::UnboundedPreceding => partition.start,
                Bound::Offset(offset) => starts[at(offset)],
                Bound::UnboundedFollowing => partition.end,
            };
            let last = match end {
                Bound::UnboundedPreceding => partition.start,
                Bound::Offset(offset) => starts[at(offset.saturating_add(1))],
                Bound::UnboundedFollowing => partition.end,
            };
            (starts[group]..starts[group + 1]).for_each(|_| frames.push(first, last));
        }
        first_group += groups;
    }
    frames
}

/// Frames by distance on an axis: the order key's values, ascending within each partition (negated by the caller when the key descends).
#[derive(Debug, Clone, Copy)]
pub struct Axis<'a> {
    /// Position of each row.
    pub positions: &'a [i128],
    /// Rows whose key is null, in bits: they lie at one end of each partition and see only each other through a distance.
    pub nulls: Option<&'a [u64]>,
}

/// One end of a frame by distance.
#[derive(Debug, Clone, Copy)]
pub enum RangeBound<'a> {
    UnboundedPreceding,
    /// The row's peers.
    CurrentRow,
    /// The point on the axis up to which each row's frame reaches, inclusive; ascending within each partition's non-null rows.
    Reach(&'a [i128]),
    UnboundedFollowing,
}

/// Frames by distance.
pub fn frame_by_range(
    partitions: &[u32],
    peers: &[u32],
    axis: Axis<'_>,
    start: RangeBound<'_>,
    end: RangeBound<'_>,
) -> Frames {
    let mut starts = Vec::with_capacity(axis.positions.len());
    let mut ends = Vec::with_capacity(axis.positions.len());
    let mut first_group = 0;
    for partition in ranges(partitions) {
        let groups = peers[first_group..].iter().take_while(|&&p| p < partition.end).count();
        let group_starts = &peers[first_group..=first_group + groups];
        let is_null = |row: u32| axis.nulls.is_some_and(|words| words[row as usize / 64] >> (row % 64) & 1 == 1);
        let first_value = partition.clone().find(|&r| !is_null(r)).unwrap_or(partition.end);
        let last_value = partition.clone().rev().find(|&r| !is_null(r)).map_or(first_value, |r| r + 1);
        let (mut low, mut high) = (first_value, first_value);
        for group in 0..groups {
            let (group_start, group_end) = (group_starts[group], group_starts[group + 1]);
            for row in group_start..group_end {
                starts.push(match start {
                    RangeBound::UnboundedPreceding => partition.start,
                    RangeBound::UnboundedFollowing => partition.end,
                    RangeBound::Reach(reach) if !is_null(row) => {
                        while low < last_value && axis.positions[low as usize] < reach[row as usize] {
                            low += 1;
                        }
                        low
                    }
                    RangeBound::CurrentRow | RangeBound::Reach(_) => group_start,
                });
                ends.push(match end {
                    RangeBound::UnboundedPreceding => partition.start,
                    RangeBound::UnboundedFollowing => partition.end,
                    RangeBound::Reach(reach) if !is_null(row) => {
                        while high < last_value && axis.positions[high as usize] <= reach[row as usize] {
                            high += 1;
                        }
                        high
                    }
                    RangeBound::CurrentRow | RangeBound::Reach(_) => group_end,
                });
            }
        }
        first_group += groups;
    }
    ends.iter_mut().zip(&starts).for_each(|(end, start)| *end = (*end).max(*start));
    Frames { starts, ends }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(frames: &Frames) -> Vec<(u32, u32)> {
        frames.starts.iter().copied().zip(frames.ends.iter().copied()).collect()
    }

    #[test]
    fn rows_stay_in_their_partition() {
        let frames = frame_by_rows(&[0, 3, 5], Bound::Offset(-1), Bound::Offset(1));
        assert_eq!(pairs(&frames), [(0, 2), (0, 3), (1, 3), (3, 5), (3, 5)]);
        let after = frame_by_rows(&[0, 3], Bound::Offset(1), Bound::Offset(i64::MAX));
        assert_eq!(pairs(&after), [(1, 3), (2, 3), (3, 3)]);
        let reversed = frame_by_rows(&[0, 2], Bound::Offset(1), Bound::Offset(-1));
        assert!(pairs(&reversed).iter().all(|(s, e)| s == e));
    }

    #[test]
    fn groups_take_all_peers() {
        let frames = frame_by_groups(&[0, 4, 5], &[0, 2, 3, 4, 5], Bound::Offset(-1), Bound::Offset(0));
        assert_eq!(pairs(&frames), [(0, 2), (0, 2), (0, 3), (2, 4), (4, 5)]);
    }

    #[test]
    fn ranges_reach_by_value_and_nulls_see_nulls() {
        // One null, then 1, 2, 4, 4, 9; two before and one after.
        let positions = [0, 1, 2, 4, 4, 9];
        let (reach_back, reach_ahead): (Vec<i128>, Vec<i128>) = positions.iter().map(|p| (p - 2, p + 1)).unzip();
        let axis = Axis { positions: &positions, nulls: Some(&[1]) };
        let frames = frame_by_range(
            &[0, 6],
            &[0, 1, 2, 3, 5, 6],
            axis,
            RangeBound::Reach(&reach_back),
            RangeBound::Reach(&reach_ahead),
        );
        assert_eq!(pairs(&frames), [(0, 1), (1, 3), (1, 3), (2, 5), (2, 5), (5, 6)]);
        let to_peers =
            frame_by_range(&[0, 6], &[0, 1, 2, 3, 5, 6], axis, RangeBound::UnboundedPreceding, RangeBound::CurrentRow);
        assert_eq!(to_peers.ends, [1, 2, 3, 5, 5, 6]);
        assert!(to_peers.only_grow(&[0, 6]));
        assert!(!frames.only_grow(&[0, 6]));
    }
}
