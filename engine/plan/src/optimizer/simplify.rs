//! Expressions and filters brought into the form that scans and later passes read best.
//!
//! `(a AND b) OR (a AND c)` becomes `a AND (b OR c)`, so that joins find their keys (plans of other engines may have them there);
//! `a = 1 OR a = 2` becomes `a IN (1, 2)`; a filter right above a scan becomes the scan's (the SQL front end leaves those there that
//! read a scalar sub-query).

use arrow::datatypes::DataType;
use plasmon_core::expression::{CompareOp, Expression, Kind};
use plasmon_core::{Config, Result};

use crate::ir::{Node, Plan, Relation, conjuncts};

pub(super) fn run(plan: Plan, _: &Config) -> Result<Plan> {
    plan.map_trees(&mut simplify)
}

fn simplify(relation: Relation) -> Result<Relation> {
    let mut relation = relation.map_children(&mut simplify)?;
    match &mut relation.node {
        Node::Scan { filters, .. } => filters.iter_mut().for_each(collect_equalities),
        Node::Filter { predicate, .. } => {
            factor(predicate);
            collect_equalities(predicate);
        }
        Node::Project { expressions, .. } => expressions.iter_mut().for_each(collect_equalities),
        Node::Join { join, .. } => join.residual.iter_mut().for_each(collect_equalities),
        _ => {}
    }
    Ok(filter_into_scan(relation))
}

/// Moves a filter's conjuncts into the scan below it.
fn filter_into_scan(relation: Relation) -> Relation {
    match relation.node {
        Node::Filter { mut input, predicate }
            if matches!(&input.node, Node::Scan { fetch: None, .. }) && !is_volatile(&predicate) =>
        {
            if let Node::Scan { projection, filters, .. } = &mut input.node {
                filters.extend(conjuncts(predicate.map_columns(&|c| projection[c])));
            }
            input.with_schema(relation.schema)
        }
        node => Relation { node, ..relation },
    }
}

/// Whether an expression may give different values for equal rows.
pub(super) fn is_volatile(expression: &Expression) -> bool {
    let mut volatile = false;
    expression.visit(&mut |e| volatile |= matches!(&e.kind, Kind::Function(call) if call.function.is_volatile()));
    volatile
}

/// Takes what all alternatives of an OR have in common out of it. For a filter: TRUE stays TRUE, nothing else becomes TRUE.
fn factor(predicate: &mut Expression) {
    if let Kind::And(operands) = &mut predicate.kind {
        operands.iter_mut().for_each(factor);
        if operands.iter().any(|o| matches!(o.kind, Kind::And(_))) {
            *predicate = Expression::and(std::mem::take(operands).into_iter().flat_map(conjuncts).collect());
        }
        return;
    }
    let Kind::Or(alternatives) = &predicate.kind else { return };
    let alternatives: Vec<Vec<Expression>> = alternatives.iter().map(|a| conjuncts(a.clone())).collect();
    let Some((first, others)) = alternatives.split_first() else { return };
    let common: Vec<Expression> =
        first.iter().filter(|c| !is_volatile(c) && others.iter().all(|o| o.contains(c))).cloned().collect();
    if common.is_empty() {
        return;
    }
    let rest: Vec<Vec<Expression>> =
        alternatives.iter().map(|a| a.iter().filter(|c| !common.contains(c)).cloned().collect()).collect();
    let mut factored = common;
    // An alternative of the common part alone makes the others superfluous.
    if rest.iter().all(|r| !r.is_empty()) {
        let alternatives = rest.into_iter().map(Expression::and).collect();
        factored.push(Expression { kind: Kind::Or(alternatives), data_type: DataType::Boolean });
    }
    *predicate = Expression::and(factored);
}

/// Turns ORs of equalities on one operand into IN lists, bottom-up.
fn collect_equalities(expression: &mut Expression) {
    expression.children_mut().into_iter().for_each(collect_equalities);
    let Kind::Or(operands) = &mut expression.kind else { return };
    let mut collected: Vec<Expression> = Vec::with_capacity(operands.len());
    for operand in std::mem::take(operands) {
        let Some((column, values)) = membership(&operand) else {
            collected.push(operand);
            continue;
        };
        let known = collected.iter_mut().find_map(|c| match &mut c.kind {
            Kind::InList { operand, list, negated: false } if **operand == column => Some(list),
            _ => None,
        });
        match known {
            Some(list) => list.extend(values),
            None => {
                let kind = Kind::InList { operand: Box::new(column), list: values, negated: false };
                collected.push(Expression { kind, data_type: DataType::Boolean });
            }
        }
    }
    collected.iter_mut().for_each(unwrap_single);
    *expression = match collected.len() {
        1 => collected.remove(0),
        _ => Expression { kind: Kind::Or(collected), data_type: DataType::Boolean },
    };
}

/// `column = constant` and `column IN (constants)` as column and constants.
fn membership(expression: &Expression) -> Option<(Expression, Vec<Expression>)> {
    let is_constant = |e: &Expression| matches!(e.kind, Kind::Literal(_));
    match &expression.kind {
        Kind::Compare { op: CompareOp::Equal, left, right }
            if matches!(left.kind, Kind::Column(_)) && is_constant(right) =>
        {
            Some((left.as_ref().clone(), vec![right.as_ref().clone()]))
        }
        Kind::InList { operand, list, negated: false }
            if matches!(operand.kind, Kind::Column(_)) && list.iter().all(is_constant) =>
        {
            Some((operand.as_ref().clone(), list.clone()))
        }
        _ => None,
    }
}

/// A list of one value is an equality.
fn unwrap_single(expression: &mut Expression) {
    if let Kind::InList { operand, list, negated: false } = &mut expression.kind
        && list.len() == 1
    {
        let value = list.remove(0);
        *expression = Expression::compare(CompareOp::Equal, operand.as_ref().clone(), value);
    }
}

#[cfg(test)]
mod tests {
    use plasmon_core::expression::Scalar;

    use super::*;

    fn equal(column: usize, value: i64) -> Expression {
        let literal = Expression::literal(Scalar::Int64(value), DataType::Int64);
        Expression::compare(CompareOp::Equal, Expression::column(column, DataType::Int64), literal)
    }

    #[test]
    fn what_alternatives_share_is_taken_out() {
        let or =
            |alternatives: Vec<Expression>| Expression { kind: Kind::Or(alternatives), data_type: DataType::Boolean };
        let both = |a: &Expression, b: &Expression| Expression::and(vec![a.clone(), b.clone()]);
        let (a, b, c) = (equal(0, 1), equal(1, 2), equal(2, 3));
        let mut predicate = or(vec![both(&a, &b), both(&c, &a)]);
        factor(&mut predicate);
        assert_eq!(predicate, both(&a, &or(vec![b.clone(), c.clone()])));
        let mut predicate = or(vec![both(&a, &b), a.clone()]);
        factor(&mut predicate);
        assert_eq!(predicate, a);
        let mut predicate = or(vec![a.clone(), b.clone()]);
        factor(&mut predicate);
        assert_eq!(predicate, or(vec![a, b]));
    }
}
