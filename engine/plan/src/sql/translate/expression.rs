//! Expressions: names to ordinals, operators to typed nodes.

use arrow::datatypes::DataType;
use datafusion_common::DFSchema;
use datafusion_expr::expr::{InList, Like};
use datafusion_expr::type_coercion::binary::{BinaryTypeCoercer, comparison_coercion};
use datafusion_expr::{BinaryExpr, Case, Expr, ExprSchemable, Operator};
use plasmon_core::expression::{ArithmeticOp, CastMode, CompareOp, Expression, Kind, Overflow, Scalar, SortKey};
use plasmon_core::{Error, Result};

use super::Translator;
use super::literal::literal;
use crate::error::convert_error;
use crate::function::{self, ScalarCall};

impl Translator {
    /// The IR of an expression over rows of `schema`.
    pub(super) fn expression(&mut self, expression: &Expr, schema: &DFSchema) -> Result<Expression> {
        match expression {
            Expr::Alias(alias) => self.expression(&alias.expr, schema),
            Expr::Column(column) => {
                let index = schema.index_of_column(column).map_err(convert_error)?;
                Ok(Expression::column(index, schema.field(index).data_type().clone()))
            }
            Expr::Literal(value, _) => literal(value),
            Expr::BinaryExpr(binary) => self.binary(binary, schema),
            Expr::Like(like) => self.like(like, schema),
            Expr::SimilarTo(like) => self.similar_to(like, schema),
            Expr::Not(operand) => self.unary(operand, schema, |e| Kind::Not(Box::new(e))),
            Expr::IsNull(operand) | Expr::IsUnknown(operand) => {
                self.unary(operand, schema, |e| Kind::IsNull(Box::new(e)))
            }
            Expr::IsNotNull(operand) | Expr::IsNotUnknown(operand) => {
                self.unary(operand, schema, |e| Kind::IsNotNull(Box::new(e)))
            }
            Expr::IsTrue(operand) => self.is_boolean(operand, schema, true, false),
            Expr::IsFalse(operand) => self.is_boolean(operand, schema, false, false),
            Expr::IsNotTrue(operand) => self.is_boolean(operand, schema, true, true),
            Expr::IsNotFalse(operand) => self.is_boolean(operand, schema, false, true),
            Expr::Negative(operand) => {
                let operand = self.expression(operand, schema)?;
                let data_type = operand.data_type.clone();
                Ok(Expression {
                    kind: Kind::Negate { operand: Box::new(operand), overflow: Overflow::Fail },
                    data_type,
                })
            }
            Expr::Between(between) => {
                let (low_op, high_op) = if between.negated {
                    (CompareOp::Less, CompareOp::Greater)
                } else {
                    (CompareOp::GreaterEqual, CompareOp::LessEqual)
                };
                let operand = self.expression(&between.expr, schema)?;
                let low = compare(low_op, operand.clone(), self.expression(&between.low, schema)?)?;
                let high = compare(high_op, operand, self.expression(&between.high, schema)?)?;
                let kind = if between.negated { Kind::Or(vec![low, high]) } else { Kind::And(vec![low, high]) };
                Ok(Expression { kind, data_type: DataType::Boolean })
            }
            Expr::Case(case) => self.case(case, expression, schema),
            Expr::Cast(cast) => {
                Ok(cast_to(self.expression(&cast.expr, schema)?, cast.field.data_type(), CastMode::Fail))
            }
            Expr::TryCast(cast) => {
                Ok(cast_to(self.expression(&cast.expr, schema)?, cast.field.data_type(), CastMode::Null))
            }
            Expr::ScalarFunction(call) => {
                let arguments = call.args.iter().map(|a| self.expression(a, schema)).collect::<Result<Vec<_>>>()?;
                let argument_fields = call
                    .args
                    .iter()
                    .map(|a| Ok(a.to_field(schema).map_err(convert_error)?.1))
                    .collect::<Result<Vec<_>>>()?;
                let return_field = expression.to_field(schema).map_err(convert_error)?.1;
                function::scalar(ScalarCall { function: &call.func, arguments, argument_fields, return_field })
            }
            Expr::InList(list) => self.in_list(list, schema),
            Expr::ScalarSubquery(subquery) => {
                if !subquery.outer_ref_columns.is_empty() {
                    return Err(Error::unsupported(format!(
                        "correlated scalar sub-query ({})",
                        correlation(&subquery.outer_ref_columns)
                    )));
                }
                let data_type = subquery.subquery.schema().field(0).data_type().clone();
                Ok(Expression { kind: Kind::Parameter(self.subquery_slot(&subquery.subquery)?), data_type })
            }
            other => Err(refusal(other)),
        }
    }

