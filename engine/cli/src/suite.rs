//! Runs a suite of numbered queries over a folder of tables, checks answers, prints a table or JSON lines.

use std::borrow::Cow;
use std::path::Path;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use plasmon::Session;
use serde_json::json;

use crate::Failure;

/// One query of a suite.
pub(crate) struct SuiteQuery {
    pub number: usize,
    /// Its number, and a letter where the suite has variants (`14b`).
    pub name: &'static str,
    pub text: &'static str,
    /// The expected answer as CSV with a header, when there is one for this data.
    pub expected: Option<Cow<'static, str>>,
}

/// What running one query came to.
pub(crate) struct Outcome {
    pub name: &'static str,
    pub rows: usize,
    pub seconds: f64,
    pub scanned_rows: u64,
    pub peak_bytes: usize,
    /// `ok`, `wrong` or `unchecked`.
    pub answer: &'static str,
    pub difference: Option<String>,
}

/// Registers `<table>.parquet` or the folder `<table>` for every name.
pub(crate) fn register_tables(session: &Session, data: &Path, names: &[&str]) -> Result<(), Failure> {
    for name in names {
        let file = data.join(format!("{name}.parquet"));
        let location = if file.exists() { file } else { data.join(name) };
        if !location.exists() {
            return Err(
                format!("{}: no table {name} there (looked for {name}.parquet and {name}/)", data.display()).into()
            );
        }
        session.register_path(name, &location.to_string_lossy())?;
    }
    Ok(())
}

/// Runs a query `repeat` times and keeps the fastest; the answer of the last run is checked.
pub(crate) fn run_query(session: &Session, query: &SuiteQuery, repeat: usize) -> Result<Outcome, Failure> {
    let mut best = f64::INFINITY;
    let mut outcome = None;
    for _ in 0..repeat.max(1) {
        let start = Instant::now();
        let mut running = session.sql(query.text)?;
        let mut batches: Vec<RecordBatch> = Vec::new();
        for batch in running.by_ref() {
            batches.push(batch.map_err(|e| format!("query {}: {e}", query.name))?);
        }
        best = best.min(start.elapsed().as_secs_f64());
        let scanned_rows = running.graph().map_or(0, |graph| {
            let scans = graph
                .pipelines
                .iter()
                .filter(|p| p.source.part.name().ends_with("Scan") && p.source.part.name() != "MaterializedScan");
            scans.map(|p| p.source.metrics.rows_in.load(std::sync::atomic::Ordering::Relaxed)).sum()
        });
        let difference = query.expected.as_deref().and_then(|expected| compare(&batches, expected).err());
        let answer = match (&query.expected, &difference) {
            (None, _) => "unchecked",
            (Some(_), None) => "ok",
            (Some(_), Some(_)) => "wrong",
        };
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        outcome = Some(Outcome {
            name: query.name,
            rows,
            seconds: best,
            scanned_rows,
            peak_bytes: running.peak_memory_bytes(),
            answer,
            difference,
        });
    }
    outcome.ok_or_else(|| "no run".into())
}

/// One JSON object of an outcome.
pub(crate) fn outcome_json(outcome: &Outcome) -> String {
    json!({ "query": outcome.name, "rows": outcome.rows, "seconds": outcome.seconds, "answer": outcome.answer })
        .to_string()
}

/// Compares a result with expected CSV (header first, nulls as `NULL`): the same rows, in any order since a query's order may leave ties;
/// numbers within 1e-6 relative or one unit of the last expected place.
pub(crate) fn compare(batches: &[RecordBatch], expected: &str) -> Result<(), String> {
    let mut wanted = parse_csv(expected);
    if !wanted.is_empty() {
        wanted.remove(0);
    }
    let mut given = rows(batches).map_err(|e| e.to_string())?;
    if given.len() != wanted.len() {
        return Err(format!("{} rows, expected {}", given.len(), wanted.len()));
    }
    if given.iter().zip(&wanted).all(|(a, b)| same_row(a, b)) {
        return Ok(());
    }
    // Rows may be swapped: take each expected row's equal out of those that are left.
    for (number, row) in wanted.iter().enumerate() {
        match given.iter().position(|candidate| same_row(candidate, row)) {
            Some(found) => drop(given.swap_remove(found)),
            None => {
                return Err(format!("expected row {} is missing: {row:?}; left over: {:?}", number + 1, given.first()));
            }
        }
    }
    Ok(())
}

fn rows(batches: &[RecordBatch]) -> Result<Vec<Vec<String>>, arrow::error::ArrowError> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        let formatters =
            batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options)).collect::<Result<Vec<_>, _>>()?;
        rows.extend(
            (0..batch.num_rows()).map(|row| formatters.iter().map(|f| f.value(row).to_string()).collect::<Vec<_>>()),
        );
    }
    Ok(rows)
}

fn same_row(a: &[String], b: &[String]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b))
}

fn same_value(given: &str, wanted: &str) -> bool {
    if given == wanted || given.trim_end() == wanted.trim_end() {
        return true;
    }
    let (Ok(a), Ok(b)) = (given.parse::<f64>(), wanted.parse::<f64>()) else { return false };
    // A decimal average has the digits that its type has: one unit of the last place that both show.
    let places = |text: &str| text.split_once('.').map_or(0, |(_, fraction)| fraction.len() as i32);
    let unit =
        if places(given).min(places(wanted)) == 0 { 0.0 } else { 10f64.powi(-places(given).min(places(wanted))) };
    (a - b).abs() <= (1e-6 * b.abs()).max(unit * 1.000_001)
}

/// Records of simple CSV with double-quote quoting.
fn parse_csv(text: &str) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    let (mut record, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, quoted) {
            ('"', true) if characters.peek() == Some(&'"') => {
                field.push('"');
                characters.next();
            }
            ('"', _) => quoted = !quoted,
            (',', false) => record.push(std::mem::take(&mut field)),
            ('\r', false) => {}
            ('\n', false) => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            (c, _) => field.push(c),
        }
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        records.push(record);
    }
    records
}

/// The table that people read at the end of a suite.
pub(crate) fn outcomes_table(outcomes: &[Outcome]) -> String {
    use comfy_table::{Cell, CellAlignment, Table, presets};
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table.set_header(["query", "rows", "time", "rows/s scanned", "peak memory", "answer"]);
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    for o in outcomes {
        let rate = o.scanned_rows as f64 / o.seconds / 1e6;
        let memory = format!("{:.1} MB", o.peak_bytes as f64 / 1e6);
        table.add_row([
            right(o.name.to_string()),
            right(o.rows.to_string()),
            right(format!("{:.3} s", o.seconds)),
            right(format!("{rate:.0} M")),
            right(memory),
            Cell::new(o.answer),
        ]);
    }
    let total: f64 = outcomes.iter().map(|o| o.seconds).sum();
    format!("{table}\ntotal {total:.2} s\n")
}
