//! Expressions.

use plasmon_core::expression::{ArithmeticOp, CastMode, CompareOp, Expression, Kind, Overflow, SortKey};
use plasmon_core::{Error, Result};
use prost::Message as _;
use prost::bytes::Bytes;

use super::{Encoder, ordinal, types, value};
use crate::wire::{EXPRESSION_DEPTH_MAX, proto};

impl Encoder {
    /// An expression at the top of a tree of expressions.
    pub(super) fn expression(&self, expression: &Expression) -> Result<Bytes> {
        self.nested(expression, 1)
    }

    /// An expression that may be absent.
    pub(super) fn optional(&self, expression: Option<&Expression>) -> Result<Bytes> {
        expression.map_or_else(|| Ok(Bytes::new()), |e| self.expression(e))
    }

    /// Several expressions.
    pub(super) fn expressions(&self, expressions: &[Expression]) -> Result<Vec<Bytes>> {
        expressions.iter().map(|e| self.expression(e)).collect()
    }

    /// Sort keys.
    pub(super) fn sort_keys(&self, keys: &[SortKey]) -> Result<Vec<proto::SortKey>> {
        let key = |key: &SortKey| {
            let expression = self.expression(&key.expression)?;
            Ok(proto::SortKey { expression, descending: key.descending, nulls_first: key.nulls_first })
        };
        keys.iter().map(key).collect()
    }

    fn nested(&self, expression: &Expression, depth: usize) -> Result<Bytes> {
        if depth > EXPRESSION_DEPTH_MAX {
            return Err(Error::unsupported(format!(
                "expressions nested more than {EXPRESSION_DEPTH_MAX} deep in the wire format of plans"
            )));
        }
        let r#type = Some(types::data_type(&expression.data_type)?);
        let kind = Some(self.kind(&expression.kind, depth + 1)?);
        Ok(proto::Expression { r#type, kind }.encode_to_vec().into())
    }

    fn kind(&self, kind: &Kind, depth: usize) -> Result<proto::expression::Kind> {
        use proto::expression::Kind as To;
        let below = |e: &Expression| self.nested(e, depth);
        let all = |e: &[Expression]| e.iter().map(below).collect::<Result<Vec<_>>>();
        Ok(match kind {
            Kind::Column(index) => To::Column(ordinal(*index)?),
            Kind::Literal(scalar) => To::Literal(value::scalar(scalar)?),
            Kind::Parameter(slot) => To::Subquery(self.slot(slot)?),
            Kind::Compare { op, left, right } => {
                To::Compare(proto::Compare { op: compare_op(*op) as i32, left: below(left)?, right: below(right)? })
            }
            Kind::And(operands) => To::And(proto::Operands { operands: all(operands)? }),
            Kind::Or(operands) => To::Or(proto::Operands { operands: all(operands)? }),
            Kind::Not(operand) => To::Not(below(operand)?),
            Kind::IsNull(operand) => To::IsNull(below(operand)?),
            Kind::IsNotNull(operand) => To::IsNotNull(below(operand)?),
            Kind::IsBoolean { operand, value, negated } => {
                To::IsBoolean(proto::IsBoolean { operand: below(operand)?, value: *value, negated: *negated })
            }
            Kind::Arithmetic { op, overflow, left, right } => To::Arithmetic(proto::Arithmetic {
                op: arithmetic_op(*op) as i32,
                overflow: overflow_mode(*overflow) as i32,
                left: below(left)?,
                right: below(right)?,
            }),
            Kind::Negate { operand, overflow } => {
                To::Negate(proto::Negate { operand: below(operand)?, overflow: overflow_mode(*overflow) as i32 })
            }
            Kind::Cast { operand, mode } => {
                To::Cast(proto::Cast { operand: below(operand)?, mode: cast_mode(*mode) as i32 })
            }
            Kind::Case { branches, otherwise } => {
                let branch = |(when, then): &(Expression, Expression)| {
                    Ok(proto::Branch { when: below(when)?, then: below(then)? })
                };
                let branches = branches.iter().map(branch).collect::<Result<_>>()?;
                let otherwise = otherwise.as_deref().map_or_else(|| Ok(Bytes::new()), below)?;
                To::Case(proto::Case { branches, otherwise })
            }
            Kind::InList { operand, list, negated } => {
                To::InList(proto::InList { operand: below(operand)?, list: all(list)?, negated: *negated })
            }
            Kind::Like { operand, pattern, escape, case_insensitive, negated } => To::Like(proto::Like {
                operand: below(operand)?,
                pattern: below(pattern)?,
                escape: escape.map(String::from).unwrap_or_default(),
                case_insensitive: *case_insensitive,
                negated: *negated,
            }),
            Kind::Function(call) => {
                To::Call(proto::Call { name: call.function.name().to_string(), arguments: all(&call.arguments)? })
            }
        })
    }
}

/// The bytes of a value that nobody reads.
pub(super) fn unread(expression: &Expression) -> Result<Bytes> {
    let r#type = Some(types::data_type(&expression.data_type)?);
    let kind = Some(proto::expression::Kind::Unread(true));
    Ok(proto::Expression { r#type, kind }.encode_to_vec().into())
}

fn compare_op(op: CompareOp) -> proto::CompareOp {
    match op {
        CompareOp::Equal => proto::CompareOp::Equal,
        CompareOp::NotEqual => proto::CompareOp::NotEqual,
        CompareOp::Less => proto::CompareOp::Less,
        CompareOp::LessEqual => proto::CompareOp::LessEqual,
        CompareOp::Greater => proto::CompareOp::Greater,
        CompareOp::GreaterEqual => proto::CompareOp::GreaterEqual,
        CompareOp::DistinctFrom => proto::CompareOp::DistinctFrom,
        CompareOp::NotDistinctFrom => proto::CompareOp::NotDistinctFrom,
    }
}

fn arithmetic_op(op: ArithmeticOp) -> proto::ArithmeticOp {
    match op {
        ArithmeticOp::Add => proto::ArithmeticOp::Add,
        ArithmeticOp::Subtract => proto::ArithmeticOp::Subtract,
        ArithmeticOp::Multiply => proto::ArithmeticOp::Multiply,
        ArithmeticOp::Divide => proto::ArithmeticOp::Divide,
        ArithmeticOp::Modulo => proto::ArithmeticOp::Modulo,
        ArithmeticOp::BitAnd => proto::ArithmeticOp::BitAnd,
        ArithmeticOp::BitOr => proto::ArithmeticOp::BitOr,
        ArithmeticOp::BitXor => proto::ArithmeticOp::BitXor,
        ArithmeticOp::ShiftLeft => proto::ArithmeticOp::ShiftLeft,
        ArithmeticOp::ShiftRight => proto::ArithmeticOp::ShiftRight,
    }
}

fn overflow_mode(overflow: Overflow) -> proto::Overflow {
    match overflow {
        Overflow::Wrap => proto::Overflow::Wrap,
        Overflow::Fail => proto::Overflow::Fail,
        Overflow::Null => proto::Overflow::Null,
    }
}

fn cast_mode(mode: CastMode) -> proto::CastMode {
    match mode {
        CastMode::Fail => proto::CastMode::Fail,
        CastMode::Null => proto::CastMode::Null,
    }
}
