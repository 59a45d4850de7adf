//! `ArrowArrayStream` → a reader of batches.

use std::ffi::CStr;

use ::arrow::array::{RecordBatch, RecordBatchReader};
use ::arrow::datatypes::SchemaRef;
use ::arrow::error::ArrowError;

use super::array::checked_batch;
use super::schema::convert;
use super::{ArrowArray, ArrowArrayStream, ArrowSchema};
use crate::host::require;
use crate::{Code, Failure, Result};

/// A host's stream. It is asked by one thread at a time, and released when this is dropped.
#[derive(Debug)]
pub struct StreamReader {
    stream: ArrowArrayStream,
    schema: SchemaRef,
    is_over: bool,
}

/// Takes a stream over and asks for its schema.
///
/// # Safety
/// `stream` is null, or leads to an `ArrowArrayStream` that is released or as the C Stream Interface says; its callbacks may run on any thread, one
/// at a time.
pub unsafe fn import_stream(stream: *mut ArrowArrayStream) -> Result<StreamReader> {
    require(stream, "stream")?;
    // SAFETY: not null, and the caller's promise. An empty struct owns nothing; what stood there is now ours.
    let mut stream = unsafe { std::ptr::replace(stream, ArrowArrayStream::empty()) };
    if stream.release.is_none() {
        return Err(Failure::arrow("the stream is released"));
    }
    let (Some(get_schema), Some(_)) = (stream.get_schema, stream.get_next) else {
        return Err(Failure::arrow("the stream has no get_schema or no get_next"));
    };
    let mut schema = ArrowSchema::empty();
    // SAFETY: a stream that is not released, and room for a schema.
    let code = unsafe { get_schema(&mut stream, &mut schema) };
    if code != 0 {
        return Err(last_error(&mut stream, "get_schema", code));
    }
    let schema = convert(&schema)?;
    Ok(StreamReader { stream, schema, is_over: false })
}

impl StreamReader {
    /// The next batch; `None` at the end, and after a failure.
    pub fn read(&mut self) -> Result<Option<RecordBatch>> {
        let Some(get_next) = self.stream.get_next.filter(|_| !self.is_over) else { return Ok(None) };
        let mut array = ArrowArray::empty();
        // SAFETY: a stream that is not released, and room for an array.
        let code = unsafe { get_next(&mut self.stream, &mut array) };
        // Until all went well.
        self.is_over = true;
        if code != 0 {
            return Err(last_error(&mut self.stream, "get_next", code));
        }
        if array.release.is_none() {
            return Ok(None);
        }
        let batch = checked_batch(array, &self.schema)?;
        self.is_over = false;
        Ok(Some(batch))
    }
}

/// What the host says about its failure.
fn last_error(stream: &mut ArrowArrayStream, call: &str, code: i32) -> Failure {
    let told = stream.get_last_error.and_then(|get_last_error| {
        // SAFETY: the last call on this stream failed, so it may be asked; the text is null or terminated and lives until the next call.
        let text = unsafe { get_last_error(stream) };
        // SAFETY: as above.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
    });
    let told = told.filter(|text| !text.is_empty()).unwrap_or_else(|| format!("no message, errno {code}"));
    Failure::new(Code::Host, format!("the host's stream failed in {call}: {told}"))
}

impl Iterator for StreamReader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().map_err(|failure| ArrowError::ExternalError(Box::new(failure))).transpose()
    }
}

impl RecordBatchReader for StreamReader {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}
