//! Who may run now: queries that share one budget begin when it has something for them, and stand in line until then.
//!
//! ```text
//! enter ──nobody else is at work, or there are bytes to begin with──► Seat: runs ──dropped──► the first in line looks again
//!   └──else──► line: by priority, then by arrival ──cancelled, past its deadline──► leaves
//! ```
//! Only who has not begun waits, and holds nothing: nobody waits for him. The first in line waits for those who get on by themselves, and for
//! nobody else. He goes in, with bytes or without, when everybody who runs waits for his reader, when a query at work waits for him
//! ([`Place::hurry`]), and when nobody has got on for [`STANDSTILL`]: they may wait for him in a way that cannot be seen from here.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::memory::MemoryBudget;
use crate::operators::collect::Collect;
use crate::pipeline::{Graph, TaskContext};

/// A query should have one of so many parts of a small budget to begin with …
const SHARES: usize = 2;
/// … or so many bytes of a large one: queries with less spill so much that one after the other is faster. Sixteen aggregations of 6 M groups in 85 MB took
/// 5.7 times as long as one after the other when they began with 4 MiB, and four of them 1.3 times.
const BEGIN_BYTES: usize = 16 << 20;
/// How often somebody in line looks for bytes, and at his cancel token …
const PATIENCE: Duration = Duration::from_millis(5);
/// … when there are not more of them than this: all together look so often, however many there are.
const PATIENT: usize = 16;
/// Who has moved so many batches has what he needs, or shows it: others may use what he was given to begin with.
const BATCHES_TO_BEGIN: u64 = 256;
/// Longer than this nobody waits for others who do not get on.
const STANDSTILL: Duration = Duration::from_secs(1);

/// A budget and the queries that share it.
#[derive(Debug)]
pub struct Admission {
    budget: Arc<MemoryBudget>,
    room: Mutex<Room>,
    /// Told when somebody left, or is in a hurry.
    changed: Condvar,
}

/// The order in line: the highest priority first, then who came first.
type Rank = (Reverse<i32>, u64);

#[derive(Debug, Default)]
struct Room {
    running: BTreeMap<u64, Arc<Place>>,
    line: BTreeMap<Rank, Arc<Place>>,
    arrivals: u64,
}

impl Admission {
    /// Nobody runs yet.
    pub fn over(budget: Arc<MemoryBudget>) -> Arc<Self> {
        Arc::new(Admission { budget, room: Mutex::default(), changed: Condvar::new() })
    }

    /// What the queries share.
    pub fn budget(&self) -> &Arc<MemoryBudget> {
        &self.budget
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// One query, before it begins and while it runs.
pub struct Place {
    admission: Arc<Admission>,
    graph: Arc<Graph>,
    reader: Arc<Collect>,
    task: TaskContext,
    is_waiting: AtomicBool,
    is_hurried: AtomicBool,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("is_waiting", &self.is_waiting).finish_non_exhaustive()
    }
}

impl Place {
    /// The place of the query that runs `graph`, whose last sink is `reader`, under `task`, whose budget is below the one that is shared.
    pub fn new(admission: &Arc<Admission>, graph: &Arc<Graph>, reader: &Arc<Collect>, task: &TaskContext) -> Arc<Self> {
        Arc::new(Place {
            admission: admission.clone(),
            graph: graph.clone(),
            reader: reader.clone(),
            task: task.clone(),
            is_waiting: AtomicBool::new(false),
            is_hurried: AtomicBool::new(false),
        })
    }

    /// Whether the query stands in line.
    pub fn is_waiting(&self) -> bool {
        self.is_waiting.load(Relaxed)
    }

    /// A query that runs waits for this one, or it is to look at its cancel token now: it does not wait any more.
    pub fn hurry(&self) {
        if !self.is_hurried.swap(true, Relaxed) {
            self.admission.changed.notify_all();
        }
    }

