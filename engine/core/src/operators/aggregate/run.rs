//! Groups taken out of a worker's table: keys and states as columns, cut into the pieces that the merge takes.
//!
//! Runs whose single integer key ascends (the input is clustered by it) are cut by ranges of the key and nothing is moved; else pieces
//! are the groups whose keys' hash falls into a partition.

use std::ops::Range;

use plasmon_kernels::partition::partition_of;

use super::share::Share;
use crate::batch::{Column, Encoding, Values};
use crate::error::Result;
use crate::operators::key_hash::hash_keys;

/// All groups of one table.
pub(super) struct Run {
    pub(super) groups: usize,
    keys: Vec<Column>,
    states: Vec<StateRows>,
}

/// States of one aggregate.
struct StateRows {
    columns: Vec<Column>,
    /// The group of each row, ascending; `None` = row i belongs to group i.
    owners: Option<Vec<u32>>,
}

/// The groups of a run that belong to one partition.
pub(super) type Piece = Run;

/// How runs are cut.
pub(super) enum Cut {
    /// Partition p holds the keys from `splitters[p − 1]` to below `splitters[p]`.
    Ranges(Vec<i64>),
    /// By hash, into that many.
    Hashes(usize),
}

impl Cut {
    pub(super) fn partitions(&self) -> usize {
        match self {
            Cut::Ranges(splitters) => splitters.len() + 1,
            Cut::Hashes(partitions) => *partitions,
        }
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
        let states = self.states.iter().flat_map(|s| &s.columns);
        let owners: usize = self.states.iter().flat_map(|s| &s.owners).map(|o| o.len() * 4).sum();
        self.keys.iter().chain(states).map(Column::memory_bytes).sum::<usize>() + owners
    }

    /// One piece a partition.
    pub(super) fn cut(self, cut: &Cut) -> Result<Vec<Piece>> {
        match cut {
            Cut::Hashes(1) => Ok(vec![self]),
            Cut::Hashes(partitions) => self.cut_by_hash(*partitions),
            Cut::Ranges(splitters) => {
                let rows = self.ascending().map(|key| splitters.iter().map(|&s| rows_below(key, s)).collect());
                let rows: Vec<usize> = rows.unwrap_or_default();
                let ends = rows.iter().copied().chain([self.groups]);
                let starts = [0].into_iter().chain(rows.iter().copied());
                Ok(starts.zip(ends).map(|(start, end)| self.slice(start..end)).collect())
            }
        }
    }

    fn cut_by_hash(&self, partitions: usize) -> Result<Vec<Piece>> {
        let hashes = hash_keys(&self.keys, self.groups);
        let mut members = vec![Vec::new(); partitions];
        hashes.iter().enumerate().for_each(|(group, &hash)| {
            members[partition_of(hash, partitions as u32) as usize].push(group as u32);
        });
        Ok(members.iter().map(|groups| self.gather(groups)).collect())
    }

    fn slice(&self, groups: Range<usize>) -> Piece {
        let slice = |columns: &[Column], rows: &Range<usize>| -> Vec<Column> {
            columns.iter().map(|c| c.slice(rows.start, rows.len())).collect()
        };
        let states = self.states.iter().map(|state| match &state.owners {
            None => StateRows { columns: slice(&state.columns, &groups), owners: None },
            Some(owners) => {
                let row = |group: usize| owners.partition_point(|&o| (o as usize) < group);
                let rows = row(groups.start)..row(groups.end);
                let owners = owners[rows.clone()].iter().map(|&o| o - groups.start as u32).collect();
                StateRows { columns: slice(&state.columns, &rows), owners: Some(owners) }
            }
        });
        Run { groups: groups.len(), keys: slice(&self.keys, &groups), states: states.collect() }
    }

    /// Some groups, ascending.
    fn gather(&self, groups: &[u32]) -> Piece {
        let gather =
            |columns: &[Column], rows: &[u32]| -> Vec<Column> { columns.iter().map(|c| c.gather(rows)).collect() };
        let states = self.states.iter().map(|state| match &state.owners {
            None => StateRows { columns: gather(&state.columns, groups), owners: None },
            Some(owners) => {
                let (mut rows, mut new_owners) = (Vec::new(), Vec::new());
                for (owner, &group) in groups.iter().enumerate() {
                    let row = owners.partition_point(|&o| o < group);
                    let count = owners[row..].iter().take_while(|&&o| o == group).count();
                    rows.extend(row as u32..(row + count) as u32);
                    new_owners.resize(new_owners.len() + count, owner as u32);
                }
                StateRows { columns: gather(&state.columns, &rows), owners: Some(new_owners) }
            }
        });
        Run { groups: groups.len(), keys: gather(&self.keys, groups), states: states.collect() }
    }
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
