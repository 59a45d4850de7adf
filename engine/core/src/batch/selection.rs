//! Which rows of a batch count: ascending positions.

use std::sync::Arc;

/// Ascending, distinct row positions of a batch; cheap to clone and slice.
#[derive(Debug, Clone)]
pub struct Selection {
    positions: Arc<Vec<u16>>,
    offset: usize,
    len: usize,
}

impl Selection {
    /// From ascending distinct positions.
    pub fn new(positions: Vec<u16>) -> Self {
        debug_assert!(positions.is_sorted_by(|a, b| a < b));
        let len = positions.len();
        Selection { positions: Arc::new(positions), offset: 0, len }
    }

    /// The positions.
    pub fn positions(&self) -> &[u16] {
        &self.positions[self.offset..self.offset + self.len]
    }

    /// Number of selected rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no row counts.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Positions `offset..offset + len` of this selection.
    pub fn slice(&self, offset: usize, len: usize) -> Self {
        assert!(offset + len <= self.len, "selection slice out of range");
        Selection { positions: self.positions.clone(), offset: self.offset + offset, len }
    }
}
