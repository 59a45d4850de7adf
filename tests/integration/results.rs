//! Behaviour of the façade that SQL files cannot show: cancellation, memory refusal, dropped queries, panics as errors.

use plasmon::{Config, Driver, Error, Session};

fn session(config: Config) -> Session {
    Session::new(config).expect("valid configuration")
}

#[test]
fn a_refused_reservation_names_the_consumer() {
    for driver in [Driver::Pool, Driver::Inline] {
        let session = session(Config { memory_bytes: Some(100_000), driver, ..Config::default() });
        let outcome = session
            .sql("SELECT a.value, count(*) FROM generate_series(1, 200000) a GROUP BY 1")
            .and_then(|q| q.collect());
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
