//! The merge of what the workers aggregated: cut into partitions, each merged by the worker that reads it.
//!
//! ```text
//! run ──cut──► pieces of partition p: in memory while they fit, else appended to a file (in blocks of several pieces of p)
//! read p: blocks, then pieces ──► one table; too large: it and the rest are cut again by further bits of the hash, into parts that wait
//! ```
//! What grows: the pieces, under the reservation of their partitions; they are given up to whoever is short of memory. A part that one key makes
//! too large is not cut again: distinct members are put apart by their values then (`share.rs`), and other states must fit. A reader whose part
//! finds no memory because of other readers puts it back, and waits until they have none of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use arrow_schema::DataType;

use super::part::{Part, Pieces, SharedFile};
use super::pass::has_small_states;
use super::run::{Chunk, Cut, Layout, Piece, Run, samples};
use super::share::{LOCAL_GROUPS, Met, Share, key_types};
use super::{AggregatePhase, AggregateSpec, ranges};
use crate::batch::Column;
use crate::error::Result;
use crate::expression::Expression;
use crate::memory::{FLOOR_SHARE, Reservation, Spillable, granted};
use crate::metrics::OperatorMetrics;
use crate::operators::turns::{Turn, Turns};
use crate::pipeline::TaskContext;

/// Groups that a partition should hold about: its table then fits the caches.
const PARTITION_GROUPS: usize = 1 << 16;
const PARTITIONS_MAX: usize = 256;
/// One key in this many is looked at to choose the ranges of partitions.
const SAMPLE_STEP: usize = 1 << 10;
/// Partitions of a cut that was made because memory was short: so many that twenty times the memory need hardly be cut again, although a table takes
/// several times what its groups take on disk.
const SPILL_PARTITIONS: std::ops::RangeInclusive<usize> = 8..=256;
/// Of the floor, the bytes that make one partition more …
const FLOOR_OF_PARTITION: usize = 1 << 10;
/// … and the floors that blocks take while they wait to be full.
const FLOORS_OF_BLOCKS: usize = 4;
/// Least bytes of blocks in their files, and most.
const BLOCK_BYTES: std::ops::RangeInclusive<usize> = 4 << 10..=128 << 10;
/// Parts that a partition is cut into when it is too large.
const CUT_PARTITIONS: std::ops::RangeInclusive<usize> = 4..=64;
/// Bytes that are cut at a time when memory is short …
const SLICE_BYTES: std::ops::RangeInclusive<usize> = 16 << 10..=4 << 20;
/// … and most, when there is some left: a block for each partition.
const SLICE_BYTES_MAX: usize = 32 << 20;
/// Such a part of a table is copied at a time, twice: out of the table, and by partition (`worker.rs` reserves for it).
const DEALT_AT_ONCE: usize = 16;
/// Files of one cut.
const FILES_MAX: usize = 8;
/// Cuts in a row that a part comes out of as a whole, the last of them into as many as possible, after which it is taken for one group.
const ATOM_CUTS: u32 = 2;
/// How often a partition is cut again.
const LEVELS: u32 = 8;

/// A run on its way to the partitions, and the memory that it holds.
pub(super) struct Held {
    pub(super) run: Run,
    pub(super) reservation: Reservation,
}

/// Pieces of runs by partition.
pub(super) struct Partitions {
    pub(super) spec: Arc<AggregateSpec>,
    pub(super) layout: Layout,
    cut: Cut,
    /// Whether pieces can become few by merging.
    merges_early: bool,
    parts: Vec<Mutex<Part>>,
    /// Partition p writes to number p modulo their count.
    files: Vec<SharedFile>,
    /// Parts of partitions that were too large.
    waiting: Mutex<Vec<Part>>,
    /// For the pieces in memory.
    reservation: Reservation,
    /// Of readers that have a table.
    pub(super) turns: Turns,
    /// Groups of the tables that were dealt, and their bytes.
    dealt: (AtomicUsize, AtomicUsize),
    task: TaskContext,
    metrics: Arc<OperatorMetrics>,
}

