//! Aggregates that come from outside, over Arrow arrays.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

use super::accumulator::{Accumulator, value_bytes};
use super::{CustomAccumulator, CustomAggregate};
use crate::batch::Column;
use crate::batch::arrow::{export_column, import_column};
use crate::error::Result;

/// What an accumulator of one group, or one row of its own, takes about.
const ROW_BYTES: usize = 256;

pub(super) struct Custom {
    function: Arc<dyn CustomAggregate>,
    inner: Box<dyn CustomAccumulator>,
    groups: usize,
    /// State or result of all groups, once asked for.
    taken: Option<Vec<ArrayRef>>,
}

impl Custom {
    pub(super) fn new(function: Arc<dyn CustomAggregate>) -> Result<Self> {
        Ok(Custom { inner: function.create()?, function, groups: 0, taken: None })
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
        if self.taken.is_none() {
            // Groups without rows must exist too.
            self.touch()?;
            self.taken = Some(self.inner.state()?);
        }
        let columns = self.taken.iter().flatten().map(import_column).collect::<Result<Vec<_>>>()?;
        Ok(columns.iter().map(|c| c.gather(groups)).collect())
    }

    fn finish(&mut self, groups: std::ops::Range<usize>) -> Result<Column> {
        if self.taken.is_none() {
            self.touch()?;
            self.taken = Some(vec![self.inner.evaluate()?]);
        }
        let array = self.taken.iter().flatten().next().map(|a| a.slice(groups.start, groups.len()));
        array.map_or_else(|| Ok(crate::batch::arrow::null_column(&DataType::Null, groups.len())), |a| import_column(&a))
    }

    fn state_types(&self) -> Vec<DataType> {
        self.function.state_types()
    }

    fn memory_bytes(&self) -> usize {
        let taken: usize = self.taken.iter().flatten().map(|array| array.get_array_memory_size()).sum();
        self.inner.memory_bytes() + taken
    }

    fn growth(&mut self, columns: &[Column]) -> usize {
        let rows = columns.first().map_or(0, Column::len);
        columns.iter().map(value_bytes).sum::<usize>() * 2 + rows * ROW_BYTES
    }

    fn headroom(&self) -> usize {
        self.inner.memory_bytes()
    }
}

impl Custom {
    /// Tells the accumulator how many groups there are, with no rows.
    fn touch(&mut self) -> Result<()> {
        let empty: Vec<ArrayRef> = self.function.argument_types().iter().map(arrow_array::new_empty_array).collect();
        self.inner.update(&empty, &[], self.groups)
    }
}
