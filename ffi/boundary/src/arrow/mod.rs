//! Arrow across the boundary: the C Data and C Stream Interfaces, in with checks, out without copies.
//!
//! # Ownership
//! Every struct that comes in is *moved*: its `release` is null afterwards, whether the import succeeded or failed, and the host's `release` is
//! called once, on whichever thread drops the last buffer. Every struct that goes out is the host's, to be released by it once.
//!
//! # What is checked
//! Formats, names and nesting of schemas; lengths, offsets, numbers of buffers and children, null pointers, null counts, offsets of texts and
//! lists, UTF-8, dictionary codes. Buffers that are not aligned are copied. What cannot be checked: see the crate's head.
//!
//! Source: <https://arrow.apache.org/docs/format/CDataInterface.html>, <https://arrow.apache.org/docs/format/CStreamInterface.html>.

mod array;
mod export;
mod schema;
mod stream;
#[cfg(test)]
mod tests;

pub use ::arrow::ffi::{FFI_ArrowArray as ArrowArray, FFI_ArrowSchema as ArrowSchema};
pub use ::arrow::ffi_stream::FFI_ArrowArrayStream as ArrowArrayStream;
pub use array::{import_array, import_batch, import_rows};
pub use export::{
    Arrays, Batches, export_array, export_arrays, export_batch, export_schema, export_stream, stream_failure,
};
pub use schema::{import_field, import_schema};
pub use stream::{StreamReader, import_stream};
