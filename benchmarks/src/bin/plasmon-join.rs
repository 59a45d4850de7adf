//! A hash join of 10 M rows with 1 M, alone, from Rust: what `benchmarks/boundary/join.c` does through the C ABI, over the same rows, timed the same way.
//!
//! Prints one JSON line: seconds of each round, rows and a checksum of the output.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{AsArray, Int64Array, RecordBatch, RecordBatchIterator};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use plasmon::operators::{JoinKind, JoinParts, Operator, Untyped};
use plasmon::{Config, Session};

#[global_allocator]
static ALLOCATOR: plasmon_allocator::Counting<mimalloc::MiMalloc> = plasmon_allocator::Counting(mimalloc::MiMalloc);

/// As in `join.c`.
const PROBE_ROWS: i64 = 10_000_000;
const BUILD_ROWS: i64 = 1_000_000;
const BATCH_ROWS: i64 = 8192;
const ROUNDS: usize = 5;

/// A number's hash: splitmix64.
fn mixed(row: i64) -> u64 {
    let mut x = (row as u64).wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}

fn probe_key(row: i64) -> i64 {
    (mixed(row) % BUILD_ROWS as u64) as i64
}

/// Every key once, in no order.
fn build_key(row: i64) -> i64 {
    row * 999_983 % BUILD_ROWS
}

fn table(names: [&str; 2], rows: i64, key: fn(i64) -> i64) -> (SchemaRef, Vec<RecordBatch>) {
    let schema = Arc::new(Schema::new(names.map(|name| Field::new(name, DataType::Int64, false)).to_vec()));
    let batches = (0..rows).step_by(BATCH_ROWS as usize).map(|first| {
        let rows = first..rows.min(first + BATCH_ROWS);
        let keys: Int64Array = rows.clone().map(key).collect();
        let values: Int64Array = rows.collect();
        RecordBatch::try_new(schema.clone(), vec![Arc::new(keys), Arc::new(values)])
    });
    let batches = batches.collect::<Result<Vec<_>, _>>().unwrap_or_default();
    (schema, batches)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().nth(1).map_or(Ok(2), |t| t.parse())?;
    let session = Session::new(Config { threads, ..Config::default() })?;
    let (probe_schema, probe) = table(["k", "p"], PROBE_ROWS, probe_key);
    let (build_schema, build) = table(["k", "b"], BUILD_ROWS, build_key);
    let stream = |schema: &SchemaRef, batches: &[RecordBatch]| {
        let batches: Vec<RecordBatch> = batches.to_vec();
        Operator::stream(&session, RecordBatchIterator::new(batches.into_iter().map(Ok), schema.clone()))
    };
    let parts = JoinParts {
        kind: JoinKind::Inner,
        keys: vec![(Untyped::column(0), Untyped::column(0), false)],
        residual: None,
        null_aware: false,
        columns: None,
    };
    let mut seconds = Vec::new();
    let mut rows = 0_i64;
    for _ in 0..ROUNDS {
        rows = 0;
        let start = Instant::now();
        for batch in stream(&probe_schema, &probe).join(stream(&build_schema, &build), &parts)?.start()? {
            rows += batch?.num_rows() as i64;
        }
        seconds.push(start.elapsed().as_secs_f64());
    }
    let check = checksum(stream(&probe_schema, &probe).join(stream(&build_schema, &build), &parts)?)?;
    let told = serde_json::json!({ "host": "Rust", "seconds": seconds, "rows": rows, "checksum": check });
    writeln!(std::io::stdout(), "{told}")?;
    Ok(())
}

/// The sum over all rows of the product of what belongs together.
fn checksum(operator: Operator) -> Result<i64, Box<dyn std::error::Error>> {
    let mut sum = 0_i64;
    for batch in operator.start()? {
        let batch = batch?;
        let [p, b] = [1, 3].map(|column| batch.column(column).as_primitive::<Int64Type>().values().clone());
        sum = p.iter().zip(b.iter()).fold(sum, |sum, (p, b)| sum.wrapping_add(p.wrapping_mul(b + 1)));
    }
    Ok(sum)
}
