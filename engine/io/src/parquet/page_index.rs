//! Where a chunk's pages lie and which rows they hold, by the file's offset index.

use std::ops::Range;

use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::PageLocation;

use super::guarded;
use super::ranges::RowRanges;

/// Whether the indexes agree with themselves and with the footer. An index is optional: one that does not is as good as none, and a page
/// believed to hold other rows than it does would mix up rows.
pub(super) fn is_consistent(metadata: &ParquetMetaData) -> bool {
    let Some(offsets) = metadata.offset_index() else { return metadata.column_index().is_none() };
    let bounds = metadata.column_index();
    let groups = metadata.row_groups();
    if offsets.len() != groups.len() || bounds.is_some_and(|b| b.len() != groups.len()) {
        return false;
    }
    groups.iter().enumerate().all(|(g, group)| {
        let is_complete = |columns: usize| columns == group.columns().len();
        is_complete(offsets[g].len())
            && bounds.is_none_or(|b| is_complete(b[g].len()))
            && group.columns().iter().enumerate().all(|(c, chunk)| {
                let pages = offsets[g][c].page_locations();
                let described = bounds.map_or(0, |b| pages_described(&b[g][c]));
                (described == 0 || described == pages.len()) && are_in_order(pages, chunk, group.num_rows())
            })
    })
}

/// How many pages a column index tells of; 0 = it tells nothing.
pub(super) fn pages_described(index: &ColumnIndexMetaData) -> usize {
    match index {
        ColumnIndexMetaData::NONE => 0,
        other => other.num_pages() as usize,
    }
}

/// Pages must lie one behind the other inside their chunk, the first at row 0, each with a row.
fn are_in_order(pages: &[PageLocation], chunk: &ColumnChunkMetaData, rows: i64) -> bool {
    let Ok((start, len)) = guarded("", || Ok(chunk.byte_range())) else { return false };
    let Some(end) = start.checked_add(len) else { return false };
    let (mut at, mut row) = (start, 0);
    let are_ordered = pages.iter().enumerate().all(|(index, page)| {
        let Ok(offset) = u64::try_from(page.offset) else { return false };
        let is_next = offset >= at && page.compressed_page_size > 0;
        let has_rows = if index == 0 { page.first_row_index == 0 } else { page.first_row_index > row };
        at = offset.saturating_add(page.compressed_page_size.max(0) as u64);
        row = page.first_row_index;
        is_next && has_rows && row < rows
    });
    are_ordered && at <= end
}

/// The pages of a chunk; `None` when the file does not tell.
pub(super) fn pages(metadata: &ParquetMetaData, group: usize, leaf: usize) -> Option<&[PageLocation]> {
    let pages = metadata.offset_index()?.get(group)?.get(leaf)?.page_locations();
    (!pages.is_empty()).then_some(pages)
}

/// Rows of each page, of a row group of `rows` rows.
pub(super) fn page_rows(pages: &[PageLocation], rows: usize) -> impl Iterator<Item = Range<usize>> + '_ {
    let first = |page: &PageLocation| page.first_row_index.max(0) as usize;
    pages.iter().enumerate().map(move |(i, page)| first(page)..pages.get(i + 1).map_or(rows, first))
}

/// The bytes of a chunk that hold the wanted rows: its dictionary and pages, or all of it when the file does not tell.
pub(super) fn byte_ranges(
    metadata: &ParquetMetaData,
    group: usize,
    leaf: usize,
    wanted: &RowRanges,
) -> Vec<Range<u64>> {
    let rows = metadata.row_group(group).num_rows().max(0) as usize;
    // A chunk that lies nowhere is told when it is read.
    let Ok((start, len)) = guarded("", || Ok(metadata.row_group(group).column(leaf).byte_range())) else {
        return Vec::new();
    };
    let Some(pages) = pages(metadata, group, leaf) else { return vec![start..start.saturating_add(len)] };
    let dictionary = start..pages[0].offset.max(0) as u64;
    let wanted = pages.iter().zip(page_rows(pages, rows)).filter(|(_, held)| wanted.overlap(held.clone()));
    let bytes = |page: &PageLocation| {
        let offset = page.offset.max(0) as u64;
        offset..offset.saturating_add(page.compressed_page_size.max(0) as u64)
    };
    std::iter::once(dictionary).chain(wanted.map(|(page, _)| bytes(page))).filter(|r| !r.is_empty()).collect()
}
