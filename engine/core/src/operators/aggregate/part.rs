//! One partition, or a part of one: a file of blocks, and pieces in memory that come after them.

use std::sync::Arc;

use super::run::{Layout, Piece, Run};
use crate::batch::Column;
use crate::error::Result;
use crate::spill::{SpillFile, SpillReader};

/// What is to be merged into one table.
pub(super) struct Part {
    file: Option<Arc<SpillFile>>,
    pieces: Vec<Piece>,
    /// Of the pieces.
    held: usize,
    /// How often its groups were cut by hash before.
    level: u32,
    /// Whether it cannot be cut into smaller ones.
    pub(super) is_atom: bool,
}

impl Part {
    pub(super) fn new(level: u32, is_atom: bool) -> Self {
        Part { file: None, pieces: Vec::new(), held: 0, level, is_atom }
    }

    pub(super) fn is_spilled(&self) -> bool {
        self.file.is_some()
    }

    /// Bytes of the pieces in memory.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn keep(&mut self, piece: Piece) {
        self.held += piece.memory_bytes();
        self.pieces.push(piece);
    }

    /// Everything, leaving nothing.
    pub(super) fn take(&mut self) -> Part {
        std::mem::replace(self, Part::new(self.level, self.is_atom))
    }

    /// Appends the pieces in memory to the file, which is made by `create`, several in a block of about `block` bytes.
    pub(super) fn write(&mut self, block: usize, create: impl FnOnce() -> Result<Arc<SpillFile>>) -> Result<()> {
        if self.pieces.is_empty() {
            return Ok(());
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => create()?,
        };
        let file = self.file.insert(file);
        let (mut columns, mut groups, mut bytes): (Vec<Column>, usize, usize) = (Vec::new(), 0, 0);
        for piece in self.pieces.drain(..).flat_map(|piece| piece.parts(block)) {
            (groups, bytes) = (groups + piece.groups, bytes + piece.memory_bytes());
            columns.extend(piece.into_columns());
            if bytes >= block {
                file.append(&std::mem::take(&mut columns), std::mem::take(&mut groups))?;
                bytes = 0;
            }
        }
        if !columns.is_empty() {
            file.append(&columns, groups)?;
        }
        self.held = 0;
        Ok(())
    }

    pub(super) fn into_pieces(self, layout: &Layout) -> Pieces<'_> {
        let total = self.held + self.file.as_ref().map_or(0, |file| file.bytes() as usize);
        Pieces {
            blocks: self.file.map(|file| file.reader()),
            block: Vec::new().into_iter(),
            pieces: self.pieces.into_iter(),
            layout,
            level: self.level,
            is_atom: self.is_atom,
            is_loaded: false,
            total,
            taken: 0,
        }
    }
}

/// The pieces of a part in the order in which they came.
pub(super) struct Pieces<'a> {
    blocks: Option<SpillReader>,
    /// What is left of the block at hand.
    block: std::vec::IntoIter<Column>,
    pieces: std::vec::IntoIter<Piece>,
    layout: &'a Layout,
    pub(super) level: u32,
    pub(super) is_atom: bool,
    /// Whether the last piece came from the file.
    pub(super) is_loaded: bool,
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
        while let Some(blocks) = &mut self.blocks {
            self.is_loaded = true;
            if self.block.len() > 0 {
                return Run::from_columns(&mut self.block, self.layout).map(Some);
            }
            match blocks.next()? {
                Some(block) => self.block = block.columns.into_iter(),
                // The file is removed here.
                None => self.blocks = None,
            }
        }
        self.is_loaded = false;
        Ok(self.pieces.next())
    }
}
