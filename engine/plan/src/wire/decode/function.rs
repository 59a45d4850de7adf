//! Calls of scalar functions: found by name, for the very types of their arguments.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::ScalarValue;
use datafusion_expr::ReturnFieldArgs;
use datafusion_expr::type_coercion::functions::{UDFCoercionExt, fields_with_udf};
use plasmon_core::Result;
use plasmon_core::batch::arrow::export_column;
use plasmon_core::expression::{Expression, Kind};

use super::expression::Scope;
use super::{Decoder, check};
use crate::error::convert_error;
use crate::function::{self, ScalarCall};
use crate::wire::path::Path;
use crate::wire::proto;

impl Decoder<'_> {
    pub(super) fn call(
        &mut self,
        call: &proto::Call,
        data_type: DataType,
        scope: Scope<'_>,
        path: &Path<'_>,
    ) -> Result<Expression> {
        let arguments = self.expressions(&call.arguments, scope, path, "arguments")?;
        if let Some(operator) = function::operator_of_name(&call.name) {
            return operation(operator, &call.name, arguments, data_type, path);
        }
        let Some(function) = self.functions.scalar(&call.name) else {
            return Err(path.wrong(format!("there is no scalar function {}", call.name)));
        };
        let argument_fields = argument_fields(&arguments);
        check_arguments(&argument_fields, function.as_ref(), &call.name, path)?;
        let constants = arguments.iter().map(constant).collect::<Result<Vec<_>>>().map_err(|e| path.refused(e))?;
        let constants: Vec<Option<&ScalarValue>> = constants.iter().map(Option::as_ref).collect();
        let types = ReturnFieldArgs { arg_fields: &argument_fields, scalar_arguments: &constants };
        let given = function.return_field_from_args(types).map_err(|e| path.refused(convert_error(e)))?;
        check_result(given.data_type(), &data_type, &call.name, path)?;
        let return_field = Arc::new(given.as_ref().clone().with_data_type(data_type.clone()));
        let call = ScalarCall { function: &function, arguments, argument_fields, return_field };
        Ok(Expression { data_type, ..function::scalar(call)? })
    }
}

/// The operators that are functions: of two texts.
fn operation(
    operator: datafusion_expr::Operator,
    name: &str,
    arguments: Vec<Expression>,
    data_type: DataType,
    path: &Path<'_>,
) -> Result<Expression> {
    let count = arguments.len();
    let Ok([left, right]) = <[Expression; 2]>::try_from(arguments) else {
        return Err(path.wrong(format!("{name} takes two arguments, not {count}")));
    };
    check::of_type(&left, &DataType::Utf8View, &path.item("arguments", 0))?;
    check::of_type(&right, &DataType::Utf8View, &path.item("arguments", 1))?;
    let operation = function::operator(operator, left, right).map_err(|e| path.refused(e))?;
    check_result(&operation.data_type, &data_type, name, path)?;
    Ok(Expression { data_type, ..operation })
}

/// Fields of these arguments as the library wants them.
pub(super) fn argument_fields(arguments: &[Expression]) -> Vec<FieldRef> {
    let field = |(i, a): (usize, &Expression)| Arc::new(Field::new(format!("c{i}"), a.data_type.clone(), true));
    arguments.iter().enumerate().map(field).collect()
}

/// Refuses arguments that the library would have to cast.
pub(super) fn check_arguments<F: UDFCoercionExt>(
    given: &[FieldRef],
    function: &F,
    name: &str,
    path: &Path<'_>,
) -> Result<()> {
    let taken = fields_with_udf(given, function).map_err(|e| path.refused(convert_error(e)))?;
    for (index, (taken, given)) in taken.iter().zip(given).enumerate() {
        if !check::agree(taken.data_type(), given.data_type()) {
            return Err(path.item("arguments", index).wrong(format!(
                "{name} takes {} here, not {}; a cast is wanted",
                taken.data_type(),
                given.data_type()
            )));
        }
    }
    if taken.len() == given.len() {
        return Ok(());
    }
    Err(path.wrong(format!("{name} takes {} arguments, not {}", taken.len(), given.len())))
}

/// Refuses a type that the function does not give.
pub(super) fn check_result(given: &DataType, declared: &DataType, name: &str, path: &Path<'_>) -> Result<()> {
    if check::agree(given, declared) {
        return Ok(());
    }
    Err(path.wrong(format!("{name} gives {given} for these arguments, not {declared}")))
}

/// The constant that an argument is.
fn constant(argument: &Expression) -> Result<Option<ScalarValue>> {
    let Kind::Literal(value) = &argument.kind else { return Ok(None) };
    let array = export_column(&value.to_column(&argument.data_type, 1)?, &argument.data_type)?;
    ScalarValue::try_from_array(&array, 0).map(Some).map_err(convert_error)
}
