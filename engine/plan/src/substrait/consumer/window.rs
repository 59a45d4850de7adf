//! Window functions: of a window relation, and within the expressions of a projection.

use arrow::datatypes::{DataType, Field, SchemaRef};
use plasmon_core::Result;
use plasmon_core::expression::{CastMode, Expression, Scalar, SortKey};
use plasmon_core::operators::window::{Frame, FrameBound, FrameUnits, WindowExpression, WindowFunction};
use substrait_prost as proto;
use substrait_prost::aggregate_function::AggregationInvocation;
use substrait_prost::expression::WindowFunction as WindowCall;
use substrait_prost::expression::window_function::bound::Kind as BoundKind;
use substrait_prost::expression::window_function::{Bound, BoundsType};

use super::aggregate::library_name;
use super::call::Arguments;
use super::options::Options;
use super::relation::{constant, emit};
use super::{Consumer, as_stated, project};
use crate::function;
use crate::ir::{Node, Relation, schema_with};
use crate::path::Path;
use crate::sql::cast_to;
use crate::substrait::types::same;

/// The window calls met in the expressions of one projection; call `n` is column `width + n`.
pub(super) struct Calls {
    width: usize,
    calls: Vec<Call>,
}

struct Call {
    partition_by: Vec<Expression>,
    order_by: Vec<SortKey>,
    function: WindowExpression,
}

/// What both forms of a window call say.
struct Stated<'a> {
    anchor: u32,
    arguments: &'a [proto::FunctionArgument],
    options: &'a [proto::FunctionOption],
    output_type: Option<&'a proto::Type>,
    phase: proto::AggregationPhase,
    invocation: AggregationInvocation,
    lower: Option<&'a Bound>,
    upper: Option<&'a Bound>,
    units: BoundsType,
}

impl Calls {
    pub(super) fn new(width: usize) -> Calls {
        Calls { width, calls: Vec::new() }
    }

    /// The relation with one column per call behind its own, in the order of the calls.
    pub(super) fn over(self, input: Relation) -> Result<Relation> {
        let mut groups: Vec<(Vec<Expression>, Vec<SortKey>, Vec<(usize, WindowExpression)>)> = Vec::new();
        for (ordinal, call) in self.calls.into_iter().enumerate() {
            match groups.iter_mut().find(|g| g.0 == call.partition_by && g.1 == call.order_by) {
                Some(group) => group.2.push((ordinal, call.function)),
                None => groups.push((call.partition_by, call.order_by, vec![(ordinal, call.function)])),
            }
        }
        let (mut relation, mut produced) = (input, Vec::new());
        for (partition_by, order_by, functions) in groups {
            produced.extend(functions.iter().map(|f| f.0));
            let functions: Vec<WindowExpression> = functions.into_iter().map(|f| f.1).collect();
            let fields = functions.iter().map(|f| Field::new("window", f.data_type.clone(), true).into());
            let schema = schema_with(&relation.schema, fields);
            let node = Node::Window { input: Box::new(relation), partition_by, order_by, functions };
            relation = Relation::new(node, schema);
        }
        let position = |ordinal: usize| self.width + produced.iter().position(|&p| p == ordinal).unwrap_or(0);
        let order: Vec<usize> = (0..self.width).chain((0..produced.len()).map(position)).collect();
        Ok(relation.project_columns(order))
    }
}

impl<'a> Consumer<'a> {
    pub(super) fn window_relation(
        &mut self,
        window: &'a proto::ConsistentPartitionWindowRel,
        at: &Path<'_>,
    ) -> Result<Relation> {
        let input = self.required(window.input.as_deref(), &at.field("input"))?;
        let schema = input.schema.clone();
        let partitions = window.partition_expressions.iter().enumerate();
        let partition_by = partitions
            .map(|(i, e)| self.expression(e, &schema, &at.item("partition_expressions", i)))
            .collect::<Result<Vec<_>>>()?;
        let order_by = self.sort_keys(&window.sorts, &schema, at)?;
        let mut functions = Vec::with_capacity(window.window_functions.len());
        for (index, call) in window.window_functions.iter().enumerate() {
            let stated = Stated {
                anchor: call.function_reference,
                arguments: &call.arguments,
                options: &call.options,
                output_type: call.output_type.as_ref(),
                phase: call.phase(),
                invocation: call.invocation(),
                lower: call.lower_bound.as_ref(),
                upper: call.upper_bound.as_ref(),
                units: call.bounds_type(),
            };
            let at = at.item("window_functions", index);
            functions.push(self.window_function(&stated, &order_by, &schema, &at)?);
        }
        let widened = stated_types(input, partition_by, order_by, functions, at)?;
        emit(widened, &window.common, &window.advanced_extension, at)
    }

