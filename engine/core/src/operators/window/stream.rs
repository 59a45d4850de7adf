//! Windows over more rows than memory holds: rows sorted by partition and order come as a stream, and leave it a few whole partitions at a time.
//!
//! ```text
//! worker's rows ──told to spill──▶ sort (which goes to disk) ──▶ batches in order ─cut where partitions start─▶ whole partitions ──▶ function columns
//!                                                                       ╰─told to spill─▶ one partition on disk (large/) ──▶ function columns
//! ```
//! What grows: the rows of one partition, or of a few small ones, under a reservation. A partition that memory cannot hold is computed in pieces where its
//! functions allow that (`pieces.rs`), and else on disk; where a function needs all its rows at once, it is an error that says so.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_schema::DataType;

use super::large::{LargePartition, Spool, in_memory_only};
use super::partition::{Collected, WorkerRows, groups};
use super::pieces::{Carried, Cuts, cuts};
use super::starts::Starts;
use super::{Shared, compute_group};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::expression::{Expression, Scalar, SortKey};
use crate::memory::{Reservation, granted};
use crate::metrics::OperatorMetrics;
use crate::operators::Breaker;
use crate::operators::sort::{KeyOrder, Rows, SortSpec, retained_bytes, sort_for};
use crate::pipeline::{CancelToken, Next, SinkState, SourceState, TaskContext};

