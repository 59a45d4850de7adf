//! `plasmon tpcds run`: the 99 queries over a folder of tables.

use std::borrow::Cow;
use std::path::Path;
use std::process::ExitCode;

use crate::Failure;
use crate::arguments::{EngineOptions, SuiteOptions, parse_numbers};
use crate::sql::{print_text, session};
use crate::suite::{SuiteQuery, outcome_json, outcomes_table, register_tables, run_query};

const TABLES: &[&str] = &[
    "call_center",
    "catalog_page",
    "catalog_returns",
    "catalog_sales",
    "customer",
    "customer_address",
    "customer_demographics",
    "date_dim",
    "household_demographics",
    "income_band",
    "inventory",
    "item",
    "promotion",
    "reason",
    "ship_mode",
    "store",
    "store_returns",
    "store_sales",
    "time_dim",
    "warehouse",
    "web_page",
    "web_returns",
    "web_sales",
    "web_site",
];

include!(concat!(env!("OUT_DIR"), "/tpcds_queries.rs"));

/// Runs the chosen queries against the answers in `<data>/answers`; fails when one fails or is wrong.
pub(crate) fn run(engine: &EngineOptions, options: &SuiteOptions) -> Result<ExitCode, Failure> {
    let session = session(engine)?;
    register_tables(&session, &options.data, TABLES)?;
    let numbers = options.queries.as_deref().map(|q| parse_numbers(q, 99)).transpose()?;
    let mut outcomes = Vec::new();
    let mut failed = false;
    for &(number, name, text) in
        TPCDS_QUERIES.iter().filter(|q| numbers.as_ref().is_none_or(|chosen| chosen.contains(&q.0)))
    {
        let query = SuiteQuery { number, name, text, expected: answer(&options.data, name)? };
        match run_query(&session, &query, options.repeat) {
            Ok(outcome) => {
                if let Some(difference) = &outcome.difference {
                    failed = true;
                    eprintln!("query {name}: {difference}");
                }
                if options.format == "json" {
                    print_text(&format!("{}\n", outcome_json(&outcome)));
                }
                outcomes.push(outcome);
            }
            Err(failure) => {
                failed = true;
                eprintln!("query {name}: {failure}");
            }
        }
    }
    if options.format == "table" {
        print_text(&outcomes_table(&outcomes));
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The expected answer that lies beside the data, when there is one.
fn answer(data: &Path, name: &str) -> Result<Option<Cow<'static, str>>, Failure> {
    let path = data.join("answers").join(format!("{name:0>2}.csv"));
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.into())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(format!("{}: {e}", path.display()).into()),
    }
}
