//! Window functions: what is asked.

use arrow_schema::DataType;

use super::aggregate::AggregateFunction;
use crate::expression::{Expression, Scalar, SortKey};

/// Window functions over one partitioning and ordering. Output columns: the input's, then one per function.
#[derive(Debug, Clone)]
pub struct WindowSpec {
    pub partition_by: Vec<Expression>,
    pub order_by: Vec<SortKey>,
    pub functions: Vec<WindowExpression>,
    /// Column types of the input.
    pub types: Vec<DataType>,
}

/// One window function call.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowExpression {
    pub function: WindowFunction,
    /// Lag/lead: value, offset (literal), default; nth value: value, n (literal); ntile: n (literal).
    pub arguments: Vec<Expression>,
    pub frame: Frame,
    /// Aggregates: only rows for which this is true count.
    pub filter: Option<Expression>,
    /// Aggregates: DISTINCT.
    pub distinct: bool,
    /// Lag, lead, first, last, nth value: skip nulls.
    pub ignore_nulls: bool,
    /// Logical type of the result.
    pub data_type: DataType,
}

/// Window functions.
#[derive(Debug, Clone, PartialEq)]
pub enum WindowFunction {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumulativeDistribution,
    Ntile,
    Lag,
    Lead,
    FirstValue,
    LastValue,
    NthValue,
    Aggregate(AggregateFunction),
}

/// The rows around the current row that a function sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    pub units: FrameUnits,
    pub start: FrameBound,
    pub end: FrameBound,
}

/// How frame bounds count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameUnits {
    Rows,
    /// By value of the one ORDER BY key.
    Range,
    /// By groups of peers.
    Groups,
}

/// One end of a frame. Distances are non-negative: integers for ROWS and GROUPS, of the key's type (or an interval) for RANGE.
#[derive(Debug, Clone, PartialEq)]
pub enum FrameBound {
    UnboundedPreceding,
    Preceding(Scalar),
    CurrentRow,
    Following(Scalar),
    UnboundedFollowing,
}
