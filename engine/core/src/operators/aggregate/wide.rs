//! Sums and averages of 256-bit decimals.

use arrow_buffer::i256;
use arrow_schema::{DECIMAL256_MAX_PRECISION, DataType};
use plasmon_kernels::group::add_ones;

use super::accumulator::{
    Accumulator, add_counts, average, average_factor, bits, gathered, mark, no_fit, without_nulls, wrong_values,
};
use crate::batch::{Bitmap, Column, Physical, Values};
use crate::error::{Error, Result};

/// Sum of 256-bit decimals.
pub(super) struct Sum {
    result: DataType,
    sums: Vec<i256>,
    seen: Vec<bool>,
}

impl Sum {
    pub(super) fn new(result: DataType) -> Self {
        Sum { result, sums: Vec::new(), seen: Vec::new() }
    }
}

impl Accumulator for Sum {
    fn resize(&mut self, groups: usize) -> Result<()> {
        self.sums.resize(groups, i256::ZERO);
        self.seen.resize(groups, false);
        Ok(())
    }

    fn update(&mut self, arguments: &[Column], groups: &[u32]) -> Result<()> {
        without_nulls(&arguments[0].widen(Physical::Int256), groups, |column, groups| {
            mark(&mut self.seen, groups);
            let Values::Int256(values) = column.flat_values() else { return Err(wrong_values(column)) };
            for (value, &group) in values.iter().zip(groups) {
                let sum = &mut self.sums[group as usize];
                *sum = sum
                    .checked_add(*value)
                    .ok_or_else(|| Error::data("arithmetic overflow: a sum does not fit 256 bits"))?;
            }
            Ok(())
        })
    }

    fn merge(&mut self, states: &[Column], groups: &[u32]) -> Result<()> {
        self.update(states, groups)
    }

    fn state(&mut self, groups: &[u32]) -> Result<Vec<Column>> {
        let validity = bits(&self.seen, groups.iter().map(|&g| g as usize));
        Ok(vec![Column::flat_with_validity(Values::Int256(gathered(&self.sums, groups).into()), validity)])
    }

    fn finish(&mut self, groups: std::ops::Range<usize>) -> Result<Column> {
        let validity = bits(&self.seen, groups.clone());
        Ok(Column::flat_with_validity(Values::Int256(self.sums[groups].to_vec().into()), validity))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![self.result.clone()]
    }

    fn memory_bytes(&self) -> usize {
        self.sums.capacity() * 33
    }

    fn room(&self) -> usize {
        self.sums.capacity()
    }
}

/// Average of 256-bit decimals, divided with rounding half away from zero at the result's scale.
pub(super) struct Average {
    result: DataType,
    /// [`average_factor`].
    factor: i256,
    counts: Vec<i64>,
    sum: Sum,
}

impl Average {
    pub(super) fn new(argument: &DataType, result: DataType) -> Result<Self> {
        let factor = average_factor(argument, &result)?;
        // Sums have more digits than values.
        let sum = match argument {
            DataType::Decimal256(_, scale) => DataType::Decimal256(DECIMAL256_MAX_PRECISION, *scale),
            other => other.clone(),
        };
        Ok(Average { result, factor, counts: Vec::new(), sum: Sum::new(sum) })
    }
}

impl Accumulator for Average {
    fn resize(&mut self, groups: usize) -> Result<()> {
        self.counts.resize(groups, 0);
        self.sum.resize(groups)
    }

    fn update(&mut self, arguments: &[Column], groups: &[u32]) -> Result<()> {
        without_nulls(&arguments[0], groups, |column, groups| {
            add_ones(&mut self.counts, groups);
            self.sum.update(std::slice::from_ref(column), groups)
        })
    }

    fn merge(&mut self, states: &[Column], groups: &[u32]) -> Result<()> {
        add_counts(&mut self.counts, &states[0], groups)?;
        self.sum.merge(&states[1..], groups)
    }

    fn state(&mut self, groups: &[u32]) -> Result<Vec<Column>> {
        let counts = Column::flat(Values::Int64(gathered(&self.counts, groups).into()));
        Ok([vec![counts], self.sum.state(groups)?].concat())
    }

    fn finish(&mut self, groups: std::ops::Range<usize>) -> Result<Column> {
        let validity = Some(Bitmap::from_bools(groups.clone().map(|g| self.counts[g] > 0)));
        let averages = groups
            .map(|g| average(self.sum.sums[g], self.counts[g], self.factor).ok_or_else(|| no_fit(&self.result)))
            .collect::<Result<Vec<i256>>>()?;
        Ok(Column::flat_with_validity(Values::Int256(averages.into()), validity))
    }

    fn state_types(&self) -> Vec<DataType> {
        [vec![DataType::Int64], self.sum.state_types()].concat()
    }

    fn memory_bytes(&self) -> usize {
        self.counts.capacity() * 8 + self.sum.memory_bytes()
    }

    fn room(&self) -> usize {
        self.counts.capacity()
    }
}
