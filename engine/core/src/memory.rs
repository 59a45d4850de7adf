//! Reserve, then allocate: budgets, and the tokens that growing state holds against them.
//!
//! ```text
//! host ◄──chunks── budget of a session ◄──chunks── budget of a query ◄──bytes── reservations of its operators
//! ```
//! State that grows with the input owns a [`Reservation`] and calls [`Reservation::grow`] *before* it allocates, at a step boundary
//! (once per batch, with an upper bound). A refusal is a typed error that names every consumer. Source: Photon, SIGMOD 2022, §5.3.
//!
//! State that can leave memory asks by [`Reservation::try_grow`]: when that says no, it spills and then calls `grow`. Whoever is short first frees what
//! is idle, then what stands still ([`Spillable`]), then asks the smallest other consumer that has enough to spill at its next step, and spills itself.
//! A consumer that can spill may always hold a little ([`MemoryBudget::floor`]), so that a budget used up by others slows it down but does not end it.
//!
//! What is there whatever the budget says, and goes by itself before long (pages of a scan), is only counted ([`MemoryBudget::counted`]): others spill
//! earlier for it, and whoever cannot spill any more is not refused because of it.
//!
//! A budget that is not its own master takes bytes of a [`MemorySource`], a chunk at a time, and gives back what it does not use: when much of it
//! is idle, when it is asked to ([`MemoryBudget::release_unused`]), and all of it at the end. No lock is held while a source is asked, so that a
//! source may come back with any call.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use crate::error::{Error, Result};

/// What a query asks of the budget above it at a time: a host is called some thousand times for a query of gigabytes, not once a batch.
const QUERY_CHUNK_BYTES: usize = 4 << 20;

/// Who gives a budget its bytes: a host, or the budget above.
pub trait MemorySource: Send + Sync + Debug {
    /// What messages call it: `the host`.
    fn name(&self) -> &str;
    /// Gives `bytes`, all or none; or says why not.
    fn reserve(&self, bytes: usize) -> Result<(), String>;
    /// Takes back `bytes` of what it gave.
    fn release(&self, bytes: usize);
    /// Asks for `bytes` to be freed wherever they may be; how many were. Called once before a refusal.
    fn reclaim(&self, _bytes: usize) -> usize {
        0
    }
    /// As [`MemorySource::reclaim`], before a refusal that may end a query.
    fn reclaim_at_last(&self, bytes: usize) -> usize {
        self.reclaim(bytes)
    }
    /// The most bytes that it gives to all; `None` = it does not know.
    fn limit(&self) -> Option<usize> {
        None
    }
}

/// State that nobody works on, and that can leave memory: a finished build side, rows that wait for their reader.
pub trait Spillable: Send + Sync {
    /// Spills `bytes` or more, or what there is; gives back what it reserved for them, and says how many. It must not reserve anything, and leaves alone
    /// what is locked.
    fn spill(&self, bytes: usize) -> Result<usize>;
}

/// Most and least bytes that a consumer may hold over a budget that is used up, if it can spill …
const FLOOR_BYTES: std::ops::RangeInclusive<usize> = 64 << 10..=4 << 20;
/// … and the share of the budget that it is in between.
pub(crate) const FLOOR_SHARE: usize = 64;

/// What is only counted takes at most such a part of the limit from those who ask.
const COUNTED_SHARE: usize = 4;

/// The memory that one query, or the queries of one session, may reserve, in bytes.
#[derive(Debug)]
pub struct MemoryBudget {
    limit: AtomicUsize,
    /// What [`MemoryBudget::floor`] says: it does not change while a query runs.
    floor: usize,
    source: Option<Arc<dyn MemorySource>>,
    /// What the source is asked for at least.
    chunk: usize,
    ledger: Mutex<Ledger>,
    peak: AtomicUsize,
    consumers: Mutex<Vec<Arc<Consumer>>>,
    /// Budgets that this one is the source of.
    below: Mutex<Vec<Below>>,
    /// A test's: growths left until one is refused; 0 refuses none.
    refuse_in: AtomicUsize,
    /// A test's: every so many growths of a consumer that can spill, it is told to; 0 = never.
    spill_every: AtomicUsize,
    standing: Mutex<Vec<Weak<dyn Spillable>>>,
}

#[derive(Debug, Default)]
struct Ledger {
    used: usize,
    /// Of that, what was counted and not asked for.
    counted: usize,
    /// Taken of the source.
    granted: usize,
    /// What was taken for somebody to begin with, and is his until he has: idle or not, it does not go to others who are short.
    kept: usize,
    /// Nobody will reserve any more: what is not used goes back at once.
    is_over: bool,
}

