//! Joins: as the logical join relation, which everybody has.

use arrow::datatypes::{DataType, Schema};
use plasmon_core::Result;
use plasmon_core::expression::{CompareOp, Expression, Scalar};
use plasmon_core::operators::join::JoinKind;
use substrait_prost as proto;
use substrait_prost::expression::subquery::{InPredicate, SubqueryType};
use substrait_prost::expression::{RexType, Subquery};
use substrait_prost::join_rel::JoinType;
use substrait_prost::rel::RelType;

use super::Producer;
use super::relation::{direct, filtered, projected, rel};
use crate::ir::{Join, Relation};
use crate::path::Path;
use crate::substrait::functions::Meaning;

impl<'a> Producer<'a> {
    pub(super) fn join(
        &mut self,
        left: &'a Relation,
        right: &'a Relation,
        join: &'a Join,
        at: &Path<'_>,
    ) -> Result<proto::Rel> {
        if join.null_aware && join.kind == JoinKind::LeftAnti {
            return self.not_in(left, right, join, at);
        }
        let left_width = left.schema.fields().len();
        let fields: Vec<_> = left.schema.fields().iter().chain(right.schema.fields()).cloned().collect();
        let both = Schema::new(fields);
        let condition = condition(join, left_width);
        let is_cross = condition.is_empty() && join.kind == JoinKind::Inner;
        let (written_left, written_right) =
            (self.relation(left, &at.field("left"))?, self.relation(right, &at.field("right"))?);
        let (left_rel, right_rel) = (Some(Box::new(written_left)), Some(Box::new(written_right)));
        if is_cross {
            let cross =
                proto::CrossRel { common: direct(), left: left_rel, right: right_rel, advanced_extension: None };
            return Ok(rel(RelType::Cross(Box::new(cross))));
        }
        let condition = Expression::and(condition);
        let expression = Some(Box::new(self.expression(&condition, &both, &at.field("expression"))?));
        let written = rel(RelType::Join(Box::new(proto::JoinRel {
            common: direct(),
            left: left_rel,
            right: right_rel,
            expression,
            post_join_filter: None,
            r#type: join_type(join.kind) as i32,
            advanced_extension: None,
        })));
        let kept = match join.kind {
            JoinKind::LeftMark => left_width,
            JoinKind::RightMark => right.schema.fields().len(),
            _ => return Ok(written),
        };
        if join.null_aware {
            return Ok(written);
        }
        // Substrait's mark is unknown where a null decides; ours of EXISTS is false there.
        let mark = super::column(kept);
        let meaning = Meaning::IsBoolean { value: true, negated: false };
        let certain = self.meant(meaning, vec![mark], &[&DataType::Boolean], (&DataType::Boolean, false), at)?;
        let outputs = (0..kept).chain([kept + 1]).collect();
        Ok(projected(written, vec![certain], outputs))
    }

    /// NOT IN: rows whose key is in no row of the other side, where a null on either side leaves it open.
    fn not_in(&mut self, left: &'a Relation, right: &'a Relation, join: &'a Join, at: &Path<'_>) -> Result<proto::Rel> {
        let (Some(needle), Some(key), None) = (join.left_keys.first(), join.right_keys.first(), &join.residual) else {
            return Err(at.refuse("a correlated NOT IN"));
        };
        if join.left_keys.len() > 1 {
            return Err(at.refuse("NOT IN of several columns"));
        }
        let needle = self.expression(needle, &left.schema, &at.field("needles"))?;
        let key = self.expression(key, &right.schema, &at.field("haystack"))?;
        let haystack = self.relation(right, &at.field("haystack"))?;
        let haystack = projected(haystack, vec![key], vec![right.schema.fields().len()]);
        let predicate = InPredicate { needles: vec![needle], haystack: Some(Box::new(haystack)) };
        let subquery = Subquery { subquery_type: Some(SubqueryType::InPredicate(Box::new(predicate))) };
        let is_in = proto::Expression { rex_type: Some(RexType::Subquery(Box::new(subquery))) };
        let not = self.meant(Meaning::Not, vec![is_in], &[&DataType::Boolean], (&DataType::Boolean, true), at)?;
        let left = self.relation(left, &at.field("left"))?;
        Ok(filtered(left, not))
    }
}

/// Key pairs and residual as conjuncts over both inputs' columns; a constant TRUE where an outer join has none.
fn condition(join: &Join, left_width: usize) -> Vec<Expression> {
    let pairs = join.left_keys.iter().zip(&join.right_keys).zip(&join.null_equal);
    let pairs = pairs.map(|((left, right), null_equal)| {
        let op = if *null_equal { CompareOp::NotDistinctFrom } else { CompareOp::Equal };
        Expression::compare(op, left.clone(), right.map_columns(&|c| c + left_width))
    });
    let mut conjuncts: Vec<Expression> = pairs.chain(join.residual.clone()).collect();
    if conjuncts.is_empty() && join.kind != JoinKind::Inner {
        conjuncts.push(Expression::literal(Scalar::Boolean(true), DataType::Boolean));
    }
    conjuncts
}

fn join_type(kind: JoinKind) -> JoinType {
    match kind {
        JoinKind::Inner => JoinType::Inner,
        JoinKind::Left => JoinType::Left,
        JoinKind::Right => JoinType::Right,
        JoinKind::Full => JoinType::Outer,
        JoinKind::LeftSemi => JoinType::LeftSemi,
        JoinKind::LeftAnti => JoinType::LeftAnti,
        JoinKind::LeftMark => JoinType::LeftMark,
        JoinKind::RightSemi => JoinType::RightSemi,
        JoinKind::RightAnti => JoinType::RightAnti,
        JoinKind::RightMark => JoinType::RightMark,
    }
}
