//! What can be scanned: implemented by the I/O room, by in-memory tables and by embedders.

use std::fmt::Debug;
use std::sync::Arc;

use arrow_schema::{DataType, Field, SchemaRef};

use crate::error::Result;
use crate::expression::{Expression, Scalar};
use crate::operators::runtime_filter::{RuntimeFilter, TopNThreshold};
use crate::pipeline::Source;

/// A named thing that yields batches.
pub trait Table: Send + Sync + Debug {
    /// Logical schema of all columns.
    fn schema(&self) -> SchemaRef;

    /// What is known without reading data; may cost I/O the first time, must be cached.
    fn statistics(&self) -> TableStatistics {
        TableStatistics::default()
    }

    /// Whether [`Table::scan`] applies this filter exactly. Filters it does not are applied above the scan.
    fn applies_filter(&self, _filter: &Expression) -> bool {
        false
    }

    /// Whether scans can number rows. The ordinal after the last column ([`row_number_field`]) may then be in [`ScanRequest::projection`] and be the target of runtime filters: an
    /// `Int64` without nulls that tells rows apart and is the same in every scan of this table object.
    fn numbers_rows(&self) -> bool {
        false
    }

    /// A source of batches whose columns are those of `request.projection`, in that order.
    fn scan(&self, request: &ScanRequest) -> Result<Arc<dyn Source>>;

    /// One line for EXPLAIN: format, place, number of files.
    fn describe(&self) -> String;
}

/// The column of row numbers; see [`Table::numbers_rows`].
pub fn row_number_field() -> Field {
    Field::new("row number", DataType::Int64, false)
}

/// What a plan asks of one scan.
#[derive(Debug, Clone, Default)]
pub struct ScanRequest {
    /// Ordinals into the table's schema, in output order; see [`Table::numbers_rows`] for one more.
    pub projection: Vec<usize>,
    /// Conjuncts over the *table's* schema (ordinals into it, not into the projection); each one [`Table::applies_filter`].
    pub filters: Vec<Expression>,
    /// Filters that appear while the query runs; optional for correctness (whoever made them also checks), a scan applies them where it pays.
    pub runtime_filters: Vec<RuntimeFilterTarget>,
    /// The threshold of a top-N above: rows that sort after it may be left out.
    pub threshold: Option<(usize, Arc<TopNThreshold>)>,
    /// No more than this many rows are needed.
    pub fetch: Option<usize>,
    /// Rows per batch.
    pub batch_rows: usize,
}

/// A runtime filter and the table column that it restricts.
#[derive(Debug, Clone)]
pub struct RuntimeFilterTarget {
    /// Ordinal into the table's schema.
    pub column: usize,
    pub filter: Arc<RuntimeFilter>,
}

/// What is known of a table before it is read.
#[derive(Debug, Clone, Default)]
pub struct TableStatistics {
    /// Rows, exact when known.
    pub rows: Option<u64>,
    /// Bytes on disk.
    pub bytes: Option<u64>,
    /// One entry per column of the schema, or empty.
    pub columns: Vec<ColumnStatistics>,
}

/// What is known of one column.
#[derive(Debug, Clone, Default)]
pub struct ColumnStatistics {
    /// Inclusive bounds of the non-null values.
    pub min: Option<Scalar>,
    pub max: Option<Scalar>,
    pub nulls: Option<u64>,
    /// Estimated number of distinct values.
    pub distinct: Option<u64>,
    /// Compressed bytes in the file(s).
    pub bytes: Option<u64>,
    /// Values never decrease across the table (row groups in order do not overlap).
    pub is_clustered: bool,
}

/// Parts of files, as a host has planned them; see `plan.proto`, which says what they mean.
#[derive(Debug, Clone, PartialEq)]
pub struct FileSplits {
    pub splits: Vec<FileSplit>,
    /// So many of the last columns are given by [`FileSplit::partition_values`] and not by files.
    pub partition_columns: usize,
    /// Whether names of columns must match letter by letter.
    pub case_sensitive: bool,
    /// `parquet`.
    pub format: String,
}

/// A range of a file's bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct FileSplit {
    /// A path, or a URI.
    pub path: String,
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub length: u64,
    /// One per partition column.
    pub partition_values: Vec<Scalar>,
}
