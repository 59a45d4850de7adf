//! Source: joins what is on disk, partition by partition, once all that was in memory is joined and gone.
//!
//! ```text
//! pair ► fit ─there is room───────────► load build rows ► table ► probe with its probe rows ► unmatched ► next pair
//!         ▲ └─others have it──────────► wait
//!         │ └─alone and too large─────► cut both sides into smaller pairs, by further bits of the hash
//!         │ └─alone, and one key alone► load as many as fit ► table ► probe with all ► unmatched ┐
//!         │                                   ▲ the others ◄─────────────────────────────────────┘ at last: whole probe rows
//!         └ the smaller pairs
//! ```
//! What grows: the loaded build rows and their table, whose memory is asked for before the first is read, and block by block what that was too little; where
//! one key is cut into chunks, a bit for each probe row. A step is a block or a batch, so that the query can be stopped between two.

use std::sync::{Arc, Mutex};

use super::JoinShared;
use super::arrive::{Facts, Resident, TABLE_ROWS_MAX, expected_bytes, loaded_bytes};
use super::assemble::Building;
use super::build::{BuildBatch, Built};
use super::cutting::Cutting;
use super::disk::Pair;
use super::keys::{JoinKeys, WordBounds};
use super::layout::LEVELS_MAX;
use super::probe::ProbeState;
use super::unmatched;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::memory::Reservation;
use crate::metrics::OperatorMetrics;
use crate::operators::turns::{Turn, Turns};
use crate::pipeline::{Flow, Next, OperatorState, Source, SourceState, TaskContext};
use crate::spill::Blocks;

#[derive(Debug)]
pub(super) struct JoinSpilled {
    shared: Arc<JoinShared>,
    queue: Arc<Queue>,
}

/// What is left to do, for all workers.
#[derive(Debug, Default)]
struct Queue {
    /// Pairs that nobody works on; `None` = nobody has looked yet.
    pairs: Mutex<Option<Vec<Pair>>>,
    /// Of workers that hold memory for a pair.
    turns: Turns,
}

impl JoinSpilled {
    pub(super) fn new(shared: Arc<JoinShared>) -> Self {
        JoinSpilled { shared, queue: Arc::default() }
    }
}

impl Source for JoinSpilled {
    fn name(&self) -> &'static str {
        "JoinSpilled"
    }

    fn max_workers(&self) -> usize {
        self.shared.disk.partitions().len()
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        self.shared.release();
        Ok(Box::new(SpilledState {
            worker: Worker {
                keys: JoinKeys::new(&self.shared.spec, task.config.hash_collisions)?,
                facts: self.shared.facts(),
                shared: self.shared.clone(),
                reservation: loading(task),
                task: task.clone(),
                metrics: metrics.clone(),
            },
            queue: self.queue.clone(),
            turn: None,
            step: Step::Next,
        }))
    }
}

fn loading(task: &TaskContext) -> Reservation {
    task.memory.spilling_reservation("Join spilled")
}

struct SpilledState {
    worker: Worker,
    queue: Arc<Queue>,
    /// From when it has memory for a pair until that is joined or cut.
    turn: Option<Turn>,
    step: Step,
}

/// What a worker does next.
enum Step {
    /// Take a pair.
    Next,
    /// Find memory for its build rows.
    Fit(Pair),
    /// Read a block of build rows.
    Load(Pass),
    /// Do a stage of building the table.
    Build(Pass, Box<Building>, usize),
    /// Probe with a block, or go on with one.
    Probe(Pass, Box<Probing>),
    /// Give build rows from this one on, by whether they were met.
    Unmatched(Pass, Box<Probing>, usize),
    /// Give what concerns the whole probe rows of a block.
    Whole(Pass, Box<Probing>),
    /// Cut a block.
    Cut(Box<Cutting>),
}

/// A pair being joined.
struct Pass {
    pair: Pair,
    /// The build rows do not fit: they are joined in chunks.
    is_chunked: bool,
    /// The next block to be read.
    block: usize,
    loaded: Vec<BuildBatch>,
    loaded_rows: usize,
    /// What they and their table take.
    loaded_bytes: usize,
    /// Over all chunks: probe rows that have a match, when the kind asks.
    marks: Option<Marks>,
}

