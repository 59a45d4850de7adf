//! Hash aggregation: every worker aggregates its share; shares are merged by partition of the keys' hash.
//!
//! ```text
//! push: keys → group ids (groups.rs), arguments → accumulators; a full table is emptied into a run (worker.rs, share.rs, run.rs)
//! finalize: runs are cut by key range or hash (merge.rs)          source: merges a partition, gives its results a batch at a time
//! short of memory: tables and runs are cut by hash at once, and the pieces appended to one file a partition (spilled.rs, part.rs);
//!                  a partition that does not fit is cut again by further bits of the hash; large groups' distinct members go by their values
//! repeating: no breaker; a full table is given on as it is, and rows that are hardly fewer as groups by themselves (repeating.rs)
//! ```
//! Rows pass the table by while it makes them hardly fewer (pass.rs): they go to the partitions as groups of their own, and are merged there as they become many.
//! What grows: groups and accumulators, under reservations. One worker's table that never filled up is the result as it is. Order is not kept.
//! Only one group whose state is itself too large (an array of all rows) ends in a refusal.

mod accumulator;
mod custom;
mod distinct;
mod first_last;
mod groups;
mod input;
mod merge;
mod min_max;
mod nulls;
mod operator;
mod packed;
mod part;
mod pass;
mod repeating;
mod run;
mod share;
mod source;
#[cfg(test)]
mod spill_tests;
mod spilled;
#[cfg(test)]
mod tests;
mod wide;
mod worker;

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::DataType;

use super::Breaker;
use crate::error::Result;
use crate::expression::{Expression, SortKey};
use groups::Tables;
pub use repeating::RepeatingAggregate;

/// A grouped or global aggregation. Output columns: group keys, then (grouping sets only) the grouping id,
/// then one column per aggregate (final, single) or its state columns (partial).
#[derive(Debug, Clone)]
pub struct AggregateSpec {
    /// Group key expressions over the input; empty = one group over everything (one output row even without input).
    pub group_by: Vec<Expression>,
    /// Which keys each grouping set keeps (true = kept, false = null in the output); empty = plain GROUP BY.
    pub grouping_sets: Vec<Vec<bool>>,
    /// Type of the grouping id column after the keys, when `grouping_sets` is not empty: bit i (from the last key = bit 0) is set when
    /// the key is *not* part of the set; for duplicate sets an ordinal is put above the key bits, as in DataFusion.
    pub grouping_id: Option<DataType>,
    pub aggregates: Vec<AggregateExpression>,
    pub phase: AggregatePhase,
}

/// Which part of a distributed aggregation this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregatePhase {
    /// Rows in, results out.
    Single,
    /// Rows in, results out, and a group may come several times, each time with what other rows of it give: for whoever aggregates those results.
    Repeating,
    /// Rows in, state columns out.
    Partial,
    /// State columns in, state columns out.
    PartialMerge,
    /// State columns in, results out.
    Final,
}

impl AggregatePhase {
    /// Whether it reads what another phase made of rows.
    pub fn reads_states(self) -> bool {
        matches!(self, AggregatePhase::PartialMerge | AggregatePhase::Final)
    }

    /// Whether it gives states instead of results.
    pub fn gives_states(self) -> bool {
        matches!(self, AggregatePhase::Partial | AggregatePhase::PartialMerge)
    }
}

/// One aggregate call.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregateExpression {
    pub function: AggregateFunction,
    pub arguments: Vec<Expression>,
    /// Only rows for which this is true count.
    pub filter: Option<Expression>,
    pub distinct: bool,
    /// Order of the input within a group, for order-sensitive functions.
    pub order_by: Vec<SortKey>,
    /// Logical type of the result.
    pub data_type: DataType,
}

/// Aggregate functions; the named ones are native.
#[derive(Debug, Clone)]
pub enum AggregateFunction {
    /// `count(*)`.
    CountAll,
    /// Rows in which every argument is not null.
    Count,
    Sum,
    Min,
    Max,
    Avg,
    VariancePopulation,
    VarianceSample,
    DeviationPopulation,
    DeviationSample,
    /// First or last value in `order_by` order (any row's when empty).
    First {
        ignore_nulls: bool,
    },
    Last {
        ignore_nulls: bool,
    },
    BoolAnd,
    BoolOr,
    BitAnd,
    BitOr,
    BitXor,
    /// A library's or user's function.
    Custom(Arc<dyn CustomAggregate>),
}

