//! Runs every `tests/slt/**/*.slt` under several settings.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::array_value_to_string;
use plasmon::plan::{substrait, wire};
use plasmon::{Config, Driver, Error, Fault, Query, Session, Source};
use sqllogictest::{DBOutput, DefaultColumnType};

/// A session, and how statements come to it.
struct Database(Session, Way);

impl sqllogictest::DB for Database {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let query = match self.1 {
            Way::Sql => self.0.sql(sql)?,
            Way::Plan => through_the_wire(&self.0, sql)?,
            Way::Substrait => through_substrait(&self.0, sql)?,
            Way::Refused(round) => with_refused_memory(&self.0, sql, round)?,
        };
        let columns = query.schema().fields().len();
        let batches = query.collect()?;
        if columns == 0 {
            return Ok(DBOutput::StatementComplete(0));
        }
        let rows =
            batches.iter().flat_map(|b| (0..b.num_rows()).map(|row| (0..columns).map(|c| cell(b, c, row)).collect()));
        Ok(DBOutput::Rows { types: vec![DefaultColumnType::Any; columns], rows: rows.collect() })
    }

    fn engine_name(&self) -> &str {
        "plasmon"
    }
}

/// The way of a statement into the engine.
#[derive(Clone, Copy)]
enum Way {
    Sql,
    /// As a plan in bytes, where it is a query.
    Plan,
    /// As a Substrait plan, where it is a query that has one.
    Substrait,
    /// As it is; queries are refused memory once, at points that differ from round to round.
    Refused(usize),
}

fn with_refused_memory(session: &Session, sql: &str, round: usize) -> Result<Query, Error> {
    let mut hasher = DefaultHasher::new();
    (sql, round).hash(&mut hasher);
    let number = hasher.finish() as usize;
    let point = 1 + (number >> 8) % (1 << (number % 9));
    // Tables are made as they are, so that a wrong answer is the query's own.
    let is_query = ["select", "with", "("].iter().any(|word| sql.trim_start().to_lowercase().starts_with(word));
    session.set_config(Config { fault: is_query.then_some(Fault::RefuseMemory(point)), ..session.config() })?;
    session.sql(sql)
}

/// The query of the plan that comes out of the bytes that the statement's plan gives.
fn through_the_wire(session: &Session, sql: &str) -> Result<Query, Error> {
    let Some(bytes) = session.statement(sql).plan_bytes()? else { return session.sql(sql) };
    let again = wire::encode(&wire::decode(&bytes, session)?)?;
    assert!(again == bytes, "the plan changed on its way: {sql}");
    session.statement_of(Source::Plan(&bytes)).run()
}

/// Queries that went through Substrait, and refusals by their reason.
static WRITTEN: AtomicUsize = AtomicUsize::new(0);
static REFUSED: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

/// The query of the plan that is written for the statement, read again; statements that have none run as they are.
fn through_substrait(session: &Session, sql: &str) -> Result<Query, Error> {
    match session.statement(sql).to_substrait(substrait::Format::Binary) {
        Ok(plan) => {
            WRITTEN.fetch_add(1, Relaxed);
            session.substrait(&plan).run()
        }
        Err(Error::At { path, error }) => {
            assert!(matches!(*error, Error::Unsupported(_)) && path.starts_with("root"), "{sql}: {error} (at {path})");
            *REFUSED.lock().expect("no test panics with the lock").entry(error.to_string()).or_default() += 1;
            session.sql(sql)
        }
        // No query, or wrong as SQL.
        Err(_) => session.sql(sql),
    }
}

/// The canonical text of a value: NULL, (empty), floats to ten digits, −0 as 0.
fn cell(batch: &RecordBatch, column: usize, row: usize) -> String {
    let array = batch.column(column);
    if array.is_null(row) || *array.data_type() == DataType::Null {
        return "NULL".to_string();
    }
    let text = array_value_to_string(array, row).unwrap_or_else(|e| e.to_string());
    match array.data_type() {
        DataType::Float32 | DataType::Float64 => {
            text.parse::<f64>().map_or(text, |f| format!("{}", format!("{f:.9e}").parse::<f64>().unwrap_or(f) + 0.0))
        }
        _ if text.is_empty() => "(empty)".to_string(),
        _ => text,
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("tests/slt exists") {
        let path = entry.expect("readable folder").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "slt") {
            found.push(path);
        }
    }
    found.sort();
}

/// The refusal, and what follows from a table that was not made.
const OUT_OF_MEMORY: [&str; 3] = ["out of memory", "there is no table", "no such file"];

/// What a configuration may answer besides the expected rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tolerance {
    Nothing,
    /// Memory is short: the typed refusal.
    OutOfMemory,
}

