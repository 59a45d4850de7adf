//! Library and user aggregates over whole partitions on disk: one accumulator that sees block after block.
//!
//! What grows: the accumulator, as it says itself, under a reservation.

use arrow_array::UInt32Array;

use super::super::aggregate::true_rows;
use super::super::custom::arrays;
use super::super::partition::{Argument, FunctionColumns};
use super::super::{FrameBound, FrameUnits, WindowExpression};
use super::spool::Spooled;
use crate::batch::Column;
use crate::batch::arrow::import_column;
use crate::error::{Error, Result};
use crate::operators::aggregate::CustomAggregate;
use crate::pipeline::TaskContext;

/// Whether the frames of `function` are whole partitions.
pub(super) fn is_whole(function: &WindowExpression, is_ordered: bool) -> bool {
    let frame = &function.frame;
    let to_the_end = match frame.end {
        FrameBound::UnboundedFollowing => true,
        // Without an order all are peers.
        FrameBound::CurrentRow => !is_ordered && frame.units != FrameUnits::Rows,
        _ => false,
    };
    frame.start == FrameBound::UnboundedPreceding && to_the_end
}

/// The aggregate of all rows, as a column of one.
pub(super) fn of_all_rows(
    aggregate: &dyn CustomAggregate,
    columns: &FunctionColumns,
    rows: &Spooled,
    task: &TaskContext,
) -> Result<Column> {
    let column = |argument: &Argument| match argument {
        Argument::Column(column) => Ok(*column),
        Argument::Constant(..) => Err(Error::internal("an aggregate's argument is a column")),
    };
    let arguments = columns.arguments.iter().map(column).collect::<Result<Vec<usize>>>()?;
    let reservation = task.memory.reservation(format!("Window ({} over a partition on disk)", aggregate.name()));
    let mut accumulator = aggregate.create()?;
    for block in 0..rows.blocks() {
        task.cancel.check()?;
        let read = rows.columns(block, &arguments)?;
        let typed: Vec<_> = read.into_iter().zip(&arguments).map(|(c, &a)| (c, rows.types[a].clone())).collect();
        let filter = columns.filter.map(|filter| rows.column(block, filter)).transpose()?;
        let range = rows.range(block);
        let passes = filter.as_ref().map(true_rows);
        let some = 0..(range.end - range.start) as u32;
        let some: UInt32Array =
            some.filter(|&row| passes.as_ref().is_none_or(|p| p.get(row as usize))).collect::<Vec<u32>>().into();
        let arrays = arrays(aggregate, &typed)?;
        let taken = arrays.iter().map(|a| Ok(arrow_select::take::take(a, &some, None)?)).collect::<Result<Vec<_>>>()?;
        accumulator.update(&taken, &vec![0; some.values().len()], 1)?;
        reservation.resize(accumulator.memory_bytes())?;
    }
    import_column(&accumulator.evaluate()?)
}
