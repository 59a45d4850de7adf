//! `plasmon demo`: from nothing to 22 checked answers.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{TABLES, generate, queries};
use crate::arguments::{DemoOptions, EngineOptions, Through};
use crate::failure::Failure;
use crate::output::print_text;
use crate::progress;
use crate::sql::session;
use crate::suite::{outcomes_table, register_tables, run_query};

/// Generates the data unless it is there, runs, checks, and says what to try next.
pub(crate) fn run(engine: &EngineOptions, options: &DemoOptions) -> Result<ExitCode, Failure> {
    let data = options.data.clone().map_or_else(|| data_folder("tpch-sf1"), Ok)?;
    if TABLES.iter().all(|t| data.join(format!("{t}.parquet")).exists()) {
        print_text(&format!("TPC-H scale factor 1 is in {}\n", data.display()));
    } else {
        print_text(&format!("Generating TPC-H scale factor 1 in {} (kept for the next run)\n", data.display()));
        generate::generate(1.0, &data)?;
    }
    let session = session(engine)?;
    register_tables(&session, &data, TABLES)?;
    let queries = queries(&session)?;
    let bar = progress::bar(queries.len() as u64, "running 22 queries");
    let mut outcomes = Vec::new();
    for query in &queries {
        outcomes.push(run_query(&session, query, 1, Through::Sql)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    print_text(&outcomes_table(&outcomes));
    let wrong: Vec<_> = outcomes.iter().filter(|o| o.answer != "ok").collect();
    for outcome in &wrong {
        eprintln!("query {}: {}", outcome.label, outcome.difference.as_deref().unwrap_or("unchecked"));
    }
    print_text(&advice(&data, wrong.len()));
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn advice(data: &Path, wrong: usize) -> String {
    let folder = data.display();
    let verdict =
        if wrong == 0 { "All 22 answers are right.".to_string() } else { format!("{wrong} answers are wrong.") };
    format!(
        "{verdict}

Try next (`plasmon` is target/release/plasmon; or write `cargo run --release --` for it):
  plasmon sql \"SELECT l_shipmode, count(*) FROM '{folder}/lineitem.parquet' GROUP BY 1\"
  plasmon explain --analyze --format html --data {folder} -f benchmarks/tpch/queries/q09.sql --output plan.html
  plasmon                              the interactive shell
  benchmarks/run engine                the same queries on DuckDB, DataFusion, Polars, ClickHouse and Hyper
"
    )
}

/// Where generated data is kept.
pub(crate) fn data_folder(name: &str) -> Result<PathBuf, Failure> {
    let base = match (std::env::var_os("XDG_DATA_HOME"), std::env::var_os("HOME")) {
        (Some(data), _) if !data.is_empty() => PathBuf::from(data),
        (_, Some(home)) => PathBuf::from(home).join(".local/share"),
        _ => return Err("neither XDG_DATA_HOME nor HOME is set; say where with --data DIR".into()),
    };
    Ok(base.join("plasmon").join(name))
}
