//! A worker's rows → a sorted run: columns in order of arrival, keys in order.

use std::sync::Mutex;

use arrow_schema::DataType;

use super::keys::{KeyOrder, KeyParts, KeyStats, Keys, Layout};
use super::rows::retained_bytes;
use super::{Rows, SortSpec, plain_column};
use crate::batch::{Column, Physical, physical_type};
use crate::error::Result;
use crate::expression::Expression;
use crate::memory::Reservation;
use crate::pipeline::CancelToken;

/// Bytes per row while rows are sorted: keys of 16 bytes with their scratch, which is also a second copy of one column at a time.
const SORTING_BYTES: usize = 32;
/// The same for keys that become bytes: where each ends, and the numbers that are sorted by them …
const BYTE_KEY_BYTES: usize = 24;
/// … and the bytes themselves, escaped.
const BYTE_KEY_COPIES: usize = 1;
/// Bytes per row that a narrow decimal may grow by.
const WIDE_BYTES: usize = 24;

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
    /// Whether a collected column is a key of no fixed width, which becomes bytes.
    is_byte_key: Vec<bool>,
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
        let key_columns: Vec<usize> = spec
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
        let is_bytes = |t: &DataType| matches!(physical_type(t), Physical::View | Physical::Nested);
        let is_byte_key = types.iter().enumerate().map(|(c, t)| key_columns.contains(&c) && is_bytes(t)).collect();
        let (payload, hint) = (spec.types.len(), Mutex::new(None));
        RunSpec { types, payload, computed_keys, key_columns, orders, is_byte_key, hint }
    }

    /// Bytes of `rows` arriving rows, with what it takes to sort them: keys with their scratch, one column at a time twice, and keys as bytes.
    pub(super) fn bytes(&self, columns: &[Column], rows: usize) -> usize {
        let column = |((column, data_type), is_byte_key): ((&Column, &DataType), &bool)| {
            let key = if *is_byte_key { BYTE_KEY_COPIES * column.value_bytes() + BYTE_KEY_BYTES * rows } else { 0 };
            // A narrow decimal becomes wide.
            let wide = if column.physical() == physical_type(data_type) { 0 } else { WIDE_BYTES * rows };
            retained_bytes(column) + key + wide
        };
        let columns = columns.iter().zip(&self.types).zip(&self.is_byte_key);
        columns.map(column).sum::<usize>() + SORTING_BYTES * rows
    }

    /// The layout of keys with these statistics.
    pub(super) fn layout(&self, stats: &KeyStats) -> Result<Layout> {
        let none = self.types.iter().map(|t| Column::concat(&[], t)).collect::<Result<Vec<_>>>()?;
        Ok(Layout::new(&self.key_parts(&none, 0)?, stats))
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

    /// Sorts `rows`, keeping the keys of the first `keep`, within what [`RunSpec::bytes`] says. `several` runs will be merged: choose a layout that others
    /// can share.
    pub(super) fn sort(&self, rows: Rows, keep: Option<usize>, several: bool, cancel: &CancelToken) -> Result<Run> {
        let count = rows.len();
        let columns = rows.concat(&self.types)?;
        let parts = self.key_parts(&columns, count)?;
        let stats = if several { self.shared_stats(parts.stats()?) } else { parts.stats()? };
        let layout = Layout::new(&parts, &stats);
        let mut keys = layout.encode(&parts)?;
        drop(parts);
        keys.sort(cancel)?;
        if let Some(keep) = keep {
            keys.truncate(keep);
        }
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

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.columns.iter().map(retained_bytes).sum::<usize>() + self.keys.memory_bytes()
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
