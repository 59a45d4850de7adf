//! Results as files: one file, or a folder of one file per combination of partition values.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::{RecordBatch, UInt32Array};
use arrow::datatypes::SchemaRef;
use arrow::util::display::array_value_to_string;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;
use plasmon_core::{Error, Result};

use crate::format::{Format, Options};

/// Name of the value null in a partition folder, as Hive writes it.
const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// Writes batches; nothing is under its final name before [`Writer::finish`].
pub struct Writer {
    path: PathBuf,
    format: Format,
    options: Options,
    schema: SchemaRef,
    partition_columns: Vec<usize>,
    /// Open files by relative path of their folder.
    files: BTreeMap<PathBuf, OpenFile>,
}

enum Encoder {
    Parquet(Box<ArrowWriter<File>>),
    Csv(arrow::csv::Writer<BufWriter<File>>),
    Json(arrow::json::LineDelimitedWriter<BufWriter<File>>),
    Arrow(arrow::ipc::writer::FileWriter<BufWriter<File>>),
}

struct OpenFile {
    encoder: Encoder,
    unfinished: PathBuf,
    target: PathBuf,
}

impl Writer {
    /// Prepares writing rows of `schema` to `path`; without `format` the extension tells. With `partition_by`, `path` is a folder of `column=value` folders.
    pub fn create(
        path: &str,
        format: Option<Format>,
        options: &Options,
        schema: SchemaRef,
        partition_by: &[String],
    ) -> Result<Self> {
        let path = PathBuf::from(path.strip_prefix("file://").unwrap_or(path));
        let format = match (format, partition_by.is_empty()) {
            (Some(format), _) => format,
            (None, true) => Format::of_name(&path.to_string_lossy())?,
            (None, false) => return Err(Error::user("COPY with PARTITIONED BY needs STORED AS")),
        };
        let partition_columns = partition_by
            .iter()
            .map(|name| {
                schema.index_of(name).map_err(|_| Error::user(format!("PARTITIONED BY {name}: no such column")))
            })
            .collect::<Result<Vec<_>>>()?;
        if !partition_columns.is_empty() && partition_columns.len() == schema.fields().len() {
            return Err(Error::user("PARTITIONED BY leaves no column to write"));
        }
        let mut writer =
            Writer { path, format, options: options.clone(), schema, partition_columns, files: BTreeMap::new() };
        if writer.partition_columns.is_empty() {
            writer.file(Path::new(""))?;
        }
        Ok(writer)
    }

