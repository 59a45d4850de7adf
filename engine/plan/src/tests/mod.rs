//! Tests of planning from SQL text to optimized IR, over tables that have statistics but no rows.

mod catalog;
mod tpch;

use plasmon_core::Config;

use crate::ir::Plan;
use crate::sql::{Statement, plan_statement};
use catalog::TestCatalog;

/// The optimized plan of a query over the TPC-H tables at scale factor 10.
fn plan(sql: &str) -> Plan {
    plan_with(sql, &Config::default())
}

fn plan_with(sql: &str, config: &Config) -> Plan {
    match plan_statement(sql, &TestCatalog::tpch(), config) {
        Ok(Statement::Query(plan)) => plan,
        Ok(other) => panic!("no query: {other:?}"),
        Err(error) => panic!("{error}\n{sql}"),
    }
}