    /// Sort keys over rows of `schema`.
    pub(super) fn sort_keys(
        &mut self,
        keys: &[datafusion_expr::expr::Sort],
        schema: &DFSchema,
    ) -> Result<Vec<SortKey>> {
        keys.iter()
            .map(|key| {
                Ok(SortKey {
                    expression: self.expression(&key.expr, schema)?,
                    descending: !key.asc,
                    nulls_first: key.nulls_first,
                })
            })
            .collect()
    }

    fn unary(
        &mut self,
        operand: &Expr,
        schema: &DFSchema,
        kind: impl FnOnce(Expression) -> Kind,
    ) -> Result<Expression> {
        Ok(Expression { kind: kind(self.expression(operand, schema)?), data_type: DataType::Boolean })
    }

    fn is_boolean(&mut self, operand: &Expr, schema: &DFSchema, value: bool, negated: bool) -> Result<Expression> {
        self.unary(operand, schema, |e| Kind::IsBoolean { operand: Box::new(e), value, negated })
    }

    fn binary(&mut self, binary: &BinaryExpr, schema: &DFSchema) -> Result<Expression> {
        if matches!(binary.op, Operator::And | Operator::Or) {
            let operands =
                flatten(binary).into_iter().map(|e| self.expression(e, schema)).collect::<Result<Vec<_>>>()?;
            let kind = if binary.op == Operator::And { Kind::And(operands) } else { Kind::Or(operands) };
            return Ok(Expression { kind, data_type: DataType::Boolean });
        }
        let (left, right) = (self.expression(&binary.left, schema)?, self.expression(&binary.right, schema)?);
        if let Some(op) = compare_op(binary.op) {
            return compare(op, left, right);
        }
        if let Some((case_insensitive, negated)) = like_op(binary.op) {
            let kind = Kind::Like {
                operand: Box::new(left),
                pattern: Box::new(right),
                escape: None,
                case_insensitive,
                negated,
            };
            return Ok(Expression { kind, data_type: DataType::Boolean });
        }
        let Some(op) = arithmetic_op(binary.op) else { return function::operator(binary.op, left, right) };
        let data_type = BinaryTypeCoercer::new(&left.data_type, &binary.op, &right.data_type)
            .get_result_type()
            .map_err(convert_error)?;
        Ok(Expression {
            kind: Kind::Arithmetic { op, overflow: Overflow::Fail, left: Box::new(left), right: Box::new(right) },
            data_type,
        })
    }

    fn like(&mut self, like: &Like, schema: &DFSchema) -> Result<Expression> {
        let kind = Kind::Like {
            operand: Box::new(self.expression(&like.expr, schema)?),
            pattern: Box::new(self.expression(&like.pattern, schema)?),
            escape: like.escape_char,
            case_insensitive: like.case_insensitive,
            negated: like.negated,
        };
        Ok(Expression { kind, data_type: DataType::Boolean })
    }

    /// `SIMILAR TO` as a regular expression over the whole value; the pattern has to be a constant.
    fn similar_to(&mut self, like: &Like, schema: &DFSchema) -> Result<Expression> {
        let operand = self.expression(&like.expr, schema)?;
        let pattern = self.expression(&like.pattern, schema)?;
        let Kind::Literal(Scalar::Bytes(bytes)) = &pattern.kind else {
            return Err(Error::unsupported("SIMILAR TO with a pattern that is not a constant"));
        };
        let regex = similar_to_regex(&String::from_utf8_lossy(bytes), like.escape_char.unwrap_or('\\'));
        let regex = Expression::literal(Scalar::Bytes(regex.into_bytes().into()), pattern.data_type.clone());
        function::operator(if like.negated { Operator::RegexNotMatch } else { Operator::RegexMatch }, operand, regex)
    }

