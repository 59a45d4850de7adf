//! Queries in line for a budget: order, stopping, and who must not be kept waiting.

use arrow_schema::DataType;

use super::*;
use crate::batch::{Batch, Column, Values};
use crate::config::Config;
use crate::error::Error;
use crate::expression::{Expression, SortKey};
use crate::memory::Reservation;
use crate::operators::aggregate::{AggregatePhase, AggregateSpec, aggregate};
use crate::operators::sort::{SortSpec, sort};
use crate::operators::{self, Breaker};
use crate::pipeline::{CancelToken, Part, Pipeline, Source, Wait, run_on_pool};

const MIB: usize = 1 << 20;

/// A query of a budget; `waiting_batches` = how many batches its reader may leave lying, 0 = it can give none.
fn query(admission: &Arc<Admission>, config: Config, waiting_batches: usize) -> Arc<Place> {
    let memory = admission.budget().below("query", config.memory_bytes);
    let task = TaskContext::with_memory(config, CancelToken::default(), memory);
    let (sink, reader) = Collect::new(Some(waiting_batches));
    // A queue without its reader is not full.
    std::mem::forget(reader);
    Place::new(admission, &Arc::default(), &Arc::new(sink), &task)
}

fn working(admission: &Arc<Admission>) -> Arc<Place> {
    query(admission, Config::default(), 1)
}

fn admission(limit: usize) -> Arc<Admission> {
    Admission::over(MemoryBudget::new(Some(limit)))
}

/// Whether it would go in now.
fn may_go(place: &Arc<Place>, arrival: u64) -> bool {
    let waiting = std::mem::ManuallyDrop::new(Waiting { place, arrival });
    waiting.may_go(&mut Watch::default())
}

#[test]
fn who_is_alone_goes_in_whatever_there_is() {
    let admission = admission(0);
    for _ in 0..3 {
        let place = working(&admission);
        drop(place.enter().unwrap());
        assert!(!place.is_waiting());
    }
}

#[test]
fn some_go_in_together_and_get_their_bytes() {
    let admission = admission(64 * MIB);
    let mut places: Vec<_> = (0..4).map(|_| working(&admission)).collect();
    let mut seats: Vec<Seat> = places.iter().map(|place| place.enter().unwrap()).collect();
    // The first asked for nothing, since nobody was there.
    assert_eq!(admission.budget().used(), 48 * MIB);
    let fifth = working(&admission);
    let held = places[0].task.memory.reservation("state");
    held.grow(MIB).unwrap();
    assert!(!may_go(&fifth, 9), "three are not used, four are a share, and those of others are theirs");
    places[1].task.memory.has_begun();
    assert!(may_go(&fifth, 9), "what is not used of a query that has begun");
    let sixth = working(&admission);
    assert!(!may_go(&sixth, 10));
    drop((places.pop(), seats.pop()));
    assert!(may_go(&sixth, 10), "what a query leaves");
    assert_eq!([&fifth, &sixth].map(|place| place.task.memory.granted()), [16 * MIB; 2]);
    drop(held);
}

#[test]
fn a_budget_without_limit_lets_everybody_in() {
    let admission = Admission::over(MemoryBudget::new(None));
    let seats: Vec<Seat> = (0..9).map(|_| working(&admission).enter().unwrap()).collect();
    assert_eq!((admission.budget().used(), admission.room().running.len()), (0, 9));
    drop(seats);
    assert!(admission.room().running.is_empty());
}

#[test]
fn the_line_is_in_order_of_priority_and_arrival() {
    let admission = admission(0);
    let _seat = working(&admission).enter().unwrap();
    let places = [0, 3, -1, 3].map(|priority| query(&admission, Config { priority, ..Config::default() }, 1));
    let mut room = admission.room();
    for (arrival, place) in (10..).zip(&places) {
        room.line.insert(place.rank(arrival), place.clone());
    }
    let order: Vec<u64> = room.line.keys().map(|(_, arrival)| *arrival).collect();
    assert_eq!(order, [11, 13, 10, 12]);
    let first: Vec<bool> = (10..).zip(&places).map(|(arrival, place)| place.is_first(&room, arrival)).collect();
    assert_eq!(first, [false, true, false, false]);
}