impl Pass {
    fn of(pair: Pair) -> Self {
        let (block, loaded, loaded_rows, loaded_bytes) = (0, Vec::new(), 0, 0);
        Pass { pair, is_chunked: false, block, loaded, loaded_rows, loaded_bytes, marks: None }
    }
}

/// A chunk of build rows, being probed.
struct Probing {
    built: Arc<Built>,
    probe: ProbeState,
    /// The next block of probe rows.
    block: usize,
    /// The last block is not done.
    is_busy: bool,
}

/// A bit a probe row.
struct Marks {
    words: Vec<u64>,
    /// Where the next batch's rows begin.
    at: usize,
    _reservation: Reservation,
}

impl Marks {
    fn new(rows: usize, task: &TaskContext) -> Result<Self> {
        let reservation = task.memory.spilling_reservation("Join marks");
        let words = rows.div_ceil(64);
        reservation.grow(words * 8)?;
        Ok(Marks { words: vec![0; words], at: 0, _reservation: reservation.passive() })
    }

    /// Adds those of the next batch's rows.
    fn add(&mut self, matched: &[bool]) {
        for (row, _) in matched.iter().enumerate().filter(|(_, matched)| **matched) {
            self.words[(self.at + row) / 64] |= 1 << ((self.at + row) % 64);
        }
        self.at += matched.len();
    }

    /// Those of the next batch's rows.
    fn next(&mut self, rows: usize) -> Vec<bool> {
        let start = self.at;
        self.at += rows;
        (start..self.at).map(|row| self.words[row / 64] >> (row % 64) & 1 == 1).collect()
    }
}

impl SourceState for SpilledState {
    fn next(&mut self) -> Result<Next> {
        let mut output = None;
        self.step = match std::mem::replace(&mut self.step, Step::Next) {
            Step::Next => {
                self.turn = None;
                match self.take() {
                    None => return Ok(Next::Finished),
                    Some(pair) => self.worker.begin(pair),
                }
            }
            Step::Fit(pair) => match self.fit(pair)? {
                Step::Fit(pair) => {
                    self.step = Step::Fit(pair);
                    return Ok(Next::Blocked);
                }
                step => step,
            },
            Step::Load(pass) => self.worker.load(pass)?,
            Step::Build(pass, building, stage) => self.worker.build(pass, building, stage)?,
            Step::Probe(pass, probing) => self.worker.probe(pass, probing, &mut output)?,
            Step::Unmatched(pass, probing, row) => self.worker.unmatched(pass, probing, row, &mut output),
            Step::Whole(pass, probing) => self.worker.whole(pass, probing, &mut output)?,
            Step::Cut(mut cutting) => match cutting.step()? {
                None => Step::Cut(cutting),
                Some(pairs) => {
                    self.give(pairs);
                    Step::Next
                }
            },
        };
        Ok(Next::Batch(output.unwrap_or_else(|| Batch::new(Vec::new(), 0))))
    }
}

impl SpilledState {
    /// The smallest pieces, which were cut last, come first: they are done with soonest.
    fn take(&self) -> Option<Pair> {
        let mut queue = self.queue.pairs.lock().unwrap_or_else(|e| e.into_inner());
        queue.get_or_insert_with(|| self.worker.shared.disk.take()).pop()
    }

    fn give(&self, pairs: Vec<Pair>) {
        self.queue.pairs.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert_default().extend(pairs);
    }

    /// Memory for all build rows of a pair; or none yet, while others hold some that they give back before long; or what else is to be done with it.
    fn fit(&mut self, pair: Pair) -> Result<Step> {
        let bytes = self.worker.expected_bytes(&pair);
        let (reservation, turns) = (&self.worker.reservation, &self.queue.turns);
        if turns.taken() > 0 && !reservation.has_room(bytes) {
            return Ok(Step::Fit(pair));
        }
        let turn = turns.take();
        let has_room = reservation.try_grow(bytes)?;
        if !has_room && turns.taken() > 1 {
            return Ok(Step::Fit(pair));
        }
        self.turn = Some(turn);
        if has_room { Ok(Step::Load(Pass::of(pair))) } else { self.worker.too_large(pair, bytes) }
    }
}

/// One worker's means.
struct Worker {
    shared: Arc<JoinShared>,
    facts: Facts,
    /// Not settled: partitions differ.
    keys: JoinKeys,
    /// For what is loaded.
    reservation: Reservation,
    task: TaskContext,
    metrics: Arc<OperatorMetrics>,
}