impl AggregateFunction {
    /// Whether it computes with values, rather than counts, compares or picks them; over values of the type Null it then gives null.
    pub(crate) fn is_computing(&self) -> bool {
        use AggregateFunction::*;
        match self {
            Sum | Avg | VariancePopulation | VarianceSample | DeviationPopulation | DeviationSample => true,
            BoolAnd | BoolOr | BitAnd | BitOr | BitXor => true,
            CountAll | Count | Min | Max | First { .. } | Last { .. } | Custom(_) => false,
        }
    }

    /// Whether it gives the same with and without DISTINCT.
    pub fn ignores_duplicates(&self) -> bool {
        use AggregateFunction::*;
        matches!(self, Min | Max | BoolAnd | BoolOr | BitAnd | BitOr | CountAll)
    }

    /// Whether it gives the same in any order of its input.
    pub fn ignores_order(&self) -> bool {
        use AggregateFunction::*;
        !matches!(self, First { .. } | Last { .. } | Custom(_))
    }
}

impl PartialEq for AggregateFunction {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (AggregateFunction::Custom(a), AggregateFunction::Custom(b)) => {
                a.name() == b.name() && a.ignores_nulls() == b.ignores_nulls()
            }
            (AggregateFunction::First { ignore_nulls: a }, AggregateFunction::First { ignore_nulls: b })
            | (AggregateFunction::Last { ignore_nulls: a }, AggregateFunction::Last { ignore_nulls: b }) => a == b,
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }
}

/// An aggregate over Arrow arrays that comes from outside (the DataFusion function library, user functions).
pub trait CustomAggregate: Send + Sync + Debug {
    /// Name in EXPLAIN; equal names over equal arguments are the same aggregate.
    fn name(&self) -> &str;
    /// Whether nulls among the arguments do not count, where the call says so (`IGNORE NULLS`).
    fn ignores_nulls(&self) -> bool {
        false
    }
    /// Types of the state columns.
    fn state_types(&self) -> Vec<DataType>;
    /// Logical types in which arguments are handed over.
    fn argument_types(&self) -> Vec<DataType>;
    /// A fresh accumulator for many groups. DISTINCT and ORDER BY, when asked for, are inside the accumulator.
    fn create(&self) -> Result<Box<dyn CustomAccumulator>>;
}

/// State of a custom aggregate for groups `0..group_count`.
pub trait CustomAccumulator: Send {
    /// Row i of the arguments belongs to group `groups[i]`; new groups start empty.
    fn update(&mut self, arguments: &[ArrayRef], groups: &[usize], group_count: usize) -> Result<()>;
    /// Row i of the state columns belongs to group `groups[i]`.
    fn merge(&mut self, states: &[ArrayRef], groups: &[usize], group_count: usize) -> Result<()>;
    /// State columns of all groups; resets the accumulator.
    fn state(&mut self) -> Result<Vec<ArrayRef>>;
    /// Result of all groups; resets the accumulator.
    fn evaluate(&mut self) -> Result<ArrayRef>;
    /// Bytes held.
    fn memory_bytes(&self) -> usize;
}

/// Types of the state columns that an aggregate has in the partial phases; fails when the engine has no way to compute it over arguments of such types.
pub fn state_types(aggregate: &AggregateExpression) -> Result<Vec<DataType>> {
    let mut accumulator = share::accumulator_of(aggregate, Tables::default())?;
    if let AggregateFunction::Custom(function) = &aggregate.function {
        // A library's accumulators are made group by group, and look at their constants only then.
        let none: Vec<ArrayRef> = function.argument_types().iter().map(arrow_array::new_empty_array).collect();
        function.create()?.update(&none, &[], 1)?;
    }
    accumulator.resize(1)?;
    Ok(accumulator.state_types())
}

/// The grouping id of a set: a bit for each key, set where the key is missing, the last key's lowest; above them, how many equal sets are before it.
pub fn grouping_id(sets: &[Vec<bool>], ordinal: usize) -> u64 {
    let set = &sets[ordinal];
    let missing = set.iter().fold(0u64, |bits, kept| bits << 1 | u64::from(!kept));
    let repeated = sets[..ordinal].iter().filter(|s| *s == set).count() as u64;
    repeated << set.len() | missing
}

/// `0..end`, `step` at a time.
fn ranges(end: usize, step: usize) -> impl Iterator<Item = Range<usize>> {
    (0..end).step_by(step).map(move |start| start..(start + step).min(end))
}

/// The aggregation's sink and source.
pub fn aggregate(spec: AggregateSpec) -> Result<Breaker> {
    operator::breaker(spec)
}
