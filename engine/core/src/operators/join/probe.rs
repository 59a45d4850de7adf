//! Operator: left rows → pairs with build rows → output.
//!
//! Where build keys are unique and nothing else is asked of a pair, a batch is done at once (`unique.rs`). Otherwise it is
//! worked off in steps of at most `batch_rows` candidate pairs, so that a key with many matches never makes an unbounded output.
//! Phases per batch: encode keys, find candidate ranges (all at once: misses overlap), then per step compare and collect pairs, evaluate the residual over
//! them, emit. What concerns whole left rows (unmatched rows, semi, anti, mark) is emitted after the last step. Where one pair that passes the residual
//! tells all of a left row, its candidates are tried in rounds: one, then two, four and so on, until one passes. Rows whose build rows are on disk
//! go there, too, before all that (`divert.rs`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use plasmon_kernels::join_table::Cursor;

use super::build::Built;
use super::divert::Diversion;
use super::keys::{JoinKeys, KeyWords};
use super::{JoinKind, JoinShared, unique};
use crate::batch::{Batch, Bitmap, Column, Encoding, Selection, Values};
use crate::error::Result;
use crate::expression::select;
use crate::metrics::OperatorMetrics;
use crate::pipeline::{CancelToken, Flow, Operator, OperatorState, TaskContext};

#[derive(Debug)]
pub(super) struct JoinProbe {
    pub(super) shared: Arc<JoinShared>,
}

impl Operator for JoinProbe {
    fn name(&self) -> &'static str {
        "JoinProbe"
    }

    fn describe(&self) -> String {
        let spec = &self.shared.spec;
        let keys = spec
            .left_keys
            .iter()
            .zip(&spec.right_keys)
            .map(|(l, r)| format!("{l} = {r}"))
            .collect::<Vec<_>>()
            .join(" AND ");
        format!("{:?} {keys}", spec.kind)
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn OperatorState>> {
        let built = self.shared.built()?;
        let mut state = ProbeState::new(&self.shared, built, task);
        state.diversion = Diversion::of(&self.shared, task, metrics);
        Ok(Box::new(state))
    }
}

/// Probes one [`Built`].
pub(super) struct ProbeState {
    shared: Arc<JoinShared>,
    built: Arc<Built>,
    /// Shares what the build interned; has its own dictionary cache.
    keys: JoinKeys,
    /// Batches are done at once.
    is_unique: bool,
    batch_rows: usize,
    /// Asked at every step: of a batch that meets much and gives nothing there are many.
    cancel: CancelToken,
    current: Option<Current>,
    /// Where rows go whose build rows are on disk; `None` = none are.
    diversion: Option<Diversion>,
    /// The build rows are a part of those that probe rows may meet: what concerns whole left rows is told later, by [`ProbeState::whole`].
    is_partial: bool,
    /// Of the last batch: which rows have a match. Kept when partial.
    matched: Vec<bool>,
}

/// The batch being worked off.
struct Current {
    batch: Batch,
    /// Positions of the selected rows, and per such row its key words and candidate entries.
    positions: Vec<u16>,
    words: Vec<u64>,
    ranges: Vec<(u32, u32)>,
    /// Rows whose key is null where null equals nothing.
    nulls: Option<Bitmap>,
    cursor: Cursor,
    /// When candidates are tried in rounds.
    round: Option<Round>,
    /// Rows (by rank among the selected) that have a match.
    matched: Vec<bool>,
    /// All steps are done, what concerns whole rows is not emitted yet.
    is_exhausted: bool,
}

/// A few candidates of every row that has no match yet.
#[derive(Default)]
struct Round {
    ranges: Vec<(u32, u32)>,
    /// Candidates of a row, at most.
    width: u32,
    is_over: bool,
}

impl OperatorState for ProbeState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let kind = self.shared.spec.kind;
        if self.built.facts.rows == 0
            && matches!(
                kind,
                JoinKind::Inner
                    | JoinKind::LeftSemi
                    | JoinKind::Right
                    | JoinKind::RightSemi
                    | JoinKind::RightAnti
                    | JoinKind::RightMark
            )
        {
            return Ok(Flow::Finished);
        }
        let keys = self.shared.probe_keys(&batch)?;
        let Some(diversion) = &mut self.diversion else { return self.probe(batch, &keys) };
        match diversion.stays(batch, keys, &self.keys)? {
            Some((batch, keys)) => self.probe(batch, &keys),
            None => Ok(Flow::NeedInput),
        }
    }

    fn resume(&mut self) -> Result<Flow> {
        self.step()
    }

    fn finish(&mut self) -> Result<Flow> {
        self.diversion.as_mut().map_or(Ok(()), Diversion::finish)?;
        Ok(Flow::NeedInput)
    }
}

