//! A worker's rows → a sorted run: columns in order of arrival, keys in order.

use std::sync::Mutex;

use arrow_schema::DataType;

use super::keys::{KeyOrder, KeyParts, KeyStats, Keys, Layout};
use super::{Rows, SortSpec, plain_column};
use crate::batch::Column;
use crate::error::Result;
use crate::expression::Expression;
use crate::memory::Reservation;

/// How rows are sorted: which of the collected columns are keys.
#[derive(Debug)]
pub(super) struct RunSpec {
    /// Types of the collected columns: the input's, then those of the computed keys.
    pub(super) types: Vec<DataType>,
    /// Columns of the input.
    pub(super) payload: usize,
    /// Key expressions that are no plain columns, collected behind the input's columns.
    pub(super) computed_keys: Vec<Expression>,
    /// Collected column of each key.
    pub(super) key_columns: Vec<usize>,
    orders: Vec<KeyOrder>,
    /// Statistics of the first run's layout: later runs whose keys lie within take the same layout, and merge without re-encoding.
    hint: Mutex<Option<KeyStats>>,
}

/// Sorted rows of one worker.
pub(super) struct Run {
    pub(super) columns: Vec<Column>,
    pub(super) keys: Keys,
    pub(super) layout: Layout,
    pub(super) stats: KeyStats,
    /// Token for columns and keys.
    pub(super) reservation: Option<Reservation>,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Run of {} rows", self.len())
    }
}

impl RunSpec {
    /// From what is asked of the sort.
    pub(super) fn new(spec: &SortSpec) -> Self {
        let mut types = spec.types.clone();
        let mut computed_keys = Vec::new();
        let key_columns = spec
            .keys
            .iter()
            .map(|key| {
                plain_column(key).unwrap_or_else(|| {
                    types.push(key.expression.data_type.clone());
                    computed_keys.push(key.expression.clone());
                    types.len() - 1
                })
            })
            .collect();
        let orders =
            spec.keys.iter().map(|k| KeyOrder { descending: k.descending, nulls_first: k.nulls_first }).collect();
        RunSpec { types, payload: spec.types.len(), computed_keys, key_columns, orders, hint: Mutex::new(None) }
    }

    /// The key fields of collected columns.
    pub(super) fn key_parts(&self, columns: &[Column], rows: usize) -> Result<KeyParts> {
        let keys = self
            .key_columns
            .iter()
            .zip(&self.orders)
            .map(|(&column, order)| (&columns[column], &self.types[column], *order));
        KeyParts::new(keys, rows)
    }

    /// Sorts `rows`, keeping the keys of the first `keep`. `several` runs will be merged: choose a layout that others can share.
    pub(super) fn sort(
        &self,
        rows: Rows,
        keep: Option<usize>,
        reservation: &Reservation,
        several: bool,
    ) -> Result<Run> {
        let count = rows.len();
        // Upper bound while columns are joined: keys of 16 bytes with their scratch, and a second copy of the columns' fixed parts.
        reservation.grow(count * 32)?;
        let columns = rows.concat(&self.types)?;
        let parts = self.key_parts(&columns, count)?;
        let stats = if several { self.shared_stats(parts.stats()?) } else { parts.stats()? };
        let layout = Layout::new(&parts, &stats);
        let mut keys = layout.encode(&parts)?;
        drop(parts);
        keys.sort();
        if let Some(keep) = keep {
            keys.truncate(keep);
        }
        let bytes: usize = columns.iter().map(super::rows::retained_bytes).sum::<usize>() + keys.memory_bytes();
        reservation.resize(bytes)?;
        Ok(Run { columns, keys, layout, stats, reservation: None })
    }

    fn shared_stats(&self, stats: KeyStats) -> KeyStats {
        let mut hint = self.hint.lock().unwrap_or_else(|e| e.into_inner());
        let union = match hint.as_ref() {
            Some(hint) => hint.union(&stats),
            None => stats.rounded(),
        };
        *hint = Some(union.clone());
        union
    }
}

impl Run {
    /// Rows.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// All collected columns in sorted order.
    pub(super) fn take_sorted(&self) -> Result<Vec<Column>> {
        let rows = self.keys.rows(0, self.len());
        Ok(self.columns.iter().map(|c| c.gather(&rows)).collect())
    }

    /// The same run with keys of another layout, in the same order.
    pub(super) fn with_layout(mut self, spec: &RunSpec, layout: &Layout) -> Result<Run> {
        let order = self.keys.rows(0, self.len());
        let rows = self.columns.first().map_or(0, Column::len);
        let parts = spec.key_parts(&self.columns, rows)?;
        self.keys = layout.encode(&parts)?.in_order(order);
        self.layout = layout.clone();
        Ok(self)
    }
}
