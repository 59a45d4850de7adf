//! Build sides that are the process's: the first query to come builds, others wait and probe the same table.
//!
//! ```text
//! vacant ──first query's build opens──► building ──sealed──► ready ──released by the host──► gone
//!    ▲──────────── failed, stopped ────────┘
//! ```
//! A host retains a name before its queries come, and releases it after. What a build takes is reserved from a budget of the process, not of a query: it goes on
//! when the query that built it ends. A query that only probes does not read its right input ([`CachedBuild::gate`]).

use std::collections::HashMap;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use super::JoinShared;
use super::build::{Built, JoinBuild};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::memory::MemoryBudget;
use crate::metrics::OperatorMetrics;
use crate::operators::runtime_filter::KeyFilter;
use crate::pipeline::{CancelToken, FinalizeTask, Flow, Next, Sink, SinkState, Source, SourceState, TaskContext};

/// How often a query that waits for another one's build looks at its cancel token.
const LOOK: Duration = Duration::from_millis(20);

/// What all cached builds take.
static BUDGET: LazyLock<Arc<MemoryBudget>> = LazyLock::new(|| MemoryBudget::new(None));
static BUILDS: LazyLock<Mutex<HashMap<String, Retained>>> = LazyLock::new(Mutex::default);

/// A name that hosts hold, so many times.
struct Retained {
    holders: usize,
    build: Arc<Shared>,
}

/// One build side, for as many queries as come.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
enum State {
    #[default]
    Vacant,
    Building,
    Ready(Arc<Ready>),
}

/// What the build side became, and for which join.
struct Ready {
    join: String,
    built: Arc<Built>,
    /// Keys of runtime filters, by the ordinal of the key.
    filters: Vec<(usize, Arc<KeyFilter>)>,
}

/// Keeps the build side of that name, once a query has built it, until it was released as often as it was retained.
pub fn retain_build(name: &str) {
    builds().entry(name.to_string()).or_insert_with(|| Retained { holders: 0, build: Arc::default() }).holders += 1;
}

/// Gives a name up; whether it was retained. What it stands for is freed when nobody retains it, and no query probes it.
pub fn release_build(name: &str) -> bool {
    let mut builds = builds();
    let Some(retained) = builds.get_mut(name) else { return false };
    retained.holders -= 1;
    let gone = if retained.holders == 0 { builds.remove(name) } else { None };
    // What is freed is freed after the lock.
    drop(builds);
    drop(gone);
    true
}

/// Bytes that all cached build sides take.
pub fn cached_build_bytes() -> usize {
    BUDGET.used()
}

fn builds() -> MutexGuard<'static, HashMap<String, Retained>> {
    BUILDS.lock().unwrap_or_else(|e| e.into_inner())
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The build side; `None` = the caller is the one to build it. Waits for another query that does.
    fn ready_or_mine(&self, cancel: &CancelToken) -> Result<Option<Arc<Ready>>> {
        let mut state = self.state();
        loop {
            match &*state {
                State::Ready(ready) => return Ok(Some(ready.clone())),
                State::Vacant => {
                    *state = State::Building;
                    return Ok(None);
                }
                State::Building => {
                    cancel.check()?;
                    state = self.changed.wait_timeout(state, LOOK).unwrap_or_else(|e| e.into_inner()).0;
                }
            }
        }
    }

    fn set(&self, state: State) {
        *self.state() = state;
        self.changed.notify_all();
    }
}

/// One query's part in a cached build.
pub struct CachedBuild {
    shared: Arc<Shared>,
    join: Arc<JoinShared>,
    turn: Mutex<Turn>,
}

enum Turn {
    /// Not asked yet.
    Open,
    /// It builds.
    Mine,
    /// It has built, or another query has.
    Over(Arc<Ready>),
}

impl std::fmt::Debug for CachedBuild {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedBuild").finish_non_exhaustive()
    }
}

impl CachedBuild {
    /// The part of a query with `join` in the build of that name; `None` = nobody retains it.
    pub(super) fn of(name: &str, join: &Arc<JoinShared>) -> Option<Arc<Self>> {
        let shared = builds().get(name)?.build.clone();
        Some(Arc::new(CachedBuild { shared, join: join.clone(), turn: Mutex::new(Turn::Open) }))
    }

