//! Parts of files that a host has planned, as a table: which row groups are whose, and where files have the columns that the host wants.
//!
//! Columns that the host gives itself (of partitions) are what a file does not store: one value for the whole split.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::Type as PhysicalType;
use parquet::file::metadata::RowGroupMetaData;
use plasmon_core::expression::Scalar;
use plasmon_core::table::{FileSplit, FileSplits, Table};
use plasmon_core::{Error, Result};

use super::adapt::{self, Naming};
use super::{ColumnPlace, ParquetFile, ParquetTable, footer, logical_type};
use crate::format::Options;
use crate::store::{DataFile, file_at};

impl ParquetTable {
    /// The rows of the splits, with these columns. Reads the footer of every file that is not known yet.
    pub(crate) fn open_splits(splits: &FileSplits, schema: &SchemaRef, options: &Options) -> Result<Arc<dyn Table>> {
        let Some(stored) = schema.fields().len().checked_sub(splits.partition_columns) else {
            return Err(Error::user(format!(
                "{} partition columns of {} columns",
                splits.partition_columns,
                schema.fields().len()
            )));
        };
        let schema = Arc::new(in_views(schema));
        let opened = open_files(&splits.splits, options)?;
        let naming = Naming { case_sensitive: splits.case_sensitive };
        let mut files = Vec::with_capacity(splits.splits.len());
        for split in &splits.splits {
            let (file, metadata) = &opened[split.path.as_str()];
            files.push(part_of(file, metadata, split, &schema, stored, naming)?);
        }
        let location = match &splits.splits[..] {
            [] => "no splits".to_string(),
            [only] => only.path.clone(),
            [first, rest @ ..] => format!("{} and {} splits more", first.path, rest.len()),
        };
        Ok(ParquetTable::over(&location, files, schema))
    }
}

/// Texts and binaries as the engine has them.
fn in_views(schema: &Schema) -> Schema {
    let field = |field: &Field| {
        let data_type = match field.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
            DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
            other => other.clone(),
        };
        field.clone().with_data_type(data_type)
    };
    Schema::new(schema.fields().iter().map(|f| field(f)).collect::<Vec<_>>())
}

/// Every file once, with its footer, by path.
fn open_files<'a>(
    splits: &'a [FileSplit],
    options: &Options,
) -> Result<HashMap<&'a str, (Arc<DataFile>, ArrowReaderMetadata)>> {
    let mut paths: Vec<&str> = splits.iter().map(|split| split.path.as_str()).collect();
    paths.sort_unstable();
    paths.dedup();
    let files = paths.iter().map(|path| file_at(path, options)).collect::<Result<Vec<_>>>()?;
    let footers = footer::read_all(&files, footer::Types::Stored)?;
    Ok(paths.into_iter().zip(files.into_iter().zip(footers)).collect())
}

/// The part of a file that a split is, of whose columns the first `stored` are looked for in the file.
fn part_of(
    file: &Arc<DataFile>,
    metadata: &ArrowReaderMetadata,
    split: &FileSplit,
    schema: &Schema,
    stored: usize,
    naming: Naming,
) -> Result<ParquetFile> {
    if split.partition_values.len() != schema.fields().len() - stored {
        return Err(Error::user(format!(
            "{}: {} values for {} partition columns",
            split.path,
            split.partition_values.len(),
            schema.fields().len() - stored
        )));
    }
    let mut columns = Vec::with_capacity(schema.fields().len());
    let mut roots = Vec::with_capacity(schema.fields().len());
    for field in &schema.fields()[..stored] {
        let (place, root) = place_of(field, metadata, naming)
            .map_err(|why| Error::io(&file.name, format!("column {}: {why}", field.name())))?;
        columns.push(place);
        roots.push(root);
    }
    columns.extend(split.partition_values.iter().cloned().map(ColumnPlace::Constant));
    roots.resize(schema.fields().len(), None);
    check_calendar(&file.name, metadata, &roots)?;
    let groups = metadata.metadata().row_groups().iter().enumerate();
    let groups = groups.filter(|(_, group)| is_within(group, split)).map(|(index, _)| index).collect();
    Ok(ParquetFile { file: file.clone(), metadata: metadata.clone(), columns, roots, groups, naming: Some(naming) })
}

/// How a file has a column, and which of its own that is.
fn place_of(
    field: &Field,
    metadata: &ArrowReaderMetadata,
    naming: Naming,
) -> Result<(ColumnPlace, Option<usize>), String> {
    let fields = metadata.schema().fields();
    let Some(root) = naming.find(field.name(), fields)? else {
        return Ok((ColumnPlace::Constant(Scalar::Null), None));
    };
    let stored = logical_type(fields[root].data_type());
    if adapt::is_stored_as(&stored, field.data_type()) {
        return Ok((ColumnPlace::Stored, Some(root)));
    }
    adapt::check(&stored, field.data_type(), naming)?;
    Ok((ColumnPlace::Cast, Some(root)))
}

/// Whether the middle of a row group's bytes lies in the split, by parquet-mr's reckoning.
fn is_within(group: &RowGroupMetaData, split: &FileSplit) -> bool {
    let Some(first) = group.columns().first() else { return split.start == 0 };
    let data = first.data_page_offset();
    let start = first.dictionary_page_offset().filter(|&dictionary| dictionary < data).unwrap_or(data);
    let middle = start.max(0) as u64 + group.compressed_size().max(0) as u64 / 2;
    split.start <= middle && middle < split.start.saturating_add(split.length)
}

/// Refuses dates and times that Spark counted by the calendar that ended in 1582: they would come out shifted.
fn check_calendar(name: &str, metadata: &ArrowReaderMetadata, roots: &[Option<usize>]) -> Result<()> {
    let notes = metadata.metadata().file_metadata().key_value_metadata();
    let note = |key: &str| {
        let found = notes?.iter().find(|note| note.key == key)?;
        Some(found.value.as_deref().unwrap_or_default())
    };
    let Some(version) = note("org.apache.spark.version") else { return Ok(()) };
    let is_legacy = version < "3.0.0" || note("org.apache.spark.legacyDateTime").is_some();
    let is_legacy_int96 = version < "3.1.0" || note("org.apache.spark.legacyINT96").is_some();
    if !is_legacy && !is_legacy_int96 {
        return Ok(());
    }
    let descriptor = metadata.parquet_schema();
    for leaf in 0..descriptor.num_columns() {
        let root = descriptor.get_column_root_idx(leaf);
        let is_int96 = descriptor.column(leaf).physical_type() == PhysicalType::INT96;
        let counts_days = is_int96 || has_days(metadata.schema().field(root).data_type());
        let is_affected = if is_int96 { is_legacy_int96 } else { is_legacy };
        if counts_days && is_affected && roots.contains(&Some(root)) {
            let column = metadata.schema().field(root).name();
            return Err(Error::unsupported(format!(
                "{name}: column {column}, whose dates Spark {version} wrote by the legacy calendar"
            )));
        }
    }
    Ok(())
}

/// Whether there are dates or timestamps in the type.
fn has_days(data_type: &DataType) -> bool {
    match data_type {
        DataType::Date32 | DataType::Timestamp(_, _) => true,
        DataType::List(element) | DataType::Map(element, _) => has_days(element.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_days(field.data_type())),
        _ => false,
    }
}
