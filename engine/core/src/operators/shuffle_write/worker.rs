//! One worker's rows: batches until there are enough for a run, runs until there is no memory for them.

use std::sync::Arc;

use super::run::Run;
use super::{Shared, lock};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::memory::{Reservation, granted};
use crate::metrics::OperatorMetrics;
use crate::pipeline::{Flow, SinkState, TaskContext};
use crate::spill::SpillFile;

/// Bytes of batches that become a run: so many that frames of hundreds of partitions are not small.
const RUN_BYTES: usize = 64 << 20;
/// Bytes of a row beside its values while a run is made: its partition, and its place among the rows in their order.
const ROW_BYTES: usize = 8;
/// Copies of the values that are made for a run: a column of all batches, and what is gathered and encoded of it.
const COPIES: usize = 2;

pub(super) struct Worker {
    shared: Arc<Shared>,
    task: TaskContext,
    metrics: Arc<OperatorMetrics>,
    /// For what is held, and for the runs in memory.
    reservation: Option<Reservation>,
    /// Batches, and the partition of each of their rows.
    held: Vec<(Batch, Vec<u32>)>,
    held_bytes: usize,
    runs: Vec<Run>,
    file: Option<Arc<SpillFile>>,
}

impl Worker {
    pub(super) fn new(shared: &Arc<Shared>, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Self {
        Worker {
            shared: shared.clone(),
            task: task.clone(),
            metrics: metrics.clone(),
            reservation: Some(task.memory.spilling_reservation("ShuffleWrite")),
            held: Vec::new(),
            held_bytes: 0,
            runs: Vec::new(),
            file: None,
        }
    }
}

impl SinkState for Worker {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let batch = batch.detach();
        let bytes = batch.memory_bytes() * (1 + COPIES) + batch.rows() * ROW_BYTES;
        let has_room = self.make_room(bytes)?;
        let targets = self.shared.partitioner.targets(&batch)?;
        self.held_bytes += batch.memory_bytes() + batch.rows() * ROW_BYTES;
        self.held.push((batch, targets));
        if !has_room {
            self.spill()?;
        } else if self.held_bytes >= RUN_BYTES {
            self.end_run()?;
        }
        Ok(Flow::NeedInput)
    }

    fn combine(&mut self) -> Result<()> {
        self.end_run()?;
        lock(&self.shared.runs).append(&mut self.runs);
        // What waits to be written cannot spill any more.
        let token = self.reservation.take().map(Reservation::passive);
        lock(&self.shared.reservations).extend(token);
        Ok(())
    }
}

impl Worker {
    fn reservation(&self) -> Result<&Reservation> {
        self.reservation.as_ref().ok_or_else(|| Error::internal("a batch came to a shuffle that is over"))
    }

    /// Reserves `bytes`, spilling what is here if it must; `false` = there is no memory at all, and what comes is to be written at once.
    fn make_room(&mut self, bytes: usize) -> Result<bool> {
        let reservation = self.reservation()?;
        if reservation.try_grow(bytes)? {
            self.metrics.reserved(reservation.held());
            return Ok(true);
        }
        self.spill()?;
        granted(self.reservation()?.grow(bytes))
    }

    /// Makes a run of what is held.
    fn end_run(&mut self) -> Result<()> {
        self.held_bytes = 0;
        if self.held.is_empty() {
            return Ok(());
        }
        let held = std::mem::take(&mut self.held);
        let partitions = self.shared.partitioner.partitions();
        self.runs.push(Run::of(held, partitions, &self.shared.codec, &self.task.cancel)?);
        let kept = self.runs.iter().map(Run::memory_bytes).sum::<usize>();
        let reservation = self.reservation()?;
        // Frames are seldom larger than the rows that they were made of; what they are is there already.
        match kept.checked_sub(reservation.held()) {
            Some(more) => granted(reservation.grow(more)).map(drop),
            None => {
                reservation.shrink(reservation.held() - kept);
                Ok(())
            }
        }
    }

    /// Moves all that is here to the spill file.
    fn spill(&mut self) -> Result<()> {
        self.end_run()?;
        if self.runs.iter().all(|run| run.memory_bytes() == 0) {
            return Ok(());
        }
        let file = self.task.spill.file_in(&mut self.file, "ShuffleWrite", &self.metrics)?.clone();
        for run in &mut self.runs {
            self.task.cancel.check()?;
            run.spill(&file)?;
        }
        let kept = self.runs.iter().map(Run::memory_bytes).sum::<usize>();
        let reservation = self.reservation()?;
        reservation.shrink(reservation.held().saturating_sub(kept));
        Ok(())
    }
}