    /// A source of the right input: empty for a query that does not build.
    pub fn gate(self: &Arc<Self>, source: Arc<dyn Source>) -> Arc<dyn Source> {
        Arc::new(Gate { source, build: self.clone() })
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// What is built; `None` = this query builds it. Asked first, it may wait.
    fn ready(&self, cancel: &CancelToken) -> Result<Option<Arc<Ready>>> {
        let mut turn = self.turn();
        if matches!(*turn, Turn::Open) {
            *turn = match self.shared.ready_or_mine(cancel)? {
                None => Turn::Mine,
                Some(ready) if ready.join == signature(&self.join) => Turn::Over(ready),
                Some(_) => return Err(Error::user("a cached build of that name is another join's")),
            };
        }
        Ok(if let Turn::Over(ready) = &*turn { Some(ready.clone()) } else { None })
    }

    /// Shows what this query has built to the others.
    fn publish(&self) -> Result<()> {
        let keys = |(key, filter): &(usize, Arc<crate::operators::runtime_filter::RuntimeFilter>)| {
            Some((*key, filter.keys()?.clone()))
        };
        let ready = Arc::new(Ready {
            join: signature(&self.join),
            built: self.join.built()?,
            filters: self.join.publishes.iter().filter_map(keys).collect(),
        });
        *self.turn() = Turn::Over(ready.clone());
        self.shared.set(State::Ready(ready));
        Ok(())
    }

    /// Takes what another query has built.
    fn adopt(&self, ready: &Ready) {
        self.join.adopt_built(ready.built.clone());
        for (key, filter) in &self.join.publishes {
            if let Some((_, keys)) = ready.filters.iter().find(|(known, _)| known == key) {
                filter.publish_shared(keys.clone());
            }
        }
    }
}

impl Drop for CachedBuild {
    /// A query that was stopped leaves the build to the next one.
    fn drop(&mut self) {
        if matches!(*self.turn(), Turn::Mine) {
            self.shared.set(State::Vacant);
        }
    }
}

/// What must be equal for a build side to be the same.
fn signature(join: &JoinShared) -> String {
    format!("{:?}", join.spec)
}

/// The context of a build that outlives its query.
fn of_process(task: &TaskContext) -> TaskContext {
    TaskContext { memory: BUDGET.clone(), ..task.clone() }
}

/// Ends the right input's pipeline.
#[derive(Debug)]
pub(super) struct CachedJoinBuild {
    pub(super) sink: JoinBuild,
    pub(super) build: Arc<CachedBuild>,
}

impl Sink for CachedJoinBuild {
    fn name(&self) -> &'static str {
        self.sink.name()
    }

    fn describe(&self) -> String {
        self.sink.describe()
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SinkState>> {
        match self.build.ready(&task.cancel)? {
            None => self.sink.open(&of_process(task), metrics),
            Some(_) => {
                metrics.note("build", "another query's");
                Ok(Box::new(Unread))
            }
        }
    }

    fn finalize(&self, stage: usize, task: &TaskContext) -> Result<Vec<FinalizeTask>> {
        match self.build.ready(&task.cancel)? {
            None => self.sink.finalize(stage, &of_process(task)),
            Some(_) => Ok(Vec::new()),
        }
    }

    fn seal(&self, task: &TaskContext) -> Result<()> {
        match self.build.ready(&task.cancel)? {
            None => {
                self.sink.seal(&of_process(task))?;
                self.build.publish()
            }
            Some(ready) => {
                self.build.adopt(&ready);
                Ok(())
            }
        }
    }
}

/// Rows that come all the same (an aggregation gives one of none) are not wanted.
struct Unread;

impl SinkState for Unread {
    fn push(&mut self, _: Batch) -> Result<Flow> {
        Ok(Flow::Finished)
    }

    fn combine(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A source of the right input.
#[derive(Debug)]
struct Gate {
    source: Arc<dyn Source>,
    build: Arc<CachedBuild>,
}

impl Source for Gate {
    fn name(&self) -> &'static str {
        self.source.name()
    }

    fn describe(&self) -> String {
        self.source.describe()
    }

    fn max_workers(&self) -> usize {
        self.source.max_workers()
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        match self.build.ready(&task.cancel)? {
            None => self.source.open(task, metrics),
            Some(_) => Ok(Box::new(Nothing)),
        }
    }
}

struct Nothing;

impl SourceState for Nothing {
    fn next(&mut self) -> Result<Next> {
        Ok(Next::Finished)
    }
}
