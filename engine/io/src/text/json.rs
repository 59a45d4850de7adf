//! JSON lines by Arrow's reader.

use std::io::BufRead;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::json::reader::{Decoder, infer_json_schema};
use plasmon_core::pipeline::CancelToken;
use plasmon_core::{Error, Result};

use super::input::{self, Input};
use super::locate::{self, LineDecoder};
use super::piece::Extent;
use super::{Batches, Reading, TextFile};
use crate::store::{DataFile, error_of};

/// A first line longer than this tells nothing about how objects lie on lines.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// The columns of a file, by a sample of its objects.
pub(super) fn infer(file: &DataFile, reading: &Reading) -> Result<Schema> {
    let text = input::open(file, reading, None, None)?;
    let (schema, _) = infer_json_schema(text, Some(reading.sample_rows()?)).map_err(|e| Error::io(&file.name, e))?;
    let fields = schema.fields().iter().map(|f| f.as_ref().clone().with_data_type(told(f.data_type())));
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

/// An inferred type as the table has it: what held only nulls is text.
fn told(inferred: &DataType) -> DataType {
    let field = |f: &Field| Arc::new(f.clone().with_data_type(told(f.data_type())));
    match inferred {
        DataType::Null | DataType::Utf8 => DataType::Utf8View,
        DataType::List(item) => DataType::List(field(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|f| field(f)).collect()),
        other => other.clone(),
    }
}

/// Whether the file's first line is an object: then line ends are where it may be cut.
pub(super) fn is_one_object_a_line(file: &DataFile, reading: &Reading) -> Result<bool> {
    let mut text = input::open(file, reading, None, None)?;
    let block = text.fill_buf().map_err(|e| error_of(&file.name, e))?;
    let Some(end) = memchr::memchr(b'\n', &block[..block.len().min(LINE_BYTES_MAX)]) else { return Ok(false) };
    let line = block[..end].trim_ascii();
    if !line.starts_with(b"{") {
        return Ok(false);
    }
    // The decoder takes a whole record or part of one.
    let builder = arrow::json::ReaderBuilder::new(Arc::new(Schema::empty())).with_batch_size(1);
    let mut decoder = builder.build_decoder().map_err(|e| Error::io(&file.name, e))?;
    Ok(decoder.decode(line).is_ok() && decoder.len() == 1 && !decoder.has_partial_record())
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
    let fields = names.iter().filter_map(|n| text.schema.field_with_name(n).ok().cloned()).collect::<Vec<_>>();
    let schema = Arc::new(Schema::new(fields));
    let decoder = |rows: usize| {
        let builder = arrow::json::ReaderBuilder::new(schema.clone()).with_batch_size(rows);
        builder.build_decoder().map_err(|e| Error::io(&text.file.name, e))
    };
    Ok(Box::new(JsonBatches {
        input,
        decoder: decoder(rows)?,
        again: Some(Again(decoder(1)?)),
        file: text.file.clone(),
        reading: reading.clone(),
        extent: extent.clone(),
    }))
}

struct JsonBatches {
    input: Input,
    decoder: Decoder,
    /// To find the line of an error; taken by the first.
    again: Option<Again>,
    file: Arc<DataFile>,
    reading: Reading,
    extent: Extent,
}

impl JsonBatches {
    fn read(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        loop {
            let block = self.input.fill_buf()?;
            if block.is_empty() {
                return self.decoder.flush();
            }
            let (len, taken) = (block.len(), self.decoder.decode(block)?);
            self.input.consume(taken);
            // What is not taken does not fit: the batch is full.
            if taken < len {
                return self.decoder.flush();
            }
        }
    }
}

impl Iterator for JsonBatches {
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

struct Again(Decoder);

impl LineDecoder for Again {
    fn decode(&mut self, text: &[u8]) -> Result<usize, String> {
        self.0.decode(text).map_err(|e| locate::told(&e))
    }

    fn flush(&mut self) -> Result<(), String> {
        // An object over several lines waits for its end.
        if self.0.has_partial_record() { Ok(()) } else { self.0.flush().map(|_| ()).map_err(|e| locate::told(&e)) }
    }
}
