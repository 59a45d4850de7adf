//! Groups taken out of a worker's table: keys and states as columns, cut into the pieces that the merge takes.
//!
//! Runs whose single integer key ascends (the input is clustered by it) are cut by ranges of the key and nothing is moved; else pieces
//! are the groups whose keys' hash falls into a partition.
//!
//! A run need not hold everything of its groups: state rows of aggregates that have several a group (DISTINCT) may come in other runs with the same
//! keys, and what an aggregate has no rows for stays as it is when runs are merged. So a run can be taken apart into ones of any size.

use std::ops::Range;

use arrow_array::Array;
use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType;
use plasmon_kernels::hash::hash_word;
use plasmon_kernels::partition::{partition_of, partition_rows};

use super::AggregateSpec;
use super::distinct::group_ids;
use super::input::Rows;
use super::pass::of_each_row;
use super::share::{Met, Share};
use crate::batch::{Bitmap, Column, Encoding, Physical, Values, Views};
use crate::error::{Error, Result};
use crate::operators::key_hash::hash_keys;

/// Groups of a part of a run, at most.
pub(super) const PART_GROUPS: usize = 1 << 16;
/// What a column takes beside its values, with the header of their buffer.
const COLUMN_BYTES: usize = size_of::<Column>() + 64;

/// All groups of one table.
pub(super) struct Run {
    pub(super) groups: usize,
    keys: Vec<Column>,
    states: Vec<StateRows>,
}

/// States of one aggregate.
struct StateRows {
    columns: Vec<Column>,
    /// The group of each row, ascending; `None` = row i belongs to group i, and each group has one.
    owners: Option<Vec<u32>>,
}

/// Types of the columns of a run: keys, and states of each aggregate.
pub(super) struct Layout {
    keys: Vec<DataType>,
    states: Vec<Vec<DataType>>,
}

impl Layout {
    pub(super) fn of(share: &Share, keys: Vec<DataType>) -> Self {
        Layout { keys, states: share.accumulators.iter().map(|a| a.state_types()).collect() }
    }

    fn no_states(&self) -> Vec<StateRows> {
        (0..self.states.len()).map(|aggregate| self.no_state(aggregate)).collect()
    }

    fn no_state(&self, aggregate: usize) -> StateRows {
        StateRows::none(self.states[aggregate].len())
    }
}

/// The groups of a run that belong to one partition.
pub(super) type Piece = Run;

/// How runs are cut.
pub(super) enum Cut {
    /// Partition p holds the keys from `splitters[p − 1]` to below `splitters[p]`.
    Ranges(Vec<i64>),
    /// By hash, into that many. Each level cuts what a partition of the level before holds.
    Hashes { partitions: usize, level: u32 },
}

impl Cut {
    pub(super) fn partitions(&self) -> usize {
        match self {
            Cut::Ranges(splitters) => splitters.len() + 1,
            Cut::Hashes { partitions, .. } => *partitions,
        }
    }

    /// How often what it cuts by hash was cut so before.
    pub(super) fn level(&self) -> u32 {
        match self {
            Cut::Ranges(_) => 0,
            Cut::Hashes { level, .. } => *level,
        }
    }

    /// Whether pieces are copies.
    pub(super) fn copies(&self) -> bool {
        matches!(self, Cut::Hashes { partitions: 2.., .. })
    }
}

impl Run {
    /// The groups and states of a share, which is no longer needed then.
    pub(super) fn take(share: &mut Share) -> Result<Run> {
        let groups = share.groups.len();
        let keys = share.groups.keys(0..groups)?;
        let all: Vec<u32> = (0..groups as u32).collect();
        let states = share.accumulators.iter_mut().map(|accumulator| {
            let (columns, owners) = accumulator.state_rows(&all)?;
            Ok(StateRows { columns, owners })
        });
        Ok(Run { groups, keys, states: states.collect::<Result<_>>()? })
    }

    /// Some groups of a share, without what has several rows a group: that is in [`Run::of_members`].
    /// Its aggregates are those of the layout from `first` on.
    pub(super) fn of_groups(share: &mut Share, groups: &[u32], layout: &Layout, first: usize) -> Result<Run> {
        Run::of_states(share, groups, groups, layout, first)
    }

