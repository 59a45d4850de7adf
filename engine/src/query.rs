//! One running statement: its schema, batches, cancellation and metrics.

use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use crossbeam::channel::{Receiver, TryRecvError};
use plasmon_core::admission::{Admission, Place};
use plasmon_core::batch::Batch;
use plasmon_core::batch::arrow::export_batch;
use plasmon_core::memory::MemoryBudget;
use plasmon_core::operators::collect::{Collect, InlineQueue};
use plasmon_core::pipeline::{CancelToken, Graph, InlineDriver, Progress, TaskContext, run_on_pool};
use plasmon_core::spill::FrameCodec;
use plasmon_core::{Config, Driver, Error, Result};
use plasmon_plan::explain::Measurement;
use plasmon_plan::ir::Plan;
use plasmon_plan::lower::lower;

use crate::allocated::Allocated;
use crate::frame_table::encode_frames;
use crate::journal::Journal;
use crate::progress::Monitor;

/// Batches that may wait for the reader before workers do: enough to hide a reader's hiccup, small against a query's own state.
const QUEUE_BATCHES: usize = 64;

/// A statement that runs; its batches come by iteration, in the result's order when it has one. Dropping it cancels what still runs.
///
/// ```
/// use plasmon::{Config, Session};
///
/// let session = Session::new(Config::default())?;
/// let query = session.sql("SELECT value FROM generate_series(1, 10000) WHERE value % 2 = 0")?;
/// assert_eq!(query.schema().field(0).name(), "value");
/// let mut rows = 0;
/// for batch in query {
///     rows += batch?.num_rows();
/// }
/// assert_eq!(rows, 5000);
/// # Ok::<(), plasmon::Error>(())
/// ```
pub struct Query {
    schema: SchemaRef,
    task: TaskContext,
    run: Run,
    plan: Option<Arc<Plan>>,
    graph: Option<Arc<Graph>>,
    affected: Option<u64>,
    journal: Journal,
    allocated: Arc<Allocated>,
}

enum Run {
    /// Rows that exist already (DESCRIBE, SHOW, …).
    Ready(std::vec::IntoIter<RecordBatch>),
    /// A coordinator thread drives the pool; batches arrive in the queue.
    Pool {
        queue: Receiver<Batch>,
        coordinator: Option<JoinHandle<Result<()>>>,
        place: Arc<Place>,
    },
    /// The reader's thread drives.
    Inline {
        queue: InlineQueue,
        driver: Box<InlineDriver>,
        done: bool,
    },
    Failed,
}

impl Query {
    /// A result that exists already.
    pub(crate) fn ready(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Query {
            schema,
            task: TaskContext::new(Config::default()),
            run: Run::Ready(batches.into_iter()),
            plan: None,
            graph: None,
            affected: None,
            journal: Journal::silent(),
            allocated: Allocated::unknown(),
        }
    }

    /// The result of a statement that wrote `rows`.
    pub(crate) fn having_written(mut self, rows: u64) -> Self {
        self.affected = Some(rows);
        self
    }

    /// Starts `plan`: at once when the reader's thread drives it, since it may be the only one that can end the others; else when it is admitted.
    pub(crate) fn start(
        plan: Plan,
        schema: SchemaRef,
        task: TaskContext,
        journal: Journal,
        admission: &Arc<Admission>,
    ) -> Result<Self> {
        let allocated = Allocated::begin();
        let (graph, run) = match task.config.driver {
            Driver::Inline => {
                let (sink, queue) = Collect::inline();
                let graph = Arc::new(lower(&plan, Arc::new(sink), &task.config)?);
                let driver = Box::new(InlineDriver::new(graph.clone(), task.clone()));
                (graph, Run::Inline { queue, driver, done: false })
            }
            Driver::Pool => {
                let (sink, queue) = Collect::new(Some(QUEUE_BATCHES));
                let sink = Arc::new(sink);
                let graph = Arc::new(lower(&plan, sink.clone(), &task.config)?);
                let place = Place::new(admission, &graph, &sink, &task);
                // What a query calls must not stand in line behind that query.
                if is_worker() {
                    place.hurry();
                }
                let coordinator = Some(spawn_coordinator(graph.clone(), sink, task.clone(), place.clone())?);
                (graph, Run::Pool { queue, coordinator, place })
            }
        };
        let (plan, graph) = (Some(Arc::new(plan)), Some(graph));
        Ok(Query { schema, task, run, plan, graph, affected: None, journal, allocated })
    }

