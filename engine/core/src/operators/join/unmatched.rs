//! Source: build rows by whether some probe row met them, once all probing is over.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::batch::{Batch, Bitmap, Column, Values, arrow::null_column};
use crate::error::Result;
use crate::metrics::OperatorMetrics;
use crate::pipeline::{Next, Source, SourceState, TaskContext};

use super::build::Built;
use super::{JoinKind, JoinShared};

#[derive(Debug)]
pub(super) struct JoinUnmatched {
    shared: Arc<JoinShared>,
    cursor: Arc<AtomicUsize>,
}

impl JoinUnmatched {
    pub(super) fn new(shared: Arc<JoinShared>) -> Self {
        JoinUnmatched { shared, cursor: Arc::default() }
    }
}

impl Source for JoinUnmatched {
    fn name(&self) -> &'static str {
        "JoinUnmatched"
    }

    fn max_workers(&self) -> usize {
        const ROWS_PER_WORKER: usize = 1 << 16;
        self.shared.built().map_or(1, |b| b.rows.div_ceil(ROWS_PER_WORKER))
    }

    fn open(&self, task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        Ok(Box::new(UnmatchedState {
            built: self.shared.built()?,
            shared: self.shared.clone(),
            cursor: self.cursor.clone(),
            batch_rows: task.config.batch_rows,
        }))
    }
}

struct UnmatchedState {
    shared: Arc<JoinShared>,
    built: Arc<Built>,
    cursor: Arc<AtomicUsize>,
    batch_rows: usize,
}

impl SourceState for UnmatchedState {
    fn next(&mut self) -> Result<Next> {
        let start = self.cursor.fetch_add(self.batch_rows, Ordering::Relaxed);
        if start >= self.built.rows {
            return Ok(Next::Finished);
        }
        let end = (start + self.batch_rows).min(self.built.rows);
        Ok(Next::Batch(output(&self.shared, &self.built, start..end)))
    }
}

/// What the kind gives of build rows, after all probing of them.
pub(super) fn output(shared: &JoinShared, built: &Built, range: Range<usize>) -> Batch {
    let met = |row: usize| built.met[row].load(Ordering::Relaxed);
    let kind = shared.spec.kind;
    let rows: Vec<u32> = range
        .filter(|&row| match kind {
            JoinKind::RightSemi => met(row),
            JoinKind::RightMark => true,
            _ => !met(row),
        })
        .map(|row| row as u32)
        .collect();
    let left = shared.spec.left_types.len();
    let columns = shared.outputs.iter().map(|&output| {
        let right = if kind.is_right_only() { Some(output) } else { output.checked_sub(left) };
        match right {
            Some(mark) if mark == shared.spec.right_types.len() => {
                Column::flat(Values::Boolean(Bitmap::from_bools(rows.iter().map(|&row| met(row as usize)))))
            }
            Some(column) => built.columns[column].gather(&rows),
            None => null_column(&shared.spec.left_types[output], rows.len()),
        }
    });
    Batch::new(columns.collect(), rows.len())
}
