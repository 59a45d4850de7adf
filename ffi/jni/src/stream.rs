//! `dev.plasmon.Stream`: the rows of a query, by pull or step by step, and the query itself: cancellation, progress, metrics.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use jni::EnvUnowned;
use jni::objects::{JByteArray, JClass, JLongArray, JObject};
use jni::sys::{jint, jlong};
use plasmon_abi::plasmon_query;
use plasmon_abi::query::{
    plasmon_progress, plasmon_query_cancel, plasmon_query_close, plasmon_query_metrics, plasmon_query_next,
    plasmon_query_progress, plasmon_query_schema, plasmon_query_step,
};
use plasmon_boundary::arrow::{ArrowArray, ArrowArrayStream, ArrowSchema, export_arrays, import_schema};
use plasmon_boundary::handle::{self, Object};
use plasmon_boundary::host::write;
use plasmon_boundary::{Failure, Result};

use crate::call::{array, check, java_failed, native, pointer};
use crate::plan::owned_text;

/// What a Java `Stream` is the handle of. A C stream that was exported shares the query, so that either may be closed before the other.
struct StreamObject {
    query: Arc<OwnedQuery>,
    /// The batch that Java looks at. It stands here, at one address, until the next one comes.
    batch: Mutex<ArrowArray>,
    is_exported: AtomicBool,
}

impl Object for StreamObject {
    // Apart from those of the C ABI, which count from 1.
    const KIND: u8 = 40;
    const NAME: &'static str = "a stream";
}

/// A query that is closed by its last owner.
struct OwnedQuery(plasmon_query);

impl Drop for OwnedQuery {
    fn drop(&mut self) {
        // It was open, so there is nothing to fail.
        plasmon_query_close(self.0);
    }
}

impl OwnedQuery {
    fn next(&self) -> Result<ArrowArray> {
        let mut next = ArrowArray::empty();
        // SAFETY: room for an array.
        check(unsafe { plasmon_query_next(self.0, &mut next) })?;
        Ok(next)
    }
}

/// The query as a C stream reads it, whose release ends it.
struct Export(Arc<OwnedQuery>);

impl Drop for Export {
    fn drop(&mut self) {
        plasmon_query_cancel(self.0.0);
    }
}

/// The handle of a stream of `query`, which is its from now on.
pub(crate) fn open_stream(query: plasmon_query) -> jlong {
    let query = Arc::new(OwnedQuery(query));
    handle::open(StreamObject { query, batch: Mutex::new(ArrowArray::empty()), is_exported: AtomicBool::new(false) })
        as jlong
}

fn stream(handle: jlong) -> Result<Arc<StreamObject>> {
    handle::get::<StreamObject>(handle as u64)
}

/// The query of a stream whose rows go nowhere else.
pub(crate) fn rows(handle: jlong) -> Result<plasmon_query> {
    Ok(stream(handle)?.rows()?.0)
}

/// The query of a stream.
pub(crate) fn query(handle: jlong) -> Result<plasmon_query> {
    Ok(stream(handle)?.query.0)
}

impl StreamObject {
    /// The query, unless its rows go elsewhere.
    fn rows(&self) -> Result<&OwnedQuery> {
        match self.is_exported.load(Ordering::Acquire) {
            true => Err(Failure::state("the rows of the stream were exported as an Arrow C stream")),
            false => Ok(&self.query),
        }
    }

    /// Shows `array` to Java in place of the last one, which is released unless it was moved out; the address, 0 when there is none.
    fn show(&self, array: ArrowArray) -> jlong {
        let mut shown = self.batch();
        *shown = array;
        address(&mut shown)
    }

