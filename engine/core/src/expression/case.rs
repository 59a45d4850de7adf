//! CASE: each branch sees only the rows that no earlier branch took; results meet in one column.

use arrow_schema::DataType;

use super::Expression;
use super::evaluate::{evaluate, true_bits};
use super::logic::narrow;
use crate::batch::{Batch, Bitmap, Column, Selection, arrow::null_column};
use crate::error::Result;

/// The value of the first branch whose condition is true, else of `otherwise`, else null.
pub(super) fn case(
    branches: &[(Expression, Expression)],
    otherwise: Option<&Expression>,
    data_type: &DataType,
    batch: &Batch,
) -> Result<Column> {
    let mut open = batch.clone();
    let mut results: Vec<(Vec<u16>, Column)> = Vec::new();
    for (when, then) in branches {
        if open.selected_rows() == 0 {
            break;
        }
        let truth = true_bits(&evaluate(when, &open)?)?;
        let taken = narrow(&open, &truth);
        if taken.selected_rows() == batch.rows() {
            return evaluate(then, batch);
        }
        if taken.selected_rows() > 0 {
            results.push((positions(&taken), gather_result(then, &taken)?));
        }
        open = narrow(&open, &Bitmap::new(truth.words().iter().map(|w| !w).collect(), batch.rows()));
    }
    if open.selected_rows() > 0 {
        match otherwise {
            Some(expression) if open.selected_rows() == batch.rows() => return evaluate(expression, batch),
            Some(expression) => results.push((positions(&open), gather_result(expression, &open)?)),
            None => {}
        }
    }
    merge(&results, data_type, batch.rows())
}

fn positions(batch: &Batch) -> Vec<u16> {
    match batch.selection() {
        Some(selection) => selection.positions().to_vec(),
        None => (0..batch.rows() as u16).collect(),
    }
}

/// The expression's value at the selected rows only, dense.
fn gather_result(expression: &Expression, batch: &Batch) -> Result<Column> {
    let column = evaluate(expression, batch)?;
    Ok(match batch.selection() {
        Some(selection) => column.select(selection),
        None => column,
    })
}

/// A dense column of the selected rows (at least one) back at their positions; other rows repeat the first (nobody reads them).
pub(super) fn spread_selected(dense: &Column, selection: &Selection, rows: usize) -> Column {
    let mut source = vec![0u16; rows];
    selection.positions().iter().zip(0u16..).for_each(|(&position, index)| source[position as usize] = index);
    dense.gather(&source)
}

/// Dense parts back at their positions; rows of no part are null. One gather from the parts laid end to end, with a null at the front.
pub(crate) fn merge(parts: &[(Vec<u16>, Column)], data_type: &DataType, rows: usize) -> Result<Column> {
    let columns: Vec<Column> =
        std::iter::once(null_column(data_type, 1)).chain(parts.iter().map(|p| p.1.clone())).collect();
    let joined = Column::concat(&columns, data_type)?;
    let mut source = vec![0u32; rows];
    let mut next = 1;
    for (positions, _) in parts {
        for &position in positions {
            source[position as usize] = next;
            next += 1;
        }
    }
    Ok(joined.gather(&source))
}
