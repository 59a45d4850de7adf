//! Gather: joins batches into larger ones before what is dear to call, a function of the host's: a call of it costs the same for few rows and for many.
//!
//! What grows: up to [`BATCHES`] batches a worker, which are counted. The first rows go on at once and later ones wait for ever more company, so that who
//! wants only the first rows (a LIMIT, a reader of a slow stream) gets them early. Keeps order.

use std::sync::Arc;

use arrow_schema::DataType;

use crate::batch::Batch;
use crate::config::BATCH_ROWS_MAX;
use crate::error::Result;
use crate::memory::Counted;
use crate::metrics::OperatorMetrics;
use crate::pipeline::{Flow, Operator, OperatorState, TaskContext};

/// Batches of the default size that are joined at most: as many rows as a batch may have.
pub const BATCHES: usize = 8;

/// The operator.
#[derive(Debug)]
pub struct Gather {
    types: Arc<[DataType]>,
}

impl Gather {
    /// For batches of columns of these types.
    pub fn new(types: Vec<DataType>) -> Self {
        Gather { types: types.into() }
    }
}

impl Operator for Gather {
    fn name(&self) -> &'static str {
        "Gather"
    }

    fn open(&self, task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn OperatorState>> {
        Ok(Box::new(GatherState {
            types: self.types.clone(),
            wanted: task.config.batch_rows,
            most: (task.config.batch_rows * BATCHES).min(BATCH_ROWS_MAX),
            held: Vec::new(),
            rows: 0,
            counted: task.memory.counted("Gather"),
        }))
    }
}

struct GatherState {
    types: Arc<[DataType]>,
    /// Rows that the next batch should have.
    wanted: usize,
    most: usize,
    held: Vec<Batch>,
    rows: usize,
    counted: Counted,
}

impl OperatorState for GatherState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let rows = batch.selected_rows();
        if self.rows + rows > self.most {
            let full = self.take()?;
            self.hold(batch);
            return Ok(full.map_or(Flow::NeedInput, Flow::Output));
        }
        self.hold(batch);
        if self.rows < self.wanted {
            return Ok(Flow::NeedInput);
        }
        self.wanted = (self.wanted * 2).min(self.most);
        self.finish()
    }

    fn finish(&mut self) -> Result<Flow> {
        Ok(self.take()?.map_or(Flow::NeedInput, Flow::Output))
    }
}

impl GatherState {
    fn hold(&mut self, batch: Batch) {
        self.rows += batch.selected_rows();
        self.counted.set(self.counted.bytes() + batch.memory_bytes());
        self.held.push(batch);
    }

    /// What is held, as one batch.
    fn take(&mut self) -> Result<Option<Batch>> {
        self.rows = 0;
        self.counted.set(0);
        let held = std::mem::take(&mut self.held);
        if held.is_empty() { Ok(None) } else { Batch::join(held, &self.types).map(Some) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Column, Selection, Values};
    use crate::config::Config;
    use crate::expression::Scalar;

    /// Sizes of what comes out for batches of the given sizes, whose values are counted through; every second row of a batch is unselected.
    fn gathered(sizes: &[usize], batch_rows: usize) -> Vec<usize> {
        let task = TaskContext::new(Config { batch_rows, ..Config::default() });
        let mut state = Gather::new(vec![DataType::Int64]).open(&task, &OperatorMetrics::new()).unwrap();
        let (mut next, mut out) = (0, Vec::new());
        let mut take = |flow| match flow {
            Flow::Output(batch) => out.push(batch.compact()),
            Flow::NeedInput => {}
            other => panic!("{other:?}"),
        };
        for &rows in sizes {
            let values: Vec<i64> = (0..2 * rows as i64).map(|i| next + i / 2).collect();
            next += rows as i64;
            let selected = Selection::new((0..rows as u16).map(|i| 2 * i).collect());
            let batch = Batch::new(vec![Column::flat(Values::Int64(values.into()))], 2 * rows);
            take(state.push(batch.with_selection(selected)).unwrap());
        }
        take(state.finish().unwrap());
        let mut expected = 0;
        for batch in &out {
            for row in 0..batch.rows() {
                assert_eq!(Scalar::from_column(batch.column(0), row), Scalar::Int64(expected));
                expected += 1;
            }
        }
        assert_eq!(expected, next);
        out.iter().map(Batch::rows).collect()
    }

    #[test]
    fn batches_grow_from_one_to_eight() {
        assert_eq!(gathered(&[100; 20], 100), [100, 200, 400, 800, 500]);
        assert_eq!(gathered(&[30; 10], 100), [120, 180]);
        assert_eq!(gathered(&[3; 2], 100), [6]);
        assert_eq!(gathered(&[10_000; 10], 16_000), [20_000, 30_000, 30_000, 20_000]);
        assert!(gathered(&[], 100).is_empty());
    }
}
