//! Window functions over sorted rows: ranks, frame bounds, navigation, and folds over frames. Called by the window operator.
//!
//! # Contract
//! Rows lie sorted by partition, then by order key. `partitions` and `peers` are ascending row numbers at which partitions and groups of
//! equal rows start, each followed by the number of rows: `n` groups are `n + 1` numbers, and every partition starts a peer group.
//! A frame is a half-open range of rows inside its row's partition, `starts[i]..ends[i]` with `starts[i] <= ends[i]`; both never
//! decrease from row to row. [`NO_ROW`] stands for a row that does not exist. Outputs are appended.

pub mod axis;
pub mod fold;
pub mod frame;
pub mod navigate;
pub mod rank;

/// A row number that means: none.
pub const NO_ROW: u32 = u32::MAX;

/// Ranges between consecutive numbers.
pub(crate) fn ranges(starts: &[u32]) -> impl Iterator<Item = std::ops::Range<u32>> + '_ {
    starts.windows(2).map(|w| w[0]..w[1])
}
