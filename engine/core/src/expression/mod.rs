//! What is computed per batch: an explicit expression tree over column ordinals, and its evaluation.
//!
//! Every node names its exact semantics (overflow mode, cast mode): a front end chooses, kernels have no session modes.
//! [`evaluate`] gives a column as long as the batch (arbitrary values at unselected rows); [`select`] narrows a batch's selection.

mod arithmetic;
mod case;
mod cast;
mod compare;
mod decimal;
mod evaluate;
mod function;
mod functions;
mod in_list;
mod like;
mod logic;
mod murmur3;
mod scalar;
mod temporal;

use std::fmt;
use std::sync::Arc;

use arrow_schema::DataType;

pub(crate) use decimal::divide_rounded;
pub(crate) use evaluate::is_volatile;
pub use evaluate::{evaluate, select};
pub use function::{FunctionCall, ScalarFunction};
pub use functions::native_or;
pub use murmur3::{has_murmur3, murmur3};
pub use scalar::{Scalar, ScalarSlot};

/// A typed expression over the columns of one input.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    pub kind: Kind,
    /// Logical type of the result.
    pub data_type: DataType,
}

/// What an expression does.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Input column by ordinal.
    Column(usize),
    /// A constant.
    Literal(Scalar),
    /// The value of an uncorrelated scalar sub-query, bound before any pipeline that reads it starts.
    Parameter(Arc<ScalarSlot>),
    /// Both sides have the same logical type.
    Compare {
        op: CompareOp,
        left: Box<Expression>,
        right: Box<Expression>,
    },
    /// Three-valued conjunction of two or more operands.
    And(Vec<Expression>),
    /// Three-valued disjunction of two or more operands.
    Or(Vec<Expression>),
    Not(Box<Expression>),
    IsNull(Box<Expression>),
    IsNotNull(Box<Expression>),
    /// `x IS TRUE`, `x IS NOT TRUE`, `x IS FALSE`, `x IS NOT FALSE`: never null.
    IsBoolean {
        operand: Box<Expression>,
        value: bool,
        negated: bool,
    },
    /// Operand types may differ for decimals, dates and intervals; `data_type` tells the result.
    Arithmetic {
        op: ArithmeticOp,
        overflow: Overflow,
        left: Box<Expression>,
        right: Box<Expression>,
    },
    Negate {
        operand: Box<Expression>,
        overflow: Overflow,
    },
    /// To `data_type`.
    Cast {
        operand: Box<Expression>,
        mode: CastMode,
    },
    /// Searched CASE: first branch whose condition is true; `CASE x WHEN` is lowered to comparisons.
    Case {
        branches: Vec<(Expression, Expression)>,
        otherwise: Option<Box<Expression>>,
    },
    /// `operand [NOT] IN (constants and expressions)`, three-valued.
    InList {
        operand: Box<Expression>,
        list: Vec<Expression>,
        negated: bool,
    },
    /// `operand [NOT] [I]LIKE pattern [ESCAPE c]`.
    Like {
        operand: Box<Expression>,
        pattern: Box<Expression>,
        escape: Option<char>,
        case_insensitive: bool,
        negated: bool,
    },
    /// A call of a scalar function.
    Function(FunctionCall),
}

/// Comparison operators; floats order as in SQL engines: NaN equals NaN and is greater than all, −0.0 = 0.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompareOp {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    /// Null-safe: never null.
    DistinctFrom,
    NotDistinctFrom,
}

impl CompareOp {
    /// The operator that says the same with its operands exchanged.
    pub fn flipped(self) -> Self {
        match self {
            CompareOp::Less => CompareOp::Greater,
            CompareOp::LessEqual => CompareOp::GreaterEqual,
            CompareOp::Greater => CompareOp::Less,
            CompareOp::GreaterEqual => CompareOp::LessEqual,
            same => same,
        }
    }
}

/// Arithmetic and bit operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArithmeticOp {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
}

/// What arithmetic does when a result does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Overflow {
    Wrap,
    /// An error naming operation and operands.
    Fail,
    /// Null.
    Null,
}

