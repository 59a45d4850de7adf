//! `plasmon tpcds run`: the 99 queries over a folder of tables.

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

/// Runs the chosen queries; fails when one fails.
pub(crate) fn run(engine: &EngineOptions, options: &SuiteOptions) -> Result<ExitCode, Failure> {
    let session = session(engine)?;
    register_tables(&session, &options.data, TABLES)?;
    let numbers = options.queries.as_deref().map(|q| parse_numbers(q, 99)).transpose()?;
    let mut outcomes = Vec::new();
    let mut failed = false;
    for (number, text) in TPCDS_QUERIES.iter().filter(|(n, _)| numbers.as_ref().is_none_or(|chosen| chosen.contains(n)))
    {
        match run_query(&session, &SuiteQuery { number: *number, text, expected: None }, options.repeat) {
            Ok(outcome) if options.format == "json" => print_text(&format!("{}\n", outcome_json(&outcome))),
            Ok(outcome) => outcomes.push(outcome),
            Err(failure) => {
                failed = true;
                eprintln!("query {number}: {failure}");
            }
        }
    }
    if options.format == "table" {
        print_text(&outcomes_table(&outcomes));
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
