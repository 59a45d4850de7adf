//! Parquet files as a table, or the parts of them that a host has planned (`splits`): footers read once and kept, statistics for the planner, a scan that prunes and filters.

mod adapt;
mod ahead;
mod coalesce;
mod cut;
mod footer;
mod int96;
mod library;
mod native;
mod page_index;
mod prune;
mod ranges;
mod row_numbers;
mod scan;
mod splits;
#[cfg(test)]
mod splits_tests;
mod statistics;
#[cfg(test)]
mod test_files;

use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::Type as PhysicalType;
use parquet::file::metadata::RowGroupMetaData;
use plasmon_core::expression::{Expression, Scalar};
use plasmon_core::pipeline::Source;
use plasmon_core::table::{ScanRequest, Table, TableStatistics};
use plasmon_core::{Error, Result};

use crate::format::Options;
use crate::partition::NameColumns;
use crate::store::DataFile;
use adapt::Naming;
use ranges::RowRanges;

/// A text column whose chunks hold at most this many bytes a value is read as dictionary codes.
const DICTIONARY_BYTES_PER_VALUE: i64 = 4;

/// One or more Parquet files of the same columns.
#[derive(Debug)]
pub struct ParquetTable {
    location: String,
    files: Arc<Vec<ParquetFile>>,
    schema: SchemaRef,
    statistics: OnceLock<TableStatistics>,
    numbers_rows: OnceLock<bool>,
}

/// A file and its footer.
#[derive(Debug)]
struct ParquetFile {
    file: Arc<DataFile>,
    metadata: ArrowReaderMetadata,
    /// By the table's column; then the row number.
    columns: Vec<ColumnPlace>,
    /// By the table's column: which of the file's columns it is; `None` = it is not stored.
    roots: Vec<Option<usize>>,
    /// The row groups that are the table's.
    groups: Vec<usize>,
    /// How stored columns become those of a host; `None` = as those of one table.
    naming: Option<Naming>,
}

/// A worker's step through a table: rows of one row group.
#[derive(Debug, Clone)]
struct Morsel {
    file: usize,
    group: usize,
    rows: RowRanges,
}

/// Where a file has a column of the table.
#[derive(Debug, Clone, PartialEq)]
enum ColumnPlace {
    /// Stored in the table's type.
    Stored,
    /// Stored in another type, to be cast.
    Cast,
    /// Not stored: one value for the whole file, from its name or null.
    Constant(Scalar),
    /// Not stored: numbers from this one on.
    RowNumber(i64),
}

impl ParquetFile {
    fn name(&self) -> String {
        self.file.name.clone()
    }

