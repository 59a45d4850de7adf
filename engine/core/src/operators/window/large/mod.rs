//! A partition that memory cannot hold: its rows lie on disk, and function after function goes over them, whatever rows it looks at.
//!
//! ```text
//! rows in order ──spool.rs──▶ blocks on disk ──function by function──▶ a column each, block by block, on disk ──▶ batches
//!                                  ├─ numbers and ranks: from the number of rows and where peers start
//!                                  ├─ values of other rows (navigate.rs): read where frames (bounds.rs) and offsets move
//!                                  └─ aggregates (summary.rs): from summaries of blocks, and the blocks at the ends of frames
//! ```
//! What grows: some dozen bytes a block. At work are a few blocks of the columns that one function reads. DISTINCT that makes a difference, and aggregates of a
//! library or a host over less than whole partitions (`whole.rs`), need all rows of a frame at once, and therefore the partition in memory.

mod bounds;
mod navigate;
mod spool;
mod summary;
#[cfg(test)]
mod tests;
mod whole;

use std::sync::Arc;

use plasmon_kernels::window::rank::split_range;

use super::function::{argument, as_type, buckets, default, describe, integer_column, number, offset};
use super::partition::{Argument, FunctionColumns};
use super::{Shared, WindowExpression, WindowFunction};
use crate::batch::arrow::null_column;
use crate::batch::{Batch, Column, Values, is_null_type, physical_type};
use crate::error::Result;
use crate::expression::Scalar;
use crate::metrics::OperatorMetrics;
use crate::operators::aggregate::AggregateFunction;
use crate::operators::sort::RowSources;
use crate::pipeline::TaskContext;
use crate::spill::SpillFile;
use bounds::FrameWalk;
use navigate::{NOWHERE, Ordinals, Picker, Wanted};
pub(super) use spool::Spool;
use spool::Spooled;
use summary::Summary;
use whole::{is_whole, of_all_rows};

/// Columns of so many blocks are written as one: less is kept of them.
const TOGETHER: usize = 4;

/// The first function that needs its partition in memory, as EXPLAIN shows it; partitions may have an order.
pub(super) fn in_memory_only(functions: &[WindowExpression], is_ordered: bool) -> Option<String> {
    let needs_memory = |function: &&WindowExpression| match &function.function {
        WindowFunction::Aggregate(AggregateFunction::Custom(_)) => !is_whole(function, is_ordered),
        WindowFunction::Aggregate(aggregate) => function.distinct && !aggregate.ignores_duplicates(),
        _ => false,
    };
    functions.iter().find(needs_memory).map(describe)
}

/// A partition on disk whose functions are computed.
pub(super) struct LargePartition {
    shared: Arc<Shared>,
    rows: Spooled,
    /// By function.
    computed: Vec<Arc<SpillFile>>,
    /// The next block to give.
    block: usize,
}

impl LargePartition {
    /// Computes all functions.
    pub(super) fn new(
        spool: Spool,
        shared: &Arc<Shared>,
        task: &TaskContext,
        metrics: &Arc<OperatorMetrics>,
    ) -> Result<Self> {
        let rows = spool.finish()?;
        let mut computed = Vec::with_capacity(shared.spec.functions.len());
        for (function, columns) in shared.spec.functions.iter().zip(&shared.collected.functions) {
            let file = task.spill.file("Window", metrics)?;
            let mut column = evaluator(Work { function, columns, shared, rows: &rows }, task)?;
            let mut together = Vec::with_capacity(TOGETHER);
            for block in 0..rows.blocks() {
                task.cancel.check()?;
                together.push(column(block)?);
                if together.len() == TOGETHER || block + 1 == rows.blocks() {
                    file.append(&together, together.iter().map(Column::len).sum())?;
                    together.clear();
                }
            }
            computed.push(file);
        }
        Ok(LargePartition { shared: shared.clone(), rows, computed, block: 0 })
    }