    /// Writes one batch.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.partition_columns.is_empty() {
            return self.file(Path::new(""))?.write(batch);
        }
        let mut rows: BTreeMap<PathBuf, Vec<u32>> = BTreeMap::new();
        for row in 0..batch.num_rows() {
            rows.entry(self.folder(batch, row)?).or_default().push(row as u32);
        }
        let kept: Vec<usize> =
            (0..self.schema.fields().len()).filter(|c| !self.partition_columns.contains(c)).collect();
        for (folder, rows) in rows {
            let part = arrow::compute::take_record_batch(&batch.project(&kept)?, &UInt32Array::from(rows))?;
            self.file(&folder)?.write(&part)?;
        }
        Ok(())
    }

    /// Completes every file and gives it its name.
    pub fn finish(mut self) -> Result<()> {
        for (_, file) in std::mem::take(&mut self.files) {
            let OpenFile { encoder, unfinished, target } = file;
            let error = |e: String| Error::io(target.display().to_string(), e);
            match encoder {
                Encoder::Parquet(writer) => drop(writer.close().map_err(|e| error(e.to_string()))?),
                Encoder::Csv(writer) => writer.into_inner().flush().map_err(|e| error(e.to_string()))?,
                Encoder::Json(mut writer) => {
                    writer.finish().map_err(|e| error(e.to_string()))?;
                    writer.into_inner().flush().map_err(|e| error(e.to_string()))?;
                }
                Encoder::Arrow(mut writer) => writer.finish().map_err(|e| error(e.to_string()))?,
            }
            std::fs::rename(&unfinished, &target).map_err(|e| error(e.to_string()))?;
        }
        Ok(())
    }

    fn folder(&self, batch: &RecordBatch, row: usize) -> Result<PathBuf> {
        let mut folder = PathBuf::new();
        for &column in &self.partition_columns {
            let array = batch.column(column);
            let value = if array.is_null(row) {
                NULL_PARTITION.to_string()
            } else {
                escape(&array_value_to_string(array, row)?)
            };
            folder.push(format!("{}={value}", self.schema.field(column).name()));
        }
        Ok(folder)
    }

    fn file(&mut self, folder: &Path) -> Result<&mut OpenFile> {
        if !self.files.contains_key(folder) {
            let file = self.open(folder)?;
            self.files.insert(folder.to_path_buf(), file);
        }
        self.files.get_mut(folder).ok_or_else(|| Error::internal("a file that was just opened is gone"))
    }

    fn open(&self, folder: &Path) -> Result<OpenFile> {
        let extension = match self.format {
            Format::Parquet => "parquet",
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Arrow => "arrow",
        };
        let is_folder = !self.partition_columns.is_empty() || self.path.extension().is_none();
        let target =
            if is_folder { self.path.join(folder).join(format!("part-0.{extension}")) } else { self.path.clone() };
        let error = |e: std::io::Error| Error::io(target.display().to_string(), e);
        let parent = target.parent().filter(|p| !p.as_os_str().is_empty());
        if let Some(parent) = parent {
            std::fs::create_dir_all(parent).map_err(error)?;
        }
        let name = target.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let unfinished = target.with_file_name(format!(".{name}.{}.part", std::process::id()));
        let file = File::create(&unfinished).map_err(error)?;
        let kept: Vec<usize> =
            (0..self.schema.fields().len()).filter(|c| !self.partition_columns.contains(c)).collect();
        let schema = std::sync::Arc::new(self.schema.project(&kept)?);
        let encoder = match self.format {
            Format::Parquet => {
                let writer = ArrowWriter::try_new(file, schema, Some(self.properties()?));
                Encoder::Parquet(Box::new(writer.map_err(|e| Error::io(target.display().to_string(), e))?))
            }
            Format::Csv => {
                let delimiter = self
                    .options
                    .get(&["delimiter", "delim", "sep"])
                    .and_then(|d| if d == "\\t" { Some(b'\t') } else { d.bytes().next() })
                    .unwrap_or(b',');
                let header = self.options.flag(&["header", "has_header"], true)?;
                let mut writer = arrow::csv::WriterBuilder::new()
                    .with_header(header)
                    .with_delimiter(delimiter)
                    .build(BufWriter::new(file));
                // The header is there also when no row is.
                writer.write(&RecordBatch::new_empty(schema))?;
                Encoder::Csv(writer)
            }
            Format::Json => {
                Encoder::Json(arrow::json::WriterBuilder::new().with_explicit_nulls(true).build(BufWriter::new(file)))
            }
            Format::Arrow => Encoder::Arrow(arrow::ipc::writer::FileWriter::try_new(BufWriter::new(file), &schema)?),
        };
        Ok(OpenFile { encoder, unfinished, target })
    }

    fn properties(&self) -> Result<WriterProperties> {
        let bad = |name: &str, value: &str| Error::user(format!("option {name}: {value:?} is not valid"));
        let mut properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
        if let Some(codec) = self.options.get(&["compression", "codec"]) {
            properties = properties.set_compression(match codec.to_lowercase().as_str() {
                "none" | "uncompressed" => Compression::UNCOMPRESSED,
                "snappy" => Compression::SNAPPY,
                "lz4" | "lz4_raw" => Compression::LZ4_RAW,
                "gzip" => Compression::GZIP(GzipLevel::default()),
                "zstd" => Compression::ZSTD(ZstdLevel::default()),
                _ => return Err(bad("compression", codec)),
            });
        }
        if let Some(rows) = self.options.get(&["row_group_size", "max_row_group_size"]) {
            properties =
                properties.set_max_row_group_row_count(Some(rows.parse().map_err(|_| bad("row_group_size", rows))?));
        }
        Ok(properties.build())
    }
}

impl OpenFile {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let outcome = match &mut self.encoder {
            Encoder::Parquet(writer) => writer.write(batch).map_err(|e| e.to_string()),
            Encoder::Csv(writer) => writer.write(batch).map_err(|e| e.to_string()),
            Encoder::Json(writer) => writer.write(batch).map_err(|e| e.to_string()),
            Encoder::Arrow(writer) => writer.write(batch).map_err(|e| e.to_string()),
        };
        outcome.map_err(|e| Error::io(self.target.display().to_string(), e))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // What was not finished is nobody's file.
        for file in self.files.values() {
            let _ = std::fs::remove_file(&file.unfinished);
        }
    }
}

/// A partition value as part of a path.
fn escape(value: &str) -> String {
    let mut escaped = String::new();
    for byte in value.bytes() {
        match byte {
            b'/' | b'=' | b'%' | b':' | b'\\' | b'"' | b'?' | b'*' | 0..=31 | 127 => {
                escaped.push_str(&format!("%{byte:02X}"))
            }
            _ => escaped.push(byte as char),
        }
    }
    if value.is_ascii() { escaped } else { value.replace('/', "%2F") }
}