/// What a cast does with a value that has no image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CastMode {
    /// An error showing value and target type.
    Fail,
    /// Null (`TRY_CAST`).
    Null,
}

/// An ordering of rows by one expression.
#[derive(Debug, Clone, PartialEq)]
pub struct SortKey {
    pub expression: Expression,
    pub descending: bool,
    pub nulls_first: bool,
}

impl Expression {
    /// Input column `index` of type `data_type`.
    pub fn column(index: usize, data_type: DataType) -> Self {
        Expression { kind: Kind::Column(index), data_type }
    }

    /// A constant of type `data_type`.
    pub fn literal(value: Scalar, data_type: DataType) -> Self {
        Expression { kind: Kind::Literal(value), data_type }
    }

    /// `left op right`, boolean.
    pub fn compare(op: CompareOp, left: Expression, right: Expression) -> Self {
        Expression {
            kind: Kind::Compare { op, left: Box::new(left), right: Box::new(right) },
            data_type: DataType::Boolean,
        }
    }

    /// Conjunction; one operand stands for itself, none is TRUE.
    pub fn and(mut operands: Vec<Expression>) -> Self {
        match operands.len() {
            0 => Expression::literal(Scalar::Boolean(true), DataType::Boolean),
            1 => operands.remove(0),
            _ => Expression { kind: Kind::And(operands), data_type: DataType::Boolean },
        }
    }

    /// Direct sub-expressions.
    pub fn children(&self) -> Vec<&Expression> {
        match &self.kind {
            Kind::Column(_) | Kind::Literal(_) | Kind::Parameter(_) => vec![],
            Kind::Compare { left, right, .. } | Kind::Arithmetic { left, right, .. } => vec![left, right],
            Kind::And(operands) | Kind::Or(operands) => operands.iter().collect(),
            Kind::Not(e) | Kind::IsNull(e) | Kind::IsNotNull(e) => vec![e],
            Kind::IsBoolean { operand, .. } | Kind::Negate { operand, .. } | Kind::Cast { operand, .. } => {
                vec![operand]
            }
            Kind::Case { branches, otherwise } => {
                branches.iter().flat_map(|(when, then)| [when, then]).chain(otherwise.as_deref()).collect()
            }
            Kind::InList { operand, list, .. } => std::iter::once(operand.as_ref()).chain(list).collect(),
            Kind::Like { operand, pattern, .. } => vec![operand, pattern],
            Kind::Function(call) => call.arguments.iter().collect(),
        }
    }

    /// Direct sub-expressions, mutable, in the order of [`Expression::children`].
    pub fn children_mut(&mut self) -> Vec<&mut Expression> {
        match &mut self.kind {
            Kind::Column(_) | Kind::Literal(_) | Kind::Parameter(_) => vec![],
            Kind::Compare { left, right, .. } | Kind::Arithmetic { left, right, .. } => vec![left, right],
            Kind::And(operands) | Kind::Or(operands) => operands.iter_mut().collect(),
            Kind::Not(e) | Kind::IsNull(e) | Kind::IsNotNull(e) => vec![e],
            Kind::IsBoolean { operand, .. } | Kind::Negate { operand, .. } | Kind::Cast { operand, .. } => {
                vec![operand]
            }
            Kind::Case { branches, otherwise } => {
                branches.iter_mut().flat_map(|(when, then)| [when, then]).chain(otherwise.as_deref_mut()).collect()
            }
            Kind::InList { operand, list, .. } => std::iter::once(operand.as_mut()).chain(list).collect(),
            Kind::Like { operand, pattern, .. } => vec![operand, pattern],
            Kind::Function(call) => call.arguments.iter_mut().collect(),
        }
    }

    /// Calls `visit` on this node and all below.
    pub fn visit(&self, visit: &mut dyn FnMut(&Expression)) {
        visit(self);
        self.children().into_iter().for_each(|c| c.visit(visit));
    }