    /// Some members of all aggregates that are distinct, with their groups, and what else the groups have that are not `met` yet; then they are.
    pub(super) fn of_members(
        share: &mut Share,
        chunk: &Chunk,
        layout: &Layout,
        first: usize,
        met: &mut Met,
    ) -> Result<Run> {
        let (mut members, mut groups) = (Vec::new(), Vec::new());
        for aggregate in 0..share.accumulators.len() {
            let rows = chunk.range(share.member_count(aggregate));
            if rows.is_empty() {
                continue;
            }
            let (of, arguments) = share.members(aggregate, rows)?;
            let mut order: Vec<u32> = (0..of.len() as u32).collect();
            order.sort_by_key(|&row| of[row as usize]);
            let owners: Vec<u32> = order.iter().map(|&row| of[row as usize]).collect();
            groups.extend_from_slice(&owners);
            let columns: Vec<Column> = arguments.iter().map(|column| column.gather(&order)).collect();
            members.push((first + aggregate, columns, owners));
        }
        groups.sort_unstable();
        groups.dedup();
        let mut run = Run::of_states(share, &groups, &met.add(&groups), layout, first)?;
        for (aggregate, columns, owners) in members {
            run.states[aggregate] = StateRows::owned(columns, ranks(&owners, &groups), groups.len());
        }
        Ok(run)
    }

    /// Some groups of a share, with the states, of those of them that are `new`, that are not members.
    fn of_states(share: &mut Share, groups: &[u32], new: &[u32], layout: &Layout, first: usize) -> Result<Run> {
        let keys = share.groups.keys_of(groups.iter().map(|&group| group as usize))?;
        let mut states = layout.no_states();
        let owners = ranks(new, groups);
        for (accumulator, states) in share.accumulators.iter_mut().zip(&mut states[first..]) {
            if accumulator.as_distinct().is_none() && !new.is_empty() {
                *states = StateRows::owned(accumulator.state(new)?, owners.clone(), groups.len());
            }
        }
        Ok(Run { groups: groups.len(), keys, states })
    }

    /// Some members of one aggregate that is distinct, as rows of the keys of their groups and their arguments; the groups are `met` then.
    pub(super) fn of_rows(share: &mut Share, aggregate: usize, range: Range<usize>, met: &mut Met) -> Result<Run> {
        let (of, arguments) = share.members(aggregate, range)?;
        met.add_apart(&of);
        let mut keys = share.groups.keys_of(of.iter().map(|&group| group as usize))?;
        keys.extend(arguments);
        Ok(Run::of_keys(keys, of.len()))
    }

    /// Rows as groups of their own, whose keys may be equal.
    pub(super) fn of_each_row(spec: &AggregateSpec, rows: &Rows) -> Result<Run> {
        let each: Vec<u32> = (0..rows.count as u32).collect();
        let states = spec.aggregates.iter().zip(&rows.inputs).map(|(aggregate, input)| {
            let columns = of_each_row(aggregate, input, &each, spec.phase)?.state(&each)?;
            Ok(StateRows { columns, owners: None })
        });
        Ok(Run { groups: rows.count, keys: rows.keys.clone(), states: states.collect::<Result<_>>()? })
    }

    /// Rows of keys and no states.
    pub(super) fn of_keys(keys: Vec<Column>, groups: usize) -> Run {
        Run { groups, keys, states: Vec::new() }
    }

    /// State rows of one aggregate.
    pub(super) fn state_count(&self, aggregate: usize) -> usize {
        self.states[aggregate].len()
    }

    /// Some state rows of one aggregate, as rows of the keys of their groups and of the states.
    pub(super) fn rows_of(&self, aggregate: usize, rows: Range<usize>) -> Run {
        let states = &self.states[aggregate];
        let mut keys = match &states.owners {
            Some(owners) => self.keys.iter().map(|key| key.gather(&owners[rows.clone()])).collect(),
            None => slice(&self.keys, &rows),
        };
        keys.extend(slice(&states.columns, &rows));
        Run::of_keys(keys, rows.len())
    }