    /// A call within an expression: its column, which the projection then computes.
    pub(super) fn window_expression(
        &mut self,
        call: &'a WindowCall,
        schema: &SchemaRef,
        at: &Path<'_>,
    ) -> Result<Expression> {
        let Some(calls) = self.windows.take() else {
            return Err(at.refuse("a window function in this place (it can stand in projections)"));
        };
        // Not within its own arguments.
        let converted = self.window_parts(call, schema, at);
        let mut calls = calls;
        let value = converted.and_then(|(call, stated)| {
            let computed = Expression::column(calls.width + calls.calls.len(), call.function.data_type.clone());
            calls.calls.push(call);
            as_stated(computed, stated, "the window function", at)
        });
        self.windows = Some(calls);
        value
    }

    fn window_parts(
        &mut self,
        call: &'a WindowCall,
        schema: &SchemaRef,
        at: &Path<'_>,
    ) -> Result<(Call, Option<DataType>)> {
        let partitions = call.partitions.iter().enumerate();
        let partition_by = partitions
            .map(|(i, e)| self.expression(e, schema, &at.item("partitions", i)))
            .collect::<Result<Vec<_>>>()?;
        let order_by = self.sort_keys(&call.sorts, schema, at)?;
        let stated = Stated {
            anchor: call.function_reference,
            arguments: &call.arguments,
            options: &call.options,
            output_type: call.output_type.as_ref(),
            phase: call.phase(),
            invocation: call.invocation(),
            lower: call.lower_bound.as_deref(),
            upper: call.upper_bound.as_deref(),
            units: call.bounds_type(),
        };
        let (function, stated) = self.window_function(&stated, &order_by, schema, at)?;
        Ok((Call { partition_by, order_by, function }, stated))
    }

    fn window_function(
        &mut self,
        call: &Stated<'a>,
        order_by: &[SortKey],
        schema: &SchemaRef,
        at: &Path<'_>,
    ) -> Result<(WindowExpression, Option<DataType>)> {
        use proto::AggregationPhase::{InitialToResult, Unspecified};
        if !matches!(call.phase, InitialToResult | Unspecified) {
            return Err(at.refuse("a window function of intermediate results"));
        }
        let declared = self.function(call.anchor, at)?;
        let Arguments { values: arguments, words } = self.arguments(call.arguments, schema, at)?;
        let stated = self.types.stated(call.output_type, at)?;
        let mut options = Options::new(call.options);
        options.overflow(at)?;
        options.take("on_domain_error", &["ERROR"], at)?;
        options.take("rounding", &["TIE_TO_EVEN"], at)?;
        let nulls = options.take("ignore_nulls", &["TRUE", "FALSE"], at)?;
        let ignore_nulls = nulls == Some("TRUE");
        if declared.name == "sum0" {
            return Err(at.refuse("sum0 as a window function"));
        }
        let library = library_name(&declared, &words, &mut options, at)?;
        options.finish(at)?;
        let distinct = call.invocation == AggregationInvocation::Distinct;
        let frame = self.frame(call, order_by, schema, at)?;
        let named = self.registry.window(&declared.name).filter(|_| declared.name != "count");
        let function = match named {
            Some(udwf) => {
                let function = function::window(&udwf)?;
                function::check_window_arguments(&function, &declared.name, &arguments).map_err(|e| at.locate(e))?;
                let arguments = constants_last(&function, arguments, at)?;
                let data_type = result_type(&declared.name, &arguments, stated.as_ref());
                WindowExpression { function, arguments, frame, filter: None, distinct, ignore_nulls, data_type }
            }
            None => {
                let Some(udaf) = self.registry.aggregate(&library) else {
                    return Err(at.refuse(format!("window function {}", declared.name)));
                };
                let options = function::AggregateOptions { distinct, ignore_nulls, ..Default::default() };
                let aggregate = function::call_aggregate(&udaf, arguments, options).map_err(|e| at.locate(e))?;
                WindowExpression {
                    function: WindowFunction::Aggregate(aggregate.function),
                    arguments: aggregate.arguments,
                    frame,
                    filter: None,
                    distinct: aggregate.distinct,
                    ignore_nulls,
                    data_type: aggregate.data_type,
                }
            }
        };
        Ok((function, stated))
    }

    fn frame(&mut self, call: &Stated<'a>, order_by: &[SortKey], schema: &SchemaRef, at: &Path<'_>) -> Result<Frame> {
        let units = match call.units {
            BoundsType::Range => FrameUnits::Range,
            BoundsType::Rows | BoundsType::Unspecified => FrameUnits::Rows,
        };
        let key = order_by.first().map(|k| &k.expression.data_type);
        let start = match call.lower.and_then(|b| b.kind.as_ref()) {
            None | Some(BoundKind::Unbounded(_)) => FrameBound::UnboundedPreceding,
            Some(kind) => self.bound(kind, units, key, schema, &at.field("lower_bound"))?,
        };
        let end = match call.upper.and_then(|b| b.kind.as_ref()) {
            None | Some(BoundKind::Unbounded(_)) => FrameBound::UnboundedFollowing,
            Some(kind) => self.bound(kind, units, key, schema, &at.field("upper_bound"))?,
        };
        Ok(Frame { units, start, end })
    }

