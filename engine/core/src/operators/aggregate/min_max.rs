//! Minimum and maximum of every type: numbers in their own width, text by bytes, nested values by Arrow's row encoding.

use std::cmp::Ordering;

use arrow_buffer::i256;
use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType;
use plasmon_kernels::select::Ordered;

use super::accumulator::{Accumulator, without_nulls};
use crate::batch::arrow::{export_column, import_column};
use crate::batch::{Bitmap, Column, Physical, Values, Views, physical_type};
use crate::error::{Error, Result};

/// A minimum (or `greatest`: maximum) over values of `data_type`.
pub(super) fn accumulator(data_type: &DataType, greatest: bool) -> Result<Box<dyn Accumulator>> {
    macro_rules! numbers {
        ($($variant:ident),*) => {
            match physical_type(data_type) {
                $(Physical::$variant => Ok(Box::new(Numbers {
                    data_type: data_type.clone(),
                    greatest,
                    best: Vec::new(),
                    seen: Vec::new(),
                    take: |values| match values { Values::$variant(v) => Some(v.to_vec()), _ => None },
                    give: |best| Values::$variant(best.into()),
                    order: |a, b| a.key().cmp(&b.key()),
                })),)*
                Physical::Int256 => Ok(Box::new(Numbers {
                    data_type: data_type.clone(),
                    greatest,
                    best: Vec::<i256>::new(),
                    seen: Vec::new(),
                    take: |values| match values { Values::Int256(v) => Some(v.to_vec()), _ => None },
                    give: |best| Values::Int256(best.into()),
                    order: |a, b| a.cmp(b),
                })),
                Physical::View | Physical::Boolean | Physical::Nested | Physical::Interval => Ok(Box::new(Bytes::new(data_type, greatest)?)),
            }
        };
    }
    numbers!(Int8, Int16, Int32, Int64, Int128, UInt8, UInt16, UInt32, UInt64, Float32, Float64)
}

struct Numbers<T> {
    data_type: DataType,
    greatest: bool,
    best: Vec<T>,
    seen: Vec<bool>,
    take: fn(Values) -> Option<Vec<T>>,
    give: fn(Vec<T>) -> Values,
    order: fn(&T, &T) -> Ordering,
}

impl<T: Copy + Default + Send> Numbers<T> {
    fn column(&self, groups: impl ExactSizeIterator<Item = usize> + Clone) -> Column {
        let validity = Bitmap::from_bools(groups.clone().map(|g| self.seen[g]));
        Column::flat_with_validity((self.give)(groups.map(|g| self.best[g]).collect()), Some(validity))
    }
}

impl<T: Copy + Default + Send> Accumulator for Numbers<T> {
    fn resize(&mut self, groups: usize) -> Result<()> {
        self.best.resize(groups, T::default());
        self.seen.resize(groups, false);
        Ok(())
    }

    fn update(&mut self, arguments: &[Column], groups: &[u32]) -> Result<()> {
        let wide = arguments[0].widen(physical_type(&self.data_type));
        without_nulls(&wide, groups, |column, groups| {
            let values = (self.take)(column.flat_values()).ok_or_else(|| {
                Error::internal(format!("min/max of {} over {:?} values", self.data_type, column.physical()))
            })?;
            let better = if self.greatest { Ordering::Greater } else { Ordering::Less };
            for (value, &group) in values.iter().zip(groups) {
                let g = group as usize;
                if !self.seen[g] || (self.order)(value, &self.best[g]) == better {
                    self.best[g] = *value;
                    self.seen[g] = true;
                }
            }
            Ok(())
        })
    }

    fn merge(&mut self, states: &[Column], groups: &[u32]) -> Result<()> {
        self.update(states, groups)
    }

    fn state(&mut self, groups: &[u32]) -> Result<Vec<Column>> {
        Ok(vec![self.column(groups.iter().map(|&g| g as usize))])
    }

    fn finish(&mut self, groups: std::ops::Range<usize>) -> Result<Column> {
        Ok(self.column(groups))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![self.data_type.clone()]
    }

