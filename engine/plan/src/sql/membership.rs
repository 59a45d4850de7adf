//! Correlated `NOT IN`, and names that collide when a sub-query's conditions are pulled above it: written so that the planner library
//! decorrelates them rightly.
//!
//! - The library's null-aware anti join takes every equality of the join for the IN's: a null in what correlates would make a row unknown.
//!   A condition `x NOT IN (S)` with S correlated becomes `NOT EXISTS (S WHERE (x = s) IS NOT FALSE)`; so does one whose `x` reads no column,
//!   because its equality would be pushed into S and lose S's nulls.
//! - A correlated sub-query's output gets a name of its own; an EXISTS gives a constant.

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, DFSchema, DataFusionError, ExprSchema, TableReference};
use datafusion_expr::expr::{Exists, InSubquery};
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{
    Distinct, Expr, Filter, LogicalPlan, LogicalPlanBuilder, Projection, Subquery, lit, not, not_exists,
};

type Result<T> = std::result::Result<T, DataFusionError>;

/// The plan with every such sub-query rewritten; expects coerced types.
pub(super) fn rewrite(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut names = 0;
    let rewritten = plan.transform_up_with_subqueries(|node| {
        let node = node.map_expressions(|e| e.transform_up(|e| unambiguous(e, &mut names)))?;
        match node.data {
            LogicalPlan::Filter(filter) => rewrite_filter(filter, &mut names).map(Transformed::yes),
            other => Ok(Transformed::new(other, node.transformed, node.tnr)),
        }
    })?;
    Ok(rewritten.data)
}

/// A correlated sub-query whose output cannot be mistaken for the columns that its conditions will need above it.
fn unambiguous(expression: Expr, names: &mut usize) -> Result<Transformed<Expr>> {
    Ok(match expression {
        Expr::Exists(Exists { subquery, negated }) => {
            let named = with_output(&subquery, |_| lit(1_i64).alias(next_name(names)))?;
            Transformed::yes(Expr::Exists(Exists { subquery: named.unwrap_or(subquery), negated }))
        }
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
            let named = with_output(&subquery, |value| value.clone().unalias().alias(next_name(names)))?;
            Transformed::yes(Expr::InSubquery(InSubquery { expr, subquery: named.unwrap_or(subquery), negated }))
        }
        other => Transformed::no(other),
    })
}

fn next_name(names: &mut usize) -> String {
    *names += 1;
    format!("__output_{names}")
}

/// The sub-query with another select list, when it is correlated and its select list may be replaced.
fn with_output(subquery: &Subquery, output: impl FnOnce(&Expr) -> Expr) -> Result<Option<Subquery>> {
    let Some((value, input)) = selected(&subquery.subquery)? else { return Ok(None) };
    if subquery.outer_ref_columns.is_empty() || matches!(input, LogicalPlan::Aggregate(_)) {
        return Ok(None);
    }
    let list = Projection::try_new(vec![output(&value)], Arc::new(input.clone()))?;
    Ok(Some(Subquery { subquery: Arc::new(LogicalPlan::Projection(list)), ..subquery.clone() }))
}

/// The first value that a sub-query selects and the relation that it is selected from; of select lists one above the other, as type
/// coercion makes them, the lowest counts.
fn selected(plan: &LogicalPlan) -> Result<Option<(Expr, &LogicalPlan)>> {
    let LogicalPlan::Projection(list) = without_distinct(plan) else { return Ok(None) };
    let value = list.expr[0].clone().unalias();
    let LogicalPlan::Projection(below) = without_distinct(&list.input) else { return Ok(Some((value, &list.input))) };
    if below.expr.iter().any(Expr::is_volatile) {
        return Ok(Some((value, &list.input)));
    }
    let value = value.transform(|e| match e {
        Expr::Column(column) => {
            let place = below.schema.index_of_column(&column)?;
            Ok(Transformed::yes(below.expr[place].clone().unalias()))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(Some((value.data, &below.input)))
}

/// Duplicates change no existence and no membership.
fn without_distinct(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::Distinct(Distinct::All(input)) => input,
        other => other,
    }
}

fn rewrite_filter(filter: Filter, names: &mut usize) -> Result<LogicalPlan> {
    let schema = filter.input.schema().clone();
    let conditions = split_conjunction_owned(filter.predicate)
        .into_iter()
        .map(|condition| match condition {
            Expr::InSubquery(membership) => rewrite_condition(membership, &schema, names),
            Expr::Not(inner) => match *inner {
                Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                    rewrite_condition(InSubquery { expr, subquery, negated: !negated }, &schema, names)
                }
                other => Ok(not(other)),
            },
            other => Ok(other),
        })
        .collect::<Result<Vec<_>>>()?;
    let predicate = conjunction(conditions).unwrap_or_else(|| lit(true));
    Ok(LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?))
}

/// An IN that is a whole condition: unknown counts as false.
fn rewrite_condition(membership: InSubquery, schema: &DFSchema, names: &mut usize) -> Result<Expr> {
    let correlated = !membership.subquery.outer_ref_columns.is_empty();
    if !membership.negated || !(correlated || membership.expr.column_refs().is_empty()) {
        return Ok(Expr::InSubquery(membership));
    }
    Ok(not_exists(possible_members(&membership, schema, names)?))
}

/// The sub-query's rows that may be equal to the value sought, as a sub-query of the same outer relation.
fn possible_members(membership: &InSubquery, schema: &DFSchema, names: &mut usize) -> Result<Arc<LogicalPlan>> {
    let sought = membership.expr.as_ref().clone().transform(|e| match e {
        Expr::Column(column) => {
            let field = schema.field_from_column(&column)?.clone();
            Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    let may_equal = |member: Expr| Expr::IsNotFalse(Box::new(sought.data.eq(member)));
    // Below the select list the library still knows where the correlated conditions' columns come from.
    let plan = match selected(&membership.subquery.subquery)? {
        // One filter: of two the library forgets the lower one's columns.
        Some((member, LogicalPlan::Filter(f))) => {
            LogicalPlanBuilder::from(f.input.clone()).filter(f.predicate.clone().and(may_equal(member)))?
        }
        Some((member, input)) => LogicalPlanBuilder::from(input.clone()).filter(may_equal(member))?,
        None => {
            let rows = without_distinct(&membership.subquery.subquery);
            let name = TableReference::bare(next_name(names));
            let member = Expr::Column(Column::new(Some(name.clone()), rows.schema().field(0).name().clone()));
            LogicalPlanBuilder::from(rows.clone()).alias(name)?.filter(may_equal(member))?
        }
    };
    Ok(Arc::new(plan.project(vec![lit(1_i64).alias(next_name(names))])?.build()?))
}
