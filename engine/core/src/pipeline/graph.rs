//! A query cut at its breakers: pipelines, what each waits for, and the traits of their parts.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::{CancelToken, Flow, Next};
use crate::batch::Batch;
use crate::config::{Config, Fault};
use crate::error::Result;
use crate::memory::MemoryBudget;
use crate::metrics::OperatorMetrics;
use crate::spill::SpillArea;

/// What a query gives to all its parts.
#[derive(Debug, Clone)]
pub struct TaskContext {
    pub config: Arc<Config>,
    pub memory: Arc<MemoryBudget>,
    /// Where state goes that does not fit the memory.
    pub spill: Arc<SpillArea>,
    pub cancel: CancelToken,
}

impl TaskContext {
    /// A context with a fresh budget from `config`.
    pub fn new(config: Config) -> Self {
        Self::with_cancel(config, CancelToken::default())
    }

    /// As [`TaskContext::new`], stopped by `cancel`.
    pub fn with_cancel(config: Config, cancel: CancelToken) -> Self {
        let memory = MemoryBudget::new(config.memory_bytes);
        Self::with_memory(config, cancel, memory)
    }

    /// As [`TaskContext::with_cancel`], within a budget of the caller's.
    pub fn with_memory(config: Config, cancel: CancelToken, memory: Arc<MemoryBudget>) -> Self {
        let cancel = match config.fault {
            Some(Fault::RefuseMemory(growth)) => {
                memory.refuse_at(growth);
                cancel
            }
            Some(Fault::SpillEvery(growths)) => {
                memory.spill_at_every(growths);
                cancel
            }
            Some(Fault::Cancel(checks)) => cancel.at_check(checks),
            Some(Fault::SpillIo(_) | Fault::SpillFull(_) | Fault::SpillFlip(_)) | None => cancel,
        };
        TaskContext { spill: SpillArea::new(&config), config: Arc::new(config), memory, cancel }
    }
}

/// Where a pipeline's batches come from. Shared by its workers: shared state sits here behind atomics, a worker's own in its state.
pub trait Source: Send + Sync + Debug {
    /// Operator name for EXPLAIN, e.g. `ParquetScan`.
    fn name(&self) -> &'static str;
    /// What it does, for EXPLAIN.
    fn describe(&self) -> String {
        String::new()
    }
    /// How many workers it can feed; 1 when the order of batches matters. Asked when the pipeline starts.
    fn max_workers(&self) -> usize {
        usize::MAX
    }
    /// One worker's view.
    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>>;
}

/// One worker's share of a source.
pub trait SourceState: Send {
    /// The next batch of this worker's share.
    fn next(&mut self) -> Result<Next>;
}

/// What transforms batches inside a pipeline.
pub trait Operator: Send + Sync + Debug {
    /// Operator name for EXPLAIN, e.g. `Filter`.
    fn name(&self) -> &'static str;
    /// What it does, for EXPLAIN.
    fn describe(&self) -> String {
        String::new()
    }
    /// One worker's state. Called when the pipeline starts: everything that the pipeline waited for is finished.
    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn OperatorState>>;
}

/// One worker's state of an operator.
pub trait OperatorState: Send {
    /// Takes one batch (at least one selected row).
    fn push(&mut self, batch: Batch) -> Result<Flow>;
    /// Continues after [`Flow::More`].
    fn resume(&mut self) -> Result<Flow> {
        Ok(Flow::NeedInput)
    }
    /// This worker's input is over: emit what is held back. Called once; `More` leads to `resume` as usual.
    fn finish(&mut self) -> Result<Flow> {
        Ok(Flow::NeedInput)
    }
}

/// Work that ends a sink, to be run by any worker.
pub type FinalizeTask = Box<dyn FnOnce(&TaskContext) -> Result<()> + Send>;

/// What ends a pipeline: collects, builds, writes. Several pipelines may feed one sink.
pub trait Sink: Send + Sync + Debug {
    /// Operator name for EXPLAIN, e.g. `HashJoinBuild`.
    fn name(&self) -> &'static str;
    /// What it does, for EXPLAIN.
    fn describe(&self) -> String {
        String::new()
    }
    /// One worker's local state.
    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SinkState>>;
    /// All workers of all feeding pipelines have combined: work that can be done in parallel. Asked for stage 0, 1, … after the tasks of the stage before are
    /// done, until a stage has none.
    fn finalize(&self, _stage: usize, _task: &TaskContext) -> Result<Vec<FinalizeTask>> {
        Ok(Vec::new())
    }
    /// All stages are done: publish the result. After this, waiting pipelines start.
    fn seal(&self, _task: &TaskContext) -> Result<()> {
        Ok(())
    }
}

/// One worker's state of a sink.
pub trait SinkState: Send {
    /// Takes one batch; answers `NeedInput` or `Finished`, nothing else.
    fn push(&mut self, batch: Batch) -> Result<Flow>;
    /// This worker's input is over: merge local state into the sink.
    fn combine(&mut self) -> Result<()>;
}

/// Index of a sink in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SinkId(pub usize);
/// Index of a pipeline in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PipelineId(pub usize);

/// What must be over before a pipeline starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wait {
    /// The sink is sealed (a hash table is built, a sort is done).
    Sink(SinkId),
    /// The pipeline has run (probe before unmatched rows).
    Pipeline(PipelineId),
}

/// A part of a pipeline with its counters; `plan_node` is the plan node it came from, for EXPLAIN ANALYZE.
#[derive(Debug)]
pub struct Part<P: ?Sized> {
    pub part: Arc<P>,
    pub metrics: Arc<OperatorMetrics>,
    pub plan_node: usize,
}

impl<P: ?Sized> Clone for Part<P> {
    fn clone(&self) -> Self {
        Part { part: self.part.clone(), metrics: self.metrics.clone(), plan_node: self.plan_node }
    }
}

/// Source → operators → sink.
#[derive(Debug)]
pub struct Pipeline {
    pub source: Part<dyn Source>,
    pub operators: Vec<Part<dyn Operator>>,
    pub sink: SinkId,
    pub waits: Vec<Wait>,
}

/// A query's pipelines and sinks. The waits form no cycle.
#[derive(Debug, Default)]
pub struct Graph {
    pub pipelines: Vec<Pipeline>,
    pub sinks: Vec<Part<dyn Sink>>,
}

impl Graph {
    /// Adds a sink.
    pub fn add_sink(&mut self, sink: Arc<dyn Sink>, plan_node: usize) -> SinkId {
        self.sinks.push(Part { part: sink, metrics: OperatorMetrics::new(), plan_node });
        SinkId(self.sinks.len() - 1)
    }

    /// Adds a pipeline.
    pub fn add_pipeline(&mut self, pipeline: Pipeline) -> PipelineId {
        self.pipelines.push(pipeline);
        PipelineId(self.pipelines.len() - 1)
    }

    /// Batches that moved from any part to the next one so far.
    pub fn moved(&self) -> u64 {
        let taken = |metrics: &OperatorMetrics| metrics.batches_in.load(Relaxed);
        let inside = self.pipelines.iter().map(|pipeline| {
            let given = pipeline.source.metrics.batches_out.load(Relaxed);
            given + pipeline.operators.iter().map(|operator| taken(&operator.metrics)).sum::<u64>()
        });
        inside.chain(self.sinks.iter().map(|sink| taken(&sink.metrics))).sum()
    }
}

impl<P: ?Sized> Part<P> {
    /// A part with fresh counters.
    pub fn new(part: Arc<P>, plan_node: usize) -> Self {
        Part { part, metrics: OperatorMetrics::new(), plan_node }
    }
}
