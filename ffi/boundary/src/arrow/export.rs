//! Schemas, batches and streams for the host, who releases them.

use std::any::Any;
use std::ffi::{CString, c_char, c_int, c_void};

use ::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, downcast_primitive};
use ::arrow::datatypes::{Schema, SchemaRef};

use super::{ArrowArray, ArrowArrayStream, ArrowSchema};
use crate::guard::caught;
use crate::host::write;
use crate::text::terminated;
use crate::{Code, Failure, Result};

/// A schema as a struct type.
pub fn export_schema(schema: &Schema) -> Result<ArrowSchema> {
    ArrowSchema::try_from(schema).map_err(|e| Failure::arrow(format!("the schema cannot be given: {e}")))
}

/// A batch as a struct array over the batch's own buffers.
pub fn export_batch(batch: RecordBatch) -> ArrowArray {
    // Few columns need one allocation, where many need three.
    match *batch.columns() {
        [ref a] => held_batch(&batch, [export_array(a)], [std::ptr::null_mut()]),
        [ref a, ref b] => held_batch(&batch, [export_array(a), export_array(b)], [std::ptr::null_mut(); 2]),
        ref columns => {
            let children: Box<[ArrowArray]> = columns.iter().map(export_array).collect();
            let pointers = vec![std::ptr::null_mut(); children.len()];
            held_batch(&batch, children, pointers)
        }
    }
}

fn held_batch<C, P>(batch: &RecordBatch, children: C, pointers: P) -> ArrowArray
where
    C: AsMut<[ArrowArray]>,
    P: AsMut<[*mut ArrowArray]>,
{
    let held = Box::into_raw(Box::new(Held { children, pointers, no_validity: [std::ptr::null()] }));
    // SAFETY: the box was just made, and lives until `release_batch`.
    let Held { children, pointers, no_validity } = unsafe { &mut *held };
    let pointers = pointers.as_mut();
    pointers.iter_mut().zip(children.as_mut()).for_each(|(pointer, child)| *pointer = child);
    ArrowArray {
        length: batch.num_rows() as i64,
        null_count: 0,
        offset: 0,
        n_buffers: 1,
        n_children: pointers.len() as i64,
        buffers: no_validity.as_mut_ptr(),
        children: pointers.as_mut_ptr(),
        dictionary: std::ptr::null_mut(),
        release: Some(release_batch::<C, P>),
        private_data: held.cast::<c_void>(),
    }
}

/// An array over its own buffers.
pub fn export_array(array: &ArrayRef) -> ArrowArray {
    macro_rules! values {
        ($type:ty) => {
            Some(array.as_primitive::<$type>().values().inner().as_ptr())
        };
    }
    let values = downcast_primitive! { array.data_type() => (values), _ => None };
    // Numbers whose validity starts with a byte need one allocation, where the general way takes six.
    match (values, array.nulls()) {
        (Some(values), None) => export_numbers(array, std::ptr::null(), values),
        (Some(values), Some(nulls)) if nulls.offset() == 0 => export_numbers(array, nulls.validity().as_ptr(), values),
        _ => ArrowArray::new(&array.to_data()),
    }
}

fn export_numbers(array: &ArrayRef, validity: *const u8, values: *const u8) -> ArrowArray {
    let held = Box::new(HeldNumbers { buffers: [validity.cast(), values.cast()], _array: array.clone() });
    let held = Box::into_raw(held);
    ArrowArray {
        length: array.len() as i64,
        null_count: array.null_count() as i64,
        offset: 0,
        n_buffers: 2,
        n_children: 0,
        // SAFETY: the box was just made, and lives until `release_numbers`.
        buffers: unsafe { &raw mut (*held).buffers }.cast::<*const c_void>(),
        children: std::ptr::null_mut(),
        dictionary: std::ptr::null_mut(),
        release: Some(release_numbers),
        private_data: held.cast::<c_void>(),
    }
}

struct HeldNumbers {
    buffers: [*const c_void; 2],
    _array: ArrayRef,
}

unsafe extern "C" fn release_numbers(array: *mut ArrowArray) {
    // SAFETY: the rules of the C Data Interface.
    unsafe { release_held::<HeldNumbers>(array) };
}

/// Drops what an exported array holds, once.
///
/// # Safety
/// `array` is null or a struct of ours whose private data is a box of `T`.
unsafe fn release_held<T>(array: *mut ArrowArray) {
    // SAFETY: null, or the host's own struct.
    let Some(array) = (unsafe { array.as_mut() }) else { return };
    let held = std::mem::replace(&mut array.private_data, std::ptr::null_mut()).cast::<T>();
    if array.release.take().is_some() && !held.is_null() {
        // SAFETY: the box that was put there, taken back once: `release` is null from now on.
        drop(unsafe { Box::from_raw(held) });
    }
}

/// What an exported batch points into; children that the host has not moved away are released with it.
struct Held<C, P> {
    children: C,
    pointers: P,
    no_validity: [*const c_void; 1],
}

unsafe extern "C" fn release_batch<C, P>(array: *mut ArrowArray) {
    // SAFETY: the rules of the C Data Interface.
    unsafe { release_held::<Held<C, P>>(array) };
}

/// What an exported stream draws from: `None` ends it, and it is not asked again after that or after a failure.
pub type Batches = dyn FnMut() -> Result<Option<RecordBatch>> + Send;
/// As [`Batches`], of structs that somebody has made already.
pub type Arrays = dyn FnMut() -> Result<Option<ArrowArray>> + Send;

