//! Aggregates over frames of a partition on disk.
//!
//! ```text
//!           ┌── blocks where the frames start ──┐ ┌─ blocks in all the frames ─┐ ┌── blocks where they end ──┐
//! frames of │   read: partial aggregates of     │ │ merged once, from one      │ │  read: partial aggregates  │
//! some rows │   the rows behind each start      │ │ summary per block          │ │  of the rows up to each end│
//! ```
//! Rows of a block are taken together while their frames start within two blocks, and end within two. So every block is read a few times, whatever
//! the frames are; where starts and ends lie close to each other, all between is read.

use std::ops::Range;

use arrow_schema::DataType;
use plasmon_kernels::window::frame::Frames;

use super::super::aggregate::{Call, true_rows};
use super::super::folded::Folded;
use super::super::partition::{Argument, FunctionColumns};
use super::super::{WindowExpression, partition::Collected};
use super::bounds::{Bounds, FrameWalk};
use super::spool::Spooled;
use crate::batch::{Bitmap, Column};
use crate::error::{Error, Result};
use crate::operators::aggregate::AggregateFunction;
use crate::pipeline::{CancelToken, TaskContext};

/// Summaries are put together when they are so many: each takes more by itself.
const TOGETHER: usize = 64;

/// An aggregate over the frames of all rows, block after block.
pub(super) struct Summary<'a> {
    rows: &'a Spooled,
    aggregate: &'a AggregateFunction,
    function: &'a WindowExpression,
    arguments: Vec<usize>,
    filter: Option<usize>,
    walk: FrameWalk<'a>,
    /// What is between the ends of the frames that are taken together: of each such lot that has something there.
    between: Partial,
    /// The next of these.
    lot: usize,
    head: Region,
    tail: Region,
    cancel: CancelToken,
}

/// Partial aggregates, one per frame.
enum Partial {
    Folded(Folded),
    /// The least or greatest values.
    Values(Column),
    None,
}

/// Blocks that were read.
#[derive(Default)]
struct Region {
    blocks: Range<usize>,
    arguments: Vec<(Column, DataType)>,
    filter: Option<Column>,
}

/// Rows of a block whose frames are taken together.
struct Lot {
    rows: Range<usize>,
    /// Blocks in which their frames start, and end.
    head: Range<usize>,
    tail: Range<usize>,
}

impl Lot {
    /// Blocks in all of their frames; none when what is read of both ends touches.
    fn between(&self) -> Option<Range<usize>> {
        (self.head.end < self.tail.start).then_some(self.head.end..self.tail.start)
    }
}

/// The lots of a block's frames.
fn lots(bounds: &Bounds, step: u64) -> Vec<Lot> {
    let block = |row: u64| row / step;
    let mut lots = Vec::new();
    let mut from = 0;
    while let (Some(&start), Some(&end)) = (bounds.starts.get(from), bounds.ends.get(from)) {
        let near = |all: &[u64], first: u64| all[from..].partition_point(|&row| block(row) <= block(first) + 1);
        let len = near(&bounds.starts, start).min(near(&bounds.ends, end));
        let (last_start, last_end) = (bounds.starts[from + len - 1], bounds.ends[from + len - 1]);
        lots.push(Lot {
            rows: from..from + len,
            head: block(start) as usize..block(last_start) as usize + 1,
            tail: block(end) as usize..last_end.div_ceil(step) as usize,
        });
        from += len;
    }
    lots
}

/// `more` behind those so far.
fn followed_by(folded: Option<Folded>, more: Folded) -> Result<Folded> {
    match folded {
        Some(folded) => folded.followed_by(more),
        None => Ok(more),
    }
}

