//! Recursive query: rounds of a step over the previous round's rows, until a round gives none.
//!
//! ```text
//! initial rows ──► give them, keep them as work table ──► run the step's graph over the work table ──► its rows are the next round …
//!                   ╰─UNION: only rows that were not given before (seen.rs)
//! ```
//! What grows: one round's rows, which a [`Materialize`] holds in memory or on disk, and, for `UNION` (not ALL), the set of rows given, of which most may be
//! on disk.

mod runs;
mod seen;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use arrow_schema::DataType;

use super::materialize::Materialize;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::metrics::OperatorMetrics;
use crate::pipeline::{Graph, InlineDriver, Next, Sink, SinkState, Source, SourceState, TaskContext};
use seen::SeenRows;

/// Makes the graph of one round from the previous round's rows, which are complete, and the sink in which it leaves its rows.
pub type StepGraph = Arc<dyn Fn(Arc<Materialize>) -> Result<(Graph, Arc<Materialize>)> + Send + Sync>;

/// The source that runs the rounds; its pipeline waits for the sink of `initial`.
pub struct Recursive {
    pub initial: Arc<Materialize>,
    pub step: StepGraph,
    /// `UNION` rather than `UNION ALL`.
    pub distinct: bool,
    /// Column types.
    pub types: Vec<DataType>,
}

impl fmt::Debug for Recursive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recursive").field("distinct", &self.distinct).finish_non_exhaustive()
    }
}

impl Source for Recursive {
    fn name(&self) -> &'static str {
        "Recursive"
    }

    fn max_workers(&self) -> usize {
        1
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        let seen = if self.distinct { Some(SeenRows::new(&self.types, task, metrics)?) } else { None };
        let mut state = RecursiveState {
            round: Round::default(),
            ready: VecDeque::new(),
            seen,
            step: self.step.clone(),
            task: task.clone(),
            metrics: metrics.clone(),
        };
        state.start(self.initial.take(task)?)?;
        Ok(Box::new(state))
    }
}

struct RecursiveState {
    round: Round,
    ready: VecDeque<Batch>,
    seen: Option<SeenRows>,
    step: StepGraph,
    task: TaskContext,
    metrics: Arc<OperatorMetrics>,
}

/// The round that is given.
#[derive(Default)]
struct Round {
    /// The reader of the rows that arrived; `None` once all are read.
    arrived: Option<Box<dyn SourceState>>,
    /// The rows that the next step reads …
    table: Arc<Materialize>,
    /// … while only some of those that arrived go there: its sink.
    fresh: Option<Box<dyn SinkState>>,
    /// How many they are.
    rows: usize,
}

impl RecursiveState {
    /// Starts a round with the rows that arrived.
    fn start(&mut self, arrived: Arc<Materialize>) -> Result<()> {
        let reader = arrived.reader().open(&self.task, &self.metrics)?;
        self.round = Round { arrived: Some(reader), table: arrived, fresh: None, rows: 0 };
        if self.seen.is_some() {
            self.round.table = Arc::default();
            self.round.fresh = Some(self.round.table.open(&self.task, &self.metrics)?);
        }
        Ok(())
    }

    /// Reads the next batch of the round.
    fn read(&mut self) -> Result<()> {
        self.task.cancel.check()?;
        let Some(arrived) = &mut self.round.arrived else { return Ok(()) };
        let fresh = match (arrived.next()?, &mut self.seen) {
            (Next::Blocked, _) => return Err(Error::internal("materialized rows never block")),
            (Next::Batch(batch), Some(seen)) => seen.take(batch)?,
            (Next::Batch(batch), None) => vec![batch],
            (Next::Finished, seen) => {
                self.round.arrived = None;
                seen.as_mut().map(SeenRows::settle).transpose()?.unwrap_or_default()
            }
        };
        for batch in fresh.into_iter().filter(|batch| batch.selected_rows() > 0) {
            self.round.rows += batch.selected_rows();
            if let Some(table) = &mut self.round.fresh {
                table.push(batch.clone())?;
            }
            self.ready.push_back(batch);
        }
        Ok(())
    }

    /// Runs the step over the rows of the round.
    fn step(&mut self) -> Result<()> {
        let Round { table, fresh, .. } = std::mem::take(&mut self.round);
        if let Some(mut fresh) = fresh {
            fresh.combine()?;
            table.seal(&self.task)?;
        }
        let (graph, rows) = (self.step)(table)?;
        InlineDriver::new(Arc::new(graph), self.task.clone()).run()?;
        self.metrics.add("rounds", 1);
        self.start(rows)
    }
}

impl SourceState for RecursiveState {
    fn next(&mut self) -> Result<Next> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Next::Batch(batch));
            }
            if self.round.arrived.is_some() {
                self.read()?;
            } else if self.round.rows > 0 {
                self.step()?;
            } else {
                return Ok(Next::Finished);
            }
        }
    }
}
