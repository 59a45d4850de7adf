//! INTERSECT and EXCEPT of inputs of about one size, of texts or of more rows than fit memory, become one aggregation, which tells from which inputs a row
//! came.
//!
//! ```text
//! Distinct(a) ⋉ b, Distinct(a) ⋉ b ⋉ c …   →  Filter(from = all)    ─ Aggregate(by all columns; from = bit_or(tag)) ─ Union(a + tag 1, b + tag 2, …)
//! Distinct(a) ▷ b, Distinct(a) ▷ b ▷ c …   →  Filter(from = first)  ─ …
//! ```
//! Each row is then kept once, not in a table of groups and in one of a join, and one that goes to disk is written once; and texts are interned by all
//! workers, where a join's build side is interned by one. Of numbers in memory, looking them up in a join's table is faster; and the keys of a small side
//! keep rows of a large one from being read.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use plasmon_core::batch::{Physical, physical_type};
use plasmon_core::expression::{CompareOp, Expression, Kind, Scalar};
use plasmon_core::operators::aggregate::{AggregateExpression, AggregateFunction, AggregatePhase};
use plasmon_core::operators::join::JoinKind;
use plasmon_core::{Config, Result};

use super::statistics::{Estimates, ROW_WORDS, aggregate_profile, type_words};
use crate::ir::{Join, Node, Plan, Relation, schema_with};

/// An input with so many times the distinct rows of another is not worth grouping for it.
const SIZES_DIFFER: f64 = 4.0;
/// Inputs that have a bit each in a tag.
const INPUTS_MAX: usize = 7;
const TAG: DataType = DataType::Int8;

pub(super) fn run(plan: Plan, config: &Config) -> Result<Plan> {
    let memory = config.memory_bytes.into_iter().chain(config.session_memory_bytes).min();
    let costs = Costs { estimates: Estimates::of(&plan), memory: memory.map_or(f64::INFINITY, |bytes| bytes as f64) };
    plan.map_trees(&mut |relation| rewrite(relation, &costs))
}

/// What the choice is made by.
struct Costs {
    estimates: Estimates,
    /// Bytes that a query may have.
    memory: f64,
}

/// Chains are taken as a whole: outer ones first.
fn rewrite(relation: Relation, costs: &Costs) -> Result<Relation> {
    let relation = match SetOperation::of(&relation).filter(|operation| operation.is_worth_it(costs)) {
        Some(operation) => operation.grouped(&relation),
        None => relation,
    };
    relation.map_children(&mut |child| rewrite(child, costs))
}

/// Distinct rows of the first input that are in all others (`LeftSemi`), or in none (`LeftAnti`).
struct SetOperation<'a> {
    kind: JoinKind,
    /// Each with what stands there for the columns of the result.
    inputs: Vec<(&'a Relation, Vec<Expression>)>,
}

impl<'a> SetOperation<'a> {
    fn of(relation: &'a Relation) -> Option<Self> {
        let Node::Join { left, right, join } = &relation.node else { return None };
        let sought = compared_columns(join, left.schema.fields().len())?;
        let mut operation = match distinct_input(left) {
            Some((input, columns)) => SetOperation::inner(input, join.kind)
                .filter(|inner| inner.has_columns(&columns))
                .unwrap_or_else(|| SetOperation { kind: join.kind, inputs: vec![(input, columns)] }),
            None => SetOperation::inner(left, join.kind)?,
        };
        operation.inputs.push((right, sought));
        (operation.inputs.len() <= INPUTS_MAX).then_some(operation)
    }

    /// One of the same kind, whose result is the first input of another.
    fn inner(relation: &'a Relation, kind: JoinKind) -> Option<Self> {
        SetOperation::of(relation).filter(|inner| inner.kind == kind)
    }

    /// Whether `columns` are just those of the result.
    fn has_columns(&self, columns: &[Expression]) -> bool {
        columns.len() == self.inputs[0].1.len()
            && columns.iter().enumerate().all(|(index, column)| matches!(column.kind, Kind::Column(c) if c == index))
    }

