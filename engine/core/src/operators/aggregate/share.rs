//! One worker's table, or one partition's: groups with their accumulators.
//!
//! A worker's table stays small enough for the caches unless a larger one would find groups again: the rows looked up so far and those among
//! them that met a known group tell (as in the birthday problem) how many distinct keys there are about. Rows that repeat the key of the row
//! before them do not count: they are cheap whatever the table.
//!
//! Distinct members that are too many for one table are put apart: into partitions of their own, by hash of group and arguments, each made distinct
//! and fed to the aggregate when everything is merged (`put_members_apart`, `settle_members`).

use std::ops::Range;
use std::sync::atomic::AtomicUsize;

use arrow_buffer::ScalarBuffer;
use arrow_schema::DataType;
use plasmon_kernels::group::count_changes;

use super::accumulator::{Accumulator, accumulator};
use super::distinct::group_ids;
use super::groups::{Groups, Tables};
use super::input::Input;
use super::merge::{Partitions, Place};
use super::run::{Piece, Run};
use super::{AggregateExpression, AggregatePhase, AggregateSpec, ranges};
use crate::batch::{Column, Values};
use crate::error::{Error, Result};
use crate::memory::Reservation;
use crate::pipeline::TaskContext;

/// Groups of a worker's table that are always kept.
pub(super) const LOCAL_GROUPS: usize = 1 << 15;
/// Most distinct keys for which a worker's table grows.
const LOCAL_GROUPS_MAX: usize = 1 << 18;
/// What the state of one group takes in an accumulator, at most, without values of any length.
const STATE_BYTES: usize = 64;
/// Where consumers may hold less than this for sure, tables begin small.
const SMALL_FLOOR: usize = 256 << 10;
/// Distinct members that are moved at once.
const MEMBERS: usize = 1 << 13;
/// Members that are looked at to find whether some group has one in `SKEW` of them: as many as half a partition when there are most.
const SKEW_SAMPLE: usize = 1 << 16;
const SKEW: usize = 128;

pub(super) struct Share {
    pub(super) groups: Groups,
    pub(super) accumulators: Vec<Box<dyn Accumulator>>,
    pub(super) reservation: Reservation,
    tables: Tables,
    /// Groups from which on the table is looked at again.
    limit: usize,
    /// Rows whose key differs from the row's before, since the table was empty.
    looked_up: usize,
    /// Where the members of each distinct aggregate are, once they are put apart.
    apart: Vec<Option<Partitions>>,
}

/// Groups that were dealt, with their keys and whatever they have, beside members of theirs: they need not come by themselves.
pub(super) struct Met {
    groups: Vec<bool>,
    /// Whether groups have more than members.
    has_states: bool,
}

impl Met {
    /// None of them yet.
    pub(super) fn none(share: &mut Share) -> Self {
        let distinct = share.accumulators.iter_mut().filter_map(|accumulator| accumulator.as_distinct()).count();
        let groups = vec![false; if distinct > 0 { share.groups.len() } else { 0 }];
        Met { groups, has_states: distinct < share.accumulators.len() }
    }

    /// Adds groups of members; those of them that are new.
    pub(super) fn add(&mut self, groups: &[u32]) -> Vec<u32> {
        let new = |&group: &u32| !std::mem::replace(&mut self.groups[group as usize], true);
        groups.iter().copied().filter(new).collect()
    }

    /// Adds groups of members that are dealt apart, with nothing else.
    pub(super) fn add_apart(&mut self, groups: &[u32]) {
        if !self.has_states {
            groups.iter().for_each(|&group| self.groups[group as usize] = true);
        }
    }

    /// Those of the groups that must come by themselves.
    pub(super) fn others(&self, groups: Range<usize>) -> Vec<u32> {
        let is_other = |&group: &usize| self.groups.get(group).is_none_or(|is_met| !is_met);
        groups.filter(is_other).map(|group| group as u32).collect()
    }
}

/// Types of the key columns, the grouping id last.
pub(super) fn key_types(spec: &AggregateSpec) -> Vec<DataType> {
    let keys = spec.group_by.iter().map(|k| k.data_type.clone());
    keys.chain(spec.grouping_id.clone()).collect()
}

fn accumulators(spec: &AggregateSpec, tables: Tables) -> Result<Vec<Box<dyn Accumulator>>> {
    spec.aggregates.iter().map(|a| accumulator_of(a, tables)).collect()
}

