//! Runs every `tests/slt/**/*.slt` under several settings.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::array_value_to_string;
use plasmon::{Config, Driver, Error, Session};
use sqllogictest::{DBOutput, DefaultColumnType};

struct Database(Session);

impl sqllogictest::DB for Database {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let query = self.0.sql(sql)?;
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

fn run_all(config: &Config, tolerance: Tolerance) {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("slt"), &mut found);
    assert!(!found.is_empty());
    let (mut statements, mut failures) = (0, Vec::new());
    for file in found {
        let connect = config.clone();
        let mut runner = sqllogictest::Runner::new(move || {
            let config = connect.clone();
            async move { Session::new(config).map(Database) }
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
                run_all(&$config, Tolerance::$tolerance);
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
    with_little_memory: Config { memory_bytes: Some(30_000), threads: 2, ..Config::default() }, OutOfMemory;
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
            run_all(&Config { threads: 2, disabled_passes, ..Config::default() }, Tolerance::Nothing);
        }
    };
    std::thread::scope(|scope| drop([scope.spawn(work), scope.spawn(work)]));
}
