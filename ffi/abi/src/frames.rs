//! Frames, cached builds, and counters by relation: what hosts in Rust (the JNI library) use beside the C functions.

use std::sync::Arc;

pub use plasmon::core::operators::join::{cached_build_bytes, release_build, retain_build};
use plasmon::plan::explain::Counters;
use plasmon::plan::wire::decode_fields;
use plasmon::{Error, FrameTable};
use plasmon_boundary::Result;
use plasmon_boundary::arrow::{ArrowArray, import_batch};
use plasmon_boundary::handle;

use crate::query::QueryObject;
use crate::statement::StatementObject;
use crate::{plasmon_query, plasmon_statement};

/// Gives one or several whole frames at a time; `None` at the end.
pub type FrameSource = Box<dyn FnMut() -> Result<Option<Vec<u8>>> + Send>;

/// Makes frames the table `name` of a statement, before any of the session's of that name: read while the statement runs, once. `fields` is a `StructType` of
/// `plan.proto`: the columns that the frames were written of.
pub fn bind_frames(statement: plasmon_statement, name: &str, fields: &[u8], mut source: FrameSource) -> Result<()> {
    let schema = decode_fields(fields)?;
    let table = FrameTable::new(schema, move || source().map_err(Error::from));
    handle::get::<StatementObject>(statement.id)?.bind(name, Arc::new(table))
}

/// Waits for the next batch of a query, as frames; `None` at the end.
pub fn next_frames(query: plasmon_query) -> Result<Option<Vec<u8>>> {
    handle::get::<QueryObject>(query.id)?.with_rows(|rows| Ok(rows.next_frames()?))
}

/// A struct array of the columns of `fields`, a `StructType` of `plan.proto`, as frames. The array is taken over in every case.
pub fn encode_frames(mut array: ArrowArray, fields: &[u8]) -> Result<Vec<u8>> {
    let schema = decode_fields(fields)?;
    // SAFETY: a struct of our own; what it points to is the host's promise: ABI.md, "Pointers".
    let batch = unsafe { import_batch(&mut array, &schema)? };
    Ok(plasmon::encode_frames(&schema, &batch)?)
}

/// What every relation of a plan did so far; see [`plasmon::Monitor::counters`]. Nothing for a query that has not started.
pub fn node_counters(query: plasmon_query) -> Result<Vec<Counters>> {
    Ok(handle::get::<QueryObject>(query.id)?.counters())
}