    /// The next rows with all columns; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Batch>> {
        if self.block == self.rows.blocks() {
            return Ok(None);
        }
        let payload: Vec<usize> = (0..self.shared.spec.types.len()).collect();
        let mut columns = self.rows.columns(self.block, &payload)?;
        for (file, function) in self.computed.iter().zip(&self.shared.spec.functions) {
            let computed = file.columns(self.block / TOGETHER, &[self.block % TOGETHER])?.columns;
            columns.extend(computed.iter().map(|c| c.flatten().widen(physical_type(&function.data_type))));
        }
        let range = self.rows.range(self.block);
        self.block += 1;
        Ok(Some(Batch::new(columns, (range.end - range.start) as usize)))
    }
}

/// Gives a function's column of each block, one after the other.
type Evaluator<'a> = Box<dyn FnMut(usize) -> Result<Column> + 'a>;

/// A function, and what it is computed from.
#[derive(Clone, Copy)]
struct Work<'a> {
    function: &'a WindowExpression,
    columns: &'a FunctionColumns,
    shared: &'a Shared,
    rows: &'a Spooled,
}

fn evaluator<'a>(work: Work<'a>, task: &TaskContext) -> Result<Evaluator<'a>> {
    match &work.function.function {
        WindowFunction::Lag => shifted(work, -1),
        WindowFunction::Lead => shifted(work, 1),
        WindowFunction::FirstValue => nth(work, 1),
        WindowFunction::LastValue => nth(work, -1),
        WindowFunction::NthValue => {
            let n = number(constant(argument(work.columns, 1, work.function)?, work.rows)?, work.function)?;
            nth(work, n)
        }
        WindowFunction::Aggregate(aggregate) => aggregated(aggregate, work, task),
        _ => numbered(work),
    }
}

/// An argument that is the same for all rows.
fn constant(argument: &Argument, rows: &Spooled) -> Result<Scalar> {
    match argument {
        Argument::Constant(value, _) => Ok(value.clone()),
        Argument::Column(column) => Ok(Scalar::from_column(&rows.column(0, *column)?, 0)),
    }
}

/// Row numbers, ranks, and shares of the partition.
fn numbered<'a>(work: Work<'a>) -> Result<Evaluator<'a>> {
    let Work { function, columns, rows, .. } = work;
    let parts = match function.function {
        WindowFunction::Ntile => buckets(constant(argument(columns, 0, function)?, rows)?, function)?,
        _ => 1,
    };
    let numbers = |numbers: Vec<u64>| integer_column(numbers.into_iter().map(i128::from), None, &function.data_type);
    let shares = |of: Vec<u64>, all: u64| {
        Column::flat(Values::Float64(of.iter().map(|&part| part as f64 / all as f64).collect()))
    };
    Ok(Box::new(move |block| {
        let range = rows.range(block);
        let peers = || rows.peers.of_rows(block, range.clone());
        match function.function {
            WindowFunction::Rank => numbers(peers()?.starts.into_iter().map(|start| start + 1).collect()),
            WindowFunction::DenseRank => numbers(peers()?.numbers.into_iter().map(|number| number + 1).collect()),
            WindowFunction::PercentRank => Ok(shares(peers()?.starts, (rows.rows - 1).max(1))),
            WindowFunction::CumulativeDistribution => Ok(shares(peers()?.ends, rows.rows)),
            WindowFunction::Ntile => {
                let mut output = Vec::new();
                split_range(range, rows.rows, parts, &mut output);
                numbers(output)
            }
            _ => numbers((range.start + 1..=range.end).collect()),
        }
    }))
}