/// The accumulator of an aggregate.
pub(super) fn accumulator_of(aggregate: &AggregateExpression, tables: Tables) -> Result<Box<dyn Accumulator>> {
    // Order keys of first and last follow the arguments.
    let order = aggregate.order_by.iter().map(|k| &k.expression);
    let types: Vec<DataType> = aggregate.arguments.iter().chain(order).map(|e| e.data_type.clone()).collect();
    accumulator(aggregate, &types, tables)
}

impl Share {
    pub(super) fn new(spec: &AggregateSpec, task: &TaskContext) -> Result<Self> {
        let small = task.memory.floor() < SMALL_FLOOR;
        let tables = Tables { collide: task.config.hash_collisions, small };
        Ok(Share {
            groups: Groups::new(&key_types(spec), tables)?,
            accumulators: accumulators(spec, tables)?,
            reservation: task.memory.spilling_reservation("Aggregate"),
            tables,
            limit: LOCAL_GROUPS,
            looked_up: 0,
            apart: Vec::new(),
        })
    }

    /// Forgets all groups; what is worth keeping of the tables stays.
    pub(super) fn clear(&mut self, spec: &AggregateSpec) -> Result<()> {
        self.groups.clear(LOCAL_GROUPS);
        self.restart(spec)
    }

    /// Forgets all groups, and gives back the memory.
    pub(super) fn reset(&mut self, spec: &AggregateSpec) -> Result<()> {
        self.groups = Groups::new(&key_types(spec), self.tables)?;
        self.restart(spec)?;
        self.give_back(0);
        Ok(())
    }

    fn restart(&mut self, spec: &AggregateSpec) -> Result<()> {
        self.accumulators = accumulators(spec, self.tables)?;
        (self.looked_up, self.limit) = (0, LOCAL_GROUPS);
        self.apart.clear();
        Ok(())
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.groups.memory_bytes() + self.accumulators.iter().map(|a| a.memory_bytes()).sum::<usize>()
    }

    /// Bytes held, and what giving states or results away will take.
    pub(super) fn footprint(&self) -> usize {
        self.groups.memory_bytes() + self.accumulators.iter().map(|a| a.footprint()).sum::<usize>()
    }

    /// Gives back what is reserved beyond the footprint and `others` bytes.
    pub(super) fn give_back(&self, others: usize) {
        let needed = self.footprint() + others;
        self.reservation.shrink(self.reservation.held().saturating_sub(needed));
    }

