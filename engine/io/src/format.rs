//! File formats and their options.

use std::path::Path;

use arrow::datatypes::SchemaRef;
use plasmon_core::{Error, Result};

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Parquet,
    Csv,
    /// One object a line.
    Json,
    /// Arrow IPC, file or stream.
    Arrow,
}

impl Format {
    /// By name, as in STORED AS.
    pub fn parse(name: &str) -> Result<Self> {
        match name.to_lowercase().as_str() {
            "parquet" => Ok(Format::Parquet),
            "csv" | "tsv" => Ok(Format::Csv),
            "json" | "jsonl" | "ndjson" => Ok(Format::Json),
            "arrow" | "ipc" | "feather" | "arrows" => Ok(Format::Arrow),
            other => Err(Error::user(format!("unknown file format {other:?}; there are parquet, csv, json, arrow"))),
        }
    }

    /// By extension.
    pub fn of_path(path: &Path) -> Result<Self> {
        let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
        let stem = name.strip_suffix(".gz").unwrap_or(&name);
        match stem.rsplit_once('.') {
            Some((_, extension)) => {
                Format::parse(extension).map_err(|e| Error::user(format!("{}: {e}", path.display())))
            }
            None => {
                Err(Error::user(format!("{}: no extension tells the format; name it with STORED AS", path.display())))
            }
        }
    }
}

/// Options of reading and writing: `name → value`, names in lower case.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Columns as declared; `None` = inferred.
    pub schema: Option<SchemaRef>,
    pub values: Vec<(String, String)>,
}

impl Options {
    /// The value of the first of these names that is given.
    pub(crate) fn get(&self, names: &[&str]) -> Option<&str> {
        self.values
            .iter()
            .find(|(n, _)| names.contains(&n.trim_start_matches("format.").to_lowercase().as_str()))
            .map(|(_, v)| v.as_str())
    }

    /// A true-or-false option.
    pub(crate) fn flag(&self, names: &[&str], default: bool) -> Result<bool> {
        match self.get(names) {
            None => Ok(default),
            Some(value) => value
                .to_lowercase()
                .parse()
                .map_err(|_| Error::user(format!("option {}: {value:?} is neither true nor false", names[0]))),
        }
    }
}