    #[expect(deprecated, reason = "distances of plans from before they were expressions")]
    fn bound(
        &mut self,
        kind: &'a BoundKind,
        units: FrameUnits,
        key: Option<&DataType>,
        schema: &SchemaRef,
        at: &Path<'_>,
    ) -> Result<FrameBound> {
        let (offset, expression, preceding) = match kind {
            BoundKind::CurrentRow(_) => return Ok(FrameBound::CurrentRow),
            BoundKind::Unbounded(_) => return Ok(FrameBound::UnboundedFollowing),
            BoundKind::Preceding(p) => (p.offset, p.offset_expr.as_deref(), true),
            BoundKind::Following(f) => (f.offset, f.offset_expr.as_deref(), false),
        };
        let distance = match expression {
            Some(expression) => {
                let mut value = self.expression(expression, schema, at)?;
                // A distance along a key is in the key's own unit.
                if let (FrameUnits::Range, Some(key)) = (units, key)
                    && key.is_numeric()
                    && value.data_type.is_numeric()
                {
                    value = cast_to(value, key, CastMode::Fail);
                }
                constant(&value).map_err(|e| at.locate(e))?
            }
            None => match (units, key) {
                (FrameUnits::Range, Some(key)) if key.is_numeric() => {
                    let offset = Expression::literal(Scalar::Int64(offset), DataType::Int64);
                    constant(&cast_to(offset, key, CastMode::Fail)).map_err(|e| at.locate(e))?
                }
                _ => Scalar::Int64(offset),
            },
        };
        if distance.as_i64().is_some_and(|d| d < 0) {
            return Err(at.wrong(format!("a frame distance of {distance:?}")));
        }
        Ok(if preceding { FrameBound::Preceding(distance) } else { FrameBound::Following(distance) })
    }
}

/// A window relation, its function columns of the types that the plan states.
fn stated_types(
    input: Relation,
    partition_by: Vec<Expression>,
    order_by: Vec<SortKey>,
    functions: Vec<(WindowExpression, Option<DataType>)>,
    at: &Path<'_>,
) -> Result<Relation> {
    let width = input.schema.fields().len();
    let stated: Vec<Option<DataType>> = functions.iter().map(|f| f.1.clone()).collect();
    let functions: Vec<WindowExpression> = functions.into_iter().map(|f| f.0).collect();
    let fields = functions.iter().map(|f| Field::new("window", f.data_type.clone(), true).into());
    let schema = schema_with(&input.schema, fields);
    let is_stated = functions.iter().zip(&stated).all(|(f, s)| s.as_ref().is_none_or(|s| same(&f.data_type, s)));
    let relation = Relation::new(Node::Window { input: Box::new(input), partition_by, order_by, functions }, schema);
    if is_stated {
        return Ok(relation);
    }
    let mut columns = relation.columns();
    for (index, stated) in stated.into_iter().enumerate() {
        let at = at.item("window_functions", index);
        let column = columns[width + index].clone();
        columns[width + index] = as_stated(column, stated, "the window function", &at)?;
    }
    Ok(project(relation, columns))
}

/// Offsets, bucket numbers and defaults are constants of the types that the engine takes.
fn constants_last(function: &WindowFunction, arguments: Vec<Expression>, at: &Path<'_>) -> Result<Vec<Expression>> {
    let value_type = arguments.first().map(|a| a.data_type.clone());
    let arguments = arguments.into_iter().enumerate().map(|(index, argument)| {
        let target = match (function, index) {
            (WindowFunction::Lag | WindowFunction::Lead, 2) => value_type.clone(),
            _ => (function::window_number(function) == Some(index)).then_some(DataType::Int64),
        };
        let Some(target) = target else { return Ok(argument) };
        let value = cast_to(argument, &target, CastMode::Fail);
        let scalar = constant(&value).map_err(|e| at.item("arguments", index).locate(e))?;
        Ok(Expression::literal(scalar, target))
    });
    arguments.collect()
}

/// Ranks are of the integer type that the plan states.
fn result_type(name: &str, arguments: &[Expression], stated: Option<&DataType>) -> DataType {
    match name {
        "row_number" | "rank" | "dense_rank" | "ntile" => {
            stated.filter(|t| t.is_integer()).cloned().unwrap_or(DataType::Int64)
        }
        "percent_rank" | "cume_dist" => DataType::Float64,
        _ => arguments.first().map_or(DataType::Null, |a| a.data_type.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_of_the_stated_type() {
        assert_eq!(result_type("rank", &[], Some(&DataType::Int32)), DataType::Int32);
        assert_eq!(result_type("rank", &[], None), DataType::Int64);
        assert_eq!(result_type("rank", &[], Some(&DataType::Utf8)), DataType::Int64);
    }
}
