//! DISTINCT ON: the first row of each group, as `first_value` of every selected expression.
//!
//! The planner library's rule does the same, but looks the function up in a registry that only its own engine has.

use datafusion_common::tree_node::Transformed;
use datafusion_common::{Column, DataFusionError, internal_datafusion_err};
use datafusion_expr::expr_rewriter::normalize_cols;
use datafusion_expr::{Aggregate, Distinct, DistinctOn, Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder};

use crate::function::Registry;

/// The plan with every DISTINCT ON made an aggregate.
pub(super) fn into_aggregates(plan: LogicalPlan, functions: &Registry) -> Result<LogicalPlan, DataFusionError> {
    let aggregated = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Distinct(Distinct::On(distinct)) => Ok(Transformed::yes(first_rows(distinct, functions)?)),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(aggregated.data)
}

fn first_rows(distinct: DistinctOn, functions: &Registry) -> Result<LogicalPlan, DataFusionError> {
    let DistinctOn { on_expr, select_expr, sort_expr, input, schema } = distinct;
    let keys = on_expr.len();
    let first = functions.aggregate("first_value").ok_or_else(|| internal_datafusion_err!("no first_value"))?;
    let order = sort_expr.clone().unwrap_or_default();
    let aggregates = select_expr
        .into_iter()
        .map(|e| match order.is_empty() {
            true => Ok(first.call(vec![e])),
            false => first.call(vec![e]).order_by(order.clone()).build(),
        })
        .collect::<Result<Vec<Expr>, _>>()?;
    let aggregates = normalize_cols(aggregates, input.as_ref())?;
    let groups = normalize_cols(on_expr, input.as_ref())?;
    // Two selected expressions may be alike: aggregates need names of their own.
    let aggregates = aggregates.into_iter().enumerate().map(|(i, e)| e.alias(format!("__first_{i}")));
    let aggregate = LogicalPlan::Aggregate(Aggregate::try_new(input, groups, aggregates.collect())?);
    let mut plan = LogicalPlanBuilder::from(aggregate);
    if let Some(mut sort) = sort_expr {
        // The rows come in the order of their keys.
        sort.truncate(keys);
        plan = plan.sort(sort)?;
    }
    let plan = plan.build()?;
    let selected: Vec<Expr> = plan
        .schema()
        .iter()
        .skip(keys)
        .zip(schema.iter())
        .map(|(from, (qualifier, field))| {
            Expr::from(Column::from(from)).alias_qualified(qualifier.cloned(), field.name())
        })
        .collect();
    LogicalPlanBuilder::from(plan).project(selected)?.build()
}
