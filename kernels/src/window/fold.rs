//! Aggregates over frames.
//!
//! Three ways, by what the aggregate allows:
//! 1. Exact sums and counts: prefix sums, a frame is a difference ([`count_in_frames`], [`sum_in_frames`]).
//! 2. Least and greatest: a deque of candidates that slides along ([`extreme_in_frames`]).
//! 3. Anything that merges: while a frame only grows, the running value goes on; short frames are folded anew; long ones that moved
//!    are put together from a segment tree ([`fold_frames`]), so that rounding stays that of a plain sum.

use std::collections::VecDeque;

use super::NO_ROW;
use super::frame::Frames;

/// Frames of at most this many rows are folded anew when they move.
const REFOLD_ROWS_MAX: u32 = 32;

/// A partial aggregate.
pub trait Fold: Copy {
    /// Of no row.
    const EMPTY: Self;
    /// Of the rows of both, `self`'s first.
    fn merge(self, other: Self) -> Self;
}

/// Number of counted rows in each frame; `counted` = bits, `None` = all rows count.
pub fn count_in_frames(frames: &Frames, counted: Option<&[u64]>, rows: usize) -> Vec<u64> {
    let Some(words) = counted else {
        return frames.starts.iter().zip(&frames.ends).map(|(s, e)| (e - s) as u64).collect();
    };
    let mut prefix = Vec::with_capacity(rows + 1);
    let mut count = 0u32;
    prefix.push(0);
    for row in 0..rows {
        count += (words[row / 64] >> (row % 64) & 1) as u32;
        prefix.push(count);
    }
    frames.starts.iter().zip(&frames.ends).map(|(&s, &e)| (prefix[e as usize] - prefix[s as usize]) as u64).collect()
}

/// Sum of the counted values in each frame, exact modulo 2¹²⁸.
pub fn sum_in_frames(frames: &Frames, counted: Option<&[u64]>, values: &[i128]) -> Vec<i128> {
    let mut prefix = Vec::with_capacity(values.len() + 1);
    let mut sum = 0i128;
    prefix.push(0);
    for (row, &value) in values.iter().enumerate() {
        if counted.is_none_or(|words| words[row / 64] >> (row % 64) & 1 == 1) {
            sum = sum.wrapping_add(value);
        }
        prefix.push(sum);
    }
    frames.starts.iter().zip(&frames.ends).map(|(&s, &e)| prefix[e as usize].wrapping_sub(prefix[s as usize])).collect()
}

/// The first row with the least (or greatest) key among the counted rows of each frame, [`NO_ROW`] when there is none.
/// `before(a, b)` tells whether row `a`'s key wins over row `b`'s.
pub fn extreme_in_frames(
    frames: &Frames,
    counted: impl Fn(u32) -> bool,
    before: impl Fn(u32, u32) -> bool,
) -> Vec<u32> {
    // Candidates in row order; each later one loses against every earlier one.
    let mut candidates: VecDeque<u32> = VecDeque::new();
    let mut next = 0;
    frames
        .starts
        .iter()
        .zip(&frames.ends)
        .map(|(&start, &end)| {
            while next < end {
                if counted(next) {
                    while candidates.back().is_some_and(|&last| before(next, last)) {
                        candidates.pop_back();
                    }
                    candidates.push_back(next);
                }
                next += 1;
            }
            while candidates.front().is_some_and(|&first| first < start) {
                candidates.pop_front();
            }
            candidates.front().copied().unwrap_or(NO_ROW)
        })
        .collect()
}

/// The merged folds of each frame's rows; `leaf(row)` is [`Fold::EMPTY`] for rows that do not count.
pub fn fold_frames<F: Fold>(frames: &Frames, rows: usize, leaf: impl Fn(u32) -> F) -> Vec<F> {
    let mut tree: Option<Vec<F>> = None;
    let (mut start, mut end, mut running) = (0, 0, F::EMPTY);
    frames
        .starts
        .iter()
        .zip(&frames.ends)
        .map(|(&s, &e)| {
            if s == start && e >= end {
                running = (end..e).fold(running, |sum, row| sum.merge(leaf(row)));
            } else if e - s <= REFOLD_ROWS_MAX {
                running = (s..e).fold(F::EMPTY, |sum, row| sum.merge(leaf(row)));
            } else {
                let tree = tree.get_or_insert_with(|| build_tree(rows, &leaf));
                running = query_tree(tree, rows, s as usize, e as usize);
            }
            (start, end) = (s, e);
            running
        })
        .collect()
}