/// Lag (direction −1) and lead (1).
fn shifted<'a>(work: Work<'a>, direction: i64) -> Result<Evaluator<'a>> {
    let Work { function, columns, rows, .. } = work;
    let value = argument(columns, 0, function)?;
    let offset = columns.arguments.get(1).map(|argument| constant(argument, rows)).transpose()?;
    let offset = self::offset(offset, function, direction)?;
    let Some(wanted) = wanted(value, function.ignore_nulls) else { return Ok(nulls(&function.data_type, rows)) };
    let (mut ordinals, mut values) = (Ordinals::new(wanted, rows)?, Picker::new(value, rows));
    let mut defaults = default(columns).map(|default| Picker::new(default, rows));
    Ok(Box::new(move |block| {
        let range = rows.range(block);
        let targets = range.clone().map(|row| ordinals.shifted(row, offset)).collect::<Result<Vec<u64>>>()?;
        let picked = values.pick(&targets)?;
        let Some(defaults) = &mut defaults else { return Ok(picked) };
        let data_type = values.data_type();
        let here: Vec<u64> = range.collect();
        let default = as_type(defaults.pick(&here)?, defaults.data_type(), data_type)?;
        let sources = RowSources::new(vec![picked.flatten().widen(physical_type(data_type)), default], data_type);
        let runs: Vec<u32> = targets.iter().map(|&target| (target == NOWHERE) as u32).collect();
        sources.gather(&runs, &(0..targets.len() as u32).collect::<Vec<u32>>())
    }))
}

/// First (1), last (−1) and nth value of the frame.
fn nth<'a>(work: Work<'a>, n: i64) -> Result<Evaluator<'a>> {
    nth_wanted(work, work.function.ignore_nulls, None, n)
}

/// The same of the rows that pass `filter`, without those that are null if `ignore_nulls`.
fn nth_wanted<'a>(work: Work<'a>, ignore_nulls: bool, filter: Option<usize>, n: i64) -> Result<Evaluator<'a>> {
    let Work { function, columns, shared, rows } = work;
    let value = argument(columns, 0, function)?;
    let Some(wanted) = wanted(value, ignore_nulls) else { return Ok(nulls(&function.data_type, rows)) };
    let wanted = Wanted { filter, ..wanted };
    let (mut ordinals, mut values) = (Ordinals::new(wanted, rows)?, Picker::new(value, rows));
    let mut walk = FrameWalk::new(&function.frame, &shared.collected, rows)?;
    Ok(Box::new(move |_| values.pick(&ordinals.nth(&walk.next()?, n)?)))
}

/// The rows that are looked at; `None` = no row has a value.
fn wanted(value: &Argument, ignore_nulls: bool) -> Option<Wanted> {
    match value {
        Argument::Column(column) if ignore_nulls => Some(Wanted { filter: None, valid: vec![*column] }),
        Argument::Constant(value, _) if ignore_nulls && value.is_null() => None,
        _ => Some(Wanted::default()),
    }
}

fn nulls<'a>(data_type: &'a arrow_schema::DataType, rows: &'a Spooled) -> Evaluator<'a> {
    Box::new(move |block| {
        let range = rows.range(block);
        Ok(null_column(data_type, (range.end - range.start) as usize))
    })
}

fn aggregated<'a>(aggregate: &'a AggregateFunction, work: Work<'a>, task: &TaskContext) -> Result<Evaluator<'a>> {
    let Work { function, columns, shared, rows } = work;
    let first_or_last = match aggregate {
        AggregateFunction::First { ignore_nulls } => Some((1, *ignore_nulls)),
        AggregateFunction::Last { ignore_nulls } => Some((-1, *ignore_nulls)),
        _ => None,
    };
    if let Some((n, ignore_nulls)) = first_or_last {
        return nth_wanted(work, ignore_nulls, columns.filter, n);
    }
    if let AggregateFunction::Custom(custom) = aggregate {
        let value = of_all_rows(custom.as_ref(), columns, rows, task)?;
        return Ok(Box::new(move |block| {
            let range = rows.range(block);
            Ok(value.gather(&vec![0_u32; (range.end - range.start) as usize]))
        }));
    }
    let is_null_column =
        |argument: &Argument| matches!(argument, Argument::Column(column) if is_null_type(&rows.types[*column]));
    if aggregate.is_computing() && columns.arguments.iter().any(is_null_column) {
        return Ok(nulls(&function.data_type, rows));
    }
    let mut summary = Summary::new(aggregate, function, columns, &shared.collected, rows, task)?;
    Ok(Box::new(move |_| summary.next()))
}