#[test]
fn nobody_waits_for_who_waits_for_his_reader() {
    let admission = admission(0);
    let held_up = query(&admission, Config::default(), 0);
    let _seat = held_up.enter().unwrap();
    let _other = working(&admission).enter().unwrap();
    assert!(!may_go(&working(&admission), 9), "the other is at work");
}

#[test]
fn nobody_waits_for_those_who_do_not_get_on() {
    let long_ago = Instant::now().checked_sub(2 * STANDSTILL).unwrap();
    let mut watch = Watch(Some((long_ago, 7)));
    assert!(watch.stands_still(7));
    assert!(!watch.stands_still(8), "something has moved");
    assert!(!watch.stands_still(8), "just now");
}

#[test]
fn who_is_wanted_or_stopped_does_not_wait() {
    let admission = admission(0);
    let _seat = working(&admission).enter().unwrap();
    let wanted = working(&admission);
    wanted.hurry();
    drop(wanted.enter().unwrap());
    let stopped = working(&admission);
    stopped.task.cancel.cancel();
    assert!(matches!(stopped.enter(), Err(Error::Cancelled)));
    let late = working(&admission);
    std::thread::scope(|scope| {
        let entering = scope.spawn(|| late.enter().map(drop));
        while !late.is_waiting() {
            std::thread::yield_now();
        }
        late.task.cancel.cancel();
        assert!(matches!(entering.join().unwrap(), Err(Error::Cancelled)));
    });
    assert!(!late.is_waiting() && admission.room().line.is_empty());
    assert_eq!(late.task.memory.granted(), 0);
}

/// Two queries and what one consumer of each holds, of twelve MiB.
fn two(held: [usize; 2]) -> (Arc<MemoryBudget>, [Reservation; 2]) {
    let session = MemoryBudget::new(Some(12 * MIB));
    let state = held.map(|bytes| {
        let state = session.below("query", None).spilling_reservation("state");
        assert!(state.try_grow(bytes).unwrap());
        state
    });
    (session, state)
}

#[test]
fn who_holds_more_than_his_share_is_asked_first() {
    let (_session, [large, small]) = two([8 * MIB, 4 * MIB]);
    assert!(!large.try_grow(MIB).unwrap(), "nothing is left");
    assert!(small.try_grow(0).unwrap(), "who has less than his share is left alone");
    assert!(!small.try_grow(MIB).unwrap(), "not yet");
    assert!(!large.try_grow(0).unwrap(), "asked to spill");
    large.shrink(8 * MIB);
    assert!(small.try_grow(MIB).unwrap());
}

#[test]
fn who_cannot_do_without_has_standing_state_of_all_spilled() {
    struct Standing(Reservation);
    impl crate::memory::Spillable for Standing {
        fn spill(&self, _bytes: usize) -> Result<usize> {
            let held = self.0.held();
            self.0.shrink(held);
            Ok(held)
        }
    }
    let (session, [large, _small]) = two([8 * MIB, MIB]);
    let third = session.below("third", None);
    let token = third.spilling_reservation("standing");
    token.grow(3 * MIB).unwrap();
    let standing: Arc<dyn crate::memory::Spillable> = Arc::new(Standing(token));
    third.offer(Arc::downgrade(&standing));
    assert!(!large.try_grow(MIB).unwrap() && third.used() == 3 * MIB, "it holds more than its share itself");
    large.grow(MIB).unwrap();
    assert_eq!((large.held(), third.used()), (9 * MIB, 0));
}

#[test]
fn what_all_may_hold_bounds_what_one_may_always() {
    let session = MemoryBudget::new(Some(12 * MIB));
    assert_eq!(session.below("query", None).floor(), 12 * MIB / 64);
    assert_eq!(session.below("query", Some(4 * MIB)).floor(), 64 << 10);
    session.set_limit(None);
    assert_eq!(session.below("query", None).floor(), 4 * MIB);
}

