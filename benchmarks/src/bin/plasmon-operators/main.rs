//! Each operator alone over rows of twenty times its budget, of every shape: whether it gives what it gives without a limit, and what it writes and reads for that.
//!
//! Prints a JSON line for each: bytes of the rows that it must keep, in memory and as one copy in a spill file, bytes written and read back, seconds, and
//! what became of it. `plasmon-operators [--budget BYTES] [--times N] [--threads N] [--only OPERATOR;…] [--shapes SHAPE;…]`.

mod answer;
mod cases;
mod data;
mod lists;

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Instant;

use plasmon_core::metrics::OperatorMetrics;
use plasmon_core::pipeline::{Graph, TaskContext, run_on_pool};
use plasmon_core::{Config, Error};
use serde_json::json;

use answer::Given;
use cases::{Case, OPERATORS};
use data::{SHAPES, Table};

#[global_allocator]
static ALLOCATOR: plasmon_allocator::Counting<mimalloc::MiMalloc> = plasmon_allocator::Counting(mimalloc::MiMalloc);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

struct Options {
    /// Bytes.
    budget: usize,
    times: usize,
    threads: usize,
    only: Option<String>,
    shapes: Option<String>,
}

/// One run of a case.
struct Outcome {
    given: std::result::Result<Given, Error>,
    seconds: f64,
    written: u64,
    read: u64,
    peak: usize,
    /// Bytes of the largest value that it gave.
    largest_value: u64,
    notes: BTreeMap<String, String>,
}

fn main() -> Result<()> {
    let options = options()?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads).build()?;
    let is_wanted =
        |list: &Option<String>, name: &str| list.as_ref().is_none_or(|list| list.split(';').any(|n| n == name));
    let mut sizes = BTreeMap::new();
    for (operator, make) in OPERATORS.iter().filter(|(name, _)| is_wanted(&options.only, name)) {
        for (shape, shape_name) in SHAPES.iter().filter(|(_, name)| is_wanted(&options.shapes, name)) {
            let make = || make(*shape, options.budget * options.times);
            let inputs = make()?.inputs;
            let (mut bytes, mut on_disk) = (0, 0);
            for table in &inputs {
                let (b, d) = sizes.entry(format!("{table:?}")).or_insert_with(|| size(table));
                (bytes, on_disk) = (bytes + *b, on_disk + *d);
            }
            let unlimited = run(make()?, None, &options, &pool);
            let limited = run(make()?, Some(options.budget), &options, &pool);
            let line = json!({
                "operator": operator, "shape": shape_name, "budget": options.budget, "bytes": bytes, "bytes_on_disk": on_disk,
                "rows": inputs.iter().map(Table::rows).sum::<usize>(), "rows_out": unlimited.given.as_ref().map_or(0, |given| given.rows),
                "written": limited.written, "read": limited.read, "seconds": limited.seconds, "seconds_unlimited": unlimited.seconds,
                "peak_bytes": limited.peak, "peak_bytes_unlimited": unlimited.peak, "largest_value": unlimited.largest_value, "answer": verdict(&unlimited, &limited), "notes": limited.notes,
            });
            writeln!(std::io::stdout(), "{line}")?;
        }
    }
    Ok(())
}

fn options() -> Result<Options> {
    let mut options = Options { budget: 8 << 20, times: 20, threads: 2, only: None, shapes: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--budget" => options.budget = value.parse()?,
            "--times" => options.times = value.parse()?,
            "--threads" => options.threads = value.parse()?,
            "--only" => options.only = Some(value),
            "--shapes" => options.shapes = Some(value),
            _ => return Err(format!("no option {name}").into()),
        }
    }
    Ok(options)
}

/// Bytes of a table in memory, and in a spill file.
fn size(table: &Table) -> (usize, u64) {
    let file = TaskContext::new(Config::default()).spill.file("size", &OperatorMetrics::new());
    let mut bytes = 0;
    for number in table.batches.clone() {
        let batch = table.batch(number);
        bytes += batch.memory_bytes();
        let _ = file.as_ref().map(|file| file.append(batch.columns(), batch.rows()));
    }
    (bytes, file.map_or(0, |file| file.bytes()))
}

fn run(case: Case, memory_bytes: Option<usize>, options: &Options, pool: &rayon::ThreadPool) -> Outcome {
    let task = TaskContext::new(Config { memory_bytes, threads: options.threads, ..Config::default() });
    let Case { graph, answer, .. } = case;
    let start = Instant::now();
    let ran = run_on_pool(&graph, &task, pool);
    let seconds = start.elapsed().as_secs_f64();
    let notes = notes(&graph);
    drop(graph);
    let used = task.memory.used();
    let ran =
        if used > 0 && ran.is_ok() { Err(Error::internal(format!("{used} bytes are still reserved"))) } else { ran };
    let (written, read, peak) = (task.spill.written(), task.spill.read(), task.memory.peak());
    Outcome {
        given: ran.map(|()| answer.given()),
        seconds,
        written,
        read,
        peak,
        largest_value: answer.largest_value(),
        notes,
    }
}

fn notes(graph: &Graph) -> BTreeMap<String, String> {
    let sinks = graph.sinks.iter().map(|sink| &sink.metrics);
    let others = graph
        .pipelines
        .iter()
        .flat_map(|p| std::iter::once(&p.source.metrics).chain(p.operators.iter().map(|o| &o.metrics)));
    sinks.chain(others).flat_map(|metrics| metrics.notes()).collect()
}

fn verdict(unlimited: &Outcome, limited: &Outcome) -> String {
    match (&unlimited.given, &limited.given) {
        (Err(error), _) => format!("failed without a limit: {error}"),
        (Ok(_), Err(error @ Error::OutOfMemory { .. })) => format!("refused: {error}"),
        (Ok(_), Err(error)) => format!("failed: {error}"),
        (Ok(wanted), Ok(given)) if !wanted.is_ordered || !given.is_ordered => "wrong order".to_string(),
        (Ok(wanted), Ok(given)) if wanted == given => "right".to_string(),
        (Ok(wanted), Ok(given)) => format!("wrong: {} rows, not {}", given.rows, wanted.rows),
    }
}
