//! Few survivors of many rows are passed on together: a batch costs every operator above it the same, however few rows it has.
//!
//! Batches keep their order. Rows are held back until there are enough for a batch, or until so many have been read since the first of
//! them that whoever waits for it (a LIMIT) should not wait longer.

use std::collections::VecDeque;

use arrow::datatypes::{DataType, SchemaRef};
use plasmon_core::Result;
use plasmon_core::batch::{Batch, Column, Encoding};

/// Batches of fewer rows than a full batch divided by this wait for more …
const SMALL_FRACTION: usize = 4;
/// … until together they are a full batch divided by this …
const ENOUGH_FRACTION: usize = 2;
/// … or this many rows of the file were gone through.
const ROWS_PASSED_MAX: usize = 1 << 20;

/// Small batches on their way to become a large one.
pub(super) struct Coalescer {
    types: Vec<DataType>,
    batch_rows: usize,
    /// Small batches without selections, and their rows in all.
    held: Vec<Batch>,
    rows: usize,
    /// Rows gone through since the first held one.
    passed: usize,
    ready: VecDeque<Batch>,
}

impl Coalescer {
    /// For batches of the projected columns; `rows_wanted` is how many rows somebody waits for at most.
    pub(super) fn new(schema: &SchemaRef, projection: &[usize], batch_rows: usize, rows_wanted: Option<usize>) -> Self {
        Coalescer {
            types: projection.iter().map(|&c| schema.field(c).data_type().clone()).collect(),
            batch_rows: batch_rows.min(rows_wanted.unwrap_or(batch_rows)).max(1),
            held: Vec::new(),
            rows: 0,
            passed: 0,
            ready: VecDeque::new(),
        }
    }

    /// Bytes of what is held.
    pub(super) fn held(&self) -> usize {
        self.held.iter().chain(&self.ready).map(Batch::memory_bytes).sum()
    }

    /// The next batch that is large enough.
    pub(super) fn take(&mut self) -> Option<Batch> {
        self.ready.pop_front()
    }

    /// Adds a batch.
    pub(super) fn push(&mut self, batch: Batch) -> Result<()> {
        let rows = batch.selected_rows();
        if rows == 0 {
            return Ok(());
        }
        if rows * SMALL_FRACTION >= self.batch_rows {
            self.flush()?;
            self.ready.push_back(batch);
            return Ok(());
        }
        let batch = batch.compact();
        // The next rows may come only pages later: these must not keep theirs alive.
        let columns = batch.columns().iter().map(|column| own_values(column, self.batch_rows)).collect();
        self.held.push(batch.with_columns(columns));
        self.rows += rows;
        if self.rows * ENOUGH_FRACTION >= self.batch_rows { self.flush() } else { Ok(()) }
    }

    /// Says that `rows` rows of the file were gone through.
    pub(super) fn passed(&mut self, rows: usize) -> Result<()> {
        self.passed += if self.held.is_empty() { 0 } else { rows };
        if self.passed >= ROWS_PASSED_MAX { self.flush() } else { Ok(()) }
    }

    /// Makes a batch of what is held.
    pub(super) fn flush(&mut self) -> Result<()> {
        (self.rows, self.passed) = (0, 0);
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            self.ready.push_back(Batch::join(held, &self.types)?);
        }
        Ok(())
    }
}

/// The column without a dictionary that is larger than a batch, and with strings of its own.
fn own_values(column: &Column, batch_rows: usize) -> Column {
    match column.encoding() {
        Encoding::Dictionary { dictionary, .. } if dictionary.values.len() > batch_rows => {
            column.flatten().own_strings()
        }
        _ => column.own_strings(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::datatypes::{Field, Schema};
    use arrow_buffer::Buffer;
    use plasmon_core::batch::{Bounds, Selection, Values, Views};
    use plasmon_core::expression::Scalar;

    /// Batches of the given numbers of rows of consecutive integers, their texts by dictionary, and a constant.
    fn coalesced(sizes: &[usize], batch_rows: usize, passed: usize) -> Vec<Batch> {
        let fields = [DataType::Int64, DataType::Utf8View, DataType::Int64].map(|t| Field::new("c", t, true));
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let mut coalescer = Coalescer::new(&schema, &[0, 1, 2], batch_rows, None);
        let (mut next, mut all) = (0i64, Vec::new());
        for &rows in sizes {
            let values: Vec<i64> = (next..next + rows as i64 + 1).collect();
            next += rows as i64;
            let texts = Views::from_values(values.iter().map(|v| format!("text number {v}")));
            let columns = vec![
                Column::flat(Values::Int64(values.into())).with_bounds(Some(Bounds { min: next, max: next + 1 })),
                Column::flat(Values::View(texts)),
                Scalar::Int64(7).to_column(&DataType::Int64, rows + 1).unwrap(),
            ];
            let selected = Selection::new((0..rows as u16).collect());
            coalescer.push(Batch::new(columns, rows + 1).with_selection(selected)).unwrap();
            coalescer.passed(passed).unwrap();
            all.extend(std::iter::from_fn(|| coalescer.take()));
        }
        coalescer.flush().unwrap();
        all.extend(std::iter::from_fn(|| coalescer.take()));
        all
    }

    fn check(sizes: &[usize], batches: Vec<Batch>) {
        let mut next = 0;
        for batch in batches {
            let batch = batch.compact();
            assert!(batch.column(2).as_constant().is_some(), "constants stay");
            for row in 0..batch.rows() {
                assert_eq!(Scalar::from_column(batch.column(0), row), Scalar::Int64(next));
                let text = Scalar::Bytes(format!("text number {next}").into_bytes().into());
                assert_eq!(Scalar::from_column(batch.column(1), row), text);
                next += 1;
            }
        }
        assert_eq!(next as usize, sizes.iter().sum::<usize>());
    }

    #[test]
    fn few_rows_wait_for_more_and_order_stays() {
        let sizes = [3, 0, 90, 1, 2, 1, 24, 23, 24, 60, 5];
        let batches = coalesced(&sizes, 100, 10);
        let rows: Vec<usize> = batches.iter().map(Batch::selected_rows).collect();
        assert_eq!(rows, [3, 90, 51, 24, 60, 5]);
        assert_eq!(batches[2].column(0).bounds, Some(Bounds { min: 94, max: 145 }), "the bounds of all pieces");
        check(&sizes, batches);
    }

    #[test]
    fn rows_that_wait_keep_no_page_alive() {
        let page: Buffer = vec![b'x'; 1 << 20].into();
        let buffers: Arc<[Buffer]> = Arc::from([page]);
        let view = arrow::array::builder::make_view(&[b'x'; 100], 0, 5000);
        let column = Column::flat(Values::View(Views { views: vec![view; 3].into(), buffers: buffers.clone() }));
        let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8View, false)]));
        let mut coalescer = Coalescer::new(&schema, &[0], 1000, None);
        coalescer.push(Batch::new(vec![column], 3)).unwrap();
        assert_eq!((Arc::strong_count(&buffers), coalescer.held()), (1, 3 * 116));
    }

    #[test]
    fn nobody_waits_for_ever() {
        let sizes = [1; 10];
        let batches = coalesced(&sizes, 1000, ROWS_PASSED_MAX / 2);
        assert_eq!(batches.len(), 5);
        check(&sizes, batches);
    }
}
