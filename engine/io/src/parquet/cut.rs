//! Row groups cut into parts when there are too few of them to keep all workers busy until the end.

use super::page_index::pages;
use super::ranges::RowRanges;
use super::{Morsel, ParquetFile};

/// Morsels that a worker should find: with fewer, one that lasts longer leaves the others idle.
const MORSELS_PER_WORKER: usize = 4;
/// Fewer rows are no part of their own: every worker decodes the dictionaries that it needs.
const PART_ROWS_MIN: usize = 32 * 1024;

/// The morsels, cut where they are too few for `workers`. `columns` are those that are read.
pub(super) fn cut(morsels: Vec<Morsel>, files: &[ParquetFile], columns: &[usize], workers: usize) -> Vec<Morsel> {
    let enough = workers * MORSELS_PER_WORKER;
    if workers < 2 || morsels.len() >= enough {
        return morsels;
    }
    let rows: usize = morsels.iter().map(|m| m.rows.rows()).sum();
    let part = (rows / enough).max(PART_ROWS_MIN);
    morsels.into_iter().flat_map(|morsel| parts(morsel, files, columns, part)).collect()
}

/// The morsel in parts of about `part` rows.
fn parts(morsel: Morsel, files: &[ParquetFile], columns: &[usize], part: usize) -> Vec<Morsel> {
    let rows = morsel.rows.rows();
    let count = (rows + part / 2) / part;
    if count < 2 {
        return vec![morsel];
    }
    let starts = page_starts(&files[morsel.file], morsel.group, columns);
    let mut cuts = vec![0];
    cuts.extend((1..count).map(|i| near_page(morsel.rows.nth(rows * i / count), &starts, part / 4)));
    cuts.push(usize::MAX);
    let parts = cuts.windows(2).map(|w| morsel.rows.intersect(&RowRanges::of([w[0]..w[1]])));
    parts.filter(|rows| !rows.is_empty()).map(|rows| Morsel { rows, ..morsel.clone() }).collect()
}

/// The first rows of the pages of the column with the most bytes: there a cut makes nobody decompress a page twice.
fn page_starts(file: &ParquetFile, group: usize, columns: &[usize]) -> Vec<usize> {
    let metadata = file.metadata.metadata();
    let widest = file.leaves(columns).max_by_key(|&leaf| metadata.row_group(group).column(leaf).compressed_size());
    let pages = widest.and_then(|leaf| pages(metadata, group, leaf)).unwrap_or_default();
    pages.iter().map(|page| page.first_row_index.max(0) as usize).collect()
}

/// The page's start that is closest to `row`, unless all are further off than `slack`.
fn near_page(row: usize, starts: &[usize], slack: usize) -> usize {
    let closest = starts.iter().copied().min_by_key(|start| start.abs_diff(row));
    closest.filter(|start| start.abs_diff(row) <= slack).unwrap_or(row)
}
