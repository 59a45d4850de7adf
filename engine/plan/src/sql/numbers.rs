//! Numbers as the engine means them, where the planner library means something else.
//!
//! - A decimal beside a float is a float: in comparisons, BETWEEN, IN, CASE, COALESCE and unions. (The library would turn the float into a
//!   decimal of 30 digits, which NaN, infinities and large values are not.)
//! - Constant floats are compared as numbers by NULLIF, IN and CASE x WHEN. (The library would fold those by bits, by which −0 is not 0.)
//! - Integer arithmetic over constants fails on overflow. (The library would fold it by wrapping.)

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, DataFusionError, ScalarValue, TableReference, plan_err};
use datafusion_expr::expr::{Between, Case, InList, ScalarFunction};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, Union, Volatility, cast, lit, not, when,
};
use datafusion_optimizer::optimizer::ApplyOrder;
use datafusion_optimizer::simplify_expressions::SimplifyExpressions;
use datafusion_optimizer::{OptimizerConfig, OptimizerRule};

type Result<T> = std::result::Result<T, DataFusionError>;

/// Functions whose arguments are values of one kind.
const UNIFORM: [&str; 6] = ["coalesce", "nullif", "greatest", "least", "nvl", "nvl2"];

/// Casts decimals that stand beside floats; to be done before types are coerced.
pub(super) fn decimals_beside_floats(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| {
        if let LogicalPlan::Union(union) = node {
            return unite(union);
        }
        let node = node.recompute_schema()?;
        let schema = merge_schema(&node.inputs());
        node.map_expressions(|e| e.transform_up(|e| beside_floats(e, &schema)))
    })?;
    Ok(rewritten.data)
}

/// Whether floats and decimals meet among `operands`.
fn is_mixed<'a>(operands: impl Iterator<Item = &'a Expr>, schema: &DFSchema) -> bool {
    let types: Vec<DataType> = operands.filter_map(|e| e.get_type(schema).ok()).collect();
    types.iter().any(DataType::is_floating) && types.iter().any(DataType::is_decimal)
}

fn to_float(operand: &mut Expr, schema: &DFSchema) {
    if operand.get_type(schema).is_ok_and(|t| t.is_decimal()) {
        *operand = cast(operand.clone(), DataType::Float64);
    }
}

fn all_to_float<'a>(operands: impl Iterator<Item = &'a mut Expr>, schema: &DFSchema) -> bool {
    operands.for_each(|e| to_float(e, schema));
    true
}

fn beside_floats(mut expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let changed = match &mut expression {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() || is_distinct(*op) => {
            is_mixed([left.as_ref(), right.as_ref()].into_iter(), schema)
                && all_to_float([left.as_mut(), right.as_mut()].into_iter(), schema)
        }
        Expr::Between(Between { expr, low, high, .. }) => {
            is_mixed([expr.as_ref(), low.as_ref(), high.as_ref()].into_iter(), schema)
                && all_to_float([expr.as_mut(), low.as_mut(), high.as_mut()].into_iter(), schema)
        }
        Expr::InList(InList { expr, list, .. }) => {
            is_mixed(list.iter().chain([expr.as_ref()]), schema)
                && all_to_float(list.iter_mut().chain([expr.as_mut()]), schema)
        }
        Expr::Case(Case { expr, when_then_expr, else_expr }) => {
            let values = when_then_expr.iter().map(|(_, then)| then.as_ref()).chain(else_expr.as_deref());
            let values_changed = is_mixed(values, schema)
                && all_to_float(
                    when_then_expr.iter_mut().map(|(_, then)| then.as_mut()).chain(else_expr.as_deref_mut()),
                    schema,
                );
            let compared = when_then_expr.iter().map(|(when, _)| when.as_ref()).chain(expr.as_deref());
            let compared_changed = expr.is_some()
                && is_mixed(compared, schema)
                && all_to_float(
                    when_then_expr.iter_mut().map(|(when, _)| when.as_mut()).chain(expr.as_deref_mut()),
                    schema,
                );
            values_changed || compared_changed
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) if UNIFORM.contains(&func.name()) => {
            is_mixed(args.iter(), schema) && all_to_float(args.iter_mut(), schema)
        }
        _ => false,
    };
    Ok(if changed { Transformed::yes(expression) } else { Transformed::no(expression) })
}