impl Partitions {
    pub(super) fn new(
        spec: Arc<AggregateSpec>,
        cut: Cut,
        task: &TaskContext,
        metrics: &Arc<OperatorMetrics>,
    ) -> Result<Self> {
        let keys = key_types(&spec);
        let cuts_alone = if keys.is_empty() { ATOM_CUTS } else { 0 };
        let layout = Layout::of(&Share::new(&spec, task)?, keys);
        let level = cut.level();
        // Without keys there is nothing to cut by.
        let parts = (0..cut.partitions()).map(|_| Mutex::new(Part::new(level, cuts_alone))).collect();
        let reservation = task.memory.spilling_reservation("Aggregate");
        let (task, metrics) = (task.clone(), metrics.clone());
        // Further cuts are one worker's.
        let writers = if level > 0 { 1 } else { task.config.threads.clamp(1, FILES_MAX) };
        let files = (0..writers).map(|_| SharedFile::default()).collect();
        Ok(Partitions {
            merges_early: has_small_states(&spec),
            spec,
            layout,
            cut,
            parts,
            files,
            waiting: Mutex::default(),
            reservation,
            turns: Turns::default(),
            dealt: Default::default(),
            task,
            metrics,
        })
    }

    /// Partitions that were not foreseen: memory is short.
    pub(super) fn unforeseen(
        spec: Arc<AggregateSpec>,
        task: &TaskContext,
        metrics: &Arc<OperatorMetrics>,
    ) -> Result<Self> {
        let partitions =
            (task.memory.floor() / FLOOR_OF_PARTITION).clamp(*SPILL_PARTITIONS.start(), *SPILL_PARTITIONS.end());
        let partitions = if key_types(&spec).is_empty() { 1 } else { partitions };
        Partitions::new(spec, Cut::Hashes { partitions, level: 0 }, task, metrics)
    }

    /// Partitions of rows of these types by the whole row, each kept once.
    pub(super) fn of_keys(&self, types: &[DataType]) -> Result<Self> {
        let spec = AggregateSpec {
            group_by: types.iter().enumerate().map(|(i, t)| Expression::column(i, t.clone())).collect(),
            grouping_sets: Vec::new(),
            grouping_id: None,
            aggregates: Vec::new(),
            phase: AggregatePhase::Single,
        };
        Partitions::unforeseen(Arc::new(spec), &self.task, &self.metrics)
    }

    /// Number of partitions.
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    /// How many of them have a file.
    pub(super) fn spilled(&self) -> usize {
        self.parts.iter().filter(|part| locked(part).is_spilled()).count()
    }

    /// Deals the pieces of one run, in memory if that is possible.
    pub(super) fn cut(&self, held: Held) -> Result<()> {
        let Held { run, reservation } = held;
        let bytes = run.memory_bytes() + self.parts.len() * run.frame_bytes();
        if !self.cut.copies() {
            reservation.shrink(reservation.held());
        }
        // While a run is cut there may be two copies of it.
        if !self.reservation.try_grow(bytes)? {
            return self.deal(run, Place::Disk);
        }
        for (part, piece) in self.parts.iter().zip(run.cut(&self.cut)?) {
            if piece.groups > 0 {
                let bytes = piece.kept_bytes();
                locked(part).keep(piece, bytes);
            }
        }
        Ok(())
    }

    /// Deals the pieces of one run, some of it at a time.
    pub(super) fn deal(&self, run: Run, to: Place) -> Result<()> {
        let (_copies, slice) = self.room_for_copies(run.memory_bytes())?;
        for slice in run.parts(slice) {
            self.task.cancel.check()?;
            for (partition, piece) in slice.cut_together(&self.cut)?.into_iter().enumerate() {
                if piece.groups > 0 {
                    self.store(partition, piece, to)?;
                }
            }
        }
        Ok(())
    }

    /// Room for a copy of what is dealt at a time, and how much that may be: as much as `wanted` when there is room, since small pieces cost as much as large
    /// ones, and a little always.
    fn room_for_copies(&self, wanted: usize) -> Result<(Reservation, usize)> {
        let copies = self.task.memory.spilling_reservation("Aggregate");
        let (least, wanted) = (self.slice_bytes(), wanted.min(SLICE_BYTES_MAX));
        if wanted > least && copies.has_room(wanted) && copies.try_grow(wanted)? {
            return Ok((copies, wanted));
        }
        copies.grow(least)?;
        Ok((copies, least))
    }

    /// Deals the groups of a share, some at a time; `met` are groups that need not come by themselves. Its aggregates are those from `first` on.
    pub(super) fn deal_share(&self, share: &mut Share, first: usize, mut met: Met, to: Place) -> Result<()> {
        share.resize()?;
        self.expect_tables(share.groups.len(), share.footprint());
        let (_copies, step) = self.dealing(share)?;
        let members = share.all_members();
        let chunks = members.div_ceil(step);
        for number in 0..chunks {
            let run = Run::of_members(share, &Chunk { number, of: chunks }, &self.layout, first, &mut met)?;
            self.deal(run, to)?;
        }
        for range in ranges(share.groups.len(), step) {
            let groups = met.others(range);
            if !groups.is_empty() {
                self.deal(Run::of_groups(share, &groups, &self.layout, first)?, to)?;
            }
        }
        Ok(())
    }

