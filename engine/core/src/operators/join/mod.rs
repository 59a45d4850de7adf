//! Hash join and nested loop join: the left input probes, the right input is built.
//!
//! ```text
//! right ──► build sink: columns and key words ──stages of parallel tasks──► runtime filters, table
//! left  ──► probe: key words → the one row of each (unique keys) → output
//!                            → candidate ranges → pairs → residual → output, a bounded batch at a time
//!           unmatched: build rows that no probe row met (right and full outer, right semi, anti and mark joins), after all probing
//! ```
//! What grows: the build side's rows and table, under a reservation. A join without equal keys is the same operator over a table in
//! which every row matches every probe. The probe side's order is kept by inner and left joins of a unique build side only.

mod assemble;
mod build;
mod keys;
mod probe;
mod publish;
mod unique;
mod unmatched;

use std::sync::{Arc, OnceLock};

use arrow_schema::DataType;

use crate::error::{Error, Result};
use crate::expression::Expression;
use crate::operators::runtime_filter::RuntimeFilter;
use crate::pipeline::{Operator, Sink, Source};

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

impl JoinKind {
    /// Probe rows without a match are in the output.
    fn keeps_left(self) -> bool {
        matches!(self, JoinKind::Left | JoinKind::Full)
    }

    /// Matches are in the output as pairs.
    fn gives_pairs(self) -> bool {
        matches!(self, JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full)
    }

    /// Build rows must remember whether they were met.
    fn marks_right(self) -> bool {
        matches!(
            self,
            JoinKind::Right | JoinKind::Full | JoinKind::RightSemi | JoinKind::RightAnti | JoinKind::RightMark
        )
    }

    /// Only the left side's rows are in the output.
    fn is_left_only(self) -> bool {
        matches!(self, JoinKind::LeftSemi | JoinKind::LeftAnti | JoinKind::LeftMark)
    }

    /// Only the right side's rows are in the output.
    fn is_right_only(self) -> bool {
        matches!(self, JoinKind::RightSemi | JoinKind::RightAnti | JoinKind::RightMark)
    }
}

/// One join: three parts that share what the build side became.
#[derive(Debug)]
pub struct Join {
    shared: Arc<JoinShared>,
}

#[derive(Debug)]
struct JoinShared {
    spec: JoinSpec,
    publishes: Vec<(usize, Arc<RuntimeFilter>)>,
    /// Output ordinals in the order of the full output.
    outputs: Vec<usize>,
    arriving: build::Arriving,
    built: OnceLock<build::Built>,
}

impl JoinShared {
    fn built(&self) -> Result<&build::Built> {
        self.built.get().ok_or_else(|| Error::internal("a join was probed before it was built"))
    }

    /// Whether each right column is read by the output or the residual.
    fn read_columns(&self) -> Vec<bool> {
        let spec = &self.spec;
        let left = spec.left_types.len();
        let mut read = vec![false; spec.right_types.len()];
        if spec.kind.is_right_only() {
            self.outputs.iter().filter(|&&o| o < spec.right_types.len()).for_each(|&o| read[o] = true);
        } else if !spec.kind.is_left_only() {
            self.outputs.iter().filter(|&&o| o >= left).for_each(|&o| read[o - left] = true);
        }
        let residual = spec.residual.as_ref().map(|r| r.referenced_columns()).unwrap_or_default();
        residual.iter().filter(|&&c| c >= left).for_each(|&c| read[c - left] = true);
        read
    }
}

impl Join {
    /// Checks the spec; `publishes` are the runtime filters that the build side fills, by key ordinal.
    pub fn new(spec: JoinSpec, publishes: Vec<(usize, Arc<RuntimeFilter>)>) -> Result<Self> {
        if spec.left_keys.len() != spec.right_keys.len() || spec.left_keys.len() != spec.null_equal.len() {
            return Err(Error::internal("a join's key lists differ in length"));
        }
        let full = match spec.kind {
            kind if kind.is_left_only() => spec.left_types.len() + usize::from(kind == JoinKind::LeftMark),
            kind if kind.is_right_only() => spec.right_types.len() + usize::from(kind == JoinKind::RightMark),
            _ => spec.left_types.len() + spec.right_types.len(),
        };
        let outputs = spec.projection.clone().unwrap_or_else(|| (0..full).collect());
        if let Some(bad) = outputs.iter().find(|&&o| o >= full) {
            return Err(Error::internal(format!("join output {bad} of {full}")));
        }
        Ok(Join {
            shared: Arc::new(JoinShared {
                spec,
                publishes,
                outputs,
                arriving: Default::default(),
                built: OnceLock::new(),
            }),
        })
    }

    /// Ends the right input's pipeline.
    pub fn build(&self) -> Arc<dyn Sink> {
        Arc::new(build::JoinBuild { shared: self.shared.clone() })
    }

    /// Stands in the left input's pipeline, which waits for the build.
    pub fn probe(&self) -> Arc<dyn Operator> {
        Arc::new(probe::JoinProbe { shared: self.shared.clone() })
    }

    /// Gives what depends on all probing, for kinds that have such rows; its pipeline waits for the probing ones.
    pub fn unmatched(&self) -> Option<Arc<dyn Source>> {
        self.shared
            .spec
            .kind
            .marks_right()
            .then(|| Arc::new(unmatched::JoinUnmatched::new(self.shared.clone())) as Arc<dyn Source>)
    }
}
