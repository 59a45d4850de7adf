//! Queries: rows by pull, by push or step by step; cancellation, progress, metrics.

use std::ffi::{c_char, c_void};
use std::sync::Mutex;
use std::time::Instant;

use arrow::datatypes::SchemaRef;
use plasmon::core::pipeline::CancelToken;
use plasmon::plan::sql::ExplainFormat;
use plasmon::{Monitor, Query, Step};
use plasmon_boundary::arrow::{ArrowArray, ArrowArrayStream, ArrowSchema, export_batch, export_schema, export_stream};
use plasmon_boundary::guard::guarded;
use plasmon_boundary::handle::{self, Object};
use plasmon_boundary::host::{require, write};
use plasmon_boundary::{Code, Failure, Result, text};

use crate::plasmon_query;
use crate::statement::lock;

/// What one `plasmon_query_step` came to.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum plasmon_step {
    /// `out` holds a batch of the result; step again.
    Batch = 1,
    /// Work was done; step again.
    Moved = 2,
    /// Nothing can be done now; step again later.
    Blocked = 3,
    /// The result has ended.
    Done = 4,
}

/// What a query has done so far.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct plasmon_progress {
    /// Rows read by scans.
    pub rows_read: u64,
    /// Rows of all scanned tables; -1 = unknown.
    pub rows_total: i64,
    /// Bytes reserved now.
    pub bytes_reserved: u64,
    /// The most bytes reserved at once so far.
    pub bytes_peak: u64,
    /// Time since the query was started.
    pub elapsed_nanos: u64,
}

/// Gets one batch, a struct array, and `context`. It may move the array out (and set `release` to null); else the array is released after it
/// returns. Anything but 0 ends the query.
pub type plasmon_batch_callback = Option<unsafe extern "C" fn(context: *mut c_void, array: *mut ArrowArray) -> i32>;

pub(crate) struct QueryObject {
    /// Taken away by the stream that reads them.
    rows: Mutex<Option<Query>>,
    schema: SchemaRef,
    monitor: Monitor,
    cancel: CancelToken,
    start: Instant,
}

impl Object for QueryObject {
    const KIND: u8 = 3;
    const NAME: &'static str = "a query";
}

impl QueryObject {
    pub(crate) fn new(query: Query) -> Self {
        QueryObject {
            schema: query.schema(),
            monitor: query.monitor(),
            cancel: query.cancel_token(),
            rows: Mutex::new(Some(query)),
            start: Instant::now(),
        }
    }

    fn with_rows<T>(&self, work: impl FnOnce(&mut Query) -> Result<T>) -> Result<T> {
        let mut rows = lock(&self.rows, "the query")?;
        work(rows.as_mut().ok_or_else(rows_are_taken)?)
    }
}

fn rows_are_taken() -> Failure {
    Failure::state("the rows of the query were taken by plasmon_query_stream")
}

/// The columns of the result. The host releases `out`. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_query_schema(query: plasmon_query, out: *mut ArrowSchema) -> i32 {
    guarded(|| {
        let schema = export_schema(&handle::get::<QueryObject>(query.id)?.schema)?;
        // SAFETY: ABI.md, "Pointers".
        unsafe { write(out, schema, "out") }
    })
}

/// Gives the rest of the rows as a stream, once. The host releases `out`; that ends the query, whose handle stays for its progress and metrics.
/// Closing the handle ends the stream with `ECANCELED`. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_query_stream(query: plasmon_query, out: *mut ArrowArrayStream) -> i32 {
    guarded(|| {
        require(out, "out")?;
        let object = handle::get::<QueryObject>(query.id)?;
        let taken = lock(&object.rows, "the query")?.take();
        let mut rows = taken.ok_or_else(rows_are_taken)?;
        let next = Box::new(move || Ok(rows.next().transpose()?));
        // SAFETY: ABI.md, "Pointers".
        unsafe { write(out, export_stream(object.schema.clone(), next), "out") }
    })
}