    /// Deals the members of one distinct aggregate of a share, as rows of keys and arguments, some at a time, and forgets them; adds their groups to `met`.
    pub(super) fn deal_members(&self, share: &mut Share, aggregate: usize, met: &mut Met, to: Place) -> Result<()> {
        let members = share.member_count(aggregate);
        self.expect_tables(members, share.memory_bytes());
        let (_copies, step) = self.dealing(share)?;
        for rows in ranges(members, step) {
            self.deal(Run::of_rows(share, aggregate, rows, met)?, to)?;
        }
        share.forget_members(aggregate)
    }

    /// Deals the members of one distinct aggregate of a run, as rows of keys and arguments, some at a time.
    pub(super) fn deal_rows(&self, run: &Run, aggregate: usize) -> Result<()> {
        let (bytes, members) = (run.memory_bytes(), run.state_count(aggregate));
        let (_copies, slice) = self.room_for_copies(bytes / DEALT_AT_ONCE)?;
        let step = slice * members / bytes.max(1);
        ranges(members, step.max(1)).try_for_each(|rows| self.deal(run.rows_of(aggregate, rows), Place::Disk))
    }

    /// Room for a copy of what is taken out of a share at a time, and the groups or members of that.
    fn dealing(&self, share: &mut Share) -> Result<(Reservation, usize)> {
        let bytes = share.memory_bytes();
        let (copies, slice) = self.room_for_copies(bytes / DEALT_AT_ONCE)?;
        let step = slice * (share.groups.len() + share.all_members()) / bytes.max(1);
        Ok((copies, step.clamp(1, LOCAL_GROUPS)))
    }

