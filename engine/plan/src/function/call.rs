//! Calls of library functions by explicit arguments, for plans that come without the planner library: argument types are coerced as SQL's are.

use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef};
use datafusion_common::ScalarValue;
use datafusion_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion_expr::type_coercion::functions::{UDFCoercionExt, fields_with_udf};
use datafusion_expr::{AggregateUDF, Operator, ReturnFieldArgs, ScalarUDF};
use plasmon_core::batch::arrow::export_column;
use plasmon_core::expression::{ArithmeticOp, CastMode, Expression, Kind, Overflow, SortKey};
use plasmon_core::operators::aggregate::{AggregateExpression, AggregateFunction};
use plasmon_core::{Error, Result};

use super::{AggregateCall, ScalarCall, aggregate, scalar};
use crate::error::convert_error;
use crate::sql::cast_to;

/// A call of a scalar function of the library.
pub(crate) fn call_scalar(function: &Arc<ScalarUDF>, arguments: Vec<Expression>) -> Result<Expression> {
    let (arguments, argument_fields) = coerced(function.as_ref(), arguments)?;
    let return_field = return_field(function, &arguments, &argument_fields)?;
    scalar(ScalarCall { function, arguments, argument_fields, return_field })
}

/// What a scalar function gives for these arguments.
pub(crate) fn return_field(function: &ScalarUDF, arguments: &[Expression], fields: &[FieldRef]) -> Result<FieldRef> {
    let constants = arguments.iter().map(constant).collect::<Result<Vec<_>>>()?;
    let constants: Vec<Option<&ScalarValue>> = constants.iter().map(Option::as_ref).collect();
    let given = ReturnFieldArgs { arg_fields: fields, scalar_arguments: &constants };
    function.return_field_from_args(given).map_err(convert_error)
}

/// What an aggregate call says besides its arguments.
#[derive(Default)]
pub(crate) struct AggregateOptions {
    pub(crate) distinct: bool,
    pub(crate) ignore_nulls: bool,
    pub(crate) order_by: Vec<SortKey>,
    pub(crate) filter: Option<Expression>,
}

/// A call of an aggregate function of the library.
pub(crate) fn call_aggregate(
    function: &Arc<AggregateUDF>,
    arguments: Vec<Expression>,
    options: AggregateOptions,
) -> Result<AggregateExpression> {
    let (arguments, argument_fields) = coerced(function.as_ref(), arguments)?;
    let return_field = function.return_field(&argument_fields).map_err(convert_error)?;
    aggregate_expression(function, arguments, argument_fields, return_field, options)
}

/// The IR of an aggregate call of coerced arguments, without what makes no difference to its function.
pub(crate) fn aggregate_expression(
    function: &Arc<AggregateUDF>,
    mut arguments: Vec<Expression>,
    argument_fields: Vec<FieldRef>,
    return_field: FieldRef,
    options: AggregateOptions,
) -> Result<AggregateExpression> {
    let data_type = return_field.data_type().clone();
    let AggregateOptions { distinct, ignore_nulls, order_by, filter } = options;
    let translated = aggregate(&AggregateCall {
        function,
        arguments: &arguments,
        argument_fields,
        distinct,
        ignore_nulls,
        order_by: &order_by,
        return_field,
    })?;
    if matches!(translated, AggregateFunction::CountAll) {
        arguments.clear();
    }
    let distinct = distinct && !translated.ignores_duplicates();
    let order_by = if translated.ignores_order() { Vec::new() } else { order_by };
    Ok(AggregateExpression { function: translated, arguments, filter, distinct, order_by, data_type })
}

/// `left op right`, both cast to what the operation takes, and of the type that SQL gives it.
pub(crate) fn call_arithmetic(
    op: ArithmeticOp,
    overflow: Overflow,
    left: Expression,
    right: Expression,
) -> Result<Expression> {
    let operator = operator_of(op);
    let coercer = BinaryTypeCoercer::new(&left.data_type, &operator, &right.data_type);
    let (left_type, right_type) = coercer.get_input_types().map_err(convert_error)?;
    let data_type = coercer.get_result_type().map_err(convert_error)?;
    let (left, right) = (cast_to(left, &left_type, CastMode::Fail), cast_to(right, &right_type, CastMode::Fail));
    Ok(Expression { kind: Kind::Arithmetic { op, overflow, left: Box::new(left), right: Box::new(right) }, data_type })
}

fn operator_of(op: ArithmeticOp) -> Operator {
    match op {
        ArithmeticOp::Add => Operator::Plus,
        ArithmeticOp::Subtract => Operator::Minus,
        ArithmeticOp::Multiply => Operator::Multiply,
        ArithmeticOp::Divide => Operator::Divide,
        ArithmeticOp::Modulo => Operator::Modulo,
        ArithmeticOp::BitAnd => Operator::BitwiseAnd,
        ArithmeticOp::BitOr => Operator::BitwiseOr,
        ArithmeticOp::BitXor => Operator::BitwiseXor,
        ArithmeticOp::ShiftLeft => Operator::BitwiseShiftLeft,
        ArithmeticOp::ShiftRight => Operator::BitwiseShiftRight,
    }
}

/// The arguments cast to types that the function takes, and their fields.
fn coerced<F: UDFCoercionExt>(function: &F, arguments: Vec<Expression>) -> Result<(Vec<Expression>, Vec<FieldRef>)> {
    let types = fields_with_udf(&argument_fields(&arguments), function).map_err(convert_error)?;
    if types.len() != arguments.len() {
        return Err(Error::user(format!("{} arguments for {}", arguments.len(), function.name())));
    }
    let arguments = arguments.into_iter().zip(&types).map(|(a, f)| cast_to(a, f.data_type(), CastMode::Fail)).collect();
    Ok((arguments, types))
}

/// Fields of these arguments as the library wants them.
pub(crate) fn argument_fields(arguments: &[Expression]) -> Vec<FieldRef> {
    let field = |(i, a): (usize, &Expression)| Arc::new(Field::new(format!("c{i}"), a.data_type.clone(), true));
    arguments.iter().enumerate().map(field).collect()
}

/// The value of a constant, as the library has it.
pub(super) fn constant(argument: &Expression) -> Result<Option<ScalarValue>> {
    let Kind::Literal(value) = &argument.kind else { return Ok(None) };
    let array = export_column(&value.to_column(&argument.data_type, 1)?, &argument.data_type)?;
    ScalarValue::try_from_array(&array, 0).map(Some).map_err(convert_error)
}
