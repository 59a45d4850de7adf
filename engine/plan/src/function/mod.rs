//! Functions: what a name means in SQL, and what a call becomes in the IR.
//!
//! The registry answers the planner's questions (does it exist, what does it return); [`scalar`], [`aggregate`], [`window`] and
//! [`operator`] turn a planned call into the IR's form: a native one where the engine has it, else the library's behind our traits.

mod aggregate;
mod call;
mod compared;
mod named;
mod operators;
mod registry;
mod scalar;
mod spark;
#[cfg(test)]
mod tests;
mod user;

use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion_expr::{AggregateUDF, ScalarUDF, WindowUDF};
use plasmon_core::expression::{Expression, SortKey};
use plasmon_core::operators::aggregate::AggregateFunction;
use plasmon_core::operators::window::WindowFunction;
use plasmon_core::{Error, Result};

pub(crate) use call::{
    AggregateOptions, aggregate_expression, argument_fields, call_aggregate, call_arithmetic, call_scalar, return_field,
};
pub(crate) use named::named_value;
pub use registry::Registry;
pub use user::{ScalarBody, UserFunction, Volatility};

/// A planned call of a scalar function: coerced arguments, their fields, and the field it returns.
pub struct ScalarCall<'a> {
    pub function: &'a Arc<ScalarUDF>,
    pub arguments: Vec<Expression>,
    pub argument_fields: Vec<FieldRef>,
    pub return_field: FieldRef,
}

/// A planned call of an aggregate function.
pub struct AggregateCall<'a> {
    pub function: &'a Arc<AggregateUDF>,
    pub arguments: &'a [Expression],
    pub argument_fields: Vec<FieldRef>,
    pub distinct: bool,
    pub ignore_nulls: bool,
    /// Keys are over the same input as the arguments.
    pub order_by: &'a [SortKey],
    pub return_field: FieldRef,
}

/// The expression of a scalar call.
pub fn scalar(call: ScalarCall<'_>) -> Result<Expression> {
    Ok(compared::rewrite(&call).unwrap_or_else(|| scalar::adapt(call)))
}

pub use operators::{operator, operator_of_name};

/// The aggregate function of a call.
pub fn aggregate(call: &AggregateCall<'_>) -> Result<AggregateFunction> {
    // First: a user's function may bear the name of a native one.
    if let Some(user) = user::UserAggregate::of_call(call)? {
        return Ok(AggregateFunction::Custom(user));
    }
    Ok(match call.function.name() {
        "count" if !call.distinct && call.arguments.iter().all(is_non_null_literal) => AggregateFunction::CountAll,
        "count" => AggregateFunction::Count,
        "sum" => AggregateFunction::Sum,
        "min" => AggregateFunction::Min,
        "max" => AggregateFunction::Max,
        "avg" => AggregateFunction::Avg,
        "var_pop" => AggregateFunction::VariancePopulation,
        "var" => AggregateFunction::VarianceSample,
        "stddev_pop" => AggregateFunction::DeviationPopulation,
        "stddev" => AggregateFunction::DeviationSample,
        "first_value" => AggregateFunction::First { ignore_nulls: call.ignore_nulls },
        "last_value" => AggregateFunction::Last { ignore_nulls: call.ignore_nulls },
        "bool_and" => AggregateFunction::BoolAnd,
        "bool_or" => AggregateFunction::BoolOr,
        "bit_and" => AggregateFunction::BitAnd,
        "bit_or" => AggregateFunction::BitOr,
        "bit_xor" => AggregateFunction::BitXor,
        _ => return Ok(AggregateFunction::Custom(aggregate::adapt(call)?)),
    })
}

fn is_non_null_literal(argument: &Expression) -> bool {
    matches!(&argument.kind, plasmon_core::expression::Kind::Literal(value) if !value.is_null())
}

/// How many arguments a window function takes. The library lets some do without.
pub(crate) fn window_arguments(function: &WindowFunction) -> RangeInclusive<usize> {
    use WindowFunction::*;
    match function {
        RowNumber | Rank | DenseRank | PercentRank | CumulativeDistribution => 0..=0,
        Ntile | FirstValue | LastValue => 1..=1,
        NthValue => 2..=2,
        Lag | Lead => 1..=3,
        Aggregate(_) => 0..=usize::MAX,
    }
}

/// The argument of a window function that is one number for all rows: the number of buckets, n, the distance.
pub(crate) fn window_number(function: &WindowFunction) -> Option<usize> {
    match function {
        WindowFunction::Ntile => Some(0),
        WindowFunction::NthValue | WindowFunction::Lag | WindowFunction::Lead => Some(1),
        _ => None,
    }
}

/// Refuses arguments that the function does not take, and distances that are not the same for all rows.
pub(crate) fn check_window_arguments(function: &WindowFunction, name: &str, arguments: &[Expression]) -> Result<()> {
    let (wanted, given) = (window_arguments(function), arguments.len());
    if !wanted.contains(&given) {
        let (least, most) = wanted.into_inner();
        let range = if least == most { least.to_string() } else { format!("{least} to {most}") };
        return Err(Error::user(format!(
            "{name} takes {range} argument{}, not {given}",
            if most == 1 { "" } else { "s" }
        )));
    }
    match window_number(function).filter(|&index| index < given) {
        Some(index) if !arguments[index].referenced_columns().is_empty() => {
            Err(Error::unsupported(format!("{name}: argument {} is another for each row, not a constant", index + 1)))
        }
        _ => Ok(()),
    }
}

/// The window function of a name.
pub fn window(function: &Arc<WindowUDF>) -> Result<WindowFunction> {
    Ok(match function.name() {
        "row_number" => WindowFunction::RowNumber,
        "rank" => WindowFunction::Rank,
        "dense_rank" => WindowFunction::DenseRank,
        "percent_rank" => WindowFunction::PercentRank,
        "cume_dist" => WindowFunction::CumulativeDistribution,
        "ntile" => WindowFunction::Ntile,
        "lag" => WindowFunction::Lag,
        "lead" => WindowFunction::Lead,
        "first_value" => WindowFunction::FirstValue,
        "last_value" => WindowFunction::LastValue,
        "nth_value" => WindowFunction::NthValue,
        other => return Err(Error::unsupported(format!("window function {other}"))),
    })
}
