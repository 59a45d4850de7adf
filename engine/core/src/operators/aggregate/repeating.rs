//! Aggregation ahead of another one: rows become groups as long as that makes them fewer, and a group may come several times.
//!
//! ```text
//! rows ──► table ──full──► its groups, and an empty table
//!     └──► when the last table's groups were hardly fewer than its rows: each row by itself as a group, without a look-up
//! ```
//! What grows: one table that fits the caches, under a reservation; when memory is short it is given on. Output: keys, then results. Order is not kept.
//! After P.-Å. Larson, "Data reduction by partial preaggregation", ICDE 2002.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::input::{Arguments, Rows};
use super::pass::{Passing, of_each_row};
use super::share::Share;
use super::{AggregatePhase, AggregateSpec, ranges};
use crate::batch::{Batch, Column};
use crate::error::{Error, Result};
use crate::metrics::OperatorMetrics;
use crate::pipeline::{Flow, Operator, OperatorState, TaskContext};

/// The operator.
#[derive(Debug)]
pub struct RepeatingAggregate {
    spec: Arc<AggregateSpec>,
}

impl RepeatingAggregate {
    /// For a spec of the phase [`AggregatePhase::Repeating`] with at least one key and without grouping sets.
    pub fn new(spec: AggregateSpec) -> Result<Self> {
        if spec.phase != AggregatePhase::Repeating || spec.group_by.is_empty() || !spec.grouping_sets.is_empty() {
            return Err(Error::internal("groups that repeat are for plain keys"));
        }
        Ok(RepeatingAggregate { spec: Arc::new(spec) })
    }
}

impl Operator for RepeatingAggregate {
    fn name(&self) -> &'static str {
        "RepeatingAggregate"
    }

    fn describe(&self) -> String {
        self.spec.group_by.iter().map(|k| k.to_string()).collect::<Vec<_>>().join(", ")
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn OperatorState>> {
        Ok(Box::new(RepeatingState {
            arguments: Arguments::of(&self.spec),
            share: Share::new(&self.spec, task)?,
            spec: self.spec.clone(),
            passing: Passing::new(&self.spec),
            giving: VecDeque::new(),
            waiting: VecDeque::new(),
            batch_rows: task.config.batch_rows,
            metrics: metrics.clone(),
        }))
    }
}

struct RepeatingState {
    spec: Arc<AggregateSpec>,
    arguments: Arguments,
    share: Share,
    passing: Passing,
    /// Groups of the table that are still to be given before it takes other rows.
    giving: VecDeque<Range<usize>>,
    /// Rows that wait for that.
    waiting: VecDeque<Rows>,
    batch_rows: usize,
    metrics: Arc<OperatorMetrics>,
}

impl OperatorState for RepeatingState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let rows = Rows::of(&self.spec, &self.arguments, &batch, &self.share)?;
        let step = self.share.rows_at_once();
        if step >= rows.count {
            self.waiting.push_back(rows);
        } else {
            self.waiting.extend(ranges(rows.count, step).map(|range| rows.slice(range)));
        }
        self.advance()
    }

    fn resume(&mut self) -> Result<Flow> {
        self.advance()
    }

    fn finish(&mut self) -> Result<Flow> {
        self.metrics.note("mode", self.share.groups.mode());
        if self.passing.passed() > 0 {
            self.metrics.note("rows passed", self.passing.passed().to_string());
        }
        self.give();
        self.advance()
    }
}

impl RepeatingState {
    /// Gives what is to be given, and takes what waits, until there is a batch.
    fn advance(&mut self) -> Result<Flow> {
        loop {
            if let Some(range) = self.giving.pop_front() {
                let rows = range.len();
                let columns = self.share.output(range, self.spec.phase)?;
                if self.giving.is_empty() {
                    self.share.clear(&self.spec)?;
                    self.share.give_back(0);
                }
                return Ok(self.flow(Batch::new(columns, rows)));
            }
            let Some(rows) = self.waiting.pop_front() else { return Ok(Flow::NeedInput) };
            if self.passing.passes() {
                let passed = self.pass(rows)?;
                return Ok(self.flow(passed));
            }
            if self.take(&rows)? {
                continue;
            }
            // There is no memory for them beside the groups, or none at all.
            if self.share.is_fresh() {
                let passed = self.pass(rows)?;
                return Ok(self.flow(passed));
            }
            self.waiting.push_front(rows);
            self.give();
        }
    }

    fn flow(&self, batch: Batch) -> Flow {
        if self.giving.is_empty() && self.waiting.is_empty() { Flow::Output(batch) } else { Flow::More(batch) }
    }

    /// Takes rows into the table; `false` = there is no memory for them.
    fn take(&mut self, rows: &Rows) -> Result<bool> {
        let inputs = rows.inputs.iter().map(|input| &input.columns[..]);
        let more = self.share.growth(&rows.keys, inputs, rows.count, 1);
        if !self.share.reservation.try_resize(self.share.footprint() + more)? {
            return Ok(false);
        }
        self.metrics.reserved(self.share.reservation.held());
        self.share.absorb(&rows.keys, &rows.inputs, rows.count, self.spec.phase)?;
        self.passing.take(rows.count);
        if self.share.is_full() {
            self.give();
        }
        Ok(true)
    }

    /// All groups of the table are to be given now.
    fn give(&mut self) {
        let groups = self.share.groups.len();
        self.passing.empty(groups);
        self.giving = ranges(groups, self.batch_rows).collect();
    }

    /// Rows as groups of their own.
    fn pass(&mut self, rows: Rows) -> Result<Batch> {
        self.passing.pass(rows.count);
        let each: Vec<u32> = (0..rows.count as u32).collect();
        let mut columns: Vec<Column> = rows.keys;
        for (aggregate, input) in self.spec.aggregates.iter().zip(&rows.inputs) {
            columns.push(of_each_row(aggregate, input, &each, self.spec.phase)?.finish(0..rows.count)?);
        }
        Ok(Batch::new(columns, rows.count))
    }
}