impl<'a> Summary<'a> {
    /// Sums up every block, if frames have whole blocks between their ends.
    pub(super) fn new(
        aggregate: &'a AggregateFunction,
        function: &'a WindowExpression,
        columns: &FunctionColumns,
        collected: &'a Collected,
        rows: &'a Spooled,
        task: &TaskContext,
    ) -> Result<Self> {
        let column = |argument: &Argument| match argument {
            Argument::Column(column) => Ok(*column),
            Argument::Constant(..) => Err(Error::internal("an aggregate's argument is a column")),
        };
        let mut summary = Summary {
            rows,
            aggregate,
            function,
            arguments: columns.arguments.iter().map(column).collect::<Result<_>>()?,
            filter: columns.filter,
            walk: FrameWalk::new(&function.frame, collected, rows)?,
            between: Partial::None,
            lot: 0,
            head: Region::default(),
            tail: Region::default(),
            cancel: task.cancel.clone(),
        };
        let mut walk = FrameWalk::new(&function.frame, collected, rows)?;
        let mut between = Frames::default();
        for _ in 0..rows.blocks() {
            task.cancel.check()?;
            for blocks in lots(&walk.next()?, rows.step).iter().filter_map(Lot::between) {
                between.starts.push(blocks.start as u32);
                between.ends.push(blocks.end as u32);
            }
        }
        if !between.starts.is_empty() {
            summary.between = summary.of_blocks(&between, task)?;
        }
        Ok(summary)
    }

    /// The partial aggregates of ranges of blocks.
    fn of_blocks(&self, between: &Frames, task: &TaskContext) -> Result<Partial> {
        let (mut folded, mut values): (Option<Folded>, Vec<Column>) = (None, Vec::new());
        for block in 0..self.rows.blocks() {
            task.cancel.check()?;
            let region = self.read(block..block + 1)?;
            let rows = self.rows.range(block);
            let all = Frames { starts: vec![0], ends: vec![(rows.end - rows.start) as u32] };
            match self.partial(&region, &all)? {
                Partial::Folded(one) => folded = Some(followed_by(folded, one)?),
                Partial::Values(one) => values.push(one.own_strings()),
                Partial::None => {}
            }
            if values.len() == TOGETHER {
                values = vec![self.joined(values)?];
            }
        }
        if let Some(folded) = folded {
            return Ok(Partial::Folded(folded.in_frames(between)));
        }
        let region =
            Region { blocks: 0..0, arguments: vec![(self.joined(values)?, self.argument_type()?)], filter: None };
        self.partial(&region, between)
    }

    fn argument_type(&self) -> Result<DataType> {
        let column = self.arguments.first().ok_or_else(|| Error::internal("an aggregate lacks its argument"))?;
        Ok(self.rows.types[*column].clone())
    }

    fn joined(&self, values: Vec<Column>) -> Result<Column> {
        Column::concat_owned(values, &self.argument_type()?)
    }

    /// Some blocks, one behind the other. Of least and greatest values, those that do not count are null.
    fn read(&self, blocks: Range<usize>) -> Result<Region> {
        let mut wanted = self.arguments.clone();
        wanted.extend(self.filter);
        let read = blocks.clone().map(|block| self.rows.columns(block, &wanted)).collect::<Result<Vec<_>>>()?;
        let column = |(index, &column): (usize, &usize)| {
            let parts = read.iter().map(|columns| columns[index].clone()).collect();
            Column::concat_owned(parts, &self.rows.types[column])
        };
        let mut columns = wanted.iter().enumerate().map(column).collect::<Result<Vec<_>>>()?;
        let filter = columns.split_off(self.arguments.len()).pop();
        let typed = columns.into_iter().zip(&self.arguments).map(|(c, &a)| (c, self.rows.types[a].clone()));
        let mut region = Region { blocks, arguments: typed.collect(), filter };
        if self.is_extreme()
            && let (Some(filter), Some((column, _))) = (region.filter.take(), region.arguments.first_mut())
        {
            let counted = Bitmap::and_optional(Some(&true_rows(&filter)), column.validity());
            *column = column.clone().with_validity(counted);
        }
        Ok(region)
    }

    fn is_extreme(&self) -> bool {
        matches!(self.aggregate, AggregateFunction::Min | AggregateFunction::Max)
    }

    /// The partial aggregates of frames within a region.
    fn partial(&self, region: &Region, frames: &Frames) -> Result<Partial> {
        let ends = [0, self.rows_of(region) as u32];
        let (arguments, filter) = (region.arguments.clone(), region.filter.as_ref());
        let call = Call::new(self.aggregate, arguments, filter, frames, &ends, &self.function.data_type, &self.cancel);
        match self.aggregate {
            AggregateFunction::Min => call.extreme(true).map(Partial::Values),
            AggregateFunction::Max => call.extreme(false).map(Partial::Values),
            _ => call.folded(self.aggregate).map(Partial::Folded),
        }
    }