    /// The same without states of one aggregate.
    pub(super) fn without(mut self, aggregate: usize, layout: &Layout) -> Run {
        self.states[aggregate] = layout.no_state(aggregate);
        self
    }

    /// With states of all aggregates of the layout; its own are those from `first` on.
    pub(super) fn widened(mut self, layout: &Layout, first: usize) -> Run {
        let mut states = layout.no_states();
        states.iter_mut().skip(first).zip(self.states.drain(..)).for_each(|(all, own)| *all = own);
        Run { states, ..self }
    }

    /// The one key column, when it is an integer without nulls whose values ascend strictly.
    pub(super) fn ascending(&self) -> Option<&Column> {
        let [key] = &self.keys[..] else { return None };
        (key.validity().is_none() && ascends(key)).then_some(key)
    }

    pub(super) fn keys(&self) -> &[Column] {
        &self.keys
    }

    /// The state rows of one aggregate and the group of each.
    pub(super) fn states(&self, aggregate: usize) -> (&[Column], Option<&[u32]>) {
        let states = &self.states[aggregate];
        (&states.columns, states.owners.as_deref())
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let owners: usize = self.states.iter().flat_map(|s| &s.owners).map(|o| o.len() * 4).sum();
        self.columns().map(Column::memory_bytes).sum::<usize>() + owners
    }

    /// What it takes where it stays for long among others of few groups.
    pub(super) fn kept_bytes(&self) -> usize {
        self.memory_bytes() + self.frame_bytes()
    }

    /// What it takes beside values, however few groups it has; its place in a list that doubles, too.
    pub(super) fn frame_bytes(&self) -> usize {
        2 * size_of::<Run>() + self.states.len() * size_of::<StateRows>() + self.columns().count() * COLUMN_BYTES
    }

    /// Of keys, then states.
    fn columns(&self) -> impl Iterator<Item = &Column> {
        self.keys.iter().chain(self.states.iter().flat_map(|states| &states.columns))
    }

    /// One piece a partition.
    pub(super) fn cut(self, cut: &Cut) -> Result<Vec<Piece>> {
        match cut {
            Cut::Hashes { partitions: 1, .. } => Ok(vec![self]),
            Cut::Hashes { partitions, level } => self.cut_by_hash(*partitions, *level),
            Cut::Ranges(splitters) => {
                let rows = self.ascending().map(|key| splitters.iter().map(|&s| rows_below(key, s)).collect());
                let rows: Vec<usize> = rows.unwrap_or_default();
                let ends = rows.iter().copied().chain([self.groups]);
                let starts = [0].into_iter().chain(rows.iter().copied());
                Ok(starts.zip(ends).map(|(start, end)| self.slice(start..end)).collect())
            }
        }
    }

    fn cut_by_hash(&self, partitions: usize, level: u32) -> Result<Vec<Piece>> {
        let mut members = vec![Vec::new(); partitions];
        for (group, hash) in self.hashes(level)?.into_iter().enumerate() {
            members[partition_of(hash, partitions as u32) as usize].push(group as u32);
        }
        Ok(members.iter().map(|groups| self.gather(groups).owning()).collect())
    }

    /// Hashes of the keys, of which each level shares no bits with the others.
    fn hashes(&self, level: u32) -> Result<Vec<u64>> {
        let mut hashes = hash_keys(&hashable(&self.keys)?, self.groups);
        if level > 0 {
            hashes.iter_mut().for_each(|hash| *hash = hash_word(hash.wrapping_add(level as u64)));
        }
        Ok(hashes)
    }

    /// One piece a partition, all of them slices of one copy of the run, which has at most `PART_GROUPS` groups.
    pub(super) fn cut_together(self, cut: &Cut) -> Result<Vec<Piece>> {
        let Cut::Hashes { partitions: 2.., level } = cut else { return self.cut(cut) };
        let (mut order, mut ends) = (Vec::new(), Vec::new());
        partition_rows(&self.hashes(*level)?, cut.partitions() as u32, &mut order, &mut ends);
        let copy = self.gather(&order.into_iter().map(u32::from).collect::<Vec<_>>());
        let mut start = 0;
        let pieces = ends.into_iter().map(|end| copy.slice(std::mem::replace(&mut start, end as usize)..end as usize));
        Ok(pieces.collect())
    }

