//! Three-valued logic over boolean columns.

use plasmon_kernels::select::{and3, or3};

use super::Expression;
use super::evaluate::evaluate;
use crate::batch::{Batch, Bitmap, Column, Encoding, Selection, Values};
use crate::error::{Error, Result};

/// Value and validity bits of a boolean column.
fn parts(column: &Column) -> Result<(Bitmap, Option<Bitmap>)> {
    let flat = column.flatten();
    match flat.encoding() {
        Encoding::Flat(Values::Boolean(bits)) => Ok((bits.clone(), flat.validity().cloned())),
        _ => Err(Error::internal(format!("{:?} values where booleans are needed", column.physical()))),
    }
}

fn words(bits: &Option<Bitmap>) -> Option<&[u64]> {
    bits.as_ref().map(Bitmap::words)
}

fn boolean(values: Vec<u64>, validity: Option<Vec<u64>>, rows: usize) -> Column {
    Column::flat_with_validity(Values::Boolean(Bitmap::new(values, rows)), validity.map(|v| Bitmap::new(v, rows)))
}

/// AND of all operands. Operands after the first see only the rows that are not decided yet, so that a guard protects what follows it.
pub(super) fn and(operands: &[Expression], batch: &Batch) -> Result<Column> {
    fold(operands, batch, and3, |values, validity| undecided(values, validity, true))
}

/// OR of all operands; see [`and`].
pub(super) fn or(operands: &[Expression], batch: &Batch) -> Result<Column> {
    fold(operands, batch, or3, |values, validity| undecided(values, validity, false))
}

type Logic = fn((&[u64], Option<&[u64]>), (&[u64], Option<&[u64]>)) -> (Vec<u64>, Option<Vec<u64>>);

fn fold(
    operands: &[Expression],
    batch: &Batch,
    logic: Logic,
    open: impl Fn(&Bitmap, &Option<Bitmap>) -> Bitmap,
) -> Result<Column> {
    let (mut values, mut validity) = parts(&evaluate(&operands[0], batch)?)?;
    for operand in &operands[1..] {
        let still_open = open(&values, &validity);
        let narrowed = narrow(batch, &still_open);
        if narrowed.selected_rows() == 0 {
            break;
        }
        let (v, n) = parts(&evaluate(operand, &narrowed)?)?;
        // Rows that were decided keep their value whatever the operand computed for them.
        let (mut both, mut known) = logic((values.words(), words(&validity)), (v.words(), words(&n)));
        for i in 0..both.len() {
            let open = still_open.words()[i];
            both[i] = (both[i] & open) | (values.words()[i] & !open);
            if let Some(known) = &mut known {
                known[i] |= !open;
            }
        }
        (values, validity) = parts(&boolean(both, known, batch.rows()))?;
    }
    Ok(Column::flat_with_validity(Values::Boolean(values), validity))
}

/// Rows that are `value` or null.
fn undecided(values: &Bitmap, validity: &Option<Bitmap>, value: bool) -> Bitmap {
    let words = (0..values.words().len())
        .map(|i| {
            let v = if value { values.words()[i] } else { !values.words()[i] };
            v | validity.as_ref().map_or(0, |n| !n.words()[i])
        })
        .collect();
    Bitmap::new(words, values.len())
}

/// The batch with its selection cut to the set bits.
pub(super) fn narrow(batch: &Batch, bits: &Bitmap) -> Batch {
    let mut positions = Vec::new();
    match batch.selection() {
        Some(selection) => {
            plasmon_kernels::select::filter_selection(selection.positions(), bits.words(), &mut positions)
        }
        None => plasmon_kernels::select::bits_to_selection(bits.words(), batch.rows(), &mut positions),
    }
    batch.clone().with_selection(Selection::new(positions))
}

/// Three-valued NOT.
pub(super) fn not(column: &Column) -> Result<Column> {
    let (values, validity) = parts(column)?;
    let inverted = values.words().iter().map(|w| !w).collect();
    Ok(Column::flat_with_validity(Values::Boolean(Bitmap::new(inverted, values.len())), validity))
}

/// `IS NULL` (`null`) or `IS NOT NULL`.
pub(super) fn is_null(column: &Column, null: bool) -> Column {
    let bits = match column.validity() {
        None => Bitmap::constant(!null, column.len()),
        Some(validity) if null => Bitmap::new(validity.words().iter().map(|w| !w).collect(), column.len()),
        Some(validity) => validity.clone(),
    };
    Column::flat(Values::Boolean(bits))
}

/// `IS [NOT] TRUE`, `IS [NOT] FALSE`: never null.
pub(super) fn is_boolean(column: &Column, value: bool, negated: bool) -> Result<Column> {
    let (values, validity) = parts(column)?;
    let words = (0..values.words().len())
        .map(|i| {
            let v = if value { values.words()[i] } else { !values.words()[i] };
            let holds = v & validity.as_ref().map_or(u64::MAX, |n| n.words()[i]);
            if negated { !holds } else { holds }
        })
        .collect();
    Ok(Column::flat(Values::Boolean(Bitmap::new(words, values.len()))))
}
