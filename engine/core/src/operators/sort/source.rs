//! The source half: batches in order, as they were merged in memory, or merged from disk as they are read.

use std::sync::{Arc, Mutex};

use super::Shared;
use super::external::ExternalMerge;
use super::spilled::SpilledRun;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::memory::Reservation;
use crate::metrics::OperatorMetrics;
use crate::pipeline::{Next, Source, SourceState, TaskContext};

/// Where the rows in order are.
#[derive(Debug)]
pub(super) enum Output {
    /// Batches by slice.
    Slices(Vec<Vec<Batch>>),
    /// Few enough runs to be merged at once, with the tokens for that; taken by the reader.
    Runs(Mutex<(Vec<SpilledRun>, Vec<Reservation>)>),
}

impl Output {
    /// Runs on disk.
    pub(super) fn runs(runs: Vec<SpilledRun>, tokens: Vec<Reservation>) -> Self {
        Output::Runs(Mutex::new((runs, tokens)))
    }
}

/// The source half.
#[derive(Debug)]
pub(super) struct SortedScan {
    pub(super) shared: Arc<Shared>,
}

impl Source for SortedScan {
    fn name(&self) -> &'static str {
        "SortedScan"
    }

    fn max_workers(&self) -> usize {
        1
    }

    fn open(&self, task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        let shared = self.shared.clone();
        let output =
            shared.output.get().ok_or_else(|| Error::internal("sorted rows were read before they were complete"))?;
        let Output::Runs(runs) = output else { return Ok(Box::new(SlicesState { shared, slice: 0, batch: 0 })) };
        let (runs, tokens) = std::mem::take(&mut *runs.lock().unwrap_or_else(|e| e.into_inner()));
        let (skip, left) = (shared.spec.offset, shared.spec.fetch.unwrap_or(usize::MAX));
        let merge = if runs.is_empty() { None } else { Some((ExternalMerge::new(runs, &shared.run, task)?, tokens)) };
        Ok(Box::new(MergeState { merge, skip, left, batch_rows: task.config.batch_rows, shared }))
    }
}

struct SlicesState {
    shared: Arc<Shared>,
    slice: usize,
    batch: usize,
}

impl SourceState for SlicesState {
    fn next(&mut self) -> Result<Next> {
        let Some(Output::Slices(slices)) = self.shared.output.get() else {
            return Err(Error::internal("sorted slices are gone"));
        };
        while let Some(slice) = slices.get(self.slice) {
            if let Some(batch) = slice.get(self.batch) {
                self.batch += 1;
                return Ok(Next::Batch(batch.clone()));
            }
            self.slice += 1;
            self.batch = 0;
        }
        Ok(Next::Finished)
    }
}

struct MergeState {
    shared: Arc<Shared>,
    /// The merge and its tokens; `None` once it is done.
    merge: Option<(ExternalMerge, Vec<Reservation>)>,
    /// Rows still to be left out …
    skip: usize,
    /// … and those to give then.
    left: usize,
    batch_rows: usize,
}

impl SourceState for MergeState {
    fn next(&mut self) -> Result<Next> {
        if self.left == 0 {
            self.merge = None;
        }
        let Some((merge, _)) = &mut self.merge else { return Ok(Next::Finished) };
        let spec = &self.shared.run;
        let mut rows = merge.next(spec, self.batch_rows)?;
        if rows.len() == 0 {
            // Files and memory are not needed while the pipeline ends.
            self.merge = None;
            return Ok(Next::Finished);
        }
        let skipped = self.skip.min(rows.len());
        rows.cut(skipped, self.left);
        self.skip -= skipped;
        self.left -= rows.len();
        // A batch without rows is dropped: leaving out many is many steps, too.
        Ok(Next::Batch(Batch::new(rows.gather(spec, spec.payload)?, rows.len())))
    }
}