    /// Columns of the result.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Rows that INSERT or COPY wrote, which is also what their one row tells; `None` for other statements.
    pub fn rows_affected(&self) -> Option<u64> {
        self.affected
    }

    /// A token that stops the query from any thread; the reader then gets [`Error::Cancelled`].
    ///
    /// ```
    /// use plasmon::{Config, Error, Session};
    ///
    /// let session = Session::new(Config::default())?;
    /// let mut query = session.sql("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b")?;
    /// let token = query.cancel_token();
    /// std::thread::spawn(move || token.cancel());
    /// assert!(matches!(query.next(), Some(Err(Error::Cancelled))));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn cancel_token(&self) -> CancelToken {
        self.task.cancel.clone()
    }

    /// The most bytes that the query had reserved at once.
    pub fn peak_memory_bytes(&self) -> usize {
        self.task.memory.peak()
    }

    /// The most bytes that the program allocated at once while the query ran, beyond those that it had before: what [`Query::peak_memory_bytes`] is held
    /// against. `None` = the program's allocator does not count (`plasmon_allocator` does), other queries ran at the same time, or they are too few to be told.
    pub fn peak_allocated_bytes(&self) -> Option<usize> {
        self.allocated.peak()
    }

    /// The query's budget; it may outlive the query, and then nothing is reserved from it.
    pub fn memory(&self) -> Arc<MemoryBudget> {
        self.task.memory.clone()
    }

    /// Watches the query from any thread while it runs: progress, memory, cancellation.
    pub fn monitor(&self) -> Monitor {
        let place = match &self.run {
            Run::Pool { place, .. } => Some(place.clone()),
            _ => None,
        };
        Monitor::new(self.task.clone(), self.graph.clone(), self.plan.clone(), place, self.allocated.clone())
    }

    /// What every plan node did so far; `elapsed_nanos` is the caller's clock. `None` for statements that run no pipelines.
    ///
    /// ```
    /// use plasmon::{Config, Session};
    ///
    /// let session = Session::new(Config::default())?;
    /// let mut query = session.sql("SELECT count(*) FROM generate_series(1, 10000)")?;
    /// for batch in query.by_ref() {
    ///     batch?;
    /// }
    /// let metrics = query.metrics(0).expect("a query has pipelines");
    /// assert!(metrics.nodes.iter().any(|node| node.rows == 10_000));
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn metrics(&self, elapsed_nanos: u64) -> Option<Measurement> {
        self.monitor().measure(elapsed_nanos)
    }

    /// The pipelines with their counters; `None` for statements that run none.
    pub fn graph(&self) -> Option<&Arc<Graph>> {
        self.graph.as_ref()
    }

    /// The optimized plan; `None` for statements that have none.
    pub fn plan(&self) -> Option<&Arc<Plan>> {
        self.plan.as_ref()
    }

    /// Does a bounded piece of work on the caller's thread and comes back: at most one batch moves through one chain of operators. Under the
    /// pool driver the workers work and this only looks for a batch.
    ///
    /// ```
    /// use plasmon::{Config, Driver, Session, Step};
    ///
    /// let session = Session::new(Config { driver: Driver::Inline, ..Config::default() })?;
    /// let mut query = session.sql("SELECT count(*) FROM generate_series(1, 10000)")?;
    /// let mut steps = 0;
    /// loop {
    ///     match query.step()? {
    ///         Step::Batch(batch) => assert_eq!(batch.num_rows(), 1),
    ///         Step::Moved | Step::Blocked => steps += 1,
    ///         Step::Done => break,
    ///     }
    /// }
    /// assert!(steps > 1);
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn step(&mut self) -> Result<Step> {
        self.work(false)
    }

    /// Waits for the next batch and gives it as frames, for [`FrameTable`](crate::FrameTable); `None` at the end.
    pub fn next_frames(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            match self.advance_and_note(true)? {
                Move::Rows(batch) => {
                    return self.frames(batch.compact()).map(Some).inspect_err(|error| self.fail(error));
                }
                Move::Ready(batch) => return encode_frames(&self.schema, &batch).map(Some),
                Move::Moved => {}
                Move::Blocked => std::thread::yield_now(),
                Move::Done => return Ok(None),
            }
        }
    }

    fn frames(&self, batch: Batch) -> Result<Vec<u8>> {
        let types: Vec<DataType> = self.schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let mut frames = Vec::new();
        FrameCodec::new(&types).encode(batch.columns(), batch.rows(), &mut frames)?;
        Ok(frames)
    }

    /// One step; whether it `waits` for the workers of a pool, or only looks for a batch of theirs.
    fn work(&mut self, waits: bool) -> Result<Step> {
        Ok(match self.advance_and_note(waits)? {
            Move::Rows(batch) => Step::Batch(export_batch(batch, &self.schema).inspect_err(|error| self.fail(error))?),
            Move::Ready(batch) => Step::Batch(batch),
            Move::Moved => Step::Moved,
            Move::Blocked => Step::Blocked,
            Move::Done => Step::Done,
        })
    }

    fn advance_and_note(&mut self, waits: bool) -> Result<Move> {
        let step = self.advance(waits).inspect_err(|error| {
            // Who asks from within gets no answer; the query and its other readers are none the worse.
            if !matches!(error, Error::Busy) {
                self.fail(error);
            }
        })?;
        match &step {
            Move::Rows(batch) => self.journal.rows(batch.selected_rows()),
            Move::Ready(batch) => self.journal.rows(batch.num_rows()),
            Move::Done => self.end(),
            Move::Moved | Move::Blocked => {}
        }
        Ok(step)
    }

    fn fail(&mut self, error: &Error) {
        self.stop();
        self.run = Run::Failed;
        self.journal.failed(error, &self.task.memory);
    }

    fn end(&mut self) {
        self.task.memory.end();
        self.allocated.end();
        self.journal.finished(&self.task.memory);
    }

    /// Cancels what still runs and waits for it: nothing of the query outlives it. Only what a query calls, on a thread of its own, cannot wait for that
    /// very query, nor for one that waits for it: their threads end after this.
    fn stop(&mut self) {
        self.task.cancel.cancel();
        if let Run::Pool { queue, coordinator, place } = &mut self.run {
            place.hurry();
            // Free a worker that waits for the reader before waiting for it.
            drop(std::mem::replace(queue, crossbeam::channel::never()));
            if let Ok(_wait) = Wait::begin(&self.task) {
                let _ = join_coordinator(coordinator);
            }
        }
        self.task.memory.end();
        self.allocated.end();
    }

    fn advance(&mut self, waits: bool) -> Result<Move> {
        match &mut self.run {
            Run::Failed => Ok(Move::Done),
            Run::Ready(batches) => Ok(batches.next().map_or(Move::Done, Move::Ready)),
            Run::Pool { queue, coordinator, place } => {
                // A query whose thread wants these rows must not be waited for.
                if is_worker() {
                    place.hurry();
                }
                let next = match queue.try_recv() {
                    Err(TryRecvError::Empty) if waits => {
                        let _wait = Wait::begin(&self.task)?;
                        queue.recv().map_err(TryRecvError::from)
                    }
                    next => next,
                };
                match next {
                    Ok(batch) => Ok(Move::Rows(batch)),
                    Err(TryRecvError::Empty) => Ok(Move::Blocked),
                    Err(TryRecvError::Disconnected) => {
                        let _wait = Wait::begin(&self.task)?;
                        join_coordinator(coordinator)?;
                        Ok(Move::Done)
                    }
                }
            }
            Run::Inline { queue, driver, done } => {
                let progress = if *done { Progress::Done } else { guarded(|| driver.step())? };
                *done = progress == Progress::Done;
                Ok(match (queue.pop(), progress) {
                    (Some(batch), _) => Move::Rows(batch),
                    (None, Progress::Moved) => Move::Moved,
                    (None, Progress::Blocked) => Move::Blocked,
                    (None, Progress::Done) => Move::Done,
                })
            }
        }
    }

    /// All batches, once the query is over.
    pub fn collect(self) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        for batch in self {
            batches.push(batch?);
        }
        Ok(batches)
    }
}

