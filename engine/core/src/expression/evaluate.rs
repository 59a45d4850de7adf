//! Expression tree → kernel calls, choosing per batch.
//!
//! An expression over one dictionary column is evaluated once per distinct value when there are fewer of them than rows; a predicate over a
//! sparse selection is evaluated on the gathered rows. Values under unselected rows are computed where that is cheaper than not.

use std::sync::Arc;

use super::{Expression, Kind, arithmetic, case, cast, compare, in_list, like, logic};
use crate::batch::{Batch, Bitmap, Column, Dictionary, Encoding, Selection, Values};
use crate::config::BATCH_ROWS_MAX;
use crate::error::{Error, Result};
use plasmon_kernels::select;

/// A predicate over fewer than one row in this many is evaluated on gathered rows.
const SPARSE_FRACTION: usize = 4;

/// The value of `expression` for every row of `batch`: `batch.rows()` long, arbitrary (but present) at unselected rows. Errors of
/// single values (overflow, division by zero, bad casts) are raised for selected rows only.
pub fn evaluate(expression: &Expression, batch: &Batch) -> Result<Column> {
    if let Some(column) = evaluate_per_distinct_value(expression, batch)? {
        return Ok(column);
    }
    let selection = batch.selection();
    match &expression.kind {
        Kind::Column(index) => Ok(batch.column(*index).clone()),
        Kind::Literal(value) => value.to_column(&expression.data_type, batch.rows()),
        Kind::Parameter(slot) => slot.value()?.to_column(&expression.data_type, batch.rows()),
        Kind::Compare { op, left, right } => {
            let data_type = left.data_type.clone();
            compare::compare(*op, &evaluate(left, batch)?, &evaluate(right, batch)?, &data_type)
        }
        Kind::And(operands) => logic::and(operands, batch),
        Kind::Or(operands) => logic::or(operands, batch),
        Kind::Not(operand) => logic::not(&evaluate(operand, batch)?),
        Kind::IsNull(operand) => Ok(logic::is_null(&evaluate(operand, batch)?, true)),
        Kind::IsNotNull(operand) => Ok(logic::is_null(&evaluate(operand, batch)?, false)),
        Kind::IsBoolean { operand, value, negated } => logic::is_boolean(&evaluate(operand, batch)?, *value, *negated),
        Kind::Arithmetic { op, overflow, left, right } => {
            let sides = (&evaluate(left, batch)?, &evaluate(right, batch)?);
            let types = (&left.data_type, &right.data_type);
            arithmetic::arithmetic(*op, *overflow, sides, types, &expression.data_type, selection)
        }
        Kind::Negate { operand, overflow } => {
            arithmetic::negate(&evaluate(operand, batch)?, &operand.data_type, *overflow, selection)
        }
        Kind::Cast { operand, mode } => {
            cast::cast(&evaluate(operand, batch)?, &operand.data_type, &expression.data_type, *mode, selection)
        }
        Kind::Case { branches, otherwise } => case::case(branches, otherwise.as_deref(), &expression.data_type, batch),
        Kind::InList { operand, list, negated } => in_list::in_list(operand, list, *negated, batch),
        Kind::Like { operand, pattern, escape, case_insensitive, negated } => {
            let sides = (evaluate(operand, batch)?, evaluate(pattern, batch)?);
            like::evaluate_like(&sides.0, &sides.1, *escape, *case_insensitive, *negated, batch.rows(), selection)
        }
        Kind::Function(call) => {
            let arguments = call.arguments.iter().map(|a| evaluate(a, batch)).collect::<Result<Vec<_>>>()?;
            let result = call.function.evaluate(&arguments, batch.rows(), selection, &expression.data_type)?;
            if result.len() != batch.rows() {
                return Err(Error::internal(format!(
                    "{} gave {} rows for {}",
                    call.function.name(),
                    result.len(),
                    batch.rows()
                )));
            }
            Ok(result)
        }
    }
}

/// `batch` with its selection narrowed to the rows where the boolean `predicate` is true (not false, not null).
pub fn select(predicate: &Expression, batch: Batch) -> Result<Batch> {
    if let Kind::And(operands) = &predicate.kind {
        let mut batch = batch;
        for operand in operands {
            if batch.selected_rows() == 0 {
                break;
            }
            batch = select(operand, batch)?;
        }
        return Ok(batch);
    }
    match batch.selection() {
        Some(selection) if selection.len() * SPARSE_FRACTION < batch.rows() => {
            select_sparse(predicate, &batch, &selection.clone())
        }
        _ => {
            let truth = true_bits(&evaluate(predicate, &batch)?)?;
            let mut positions = Vec::new();
            match batch.selection() {
                Some(selection) => select::filter_selection(selection.positions(), truth.words(), &mut positions),
                None => select::bits_to_selection(truth.words(), batch.rows(), &mut positions),
            }
            Ok(batch.with_selection(Selection::new(positions)))
        }
    }
}

