//! DISTINCT inside an aggregate: keeps the set of (group, arguments), and feeds each member once to the plain accumulator at the end.
//!
//! Members that are too many to be held at once are taken out (`members`, `forget`), made distinct part by part elsewhere (`share.rs`), and fed
//! from there (`settle`).

use arrow_buffer::ScalarBuffer;
use arrow_schema::DataType;

use super::accumulator::Accumulator;
use super::groups::{Groups, Tables};
use super::ranges;
use crate::batch::{Bitmap, Column, Encoding, Values};
use crate::error::{Error, Result};

/// Members fed to the plain accumulator at once.
const FEED_ROWS: usize = 1 << 14;
/// What the plain accumulator will take per group, about.
const PLAIN_BYTES: usize = 32;

pub(super) struct Distinct {
    plain: Box<dyn Accumulator>,
    /// Keys: group id, then the arguments.
    members: Groups,
    argument_types: Vec<DataType>,
    groups: usize,
    is_fed: bool,
    tables: Tables,
}

impl Distinct {
    pub(super) fn new(plain: Box<dyn Accumulator>, types: &[DataType], tables: Tables) -> Result<Self> {
        let keys: Vec<DataType> = std::iter::once(DataType::UInt32).chain(types.iter().cloned()).collect();
        Ok(Distinct {
            plain,
            members: Groups::new(&keys, tables)?,
            argument_types: types.to_vec(),
            groups: 0,
            is_fed: false,
            tables,
        })
    }

    fn feed(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.is_fed, true) {
            return Ok(());
        }
        self.plain.resize(self.groups)?;
        for members in ranges(self.members.len(), FEED_ROWS) {
            let keys = self.members.keys(members)?;
            self.settle(keys)?;
        }
        Ok(())
    }

    /// Types of group id and arguments.
    pub(super) fn member_types(&self) -> Vec<DataType> {
        std::iter::once(DataType::UInt32).chain(self.argument_types.iter().cloned()).collect()
    }

    /// Number of members.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Group ids and arguments of some members.
    pub(super) fn members(&self, range: std::ops::Range<usize>) -> Result<Vec<Column>> {
        self.members.keys(range)
    }

    /// Forgets all members, and gives back their memory.
    pub(super) fn forget(&mut self) -> Result<()> {
        self.members = Groups::new(&self.member_types(), self.tables)?;
        Ok(())
    }

    /// Feeds members, given as group ids and arguments, that are not among those held and do not come again.
    pub(super) fn settle(&mut self, mut keys: Vec<Column>) -> Result<()> {
        let arguments = keys.split_off(1);
        self.plain.resize(self.groups)?;
        self.plain.update(&arguments, &group_ids(&keys[0])?)
    }
}

/// The group ids among the keys of members.
pub(super) fn group_ids(column: &Column) -> Result<ScalarBuffer<u32>> {
    match column.flat_values() {
        Values::UInt32(groups) => Ok(groups),
        _ => Err(Error::internal("group ids of a distinct aggregate")),
    }
}

impl Accumulator for Distinct {
    fn resize(&mut self, groups: usize) -> Result<()> {
        self.groups = groups;
        Ok(())
    }

    fn update(&mut self, arguments: &[Column], groups: &[u32]) -> Result<()> {
        // A null argument never counts in an aggregate that ignores nulls, which all native ones do.
        let validity = arguments.iter().fold(None, |all, c| Bitmap::and_optional(all.as_ref(), c.validity()));
        let keep: Option<Vec<u32>> =
            validity.map(|v| (0..groups.len() as u32).filter(|&row| v.get(row as usize)).collect());
        let mut keys = vec![Column::new(Encoding::Flat(Values::UInt32(groups.to_vec().into())), None)];
        keys.extend(arguments.iter().cloned());
        if let Some(rows) = &keep {
            keys = keys.iter().map(|k| k.gather(rows)).collect();
        }
        let rows = keep.map_or(groups.len(), |k| k.len());
        self.members.find_or_insert(&keys, rows, &mut Vec::with_capacity(rows))
    }

    fn merge(&mut self, states: &[Column], groups: &[u32]) -> Result<()> {
        // One state row is one member: see `state_rows`.
        self.update(states, groups)
    }

    fn state_rows(&mut self, groups: &[u32]) -> Result<(Vec<Column>, Option<Vec<u32>>)> {
        // One state row is one member.
        let mut wanted = vec![u32::MAX; self.groups];
        groups.iter().enumerate().for_each(|(index, &g)| wanted[g as usize] = index as u32);
        let mut members = self.members.keys(0..self.members.len())?;
        let arguments = members.split_off(1);
        let of = group_ids(&members[0])?;
        let owner = |row: u32| wanted[of[row as usize] as usize];
        let mut rows: Vec<u32> = (0..of.len() as u32).filter(|&row| owner(row) != u32::MAX).collect();
        rows.sort_by_key(|&row| owner(row));
        let owners = rows.iter().map(|&row| owner(row)).collect();
        Ok((arguments.iter().map(|c| c.gather(&rows)).collect(), Some(owners)))
    }

    fn state(&mut self, _groups: &[u32]) -> Result<Vec<Column>> {
        Err(Error::unsupported("DISTINCT in a partial aggregation: aggregate by the distinct arguments first"))
    }

    fn finish(&mut self, groups: std::ops::Range<usize>) -> Result<Column> {
        self.feed()?;
        self.plain.finish(groups)
    }

    fn state_types(&self) -> Vec<DataType> {
        self.argument_types.clone()
    }

    fn memory_bytes(&self) -> usize {
        self.members.memory_bytes() + self.plain.memory_bytes()
    }

    fn growth(&mut self, columns: &[Column]) -> usize {
        let rows = columns.first().map_or(0, Column::len);
        self.members.growth(1, columns, rows)
    }

    fn footprint(&self) -> usize {
        self.memory_bytes() + self.groups * PLAIN_BYTES
    }

    fn as_distinct(&mut self) -> Option<&mut Distinct> {
        Some(self)
    }
}