/// A budget that takes chunks, and what it took.
#[derive(Debug, Clone)]
struct Below {
    budget: Weak<MemoryBudget>,
    consumer: Arc<Consumer>,
}

#[derive(Debug)]
struct Consumer {
    name: String,
    held: AtomicUsize,
    manner: Manner,
    /// Somebody needs what it holds.
    is_asked: AtomicBool,
    growths: AtomicUsize,
}

/// What a consumer can do when there is no memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Fails,
    /// It asks by [`Reservation::try_grow`].
    Spills,
    /// Nothing: its bytes are there, and are counted.
    Counts,
}

impl Consumer {
    fn new(name: String, held: usize, manner: Manner) -> Arc<Self> {
        let (held, is_asked, growths) = (AtomicUsize::new(held), AtomicBool::new(false), AtomicUsize::new(0));
        Arc::new(Consumer { name, held, manner, is_asked, growths })
    }

    fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

impl MemoryBudget {
    /// A budget of `limit` bytes that asks nobody; `None` = no limit (reservations are still counted).
    pub fn new(limit: Option<usize>) -> Arc<Self> {
        Arc::new(MemoryBudget::of(limit, None, 0))
    }

    /// A budget that takes its bytes of `source`, exactly as many as are reserved.
    pub fn from_source(source: Arc<dyn MemorySource>) -> Arc<Self> {
        Arc::new(MemoryBudget::of(None, Some(source), 0))
    }

    /// A budget of `limit` bytes that takes chunks of this one, under `name`.
    pub fn below(self: &Arc<Self>, name: &str, limit: Option<usize>) -> Arc<Self> {
        let above = Above(self.reservation(name));
        let consumer = above.0.consumer.clone();
        let budget = Arc::new(MemoryBudget::of(limit, Some(Arc::new(above)), QUERY_CHUNK_BYTES));
        let mut below = locked(&self.below);
        below.retain(|other| other.budget.strong_count() > 0);
        below.push(Below { budget: Arc::downgrade(&budget), consumer });
        budget
    }

    fn of(limit: Option<usize>, source: Option<Arc<dyn MemorySource>>, chunk: usize) -> Self {
        let limit = limit.unwrap_or(usize::MAX);
        let above = source.as_ref().and_then(|source| source.limit()).unwrap_or(usize::MAX);
        MemoryBudget {
            limit: AtomicUsize::new(limit),
            floor: (limit.min(above) / FLOOR_SHARE).clamp(*FLOOR_BYTES.start(), *FLOOR_BYTES.end()),
            source,
            chunk,
            ledger: Mutex::default(),
            peak: AtomicUsize::new(0),
            consumers: Mutex::new(Vec::new()),
            below: Mutex::new(Vec::new()),
            refuse_in: AtomicUsize::new(0),
            spill_every: AtomicUsize::new(0),
            standing: Mutex::new(Vec::new()),
        }
    }

    /// The most bytes that may be reserved; `None` = no limit of its own.
    pub fn limit(&self) -> Option<usize> {
        Some(self.most()).filter(|&most| most < usize::MAX)
    }

