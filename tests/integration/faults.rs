//! Queries cut short at every kind of point: cancelled or refused memory at the n-th opportunity. Each ends with its typed error, gives back
//! everything it had reserved, and leaves a session that still answers.

use plasmon::{Config, Driver, Error, Fault, Session};

use crate::out_of_core::answer;

/// One query for each kind of growing state.
pub(crate) const QUERIES: [&str; 10] = [
    "SELECT a.value % 97, count(*), sum(a.value) FROM generate_series(1, 3000) a GROUP BY 1",
    "SELECT DISTINCT CAST(a.value % 501 AS VARCHAR) FROM generate_series(1, 3000) a",
    "SELECT count(DISTINCT a.value % 53), string_agg(CAST(a.value AS VARCHAR), ',' ORDER BY a.value) FROM generate_series(1, 2000) a",
    "SELECT count(*) FROM generate_series(1, 2000) a JOIN generate_series(500, 2500) b ON a.value = b.value AND a.value + b.value > 7",
    "SELECT a.value, b.value FROM generate_series(1, 900) a FULL JOIN generate_series(500, 1500) b ON a.value = b.value",
    "SELECT a.value FROM generate_series(1, 2000) a WHERE a.value NOT IN (SELECT b.value FROM generate_series(3, 999) b)",
    "SELECT a.value FROM generate_series(1, 3000) a ORDER BY a.value % 13 DESC, a.value",
    "SELECT a.value, sum(a.value) OVER (PARTITION BY a.value % 7 ORDER BY a.value ROWS 3 PRECEDING) FROM generate_series(1, 2000) a",
    "WITH RECURSIVE c(i) AS (SELECT 1 UNION SELECT i + 1 FROM c WHERE i < 60) SELECT count(*) FROM c",
    "SELECT value FROM generate_series(1, 700) INTERSECT SELECT value FROM generate_series(300, 900) UNION ALL SELECT max(value) FROM generate_series(1, 9)",
];

/// Runs a query under a fault; whether it still answered.
fn meets(sql: &str, fault: Fault, config: &Config) -> bool {
    let session = Session::new(Config { fault: Some(fault), ..config.clone() }).expect("valid configuration");
    let mut query = match session.sql(sql) {
        Ok(query) => query,
        Err(error) => {
            check(&error, fault, sql);
            return false;
        }
    };
    let memory = query.memory();
    let outcome: Result<usize, Error> = query.by_ref().map(|batch| batch.map(|b| b.num_rows())).sum();
    drop(query);
    assert_eq!(memory.used(), 0, "{sql}: bytes still reserved after {fault:?}");
    if let Err(error) = &outcome {
        check(error, fault, sql);
    }
    outcome.is_ok()
}

fn check(error: &Error, fault: Fault, sql: &str) {
    match (fault, error) {
        (Fault::Cancel(_), Error::Cancelled) | (Fault::RefuseMemory(_), Error::OutOfMemory { .. }) => {}
        (_, error) => panic!("{sql}: {fault:?} ended in {error}"),
    }
}

fn configurations() -> [Config; 3] {
    let small = Config { batch_rows: 64, ..Config::default() };
    [
        Config { driver: Driver::Inline, threads: 1, ..small.clone() },
        Config { threads: 2, ..small.clone() },
        Config { threads: 2, hash_collisions: true, ..small },
    ]
}

/// Walks the fault through each query until it comes too late, by steps that grow.
fn sweep(fault: impl Fn(usize) -> Fault) {
    for config in configurations() {
        for sql in QUERIES {
            let mut point = 1;
            let mut hit = 0;
            while !meets(sql, fault(point), &config) {
                hit += 1;
                point += 1 + point / 6;
                assert!(point < 1_000_000, "{sql}: never ends");
            }
            assert!(hit > 0, "{sql}: no point to meet a fault at");
        }
    }
}

#[test]
fn cancelled_at_every_point() {
    sweep(Fault::Cancel);
}

/// Who is refused spills and goes on, or ends in the typed error.
#[test]
fn refused_memory_at_every_point() {
    const POINTS: usize = 3_000;
    let mut refused = 0;
    for config in configurations() {
        for sql in QUERIES {
            let (expected, _) = answer(sql, &config).expect("runs");
            let mut point = 1;
            while point < POINTS {
                let fault = Fault::RefuseMemory(point);
                match answer(sql, &Config { fault: Some(fault), ..config.clone() }) {
                    Ok((rows, spilled)) => {
                        assert!(rows == expected, "{sql}: another answer after {fault:?}");
                        refused += usize::from(spilled > 0);
                    }
                    Err(error) => {
                        check(&error, fault, sql);
                        refused += 1;
                    }
                }
                point += 1 + point / 4;
            }
        }
    }
    assert!(refused > 0, "nobody was refused anything: nothing spilled, nothing ended");
}

#[test]
fn a_budget_of_any_size_gives_the_answer_or_its_error() {
    for config in configurations() {
        for sql in QUERIES {
            for limit in [0, 100, 5_000, 20_000, 60_000, 150_000, 400_000] {
                let session = Session::new(Config { memory_bytes: Some(limit), ..config.clone() }).expect("valid");
                let outcome = session.sql(sql).and_then(|q| {
                    let memory = q.memory();
                    let rows = q.collect();
                    assert_eq!(memory.used(), 0, "{sql}: bytes still reserved");
                    rows
                });
                match outcome {
                    Ok(_) | Err(Error::OutOfMemory { .. }) => {}
                    Err(error) => panic!("{sql} in {limit} bytes: {error}"),
                }
            }
        }
    }
}

/// One batch may meet all of the other side, and give nothing.
#[test]
fn a_batch_that_takes_long_can_be_stopped() {
    let sql =
        "SELECT count(*) FROM generate_series(1, 4000) a JOIN generate_series(1, 4000) b ON a.value + b.value < 0";
    for driver in [Driver::Inline, Driver::Pool] {
        let config = Config { driver, threads: 2, ..Config::default() };
        assert_eq!(answer(sql, &config).expect("runs").0, ["0"]);
        let stopped = answer(sql, &Config { fault: Some(Fault::Cancel(1_000)), ..config });
        assert!(matches!(stopped, Err(Error::Cancelled)), "{:?}", stopped.map(|(rows, _)| rows));
    }
}