    /// Waits until the query may run: it does as long as the seat is held. Fails when it is cancelled or past its deadline before.
    pub fn enter(self: &Arc<Self>) -> Result<Seat> {
        self.task.cancel.check()?;
        let arrival = {
            let mut room = self.admission.room();
            room.arrivals += 1;
            let arrival = room.arrivals;
            if self.is_first(&room, arrival) && room.at_work().is_none() {
                return Ok(room.seat(self, arrival));
            }
            room.line.insert(self.rank(arrival), self.clone());
            arrival
        };
        let waiting = Waiting { place: self, arrival };
        let mut watch = Watch::default();
        while !waiting.may_go(&mut watch) {
            self.is_waiting.store(true, Relaxed);
            waiting.wait();
            self.task.cancel.check()?;
        }
        let seat = self.admission.room().seat(self, arrival);
        Ok(seat)
    }

    fn rank(&self, arrival: u64) -> Rank {
        (Reverse(self.task.config.priority), arrival)
    }

    fn is_first(&self, room: &Room, arrival: u64) -> bool {
        room.line.first_key_value().is_none_or(|(first, _)| *first >= self.rank(arrival))
    }

    /// What the query should have to begin with.
    fn need(&self) -> usize {
        let budget = &self.admission.budget;
        let part = (budget.limit().unwrap_or(usize::MAX) / SHARES).min(self.task.memory.limit().unwrap_or(usize::MAX));
        if budget.is_bounded() { BEGIN_BYTES.min(part).max(1) } else { 0 }
    }

    /// A number that becomes another as the query gets on.
    fn pulse(&self) -> u64 {
        let kept = self.task.memory.used() as u64 + self.task.spill.written();
        self.graph.moved().wrapping_add(kept)
    }
}

impl Room {
    /// What all who get on by themselves have done so far; `None` = there are none.
    fn at_work(&self) -> Option<u64> {
        let has_begun = |place: &&Arc<Place>| place.graph.moved() >= BATCHES_TO_BEGIN;
        self.running.values().filter(has_begun).for_each(|place| place.task.memory.has_begun());
        let at_work = self.running.values().filter(|place| !place.reader.is_full());
        at_work.map(|place| place.pulse()).reduce(u64::wrapping_add)
    }

    fn seat(&mut self, place: &Arc<Place>, arrival: u64) -> Seat {
        self.running.insert(arrival, place.clone());
        Seat { place: place.clone(), arrival }
    }
}

/// What somebody in line has seen of the others.
#[derive(Default)]
struct Watch(Option<(Instant, u64)>);

impl Watch {
    /// Whether it has been `pulse` for long.
    fn stands_still(&mut self, pulse: u64) -> bool {
        match self.0 {
            Some((since, last)) if last == pulse => since.elapsed() > STANDSTILL,
            _ => {
                self.0 = Some((Instant::now(), pulse));
                false
            }
        }
    }
}

/// Somebody in line; leaves it when dropped.
struct Waiting<'a> {
    place: &'a Arc<Place>,
    arrival: u64,
}

impl Waiting<'_> {
    fn may_go(&self, watch: &mut Watch) -> bool {
        let Waiting { place, arrival } = *self;
        if place.is_hurried.load(Relaxed) {
            return true;
        }
        {
            let room = place.admission.room();
            if !place.is_first(&room, arrival) {
                *watch = Watch::default();
                return false;
            }
            if room.at_work().is_none_or(|pulse| watch.stands_still(pulse)) {
                return true;
            }
        }
        // Asks the budget, and thereby perhaps a host, with nothing locked.
        place.task.memory.prepare(place.need())
    }

    /// Until somebody left, or for a while.
    fn wait(&self) {
        let admission = &self.place.admission;
        let room = admission.room();
        let patience = PATIENCE * (1 + room.line.len() / PATIENT) as u32;
        drop(admission.changed.wait_timeout(room, patience));
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Waiting { place, arrival } = *self;
        place.admission.room().line.remove(&place.rank(arrival));
        place.is_waiting.store(false, Relaxed);
        place.admission.changed.notify_all();
    }
}

/// The right to run; given back when dropped.
#[derive(Debug)]
pub struct Seat {
    place: Arc<Place>,
    arrival: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let admission = &self.place.admission;
        admission.room().running.remove(&self.arrival);
        admission.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
