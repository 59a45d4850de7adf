//! Files as tables and results as files: Parquet, CSV, JSON lines, Arrow IPC.

mod format;
mod location;
mod parquet;
mod text;
mod writer;

use std::sync::Arc;

use plasmon_core::table::Table;
use plasmon_core::{Error, Result};

pub use format::{Format, Options};
pub use parquet::ParquetTable;
pub use writer::Writer;

/// The table over the file, folder or pattern at `location`; without `format`, the extension of its files tells.
pub fn open_table(location: &str, format: Option<Format>, options: &Options) -> Result<Arc<dyn Table>> {
    let files = location::find_files(location)?;
    let format = format.map_or_else(|| Format::of_path(&files[0]), Ok)?;
    match format {
        Format::Parquet => ParquetTable::open(location, files),
        Format::Csv | Format::Json | Format::Arrow => text::open(location, files, format, options),
    }
}

/// Runs a decoder over bytes that may be malformed: a panic inside (its own or a library's) becomes an error that names the file.
pub(crate) fn contain<T>(context: impl FnOnce() -> String, work: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::io(context(), "malformed data")))
}
