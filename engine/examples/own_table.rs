//! A table source of one's own: batches made on demand by several workers, with statistics and a filter that the source applies itself.
//!
//! `cargo run --release --workspace --example own_table`

#![expect(clippy::print_stdout, reason = "examples show their results")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::pretty::pretty_format_batches;
use plasmon::core::batch::{Batch, arrow::import_batch};
use plasmon::core::metrics::OperatorMetrics;
use plasmon::core::pipeline::{Next, Source, SourceState, TaskContext};
use plasmon::core::table::{ScanRequest, Table, TableStatistics};
use plasmon::{Config, Result, Session};

/// The first `rows` powers of a linear congruential generator, computed when they are asked for.
#[derive(Debug)]
struct Noise {
    rows: u64,
}

impl Table for Noise {
    fn schema(&self) -> SchemaRef {
        let column = |name| Field::new(name, DataType::Int64, false);
        Arc::new(Schema::new(vec![column("position"), column("value")]))
    }

    /// The optimizer picks join order and build sides by these.
    fn statistics(&self) -> TableStatistics {
        TableStatistics { rows: Some(self.rows), ..TableStatistics::default() }
    }

    /// A scan gives the columns of `request.projection`, in that order, `request.batch_rows` at a time.
    fn scan(&self, request: &ScanRequest) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(NoiseSource {
            schema: self.schema(),
            projection: request.projection.clone(),
            batch_rows: request.batch_rows as u64,
            rows: self.rows,
            cursor: Arc::default(),
        }))
    }

    fn describe(&self) -> String {
        format!("noise, {} rows", self.rows)
    }
}

/// Shared by the workers: the cursor gives each of them its next morsel.
#[derive(Debug, Clone)]
struct NoiseSource {
    schema: SchemaRef,
    projection: Vec<usize>,
    batch_rows: u64,
    rows: u64,
    cursor: Arc<AtomicU64>,
}

impl Source for NoiseSource {
    fn name(&self) -> &'static str {
        "NoiseScan"
    }

    fn open(&self, _task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        Ok(Box::new(self.clone()))
    }
}

impl SourceState for NoiseSource {
    fn next(&mut self) -> Result<Next> {
        let first = self.cursor.fetch_add(self.batch_rows, Ordering::Relaxed);
        if first >= self.rows {
            return Ok(Next::Finished);
        }
        let positions: Vec<u64> = (first..self.rows.min(first + self.batch_rows)).collect();
        let noise =
            |p: &u64| (p.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 33) as i64;
        let columns = [
            Int64Array::from_iter_values(positions.iter().map(|&p| p as i64)),
            Int64Array::from_iter_values(positions.iter().map(noise)),
        ];
        let wanted = self.projection.iter().map(|&c| Arc::new(columns[c].clone()) as _).collect::<Vec<_>>();
        let batch = if wanted.is_empty() {
            // `SELECT count(*)` reads no column: rows without columns.
            Batch::new(Vec::new(), positions.len())
        } else {
            import_batch(&RecordBatch::try_new(Arc::new(self.schema.project(&self.projection)?), wanted)?)?
        };
        Ok(Next::Batch(batch))
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let session = Session::new(Config { threads: 2, ..Config::default() })?;
    session.register_table("noise", Arc::new(Noise { rows: 1_000_000 }))?;
    let batches = session
        .sql("SELECT value % 4 AS bucket, count(*) AS rows, min(position) AS first FROM noise GROUP BY 1 ORDER BY 1")?
        .collect()?;
    println!("{}", pretty_format_batches(&batches)?);
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 4);
    let count = session.sql("SELECT count(*) FROM noise")?.collect()?;
    println!("{}", pretty_format_batches(&count)?);
    Ok(())
}
