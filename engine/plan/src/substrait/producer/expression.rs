//! Expressions.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use plasmon_core::Result;
use plasmon_core::expression::{CastMode, Expression, Kind, Scalar, ScalarSlot};
use substrait_prost as proto;
use substrait_prost::expression::cast::FailureBehavior;
use substrait_prost::expression::if_then::IfClause;
use substrait_prost::expression::subquery::{Scalar as ScalarSubquery, SubqueryType};
use substrait_prost::expression::{IfThen, RexType, SingularOrList, Subquery};

use super::call::{option, overflow};
use super::{Producer, column, is_nullable, type_of};
use crate::path::Path;
use crate::substrait::functions::Meaning;
use crate::substrait::literal::literal;

/// Scalar sub-queries within one another.
const SUBQUERIES_MAX: usize = 32;

impl<'a> Producer<'a> {
    /// The Substrait form of an expression over rows of `schema`.
    pub(super) fn expression(
        &mut self,
        expression: &Expression,
        schema: &Schema,
        at: &Path<'_>,
    ) -> Result<proto::Expression> {
        let nullable = is_nullable(expression, schema);
        let result = (&expression.data_type, nullable);
        match &expression.kind {
            Kind::Column(index) => Ok(column(*index)),
            Kind::Literal(value) => constant(value, &expression.data_type, at),
            Kind::Parameter(slot) => self.scalar_subquery(slot, at),
            Kind::Compare { op, left, right } => {
                let null_safe = matches!(
                    op,
                    plasmon_core::expression::CompareOp::DistinctFrom
                        | plasmon_core::expression::CompareOp::NotDistinctFrom
                );
                let written = self.operands(&[left, right], schema, at)?;
                let types = [&left.data_type, &right.data_type];
                self.meant(Meaning::Compare(*op), written, &types, (&DataType::Boolean, nullable && !null_safe), at)
            }
            Kind::And(operands) | Kind::Or(operands) => {
                let meaning = if matches!(expression.kind, Kind::And(_)) { Meaning::And } else { Meaning::Or };
                let operands: Vec<&Expression> = operands.iter().collect();
                let written = self.operands(&operands, schema, at)?;
                self.pairwise(meaning, written, result, at)
            }
            Kind::Not(operand) => self.unary(Meaning::Not, operand, result, schema, at),
            Kind::IsNull(operand) => self.unary(Meaning::IsNull, operand, result, schema, at),
            Kind::IsNotNull(operand) => self.unary(Meaning::IsNotNull, operand, result, schema, at),
            Kind::IsBoolean { operand, value, negated } => {
                self.unary(Meaning::IsBoolean { value: *value, negated: *negated }, operand, result, schema, at)
            }
            Kind::Arithmetic { op, overflow: mode, left, right } => {
                let written = self.operands(&[left, right], schema, at)?;
                let types = [&left.data_type, &right.data_type];
                let has_option = !types.iter().any(|t| t.is_temporal());
                let options = if has_option { overflow(*mode, at)? } else { Vec::new() };
                self.with_options(Meaning::Arithmetic(*op), written, &types, result, options, at)
            }
            Kind::Negate { operand, overflow: mode } => {
                let written = self.operands(&[operand], schema, at)?;
                let options = overflow(*mode, at)?;
                self.with_options(Meaning::Negate, written, &[&operand.data_type], result, options, at)
            }
            Kind::Cast { operand, mode } => {
                let (from, to) = (&operand.data_type, &expression.data_type);
                if to.is_unsigned_integer() && !from.is_unsigned_integer() {
                    return Err(at.refuse(format!("a cast to {to}; Substrait has no unsigned integers")));
                }
                let input = self.expression(operand, schema, &at.field("input"))?;
                cast(input, &expression.data_type, *mode, nullable, at)
            }
            Kind::Case { branches, otherwise } => self.case(branches, otherwise.as_deref(), expression, schema, at),
            Kind::InList { operand, list, negated } => self.in_list(operand, list, *negated, schema, at),
            Kind::Like { .. } => self.like(expression, schema, at),
            Kind::Function(call) => self.function(call, expression, schema, at),
        }
    }

    fn operands(&mut self, operands: &[&Expression], schema: &Schema, at: &Path<'_>) -> Result<Vec<proto::Expression>> {
        operands.iter().enumerate().map(|(i, e)| self.expression(e, schema, &at.item("arguments", i))).collect()
    }

    /// A chain of ANDs or ORs as pairs, halved again and again: readers take two operands, and not many levels.
    fn pairwise(
        &mut self,
        meaning: Meaning,
        mut operands: Vec<proto::Expression>,
        result: (&DataType, bool),
        at: &Path<'_>,
    ) -> Result<proto::Expression> {
        if operands.len() > 2 {
            let behind = operands.split_off(operands.len().div_ceil(2));
            let halves = [self.pairwise(meaning, operands, result, at)?, self.pairwise(meaning, behind, result, at)?];
            operands = halves.into_iter().collect();
        }
        match operands.len() {
            1 => Ok(operands.remove(0)),
            _ => self.meant(meaning, operands, &[], result, at),
        }
    }

    fn unary(
        &mut self,
        meaning: Meaning,
        operand: &Expression,
        result: (&DataType, bool),
        schema: &Schema,
        at: &Path<'_>,
    ) -> Result<proto::Expression> {
        let written = self.operands(&[operand], schema, at)?;
        self.meant(meaning, written, &[&operand.data_type], result, at)
    }

