//! File formats and their options.

use arrow::datatypes::SchemaRef;
use plasmon_core::{Error, Result};

use crate::store::is_setting;

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

    /// By the extension of a path or URL; that of a compression is passed over.
    pub fn of_name(name: &str) -> Result<Self> {
        let file = name.rsplit(['/', '\\']).next().unwrap_or(name).to_lowercase();
        let stem = Compression::of_name(&file).map_or(file.as_str(), |c| &file[..file.len() - c.extension().len()]);
        match stem.rsplit_once('.') {
            Some((_, extension)) => Format::parse(extension).map_err(|e| Error::user(format!("{name}: {e}"))),
            None => Err(Error::user(format!("{name}: no extension tells the format; name it with STORED AS"))),
        }
    }

    /// The extension of new files.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Format::Parquet => "parquet",
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Arrow => "arrow",
        }
    }
}

/// How a whole text file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    /// By the name's extension.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        [Compression::Gzip, Compression::Zstd].into_iter().find(|c| name.ends_with(c.extension()))
    }

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Compression::Gzip => ".gz",
            Compression::Zstd => ".zst",
        }
    }

    /// What the option `compression` says, else the name.
    pub(crate) fn of_file(name: &str, options: &Options) -> Result<Option<Self>> {
        match options.get(&["compression", "codec"]).map(str::to_lowercase).as_deref() {
            None | Some("auto") => Ok(Compression::of_name(name)),
            Some("none" | "uncompressed") => Ok(None),
            Some("gzip" | "gz") => Ok(Some(Compression::Gzip)),
            Some("zstd" | "zst") => Ok(Some(Compression::Zstd)),
            Some(other) => Err(Error::user(format!("option compression: {other:?} is none of none, gzip, zstd"))),
        }
    }
}

/// Options of reading and writing: `name → value`, names in lower case.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Columns as declared; `None` = inferred.
    pub schema: Option<SchemaRef>,
    /// Columns that folder names give, as declared; `None` = those that all files' folders have.
    pub partition_columns: Option<Vec<String>>,
    pub values: Vec<(String, String)>,
}

impl Options {
    /// The value of the first of these names that is given.
    pub(crate) fn get(&self, names: &[&str]) -> Option<&str> {
        self.values
            .iter()
            .find(|(n, _)| names.contains(&n.to_lowercase().trim_start_matches("format.")))
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

    /// A whole number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<usize>> {
        let parse =
            |text: &str| text.parse().map_err(|_| Error::user(format!("option {name}: {text:?} is no whole number")));
        self.get(&[name]).map(parse).transpose()
    }

    /// Refuses options that neither these lists nor a store's client know: a misspelt one must not go unnoticed.
    pub(crate) fn check_known(&self, lists: &[&[&str]]) -> Result<()> {
        for (name, _) in &self.values {
            let plain = name.to_lowercase();
            let plain = plain.trim_start_matches("format.");
            let whole = plain.split("::").next().unwrap_or(plain);
            if !lists.iter().any(|list| list.contains(&whole)) && !is_setting(plain) {
                let known = lists.concat().join(", ");
                return Err(Error::user(format!(
                    "unknown option {name}; there are {known}, and those of object stores"
                )));
            }
        }
        Ok(())
    }
}
