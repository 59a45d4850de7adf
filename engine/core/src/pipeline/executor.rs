//! One worker's run through one pipeline, resumable between any two batches. Both drivers stand on it.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::graph::{OperatorState, Pipeline, SinkState, SourceState, TaskContext};
use super::{Flow, Next};
use crate::batch::Batch;
use crate::error::Result;
use crate::metrics::OperatorMetrics;
use std::sync::Arc;

/// What one call of [`PipelineExecutor::advance`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A batch moved; call again.
    Moved,
    /// The source has nothing yet; call again later.
    Blocked,
    /// This worker is done and has combined into the sink.
    Done,
}

enum Phase {
    Running,
    /// Operators before this index are finished.
    Finishing(usize),
    Done,
}

/// One worker's source share, operator states and sink state.
pub struct PipelineExecutor {
    source: Box<dyn SourceState>,
    operators: Vec<(Box<dyn OperatorState>, Arc<OperatorMetrics>)>,
    sink: Box<dyn SinkState>,
    source_metrics: Arc<OperatorMetrics>,
    sink_metrics: Arc<OperatorMetrics>,
    /// Operators that answered `More`, the furthest downstream on top.
    pending: Vec<usize>,
    phase: Phase,
    sampling: Sampling,
    task: TaskContext,
}

impl PipelineExecutor {
    /// Opens every part for one worker.
    pub fn open(pipeline: &Pipeline, sink: &super::Part<dyn super::Sink>, task: &TaskContext) -> Result<Self> {
        let operators = pipeline
            .operators
            .iter()
            .map(|o| Ok((o.part.open(task, &o.metrics)?, o.metrics.clone())))
            .collect::<Result<Vec<_>>>()?;
        Ok(PipelineExecutor {
            source: pipeline.source.part.open(task, &pipeline.source.metrics)?,
            operators,
            sink: sink.part.open(task, &sink.metrics)?,
            source_metrics: pipeline.source.metrics.clone(),
            sink_metrics: sink.metrics.clone(),
            pending: Vec::new(),
            phase: Phase::Running,
            sampling: Sampling::default(),
            task: task.clone(),
        })
    }

    /// Moves one batch one chain of operators down, or finishes one operator.
    pub fn advance(&mut self) -> Result<Progress> {
        self.task.cancel.check()?;
        if let Some(index) = self.pending.pop() {
            let (operator, metrics) = &mut self.operators[index];
            let flow = timed(metrics, || operator.resume())?;
            self.route(index, flow)?;
            return Ok(Progress::Moved);
        }
        match self.phase {
            Phase::Running => self.draw(),
            Phase::Finishing(index) if index < self.operators.len() => {
                self.phase = Phase::Finishing(index + 1);
                let (operator, metrics) = &mut self.operators[index];
                let flow = timed(metrics, || operator.finish())?;
                self.route(index, flow)?;
                Ok(Progress::Moved)
            }
            Phase::Finishing(_) => {
                timed(&self.sink_metrics, || self.sink.combine())?;
                self.phase = Phase::Done;
                Ok(Progress::Done)
            }
            Phase::Done => Ok(Progress::Done),
        }
    }

    fn draw(&mut self) -> Result<Progress> {
        let mut watch = self.sampling.next();
        let next = self.source.next();
        watch.lap(&self.source_metrics);
        match next? {
            Next::Batch(batch) => {
                self.sampling.saw(batch.selected_rows());
                self.source_metrics.rows_out.fetch_add(batch.selected_rows() as u64, Relaxed);
                self.source_metrics.batches_out.fetch_add(1, Relaxed);
                self.push(0, batch, watch)?;
                Ok(Progress::Moved)
            }
            Next::Blocked => Ok(Progress::Blocked),
            Next::Finished => {
                self.phase = Phase::Finishing(0);
                Ok(Progress::Moved)
            }
        }
    }

    /// Gives `batch` to operator `index`, and what comes out to the ones after it.
    fn push(&mut self, mut index: usize, mut batch: Batch, mut watch: Stopwatch) -> Result<()> {
        loop {
            if batch.selected_rows() == 0 {
                return Ok(());
            }
            let rows = batch.selected_rows() as u64;
            if index == self.operators.len() {
                count_in(&self.sink_metrics, rows);
                let flow = self.sink.push(batch);
                watch.lap(&self.sink_metrics);
                if let Flow::Finished = flow? {
                    self.stop_before(index);
                }
                return Ok(());
            }
            let (operator, metrics) = &mut self.operators[index];
            count_in(metrics, rows);
            let flow = operator.push(batch);
            watch.lap(metrics);
            match flow? {
                Flow::NeedInput => return Ok(()),
                Flow::Finished => {
                    self.stop_before(index);
                    return Ok(());
                }
                Flow::Output(output) => batch = output,
                Flow::More(output) => {
                    self.pending.push(index);
                    batch = output;
                }
            }
            count_out(&self.operators[index].1, &batch);
            index += 1;
        }
    }

