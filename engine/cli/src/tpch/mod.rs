//! `plasmon tpch`: data and queries.

pub(crate) mod demo;
pub(crate) mod generate;

use std::process::ExitCode;

use plasmon::Session;

use crate::Failure;
use crate::arguments::{EngineOptions, SuiteOptions, parse_numbers};
use crate::sql::{print_text, session};
use crate::suite::{SuiteQuery, outcome_json, outcomes_table, register_tables, run_query};

pub(crate) const TABLES: &[&str] =
    &["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"];

include!(concat!(env!("OUT_DIR"), "/tpch_queries.rs"));
include!(concat!(env!("OUT_DIR"), "/tpch_answers_sf1.rs"));
include!(concat!(env!("OUT_DIR"), "/tpch_answers_sf10.rs"));

/// The 22 queries with the answers that fit the data's scale, which its row counts tell.
pub(crate) fn queries(session: &Session) -> Result<Vec<SuiteQuery>, Failure> {
    let answers: &[(usize, &str, &str)] = match session.table_rows("orders")? {
        Some(1_500_000) => TPCH_ANSWERS_SF1,
        Some(15_000_000) => TPCH_ANSWERS_SF10,
        _ => &[],
    };
    let expected = |number: usize| answers.iter().find(|a| a.0 == number).map(|a| a.2.into());
    Ok(TPCH_QUERIES
        .iter()
        .map(|&(number, name, text)| SuiteQuery { number, name, text, expected: expected(number) })
        .collect())
}

/// Runs the chosen queries; fails when one fails or is wrong.
pub(crate) fn run(engine: &EngineOptions, options: &SuiteOptions) -> Result<ExitCode, Failure> {
    let session = session(engine)?;
    register_tables(&session, &options.data, TABLES)?;
    let numbers = options.queries.as_deref().map(|q| parse_numbers(q, 22)).transpose()?;
    let mut outcomes = Vec::new();
    let mut failed = false;
    for query in queries(&session)?.iter().filter(|q| numbers.as_ref().is_none_or(|chosen| chosen.contains(&q.number)))
    {
        match run_query(&session, query, options.repeat) {
            Ok(outcome) => {
                if let Some(difference) = &outcome.difference {
                    failed = true;
                    eprintln!("query {}: {difference}", query.name);
                }
                if options.format == "json" {
                    print_text(&format!("{}\n", outcome_json(&outcome)));
                }
                outcomes.push(outcome);
            }
            Err(failure) => {
                failed = true;
                eprintln!("query {}: {failure}", query.name);
            }
        }
    }
    if options.format == "table" {
        print_text(&outcomes_table(&outcomes));
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