    fn case(&mut self, case: &Case, whole: &Expr, schema: &DFSchema) -> Result<Expression> {
        let data_type = whole.get_type(schema).map_err(convert_error)?;
        let operand = case.expr.as_deref().map(|e| self.expression(e, schema)).transpose()?;
        let mut branches = Vec::with_capacity(case.when_then_expr.len());
        for (when, then) in &case.when_then_expr {
            let when = self.expression(when, schema)?;
            let condition = match &operand {
                Some(operand) => compare(CompareOp::Equal, operand.clone(), when)?,
                None => when,
            };
            branches.push((condition, cast_to(self.expression(then, schema)?, &data_type, CastMode::Fail)));
        }
        let otherwise = match &case.else_expr {
            Some(e) => Some(Box::new(cast_to(self.expression(e, schema)?, &data_type, CastMode::Fail))),
            None => None,
        };
        Ok(Expression { kind: Kind::Case { branches, otherwise }, data_type })
    }

    fn in_list(&mut self, list: &InList, schema: &DFSchema) -> Result<Expression> {
        let operand = self.expression(&list.expr, schema)?;
        let items = list
            .list
            .iter()
            .map(|item| Ok(cast_to(self.expression(item, schema)?, &operand.data_type, CastMode::Fail)))
            .collect::<Result<Vec<_>>>()?;
        let kind = Kind::InList { operand: Box::new(operand), list: items, negated: list.negated };
        Ok(Expression { kind, data_type: DataType::Boolean })
    }
}

/// `left op right` with both sides of one type.
pub(super) fn compare(op: CompareOp, left: Expression, right: Expression) -> Result<Expression> {
    let (left, right) = same_type(left, right)?;
    Ok(Expression::compare(op, left, right))
}

/// Casts two sides of a comparison to one type, should the planner have left them different.
pub(crate) fn same_type(left: Expression, right: Expression) -> Result<(Expression, Expression)> {
    if left.data_type == right.data_type || is_same_family(&left.data_type, &right.data_type) {
        return Ok((left, right));
    }
    let common = comparison_coercion(&left.data_type, &right.data_type)
        .ok_or_else(|| Error::user(format!("{} and {} cannot be compared", left.data_type, right.data_type)))?;
    Ok((cast_to(left, &common, CastMode::Fail), cast_to(right, &common, CastMode::Fail)))
}

/// A cast, unless the values stay as they are: then just the logical type changes.
pub(crate) fn cast_to(operand: Expression, data_type: &DataType, mode: CastMode) -> Expression {
    if operand.data_type == *data_type {
        return operand;
    }
    if is_same_family(&operand.data_type, data_type) || matches!(operand.kind, Kind::Literal(Scalar::Null)) {
        return Expression { data_type: data_type.clone(), ..operand };
    }
    Expression { kind: Kind::Cast { operand: Box::new(operand), mode }, data_type: data_type.clone() }
}

/// Whether values of both types are the same bytes: texts of any layout or encoding, or binaries of any.
fn is_same_family(a: &DataType, b: &DataType) -> bool {
    fn family(data_type: &DataType) -> Option<bool> {
        match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(true),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Some(false),
            DataType::Dictionary(_, value) => family(value),
            _ => None,
        }
    }
    match (a, b) {
        (DataType::Dictionary(_, value), other) | (other, DataType::Dictionary(_, value))
            if value.as_ref() == other =>
        {
            true
        }
        _ => family(a).is_some() && family(a) == family(b),
    }
}

/// Operands of a chain of ANDs or ORs, in order; the chain may be thousands long, so no recursion along it.
fn flatten(binary: &BinaryExpr) -> Vec<&Expr> {
    let mut operands = Vec::new();
    let mut pending: Vec<&Expr> = vec![&binary.right, &binary.left];
    while let Some(next) = pending.pop() {
        match next {
            Expr::BinaryExpr(inner) if inner.op == binary.op => {
                pending.extend([inner.right.as_ref(), inner.left.as_ref()])
            }
            other => operands.push(other),
        }
    }
    operands
}

fn compare_op(op: Operator) -> Option<CompareOp> {
    Some(match op {
        Operator::Eq => CompareOp::Equal,
        Operator::NotEq => CompareOp::NotEqual,
        Operator::Lt => CompareOp::Less,
        Operator::LtEq => CompareOp::LessEqual,
        Operator::Gt => CompareOp::Greater,
        Operator::GtEq => CompareOp::GreaterEqual,
        Operator::IsDistinctFrom => CompareOp::DistinctFrom,
        Operator::IsNotDistinctFrom => CompareOp::NotDistinctFrom,
        _ => return None,
    })
}