    fn most(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Changes the limit. What is reserved beyond it stays, and nothing is added to it.
    pub fn set_limit(&self, limit: Option<usize>) {
        self.limit.store(limit.unwrap_or(usize::MAX), Ordering::Relaxed);
    }

    /// Whether there may be too little for all: there is a limit, or somebody to be asked.
    pub fn is_bounded(&self) -> bool {
        self.limit().is_some() || self.source.is_some()
    }

    /// Makes the budget refuse its `growth`-th growth, whatever is free.
    pub(crate) fn refuse_at(&self, growth: usize) {
        self.refuse_in.store(growth, Ordering::Relaxed);
    }

    /// Makes every consumer that can spill do so at each `growths`-th of its growths, whatever is free.
    pub(crate) fn spill_at_every(&self, growths: usize) {
        self.spill_every.store(growths, Ordering::Relaxed);
    }

    /// An empty reservation of the consumer `name` (shown in errors, e.g. `HashJoin build`).
    pub fn reservation(self: &Arc<Self>, name: impl Into<String>) -> Reservation {
        self.reserve_for(Consumer::new(name.into(), 0, Manner::Fails))
    }

    /// An empty reservation of the consumer `name`, who can spill: who asks by [`Reservation::try_grow`].
    pub fn spilling_reservation(self: &Arc<Self>, name: impl Into<String>) -> Reservation {
        self.reserve_for(Consumer::new(name.into(), 0, Manner::Spills))
    }

    /// An empty count of the consumer `name`, whose bytes are there whatever the budget says.
    pub fn counted(self: &Arc<Self>, name: impl Into<String>) -> Counted {
        Counted(self.reserve_for(Consumer::new(name.into(), 0, Manner::Counts)))
    }

    fn reserve_for(self: &Arc<Self>, consumer: Arc<Consumer>) -> Reservation {
        locked(&self.consumers).push(consumer.clone());
        Reservation { budget: self.clone(), consumer }
    }

    /// What may be spilled from now on, by whoever is short; until it is dropped.
    pub fn offer(&self, standing: Weak<dyn Spillable>) {
        let mut all = locked(&self.standing);
        all.retain(|other| other.strong_count() > 0);
        all.push(standing);
    }

    /// Bytes that a consumer who can spill may hold although the budget is used up.
    pub fn floor(&self) -> usize {
        self.floor
    }

    /// Bytes reserved now.
    pub fn used(&self) -> usize {
        locked(&self.ledger).used
    }

    /// The most bytes ever reserved at once.
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// Bytes taken of the source now; 0 without one.
    pub fn granted(&self) -> usize {
        locked(&self.ledger).granted
    }

    /// Gives `wanted` bytes, or as many as there are, that are taken but not used back to where they came from: those of the budgets below first. How
    /// many the source got.
    pub fn release_unused(&self, wanted: usize) -> usize {
        let before = self.granted();
        for (budget, _) in self.below_by_size() {
            if before.saturating_sub(self.granted()) >= wanted {
                break;
            }
            budget.release_unused(wanted);
        }
        self.release_surplus(locked(&self.ledger), 0, 0);
        before.saturating_sub(self.granted())
    }

    /// As [`MemoryBudget::release_unused`] of a budget that has none below, but for what it keeps to begin with.
    fn release_idle(&self) {
        let ledger = locked(&self.ledger);
        let kept = ledger.kept.saturating_sub(ledger.used);
        self.release_surplus(ledger, kept, kept);
    }

    /// The budgets below and their own consumers, who took most first.
    fn below_by_size(&self) -> Vec<(Arc<MemoryBudget>, Arc<Consumer>)> {
        let below = locked(&self.below).clone();
        let alive = |below: Below| Some((below.budget.upgrade()?, below.consumer));
        let mut below: Vec<_> = below.into_iter().filter_map(alive).collect();
        below.sort_by_cached_key(|(_, consumer)| std::cmp::Reverse(consumer.held()));
        below
    }

    /// As [`MemoryBudget::release_unused`]; when that is not enough, what stands still in the budgets below is spilled, and their working consumers are
    /// asked to spill at their next step. How many bytes the source got by now: more come as consumers get to it.
    pub fn free(&self, wanted: usize) -> usize {
        // Who took of nobody gives to nobody.
        if self.source.is_none() {
            return 0;
        }
        let mut freed = self.release_unused(wanted);
        for (budget, _) in self.below_by_size() {
            if freed >= wanted {
                break;
            }
            freed += budget.make_way(wanted - freed);
        }
        freed
    }

    /// Frees `wanted` bytes for the budget below that takes its own as `asking`: what others do not use, then what they hold over an equal share, as
    /// long as `asking` does not. How many there are by now. With `all`, the whole of what others hold.
    fn make_room(&self, asking: &Arc<Consumer>, wanted: usize, all: bool) -> usize {
        let before = self.used();
        let missing = || wanted.saturating_sub(before.saturating_sub(self.used()));
        let others = || self.below_by_size().into_iter().filter(|(_, other)| !Arc::ptr_eq(other, asking));
        for (budget, _) in others() {
            if missing() == 0 {
                break;
            }
            if all {
                budget.release_unused(missing());
            } else {
                budget.release_idle();
            }
        }
        let share = self.share_beside(asking);
        if all || asking.held() + missing() <= share {
            for (budget, _) in others().filter(|(_, other)| all || other.held() > share) {
                if missing() == 0 {
                    break;
                }
                budget.make_way(missing());
            }
        }
        before.saturating_sub(self.used())
    }

    /// What each would hold if all who hold something, and `asking`, held the same.
    fn share_beside(&self, asking: &Arc<Consumer>) -> usize {
        let below = self.below_by_size();
        let held: usize = below.iter().map(|(_, consumer)| consumer.held()).sum();
        let count = below.iter().filter(|(_, other)| other.held() > 0 || Arc::ptr_eq(other, asking)).count();
        held / count.max(1)
    }

    /// Spills `wanted` bytes of what stands still, and has somebody who works spill for what that leaves, at his next step. How many bytes the source
    /// got by now.
    fn make_way(&self, wanted: usize) -> usize {
        // A query whose disk fails tells so itself when it spills; whoever wants memory asks the next one.
        let spilled = self.spill_standing(wanted).is_ok_and(|spilled| spilled > 0);
        let freed = if spilled { self.release_unused(wanted) } else { 0 };
        if freed < wanted {
            self.ask(None, wanted - freed);
        }
        freed
    }

    /// Takes `bytes` of the source before anybody reserves them, if they are not there; whether they are. They stay until they are used for the first time,
    /// or [`MemoryBudget::has_begun`]; a host may always have them back.
    pub fn prepare(&self, bytes: usize) -> bool {
        let missing = bytes.saturating_sub(self.granted());
        let Some(source) = self.source.as_deref().filter(|_| missing > 0) else { return true };
        let taken = source.reserve(missing).is_ok() || (source.reclaim(missing) > 0 && source.reserve(missing).is_ok());
        if taken {
            let mut ledger = locked(&self.ledger);
            ledger.granted += missing;
            ledger.kept = bytes;
        }
        taken
    }

    /// What was taken to begin with is for others as well from now on, when it is not used.
    pub fn has_begun(&self) {
        locked(&self.ledger).kept = 0;
    }

    /// Nobody will reserve any more: what is held still, by those who outlive a query, goes back as soon as they let go of it.
    pub fn end(&self) {
        let mut ledger = locked(&self.ledger);
        ledger.is_over = true;
        self.release_surplus(ledger, 0, 0);
    }

    /// Gives the source the bytes that are taken but not used, all but `kept` of them, when there are more than `most`.
    fn release_surplus(&self, mut ledger: MutexGuard<'_, Ledger>, most: usize, kept: usize) {
        let Some(source) = &self.source else { return };
        let surplus = ledger.granted.saturating_sub(ledger.used);
        if surplus > most {
            let given = surplus - kept;
            ledger.granted -= given;
            drop(ledger);
            source.release(given);
        }
    }

    /// Reserves, or says why not: the refusal of a test, of the limit, or of the source.
    fn grow(&self, consumer: &Consumer, bytes: usize) -> Result<()> {
        if self.refuses_by_test() {
            return Err(self.refusal(&consumer.name, bytes, None));
        }
        let Err(why) = self.take_or_spill_standing(consumer, bytes, true)? else { return Ok(()) };
        if consumer.manner == Manner::Spills && self.overdraw(consumer, bytes) {
            return Ok(());
        }
        // What is only counted goes before long: it ends nobody.
        if why.is_none() && self.take_beside_counted(consumer, bytes).is_ok() {
            return Ok(());
        }
        Err(self.refusal(&consumer.name, bytes, why))
    }

    /// Whether this growth is the one that a test wants refused.
    fn refuses_by_test(&self) -> bool {
        let left = &self.refuse_in;
        left.load(Ordering::Relaxed) > 0
            && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)) == Ok(1)
    }