impl Worker {
    /// A pair that gives anything is loaded.
    fn begin(&self, pair: Pair) -> Step {
        let kind = self.shared.spec.kind;
        let (build, probe) = (rows(&pair.build) > 0, rows(&pair.probe) > 0);
        let gives = build && probe || build && kind.marks_right() || probe && kind.tells_of_left();
        if !gives {
            return Step::Next;
        }
        Step::Fit(pair)
    }

    fn expected_bytes(&self, pair: &Pair) -> usize {
        let mark_bytes = self.shared.spec.kind.mark_bytes();
        let collide = self.task.config.hash_collisions;
        expected_bytes(rows(&pair.build), pair.build_bytes, &self.keys, mark_bytes, collide)
    }

    /// There is no room for the build rows, which are going to take so many bytes.
    fn too_large(&mut self, pair: Pair, bytes: usize) -> Result<Step> {
        if !self.can_cut(&pair) {
            return self.chunked(pair);
        }
        let (mut fitting, mut room) = (rows(&pair.build), bytes);
        while fitting > 1 && !self.reservation.has_room(room) && room > self.task.memory.floor() {
            (fitting, room) = (fitting / 2, room / 2);
        }
        self.cut(pair, fitting)
    }

    /// Whether smaller parts of the pair are worth having.
    fn can_cut(&self, pair: &Pair) -> bool {
        let has_keys = !self.shared.spec.left_keys.is_empty() && !self.task.config.hash_collisions;
        has_keys && !pair.is_hot && pair.level < LEVELS_MAX
    }

    /// Cuts a pair of whose build rows `fitting` fit.
    fn cut(&mut self, pair: Pair, fitting: usize) -> Result<Step> {
        self.metrics.add("partitions cut", 1);
        let cutting = Cutting::new(&self.shared, pair, fitting, &self.task, &self.metrics)?;
        Ok(Step::Cut(Box::new(cutting)))
    }

    /// Joins a pair in as many chunks of build rows as it takes.
    fn chunked(&mut self, pair: Pair) -> Result<Step> {
        let mut pass = Pass::of(pair);
        if self.shared.spec.kind.tells_of_left() {
            pass.marks = Some(Marks::new(rows(&pass.pair.probe), &self.task)?);
        }
        pass.is_chunked = true;
        Ok(Step::Load(pass))
    }

    fn load(&mut self, mut pass: Pass) -> Result<Step> {
        let Some(file) = pass.pair.build.as_ref().filter(|file| pass.block < file.blocks()) else {
            return self.start_build(pass);
        };
        let block = file.block(pass.block)?;
        let batch = self.shared.layout.build_batch(block.columns, block.rows, &self.keys)?;
        let (types, read) = (&self.shared.spec.right_types, &self.shared.layout.right_read);
        let marks = batch.rows * self.shared.spec.kind.mark_bytes();
        let bytes = loaded_bytes(&batch, &self.keys, types, read, self.task.config.hash_collisions) + marks;
        let fits = pass.loaded_rows + batch.rows <= TABLE_ROWS_MAX;
        pass.loaded_bytes += bytes;
        let missing = pass.loaded_bytes.saturating_sub(self.reservation.held());
        if !(fits && self.reservation.try_grow(missing)?) {
            if !pass.loaded.is_empty() {
                return self.overflow(pass);
            }
            self.reservation.grow(missing)?;
        }
        pass.loaded_rows += batch.rows;
        pass.loaded.push(batch);
        pass.block += 1;
        Ok(Step::Load(pass))
    }

    /// Not all build rows fit.
    fn overflow(&mut self, pass: Pass) -> Result<Step> {
        if pass.is_chunked {
            return self.start_build(pass);
        }
        let fitting = pass.loaded_rows;
        let Pass { pair, loaded, .. } = pass;
        drop(loaded);
        self.reservation.shrink(self.reservation.held());
        if self.can_cut(&pair) { self.cut(pair, fitting) } else { self.chunked(pair) }
    }

