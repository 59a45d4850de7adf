//! Expressions over the columns of one input.

use arrow::datatypes::DataType;
use plasmon_core::Result;
use plasmon_core::expression::{ArithmeticOp, CastMode, CompareOp, Expression, Kind, Overflow, Scalar, SortKey};
use prost::bytes::Bytes;

use super::{Decoder, check, known, ordinal, types, value};
use crate::path::Path;
use crate::wire::fields::message;
use crate::wire::{EXPRESSION_DEPTH_MAX, proto};

/// What an expression may read.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// Types of the input's columns.
    pub(super) columns: &'a [DataType],
    /// Whether places that nobody reads may stand here.
    unread: bool,
    depth: usize,
}

impl<'a> Scope<'a> {
    /// Over rows of these columns.
    pub(super) fn over(columns: &'a [DataType]) -> Self {
        Scope { columns, unread: false, depth: 0 }
    }

    /// The same, where values may stand that nobody reads.
    pub(super) fn with_unread(self, unread: bool) -> Self {
        Scope { unread, ..self }
    }
}

impl Decoder<'_> {
    /// An expression that must be there.
    pub(super) fn expression(&mut self, bytes: &Bytes, scope: Scope<'_>, path: &Path<'_>) -> Result<Expression> {
        let scope = Scope { depth: scope.depth + 1, ..scope };
        if scope.depth > EXPRESSION_DEPTH_MAX {
            return Err(path.refuse(format!("expressions nested more than {EXPRESSION_DEPTH_MAX} deep")));
        }
        if bytes.is_empty() {
            return Err(path.wrong("the expression is missing"));
        }
        let expression: proto::Expression = message(bytes, path)?;
        let data_type = types::data_type(expression.r#type.as_ref(), path)?;
        let kind = expression.kind.ok_or_else(|| path.wrong("the expression says not what it does"))?;
        self.kind(kind, data_type, scope, path)
    }

    /// An expression that may be absent.
    pub(super) fn optional(&mut self, bytes: &Bytes, scope: Scope<'_>, path: &Path<'_>) -> Result<Option<Expression>> {
        if bytes.is_empty() { Ok(None) } else { self.expression(bytes, scope, path).map(Some) }
    }

    /// All expressions of a repeated field.
    pub(super) fn expressions(
        &mut self,
        all: &[Bytes],
        scope: Scope<'_>,
        path: &Path<'_>,
        field: &'static str,
    ) -> Result<Vec<Expression>> {
        all.iter().enumerate().map(|(i, bytes)| self.expression(bytes, scope, &path.item(field, i))).collect()
    }

    /// A condition.
    pub(super) fn condition(&mut self, bytes: &Bytes, scope: Scope<'_>, path: &Path<'_>) -> Result<Expression> {
        let condition = self.expression(bytes, scope, path)?;
        check::boolean(&condition, path)?;
        Ok(condition)
    }

    /// A condition that may be absent.
    pub(super) fn filter(&mut self, bytes: &Bytes, scope: Scope<'_>, path: &Path<'_>) -> Result<Option<Expression>> {
        if bytes.is_empty() { Ok(None) } else { self.condition(bytes, scope, path).map(Some) }
    }

    /// Sort keys of a repeated field.
    pub(super) fn sort_keys(
        &mut self,
        keys: &[proto::SortKey],
        scope: Scope<'_>,
        path: &Path<'_>,
        field: &'static str,
    ) -> Result<Vec<SortKey>> {
        keys.iter()
            .enumerate()
            .map(|(i, key)| {
                let path = path.item(field, i);
                let expression = self.expression(&key.expression, scope, &path.field("expression"))?;
                check::key(&expression, &path)?;
                Ok(SortKey { expression, descending: key.descending, nulls_first: key.nulls_first })
            })
            .collect()
    }

    fn kind(
        &mut self,
        kind: proto::expression::Kind,
        data_type: DataType,
        scope: Scope<'_>,
        path: &Path<'_>,
    ) -> Result<Expression> {
        use proto::expression::Kind as Given;
        let kind = match kind {
            Given::Column(column) => return column_of(column, data_type, scope, path),
            Given::Literal(literal) => Kind::Literal(value::scalar(&literal, &data_type, &path.field("literal"))?),
            Given::Subquery(index) => return self.subquery(index, data_type, path),
            Given::Unread(_) if scope.unread => Kind::Literal(Scalar::Null),
            Given::Unread(_) => return Err(path.wrong("this value is read, so it cannot be `unread`")),
            Given::Call(call) => return self.call(&call, data_type, scope, path),
            Given::Arithmetic(arithmetic) => self.arithmetic(&arithmetic, scope, path)?,
            Given::Negate(negate) => Kind::Negate {
                operand: Box::new(self.expression(&negate.operand, scope, &path.field("operand"))?),
                overflow: overflow(negate.overflow, path)?,
            },
            Given::Cast(cast) => Kind::Cast {
                operand: Box::new(self.expression(&cast.operand, scope, &path.field("operand"))?),
                mode: cast_mode(cast.mode, path)?,
            },
            Given::Case(case) => self.case(&case, &data_type, scope, path)?,
            predicate => {
                if data_type != DataType::Boolean {
                    return Err(path.wrong(format!("it is boolean, not {data_type}")));
                }
                self.predicate(predicate, scope, path)?
            }
        };
        let expression = Expression { kind, data_type };
        if let Kind::Negate { operand, .. } = &expression.kind {
            check::of_type(operand, &expression.data_type, path)?;
        }
        check::operation(&expression, path)?;
        Ok(expression)
    }

    /// What is true, false or null.
    fn predicate(&mut self, kind: proto::expression::Kind, scope: Scope<'_>, path: &Path<'_>) -> Result<Kind> {
        use proto::expression::Kind as Given;
        Ok(match kind {
            Given::Compare(compare) => self.compare(&compare, scope, path)?,
            Given::And(operands) => Kind::And(self.operands(&operands.operands, scope, path)?),
            Given::Or(operands) => Kind::Or(self.operands(&operands.operands, scope, path)?),
            Given::Not(operand) => Kind::Not(Box::new(self.condition(&operand, scope, &path.field("not"))?)),
            Given::IsNull(operand) => {
                Kind::IsNull(Box::new(self.expression(&operand, scope, &path.field("is_null"))?))
            }
            Given::IsNotNull(operand) => {
                Kind::IsNotNull(Box::new(self.expression(&operand, scope, &path.field("is_not_null"))?))
            }
            Given::IsBoolean(is) => Kind::IsBoolean {
                operand: Box::new(self.condition(&is.operand, scope, &path.field("operand"))?),
                value: is.value,
                negated: is.negated,
            },
            Given::InList(list) => self.in_list(&list, scope, path)?,
            Given::Like(like) => self.like(&like, scope, path)?,
            _ => return Err(path.wrong("the expression says not what it does")),
        })
    }

    fn operands(&mut self, all: &[Bytes], scope: Scope<'_>, path: &Path<'_>) -> Result<Vec<Expression>> {
        if all.len() < 2 {
            return Err(path.wrong(format!("{} operands; two or more are wanted", all.len())));
        }
        all.iter().enumerate().map(|(i, bytes)| self.condition(bytes, scope, &path.item("operands", i))).collect()
    }

    fn subquery(&mut self, index: u32, data_type: DataType, path: &Path<'_>) -> Result<Expression> {
        let index = ordinal(index, self.subqueries.len(), "sub-query", path)?;
        let (slot, given) = &self.subqueries[index];
        if !check::agree(given, &data_type) {
            return Err(path.wrong(format!("sub-query {index} gives {given}, not {data_type}")));
        }
        let kind = Kind::Parameter(slot.clone());
        self.reads[self.tree].insert(self.shared.len() + index);
        Ok(Expression { kind, data_type })
    }

    fn compare(&mut self, compare: &proto::Compare, scope: Scope<'_>, path: &Path<'_>) -> Result<Kind> {
        use proto::CompareOp as Op;
        let op = match known::<Op>(compare.op, "CompareOp", path)? {
            Op::Unspecified => return Err(path.wrong("the comparison is missing")),
            Op::Equal => CompareOp::Equal,
            Op::NotEqual => CompareOp::NotEqual,
            Op::Less => CompareOp::Less,
            Op::LessEqual => CompareOp::LessEqual,
            Op::Greater => CompareOp::Greater,
            Op::GreaterEqual => CompareOp::GreaterEqual,
            Op::DistinctFrom => CompareOp::DistinctFrom,
            Op::NotDistinctFrom => CompareOp::NotDistinctFrom,
        };
        let left = self.expression(&compare.left, scope, &path.field("left"))?;
        let right = self.expression(&compare.right, scope, &path.field("right"))?;
        check::of_type(&right, &left.data_type, &path.field("right"))?;
        check::key(&left, path)?;
        Ok(Kind::Compare { op, left: Box::new(left), right: Box::new(right) })
    }

    fn arithmetic(&mut self, arithmetic: &proto::Arithmetic, scope: Scope<'_>, path: &Path<'_>) -> Result<Kind> {
        use proto::ArithmeticOp as Op;
        let op = match known::<Op>(arithmetic.op, "ArithmeticOp", path)? {
            Op::Unspecified => return Err(path.wrong("the operation is missing")),
            Op::Add => ArithmeticOp::Add,
            Op::Subtract => ArithmeticOp::Subtract,
            Op::Multiply => ArithmeticOp::Multiply,
            Op::Divide => ArithmeticOp::Divide,
            Op::Modulo => ArithmeticOp::Modulo,
            Op::BitAnd => ArithmeticOp::BitAnd,
            Op::BitOr => ArithmeticOp::BitOr,
            Op::BitXor => ArithmeticOp::BitXor,
            Op::ShiftLeft => ArithmeticOp::ShiftLeft,
            Op::ShiftRight => ArithmeticOp::ShiftRight,
        };
        Ok(Kind::Arithmetic {
            op,
            overflow: overflow(arithmetic.overflow, path)?,
            left: Box::new(self.expression(&arithmetic.left, scope, &path.field("left"))?),
            right: Box::new(self.expression(&arithmetic.right, scope, &path.field("right"))?),
        })
    }

    fn case(&mut self, case: &proto::Case, data_type: &DataType, scope: Scope<'_>, path: &Path<'_>) -> Result<Kind> {
        if case.branches.is_empty() {
            return Err(path.wrong("a case without branches"));
        }
        let mut branches = Vec::with_capacity(case.branches.len());
        for (index, branch) in case.branches.iter().enumerate() {
            let path = path.item("branches", index);
            let when = self.condition(&branch.when, scope, &path.field("when"))?;
            let then = self.expression(&branch.then, scope, &path.field("then"))?;
            check::of_type(&then, data_type, &path.field("then"))?;
            branches.push((when, then));
        }
        let below = path.field("otherwise");
        let otherwise = self.optional(&case.otherwise, scope, &below)?;
        otherwise.iter().try_for_each(|o| check::of_type(o, data_type, &below))?;
        Ok(Kind::Case { branches, otherwise: otherwise.map(Box::new) })
    }

    fn in_list(&mut self, given: &proto::InList, scope: Scope<'_>, path: &Path<'_>) -> Result<Kind> {
        let operand = self.expression(&given.operand, scope, &path.field("operand"))?;
        check::key(&operand, path)?;
        let list = self.expressions(&given.list, scope, path, "list")?;
        for (index, item) in list.iter().enumerate() {
            check::of_type(item, &operand.data_type, &path.item("list", index))?;
        }
        Ok(Kind::InList { operand: Box::new(operand), list, negated: given.negated })
    }

    fn like(&mut self, like: &proto::Like, scope: Scope<'_>, path: &Path<'_>) -> Result<Kind> {
        let operand = self.expression(&like.operand, scope, &path.field("operand"))?;
        let pattern = self.expression(&like.pattern, scope, &path.field("pattern"))?;
        check::of_type(&operand, &DataType::Utf8View, &path.field("operand"))?;
        check::of_type(&pattern, &DataType::Utf8View, &path.field("pattern"))?;
        let mut escape = like.escape.chars();
        let (first, second) = (escape.next(), escape.next());
        if second.is_some() {
            return Err(path.wrong(format!("the escape is one character, not {:?}", like.escape)));
        }
        Ok(Kind::Like {
            operand: Box::new(operand),
            pattern: Box::new(pattern),
            escape: first,
            case_insensitive: like.case_insensitive,
            negated: like.negated,
        })
    }
}

fn column_of(column: u32, data_type: DataType, scope: Scope<'_>, path: &Path<'_>) -> Result<Expression> {
    let column = ordinal(column, scope.columns.len(), "column", path)?;
    let given = &scope.columns[column];
    if !check::agree(given, &data_type) {
        return Err(path.wrong(format!("column {column} is of type {given}, not {data_type}")));
    }
    Ok(Expression::column(column, data_type))
}

fn overflow(mode: i32, path: &Path<'_>) -> Result<Overflow> {
    use proto::Overflow as Mode;
    Ok(match known::<Mode>(mode, "Overflow", path)? {
        Mode::Unspecified => return Err(path.wrong("what overflow does is missing")),
        Mode::Wrap => Overflow::Wrap,
        Mode::Fail => Overflow::Fail,
        Mode::Null => Overflow::Null,
    })
}

fn cast_mode(mode: i32, path: &Path<'_>) -> Result<CastMode> {
    use proto::CastMode as Mode;
    Ok(match known::<Mode>(mode, "CastMode", path)? {
        Mode::Unspecified => return Err(path.wrong("what a failing cast does is missing")),
        Mode::Fail => CastMode::Fail,
        Mode::Null => CastMode::Null,
    })
}