    /// Most bytes that absorbing these rows so many `times` (each time as other groups) adds to the footprint, while tables move to larger ones too.
    pub(super) fn growth<'a>(
        &mut self,
        keys: &[Column],
        inputs: impl Iterator<Item = &'a [Column]>,
        rows: usize,
        times: usize,
    ) -> usize {
        let rows = rows * times;
        let groups = self.groups.len() + rows;
        let of_groups = self.groups.growth(0, keys, rows);
        let apart = &self.apart;
        let of_values = self.accumulators.iter_mut().zip(inputs).enumerate().map(|(index, (accumulator, columns))| {
            let moves =
                if groups > accumulator.room() { 2 * accumulator.memory_bytes() + rows * STATE_BYTES } else { 0 };
            // Members that are put apart are not kept here.
            let is_apart = matches!(apart.get(index), Some(Some(_)));
            moves + if is_apart { 0 } else { accumulator.growth(columns) * times }
        });
        of_groups + of_values.sum::<usize>()
    }

    /// Rows that it should be given at once.
    pub(super) fn rows_at_once(&self) -> usize {
        self.accumulators.iter().map(|accumulator| accumulator.rows_at_once()).min().unwrap_or(usize::MAX)
    }

    /// [`Share::growth`] of merging a piece.
    pub(super) fn growth_of(&mut self, piece: &Piece) -> usize {
        let states = (0..self.accumulators.len()).map(|index| piece.states(index).0);
        self.growth(piece.keys(), states, piece.groups, 1)
    }

    /// Makes every accumulator cover all groups.
    pub(super) fn resize(&mut self) -> Result<()> {
        let groups = self.groups.len();
        self.accumulators.iter_mut().try_for_each(|a| a.resize(groups))
    }

    /// Whether it has seen no row.
    pub(super) fn is_fresh(&self) -> bool {
        self.looked_up == 0
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
            accumulator.feed(phase, &input.columns, groups)?;
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
        let mut groups = Vec::with_capacity(piece.groups);
        self.groups.find_or_insert(piece.keys(), piece.groups, &mut groups)?;
        self.resize()?;
        for (index, accumulator) in self.accumulators.iter_mut().enumerate() {
            let (states, owners) = piece.states(index);
            let of_rows: Option<Vec<u32>> =
                owners.map(|owners| owners.iter().map(|&owner| groups[owner as usize]).collect());
            let groups = of_rows.as_deref().unwrap_or(&groups);
            match self.apart.get(index) {
                _ if groups.is_empty() => {}
                Some(Some(apart)) => {
                    let ids = Column::flat(Values::UInt32(groups.to_vec().into()));
                    let keys = std::iter::once(ids).chain(states.iter().cloned()).collect();
                    apart.deal(Run::of_keys(keys, groups.len()), Place::Disk)?;
                }
                _ => accumulator.merge(states, groups)?,
            }
        }
        Ok(())
    }

    /// The groups of some members of an aggregate that is distinct, and the members' arguments.
    pub(super) fn members(
        &mut self,
        aggregate: usize,
        range: Range<usize>,
    ) -> Result<(ScalarBuffer<u32>, Vec<Column>)> {
        let members = self.accumulators[aggregate].as_distinct().map(|distinct| distinct.members(range));
        let mut columns = members.ok_or_else(|| Error::internal("members of an aggregate that is not distinct"))??;
        let arguments = columns.split_off(1);
        Ok((group_ids(&columns[0])?, arguments))
    }

    /// Whether one group has so many of the members of a distinct aggregate that they will not fit a partition; by the first of them.
    pub(super) fn is_skewed(&mut self, aggregate: usize) -> Result<bool> {
        let sample = self.member_count(aggregate).min(SKEW_SAMPLE);
        let mut members = vec![0; self.groups.len()];
        for range in ranges(sample, MEMBERS) {
            let (groups, _) = self.members(aggregate, range)?;
            groups.iter().for_each(|&group| members[group as usize] += 1);
        }
        let most = members.into_iter().max().unwrap_or(0);
        Ok(most * SKEW > sample)
    }

    pub(super) fn forget_members(&mut self, aggregate: usize) -> Result<()> {
        self.accumulators[aggregate].as_distinct().map_or(Ok(()), |distinct| distinct.forget())
    }

    /// Number of members of an aggregate: 0 of one that is not distinct.
    pub(super) fn member_count(&mut self, aggregate: usize) -> usize {
        self.accumulators[aggregate].as_distinct().map_or(0, |distinct| distinct.len())
    }

    /// Number of members of all aggregates.
    pub(super) fn all_members(&mut self) -> usize {
        (0..self.accumulators.len()).map(|aggregate| self.member_count(aggregate)).sum()
    }

    /// Puts the members of distinct aggregates apart: those held, and those of pieces merged from now on.
    pub(super) fn put_members_apart(&mut self, partitions: &Partitions) -> Result<()> {
        if !self.apart.is_empty() {
            return Ok(());
        }
        for accumulator in &mut self.accumulators {
            let Some(distinct) = accumulator.as_distinct() else {
                self.apart.push(None);
                continue;
            };
            let apart = partitions.of_keys(&distinct.member_types())?;
            for range in ranges(distinct.len(), MEMBERS) {
                let rows = range.len();
                apart.deal(Run::of_keys(distinct.members(range)?, rows), Place::Disk)?;
            }
            distinct.forget()?;
            self.apart.push(Some(apart));
        }
        self.give_back(0);
        Ok(())
    }

    pub(super) fn has_members_apart(&self) -> bool {
        !self.apart.is_empty()
    }

    /// Feeds the members that were put apart, each once.
    pub(super) fn settle_members(&mut self) -> Result<()> {
        for (apart, accumulator) in std::mem::take(&mut self.apart).into_iter().zip(&mut self.accumulators) {
            let (Some(apart), Some(distinct)) = (apart, accumulator.as_distinct()) else { continue };
            apart.drain(&AtomicUsize::default(), |members| distinct.settle(members))?;
        }
        Ok(())
    }

    /// Output columns of some groups.
    pub(super) fn output(&mut self, range: Range<usize>, phase: AggregatePhase) -> Result<Vec<Column>> {
        let mut columns = self.groups.keys(range.clone())?;
        for accumulator in &mut self.accumulators {
            if phase.gives_states() {
                columns.extend(accumulator.state(&range.clone().map(|g| g as u32).collect::<Vec<_>>())?);
            } else {
                columns.push(accumulator.finish(range.clone())?);
            }
        }
        Ok(columns)
    }
}
