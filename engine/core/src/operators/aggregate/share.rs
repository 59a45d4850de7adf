//! One worker's table, or one partition's: groups with their accumulators.
//!
//! A worker's table stays small enough for the caches unless a larger one would find groups again: the rows looked up so far and those among
//! them that met a known group tell (as in the birthday problem) how many distinct keys there are about. Rows that repeat the key of the row
//! before them do not count: they are cheap whatever the table.

use std::ops::Range;

use arrow_schema::DataType;
use plasmon_kernels::group::count_changes;

use super::accumulator::{Accumulator, accumulator};
use super::groups::Groups;
use super::run::Piece;
use super::{AggregateExpression, AggregatePhase, AggregateSpec};
use crate::batch::Column;
use crate::error::Result;
use crate::memory::Reservation;
use crate::pipeline::TaskContext;

/// Groups of a worker's table that are always kept.
pub(super) const LOCAL_GROUPS: usize = 1 << 15;
/// Most distinct keys for which a worker's table grows.
const LOCAL_GROUPS_MAX: usize = 1 << 21;

pub(super) struct Share {
    pub(super) groups: Groups,
    pub(super) accumulators: Vec<Box<dyn Accumulator>>,
    pub(super) reservation: Reservation,
    collide: bool,
    /// Groups from which on the table is looked at again.
    limit: usize,
    /// Rows whose key differs from the row's before, since the table was empty.
    looked_up: usize,
}

/// What one aggregate reads of a batch.
pub(super) struct Input {
    pub(super) columns: Vec<Column>,
    /// Rows that its FILTER keeps; `None` = all.
    pub(super) kept: Option<Vec<u32>>,
}

/// Types of the key columns, the grouping id last.
pub(super) fn key_types(spec: &AggregateSpec) -> Vec<DataType> {
    let keys = spec.group_by.iter().map(|k| k.data_type.clone());
    keys.chain(spec.grouping_id.clone()).collect()
}

fn accumulators(spec: &AggregateSpec, collide: bool) -> Result<Vec<Box<dyn Accumulator>>> {
    spec.aggregates.iter().map(|a| accumulator_of(a, collide)).collect()
}

/// The accumulator of an aggregate; `collide` is the test knob.
pub(super) fn accumulator_of(aggregate: &AggregateExpression, collide: bool) -> Result<Box<dyn Accumulator>> {
    // Order keys of first and last follow the arguments.
    let order = aggregate.order_by.iter().map(|k| &k.expression);
    let types: Vec<DataType> = aggregate.arguments.iter().chain(order).map(|e| e.data_type.clone()).collect();
    accumulator(aggregate, &types, collide)
}

impl Share {
    pub(super) fn new(spec: &AggregateSpec, task: &TaskContext) -> Result<Self> {
        let collide = task.config.hash_collisions;
        Ok(Share {
            groups: Groups::new(&key_types(spec), collide)?,
            accumulators: accumulators(spec, collide)?,
            reservation: task.memory.reservation("Aggregate"),
            collide,
            limit: LOCAL_GROUPS,
            looked_up: 0,
        })
    }

    /// Forgets all groups; what is worth keeping of the tables stays.
    pub(super) fn clear(&mut self, spec: &AggregateSpec) -> Result<()> {
        self.groups.clear(LOCAL_GROUPS);
        self.accumulators = accumulators(spec, self.collide)?;
        (self.looked_up, self.limit) = (0, LOCAL_GROUPS);
        Ok(())
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.groups.memory_bytes() + self.accumulators.iter().map(|a| a.memory_bytes()).sum::<usize>()
    }

    /// Makes every accumulator cover all groups.
    pub(super) fn resize(&mut self) -> Result<()> {
        let groups = self.groups.len();
        self.accumulators.iter_mut().try_for_each(|a| a.resize(groups))
    }

    /// Takes `rows` rows of keys and what the aggregates read.
    pub(super) fn absorb(
        &mut self,
        keys: &[Column],
        inputs: &[Input],
        rows: usize,
        phase: AggregatePhase,
    ) -> Result<()> {
        let mut groups = Vec::with_capacity(rows);
        self.groups.find_or_insert(keys, rows, &mut groups)?;
        self.looked_up += count_changes(&groups);
        self.resize()?;
        for (accumulator, input) in self.accumulators.iter_mut().zip(inputs) {
            let kept: Option<Vec<u32>> =
                input.kept.as_ref().map(|kept| kept.iter().map(|&row| groups[row as usize]).collect());
            let groups = kept.as_deref().unwrap_or(&groups);
            match phase {
                AggregatePhase::Single | AggregatePhase::Partial => accumulator.update(&input.columns, groups)?,
                AggregatePhase::PartialMerge | AggregatePhase::Final => accumulator.merge(&input.columns, groups)?,
            }
        }
        Ok(())
    }

    /// Whether the table should be emptied now; when a larger table is worth it, lets it grow instead.
    pub(super) fn is_full(&mut self) -> bool {
        let groups = self.groups.len();
        if groups < self.limit {
            return false;
        }
        let met_again = self.looked_up.saturating_sub(groups) as f64;
        let looked_up = self.looked_up as f64;
        // Of n draws among d keys about n² / 2d meet a key drawn before.
        let is_worth_it = looked_up * looked_up < 2.0 * met_again * LOCAL_GROUPS_MAX as f64;
        if is_worth_it && groups < LOCAL_GROUPS_MAX {
            self.limit = groups * 2;
            return false;
        }
        true
    }

    /// Takes groups of another table.
    pub(super) fn merge(&mut self, piece: &Piece) -> Result<()> {
        self.reservation.resize(self.memory_bytes() + piece.groups * 64)?;
        let mut groups = Vec::with_capacity(piece.groups);
        self.groups.find_or_insert(piece.keys(), piece.groups, &mut groups)?;
        self.resize()?;
        for (index, accumulator) in self.accumulators.iter_mut().enumerate() {
            match piece.states(index) {
                (states, None) => accumulator.merge(states, &groups)?,
                (states, Some(owners)) => {
                    let groups: Vec<u32> = owners.iter().map(|&owner| groups[owner as usize]).collect();
                    accumulator.merge(states, &groups)?;
                }
            }
        }
        self.reservation.resize(self.memory_bytes())
    }

    /// Output columns of some groups.
    pub(super) fn output(&mut self, range: Range<usize>, phase: AggregatePhase) -> Result<Vec<Column>> {
        let mut columns = self.groups.keys(range.clone())?;
        for accumulator in &mut self.accumulators {
            if matches!(phase, AggregatePhase::Partial | AggregatePhase::PartialMerge) {
                columns.extend(accumulator.state(&range.clone().map(|g| g as u32).collect::<Vec<_>>())?);
            } else {
                columns.push(accumulator.finish(range.clone())?);
            }
        }
        Ok(columns)
    }
}
