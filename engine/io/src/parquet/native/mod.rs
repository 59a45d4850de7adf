//! Row groups decoded by our own column readers: predicates first, each once per dictionary value; other columns only where rows survive.

mod column;
mod layout;
mod page;
mod test;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use plasmon_core::batch::{Batch, Column, Selection, Values};
use plasmon_core::expression::{Expression, Scalar, select};
use plasmon_core::{Error, Result};
use plasmon_kernels::select::{bits_to_selection, filter_selection};

use super::scan::ScanContext;
use super::{ColumnPlace, Morsel, ParquetFile, page_index, row_numbers};
use crate::store::{BufferPool, ByteSource};
use column::{ColumnReader, look_up};
pub(super) use layout::Layout;
use page::Pages;
use test::ColumnTest;

/// Columns are gathered when fewer than one row in this many survives; above that a selection is cheaper.
const COMPACT_FRACTION: usize = 4;

/// Rows that went into and came out of the tests of each column, kept across row groups to order them.
pub(super) type PassRates = HashMap<usize, (u64, u64)>;

/// One row group being read.
pub(super) struct GroupScan {
    file: Arc<dyn ByteSource>,
    pool: Arc<BufferPool>,
    context: Arc<ScanContext>,
    /// File and row group.
    place: (usize, usize),
    /// Leaf and layout of each needed column, and its reader once somebody asked.
    columns: HashMap<usize, (usize, Layout, Option<ColumnReader>)>,
    /// Columns that the file does not store: one value for all rows.
    constants: HashMap<usize, Scalar>,
    /// The column of row numbers, and the number of the row group's first row.
    numbers: Option<(usize, i64)>,
    /// Tests of one column each, best first.
    tests: Vec<ColumnTest>,
    /// Filters that read several columns.
    filters: Vec<Expression>,
    batch_rows: usize,
    /// Rows of the row group, and the ranges of them that are still to be read.
    group_rows: usize,
    ranges: VecDeque<Range<usize>>,
}

/// The surviving rows of a window.
struct Window {
    start: usize,
    /// Rows of the window …
    rows: usize,
    /// … of which the columns hold those at these positions (`None` = all) …
    positions: Option<Vec<u16>>,
    /// … `len` in number, of which these count.
    selection: Option<Vec<u16>>,
    len: usize,
    columns: HashMap<usize, Column>,
}

impl GroupScan {
    /// The scan of a morsel; `None` when a needed column is stored in a way that only the library reads.
    pub(super) fn open(
        (file, pool): (Arc<dyn ByteSource>, Arc<BufferPool>),
        context: &Arc<ScanContext>,
        morsel: &Morsel,
        rates: &PassRates,
    ) -> Option<Self> {
        let ScanContext { files, schema, request } = &**context;
        let metadata = files[morsel.file].metadata.metadata();
        let group = metadata.row_group(morsel.group);
        let mut needed = request.projection.clone();
        needed.extend(request.filters.iter().flat_map(Expression::referenced_columns));
        needed.extend(request.runtime_filters.iter().map(|t| t.column));
        let (mut columns, mut constants, mut numbers) = (HashMap::new(), HashMap::new(), None);
        for column in needed {
            match &files[morsel.file].columns[column] {
                ColumnPlace::Stored => {
                    let (leaf, layout) =
                        stored_layout(&files[morsel.file], morsel.group, column, schema.field(column))?;
                    columns.insert(column, (leaf, layout, None));
                }
                ColumnPlace::Cast => return None,
                ColumnPlace::Constant(value) => drop(constants.insert(column, value.clone())),
                ColumnPlace::RowNumber(_) => {
                    let first = row_numbers::first_of_group(&files[morsel.file], morsel.group, column);
                    numbers = first.map(|first| (column, first));
                }
            }
        }
        let mut tests = test::of_request(request, schema);
        let cost = |t: &ColumnTest| {
            let Some(&(leaf, ..)) = columns.get(&t.column) else { return 0.0 };
            let (before, after) = rates.get(&t.column).copied().unwrap_or((10, 3));
            let bytes = group.column(leaf).uncompressed_size().max(0) as f64 / group.num_rows().max(1) as f64;
            (bytes + 1.0) / (1.01 - after as f64 / before.max(1) as f64)
        };
        tests.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
        let filters = request.filters.iter().filter(|f| f.referenced_columns().len() != 1).cloned().collect();
        Some(GroupScan {
            file,
            pool,
            context: context.clone(),
            place: (morsel.file, morsel.group),
            columns,
            constants,
            numbers,
            tests,
            filters,
            batch_rows: request.batch_rows.max(1),
            group_rows: usize::try_from(group.num_rows()).ok()?,
            ranges: morsel.rows.iter().collect(),
        })
    }