    /// The value that every row of the file has, of a column that is not stored.
    fn constant(&self, column: usize) -> Option<&Scalar> {
        match &self.columns[column] {
            ColumnPlace::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// Which of the file's columns a column of the table is.
    fn root(&self, column: usize) -> Option<usize> {
        self.roots.get(column).copied().flatten()
    }

    /// The name by which the file has a column.
    fn stored_name(&self, column: usize) -> Option<&str> {
        Some(self.metadata.schema().field(self.root(column)?).name())
    }

    /// The leaves of these columns.
    fn leaves(&self, columns: &[usize]) -> impl Iterator<Item = usize> {
        let descriptor = self.metadata.parquet_schema();
        let roots: Vec<usize> = columns.iter().filter_map(|&column| self.root(column)).collect();
        (0..descriptor.num_columns()).filter(move |&leaf| roots.contains(&descriptor.get_column_root_idx(leaf)))
    }

    /// The one leaf of a column that is not nested.
    fn flat_leaf(&self, column: usize) -> Option<usize> {
        let leaf = self.leaves(&[column]).next()?;
        (self.metadata.parquet_schema().column(leaf).path().parts().len() == 1).then_some(leaf)
    }

    /// The table's row groups.
    fn row_groups(&self) -> impl Iterator<Item = &RowGroupMetaData> + Clone {
        self.groups.iter().map(|&group| self.metadata.metadata().row_group(group))
    }
}

impl ParquetTable {
    /// Reads every footer.
    pub(crate) fn open(location: &str, files: Vec<Arc<DataFile>>, options: &Options) -> Result<Arc<dyn Table>> {
        let names = NameColumns::of_files(&files, options)?;
        let footers = footer::read_all(&files, footer::Types::Written)?;
        let stored = match &options.schema {
            Some(declared) => declared.as_ref().clone(),
            None => merge_schemas(&files, &footers)?,
        };
        let schema = Arc::new(names.extend(&stored));
        let file = |(index, (file, metadata)): (usize, (Arc<DataFile>, ArrowReaderMetadata))| {
            let columns =
                schema.fields().iter().map(|field| column_place(field, &metadata, names.value(index, field.name())));
            let columns = columns.collect();
            let roots = schema.fields().iter().map(|field| metadata.schema().index_of(field.name()).ok()).collect();
            let groups = (0..metadata.metadata().num_row_groups()).collect();
            ParquetFile { file, metadata, columns, roots, groups, naming: None }
        };
        let files = files.into_iter().zip(footers).enumerate().map(file).collect();
        Ok(ParquetTable::over(location, files, schema))
    }

    fn over(location: &str, mut files: Vec<ParquetFile>, schema: SchemaRef) -> Arc<dyn Table> {
        row_numbers::number(&mut files);
        Arc::new(ParquetTable {
            location: location.to_string(),
            files: Arc::new(files),
            schema,
            statistics: OnceLock::new(),
            numbers_rows: OnceLock::new(),
        })
    }
}

fn column_place(field: &Field, metadata: &ArrowReaderMetadata, named: Option<&Scalar>) -> ColumnPlace {
    match metadata.schema().field_with_name(field.name()) {
        Err(_) => ColumnPlace::Constant(named.cloned().unwrap_or(Scalar::Null)),
        Ok(stored) if logical_type(stored.data_type()) == *field.data_type() => ColumnPlace::Stored,
        Ok(_) => ColumnPlace::Cast,
    }
}

/// Runs the Parquet library over bytes that may be malformed: its errors and panics become errors that name the file.
fn guarded<T>(context: &str, work: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
        Ok(outcome) => outcome.map_err(|e| Error::io(context, e)),
        Err(_) => Err(Error::io(context, "malformed Parquet data")),
    }
}

/// How columns are best read: low-cardinality text as dictionaries, other text as views, decimals of 64 bits as such.
fn reading_schema(metadata: &ArrowReaderMetadata) -> Schema {
    let schema = metadata.schema();
    let descriptor = metadata.parquet_schema();
    let groups = metadata.metadata().row_groups();
    let fields = schema.fields().iter().enumerate().map(|(root, field)| {
        let leaf = (0..descriptor.num_columns()).find(|&leaf| descriptor.get_column_root_idx(leaf) == root);
        let Some(leaf) = leaf else { return field.as_ref().clone() };
        let chunks = || groups.iter().map(|g| g.column(leaf));
        let small = chunks().all(|c| {
            c.dictionary_page_offset().is_some()
                && c.uncompressed_size() <= DICTIONARY_BYTES_PER_VALUE * c.num_values().max(1)
        });
        let data_type = match field.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View if small && !groups.is_empty() => {
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
            }
            DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
            DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
            DataType::Decimal128(precision, scale)
                if *precision <= 18 && descriptor.column(leaf).physical_type() == PhysicalType::INT64 =>
            {
                DataType::Decimal64(*precision, *scale)
            }
            other => other.clone(),
        };
        Field::new(field.name(), data_type, field.is_nullable())
    });
    Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone())
}

/// A reader's type as the planner sees it.
fn logical_type(read: &DataType) -> DataType {
    match read {
        DataType::Dictionary(_, value) if **value == DataType::Utf8 => DataType::Utf8View,
        DataType::Decimal64(p, s) => DataType::Decimal128(*p, *s),
        other => other.clone(),
    }
}

/// The columns of all files.
fn merge_schemas(files: &[Arc<DataFile>], footers: &[ArrowReaderMetadata]) -> Result<Schema> {
    let logical = |metadata: &ArrowReaderMetadata| {
        let fields = metadata.schema().fields().iter();
        let fields = fields.map(|f| Field::new(f.name(), logical_type(f.data_type()), f.is_nullable()));
        Schema::new(fields.collect::<Vec<_>>())
    };
    let mut merged = logical(&footers[0]);
    for (file, footer) in files.iter().zip(footers).skip(1) {
        merged = crate::schema::merged(&merged, &logical(footer), &file.name)?;
    }
    Ok(merged)
}

impl Table for ParquetTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn statistics(&self) -> TableStatistics {
        self.statistics.get_or_init(|| statistics::of_files(&self.files, &self.schema)).clone()
    }

    fn applies_filter(&self, _filter: &Expression) -> bool {
        true
    }

    fn numbers_rows(&self) -> bool {
        *self.numbers_rows.get_or_init(|| row_numbers::can_number(&self.files, &self.schema))
    }

    fn scan(&self, request: &ScanRequest) -> Result<Arc<dyn Source>> {
        let schema = row_numbers::with_row_number(&self.schema);
        Ok(Arc::new(scan::ParquetScan::new(self.files.clone(), schema, request.clone())))
    }

    fn describe(&self) -> String {
        format!("Parquet {} ({} file{})", self.location, self.files.len(), if self.files.len() == 1 { "" } else { "s" })
    }
}
