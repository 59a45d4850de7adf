//! What flows through a pipeline: a [`Batch`] of [`Column`]s, some of its rows chosen by a [`Selection`].
//!
//! Physical, not logical: a column knows how its values lie in memory, the plan's schema says what they mean (a decimal of any
//! precision may lie in 64-bit integers when its values fit; a date is an `i32`). Arrow appears only in [`arrow`], at the edges.

pub mod arrow;
mod bitmap;
mod column;
mod concat;
mod selection;

use arrow_schema::DataType;

use crate::error::{Error, Result};
pub use bitmap::Bitmap;
pub use column::{Bounds, Column, Dictionary, Encoding, Physical, Values, Views, is_null_type, physical_type};
pub(crate) use column::{INLINE_BYTES, long_bytes, string_bytes};
pub use selection::Selection;

/// A batch of which fewer rows count than this share is detached from the strings of the others.
const SPARSE_SHARE: (usize, usize) = (3, 4);

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

    /// The selected rows of all, one batch after the other, of columns of these types; one that alone has any is given as it is.
    pub fn join(mut batches: Vec<Batch>, types: &[DataType]) -> Result<Batch> {
        batches.retain(|batch| batch.selected_rows() > 0);
        if batches.len() <= 1 {
            let empty = || types.iter().map(|data_type| Column::concat(&[], data_type)).collect::<Result<_>>();
            return batches.pop().map_or_else(|| Ok(Batch::new(empty()?, 0)), Ok);
        }
        let rows = batches.iter().map(Batch::selected_rows).sum();
        let mut pieces: Vec<_> = batches.into_iter().map(|batch| batch.compact().into_columns().into_iter()).collect();
        let columns = types.iter().map(|data_type| {
            let of_column: Vec<Column> = pieces.iter_mut().filter_map(Iterator::next).collect();
            Column::join(&of_column, data_type)
        });
        Ok(Batch::new(columns.collect::<Result<_>>()?, rows))
    }

    /// Compact, without dictionaries that have more values than it has rows, and with strings of its own when it has few of those that came: for state
    /// that holds batches, each of which would keep all of that alive.
    pub fn detach(self) -> Batch {
        let is_sparse = self.selected_rows() * SPARSE_SHARE.1 < self.rows * SPARSE_SHARE.0;
        let batch = self.compact();
        let detached = batch.columns.iter().map(Column::detach);
        let columns = match is_sparse {
            true => detached.map(|column| column.own_strings()).collect(),
            false => detached.collect(),
        };
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

    /// Bytes of values that nobody else holds: a batch that an operator keeps, and gives on as well, has none.
    pub fn own_bytes(&self) -> usize {
        self.columns.iter().filter(|column| !column.is_shared()).map(Column::memory_bytes).sum()
    }

    /// Bytes that the batch's buffers hold (shared buffers counted in full).
    pub fn memory_bytes(&self) -> usize {
        self.columns.iter().map(Column::memory_bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::expression::Scalar;

    #[test]
    fn what_is_kept_keeps_nothing_else_alive() {
        let texts = |rows: i64| Views::from_values((0..rows).map(|row| format!("the text of number {row}")));
        let kept = |column: &Column| match column.encoding() {
            Encoding::Flat(Values::Int64(values)) => values.inner().capacity(),
            Encoding::Flat(Values::View(views)) => {
                let strings: usize = views.buffers.iter().map(|buffer| buffer.capacity()).sum();
                views.views.inner().capacity() + strings
            }
            other => panic!("{other:?}"),
        };
        let dictionary = Arc::new(Dictionary::new(Values::View(texts(10_000))));
        let columns = vec![
            Column::flat(Values::Int64((0..10_000).collect())),
            Column::flat(Values::View(texts(10_000))),
            Column::dictionary((0..10_000).collect(), dictionary, None),
        ];
        let all = Batch::new(columns, 10_000);
        for rows in [1, 100, 9_000] {
            let part = all.slice(500, rows).unwrap();
            let detached = part.clone().detach();
            for (column, own) in part.columns().iter().zip(detached.columns()) {
                let (bytes, kept) = (own.memory_bytes(), kept(own));
                assert!(kept <= 4 * bytes + 2048, "{rows} rows: {kept} bytes kept for {bytes}");
                for row in 0..rows {
                    assert_eq!(Scalar::from_column(own, row), Scalar::from_column(column, row));
                }
            }
        }
    }

    #[test]
    fn joined_batches_have_the_selected_rows_of_all_in_order() {
        let types = [DataType::Int64, DataType::Utf8View, DataType::Int64];
        let batch = |values: std::ops::Range<i64>| {
            let (rows, bounds) = (values.clone().count(), Bounds { min: values.start, max: values.end });
            let texts = Views::from_values(values.clone().map(|value| format!("the text of number {value}")));
            let columns = vec![
                Column::flat(Values::Int64(values.collect())).with_bounds(Some(bounds)),
                Column::flat(Values::View(texts)),
                Scalar::Int64(7).to_column(&types[2], rows).unwrap(),
            ];
            Batch::new(columns, rows)
        };
        let pieces = vec![batch(0..0), batch(0..5), batch(100..103).with_selection(Selection::new(vec![0, 2]))];
        let joined = Batch::join(pieces, &types).unwrap();
        let expected = [0, 1, 2, 3, 4, 100, 102];
        assert_eq!((joined.rows(), joined.selected_rows()), (7, 7));
        assert_eq!(joined.column(0).bounds, Some(Bounds { min: 0, max: 103 }));
        assert!(joined.column(2).as_constant().is_some(), "constants stay");
        for (row, value) in expected.into_iter().enumerate() {
            let text = Scalar::Bytes(format!("the text of number {value}").into_bytes().into());
            assert_eq!(Scalar::from_column(joined.column(0), row), Scalar::Int64(value));
            assert_eq!(Scalar::from_column(joined.column(1), row), text);
        }
        assert_eq!(Batch::join(Vec::new(), &types).unwrap().columns().len(), 3);
        assert_eq!(Batch::join(vec![batch(0..0), batch(3..4)], &types).unwrap().rows(), 1);
    }

    #[test]
    fn values_count_as_often_as_they_occur() {
        let texts = Views::from_values(["short", "a text that is longer than others"].into_iter());
        let dictionary = std::sync::Arc::new(Dictionary::new(Values::View(texts)));
        let column = Column::dictionary(vec![0, 1, 1].into(), dictionary, None);
        assert_eq!(column.value_bytes(), 3 * 16 + 5 + 2 * 33);
        let none = std::sync::Arc::new(Dictionary::new(Values::View(Views::from_values(std::iter::empty::<&str>()))));
        let nulls = Column::dictionary(vec![0, 0].into(), none, Some(Bitmap::constant(false, 2)));
        assert_eq!(nulls.value_bytes(), 2 * 16);
        assert_eq!(Column::constant(Values::Int64(vec![5].into()), 10).value_bytes(), 80);
    }
}
