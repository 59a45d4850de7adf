//! The library's scalar functions behind our trait: they see the selected rows only, as Arrow arrays.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, FieldRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DataFusionError, ScalarValue};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, Volatility};
use plasmon_core::batch::arrow::{export_column, import_column, null_column};
use plasmon_core::batch::{Column, Selection};
use plasmon_core::expression::{Expression, FunctionCall, Kind, ScalarFunction, native_or};
use plasmon_core::{Error, Result};

use super::ScalarCall;
use super::user::UserScalar;
use crate::error::convert_error;

/// A call of a library function.
pub(super) fn adapt(call: ScalarCall<'_>) -> Expression {
    let data_type = call.return_field.data_type().clone();
    let own = library(&call);
    // Native functions are found by name, which a user's function may share.
    let function = if is_user(call.function) { own } else { native_or(own, &call.arguments, &data_type) };
    Expression { kind: Kind::Function(FunctionCall { function, arguments: call.arguments }), data_type }
}

/// The library's own implementation.
pub(super) fn library(call: &ScalarCall<'_>) -> Arc<dyn ScalarFunction> {
    Arc::new(LibraryFunction {
        function: call.function.clone(),
        argument_fields: call.argument_fields.clone(),
        return_field: call.return_field.clone(),
    })
}

/// Whether an embedder registered the function.
pub(super) fn is_user(function: &ScalarUDF) -> bool {
    function.inner().is::<UserScalar>()
}

#[derive(Debug)]
struct LibraryFunction {
    function: Arc<ScalarUDF>,
    argument_fields: Vec<FieldRef>,
    return_field: FieldRef,
}

impl ScalarFunction for LibraryFunction {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn is_volatile(&self) -> bool {
        self.function.signature().volatility == Volatility::Volatile
    }

    fn wants_many_rows(&self) -> bool {
        is_user(&self.function)
    }

    fn evaluate(
        &self,
        arguments: &[Column],
        rows: usize,
        selection: Option<&Selection>,
        data_type: &DataType,
    ) -> Result<Column> {
        let selected = selection.map_or(rows, Selection::len);
        if selected == 0 {
            return Ok(null_column(data_type, rows));
        }
        let args = arguments
            .iter()
            .zip(&self.argument_fields)
            .map(|(c, f)| argument(c, f.data_type(), selection))
            .collect::<Result<Vec<_>>>()?;
        let constant =
            !arguments.is_empty() && !self.is_volatile() && args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let number_rows = if constant { 1 } else { selected };
        let args = ScalarFunctionArgs {
            args,
            arg_fields: self.argument_fields.clone(),
            number_rows,
            return_field: self.return_field.clone(),
            config_options: Arc::new(ConfigOptions::default()),
        };
        let result = self
            .function
            .invoke_with_args(args)
            .and_then(|v| v.into_array(number_rows))
            .map_err(|e| failure(&self.function, e))?;
        let result = if result.data_type() == data_type { result } else { arrow::compute::cast(&result, data_type)? };
        let column = import_column(&result)?;
        if column.len() != number_rows {
            return Err(Error::internal(format!(
                "{} gave {} rows for {number_rows}",
                self.function.name(),
                column.len()
            )));
        }
        Ok(match (constant, selection) {
            (true, _) => column.gather(&vec![0u16; rows]),
            (false, None) => column,
            (false, Some(selection)) => spread(&column, selection, rows),
        })
    }
}

/// Dense rows back at their positions; the others repeat the first (nobody reads them).
fn spread(column: &Column, selection: &Selection, rows: usize) -> Column {
    let mut source = vec![0u16; rows];
    selection.positions().iter().enumerate().for_each(|(index, &position)| source[position as usize] = index as u16);
    column.gather(&source)
}

fn argument(column: &Column, data_type: &DataType, selection: Option<&Selection>) -> Result<ColumnarValue> {
    if column.as_constant().is_some() && !column.is_empty() {
        let array = export_column(&column.slice(0, 1), data_type)?;
        return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0).map_err(convert_error)?));
    }
    let dense = match selection {
        Some(selection) => column.select(selection),
        None => column.clone(),
    };
    let array: ArrayRef = export_column(&dense, data_type)?;
    debug_assert_eq!(array.len(), dense.len());
    Ok(ColumnarValue::Array(array))
}

/// Errors of single values are the data's, not the statement's. Spark's begin with their class.
fn failure(function: &ScalarUDF, error: DataFusionError) -> Error {
    match convert_error(error) {
        Error::Data(message) if super::spark::is_spark(function) => Error::data(message),
        Error::User(message) | Error::Data(message) => Error::data(format!("{}: {message}", function.name())),
        other => other,
    }
}
