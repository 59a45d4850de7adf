//! Joins of every kind, as the engine's one join: keys where the condition has equal pairs, the rest as a residual.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use plasmon_core::Result;
use plasmon_core::expression::{CompareOp, Expression, Kind};
use plasmon_core::operators::join::JoinKind;
use substrait_prost as proto;
use substrait_prost::comparison_join_key::SimpleComparisonType;
use substrait_prost::comparison_join_key::comparison_type::InnerType;

use super::Consumer;
use super::relation::emit;
use crate::ir::{Join, Node, Relation, conjuncts, join_fields};
use crate::path::Path;
use crate::sql::same_type;

/// A join's kind; single joins are outer joins of which each row has one match at most.
#[derive(Clone, Copy)]
struct JoinType {
    kind: JoinKind,
    single: bool,
}

/// Which columns a join gives, in terms of the engine's own output.
pub(super) struct Condition {
    pub(super) left_keys: Vec<Expression>,
    pub(super) right_keys: Vec<Expression>,
    pub(super) null_equal: Vec<bool>,
    pub(super) residual: Option<Expression>,
}

impl<'a> Consumer<'a> {
    pub(super) fn join(&mut self, join: &'a proto::JoinRel, at: &Path<'_>) -> Result<Relation> {
        let (left, right) = self.sides(join.left.as_deref(), join.right.as_deref(), at)?;
        let kind = join_type(join.r#type().as_str_name(), at)?;
        let condition = self.condition(join.expression.as_deref(), &left, &right, &at.field("expression"))?;
        let joined = self.joined(left, right, kind, condition, at)?;
        let filtered = self.post_filter(joined, join.post_join_filter.as_deref(), at)?;
        emit(filtered, &join.common, &join.advanced_extension, at)
    }

    pub(super) fn nested_loop_join(&mut self, join: &'a proto::NestedLoopJoinRel, at: &Path<'_>) -> Result<Relation> {
        let (left, right) = self.sides(join.left.as_deref(), join.right.as_deref(), at)?;
        let kind = join_type(join.r#type().as_str_name(), at)?;
        let condition = self.condition(join.expression.as_deref(), &left, &right, &at.field("expression"))?;
        let joined = self.joined(left, right, kind, condition, at)?;
        emit(joined, &join.common, &join.advanced_extension, at)
    }

    pub(super) fn hash_join(&mut self, join: &'a proto::HashJoinRel, at: &Path<'_>) -> Result<Relation> {
        let (left, right) = self.sides(join.left.as_deref(), join.right.as_deref(), at)?;
        let kind = join_type(join.r#type().as_str_name(), at)?;
        let condition = self.keys(&join.keys, join.residual_expression.as_deref(), &left, &right, at)?;
        let joined = self.joined(left, right, kind, condition, at)?;
        let filtered = self.post_filter(joined, join.post_join_filter.as_deref(), at)?;
        emit(filtered, &join.common, &join.advanced_extension, at)
    }

    /// Equal keys find each other by hash as well as by order; no order is promised above a join.
    pub(super) fn merge_join(&mut self, join: &'a proto::MergeJoinRel, at: &Path<'_>) -> Result<Relation> {
        let (left, right) = self.sides(join.left.as_deref(), join.right.as_deref(), at)?;
        let kind = join_type(join.r#type().as_str_name(), at)?;
        let condition = self.keys(&join.keys, join.residual_expression.as_deref(), &left, &right, at)?;
        let joined = self.joined(left, right, kind, condition, at)?;
        let filtered = self.post_filter(joined, join.post_join_filter.as_deref(), at)?;
        emit(filtered, &join.common, &join.advanced_extension, at)
    }

    pub(super) fn cross(&mut self, cross: &'a proto::CrossRel, at: &Path<'_>) -> Result<Relation> {
        let (left, right) = self.sides(cross.left.as_deref(), cross.right.as_deref(), at)?;
        let joined = joined(left, right, JoinKind::Inner, Condition::always(), false);
        emit(joined, &cross.common, &cross.advanced_extension, at)
    }

    fn sides(
        &mut self,
        left: Option<&'a proto::Rel>,
        right: Option<&'a proto::Rel>,
        at: &Path<'_>,
    ) -> Result<(Relation, Relation)> {
        Ok((self.required(left, &at.field("left"))?, self.required(right, &at.field("right"))?))
    }

    fn post_filter(
        &mut self,
        joined: Relation,
        filter: Option<&'a proto::Expression>,
        at: &Path<'_>,
    ) -> Result<Relation> {
        match filter {
            Some(condition) => self.filter(joined, condition, &at.field("post_join_filter")),
            None => Ok(joined),
        }
    }

    /// A boolean condition over both inputs: equal pairs of one side each are keys.
    fn condition(
        &mut self,
        condition: Option<&'a proto::Expression>,
        left: &Relation,
        right: &Relation,
        at: &Path<'_>,
    ) -> Result<Condition> {
        let Some(condition) = condition else { return Ok(Condition::always()) };
        let predicate = self.predicate(condition, &both(left, right), at)?;
        split(predicate, left.schema.fields().len()).map_err(|e| at.locate(e))
    }

    /// Key pairs that are stated as such.
    fn keys(
        &mut self,
        keys: &'a [proto::ComparisonJoinKey],
        residual: Option<&'a proto::Expression>,
        left: &Relation,
        right: &Relation,
        at: &Path<'_>,
    ) -> Result<Condition> {
        let mut condition = Condition::always();
        for (index, key) in keys.iter().enumerate() {
            let at = at.item("keys", index);
            let comparison = key.comparison.as_ref().and_then(|c| c.inner_type.as_ref());
            let null_equal = match comparison {
                Some(InnerType::Simple(simple)) => match SimpleComparisonType::try_from(*simple) {
                    Ok(SimpleComparisonType::Eq) => false,
                    Ok(SimpleComparisonType::IsNotDistinctFrom) => true,
                    _ => return Err(at.refuse("a key comparison that is neither equality nor null-safe equality")),
                },
                Some(InnerType::CustomFunctionReference(_)) => return Err(at.refuse("keys compared by a function")),
                None => false,
            };
            let (Some(left_key), Some(right_key)) = (&key.left, &key.right) else {
                return Err(at.wrong("a key of one side"));
            };
            let left_key = self.selection(left_key, &left.schema, &at.field("left"))?;
            let right_key = self.selection(right_key, &right.schema, &at.field("right"))?;
            let (left_key, right_key) = same_type(left_key, right_key).map_err(|e| at.locate(e))?;
            condition.left_keys.push(left_key);
            condition.right_keys.push(right_key);
            condition.null_equal.push(null_equal);
        }
        if let Some(residual) = residual {
            let at = at.field("residual_expression");
            condition.residual = Some(self.predicate(residual, &both(left, right), &at)?);
        }
        Ok(condition)
    }

    fn joined(
        &mut self,
        left: Relation,
        right: Relation,
        join: JoinType,
        condition: Condition,
        at: &Path<'_>,
    ) -> Result<Relation> {
        if join.single {
            let (side, keys) = match join.kind {
                JoinKind::Right => (&left, &condition.left_keys),
                _ => (&right, &condition.right_keys),
            };
            if !gives_one_match(side, keys) {
                return Err(at.refuse("a single join whose other side may have more than one match"));
            }
        }
        // In Substrait a mark is unknown where a null decides.
        let is_mark = matches!(join.kind, JoinKind::LeftMark | JoinKind::RightMark);
        let null_aware = is_mark && !self.habits.marks_are_certain;
        if join.kind == JoinKind::RightMark && null_aware {
            // The engine's null-aware marks are of the probing side.
            let width = left.schema.fields().len();
            let swapped = condition.swapped(width, right.schema.fields().len());
            return Ok(joined(right, left, JoinKind::LeftMark, swapped, true));
        }
        Ok(joined(left, right, join.kind, condition, null_aware))
    }
}

/// A join's relation with the output of its kind.
pub(super) fn joined(
    left: Relation,
    right: Relation,
    kind: JoinKind,
    condition: Condition,
    null_aware: bool,
) -> Relation {
    let schema = Arc::new(Schema::new(join_fields(kind, &left.schema, &right.schema)));
    let Condition { left_keys, right_keys, null_equal, residual } = condition;
    let join = Join {
        kind,
        left_keys,
        right_keys,
        null_equal,
        residual,
        null_aware,
        projection: None,
        runtime_filters: Vec::new(),
        cached_build: None,
    };
    Relation::new(Node::Join { left: Box::new(left), right: Box::new(right), join }, schema)
}

impl Condition {
    /// Every pair matches.
    pub(super) fn always() -> Condition {
        Condition { left_keys: Vec::new(), right_keys: Vec::new(), null_equal: Vec::new(), residual: None }
    }

    /// For the inputs in the other order.
    fn swapped(self, left: usize, right: usize) -> Condition {
        let moved = |c: usize| if c < left { c + right } else { c - left };
        Condition {
            left_keys: self.right_keys,
            right_keys: self.left_keys,
            null_equal: self.null_equal,
            residual: self.residual.map(|r| r.map_columns(&moved)),
        }
    }
}

fn both(left: &Relation, right: &Relation) -> SchemaRef {
    Arc::new(Schema::new(join_fields(JoinKind::Inner, &left.schema, &right.schema)))
}

/// Keys and residual of a predicate over the columns of both inputs.
pub(super) fn split(predicate: Expression, left: usize) -> Result<Condition> {
    let mut condition = Condition::always();
    let mut rest = Vec::new();
    for conjunct in conjuncts(predicate) {
        if matches!(&conjunct.kind, Kind::Literal(plasmon_core::expression::Scalar::Boolean(true))) {
            continue;
        }
        match conjunct.kind {
            Kind::Compare { op: op @ (CompareOp::Equal | CompareOp::NotDistinctFrom), left: a, right: b } => {
                let (a_side, b_side) = (side(&a, left), side(&b, left));
                let (key, other) = match (a_side, b_side) {
                    (Some(false), Some(true)) => (*a, *b),
                    (Some(true), Some(false)) => (*b, *a),
                    _ => {
                        rest.push(Expression::compare(op, *a, *b));
                        continue;
                    }
                };
                let (key, other) = same_type(key, other)?;
                condition.left_keys.push(key);
                condition.right_keys.push(other.map_columns(&|c| c - left));
                condition.null_equal.push(op == CompareOp::NotDistinctFrom);
            }
            kind => rest.push(Expression { kind, data_type: conjunct.data_type }),
        }
    }
    condition.residual = (!rest.is_empty()).then(|| Expression::and(rest));
    Ok(condition)
}

/// Whether an expression reads the right input alone, or the left alone; `None` = both or none.
fn side(expression: &Expression, left: usize) -> Option<bool> {
    let columns = expression.referenced_columns();
    let first = *columns.first()? >= left;
    columns.iter().all(|&c| (c >= left) == first).then_some(first)
}

/// Whether a relation has one row for each value of the keys.
fn gives_one_match(relation: &Relation, keys: &[Expression]) -> bool {
    match &relation.node {
        Node::Aggregate { group_by, grouping_sets, .. } => {
            grouping_sets.is_empty()
                && (0..group_by.len()).all(|g| keys.iter().any(|k| matches!(k.kind, Kind::Column(c) if c == g)))
        }
        Node::Limit { fetch: Some(0 | 1), .. } | Node::Sort { fetch: Some(0 | 1), .. } => true,
        Node::Empty { .. } => true,
        Node::Values { rows } => rows.len() <= 1,
        Node::Filter { input, .. } | Node::Sort { input, .. } | Node::Limit { input, .. } => {
            gives_one_match(input, keys)
        }
        Node::Project { input, expressions } => {
            let below = |k: &Expression| match k.kind {
                Kind::Column(c) => expressions.get(c).filter(|e| matches!(e.kind, Kind::Column(_))).cloned(),
                _ => None,
            };
            gives_one_match(input, &keys.iter().filter_map(below).collect::<Vec<_>>())
        }
        _ => false,
    }
}

/// By the protocol's name, which is the same in every kind of join.
fn join_type(name: &str, at: &Path<'_>) -> Result<JoinType> {
    let (kind, single) = match name {
        "JOIN_TYPE_INNER" => (JoinKind::Inner, false),
        "JOIN_TYPE_OUTER" => (JoinKind::Full, false),
        "JOIN_TYPE_LEFT" => (JoinKind::Left, false),
        "JOIN_TYPE_RIGHT" => (JoinKind::Right, false),
        "JOIN_TYPE_LEFT_SEMI" => (JoinKind::LeftSemi, false),
        "JOIN_TYPE_RIGHT_SEMI" => (JoinKind::RightSemi, false),
        "JOIN_TYPE_LEFT_ANTI" => (JoinKind::LeftAnti, false),
        "JOIN_TYPE_RIGHT_ANTI" => (JoinKind::RightAnti, false),
        "JOIN_TYPE_LEFT_MARK" => (JoinKind::LeftMark, false),
        "JOIN_TYPE_RIGHT_MARK" => (JoinKind::RightMark, false),
        "JOIN_TYPE_LEFT_SINGLE" => (JoinKind::Left, true),
        "JOIN_TYPE_RIGHT_SINGLE" => (JoinKind::Right, true),
        _ => return Err(at.wrong("a join of no type")),
    };
    Ok(JoinType { kind, single })
}
