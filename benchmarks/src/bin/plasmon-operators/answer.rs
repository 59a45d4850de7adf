//! What an operator gave, so that two runs can be compared: rows, a sum of hashes that does not depend on their order, and whether they came in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use plasmon_core::metrics::OperatorMetrics;
use plasmon_core::pipeline::{Flow, Sink, SinkState, TaskContext};
use plasmon_core::{Batch, Column, Error, Result, Values};
use plasmon_kernels::hash::hash_word;

/// Hash of a null.
const NULL: u64 = 0x5EED;

#[derive(Debug, Default)]
pub(crate) struct Answer {
    rows: AtomicU64,
    sum: AtomicU64,
    is_unordered: AtomicBool,
    /// Bytes of the largest list.
    largest: AtomicU64,
}

/// An answer that can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) rows: u64,
    sum: u64,
    pub(crate) is_ordered: bool,
}

impl Answer {
    /// Bytes of the largest list among the values.
    pub(crate) fn largest_value(&self) -> u64 {
        self.largest.load(Relaxed)
    }

    pub(crate) fn given(&self) -> Given {
        Given {
            rows: self.rows.load(Relaxed),
            sum: self.sum.load(Relaxed),
            is_ordered: !self.is_unordered.load(Relaxed),
        }
    }
}

/// Takes rows, and keeps nothing but an [`Answer`].
#[derive(Debug)]
pub(crate) struct Check {
    answer: Arc<Answer>,
    /// Whether the first column must ascend.
    ordered: bool,
}

impl Check {
    pub(crate) fn new(ordered: bool) -> (Self, Arc<Answer>) {
        let answer = Arc::<Answer>::default();
        (Check { answer: answer.clone(), ordered }, answer)
    }
}

impl Sink for Check {
    fn name(&self) -> &'static str {
        "Check"
    }

    fn open(&self, _task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SinkState>> {
        Ok(Box::new(CheckState { answer: self.answer.clone(), ordered: self.ordered, last: None }))
    }
}

struct CheckState {
    answer: Arc<Answer>,
    ordered: bool,
    /// The first column's last value, as bytes that compare like it.
    last: Option<Vec<u8>>,
}

impl SinkState for CheckState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let batch = batch.compact();
        let mut hashes = vec![0_u64; batch.rows()];
        for column in batch.columns() {
            let column = column.flatten();
            add_hashes(&column, &mut hashes)?;
            self.answer.largest.fetch_max(longest_list(&column), Relaxed);
        }
        self.answer.rows.fetch_add(hashes.len() as u64, Relaxed);
        self.answer.sum.fetch_add(hashes.iter().fold(0, |sum, &hash| sum.wrapping_add(hash)), Relaxed);
        if self.ordered && !self.goes_on(&batch.column(0).flatten()) {
            self.answer.is_unordered.store(true, Relaxed);
        }
        Ok(Flow::NeedInput)
    }

    fn combine(&mut self) -> Result<()> {
        Ok(())
    }
}

impl CheckState {
    /// Whether a column ascends, and starts where the last batch's ended.
    fn goes_on(&mut self, column: &Column) -> bool {
        let values: Vec<Vec<u8>> = match column.flat_values() {
            Values::Int64(values) => values.iter().map(|v| (*v as u64 ^ 1 << 63).to_be_bytes().to_vec()).collect(),
            Values::View(views) => (0..column.len()).map(|row| views.value(row).to_vec()).collect(),
            _ => return false,
        };
        let ascends =
            values.is_sorted() && self.last.as_ref().zip(values.first()).is_none_or(|(last, first)| last <= first);
        self.last = values.into_iter().next_back().or(self.last.take());
        ascends
    }
}

/// Bytes of the largest list of a column; 0 = it has none.
fn longest_list(column: &Column) -> u64 {
    let Values::Nested(array) = column.flat_values() else { return 0 };
    let lists = array.as_list_opt::<i32>().into_iter().flat_map(|lists| lists.iter().flatten());
    lists.map(|list| 8 * list.len() as u64).max().unwrap_or(0)
}

/// Adds the hash of each row's value to that of the columns before.
fn add_hashes(column: &Column, hashes: &mut [u64]) -> Result<()> {
    let mut add = |of: &dyn Fn(usize) -> u64| {
        for (row, hash) in hashes.iter_mut().enumerate() {
            let value = if column.is_valid(row) { of(row) } else { NULL };
            *hash = hash_word(hash.rotate_left(23) ^ value);
        }
    };
    match column.flat_values() {
        Values::Int64(values) => add(&|row| hash_word(values[row] as u64)),
        Values::UInt64(values) => add(&|row| hash_word(values[row])),
        Values::View(views) => add(&|row| hash_bytes(views.value(row))),
        Values::Nested(array) => {
            let lists = array.as_list_opt::<i32>().ok_or_else(|| Error::internal("nested values that are no lists"))?;
            // A list's items may come in any order.
            add(&|row| {
                let items = lists.value(row);
                let items = items.as_primitive::<Int64Type>();
                items.values().iter().fold(items.len() as u64, |sum, &item| sum.wrapping_add(hash_word(item as u64)))
            });
        }
        other => return Err(Error::internal(format!("no hash of {:?} values", other.physical()))),
    }
    Ok(())
}

fn hash_bytes(bytes: &[u8]) -> u64 {
    let word = |chunk: &[u8]| chunk.iter().fold(0_u64, |word, &byte| word << 8 | u64::from(byte));
    bytes.chunks(8).fold(bytes.len() as u64, |hash, chunk| hash_word(hash.rotate_left(5) ^ word(chunk)))
}
