//! The merge of what the workers aggregated: cut into partitions, each merged by the worker that reads it.

use std::sync::Mutex;

use super::run::{Cut, Piece, Run, samples};
use super::share::Share;
use crate::error::Result;
use crate::memory::Reservation;
use crate::pipeline::TaskContext;

/// Groups that a partition should hold about: its table then fits the caches.
const PARTITION_GROUPS: usize = 1 << 16;
const PARTITIONS_MAX: usize = 256;
/// One key in this many is looked at to choose the ranges of partitions.
const SAMPLE_STEP: usize = 1 << 10;

/// What workers hand over when their input ends.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) shares: Vec<Share>,
    pub(super) runs: Vec<Run>,
    /// What the runs reserved.
    pub(super) held: Vec<Reservation>,
}

/// Pieces of runs by partition.
pub(super) struct Partitions {
    cut: Cut,
    pieces: Vec<Mutex<Vec<Piece>>>,
    reservation: Reservation,
}

impl Partitions {
    /// Chooses how to cut; the runs are to be given to [`Partitions::cut`].
    pub(super) fn new(gathered: Gathered, task: &TaskContext) -> Result<(Self, Vec<Run>)> {
        let Gathered { shares, mut runs, held } = gathered;
        for mut share in shares {
            if share.groups.len() > 0 {
                runs.push(Run::take(&mut share)?);
            }
        }
        let reservation = task.memory.reservation("Aggregate");
        drop(held);
        reservation.grow(runs.iter().map(Run::memory_bytes).sum())?;
        let cut = choose_cut(&runs);
        let pieces = (0..cut.partitions()).map(|_| Mutex::default()).collect();
        Ok((Partitions { cut, pieces, reservation }, runs))
    }

    /// Number of partitions.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Deals the pieces of one run.
    pub(super) fn cut(&self, run: Run) -> Result<()> {
        // While a run is cut there may be two copies of it.
        let bytes = run.memory_bytes();
        self.reservation.grow(bytes)?;
        for (partition, piece) in self.pieces.iter().zip(run.cut(&self.cut)?) {
            if piece.groups > 0 {
                partition.lock().unwrap_or_else(|e| e.into_inner()).push(piece);
            }
        }
        self.reservation.shrink(bytes);
        Ok(())
    }

    /// Merges the pieces of one partition into an empty share.
    pub(super) fn merge(&self, partition: usize, share: &mut Share) -> Result<()> {
        let pieces = std::mem::take(&mut *self.pieces[partition].lock().unwrap_or_else(|e| e.into_inner()));
        for piece in pieces {
            share.merge(&piece)?;
            self.reservation.shrink(piece.memory_bytes());
        }
        Ok(())
    }
}

fn choose_cut(runs: &[Run]) -> Cut {
    let groups: usize = runs.iter().map(|r| r.groups).sum();
    let partitions = groups.div_ceil(PARTITION_GROUPS).clamp(1, PARTITIONS_MAX);
    if partitions == 1 {
        return Cut::Hashes(1);
    }
    let mut keys = Vec::new();
    for run in runs {
        match run.ascending() {
            Some(key) => samples(key, SAMPLE_STEP, &mut keys),
            None => return Cut::Hashes(partitions),
        }
    }
    keys.sort_unstable();
    let step = keys.len().div_ceil(partitions).max(1);
    let mut splitters: Vec<i64> = keys.iter().skip(step).step_by(step).copied().collect();
    splitters.dedup();
    Cut::Ranges(splitters)
}
