//! A table over frames: what another query has written to a shuffle or gave for a broadcast. Read once, never held as a whole.

use std::fmt;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use plasmon_core::batch::Batch;
use plasmon_core::batch::arrow::import_batch;
use plasmon_core::config::BATCH_ROWS_MAX;
use plasmon_core::metrics::OperatorMetrics;
use plasmon_core::pipeline::{Next, Source, SourceState, TaskContext};
use plasmon_core::spill::{FrameCodec, frames};
use plasmon_core::table::{ScanRequest, Table};
use plasmon_core::{Error, Result};

/// Rows of these columns as frames, for [`FrameTable`].
pub fn encode_frames(schema: &Schema, rows: &RecordBatch) -> Result<Vec<u8>> {
    let types: Vec<DataType> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
    let codec = FrameCodec::new(&types);
    let mut frames = Vec::new();
    for start in (0..rows.num_rows()).step_by(BATCH_ROWS_MAX) {
        let part = rows.slice(start, BATCH_ROWS_MAX.min(rows.num_rows() - start));
        let batch = import_batch(&part)?;
        codec.encode(batch.columns(), batch.rows(), &mut frames)?;
    }
    Ok(frames)
}

/// One or several whole frames at a time; `None` at the end.
type Frames = Box<dyn FnMut() -> Result<Option<Vec<u8>>> + Send>;

/// A stream of frames as a table, for [`crate::Statement::table`]. It can be scanned once; a second scan is an error.
///
/// Frames are decoded on the thread that asks for a batch. The source is dropped at its end, at its first error, or with the query.
///
/// ```
/// use std::sync::Arc;
/// use plasmon::{Config, FrameTable, Session};
///
/// let session = Session::new(Config::default())?;
/// let mut query = session.sql("SELECT value FROM generate_series(1, 100000)")?;
/// let schema = query.schema();
/// let mut frames = Vec::new();
/// while let Some(bytes) = query.next_frames()? {
///     frames.push(bytes);
/// }
/// let mut frames = frames.into_iter();
/// let table = Arc::new(FrameTable::new(schema, move || Ok(frames.next())));
/// let rows = session.statement("SELECT sum(value) FROM input HAVING sum(value) = 5000050000").table("input", table).run()?.collect()?;
/// assert_eq!(rows[0].num_rows(), 1);
/// # Ok::<(), plasmon::Error>(())
/// ```
pub struct FrameTable {
    schema: SchemaRef,
    source: Mutex<Option<Frames>>,
}

impl FrameTable {
    /// A table of these columns, which are those that the frames were written of.
    pub fn new(schema: SchemaRef, source: impl FnMut() -> Result<Option<Vec<u8>>> + Send + 'static) -> Self {
        FrameTable { schema, source: Mutex::new(Some(Box::new(source))) }
    }
}

impl fmt::Debug for FrameTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameTable").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Table for FrameTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn scan(&self, request: &ScanRequest) -> Result<Arc<dyn Source>> {
        let source = self.source.lock().unwrap_or_else(|e| e.into_inner()).take();
        let source = source
            .ok_or_else(|| Error::user("frames can be read once: the statement reads them twice, or ran before"))?;
        let types: Vec<DataType> = self.schema.fields().iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(FrameScan(Arc::new(Shared {
            codec: FrameCodec::new(&types),
            projection: request.projection.clone(),
            batch_rows: request.batch_rows.max(1),
            source: Mutex::new(Some(source)),
        }))))
    }

    fn describe(&self) -> String {
        "frames".to_string()
    }
}

#[derive(Debug)]
struct FrameScan(Arc<Shared>);

struct Shared {
    codec: FrameCodec,
    projection: Vec<usize>,
    batch_rows: usize,
    source: Mutex<Option<Frames>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("projection", &self.projection).finish_non_exhaustive()
    }
}

impl Shared {
    /// The bytes of the next frames.
    fn next(&self) -> Result<Option<Vec<u8>>> {
        let mut source = self.source.lock().unwrap_or_else(|e| e.into_inner());
        let Some(frames) = source.as_mut() else { return Ok(None) };
        let next = frames();
        if !matches!(next, Ok(Some(_))) {
            *source = None;
        }
        next
    }
}

impl Source for FrameScan {
    fn name(&self) -> &'static str {
        "FrameScan"
    }

    fn open(&self, _task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        Ok(Box::new(FrameScanState {
            shared: self.0.clone(),
            metrics: metrics.clone(),
            held: Vec::new(),
            rows: 0,
            ready: Vec::new().into_iter(),
        }))
    }
}

struct FrameScanState {
    shared: Arc<Shared>,
    metrics: Arc<OperatorMetrics>,
    /// Small batches on their way to become a larger one, and their rows.
    held: Vec<Batch>,
    rows: usize,
    ready: std::vec::IntoIter<Batch>,
}

impl SourceState for FrameScanState {
    fn next(&mut self) -> Result<Next> {
        loop {
            if let Some(batch) = self.ready.next() {
                return Ok(Next::Batch(batch));
            }
            let Some(bytes) = self.shared.next()? else {
                return Ok(if self.held.is_empty() { Next::Finished } else { Next::Batch(self.together()?) });
            };
            self.metrics.add("bytes read", bytes.len() as u64);
            self.decode(&bytes)?;
        }
    }
}

impl FrameScanState {
    /// Takes the batches out of frames: small ones joined up to a full one, large ones in parts.
    fn decode(&mut self, bytes: &[u8]) -> Result<()> {
        let mut ready = Vec::new();
        for frame in frames(bytes) {
            let batch = self.shared.codec.decode(frame?)?;
            if batch.rows() == 0 {
                continue;
            }
            let columns = self.shared.projection.iter().map(|&column| batch.column(column).clone()).collect();
            let batch = Batch::new(columns, batch.rows());
            if self.rows + batch.rows() > self.shared.batch_rows && !self.held.is_empty() {
                ready.push(self.together()?);
            }
            self.rows += batch.rows();
            self.held.push(batch);
            if self.rows >= self.shared.batch_rows {
                ready.extend(parts(&self.together()?, self.shared.batch_rows)?);
            }
        }
        self.ready = ready.into_iter();
        Ok(())
    }

    /// What is held, as one batch.
    fn together(&mut self) -> Result<Batch> {
        self.rows = 0;
        let types: Vec<DataType> =
            self.shared.projection.iter().map(|&column| self.shared.codec.types()[column].clone()).collect();
        Batch::join(std::mem::take(&mut self.held), &types)
    }
}

/// A batch in parts of at most `rows` rows.
fn parts(batch: &Batch, rows: usize) -> Result<Vec<Batch>> {
    let starts = (0..batch.rows()).step_by(rows);
    starts.map(|start| batch.slice(start, rows.min(batch.rows() - start))).collect()
}
