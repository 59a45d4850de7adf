//! Calls of scalar functions: found by name, for the very types of their arguments.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion_expr::type_coercion::functions::{UDFCoercionExt, fields_with_udf};
use plasmon_core::Result;
use plasmon_core::expression::Expression;

use super::expression::Scope;
use super::{Decoder, check};
use crate::error::convert_error;
use crate::function::{self, ScalarCall, argument_fields, return_field};
use crate::path::Path;
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
        let given = return_field(&function, &arguments, &argument_fields).map_err(|e| path.refused(e))?;
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
