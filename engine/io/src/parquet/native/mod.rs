//! Row groups decoded by our own column readers: predicates first, each once per dictionary value; other columns only where rows survive.

mod column;
mod page;
mod test;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use plasmon_core::Result;
use plasmon_core::batch::{Batch, Column, Selection};
use plasmon_core::expression::{Expression, Scalar, select};
use plasmon_core::table::ScanRequest;
use plasmon_kernels::select::{bits_to_selection, filter_selection};

use super::{ColumnPlace, ParquetFile};
use crate::store::{BufferPool, ByteSource};
use column::{ColumnReader, Layout};
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
    table: Arc<Vec<ParquetFile>>,
    schema: SchemaRef,
    place: (usize, usize),
    /// Leaf and layout of each needed column, and its reader once somebody asked.
    columns: HashMap<usize, (usize, Layout, Option<ColumnReader>)>,
    /// Columns that the file does not store: one value for all rows.
    constants: HashMap<usize, Scalar>,
    /// Tests of one column each, best first.
    tests: Vec<ColumnTest>,
    /// Filters that read several columns.
    filters: Vec<Expression>,
    projection: Vec<usize>,
    batch_rows: usize,
    rows: usize,
    position: usize,
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
    /// The scan of row group `place.1` of file `place.0`; `None` when a needed column is stored in a way that only the library reads.
    pub(super) fn open(
        (file, pool): (Arc<dyn ByteSource>, Arc<BufferPool>),
        table: Arc<Vec<ParquetFile>>,
        schema: SchemaRef,
        place: (usize, usize),
        request: &ScanRequest,
        rates: &PassRates,
    ) -> Option<Self> {
        let metadata = table[place.0].metadata.metadata();
        let group = metadata.row_group(place.1);
        let descriptor = metadata.file_metadata().schema_descr();
        let mut needed = request.projection.clone();
        needed.extend(request.filters.iter().flat_map(Expression::referenced_columns));
        needed.extend(request.runtime_filters.iter().map(|t| t.column));
        let (mut columns, mut constants) = (HashMap::new(), HashMap::new());
        for column in needed {
            match &table[place.0].columns[column] {
                ColumnPlace::Stored => {}
                ColumnPlace::Cast => return None,
                ColumnPlace::Constant(value) => {
                    constants.insert(column, value.clone());
                    continue;
                }
            }
            let field = schema.field(column);
            let leaf =
                descriptor.columns().iter().position(|c| c.path().parts().len() == 1 && c.name() == field.name())?;
            let chunk = group.column(leaf);
            // A chunk that does not say one value per row is malformed or nested: the library judges.
            let layout = Layout::of(&descriptor.column(leaf), chunk, field.data_type())
                .filter(|_| chunk.num_values() == group.num_rows())?;
            columns.insert(column, (leaf, layout, None));
        }
        let mut tests = test::of_request(request, &schema);
        let cost = |t: &ColumnTest| {
            let Some(&(leaf, ..)) = columns.get(&t.column) else { return 0.0 };
            let (before, after) = rates.get(&t.column).copied().unwrap_or((10, 3));
            let bytes = group.column(leaf).uncompressed_size().max(0) as f64 / group.num_rows().max(1) as f64;
            (bytes + 1.0) / (1.01 - after as f64 / before.max(1) as f64)
        };
        tests.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
        let filters = request.filters.iter().filter(|f| f.referenced_columns().len() != 1).cloned().collect();
        let rows = usize::try_from(group.num_rows()).ok()?;
        let (projection, batch_rows) = (request.projection.clone(), request.batch_rows.max(1));
        Some(GroupScan {
            file,
            pool,
            table,
            schema,
            place,
            columns,
            constants,
            tests,
            filters,
            projection,
            batch_rows,
            rows,
            position: 0,
        })
    }

    /// The next batch with a surviving row; `None` at the end of the row group.
    pub(super) fn next(&mut self, rates: &mut PassRates) -> Result<Option<Batch>> {
        while self.position < self.rows {
            let rows = self.batch_rows.min(self.rows - self.position);
            let window = Window {
                start: self.position,
                rows,
                positions: None,
                selection: None,
                len: rows,
                columns: HashMap::new(),
            };
            self.position += rows;
            if let Some(batch) = self.filter(window, rates)? {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    fn filter(&mut self, mut window: Window, rates: &mut PassRates) -> Result<Option<Batch>> {
        for index in 0..self.tests.len() {
            let column = self.read(&mut window, self.tests[index].column)?;
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
            let columns = read.iter().map(|&c| self.read(&mut window, c)).collect::<Result<Vec<_>>>()?;
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
        let projection = self.projection.clone();
        let columns = projection.into_iter().map(|c| self.read(&mut window, c)).collect::<Result<Vec<_>>>()?;
        let batch = Batch::new(columns, window.len);
        Ok(Some(match window.selection {
            Some(selection) => batch.with_selection(Selection::new(selection)),
            None => batch,
        }))
    }

    /// The column's values at the window's present rows.
    fn read(&mut self, window: &mut Window, column: usize) -> Result<Column> {
        if let Some(present) = window.columns.get(&column) {
            return Ok(present.clone());
        }
        let (file, group) = self.place;
        let source = &self.table[file];
        if let Some(value) = self.constants.get(&column) {
            let values = value.to_column(self.schema.field(column).data_type(), window.len)?;
            window.columns.insert(column, values.clone());
            return Ok(values);
        }
        let Some((leaf, layout, reader)) = self.columns.get_mut(&column) else {
            return Err(plasmon_core::Error::internal(format!("column {column} was not opened")));
        };
        let reader = match reader {
            Some(reader) => reader,
            None => {
                let metadata = source.metadata.metadata();
                let chunk = metadata.row_group(group).column(*leaf);
                let field = self.schema.field(column);
                let context = format!("{}, row group {group}, column {}", source.name(), field.name());
                let pages =
                    Pages::open(self.file.as_ref(), chunk, self.rows, layout.stored_size() == 8, &self.pool, context)?;
                let descriptor = metadata.file_metadata().schema_descr().column(*leaf);
                reader.insert(ColumnReader::open(pages, &descriptor, chunk, *layout, field.data_type().clone())?)
            }
        };
        let values = reader.read(window.start, window.rows, window.positions.as_deref())?;
        window.columns.insert(column, values.clone());
        Ok(values)
    }
}

impl Window {
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
