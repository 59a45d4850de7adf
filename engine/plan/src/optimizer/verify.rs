//! Checks that a plan hangs together: every ordinal is in its input, of the type that its reader believes, and every schema is as wide
//! as what the node gives. Run after each pass in debug builds, so that a wrong pass is named.

use arrow::datatypes::DataType;
use plasmon_core::batch::physical_type;
use plasmon_core::expression::{Expression, Kind};
use plasmon_core::operators::join::JoinKind;
use plasmon_core::operators::shuffle_write::SHUFFLE_WRITE_TYPES;
use plasmon_core::{Error, Result};

use crate::ir::{Join, Node, Plan, Relation, scannable, types};

/// An internal error that names the first node that is wrong.
pub(super) fn verify(plan: &Plan) -> Result<()> {
    let trees = std::iter::once(&plan.root).chain(plan.subqueries.iter().map(|(_, r)| r)).chain(&plan.shared);
    trees.into_iter().try_for_each(|tree| relation(tree, plan))
}

fn relation(relation_: &Relation, plan: &Plan) -> Result<()> {
    relation_.children().into_iter().try_for_each(|child| relation(child, plan))?;
    let inputs: Vec<DataType> = match &relation_.node {
        Node::Scan { table, .. } => types(&scannable(table.as_ref())).cloned().collect(),
        _ => relation_.children().iter().flat_map(|c| types(&c.schema).cloned()).collect(),
    };
    match &relation_.node {
        Node::Join { left, right, join } => {
            let (left, right): (Vec<_>, Vec<_>) =
                (types(&left.schema).cloned().collect(), types(&right.schema).cloned().collect());
            join.left_keys.iter().try_for_each(|k| expression(k, &left, relation_))?;
            join.right_keys.iter().try_for_each(|k| expression(k, &right, relation_))?;
            join.residual.iter().try_for_each(|r| expression(r, &inputs, relation_))?;
        }
        _ => relation_.expressions().into_iter().try_for_each(|e| expression(e, &inputs, relation_))?,
    }
    let given: Vec<DataType> = output_types(relation_, inputs, plan)?;
    let declared: Vec<DataType> = types(&relation_.schema).cloned().collect();
    if given.len() != declared.len() || given.iter().zip(&declared).any(|(g, d)| physical_type(g) != physical_type(d)) {
        return Err(wrong(relation_, &format!("gives {given:?} under the schema {declared:?}")));
    }
    Ok(())
}

fn output_types(relation: &Relation, inputs: Vec<DataType>, plan: &Plan) -> Result<Vec<DataType>> {
    let of = |expressions: &[Expression]| expressions.iter().map(|e| e.data_type.clone()).collect::<Vec<_>>();
    Ok(match &relation.node {
        Node::Scan { projection, .. } => projection.iter().map(|&c| inputs[c].clone()).collect(),
        Node::Project { expressions, .. } => of(expressions),
        Node::Expand { projections, .. } => {
            let given: Vec<_> = projections.iter().map(|p| of(p)).collect();
            if let Some(other) =
                given.iter().find(|g| !g.iter().map(physical_type).eq(given[0].iter().map(physical_type)))
            {
                return Err(wrong(relation, &format!("a projection gives {other:?}, the first {:?}", given[0])));
            }
            given.into_iter().next().unwrap_or_default()
        }
        Node::Values { rows } => rows.first().map_or_else(|| types(&relation.schema).cloned().collect(), |row| of(row)),
        Node::Empty { .. } => Vec::new(),
        Node::Join { left, join, .. } => join_types(join, &inputs, left.schema.fields().len()),
        Node::Aggregate { group_by, grouping_sets, aggregates, .. } => {
            let mut given = of(group_by);
            if !grouping_sets.is_empty() {
                given.extend(relation.schema.fields().get(group_by.len()).map(|f| f.data_type().clone()));
            }
            given.extend(aggregates.iter().map(|a| a.data_type.clone()));
            given
        }
        Node::Window { functions, .. } => {
            inputs.into_iter().chain(functions.iter().map(|f| f.data_type.clone())).collect()
        }
        Node::Union { inputs } => {
            let first: Vec<DataType> = inputs.first().map(|i| types(&i.schema).cloned().collect()).unwrap_or_default();
            if let Some(other) =
                inputs.iter().find(|i| !types(&i.schema).map(physical_type).eq(first.iter().map(physical_type)))
            {
                return Err(wrong(relation, &format!("an input gives {:?}, the first {first:?}", other.schema)));
            }
            first
        }
        Node::SharedScan { index } => match plan.shared.get(*index) {
            Some(shared) => types(&shared.schema).cloned().collect(),
            None => return Err(wrong(relation, "there is no such shared sub-plan")),
        },
        Node::Exchange { numbered, .. } => inputs.into_iter().chain(numbered.then_some(DataType::Int32)).collect(),
        Node::ShuffleWrite { .. } => SHUFFLE_WRITE_TYPES.to_vec(),
        Node::Filter { .. } | Node::Sort { .. } | Node::Limit { .. } => inputs,
        Node::Recursive { initial, .. } => types(&initial.schema).cloned().collect(),
        Node::Unnest { .. } | Node::WorkTable { .. } => types(&relation.schema).cloned().collect(),
    })
}

fn join_types(join: &Join, inputs: &[DataType], left_width: usize) -> Vec<DataType> {
    let mark = || std::iter::once(DataType::Boolean);
    let full: Vec<DataType> = match join.kind {
        JoinKind::LeftSemi | JoinKind::LeftAnti => inputs[..left_width].to_vec(),
        JoinKind::RightSemi | JoinKind::RightAnti => inputs[left_width..].to_vec(),
        JoinKind::LeftMark => inputs[..left_width].iter().cloned().chain(mark()).collect(),
        JoinKind::RightMark => inputs[left_width..].iter().cloned().chain(mark()).collect(),
        _ => inputs.to_vec(),
    };
    match &join.projection {
        Some(projection) => projection.iter().filter_map(|&c| full.get(c).cloned()).collect(),
        None => full,
    }
}

fn expression(expression: &Expression, inputs: &[DataType], relation: &Relation) -> Result<()> {
    let mut problem = None;
    expression.visit(&mut |e| {
        if let Kind::Column(column) = e.kind {
            match inputs.get(column) {
                None => problem = Some(format!("{expression} reads column {column} of {}", inputs.len())),
                Some(found) if physical_type(found) != physical_type(&e.data_type) => {
                    problem = Some(format!("{expression} reads column {column} as {}, it is {found}", e.data_type));
                }
                Some(_) => {}
            }
        }
    });
    problem.map_or(Ok(()), |problem| Err(wrong(relation, &problem)))
}

fn wrong(relation: &Relation, problem: &str) -> Error {
    let name = format!("{:?}", relation.node);
    let name = name.split([' ', '{']).next().unwrap_or_default().to_string();
    Error::internal(format!("plan node {name} {problem}"))
}