/// Whole partitions are computed together once they have this many rows.
const TOGETHER_ROWS: usize = 1 << 14;
/// Rows of which some are taken at a time when memory cannot hold a batch: not fewer than these.
const LEAST_ROWS: usize = 64;

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
pub(super) fn hand_over(
    rows: Rows,
    reservation: &Reservation,
    to: &mut dyn SinkState,
    cancel: &CancelToken,
) -> Result<()> {
    let mut left = rows.len();
    for batch in rows.into_batches() {
        cancel.check()?;
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
    /// Where the last group of peers starts in them.
    last_peers: usize,
    /// Finds where partitions, and peers if it matters, start.
    partitions: Starts,
    peers: Option<Starts>,
    cuts: Cuts,
    /// The waiting rows go on with a partition, of which pieces were computed.
    carried: Option<Carried>,
    /// A partition, or the rest of one, that goes to disk: nothing waits then …
    spool: Option<Spool>,
    /// … and one that is there, and is given now.
    large: Option<LargePartition>,
    /// The function that forbids that.
    in_memory_only: Option<String>,
    ready: VecDeque<Batch>,
    /// What those hold of the reservation.
    ready_bytes: usize,
    /// Batches, or parts of them, for which there was no memory yet; the next one is the last.
    arrived: Vec<Batch>,
    reservation: Reservation,
    metrics: Arc<OperatorMetrics>,
    task: TaskContext,
}

impl WindowStream {
    /// Nothing is read yet.
    pub(super) fn new(
        shared: Arc<Shared>,
        sorted: Box<dyn SourceState>,
        task: &TaskContext,
        metrics: &Arc<OperatorMetrics>,
    ) -> Self {
        let reservation = task.memory.spilling_reservation("Window partitions");
        let (collected, cuts) = (&shared.collected, cuts(&shared.spec));
        let partitions = Starts::new(collected.partition.clone());
        let order = collected.order.iter().map(|&(column, _)| column);
        let peers = (cuts == Cuts::BetweenPeers)
            .then(|| Starts::new(collected.partition.iter().copied().chain(order).collect()));
        WindowStream {
            last_peers: 0,
            partitions,
            peers,
            cuts,
            carried: None,
            spool: None,
            large: None,
            in_memory_only: in_memory_only(&shared.spec.functions, !shared.spec.order_by.is_empty()),
            shared,
            sorted,
            is_over: false,
            waiting: Rows::default(),
            whole: 0,
            ready: VecDeque::new(),
            ready_bytes: 0,
            arrived: Vec::new(),
            reservation,
            metrics: metrics.clone(),
            task: task.clone(),
        }
    }

    /// Takes the next batch in order.
    fn take(&mut self, mut batch: Batch) -> Result<()> {
        if batch.rows() == 0 {
            return Ok(());
        }
        if self.spool.is_some() {
            return self.take_to_disk(batch);
        }
        let bytes = self.bytes(&batch);
        if !self.reservation.try_grow(bytes)? {
            if self.whole > 0 || self.piece_rows() > 0 {
                self.arrived.push(batch);
                return if self.whole > 0 { self.compute() } else { self.compute_piece(self.piece_rows()) };
            }
            if !self.waiting.is_empty() && self.in_memory_only.is_none() {
                return self.go_to_disk(batch);
            }
            match self.fitting(batch, bytes)? {
                Fitting::Some(some) => batch = some,
                Fitting::None(batch) => return self.go_to_disk(batch),
            }
        }
        let types = &self.shared.collected.types;
        let starts = self.partitions.of(&batch, types)?;
        if let (Some(&first), true) = (starts.first(), self.carried.is_some()) {
            return self.end_pieces(&batch, first);
        }
        if let Some(start) = starts.last() {
            self.whole = self.waiting.len() + start;
        }
        if let Some(start) =
            self.peers.as_mut().map(|peers| peers.of(&batch, types)).transpose()?.unwrap_or_default().last()
        {
            self.last_peers = self.waiting.len() + start;
        }
        self.waiting.push(batch.columns().to_vec(), batch.rows());
        if self.whole >= TOGETHER_ROWS { self.compute() } else { Ok(()) }
    }

    /// As many first rows of a batch of `bytes` as there is memory for, which is then reserved; the others arrive next.
    fn fitting(&mut self, mut batch: Batch, mut bytes: usize) -> Result<Fitting> {
        while batch.rows() > LEAST_ROWS && !granted(self.reservation.grow(bytes))? {
            let half = batch.rows() / 2;
            self.arrived.push(batch.slice(half, batch.rows() - half)?);
            batch = batch.slice(0, half)?;
            bytes = self.bytes(&batch);
        }
        if batch.rows() > LEAST_ROWS {
            return Ok(Fitting::Some(batch));
        }
        match self.reservation.grow(bytes) {
            Ok(()) => Ok(Fitting::Some(batch)),
            Err(Error::OutOfMemory { .. }) if self.in_memory_only.is_none() => Ok(Fitting::None(batch)),
            Err(error) => Err(self.too_large(error)),
        }
    }

    /// Writes the waiting rows, all of one partition, and goes on with `batch`.
    fn go_to_disk(&mut self, batch: Batch) -> Result<()> {
        let (mut spool, rows) = (None, self.waiting.len().max(1));
        let held = self.reservation.held() - self.ready_bytes;
        // Half of it was for computing, and is needed on disk now.
        self.reservation.shrink(held / 2);
        for part in std::mem::take(&mut self.waiting).into_batches() {
            let spool = match &mut spool {
                Some(spool) => spool,
                None => spool.insert(Spool::new(&self.shared, &part, &self.task, &self.metrics)?),
            };
            spool.push(&part)?;
            self.reservation.shrink(held / 2 / rows * part.rows());
        }
        self.reservation.shrink(self.reservation.held() - self.ready_bytes);
        self.last_peers = 0;
        self.spool = match spool {
            Some(spool) => Some(spool),
            None => Some(Spool::new(&self.shared, &batch, &self.task, &self.metrics)?),
        };
        self.take_to_disk(batch)
    }

    /// Writes the rows of `batch` that belong to the partition on disk; behind them it is over.
    fn take_to_disk(&mut self, batch: Batch) -> Result<()> {
        let end = self.partitions.of(&batch, &self.shared.collected.types)?.first().copied();
        let Some(spool) = &mut self.spool else { return Err(Error::internal("no partition goes to disk")) };
        let Some(end) = end else { return spool.push(&batch) };
        spool.push(&batch.slice(0, end)?)?;
        self.arrived.push(batch.slice(end, batch.rows() - end)?);
        // It starts a partition, whatever was before.
        self.partitions.forget();
        self.peers.iter_mut().for_each(Starts::forget);
        self.compute_on_disk()
    }

    /// Computes the partition that is on disk.
    fn compute_on_disk(&mut self) -> Result<()> {
        if let Some(spool) = self.spool.take() {
            self.metrics.add("partitions computed on disk", 1);
            self.large = Some(LargePartition::new(spool, &self.shared, &self.task, &self.metrics)?);
        }
        Ok(())
    }

    /// How many of the waiting rows, all of one partition, may be computed as a piece.
    fn piece_rows(&self) -> usize {
        match self.cuts {
            Cuts::Nowhere => 0,
            Cuts::BetweenPeers => self.last_peers,
            Cuts::Anywhere => self.waiting.len(),
        }
    }

    /// The partition that is computed in pieces ends before row `first` of `batch`.
    fn end_pieces(&mut self, batch: &Batch, first: usize) -> Result<()> {
        let rest = batch.slice(first, batch.rows() - first)?;
        self.reservation.shrink(self.bytes(&rest));
        // It starts a partition, whatever was before.
        self.partitions.forget();
        self.peers.iter_mut().for_each(Starts::forget);
        self.arrived.push(rest);
        if first > 0 {
            self.waiting.push(batch.slice(0, first)?.into_columns(), first);
        }
        self.compute_piece(self.waiting.len())?;
        self.carried = None;
        Ok(())
    }

    /// Bytes of rows that wait, are joined, and get function columns.
    fn bytes(&self, batch: &Batch) -> usize {
        let width = super::row_width(&self.shared.spec);
        2 * batch.columns().iter().map(retained_bytes).sum::<usize>() + width * batch.rows()
    }

    fn too_large(&self, error: Error) -> Error {
        match error {
            Error::OutOfMemory { requested, available, limit, holders, .. } => {
                let why =
                    self.in_memory_only.as_ref().map(|f| format!(", which {f} needs at once")).unwrap_or_default();
                let consumer = format!("Window (a partition of more than {} rows{why})", self.waiting.len());
                Error::OutOfMemory { consumer, requested, available, limit, holders }
            }
            other => other,
        }
    }

    /// Computes the whole partitions that wait.
    fn compute(&mut self) -> Result<()> {
        let whole = std::mem::take(&mut self.whole);
        let batches = self.compute_first(whole)?;
        self.ready.extend(batches);
        Ok(())
    }

    /// Computes the first `rows` that wait as a piece of their partition.
    fn compute_piece(&mut self, rows: usize) -> Result<()> {
        let batches = self.compute_first(rows)?;
        let carried = self.carried.get_or_insert_default();
        self.ready.extend(carried.apply(batches, &self.shared.spec)?);
        Ok(())
    }

    /// Takes the first `count` rows that wait, and computes them as if they were whole partitions.
    fn compute_first(&mut self, count: usize) -> Result<Vec<Batch>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let collected = &self.shared.collected;
        let rows = self.waiting.len();
        let columns = std::mem::take(&mut self.waiting).concat(&collected.types)?;
        self.last_peers = self.last_peers.saturating_sub(count);
        self.ready_bytes += self.reservation.held() / rows * count;
        let first = columns.iter().map(|c| c.slice(0, count)).collect();
        let worker = WorkerRows::whole(first, count, self.reservation.split(0));
        let mut batches = Vec::new();
        for group in groups(vec![worker], collected, 1) {
            batches.extend(compute_group(&self.shared, group, &self.task)?);
        }
        if count < rows {
            // Copied, so that what was computed can go.
            let positions: Vec<u32> = (count as u32..rows as u32).collect();
            let rest = columns.iter().map(|c| c.gather(&positions).own_strings()).collect();
            self.waiting.push(rest, rows - count);
        }
        Ok(batches)
    }
}