/// Gathers the columns that the predicate reads, evaluates there, and maps the survivors back.
fn select_sparse(predicate: &Expression, batch: &Batch, selection: &Selection) -> Result<Batch> {
    let read = predicate.referenced_columns();
    let columns = read.iter().map(|&c| batch.column(c).select(selection)).collect();
    let narrow = Batch::new(columns, selection.len());
    let predicate = predicate.map_columns(&|c| read.binary_search(&c).unwrap_or(c));
    let truth = true_bits(&evaluate(&predicate, &narrow)?)?;
    let mut survivors: Vec<u16> = Vec::new();
    select::bits_to_selection(truth.words(), selection.len(), &mut survivors);
    let positions = survivors.iter().map(|&s| selection.positions()[s as usize]).collect();
    Ok(batch.clone().with_selection(Selection::new(positions)))
}

/// Bits of the rows where a boolean column is true.
pub(super) fn true_bits(column: &Column) -> Result<Bitmap> {
    let flat = column.flatten();
    match (flat.encoding(), flat.validity()) {
        (Encoding::Flat(Values::Boolean(bits)), None) => Ok(bits.clone()),
        (Encoding::Flat(Values::Boolean(bits)), Some(validity)) => Ok(bits.and(validity)),
        _ => Err(Error::internal(format!("a predicate gave {:?} values", column.physical()))),
    }
}

/// When the expression reads one column only, that column is a dictionary smaller than the batch, and the work is more than a look-up:
/// evaluates over the distinct values and maps the codes. Null rows take part as one extra null value.
fn evaluate_per_distinct_value(expression: &Expression, batch: &Batch) -> Result<Option<Column>> {
    if matches!(expression.kind, Kind::Column(_) | Kind::Literal(_) | Kind::Parameter(_)) {
        return Ok(None);
    }
    let read = expression.referenced_columns();
    let [index] = read[..] else { return Ok(None) };
    let column = batch.column(index);
    let Encoding::Dictionary { codes, dictionary } = column.encoding() else { return Ok(None) };
    let distinct = dictionary.values.len();
    if distinct * 2 > batch.selected_rows() || distinct >= BATCH_ROWS_MAX || is_volatile(expression) {
        return Ok(None);
    }
    let has_nulls = column.validity().is_some();
    let mut values = Column::flat(dictionary.values.clone());
    values.is_ascii = dictionary.is_ascii;
    if has_nulls {
        // One null row after the distinct values.
        let positions: Vec<u32> = (0..distinct as u32).chain([0]).collect();
        let mut valid = vec![true; distinct];
        valid.push(false);
        values = values.gather(&positions).with_validity(Some(Bitmap::from_bools(valid.into_iter())));
    }
    values.bounds = column.bounds;
    let batch = Batch::new(vec![values], distinct + usize::from(has_nulls));
    // A distinct value that no selected row has must not raise an error: the rows are asked then.
    let Ok(per_value) = evaluate(&expression.map_columns(&|_| 0), &batch) else { return Ok(None) };
    let per_value = per_value.flatten();
    let codes: std::borrow::Cow<'_, [u32]> = match column.validity() {
        None => codes[..].into(),
        Some(validity) => codes
            .iter()
            .enumerate()
            .map(|(row, &code)| if validity.get(row) { code } else { distinct as u32 })
            .collect::<Vec<_>>()
            .into(),
    };
    Ok(Some(spread(&per_value, &codes)))
}

/// The result per distinct value, one per row: bits for booleans, a dictionary else.
fn spread(per_value: &Column, codes: &[u32]) -> Column {
    let Encoding::Flat(values) = per_value.encoding() else { return per_value.gather(codes) };
    let bits_of = |bitmap: &Bitmap| {
        let mut words = Vec::with_capacity(codes.len().div_ceil(64));
        select::lookup_bits(bitmap.words(), codes, &mut words);
        Bitmap::new(words, codes.len())
    };
    let validity = per_value.validity().map(&bits_of);
    match values {
        Values::Boolean(bits) => Column::flat_with_validity(Values::Boolean(bits_of(bits)), validity),
        Values::View(_) => {
            let mut dictionary = Dictionary::new(values.clone());
            dictionary.is_ascii = per_value.is_ascii;
            Column::dictionary(codes.to_vec().into(), Arc::new(dictionary), validity)
        }
        _ => per_value.gather(codes),
    }
}

/// Whether evaluating twice may give two results.
pub(crate) fn is_volatile(expression: &Expression) -> bool {
    let mut found = false;
    expression.visit(&mut |e| found |= matches!(&e.kind, Kind::Function(call) if call.function.is_volatile()));
    found
}
