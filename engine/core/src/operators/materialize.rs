//! Materialize: keeps every batch, and gives them again to any number of readers.
//!
//! ```text
//! push ──▶ worker's batches ──combine──▶ pieces: batches in memory, blocks on disk ──▶ readers, each with its own cursor
//!              ╰─told to spill──▶ file of the worker
//! ```
//! Used for sub-plans that are read more than once, in-memory tables, and the rounds of a recursive query. What grows: the batches, under one reservation per
//! worker. A worker that is told to spill writes what it has; what stands in memory once all has arrived may still be written by whoever is short.
//! Order within a worker is kept.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::batch::{Batch, Column};
use crate::error::{Error, Result};
use crate::memory::{Reservation, Spillable, granted};
use crate::metrics::OperatorMetrics;
use crate::pipeline::{Flow, Next, Sink, SinkState, Source, SourceState, TaskContext};
use crate::spill::{Block, SpillArea, SpillFile};

/// Batches of less than this are collected before they are written.
const BLOCK_BYTES: usize = 256 << 10;

/// Everything that has arrived, with the tokens for what is in memory.
#[derive(Debug, Default)]
struct Materialized {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    pieces: Vec<Piece>,
    reservations: Vec<Reservation>,
    is_sealed: bool,
    /// Where pieces go that are written after all; known once sealed.
    spill: Option<(Arc<SpillArea>, Arc<OperatorMetrics>)>,
    /// The file for those.
    file: Option<Arc<SpillFile>>,
    metrics: Option<Arc<OperatorMetrics>>,
}

#[derive(Debug, Clone)]
enum Piece {
    Batch(Batch),
    /// A block of several batches, each of so many columns.
    Block(Arc<SpillFile>, usize, usize),
}

impl Piece {
    /// The batches of the piece, in order.
    fn batches(self) -> Result<Vec<Batch>> {
        match self {
            Piece::Batch(batch) => Ok(vec![batch]),
            Piece::Block(file, block, width) => unpack(file.block(block)?, width),
        }
    }
}