    /// A copy with buffers of its own.
    pub(super) fn copied(&self) -> Piece {
        self.gather(&(0..self.groups as u32).collect::<Vec<_>>()).owning()
    }

    /// With strings of its own: a piece would keep those of the whole run.
    fn owning(mut self) -> Piece {
        let columns = self.keys.iter_mut().chain(self.states.iter_mut().flat_map(|states| &mut states.columns));
        columns.for_each(|column| *column = column.own_strings());
        self
    }

    /// The same as runs of about so many bytes; nothing is copied. A group that is larger by itself is in several.
    pub(super) fn parts(self, bytes: usize) -> Vec<Run> {
        let held = self.memory_bytes();
        if held <= bytes && self.groups <= PART_GROUPS {
            return vec![self];
        }
        let mut several: Vec<OwnerCounts> =
            self.states.iter().filter_map(|states| states.owners.as_deref()).map(OwnerCounts).collect();
        let rows = self.groups + several.iter().map(|owners| owners.0.len()).sum::<usize>();
        let step = (rows * bytes / held.max(1)).clamp(1, PART_GROUPS);
        let (mut parts, mut start, mut weight) = (Vec::new(), 0, 0);
        for group in 0..self.groups {
            let own = 1 + several.iter_mut().map(|owners| owners.next_of(group as u32)).sum::<usize>();
            if start < group && weight + own > step {
                parts.push(self.slice(start..group));
                (start, weight) = (group, 0);
            }
            weight += own;
            if own > step {
                self.push_parts_of(group, step, &mut parts);
                (start, weight) = (group + 1, 0);
            }
        }
        if start < self.groups {
            parts.push(self.slice(start..self.groups));
        }
        parts
    }

    /// One group by itself, some of its state rows at a time.
    fn push_parts_of(&self, group: usize, step: usize, parts: &mut Vec<Run>) {
        let states = self.states.iter().map(|states| match &states.owners {
            None => states.slice(&(group..group + 1)),
            Some(_) => StateRows::none(states.columns.len()),
        });
        parts.push(Run { groups: 1, keys: slice(&self.keys, &(group..group + 1)), states: states.collect() });
        for (index, states) in self.states.iter().enumerate() {
            let Some(owners) = &states.owners else { continue };
            let rows = owners.partition_point(|&o| o < group as u32)..owners.partition_point(|&o| o <= group as u32);
            for start in rows.clone().step_by(step) {
                parts.push(self.part_of(index, owners, start..(start + step).min(rows.end)));
            }
        }
    }

    /// Some state rows of one aggregate.
    fn part_of(&self, aggregate: usize, owners: &[u32], rows: Range<usize>) -> Run {
        let first = owners[rows.start];
        let groups = first as usize..owners[rows.end - 1] as usize + 1;
        let mut states: Vec<StateRows> =
            self.states.iter().map(|states| StateRows::none(states.columns.len())).collect();
        states[aggregate] = StateRows {
            columns: slice(&self.states[aggregate].columns, &rows),
            owners: Some(owners[rows].iter().map(|&owner| owner - first).collect()),
        };
        Run { groups: groups.len(), keys: slice(&self.keys, &groups), states }
    }

    /// One run of all the groups of several; groups of equal keys stay apart.
    pub(super) fn join(mut runs: Vec<Run>, layout: &Layout) -> Result<Run> {
        if runs.len() == 1
            && let Some(run) = runs.pop()
        {
            return Ok(run);
        }
        let concat = |types: &[DataType], of: &dyn Fn(&Run, usize) -> Option<Column>| -> Result<Vec<Column>> {
            let column = |(index, data_type)| {
                Column::join(&runs.iter().filter_map(|run| of(run, index)).collect::<Vec<_>>(), data_type)
            };
            types.iter().enumerate().map(column).collect()
        };
        let states = layout.states.iter().enumerate().map(|(aggregate, types)| {
            let of = |run: &Run, index: usize| {
                let states = &run.states[aggregate];
                (states.len() > 0).then(|| states.columns[index].clone())
            };
            Ok(StateRows { columns: concat(types, &of)?, owners: joined_owners(&runs, aggregate) })
        });
        let states = states.collect::<Result<_>>()?;
        let keys = concat(&layout.keys, &|run, index| Some(run.keys[index].clone()))?;
        // Without keys there is one group.
        let groups = if layout.keys.is_empty() { 1 } else { runs.iter().map(|run| run.groups).sum() };
        Ok(Run { groups, keys, states })
    }

