//! Aggregates that come from outside, over Arrow arrays.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

use super::accumulator::Accumulator;
use super::{CustomAccumulator, CustomAggregate};
use crate::batch::Column;
use crate::batch::arrow::{export_column, import_column};
use crate::error::Result;

/// What an accumulator of one group, or one row of its own, takes about, unless those that there are take more.
const ROW_BYTES: usize = 256;
/// Rows that come first, to see what a group takes.
const FIRST_ROWS: usize = 32;
/// Bytes by which rows taken at once may make the states grow: far more is reserved for them than the few that are new groups need.
const GROWTH_BYTES: usize = 4 << 20;

pub(super) struct Custom {
    function: Arc<dyn CustomAggregate>,
    inner: Box<dyn CustomAccumulator>,
    groups: usize,
    /// States of all groups, once asked for …
    states: Option<Vec<Column>>,
    /// … or results.
    results: Option<ArrayRef>,
}

impl Custom {
    pub(super) fn new(function: Arc<dyn CustomAggregate>) -> Result<Self> {
        Ok(Custom { inner: function.create()?, function, groups: 0, states: None, results: None })
    }

    fn arrays(columns: &[Column], types: &[DataType]) -> Result<Vec<ArrayRef>> {
        columns.iter().zip(types).map(|(c, t)| export_column(c, t)).collect()
    }
}

fn widened(groups: &[u32]) -> Vec<usize> {
    groups.iter().map(|&g| g as usize).collect()
}

impl Accumulator for Custom {
    fn resize(&mut self, groups: usize) -> Result<()> {
        self.groups = groups;
        Ok(())
    }

    fn update(&mut self, arguments: &[Column], groups: &[u32]) -> Result<()> {
        let arrays = Self::arrays(arguments, &self.function.argument_types())?;
        self.inner.update(&arrays, &widened(groups), self.groups)
    }

    fn merge(&mut self, states: &[Column], groups: &[u32]) -> Result<()> {
        let arrays = Self::arrays(states, &self.function.state_types())?;
        self.inner.merge(&arrays, &widened(groups), self.groups)
    }

    fn state(&mut self, groups: &[u32]) -> Result<Vec<Column>> {
        if self.states.is_none() {
            // Groups without rows must exist too.
            self.touch()?;
            self.states = Some(self.inner.state()?.iter().map(import_column).collect::<Result<_>>()?);
        }
        Ok(self.states.iter().flatten().map(|c| c.gather(groups)).collect())
    }

    fn finish(&mut self, groups: std::ops::Range<usize>) -> Result<Column> {
        let results = match self.results.take() {
            Some(results) => results,
            None => {
                self.touch()?;
                self.inner.evaluate()?
            }
        };
        let column = import_column(&results.slice(groups.start, groups.len()));
        self.results = Some(results);
        column
    }

    fn state_types(&self) -> Vec<DataType> {
        self.function.state_types()
    }

    fn memory_bytes(&self) -> usize {
        self.inner.memory_bytes() + self.taken_bytes()
    }

    fn growth(&mut self, columns: &[Column]) -> usize {
        let rows = columns.first().map_or(0, Column::len);
        columns.iter().map(Column::value_bytes).sum::<usize>() * 2 + rows * self.row_bytes()
    }

    fn rows_at_once(&self) -> usize {
        if self.groups == 0 { FIRST_ROWS } else { (GROWTH_BYTES / self.row_bytes()).max(FIRST_ROWS) }
    }

    /// What is held exists twice when it is given away; asking for its size may cost a look at every group.
    fn footprint(&self) -> usize {
        2 * self.inner.memory_bytes() + self.taken_bytes()
    }
}

impl Custom {
    /// What a row that is a new group adds to the footprint, going by the groups so far.
    fn row_bytes(&self) -> usize {
        ROW_BYTES.max(2 * self.inner.memory_bytes() / self.groups.max(1))
    }

    /// Bytes of states or results.
    fn taken_bytes(&self) -> usize {
        let states: usize = self.states.iter().flatten().map(Column::memory_bytes).sum();
        states + self.results.as_ref().map_or(0, |array| array.get_array_memory_size())
    }

    /// Tells the accumulator how many groups there are, with no rows.
    fn touch(&mut self) -> Result<()> {
        let empty: Vec<ArrayRef> = self.function.argument_types().iter().map(arrow_array::new_empty_array).collect();
        self.inner.update(&empty, &[], self.groups)
    }
}
