//! A run: frames of some rows, partition after partition, in memory or in a spill file.

use std::borrow::Cow;
use std::sync::Arc;

use plasmon_kernels::partition::rows_of_targets;

use crate::batch::{Batch, Column};
use crate::config::BATCH_ROWS_MAX;
use crate::error::Result;
use crate::pipeline::CancelToken;
use crate::spill::{FrameCodec, SpillFile, check_frames};

/// Bytes of rows that one frame has, about, where there are as many: enough to pack well, few enough to read at once.
const FRAME_BYTES: usize = 1 << 20;

/// Frames in ascending order of their partitions.
#[derive(Debug)]
pub(super) struct Run {
    frames: Frames,
    pub(super) parts: Vec<Part>,
}

#[derive(Debug)]
enum Frames {
    Memory(Vec<u8>),
    /// A block per part.
    Spilled(Arc<SpillFile>, Vec<usize>),
}

/// What a run has of one partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) partition: u32,
    pub(super) rows: u64,
    /// Where its frames end among those of the run.
    end: usize,
}

impl Run {
    /// The frames of batches of which each row has its partition, below `partitions`. Gives up the batches.
    pub(super) fn of(
        held: Vec<(Batch, Vec<u32>)>,
        partitions: usize,
        codec: &FrameCodec,
        cancel: &CancelToken,
    ) -> Result<Run> {
        let bytes: usize = held.iter().map(|(batch, _)| batch.memory_bytes()).sum();
        let (batches, targets): (Vec<Batch>, Vec<Vec<u32>>) = held.into_iter().unzip();
        let targets = targets.concat();
        let columns = joined(batches, codec)?;
        let (mut rows, mut ends) = (Vec::new(), Vec::new());
        rows_of_targets(&targets, partitions as u32, |row| row as u32, &mut rows, &mut ends);
        let rows_of_frame = (FRAME_BYTES / (bytes / targets.len().max(1)).max(1)).clamp(1, BATCH_ROWS_MAX);
        let (mut frames, mut parts, mut start) = (Vec::new(), Vec::new(), 0);
        for (partition, end) in ends.into_iter().enumerate() {
            let end = end as usize;
            let own = &rows[std::mem::replace(&mut start, end)..end];
            if own.is_empty() {
                continue;
            }
            cancel.check()?;
            for some in own.chunks(rows_of_frame) {
                let gathered: Vec<Column> = columns.iter().map(|column| column.gather(some)).collect();
                codec.encode(&gathered, some.len(), &mut frames)?;
            }
            parts.push(Part { partition: partition as u32, rows: own.len() as u64, end: frames.len() });
        }
        frames.shrink_to_fit();
        Ok(Run { frames: Frames::Memory(frames), parts })
    }

    /// Bytes in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        let frames = if let Frames::Memory(bytes) = &self.frames { bytes.capacity() } else { 0 };
        frames + self.parts.capacity() * size_of::<Part>()
    }

    /// Moves what is in memory to the file.
    pub(super) fn spill(&mut self, file: &Arc<SpillFile>) -> Result<()> {
        let Frames::Memory(bytes) = &self.frames else { return Ok(()) };
        let mut blocks = Vec::with_capacity(self.parts.len());
        for (index, part) in self.parts.iter().enumerate() {
            let frames = bytes[self.start(index)..part.end].to_vec();
            blocks.push(file.append_bytes(frames, part.rows as usize)?);
        }
        self.frames = Frames::Spilled(file.clone(), blocks);
        Ok(())
    }

    /// The frames of part `index`.
    pub(super) fn frames(&self, index: usize) -> Result<Cow<'_, [u8]>> {
        match &self.frames {
            Frames::Memory(bytes) => Ok(bytes[self.start(index)..self.parts[index].end].into()),
            Frames::Spilled(file, blocks) => {
                let bytes = file.bytes_of(blocks[index])?;
                check_frames(&bytes)?;
                Ok(bytes.into())
            }
        }
    }

    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.parts[before].end)
    }
}

/// One column of all batches each; constants and shared dictionaries stay what they are.
fn joined(batches: Vec<Batch>, codec: &FrameCodec) -> Result<Vec<Column>> {
    let mut pieces: Vec<_> = batches.into_iter().map(|batch| batch.into_columns().into_iter()).collect();
    let columns = codec.types().iter().map(|data_type| {
        let of_column: Vec<Column> = pieces.iter_mut().filter_map(Iterator::next).collect();
        Column::join(&of_column, data_type)
    });
    columns.collect()
}
