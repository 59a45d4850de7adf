//! Queries larger than their memory: the same answers from disk, its failures as typed errors, nothing left behind, and many queries in one small budget.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use plasmon::core::memory::MemorySource;
use plasmon::{Config, Driver, Error, Fault, Session};

use crate::faults::QUERIES;

/// Queries whose state is some megabytes, in any order of rows: one for each kind of state.
pub(crate) const LARGE: [&str; 12] = [
    "SELECT a.value % 90001 AS k, count(*), sum(a.value), min(CAST(a.value AS VARCHAR)) FROM generate_series(1, 200000) a GROUP BY 1",
    "SELECT DISTINCT 'a text of some length ' || CAST(a.value % 50021 AS VARCHAR) FROM generate_series(1, 100000) a",
    "SELECT count(DISTINCT a.value % 70001), count(DISTINCT CAST(a.value % 30011 AS VARCHAR)) FROM generate_series(1, 150000) a",
    "SELECT a.value, b.value FROM generate_series(1, 90000) a FULL JOIN generate_series(50000, 150000) b ON a.value = b.value",
    "SELECT a.value, b.value FROM generate_series(1, 90000) a JOIN generate_series(1, 100000) b ON a.value % 5003 = b.value % 80021 AND a.value > b.value",
    "SELECT a.value FROM generate_series(1, 100000) a WHERE a.value NOT IN (SELECT 2 * b.value FROM generate_series(1, 90000) b)",
    "SELECT a.value, 'a text of some length ' || CAST(a.value AS VARCHAR) AS t FROM generate_series(1, 100000) a ORDER BY a.value % 1013 DESC, t",
    "SELECT a.value, row_number() OVER (PARTITION BY a.value % 97 ORDER BY a.value), sum(a.value) OVER (PARTITION BY a.value % 97 ORDER BY a.value) FROM generate_series(1, 100000) a",
    "SELECT a.value, lead(a.value, 3) OVER w, ntile(7) OVER w, percent_rank() OVER w, last_value(a.value) OVER (ORDER BY a.value ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) FROM generate_series(1, 100000) a WINDOW w AS (ORDER BY a.value)",
    "SELECT a.value, sum(a.value) OVER (), cume_dist() OVER (ORDER BY a.value % 3), min(a.value) OVER (ORDER BY a.value % 7 GROUPS BETWEEN 1 PRECEDING AND 2 FOLLOWING) FROM generate_series(1, 100000) a",
    "WITH RECURSIVE c(i, t) AS (SELECT CAST(1 AS BIGINT), 'a text of some length ' UNION SELECT (c.i * k.value + 1) % 40009, 'a text of some length ' || CAST((c.i * k.value + 1) % 40009 AS VARCHAR) FROM c, generate_series(3, 5) k) SELECT i, t FROM c",
    "WITH c AS (SELECT a.value AS v, 'a text of some length ' || CAST(a.value AS VARCHAR) AS t FROM generate_series(1, 60000) a WHERE random() < 2) SELECT l.v, r.t FROM c l JOIN c r ON l.v = r.v + 1",
];

pub(crate) fn rows_of(batches: &[RecordBatch]) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|c| array_value_to_string(c, row).expect("a text"));
            rows.push(cells.collect::<Vec<_>>().join("|"));
        }
    }
    rows
}

/// What a query answers, its rows in order; and what it spilled. Nothing may be left reserved.
pub(crate) fn answer(sql: &str, config: &Config) -> Result<(Vec<String>, u64), Error> {
    let session = Session::new(config.clone()).expect("valid configuration");
    let mut query = session.sql(sql)?;
    let (memory, monitor) = (query.memory(), query.monitor());
    let batches: Result<Vec<RecordBatch>, Error> = query.by_ref().collect();
    let spilled = monitor.progress().bytes_spilled;
    drop((query, monitor));
    assert_eq!(memory.used(), 0, "{sql}: bytes still reserved");
    let mut rows = rows_of(&batches?);
    rows.sort_unstable();
    Ok((rows, spilled))
}

fn drivers(config: &Config) -> [Config; 2] {
    [Config { threads: 2, ..config.clone() }, Config { driver: Driver::Inline, ..config.clone() }]
}

pub(crate) fn nothing_in(directory: &Path) {
    let left: Vec<_> = std::fs::read_dir(directory).expect("a directory").collect();
    assert!(left.is_empty(), "{left:?} is left");
}

#[test]
fn queries_larger_than_their_memory_answer_from_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    for sql in LARGE {
        let (expected, nothing) = answer(sql, &Config { threads: 2, ..Config::default() }).expect("runs");
        assert_eq!(nothing, 0, "{sql}: spilled without a limit");
        for (memory, spill_encryption) in [(1 << 20, false), (3 << 19, true)] {
            let spill_directories = vec![directory.path().to_path_buf()];
            let little = Config { memory_bytes: Some(memory), spill_directories, ..Config::default() };
            for config in drivers(&Config { spill_encryption, ..little }) {
                let (rows, spilled) = answer(sql, &config).unwrap_or_else(|e| panic!("{sql} in {memory}: {e}"));
                assert!(spilled > 0, "{sql} in {memory} bytes spilled nothing");
                assert!(rows == expected, "{sql} in {memory} bytes: {} rows for {}", rows.len(), expected.len());
            }
        }
    }
    nothing_in(directory.path());
}

