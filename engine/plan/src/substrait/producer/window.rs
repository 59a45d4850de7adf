//! Window functions, as expressions of a projection: that is the form which others read.

use arrow::datatypes::{DataType, Schema};
use plasmon_core::Result;
use plasmon_core::expression::{Expression, Kind, Scalar, SortKey};
use plasmon_core::operators::window::{FrameBound, FrameUnits, WindowExpression, WindowFunction};
use substrait_prost as proto;
use substrait_prost::AggregationPhase;
use substrait_prost::expression::window_function::bound::{
    CurrentRow, Following, Kind as BoundKind, Preceding, Unbounded,
};
use substrait_prost::expression::window_function::{Bound, BoundsType};
use substrait_prost::expression::{RexType, WindowFunction as WindowCall};
use substrait_prost::function_argument::ArgType;

use super::aggregate::invocation;
use super::call::option;
use super::expression::constant;
use super::relation::projected;
use super::{Producer, type_of};
use crate::ir::{Node, Relation};
use crate::path::Path;
use crate::substrait::functions::STANDARD;

/// Partitions and order of one group of calls.
struct Over<'a> {
    partition_by: &'a [Expression],
    order_by: &'a [SortKey],
}

impl<'a> Producer<'a> {
    pub(super) fn window(&mut self, relation: &'a Relation, at: &Path<'_>) -> Result<proto::Rel> {
        let Node::Window { input, partition_by, order_by, functions } = &relation.node else {
            return Err(at.refuse("no window"));
        };
        let over = Over { partition_by, order_by };
        let mut expressions = Vec::with_capacity(functions.len());
        for (index, function) in functions.iter().enumerate() {
            let call = self.window_call(function, &over, &input.schema, &at.item("expressions", index))?;
            expressions.push(proto::Expression { rex_type: Some(RexType::WindowFunction(Box::new(call))) });
        }
        let outputs = (0..input.schema.fields().len() + functions.len()).collect();
        let input = self.relation(input, &at.field("input"))?;
        Ok(projected(input, expressions, outputs))
    }

    fn window_call(
        &mut self,
        function: &'a WindowExpression,
        over: &Over<'a>,
        schema: &Schema,
        at: &Path<'_>,
    ) -> Result<WindowCall> {
        let (function_reference, arguments, mut options) = match &function.function {
            WindowFunction::Aggregate(aggregate) => {
                use plasmon_core::operators::aggregate::AggregateFunction::{Custom, First, Last};
                if function.filter.is_some() && matches!(aggregate, Custom(_) | First { .. } | Last { .. }) {
                    return Err(at.refuse("FILTER of a window function that may count nulls"));
                }
                let arguments = filtered(function);
                self.aggregate_call(aggregate_of(aggregate, function), &arguments, schema, at)?
            }
            ranking => {
                if function.filter.is_some() {
                    return Err(at.refuse("FILTER of a window function that is no aggregate"));
                }
                self.ranking(ranking, &function.arguments, schema, at)?
            }
        };
        if function.ignore_nulls {
            options.push(option("ignore_nulls", "TRUE"));
        }
        let bounds_type = match function.frame.units {
            FrameUnits::Rows => BoundsType::Rows,
            FrameUnits::Range => BoundsType::Range,
            FrameUnits::Groups => return Err(at.refuse("frames that count groups of peers")),
        } as i32;
        let key = over.order_by.first().map(|k| &k.expression.data_type);
        let bound = |bound, at: &Path<'_>| written_bound(bound, function.frame.units, key, at).map(Box::new);
        let (lower, upper) = (
            bound(&function.frame.start, &at.field("lower_bound"))?,
            bound(&function.frame.end, &at.field("upper_bound"))?,
        );
        let partitions = over.partition_by.iter().enumerate();
        let partitions =
            partitions.map(|(i, e)| self.expression(e, schema, &at.item("partitions", i))).collect::<Result<_>>()?;
        Ok(WindowCall {
            function_reference,
            arguments,
            options,
            output_type: Some(type_of(&function.data_type, true, at)?),
            phase: AggregationPhase::InitialToResult as i32,
            sorts: self.sorts(over.order_by, schema, at)?,
            invocation: invocation(function.distinct),
            partitions,
            bounds_type,
            lower_bound: Some(lower),
            upper_bound: Some(upper),
        })
    }

