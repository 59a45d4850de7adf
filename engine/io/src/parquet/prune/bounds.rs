//! Least and greatest values and numbers of nulls, as footers tell them of row groups and column indexes of pages.
//!
//! Bounds of text may be truncated (a prefix that is still a bound), so equality of bounds proves nothing and only order is used. A float that
//! is no number is greater than all others and in no bounds: floats are pruned from above only.

use std::cmp::Ordering;
use std::ops::Range;

use arrow::array::ArrayRef;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::basic::{LogicalType, Type as PhysicalType};
use parquet::file::metadata::RowGroupMetaData;
use parquet::schema::types::ColumnDescriptor;
use plasmon_core::batch::arrow::import_column;
use plasmon_core::expression::{CompareOp, Scalar};

use super::super::page_index::pages_described;
use super::super::{ColumnPlace, ParquetFile};
use super::evidence::Evidence;

/// What is known of one column in a row group or page.
#[derive(Debug, Clone)]
pub(super) struct ValueBounds {
    /// Null = unknown.
    pub(super) min: Scalar,
    pub(super) max: Scalar,
    pub(super) nulls: Option<u64>,
    pub(super) rows: u64,
}

impl ValueBounds {
    fn new(min: Scalar, max: Scalar, nulls: Option<u64>, rows: u64) -> Self {
        // Bounds in the wrong order are no bounds.
        if ordered(&min, &max) == Some(Ordering::Greater) {
            return ValueBounds { min: Scalar::Null, max: Scalar::Null, nulls: None, rows };
        }
        ValueBounds { min, max, nulls: nulls.filter(|&n| n <= rows), rows }
    }

    fn is_one_integer(&self) -> bool {
        integer(&self.min).is_some() && integer(&self.min) == integer(&self.max)
    }

    /// Whether these bounds lie within those of the row group, as far as both are integers.
    fn lie_within(&self, group: &ValueBounds) -> bool {
        let ordered = |a: &Scalar, b: &Scalar| integer(a).zip(integer(b)).is_none_or(|(a, b)| a <= b);
        ordered(&group.min, &self.min) && ordered(&self.max, &group.max)
    }
}

impl Evidence for ValueBounds {
    fn may_compare(&self, op: CompareOp, constant: &Scalar) -> bool {
        let (to_min, to_max) = (ordered(constant, &self.min), ordered(constant, &self.max));
        let is_float = matches!(constant, Scalar::Float32(_) | Scalar::Float64(_));
        match op {
            CompareOp::Equal => to_min != Some(Ordering::Less) && to_max != Some(Ordering::Greater),
            CompareOp::Less => !to_min.is_some_and(Ordering::is_le),
            CompareOp::LessEqual => to_min != Some(Ordering::Less),
            CompareOp::Greater => is_float || !to_max.is_some_and(Ordering::is_ge),
            CompareOp::GreaterEqual => is_float || to_max != Some(Ordering::Greater),
            CompareOp::NotEqual => !self.is_one_integer() || to_min != Some(Ordering::Equal),
            CompareOp::DistinctFrom | CompareOp::NotDistinctFrom => true,
        }
    }

    fn may_be_null(&self) -> bool {
        self.nulls != Some(0)
    }

    fn may_be_valid(&self) -> bool {
        self.nulls != Some(self.rows)
    }

    fn may_start_with(&self, prefix: &[u8]) -> bool {
        match (&self.min, &self.max) {
            (Scalar::Bytes(min), Scalar::Bytes(max)) => {
                &min[..min.len().min(prefix.len())] <= prefix && prefix <= &max[..]
            }
            _ => true,
        }
    }
}

/// Values of one type in the order in which files bound them; `None` when there is none.
fn ordered(a: &Scalar, b: &Scalar) -> Option<Ordering> {
    match (a, b) {
        (Scalar::Bytes(a), Scalar::Bytes(b)) => Some(a.cmp(b)),
        (Scalar::Boolean(a), Scalar::Boolean(b)) => Some(a.cmp(b)),
        (Scalar::Float32(a), Scalar::Float32(b)) => a.partial_cmp(b),
        (Scalar::Float64(a), Scalar::Float64(b)) => a.partial_cmp(b),
        _ => integer(a).zip(integer(b)).map(|(a, b)| a.cmp(&b)),
    }
}