    /// As [`MemoryBudget::grow`] for one who can spill: `false` = spill first.
    fn try_grow(&self, consumer: &Consumer, bytes: usize) -> Result<bool> {
        let held = consumer.held();
        let asked = consumer.is_asked.swap(false, Ordering::Relaxed) && held > self.floor();
        let every = self.spill_every.load(Ordering::Relaxed);
        let told = every > 0 && held > 0 && consumer.growths.fetch_add(1, Ordering::Relaxed) % every == every - 1;
        if asked || told || self.refuses_by_test() {
            return Ok(false);
        }
        if self.take_or_spill_standing(consumer, bytes, false)?.is_ok() {
            return Ok(true);
        }
        self.ask(Some(consumer), bytes);
        Ok(self.overdraw(consumer, bytes))
    }

    /// As [`MemoryBudget::take`], once more after what stands still was spilled.
    fn take_or_spill_standing(
        &self,
        consumer: &Consumer,
        bytes: usize,
        is_last: bool,
    ) -> Result<Result<(), Option<String>>> {
        let taken = self.take(consumer, bytes, is_last);
        if taken.is_err() && self.spill_standing(bytes)? > 0 && self.take(consumer, bytes, is_last).is_ok() {
            return Ok(Ok(()));
        }
        Ok(taken)
    }

    /// Reserves `bytes`; or changes nothing and gives the source's reason, if it was the source that refused. `is_last` = who asks cannot do without. What is
    /// only counted takes a part of the limit, and no more: without anything left, everybody would spill all the time.
    fn take(&self, consumer: &Consumer, bytes: usize, is_last: bool) -> Result<(), Option<String>> {
        let counted = locked(&self.ledger).counted;
        self.take_within(consumer, bytes, counted.saturating_sub(self.most() / COUNTED_SHARE), is_last)
    }

    /// As [`MemoryBudget::take`], as if nothing was only counted.
    fn take_beside_counted(&self, consumer: &Consumer, bytes: usize) -> Result<(), Option<String>> {
        let counted = locked(&self.ledger).counted;
        self.take_within(consumer, bytes, counted, true)
    }

