//! One partition, or a part of one: blocks of a file, and pieces in memory that come after them.
//!
//! The partitions of one cut share a few files, since files cost more to make than blocks; each partition knows its own blocks.

use std::sync::{Arc, Mutex, Weak};

use super::run::{Layout, Piece, Run};
use super::share::Share;
use crate::batch::Column;
use crate::error::Result;
use crate::spill::{Blocks, SpillFile};

/// A file for the blocks of several partitions, as long as one of them has blocks in it.
pub(super) type SharedFile = Mutex<Weak<SpillFile>>;

/// Groups from which on the pieces in memory are worth merging, …
const MERGED_GROUPS: usize = 1 << 15;
/// … and how many times what was left the last time they must be.
const MERGED_TIMES: usize = 4;

/// What is to be merged into one table.
pub(super) struct Part {
    blocks: Option<Blocks>,
    pieces: Vec<Kept>,
    /// Bytes of the pieces.
    held: usize,
    /// How often its groups were cut by hash before.
    level: u32,
    /// Groups of the pieces, and of how many on they are worth merging.
    groups: usize,
    merged_at: usize,
    /// Cuts in a row that it came out of as a whole.
    pub(super) cuts_alone: u32,
}

/// A piece in memory, and the bytes that are reserved for it.
struct Kept {
    piece: Piece,
    bytes: usize,
}

impl Part {
    pub(super) fn new(level: u32, cuts_alone: u32) -> Self {
        Part { blocks: None, pieces: Vec::new(), held: 0, level, groups: 0, merged_at: MERGED_GROUPS, cuts_alone }
    }

    pub(super) fn is_spilled(&self) -> bool {
        self.blocks.is_some()
    }

    /// Bytes of the pieces in memory.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Groups of all pieces: those that are in several count as often.
    pub(super) fn groups(&self) -> usize {
        self.groups + self.blocks.as_ref().map_or(0, |blocks| blocks.rows() as usize)
    }

    /// Takes a piece for which so many bytes are reserved.
    pub(super) fn keep(&mut self, piece: Piece, bytes: usize) {
        self.held += bytes;
        self.groups += piece.groups;
        self.pieces.push(Kept { piece, bytes });
    }

    /// Whether so many pieces are in memory that merging them should leave far fewer groups.
    pub(super) fn is_worth_merging(&self) -> bool {
        self.groups >= self.merged_at
    }

    /// Makes one of all pieces in memory, if `share`, which is empty, finds the memory to merge them.
    pub(super) fn merge_pieces(&mut self, share: &mut Share) -> Result<()> {
        let Some(merged) = self.merged(share)? else {
            self.merged_at = self.groups * MERGED_TIMES;
            return Ok(());
        };
        (self.held, self.groups) = (0, 0);
        self.pieces.clear();
        let bytes = merged.kept_bytes();
        self.keep(merged, bytes);
        self.merged_at = (self.groups * MERGED_TIMES).max(MERGED_GROUPS);
        Ok(())
    }

    /// The pieces in memory as one; `None` = there is no memory for that.
    fn merged(&self, share: &mut Share) -> Result<Option<Piece>> {
        for Kept { piece, .. } in &self.pieces {
            let wanted = share.footprint() + share.growth_of(piece);
            if !share.reservation.try_resize(wanted)? {
                return Ok(None);
            }
            share.merge(piece)?;
        }
        // A run holds no more than the table that it comes from.
        if !share.reservation.try_resize(share.footprint() + share.memory_bytes())? {
            return Ok(None);
        }
        Run::take(share).map(Some)
    }

    /// Everything, leaving nothing.
    pub(super) fn take(&mut self) -> Part {
        std::mem::replace(self, Part::new(self.level, self.cuts_alone))
    }

    /// Appends the pieces in memory to a file, which is made by `create` at first, joined to blocks of about `block` bytes: each small piece would
    /// cost as much beside its groups, and again whenever it is read and cut.
    pub(super) fn write(
        &mut self,
        block: usize,
        layout: &Layout,
        file: &SharedFile,
        create: impl FnOnce() -> Result<Arc<SpillFile>>,
    ) -> Result<()> {
        if self.pieces.is_empty() {
            return Ok(());
        }
        let mut shared = file.lock().unwrap_or_else(|e| e.into_inner());
        let file = match shared.upgrade() {
            Some(file) => file,
            None => create()?,
        };
        *shared = Arc::downgrade(&file);
        let blocks = self.blocks.get_or_insert_with(|| Blocks::of(&file));
        let mut append = |pieces: &mut Vec<Piece>| -> Result<()> {
            let run = Run::join(std::mem::take(pieces), layout)?;
            let groups = run.groups;
            let columns: Vec<Column> = run.into_columns().collect();
            blocks.append(&columns, groups)?;
            Ok(())
        };
        let (mut together, mut bytes) = (Vec::new(), 0);
        for piece in self.pieces.drain(..).flat_map(|kept| kept.piece.parts(block)) {
            bytes += piece.memory_bytes();
            together.push(piece);
            if bytes >= block {
                append(&mut together)?;
                bytes = 0;
            }
        }
        if !together.is_empty() {
            append(&mut together)?;
        }
        (self.held, self.groups) = (0, 0);
        Ok(())
    }

    pub(super) fn into_pieces(self, layout: &Layout) -> Pieces<'_> {
        let total = self.held + self.blocks.as_ref().map_or(0, Blocks::bytes);
        Pieces {
            blocks: self.blocks,
            next_block: 0,
            block: Vec::new().into_iter(),
            pieces: self.pieces.into_iter(),
            layout,
            level: self.level,
            cuts_alone: self.cuts_alone,
            is_loaded: false,
            reserved: 0,
            total,
            taken: 0,
        }
    }
}

/// The pieces of a part in the order in which they came.
pub(super) struct Pieces<'a> {
    blocks: Option<Blocks>,
    next_block: usize,
    /// What is left of the block at hand.
    block: std::vec::IntoIter<Column>,
    pieces: std::vec::IntoIter<Kept>,
    layout: &'a Layout,
    pub(super) level: u32,
    pub(super) cuts_alone: u32,
    /// Whether the last piece came from the file.
    pub(super) is_loaded: bool,
    /// Bytes that are reserved for it: none then.
    pub(super) reserved: usize,
    /// Bytes of all pieces, and of those taken so far.
    pub(super) total: usize,
    pub(super) taken: usize,
}

impl Pieces<'_> {
    /// The next piece.
    pub(super) fn next(&mut self) -> Result<Option<Piece>> {
        let piece = self.find_next()?;
        self.taken += piece.as_ref().map_or(0, Run::memory_bytes);
        Ok(piece)
    }

    fn find_next(&mut self) -> Result<Option<Piece>> {
        while let Some(blocks) = &self.blocks {
            (self.is_loaded, self.reserved) = (true, 0);
            if self.block.len() > 0 {
                return Run::from_columns(&mut self.block, self.layout).map(Some);
            }
            if self.next_block < blocks.blocks() {
                self.block = blocks.block(self.next_block)?.columns.into_iter();
                self.next_block += 1;
            } else {
                // With the last part of the file, the file goes.
                self.blocks = None;
            }
        }
        let kept = self.pieces.next();
        (self.is_loaded, self.reserved) = (false, kept.as_ref().map_or(0, |kept| kept.bytes));
        Ok(kept.map(|kept| kept.piece))
    }
}
