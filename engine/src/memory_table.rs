//! Tables held in memory: `CREATE TABLE AS`, registered batches.

use std::sync::{Arc, RwLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use plasmon_core::batch::{Batch, arrow::import_batch};
use plasmon_core::config::BATCH_ROWS_DEFAULT;
use plasmon_core::operators::values::Values;
use plasmon_core::pipeline::Source;
use plasmon_core::table::{ScanRequest, Table, TableStatistics};
use plasmon_core::{Error, Result};

/// Batches under one schema; rows can be appended, a scan sees the rows present when it was planned.
///
/// ```
/// use std::sync::Arc;
/// use arrow::array::{Int64Array, RecordBatch};
/// use plasmon::{Config, MemoryTable, Session};
///
/// let batch = RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![1, 2])) as _)])?;
/// let table = Arc::new(MemoryTable::new(batch.schema(), &[batch.clone()])?);
/// let session = Session::new(Config::default())?;
/// session.register_table("t", table.clone())?;
/// table.append(&[batch])?;
/// assert_eq!(session.table_rows("t")?, Some(4));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MemoryTable {
    schema: SchemaRef,
    batches: RwLock<Arc<Vec<Batch>>>,
}

impl MemoryTable {
    /// A table of `batches`, whose schemas must have `schema`'s types in its order.
    pub fn new(schema: SchemaRef, batches: &[RecordBatch]) -> Result<Self> {
        let table = MemoryTable { schema, batches: RwLock::default() };
        table.append(batches)?;
        Ok(table)
    }

    /// Appends rows.
    pub fn append(&self, batches: &[RecordBatch]) -> Result<()> {
        let mut added = Vec::new();
        for batch in batches {
            misfit(&self.schema, batch).map_or(Ok(()), |what| Err(Error::user(what)))?;
            for offset in (0..batch.num_rows()).step_by(BATCH_ROWS_DEFAULT) {
                added.push(import_batch(&batch.slice(offset, BATCH_ROWS_DEFAULT.min(batch.num_rows() - offset)))?);
            }
        }
        let mut present = self.batches.write().unwrap_or_else(|e| e.into_inner());
        Arc::make_mut(&mut present).extend(added);
        Ok(())
    }

    fn present(&self) -> Arc<Vec<Batch>> {
        self.batches.read().unwrap_or_else(|e| e.into_inner()).clone()
    }
}

/// Why a batch cannot be read under `schema`: another number of columns, or other types.
pub(crate) fn misfit(schema: &SchemaRef, batch: &RecordBatch) -> Option<String> {
    let (own, given) = (schema.fields(), batch.columns());
    if own.len() != given.len() {
        return Some(format!("a batch of {} columns does not fit a table of {}", given.len(), own.len()));
    }
    let (field, column) = own.iter().zip(given).find(|(field, column)| field.data_type() != column.data_type())?;
    Some(format!("column {} is {}, the batch has {}", field.name(), field.data_type(), column.data_type()))
}

impl Table for MemoryTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn statistics(&self) -> TableStatistics {
        let present = self.present();
        TableStatistics {
            rows: Some(present.iter().map(|b| b.rows() as u64).sum()),
            bytes: Some(present.iter().map(|b| b.memory_bytes() as u64).sum()),
            columns: Vec::new(),
        }
    }

    fn scan(&self, request: &ScanRequest) -> Result<Arc<dyn Source>> {
        let mut batches = Vec::new();
        for batch in self.present().iter() {
            let rows = batch.rows();
            for offset in (0..rows).step_by(request.batch_rows.max(1)) {
                let part = batch.slice(offset, request.batch_rows.min(rows - offset))?;
                let columns = request.projection.iter().map(|&c| part.column(c).clone()).collect();
                batches.push(Batch::new(columns, part.rows()));
            }
        }
        Ok(Arc::new(Values::new(batches)))
    }

    fn describe(&self) -> String {
        "in memory".to_string()
    }
}