    /// Ordinals of all input columns read, ascending and distinct.
    pub fn referenced_columns(&self) -> Vec<usize> {
        let mut columns = Vec::new();
        self.visit(&mut |e| {
            if let Kind::Column(index) = e.kind {
                columns.push(index);
            }
        });
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// The same expression with every column ordinal replaced.
    pub fn map_columns(&self, map: &dyn Fn(usize) -> usize) -> Expression {
        let mut mapped = self.clone();
        mapped.map_columns_in_place(map);
        mapped
    }

    fn map_columns_in_place(&mut self, map: &dyn Fn(usize) -> usize) {
        if let Kind::Column(index) = &mut self.kind {
            *index = map(*index);
        }
        self.children_mut().into_iter().for_each(|c| c.map_columns_in_place(map));
    }
}

impl fmt::Display for CompareOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CompareOp::Equal => "=",
            CompareOp::NotEqual => "<>",
            CompareOp::Less => "<",
            CompareOp::LessEqual => "<=",
            CompareOp::Greater => ">",
            CompareOp::GreaterEqual => ">=",
            CompareOp::DistinctFrom => "IS DISTINCT FROM",
            CompareOp::NotDistinctFrom => "IS NOT DISTINCT FROM",
        })
    }
}

impl fmt::Display for ArithmeticOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ArithmeticOp::Add => "+",
            ArithmeticOp::Subtract => "-",
            ArithmeticOp::Multiply => "*",
            ArithmeticOp::Divide => "/",
            ArithmeticOp::Modulo => "%",
            ArithmeticOp::BitAnd => "&",
            ArithmeticOp::BitOr => "|",
            ArithmeticOp::BitXor => "^",
            ArithmeticOp::ShiftLeft => "<<",
            ArithmeticOp::ShiftRight => ">>",
        })
    }
}

/// SQL-like text with `#n` for column ordinals.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |items: &[Expression], separator: &str| {
            items.iter().map(|i| i.to_string()).collect::<Vec<_>>().join(separator)
        };
        let not = |negated: &bool| if *negated { "NOT " } else { "" };
        match &self.kind {
            Kind::Column(index) => write!(f, "#{index}"),
            Kind::Literal(value) => write!(f, "{}", value.display(&self.data_type)),
            Kind::Parameter(_) => f.write_str("$subquery"),
            Kind::Compare { op, left, right } => write!(f, "{left} {op} {right}"),
            Kind::And(operands) => write!(f, "({})", list(operands, " AND ")),
            Kind::Or(operands) => write!(f, "({})", list(operands, " OR ")),
            Kind::Not(e) => write!(f, "NOT ({e})"),
            Kind::IsNull(e) => write!(f, "{e} IS NULL"),
            Kind::IsNotNull(e) => write!(f, "{e} IS NOT NULL"),
            Kind::IsBoolean { operand, value, negated } => {
                write!(f, "{operand} IS {}{}", not(negated), if *value { "TRUE" } else { "FALSE" })
            }
            Kind::Arithmetic { op, left, right, .. } => write!(f, "({left} {op} {right})"),
            Kind::Negate { operand, .. } => write!(f, "-({operand})"),
            Kind::Cast { operand, mode } => {
                write!(
                    f,
                    "{}({operand} AS {})",
                    if *mode == CastMode::Null { "TRY_CAST" } else { "CAST" },
                    self.data_type
                )
            }
            Kind::Case { branches, otherwise } => {
                f.write_str("CASE")?;
                branches.iter().try_for_each(|(when, then)| write!(f, " WHEN {when} THEN {then}"))?;
                otherwise.iter().try_for_each(|e| write!(f, " ELSE {e}"))?;
                f.write_str(" END")
            }
            Kind::InList { operand, list: items, negated } => {
                write!(f, "{operand} {}IN ({})", not(negated), list(items, ", "))
            }
            Kind::Like { operand, pattern, case_insensitive, negated, .. } => {
                write!(f, "{operand} {}{}LIKE {pattern}", not(negated), if *case_insensitive { "I" } else { "" })
            }
            Kind::Function(call) => write!(f, "{}({})", call.function.name(), list(&call.arguments, ", ")),
        }
    }
}
