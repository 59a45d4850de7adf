//! One thread per spill area that writes behind and reads ahead, so that work and disk overlap.
//!
//! ```text
//! append ──block──► queue ──► thread ──► file ──► thread ──► slot ──block──► next
//!    └──────when the queue is full: by itself──►│     (or by itself, when the thread has not come to it)
//! ```
//! Bytes under way, either way, are at most [`UNDER_WAY_MAX`] or a sixteenth of the query's memory, and outside of its budget. Nobody ever waits for
//! room: who finds none does the work. The thread starts with the first block and ends with the area.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, unbounded};

use super::store::Store;
use crate::config::Config;
use crate::error::Result;

/// Most bytes that wait to be written or were read ahead …
const UNDER_WAY_MAX: usize = 8 << 20;
/// … and the share of the memory that a query may use.
const UNDER_WAY_SHARE: usize = 16;

/// The thread, and the bytes that are under way.
#[derive(Debug)]
pub(super) struct Background {
    most: usize,
    under_way: Arc<AtomicUsize>,
    /// `None` inside when the system gives no thread: then everybody works for himself.
    thread: OnceLock<Option<Thread>>,
}

#[derive(Debug)]
struct Thread {
    jobs: Sender<Job>,
    handle: JoinHandle<()>,
}

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    Write { store: Arc<Store>, index: usize, bytes: Vec<u8>, room: Room },
    Read { store: Arc<Store>, index: usize, slot: Arc<Slot> },
}

/// A right to have so many bytes under way; given back when dropped.
#[derive(Debug)]
pub(super) struct Room {
    bytes: usize,
    under_way: Arc<AtomicUsize>,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.under_way.fetch_sub(self.bytes, Relaxed);
    }
}

impl Background {
    pub(super) fn new(config: &Config) -> Self {
        let share = config.memory_bytes.map_or(UNDER_WAY_MAX, |memory| memory / UNDER_WAY_SHARE);
        let under_way = Arc::new(AtomicUsize::new(0));
        Background { most: share.min(UNDER_WAY_MAX), under_way, thread: OnceLock::new() }
    }

    /// Room for `bytes`, if there is any and somebody to use it.
    pub(super) fn room(&self, bytes: usize) -> Option<Room> {
        let grown = |now: usize| now.checked_add(bytes).filter(|&total| total <= self.most);
        self.under_way.fetch_update(Relaxed, Relaxed, grown).ok()?;
        let room = Room { bytes, under_way: self.under_way.clone() };
        self.thread().map(|_| room)
    }

    /// Has `job` done some time; or at once, when the thread is gone.
    pub(super) fn run(&self, job: Job) {
        let Some(thread) = self.thread() else { return job.run() };
        if let Err(refused) = thread.jobs.send(job) {
            refused.into_inner().run();
        }
    }

    fn thread(&self) -> Option<&Thread> {
        let start = || {
            let (jobs, queue) = unbounded();
            let work = move || Self::work(queue);
            let handle = std::thread::Builder::new().name("plasmon-spill".to_string()).spawn(work).ok()?;
            Some(Thread { jobs, handle })
        };
        self.thread.get_or_init(start).as_ref()
    }

    fn work(queue: Receiver<Job>) {
        queue.iter().for_each(Job::run);
    }
}

impl Drop for Background {
    /// Ends the thread: no file is left by now, so that it has at most the operation at hand to finish.
    fn drop(&mut self) {
        if let Some(Some(Thread { jobs, handle })) = self.thread.take() {
            drop(jobs);
            // A panic of the thread has nothing to tell that its files did not.
            let _ = handle.join();
        }
    }
}

impl Job {
    fn run(self) {
        match self {
            Job::Write { store, index, bytes, room } => {
                store.write_waiting(index, bytes);
                drop(room);
            }
            // A reader that was dropped wants nothing.
            Job::Read { slot, .. } if Arc::strong_count(&slot) == 1 => {}
            Job::Read { store, index, slot } => slot.fill(&store, index),
        }
    }
}

/// A block that is read ahead.
#[derive(Debug)]
pub(super) struct Slot {
    state: Mutex<SlotState>,
    done: Condvar,
}

#[derive(Debug)]
enum SlotState {
    /// In the queue.
    Asked(Room),
    Reading,
    Read(Result<Vec<u8>>, Room),
    /// Given out, or left to who wants it.
    Taken,
}

impl Slot {
    pub(super) fn new(room: Room) -> Arc<Self> {
        Arc::new(Slot { state: Mutex::new(SlotState::Asked(room)), done: Condvar::new() })
    }

    fn locked(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Reads the block, unless its reader was faster.
    fn fill(&self, store: &Store, index: usize) {
        let room = {
            let mut state = self.locked();
            match std::mem::replace(&mut *state, SlotState::Reading) {
                SlotState::Asked(room) => room,
                other => {
                    *state = other;
                    return;
                }
            }
        };
        let read = store.try_read(index);
        *self.locked() = read.map_or(SlotState::Taken, |read| SlotState::Read(read, room));
        self.done.notify_all();
    }

    /// The bytes of the block; `None` when the thread has not come to it, and now never will.
    pub(super) fn take(&self) -> Option<Result<Vec<u8>>> {
        let mut state = self.locked();
        while let SlotState::Reading = *state {
            state = self.done.wait(state).unwrap_or_else(|e| e.into_inner());
        }
        match std::mem::replace(&mut *state, SlotState::Taken) {
            SlotState::Read(read, room) => {
                drop(room);
                Some(read)
            }
            _ => None,
        }
    }
}
