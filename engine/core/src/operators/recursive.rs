//! Recursive query: rounds of a step over the previous round's rows, until a round gives none.
//!
//! ```text
//! initial rows ──► give them, keep them as work table ──► run the step's graph over the work table ──► its rows are the next round …
//! ```
//! `UNION` (not ALL) gives each distinct row once: rows already given are dropped before they become the next round. What grows: one
//! round's rows, whose tokens come with them from the sink that collected them, and, for `UNION`, the set of rows given. A round may be on disk while it
//! is collected; its step reads it from memory.

use std::collections::HashSet;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType;

use super::materialize::Materialize;
use crate::batch::{Batch, Selection, arrow::export_column};
use crate::error::{Error, Result};
use crate::memory::Reservation;
use crate::metrics::OperatorMetrics;
use crate::pipeline::{Graph, InlineDriver, Next, Source, SourceState, TaskContext};

/// Makes the graph of one round from the previous round's rows, and the sink in which it leaves its rows.
pub type StepGraph = Arc<dyn Fn(Vec<Batch>) -> Result<(Graph, Arc<Materialize>)> + Send + Sync>;

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
        let seen = if self.distinct { Some(SeenRows::new(&self.types, task)?) } else { None };
        let (arrived, tokens) = self.initial.take(task)?;
        Ok(Box::new(RecursiveState {
            arrived,
            tokens,
            round: Vec::new(),
            ready: VecDeque::new(),
            seen,
            step: self.step.clone(),
            task: task.clone(),
            metrics: metrics.clone(),
        }))
    }
}

struct RecursiveState {
    /// Rows of the round that just ended, not yet de-duplicated.
    arrived: Vec<Batch>,
    /// Tokens for the rows of one round: those that arrived, then those of the work table.
    tokens: Vec<Reservation>,
    /// The work table of the next round.
    round: Vec<Batch>,
    ready: VecDeque<Batch>,
    seen: Option<SeenRows>,
    step: StepGraph,
    task: TaskContext,
    metrics: Arc<OperatorMetrics>,
}

impl SourceState for RecursiveState {
    fn next(&mut self) -> Result<Next> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Next::Batch(batch));
            }
            let arrived = std::mem::take(&mut self.arrived);
            if arrived.is_empty() && self.round.is_empty() {
                return Ok(Next::Finished);
            }
            if arrived.is_empty() {
                let (graph, rows) = (self.step)(std::mem::take(&mut self.round))?;
                InlineDriver::new(Arc::new(graph), self.task.clone()).run()?;
                self.metrics.add("rounds", 1);
                (self.arrived, self.tokens) = rows.take(&self.task)?;
                if self.arrived.is_empty() {
                    return Ok(Next::Finished);
                }
                continue;
            }
            for batch in arrived {
                let batch = match &mut self.seen {
                    Some(seen) => seen.drop_seen(batch)?,
                    None => batch,
                };
                if batch.selected_rows() > 0 {
                    self.ready.push_back(batch.clone());
                    self.round.push(batch);
                }
            }
        }
    }
}

/// Rows given so far, by their order-preserving encoding (in which equal rows are equal bytes).
struct SeenRows {
    types: Vec<DataType>,
    converter: RowConverter,
    rows: HashSet<Box<[u8]>>,
    reservation: Reservation,
}

impl SeenRows {
    fn new(types: &[DataType], task: &TaskContext) -> Result<Self> {
        let converter = RowConverter::new(types.iter().cloned().map(SortField::new).collect())
            .map_err(|e| Error::unsupported(format!("UNION in a recursive query: {e}")))?;
        Ok(SeenRows {
            types: types.to_vec(),
            converter,
            rows: HashSet::new(),
            reservation: task.memory.reservation("Recursive"),
        })
    }

    fn drop_seen(&mut self, batch: Batch) -> Result<Batch> {
        let batch = batch.compact();
        let arrays =
            batch.columns().iter().zip(&self.types).map(|(c, t)| export_column(c, t)).collect::<Result<Vec<_>>>()?;
        let encoded = self.converter.convert_columns(&arrays)?;
        let bytes = encoded.size();
        self.reservation.grow(bytes)?;
        let fresh: Vec<u16> = (0..batch.rows())
            .filter(|&row| self.rows.insert(encoded.row(row).as_ref().into()))
            .map(|row| row as u16)
            .collect();
        // Rows that were there before are not kept again.
        self.reservation.shrink(bytes - bytes * fresh.len() / batch.rows().max(1));
        Ok(batch.with_selection(Selection::new(fresh)))
    }
}
