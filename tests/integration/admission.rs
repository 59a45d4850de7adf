//! Queries that stand in line for memory: in which order they begin, how they are stopped there, and who must not be kept waiting.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchIterator};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use plasmon::core::pipeline::CancelToken;
use plasmon::{Config, Driver, Error, Query, Session, Step, StreamTable};

use crate::out_of_core::Host;

/// Longer than this is a hang.
const PATIENCE: Duration = Duration::from_secs(60);
/// Less than what a query should have to begin with, of a host whose limit nobody knows.
const LITTLE: usize = 1 << 20;
const ENOUGH: usize = 64 << 20;

fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what}: not yet");
        std::thread::yield_now();
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, false)]))
}

fn three_rows() -> RecordBatch {
    RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(vec![1, 2, 3]))]).expect("three rows")
}

fn session(bytes: usize) -> (Arc<Host>, Arc<Session>) {
    let host = Arc::new(Host::new(bytes));
    let session = Session::new(Config { threads: 2, driver: Driver::Pool, ..Config::default() }).expect("a session");
    session.set_memory_source(Some(host.clone()));
    (host, Arc::new(session))
}

/// A query over the batches that `next` gives.
fn over(
    session: &Session,
    config: Config,
    cancel: CancelToken,
    mut next: impl FnMut() -> Option<RecordBatch> + Send + 'static,
) -> Query {
    let batches = std::iter::from_fn(move || next().map(Ok));
    let table = Arc::new(StreamTable::new(Box::new(RecordBatchIterator::new(batches, schema()))));
    let statement = session.statement("SELECT sum(a) FROM input").table("input", table);
    statement.config(config).cancel(cancel).run().expect("starts")
}

/// A query that is at work until it is told to stop.
struct Busy {
    query: Query,
    stop: Arc<AtomicBool>,
}