    fn rows_of(&self, region: &Region) -> usize {
        match region.arguments.first() {
            Some((column, _)) => column.len(),
            None => (self.end_of(&region.blocks) - region.blocks.start as u64 * self.rows.step) as usize,
        }
    }

    /// The row behind the last one of some blocks.
    fn end_of(&self, blocks: &Range<usize>) -> u64 {
        (blocks.end as u64 * self.rows.step).min(self.rows.rows)
    }

    /// The column of the next block.
    pub(super) fn next(&mut self) -> Result<Column> {
        let bounds = self.walk.next()?;
        let (mut folded, mut values): (Option<Folded>, Vec<Column>) = (None, Vec::new());
        for lot in lots(&bounds, self.rows.step) {
            match self.of_lot(&lot, &bounds)? {
                Partial::Folded(more) => folded = Some(followed_by(folded, more)?),
                Partial::Values(more) => values.push(more.own_strings()),
                Partial::None => {}
            }
        }
        match folded {
            Some(folded) => {
                let argument = self.arguments.first().map(|&column| &self.rows.types[column]);
                folded.finish(self.aggregate, argument, &self.function.data_type)
            }
            None => self.joined(values),
        }
    }

    fn of_lot(&mut self, lot: &Lot, bounds: &Bounds) -> Result<Partial> {
        let (starts, ends) = (&bounds.starts[lot.rows.clone()], &bounds.ends[lot.rows.clone()]);
        let step = self.rows.step;
        // Row numbers behind the first row of a block; `shift` rows are put in front of it.
        let local = |rows: &[u64], block: usize, shift: usize| -> Vec<u32> {
            let first = block as u64 * step;
            rows.iter().map(|row| (row - first) as u32 + shift as u32).collect()
        };
        let head = std::mem::take(&mut self.head);
        if lot.between().is_none() {
            // Empty frames may lie at the end, or where no block is read: one is there in any case.
            let first = lot.head.start.min(self.rows.blocks() - 1);
            self.head = self.reread(head, first..lot.tail.end.max(first + 1))?;
            let local = |rows| local(rows, first, 0);
            return self.partial(&self.head, &Frames { starts: local(starts), ends: local(ends) });
        }
        self.head = self.reread(head, lot.head.clone())?;
        let tail = std::mem::take(&mut self.tail);
        self.tail = self.reread(tail, lot.tail.clone())?;
        let (index, len, head_rows) = (self.lot, starts.len(), self.rows_of(&self.head));
        self.lot += 1;
        let starts = local(starts, lot.head.start, 0);
        match &self.between {
            Partial::Folded(between) => {
                let head = self.partial(&self.head, &Frames { ends: vec![head_rows as u32; len], starts })?;
                let ends = local(ends, lot.tail.start, 0);
                let tail = self.partial(&self.tail, &Frames { starts: vec![0; len], ends })?;
                let (Partial::Folded(head), Partial::Folded(tail)) = (head, tail) else {
                    return Err(Error::internal("parts of an aggregate are folded"));
                };
                head.merged(&between.repeated(index, len))?.merged(&tail).map(Partial::Folded)
            }
            Partial::Values(between) => {
                let parts =
                    [&self.head.arguments, &self.tail.arguments].map(|a| a.first().map(|(column, _)| column.clone()));
                let [Some(head), Some(tail)] = parts else {
                    return Err(Error::internal("an aggregate lacks its argument"));
                };
                let column = self.joined(vec![head, between.slice(index, 1), tail])?;
                let region = Region { blocks: 0..0, arguments: vec![(column, self.argument_type()?)], filter: None };
                let ends = local(ends, lot.tail.start, head_rows + 1);
                self.partial(&region, &Frames { starts, ends })
            }
            Partial::None => Err(Error::internal("frames over blocks that were not summed up")),
        }
    }

    /// `region`, if it is of these blocks; else they are read.
    fn reread(&self, region: Region, blocks: Range<usize>) -> Result<Region> {
        if region.blocks == blocks && !blocks.is_empty() {
            return Ok(region);
        }
        drop(region);
        self.read(blocks)
    }
}
