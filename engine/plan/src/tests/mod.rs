//! Tests of planning from SQL text to optimized IR, over tables that have statistics but no rows.

pub(crate) mod catalog;
pub(crate) mod tpch;

use plasmon_core::{Config, Error};

use crate::ir::{Node, Plan, Relation};
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

/// The scans of a relation, each with its columns' names, in plan order.
fn scans(relation: &Relation) -> Vec<String> {
    let own = matches!(relation.node, Node::Scan { .. }).then(|| {
        let names: Vec<&str> = relation.schema.fields().iter().map(|f| f.name().as_str()).collect();
        names.join(",")
    });
    own.into_iter().chain(relation.children().into_iter().flat_map(scans)).collect()
}

#[test]
fn a_top_n_reads_wide_columns_late() {
    let ordered = |sql: &str| scans(&plan(sql).root);
    let late = ordered(
        "SELECT l_comment, o_orderdate, l_extendedprice FROM lineitem JOIN orders ON l_orderkey = o_orderkey ORDER BY l_extendedprice LIMIT 10",
    );
    assert_eq!(late[0], "l_comment,row number", "{late:?}");
    assert!(late[1..].iter().all(|scan| !scan.contains("l_comment")), "{late:?}");
    assert!(late[1..].iter().any(|scan| scan.contains("row number")), "{late:?}");
    // Too many rows, nothing wide, a column that orders, or a row that may be padded: read at once.
    for sql in [
        "SELECT l_comment FROM lineitem ORDER BY l_extendedprice LIMIT 100000",
        "SELECT l_quantity FROM lineitem ORDER BY l_extendedprice LIMIT 10",
        "SELECT l_comment FROM lineitem ORDER BY l_comment LIMIT 10",
        "SELECT o_comment FROM part LEFT JOIN orders ON o_custkey = p_partkey ORDER BY p_retailprice LIMIT 10",
    ] {
        assert!(!ordered(sql).concat().contains("row number"), "{sql}: {:?}", ordered(sql));
    }
}

#[test]
fn set_operations_are_grouped_where_that_is_better() {
    fn joins(relation: &Relation) -> usize {
        let own = usize::from(matches!(relation.node, Node::Join { .. }));
        own + relation.children().into_iter().map(joins).sum::<usize>()
    }
    let small = Config { memory_bytes: Some(64 << 20), ..Config::default() };
    let (names, keys) = ("SELECT c_name, c_phone FROM customer", "SELECT l_orderkey, l_partkey FROM lineitem");
    for operation in ["INTERSECT", "EXCEPT"] {
        // Texts, or more than fits memory; the whole of a chain.
        let texts = format!("{names} {operation} {names} WHERE c_acctbal > 0 {operation} {names}");
        let numbers = format!("{keys} {operation} {keys} WHERE l_quantity < 25");
        assert_eq!(joins(&plan(&texts).root), 0, "{texts}");
        assert_eq!(joins(&plan_with(&numbers, &small).root), 0, "{numbers}");
        // Numbers that fit; a small side, whose keys keep rows of the large one away; ALL, which counts.
        let beside = |few: &str| format!("{keys} {operation} SELECT n_nationkey, n_regionkey FROM {few}");
        assert_eq!(joins(&plan(&numbers).root), 1, "{numbers}");
        assert_eq!(joins(&plan(&format!("{names} {operation} ALL {names}")).root), 1);
        if operation == "INTERSECT" {
            assert_eq!(joins(&plan_with(&beside("nation"), &small).root), 1);
        }
        let from_few = format!("SELECT n_nationkey, n_regionkey FROM nation {operation} {keys}");
        assert_eq!(joins(&plan_with(&from_few, &small).root), 1, "{from_few}");
    }
}

#[test]
fn calls_that_the_engine_cannot_make_are_refused() {
    let refused = |sql: &str| match plan_statement(sql, &TestCatalog::tpch(), &Config::default()) {
        Ok(_) => panic!("{sql} was planned"),
        Err(error) => error,
    };
    for (sql, message) in [
        ("SELECT first_value() OVER (ORDER BY n_name) FROM nation", "first_value takes 1 argument, not 0"),
        ("SELECT last_value() OVER () FROM nation", "last_value takes 1 argument, not 0"),
        ("SELECT nth_value(n_name) OVER () FROM nation", "nth_value takes 2 arguments, not 1"),
    ] {
        let error = refused(sql);
        assert!(matches!(&error, Error::User(told) if told.contains(message)), "{sql}: {error:?}");
    }
    for sql in [
        "SELECT lag(n_name, n_regionkey) OVER (ORDER BY n_name) FROM nation",
        "SELECT sum(INTERVAL '1 month') FROM nation",
        "SELECT sum(INTERVAL '1 month') OVER () FROM nation",
    ] {
        let error = refused(sql);
        assert!(matches!(&error, Error::Unsupported(_)), "{sql}: {error:?}");
    }
}

#[test]
fn what_an_outer_join_pads_is_expected_to_be_null() {
    fn filtered(relation: &Relation) -> Option<f64> {
        let own = matches!(relation.node, Node::Filter { .. }).then_some(relation.estimated_rows).flatten();
        own.or_else(|| relation.children().into_iter().find_map(filtered))
    }
    let rows = |from: &str| filtered(&plan(&format!("SELECT p_size, s_name FROM {from}")).root).expect("a filter");
    // A twentieth of the parts have a supplier's number; their own keys are never null.
    let unmatched = rows("part LEFT JOIN supplier ON p_partkey = s_suppkey WHERE s_suppkey IS NULL");
    assert!((500_000.0..=2_000_000.0).contains(&unmatched), "{unmatched}");
    let mirrored = rows("supplier RIGHT JOIN part ON p_partkey = s_suppkey WHERE s_suppkey IS NULL");
    assert!((500_000.0..=2_000_000.0).contains(&mirrored), "{mirrored}");
}