    /// Tells what a table of so many groups, as they are dealt, takes.
    fn expect_tables(&self, groups: usize, bytes: usize) {
        self.dealt.0.fetch_add(groups, Ordering::Relaxed);
        self.dealt.1.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Holds a copy of a piece, or writes it with what the partition holds when that is enough or too much.
    fn store(&self, partition: usize, piece: Piece, to: Place) -> Result<()> {
        // What waits for a block is soon gone.
        let bytes_of = |piece: &Piece| if to == Place::Memory { piece.kept_bytes() } else { piece.memory_bytes() };
        let bytes = bytes_of(&piece);
        let is_block = to == Place::Disk && locked(&self.parts[partition]).held() + bytes >= self.block_bytes();
        // Who is asked for memory may be this partition.
        let fits = !is_block && self.reservation.try_grow(bytes)?;
        let mut part = locked(&self.parts[partition]);
        if fits {
            let copy = piece.copied();
            let kept = bytes_of(&copy);
            self.reservation.shrink(bytes.saturating_sub(kept));
            part.keep(copy, kept);
            if self.merges_early && part.is_worth_merging() {
                return self.merge_early(partition, &mut part);
            }
            return Ok(());
        }
        part.keep(piece, bytes);
        self.write(partition, &mut part, bytes)
    }

    /// Merges what a partition holds, so that it takes no more than a few times its groups however many rows there are.
    fn merge_early(&self, partition: usize, part: &mut Part) -> Result<()> {
        let held = part.held();
        part.merge_pieces(&mut Share::new(&self.spec, &self.task)?)?;
        let now = part.held();
        self.reservation.shrink(held.saturating_sub(now));
        let more = now.saturating_sub(held);
        if self.reservation.try_grow(more)? { Ok(()) } else { self.write(partition, part, more) }
    }

    /// Writes the pieces that a partition holds; `unreserved` of their bytes were not reserved.
    fn write(&self, partition: usize, part: &mut Part, unreserved: usize) -> Result<()> {
        let held = part.held();
        let shared = &self.files[partition % self.files.len()];
        let file = || self.task.spill.file("Aggregate", &self.metrics);
        part.write(self.block_bytes(), &self.layout, shared, file)?;
        self.reservation.shrink(held - unreserved.min(held));
        Ok(())
    }

    /// A block is read as a whole, so that it must also leave room for the table within the floor.
    fn block_bytes(&self) -> usize {
        let floor = self.task.memory.floor();
        (FLOORS_OF_BLOCKS * floor / self.parts.len()).min(floor / 4).clamp(*BLOCK_BYTES.start(), *BLOCK_BYTES.end())
    }

    fn slice_bytes(&self) -> usize {
        self.task.memory.floor().clamp(*SLICE_BYTES.start(), *SLICE_BYTES.end())
    }

    /// The next part to be merged; `cursor` counts the partitions that were taken.
    pub(super) fn next(&self, cursor: &AtomicUsize) -> Option<Part> {
        if let Some(part) = locked(&self.waiting).pop() {
            return Some(part);
        }
        let part = self.parts.get(cursor.fetch_add(1, Ordering::Relaxed))?;
        Some(locked(part).take())
    }

    /// The part, if its table may fit beside those of other readers; else it waits, before anything of it is read, for so many bytes.
    pub(super) fn beside_others(&self, part: Part) -> Result<Part, usize> {
        let (readers, table) = (self.turns.taken(), self.table_bytes(&part));
        let is_shared = readers * table <= FLOOR_SHARE * self.task.memory.floor() && self.reservation.has_room(table);
        if readers <= 1 || is_shared {
            return Ok(part);
        }
        locked(&self.waiting).push(part);
        Err(table)
    }

    /// A turn for who was short of `bytes`: when there is so much, or when nobody else has a turn.
    pub(super) fn turn_with(&self, bytes: usize) -> Option<Turn> {
        let alone = self.turns.take_alone();
        alone.or_else(|| self.reservation.has_room(bytes).then(|| self.turns.take()))
    }

    /// About what the table of a part takes at its largest: it doubles as it grows.
    fn table_bytes(&self, part: &Part) -> usize {
        let [groups, bytes] = [&self.dealt.0, &self.dealt.1].map(|sum| sum.load(Ordering::Relaxed));
        2 * part.groups() * (bytes / groups.max(1))
    }

    /// Merges a part into an empty share.
    pub(super) fn merge(&self, part: Part, share: &mut Share) -> Result<Merged> {
        let mut pieces = part.into_pieces(&self.layout);
        while let Some(piece) = pieces.next()? {
            self.task.cancel.check()?;
            if !self.admits(share, &piece, &pieces)? {
                if pieces.cuts_alone < ATOM_CUTS && pieces.level < LEVELS {
                    self.cut_again(share, piece, pieces)?;
                    return Ok(Merged::Cut);
                }
                // Others give back what they hold before long; who is alone must do with what there is.
                let has_others = self.turns.taken() > 1;
                let needed = wanted(share, &piece, pieces.is_loaded);
                if !granted(share.reservation.resize(needed))? {
                    if has_others && !share.has_members_apart() {
                        self.put_back(share, piece, pieces)?;
                        return Ok(Merged::Later(needed));
                    }
                    share.put_members_apart(self)?;
                    let needed = wanted(share, &piece, pieces.is_loaded);
                    share.reservation.resize(needed)?;
                }
            }
            share.merge(&piece)?;
            self.reservation.shrink(pieces.reserved);
        }
        share.settle_members()?;
        // Bounds may have been too narrow; what is missing is asked for with the next piece.
        share.reservation.try_resize(share.footprint())?;
        Ok(Merged::Whole)
    }

    fn admits(&self, share: &mut Share, piece: &Piece, pieces: &Pieces) -> Result<bool> {
        let wanted = wanted(share, piece, pieces.is_loaded);
        if share.reservation.try_resize(wanted)? {
            return Ok(true);
        }
        // A small part is not worth cutting: what it takes may be held always, more or less.
        if pieces.total > self.task.memory.floor() {
            return Ok(false);
        }
        granted(share.reservation.resize(wanted))
    }

    /// Cuts what was merged of a part, the piece at hand and the rest.
    fn cut_again(&self, share: &mut Share, piece: Piece, pieces: Pieces) -> Result<()> {
        // As many that the table, which held what was merged so far, will hold any of them.
        let fitting = 2 * pieces.total / pieces.taken.max(1);
        let most = *CUT_PARTITIONS.end();
        // Groups that a few partitions did not part may still be parted by many.
        let partitions = if pieces.cuts_alone > 0 { most } else { fitting.clamp(*CUT_PARTITIONS.start(), most) };
        self.metrics.add("partitions cut again", 1);
        let level = pieces.level + 1;
        self.deal_again(share, piece, pieces, Cut::Hashes { partitions, level })
    }

    /// Puts all of that back as one part, to be merged when there is more memory.
    fn put_back(&self, share: &mut Share, piece: Piece, pieces: Pieces) -> Result<()> {
        let level = pieces.level;
        self.deal_again(share, piece, pieces, Cut::Hashes { partitions: 1, level })
    }

    fn deal_again(&self, share: &mut Share, piece: Piece, mut pieces: Pieces, cut: Cut) -> Result<()> {
        let (cuts_alone, is_cut) = (pieces.cuts_alone, cut.partitions() > 1);
        let below = Partitions::new(self.spec.clone(), cut, &self.task, &self.metrics)?;
        let met = Met::none(share);
        below.deal_share(share, 0, met, Place::Disk)?;
        share.reset(&self.spec)?;
        let mut next = Some(piece);
        while let Some(piece) = next {
            let held = pieces.reserved;
            below.deal(piece, Place::Disk)?;
            self.reservation.shrink(held);
            next = pieces.next()?;
        }
        let mut parts = below.into_parts()?;
        if let [alone] = &mut parts[..] {
            alone.cuts_alone = cuts_alone + u32::from(is_cut);
        }
        locked(&self.waiting).extend(parts);
        Ok(())
    }

    /// The parts that are not empty, on disk.
    fn into_parts(self) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for (partition, part) in self.parts.iter().enumerate() {
            let mut part = locked(part);
            self.write(partition, &mut part, 0)?;
            if part.is_spilled() {
                parts.push(part.take());
            }
        }
        Ok(parts)
    }

