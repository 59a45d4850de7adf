//! Native scalar functions: kernels instead of the library, with the library behind them.
//!
//! A native function is chosen when the plan is made ([`Native::choose`]) and may still pass at run time ("not these values"): then the library
//! computes the batch. So error texts, and what happens at the far ends of ranges, are the library's own; the fast path handles what data looks
//! like. Values at rows that do not count are arbitrary: they may make a native function pass, never fail.

mod numeric;
mod temporal;
mod text;

use std::sync::Arc;

use arrow_schema::DataType;

use super::{Expression, Kind, Scalar, ScalarFunction};
use crate::batch::arrow::null_column;
use crate::batch::{Bitmap, Column, Selection, Values, Views};
use crate::error::Result;
pub(in crate::expression) use temporal::{DAYS_MAX, unit_of, within};
pub(in crate::expression) use text::with_texts;

/// A function that has a native form for its argument types and constants.
#[derive(Debug, Clone)]
enum Native {
    Temporal(temporal::Temporal),
    Text(text::Text),
    Numeric(numeric::Numeric),
}

/// The native form of `library` for these arguments, or `library` itself.
pub fn native_or(
    library: Arc<dyn ScalarFunction>,
    arguments: &[Expression],
    result: &DataType,
) -> Arc<dyn ScalarFunction> {
    match Native::choose(library.name(), arguments, result) {
        Some(native) if !library.is_volatile() => Arc::new(Hot { native, library }),
        _ => library,
    }
}

impl Native {
    fn choose(name: &str, arguments: &[Expression], result: &DataType) -> Option<Native> {
        let types: Vec<&DataType> = arguments.iter().map(|a| &a.data_type).collect();
        let constants: Vec<Option<&Scalar>> = arguments
            .iter()
            .map(|a| match &a.kind {
                Kind::Literal(value) => Some(value),
                _ => None,
            })
            .collect();
        temporal::choose(name, &types, &constants, result)
            .map(Native::Temporal)
            .or_else(|| text::choose(name, &types, result).map(Native::Text))
            .or_else(|| numeric::choose(name, &types, &constants, result).map(Native::Numeric))
    }

    /// `None`: not for these values.
    fn evaluate(&self, arguments: &[Column], rows: usize) -> Option<Column> {
        match self {
            Native::Temporal(function) => function.evaluate(arguments),
            Native::Text(function) => function.evaluate(arguments, rows),
            Native::Numeric(function) => function.evaluate(arguments),
        }
    }

    /// Whether a null argument makes a null result.
    fn is_strict(&self) -> bool {
        !matches!(self, Native::Text(text::Text::Concat))
    }
}

/// A native function and what stands behind it.
#[derive(Debug)]
struct Hot {
    native: Native,
    library: Arc<dyn ScalarFunction>,
}

/// Below one selected row in this many, rows are gathered first.
const SPARSE_FRACTION: usize = 4;

impl ScalarFunction for Hot {
    fn name(&self) -> &str {
        self.library.name()
    }

    fn evaluate(
        &self,
        arguments: &[Column],
        rows: usize,
        selection: Option<&Selection>,
        data_type: &DataType,
    ) -> Result<Column> {
        let nothing = selection.is_some_and(Selection::is_empty);
        let is_constant = |c: &Column| c.as_constant().is_some();
        if nothing
            || self.native.is_strict() && arguments.iter().any(|a| a.as_constant().is_some_and(|(_, valid)| !valid))
        {
            return Ok(null_column(data_type, rows));
        }
        if arguments.iter().all(is_constant) || rows == 0 {
            return self.library.evaluate(arguments, rows, selection, data_type);
        }
        let sparse = selection.filter(|s| s.len() * SPARSE_FRACTION < rows);
        let computed = match sparse {
            None => self.native.evaluate(arguments, rows),
            Some(selection) => {
                let dense: Vec<Column> = arguments.iter().map(|a| a.select(selection)).collect();
                let column = self.native.evaluate(&dense, selection.len());
                column.map(|c| super::case::spread_selected(&c, selection, rows))
            }
        };
        match computed {
            Some(column) => Ok(column),
            None => self.library.evaluate(arguments, rows, selection, data_type),
        }
    }
}

/// Validity of a strict function of these arguments.
fn validity(arguments: &[Column]) -> Option<Bitmap> {
    arguments.iter().fold(None, |all, a| Bitmap::and_optional(all.as_ref(), a.validity()))
}

/// Whether a type is text of any layout.
fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The one value of a constant column of numbers.
fn constant_integer(column: &Column) -> Option<i64> {
    column.as_constant().and_then(|(values, valid)| if valid { Scalar::from_values(values, 0).as_i64() } else { None })
}

/// The bytes of a constant text.
fn constant_text(column: &Column) -> Option<Vec<u8>> {
    match column.as_constant() {
        Some((Values::View(views), true)) => Some(views.value(0).to_vec()),
        _ => None,
    }
}

/// Views of one more buffer than the column had.
fn views_with(views: Vec<u128>, old: &Views, bytes: Vec<u8>) -> Values {
    let buffers = if bytes.is_empty() {
        old.buffers.clone()
    } else {
        old.buffers.iter().cloned().chain([arrow_buffer::Buffer::from_vec(bytes)]).collect()
    };
    Values::View(Views { views: views.into(), buffers })
}
