//! Materialize: keeps every batch, and gives them again to any number of readers.
//!
//! Used for sub-plans that are read more than once, in-memory tables, and the rounds of a recursive query. What grows: the batches, under
//! one reservation. Order within a worker is kept.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::memory::Reservation;
use crate::metrics::OperatorMetrics;
use crate::pipeline::{Flow, Next, Sink, SinkState, Source, SourceState, TaskContext};

/// Batches once everything has arrived, with the token for their memory.
#[derive(Debug, Default)]
struct Materialized {
    arriving: Mutex<(Vec<Batch>, Vec<Reservation>)>,
    batches: OnceLock<Vec<Batch>>,
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

    /// The batches, once sealed.
    pub fn batches(&self) -> Result<&[Batch]> {
        self.shared.sealed()
    }
}

impl Materialized {
    fn sealed(&self) -> Result<&[Batch]> {
        self.batches
            .get()
            .map(Vec::as_slice)
            .ok_or_else(|| Error::internal("materialized rows were read before they were complete"))
    }
}

impl Sink for Materialize {
    fn name(&self) -> &'static str {
        "Materialize"
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SinkState>> {
        Ok(Box::new(MaterializeState {
            shared: self.shared.clone(),
            local: Vec::new(),
            reservation: Some(task.memory.reservation("Materialize")),
            metrics: metrics.clone(),
        }))
    }

    fn seal(&self, _task: &TaskContext) -> Result<()> {
        let mut arriving = self.shared.arriving.lock().unwrap_or_else(|e| e.into_inner());
        let _ = self.shared.batches.set(std::mem::take(&mut arriving.0));
        Ok(())
    }
}

struct MaterializeState {
    shared: Arc<Materialized>,
    local: Vec<Batch>,
    reservation: Option<Reservation>,
    metrics: Arc<OperatorMetrics>,
}

impl SinkState for MaterializeState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let batch = batch.detach();
        if let Some(reservation) = &self.reservation {
            reservation.grow(batch.memory_bytes())?;
            self.metrics.reserved(reservation.held());
        }
        self.local.push(batch);
        Ok(Flow::NeedInput)
    }

    fn combine(&mut self) -> Result<()> {
        let mut arriving = self.shared.arriving.lock().unwrap_or_else(|e| e.into_inner());
        arriving.0.append(&mut self.local);
        arriving.1.extend(self.reservation.take());
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
        self.shared.batches.get().map_or(usize::MAX, Vec::len)
    }

    fn open(&self, _task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        self.shared.sealed()?;
        Ok(Box::new(MaterializedScanState { shared: self.shared.clone(), cursor: self.cursor.clone() }))
    }
}

struct MaterializedScanState {
    shared: Arc<Materialized>,
    cursor: Arc<AtomicUsize>,
}

impl SourceState for MaterializedScanState {
    fn next(&mut self) -> Result<Next> {
        let position = self.cursor.fetch_add(1, Ordering::Relaxed);
        Ok(self.shared.sealed()?.get(position).cloned().map_or(Next::Finished, Next::Batch))
    }
}
