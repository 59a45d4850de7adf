//! Runs a suite of labelled queries over a folder of tables, checks answers, prints a table or JSON lines.

use std::borrow::Cow;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use plasmon::plan::substrait::Format;
use plasmon::{Session, Source};
use serde_json::{Value, json};

use crate::arguments::{SuiteOptions, Through, parse_numbers};
use crate::failure::{Failure, Usage};
use crate::output::print_text;
use crate::progress;

/// One query of a suite.
pub(crate) struct SuiteQuery {
    /// `9`, or `14b` for a variant.
    pub label: &'static str,
    pub text: &'static str,
    /// The expected answer as CSV with a header, when there is one for this data.
    pub expected: Option<Cow<'static, str>>,
}

/// What running one query came to.
pub(crate) struct Outcome {
    pub label: &'static str,
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
pub(crate) fn run_query(
    session: &Session,
    query: &SuiteQuery,
    repeat: usize,
    through: Through,
) -> Result<Outcome, Failure> {
    let statement = session.statement(query.text);
    let plan = match through {
        Through::Sql => None,
        Through::Plan => statement.plan_bytes()?,
        Through::Substrait => Some(statement.to_substrait(Format::Binary)?),
    };
    let source = match (&plan, through) {
        (Some(plan), Through::Substrait) => Source::Substrait(plan),
        (Some(plan), _) => Source::Plan(plan),
        (None, _) => Source::Sql(query.text),
    };
    let mut best = f64::INFINITY;
    let mut outcome = None;
    for _ in 0..repeat.max(1) {
        let start = Instant::now();
        let mut running = session.statement_of(source).run()?;
        let mut batches: Vec<RecordBatch> = Vec::new();
        for batch in running.by_ref() {
            batches.push(batch?);
        }
        best = best.min(start.elapsed().as_secs_f64());
        let scanned_rows = running.monitor().progress().rows_read;
        let difference = query.expected.as_deref().and_then(|expected| compare(&batches, expected).err());
        let answer = match (&query.expected, &difference) {
            (None, _) => "unchecked",
            (Some(_), None) => "ok",
            (Some(_), Some(_)) => "wrong",
        };
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        outcome = Some(Outcome {
            label: query.label,
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

/// Runs the chosen queries of a suite and reports them; fails when one fails or is wrong.
pub(crate) fn run_suite(
    session: &Session,
    queries: &[SuiteQuery],
    options: &SuiteOptions,
) -> Result<ExitCode, Failure> {
    let last = queries.iter().map(|q| number(q.label)).max().unwrap_or(0);
    let chosen = options.queries.as_deref().map(|q| parse_numbers(q, last).map_err(Usage)).transpose()?;
    let queries = queries.iter().filter(|q| chosen.as_ref().is_none_or(|c| c.contains(&number(q.label))));
    let queries: Vec<&SuiteQuery> = queries.collect();
    let (mut outcomes, mut failed) = (Vec::new(), 0);
    let bar = progress::bar(queries.len() as u64, "running queries");
    for query in &queries {
        bar.set_message(format!("query {}", query.label));
        let outcome = run_query(session, query, options.repeat, options.through);
        let trouble = match &outcome {
            Ok(outcome) => outcome.difference.as_ref().map(|d| format!("wrong answer: {d}")),
            Err(failure) => Some(failure.to_string()),
        };
        if let Some(trouble) = &trouble {
            failed += 1;
            bar.suspend(|| eprintln!("query {}: {trouble}", query.label));
        }
        if options.format == "json" {
            bar.suspend(|| print_text(&format!("{}\n", outcome_json(query.label, outcome.as_ref().ok(), trouble))));
        }
        outcomes.extend(outcome.ok());
        bar.inc(1);
    }
    bar.finish_and_clear();
    if options.format == "table" {
        print_text(&outcomes_table(&outcomes));
    }
    if failed > 0 {
        eprintln!("plasmon: {failed} of {} queries failed or gave wrong answers", queries.len());
    }
    Ok(if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The number of a label: 14 of `14b`.
fn number(label: &str) -> usize {
    label.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0)
}

/// One JSON object of an outcome; a query that failed has no answer, which is wrong.
fn outcome_json(label: &str, outcome: Option<&Outcome>, trouble: Option<String>) -> String {
    let query = label.parse::<u64>().map_or_else(|_| Value::from(label), Value::from);
    let mut object = match outcome {
        Some(o) => json!({ "query": query, "rows": o.rows, "seconds": o.seconds, "answer": o.answer }),
        None => json!({ "query": query, "rows": null, "seconds": null, "answer": "wrong" }),
    };
    if let Some(trouble) = trouble {
        object["error"] = trouble.into();
    }
    object.to_string()
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
            right(o.label.to_string()),
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
