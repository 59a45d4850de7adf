//! Library and user aggregates over frames.
//!
//! Their accumulators hold many groups: every distinct frame is a group, and rows are handed over once per frame they lie in. Where frames
//! only grow and that would be quadratic, the state before a block of rows is computed once and merged into each row's group.

use arrow_array::{ArrayRef, UInt32Array};
use arrow_schema::DataType;
use plasmon_kernels::window::frame::Frames;

use super::aggregate::Call;
use crate::batch::Column;
use crate::batch::arrow::{export_column, import_column};
use crate::error::{Error, Result};
use crate::operators::aggregate::CustomAggregate;

/// Rows handed over in one call at most (one frame may exceed it).
const UPDATE_ROWS_MAX: usize = 1 << 16;
/// Frames that only grow are advanced in blocks of this many rows when they hold more rows on average.
const BLOCK_ROWS: u32 = 32;

/// The aggregate of each row's frame.
pub(super) fn evaluate(aggregate: &dyn CustomAggregate, call: &Call<'_>) -> Result<Column> {
    let arguments = arrays(aggregate, &call.arguments)?;
    let evaluation = Evaluation { aggregate, arguments, call };
    let (frames, frame_of) = distinct_frames(call.frames);
    let rows: usize = frames.iter().map(|(s, e)| (e - s) as usize).sum();
    let grows = call.frames.only_grow(call.partitions);
    let results = if grows && rows > frames.len() * BLOCK_ROWS as usize * 2 {
        evaluation.growing(&frames)?
    } else {
        evaluation.each(&frames)?
    };
    let expanded = arrow_select::take::take(&results, &UInt32Array::from(frame_of), None)?;
    import_column(&expanded)
}

/// Arguments as the aggregate takes them.
pub(super) fn arrays(aggregate: &dyn CustomAggregate, arguments: &[(Column, DataType)]) -> Result<Vec<ArrayRef>> {
    let array = |((column, from), to): (&(Column, DataType), DataType)| {
        let array = export_column(column, from)?;
        if array.data_type() == &to { Ok(array) } else { Ok(arrow_cast::cast(&array, &to)?) }
    };
    arguments.iter().zip(aggregate.argument_types()).map(array).collect()
}

/// The frames that differ from the one before, and which of them each row has.
fn distinct_frames(frames: &Frames) -> (Vec<(u32, u32)>, Vec<u32>) {
    let mut distinct: Vec<(u32, u32)> = Vec::new();
    let frame_of = frames
        .starts
        .iter()
        .zip(&frames.ends)
        .map(|(&start, &end)| {
            if distinct.last() != Some(&(start, end)) {
                distinct.push((start, end));
            }
            distinct.len() as u32 - 1
        })
        .collect();
    (distinct, frame_of)
}

struct Evaluation<'a> {
    aggregate: &'a dyn CustomAggregate,
    arguments: Vec<ArrayRef>,
    call: &'a Call<'a>,
}

impl Evaluation<'_> {
    /// Adds rows `start..end` that pass the filter to `rows` under group `group`.
    fn add_rows(&self, start: u32, end: u32, group: usize, rows: &mut Vec<u32>, groups: &mut Vec<usize>) {
        rows.extend((start..end).filter(|&row| self.call.filter.as_ref().is_none_or(|f| f.get(row as usize))));
        groups.resize(rows.len(), group);
    }

    fn take(&self, rows: Vec<u32>) -> Result<Vec<ArrayRef>> {
        let rows = UInt32Array::from(rows);
        self.arguments.iter().map(|a| Ok(arrow_select::take::take(a, &rows, None)?)).collect()
    }

    /// Every frame from its rows.
    fn each(&self, frames: &[(u32, u32)]) -> Result<ArrayRef> {
        let mut results = Vec::new();
        let mut next = 0;
        while next < frames.len() {
            self.call.cancel.check()?;
            let first = next;
            let (mut rows, mut groups) = (Vec::new(), Vec::new());
            while next < frames.len()
                && (next == first || rows.len() + ((frames[next].1 - frames[next].0) as usize) <= UPDATE_ROWS_MAX)
            {
                self.add_rows(frames[next].0, frames[next].1, next - first, &mut rows, &mut groups);
                next += 1;
            }
            let mut accumulator = self.aggregate.create()?;
            accumulator.update(&self.take(rows)?, &groups, next - first)?;
            results.push(accumulator.evaluate()?);
        }
        concat(&results)
    }

    /// Frames of which each starts where the one before does and ends later, or starts anew.
    fn growing(&self, frames: &[(u32, u32)]) -> Result<ArrayRef> {
        let mut results = Vec::new();
        let mut next = 0;
        // State of rows `start..reached`, when some rows are behind.
        let mut state: Option<Vec<ArrayRef>> = None;
        let (mut start, mut reached) = (0, 0);
        while next < frames.len() {
            self.call.cancel.check()?;
            if frames[next].0 != start || next == 0 {
                (start, reached, state) = (frames[next].0, frames[next].0, None);
            }
            let first = next;
            while next < frames.len()
                && frames[next].0 == start
                && (next == first || frames[next].1 - reached <= BLOCK_ROWS)
            {
                next += 1;
            }
            let count = next - first;
            let (mut rows, mut groups) = (Vec::new(), Vec::new());
            for (group, frame) in frames[first..next].iter().enumerate() {
                self.add_rows(reached, frame.1, group, &mut rows, &mut groups);
            }
            let mut accumulator = self.aggregate.create()?;
            self.merge_state(accumulator.as_mut(), state.as_deref(), count)?;
            accumulator.update(&self.take(rows)?, &groups, count)?;
            results.push(accumulator.evaluate()?);
            // Move the state on to the end of the last frame.
            let end = frames[next - 1].1;
            let (mut rows, mut groups) = (Vec::new(), Vec::new());
            self.add_rows(reached, end, 0, &mut rows, &mut groups);
            let mut accumulator = self.aggregate.create()?;
            self.merge_state(accumulator.as_mut(), state.as_deref(), 1)?;
            accumulator.update(&self.take(rows)?, &groups, 1)?;
            state = Some(accumulator.state()?);
            reached = end;
        }
        concat(&results)
    }

    /// Merges one group's state into each of `groups` groups.
    fn merge_state(
        &self,
        accumulator: &mut dyn crate::operators::aggregate::CustomAccumulator,
        state: Option<&[ArrayRef]>,
        groups: usize,
    ) -> Result<()> {
        let Some(state) = state else { return Ok(()) };
        let repeated = UInt32Array::from(vec![0u32; groups]);
        let state = state
            .iter()
            .map(|s| Ok(arrow_select::take::take(s, &repeated, None)?))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let ids: Vec<usize> = (0..groups).collect();
        accumulator.merge(&state, &ids, groups)
    }
}

fn concat(results: &[ArrayRef]) -> Result<ArrayRef> {
    let parts: Vec<&dyn arrow_array::Array> = results.iter().map(|r| r.as_ref()).collect();
    if parts.is_empty() {
        return Err(Error::internal("a window without frames"));
    }
    Ok(arrow_select::concat::concat(&parts)?)
}
