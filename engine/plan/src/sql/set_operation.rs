//! INTERSECT ALL and EXCEPT ALL, which count duplicates.
//!
//! The planner library makes plain semi and anti joins of them. Numbering equal rows on both sides and joining on the number, too, makes
//! those right: the n-th copy of a row is in the intersection when the other side has an n-th copy.

use std::sync::Arc;

use datafusion_common::tree_node::Transformed;
use datafusion_common::{Column, DataFusionError, JoinType, NullEquality, internal_datafusion_err};
use datafusion_expr::{Distinct, Expr, ExprFunctionExt, Join, LogicalPlan, LogicalPlanBuilder};

use crate::function::Registry;

/// The plan with every such join made to count.
pub(super) fn count_duplicates(plan: LogicalPlan, functions: &Registry) -> Result<LogicalPlan, DataFusionError> {
    let counted = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join) if is_counting(&join) => Ok(Transformed::yes(number_rows(join, functions)?)),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(counted.data)
}

/// The library joins null-safe for set operations only; those without ALL have a DISTINCT on the left.
fn is_counting(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && !join.on.is_empty()
        && !matches!(join.left.as_ref(), LogicalPlan::Distinct(Distinct::All(_)))
}

fn number_rows(join: Join, functions: &Registry) -> Result<LogicalPlan, DataFusionError> {
    let columns = join.left.schema().columns();
    let left = numbered(&join.left, "__left_number", functions)?;
    let right = numbered(&join.right, "__right_number", functions)?;
    let mut on = join.on;
    on.push((Expr::from(Column::from_name("__left_number")), Expr::from(Column::from_name("__right_number"))));
    let joined = Join::try_new(
        Arc::new(left),
        Arc::new(right),
        on,
        join.filter,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        false,
    )?;
    LogicalPlanBuilder::from(LogicalPlan::Join(joined)).project(columns.into_iter().map(Expr::from))?.build()
}

/// The plan with one more column: which copy of its kind a row is.
fn numbered(plan: &LogicalPlan, name: &str, functions: &Registry) -> Result<LogicalPlan, DataFusionError> {
    let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::from).collect();
    let row_number = functions.window("row_number").ok_or_else(|| internal_datafusion_err!("no row_number"))?;
    let number = row_number.call(Vec::new()).partition_by(columns.clone()).build()?;
    let windowed = LogicalPlanBuilder::from(plan.clone()).window(vec![number])?.build()?;
    let (qualifier, field) = windowed.schema().qualified_field(columns.len());
    let number = Expr::from(Column::from((qualifier, field))).alias(name);
    LogicalPlanBuilder::from(windowed).project(columns.into_iter().chain([number]))?.build()
}
