//! Batches as the bytes of one file.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use plasmon_core::{Error, Result};

use super::output::Output;
use super::parquet_options;
use crate::format::{Compression, Format, Options};
use crate::text::CsvOptions;

/// Zstandard's own default.
const ZSTD_LEVEL: i32 = 3;

/// The encoder of one file.
pub(super) struct Encoder {
    name: String,
    written: Arc<AtomicUsize>,
    kind: Kind,
}

enum Kind {
    Parquet(Box<ArrowWriter<Output>>),
    Csv(Box<arrow::csv::Writer<Packed>>),
    Json(arrow::json::LineDelimitedWriter<Packed>),
    Arrow(Box<arrow::ipc::writer::FileWriter<Output>>),
}

/// Text as it is or compressed.
enum Packed {
    Plain(Output),
    Gzip(GzEncoder<Output>),
    Zstd(zstd::stream::write::Encoder<'static, Output>),
}

/// The options that a format's encoder takes.
pub(super) fn options_of(format: Format) -> &'static [&'static str] {
    match format {
        Format::Parquet => &parquet_options::NAMES,
        Format::Csv => &[
            "header",
            "has_header",
            "delimiter",
            "delim",
            "sep",
            "quote",
            "escape",
            "null",
            "nullstr",
            "null_value",
            "compression",
            "codec",
        ],
        Format::Json => &["compression", "codec"],
        Format::Arrow => &[],
    }
}

impl Encoder {
    /// Begins a file of `schema`.
    pub(super) fn create(format: Format, output: Output, schema: SchemaRef, options: &Options) -> Result<Self> {
        let (name, written) = (output.name().to_string(), output.counter());
        let error = |e: &dyn std::fmt::Display| Error::io(&name, e);
        let kind = match format {
            Format::Parquet => {
                let properties = parquet_options::properties(options, &schema)?;
                let writer = ArrowWriter::try_new(output, schema, Some(properties)).map_err(|e| error(&e))?;
                Kind::Parquet(Box::new(writer))
            }
            Format::Csv => Kind::Csv(Box::new(csv_writer(Packed::new(output, options)?, schema, options)?)),
            Format::Json => {
                let builder = arrow::json::WriterBuilder::new().with_explicit_nulls(true);
                Kind::Json(builder.build(Packed::new(output, options)?))
            }
            Format::Arrow => {
                let writer = arrow::ipc::writer::FileWriter::try_new(output, &schema).map_err(|e| error(&e))?;
                Kind::Arrow(Box::new(writer))
            }
        };
        Ok(Encoder { name, written, kind })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let outcome = match &mut self.kind {
            Kind::Parquet(writer) => writer.write(batch).map_err(|e| e.to_string()),
            Kind::Csv(writer) => writer.write(batch).map_err(|e| e.to_string()),
            Kind::Json(writer) => writer.write(batch).map_err(|e| e.to_string()),
            Kind::Arrow(writer) => writer.write(batch).map_err(|e| e.to_string()),
        };
        outcome.map_err(|e| Error::io(&self.name, e))
    }

    /// Bytes of the file so far, roughly.
    pub(super) fn bytes(&self) -> usize {
        match &self.kind {
            Kind::Parquet(writer) => writer.bytes_written() + writer.in_progress_size(),
            _ => self.written.load(Ordering::Relaxed),
        }
    }

    /// Writes what ends the file.
    pub(super) fn finish(self) -> Result<Output> {
        let error = |e: &dyn std::fmt::Display| Error::io(&self.name, e);
        match self.kind {
            Kind::Parquet(writer) => writer.into_inner().map_err(|e| error(&e)),
            Kind::Csv(writer) => writer.into_inner().finish().map_err(|e| error(&e)),
            Kind::Json(mut writer) => {
                writer.finish().map_err(|e| error(&e))?;
                writer.into_inner().finish().map_err(|e| error(&e))
            }
            Kind::Arrow(mut writer) => {
                writer.finish().map_err(|e| error(&e))?;
                writer.into_inner().map_err(|e| error(&e))
            }
        }
    }
}

fn csv_writer(output: Packed, schema: SchemaRef, options: &Options) -> Result<arrow::csv::Writer<Packed>> {
    let csv = CsvOptions::new(options)?;
    let mut builder = arrow::csv::WriterBuilder::new()
        .with_header(csv.header)
        .with_delimiter(csv.delimiter)
        .with_quote(csv.quote)
        .with_null(csv.null.clone());
    if let Some(escape) = csv.escape {
        builder = builder.with_escape(escape).with_double_quote(false);
    }
    let mut writer = builder.build(output);
    // The header is there also when no row is.
    writer.write(&RecordBatch::new_empty(schema))?;
    Ok(writer)
}

impl Packed {
    fn new(output: Output, options: &Options) -> Result<Self> {
        Ok(match Compression::of_file(output.name(), options)? {
            None => Packed::Plain(output),
            Some(Compression::Gzip) => Packed::Gzip(GzEncoder::new(output, flate2::Compression::default())),
            Some(Compression::Zstd) => {
                let name = output.name().to_string();
                let encoder = zstd::stream::write::Encoder::new(output, ZSTD_LEVEL);
                Packed::Zstd(encoder.map_err(|e| Error::io(name, e))?)
            }
        })
    }

    fn finish(self) -> std::io::Result<Output> {
        match self {
            Packed::Plain(output) => Ok(output),
            Packed::Gzip(encoder) => encoder.finish(),
            Packed::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Packed::Plain(output) => output.write(bytes),
            Packed::Gzip(encoder) => encoder.write(bytes),
            Packed::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        // The file is flushed when it gets its name; flushing a compressor after every batch would cost its ratio.
        Ok(())
    }
}
