//! Sorting and top-N: what is asked.

use std::sync::Arc;

use arrow_schema::DataType;

use super::runtime_filter::TopNThreshold;
use crate::expression::SortKey;

/// A total order of the input, cut to the first rows when `fetch` is given.
#[derive(Debug, Clone)]
pub struct SortSpec {
    /// Most significant first; at least one.
    pub keys: Vec<SortKey>,
    /// Rows to give after `offset`; `None` = all. Small values are kept in a heap (top-N).
    pub fetch: Option<usize>,
    /// Rows to skip first.
    pub offset: usize,
    /// Column types of the input, which are those of the output.
    pub types: Vec<DataType>,
    /// Where a top-N publishes its worst kept first key.
    pub threshold: Option<Arc<TopNThreshold>>,
}
