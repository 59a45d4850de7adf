//! Runs one operator over rows that are made as they are read, and holds what was allocated against what was reserved.

use std::fmt;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use plasmon_core::batch::{Batch, Column, Dictionary, Values, Views};
use plasmon_core::config::Config;
use plasmon_core::error::Result;
use plasmon_core::metrics::OperatorMetrics;
use plasmon_core::operators::Breaker;
use plasmon_core::pipeline::{
    Flow, Graph, Next, Operator, Part, Pipeline, Sink, SinkState, Source, SourceState, TaskContext, Wait, run_on_pool,
};

use crate::allocator;

/// What one worker may have allocated without a token: the batch at hand, keys and positions of its rows, what comes out.
pub(crate) const SLACK_BYTES: usize = 4 << 20;
/// The same between two batches. Texts of groups are the worst: 5.7 MB of the room that their buffers grew for are not reserved then, while the peak, when
/// they move, was.
const BETWEEN_BYTES: usize = 6 << 20;
/// What may be allocated beyond what is reserved.
const TOLERANCE: f64 = 0.05;
pub(crate) const WORKERS: usize = 1;
pub(crate) const ROWS: usize = 4096;

/// A well-mixed number of a row.
pub(crate) fn mixed(row: u64) -> u64 {
    let mut z = row.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// 64-bit integers by row number.
pub(crate) fn integers(first: u64, rows: usize, of: impl Fn(u64) -> i64) -> Column {
    Column::flat(Values::Int64((first..first + rows as u64).map(of).collect()))
}

/// Texts of 32 bytes by row number.
pub(crate) fn texts(first: u64, rows: usize, of: impl Fn(u64) -> u64) -> Column {
    let text = |row: u64| {
        let mut text = *b"a text with a number           .";
        text[23..31].copy_from_slice(&of(row).to_be_bytes());
        text.map(|byte| byte & 0x7f)
    };
    Column::flat(Values::View(Views::from_values((first..first + rows as u64).map(text))))
}

/// One of a few texts, by a dictionary of the batch's own.
pub(crate) fn codes(first: u64, rows: usize, distinct: u64) -> Column {
    let values = (0..distinct).map(|value| format!("the value of the code {value}"));
    let dictionary = Arc::new(Dictionary::new(Values::View(Views::from_values(values))));
    let codes = (first..first + rows as u64).map(|row| (mixed(row) % distinct) as u32).collect();
    Column::dictionary(codes, dictionary, None)
}

/// Makes batch number n.
pub(crate) type Make = fn(u64) -> Vec<Column>;

/// Batches that are made when they are asked for.
#[derive(Clone)]
pub(crate) struct Generated {
    make: Make,
    batches: u64,
    next: Arc<AtomicUsize>,
    watch: Arc<Watch>,
}

impl fmt::Debug for Generated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} batches", self.batches)
    }
}

impl Source for Generated {
    fn name(&self) -> &'static str {
        "Generated"
    }
    fn open(&self, _task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        Ok(Box::new(self.clone()))
    }
}

impl SourceState for Generated {
    fn next(&mut self) -> Result<Next> {
        self.watch.look();
        let batch = self.next.fetch_add(1, Relaxed) as u64;
        if batch >= self.batches {
            return Ok(Next::Finished);
        }
        let columns = (self.make)(batch);
        let rows = columns[0].len();
        Ok(Next::Batch(Batch::new(columns, rows)))
    }
}

/// Counts the rows of a result, and forgets them.
#[derive(Debug, Clone)]
struct Forget {
    rows: Arc<AtomicUsize>,
    watch: Arc<Watch>,
}

impl Sink for Forget {
    fn name(&self) -> &'static str {
        "Forget"
    }
    fn open(&self, _task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SinkState>> {
        Ok(Box::new(self.clone()))
    }
}

impl SinkState for Forget {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        self.rows.fetch_add(batch.selected_rows(), Relaxed);
        drop(batch);
        self.watch.look();
        Ok(Flow::NeedInput)
    }
    fn combine(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Looks between batches how far what is allocated is from what is reserved.
#[derive(Debug)]
struct Watch {
    task: TaskContext,
    base: usize,
    /// The most that was allocated and not reserved between two batches.
    excess: AtomicIsize,
    /// … when so much was reserved.
    used: AtomicUsize,
}

impl Watch {
    fn look(&self) {
        let used = self.task.memory.used();
        let live = allocator::live().saturating_sub(self.base);
        let excess = live as isize - (used as f64 * (1.0 + TOLERANCE)) as isize;
        if self.excess.fetch_max(excess, Relaxed) < excess {
            self.used.store(used, Relaxed);
        }
    }
}

/// What a run came to, in bytes.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) rows: usize,
    /// The most allocated at once, and the most reserved.
    pub(crate) allocated: usize,
    pub(crate) reserved: usize,
    /// The most that was allocated beyond what was reserved, between batches.
    excess: isize,
    used: usize,
    pub(crate) spilled: u64,
}