    /// As columns of a spill file: keys, then each aggregate's states and their owners.
    pub(super) fn into_columns(self) -> impl Iterator<Item = Column> {
        let states = self.states.into_iter().flat_map(|states| {
            let owners = Values::UInt32(states.owners.unwrap_or_default().into());
            states.columns.into_iter().chain([Column::flat(owners)])
        });
        self.keys.into_iter().chain(states)
    }

    /// The next run of columns that [`Run::into_columns`] gave.
    pub(super) fn from_columns(columns: &mut impl Iterator<Item = Column>, layout: &Layout) -> Result<Run> {
        let keys: Vec<Column> = columns.take(layout.keys.len()).collect();
        // Without keys there is one group.
        let groups = keys.first().map_or(1, Column::len);
        let states = layout.states.iter().map(|types| {
            let of_state: Vec<Column> = columns.take(types.len()).collect();
            let owners = columns.next().ok_or_else(|| Error::internal("a spilled run is too short"))?;
            let owners = group_ids(&owners)?.to_vec();
            let is_plain = owners.is_empty() && of_state.first().is_some_and(|c| c.len() == groups);
            Ok(StateRows { columns: of_state, owners: (!is_plain).then_some(owners) })
        });
        let states = states.collect::<Result<_>>()?;
        Ok(Run { groups, keys, states })
    }

    fn slice(&self, groups: Range<usize>) -> Piece {
        let states = self.states.iter().map(|state| match &state.owners {
            None => state.slice(&groups),
            Some(owners) => {
                let row = |group: usize| owners.partition_point(|&o| (o as usize) < group);
                let rows = row(groups.start)..row(groups.end);
                let owners = owners[rows.clone()].iter().map(|&o| o - groups.start as u32).collect();
                StateRows::owned(slice(&state.columns, &rows), owners, groups.len())
            }
        });
        Run { groups: groups.len(), keys: slice(&self.keys, &groups), states: states.collect() }
    }

    /// Some groups, in this order.
    fn gather(&self, groups: &[u32]) -> Piece {
        let gather =
            |columns: &[Column], rows: &[u32]| -> Vec<Column> { columns.iter().map(|c| c.gather(rows)).collect() };
        let states = self.states.iter().map(|state| match &state.owners {
            None => StateRows { columns: gather(&state.columns, groups), owners: None },
            Some(owners) => {
                let (mut rows, mut new_owners) = (Vec::new(), Vec::new());
                for (owner, &group) in groups.iter().enumerate() {
                    let row = owners.partition_point(|&o| o < group);
                    let count = OwnerCounts(&owners[row..]).next_of(group);
                    rows.extend(row as u32..(row + count) as u32);
                    new_owners.resize(new_owners.len() + count, owner as u32);
                }
                StateRows::owned(gather(&state.columns, &rows), new_owners, groups.len())
            }
        });
        Run { groups: groups.len(), keys: gather(&self.keys, groups), states: states.collect() }
    }
}

impl StateRows {
    /// No state rows of any group, in that many columns.
    fn none(columns: usize) -> Self {
        let none = Column::flat(Values::Boolean(Bitmap::constant(true, 0)));
        StateRows { columns: vec![none; columns], owners: Some(Vec::new()) }
    }

    /// Rows of these owners among so many groups.
    fn owned(columns: Vec<Column>, owners: Vec<u32>, groups: usize) -> Self {
        let is_plain = owners.len() == groups && owners.iter().zip(0..).all(|(&owner, row)| owner == row);
        StateRows { columns, owners: (!is_plain).then_some(owners) }
    }

