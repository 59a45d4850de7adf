//! Sub-queries of one plan: scalar ones run first; IN becomes a semi, anti or mark join; EXISTS asks for one row.
//!
//! EXISTS over filters that read columns of the query around it becomes a semi or anti join; every other correlated sub-query is refused
//! where it reads such a column (`reference.rs`).

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use plasmon_core::Result;
use plasmon_core::expression::{CompareOp, Expression, Kind, Scalar, ScalarSlot};
use plasmon_core::operators::aggregate::{AggregateExpression, AggregateFunction, AggregatePhase};
use plasmon_core::operators::join::JoinKind;
use substrait_prost as proto;
use substrait_prost::expression::RexType;
use substrait_prost::expression::field_reference::RootType;
use substrait_prost::expression::subquery::set_comparison::{ComparisonOp, ReductionOp};
use substrait_prost::expression::subquery::set_predicate::PredicateOp;
use substrait_prost::expression::subquery::{InPredicate, SubqueryType};
use substrait_prost::function_argument::ArgType;
use substrait_prost::rel::RelType;
use substrait_prost::rel_common::EmitKind;

use super::Consumer;
use super::join::{Condition, joined, split};
use crate::ir::{Node, Relation};
use crate::path::Path;
use crate::sql::same_type;
use crate::substrait::functions::Meaning;

/// Joins that give the marks of IN in expressions; each adds a column behind the relation's own.
#[derive(Default)]
pub(super) struct Marks {
    pub(super) joins: Vec<(Relation, Condition)>,
}