/// A choice among constant floats as comparisons, which the library folds as it should.
fn compared(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let are_floats = |operands: &[&Expr]| {
        operands.iter().all(|e| is_constant(e))
            && operands.iter().any(|e| e.get_type(schema).is_ok_and(|t| t.is_floating()))
    };
    Ok(Transformed::yes(match &expression {
        Expr::ScalarFunction(call) if call.func.name() == "nullif" => match &call.args[..] {
            [value, other] if are_floats(&[value, other]) => {
                let null = lit(ScalarValue::try_new_null(&value.get_type(schema)?)?);
                when(value.clone().eq(other.clone()), null).otherwise(value.clone())?
            }
            _ => return Ok(Transformed::no(expression)),
        },
        Expr::InList(InList { expr, list, negated })
            if are_floats(&list.iter().chain([&**expr]).collect::<Vec<_>>()) =>
        {
            let any = list.iter().map(|value| expr.as_ref().clone().eq(value.clone())).reduce(Expr::or);
            let any = any.unwrap_or_else(|| lit(false));
            if *negated { not(any) } else { any }
        }
        Expr::Case(Case { expr: Some(expr), when_then_expr, else_expr })
            if are_floats(&when_then_expr.iter().map(|(when, _)| &**when).chain([&**expr]).collect::<Vec<_>>()) =>
        {
            let branches = when_then_expr
                .iter()
                .map(|(when, then)| (Box::new(expr.as_ref().clone().eq(when.as_ref().clone())), then.clone()));
            Expr::Case(Case { expr: None, when_then_expr: branches.collect(), else_expr: else_expr.clone() })
        }
        _ => return Ok(Transformed::no(expression)),
    }))
}

/// Whether the library may compute the expression while it plans.
fn is_constant(expression: &Expr) -> bool {
    let varies = expression.exists(|e| {
        Ok(match e {
            Expr::Literal(..)
            | Expr::Alias(_)
            | Expr::Cast(_)
            | Expr::TryCast(_)
            | Expr::Negative(_)
            | Expr::BinaryExpr(_)
            | Expr::Case(_) => false,
            Expr::ScalarFunction(call) => call.func.signature().volatility != Volatility::Immutable,
            _ => true,
        })
    });
    !varies.unwrap_or(true)
}

fn is_distinct(op: Operator) -> bool {
    matches!(op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom)
}

fn unite(union: Union) -> Result<Transformed<LogicalPlan>> {
    let columns = union.schema.fields().len();
    let type_of = |input: &LogicalPlan, column: usize| {
        input.schema().fields().get(column).map_or(DataType::Null, |f| f.data_type().clone())
    };
    let mixed: Vec<bool> = (0..columns)
        .map(|c| {
            union.inputs.iter().any(|i| type_of(i, c).is_floating())
                && union.inputs.iter().any(|i| type_of(i, c).is_decimal())
        })
        .collect();
    let names: Vec<(Option<TableReference>, String)> =
        union.schema.iter().map(|(relation, field)| (relation.cloned(), field.name().clone())).collect();
    // Where one input is empty, the library puts another in the union's place and asks it for the union's names.
    let are_distinct = names.iter().collect::<HashSet<_>>().len() == names.len();
    let inputs = union.inputs.into_iter().map(|input| {
        let mut is_changed = false;
        let values = input.schema().columns().into_iter().enumerate().map(|(c, column)| {
            let (relation, name) = match names.get(c) {
                Some(name) if are_distinct => name.clone(),
                _ => (column.relation.clone(), column.name.clone()),
            };
            let value = Expr::Column(column.clone());
            if mixed[c] && type_of(&input, c).is_decimal() {
                is_changed = true;
                return cast(value, DataType::Float64).alias_qualified(relation, name);
            }
            if (&relation, &name) == (&column.relation, &column.name) {
                return value;
            }
            is_changed = true;
            value.alias_qualified(relation, name)
        });
        let values: Vec<Expr> = values.collect();
        if !is_changed {
            return Ok(input);
        }
        Ok(Arc::new(LogicalPlanBuilder::from(input).project(values)?.build()?))
    });
    // What is below may have other types than it had.
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    Ok(Transformed::yes(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?)))
}

