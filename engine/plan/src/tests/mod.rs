//! Tests of planning from SQL text to optimized IR, over tables that have statistics but no rows.

mod catalog;
mod tpch;

use plasmon_core::Config;

use crate::explain::explain;
use crate::ir::Plan;
use crate::sql::{ExplainOptions, Statement, plan_statement};
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

/// The plan as text, without estimates.
fn text(sql: &str) -> String {
    fn forget(relation: &mut crate::ir::Relation) {
        relation.estimated_rows = None;
        relation.children_mut().into_iter().for_each(forget);
    }
    let mut plan = plan(sql);
    forget(&mut plan.root);
    plan.subqueries.iter_mut().for_each(|(_, r)| forget(r));
    plan.shared.iter_mut().for_each(forget);
    explain(&plan, ExplainOptions::default(), None)
}
