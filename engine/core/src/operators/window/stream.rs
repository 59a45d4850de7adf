//! Windows over more rows than memory holds: rows sorted by partition and order come as a stream, and leave it a few whole partitions at a time.
//!
//! ```text
//! worker's rows ──told to spill──▶ sort (which goes to disk) ──▶ batches in order ─cut where partitions start─▶ whole partitions ──▶ function columns
//! ```
//! What grows: the rows of one partition, or of a few small ones, under a reservation. A partition that memory cannot hold is an error that says so.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_schema::DataType;

use super::partition::{Collected, WorkerRows, groups};
use super::{Shared, compute_group};
use crate::batch::{Batch, Column};
use crate::error::{Error, Result};
use crate::expression::{Expression, Scalar, SortKey};
use crate::memory::Reservation;
use crate::operators::Breaker;
use crate::operators::sort::{KeyOrder, KeyParts, Layout, Rows, SortSpec, copy_strings, retained_bytes, sort_for};
use crate::pipeline::{Next, SinkState, SourceState, TaskContext};

/// Whole partitions are computed together once they have this many rows.
const TOGETHER_ROWS: usize = 1 << 14;

/// The sort of all rows by partition and order.
pub(super) fn sorted(collected: &Collected) -> Result<Breaker> {
    let key = |column: usize, order: KeyOrder| SortKey {
        expression: Expression::column(column, collected.types[column].clone()),
        descending: order.descending,
        nulls_first: order.nulls_first,
    };
    let partition = collected.partition.iter().map(|&column| key(column, KeyOrder::ANY));
    let mut keys: Vec<SortKey> = partition.chain(collected.order.iter().map(|&(c, order)| key(c, order))).collect();
    if keys.is_empty() {
        // One partition in any order: all rows are equal.
        let expression = Expression::literal(Scalar::Int64(0), DataType::Int64);
        keys.push(SortKey { expression, descending: false, nulls_first: false });
    }
    let types = collected.types.clone();
    sort_for("Window", SortSpec { keys, fetch: None, offset: 0, types, threshold: None })
}

/// Gives what a worker holds to its share of the sort, each batch with its memory.
pub(super) fn hand_over(rows: Rows, reservation: &Reservation, to: &mut dyn SinkState) -> Result<()> {
    let mut left = rows.len();
    for batch in rows.into_batches() {
        // The sort reserves it now.
        reservation.shrink(reservation.held() / left.max(1) * batch.rows());
        left -= batch.rows();
        to.push(batch)?;
    }
    reservation.shrink(reservation.held());
    Ok(())
}

/// The reader of the sorted rows.
pub(super) struct WindowStream {
    shared: Arc<Shared>,
    sorted: Box<dyn SourceState>,
    is_over: bool,
    /// Rows in order that are not computed yet …
    waiting: Rows,
    /// … of which so many first ones are whole partitions.
    whole: usize,
    /// The last row's partition key.
    last_key: Option<Vec<Column>>,
    ready: VecDeque<Batch>,
    /// What those hold of the reservation.
    ready_bytes: usize,
    /// A batch for which there was no memory while others were ready.
    arrived: Option<Batch>,
    reservation: Reservation,
    task: TaskContext,
}

impl WindowStream {
    /// Nothing is read yet.
    pub(super) fn new(shared: Arc<Shared>, sorted: Box<dyn SourceState>, task: &TaskContext) -> Self {
        let reservation = task.memory.spilling_reservation("Window partitions");
        WindowStream {
            shared,
            sorted,
            is_over: false,
            waiting: Rows::default(),
            whole: 0,
            last_key: None,
            ready: VecDeque::new(),
            ready_bytes: 0,
            arrived: None,
            reservation,
            task: task.clone(),
        }
    }

    /// Takes the next batch in order.
    fn take(&mut self, batch: Batch) -> Result<()> {
        if batch.rows() == 0 {
            return Ok(());
        }
        let bytes = self.bytes(&batch);
        if !self.reservation.try_grow(bytes)? {
            if self.whole > 0 {
                self.arrived = Some(batch);
                return self.compute();
            }
            self.reservation.grow(bytes).map_err(|error| self.too_large(error))?;
        }
        if let Some(start) = self.last_start(&batch)? {
            self.whole = self.waiting.len() + start;
        }
        self.waiting.push(batch.columns().to_vec(), batch.rows());
        if self.whole >= TOGETHER_ROWS { self.compute() } else { Ok(()) }
    }