/// Writes batches in order, several to a block when they are small; `check` is asked before each.
fn write(batches: &[Batch], file: &Arc<SpillFile>, check: impl Fn() -> Result<()>) -> Result<Vec<Piece>> {
    let (mut pieces, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (index, batch) in batches.iter().enumerate() {
        bytes += batch.memory_bytes();
        if bytes >= BLOCK_BYTES || index + 1 == batches.len() {
            let together = &batches[start..=index];
            check()?;
            let columns: Vec<Column> = together.iter().flat_map(|b| b.columns()).cloned().collect();
            let block = file.append(&columns, together.iter().map(Batch::rows).sum())?;
            pieces.push(Piece::Block(file.clone(), block, batch.columns().len()));
            (start, bytes) = (index + 1, 0);
        }
    }
    Ok(pieces)
}

fn unpack(block: Block, width: usize) -> Result<Vec<Batch>> {
    if width == 0 || !block.columns.len().is_multiple_of(width) {
        return Err(Error::internal(format!("{} columns are not batches of {width}", block.columns.len())));
    }
    Ok(block.columns.chunks(width).map(|columns| Batch::new(columns.to_vec(), columns[0].len())).collect())
}

/// The sink half.
#[derive(Debug, Default)]
pub struct Materialize {
    shared: Arc<Materialized>,
}

impl Materialize {
    /// Nothing collected yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader of everything collected, for a pipeline that waits for this sink. Each call gives a reader with its own cursor.
    pub fn reader(&self) -> Arc<dyn Source> {
        Arc::new(MaterializedScan { shared: self.shared.clone(), cursor: Arc::default() })
    }

    /// Everything collected, for one who lets go of it when it is read: nothing is left here.
    pub(super) fn take(&self, task: &TaskContext) -> Result<Arc<Materialize>> {
        let kept = std::mem::take(&mut *self.shared.sealed()?);
        let taken = Materialize { shared: Arc::new(Materialized { kept: Mutex::new(kept) }) };
        taken.shared.offer(task);
        Ok(Arc::new(taken))
    }
}

impl Materialized {
    /// What stands in memory may be spilled by others.
    fn offer(self: &Arc<Self>, task: &TaskContext) {
        let standing: Arc<dyn Spillable> = self.clone();
        task.memory.offer(Arc::downgrade(&standing));
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn sealed(&self) -> Result<MutexGuard<'_, Kept>> {
        let kept = self.kept();
        if kept.is_sealed {
            Ok(kept)
        } else {
            Err(Error::internal("materialized rows were read before they were complete"))
        }
    }
}

impl Spillable for Materialized {
    fn spill(&self, bytes: usize) -> Result<usize> {
        let Ok(mut kept) = self.kept.try_lock() else { return Ok(0) };
        kept.spill(bytes)
    }
}

impl Kept {
    /// Writes the last pieces that are in memory, which readers come to last, until `bytes` are free.
    fn spill(&mut self, bytes: usize) -> Result<usize> {
        let Some((area, metrics)) = &self.spill else { return Ok(0) };
        let mut freed = 0;
        for piece in self.pieces.iter_mut().rev() {
            if freed >= bytes {
                break;
            }
            let Piece::Batch(batch) = piece else { continue };
            let size = batch.memory_bytes();
            if size == 0 {
                continue;
            }
            let file = area.file_in(&mut self.file, "Materialize", metrics)?;
            let Some(block) = write(std::slice::from_ref(batch), file, || Ok(()))?.pop() else { continue };
            *piece = block;
            freed += size;
        }
        let mut left = freed;
        for reservation in &self.reservations {
            let part = left.min(reservation.held());
            reservation.shrink(part);
            left -= part;
        }
        Ok(freed - left)
    }
}

impl Sink for Materialize {
    fn name(&self) -> &'static str {
        "Materialize"
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SinkState>> {
        self.shared.kept().metrics = Some(metrics.clone());
        Ok(Box::new(MaterializeState {
            shared: self.shared.clone(),
            pieces: Vec::new(),
            file: None,
            local: Vec::new(),
            reservation: Some(task.memory.spilling_reservation("Materialize")),
            metrics: metrics.clone(),
            task: task.clone(),
        }))
    }

    fn seal(&self, task: &TaskContext) -> Result<()> {
        let mut kept = self.shared.kept();
        kept.is_sealed = true;
        kept.spill = kept.metrics.clone().map(|metrics| (task.spill.clone(), metrics));
        drop(kept);
        self.shared.offer(task);
        Ok(())
    }
}

struct MaterializeState {
    shared: Arc<Materialized>,
    /// What is on disk, which came before …
    pieces: Vec<Piece>,
    file: Option<Arc<SpillFile>>,
    /// … what is in memory.
    local: Vec<Batch>,
    reservation: Option<Reservation>,
    metrics: Arc<OperatorMetrics>,
    task: TaskContext,
}

impl SinkState for MaterializeState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let batch = batch.detach();
        let bytes = batch.memory_bytes();
        let Some(reservation) = &self.reservation else {
            return Err(Error::internal("a batch came to a materialization that is over"));
        };
        let has_room = reservation.try_grow(bytes)?;
        if !has_room {
            // What is kept needs not be read again: half, so that the next time is not soon.
            self.spill(reservation.held() / 2)?;
        }
        self.local.push(batch);
        // With no memory at all a batch is written at once.
        if !has_room && !self.grow(bytes)? {
            self.spill(0)?;
        }
        self.metrics.reserved(self.reservation.as_ref().map_or(0, Reservation::held));
        Ok(Flow::NeedInput)
    }

    fn combine(&mut self) -> Result<()> {
        // From now on others spill it, if anybody.
        let token = self.reservation.take().map(Reservation::passive);
        let mut kept = self.shared.kept();
        kept.pieces.append(&mut self.pieces);
        kept.pieces.extend(self.local.drain(..).map(Piece::Batch));
        kept.reservations.extend(token);
        Ok(())
    }
}

impl MaterializeState {
    /// Reserves `bytes`, if there are any.
    fn grow(&self, bytes: usize) -> Result<bool> {
        granted(self.reservation.as_ref().map_or(Ok(()), |reservation| reservation.grow(bytes)))
    }

    /// Writes what is in memory to the file of this worker, but for the last batches of at most `keep` bytes. Batches without columns take no memory and stay.
    fn spill(&mut self, keep: usize) -> Result<()> {
        if self.local.iter().any(|batch| batch.columns().is_empty()) {
            return Ok(());
        }
        let mut kept = 0;
        let mut end = self.local.len();
        while end > 0 && kept + self.local[end - 1].memory_bytes() <= keep {
            end -= 1;
            kept += self.local[end].memory_bytes();
        }
        if end > 0 {
            let file = self.task.spill.file_in(&mut self.file, "Materialize", &self.metrics)?;
            self.pieces.extend(write(&self.local[..end], file, || self.task.cancel.check())?);
            self.local.drain(..end);
        }
        if let Some(reservation) = &self.reservation {
            reservation.shrink(reservation.held().saturating_sub(kept));
        }
        Ok(())
    }
}

