//! A table over a stream of record batches: read once, batch by batch, never held as a whole.

use std::fmt;
use std::sync::{Arc, Mutex};

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use plasmon_core::batch::{Batch, arrow::import_column};
use plasmon_core::metrics::OperatorMetrics;
use plasmon_core::pipeline::{Next, Source, SourceState, TaskContext};
use plasmon_core::table::{ScanRequest, Table};
use plasmon_core::{Error, Result};

use crate::memory_table::misfit;

/// A stream of batches as a table, for [`crate::Statement::table`]. It can be scanned once; a second scan is an error.
///
/// Workers take turns at the reader, each batch on whichever thread asks; the reader is dropped at its end, at its first error, or with the query.
pub struct StreamTable {
    schema: SchemaRef,
    reader: Mutex<Option<Box<dyn RecordBatchReader + Send>>>,
}

impl StreamTable {
    /// A table of what `reader` gives.
    pub fn new(reader: impl RecordBatchReader + Send + 'static) -> Self {
        StreamTable { schema: reader.schema(), reader: Mutex::new(Some(Box::new(reader))) }
    }
}

impl fmt::Debug for StreamTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamTable").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Table for StreamTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn scan(&self, request: &ScanRequest) -> Result<Arc<dyn Source>> {
        let reader = self.reader.lock().unwrap_or_else(|e| e.into_inner()).take();
        let reader = reader.ok_or_else(|| {
            Error::user(
                "a stream can be read once: the statement reads it twice, or ran before; register it as a table",
            )
        })?;
        let shared = Shared {
            schema: self.schema.clone(),
            projection: request.projection.clone(),
            batch_rows: request.batch_rows.max(1),
            reader: Mutex::new(Some(reader)),
        };
        Ok(Arc::new(StreamScan(Arc::new(shared))))
    }

    fn describe(&self) -> String {
        "a stream".to_string()
    }
}

#[derive(Debug)]
struct StreamScan(Arc<Shared>);

struct Shared {
    schema: SchemaRef,
    projection: Vec<usize>,
    batch_rows: usize,
    reader: Mutex<Option<Box<dyn RecordBatchReader + Send>>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("projection", &self.projection).finish_non_exhaustive()
    }
}

impl Shared {
    /// The stream's next batch that has rows.
    fn next(&self) -> Result<Option<RecordBatch>> {
        let mut reader = self.reader.lock().unwrap_or_else(|e| e.into_inner());
        loop {
            let Some(stream) = reader.as_mut() else { return Ok(None) };
            let batch = match stream.next() {
                Some(Ok(batch)) => batch,
                Some(Err(error)) => {
                    *reader = None;
                    return Err(error.into());
                }
                None => {
                    *reader = None;
                    return Ok(None);
                }
            };
            // Most readers give the schema that they told, not another that is equal.
            if !Arc::ptr_eq(batch.schema_ref(), &self.schema)
                && let Some(what) = misfit(&self.schema, &batch)
            {
                *reader = None;
                return Err(Error::data(what));
            }
            if batch.num_rows() > 0 {
                return Ok(Some(batch));
            }
        }
    }
}

impl Source for StreamScan {
    fn name(&self) -> &'static str {
        "StreamScan"
    }

    fn open(&self, _task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        Ok(Box::new(StreamScanState { shared: self.0.clone(), batch: None }))
    }
}

struct StreamScanState {
    shared: Arc<Shared>,
    /// A batch of the stream that is given out in parts, and the row at which the next part starts.
    batch: Option<(RecordBatch, usize)>,
}

impl SourceState for StreamScanState {
    fn next(&mut self) -> Result<Next> {
        let (batch, start) = match self.batch.take() {
            Some(rest) => rest,
            None => match self.shared.next()? {
                Some(batch) => (batch, 0),
                None => return Ok(Next::Finished),
            },
        };
        let rows = self.shared.batch_rows.min(batch.num_rows() - start);
        let part = import(&batch, &self.shared.projection, start, rows)?;
        if start + rows < batch.num_rows() {
            self.batch = Some((batch, start + rows));
        }
        Ok(Next::Batch(part))
    }
}

/// Some rows of the columns that are wanted.
fn import(batch: &RecordBatch, projection: &[usize], start: usize, rows: usize) -> Result<Batch> {
    let is_whole = rows == batch.num_rows();
    let columns = projection.iter().map(|&c| match is_whole {
        true => import_column(batch.column(c)),
        false => import_column(&batch.column(c).slice(start, rows)),
    });
    Ok(Batch::new(columns.collect::<Result<Vec<_>>>()?, rows))
}
