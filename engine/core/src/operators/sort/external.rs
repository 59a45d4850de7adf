//! Runs on disk → rows in order, a batch at a time, holding one block of each run.
//!
//! ```text
//! run ─block─▶ cursor ─┐
//! run ─block─▶ cursor ─┼─ loser tree ─▶ (block, row) … ─gather─▶ batch
//! run ─block─▶ cursor ─┘      a block that is used up is let go once the batch is gathered
//! ```
//! Keys of a block are made when it is read, in one layout that is right for all runs. What grows: nothing; the blocks are reserved by whoever merges.

use std::sync::Arc;

use super::RowSources;
use super::keys::{Keys, Layout};
use super::rows::retained_bytes;
use super::run::RunSpec;
use super::spilled::{SpilledRun, block_bytes};
use super::tree::LoserTree;
use crate::batch::{Column, physical_type};
use crate::error::{Error, Result};
use crate::pipeline::TaskContext;

/// The head of a run that is used up: after every key's.
const NO_HEAD: u128 = u128::MAX;

/// A merge of runs on disk.
pub(super) struct ExternalMerge {
    layout: Layout,
    cursors: Vec<Cursor>,
    /// The first 96 bits of each cursor's key.
    heads: Vec<u128>,
    tree: Option<LoserTree>,
    /// Bytes of used up blocks at which a batch ends, so that wide rows come in small batches.
    retired_bytes_max: usize,
    task: TaskContext,
}

/// One run, and its block at hand.
struct Cursor {
    run: SpilledRun,
    next_block: usize,
    /// `None` = the run is used up.
    block: Option<Block>,
    row: usize,
}

struct Block {
    columns: Arc<Vec<Column>>,
    keys: Keys,
    bytes: usize,
    /// Its place among the blocks of the batch being merged.
    place: Option<u32>,
}

/// The next rows in order: which row of which block.
#[derive(Default)]
pub(super) struct MergedRows {
    blocks: Vec<Arc<Vec<Column>>>,
    places: Vec<u32>,
    rows: Vec<u32>,
}

impl ExternalMerge {
    /// A merge of `runs`; nothing is read yet.
    pub(super) fn new(runs: Vec<SpilledRun>, spec: &RunSpec, task: &TaskContext) -> Result<Self> {
        let stats = runs.iter().map(|run| run.stats.clone()).reduce(|all, stats| all.union(&stats));
        let layout = spec.layout(&stats.ok_or_else(|| Error::internal("a merge of no runs"))?)?;
        let cursors: Vec<Cursor> =
            runs.into_iter().map(|run| Cursor { next_block: run.blocks.start, run, block: None, row: 0 }).collect();
        Ok(ExternalMerge {
            layout,
            heads: vec![NO_HEAD; cursors.len()],
            cursors,
            tree: None,
            retired_bytes_max: block_bytes(task),
            task: task.clone(),
        })
    }

    /// The next rows in order, at most `most`; none after the last.
    pub(super) fn next(&mut self, spec: &RunSpec, most: usize) -> Result<MergedRows> {
        let mut tree = match self.tree.take() {
            Some(tree) => tree,
            None => self.start(spec)?,
        };
        self.task.cancel.check()?;
        let mut merged = MergedRows::default();
        let mut retired_bytes = 0;
        while merged.rows.len() < most && retired_bytes <= self.retired_bytes_max {
            let winner = tree.winner();
            let cursor = &mut self.cursors[winner];
            let Some(block) = &mut cursor.block else { break };
            let place = *block.place.get_or_insert_with(|| merged.blocks.len() as u32);
            if place as usize == merged.blocks.len() {
                merged.blocks.push(block.columns.clone());
            }
            merged.places.push(place);
            merged.rows.push(cursor.row as u32);
            cursor.row += 1;
            if cursor.row == block.keys.len() {
                retired_bytes += block.bytes;
                cursor.read(spec, &self.layout)?;
            }
            self.heads[winner] = cursor.head();
            tree.replay(|a, b| wins(&self.heads, &self.cursors, a, b));
        }
        self.cursors.iter_mut().filter_map(|cursor| cursor.block.as_mut()).for_each(|block| block.place = None);
        self.tree = Some(tree);
        Ok(merged)
    }

    /// Reads the first block of every run.
    fn start(&mut self, spec: &RunSpec) -> Result<LoserTree> {
        for (cursor, head) in self.cursors.iter_mut().zip(&mut self.heads) {
            self.task.cancel.check()?;
            cursor.read(spec, &self.layout)?;
            *head = cursor.head();
        }
        Ok(LoserTree::new(self.cursors.len(), |a, b| wins(&self.heads, &self.cursors, a, b)))
    }
}

/// Whether the next row of run `a` goes before that of run `b`.
#[inline]
fn wins(heads: &[u128], cursors: &[Cursor], a: usize, b: usize) -> bool {
    heads[a] < heads[b] || (heads[a] == heads[b] && cursors[a].goes_before(&cursors[b]))
}

impl Cursor {
    /// Goes to the start of the next block that has rows.
    fn read(&mut self, spec: &RunSpec, layout: &Layout) -> Result<()> {
        self.row = 0;
        // Before the next one takes its memory.
        self.block = None;
        while self.block.is_none() && self.next_block < self.run.blocks.end {
            let block = self.run.file.block(self.next_block)?;
            self.next_block += 1;
            if block.rows > 0 {
                self.block = Some(Block::new(block.columns, block.rows, spec, layout)?);
            }
        }
        Ok(())
    }

    fn head(&self) -> u128 {
        self.block.as_ref().map_or(NO_HEAD, |block| block.keys.head(self.row))
    }

    /// The order of two rows whose heads are equal; of equal keys any.
    fn goes_before(&self, other: &Cursor) -> bool {
        match (&self.block, &other.block) {
            (Some(own), Some(others)) => own.keys.key(self.row) < others.keys.key(other.row),
            (own, _) => own.is_some(),
        }
    }
}

impl Block {
    fn new(columns: Vec<Column>, rows: usize, spec: &RunSpec, layout: &Layout) -> Result<Self> {
        if columns.len() != spec.types.len() {
            return Err(Error::internal(format!("{} columns in a block of {}", columns.len(), spec.types.len())));
        }
        let columns: Vec<Column> =
            columns.iter().zip(&spec.types).map(|(c, t)| c.flatten().widen(physical_type(t))).collect();
        let keys = layout.encode(&spec.key_parts(&columns, rows)?)?;
        let bytes = columns.iter().map(retained_bytes).sum();
        Ok(Block { columns: Arc::new(columns), keys, bytes, place: None })
    }
}

impl MergedRows {
    /// Rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Leaves out the first `count` rows and all after the next `len`.
    pub(super) fn cut(&mut self, count: usize, len: usize) {
        for numbers in [&mut self.places, &mut self.rows] {
            numbers.drain(..count.min(numbers.len()));
            numbers.truncate(len);
        }
    }

    /// The first `columns` collected columns of the rows, with strings of their own, so that the blocks can go.
    pub(super) fn gather(&self, spec: &RunSpec, columns: usize) -> Result<Vec<Column>> {
        let gather = |column: usize| {
            let sources = self.blocks.iter().map(|block| block[column].clone()).collect();
            let gathered = RowSources::new(sources, &spec.types[column]).gather(&self.places, &self.rows)?;
            Ok(gathered.own_strings())
        };
        (0..columns).map(gather).collect()
    }
}