    /// The batch that Java looks at.
    fn batch(&self) -> MutexGuard<'_, ArrowArray> {
        self.batch.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Where a batch stands for Java; 0 when it is none.
fn address(batch: &mut ArrowArray) -> jlong {
    if batch.is_released() { 0 } else { std::ptr::from_mut(batch).expose_provenance() as jlong }
}

/// Also ends calls of other threads, which hold the stream; but not who reads its rows elsewhere.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Stream_close0<'l>(env: EnvUnowned<'l>, _class: JClass<'l>, handle: jlong) {
    native(env, |_| {
        let stream = handle::close::<StreamObject>(handle as u64)?;
        match stream.is_exported.load(Ordering::Acquire) {
            true => Ok(()),
            false => check(plasmon_query_cancel(stream.query.0)),
        }
    })
}

/// Waits for the next batch; its address, 0 at the end.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Stream_next0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
) -> jlong {
    native(env, |_| {
        let stream = stream(handle)?;
        Ok(stream.show(stream.rows()?.next()?))
    })
}

/// A bounded piece of work: a `plasmon_step`; then `array0` tells the batch.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Stream_step0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
) -> jint {
    native(env, |_| {
        let stream = stream(handle)?;
        let (mut batch, mut outcome) = (ArrowArray::empty(), 0);
        // SAFETY: room for an array and a number.
        check(unsafe { plasmon_query_step(stream.rows()?.0, &mut batch, &mut outcome) })?;
        stream.show(batch);
        Ok(outcome)
    })
}

/// The address of the batch that `next0` or `step0` came to; 0 = none.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Stream_array0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
) -> jlong {
    native(env, |_| Ok(address(&mut stream(handle)?.batch())))
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Stream_schema0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
    out: jlong,
) {
    native(env, |_| {
        let out = pointer(out, "out")?;
        // SAFETY: room for a schema, by the caller's promise: ABI.md, "Pointers".
        check(unsafe { plasmon_query_schema(stream(handle)?.query.0, out) })
    })
}

/// Gives the rest of the rows as a C stream, once.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Stream_export0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
    out: jlong,
) {
    native(env, |_| {
        let out = pointer::<ArrowArrayStream>(out, "out")?;
        let stream = stream(handle)?;
        let mut schema = ArrowSchema::empty();
        // SAFETY: room for a schema, then a schema.
        let schema = unsafe {
            check(plasmon_query_schema(stream.query.0, &mut schema))?;
            import_schema(&mut schema)?
        };
        if stream.is_exported.swap(true, Ordering::AcqRel) {
            stream.rows()?;
        }
        let export = Export(stream.query.clone());
        let next = move || {
            let next = export.0.next()?;
            Ok((!next.is_released()).then_some(next))
        };
        // SAFETY: room for a stream, by the caller's promise: ABI.md, "Pointers".
        unsafe { write(out, export_arrays(schema, Box::new(next)), "out") }
    })
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Stream_cancel0<'l>(env: EnvUnowned<'l>, _this: JObject<'l>, handle: jlong) {
    native(env, |_| check(plasmon_query_cancel(stream(handle)?.query.0)))
}

/// The fields of `plasmon_progress`, in their order.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Stream_progress0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
) -> JLongArray<'l> {
    native(env, |env| {
        let mut seen =
            plasmon_progress { rows_read: 0, rows_total: 0, bytes_reserved: 0, bytes_peak: 0, elapsed_nanos: 0 };
        // SAFETY: room for a progress.
        check(unsafe { plasmon_query_progress(stream(handle)?.query.0, &mut seen) })?;
        let fields = [
            seen.rows_read as jlong,
            seen.rows_total,
            seen.bytes_reserved as jlong,
            seen.bytes_peak as jlong,
            seen.elapsed_nanos as jlong,
        ];
        let array = env.new_long_array(fields.len()).map_err(java_failed)?;
        array.set_region(env, 0, &fields).map_err(java_failed)?;
        Ok(array)
    })
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Stream_metrics0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
) -> JByteArray<'l> {
    native(env, |env| {
        let stream = stream(handle)?;
        // SAFETY: room for a pointer.
        let shown = owned_text(|out| unsafe { plasmon_query_metrics(stream.query.0, out) })?;
        array(env, &shown)
    })
}
