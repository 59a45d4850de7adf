//! Window functions: grouped by partitioning and order, one window relation per group.

use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::{
    AggregateFunction as AggregateCallExpr, AggregateFunctionParams, NullTreatment, WindowFunction as WindowCall,
};
use datafusion_expr::{Expr, Window, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition};
use plasmon_core::expression::{Expression, SortKey};
use plasmon_core::operators::window::{Frame, FrameBound, FrameUnits, WindowExpression, WindowFunction};
use plasmon_core::{Error, Result};

use super::Translator;
use super::literal::convert_scalar;
use crate::function;
use crate::ir::{Node, Relation, schema_with};

/// Calls over the same partitions in the same order.
struct Group {
    partition_by: Vec<Expression>,
    order_by: Vec<SortKey>,
    functions: Vec<WindowExpression>,
    /// Ordinal of each function in the logical window node.
    outputs: Vec<usize>,
}

impl Translator {
    pub(super) fn window(&mut self, window: &Window) -> Result<Relation> {
        let schema = window.input.schema();
        let mut relation = self.relation(&window.input)?;
        let width = relation.schema.fields().len();
        let mut groups: Vec<Group> = Vec::new();
        for (ordinal, call) in window.window_expr.iter().enumerate() {
            let call = window_call(call)?;
            let partition_by =
                call.params.partition_by.iter().map(|e| self.expression(e, schema)).collect::<Result<Vec<_>>>()?;
            let order_by = self.sort_keys(&call.params.order_by, schema)?;
            let mut function = self.window_function(call, schema)?;
            function.data_type = window.schema.field(width + ordinal).data_type().clone();
            match groups.iter_mut().find(|g| g.partition_by == partition_by && g.order_by == order_by) {
                Some(group) => {
                    group.functions.push(function);
                    group.outputs.push(ordinal);
                }
                None => {
                    groups.push(Group { partition_by, order_by, functions: vec![function], outputs: vec![ordinal] })
                }
            }
        }
        let mut produced: Vec<usize> = Vec::new();
        for group in groups {
            produced.extend(&group.outputs);
            let fields = group.outputs.iter().map(|&o| window.schema.inner().fields()[width + o].clone());
            let schema = schema_with(&relation.schema, fields);
            let Group { partition_by, order_by, functions, .. } = group;
            relation =
                Relation::new(Node::Window { input: Box::new(relation), partition_by, order_by, functions }, schema);
        }
        if produced.iter().enumerate().all(|(i, &o)| i == o) {
            relation.schema = window.schema.inner().clone();
            return Ok(relation);
        }
        // Groups were taken out of turn: put the columns back into the order of the logical node.
        let position = |ordinal: usize| width + produced.iter().position(|&p| p == ordinal).unwrap_or(0);
        let order = (0..width).chain((0..produced.len()).map(position));
        Ok(relation.project_columns(order).with_schema(window.schema.inner().clone()))
    }

    fn window_function(&mut self, call: &WindowCall, schema: &DFSchema) -> Result<WindowExpression> {
        let params = &call.params;
        let ignore_nulls = params.null_treatment == Some(NullTreatment::IgnoreNulls);
        let frame = frame(&params.window_frame)?;
        if let WindowFunctionDefinition::AggregateUDF(udaf) = &call.fun {
            // As an aggregate call, so that both ways into an aggregate take one path.
            let aggregate = AggregateCallExpr {
                func: udaf.clone(),
                params: AggregateFunctionParams {
                    args: params.args.clone(),
                    distinct: params.distinct,
                    filter: params.filter.clone(),
                    order_by: Vec::new(),
                    null_treatment: params.null_treatment,
                },
            };
            let translated =
                self.aggregate_function(&aggregate, &Expr::AggregateFunction(aggregate.clone()), schema)?;
            return Ok(WindowExpression {
                function: WindowFunction::Aggregate(translated.function),
                arguments: translated.arguments,
                frame,
                filter: translated.filter,
                distinct: translated.distinct,
                ignore_nulls,
                data_type: translated.data_type,
            });
        }
        let WindowFunctionDefinition::WindowUDF(udwf) = &call.fun else {
            return Err(Error::unsupported(format!("window function {}", call.fun.name())));
        };
        let arguments = params.args.iter().map(|a| self.expression(a, schema)).collect::<Result<Vec<_>>>()?;
        let filter = params.filter.as_deref().map(|f| self.expression(f, schema)).transpose()?;
        let data_type = arguments.first().map_or(arrow::datatypes::DataType::UInt64, |a| a.data_type.clone());
        let function = function::window(udwf)?;
        function::check_window_arguments(&function, udwf.name(), &arguments)?;
        Ok(WindowExpression { function, arguments, frame, filter, distinct: params.distinct, ignore_nulls, data_type })
    }
}

fn window_call(call: &Expr) -> Result<&WindowCall> {
    match call {
        Expr::Alias(alias) => window_call(&alias.expr),
        Expr::WindowFunction(call) => Ok(call),
        other => Err(Error::unsupported(format!("window expression {other}"))),
    }
}

fn frame(frame: &WindowFrame) -> Result<Frame> {
    let units = match frame.units {
        WindowFrameUnits::Rows => FrameUnits::Rows,
        WindowFrameUnits::Range => FrameUnits::Range,
        WindowFrameUnits::Groups => FrameUnits::Groups,
    };
    let distance = |value: &ScalarValue| if value.is_null() { Ok(None) } else { convert_scalar(value).map(Some) };
    let bound = |bound: &WindowFrameBound| {
        Ok::<_, Error>(match bound {
            WindowFrameBound::Preceding(value) => {
                distance(value)?.map_or(FrameBound::UnboundedPreceding, FrameBound::Preceding)
            }
            WindowFrameBound::CurrentRow => FrameBound::CurrentRow,
            WindowFrameBound::Following(value) => {
                distance(value)?.map_or(FrameBound::UnboundedFollowing, FrameBound::Following)
            }
        })
    };
    Ok(Frame { units, start: bound(&frame.start_bound)?, end: bound(&frame.end_bound)? })
}