/// (case-insensitive, negated) of the operators that stand for LIKE.
fn like_op(op: Operator) -> Option<(bool, bool)> {
    Some(match op {
        Operator::LikeMatch => (false, false),
        Operator::ILikeMatch => (true, false),
        Operator::NotLikeMatch => (false, true),
        Operator::NotILikeMatch => (true, true),
        _ => return None,
    })
}

fn arithmetic_op(op: Operator) -> Option<ArithmeticOp> {
    Some(match op {
        Operator::Plus => ArithmeticOp::Add,
        Operator::Minus => ArithmeticOp::Subtract,
        Operator::Multiply => ArithmeticOp::Multiply,
        Operator::Divide => ArithmeticOp::Divide,
        Operator::Modulo => ArithmeticOp::Modulo,
        Operator::BitwiseAnd => ArithmeticOp::BitAnd,
        Operator::BitwiseOr => ArithmeticOp::BitOr,
        Operator::BitwiseXor => ArithmeticOp::BitXor,
        Operator::BitwiseShiftLeft => ArithmeticOp::ShiftLeft,
        Operator::BitwiseShiftRight => ArithmeticOp::ShiftRight,
        _ => return None,
    })
}

/// A `SIMILAR TO` pattern as an anchored regular expression: `%` and `_` are wildcards, `| * + ? {} () []` keep their meaning, all else
/// (also `.`, `^` and `$` outside of brackets) stands for itself.
fn similar_to_regex(pattern: &str, escape: char) -> String {
    let mut regex = String::from("^(?s:");
    let mut in_brackets = false;
    let mut characters = pattern.chars();
    while let Some(c) = characters.next() {
        match c {
            _ if c == escape => {
                if let Some(next) = characters.next() {
                    if !next.is_alphanumeric() {
                        regex.push('\\');
                    }
                    regex.push(next);
                }
                continue;
            }
            '[' => in_brackets = true,
            ']' => in_brackets = false,
            '%' if !in_brackets => regex.push_str(".*"),
            '_' if !in_brackets => regex.push('.'),
            '.' | '^' | '$' | '\\' if !in_brackets => regex.push('\\'),
            _ => {}
        }
        if in_brackets || !matches!(c, '%' | '_') {
            regex.push(c);
        }
    }
    regex.push_str(")$");
    regex
}

fn correlation(columns: &[Expr]) -> String {
    columns.iter().map(|c| c.to_string()).collect::<Vec<_>>().join(", ")
}

/// Why an expression has no form in the IR.
fn refusal(expression: &Expr) -> Error {
    match expression {
        Expr::Exists(_) => Error::unsupported("EXISTS in this place (it can stand in WHERE and HAVING)"),
        Expr::InSubquery(_) => Error::unsupported("IN (sub-query) in this place (it can stand in WHERE and HAVING)"),
        Expr::SetComparison(_) => Error::unsupported("ANY or ALL (sub-query) in this place"),
        Expr::Placeholder(p) => Error::user(format!("parameter {} has no value", p.id)),
        Expr::OuterReferenceColumn(_, column) => {
            Error::unsupported(format!("correlated sub-query: reference to the outer column {column}"))
        }
        Expr::AggregateFunction(f) => Error::user(format!("aggregate function {} is not allowed here", f.func.name())),
        Expr::WindowFunction(f) => Error::user(format!("window function {} is not allowed here", f.fun.name())),
        Expr::ScalarVariable(_, names) => Error::unsupported(format!("variable {}", names.join("."))),
        Expr::Lambda(_) | Expr::LambdaVariable(_) | Expr::HigherOrderFunction(_) => {
            Error::unsupported(format!("lambda function {expression}"))
        }
        other => Error::unsupported(format!("expression {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_to_patterns() {
        assert_eq!(similar_to_regex("%a_b.c", '\\'), "^(?s:.*a.b\\.c)$");
        assert_eq!(similar_to_regex("(a|b)[_%]+\\%", '\\'), "^(?s:(a|b)[_%]+\\%)$");
    }
}