    /// All that fits is loaded.
    fn start_build(&mut self, mut pass: Pass) -> Result<Step> {
        self.metrics.add("passes", 1);
        // More may have been expected.
        self.reservation.shrink(self.reservation.held().saturating_sub(std::mem::take(&mut pass.loaded_bytes)));
        let mut batches = std::mem::take(&mut pass.loaded);
        let (mut keys, mut seen) = (self.keys.clone(), WordBounds::default());
        for batch in batches.iter_mut().filter(|_| keys.is_fixed()) {
            batch.words = Some(self.keys.build_words(&batch.keys, &mut seen)?);
        }
        let bounds = keys.settle(&seen);
        let resident = Resident {
            batches,
            rows: std::mem::take(&mut pass.loaded_rows),
            keys,
            bounds,
            facts: self.facts,
            publishes: false,
            reservation: std::mem::replace(&mut self.reservation, loading(&self.task)),
            metrics: None,
        };
        let building = Building::new(&self.shared, resident, 1, &self.task)?;
        Ok(Step::Build(pass, Box::new(building), 0))
    }

    fn build(&mut self, mut pass: Pass, mut building: Box<Building>, stage: usize) -> Result<Step> {
        if !building.run_stage(stage, &self.task)? {
            return Ok(Step::Build(pass, building, stage + 1));
        }
        let built = Arc::new(building.finish()?);
        let probe = match &mut pass.marks {
            None => ProbeState::new(&self.shared, built.clone(), &self.task),
            Some(marks) => {
                marks.at = 0;
                ProbeState::partial(&self.shared, built.clone(), &self.task)
            }
        };
        Ok(Step::Probe(pass, Box::new(Probing { built, probe, block: 0, is_busy: false })))
    }

    fn probe(&mut self, mut pass: Pass, mut probing: Box<Probing>, output: &mut Option<Batch>) -> Result<Step> {
        let flow = if probing.is_busy {
            probing.probe.resume()?
        } else {
            let Some(batch) = self.probe_block(&pass, &mut probing)? else {
                let marks_right = self.shared.spec.kind.marks_right();
                return Ok(if marks_right { Step::Unmatched(pass, probing, 0) } else { self.end_chunk(pass, probing) });
            };
            probing.probe.push(batch)?
        };
        probing.is_busy = matches!(flow, Flow::More(_));
        match flow {
            Flow::More(batch) | Flow::Output(batch) => *output = Some(batch),
            Flow::NeedInput => {}
            Flow::Finished => return Err(Error::internal("spilled rows of a join that has no build rows")),
        }
        if let Some(marks) = pass.marks.as_mut().filter(|_| !probing.is_busy) {
            marks.add(probing.probe.matched());
        }
        Ok(Step::Probe(pass, probing))
    }

    fn probe_block(&self, pass: &Pass, probing: &mut Probing) -> Result<Option<Batch>> {
        let Some(file) = pass.pair.probe.as_ref().filter(|file| probing.block < file.blocks()) else {
            return Ok(None);
        };
        probing.block += 1;
        self.shared.layout.probe_batch(file.block(probing.block - 1)?).map(Some)
    }

    fn unmatched(&mut self, pass: Pass, probing: Box<Probing>, row: usize, output: &mut Option<Batch>) -> Step {
        let end = (row + self.task.config.batch_rows.max(1)).min(probing.built.rows);
        if row >= end {
            return self.end_chunk(pass, probing);
        }
        *output = Some(unmatched::output(&self.shared, &probing.built, row..end));
        Step::Unmatched(pass, probing, end)
    }

    /// All that the chunk's build rows can give is given.
    fn end_chunk(&self, mut pass: Pass, mut probing: Box<Probing>) -> Step {
        if pass.pair.build.as_ref().is_some_and(|file| pass.block < file.blocks()) {
            return Step::Load(pass);
        }
        let Some(marks) = &mut pass.marks else { return Step::Next };
        (marks.at, probing.block) = (0, 0);
        Step::Whole(pass, probing)
    }

    fn whole(&mut self, mut pass: Pass, mut probing: Box<Probing>, output: &mut Option<Batch>) -> Result<Step> {
        let Some(batch) = self.probe_block(&pass, &mut probing)? else { return Ok(Step::Next) };
        let Some(marks) = &mut pass.marks else { return Err(Error::internal("a join's chunks left no marks")) };
        let matched = marks.next(batch.rows());
        *output = probing.probe.whole(batch, matched)?;
        Ok(Step::Whole(pass, probing))
    }
}

fn rows(blocks: &Option<Blocks>) -> usize {
    blocks.as_ref().map_or(0, |blocks| blocks.rows() as usize)
}