    /// Anchor, arguments and options of a function that is no aggregate.
    fn ranking(
        &mut self,
        function: &WindowFunction,
        arguments: &[Expression],
        schema: &Schema,
        at: &Path<'_>,
    ) -> Result<(u32, Vec<proto::FunctionArgument>, Vec<proto::FunctionOption>)> {
        let (name, signature) = match (function, arguments.len()) {
            (WindowFunction::RowNumber, _) => ("row_number", ""),
            (WindowFunction::Rank, _) => ("rank", ""),
            (WindowFunction::DenseRank, _) => ("dense_rank", ""),
            (WindowFunction::PercentRank, _) => ("percent_rank", ""),
            (WindowFunction::CumulativeDistribution, _) => ("cume_dist", ""),
            (WindowFunction::Ntile, _) => ("ntile", "i64"),
            (WindowFunction::FirstValue, _) => ("first_value", "any"),
            (WindowFunction::LastValue, _) => ("last_value", "any"),
            (WindowFunction::NthValue, _) => ("nth_value", "any_i32"),
            (WindowFunction::Lag, 1) => ("lag", "any"),
            (WindowFunction::Lag, 2) => ("lag", "any_i32"),
            (WindowFunction::Lag, _) => ("lag", "any_i32_any"),
            (WindowFunction::Lead, 1) => ("lead", "any"),
            (WindowFunction::Lead, 2) => ("lead", "any_i32"),
            (WindowFunction::Lead, _) => ("lead", "any_i32_any"),
            (WindowFunction::Aggregate(_), _) => return Err(at.refuse("an aggregate as a ranking function")),
        };
        let anchor = self.anchor(&format!("{STANDARD}arithmetic"), format!("{name}:{signature}"));
        let mut written = Vec::with_capacity(arguments.len());
        for (index, argument) in arguments.iter().enumerate() {
            let mut argument = argument.clone();
            let is_distance = index == 1 && name != "ntile";
            if let Kind::Literal(Scalar::Int64(v)) = argument.kind
                && is_distance
                && i32::try_from(v).is_ok()
            {
                argument.data_type = DataType::Int32;
            }
            let value = self.expression(&argument, schema, &at.item("arguments", index))?;
            written.push(proto::FunctionArgument { arg_type: Some(ArgType::Value(value)) });
        }
        Ok((anchor, written, Vec::new()))
    }
}

/// Window calls have no filter in Substrait: rows that do not count give a null, which the native aggregates with an argument do not count.
fn filtered(function: &WindowExpression) -> Vec<Expression> {
    let Some(filter) = &function.filter else { return function.arguments.clone() };
    let one = || Expression::literal(Scalar::Int64(1), DataType::Int64);
    let arguments = match function.arguments.is_empty() {
        true => vec![one()],
        false => function.arguments.clone(),
    };
    let only = |value: Expression| {
        let data_type = value.data_type.clone();
        Expression { kind: Kind::Case { branches: vec![(filter.clone(), value)], otherwise: None }, data_type }
    };
    arguments.into_iter().map(only).collect()
}

/// Rows that count are counted by their value.
fn aggregate_of<'f>(
    aggregate: &'f plasmon_core::operators::aggregate::AggregateFunction,
    function: &WindowExpression,
) -> &'f plasmon_core::operators::aggregate::AggregateFunction {
    use plasmon_core::operators::aggregate::AggregateFunction;
    static COUNT: AggregateFunction = AggregateFunction::Count;
    match aggregate {
        AggregateFunction::CountAll if function.filter.is_some() => &COUNT,
        other => other,
    }
}

#[expect(deprecated, reason = "readers of plans from before distances were expressions look there")]
fn written_bound(bound: &FrameBound, units: FrameUnits, key: Option<&DataType>, at: &Path<'_>) -> Result<Bound> {
    let distance = |value: &Scalar| -> Result<(i64, Option<Box<proto::Expression>>)> {
        let data_type = match (units, value) {
            (FrameUnits::Rows, _) => DataType::Int64,
            (_, Scalar::Interval(_)) => DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano),
            (_, Scalar::Float64(_)) => DataType::Float64,
            (_, _) => key.filter(|k| k.is_numeric()).cloned().unwrap_or(DataType::Int64),
        };
        let value = match value {
            Scalar::UInt64(v) => Scalar::Int64(i64::try_from(*v).unwrap_or(i64::MAX)),
            other => other.clone(),
        };
        let written = constant(&value, &data_type, at)?;
        Ok((value.as_i64().unwrap_or_default(), Some(Box::new(written))))
    };
    let kind = match bound {
        FrameBound::UnboundedPreceding | FrameBound::UnboundedFollowing => BoundKind::Unbounded(Unbounded {}),
        FrameBound::CurrentRow => BoundKind::CurrentRow(CurrentRow {}),
        FrameBound::Preceding(value) => {
            let (offset, offset_expr) = distance(value)?;
            BoundKind::Preceding(Box::new(Preceding { offset, offset_expr }))
        }
        FrameBound::Following(value) => {
            let (offset, offset_expr) = distance(value)?;
            BoundKind::Following(Box::new(Following { offset, offset_expr }))
        }
    };
    Ok(Bound { kind: Some(kind) })
}
