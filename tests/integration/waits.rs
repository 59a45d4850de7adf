//! What a query calls on its own workers may ask for rows of that query, or of one that waits for it: it gets an answer, never a hang.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch, RecordBatchIterator};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use plasmon::{Config, Driver, Error, Query, Session, StreamTable};

/// Where a query is put once it runs, for its own stream to find.
type Slot = Arc<Mutex<Option<Query>>>;

/// Longer than this is a hang.
const PATIENCE: Duration = Duration::from_secs(60);

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, false)]))
}

fn three_rows() -> RecordBatch {
    RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(vec![1, 2, 3]))]).expect("three rows")
}

/// A running query over a stream of three rows that does `work` before it gives them.
fn query_that<T>(work: impl FnOnce() -> T + Send + 'static, answer: Sender<T>) -> Query
where
    T: Send + 'static,
{
    let mut work = Some(work);
    let batches = std::iter::from_fn(move || {
        let _ = answer.send(work.take()?());
        Some(Ok(three_rows()))
    });
    let reader = Box::new(RecordBatchIterator::new(batches, schema()));
    let session = Session::new(Config { threads: 2, driver: Driver::Pool, ..Config::default() }).expect("a session");
    let statement = session.statement("SELECT sum(a) FROM input").table("input", Arc::new(StreamTable::new(reader)));
    statement.run().expect("runs")
}

/// Waits for a query to be in `slot`, takes it, and gives it to `work`; what `work` gives back is put back.
fn with_query<T>(slot: &Slot, work: impl FnOnce(Query) -> (Option<Query>, T)) -> T {
    loop {
        let mut held = slot.lock().expect("no panic");
        if let Some(query) = held.take() {
            let (kept, result) = work(query);
            *held = kept;
            return result;
        }
        drop(held);
        std::thread::yield_now();
    }
}

/// Whether the next rows of the query in `slot` were refused.
fn is_refused(slot: &Slot) -> bool {
    with_query(slot, |mut query| {
        let next = query.next();
        (Some(query), matches!(next, Some(Err(Error::Busy))))
    })
}

/// Queries, each of which does `work` to the next, and their answers.
fn circle<T: Send + 'static>(size: usize, work: fn(&Slot) -> T) -> (Vec<Slot>, Receiver<T>) {
    let (slots, (answer, answered)): (Vec<Slot>, _) = ((0..size).map(|_| Slot::default()).collect(), channel());
    for (index, slot) in slots.iter().enumerate() {
        let next = slots[(index + 1) % size].clone();
        let query = query_that(move || work(&next), answer.clone());
        *slot.lock().expect("no panic") = Some(query);
    }
    (slots, answered)
}

fn answers<T>(receiver: &Receiver<T>, count: usize) -> Vec<T> {
    (0..count).map(|_| receiver.recv_timeout(PATIENCE).expect("an answer, not a hang")).collect()
}

#[test]
fn a_query_that_asks_for_its_own_rows_is_refused_and_goes_on() {
    let (slot, (answer, answered)) = (Slot::default(), channel());
    let own = slot.clone();
    let query = query_that(move || is_refused(&own), answer);
    *slot.lock().expect("no panic") = Some(query);
    assert_eq!(answers(&answered, 1), [true]);
    let rows: usize = with_query(&slot, |query| (None, query.map(|batch| batch.expect("goes on").num_rows()).sum()));
    assert_eq!(rows, 1);
}

#[test]
fn of_queries_that_ask_for_each_others_rows_one_is_refused() {
    for size in 2..=4 {
        let (slots, answered) = circle(size, is_refused);
        assert!(answers(&answered, size).contains(&true), "a circle of {size}");
        slots.iter().for_each(|slot| drop(slot.lock().expect("no panic").take()));
    }
}

#[test]
fn queries_that_close_each_other_end() {
    for size in 1..=3 {
        let (_slots, answered) = circle(size, |next| with_query(next, |query| (None, drop(query))));
        // Who was closed before it read its stream gives no answer; every stream is let go of in the end.
        let mut answered_by = 0;
        loop {
            match answered.recv_timeout(PATIENCE) {
                Ok(()) => answered_by += 1,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("a circle of {size} hangs"),
            }
        }
        assert!((1..=size).contains(&answered_by));
    }
}