/// A graph under construction.
pub(crate) struct Plan {
    pub(crate) graph: Graph,
    watch: Arc<Watch>,
    rows: Arc<AtomicUsize>,
}

impl Plan {
    /// Rows that are made as they are read.
    pub(crate) fn input(&self, batches: u64, make: Make) -> Arc<dyn Source> {
        Arc::new(Generated { make, batches, next: Arc::default(), watch: self.watch.clone() })
    }

    pub(crate) fn pipeline(
        &mut self,
        source: Arc<dyn Source>,
        operators: Vec<Arc<dyn Operator>>,
        sink: plasmon_core::pipeline::SinkId,
        waits: Vec<Wait>,
    ) -> Wait {
        let pipeline = Pipeline {
            source: Part::new(source, 0),
            operators: operators.into_iter().map(|o| Part::new(o, 0)).collect(),
            sink,
            waits,
        };
        Wait::Pipeline(self.graph.add_pipeline(pipeline))
    }

    /// The sink that forgets the result.
    pub(crate) fn result(&mut self) -> plasmon_core::pipeline::SinkId {
        self.graph.add_sink(Arc::new(Forget { rows: self.rows.clone(), watch: self.watch.clone() }), 0)
    }
}

/// Tests of this binary take turns: the allocator counts what all of them do.
static TURN: Mutex<()> = Mutex::new(());

/// Runs what `build` makes; fails when more was allocated than was reserved.
pub(crate) fn measure(name: &str, memory_bytes: Option<usize>, build: impl FnOnce(&mut Plan)) -> Measured {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(WORKERS).build().expect("threads");
    let config = Config { threads: WORKERS, memory_bytes, ..Config::default() };
    let task = TaskContext::new(config);
    let base = allocator::restart();
    let watch =
        Arc::new(Watch { task: task.clone(), base, excess: AtomicIsize::new(isize::MIN), used: AtomicUsize::new(0) });
    let mut plan = Plan { graph: Graph::default(), watch: watch.clone(), rows: Arc::default() };
    build(&mut plan);
    run_on_pool(&plan.graph, &task, &pool).expect("runs");
    let measured = Measured {
        rows: plan.rows.load(Relaxed),
        allocated: allocator::peak() - base,
        reserved: task.memory.peak(),
        excess: watch.excess.load(Relaxed),
        used: watch.used.load(Relaxed),
        spilled: task.spill.written(),
    };
    drop(plan);
    assert_eq!(task.memory.used(), 0, "{name}: something is reserved at the end");
    println!("{name}: {measured}");
    measured.check(name);
    measured
}

/// A breaker over generated rows.
pub(crate) fn breaker(name: &str, memory: Option<usize>, batches: u64, make: Make, breaker: Breaker) -> Measured {
    measure(name, memory, |plan| {
        let sink = plan.graph.add_sink(breaker.sink, 0);
        let input = plan.input(batches, make);
        plan.pipeline(input, Vec::new(), sink, Vec::new());
        let result = plan.result();
        plan.pipeline(breaker.source, Vec::new(), result, vec![Wait::Sink(sink)]);
    })
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mega = |bytes: usize| bytes as f64 / 1e6;
        write!(
            f,
            "{:8.1} MB allocated, {:8.1} reserved ({:+.1} %); between batches {:+.1} over {:.1}; {:.1} spilled, {} rows",
            mega(self.allocated),
            mega(self.reserved),
            100.0 * (self.allocated as f64 / self.reserved.max(1) as f64 - 1.0),
            self.excess as f64 / 1e6,
            mega(self.used),
            mega(self.spilled as usize),
            self.rows
        )
    }
}

impl Measured {
    fn check(&self, name: &str) {
        let slack = WORKERS * SLACK_BYTES;
        let most = (self.reserved as f64 * (1.0 + TOLERANCE)) as usize + slack;
        assert!(self.allocated <= most, "{name}: {self}");
        assert!(self.excess <= (WORKERS * BETWEEN_BYTES) as isize, "{name}: {self}");
    }
}
