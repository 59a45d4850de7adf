//! What a scan need not read, cheapest evidence first: values that files do not store, bounds of row groups, row
//! numbers, bounds of pages; then, when a
//! row group's turn comes, its Bloom filters, and the dictionaries that its columns are read by anyway (`native`).

mod bloom;
mod bounds;
mod evidence;
#[cfg(test)]
mod tests;

use arrow::datatypes::SchemaRef;
use plasmon_core::expression::Expression;
use plasmon_core::metrics::OperatorMetrics;
use plasmon_core::operators::runtime_filter::KeyFilter;
use plasmon_core::table::ScanRequest;

use super::page_index::{page_rows, pages};
use super::ranges::RowRanges;
use super::{Morsel, ParquetFile, row_numbers};
use crate::partition::file_may_pass;
pub(super) use bloom::BloomTests;
use bounds::{ColumnBounds, ValueBounds};
use evidence::{Evidence, may_pass};

/// How much was left out, and by what.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Pruned {
    pub(super) groups: usize,
    /// Row groups of files whose one value of some column does not pass.
    pub(super) groups_by_constants: usize,
    pub(super) groups_by_bounds: usize,
    /// Pages that cannot pass a test of their column.
    pub(super) pages_by_bounds: usize,
}

impl Pruned {
    /// Tells EXPLAIN ANALYZE.
    pub(super) fn note(&self, metrics: &OperatorMetrics) {
        let wanted = self.groups - self.groups_by_constants - self.groups_by_bounds;
        metrics.note("row groups", format!("{wanted} of {}", self.groups));
        let note = |name: &str, count: usize| {
            if count > 0 {
                metrics.note(name, count.to_string());
            }
        };
        note("row groups pruned by constants", self.groups_by_constants);
        note("row groups pruned by bounds", self.groups_by_bounds);
        note("pages pruned by bounds", self.pages_by_bounds);
    }
}

/// What is left to read.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The rows of all files that may pass, by row group.
    pub(super) morsels: Vec<Morsel>,
    /// What was left out.
    pub(super) pruned: Pruned,
    /// What is tested when a row group's turn comes.
    pub(super) bloom: BloomTests,
}

/// Prunes by footers, page indexes and the runtime filters that are known by now.
pub(super) fn wanted(files: &[ParquetFile], schema: &SchemaRef, request: &ScanRequest) -> Wanted {
    let (mut morsels, mut pruned) = (Vec::new(), Pruned::default());
    for (file, parquet) in files.iter().enumerate() {
        let count = parquet.groups.len();
        pruned.groups += count;
        if !file_may_pass(&|column| parquet.constant(column).cloned(), schema, request) {
            pruned.groups_by_constants += count;
            continue;
        }
        let tests = column_tests(parquet, request);
        for &group in &parquet.groups {
            let rows = rows_of_group(parquet, group, request, &tests, &mut pruned);
            if rows.is_empty() {
                pruned.groups_by_bounds += 1;
            } else {
                morsels.push(Morsel { file, group, rows });
            }
        }
    }
    Wanted { morsels, pruned, bloom: BloomTests::of(files, request) }
}

/// The request's tests of one column, and the column's bounds in one file.
struct ColumnTests<'a> {
    bounds: ColumnBounds<'a>,
    filters: Vec<&'a Expression>,
    keys: Vec<&'a KeyFilter>,
}

/// Tests of every column with bounds.
fn column_tests<'a>(file: &'a ParquetFile, request: &'a ScanRequest) -> Vec<ColumnTests<'a>> {
    let filters: Vec<_> = request.filters.iter().filter_map(|f| Some((compared_column(f)?, f))).collect();
    let keys = request.runtime_filters.iter().filter_map(|t| Some((t.column, t.filter.keys()?.as_ref())));
    let keys: Vec<_> = keys.collect();
    let mut columns: Vec<usize> = filters.iter().map(|f| f.0).chain(keys.iter().map(|k| k.0)).collect();
    columns.sort_unstable();
    columns.dedup();
    let tests = columns.into_iter().filter_map(|column| {
        let bounds = ColumnBounds::of(file, column)?;
        let filters = filters.iter().filter(|f| f.0 == column).map(|f| f.1).collect();
        let keys = keys.iter().filter(|k| k.0 == column).map(|k| k.1).collect();
        Some(ColumnTests { bounds, filters, keys })
    });
    tests.collect()
}

impl ColumnTests<'_> {
    /// Whether values within the bounds may pass all tests.
    fn may_pass(&self, bounds: &ValueBounds) -> bool {
        self.filters.iter().all(|f| may_pass(f, bounds))
            && self.keys.iter().all(|keys| match (bounds.min.as_i64(), bounds.max.as_i64()) {
                (Some(min), Some(max)) => keys.may_overlap(min, max),
                // A null equals no key.
                _ => bounds.may_be_valid(),
            })
    }

    /// The rows on pages that may pass; counts the pages.
    fn passing_rows(&self, file: &ParquetFile, group: usize, pruned: &mut Pruned) -> Option<RowRanges> {
        let metadata = file.metadata.metadata();
        let pages = pages(metadata, group, self.bounds.leaf())?;
        let held: Vec<_> = page_rows(pages, metadata.row_group(group).num_rows().max(0) as usize).collect();
        // The bounds of an only page are those of the row group.
        if held.len() < 2 {
            return None;
        }
        let bounds = self.bounds.pages(group, &held)?;
        let passing = held.into_iter().zip(&bounds).filter(|(_, page)| self.may_pass(page)).map(|(rows, _)| rows);
        let passing: Vec<_> = passing.collect();
        pruned.pages_by_bounds += bounds.len() - passing.len();
        Some(RowRanges::of(passing))
    }
}

/// The rows of a row group that may pass all tests.
fn rows_of_group(
    file: &ParquetFile,
    group: usize,
    request: &ScanRequest,
    tests: &[ColumnTests],
    pruned: &mut Pruned,
) -> RowRanges {
    if !tests.iter().all(|test| test.may_pass(&test.bounds.groups[group])) {
        return RowRanges::of([]);
    }
    let count = file.metadata.metadata().row_group(group).num_rows().max(0) as usize;
    let mut rows = row_numbers::chosen(file, group, count, request).unwrap_or_else(|| RowRanges::all(count));
    for passing in tests.iter().filter_map(|test| test.passing_rows(file, group, pruned)) {
        rows = rows.intersect(&passing);
    }
    rows
}

/// The one column that a prunable filter reads.
fn compared_column(filter: &Expression) -> Option<usize> {
    match filter.referenced_columns()[..] {
        [column] => Some(column),
        _ => None,
    }
}
