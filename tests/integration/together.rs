//! Many queries of one session at once, in little memory, some of which meet a fault: who fails fails alone and in its own error, the others answer rightly,
//! and after all nothing is held, neither memory nor disk.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;

use plasmon::core::memory::MemoryBudget;
use plasmon::{Config, Driver, Error, Fault, Session};

use crate::out_of_core::{Host, LARGE, answer, nothing_in, rows_of};

const AT_ONCE: usize = 16;
const ROUNDS: usize = 6;
const MEMORY: usize = 12 << 20;

/// Numbers that look drawn, the same in every run.
fn draw(thread: usize, round: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    (thread, round).hash(&mut hasher);
    hasher.finish() as usize
}

/// A name and a fault, at an early point or a late one.
fn fault(draw: usize) -> (&'static str, Option<Fault>) {
    let point = 1 + (draw >> 8) % (1 << ((draw >> 24) % 9));
    match draw % 7 {
        0 => ("cancelled", Some(Fault::Cancel(point))),
        1 => ("refused memory", Some(Fault::RefuseMemory(point))),
        2 => ("failing disk", Some(Fault::SpillIo(point))),
        3 => ("full disk", Some(Fault::SpillFull(point))),
        4 => ("flipped bit", Some(Fault::SpillFlip(point))),
        _ => ("nothing", None),
    }
}

/// Whether `error` is what `fault` ends in.
fn is_of(error: &Error, fault: Option<Fault>) -> bool {
    match (fault, error) {
        (Some(Fault::Cancel(_)), Error::Cancelled) => true,
        (Some(Fault::RefuseMemory(_)), Error::OutOfMemory { .. }) => true,
        (Some(Fault::SpillIo(_) | Fault::SpillFull(_)), Error::Io { message, .. }) => {
            message.contains("a test's fault")
        }
        (Some(Fault::SpillFlip(_)), Error::Io { context, .. }) => context.contains("spilled to"),
        _ => false,
    }
}

/// Files that this process has open in `directory`, with or without a name.
fn open_in(directory: &Path) -> usize {
    let directory = directory.canonicalize().expect("a directory");
    let files = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    files.filter(|file| std::fs::read_link(file.path()).is_ok_and(|target| target.starts_with(&directory))).count()
}

#[test]
fn a_query_fails_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let host = Arc::new(Host::new(MEMORY));
    let session = Session::new(Config::default()).expect("valid configuration");
    session.set_memory_source(Some(host.clone()));
    let expected = LARGE.map(|sql| answer(sql, &Config::default()).expect("runs alone").0);
    let failed: Mutex<BTreeMap<&str, usize>> = Mutex::default();
    let budgets: Mutex<Vec<Arc<MemoryBudget>>> = Mutex::default();
    let settings = Mutex::new(());
    let run = |thread: usize, round: usize| {
        let draw = draw(thread, round);
        let (name, fault) = fault(draw);
        let which = (draw >> 32) % LARGE.len();
        let driver = if draw >> 40 & 1 == 0 { Driver::Pool } else { Driver::Inline };
        // Some have little of their own besides, so that they spill in any case.
        let memory_bytes = (draw >> 41 & 1 == 0).then_some(1 << 20);
        let spill_directories = vec![directory.path().to_path_buf()];
        let config = Config { driver, fault, threads: 2, memory_bytes, spill_directories, ..Config::default() };
        let query = {
            let _mine = settings.lock().expect("nobody panics with it");
            session.set_config(config).and_then(|()| session.sql(LARGE[which]))
        };
        budgets.lock().expect("nobody panics with it").extend(query.as_ref().map(|query| query.memory()));
        let outcome = query.and_then(|query| query.collect());
        match outcome {
            Ok(batches) => {
                let mut rows = rows_of(&batches);
                rows.sort_unstable();
                assert!(rows == expected[which], "{}: another answer beside others, {fault:?}", LARGE[which]);
            }
            Err(error) => {
                assert!(is_of(&error, fault), "{}: {fault:?} ended in {error}", LARGE[which]);
                *failed.lock().expect("nobody panics with it").entry(name).or_default() += 1;
            }
        }
    };
    std::thread::scope(|scope| {
        let run = &run;
        let start = |thread| scope.spawn(move || (0..ROUNDS).for_each(|round| run(thread, round)));
        let running: Vec<_> = (0..AT_ONCE).map(start).collect();
        running.into_iter().for_each(|thread| thread.join().expect("no panic"));
    });
    let failed = failed.into_inner().expect("no panic");
    // Who is refused memory can spill.
    for name in ["cancelled", "failing disk", "full disk", "flipped bit"] {
        assert!(failed.contains_key(name), "no query ended by this: {name}; {failed:?}");
    }
    // Who was short of memory may have been spilling for a query when that ended, so that it is looked at only now.
    for budget in budgets.into_inner().expect("no panic") {
        assert_eq!((budget.used(), budget.granted()), (0, 0), "bytes are still reserved");
    }
    assert_eq!(host.left(), MEMORY, "all memory is given back");
    nothing_in(directory.path());
    assert_eq!(open_in(directory.path()), 0, "spill files are still open");
}
