//! Shuffle write: all rows to one file, partition after partition, each as frames; then a row per partition that is not empty.
//!
//! ```text
//! push ──▶ batches and the partition of each row ──enough──▶ a run: frames, partition after partition
//!                                                              ╰─told to spill──▶ blocks of a spill file
//! combine ──▶ runs of all workers        seal ──▶ the file: of each partition, what each run has of it
//! ```
//! What grows: batches, and runs in memory, under a reservation per worker. Nothing is kept per partition but where its frames lie in a run, so there may be many.
//! The file appears when everything has come; one that cannot be written to its end is removed.

mod file;
mod partitioning;
mod run;
mod worker;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use arrow_schema::DataType;

use super::Breaker;
use crate::batch::{Batch, Column, Values};
use crate::error::{Error, Result};
use crate::memory::Reservation;
use crate::metrics::OperatorMetrics;
use crate::pipeline::{Next, Sink, SinkState, Source, SourceState, TaskContext};
use crate::spill::FrameCodec;
use partitioning::Partitioner;
pub use partitioning::Partitioning;
use run::Run;

/// Most partitions: as many as Spark has; eight bytes each are there while rows are put in order.
pub const SHUFFLE_PARTITIONS_MAX: usize = 1 << 24;

/// Columns of the result: number of a partition, its bytes in the file, its rows.
pub const SHUFFLE_WRITE_TYPES: [DataType; 3] = [DataType::Int32, DataType::Int64, DataType::Int64];

/// What is written where.
#[derive(Debug, Clone)]
pub struct ShuffleWriteSpec {
    pub partitioning: Partitioning,
    /// At least one.
    pub partitions: usize,
    /// Of a local file; created or emptied.
    pub path: PathBuf,
    /// Of the rows.
    pub types: Vec<DataType>,
}

/// What the file has of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written {
    partition: i32,
    bytes: i64,
    rows: i64,
}

#[derive(Debug)]
struct Shared {
    partitioner: Partitioner,
    codec: FrameCodec,
    path: PathBuf,
    /// Of all workers, once they have combined.
    runs: Mutex<Vec<Run>>,
    /// For those.
    reservations: Mutex<Vec<Reservation>>,
    metrics: Mutex<Option<Arc<OperatorMetrics>>>,
    written: Mutex<Vec<Written>>,
}

/// The sink that writes, and the source that tells what was written.
pub fn shuffle_write(spec: ShuffleWriteSpec) -> Result<Breaker> {
    if spec.partitions == 0 || spec.partitions > SHUFFLE_PARTITIONS_MAX {
        return Err(Error::unsupported(format!("{} partitions; 1 to {SHUFFLE_PARTITIONS_MAX} are", spec.partitions)));
    }
    let shared = Arc::new(Shared {
        partitioner: Partitioner::new(spec.partitioning, spec.partitions)?,
        codec: FrameCodec::new(&spec.types),
        path: spec.path,
        runs: Mutex::default(),
        reservations: Mutex::default(),
        metrics: Mutex::default(),
        written: Mutex::default(),
    });
    Ok(Breaker { sink: Arc::new(ShuffleWrite(shared.clone())), source: Arc::new(ShuffleWritten(shared)) })
}

#[derive(Debug)]
struct ShuffleWrite(Arc<Shared>);

impl Sink for ShuffleWrite {
    fn name(&self) -> &'static str {
        "ShuffleWrite"
    }

    fn describe(&self) -> String {
        format!("{} partitions to {}", self.0.partitioner.partitions(), self.0.path.display())
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SinkState>> {
        *lock(&self.0.metrics) = Some(metrics.clone());
        Ok(Box::new(worker::Worker::new(&self.0, task, metrics)))
    }

    fn seal(&self, task: &TaskContext) -> Result<()> {
        let runs = std::mem::take(&mut *lock(&self.0.runs));
        let written = file::write(&self.0.path, &runs, &task.cancel)?;
        drop(runs);
        lock(&self.0.reservations).clear();
        if let Some(metrics) = &*lock(&self.0.metrics) {
            metrics.note("partitions written", written.len().to_string());
            metrics.note("bytes written", written.iter().map(|w| w.bytes).sum::<i64>().to_string());
        }
        *lock(&self.0.written) = written;
        Ok(())
    }
}

#[derive(Debug)]
struct ShuffleWritten(Arc<Shared>);

impl Source for ShuffleWritten {
    fn name(&self) -> &'static str {
        "ShuffleWritten"
    }

    fn max_workers(&self) -> usize {
        1
    }

    fn open(&self, task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        let written = std::mem::take(&mut *lock(&self.0.written));
        Ok(Box::new(Told { written: written.into_iter(), batch_rows: task.config.batch_rows.max(1) }))
    }
}

/// What was written, a batch at a time.
struct Told {
    written: std::vec::IntoIter<Written>,
    batch_rows: usize,
}

impl SourceState for Told {
    fn next(&mut self) -> Result<Next> {
        let rows: Vec<Written> = self.written.by_ref().take(self.batch_rows).collect();
        if rows.is_empty() {
            return Ok(Next::Finished);
        }
        let columns = vec![
            Column::flat(Values::Int32(rows.iter().map(|row| row.partition).collect())),
            Column::flat(Values::Int64(rows.iter().map(|row| row.bytes).collect())),
            Column::flat(Values::Int64(rows.iter().map(|row| row.rows).collect())),
        ];
        Ok(Next::Batch(Batch::new(columns, rows.len())))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

#[cfg(test)]
mod tests;
