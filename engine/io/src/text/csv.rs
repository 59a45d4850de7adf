//! CSV by Arrow's reader: its options, its columns, its pieces as batches.

use std::io::BufRead;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::csv::reader::{Decoder, Format};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use plasmon_core::pipeline::CancelToken;
use plasmon_core::{Error, Result};
use regex::Regex;

use super::input::{self, Input};
use super::locate::{self, LineDecoder};
use super::piece::Extent;
use super::{Batches, Reading, TextFile};
use crate::format::Options;
use crate::store::DataFile;

/// How CSV is written in a file.
#[derive(Debug, Clone)]
pub(crate) struct CsvOptions {
    pub(crate) header: bool,
    pub(crate) delimiter: u8,
    pub(crate) quote: u8,
    pub(crate) escape: Option<u8>,
    pub(crate) comment: Option<u8>,
    /// Text that stands for null.
    pub(crate) null: String,
    /// Rows may end early: what they lack is null.
    null_padding: bool,
    all_text: bool,
}

impl CsvOptions {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let byte = |names: &[&str]| match options.get(names) {
            None | Some("") => Ok(None),
            Some("\\t" | "tab") => Ok(Some(b'\t')),
            Some(text) if text.len() == 1 => Ok(Some(text.as_bytes()[0])),
            Some(text) => Err(Error::user(format!("option {}: {text:?} is not one byte", names[0]))),
        };
        Ok(CsvOptions {
            header: options.flag(&["header", "has_header"], true)?,
            delimiter: byte(&["delimiter", "delim", "sep"])?.unwrap_or(b','),
            quote: byte(&["quote"])?.unwrap_or(b'"'),
            escape: byte(&["escape"])?.filter(|&e| e != byte(&["quote"]).ok().flatten().unwrap_or(b'"')),
            comment: byte(&["comment"])?,
            null: options.get(&["null", "nullstr", "null_value"]).unwrap_or_default().to_string(),
            null_padding: options.flag(&["null_padding", "truncated_rows"], false)?,
            all_text: options.flag(&["all_varchar"], false)?,
        })
    }

    fn format(&self) -> Result<Format> {
        let mut format = Format::default()
            .with_header(self.header)
            .with_delimiter(self.delimiter)
            .with_quote(self.quote)
            .with_truncated_rows(self.null_padding);
        if let Some(escape) = self.escape {
            format = format.with_escape(escape);
        }
        if let Some(comment) = self.comment {
            format = format.with_comment(comment);
        }
        if !self.null.is_empty() {
            let exactly = format!("^{}$", regex::escape(&self.null));
            format =
                format.with_null_regex(Regex::new(&exactly).map_err(|e| Error::user(format!("option null: {e}")))?);
        }
        Ok(format)
    }
}

/// The columns of a file, by its header and a sample of its rows.
pub(super) fn infer(file: &DataFile, reading: &Reading) -> Result<Schema> {
    let text = input::open(file, reading, None, None)?;
    let inferred = reading.csv.format()?.infer_schema(text, Some(reading.sample_rows()?));
    let (schema, _) = inferred.map_err(|e| Error::io(&file.name, e))?;
    let data_type = |f: &Field| match f.data_type() {
        _ if reading.csv.all_text => DataType::Utf8View,
        DataType::Utf8 => DataType::Utf8View,
        other => other.clone(),
    };
    Ok(Schema::new(schema.fields().iter().map(|f| f.as_ref().clone().with_data_type(data_type(f))).collect::<Vec<_>>()))
}

/// The named columns of one piece.
pub(super) fn batches(
    text: &TextFile,
    reading: &Reading,
    extent: &Extent,
    names: &[&str],
    rows: usize,
    cancel: &CancelToken,
) -> Result<Batches> {
    let range = match extent {
        Extent::Bytes(range) => Some(range),
        _ => None,
    };
    let input = input::open(&text.file, reading, range, Some(cancel))?;
    let indices: Vec<usize> = names.iter().filter_map(|n| text.schema.index_of(n).ok()).collect();
    let has_header = reading.csv.header && range.is_none_or(|r| r.start == 0);
    let decoder = |rows: usize, indices: Vec<usize>| -> Result<Decoder> {
        Ok(arrow::csv::ReaderBuilder::new(text.schema.clone())
            .with_format(reading.csv.format()?)
            .with_header(has_header)
            .with_batch_size(rows)
            .with_projection(indices)
            .build_decoder())
    };
    Ok(Box::new(CsvBatches {
        input,
        decoder: decoder(rows, indices.clone())?,
        again: Some(Again { decoder: decoder(1, indices)?, schema: text.schema.clone() }),
        file: text.file.clone(),
        reading: reading.clone(),
        extent: extent.clone(),
    }))
}

struct CsvBatches {
    input: Input,
    decoder: Decoder,
    /// To find the line of an error; taken by the first.
    again: Option<Again>,
    file: Arc<DataFile>,
    reading: Reading,
    extent: Extent,
}

impl CsvBatches {
    fn read(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        loop {
            let block = self.input.fill_buf()?;
            let taken = self.decoder.decode(block)?;
            let is_end = block.is_empty();
            self.input.consume(taken);
            if is_end || self.decoder.capacity() == 0 {
                return self.decoder.flush();
            }
        }
    }
}

impl Iterator for CsvBatches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        // After an error there is nothing to go on with.
        self.again.as_ref()?;
        match self.read() {
            Ok(batch) => batch.map(Ok),
            Err(error) => {
                let mut again = self.again.take()?;
                Some(Err(locate::at_line(&self.file, &self.reading, &self.extent, &mut again, error)))
            }
        }
    }
}

/// Decodes row by row; says what is wrong in the terms of the columns.
struct Again {
    decoder: Decoder,
    schema: SchemaRef,
}

impl LineDecoder for Again {
    fn decode(&mut self, text: &[u8]) -> Result<usize, String> {
        self.decoder.decode(text).map_err(|e| self.told(&e))
    }

    fn flush(&mut self) -> Result<(), String> {
        match self.decoder.flush() {
            Ok(_) => Ok(()),
            // A record over several lines waits for its end.
            Err(e) if e.to_string().contains("part way through") => Ok(()),
            Err(e) => Err(self.told(&e)),
        }
    }
}

impl Again {
    /// The reader's message with the column's name for its number, and without its own count of lines.
    fn told(&self, error: &ArrowError) -> String {
        let message = locate::told(error);
        let message = message.split(" Row data:").next().unwrap_or_default().trim_end_matches('.');
        let mut words: Vec<String> = message.split(' ').map(str::to_string).collect();
        let is_number = |word: &str| word.trim_end_matches(',').parse::<usize>().is_ok();
        if let Some(at) = words.windows(2).position(|w| w[0] == "column" && is_number(&w[1])) {
            let index = words[at + 1].parse::<usize>().unwrap_or(usize::MAX);
            if let Some(field) = self.schema.fields().get(index) {
                words[at + 1] = field.name().clone();
            }
        }
        if let Some(at) = words.windows(2).position(|w| w[0] == "line" && is_number(&w[1])) {
            let from = at - usize::from(at > 0 && matches!(words[at - 1].as_str(), "at" | "for"));
            words.drain(from..at + 2);
        }
        words.join(" ")
    }
}
