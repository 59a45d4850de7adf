//! Joins: what is asked. The left input is always the probe side, the right input the build side.

use arrow_schema::DataType;

use crate::expression::Expression;

/// Which rows a join gives. Output columns: left then right; semi and anti joins give one side only; mark joins add one boolean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    /// Left rows with a match.
    LeftSemi,
    /// Left rows without a match.
    LeftAnti,
    /// Left rows, and whether they have a match: true, false, or (null-aware) null.
    LeftMark,
    RightSemi,
    RightAnti,
    RightMark,
}

/// A join of a probe (left) and a build (right) input.
#[derive(Debug, Clone)]
pub struct JoinSpec {
    pub kind: JoinKind,
    /// Equal pairs: key expressions over the left and over the right input, of the same logical type; empty = nested loop.
    pub left_keys: Vec<Expression>,
    pub right_keys: Vec<Expression>,
    /// Per key: nulls are equal (`IS NOT DISTINCT FROM`).
    pub null_equal: Vec<bool>,
    /// Further condition over left columns followed by right columns; counts as part of the match for every kind.
    pub residual: Option<Expression>,
    /// `NOT IN`: with LeftAnti, a null key on either side makes the answer unknown and the row is left out (empty build: all rows stay);
    /// with LeftMark the mark is then null.
    pub null_aware: bool,
    /// Column types of the inputs.
    pub left_types: Vec<DataType>,
    pub right_types: Vec<DataType>,
    /// Output columns that anything above reads, as ordinals into the full output; `None` = all. Others are not materialized and
    /// the output holds just these, in this order.
    pub projection: Option<Vec<usize>>,
}