    fn scalar_subquery(&mut self, slot: &Arc<ScalarSlot>, at: &Path<'_>) -> Result<proto::Expression> {
        let Some(relation) = self.subquery(slot) else { return Err(at.refuse("a sub-query that is not in the plan")) };
        if self.subqueries >= SUBQUERIES_MAX {
            return Err(at.refuse(format!("sub-queries nested more than {SUBQUERIES_MAX} deep")));
        }
        self.subqueries += 1;
        let input = self.relation(relation, &at.field("subquery").field("input"));
        self.subqueries -= 1;
        let scalar = ScalarSubquery { input: Some(Box::new(input?)) };
        let subquery = Subquery { subquery_type: Some(SubqueryType::Scalar(Box::new(scalar))) };
        Ok(proto::Expression { rex_type: Some(RexType::Subquery(Box::new(subquery))) })
    }

    fn case(
        &mut self,
        branches: &[(Expression, Expression)],
        otherwise: Option<&Expression>,
        whole: &Expression,
        schema: &Schema,
        at: &Path<'_>,
    ) -> Result<proto::Expression> {
        let mut ifs = Vec::with_capacity(branches.len());
        for (index, (when, then)) in branches.iter().enumerate() {
            let at = at.item("ifs", index);
            let when = self.expression(when, schema, &at.field("if"))?;
            let then = self.expression(then, schema, &at.field("then"))?;
            ifs.push(IfClause { r#if: Some(when), then: Some(then) });
        }
        let otherwise = match otherwise {
            Some(otherwise) => self.expression(otherwise, schema, &at.field("else"))?,
            None => constant(&Scalar::Null, &whole.data_type, at)?,
        };
        let case = IfThen { ifs, r#else: Some(Box::new(otherwise)) };
        Ok(proto::Expression { rex_type: Some(RexType::IfThen(Box::new(case))) })
    }

    fn in_list(
        &mut self,
        operand: &Expression,
        list: &[Expression],
        negated: bool,
        schema: &Schema,
        at: &Path<'_>,
    ) -> Result<proto::Expression> {
        let nullable = is_nullable(operand, schema) || list.iter().any(|i| is_nullable(i, schema));
        let value = Some(Box::new(self.expression(operand, schema, &at.field("value"))?));
        let options = list.iter().enumerate();
        let options = options.map(|(i, e)| self.expression(e, schema, &at.item("options", i)));
        let list = SingularOrList { value, options: options.collect::<Result<_>>()? };
        let is_in = proto::Expression { rex_type: Some(RexType::SingularOrList(Box::new(list))) };
        match negated {
            true => self.meant(Meaning::Not, vec![is_in], &[&DataType::Boolean], (&DataType::Boolean, nullable), at),
            false => Ok(is_in),
        }
    }

    fn like(&mut self, whole: &Expression, schema: &Schema, at: &Path<'_>) -> Result<proto::Expression> {
        let Kind::Like { operand, pattern, escape, case_insensitive, negated } = &whole.kind else {
            return Err(at.refuse("no LIKE"));
        };
        let nullable = is_nullable(whole, schema);
        let result = (&DataType::Boolean, nullable);
        // Substrait's LIKE has no escape: one that the pattern uses makes it a function of ours.
        let uses = |c: char| match &pattern.kind {
            Kind::Literal(Scalar::Bytes(text)) => String::from_utf8_lossy(text).contains(c),
            _ => true,
        };
        let written = match escape.filter(|&c| uses(c)) {
            Some(c) => {
                let escape = Expression::literal(Scalar::Bytes(c.to_string().into_bytes().into()), DataType::Utf8);
                let arguments = [operand.as_ref().clone(), pattern.as_ref().clone(), escape];
                let name = if *case_insensitive { "ilike" } else { "like" };
                self.own(name, &arguments, whole, schema, at)?
            }
            None => {
                let written = self.operands(&[operand, pattern], schema, at)?;
                let sensitivity = if *case_insensitive { "CASE_INSENSITIVE" } else { "CASE_SENSITIVE" };
                let options = vec![option("case_sensitivity", sensitivity)];
                self.with_options(Meaning::Like, written, &[], result, options, at)?
            }
        };
        match negated {
            true => self.meant(Meaning::Not, vec![written], &[&DataType::Boolean], result, at),
            false => Ok(written),
        }
    }
}

pub(super) fn cast(
    input: proto::Expression,
    target: &DataType,
    mode: CastMode,
    nullable: bool,
    at: &Path<'_>,
) -> Result<proto::Expression> {
    let failure_behavior = match mode {
        CastMode::Fail => FailureBehavior::ThrowException,
        CastMode::Null => FailureBehavior::ReturnNull,
    } as i32;
    let cast = proto::expression::Cast {
        r#type: Some(type_of(target, nullable, at)?),
        input: Some(Box::new(input)),
        failure_behavior,
    };
    Ok(proto::Expression { rex_type: Some(RexType::Cast(Box::new(cast))) })
}

pub(super) fn constant(value: &Scalar, data_type: &DataType, at: &Path<'_>) -> Result<proto::Expression> {
    let literal = literal(value, data_type).map_err(|reason| at.refuse(reason))?;
    Ok(proto::Expression { rex_type: Some(RexType::Literal(literal)) })
}
