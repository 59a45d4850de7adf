//! Hash join and nested loop join: the left input probes, the right input is built.
//!
//! ```text
//! right ──► build sink: columns and key words ──stages of parallel tasks──► runtime filters, table
//! left  ──► probe: key words → the one row of each (unique keys) → output
//!                            → candidate ranges → pairs → residual → output, a bounded batch at a time
//!           unmatched: build rows that no probe row met (right and full outer, right semi, anti and mark joins), after all probing
//!           spilled: partitions that are on disk, one after the other, after that
//! ```
//! What grows: the build side's rows and table, under a reservation. What does not fit goes to disk by partitions of the keys' hashes, with the probe rows of
//! the same partitions (a hybrid hash join); `spilled.rs` joins these. A join without equal keys is the same operator over a table in
//! which every row matches every probe. The probe side's order is kept by inner and left joins of a unique build side only, when nothing is spilled.

mod arrive;
mod assemble;
mod build;
mod cached;
mod cutting;
mod disk;
mod divert;
mod keys;
mod layout;
mod once;
mod probe;
mod publish;
mod spilled;
#[cfg(test)]
mod tests;
mod unique;
mod unmatched;

use std::sync::{Arc, Mutex, OnceLock};

use arrow_schema::DataType;

use crate::batch::{Batch, Column};
use crate::error::{Error, Result};
use crate::expression::{Expression, evaluate, is_volatile};
use crate::operators::runtime_filter::RuntimeFilter;
use crate::pipeline::{Operator, Sink, Source};
pub use cached::{CachedBuild, cached_build_bytes, release_build, retain_build};

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
    /// Every kind.
    pub const ALL: [JoinKind; 10] = [
        JoinKind::Inner,
        JoinKind::Left,
        JoinKind::Right,
        JoinKind::Full,
        JoinKind::LeftSemi,
        JoinKind::LeftAnti,
        JoinKind::LeftMark,
        JoinKind::RightSemi,
        JoinKind::RightAnti,
        JoinKind::RightMark,
    ];

    /// Probe rows without a match are in the output.
    fn keeps_left(self) -> bool {
        matches!(self, JoinKind::Left | JoinKind::Full)
    }

    /// Matches are in the output as pairs.
    fn gives_pairs(self) -> bool {
        matches!(self, JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full)
    }

    /// Build rows must remember whether they were met.
    pub fn marks_right(self) -> bool {
        matches!(
            self,
            JoinKind::Right | JoinKind::Full | JoinKind::RightSemi | JoinKind::RightAnti | JoinKind::RightMark
        )
    }

    /// Bytes of a build row's mark, if there is one.
    fn mark_bytes(self) -> usize {
        usize::from(self.marks_right())
    }

    /// The output tells of left rows what only all build rows together decide.
    fn tells_of_left(self) -> bool {
        self.keeps_left() || self.is_left_only()
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
    /// What the filters are made of when rows go to disk.
    sketches: publish::Sketches,
    /// Output ordinals in the order of the full output.
    outputs: Vec<usize>,
    layout: layout::Layout,
    arriving: build::Arriving,
    /// From the seal until all probing is over.
    built: Mutex<Option<Arc<build::Built>>>,
    /// Of the build side, once it is sealed.
    facts: OnceLock<arrive::Facts>,
    disk: disk::OnDisk,
}

impl JoinShared {
    fn built(&self) -> Result<Arc<build::Built>> {
        let built = self.built.lock().unwrap_or_else(|e| e.into_inner());
        built.clone().ok_or_else(|| Error::internal("a join was probed before it was built"))
    }

    fn set_built(&self, built: build::Built) {
        self.adopt_built(Arc::new(built));
    }

    /// Probes what another query has built.
    fn adopt_built(&self, built: Arc<build::Built>) {
        let _ = self.facts.set(built.facts);
        *self.built.lock().unwrap_or_else(|e| e.into_inner()) = Some(built);
    }

    /// Keys of the selected rows of a probe batch.
    fn probe_keys(&self, batch: &Batch) -> Result<Vec<Column>> {
        let key = |key| {
            let column = evaluate(key, batch)?;
            Ok(batch.selection().map_or_else(|| column.clone(), |selection| column.select(selection)))
        };
        self.spec.left_keys.iter().map(key).collect()
    }

    fn facts(&self) -> arrive::Facts {
        self.facts.get().copied().unwrap_or_default()
    }

    /// Frees the build side in memory: nobody probes it any more.
    fn release(&self) {
        self.built.lock().unwrap_or_else(|e| e.into_inner()).take();
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
                layout: layout::Layout::new(&spec, &outputs),
                spec,
                publishes,
                sketches: Default::default(),
                outputs,
                arriving: Default::default(),
                built: Mutex::default(),
                facts: OnceLock::new(),
                disk: Default::default(),
            }),
        })
    }

    /// Ends the right input's pipeline.
    pub fn build(&self) -> Arc<dyn Sink> {
        Arc::new(build::JoinBuild { shared: self.shared.clone() })
    }

    /// This query's part in the process's build side of that name, and the sink that ends the right input's pipeline then; sources of the right input belong
    /// behind [`CachedBuild::gate`]. `None` = nobody retains that name: the join is built as every other. Not for kinds that mark build rows.
    pub fn cached(&self, name: &str) -> Result<Option<(Arc<CachedBuild>, Arc<dyn Sink>)>> {
        if self.shared.spec.kind.marks_right() {
            return Err(Error::unsupported(format!("a cached build of a {:?} join", self.shared.spec.kind)));
        }
        Ok(CachedBuild::of(name, &self.shared).map(|build| {
            let sink = build::JoinBuild { shared: self.shared.clone() };
            let sink: Arc<dyn Sink> = Arc::new(cached::CachedJoinBuild { sink, build: build.clone() });
            (build, sink)
        }))
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

    /// Gives what comes of rows that did not fit memory; its pipeline waits for the probing ones and for [`Join::unmatched`]. Only a join that this is asked
    /// of before it runs puts anything on disk; one whose keys are other ones each time they are computed never does.
    pub fn spilled(&self) -> Arc<dyn Source> {
        let keys = &self.shared.spec;
        if !keys.left_keys.iter().chain(&keys.right_keys).any(is_volatile) {
            self.shared.disk.will_be_read();
        }
        Arc::new(spilled::JoinSpilled::new(self.shared.clone()))
    }
}