    /// Bytes of rows that wait, are joined, and get function columns.
    fn bytes(&self, batch: &Batch) -> usize {
        let width = super::row_width(&self.shared.spec);
        2 * batch.columns().iter().map(retained_bytes).sum::<usize>() + width * batch.rows()
    }

    fn too_large(&self, error: Error) -> Error {
        match error {
            Error::OutOfMemory { requested, available, limit, holders, .. } => {
                let consumer = format!("Window (a partition of more than {} rows)", self.waiting.len());
                Error::OutOfMemory { consumer, requested, available, limit, holders }
            }
            other => other,
        }
    }

    /// Where the last partition starts that starts in `batch`.
    fn last_start(&mut self, batch: &Batch) -> Result<Option<usize>> {
        let collected = &self.shared.collected;
        if collected.partition.is_empty() {
            return Ok(None);
        }
        let own = collected.partition.iter().map(|&c| (batch.column(c).clone(), &collected.types[c]));
        // The row before is in front, so that it is compared like all others.
        let before = self.last_key.take();
        let shift = usize::from(before.is_some());
        let keys = own
            .enumerate()
            .map(|(i, (column, data_type))| {
                let parts: Vec<Column> = before.iter().map(|key| key[i].clone()).chain([column]).collect();
                Ok((Column::concat(&parts, data_type)?, data_type))
            })
            .collect::<Result<Vec<_>>>()?;
        let rows = batch.rows() + shift;
        let parts = KeyParts::new(keys.iter().map(|(column, t)| (column, *t, KeyOrder::ANY)), rows)?;
        let starts = Layout::new(&parts, &parts.stats()?).encode(&parts)?.group_starts(0);
        self.last_key = Some(keys.iter().map(|(column, _)| column.gather(&[rows as u32 - 1])).collect());
        // The first start is that of the row before, the last one the end.
        let inner = &starts[1.min(starts.len() - 1)..starts.len() - 1];
        Ok(inner.last().map(|&start| start as usize - shift))
    }

    /// Computes the whole partitions that wait.
    fn compute(&mut self) -> Result<()> {
        if self.whole == 0 {
            return Ok(());
        }
        let collected = &self.shared.collected;
        let (rows, whole) = (self.waiting.len(), std::mem::take(&mut self.whole));
        let columns = std::mem::take(&mut self.waiting).concat(&collected.types)?;
        let part = |from: usize, len: usize| -> Vec<Column> { columns.iter().map(|c| c.slice(from, len)).collect() };
        self.ready_bytes += self.reservation.held() / rows * whole;
        let worker = WorkerRows::whole(part(0, whole), whole, self.reservation.split(0));
        for group in groups(vec![worker], collected, 1) {
            self.ready.extend(compute_group(&self.shared, group, &self.task)?);
        }
        if whole < rows {
            // Copied, so that what was computed can go.
            let positions: Vec<u32> = (whole as u32..rows as u32).collect();
            let rest = columns.iter().map(|c| copy_strings(&c.gather(&positions))).collect();
            self.waiting.push(rest, rows - whole);
        }
        Ok(())
    }
}

impl SourceState for WindowStream {
    fn next(&mut self) -> Result<Next> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Next::Batch(batch));
            }
            self.reservation.shrink(std::mem::take(&mut self.ready_bytes));
            if self.is_over {
                return Ok(Next::Finished);
            }
            if let Some(batch) = self.arrived.take() {
                self.take(batch)?;
                continue;
            }
            self.task.cancel.check()?;
            match self.sorted.next()? {
                Next::Batch(batch) => self.take(batch)?,
                Next::Blocked => return Ok(Next::Blocked),
                Next::Finished => {
                    self.is_over = true;
                    self.whole = self.waiting.len();
                    self.compute()?;
                }
            }
        }
    }
}