    /// The next batch with a surviving row; `None` at the end of the row group.
    pub(super) fn next(&mut self, rates: &mut PassRates) -> Result<Option<Batch>> {
        while let Some(range) = self.ranges.front_mut() {
            let (start, rows) = (range.start, self.batch_rows.min(range.len()));
            range.start += rows;
            if range.start == range.end {
                self.ranges.pop_front();
            }
            let window = Window { start, rows, positions: None, selection: None, len: rows, columns: HashMap::new() };
            if let Some(batch) = self.filter(window, rates)? {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// Goes on with the morsel when it is of the same row group and lies behind what was read.
    pub(super) fn extend(&mut self, morsel: &Morsel) -> bool {
        let is_next = self.place == (morsel.file, morsel.group);
        if is_next {
            self.ranges.extend(morsel.rows.iter());
        }
        is_next
    }

    /// Bytes that its readers and the source of their bytes have in memory.
    pub(super) fn held(&self) -> usize {
        let readers = self.columns.values().filter_map(|(_, _, reader)| reader.as_ref());
        readers.map(ColumnReader::held).sum::<usize>() + self.file.held()
    }

    /// Whether some row may pass, going by dictionaries; so a row group is left before any page of it is read.
    pub(super) fn may_pass(&mut self) -> Result<bool> {
        let rows: usize = self.ranges.iter().map(|r| r.len()).sum();
        for index in 0..self.tests.len() {
            let column = self.tests[index].column;
            let Some(reader) = self.reader(column)? else { continue };
            let Some(dictionary) = reader.whole_dictionary().cloned() else { continue };
            // The best test reads every row anyway; the others what it leaves, which may be less than a large dictionary has values.
            if reader.is_near_unique() && (index > 0 || dictionary.values.len() > rows) {
                continue;
            }
            let may_be_null = !reader.has_no_nulls();
            if !self.tests[index].may_pass(&dictionary, may_be_null) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn filter(&mut self, mut window: Window, rates: &mut PassRates) -> Result<Option<Batch>> {
        for index in 0..self.tests.len() {
            let mut column = self.read(&mut window, self.tests[index].column)?;
            if !self.tests[index].has_table(&column) {
                column = self.values(&mut window, self.tests[index].column)?;
            }
            let test = &mut self.tests[index];
            let words = test.passing(&column)?;
            let rate = rates.entry(test.column).or_default();
            rate.0 += window.survivors() as u64;
            window.narrow(&words);
            rate.1 += window.survivors() as u64;
            if window.survivors() == 0 {
                return Ok(None);
            }
        }
        for index in 0..self.filters.len() {
            let read = self.filters[index].referenced_columns();
            let columns = read.iter().map(|&c| self.values(&mut window, c)).collect::<Result<Vec<_>>>()?;
            let filter = self.filters[index].map_columns(&|c| read.binary_search(&c).unwrap_or(c));
            let mut batch = Batch::new(columns, window.len);
            if let Some(selection) = &window.selection {
                batch = batch.with_selection(Selection::new(selection.clone()));
            }
            let passed = select(&filter, batch)?;
            if let Some(selection) = passed.selection() {
                window.keep(selection.positions().to_vec());
            }
            if window.survivors() == 0 {
                return Ok(None);
            }
        }
        let context = self.context.clone();
        let projection = context.request.projection.iter();
        let columns = projection.map(|&c| self.values(&mut window, c)).collect::<Result<Vec<_>>>()?;
        let batch = Batch::new(columns, window.len);
        Ok(Some(match window.selection {
            Some(selection) => batch.with_selection(Selection::new(selection)),
            None => batch,
        }))
    }

    /// The column at the window's present rows, as codes only where those tell something.
    fn values(&mut self, window: &mut Window, column: usize) -> Result<Column> {
        let present = self.read(window, column)?;
        if !self.reader(column)?.is_some_and(|r| r.is_near_unique()) {
            return Ok(present);
        }
        let values = look_up(present);
        window.columns.insert(column, values.clone());
        Ok(values)
    }

    /// The column at the window's present rows.
    fn read(&mut self, window: &mut Window, column: usize) -> Result<Column> {
        if let Some(present) = window.columns.get(&column) {
            return Ok(present.clone());
        }
        let values = match (self.numbers, self.constants.get(&column)) {
            (Some((numbers, first)), _) if numbers == column => window.numbers(first),
            (_, Some(value)) => value.to_column(self.context.schema.field(column).data_type(), window.len)?,
            (_, None) => match self.reader(column)? {
                Some(reader) => reader.read(window.start, window.rows, window.positions.as_deref())?,
                None => return Err(Error::internal(format!("column {column} was not opened"))),
            },
        };
        window.columns.insert(column, values.clone());
        Ok(values)
    }

    /// The reader of a column that the file stores, opened when somebody asks first.
    fn reader(&mut self, column: usize) -> Result<Option<&mut ColumnReader>> {
        let Some((leaf, layout, reader)) = self.columns.get_mut(&column) else { return Ok(None) };
        if reader.is_none() {
            let (file, group) = self.place;
            let ScanContext { files, schema, .. } = &*self.context;
            let metadata = files[file].metadata.metadata();
            let (chunk, field) = (metadata.row_group(group).column(*leaf), schema.field(column));
            let name = format!("{}, row group {group}, column {}", files[file].name(), field.name());
            let locations = page_index::pages(metadata, group, *leaf);
            let source = (&self.file, &self.pool);
            let pages = Pages::open(source, chunk, self.group_rows, locations, layout.stored_size() == 8, name)?;
            let descriptor = metadata.file_metadata().schema_descr().column(*leaf);
            *reader = Some(ColumnReader::open(pages, &descriptor, chunk, *layout, field.data_type().clone())?);
        }
        Ok(reader.as_mut())
    }
}

/// Whether our decoders read these columns of a row group.
pub(super) fn reads(file: &ParquetFile, group: usize, schema: &Schema, columns: &[usize]) -> bool {
    columns.iter().all(|&column| match file.columns[column] {
        ColumnPlace::Stored => stored_layout(file, group, column, schema.field(column)).is_some(),
        ColumnPlace::Cast => false,
        ColumnPlace::Constant(_) | ColumnPlace::RowNumber(_) => true,
    })
}

/// Leaf and layout of a stored column; `None` when only the library reads it.
fn stored_layout(file: &ParquetFile, group: usize, column: usize, field: &Field) -> Option<(usize, Layout)> {
    let metadata = file.metadata.metadata();
    let (descriptor, group) = (metadata.file_metadata().schema_descr(), metadata.row_group(group));
    let leaf = file.flat_leaf(column)?;
    let chunk = group.column(leaf);
    // A chunk that does not say one value per row is malformed or nested: the library judges.
    let layout = Layout::of(&descriptor.column(leaf), chunk, field.data_type());
    Some((leaf, layout.filter(|_| chunk.num_values() == group.num_rows())?))
}

impl Window {
    /// Numbers of the present rows, of which the row group's first has `first`.
    fn numbers(&self, first: i64) -> Column {
        let start = first + self.start as i64;
        Column::flat(Values::Int64(match &self.positions {
            None => (start..start + self.len as i64).collect(),
            Some(positions) => positions.iter().map(|&position| start + i64::from(position)).collect(),
        }))
    }

    fn survivors(&self) -> usize {
        self.selection.as_ref().map_or(self.len, Vec::len)
    }

    /// Keeps the rows whose bit is set.
    fn narrow(&mut self, words: &[u64]) {
        let mut kept = Vec::new();
        match &self.selection {
            None => bits_to_selection(words, self.len, &mut kept),
            Some(selection) => filter_selection(selection, words, &mut kept),
        }
        self.keep(kept);
    }

    /// Keeps these of the present rows; gathers the columns when few are left.
    fn keep(&mut self, kept: Vec<u16>) {
        if kept.len() == self.len {
            return;
        }
        if kept.len() * COMPACT_FRACTION >= self.len {
            self.selection = Some(kept);
            return;
        }
        self.columns.values_mut().for_each(|c| *c = c.gather(&kept));
        self.len = kept.len();
        self.selection = None;
        self.positions = Some(match &self.positions {
            None => kept,
            Some(positions) => kept.iter().map(|&k| positions[k as usize]).collect(),
        });
    }
}