/// Runs the query to its end on this thread and hands each batch to `callback` on it. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_query_push(
    query: plasmon_query,
    callback: plasmon_batch_callback,
    context: *mut c_void,
) -> i32 {
    guarded(|| {
        let callback = callback.ok_or_else(|| Failure::argument("callback is null"))?;
        let object = handle::get::<QueryObject>(query.id)?;
        object.with_rows(|rows| {
            for batch in rows {
                let mut array = export_batch(batch?);
                // SAFETY: the host's function, with the pointer that it asked for and an array of ours, which drops what is left of it.
                let answer = unsafe { callback(context, &mut array) };
                if answer != 0 {
                    return Err(Failure::new(Code::Host, format!("the batch callback gave {answer}")));
                }
            }
            Ok(())
        })
    })
}

/// Does a bounded piece of work on this thread: under the setting `driver = inline`, at most one batch moves through one chain of operators; under
/// `driver = pool` the library's workers work, and this looks for a batch. `outcome` becomes a `plasmon_step`; `out` holds a batch for
/// `PLASMON_STEP_BATCH` and is released else. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_query_step(query: plasmon_query, out: *mut ArrowArray, outcome: *mut i32) -> i32 {
    guarded(|| {
        require(out, "out")?;
        require(outcome, "outcome")?;
        let step = handle::get::<QueryObject>(query.id)?.with_rows(|rows| Ok(rows.step()?))?;
        let (code, array) = match step {
            Step::Batch(batch) => (plasmon_step::Batch, export_batch(batch)),
            Step::Moved => (plasmon_step::Moved, ArrowArray::empty()),
            Step::Blocked => (plasmon_step::Blocked, ArrowArray::empty()),
            Step::Done => (plasmon_step::Done, ArrowArray::empty()),
        };
        // SAFETY: ABI.md, "Pointers".
        unsafe {
            write(out, array, "out")?;
            write(outcome, code as i32, "outcome")
        }
    })
}

/// Stops the query within one batch, from any thread, also while another is inside a call on it; that call fails with `PLASMON_CODE_CANCELLED`.
/// Since ABI 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn plasmon_query_cancel(query: plasmon_query) -> i32 {
    guarded(|| {
        handle::get::<QueryObject>(query.id)?.cancel.cancel();
        Ok(())
    })
}

/// What the query has done so far, from any thread. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_query_progress(query: plasmon_query, out: *mut plasmon_progress) -> i32 {
    guarded(|| {
        let object = handle::get::<QueryObject>(query.id)?;
        let seen = object.monitor.progress();
        let progress = plasmon_progress {
            rows_read: seen.rows_read,
            rows_total: seen.rows_total.and_then(|rows| i64::try_from(rows).ok()).unwrap_or(-1),
            bytes_reserved: seen.bytes_reserved as u64,
            bytes_peak: seen.bytes_peak as u64,
            elapsed_nanos: object.start.elapsed().as_nanos() as u64,
        };
        // SAFETY: ABI.md, "Pointers".
        unsafe { write(out, progress, "out") }
    })
}

/// The plan with what every operator did so far, as the JSON of `EXPLAIN (ANALYZE, FORMAT JSON)`, from any thread; an empty object when the
/// statement has no plan. Free `*out` with `plasmon_text_free`. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_query_metrics(query: plasmon_query, out: *mut *mut c_char) -> i32 {
    guarded(|| {
        require(out, "out")?;
        let object = handle::get::<QueryObject>(query.id)?;
        let shown = object.monitor.explain(ExplainFormat::Json, object.start.elapsed().as_nanos() as u64);
        let shown = shown.unwrap_or_else(|| "{}".to_string());
        // SAFETY: ABI.md, "Pointers".
        unsafe { write(out, text::terminated(&shown).into_raw(), "out") }
    })
}

/// Stops the query if it runs, and closes its handle. Returns once nothing of it runs any more, unless a stream or another thread's call holds its
/// rows: then those end with `PLASMON_CODE_CANCELLED`. Since ABI 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn plasmon_query_close(query: plasmon_query) -> i32 {
    guarded(|| {
        let object = handle::close::<QueryObject>(query.id)?;
        object.cancel.cancel();
        Ok(())
    })
}