impl ProbeState {
    /// Nothing is diverted, and `built` is all that there is to meet.
    pub(super) fn new(shared: &Arc<JoinShared>, built: Arc<Built>, task: &TaskContext) -> Self {
        ProbeState {
            keys: built.keys.clone(),
            is_unique: unique::applies(shared, &built),
            shared: shared.clone(),
            built,
            batch_rows: task.config.batch_rows.max(1),
            cancel: task.cancel.clone(),
            current: None,
            diversion: None,
            is_partial: false,
            matched: Vec::new(),
        }
    }

    /// As [`ProbeState::new`], when there are more build rows to meet than those of `built`.
    pub(super) fn partial(shared: &Arc<JoinShared>, built: Arc<Built>, task: &TaskContext) -> Self {
        ProbeState { is_unique: false, is_partial: true, ..ProbeState::new(shared, built, task) }
    }

    /// Of the last batch, when partial: which of its selected rows have a match.
    pub(super) fn matched(&self) -> &[bool] {
        &self.matched
    }

    /// What concerns the whole rows of a batch, of which `matched` have a match.
    pub(super) fn whole(&mut self, batch: Batch, matched: Vec<bool>) -> Result<Option<Batch>> {
        let keys = self.shared.probe_keys(&batch)?;
        let nulls = self.keys.taking_part(&keys);
        let positions = positions(&batch);
        let (words, ranges, cursor) = (Vec::new(), Vec::new(), Cursor::default());
        let current =
            Current { batch, positions, words, ranges, nulls, cursor, round: None, matched, is_exhausted: true };
        self.current = Some(current);
        let output = self.whole_rows();
        self.current = None;
        output
    }

    /// Probes with the selected rows, which have these keys.
    fn probe(&mut self, batch: Batch, keys: &[Column]) -> Result<Flow> {
        let positions = positions(&batch);
        let keys = self.keys.probe(keys, positions.len())?;
        if self.is_unique {
            return self.at_once(&batch, &positions, &keys);
        }
        self.current = Some(self.start(batch, positions, keys)?);
        self.step()
    }

    fn at_once(&self, batch: &Batch, positions: &[u16], keys: &KeyWords) -> Result<Flow> {
        let built = &*self.built;
        let mut found = Vec::new();
        built.table.find(&keys.words, positions.len(), &mut found);
        keys.clear_nulls(&mut found);
        let output = unique::output(&self.shared, built, batch, positions, &found);
        Ok(output.map_or(Flow::NeedInput, Flow::Output))
    }

    fn start(&self, batch: Batch, positions: Vec<u16>, keys: KeyWords) -> Result<Current> {
        let mut ranges = Vec::new();
        self.built.table.candidates(&keys.words, positions.len(), &mut ranges);
        keys.clear_nulls(&mut ranges);
        let matched = vec![false; positions.len()];
        let (words, nulls, cursor) = (keys.words, keys.valid, Cursor::default());
        let spec = &self.shared.spec;
        let has_rounds = spec.kind.is_left_only() && spec.residual.is_some();
        let round = has_rounds.then(|| Round { is_over: true, ..Round::default() });
        Ok(Current { batch, positions, words, ranges, nulls, cursor, round, matched, is_exhausted: false })
    }

    /// Works on until something can be given.
    fn step(&mut self) -> Result<Flow> {
        loop {
            let Some(current) = &mut self.current else { return Ok(Flow::NeedInput) };
            if current.is_exhausted {
                if self.is_partial {
                    self.matched = std::mem::take(&mut current.matched);
                    self.current = None;
                    return Ok(Flow::NeedInput);
                }
                let rest = self.whole_rows()?;
                self.current = None;
                return Ok(rest.map_or(Flow::NeedInput, Flow::Output));
            }
            self.cancel.check()?;
            let pairs = collect_pairs(&self.shared, &self.built, current, self.batch_rows);
            let output = self.pairs_output(pairs)?;
            if let Some(batch) = output {
                return Ok(Flow::More(batch));
            }
        }
    }

