//! Numbers that tell the rows of a table apart: files in their order, rows as they are stored.
//!
//! The scan sees them as one column after the table's own; runtime filters on it choose rows before anything is read.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use plasmon_core::operators::runtime_filter::KeyFilter;
use plasmon_core::table::{ScanRequest, row_number_field};

use super::ranges::RowRanges;
use super::{ColumnPlace, ParquetFile, native};

/// A table's columns and the row number.
pub(super) fn with_row_number(schema: &Schema) -> SchemaRef {
    let fields: Vec<FieldRef> = schema.fields().iter().cloned().chain([Arc::new(row_number_field())]).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// Appends the row number to the columns of every file.
pub(super) fn number(files: &mut [ParquetFile]) {
    let mut first = 0;
    for file in files {
        file.columns.push(ColumnPlace::RowNumber(first));
        first += file.metadata.metadata().file_metadata().num_rows().max(0);
    }
}

/// Whether rows can be numbered: the library's reader, which rare layouts need, does not tell which rows it gives.
pub(super) fn can_number(files: &[ParquetFile], schema: &Schema) -> bool {
    let columns: Vec<usize> = (0..schema.fields().len()).collect();
    files.iter().all(|file| {
        let groups = 0..file.metadata.metadata().num_row_groups();
        groups.into_iter().all(|group| native::reads(file, group, schema, &columns))
    })
}

/// The number of a row group's first row; `None` when `column` is not the row number.
pub(super) fn first_of_group(file: &ParquetFile, group: usize, column: usize) -> Option<i64> {
    let ColumnPlace::RowNumber(first) = file.columns[column] else { return None };
    let before = &file.metadata.metadata().row_groups()[..group];
    Some(first + before.iter().map(|g| g.num_rows().max(0)).sum::<i64>())
}

/// Which of the `rows` rows of a row group the request's keys of row numbers leave; `None` = all.
pub(super) fn chosen(file: &ParquetFile, group: usize, rows: usize, request: &ScanRequest) -> Option<RowRanges> {
    let mut chosen: Option<RowRanges> = None;
    for target in &request.runtime_filters {
        let Some(first) = first_of_group(file, group, target.column) else { continue };
        let Some(keys) = target.filter.keys() else { continue };
        let own = rows_of(keys, first, rows);
        chosen = Some(chosen.map_or_else(|| own.clone(), |others| others.intersect(&own)));
    }
    chosen
}

/// The rows, counted from `first`, whose numbers are among the keys or may be.
fn rows_of(keys: &KeyFilter, first: i64, rows: usize) -> RowRanges {
    if rows == 0 || !keys.may_overlap(first, first + rows as i64 - 1) {
        return RowRanges::of([]);
    }
    match keys {
        KeyFilter::Bitmap { .. } => {
            let present = (0..rows).filter(|&row| keys.may_contain(first + row as i64));
            RowRanges::of(present.map(|row| row..row + 1))
        }
        _ => RowRanges::all(rows),
    }
}
