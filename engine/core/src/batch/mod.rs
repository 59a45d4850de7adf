//! What flows through a pipeline: a [`Batch`] of [`Column`]s, some of its rows chosen by a [`Selection`].
//!
//! Physical, not logical: a column knows how its values lie in memory, the plan's schema says what they mean (a decimal of any
//! precision may lie in 64-bit integers when its values fit; a date is an `i32`). Arrow appears only in [`arrow`], at the edges.

pub mod arrow;
mod bitmap;
mod column;
mod concat;
mod selection;

use crate::error::{Error, Result};
pub use bitmap::Bitmap;
pub use column::{Bounds, Column, Dictionary, Encoding, Physical, Values, Views, is_null_type, physical_type};
pub(crate) use column::{long_bytes, string_bytes};
pub use concat::concat_validity;
pub use selection::Selection;

/// Columns of equal length, and which of their rows count.
#[derive(Debug, Clone)]
pub struct Batch {
    columns: Vec<Column>,
    rows: usize,
    selection: Option<Selection>,
}

impl Batch {
    /// A batch whose rows all count. Every column must hold `rows` rows, and `rows` ≤ 32,768.
    pub fn new(columns: Vec<Column>, rows: usize) -> Self {
        debug_assert!(columns.iter().all(|c| c.len() == rows), "column lengths differ from {rows}");
        debug_assert!(rows <= crate::config::BATCH_ROWS_MAX);
        Batch { columns, rows, selection: None }
    }

    /// The same columns with only the rows of `selection` (ascending positions < rows) counting. A selection of all rows is dropped.
    pub fn with_selection(mut self, selection: Selection) -> Self {
        self.selection = if selection.len() == self.rows { None } else { Some(selection) };
        self
    }

    /// The columns, each `rows()` long: values at unselected positions are present but arbitrary, and must not be overwritten.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Column by ordinal.
    pub fn column(&self, index: usize) -> &Column {
        &self.columns[index]
    }

    /// Takes the columns apart.
    pub fn into_columns(self) -> Vec<Column> {
        self.columns
    }

    /// Length of every column.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Rows that count: the selection's length, or all.
    pub fn selected_rows(&self) -> usize {
        self.selection.as_ref().map_or(self.rows, Selection::len)
    }

    /// Which rows count; `None` = all.
    pub fn selection(&self) -> Option<&Selection> {
        self.selection.as_ref()
    }

    /// Replaces the columns, keeping rows and selection.
    pub fn with_columns(&self, columns: Vec<Column>) -> Self {
        debug_assert!(columns.iter().all(|c| c.len() == self.rows));
        Batch { columns, rows: self.rows, selection: self.selection.clone() }
    }

    /// Gathers the selected rows so that all rows count. Free when there is no selection.
    pub fn compact(self) -> Batch {
        let Some(selection) = self.selection else { return self };
        let rows = selection.len();
        let columns = self.columns.iter().map(|c| c.select(&selection)).collect();
        Batch { columns, rows, selection: None }
    }

    /// Compact, and without dictionaries that have more values than it has rows: for state that holds batches, each of which would keep its dictionary alive.
    pub fn detach(self) -> Batch {
        let batch = self.compact();
        let columns = batch.columns.iter().map(Column::detach).collect();
        Batch { columns, ..batch }
    }

    /// Rows `offset..offset + len` of the *selected* rows.
    pub fn slice(&self, offset: usize, len: usize) -> Result<Batch> {
        if offset + len > self.selected_rows() {
            return Err(Error::internal(format!("slice {offset}+{len} of a batch of {} rows", self.selected_rows())));
        }
        Ok(match &self.selection {
            Some(selection) => {
                Batch { columns: self.columns.clone(), rows: self.rows, selection: Some(selection.slice(offset, len)) }
            }
            None => Batch {
                columns: self.columns.iter().map(|c| c.slice(offset, len)).collect(),
                rows: len,
                selection: None,
            },
        })
    }

    /// Bytes that the batch's buffers hold (shared buffers counted in full).
    pub fn memory_bytes(&self) -> usize {
        self.columns.iter().map(Column::memory_bytes).sum()
    }
}
