//! Aggregates that compute with values, over values of the type Null: null in every group.

use arrow_schema::DataType;

use super::accumulator::Accumulator;
use crate::batch::Column;
use crate::batch::arrow::null_column;
use crate::error::Result;

pub(super) struct Nulls {
    result: DataType,
}

impl Nulls {
    pub(super) fn new(result: DataType) -> Self {
        Nulls { result }
    }
}

impl Accumulator for Nulls {
    fn resize(&mut self, _groups: usize) -> Result<()> {
        Ok(())
    }

    fn update(&mut self, _arguments: &[Column], _groups: &[u32]) -> Result<()> {
        Ok(())
    }

    fn merge(&mut self, _states: &[Column], _groups: &[u32]) -> Result<()> {
        Ok(())
    }

    fn state(&mut self, groups: &[u32]) -> Result<Vec<Column>> {
        Ok(vec![null_column(&self.result, groups.len())])
    }

    fn finish(&mut self, groups: std::ops::Range<usize>) -> Result<Column> {
        Ok(null_column(&self.result, groups.len()))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![self.result.clone()]
    }

    fn memory_bytes(&self) -> usize {
        0
    }
}
