//! Which partition each row of a batch goes to.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::batch::{Batch, Column, Encoding, Values};
use crate::error::{Error, Result};
use crate::expression::{Expression, Scalar, SortKey, evaluate, murmur3};
use crate::operators::sort::{KeyOrder, KeyParts, Layout};

/// How rows are dealt to partitions.
#[derive(Debug, Clone)]
pub enum Partitioning {
    /// The positive remainder of Spark's hash of the keys by the number of partitions.
    Hash(Vec<Expression>),
    /// The first partition whose bound is not before the row, else the one behind the last bound. Bounds ascend: a constant per key.
    Range { keys: Vec<SortKey>, bounds: Vec<Vec<Scalar>> },
    /// All to the first.
    Single,
    /// In turn, from this number on.
    RoundRobin(u64),
    /// The value of an `int32`.
    Computed(Expression),
}

/// A partitioning of so many partitions.
#[derive(Debug)]
pub(super) struct Partitioner {
    partitioning: Partitioning,
    partitions: usize,
    /// Bounds of ranges, a column per key.
    bounds: Vec<Column>,
    /// Rows dealt in turn so far.
    dealt: AtomicU64,
}

impl Partitioner {
    pub(super) fn new(partitioning: Partitioning, partitions: usize) -> Result<Self> {
        let bounds = match &partitioning {
            Partitioning::Range { keys, bounds } => bound_columns(keys, bounds, partitions)?,
            _ => Vec::new(),
        };
        Ok(Partitioner { partitioning, partitions, bounds, dealt: AtomicU64::new(0) })
    }

    pub(super) fn partitions(&self) -> usize {
        self.partitions
    }

    /// The partition of each row of a batch all of whose rows count.
    pub(super) fn targets(&self, batch: &Batch) -> Result<Vec<u32>> {
        let rows = batch.rows();
        match &self.partitioning {
            Partitioning::Single => Ok(vec![0; rows]),
            Partitioning::RoundRobin(start) => {
                let before = self.dealt.fetch_add(rows as u64, Ordering::Relaxed);
                let first = start.wrapping_add(before);
                Ok((0..rows as u64).map(|row| (first.wrapping_add(row) % self.partitions as u64) as u32).collect())
            }
            Partitioning::Hash(keys) => {
                let columns = keys.iter().map(|key| evaluate(key, batch)).collect::<Result<Vec<_>>>()?;
                let hashes = murmur3(columns.iter().zip(keys.iter().map(|key| &key.data_type)), rows)?;
                let partitions = self.partitions as i32;
                Ok(hashes.into_iter().map(|hash| hash.rem_euclid(partitions) as u32).collect())
            }
            Partitioning::Range { keys, .. } => self.ranges(keys, batch),
            Partitioning::Computed(expression) => self.computed(&evaluate(expression, batch)?),
        }
    }

    /// Rows and bounds are encoded together, so that they compare.
    fn ranges(&self, keys: &[SortKey], batch: &Batch) -> Result<Vec<u32>> {
        let rows = batch.rows();
        let bounds = self.bounds.first().map_or(0, Column::len);
        if bounds == 0 {
            return Ok(vec![0; rows]);
        }
        let columns = keys.iter().zip(&self.bounds).map(|(key, bounds)| {
            let values = evaluate(&key.expression, batch)?;
            Column::concat(&[values, bounds.clone()], &key.expression.data_type)
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let parts = columns.iter().zip(keys).map(|(column, key)| {
            let order = KeyOrder { descending: key.descending, nulls_first: key.nulls_first };
            (column, &key.expression.data_type, order)
        });
        let parts = KeyParts::new(parts, rows + bounds)?;
        let encoded = Layout::new(&parts, &parts.stats()?).encode(&parts)?;
        Ok((0..rows)
            .map(|row| {
                let key = encoded.key(row);
                first_where(bounds, |bound| encoded.key(rows + bound) >= key) as u32
            })
            .collect())
    }

    fn computed(&self, column: &Column) -> Result<Vec<u32>> {
        let flat = column.flatten();
        let Encoding::Flat(Values::Int32(values)) = flat.encoding() else {
            return Err(Error::internal(format!("a partition's number is {:?}", flat.physical())));
        };
        let number = |(row, &value): (usize, &i32)| match usize::try_from(value) {
            _ if !flat.is_valid(row) => Err(Error::data("the number of a row's partition is null")),
            Ok(number) if number < self.partitions => Ok(number as u32),
            _ => Err(Error::data(format!("a row's partition is {value}, of {} partitions", self.partitions))),
        };
        values.iter().enumerate().map(number).collect()
    }
}

/// The first of `count` ascending numbers for which `test`, true from some number on, is true; else `count`.
fn first_where(count: usize, test: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = (low + high) / 2;
        if test(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

fn bound_columns(keys: &[SortKey], bounds: &[Vec<Scalar>], partitions: usize) -> Result<Vec<Column>> {
    if bounds.len() >= partitions {
        return Err(Error::user(format!("{} bounds between {partitions} partitions", bounds.len())));
    }
    if let Some(odd) = bounds.iter().find(|bound| bound.len() != keys.len()) {
        return Err(Error::user(format!("a bound of {} values for {} keys", odd.len(), keys.len())));
    }
    let column = |(index, key): (usize, &SortKey)| {
        let data_type = &key.expression.data_type;
        let values = bounds.iter().map(|bound| bound[index].to_column(data_type, 1)).collect::<Result<Vec<_>>>()?;
        Column::concat(&values, data_type)
    };
    keys.iter().enumerate().map(column).collect()
}
