//! The rows that a recursive UNION has given: the latest in memory, the others on disk.
//!
//! ```text
//! batch ──rows as bytes──▶ in memory? drop ──▶ on disk? not known yet: kept back ──memory is short, round is over──▶ looked up together, in order of hash
//!                              ▲                                                                                  │ not there
//!                              ╰──────────────────────────────────────────────────────────────────────────────────┴──▶ given
//! ```
//! Rows are compared by their order-preserving encoding, in which equal rows are equal bytes. What grows: the rows in memory, and those that are kept back, under
//! one reservation; when it is told to spill, what is kept back is looked up, and the rows go to disk as a run (`runs.rs`).

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::Arc;

use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType;
use twox_hash::XxHash64;

use super::runs::Runs;
use crate::batch::{Batch, Selection, arrow::export_column};
use crate::error::{Error, Result};
use crate::memory::{Reservation, granted};
use crate::metrics::OperatorMetrics;
use crate::pipeline::TaskContext;

/// A row's bytes, and their hash in front, so that rows are in its order.
pub(super) type Row = (u64, Box<[u8]>);

/// Bytes of a row in a set, beside its own.
const ROW_BYTES: usize = 64;
/// Batches of fewer rows are not cut to fit the memory.
const LEAST_ROWS: usize = 64;

/// Rows given so far.
pub(super) struct SeenRows {
    types: Vec<DataType>,
    converter: RowConverter,
    /// Rows that are not on disk.
    rows: HashSet<Row>,
    /// What they take.
    row_bytes: usize,
    /// Rows of which that is not known, and where they are: batch and position.
    doubtful: HashMap<Row, (usize, u16)>,
    /// Their batches.
    batches: Vec<Batch>,
    runs: Runs,
    reservation: Reservation,
    metrics: Arc<OperatorMetrics>,
    task: TaskContext,
}

impl SeenRows {
    /// None yet.
    pub(super) fn new(types: &[DataType], task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Self> {
        let converter = RowConverter::new(types.iter().cloned().map(SortField::new).collect())
            .map_err(|e| Error::unsupported(format!("UNION in a recursive query: {e}")))?;
        Ok(SeenRows {
            types: types.to_vec(),
            converter,
            rows: HashSet::new(),
            row_bytes: 0,
            doubtful: HashMap::new(),
            batches: Vec::new(),
            runs: Runs::new(task, metrics),
            reservation: task.memory.spilling_reservation("Recursive"),
            metrics: metrics.clone(),
            task: task.clone(),
        })
    }

    /// Takes rows; gives those of which it is known that they were not given before. Others may follow ([`SeenRows::settle`]).
    pub(super) fn take(&mut self, batch: Batch) -> Result<Vec<Batch>> {
        self.task.cancel.check()?;
        let batch = batch.compact();
        let arrays =
            batch.columns().iter().zip(&self.types).map(|(c, t)| export_column(c, t)).collect::<Result<Vec<_>>>()?;
        let encoded = self.converter.convert_columns(&arrays)?;
        // What is looked up on disk waits for that in its batch.
        let bytes =
            |on_disk: bool| encoded.size() + ROW_BYTES * batch.rows() + if on_disk { batch.memory_bytes() } else { 0 };
        let mut given = Vec::new();
        if !self.reservation.try_grow(bytes(!self.runs.is_empty()))? {
            given = self.settle()?;
            self.spill()?;
            let growth = self.reservation.grow(bytes(!self.runs.is_empty()));
            if batch.rows() <= LEAST_ROWS {
                growth?;
            } else if !granted(growth)? {
                let half = batch.rows() / 2;
                given.extend(self.take(batch.slice(0, half)?)?);
                given.extend(self.take(batch.slice(half, batch.rows() - half)?)?);
                return Ok(given);
            }
        }
        self.metrics.reserved(self.reservation.held());
        let row = |row: usize| -> Row {
            let bytes: &[u8] = encoded.row(row).data();
            (self.runs.hash(XxHash64::oneshot(0, bytes)), bytes.into())
        };
        if self.runs.is_empty() {
            let mut is_fresh = |at: usize| {
                let row = row(at);
                let bytes = row.1.len() + ROW_BYTES;
                let is_fresh = self.rows.insert(row);
                self.row_bytes += if is_fresh { bytes } else { 0 };
                is_fresh
            };
            let fresh: Vec<u16> = (0..batch.rows()).filter(|&at| is_fresh(at)).map(|at| at as u16).collect();
            self.shrink();
            given.push(batch.with_selection(Selection::new(fresh)));
            return Ok(given);
        }
        let index = self.batches.len();
        for at in 0..batch.rows() {
            let row = row(at);
            if !self.rows.contains(&row)
                && let Entry::Vacant(entry) = self.doubtful.entry(row)
            {
                entry.insert((index, at as u16));
            }
        }
        self.batches.push(batch);
        Ok(given)
    }

    /// Gives back what the rows in memory do not take, when no others are there.
    fn shrink(&self) {
        self.reservation.shrink(self.reservation.held().saturating_sub(self.row_bytes));
    }

    /// Looks up the rows that were kept back, and gives those that are not on disk.
    pub(super) fn settle(&mut self) -> Result<Vec<Batch>> {
        if self.batches.is_empty() {
            return Ok(Vec::new());
        }
        let mut doubtful: Vec<(Row, (usize, u16))> = self.doubtful.drain().collect();
        doubtful.sort_unstable();
        self.runs.drop_known(&mut doubtful)?;
        let batches = std::mem::take(&mut self.batches);
        let mut fresh = vec![Vec::new(); batches.len()];
        for (row, (batch, position)) in doubtful {
            fresh[batch].push(position);
            self.row_bytes += row.1.len() + ROW_BYTES;
            self.rows.insert(row);
        }
        let select = |(batch, mut positions): (Batch, Vec<u16>)| {
            positions.sort_unstable();
            batch.with_selection(Selection::new(positions))
        };
        self.shrink();
        Ok(batches.into_iter().zip(fresh).map(select).collect())
    }

    /// Writes the rows in memory.
    fn spill(&mut self) -> Result<()> {
        let mut rows: Vec<Row> = self.rows.drain().collect();
        self.rows.shrink_to_fit();
        rows.sort_unstable();
        self.runs.add(rows)?;
        self.row_bytes = 0;
        self.shrink();
        self.runs.merge()
    }
}
