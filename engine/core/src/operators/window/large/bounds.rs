//! Where the frames of a partition on disk start and end, block after block.
//!
//! Frames move only ahead, so that each of their ends is found by walking along the rows once: by group numbers, or along the order key.

use std::ops::Range;

use plasmon_kernels::window::frame::Bound;

use super::super::frame::{Key, counted, has_distance};
use super::super::partition::Collected;
use super::super::{Frame, FrameBound, FrameUnits};
use super::spool::{Latest, RowGroups, Spooled};
use crate::batch::Bitmap;
use crate::error::Result;

/// The first row of each frame, and the row behind its last one.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    pub(super) starts: Vec<u64>,
    pub(super) ends: Vec<u64>,
}

/// A walk along all frames.
pub(super) struct FrameWalk<'a> {
    rows: &'a Spooled,
    frame: &'a Frame,
    units: Units<'a>,
    /// The next block.
    block: usize,
}

enum Units<'a> {
    Rows(Bound, Bound),
    /// And the starts of the groups at which frames start and end.
    Groups(Bound, Bound, Latest<Vec<u64>>, Latest<Vec<u64>>),
    /// Without distance: to the row's peers.
    Peers,
    Distance(Box<Axis<'a>>),
}

impl<'a> FrameWalk<'a> {
    /// The frames of all rows.
    pub(super) fn new(frame: &'a Frame, collected: &'a Collected, rows: &'a Spooled) -> Result<Self> {
        let units = match frame.units {
            FrameUnits::Rows => Units::Rows(counted(&frame.start)?, counted(&frame.end)?),
            FrameUnits::Groups => {
                Units::Groups(counted(&frame.start)?, counted(&frame.end)?, Latest::default(), Latest::default())
            }
            FrameUnits::Range if has_distance(frame) => Units::Distance(Box::new(Axis::new(collected, rows)?)),
            FrameUnits::Range => Units::Peers,
        };
        Ok(FrameWalk { rows, frame, units, block: 0 })
    }

    /// The frames of the next block's rows.
    pub(super) fn next(&mut self) -> Result<Bounds> {
        let (block, rows) = (self.block, self.rows.range(self.block));
        self.block += 1;
        let all = self.rows;
        let groups = || all.peers.of_rows(block, rows.clone());
        let mut bounds = match &mut self.units {
            Units::Rows(start, end) => Bounds {
                starts: rows.clone().map(|row| counted_bound(*start, row, 0, all.rows)).collect(),
                ends: rows.clone().map(|row| counted_bound(*end, row, 1, all.rows)).collect(),
            },
            Units::Groups(start, end, from, to) => {
                let numbers = groups()?.numbers;
                let place = |bound, more, latest: &mut Latest<Vec<u64>>| {
                    let place =
                        |&number| all.peers.start_of(counted_bound(bound, number, more, all.peers.groups), latest);
                    numbers.iter().map(place).collect::<Result<Vec<u64>>>()
                };
                Bounds { starts: place(*start, 0, from)?, ends: place(*end, 1, to)? }
            }
            Units::Peers => {
                let groups = groups()?;
                let bound = |bound: &FrameBound, own: Vec<u64>| match bound {
                    FrameBound::UnboundedPreceding => vec![0; own.len()],
                    FrameBound::UnboundedFollowing => vec![all.rows; own.len()],
                    _ => own,
                };
                Bounds { starts: bound(&self.frame.start, groups.starts), ends: bound(&self.frame.end, groups.ends) }
            }
            Units::Distance(axis) => axis.bounds(self.frame, block, groups()?)?,
        };
        // A frame that ends before it starts is empty.
        bounds.ends.iter_mut().zip(&bounds.starts).for_each(|(end, start)| *end = (*end).max(*start));
        Ok(bounds)
    }
}

/// The row (or group) of a bound seen from row `at`, among `all`; `more` = 1 for the one behind it.
fn counted_bound(bound: Bound, at: u64, more: i64, all: u64) -> u64 {
    match bound {
        Bound::UnboundedPreceding => 0,
        Bound::UnboundedFollowing => all,
        Bound::Offset(offset) => (at as i64).saturating_add(offset).saturating_add(more).clamp(0, all as i64) as u64,
    }
}

/// The order key as an axis on which frames reach by distance.
struct Axis<'a> {
    rows: &'a Spooled,
    key: usize,
    descending: bool,
    /// Rows whose key is not null.
    values: Range<u64>,
    start: Reach,
    end: Reach,
}

/// A point that moves ahead on the axis.
struct Reach {
    at: u64,
    positions: Latest<Vec<i128>>,
}

impl<'a> Axis<'a> {
    fn new(collected: &Collected, rows: &'a Spooled) -> Result<Self> {
        let (key, order) = collected.order_key()?;
        let nulls_of = |block| {
            let column = rows.column(block, key)?;
            Ok(column.validity().map_or(0, |valid| valid.len() - valid.count_ones()) as u64)
        };
        let nulls: u64 = (0..rows.blocks()).map(nulls_of).sum::<Result<u64>>()?;
        let values = if order.nulls_first { nulls..rows.rows } else { 0..rows.rows - nulls };
        let reach = || Reach { at: values.start, positions: Latest::default() };
        Ok(Axis { rows, key, descending: order.descending, start: reach(), end: reach(), values })
    }

    fn bounds(&mut self, frame: &Frame, block: usize, groups: RowGroups) -> Result<Bounds> {
        let column = self.rows.column(block, self.key)?;
        let key = Key::new(&column, &self.rows.types[self.key])?;
        let (start_reach, end_reach) =
            (key.reach(&frame.start, self.descending)?, key.reach(&frame.end, self.descending)?);
        let valid = column.validity();
        Ok(Bounds {
            starts: self.ends_of(&frame.start, &start_reach, valid, groups.starts, false)?,
            ends: self.ends_of(&frame.end, &end_reach, valid, groups.ends, true)?,
        })
    }

    /// One end of the frames; nulls see only each other through a distance: `own`.
    fn ends_of(
        &mut self,
        bound: &FrameBound,
        reach: &[i128],
        valid: Option<&Bitmap>,
        own: Vec<u64>,
        is_end: bool,
    ) -> Result<Vec<u64>> {
        match bound {
            FrameBound::UnboundedPreceding => return Ok(vec![0; own.len()]),
            FrameBound::UnboundedFollowing => return Ok(vec![self.rows.rows; own.len()]),
            FrameBound::CurrentRow => return Ok(own),
            FrameBound::Preceding(_) | FrameBound::Following(_) => {}
        }
        let end = |(row, own): (usize, u64)| {
            if valid.is_some_and(|valid| !valid.get(row)) {
                return Ok(own);
            }
            self.advance(reach[row], is_end)
        };
        own.into_iter().enumerate().map(end).collect()
    }

    /// Goes to the first row that is not before `point`, or that is behind it.
    fn advance(&mut self, point: i128, is_end: bool) -> Result<u64> {
        let (rows, key, descending) = (self.rows, self.key, self.descending);
        let reach = if is_end { &mut self.end } else { &mut self.start };
        while reach.at < self.values.end {
            let (block, from) = rows.place(reach.at);
            let positions = reach
                .positions
                .get(block, || Ok(Key::new(&rows.column(block, key)?, &rows.types[key])?.positions(descending)))?;
            let to = (self.values.end - rows.range(block).start).min(positions.len() as u64) as usize;
            let passed = positions[from..to].partition_point(|&at| at < point || (is_end && at == point));
            reach.at += passed as u64;
            if passed < to - from {
                break;
            }
        }
        Ok(reach.at)
    }
}