/// What one [`Query::step`] came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A batch of the result.
    Batch(RecordBatch),
    /// Work was done; step again.
    Moved,
    /// Nothing can be done now (an input has nothing yet, workers are at work): step again later.
    Blocked,
    /// The result has ended.
    Done,
}

/// As [`Step`], with rows as the engine has them.
enum Move {
    Rows(Batch),
    /// Of a result that existed already.
    Ready(RecordBatch),
    Moved,
    Blocked,
    Done,
}

impl Iterator for Query {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.work(true) {
                Ok(Step::Batch(batch)) => return Some(Ok(batch)),
                Ok(Step::Moved) => {}
                Ok(Step::Blocked) => std::thread::yield_now(),
                Ok(Step::Done) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        self.stop();
        self.journal.left(&self.task.memory);
    }
}

thread_local! {
    /// The query whose coordinator or worker this thread is; 0 = none.
    static WORKS_FOR: Cell<usize> = const { Cell::new(0) };
}

/// A number that no other query has while this one lives.
fn identity(task: &TaskContext) -> usize {
    Arc::as_ptr(&task.memory).addr()
}

/// Whether this thread is a query's own: what it calls must not wait for other threads' calls.
pub fn is_worker() -> bool {
    WORKS_FOR.get() != 0
}

/// A thread of one query that waits for another query, as long as this lives.
struct Wait(Option<Edge>);