    fn memory_bytes(&self) -> usize {
        self.best.capacity() * (size_of::<T>() + 1)
    }

    fn room(&self) -> usize {
        self.best.capacity()
    }
}

/// Values that compare as byte strings: text itself, the rest by an order-preserving encoding.
struct Bytes {
    data_type: DataType,
    greatest: bool,
    converter: Option<RowConverter>,
    best: Vec<Option<Box<[u8]>>>,
    bytes: usize,
}

impl Bytes {
    fn new(data_type: &DataType, greatest: bool) -> Result<Self> {
        let converter = match physical_type(data_type) {
            Physical::View => None,
            _ => Some(
                RowConverter::new(vec![SortField::new(data_type.clone())])
                    .map_err(|e| Error::unsupported(format!("min/max of {data_type}: {e}")))?,
            ),
        };
        Ok(Bytes { data_type: data_type.clone(), greatest, converter, best: Vec::new(), bytes: 0 })
    }

    fn offer(&mut self, group: usize, value: &[u8]) {
        let better = match &self.best[group] {
            None => true,
            Some(best) => value.cmp(best) == if self.greatest { Ordering::Greater } else { Ordering::Less },
        };
        if better {
            let old = self.best[group].replace(value.into());
            self.bytes = self.bytes + value.len() - old.map_or(0, |old| old.len());
        }
    }

    fn column(&self, groups: impl ExactSizeIterator<Item = usize> + Clone) -> Result<Column> {
        let validity = Bitmap::from_bools(groups.clone().map(|g| self.best[g].is_some()));
        let values = match &self.converter {
            None => Values::View(Views::from_slices(groups.map(|g| self.best[g].as_deref().unwrap_or_default()))),
            Some(converter) => {
                let null = converter.convert_columns(&[arrow_array::new_null_array(&self.data_type, 1)])?;
                let parser = converter.parser();
                let rows = groups.map(|g| self.best[g].as_deref().map_or(null.row(0), |b| parser.parse(b)));
                return import_column(&converter.convert_rows(rows)?[0]);
            }
        };
        Ok(Column::flat_with_validity(values, Some(validity)))
    }
}

impl Accumulator for Bytes {
    fn resize(&mut self, groups: usize) -> Result<()> {
        self.best.resize(groups, None);
        Ok(())
    }

    fn update(&mut self, arguments: &[Column], groups: &[u32]) -> Result<()> {
        let column = &arguments[0];
        match (&self.converter, column.flat_values()) {
            (None, Values::View(views)) => {
                for (row, &group) in groups.iter().enumerate().filter(|(row, _)| column.is_valid(*row)) {
                    self.offer(group as usize, views.value(row));
                }
            }
            (Some(converter), _) => {
                let rows = converter.convert_columns(&[export_column(column, &self.data_type)?])?;
                for (row, &group) in groups.iter().enumerate().filter(|(row, _)| column.is_valid(*row)) {
                    self.offer(group as usize, rows.row(row).as_ref());
                }
            }
            _ => {
                return Err(Error::internal(format!(
                    "min/max of {} over {:?} values",
                    self.data_type,
                    column.physical()
                )));
            }
        }
        Ok(())
    }

    fn merge(&mut self, states: &[Column], groups: &[u32]) -> Result<()> {
        self.update(states, groups)
    }

    fn state(&mut self, groups: &[u32]) -> Result<Vec<Column>> {
        Ok(vec![self.column(groups.iter().map(|&g| g as usize))?])
    }

    fn finish(&mut self, groups: std::ops::Range<usize>) -> Result<Column> {
        self.column(groups)
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![self.data_type.clone()]
    }

    fn memory_bytes(&self) -> usize {
        self.best.capacity() * 16 + self.bytes
    }

    fn room(&self) -> usize {
        self.best.capacity()
    }

    fn growth(&mut self, columns: &[Column]) -> usize {
        columns.iter().map(Column::value_bytes).sum()
    }
}