    /// Applies the residual to the pairs, notes matches, and makes the output of kinds that give pairs.
    fn pairs_output(&mut self, pairs: Pairs) -> Result<Option<Batch>> {
        let Some(current) = &mut self.current else { return Ok(None) };
        let (spec, built) = (&self.shared.spec, &*self.built);
        // A build row that was met needs no further match, where nothing else is told.
        let is_met = |row: u32| built.met[row as usize].load(Ordering::Relaxed);
        let tests_met = spec.kind.is_right_only() && spec.residual.is_some();
        let pairs = if tests_met { pairs.without(is_met) } else { pairs };
        let pairs = match &spec.residual {
            Some(residual) if !pairs.left.is_empty() => {
                let joined = pair_batch(&self.shared, built, current, &pairs, &residual.referenced_columns());
                let kept = select(residual, joined)?;
                match kept.selection() {
                    None => pairs,
                    Some(selection) => pairs.kept(selection.positions()),
                }
            }
            _ => pairs,
        };
        pairs.left.iter().for_each(|&rank| current.matched[rank as usize] = true);
        if spec.kind.marks_right() {
            pairs.right.iter().for_each(|&row| built.met[row as usize].store(true, Ordering::Relaxed));
        }
        if !spec.kind.gives_pairs() || pairs.left.is_empty() {
            return Ok(None);
        }
        let left = spec.left_types.len();
        let positions: Vec<u16> = pairs.left.iter().map(|&rank| current.positions[rank as usize]).collect();
        let whole =
            positions.len() == current.batch.rows() && positions.iter().enumerate().all(|(i, &p)| i == p as usize);
        let columns = self.shared.outputs.iter().map(|&output| match output.checked_sub(left) {
            Some(right) => built.columns[right].gather(&pairs.right),
            None if whole => current.batch.column(output).clone(),
            None => current.batch.column(output).gather(&positions),
        });
        Ok(Some(Batch::new(columns.collect(), positions.len())))
    }

    /// What concerns whole left rows, after all pairs.
    fn whole_rows(&mut self) -> Result<Option<Batch>> {
        let Some(current) = &self.current else { return Ok(None) };
        let (spec, built) = (&self.shared.spec, &*self.built);
        if !spec.kind.keeps_left() && !spec.kind.is_left_only() {
            return Ok(None);
        }
        let is_null = |rank: usize| current.nulls.as_ref().is_some_and(|v| !v.get(rank));
        // NOT IN: a null on either side leaves the answer open, unless there is nothing to compare with.
        let unknown = |rank: usize| {
            spec.null_aware
                && built.facts.rows > 0
                && !current.matched[rank]
                && (is_null(rank) || built.facts.has_null_key)
        };
        let chosen = |wanted: &dyn Fn(usize) -> bool| -> Vec<u16> {
            (0..current.positions.len()).filter(|&rank| wanted(rank)).map(|rank| current.positions[rank]).collect()
        };
        if spec.kind == JoinKind::LeftMark {
            return Ok(Some(self.marked(current, &unknown)));
        }
        let positions = match spec.kind {
            JoinKind::LeftSemi => chosen(&|rank| current.matched[rank]),
            JoinKind::LeftAnti => chosen(&|rank| !current.matched[rank] && !unknown(rank)),
            _ => chosen(&|rank| !current.matched[rank]),
        };
        if positions.is_empty() {
            return Ok(None);
        }
        let left = spec.left_types.len();
        if spec.kind.keeps_left() {
            let nulls = vec![built.rows as u32; positions.len()];
            let columns = self.shared.outputs.iter().map(|&output| match output.checked_sub(left) {
                Some(right) => built.columns[right].gather(&nulls),
                None => current.batch.column(output).gather(&positions),
            });
            return Ok(Some(Batch::new(columns.collect(), positions.len())));
        }
        let columns = self.shared.outputs.iter().map(|&output| current.batch.column(output).clone()).collect();
        Ok(Some(current.batch.with_columns(columns).with_selection(Selection::new(positions))))
    }

