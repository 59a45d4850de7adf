//! One partition in pieces, for functions whose value at a row follows from the row before and little else.
//!
//! ```text
//! piece ──functions as if it were a partition──▶ columns ──with what the pieces before came to──▶ columns of the partition
//! ```
//! A piece ends where a group of peers ends, if any function looks at peers. What is carried is the last row's values, and the number of rows.

use arrow_schema::DataType;

use super::function::{floats, integer_column, integers};
use super::{FrameBound, FrameUnits, WindowExpression, WindowFunction, WindowSpec};
use crate::batch::{Batch, Bitmap, Column, Values};
use crate::error::Result;
use crate::expression::Scalar;
use crate::operators::aggregate::AggregateFunction;

/// How a function's values in a piece become those in the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carry {
    /// The rows so far are added.
    Rows,
    /// The last value so far is added.
    Sum,
    /// The last value so far stays.
    First,
}

fn carry(function: &WindowExpression) -> Option<Carry> {
    let frame = &function.frame;
    let is_running = frame.start == FrameBound::UnboundedPreceding && frame.end == FrameBound::CurrentRow;
    match &function.function {
        WindowFunction::RowNumber | WindowFunction::Rank => Some(Carry::Rows),
        WindowFunction::DenseRank => Some(Carry::Sum),
        WindowFunction::FirstValue if is_running && !function.ignore_nulls => Some(Carry::First),
        WindowFunction::Aggregate(aggregate) if is_running && !function.distinct => match aggregate {
            AggregateFunction::Count | AggregateFunction::CountAll | AggregateFunction::Sum => Some(Carry::Sum),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a function's value is the same for all peers of a row.
fn looks_at_peers(function: &WindowExpression) -> bool {
    match function.function {
        WindowFunction::RowNumber => false,
        WindowFunction::Rank | WindowFunction::DenseRank => true,
        _ => function.frame.units != FrameUnits::Rows,
    }
}

/// Where a partition may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cuts {
    Nowhere,
    BetweenPeers,
    Anywhere,
}

/// Where the partitions of `spec` may be cut.
pub(super) fn cuts(spec: &WindowSpec) -> Cuts {
    if !spec.functions.iter().all(|f| carry(f).is_some()) {
        return Cuts::Nowhere;
    }
    match (spec.functions.iter().any(looks_at_peers), spec.order_by.is_empty()) {
        (false, _) => Cuts::Anywhere,
        (true, false) => Cuts::BetweenPeers,
        (true, true) => Cuts::Nowhere,
    }
}

/// What the pieces of a partition so far came to.
#[derive(Debug, Default)]
pub(super) struct Carried {
    rows: usize,
    /// The last row's values, by function; none before the first piece.
    values: Vec<Scalar>,
}

impl Carried {
    /// The batches of the next piece, as parts of the partition.
    pub(super) fn apply(&mut self, batches: Vec<Batch>, spec: &WindowSpec) -> Result<Vec<Batch>> {
        let payload = spec.types.len();
        let output = batches.iter().map(|batch| self.continued(batch, spec)).collect::<Result<Vec<_>>>()?;
        self.rows += output.iter().map(Batch::rows).sum::<usize>();
        if let Some(last) = output.last() {
            let row = last.rows() - 1;
            self.values = last.columns()[payload..].iter().map(|column| Scalar::from_column(column, row)).collect();
        }
        Ok(output)
    }

    /// A batch of the piece behind those so far, as part of the partition.
    pub(super) fn continued(&self, batch: &Batch, spec: &WindowSpec) -> Result<Batch> {
        let payload = spec.types.len();
        let mut columns = batch.columns().to_vec();
        for (index, (function, before)) in spec.functions.iter().zip(&self.values).enumerate() {
            let column = &mut columns[payload + index];
            *column = match carry(function) {
                Some(Carry::Rows) => add(column, &Scalar::Int64(self.rows as i64), &function.data_type)?,
                Some(Carry::Sum) => add(column, before, &function.data_type)?,
                _ => before.to_column(&function.data_type, batch.rows())?,
            };
        }
        Ok(batch.with_columns(columns))
    }
}

/// `column` with `number` added to every value; where there is none, `number` itself. Null adds nothing.
fn add(column: &Column, number: &Scalar, data_type: &DataType) -> Result<Column> {
    let whole = match number {
        Scalar::Null => return Ok(column.clone()),
        Scalar::Int64(number) => i128::from(*number),
        Scalar::UInt64(number) => i128::from(*number),
        Scalar::Int128(number) => *number,
        Scalar::Float64(number) => {
            let sum = |(row, value): (usize, f64)| if column.is_valid(row) { value + number } else { *number };
            return Ok(Column::flat(Values::Float64(floats(column)?.into_iter().enumerate().map(sum).collect())));
        }
        other => integers(&other.to_column(data_type, 1)?.flatten())?.first().copied().unwrap_or(0),
    };
    // Far beyond what any type of sums holds, and refused as such.
    let sum = |(row, value): (usize, i128)| if column.is_valid(row) { value.saturating_add(whole) } else { whole };
    let sums: Vec<i128> = integers(column)?.into_iter().enumerate().map(sum).collect();
    integer_column(sums.into_iter(), None::<Bitmap>, data_type)
}