    /// As [`MemoryBudget::take`], with a limit that is `more` bytes higher.
    fn take_within(&self, consumer: &Consumer, bytes: usize, more: usize, is_last: bool) -> Result<(), Option<String>> {
        // Nothing is there for everybody, also over a budget that is overdrawn.
        if bytes == 0 {
            return Ok(());
        }
        // The bytes count as used while the source is asked for them, so that nobody gives them back meanwhile as idle ones.
        let (total, missing) = {
            let mut ledger = locked(&self.ledger);
            let most = self.most().saturating_add(more);
            let Some(total) = ledger.used.checked_add(bytes).filter(|&total| total <= most) else {
                return Err(None);
            };
            ledger.used = total;
            if total >= ledger.kept {
                ledger.kept = 0;
            }
            (total, total.saturating_sub(ledger.granted).min(bytes))
        };
        if let Some(source) = self.source.as_deref().filter(|_| missing > 0) {
            match self.obtain(source, missing, is_last) {
                Ok(given) => locked(&self.ledger).granted += given,
                Err(why) => {
                    locked(&self.ledger).used -= bytes;
                    return Err(Some(format!("{} refused {missing} bytes more: {why}", source.name())));
                }
            }
        }
        consumer.held.fetch_add(bytes, Ordering::Relaxed);
        self.peak.fetch_max(total, Ordering::Relaxed);
        Ok(())
    }

    /// Reserves over the limit, and without the source, if `consumer` then holds no more than it always may.
    fn overdraw(&self, consumer: &Consumer, bytes: usize) -> bool {
        let may = consumer.held() + bytes <= self.floor();
        if may {
            self.add(consumer, bytes);
        }
        may
    }

    /// Counts `bytes`, whatever the limit and the source say; the source is asked all the same.
    fn count(&self, consumer: &Consumer, bytes: usize) {
        if self.take(consumer, bytes, false).is_err() {
            self.add(consumer, bytes);
        }
        locked(&self.ledger).counted += bytes;
    }

    fn add(&self, consumer: &Consumer, bytes: usize) {
        let total = {
            let mut ledger = locked(&self.ledger);
            ledger.used += bytes;
            ledger.used
        };
        consumer.held.fetch_add(bytes, Ordering::Relaxed);
        self.peak.fetch_max(total, Ordering::Relaxed);
    }

    /// Has `bytes` spilled of what stands still; how many were.
    fn spill_standing(&self, bytes: usize) -> Result<usize> {
        let standing: Vec<Arc<dyn Spillable>> = locked(&self.standing).iter().filter_map(Weak::upgrade).collect();
        let mut spilled = 0;
        for state in standing {
            if spilled >= bytes {
                break;
            }
            spilled += state.spill(bytes - spilled)?;
        }
        Ok(spilled)
    }

    /// Asks a consumer, another than `asking`, to spill at its next step: the smallest that holds `bytes`, or the largest. Source: Spark's TaskMemoryManager.
    fn ask(&self, asking: Option<&Consumer>, bytes: usize) {
        let floor = self.floor();
        let consumers = locked(&self.consumers);
        let is_other = |c: &Consumer| asking.is_none_or(|asking| !std::ptr::eq(c, asking));
        let others = || consumers.iter().filter(|c| c.manner == Manner::Spills && c.held() > floor && is_other(c));
        let sufficing = others().filter(|c| c.held() >= bytes).min_by_key(|c| c.held());
        if let Some(victim) = sufficing.or_else(|| others().max_by_key(|c| c.held())) {
            victim.is_asked.store(true, Ordering::Relaxed);
        }
    }

    /// A chunk of the source, or what is missing; when it refuses, once more after what is idle here, and then what the source can free, was freed.
    fn obtain(&self, source: &dyn MemorySource, missing: usize, is_last: bool) -> Result<usize, String> {
        if self.chunk > missing && source.reserve(self.chunk).is_ok() {
            return Ok(self.chunk);
        }
        let Err(why) = source.reserve(missing) else { return Ok(missing) };
        self.release_unused(missing);
        // What budgets below gave back is this one's to give: less is missing now.
        let still = missing.min(self.overdrawn());
        if still == 0 || (still < missing && source.reserve(still).is_ok()) {
            return Ok(still);
        }
        let freed = if is_last { source.reclaim_at_last(still) } else { source.reclaim(still) };
        if freed > 0 { source.reserve(still).map(|()| still) } else { Err(why) }
    }

    /// Bytes that count as used, and are being asked for.
    fn overdrawn(&self) -> usize {
        let ledger = locked(&self.ledger);
        ledger.used.saturating_sub(ledger.granted)
    }

