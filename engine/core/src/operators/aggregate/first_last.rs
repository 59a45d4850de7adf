//! First and last value of a group, in the order of given keys or in arrival order.

use std::cmp::Ordering;

use arrow_array::Array;
use arrow_row::{RowConverter, SortField};
use arrow_schema::{DataType, SortOptions};

use super::accumulator::Accumulator;
use crate::batch::arrow::export_column;
use crate::batch::{Bitmap, Column, Values, Views};
use crate::error::Result;
use crate::expression::{Scalar, SortKey};

/// Groups whose values become one column at a time.
const COLUMN_GROUPS: usize = 1 << 10;

/// The arguments are the value, then the values of the order keys.
pub(super) struct FirstLast {
    last: bool,
    ignore_nulls: bool,
    data_type: DataType,
    keys: Vec<SortKey>,
    converter: Option<RowConverter>,
    /// Order-preserving bytes of the order keys, and the value.
    best: Vec<Option<(Box<[u8]>, Scalar)>>,
    /// Bytes of those that lie elsewhere.
    bytes: usize,
}

/// Bytes of a key and a value that lie elsewhere.
fn bytes(key: &[u8], value: &Scalar) -> usize {
    key.len()
        + match value {
            Scalar::Bytes(bytes) => bytes.len() + 16,
            Scalar::Nested(array) => array.get_array_memory_size(),
            _ => 0,
        }
}

impl FirstLast {
    pub(super) fn new(last: bool, ignore_nulls: bool, data_type: DataType, order_by: &[SortKey]) -> Result<Self> {
        let fields: Vec<SortField> = order_by
            .iter()
            .map(|k| {
                SortField::new_with_options(
                    k.expression.data_type.clone(),
                    SortOptions { descending: k.descending, nulls_first: k.nulls_first },
                )
            })
            .collect();
        let converter = if fields.is_empty() { None } else { Some(RowConverter::new(fields)?) };
        Ok(FirstLast { last, ignore_nulls, data_type, keys: order_by.to_vec(), converter, best: Vec::new(), bytes: 0 })
    }

    fn offer(&mut self, group: usize, key: &[u8], value: Scalar) {
        if self.ignore_nulls && value.is_null() {
            return;
        }
        let better = match &self.best[group] {
            None => true,
            Some((best, _)) if self.last => key.cmp(best) != Ordering::Less,
            Some((best, _)) => key.cmp(best) == Ordering::Less,
        };
        if better {
            self.bytes += bytes(key, &value);
            let old = self.best[group].replace((key.into(), value));
            self.bytes -= old.map_or(0, |(key, value)| bytes(&key, &value));
        }
    }

    fn column(&self, groups: impl ExactSizeIterator<Item = usize>) -> Result<Column> {
        let mut values =
            groups.map(|g| self.best[g].as_ref().map_or(&Scalar::Null, |(_, v)| v).to_column(&self.data_type, 1));
        let mut columns = Vec::new();
        loop {
            // A column of one value takes many times what the value does.
            let some = values.by_ref().take(COLUMN_GROUPS).collect::<Result<Vec<_>>>()?;
            if some.is_empty() {
                return Column::concat_owned(columns, &self.data_type);
            }
            columns.push(Column::concat(&some, &self.data_type)?);
        }
    }
}

impl Accumulator for FirstLast {
    fn resize(&mut self, groups: usize) -> Result<()> {
        self.best.resize(groups, None);
        Ok(())
    }

    fn update(&mut self, arguments: &[Column], groups: &[u32]) -> Result<()> {
        let encoded = match &self.converter {
            Some(converter) => {
                let keys = arguments[1..]
                    .iter()
                    .zip(&self.keys)
                    .map(|(c, k)| export_column(c, &k.expression.data_type))
                    .collect::<Result<Vec<_>>>()?;
                Some(converter.convert_columns(&keys)?)
            }
            None => None,
        };
        for (row, &group) in groups.iter().enumerate() {
            let value = Scalar::from_column(&arguments[0], row);
            match &encoded {
                Some(rows) => self.offer(group as usize, rows.row(row).as_ref(), value),
                None => self.offer(group as usize, &[], value),
            }
        }
        Ok(())
    }

    fn merge(&mut self, states: &[Column], groups: &[u32]) -> Result<()> {
        let (Values::View(keys), value) = (states[0].flat_values(), &states[1]) else { return Ok(()) };
        for (row, &group) in groups.iter().enumerate().filter(|(row, _)| states[0].is_valid(*row)) {
            self.offer(group as usize, keys.value(row), Scalar::from_column(value, row));
        }
        Ok(())
    }

    fn state(&mut self, groups: &[u32]) -> Result<Vec<Column>> {
        let best = || groups.iter().map(|&g| self.best[g as usize].as_ref());
        let keys = Views::from_slices(best().map(|b| b.map_or(&[][..], |(k, _)| k)));
        let validity = Bitmap::from_bools(best().map(|b| b.is_some()).collect::<Vec<_>>().into_iter());
        Ok(vec![
            Column::flat_with_validity(Values::View(keys), Some(validity)),
            self.column(groups.iter().map(|&g| g as usize))?,
        ])
    }

    fn finish(&mut self, groups: std::ops::Range<usize>) -> Result<Column> {
        self.column(groups)
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::BinaryView, self.data_type.clone()]
    }

    fn memory_bytes(&self) -> usize {
        self.best.capacity() * size_of::<Option<(Box<[u8]>, Scalar)>>() + self.bytes
    }

    fn room(&self) -> usize {
        self.best.capacity()
    }

    fn growth(&mut self, columns: &[Column]) -> usize {
        columns.iter().map(Column::value_bytes).sum::<usize>() * 2
    }
}