impl<'a> Consumer<'a> {
    /// The operands of a conjunction.
    pub(super) fn conjuncts(&self, condition: &'a proto::Expression) -> Vec<&'a proto::Expression> {
        let (mut operands, mut pending) = (Vec::new(), vec![condition]);
        while let Some(next) = pending.pop() {
            match self.arguments_of(next, Meaning::And) {
                Some(arguments) => pending.extend(arguments.into_iter().rev()),
                None => operands.push(next),
            }
        }
        operands
    }

    /// The arguments of a call of that meaning.
    fn arguments_of(&self, expression: &'a proto::Expression, meaning: Meaning) -> Option<Vec<&'a proto::Expression>> {
        let Some(RexType::ScalarFunction(call)) = &expression.rex_type else { return None };
        let declared = self.functions.get(&call.function_reference)?;
        if declared.meaning() != Some(meaning) || call.arguments.is_empty() {
            return None;
        }
        let values = call.arguments.iter().map(|a| match &a.arg_type {
            Some(ArgType::Value(value)) => Some(value),
            _ => None,
        });
        values.collect()
    }

    /// A condition that is `[NOT] IN (sub-query)` as a join; else the relation is given back.
    pub(super) fn membership(
        &mut self,
        relation: Relation,
        condition: &'a proto::Expression,
        at: &Path<'_>,
    ) -> Result<Result<Relation, Relation>> {
        let (negated, inner) = match self.arguments_of(condition, Meaning::Not).as_deref() {
            Some([inner]) => (true, *inner),
            _ => (false, condition),
        };
        let Some(RexType::Subquery(subquery)) = &inner.rex_type else { return Ok(Err(relation)) };
        if let Some(SubqueryType::SetPredicate(set)) = &subquery.subquery_type {
            let subquery_at = at.field("subquery");
            return match (set.predicate_op(), set.tuples.as_deref()) {
                (PredicateOp::Exists, Some(tuples)) => {
                    self.correlated_exists(relation, tuples, negated, &subquery_at.field("tuples"))
                }
                _ => Ok(Err(relation)),
            };
        }
        let Some(SubqueryType::InPredicate(predicate)) = &subquery.subquery_type else { return Ok(Err(relation)) };
        if negated && predicate.needles.len() != 1 {
            return Ok(Err(relation));
        }
        let schema = relation.schema.clone();
        let (haystack, condition) = self.in_predicate(predicate, &schema, &at.field("subquery"))?;
        let kind = if negated { JoinKind::LeftAnti } else { JoinKind::LeftSemi };
        Ok(Ok(joined(relation, haystack, kind, condition, negated)))
    }

    /// `[NOT] EXISTS` over filters that read columns of the query around it: a semi or anti join on what the filters say. Given back when no
    /// filter at the top of the sub-query reads any.
    fn correlated_exists(
        &mut self,
        relation: Relation,
        tuples: &'a proto::Rel,
        negated: bool,
        at: &Path<'_>,
    ) -> Result<Result<Relation, Relation>> {
        let Some((input, conditions)) = filters_on_top(tuples) else { return Ok(Err(relation)) };
        if !conditions.iter().any(|c| reads_outer(c)) {
            return Ok(Err(relation));
        }
        let inner = self.relation(input, &at.field("input"))?;
        let left = relation.schema.fields().len();
        let both: SchemaRef = crate::ir::schema_with(&relation.schema, inner.schema.fields().iter().cloned());
        let outer = self.outer_width.replace(left);
        let condition_at = at.field("condition");
        let predicates: Result<Vec<_>> =
            conditions.into_iter().map(|c| self.predicate(c, &both, &condition_at)).collect();
        self.outer_width = outer;
        let condition = split(Expression::and(predicates?), left).map_err(|e| at.locate(e))?;
        let kind = if negated { JoinKind::LeftAnti } else { JoinKind::LeftSemi };
        Ok(Ok(joined(relation, inner, kind, condition, false)))
    }

    fn in_predicate(
        &mut self,
        predicate: &'a InPredicate,
        schema: &SchemaRef,
        at: &Path<'_>,
    ) -> Result<(Relation, Condition)> {
        let needles = predicate
            .needles
            .iter()
            .enumerate()
            .map(|(i, n)| self.expression(n, schema, &at.item("needles", i)))
            .collect::<Result<Vec<_>>>()?;
        let haystack = self.required(predicate.haystack.as_deref(), &at.field("haystack"))?;
        let columns = haystack.columns();
        if needles.is_empty() || needles.len() != columns.len() {
            return Err(at.wrong(format!("{} needles for {} columns", needles.len(), columns.len())));
        }
        let mut condition = Condition::always();
        for (needle, column) in needles.into_iter().zip(columns) {
            let (needle, column) = same_type(needle, column).map_err(|e| at.locate(e))?;
            condition.left_keys.push(needle);
            condition.right_keys.push(column);
            condition.null_equal.push(false);
        }
        Ok((haystack, condition))
    }

    /// A sub-query as a value.
    pub(super) fn subquery(
        &mut self,
        subquery: &'a proto::expression::Subquery,
        schema: &SchemaRef,
        at: &Path<'_>,
    ) -> Result<Expression> {
        let at = at.field("subquery");
        match &subquery.subquery_type {
            Some(SubqueryType::Scalar(scalar)) => {
                let relation = self.required(scalar.input.as_deref(), &at.field("input"))?;
                let [field] = &relation.schema.fields()[..] else {
                    return Err(at.wrong(format!("a scalar sub-query of {} columns", relation.schema.fields().len())));
                };
                let data_type = field.data_type().clone();
                Ok(Expression { kind: Kind::Parameter(self.slot(relation)), data_type })
            }
            Some(SubqueryType::InPredicate(predicate)) => {
                let (haystack, condition) = self.in_predicate(predicate, schema, &at)?;
                if condition.left_keys.len() != 1 {
                    return Err(at.refuse("IN of several columns as a value"));
                }
                self.mark(haystack, condition, schema, &at)
            }
            Some(SubqueryType::SetPredicate(set)) => match set.predicate_op() {
                PredicateOp::Exists => {
                    let tuples = self.required(set.tuples.as_deref(), &at.field("tuples"))?;
                    Ok(self.exists(tuples))
                }
                PredicateOp::Unique => Err(at.refuse("UNIQUE (sub-query)")),
                PredicateOp::Unspecified => Err(at.wrong("a set predicate of no kind")),
            },
            Some(SubqueryType::SetComparison(comparison)) => {
                let is_in = match (comparison.reduction_op(), comparison.comparison_op()) {
                    (ReductionOp::Any, ComparisonOp::Eq) => true,
                    (ReductionOp::All, ComparisonOp::Ne) => false,
                    _ => return Err(at.refuse("ANY and ALL (sub-query) other than = ANY and <> ALL")),
                };
                let Some(left) = &comparison.left else { return Err(at.wrong("a comparison of nothing")) };
                let left = self.expression(left, schema, &at.field("left"))?;
                let right = self.required(comparison.right.as_deref(), &at.field("right"))?;
                let [column] = &right.columns()[..] else { return Err(at.wrong("a comparison with several columns")) };
                let (left, column) = same_type(left, column.clone()).map_err(|e| at.locate(e))?;
                let condition = Condition {
                    left_keys: vec![left],
                    right_keys: vec![column],
                    null_equal: vec![false],
                    residual: None,
                };
                let mark = self.mark(right, condition, schema, &at)?;
                let not = |e| Expression { kind: Kind::Not(Box::new(e)), data_type: DataType::Boolean };
                Ok(if is_in { mark } else { not(mark) })
            }
            None => Err(at.wrong("a sub-query of no kind")),
        }
    }

    /// The slot that a scalar sub-query fills.
    fn slot(&mut self, relation: Relation) -> Arc<ScalarSlot> {
        let slot = ScalarSlot::new();
        self.subqueries.push((slot.clone(), relation));
        slot
    }

    /// The column of a mark join that is yet to be made.
    fn mark(
        &mut self,
        haystack: Relation,
        condition: Condition,
        schema: &SchemaRef,
        at: &Path<'_>,
    ) -> Result<Expression> {
        let Some(marks) = &mut self.marks else {
            return Err(at.refuse("IN (sub-query) in this place (it can stand in filters and projections)"));
        };
        marks.joins.push((haystack, condition));
        let column = schema.fields().len() + marks.joins.len() - 1;
        Ok(Expression::column(column, DataType::Boolean))
    }

    /// The relation with the columns that expressions over it want.
    pub(super) fn with_marks(&self, relation: Relation, marks: Option<Marks>) -> Relation {
        let joins = marks.map(|m| m.joins).unwrap_or_default();
        joins
            .into_iter()
            .fold(relation, |left, (haystack, condition)| joined(left, haystack, JoinKind::LeftMark, condition, true))
    }

    /// Whether a relation has a row: a count over its first, as a scalar sub-query.
    fn exists(&mut self, tuples: Relation) -> Expression {
        let schema = tuples.schema.clone();
        let first = Relation::new(Node::Limit { input: Box::new(tuples), offset: 0, fetch: Some(1) }, schema);
        let count = AggregateExpression {
            function: AggregateFunction::CountAll,
            arguments: Vec::new(),
            filter: None,
            distinct: false,
            order_by: Vec::new(),
            data_type: DataType::Int64,
        };
        let counted = Relation::new(
            Node::Aggregate {
                input: Box::new(first),
                group_by: Vec::new(),
                grouping_sets: Vec::new(),
                aggregates: vec![count],
                phase: AggregatePhase::Single,
            },
            Arc::new(Schema::new(vec![Field::new("count", DataType::Int64, false)])),
        );
        let zero = Expression::literal(Scalar::Int64(0), DataType::Int64);
        let count = Expression { kind: Kind::Parameter(self.slot(counted)), data_type: DataType::Int64 };
        Expression::compare(CompareOp::Greater, count, zero)
    }
}

/// What the filters at the top of a sub-query read, and their conditions; projections above them do not change whether there is a row.
fn filters_on_top(tuples: &proto::Rel) -> Option<(&proto::Rel, Vec<&proto::Expression>)> {
    let mut relation = tuples;
    while let Some(RelType::Project(project)) = &relation.rel_type {
        relation = project.input.as_deref()?;
    }
    let mut conditions = Vec::new();
    while let Some(RelType::Filter(filter)) = &relation.rel_type {
        // The columns of a filter that reorders them are not those that its condition reads.
        let reorders = matches!(filter.common.as_ref().and_then(|c| c.emit_kind.as_ref()), Some(EmitKind::Emit(_)));
        if reorders && !conditions.is_empty() {
            break;
        }
        conditions.push(filter.condition.as_deref()?);
        relation = filter.input.as_deref()?;
    }
    (!conditions.is_empty()).then_some((relation, conditions))
}

/// Whether an expression reads a column of the query around it, through calls and conditions (what lies in sub-queries is theirs).
fn reads_outer(expression: &proto::Expression) -> bool {
    let mut pending = vec![expression];
    while let Some(next) = pending.pop() {
        match &next.rex_type {
            Some(RexType::Selection(reference)) => match &reference.root_type {
                Some(RootType::OuterReference(_)) => return true,
                Some(RootType::Expression(root)) => pending.push(root),
                _ => {}
            },
            Some(RexType::ScalarFunction(call)) => {
                pending.extend(call.arguments.iter().filter_map(|a| match &a.arg_type {
                    Some(ArgType::Value(value)) => Some(value),
                    _ => None,
                }))
            }
            Some(RexType::Cast(cast)) => pending.extend(cast.input.as_deref()),
            Some(RexType::SingularOrList(list)) => {
                pending.extend(list.value.as_deref().into_iter().chain(&list.options))
            }
            _ => {}
        }
    }
    false
}
