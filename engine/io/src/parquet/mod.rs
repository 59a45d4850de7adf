//! Parquet files as a table: footers read once and kept, statistics for the planner, a scan that prunes and filters.

mod native;
mod prune;
mod scan;
mod statistics;

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Type as PhysicalType;
use parquet::file::metadata::PageIndexPolicy;
use plasmon_core::expression::Expression;
use plasmon_core::pipeline::Source;
use plasmon_core::table::{ScanRequest, Table, TableStatistics};
use plasmon_core::{Error, Result};

/// A text column whose chunks hold at most this many bytes a value is read as dictionary codes.
const DICTIONARY_BYTES_PER_VALUE: i64 = 4;

/// One or more Parquet files of the same columns.
#[derive(Debug)]
pub struct ParquetTable {
    location: String,
    files: Arc<Vec<ParquetFile>>,
    schema: SchemaRef,
    statistics: OnceLock<TableStatistics>,
}

/// A file and its footer.
#[derive(Debug)]
struct ParquetFile {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
}

impl ParquetFile {
    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

impl ParquetTable {
    /// Reads every footer.
    pub fn open(location: &str, paths: Vec<PathBuf>) -> Result<Arc<dyn Table>> {
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            let name = path.display().to_string();
            let file = File::open(&path).map_err(|e| Error::io(&name, e))?;
            let metadata = guarded(&name, || {
                let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
                let metadata = ArrowReaderMetadata::load(&file, options)?;
                let hint = reading_schema(&metadata);
                let options = ArrowReaderOptions::new()
                    .with_page_index_policy(PageIndexPolicy::Optional)
                    .with_schema(Arc::new(hint));
                // A hint that the reader does not take is left out.
                Ok(ArrowReaderMetadata::try_new(metadata.metadata().clone(), options).unwrap_or(metadata))
            })?;
            files.push(ParquetFile { path, metadata });
        }
        let schema = merge_schemas(&files)?;
        Ok(Arc::new(ParquetTable {
            location: location.to_string(),
            files: Arc::new(files),
            schema,
            statistics: OnceLock::new(),
        }))
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

/// The table's columns as the planner sees them; files must agree.
fn merge_schemas(files: &[ParquetFile]) -> Result<SchemaRef> {
    let logical = |file: &ParquetFile| {
        let fields = file.metadata.schema().fields().iter().map(|f| {
            let data_type = match f.data_type() {
                DataType::Dictionary(_, value) if **value == DataType::Utf8 => DataType::Utf8View,
                DataType::Decimal64(p, s) => DataType::Decimal128(*p, *s),
                other => other.clone(),
            };
            Field::new(f.name(), data_type, f.is_nullable())
        });
        Schema::new(fields.collect::<Vec<_>>())
    };
    let mut merged = logical(&files[0]);
    for file in &files[1..] {
        merged = Schema::try_merge([merged, logical(file)]).map_err(|e| Error::io(file.name(), e))?;
    }
    Ok(Arc::new(merged))
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

    fn scan(&self, request: &ScanRequest) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(scan::ParquetScan::new(self.files.clone(), self.schema.clone(), request.clone())))
    }

    fn describe(&self) -> String {
        format!("Parquet {} ({} file{})", self.location, self.files.len(), if self.files.len() == 1 { "" } else { "s" })
    }
}