    /// The left rows with their mark.
    fn marked(&self, current: &Current, unknown: &dyn Fn(usize) -> bool) -> Batch {
        let rows = current.batch.rows();
        let (mut values, mut valid) = (vec![false; rows], vec![true; rows]);
        for (rank, &position) in current.positions.iter().enumerate() {
            values[position as usize] = current.matched[rank];
            valid[position as usize] = !unknown(rank);
        }
        let validity = Bitmap::from_bools(valid.into_iter());
        let mark = Column::new(Encoding::Flat(Values::Boolean(Bitmap::from_bools(values.into_iter()))), Some(validity));
        let left = self.shared.spec.left_types.len();
        let columns = self
            .shared
            .outputs
            .iter()
            .map(|&output| if output == left { mark.clone() } else { current.batch.column(output).clone() })
            .collect();
        current.batch.with_columns(columns)
    }
}

/// Positions of the selected rows.
fn positions(batch: &Batch) -> Vec<u16> {
    match batch.selection() {
        Some(selection) => selection.positions().to_vec(),
        None => (0..batch.rows() as u16).collect(),
    }
}

/// Candidate pairs: rank of the left row among the selected ones, build row.
#[derive(Default)]
struct Pairs {
    left: Vec<u16>,
    right: Vec<u32>,
}

impl Pairs {
    /// Those with other build rows.
    fn without(&self, is_out: impl Fn(u32) -> bool) -> Pairs {
        let pairs = self.left.iter().zip(&self.right).filter(|pair| !is_out(*pair.1));
        let (left, right) = pairs.map(|(&left, &right)| (left, right)).unzip();
        Pairs { left, right }
    }

    fn kept(&self, positions: &[u16]) -> Pairs {
        Pairs {
            left: positions.iter().map(|&p| self.left[p as usize]).collect(),
            right: positions.iter().map(|&p| self.right[p as usize]).collect(),
        }
    }
}

impl Current {
    /// Takes the next candidates of the rows that have no match yet, twice as many a row as the last time; whether there are any.
    fn begin_round(&mut self) -> bool {
        let Some(round) = &mut self.round else { return false };
        round.width = round.width.saturating_mul(2).max(1);
        round.is_over = false;
        round.ranges.clear();
        let mut has_any = false;
        let rows = self.ranges.iter_mut().zip(&self.matched);
        round.ranges.extend(rows.map(|(left, &is_matched)| {
            let (start, end) = *left;
            let taken = if is_matched { start } else { end.min(start.saturating_add(round.width)) };
            left.0 = taken;
            has_any |= start < taken;
            (start, taken)
        }));
        self.cursor = Cursor::default();
        has_any
    }
}

/// The next pairs with equal keys, at most `limit`; notes where it stopped.
fn collect_pairs(shared: &JoinShared, built: &Built, current: &mut Current, limit: usize) -> Pairs {
    let mut pairs = Pairs::default();
    if current.round.as_ref().is_some_and(|round| round.is_over) && !current.begin_round() {
        current.is_exhausted = true;
        return pairs;
    }
    let (words, cursor) = (&current.words, &mut current.cursor);
    let ranges = current.round.as_ref().map_or(&current.ranges, |round| &round.ranges);
    // Without residual, one match tells all that a left-only kind wants to know.
    let first_only = shared.spec.kind.is_left_only() && shared.spec.residual.is_none();
    let is_over = built.table.pairs(words, ranges, cursor, limit, first_only, (&mut pairs.left, &mut pairs.right));
    match &mut current.round {
        Some(round) => round.is_over = is_over,
        None => current.is_exhausted = is_over,
    }
    pairs
}

/// Left and right columns of the pairs; columns that are not `read` are left null.
fn pair_batch(shared: &JoinShared, built: &Built, current: &Current, pairs: &Pairs, read: &[usize]) -> Batch {
    let spec = &shared.spec;
    let positions: Vec<u16> = pairs.left.iter().map(|&rank| current.positions[rank as usize]).collect();
    let rows = positions.len();
    let types = spec.left_types.iter().chain(&spec.right_types);
    let columns = types.enumerate().map(|(index, data_type)| {
        match (read.binary_search(&index), index.checked_sub(spec.left_types.len())) {
            (Err(_), _) => crate::batch::arrow::null_column(data_type, rows),
            (Ok(_), Some(right)) => built.columns[right].gather(&pairs.right),
            (Ok(_), None) => current.batch.column(index).gather(&positions),
        }
    });
    Batch::new(columns.collect(), rows)
}