    fn route(&mut self, index: usize, flow: Flow) -> Result<()> {
        match flow {
            Flow::NeedInput => Ok(()),
            Flow::Finished => {
                self.stop_before(index);
                Ok(())
            }
            Flow::Output(batch) => {
                count_out(&self.operators[index].1, &batch);
                self.push(index + 1, batch, Stopwatch::start())
            }
            Flow::More(batch) => {
                self.pending.push(index);
                count_out(&self.operators[index].1, &batch);
                self.push(index + 1, batch, Stopwatch::start())
            }
        }
    }

    /// Operator (or sink) `index` wants no more input: nothing at or before it runs again.
    fn stop_before(&mut self, index: usize) {
        self.pending.retain(|&p| p > index);
        let finished = match self.phase {
            Phase::Running => 0,
            Phase::Finishing(done) => done,
            Phase::Done => return,
        };
        self.phase = Phase::Finishing(finished.max(index + 1).min(self.operators.len()));
    }
}

fn count_in(metrics: &OperatorMetrics, rows: u64) {
    metrics.rows_in.fetch_add(rows, Relaxed);
    metrics.batches_in.fetch_add(1, Relaxed);
}

fn count_out(metrics: &OperatorMetrics, batch: &Batch) {
    metrics.rows_out.fetch_add(batch.selected_rows() as u64, Relaxed);
    metrics.batches_out.fetch_add(1, Relaxed);
}

/// Time along a chain of operators: the end of one is the start of the next, so that the clock is read once for each.
#[derive(Clone, Copy)]
struct Stopwatch {
    /// `None` = this chain is not measured; others stand for it.
    last: Option<Instant>,
    /// Chains that a measured one stands for, itself included.
    weight: u64,
}

impl Stopwatch {
    fn start() -> Self {
        Stopwatch { last: Some(Instant::now()), weight: 1 }
    }

    /// What passed since the last lap is `metrics`'.
    fn lap(&mut self, metrics: &OperatorMetrics) {
        let Some(last) = self.last else { return };
        let now = Instant::now();
        metrics.nanos.fetch_add((now - last).as_nanos() as u64 * self.weight, Relaxed);
        self.last = Some(now);
    }
}

/// Rows up to which a batch is cheaper than the clocks that measure it.
const TINY_ROWS: usize = 32;
/// Of chains that begin with tiny batches, every how many-th is measured, for all of them.
const TINY_MEASURED: u64 = 8;

/// Decides which chains are measured: all, but of tiny batches in a row only some.
#[derive(Default)]
struct Sampling {
    /// Tiny batches since the last other one.
    tiny: u64,
}

impl Sampling {
    fn next(&self) -> Stopwatch {
        match self.tiny {
            0 => Stopwatch::start(),
            n if n.is_multiple_of(TINY_MEASURED) => Stopwatch { weight: TINY_MEASURED, ..Stopwatch::start() },
            _ => Stopwatch { last: None, weight: 0 },
        }
    }

    fn saw(&mut self, rows: usize) {
        self.tiny = if rows <= TINY_ROWS { self.tiny + 1 } else { 0 };
    }
}

fn timed<T>(metrics: &OperatorMetrics, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    metrics.nanos.fetch_add(start.elapsed().as_nanos() as u64, Relaxed);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the watches of `draws` batches of `rows` rows stand for, and how many of them read the clock.
    fn measured(sampling: &mut Sampling, draws: usize, rows: usize) -> (u64, usize) {
        let watches: Vec<Stopwatch> = std::iter::repeat_with(|| {
            let watch = sampling.next();
            sampling.saw(rows);
            watch
        })
        .take(draws)
        .collect();
        let read = || watches.iter().filter(|w| w.last.is_some());
        (read().map(|w| w.weight).sum(), read().count())
    }

    #[test]
    fn tiny_batches_are_measured_by_samples() {
        let mut sampling = Sampling::default();
        assert_eq!(measured(&mut sampling, 100, TINY_ROWS + 1), (100, 100));
        // The first follows a large one; the last few wait for the next sample.
        let (stands_for, reads) = measured(&mut sampling, 801, 1);
        assert_eq!((stands_for, reads), (801, 101));
        measured(&mut sampling, 1, TINY_ROWS + 1);
        assert_eq!(measured(&mut sampling, 10, TINY_ROWS + 1), (10, 10));
    }
}
