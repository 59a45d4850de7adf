//! The source of a hash aggregation: results a batch at a time, partition after partition.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::merge::{Merged, Partitions};
use super::operator::{Results, Shared};
use super::ranges;
use super::share::Share;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::metrics::OperatorMetrics;
use crate::operators::turns::Turn;
use crate::pipeline::{Next, Source, SourceState, TaskContext};

/// Groups of a result that one worker reads at least.
const WORKER_GROUPS: usize = 1 << 15;

/// Gives results a batch at a time, partition after partition.
#[derive(Debug)]
pub(super) struct AggregateSource {
    pub(super) shared: Arc<Shared>,
    /// Next batch of a whole table, or next partition.
    pub(super) cursor: Arc<AtomicUsize>,
}

impl AggregateSource {
    fn results(&self) -> Result<&Results> {
        let results = self.shared.results.get();
        results.ok_or_else(|| Error::internal("an aggregation's result was read before it was complete"))
    }
}

impl Source for AggregateSource {
    fn name(&self) -> &'static str {
        "AggregateResult"
    }

    fn max_workers(&self) -> usize {
        match self.shared.results.get() {
            Some(Results::Whole(share)) => {
                share.lock().unwrap_or_else(|e| e.into_inner()).groups.len().div_ceil(WORKER_GROUPS).max(1)
            }
            Some(Results::Partitioned(partitions)) => partitions.len(),
            None => 1,
        }
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        if let Results::Partitioned(partitions) = self.results()? {
            metrics.note("partitions", partitions.len().to_string());
        }
        Ok(Box::new(AggregateSourceState {
            shared: self.shared.clone(),
            cursor: self.cursor.clone(),
            merged: None,
            turn: None,
            short_of: None,
            returned: false,
            task: task.clone(),
        }))
    }
}

struct AggregateSourceState {
    shared: Arc<Shared>,
    cursor: Arc<AtomicUsize>,
    /// The partition being read, and what is left of it.
    merged: Option<(Share, VecDeque<Range<usize>>)>,
    /// While it has a table.
    turn: Option<Turn>,
    /// Bytes that there were too few of beside other readers: it waits for them.
    short_of: Option<usize>,
    /// A part that it had begun to read had to wait.
    returned: bool,
    task: TaskContext,
}

impl SourceState for AggregateSourceState {
    fn next(&mut self) -> Result<Next> {
        let shared = self.shared.clone();
        match shared.results.get() {
            Some(Results::Whole(share)) => self.next_of_whole(share),
            Some(Results::Partitioned(partitions)) => self.next_of_partitions(partitions),
            None => Err(Error::internal("an aggregation's result vanished")),
        }
    }
}

impl AggregateSourceState {
    fn next_of_whole(&mut self, share: &Mutex<Share>) -> Result<Next> {
        let mut share = share.lock().unwrap_or_else(|e| e.into_inner());
        let rows = self.task.config.batch_rows;
        let start = self.cursor.fetch_add(1, Ordering::Relaxed) * rows;
        if start >= share.groups.len() {
            return Ok(Next::Finished);
        }
        let range = start..(start + rows).min(share.groups.len());
        let rows = range.len();
        Ok(Next::Batch(Batch::new(share.output(range, self.shared.spec.phase)?, rows)))
    }

    fn next_of_partitions(&mut self, partitions: &Arc<Partitions>) -> Result<Next> {
        let spec = &partitions.spec;
        loop {
            if let Some((share, ranges)) = &mut self.merged
                && let Some(range) = ranges.pop_front()
            {
                let rows = range.len();
                return Ok(Next::Batch(Batch::new(share.output(range, spec.phase)?, rows)));
            }
            if let Some(bytes) = self.short_of {
                let Some(turn) = partitions.turn_with(bytes) else { return Ok(Next::Blocked) };
                (self.turn, self.short_of) = (Some(turn), None);
            }
            let Some(part) = partitions.next(&self.cursor) else {
                (self.merged, self.turn) = (None, None);
                return Ok(Next::Finished);
            };
            self.turn.get_or_insert_with(|| partitions.turns.take());
            let part = match partitions.beside_others(part) {
                Ok(part) => part,
                Err(bytes) => {
                    (self.merged, self.turn, self.short_of) = (None, None, Some(bytes));
                    return Ok(Next::Blocked);
                }
            };
            // The last partition's table is used again.
            let mut share = match self.merged.take() {
                Some((mut share, _)) => {
                    share.clear(spec)?;
                    share
                }
                None => Share::new(spec, &self.task)?,
            };
            let groups = match partitions.merge(part, &mut share)? {
                Merged::Whole => share.groups.len(),
                Merged::Cut => 0,
                Merged::Later(bytes) => {
                    // The table goes before the turn ends.
                    drop(share);
                    // What was put back once was read for nothing; if that is not to happen again and again, the next time is alone.
                    let bytes = if self.returned { usize::MAX } else { 2 * bytes };
                    (self.turn, self.short_of, self.returned) = (None, Some(bytes), true);
                    return Ok(Next::Blocked);
                }
            };
            let rows = self.task.config.batch_rows;
            self.merged = Some((share, ranges(groups, rows).collect()));
        }
    }
}
