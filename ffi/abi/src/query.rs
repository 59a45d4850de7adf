//! Queries: rows by pull, by push or step by step; cancellation, progress, metrics.

use std::ffi::{c_char, c_void};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use arrow::datatypes::SchemaRef;
use plasmon::core::pipeline::CancelToken;
use plasmon::operators::Operator;
use plasmon::plan::explain::Counters;
use plasmon::plan::sql::ExplainFormat;
use plasmon::{Monitor, Query, Step};
use plasmon_boundary::arrow::{ArrowArray, ArrowArrayStream, ArrowSchema, export_batch, export_schema, export_stream};
use plasmon_boundary::guard::guarded;
use plasmon_boundary::handle::{self, Object, lock};
use plasmon_boundary::host::{require, write};
use plasmon_boundary::{Code, Failure, Result, text};

use crate::plasmon_query;

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
    rows: Mutex<Rows>,
    schema: SchemaRef,
    /// Of a query that was started.
    started: OnceLock<Started>,
    cancel: CancelToken,
}

enum Rows {
    /// Of operators, which start when their rows are asked for.
    Waiting(Box<Operator>),
    Running(Query),
    /// By a stream, or by an operator that they are the input of.
    Taken,
    /// The query could not be started.
    Failed,
}

struct Started {
    monitor: Monitor,
    start: Instant,
}

impl Started {
    fn nanos(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }
}

impl Object for QueryObject {
    const KIND: u8 = 3;
    const NAME: &'static str = "a query";
}

impl QueryObject {
    pub(crate) fn new(query: Query) -> Self {
        let started = Started { monitor: query.monitor(), start: Instant::now() };
        QueryObject {
            schema: query.schema(),
            cancel: query.cancel_token(),
            rows: Mutex::new(Rows::Running(query)),
            started: OnceLock::from(started),
        }
    }

    /// The query that operators will be.
    pub(crate) fn waiting_for(operator: Operator) -> Self {
        QueryObject {
            schema: operator.schema(),
            cancel: operator.cancel_token(),
            rows: Mutex::new(Rows::Waiting(Box::new(operator))),
            started: OnceLock::new(),
        }
    }

    /// The operators that the query is, unless it was started.
    pub(crate) fn waiting(&self) -> Result<Operator> {
        match &*lock(&self.rows, "the query")? {
            Rows::Waiting(operator) => Ok(operator.as_ref().clone()),
            _ => Err(is_no_input()),
        }
    }

    /// Makes the operators parts of another query.
    pub(crate) fn take_waiting(&self) -> Result<()> {
        let mut rows = lock(&self.rows, "the query")?;
        match std::mem::replace(&mut *rows, Rows::Taken) {
            Rows::Waiting(_) => Ok(()),
            other => {
                *rows = other;
                Err(is_no_input())
            }
        }
    }

    pub(crate) fn with_rows<T>(&self, work: impl FnOnce(&mut Query) -> Result<T>) -> Result<T> {
        let mut rows = lock(&self.rows, "the query")?;
        self.start(&mut rows)?;
        match &mut *rows {
            Rows::Running(query) => work(query),
            Rows::Failed => Err(Failure::state("the query could not be started")),
            _ => Err(Failure::state("the rows of the query were taken by a stream or an operator")),
        }
    }

    fn start(&self, rows: &mut Rows) -> Result<()> {
        if matches!(rows, Rows::Waiting(_))
            && let Rows::Waiting(operator) = std::mem::replace(rows, Rows::Failed)
        {
            let start = Instant::now();
            let query = operator.start()?;
            let _ = self.started.set(Started { monitor: query.monitor(), start });
            *rows = Rows::Running(query);
        }
        Ok(())
    }

    /// What every relation of its plan did so far.
    pub(crate) fn counters(&self) -> Vec<Counters> {
        self.started.get().map(|started| started.monitor.counters()).unwrap_or_default()
    }

    /// The rows, for whoever reads them from now on.
    fn take(&self) -> Result<Query> {
        self.with_rows(|_| Ok(()))?;
        match std::mem::replace(&mut *lock(&self.rows, "the query")?, Rows::Taken) {
            Rows::Running(query) => Ok(query),
            _ => Err(Failure::state("the rows of the query were taken by a stream or an operator")),
        }
    }
}

fn is_no_input() -> Failure {
    Failure::state("the query cannot be an operator's input: it is a statement's, or was started")
        .hint("read it by plasmon_query_stream")
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
        let mut rows = object.take()?;
        let next = Box::new(move || Ok(rows.next().transpose()?));
        // SAFETY: ABI.md, "Pointers".
        unsafe { write(out, export_stream(object.schema.clone(), next), "out") }
    })
}

/// Waits for the next batch of the result; at its end `out` is released (`release` null). What `plasmon_query_stream` gives tells failures as texts,
/// this tells them in full. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_query_next(query: plasmon_query, out: *mut ArrowArray) -> i32 {
    guarded(|| {
        require(out, "out")?;
        let batch = handle::get::<QueryObject>(query.id)?.with_rows(|rows| Ok(rows.next().transpose()?))?;
        // SAFETY: ABI.md, "Pointers".
        unsafe { write(out, batch.map_or_else(ArrowArray::empty, export_batch), "out") }
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
        let started = object.started.get();
        let seen = started.map(|s| s.monitor.progress());
        let progress = plasmon_progress {
            rows_read: seen.map_or(0, |p| p.rows_read),
            rows_total: seen.and_then(|p| p.rows_total).and_then(|rows| i64::try_from(rows).ok()).unwrap_or(-1),
            bytes_reserved: seen.map_or(0, |p| p.bytes_reserved as u64),
            bytes_peak: seen.map_or(0, |p| p.bytes_peak as u64),
            elapsed_nanos: started.map_or(0, Started::nanos),
        };
        // SAFETY: ABI.md, "Pointers".
        unsafe { write(out, progress, "out") }
    })
}

/// The plan with what every operator did so far, as the JSON of `EXPLAIN (ANALYZE, FORMAT JSON)`, from any thread; an empty object when the
/// statement has no plan, or operators have not started. Free `*out` with `plasmon_text_free`. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_query_metrics(query: plasmon_query, out: *mut *mut c_char) -> i32 {
    guarded(|| {
        require(out, "out")?;
        let object = handle::get::<QueryObject>(query.id)?;
        let shown = object.started.get().and_then(|s| s.monitor.explain(ExplainFormat::Json, s.nanos()));
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