/// As [`fold_frames`], each distinct value of a frame once: `ids[row]` identifies the row's value; rows that do not count have [`NO_ROW`].
pub fn fold_distinct_in_frames<F: Fold>(frames: &Frames, ids: &[u32], leaf: impl Fn(u32) -> F) -> Vec<F> {
    let distinct = ids.iter().filter(|&&id| id != NO_ROW).max().map_or(0, |&id| id as usize + 1);
    // The last frame in which each value was seen.
    let mut seen = vec![NO_ROW; distinct];
    let bounds = frames.starts.iter().zip(&frames.ends).enumerate();
    bounds
        .map(|(frame, (&start, &end))| {
            (start..end).fold(F::EMPTY, |sum, row| {
                let id = ids[row as usize];
                if id == NO_ROW || seen[id as usize] == frame as u32 {
                    return sum;
                }
                seen[id as usize] = frame as u32;
                sum.merge(leaf(row))
            })
        })
        .collect()
}

/// Bits of the rows that hold the first counted occurrence of their value since their partition's frames start; for frames that only grow,
/// these are the rows of a DISTINCT aggregate.
pub fn first_occurrences(partitions: &[u32], frames: &Frames, ids: &[u32]) -> Vec<u64> {
    let distinct = ids.iter().filter(|&&id| id != NO_ROW).max().map_or(0, |&id| id as usize + 1);
    let mut seen = vec![NO_ROW; distinct];
    let mut bits = vec![0u64; ids.len().div_ceil(64)];
    for (ordinal, partition) in super::ranges(partitions).enumerate() {
        for row in frames.starts[partition.start as usize]..partition.end {
            let id = ids[row as usize];
            if id != NO_ROW && seen[id as usize] != ordinal as u32 {
                seen[id as usize] = ordinal as u32;
                bits[row as usize / 64] |= 1 << (row % 64);
            }
        }
    }
    bits
}

/// Node n holds the fold of nodes 2n and 2n + 1; leaves are nodes rows..2 * rows.
fn build_tree<F: Fold>(rows: usize, leaf: &impl Fn(u32) -> F) -> Vec<F> {
    let mut tree = vec![F::EMPTY; 2 * rows];
    for row in 0..rows {
        tree[rows + row] = leaf(row as u32);
    }
    for node in (1..rows).rev() {
        tree[node] = tree[2 * node].merge(tree[2 * node + 1]);
    }
    tree
}

fn query_tree<F: Fold>(tree: &[F], rows: usize, start: usize, end: usize) -> F {
    let (mut low, mut high) = (start + rows, end + rows);
    let (mut left, mut right) = (F::EMPTY, F::EMPTY);
    while low < high {
        if low & 1 == 1 {
            left = left.merge(tree[low]);
            low += 1;
        }
        if high & 1 == 1 {
            high -= 1;
            right = tree[high].merge(right);
        }
        low /= 2;
        high /= 2;
    }
    left.merge(right)
}

/// Exact sum modulo 2¹²⁸ and how many values there were.
#[derive(Debug, Clone, Copy)]
pub struct IntegerSum {
    pub sum: i128,
    pub count: u64,
}

impl Fold for IntegerSum {
    const EMPTY: Self = IntegerSum { sum: 0, count: 0 };
    #[inline]
    fn merge(self, other: Self) -> Self {
        IntegerSum { sum: self.sum.wrapping_add(other.sum), count: self.count + other.count }
    }
}

/// Sum of floats and how many there were.
#[derive(Debug, Clone, Copy)]
pub struct FloatSum {
    pub sum: f64,
    pub count: u64,
}

impl Fold for FloatSum {
    const EMPTY: Self = FloatSum { sum: 0.0, count: 0 };
    #[inline]
    fn merge(self, other: Self) -> Self {
        FloatSum { sum: self.sum + other.sum, count: self.count + other.count }
    }
}

/// Count, mean and sum of squared deviations (Welford; merged as Chan et al.).
#[derive(Debug, Clone, Copy)]
pub struct Moments {
    pub count: f64,
    pub mean: f64,
    pub squares: f64,
}

