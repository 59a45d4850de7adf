//! `plasmon tpcds run`: the 99 queries over a folder of tables.

use std::borrow::Cow;
use std::path::Path;
use std::process::ExitCode;

use crate::arguments::{EngineOptions, SuiteOptions};
use crate::failure::Failure;
use crate::sql::session;
use crate::suite::{SuiteQuery, register_tables, run_suite};
use crate::tpch::demo::data_folder;

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

/// Runs the chosen queries; their answers are compared with `answers/` beside the data, when it is there.
pub(crate) fn run(engine: &EngineOptions, options: &SuiteOptions) -> Result<ExitCode, Failure> {
    let data = options.data.clone().map_or_else(|| data_folder("tpcds-sf1"), Ok)?;
    if !data.is_dir() {
        return Err(format!(
            "{}: no such folder\nhint: `python tests/oracle/tpcds_data.py --data DIR` makes TPC-DS data and answers with DuckDB's generator",
            data.display()
        )
        .into());
    }
    let session = session(engine)?;
    register_tables(&session, &data, TABLES)?;
    let query = |&(label, text)| Ok(SuiteQuery { label, text, expected: answer(&data, label)? });
    let queries = TPCDS_QUERIES.iter().map(query).collect::<Result<Vec<_>, Failure>>()?;
    run_suite(&session, &queries, options)
}

/// The expected answer that lies beside the data, when there is one.
fn answer(data: &Path, label: &str) -> Result<Option<Cow<'static, str>>, Failure> {
    let path = data.join("answers").join(format!("{label:0>2}.csv"));
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.into())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(format!("{}: {e}", path.display()).into()),
    }
}