fn run_all(config: &Config, tolerance: Tolerance, way: Way) {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("slt"), &mut found);
    assert!(!found.is_empty());
    let (mut statements, mut failures) = (0, Vec::new());
    for file in found {
        let connect = config.clone();
        let mut runner = sqllogictest::Runner::new(move || {
            let config = connect.clone();
            async move { Session::new(config).map(|session| Database(session, way)) }
        });
        let records = sqllogictest::parse_file(&file).expect("well-formed test file");
        statements += records
            .iter()
            .filter(|r| matches!(r, sqllogictest::Record::Query { .. } | sqllogictest::Record::Statement { .. }))
            .count();
        // Every failing statement is told, not just the first of a file.
        for error in records.into_iter().filter_map(|record| runner.run(record).err()) {
            let message = error.to_string();
            assert!(!message.contains("please report"), "{message}");
            if tolerance == Tolerance::Nothing || !OUT_OF_MEMORY.iter().any(|part| message.contains(part)) {
                failures.push(message);
            }
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
    assert!(statements >= 1500, "only {statements} statements");
}

/// The configurations under which every file must hold: name → settings. Instruction tiers are a matter of the process: `tests/run`
/// repeats the tests with `PLASMON_MAX_ISA`.
macro_rules! configurations {
    ($($name:ident: $config:expr, $tolerance:ident;)*) => {
        $(
            #[test]
            fn $name() {
                run_all(&$config, Tolerance::$tolerance, Way::Sql);
            }
        )*
    };
}

configurations! {
    with_defaults: Config { threads: 2, ..Config::default() }, Nothing;
    with_one_thread_inline: Config { driver: Driver::Inline, ..Config::default() }, Nothing;
    with_tiny_batches: Config { batch_rows: 7, threads: 2, ..Config::default() }, Nothing;
    with_tiny_batches_inline: Config { batch_rows: 7, driver: Driver::Inline, ..Config::default() }, Nothing;
    with_colliding_hashes: Config { hash_collisions: true, threads: 2, ..Config::default() }, Nothing;
    with_everything_spilled: Config { fault: Some(Fault::SpillEvery(1)), threads: 2, ..Config::default() }, Nothing;
    with_everything_spilled_inline_and_encrypted: Config { fault: Some(Fault::SpillEvery(2)), driver: Driver::Inline, batch_rows: 64, spill_encryption: true, ..Config::default() }, Nothing;
    with_little_memory: Config { memory_bytes: Some(30_000), threads: 2, ..Config::default() }, OutOfMemory;
}

/// Every query as a plan in bytes: what comes out is the plan that went in, and gives the same rows.
#[test]
fn with_plans_through_the_wire() {
    run_all(&Config { threads: 2, ..Config::default() }, Tolerance::Nothing, Way::Plan);
}

/// Every query as a Substrait plan: written, read again, it gives the same rows. Few have no form there.
#[test]
fn with_plans_through_substrait() {
    run_all(&Config { threads: 2, ..Config::default() }, Tolerance::Nothing, Way::Substrait);
    let written = WRITTEN.load(Relaxed);
    let refused = REFUSED.lock().expect("no test panics with the lock");
    let count: usize = refused.values().sum();
    let reasons: Vec<String> = refused.iter().map(|(reason, count)| format!("{count:5}  {reason}")).collect();
    println!("{written} plans, {count} refused\n{}", reasons.join("\n"));
    assert!(written > 8 * count, "{count} of {} plans refused\n{}", written + count, reasons.join("\n"));
}

/// Every query is refused memory at some point: it spills and answers, or ends in the typed error.
#[test]
fn with_memory_refused_at_some_point() {
    for round in 0..4 {
        let config = match round % 2 {
            0 => Config { threads: 2, batch_rows: 7, ..Config::default() },
            _ => Config { driver: Driver::Inline, batch_rows: 64, ..Config::default() },
        };
        run_all(&config, Tolerance::OutOfMemory, Way::Refused(round));
    }
}

/// Every pass keeps the answers: leaving any of them out, or all, gives the same rows.
#[test]
fn with_passes_left_out() {
    let names = plasmon::plan::optimizer::PASSES.map(|(name, _)| name.to_string());
    let left_out = Mutex::new(names.iter().map(std::slice::from_ref).chain([names.as_slice()]));
    let next = || left_out.lock().expect("no test panics with the lock").next();
    // This test is the longest by far: by two threads, so that it does not end alone.
    let work = || {
        while let Some(left_out) = next() {
            let disabled_passes = left_out.to_vec();
            run_all(&Config { threads: 2, disabled_passes, ..Config::default() }, Tolerance::Nothing, Way::Sql);
        }
    };
    std::thread::scope(|scope| drop([scope.spawn(work), scope.spawn(work)]));
}
