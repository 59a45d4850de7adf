//! `plasmon tpch`: data and queries.

pub(crate) mod demo;
pub(crate) mod generate;

use std::borrow::Cow;
use std::process::ExitCode;

use plasmon::Session;

use crate::arguments::{EngineOptions, SuiteOptions};
use crate::failure::Failure;
use crate::sql::session;
use crate::suite::{SuiteQuery, register_tables, run_suite};

pub(crate) const TABLES: &[&str] =
    &["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"];

include!(concat!(env!("OUT_DIR"), "/tpch_queries.rs"));
include!(concat!(env!("OUT_DIR"), "/tpch_answers_sf1.rs"));
include!(concat!(env!("OUT_DIR"), "/tpch_answers_sf10.rs"));

/// The 22 queries with the answers that fit the data's scale, which its row counts tell.
pub(crate) fn queries(session: &Session) -> Result<Vec<SuiteQuery>, Failure> {
    let answers: &[(&str, &str)] = match session.table_rows("orders")? {
        Some(1_500_000) => TPCH_ANSWERS_SF1,
        Some(15_000_000) => TPCH_ANSWERS_SF10,
        _ => &[],
    };
    let expected = |label: &str| answers.iter().find(|(l, _)| *l == label).map(|(_, text)| Cow::Borrowed(*text));
    Ok(TPCH_QUERIES.iter().map(|&(label, text)| SuiteQuery { label, text, expected: expected(label) }).collect())
}

/// Runs the chosen queries; fails when one fails or is wrong.
pub(crate) fn run(engine: &EngineOptions, options: &SuiteOptions) -> Result<ExitCode, Failure> {
    let data = options.data.clone().map_or_else(|| demo::data_folder("tpch-sf1"), Ok)?;
    if !data.is_dir() {
        let place = data.display();
        return Err(
            format!("{place}: no such folder\nhint: `plasmon tpch generate --data {place}` makes the data").into()
        );
    }
    let session = session(engine)?;
    register_tables(&session, &data, TABLES)?;
    run_suite(&session, &queries(&session)?, options)
}
