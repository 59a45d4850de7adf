//! Expressions and filters brought into the form that scans and later passes read best.
//!
//! `a = 1 OR a = 2` becomes `a IN (1, 2)`; a filter right above a scan becomes the scan's (the SQL front end leaves those there that
//! read a scalar sub-query).

use arrow::datatypes::DataType;
use plasmon_core::Result;
use plasmon_core::expression::{CompareOp, Expression, Kind};

use crate::ir::{Node, Plan, Relation, conjuncts};

pub(super) fn run(plan: Plan) -> Result<Plan> {
    plan.map_trees(&mut simplify)
}

fn simplify(relation: Relation) -> Result<Relation> {
    let mut relation = relation.map_children(&mut simplify)?;
    match &mut relation.node {
        Node::Scan { filters, .. } => filters.iter_mut().for_each(collect_equalities),
        Node::Filter { predicate, .. } => collect_equalities(predicate),
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
