//! Runs statements for the peer benchmark: one JSON request a line on stdin, one JSON answer a line on stdout.
//!
//! Request `{"setup": "SQL"}`, answer `{}`. Request `{"sql": "SQL"}`, with `"set": ["SQL", …]` for what runs before, answer `{"seconds": s, "peak_kilobytes": k,
//! "reserved_bytes": b, "spilled_bytes": b, "allocated_bytes": b, "columns": [...], "types": [...], "rows": [[...]]}`. Request `{"sql": "SQL", "at_once": n}`, which runs the
//! statement n times at once, answer `{"seconds": [...], "waited": [...], "rows": [count, ...], "reserved_bytes": most, "spilled_bytes": b,
//! "peak_kilobytes": k}`. Any may be `{"error": "...", "kind": "..."}`, the kind by its name in [`plasmon::Error`].
//! Values are texts; the time covers planning, running and receiving every batch, not the formatting of rows.

use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use plasmon::{Config, Session};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: plasmon_allocator::Counting<mimalloc::MiMalloc> = plasmon_allocator::Counting(mimalloc::MiMalloc);

/// How often a query is looked at while it stands in line.
const LOOK: Duration = Duration::from_millis(2);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().nth(1).map_or(Ok(2), |t| t.parse())?;
    let session = Session::new(Config { threads, ..Config::default() })?;
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let answer = answer(&session, &request).unwrap_or_else(|error| failure(&*error));
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}

fn failure(error: &(dyn std::error::Error + 'static)) -> Value {
    let kind =
        error.downcast_ref::<plasmon::Error>().map_or_else(String::new, |error| format!("{:?}", error.without_path()));
    json!({ "error": error.to_string(), "kind": kind.split(|c: char| !c.is_alphanumeric()).next() })
}

fn answer(session: &Session, request: &Value) -> Result<Value, Box<dyn std::error::Error>> {
    if let Some(setup) = request["setup"].as_str() {
        session.sql(setup)?.collect()?;
        return Ok(json!({}));
    }
    for set in request["set"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        session.sql(set)?.collect()?;
    }
    let sql = request["sql"].as_str().ok_or("a request needs \"setup\" or \"sql\"")?;
    if let Some(count) = request["at_once"].as_u64() {
        return at_once(session, sql, count);
    }
    reset_peak();
    let start = Instant::now();
    let query = session.sql(sql)?;
    let (schema, monitor, memory) = (query.schema(), query.monitor(), query.memory());
    let outcome = query.collect();
    let seconds = start.elapsed().as_secs_f64();
    let spilled = monitor.progress().bytes_spilled;
    let allocated = monitor.measure(0).and_then(|measured| measured.allocated_bytes);
    // It keeps the query's state.
    drop(monitor);
    if memory.used() > 0 {
        return Err(format!("internal error: {} bytes are still reserved", memory.used()).into());
    }
    let batches = outcome?;
    let peak_kilobytes = peak_kilobytes();
    let mut rows = Vec::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let values = batch.columns().iter().map(|column| cell(column, row)).collect::<Result<Vec<_>, _>>()?;
            rows.push(values);
        }
    }
    let columns: Vec<_> = schema.fields().iter().map(|f| f.name().clone()).collect();
    let types: Vec<_> = schema.fields().iter().map(|f| f.data_type().to_string()).collect();
    Ok(json!({
        "seconds": seconds, "peak_kilobytes": peak_kilobytes, "reserved_bytes": memory.peak(), "spilled_bytes": spilled,
        "allocated_bytes": allocated, "columns": columns, "types": types, "rows": rows
    }))
}

/// What one of several queries came to.
struct Outcome {
    seconds: f64,
    /// How much of that it stood in line.
    waited: f64,
    rows: usize,
    reserved_bytes: usize,
    spilled_bytes: u64,
}

/// Runs a statement on `count` threads at the same time.
fn at_once(session: &Session, sql: &str, count: u64) -> Result<Value, Box<dyn std::error::Error>> {
    reset_peak();
    let start = Instant::now();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..count).map(|_| scope.spawn(|| run(session, sql, start))).collect();
        running.into_iter().map(|thread| thread.join()).collect()
    });
    let outcomes = outcomes.into_iter().map(|outcome| outcome.map_err(|_| "a query's thread panicked"));
    let outcomes = outcomes.collect::<Result<Vec<_>, _>>()?.into_iter().collect::<plasmon::Result<Vec<Outcome>>>()?;
    Ok(json!({
        "seconds": outcomes.iter().map(|o| o.seconds).collect::<Vec<_>>(),
        "waited": outcomes.iter().map(|o| o.waited).collect::<Vec<_>>(),
        "rows": outcomes.iter().map(|o| o.rows).collect::<Vec<_>>(),
        "reserved_bytes": outcomes.iter().map(|o| o.reserved_bytes).max(),
        "spilled_bytes": outcomes.iter().map(|o| o.spilled_bytes).sum::<u64>(),
        "peak_kilobytes": peak_kilobytes(),
    }))
}

fn run(session: &Session, sql: &str, start: Instant) -> plasmon::Result<Outcome> {
    let query = session.sql(sql)?;
    let (monitor, memory) = (query.monitor(), query.memory());
    let (rows, waited) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut waited = 0.0;
            // Its own thread puts it in line, when that has started.
            std::thread::sleep(LOOK);
            while monitor.progress().is_waiting {
                waited = start.elapsed().as_secs_f64();
                std::thread::sleep(LOOK);
            }
            waited
        });
        let rows = query.map(|batch| batch.map(|batch| batch.num_rows())).sum::<plasmon::Result<usize>>();
        (rows, watch.join().unwrap_or_default())
    });
    Ok(Outcome {
        seconds: start.elapsed().as_secs_f64(),
        waited,
        rows: rows?,
        reserved_bytes: memory.peak(),
        spilled_bytes: monitor.progress().bytes_spilled,
    })
}

fn cell(column: &arrow::array::ArrayRef, row: usize) -> Result<Value, arrow::error::ArrowError> {
    if arrow::array::Array::is_null(column, row) {
        return Ok(Value::Null);
    }
    Ok(Value::String(arrow::util::display::array_value_to_string(column, row)?))
}

/// Starts the process's peak resident size anew (Linux; elsewhere the peak is the process's).
fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Peak resident size in kilobytes since the last reset; 0 where the system does not tell.
fn peak_kilobytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|k| k.parse().ok()).unwrap_or(0)
}
