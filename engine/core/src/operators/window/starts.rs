//! Where groups of rows with equal keys start, in rows that come batch after batch.

use arrow_schema::DataType;

use crate::batch::{Batch, Column};
use crate::error::Result;
use crate::operators::sort::{KeyOrder, KeyParts, Layout};

/// Finds the rows whose keys differ from the row before, batch after batch.
pub(super) struct Starts {
    keys: Vec<usize>,
    /// The last row's keys.
    before: Option<Vec<Column>>,
}

impl Starts {
    /// By the columns `keys`.
    pub(super) fn new(keys: Vec<usize>) -> Self {
        Starts { keys, before: None }
    }

    /// The next row starts something, whatever was before.
    pub(super) fn forget(&mut self) {
        self.before = None;
    }

    /// The starts in `batch`, but for its first row when nothing was before.
    pub(super) fn of(&mut self, batch: &Batch, types: &[DataType]) -> Result<Vec<usize>> {
        if self.keys.is_empty() {
            return Ok(Vec::new());
        }
        // The row before is in front, so that it is compared like all others.
        let before = self.before.take();
        let shift = usize::from(before.is_some());
        let key = |(i, &column): (usize, &usize)| {
            let parts: Vec<Column> =
                before.iter().map(|key| key[i].clone()).chain([batch.column(column).clone()]).collect();
            Ok((Column::concat(&parts, &types[column])?, &types[column]))
        };
        let keys = self.keys.iter().enumerate().map(key).collect::<Result<Vec<_>>>()?;
        let rows = batch.rows() + shift;
        let parts = KeyParts::new(keys.iter().map(|(column, t)| (column, *t, KeyOrder::ANY)), rows)?;
        let starts = Layout::new(&parts, &parts.stats()?).encode(&parts)?.group_starts(0);
        self.before = Some(keys.iter().map(|(column, _)| column.gather(&[rows as u32 - 1])).collect());
        // The first is that of the row in front, the last one the end.
        Ok(starts[1..starts.len() - 1].iter().map(|&start| start as usize - shift).collect())
    }
}