#[derive(Clone, Copy, PartialEq, Eq)]
struct Edge {
    /// The query whose thread waits.
    from: usize,
    /// The query that it waits for.
    to: usize,
}

/// All waits of queries' own threads: hardly ever more than a few. Threads of hosts are not here, since no query waits for them.
static WAITS: Mutex<Vec<Edge>> = Mutex::new(Vec::new());

impl Wait {
    /// This thread is about to wait for the query of `task`; refused when that one waits, through however many others, for the query that the thread
    /// works for. Of a circle, whoever would close it is refused.
    fn begin(task: &TaskContext) -> Result<Wait> {
        let edge = Edge { from: WORKS_FOR.get(), to: identity(task) };
        if edge.from == 0 {
            return Ok(Wait(None));
        }
        let mut waits = WAITS.lock().unwrap_or_else(|e| e.into_inner());
        let mut reached = vec![edge.to];
        let mut next = 0;
        while let Some(&query) = reached.get(next) {
            if query == edge.from {
                return Err(Error::Busy);
            }
            for further in waits.iter().filter(|w| w.from == query) {
                if !reached.contains(&further.to) {
                    reached.push(further.to);
                }
            }
            next += 1;
        }
        waits.push(edge);
        Ok(Wait(Some(edge)))
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let Some(edge) = self.0 else { return };
        let mut waits = WAITS.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(at) = waits.iter().position(|w| *w == edge) {
            waits.swap_remove(at);
        }
    }
}

fn spawn_coordinator(
    graph: Arc<Graph>,
    sink: Arc<Collect>,
    task: TaskContext,
    place: Arc<Place>,
) -> Result<JoinHandle<Result<()>>> {
    let query = identity(&task);
    let run = move || {
        WORKS_FOR.set(query);
        let outcome = guarded(|| {
            let _seat = place.enter()?;
            run_on_pool(&graph, &task, &workers(query, task.config.threads.max(1))?)
        });
        sink.close();
        outcome
    };
    std::thread::Builder::new()
        .name("plasmon-query".into())
        .spawn(run)
        .map_err(|e| Error::io("starting the query thread", e))
}

/// Threads for the query of that identity, once it may run.
fn workers(query: usize, threads: usize) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .start_handler(move |_| WORKS_FOR.set(query))
        .thread_name(|i| format!("plasmon-worker-{i}"))
        .build()
        .map_err(|e| Error::io("starting worker threads", e))
}

fn join_coordinator(coordinator: &mut Option<JoinHandle<Result<()>>>) -> Result<()> {
    match coordinator.take() {
        Some(handle) => handle.join().unwrap_or_else(|_| Err(Error::internal("the query thread panicked"))),
        None => Ok(()),
    }
}

/// Runs `work`, turning a panic into an internal error.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(Error::internal(plasmon_core::pipeline::panic_text(&*panic))))
}