fn integer(value: &Scalar) -> Option<i128> {
    match value {
        Scalar::Int64(v) => Some(i128::from(*v)),
        Scalar::UInt64(v) => Some(i128::from(*v)),
        Scalar::Int128(v) => Some(*v),
        _ => None,
    }
}

/// Bounds of one column of a file.
pub(super) struct ColumnBounds<'a> {
    file: &'a ParquetFile,
    converter: StatisticsConverter<'a>,
    leaf: usize,
    /// By row group.
    pub(super) groups: Vec<ValueBounds>,
}

impl<'a> ColumnBounds<'a> {
    /// `None`: the file tells nothing of the column, or not in the table's type.
    pub(super) fn of(file: &'a ParquetFile, column: usize) -> Option<Self> {
        if file.columns[column] != ColumnPlace::Stored {
            return None;
        }
        let (name, descriptor) = (file.stored_name(column)?, file.metadata.parquet_schema());
        let converter = StatisticsConverter::try_new(name, file.metadata.schema(), descriptor).ok()?;
        let converter = converter.with_missing_null_counts_as_zero(false);
        let leaf = converter.parquet_column_index()?;
        let groups = file.metadata.metadata().row_groups();
        let is_old = |g: &RowGroupMetaData| g.column(leaf).statistics().is_some_and(|s| s.is_min_max_deprecated());
        // Old writers compared whatever bytes as signed numbers.
        if !is_signed(&descriptor.column(leaf)) && groups.iter().any(is_old) {
            return None;
        }
        let mins = scalars(converter.row_group_mins(groups).ok()?, groups.len())?;
        let maxes = scalars(converter.row_group_maxes(groups).ok()?, groups.len())?;
        let bounds = mins.into_iter().zip(maxes).zip(groups).map(|((min, max), group)| {
            let nulls = group.column(leaf).statistics().and_then(|s| s.null_count_opt());
            ValueBounds::new(min, max, nulls, group.num_rows().max(0) as u64)
        });
        Some(ColumnBounds { file, groups: bounds.collect(), leaf, converter })
    }

    /// The column's leaf in the file.
    pub(super) fn leaf(&self) -> usize {
        self.leaf
    }

    /// Bounds of the pages of a row group, which hold these rows; `None` = the file tells none.
    pub(super) fn pages(&self, group: usize, rows: &[Range<usize>]) -> Option<Vec<ValueBounds>> {
        let metadata = self.file.metadata.metadata();
        let (bounds, offsets) = (metadata.column_index()?, metadata.offset_index()?);
        let index = bounds.get(group)?.get(self.leaf)?;
        if pages_described(index) != rows.len() {
            return None;
        }
        let mins = scalars(self.converter.data_page_mins(bounds, offsets, [&group]).ok()?, rows.len())?;
        let maxes = scalars(self.converter.data_page_maxes(bounds, offsets, [&group]).ok()?, rows.len())?;
        let counts = index.null_counts();
        let pages = mins.into_iter().zip(maxes).zip(rows).enumerate().map(|(page, ((min, max), rows))| {
            let rows = rows.len();
            let nulls = counts.and_then(|c| c.get(page)).and_then(|&n| u64::try_from(n).ok());
            let nulls = if index.is_null_page(page) { Some(rows as u64) } else { nulls };
            ValueBounds::new(min, max, nulls, rows as u64)
        });
        let pages: Vec<ValueBounds> = pages.collect();
        // An index that contradicts the footer is not believed.
        pages.iter().all(|page| page.lie_within(&self.groups[group])).then_some(pages)
    }
}

fn is_signed(descriptor: &ColumnDescriptor) -> bool {
    let is_unsigned = matches!(descriptor.logical_type_ref(), Some(LogicalType::Integer(i)) if !i.is_signed);
    matches!(
        descriptor.physical_type(),
        PhysicalType::INT32 | PhysicalType::INT64 | PhysicalType::FLOAT | PhysicalType::DOUBLE
    ) && !is_unsigned
}

fn scalars(array: ArrayRef, len: usize) -> Option<Vec<Scalar>> {
    let column = import_column(&array).ok().filter(|c| c.len() == len)?;
    Some((0..len).map(|row| Scalar::from_column(&column, row)).collect())
}