/// A stream of batches of `schema`. `next` runs on the host's threads, one call at a time, and may take its time; releasing the stream drops it.
pub fn export_stream(schema: SchemaRef, mut next: Box<Batches>) -> ArrowArrayStream {
    export_arrays(schema, Box::new(move || Ok(next()?.map(export_batch))))
}

/// As [`export_stream`], of struct arrays that `next` vouches for.
pub fn export_arrays(schema: SchemaRef, next: Box<Arrays>) -> ArrowArrayStream {
    let source = Box::new(Source { schema, next: Some(next), failure: None, message: CString::default(), shown: None });
    ArrowArrayStream {
        get_schema: Some(get_schema),
        get_next: Some(get_next),
        get_last_error: Some(get_last_error),
        release: Some(release),
        private_data: Box::into_raw(source).cast::<c_void>(),
    }
}

struct Source {
    schema: SchemaRef,
    /// Taken away at the end.
    next: Option<Box<Arrays>>,
    /// Given again whenever the stream is asked after it.
    failure: Option<Failure>,
    message: CString,
    /// The failure as another interface shows it; see [`stream_failure`].
    shown: Option<Box<dyn Any + Send>>,
}

/// The failure that ended a stream of [`export_stream`], as `show` makes it when it is first asked for; it lives as long as the stream. `None` when the
/// stream has not failed, is released, or is another library's.
///
/// # Safety
/// `stream` is null, or leads to a stream that nobody else uses during the call and that is not released during `'a`.
pub unsafe fn stream_failure<'a, T: Any + Send>(
    stream: *mut ArrowArrayStream,
    show: impl FnOnce(&Failure) -> T,
) -> Option<(Code, &'a T)> {
    // SAFETY: the caller's promise.
    let own =
        unsafe { stream.as_ref() }.is_some_and(|s| s.release.is_some_and(|r| std::ptr::fn_addr_eq(r, OWN_RELEASE)));
    if !own {
        return None;
    }
    // SAFETY: a stream of `export_stream`, used by this thread alone.
    let source = unsafe { source(stream) }?;
    let failure = source.failure.as_ref()?;
    let shown = source.shown.get_or_insert_with(|| Box::new(show(failure)));
    Some((failure.code, shown.downcast_ref()?))
}

/// By which streams of this library are known.
const OWN_RELEASE: unsafe extern "C" fn(*mut ArrowArrayStream) = release;

impl Source {
    fn array(&mut self) -> Result<Option<ArrowArray>> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let Some(next) = &mut self.next else { return Ok(None) };
        match caught(next) {
            Ok(Some(array)) => Ok(Some(array)),
            Ok(None) => {
                self.next = None;
                Ok(None)
            }
            Err(failure) => {
                self.next = None;
                self.failure = Some(failure.clone());
                Err(failure)
            }
        }
    }

    fn answer(&mut self, outcome: Result<()>) -> c_int {
        match outcome {
            Ok(()) => 0,
            Err(failure) => {
                self.message = terminated(&failure.to_string());
                failure.code.errno()
            }
        }
    }
}

/// The source of a stream that was not released.
///
/// # Safety
/// `stream` is null or a stream of [`export_stream`], used by one thread at a time.
unsafe fn source<'a>(stream: *mut ArrowArrayStream) -> Option<&'a mut Source> {
    // SAFETY: the caller's promise.
    let stream = unsafe { stream.as_ref() }?;
    stream.release?;
    // SAFETY: `private_data` of a stream that is not released is the box that `export_stream` put there.
    unsafe { stream.private_data.cast::<Source>().as_mut() }
}

unsafe extern "C" fn get_schema(stream: *mut ArrowArrayStream, out: *mut ArrowSchema) -> c_int {
    // SAFETY: the C Stream Interface's rules are those of `source`.
    let Some(source) = (unsafe { source(stream) }) else { return Code::InvalidArgument.errno() };
    let outcome = caught(|| {
        let schema = export_schema(&source.schema)?;
        // SAFETY: `out` is the host's room for a schema.
        unsafe { write(out, schema, "out") }
    });
    source.answer(outcome)
}

unsafe extern "C" fn get_next(stream: *mut ArrowArrayStream, out: *mut ArrowArray) -> c_int {
    // SAFETY: as above.
    let Some(source) = (unsafe { source(stream) }) else { return Code::InvalidArgument.errno() };
    let outcome = caught(|| {
        let array = source.array()?.unwrap_or_else(ArrowArray::empty);
        // SAFETY: `out` is the host's room for an array.
        unsafe { write(out, array, "out") }
    });
    source.answer(outcome)
}

unsafe extern "C" fn get_last_error(stream: *mut ArrowArrayStream) -> *const c_char {
    // SAFETY: as above.
    match unsafe { source(stream) } {
        Some(source) if !source.message.is_empty() => source.message.as_ptr(),
        _ => std::ptr::null(),
    }
}

unsafe extern "C" fn release(stream: *mut ArrowArrayStream) {
    // SAFETY: null, or the host's own struct.
    let Some(stream) = (unsafe { stream.as_mut() }) else { return };
    if stream.release.take().is_none() {
        return;
    }
    let source = std::mem::replace(&mut stream.private_data, std::ptr::null_mut()).cast::<Source>();
    (stream.get_schema, stream.get_next, stream.get_last_error) = (None, None, None);
    if !source.is_null() {
        // SAFETY: the box of `export_stream`, taken back once: `release` is null from now on. Dropping it may stop a query.
        let source = unsafe { Box::from_raw(source) };
        let _ = caught(|| {
            drop(source);
            Ok(())
        });
    }
}