/// Gives materialized batches, each to one worker.
#[derive(Debug)]
struct MaterializedScan {
    shared: Arc<Materialized>,
    cursor: Arc<AtomicUsize>,
}

impl Source for MaterializedScan {
    fn name(&self) -> &'static str {
        "MaterializedScan"
    }

    fn max_workers(&self) -> usize {
        self.shared.sealed().map_or(usize::MAX, |kept| kept.pieces.len())
    }

    fn open(&self, _task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        drop(self.shared.sealed()?);
        Ok(Box::new(MaterializedScanState {
            shared: self.shared.clone(),
            cursor: self.cursor.clone(),
            batches: Vec::new().into_iter(),
        }))
    }
}

struct MaterializedScanState {
    shared: Arc<Materialized>,
    cursor: Arc<AtomicUsize>,
    /// What is left of the piece at hand.
    batches: std::vec::IntoIter<Batch>,
}

impl SourceState for MaterializedScanState {
    fn next(&mut self) -> Result<Next> {
        loop {
            if let Some(batch) = self.batches.next() {
                return Ok(Next::Batch(batch));
            }
            let position = self.cursor.fetch_add(1, Ordering::Relaxed);
            // The lock is not held while a block is read.
            let piece = self.shared.sealed()?.pieces.get(position).cloned();
            let Some(piece) = piece else { return Ok(Next::Finished) };
            self.batches = piece.batches()?.into_iter();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::super::Breaker;
    use super::super::random_rows::{self, Random, batch, drive_with, scalars};
    use super::*;
    use crate::config::{Config, Fault};

    /// Rows as text, narrow decimals like wide ones.
    fn rows(batches: &[Batch]) -> Vec<String> {
        let mut rows: Vec<String> =
            scalars(batches).into_iter().map(|row| format!("{row:?}").replace("Int64", "Int128")).collect();
        rows.sort();
        rows
    }

    fn check(seed: u64, config: Config, workers: usize) -> u64 {
        let mut random = Random(seed);
        let types: Vec<_> = (0..1 + random.below(4)).map(|_| random.pick(&random_rows::types())).collect();
        let batches: Vec<Batch> = (0..random.below(40))
            .map(|i| {
                let len = random.pick(&[1, 9, 1000]);
                batch(&mut random, &types, len, i as i64 * 1000)
            })
            .collect();
        let task = TaskContext::new(config);
        let (sink, metrics) = (Arc::new(Materialize::new()), OperatorMetrics::new());
        let breaker = Breaker { sink: sink.clone(), source: sink.reader() };
        let first = drive_with(&breaker, batches.clone(), workers, &task, &metrics).expect("kept");
        assert_eq!(rows(&first), rows(&batches), "seed {seed}");
        // Somebody is short of memory between two readers.
        let stands = task.memory.used();
        let freed = sink.shared.spill(stands / 2).expect("spills");
        assert!(freed >= stands / 2 && task.memory.used() == stands - freed, "{freed} of {stands}, seed {seed}");
        let mut again = sink.reader().open(&task, &metrics).expect("opens");
        let mut second = Vec::new();
        while let Next::Batch(batch) = again.next().expect("reads") {
            second.push(batch);
        }
        assert_eq!(rows(&second), rows(&batches), "seed {seed}");
        drop((breaker, sink, again));
        assert_eq!(task.memory.used(), 0, "seed {seed}");
        metrics.bytes_spilled.load(Relaxed)
    }

    #[test]
    fn whatever_is_kept_comes_back_from_memory_and_disk() {
        for seed in 0..120 {
            let fault = [None, Some(Fault::SpillEvery(1)), Some(Fault::SpillEvery(3))][(seed % 3) as usize];
            check(seed, Config { fault, ..Config::default() }, 1 + (seed % 4) as usize);
        }
    }

    #[test]
    fn more_than_the_memory_is_kept() {
        let spilled: Vec<u64> =
            (0..40).map(|seed| check(seed, Config { memory_bytes: Some(64 << 10), ..Config::default() }, 2)).collect();
        assert!(spilled.iter().any(|&bytes| bytes > 100_000), "{spilled:?}");
    }
}