/// Rows that each query keeps, in batches of a thousand, and what sixteen may reserve together.
const ROWS: usize = 100_000;
const SMALL: usize = 2 * MIB;

fn rows() -> Arc<Vec<Batch>> {
    // Every number once, in no order.
    let value = |row: usize| (row * 7919 % ROWS) as i64;
    let batch = |first: usize| {
        let values = Values::Int64((first..first + 1000).map(value).collect());
        Batch::new(vec![Column::flat(values)], 1000)
    };
    Arc::new((0..ROWS).step_by(1000).map(batch).collect())
}

/// Keeps distinct keys, or sorts them.
fn state_of(sorts: bool) -> Breaker {
    let key = Expression::column(0, DataType::Int64);
    if sorts {
        let keys = vec![SortKey { expression: key, descending: false, nulls_first: false }];
        let types = vec![DataType::Int64];
        return sort(SortSpec { keys, fetch: None, offset: 0, types, threshold: None }).unwrap();
    }
    let (group_by, phase) = (vec![key], AggregatePhase::Single);
    aggregate(AggregateSpec { group_by, grouping_sets: vec![], grouping_id: None, aggregates: vec![], phase }).unwrap()
}

/// One query by two workers, read to its end: its values, and the bytes that it spilled.
fn run(admission: &Arc<Admission>, rows: &Arc<Vec<Batch>>, sorts: bool) -> (Vec<i64>, u64) {
    let memory = admission.budget().below("query", None);
    let task = TaskContext::with_memory(Config { threads: 2, ..Config::default() }, CancelToken::default(), memory);
    let (sink, reader) = Collect::new(Some(4));
    let (mut graph, state, sink) = (Graph::default(), state_of(sorts), Arc::new(sink));
    let kept = graph.add_sink(state.sink, 0);
    let given = graph.add_sink(sink.clone(), 1);
    let source: Arc<dyn Source> = Arc::new(operators::values::Values::new(rows.to_vec()));
    for (source, sink, waits) in [(source, kept, vec![]), (state.source, given, vec![Wait::Sink(kept)])] {
        graph.add_pipeline(Pipeline { source: Part::new(source, 0), operators: vec![], sink, waits });
    }
    let graph = Arc::new(graph);
    let place = Place::new(admission, &graph, &sink, &task);
    let values = std::thread::scope(|scope| {
        scope.spawn(|| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
            let outcome = place.enter().and_then(|_seat| run_on_pool(&graph, &task, &pool));
            // Else the reader would not see the end of a failure.
            sink.close();
            outcome.unwrap();
        });
        let values = |batch: Batch| match batch.compact().column(0).flat_values() {
            Values::Int64(values) => values.to_vec(),
            other => panic!("{other:?}"),
        };
        reader.iter().flat_map(values).collect()
    });
    drop((place, graph, sink));
    assert_eq!(task.memory.used(), 0);
    (values, task.spill.written())
}

#[test]
fn sixteen_queries_share_a_small_budget_and_end() {
    let (rows, admission) = (rows(), admission(SMALL));
    let expected: Vec<i64> = (0..ROWS as i64).collect();
    let spilled: Vec<u64> = std::thread::scope(|scope| {
        let (rows, admission, expected) = (&rows, &admission, &expected);
        let one = |index: usize| {
            scope.spawn(move || {
                let (mut values, spilled) = run(admission, rows, index % 2 == 0);
                if index % 2 == 1 {
                    values.sort_unstable();
                }
                assert!(values == *expected, "query {index}: {} values", values.len());
                spilled
            })
        };
        (0..16).map(one).collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(spilled.iter().any(|&bytes| bytes > 0), "nobody was short of memory");
    assert_eq!(admission.budget().used(), 0);
    let room = admission.room();
    assert!(room.line.is_empty() && room.running.is_empty());
}