    /// Takes back `most` bytes, or what `consumer` holds: one step, since several threads may give back what one consumer holds.
    fn shrink(&self, consumer: &Consumer, most: usize) {
        let rest = |held: usize| Some(held.saturating_sub(most));
        let held = consumer.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest).unwrap_or_else(|held| held);
        let bytes = held.min(most);
        if bytes == 0 {
            return;
        }
        let mut ledger = locked(&self.ledger);
        ledger.used -= bytes;
        ledger.counted -= if consumer.manner == Manner::Counts { bytes } else { 0 };
        // A chunk is kept, so that what grows and shrinks by turns does not ask the source each time.
        let (most, kept) = if ledger.is_over { (0, 0) } else { (2 * self.chunk, self.chunk) };
        self.release_surplus(ledger, most, kept);
    }

    fn refusal(&self, consumer: &str, requested: usize, why: Option<String>) -> Error {
        let mut held: Vec<_> =
            locked(&self.consumers).iter().map(|c| (c.held(), c.name.clone())).filter(|c| c.0 > 0).collect();
        held.sort_by(|a, b| b.cmp(a));
        let mut holders = held.iter().map(|(bytes, name)| format!("{name}: {bytes}")).collect::<Vec<_>>().join(", ");
        if holders.is_empty() {
            holders = "nobody".to_string();
        }
        let (used, granted) = {
            let ledger = locked(&self.ledger);
            (ledger.used, ledger.granted)
        };
        let limit = if why.is_some() { granted } else { self.most() };
        holders.extend(why.map(|why| format!(" ({why})")));
        let available = limit.saturating_sub(used);
        Error::OutOfMemory { consumer: consumer.to_string(), requested, available, limit, holders }
    }
}

impl Drop for MemoryBudget {
    fn drop(&mut self) {
        self.release_surplus(locked(&self.ledger), 0, 0);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The budget above, as a source.
#[derive(Debug)]
struct Above(Reservation);

impl MemorySource for Above {
    fn name(&self) -> &str {
        "the session"
    }

    fn reserve(&self, bytes: usize) -> Result<(), String> {
        self.0.grow(bytes).map_err(|error| match error {
            Error::OutOfMemory { holders, .. } => format!("its bytes are held by {holders}"),
            other => other.to_string(),
        })
    }

    fn release(&self, bytes: usize) {
        self.0.shrink(bytes);
    }

    fn reclaim(&self, bytes: usize) -> usize {
        self.0.budget.make_room(&self.0.consumer, bytes, false)
    }

    fn reclaim_at_last(&self, bytes: usize) -> usize {
        self.0.budget.make_room(&self.0.consumer, bytes, true)
    }

    fn limit(&self) -> Option<usize> {
        self.0.budget.limit()
    }
}

/// A token for bytes that its owner may allocate; gives everything back when dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<MemoryBudget>,
    consumer: Arc<Consumer>,
}

impl Reservation {
    /// Reserves `bytes` more, or fails with [`Error::OutOfMemory`] and changes nothing.
    pub fn grow(&self, bytes: usize) -> Result<()> {
        self.budget.grow(&self.consumer, bytes)
    }

    /// As [`Reservation::grow`], for state that can spill: `false` = spill, then call `grow`. Also when others need what this one holds.
    pub fn try_grow(&self, bytes: usize) -> Result<bool> {
        self.budget.try_grow(&self.consumer, bytes)
    }

    /// Whether `bytes` more are within the limit now, by what the budget itself knows: nobody is asked for anything.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.budget.used().checked_add(bytes).is_some_and(|total| total <= self.budget.most())
    }

    /// As [`Reservation::resize`], for state that can spill: `false` = spill, then call `resize`.
    pub fn try_resize(&self, bytes: usize) -> Result<bool> {
        match bytes.checked_sub(self.held()) {
            Some(more) => self.try_grow(more),
            None => {
                self.shrink(self.held() - bytes);
                Ok(true)
            }
        }
    }

    /// Makes the reservation hold exactly `bytes`: grows or gives back the difference.
    pub fn resize(&self, bytes: usize) -> Result<()> {
        let held = self.held();
        if bytes > held {
            self.grow(bytes - held)
        } else {
            self.shrink(held - bytes);
            Ok(())
        }
    }

    /// Gives back up to `bytes`.
    pub fn shrink(&self, bytes: usize) {
        self.budget.shrink(&self.consumer, bytes);
    }

    /// A second token of the same consumer that takes over up to `bytes` of this one's.
    pub fn split(&self, bytes: usize) -> Reservation {
        let moved = bytes.min(self.held());
        self.consumer.held.fetch_sub(moved, Ordering::Relaxed);
        self.budget.reserve_for(Consumer::new(self.consumer.name.clone(), moved, self.consumer.manner))
    }

