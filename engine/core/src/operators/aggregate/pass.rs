//! Rows that pass a table by: a look-up costs more than it saves when hardly any row meets a group that is there.

use super::accumulator::Accumulator;
use super::input::Input;
use super::share::accumulator_of;
use super::{AggregateExpression, AggregateFunction, AggregatePhase, AggregateSpec, Tables};
use crate::error::Result;

/// Rows of a table must be at least so many tenths of its groups, or those that follow pass: what look-ups cost is less than what a third of the rows costs
/// whoever reads them.
const ROWS_MIN_TENTHS: usize = 13;
/// So many times the rows of a table pass before there is another one.
const PASSED_TABLES: usize = 32;

/// Whether rows pass.
#[derive(Debug)]
pub(super) struct Passing {
    may_pass: bool,
    /// Rows that the table took since it was empty.
    taken: usize,
    /// Rows that still pass …
    left: usize,
    /// … and those that have passed.
    passed: usize,
}

impl Passing {
    pub(super) fn new(spec: &AggregateSpec) -> Self {
        Passing { may_pass: spec.grouping_sets.is_empty() && has_small_states(spec), taken: 0, left: 0, passed: 0 }
    }

    /// Whether the next rows pass.
    pub(super) fn passes(&self) -> bool {
        self.left > 0
    }

    /// Some rows passed.
    pub(super) fn pass(&mut self, rows: usize) {
        self.left = self.left.saturating_sub(rows);
        self.passed += rows;
    }

    /// The table took some rows.
    pub(super) fn take(&mut self, rows: usize) {
        self.taken += rows;
    }

    /// The table is emptied of so many groups.
    pub(super) fn empty(&mut self, groups: usize) {
        if self.may_pass && self.taken * 10 < groups * ROWS_MIN_TENTHS {
            self.left = self.taken * PASSED_TABLES;
        }
        self.taken = 0;
    }

    /// Rows that have passed.
    pub(super) fn passed(&self) -> usize {
        self.passed
    }
}

/// Whether every group has a few numbers or a value in each aggregate, in one row of states. A library's accumulators are made one by one: too dear for every
/// row.
pub(super) fn has_small_states(spec: &AggregateSpec) -> bool {
    spec.aggregates.iter().all(|a| !a.distinct && !matches!(a.function, AggregateFunction::Custom(_)))
}

/// The accumulator of one aggregate, in which each of the rows, numbered by `each`, is a group of its own.
pub(super) fn of_each_row(
    aggregate: &AggregateExpression,
    input: &Input,
    each: &[u32],
    phase: AggregatePhase,
) -> Result<Box<dyn Accumulator>> {
    let mut accumulator = accumulator_of(aggregate, Tables::default())?;
    accumulator.resize(each.len())?;
    accumulator.feed(phase, &input.columns, input.kept.as_deref().unwrap_or(each))?;
    Ok(accumulator)
}