/// What memory there is for a batch.
enum Fitting {
    /// For these rows.
    Some(Batch),
    /// For none, not even for so few.
    None(Batch),
}

impl SourceState for WindowStream {
    fn next(&mut self) -> Result<Next> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Next::Batch(batch));
            }
            self.reservation.shrink(std::mem::take(&mut self.ready_bytes));
            if let Some(large) = &mut self.large {
                match (large.next()?, &self.carried) {
                    (Some(batch), Some(carried)) => {
                        return Ok(Next::Batch(carried.continued(&batch, &self.shared.spec)?));
                    }
                    (Some(batch), None) => return Ok(Next::Batch(batch)),
                    (None, _) => (self.large, self.carried) = (None, None),
                }
                continue;
            }
            if self.is_over {
                return Ok(Next::Finished);
            }
            if let Some(batch) = self.arrived.pop() {
                self.take(batch)?;
                continue;
            }
            self.task.cancel.check()?;
            match self.sorted.next()? {
                Next::Batch(batch) => self.take(batch)?,
                Next::Blocked => return Ok(Next::Blocked),
                Next::Finished => {
                    self.is_over = true;
                    if self.spool.is_some() {
                        self.compute_on_disk()?;
                    } else if self.carried.is_some() {
                        self.compute_piece(self.waiting.len())?;
                    } else {
                        self.whole = self.waiting.len();
                        self.compute()?;
                    }
                }
            }
        }
    }
}