    /// Takes over all that `other`, of the same budget, holds.
    pub fn absorb(&self, other: Reservation) {
        let moved = other.consumer.held.swap(0, Ordering::Relaxed);
        self.consumer.held.fetch_add(moved, Ordering::Relaxed);
    }

    /// The same bytes, held by one who cannot spill any more, and is not asked to.
    pub fn passive(self) -> Reservation {
        let passive = self.budget.reservation(self.consumer.name.clone());
        passive.absorb(self);
        passive
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.consumer.held.load(Ordering::Relaxed)
    }
}

/// Bytes that are counted and not asked for: they are there whatever the budget says. Forgotten when dropped.
#[derive(Debug)]
pub struct Counted(Reservation);

impl Counted {
    /// Says that there are `bytes` now.
    pub fn set(&self, bytes: usize) {
        let held = self.0.held();
        match bytes.checked_sub(held) {
            Some(more) => self.0.budget.count(&self.0.consumer, more),
            None => self.0.shrink(held - bytes),
        }
    }

    /// Bytes that there are.
    pub fn bytes(&self) -> usize {
        self.0.held()
    }
}

/// Whether a growth was granted; errors that are no refusals stay errors.
pub fn granted(growth: Result<()>) -> Result<bool> {
    match growth {
        Ok(()) => Ok(true),
        Err(Error::OutOfMemory { .. }) => Ok(false),
        Err(other) => Err(other),
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(self.held());
        locked(&self.budget.consumers).retain(|c| !Arc::ptr_eq(c, &self.consumer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host of `limit` bytes that counts what it gave and how often it was asked.
    #[derive(Debug, Default)]
    struct Host {
        limit: usize,
        given: Mutex<usize>,
        calls: AtomicUsize,
        /// What it can free elsewhere when asked.
        elsewhere: AtomicUsize,
    }

    impl MemorySource for Host {
        fn name(&self) -> &str {
            "the host"
        }
        fn reserve(&self, bytes: usize) -> Result<(), String> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            let mut given = self.given.lock().unwrap();
            let room = self.limit.saturating_sub(self.elsewhere.load(Ordering::Relaxed));
            if *given + bytes > room {
                return Err(format!("{} of {room} are left", room.saturating_sub(*given)));
            }
            *given += bytes;
            Ok(())
        }
        fn release(&self, bytes: usize) {
            *self.given.lock().unwrap() -= bytes;
        }
        fn reclaim(&self, bytes: usize) -> usize {
            self.elsewhere
                .swap(self.elsewhere.load(Ordering::Relaxed).saturating_sub(bytes), Ordering::Relaxed)
                .min(bytes)
        }
    }

    fn host(limit: usize, elsewhere: usize) -> (Arc<Host>, Arc<MemoryBudget>) {
        let host = Arc::new(Host { limit, elsewhere: AtomicUsize::new(elsewhere), ..Host::default() });
        (host.clone(), MemoryBudget::from_source(host))
    }

    #[test]
    fn a_host_is_asked_in_chunks_and_gets_all_back() {
        let (host, session) = host(1 << 30, 0);
        let query = session.below("query 1", None);
        let state = query.reservation("state");
        for _ in 0..10_000 {
            state.grow(4_096).unwrap();
        }
        assert_eq!(query.used(), 40_960_000);
        assert_eq!(*host.given.lock().unwrap(), 40_960_000_usize.next_multiple_of(QUERY_CHUNK_BYTES));
        assert_eq!(host.calls.load(Ordering::Relaxed), 10);
        state.shrink(40_000_000);
        assert!(*host.given.lock().unwrap() <= 3 * QUERY_CHUNK_BYTES, "idle chunks are given back");
        query.end();
        assert_eq!(*host.given.lock().unwrap(), 960_000);
        drop((state, query));
        assert_eq!(*host.given.lock().unwrap(), 0);
    }

    #[test]
    fn what_is_left_of_a_host_is_used_up_and_refusals_name_everyone() {
        let (host, session) = host(QUERY_CHUNK_BYTES + 1_000, 0);
        let query = session.below("query 1", None);
        let (first, second) = (query.reservation("first"), query.reservation("second"));
        first.grow(QUERY_CHUNK_BYTES).unwrap();
        second.grow(1_000).unwrap();
        let Err(Error::OutOfMemory { consumer, holders, available: 0, .. }) = second.grow(1) else { panic!("refused") };
        assert_eq!(consumer, "second");
        for part in ["first: 4194304", "second: 1000", "the session refused", "the host refused 1 bytes more: 0 of"] {
            assert!(holders.contains(part), "{holders}");
        }
        drop((first, second, query));
        assert_eq!(*host.given.lock().unwrap(), 0);
    }

    #[test]
    fn before_a_refusal_idle_bytes_of_others_and_of_the_host_are_freed() {
        let (host, session) = host(3 * QUERY_CHUNK_BYTES, QUERY_CHUNK_BYTES);
        let (idle, busy) = (session.below("idle", None), session.below("busy", None));
        let small = idle.reservation("small");
        small.grow(1).unwrap();
        let large = busy.reservation("large");
        large.grow(2 * QUERY_CHUNK_BYTES - 1).unwrap();
        assert_eq!(*host.given.lock().unwrap(), 2 * QUERY_CHUNK_BYTES, "the idle query kept its one byte");
        large.grow(QUERY_CHUNK_BYTES).unwrap();
        assert!(large.grow(1).is_err());
        drop((small, large, idle, busy));
        assert_eq!(*host.given.lock().unwrap(), 0);
    }

    #[test]
    fn asked_to_give_back_a_session_gives_what_is_idle() {
        let (host, session) = host(1 << 30, 0);
        let query = session.below("query 1", None);
        let state = query.reservation("state");
        state.grow(100).unwrap();
        assert_eq!(session.release_unused(10), QUERY_CHUNK_BYTES - 100);
        assert_eq!(session.release_unused(10), 0);
        assert_eq!(*host.given.lock().unwrap(), 100);
        drop((state, query));
    }

    /// A host that asks for idle bytes whenever it is asked for some.
    #[derive(Debug, Default)]
    struct Greedy {
        session: Mutex<Weak<MemoryBudget>>,
        given: AtomicUsize,
    }

    impl MemorySource for Greedy {
        fn name(&self) -> &str {
            "the host"
        }
        fn reserve(&self, bytes: usize) -> Result<(), String> {
            let session = self.session.lock().unwrap().upgrade().unwrap();
            session.release_unused(usize::MAX);
            self.given.fetch_add(bytes, Ordering::Relaxed);
            Ok(())
        }
        fn release(&self, bytes: usize) {
            self.given.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_host_may_ask_for_idle_bytes_while_it_is_asked() {
        let host = Arc::new(Greedy::default());
        let session = MemoryBudget::from_source(host.clone());
        *host.session.lock().unwrap() = Arc::downgrade(&session);
        let query = session.below("query 1", None);
        let state = query.reservation("state");
        for bytes in [1, 3 * QUERY_CHUNK_BYTES, 10, QUERY_CHUNK_BYTES, QUERY_CHUNK_BYTES + 1] {
            state.grow(bytes).unwrap();
            assert!(query.granted() >= query.used() && session.granted() >= query.granted());
        }
        drop((state, query));
        assert_eq!(host.given.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_is_counted_makes_others_spill_and_ends_nobody() {
        let budget = MemoryBudget::new(Some(32 << 20));
        let pages = budget.counted("pages");
        pages.set(31 << 20);
        let (sort, table) = (budget.spilling_reservation("sort"), budget.reservation("table"));
        assert!(sort.try_grow(24 << 20).unwrap(), "pages take a quarter at most");
        assert!(!sort.try_grow(1).unwrap(), "it is to spill");
        sort.shrink(22 << 20);
        table.grow(30 << 20).unwrap();
        assert_eq!((budget.used(), budget.peak()), (63 << 20, 63 << 20));
        assert!(table.grow(1).is_err(), "without the pages it would be refused, too");
        pages.set(40 << 20);
        assert_eq!((pages.bytes(), budget.used()), (40 << 20, 72 << 20));
        drop((pages, table));
        assert!(sort.try_grow(2 << 20).unwrap());
        drop(sort);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_is_counted_is_overdrawn_when_the_host_refuses() {
        let (host, session) = host(QUERY_CHUNK_BYTES, 0);
        let query = session.below("query 1", None);
        let pages = query.counted("pages");
        pages.set(QUERY_CHUNK_BYTES + 1_000);
        assert_eq!((query.used(), query.granted()), (QUERY_CHUNK_BYTES + 1_000, 0));
        pages.set(1_000);
        pages.set(2_000);
        assert_eq!((query.used(), query.granted()), (2_000, QUERY_CHUNK_BYTES));
        drop((pages, query));
        assert_eq!(*host.given.lock().unwrap(), 0);
    }

    #[test]
    fn threads_that_grow_and_shrink_leave_nothing() {
        let (host, session) = host(64 << 20, 0);
        let query = session.below("query 1", Some(48 << 20));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let query = &query;
                scope.spawn(move || {
                    let state = query.reservation("state");
                    for round in 0..2_000_usize {
                        let _ = state.resize(round * 7_919 * (thread + 1) % (20 << 20));
                    }
                });
            }
        });
        assert_eq!((query.used(), query.peak() > 0), (0, true));
        drop(query);
        assert_eq!((*host.given.lock().unwrap(), session.used()), (0, 0));
    }
}