/// Walks a fault of the disk through queries that spill all they can.
#[test]
fn a_failing_disk_is_a_typed_error_and_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let spill_directories = vec![directory.path().to_path_buf()];
    let quiet = Config { batch_rows: 256, memory_bytes: Some(200_000), spill_directories, ..Config::default() };
    let mut failed = 0;
    for sql in QUERIES.iter().chain(&LARGE[..4]) {
        let Ok((expected, _)) = answer(sql, &Config { fault: None, memory_bytes: None, ..quiet.clone() }) else {
            continue;
        };
        for fault in [Fault::SpillIo as fn(usize) -> Fault, Fault::SpillFull, Fault::SpillFlip] {
            for config in drivers(&quiet) {
                for point in [1, 2, 3, 5, 9, 17, 40] {
                    let config = Config { fault: Some(fault(point)), ..config.clone() };
                    match answer(sql, &config) {
                        Ok((rows, _)) => assert!(rows == expected, "{sql}: another answer with {:?}", config.fault),
                        Err(Error::Io { context, .. }) => {
                            assert!(context.contains("spill"), "{sql}: {context}");
                            failed += 1;
                        }
                        Err(Error::OutOfMemory { .. }) => {}
                        Err(error) => panic!("{sql}: {:?} ended in {error}", config.fault),
                    }
                }
            }
        }
    }
    assert!(failed > 50, "only {failed} faults were met");
    nothing_in(directory.path());
}

#[test]
fn the_quota_of_the_disk_is_a_typed_error() {
    for config in drivers(&Config { memory_bytes: Some(1 << 20), spill_bytes: Some(100_000), ..Config::default() }) {
        for sql in LARGE {
            match answer(sql, &config) {
                Err(error) => assert!(error.to_string().contains("spill_bytes"), "{sql}: {error}"),
                Ok(_) => panic!("{sql}: fits 100,000 bytes of disk"),
            }
        }
    }
}

#[test]
fn queries_that_spill_are_cancelled_at_every_point() {
    let directory = tempfile::tempdir().expect("a directory");
    let spill_directories = vec![directory.path().to_path_buf()];
    for config in drivers(&Config { memory_bytes: Some(1 << 20), spill_directories, ..Config::default() }) {
        for sql in LARGE {
            let mut point = 1;
            loop {
                match answer(sql, &Config { fault: Some(Fault::Cancel(point)), ..config.clone() }) {
                    Ok(_) => break,
                    Err(Error::Cancelled) => point += 1 + point / 3,
                    Err(error) => panic!("{sql}: {error}"),
                }
            }
            assert!(point > 3, "{sql}: no point to cancel at");
        }
    }
    nothing_in(directory.path());
}

/// A host with a fixed amount of memory for all queries.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) left: AtomicUsize,
}

impl Host {
    pub(crate) fn new(bytes: usize) -> Self {
        Host { left: AtomicUsize::new(bytes) }
    }

    /// Bytes that nobody has.
    pub(crate) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }
}

impl MemorySource for Host {
    fn name(&self) -> &str {
        "the host"
    }

    fn reserve(&self, bytes: usize) -> Result<(), String> {
        let take = |left: usize| left.checked_sub(bytes);
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.map(drop).map_err(|left| format!("{left} are left"))
    }

    fn release(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// What sixteen queries share.
const MEMORY: usize = 12 << 20;

#[test]
fn sixteen_queries_share_the_little_that_a_host_has() {
    let host = Arc::new(Host::new(MEMORY));
    let session = Session::new(Config { threads: 2, ..Config::default() }).expect("valid configuration");
    session.set_memory_source(Some(host.clone()));
    run_sixteen(&session);
    assert_eq!(host.left(), MEMORY, "all is given back");
}

#[test]
fn sixteen_queries_share_the_little_that_a_session_may_use() {
    let config = Config { threads: 2, session_memory_bytes: Some(MEMORY), ..Config::default() };
    run_sixteen(&Session::new(config).expect("valid configuration"));
}

/// Sixteen queries at once, all right, of which nothing is left.
fn run_sixteen(session: &Session) {
    let expected: Vec<Vec<String>> =
        LARGE.iter().map(|sql| answer(sql, &Config::default()).expect("runs alone").0).collect();
    let memories: Vec<_> = std::thread::scope(|scope| {
        let run = |index: usize| {
            let (sql, expected) = (LARGE[index % LARGE.len()], &expected[index % LARGE.len()]);
            scope.spawn(move || {
                let query = session.sql(sql).expect("starts");
                let memory = query.memory();
                let mut rows = rows_of(&query.collect().unwrap_or_else(|error| panic!("query {index}: {error}")));
                rows.sort_unstable();
                assert!(rows == *expected, "query {index}: another answer");
                memory
            })
        };
        let running: Vec<_> = (0..16).map(run).collect();
        running.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    // Only now: while one is spilled by another, that one holds a little of it beyond its end.
    for (index, memory) in memories.iter().enumerate() {
        assert_eq!((memory.used(), memory.granted()), (0, 0), "query {index}: bytes still reserved");
    }
}
