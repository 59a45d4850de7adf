//! Behaviour of the façade that SQL files cannot show: cancellation, memory refusal, dropped queries, panics as errors.

use std::sync::Arc;

use arrow::array::{Array, StringArray};
use arrow::datatypes::DataType;
use arrow::util::display::array_value_to_string;
use plasmon::{Config, Driver, Error, Parameter, Session};

fn session(config: Config) -> Session {
    Session::new(config).expect("valid configuration")
}

#[test]
fn a_refused_reservation_names_the_consumer() {
    for driver in [Driver::Pool, Driver::Inline] {
        let session = session(Config { memory_bytes: Some(100_000), driver, ..Config::default() });
        let outcome =
            session.sql("SELECT array_agg(a.value) FROM generate_series(1, 200000) a").and_then(|q| q.collect());
        match outcome {
            Err(Error::OutOfMemory { limit, holders, .. }) => {
                assert_eq!(limit, 100_000);
                assert!(!holders.is_empty());
            }
            other => panic!("expected a refusal, got {:?}", other.map(|b| b.len())),
        }
    }
}

#[test]
fn a_cancelled_query_ends_with_its_error() {
    let session = session(Config::default());
    let mut query =
        session.sql("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b").expect("plans");
    query.cancel_token().cancel();
    assert!(matches!(query.next(), Some(Err(Error::Cancelled))));
}

#[test]
fn a_dropped_query_stops() {
    let session = session(Config::default());
    let query =
        session.sql("SELECT a.value FROM generate_series(1, 100000) a, generate_series(1, 100000) b").expect("plans");
    drop(query);
}

#[test]
fn wrong_settings_are_refused() {
    assert!(Session::new(Config { threads: 0, ..Config::default() }).is_err());
    assert!(Session::new(Config { batch_rows: 40_000, ..Config::default() }).is_err());
}

fn one_value(session: &Session, sql: &str, parameters: &[Parameter]) -> Result<String, Error> {
    let batches = session.sql_with(sql, parameters)?.collect()?;
    Ok(array_value_to_string(batches[0].column(0), 0)?)
}

#[test]
fn parameters_take_the_place_of_values() {
    let session = session(Config::default());
    let ask = |sql: &str, parameters: &[Parameter]| one_value(&session, sql, parameters).expect(sql);
    assert_eq!(ask("SELECT $1 + 1", &[Parameter::from(41)]), "42");
    assert_eq!(ask("SELECT upper($1) || $2", &["a".into(), "b".into()]), "Ab");
    assert_eq!(ask("SELECT CAST($1 AS VARCHAR)", &[Parameter::date(365)]), "1971-01-01");
    assert_eq!(ask("SELECT coalesce(CAST($1 AS BIGINT), 7)", &[Parameter::null()]), "7");
    assert_eq!(ask("SELECT count(*) FROM generate_series(1, 100) WHERE value < $1", &[Parameter::from(10.5)]), "10");
    let missing = one_value(&session, "SELECT $1 + 1", &[]).expect_err("no value").to_string();
    assert!(missing.contains("$1"), "{missing}");
}

#[test]
fn what_runs_inside_the_call_can_be_cancelled() {
    let session = session(Config::default());
    let cancel = plasmon::core::pipeline::CancelToken::default();
    let token = cancel.clone();
    let endless = "CREATE TABLE t AS SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";
    let outcome = std::thread::scope(|scope| {
        let running = scope.spawn(|| session.statement(endless).cancel(cancel).run().map(drop));
        token.cancel();
        running.join().expect("no panic")
    });
    assert!(matches!(outcome, Err(Error::Cancelled)), "{outcome:?}");
}

#[test]
fn metrics_tell_rows_in_and_out_of_every_node() {
    for driver in [Driver::Pool, Driver::Inline] {
        let session = session(Config { driver, ..Config::default() });
        let mut query = session
            .sql("SELECT value % 10 AS k, count(*) FROM generate_series(1, 10000) WHERE value > 100 GROUP BY 1")
            .expect("plans");
        for batch in query.by_ref() {
            batch.expect("runs");
        }
        let nodes = query.metrics(1).expect("pipelines").nodes;
        assert!(nodes.iter().any(|n| n.rows_in == 9_900 && n.rows == 10), "{nodes:?}");
        assert_eq!(query.monitor().progress().rows_read, 10_000);
    }
}

#[test]
fn a_users_function_replaces_the_one_of_its_name() {
    let session = session(Config::default());
    session.register_scalar_function("UPPER", &[DataType::Utf8], DataType::Utf8, |arguments| {
        Ok(Arc::new(StringArray::from(vec!["mine"; arguments[0].len()])))
    });
    assert_eq!(one_value(&session, "SELECT upper('a')", &[]).expect("runs"), "mine");
    assert_eq!(one_value(&session, "SELECT lower('A')", &[]).expect("runs"), "a");
}
