//! Files as tables and results as files: Parquet, CSV, JSON lines, Arrow IPC.

mod format;
mod parquet;
mod partition;
mod schema;
mod store;
mod text;
mod writer;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use plasmon_core::table::{FileSplits, Table};
use plasmon_core::{Error, Result};

pub use format::{Format, Options};
pub use parquet::ParquetTable;
use store::DataFile;
pub use store::is_hidden;
pub use writer::Writer;

/// Whether SET takes this name for a setting of object stores: `s3.region`, `azure_account_name`, `gcs.…`, `http.timeout`.
pub fn is_store_setting(name: &str) -> bool {
    let prefixes = ["s3", "aws", "gcs", "google", "azure", "http"];
    let prefix = name.split(['.', '_']).next().unwrap_or_default();
    prefix.len() < name.len() && prefixes.contains(&prefix) && store::is_setting(name)
}

/// The table over the file, folder or pattern at `location`; without `format`, the extension of its files tells.
pub fn open_table(location: &str, format: Option<Format>, options: &Options) -> Result<Arc<dyn Table>> {
    open_tables(&[location.to_string()], format, options)
}

/// The table over all files of several locations.
pub fn open_tables(locations: &[String], format: Option<Format>, options: &Options) -> Result<Arc<dyn Table>> {
    let mut files = Vec::new();
    for location in locations {
        files.extend(store::data_files(location, format, options)?);
    }
    let location = &locations.join(", ");
    if files.is_empty() {
        return Err(Error::user("no location is given"));
    }
    let format = format.map_or_else(|| common_format(&files), Ok)?;
    options.check_known(&[&["hive_partitioning", "hive_partitions", "filename"][..], text::options_of(format)])?;
    match format {
        Format::Parquet => ParquetTable::open(location, files, options),
        Format::Csv | Format::Json | Format::Arrow => text::open(location, files, format, options),
    }
}

/// The table over parts of files that a host has planned, with these columns: those of files, then those of partitions.
pub fn open_splits(splits: &FileSplits, schema: &SchemaRef, options: &Options) -> Result<Arc<dyn Table>> {
    match Format::parse(&splits.format)? {
        Format::Parquet => ParquetTable::open_splits(splits, schema, options),
        other => Err(Error::unsupported(format!("splits of files of format {other:?}"))),
    }
}

/// The one format that the extensions of all files tell.
fn common_format(files: &[Arc<DataFile>]) -> Result<Format> {
    let format = Format::of_name(&files[0].name)?;
    for file in &files[1..] {
        let other = Format::of_name(&file.name)?;
        if other != format {
            return Err(Error::user(format!(
                "files of several formats: {} is {format:?}, {} is {other:?}; use a pattern like '*.{}' or name the format",
                files[0].name,
                file.name,
                format.extension()
            )));
        }
    }
    Ok(format)
}

/// Runs a decoder over bytes that may be malformed: a panic inside (its own or a library's) becomes an error that names the file.
pub(crate) fn contain<T>(context: impl FnOnce() -> String, work: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::io(context(), "malformed data")))
}