/// The library's simplification, behind a check of what it would fold.
#[derive(Debug)]
pub(super) struct CheckedSimplify(SimplifyExpressions);

impl CheckedSimplify {
    pub(super) fn new() -> Self {
        CheckedSimplify(SimplifyExpressions::new())
    }
}

impl OptimizerRule for CheckedSimplify {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        plan.apply_expressions(|e| {
            e.apply(|e| match e {
                Expr::BinaryExpr(_) | Expr::Negative(_) => {
                    Ok(if constant(e)?.is_some() { TreeNodeRecursion::Jump } else { TreeNodeRecursion::Continue })
                }
                _ => Ok(TreeNodeRecursion::Continue),
            })
        })?;
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        let compared = plan.map_expressions(|e| {
            // A set under another name is no grouping set any more.
            if matches!(e, Expr::GroupingSet(_)) {
                return Ok(Transformed::no(e));
            }
            let name = names.save(&e);
            Ok(e.transform_up(|e| compared(e, &schema))?.update_data(|e| name.restore(e)))
        })?;
        compared.transform_data(|plan| self.0.rewrite(plan, config))
    }
}

/// The integer that an expression of constants comes to; an error when its type does not hold it.
fn constant(expression: &Expr) -> Result<Option<(i128, DataType)>> {
    Ok(match expression {
        Expr::Literal(value, _) => integer(value).map(|v| (v, value.data_type())),
        Expr::Alias(alias) => constant(&alias.expr)?,
        Expr::Cast(inner) if inner.field.data_type().is_integer() => {
            let to = inner.field.data_type().clone();
            constant(&inner.expr)?.filter(|(v, _)| fits(*v, &to)).map(|(v, _)| (v, to))
        }
        Expr::Negative(inner) => match constant(inner)? {
            Some((v, data_type)) => Some(checked(-v, data_type, expression)?),
            None => None,
        },
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (Some((a, left_type)), Some((b, right_type))) = (constant(left)?, constant(right)?) else {
                return Ok(None);
            };
            let value = match op {
                Operator::Plus => a + b,
                Operator::Minus => a - b,
                Operator::Multiply => a * b,
                _ => return Ok(None),
            };
            if left_type != right_type {
                return Ok(None);
            }
            Some(checked(value, left_type, expression)?)
        }
        _ => None,
    })
}

fn checked(value: i128, data_type: DataType, expression: &Expr) -> Result<(i128, DataType)> {
    if fits(value, &data_type) {
        return Ok((value, data_type));
    }
    plan_err!("arithmetic overflow: {expression} does not fit {data_type}")
}

fn integer(value: &ScalarValue) -> Option<i128> {
    Some(match value {
        ScalarValue::Int8(Some(v)) => (*v).into(),
        ScalarValue::Int16(Some(v)) => (*v).into(),
        ScalarValue::Int32(Some(v)) => (*v).into(),
        ScalarValue::Int64(Some(v)) => (*v).into(),
        ScalarValue::UInt8(Some(v)) => (*v).into(),
        ScalarValue::UInt16(Some(v)) => (*v).into(),
        ScalarValue::UInt32(Some(v)) => (*v).into(),
        ScalarValue::UInt64(Some(v)) => (*v).into(),
        _ => return None,
    })
}

fn fits(value: i128, data_type: &DataType) -> bool {
    match data_type {
        DataType::Int8 => i8::try_from(value).is_ok(),
        DataType::Int16 => i16::try_from(value).is_ok(),
        DataType::Int32 => i32::try_from(value).is_ok(),
        DataType::Int64 => i64::try_from(value).is_ok(),
        DataType::UInt8 => u8::try_from(value).is_ok(),
        DataType::UInt16 => u16::try_from(value).is_ok(),
        DataType::UInt32 => u32::try_from(value).is_ok(),
        DataType::UInt64 => u64::try_from(value).is_ok(),
        _ => false,
    }
}