    fn len(&self) -> usize {
        self.owners.as_ref().map_or_else(|| self.columns.first().map_or(0, Column::len), Vec::len)
    }

    /// Of one row a group.
    fn slice(&self, rows: &Range<usize>) -> Self {
        StateRows { columns: slice(&self.columns, rows), owners: None }
    }
}

/// Owners of the state rows that are left of a run.
struct OwnerCounts<'a>(&'a [u32]);

impl OwnerCounts<'_> {
    /// How many of the rows, which begin with it if there are any, the next group has; they are taken.
    fn next_of(&mut self, group: u32) -> usize {
        let count = self.0.iter().take_while(|&&owner| owner == group).count();
        self.0 = &self.0[count..];
        count
    }
}

/// Where each owner is among the groups; both ascend.
fn ranks(owners: &[u32], groups: &[u32]) -> Vec<u32> {
    let mut rank = 0;
    let of = owners.iter().map(|owner| {
        while groups[rank] < *owner {
            rank += 1;
        }
        rank as u32
    });
    of.collect()
}

/// One of equally large chunks of whatever is dealt: its number, and how many there are.
pub(super) struct Chunk {
    pub(super) number: usize,
    pub(super) of: usize,
}

impl Chunk {
    /// Its items of so many.
    fn range(&self, items: usize) -> Range<usize> {
        items * self.number / self.of..items * (self.number + 1) / self.of
    }
}

/// The groups of the state rows of an aggregate in several runs, one after the other.
fn joined_owners(runs: &[Run], aggregate: usize) -> Option<Vec<u32>> {
    // Without keys all states are of one group.
    let is_one = runs.iter().all(|run| run.keys.is_empty());
    if !is_one && runs.iter().all(|run| run.states[aggregate].owners.is_none()) {
        return None;
    }
    let (mut owners, mut first) = (Vec::new(), 0);
    for run in runs {
        match &run.states[aggregate].owners {
            Some(own) => owners.extend(own.iter().map(|owner| owner + first)),
            None => owners.extend(first..first + run.states[aggregate].len() as u32),
        }
        first += if is_one { 0 } else { run.groups as u32 };
    }
    Some(owners)
}

fn slice(columns: &[Column], rows: &Range<usize>) -> Vec<Column> {
    columns.iter().map(|c| c.slice(rows.start, rows.len())).collect()
}

/// Keys with nested values as the bytes of their row encoding, which hash by value.
fn hashable(keys: &[Column]) -> Result<Vec<Column>> {
    let encoded = |key: &Column| {
        let Values::Nested(array) = key.flat_values() else { return Ok(key.clone()) };
        let converter = RowConverter::new(vec![SortField::new(array.data_type().clone())])?;
        let rows = converter.convert_columns(&[array])?;
        let bytes = Values::View(Views::from_values(rows.iter().map(|row| row.data().to_vec())));
        Ok(Column::flat_with_validity(bytes, key.validity().cloned()))
    };
    keys.iter().map(|key| if key.physical() == Physical::Nested { encoded(key) } else { Ok(key.clone()) }).collect()
}

macro_rules! with_integers {
    ($column:expr, $values:ident => $body:expr, $otherwise:expr) => {
        match $column.encoding() {
            Encoding::Flat(Values::Int64($values)) => $body,
            Encoding::Flat(Values::Int32($values)) => $body,
            Encoding::Flat(Values::Int16($values)) => $body,
            Encoding::Flat(Values::UInt32($values)) => $body,
            Encoding::Flat(Values::UInt16($values)) => $body,
            _ => $otherwise,
        }
    };
}

fn ascends(key: &Column) -> bool {
    with_integers!(key, values => values.windows(2).all(|pair| pair[0] < pair[1]), false)
}

/// Rows of an ascending column that are less than `splitter`.
fn rows_below(key: &Column, splitter: i64) -> usize {
    with_integers!(key, values => values.partition_point(|&v| (v as i64) < splitter), 0)
}

/// Every `step`th value of an ascending column.
pub(super) fn samples(key: &Column, step: usize, out: &mut Vec<i64>) {
    with_integers!(key, values => out.extend(values.iter().step_by(step).map(|&v| v as i64)), ())
}