impl Busy {
    fn start(session: &Session) -> Busy {
        let (stop, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (stopped, begins) = (stop.clone(), begun.clone());
        let query = over(session, session.config(), CancelToken::default(), move || {
            begins.store(true, Relaxed);
            std::thread::yield_now();
            (!stopped.load(Relaxed)).then(three_rows)
        });
        until("it begins", || begun.load(Relaxed));
        Busy { query, stop }
    }

    fn end(self) {
        self.stop.store(true, Relaxed);
        self.query.collect().expect("ends");
    }
}

/// A query over three rows.
fn short(session: &Session, cancel: CancelToken) -> Query {
    let mut rows = Some(three_rows());
    over(session, session.config(), cancel, move || rows.take())
}

fn sum(query: Query) -> i64 {
    query.collect().expect("runs")[0].column(0).as_primitive::<Int64Type>().value(0)
}

fn patient() -> CancelToken {
    CancelToken::default().with_deadline(Some(PATIENCE))
}

#[test]
fn queries_begin_in_order_of_priority_then_of_arrival() {
    let (host, session) = session(LITTLE);
    let busy = Busy::start(&session);
    let order: Arc<Mutex<Vec<usize>>> = Arc::default();
    let start = |(index, priority): (usize, i32)| {
        let (order, mut rows) = (order.clone(), Some(three_rows()));
        let config = Config { priority, ..session.config() };
        let query = over(&session, config, patient(), move || {
            let rows = rows.take()?;
            order.lock().expect("no panic").push(index);
            Some(rows)
        });
        let monitor = query.monitor();
        until("it stands in line", || monitor.progress().is_waiting);
        query
    };
    let queries: Vec<Query> = [0, 7, -2, 7].into_iter().enumerate().map(start).collect();
    assert!(order.lock().expect("no panic").is_empty());
    busy.end();
    queries.into_iter().for_each(|query| assert_eq!(sum(query), 6));
    assert_eq!(*order.lock().expect("no panic"), [1, 3, 0, 2]);
    assert_eq!(host.left(), LITTLE);
}

#[test]
fn a_query_in_line_is_cancelled_runs_late_and_is_left() {
    let (host, session) = session(LITTLE);
    let busy = Busy::start(&session);
    let token = CancelToken::default();
    let mut cancelled = short(&session, token.clone());
    let monitor = cancelled.monitor();
    until("it stands in line", || monitor.progress().is_waiting);
    token.cancel();
    assert!(matches!(cancelled.next(), Some(Err(Error::Cancelled))));
    let mut late = short(&session, CancelToken::default().with_deadline(Some(Duration::from_millis(20))));
    assert!(matches!(late.next(), Some(Err(Error::Deadline))));
    let left = short(&session, patient());
    let memory = [cancelled.memory(), late.memory(), left.memory()];
    drop(left);
    for memory in memory {
        assert_eq!((memory.used(), memory.granted(), memory.peak()), (0, 0, 0));
    }
    assert!(!monitor.progress().is_waiting);
    busy.end();
    assert_eq!(host.left(), LITTLE);
    assert_eq!(sum(short(&session, patient())), 6);
}

#[test]
fn what_a_query_calls_begins_at_once() {
    let (host, session) = session(ENOUGH);
    let busy = Busy::start(&session);
    let (inner, memory) = (Arc::downgrade(&session), host.clone());
    session.register_scalar_function("nested", &[DataType::Int64], DataType::Int64, move |arguments| {
        let session = inner.upgrade().ok_or(Error::Cancelled)?;
        // The host has nothing more for anybody.
        let left = memory.left.swap(0, Relaxed);
        let nested = session.statement("SELECT sum(value) FROM generate_series(1, 100)").cancel(patient()).run();
        let sum = nested.and_then(|query| query.collect());
        memory.left.fetch_add(left, Relaxed);
        let sum = sum?[0].column(0).as_primitive::<Int64Type>().value(0);
        let numbers = arguments[0].as_primitive::<Int64Type>();
        Ok(Arc::new(numbers.iter().map(|n| n.map(|n| n + sum)).collect::<Int64Array>()) as ArrayRef)
    });
    let query = session.statement("SELECT nested(value) FROM generate_series(1, 1)").cancel(patient()).run();
    assert_eq!(sum(query.expect("starts")), 5051);
    busy.end();
    assert_eq!(host.left(), ENOUGH);
}

#[test]
fn a_query_whose_rows_a_running_one_wants_begins_at_once() {
    let (host, session) = session(LITTLE);
    let (give, given) = channel::<Query>();
    let begun = Arc::new(AtomicBool::new(false));
    let begins = begun.clone();
    let reading = over(&session, session.config(), patient(), move || {
        begins.store(true, Relaxed);
        let batches = given.recv().ok()?.collect().ok()?;
        let sum = batches[0].column(0).clone();
        Some(RecordBatch::try_new(schema(), vec![sum]).expect("one row"))
    });
    until("it begins", || begun.load(Relaxed));
    // The one that runs does not get on: another begins after a while, and as long as that does, nobody else.
    let busy = Busy::start(&session);
    let wanted = short(&session, patient());
    let waits = wanted.monitor();
    until("it stands in line", || waits.progress().is_waiting);
    give.send(wanted).expect("is read");
    drop(give);
    assert_eq!(sum(reading), 6);
    busy.end();
    assert_eq!(host.left(), LITTLE);
}

#[test]
fn nobody_waits_for_a_query_that_is_not_read() {
    let (host, session) = session(LITTLE);
    let unread = session.sql("SELECT value FROM generate_series(1, 1000000)").expect("starts");
    let second = session.sql("SELECT value FROM generate_series(1, 1000000)").expect("starts");
    let rows = |query: Query| query.map(|batch| batch.expect("runs").num_rows()).sum::<usize>();
    assert_eq!((rows(second), rows(unread)), (1_000_000, 1_000_000));
    assert_eq!(host.left(), LITTLE);
}

#[test]
fn queries_that_their_reader_drives_do_not_stand_in_line() {
    let (host, session) = session(LITTLE);
    let busy = Busy::start(&session);
    let config = Config { driver: Driver::Inline, ..session.config() };
    let start = |_| {
        let mut rows = Some(three_rows());
        (over(&session, config.clone(), patient(), move || rows.take()), 0)
    };
    let mut queries = [0, 1].map(start);
    let mut done = [false; 2];
    while done.contains(&false) {
        for ((query, rows), done) in queries.iter_mut().zip(&mut done) {
            match query.step().expect("runs") {
                Step::Batch(batch) => *rows += batch.num_rows(),
                Step::Done => *done = true,
                Step::Moved | Step::Blocked => {}
            }
            assert!(!query.monitor().progress().is_waiting);
        }
    }
    assert!(queries.iter().all(|(_, rows)| *rows == 1));
    drop(queries);
    busy.end();
    assert_eq!(host.left(), LITTLE);
}