    /// The keys of every partition, a batch at a time; `cursor` counts the partitions that were taken. Others may do so at the same time: when there is no
    /// memory beside them, the rest is left to them.
    pub(super) fn drain(&self, cursor: &AtomicUsize, mut visit: impl FnMut(Vec<Column>) -> Result<()>) -> Result<()> {
        let _turn = self.turns.take();
        let mut share = Share::new(&self.spec, &self.task)?;
        while let Some(part) = self.next(cursor) {
            let Ok(part) = self.beside_others(part) else { return Ok(()) };
            match self.merge(part, &mut share)? {
                Merged::Whole => {
                    for groups in ranges(share.groups.len(), self.task.config.batch_rows) {
                        self.task.cancel.check()?;
                        visit(share.groups.keys(groups)?)?;
                    }
                }
                Merged::Cut => {}
                Merged::Later(_) => return Ok(()),
            }
            share.clear(&self.spec)?;
        }
        Ok(())
    }
}

/// Where pieces go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Memory, as long as there is some.
    Memory,
    /// A file, when a partition has a block of them.
    Disk,
}

/// What became of a part.
pub(super) enum Merged {
    /// It is in the share.
    Whole,
    /// It was too large, and is cut into parts that wait.
    Cut,
    /// It waits as it was: other readers have the memory that it needs, so many bytes.
    Later(usize),
}

impl Spillable for Partitions {
    fn spill(&self, bytes: usize) -> Result<usize> {
        let mut spilled = 0;
        for (partition, part) in self.parts.iter().enumerate() {
            // Ranges are slices of runs: only all of them together free memory.
            if spilled >= bytes && self.cut.copies() {
                break;
            }
            let Ok(mut part) = part.try_lock() else { continue };
            let held = part.held();
            self.write(partition, &mut part, 0)?;
            spilled += held;
        }
        Ok(spilled)
    }
}

/// What a share needs to hold once a piece is merged into it, and the piece if it was `loaded`.
fn wanted(share: &mut Share, piece: &Piece, is_loaded: bool) -> usize {
    share.footprint() + share.growth_of(piece) + if is_loaded { piece.memory_bytes() } else { 0 }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// How to cut these runs, all of which are in memory.
pub(super) fn choose_cut(runs: &[Held]) -> Cut {
    let groups: usize = runs.iter().map(|r| r.run.groups).sum();
    let partitions = groups.div_ceil(PARTITION_GROUPS).clamp(1, PARTITIONS_MAX);
    if partitions == 1 {
        return Cut::Hashes { partitions, level: 0 };
    }
    let mut keys = Vec::new();
    for held in runs {
        match held.run.ascending() {
            Some(key) => samples(key, SAMPLE_STEP, &mut keys),
            None => return Cut::Hashes { partitions, level: 0 },
        }
    }
    keys.sort_unstable();
    let step = keys.len().div_ceil(partitions).max(1);
    let mut splitters: Vec<i64> = keys.iter().skip(step).step_by(step).copied().collect();
    splitters.dedup();
    Cut::Ranges(splitters)
}
