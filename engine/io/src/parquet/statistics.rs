//! What footers tell the planner: rows, bytes, bounds, nulls, an estimate of distinct values.

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use plasmon_core::batch::arrow::import_column;
use plasmon_core::expression::Scalar;
use plasmon_core::table::{ColumnStatistics, TableStatistics};

use super::{ColumnPlace, ParquetFile};

/// Sums and bounds over all row groups of all files.
pub(super) fn of_files(files: &[ParquetFile], schema: &SchemaRef) -> TableStatistics {
    let rows: i64 = files.iter().flat_map(ParquetFile::row_groups).map(|group| group.num_rows()).sum();
    let bytes: i64 = files.iter().flat_map(ParquetFile::row_groups).map(|group| group.compressed_size()).sum();
    let columns = (0..schema.fields().len()).map(|column| of_column(files, column, rows as u64)).collect();
    TableStatistics { rows: Some(rows as u64), bytes: Some(bytes as u64), columns }
}

fn of_column(files: &[ParquetFile], index: usize, rows: u64) -> ColumnStatistics {
    let mut bounds: Vec<(Scalar, Scalar)> = Vec::new();
    let mut nulls = Some(0);
    let mut bytes = 0;
    for file in files {
        match &file.columns[index] {
            ColumnPlace::Stored => {}
            ColumnPlace::Cast | ColumnPlace::RowNumber(_) => return ColumnStatistics::default(),
            ColumnPlace::Constant(value) => {
                let rows = file.row_groups().map(|group| group.num_rows() as u64).sum::<u64>();
                nulls = nulls.map(|n| if value.is_null() { n + rows } else { n });
                bounds.push((value.clone(), value.clone()));
                continue;
            }
        }
        let Some(converter) = converter(file, index) else { return ColumnStatistics::default() };
        let groups = || file.row_groups();
        let scalars = |array: parquet::errors::Result<ArrayRef>| -> Option<Vec<Scalar>> {
            let column = import_column(&array.ok()?).ok()?;
            Some((0..column.len()).map(|row| Scalar::from_column(&column, row)).collect())
        };
        match (scalars(converter.row_group_mins(groups())), scalars(converter.row_group_maxes(groups()))) {
            (Some(mins), Some(maxes)) => bounds.extend(mins.into_iter().zip(maxes)),
            _ => bounds.push((Scalar::Null, Scalar::Null)),
        }
        let converter = converter.with_missing_null_counts_as_zero(false);
        let counted = converter.row_group_null_counts(groups()).ok().and_then(|c| c.iter().sum::<Option<u64>>());
        nulls = nulls.zip(counted).map(|(a, b)| a + b);
        if let Some(leaf) = converter.parquet_column_index() {
            bytes += groups().map(|g| g.column(leaf).compressed_size() as u64).sum::<u64>();
        }
    }
    let known = !bounds.is_empty() && bounds.iter().all(|(min, max)| !min.is_null() && !max.is_null());
    let least = |a: Scalar, b: Scalar| if less(&b, &a) { b } else { a };
    let greatest = |a: Scalar, b: Scalar| if less(&a, &b) { b } else { a };
    let min = known.then(|| bounds.iter().map(|b| b.0.clone()).reduce(least)).flatten();
    let max = known.then(|| bounds.iter().map(|b| b.1.clone()).reduce(greatest)).flatten();
    let is_clustered = known && bounds.len() > 1 && bounds.windows(2).all(|w| !less(&w[1].0, &w[0].1));
    ColumnStatistics { distinct: distinct(&min, &max, rows), min, max, nulls, bytes: Some(bytes), is_clustered }
}

/// Of the column's statistics in the file.
fn converter(file: &ParquetFile, column: usize) -> Option<StatisticsConverter<'_>> {
    let name = file.stored_name(column)?;
    StatisticsConverter::try_new(name, file.metadata.schema(), file.metadata.parquet_schema()).ok()
}

/// Integers cannot have more distinct values than their range.
fn distinct(min: &Option<Scalar>, max: &Option<Scalar>, rows: u64) -> Option<u64> {
    let (min, max) = (min.as_ref()?.as_i64()?, max.as_ref()?.as_i64()?);
    Some((max.checked_sub(min)? as u64).saturating_add(1).min(rows))
}

fn less(a: &Scalar, b: &Scalar) -> bool {
    match (a, b) {
        (Scalar::Int64(a), Scalar::Int64(b)) => a < b,
        (Scalar::UInt64(a), Scalar::UInt64(b)) => a < b,
        (Scalar::Int128(a), Scalar::Int128(b)) => a < b,
        (Scalar::Float32(a), Scalar::Float32(b)) => a < b,
        (Scalar::Float64(a), Scalar::Float64(b)) => a < b,
        (Scalar::Bytes(a), Scalar::Bytes(b)) => a < b,
        (Scalar::Boolean(a), Scalar::Boolean(b)) => !a & b,
        _ => false,
    }
}
