//! What an aggregation reads of a batch: keys, and the arguments or states of its aggregates.

use std::ops::Range;

use super::share::Share;
use super::{AggregateFunction, AggregateSpec, grouping_id};
use crate::batch::{Batch, Column, Physical};
use crate::error::Result;
use crate::expression::{Expression, Scalar, evaluate};

/// Arguments that aggregates read of every row, each once.
pub(super) struct Arguments {
    expressions: Vec<Expression>,
    /// Per aggregate, what it reads; `None` = it has a filter, and evaluates its own on the rows kept.
    of: Vec<Option<Vec<usize>>>,
}

impl Arguments {
    pub(super) fn of(spec: &AggregateSpec) -> Self {
        let mut expressions: Vec<Expression> = Vec::new();
        let mut slot = |expression: &Expression| {
            expressions.iter().position(|e| e == expression).unwrap_or_else(|| {
                expressions.push(expression.clone());
                expressions.len() - 1
            })
        };
        let of = spec
            .aggregates
            .iter()
            .map(|aggregate| aggregate.filter.is_none().then(|| read_by(aggregate).map(&mut slot).collect()));
        let of = of.collect();
        Arguments { expressions, of }
    }
}

/// Keys of some rows, and what each aggregate reads of them.
pub(super) struct Rows {
    pub(super) keys: Vec<Column>,
    pub(super) inputs: Vec<Input>,
    pub(super) count: usize,
}

impl Rows {
    /// The selected rows of a batch; `share` is of that aggregation.
    pub(super) fn of(spec: &AggregateSpec, arguments: &Arguments, batch: &Batch, share: &Share) -> Result<Self> {
        let inputs = inputs(spec, arguments, batch, share)?;
        Ok(Rows { keys: keys(spec, batch)?, inputs, count: batch.selected_rows() })
    }

    /// Some of the rows; what they do not need of large dictionaries is left out, which a table keeps words for.
    pub(super) fn slice(&self, rows: Range<usize>) -> Rows {
        Rows {
            keys: self.keys.iter().map(|key| key.slice(rows.start, rows.len()).without_large_dictionary()).collect(),
            inputs: self.inputs.iter().map(|input| input.slice(&rows)).collect(),
            count: rows.len(),
        }
    }
}

/// What one aggregate reads of some rows.
pub(super) struct Input {
    pub(super) columns: Vec<Column>,
    /// Rows that its FILTER keeps; `None` = all.
    pub(super) kept: Option<Vec<u32>>,
}

impl Input {
    fn slice(&self, rows: &Range<usize>) -> Input {
        let row = |row: usize| self.kept.as_ref().map_or(row, |kept| kept.partition_point(|&k| (k as usize) < row));
        let own = row(rows.start)..row(rows.end);
        let kept = self.kept.as_ref().map(|kept| kept[own.clone()].iter().map(|&k| k - rows.start as u32).collect());
        Input { columns: self.columns.iter().map(|c| c.slice(own.start, own.len())).collect(), kept }
    }
}

/// The expressions that an aggregate reads: arguments, then order keys.
fn read_by(aggregate: &super::AggregateExpression) -> impl Iterator<Item = &Expression> {
    let counts_all = matches!(aggregate.function, AggregateFunction::CountAll);
    let arguments = if counts_all { &[][..] } else { &aggregate.arguments[..] };
    arguments.iter().chain(aggregate.order_by.iter().map(|k| &k.expression))
}

/// The key columns of the selected rows.
fn keys(spec: &AggregateSpec, batch: &Batch) -> Result<Vec<Column>> {
    spec.group_by.iter().map(|k| dense(batch, &evaluate(k, batch)?)).collect()
}

/// What each aggregate reads of the selected rows.
fn inputs(spec: &AggregateSpec, arguments: &Arguments, batch: &Batch, share: &Share) -> Result<Vec<Input>> {
    if spec.phase.reads_states() {
        return state_inputs(spec, batch, share);
    }
    let read = |e: &Expression, batch: &Batch| {
        let column = dense(batch, &evaluate(e, batch)?)?;
        // Several aggregates may read it: numbers are looked up in their dictionary once.
        Ok(if column.physical() == Physical::View { column } else { column.flatten() })
    };
    let values = arguments.expressions.iter().map(|e| read(e, batch)).collect::<Result<Vec<_>>>()?;
    let inputs = spec.aggregates.iter().zip(&arguments.of).map(|(aggregate, of)| {
        if let (Some(of), None) = (of, &aggregate.filter) {
            return Ok(Input { columns: of.iter().map(|&a| values[a].clone()).collect(), kept: None });
        }
        // A FILTER protects the arguments behind it: they are evaluated on the rows that it keeps.
        let narrowed = match &aggregate.filter {
            Some(filter) => crate::expression::select(filter, batch.clone())?,
            None => batch.clone(),
        };
        let columns = read_by(aggregate).map(|e| read(e, &narrowed)).collect::<Result<Vec<_>>>()?;
        Ok(Input { columns, kept: Some(ranks(batch, &narrowed)) })
    });
    inputs.collect()
}

/// The state columns of every aggregate, behind the keys.
fn state_inputs(spec: &AggregateSpec, batch: &Batch, share: &Share) -> Result<Vec<Input>> {
    let mut column = spec.group_by.len() + usize::from(spec.grouping_id.is_some());
    let inputs = share.accumulators.iter().map(|accumulator| {
        let states = column..column + accumulator.state_types().len();
        column = states.end;
        let columns = states.map(|c| dense(batch, batch.column(c))).collect::<Result<Vec<_>>>()?;
        Ok(Input { columns, kept: None })
    });
    inputs.collect()
}

/// Ranks, among the selected rows of `batch`, of the selected rows of `narrowed`.
fn ranks(batch: &Batch, narrowed: &Batch) -> Vec<u32> {
    let Some(kept) = narrowed.selection() else { return (0..narrowed.rows() as u32).collect() };
    match batch.selection() {
        None => kept.positions().iter().map(|&p| p as u32).collect(),
        Some(all) => {
            let mut rank = 0;
            let positions = all.positions();
            kept.positions()
                .iter()
                .map(|&p| {
                    while positions[rank] != p {
                        rank += 1;
                    }
                    rank as u32
                })
                .collect()
        }
    }
}

/// The selected rows of a column, end to end.
fn dense(batch: &Batch, column: &Column) -> Result<Column> {
    Ok(match batch.selection() {
        Some(selection) => column.select(selection),
        None => column.clone(),
    })
}

/// The grouping id column of one set, when the aggregation has one.
pub(super) fn id_column(spec: &AggregateSpec, ordinal: usize, rows: usize) -> Result<Option<Column>> {
    let Some(data_type) = &spec.grouping_id else { return Ok(None) };
    Ok(Some(Scalar::UInt64(grouping_id(&spec.grouping_sets, ordinal)).to_column(data_type, rows)?))
}