    /// Whether a table of all rows is about as large as those that the joins need, and better than them.
    fn is_worth_it(&self, costs: &Costs) -> bool {
        let rows = |(relation, columns): &(&Relation, Vec<Expression>)| {
            aggregate_profile(&costs.estimates.profile(relation), columns, 0, columns.len()).rows.max(1.0)
        };
        let rows: Vec<f64> = self.inputs.iter().map(rows).collect();
        let largest = rows.iter().copied().fold(0.0, f64::max);
        let smallest = match self.kind {
            // A first input that is larger than the others is grouped in any case, and no keys keep its rows away.
            JoinKind::LeftAnti => rows[0],
            _ => rows.iter().copied().fold(f64::INFINITY, f64::min),
        };
        let columns = &self.inputs[0].1;
        let has_text = columns.iter().any(|column| physical_type(&column.data_type) == Physical::View);
        let row_bytes = 8.0 * (ROW_WORDS + columns.iter().map(|column| type_words(&column.data_type)).sum::<f64>());
        let is_large = || rows.iter().sum::<f64>() * row_bytes > costs.memory;
        largest <= SIZES_DIFFER * smallest && (has_text || is_large())
    }

    /// As one aggregation that gives the rows of `result`.
    fn grouped(self, result: &Relation) -> Relation {
        let (width, inputs) = (result.schema.fields().len(), self.inputs.len());
        let wanted = if self.kind == JoinKind::LeftAnti { 1 } else { (1 << inputs) - 1 };
        let is_nullable = |column: usize| {
            self.inputs.iter().any(|(input, columns)| match columns[column].kind {
                Kind::Column(c) => input.schema.field(c).is_nullable(),
                _ => true,
            })
        };
        let fields = result.schema.fields().iter().enumerate();
        let fields: Vec<Field> =
            fields.map(|(c, field)| field.as_ref().clone().with_nullable(is_nullable(c))).collect();
        let plain = Arc::new(Schema::new_with_metadata(fields, result.schema.metadata().clone()));
        let tagged = schema_with(&plain, [Arc::new(Field::new("from", TAG, true))]);
        let input = |(index, (input, columns)): (usize, (&Relation, Vec<Expression>))| {
            let expressions = columns.into_iter().chain([tag(1 << index)]).collect();
            Relation::new(Node::Project { input: Box::new(input.clone()), expressions }, tagged.clone())
        };
        let union = Node::Union { inputs: self.inputs.into_iter().enumerate().map(input).collect() };
        let union = Relation::new(union, tagged.clone());
        let from = Expression::column(width, TAG);
        let grouped = Node::Aggregate {
            group_by: union.columns()[..width].to_vec(),
            grouping_sets: Vec::new(),
            aggregates: vec![AggregateExpression {
                function: AggregateFunction::BitOr,
                arguments: vec![from.clone()],
                filter: None,
                distinct: false,
                order_by: Vec::new(),
                data_type: TAG,
            }],
            phase: AggregatePhase::Single,
            input: Box::new(union),
        };
        Relation::new(grouped, tagged)
            .filter(Expression::compare(CompareOp::Equal, from, tag(wanted)))
            .project_columns(0..width)
            .with_schema(result.schema.clone())
    }
}

fn tag(bits: i64) -> Expression {
    Expression::literal(Scalar::Int64(bits), TAG)
}

/// What the right side has for each left column, when a join of a set operation's kind compares all of these, and nothing else.
fn compared_columns(join: &Join, width: usize) -> Option<Vec<Expression>> {
    let is_set = matches!(join.kind, JoinKind::LeftSemi | JoinKind::LeftAnti)
        && join.residual.is_none()
        && join.projection.is_none()
        && !join.null_aware
        && join.left_keys.len() == width
        && join.null_equal.iter().all(|null_equal| *null_equal);
    let mut sought = vec![None; width];
    for (left, right) in join.left_keys.iter().zip(&join.right_keys).filter(|_| is_set) {
        let Kind::Column(column) = left.kind else { return None };
        sought[column] = Some(right.clone());
    }
    sought.into_iter().collect()
}

/// The input of a DISTINCT, and its columns there.
fn distinct_input(relation: &Relation) -> Option<(&Relation, Vec<Expression>)> {
    match &relation.node {
        Node::Aggregate { input, group_by, grouping_sets, aggregates, phase: AggregatePhase::Single }
            if grouping_sets.is_empty() && aggregates.is_empty() && !group_by.is_empty() =>
        {
            Some((input, group_by.clone()))
        }
        _ => None,
    }
}