impl Moments {
    /// Of one value.
    pub fn of(value: f64) -> Self {
        Moments { count: 1.0, mean: value, squares: 0.0 }
    }
}

impl Fold for Moments {
    const EMPTY: Self = Moments { count: 0.0, mean: 0.0, squares: 0.0 };
    #[inline]
    fn merge(self, other: Self) -> Self {
        if self.count == 0.0 {
            return other;
        }
        if other.count == 0.0 {
            return self;
        }
        let count = self.count + other.count;
        let delta = other.mean - self.mean;
        Moments {
            count,
            mean: self.mean + delta * other.count / count,
            squares: self.squares + other.squares + delta * delta * self.count * other.count / count,
        }
    }
}

/// Bits of `values` combined by AND (0), OR (1) or XOR (2), and how many values there were.
#[derive(Debug, Clone, Copy)]
pub struct Bits<const OPERATION: u8> {
    pub bits: u64,
    pub count: u64,
}

impl<const OPERATION: u8> Fold for Bits<OPERATION> {
    const EMPTY: Self = Bits { bits: if OPERATION == 0 { u64::MAX } else { 0 }, count: 0 };
    #[inline]
    fn merge(self, other: Self) -> Self {
        let bits = match OPERATION {
            0 => self.bits & other.bits,
            1 => self.bits | other.bits,
            _ => self.bits ^ other.bits,
        };
        Bits { bits, count: self.count + other.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::frame::{Bound, frame_by_rows};

    #[test]
    fn every_way_agrees_with_a_plain_fold() {
        let rows = 500usize;
        let values: Vec<i128> = (0..rows).map(|i| ((i * 7919) % 101) as i128 - 50).collect();
        let counted: Vec<u64> = (0..rows.div_ceil(64)).map(|w| 0xdead_beef_cafe_f00d ^ (w as u64 * 77)).collect();
        let is_counted = |row: u32| counted[row as usize / 64] >> (row % 64) & 1 == 1;
        let bounds = [
            Bound::UnboundedPreceding,
            Bound::Offset(-70),
            Bound::Offset(-2),
            Bound::Offset(0),
            Bound::Offset(3),
            Bound::Offset(90),
            Bound::UnboundedFollowing,
        ];
        for start in bounds {
            for end in bounds {
                let frames = frame_by_rows(&[0, 200, 201, rows as u32], start, end);
                let sums = sum_in_frames(&frames, Some(&counted), &values);
                let counts = count_in_frames(&frames, Some(&counted), rows);
                let least = extreme_in_frames(&frames, is_counted, |a, b| values[a as usize] < values[b as usize]);
                let floats = fold_frames(&frames, rows, |row| {
                    if is_counted(row) {
                        FloatSum { sum: values[row as usize] as f64, count: 1 }
                    } else {
                        FloatSum::EMPTY
                    }
                });
                for row in 0..rows {
                    let inside: Vec<u32> = (frames.starts[row]..frames.ends[row]).filter(|&r| is_counted(r)).collect();
                    let sum: i128 = inside.iter().map(|&r| values[r as usize]).sum();
                    assert_eq!((sums[row], counts[row]), (sum, inside.len() as u64));
                    assert_eq!((floats[row].sum, floats[row].count), (sum as f64, inside.len() as u64));
                    let expected = inside.iter().copied().min_by_key(|&r| values[r as usize]);
                    let least = Some(least[row]).filter(|&r| r != NO_ROW);
                    assert_eq!(
                        least.map(|r| values[r as usize]),
                        expected.map(|r| values[r as usize]),
                        "{start:?} {end:?} row {row}"
                    );
                }
            }
        }
    }

    #[test]
    fn moments_merge() {
        let values = [1.0, 4.0, 9.0, -3.0, 2.5];
        let all = values.iter().fold(Moments::EMPTY, |m, &v| m.merge(Moments::of(v)));
        let halves = values[..2]
            .iter()
            .fold(Moments::EMPTY, |m, &v| m.merge(Moments::of(v)))
            .merge(values[2..].iter().fold(Moments::EMPTY, |m, &v| m.merge(Moments::of(v))));
        let mean = values.iter().sum::<f64>() / 5.0;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        assert!((all.squares - squares).abs() < 1e-12 && (halves.squares - squares).abs() < 1e-12);
    }
}
