//! Functions of the host as the engine's: a scalar function over Arrow arrays, a table function that gives a stream.
//!
//! The engine calls them on its workers, several at once. Arrays cross without copies, both ways; what comes back is checked like everything that
//! comes in. A function that fails tells why by [`tell`] on the thread it was called on, and the query fails with that text.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use ::arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, RecordBatchReader};
use ::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use plasmon::core::pipeline::Source;
use plasmon::core::table::{ScanRequest, Table};
use plasmon::plan::sql::Constant;
use plasmon::{Error, StreamTable};

use crate::arrow::{
    ArrowArray, ArrowArrayStream, ArrowSchema, StreamReader, export_batch, export_schema, import_array, import_stream,
};
use crate::{Code, Failure, Result};

/// Computes `result` from the columns of `arguments`, a struct array of as many rows as results are wanted (it has no columns when the function takes
/// no arguments). `arguments` is released after the call unless it was moved out. Anything but 0 is a failure.
pub type ScalarCallback =
    unsafe extern "C" fn(context: *mut c_void, arguments: *mut ArrowArray, result: *mut ArrowArray) -> i32;

/// Gives the rows of one call as a stream: `arguments` is a struct array of one row, a column each argument, of the types that `schema` tells. Both
/// are released after the call unless they were moved out. Anything but 0 is a failure.
pub type TableCallback = unsafe extern "C" fn(
    context: *mut c_void,
    schema: *mut ArrowSchema,
    arguments: *mut ArrowArray,
    result: *mut ArrowArrayStream,
) -> i32;

/// Told once that the context is not used any more, on any thread.
pub type Release = unsafe extern "C" fn(context: *mut c_void);

thread_local! {
    static TOLD: RefCell<Option<String>> = const { RefCell::new(None) };
    /// Calls of the host that this thread is inside of.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

/// Remembers why the host's function that runs on this thread fails.
pub fn tell(message: &str) {
    let _ = TOLD.try_with(|told| *told.borrow_mut() = Some(message.to_string()));
}

/// What the host gave with a function, until nothing of the engine can call it any more, or the host stops it.
pub struct Context {
    state: Mutex<State>,
    /// Told when a call has come back.
    returned: Condvar,
}

struct State {
    calls: usize,
    /// Taken away when the host has stopped the function.
    held: Option<Held>,
    is_stopping: bool,
}

struct Held {
    pointer: *mut c_void,
    release: Option<Release>,
}

// SAFETY: the host's promise, in ABI.md: its functions and their release may be called on any thread, several at once.
unsafe impl Send for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: the promise of `Context::new`; once, as this is the last that knows the pointer.
            unsafe { release(self.pointer) };
        }
    }
}

impl Context {
    /// Takes the host's context over; `release` is called when this is dropped or stopped.
    ///
    /// # Safety
    /// `pointer` may be given to the host's functions and to `release` on any thread, until `release` was called.
    pub unsafe fn new(pointer: *mut c_void, release: Option<Release>) -> Self {
        let held = Some(Held { pointer, release });
        Context { state: Mutex::new(State { calls: 0, held, is_stopping: false }), returned: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Refuses calls from now on, waits for those that are under way, and releases the context. A host that goes away stops its functions first.
    pub fn stop(&self) -> Result<()> {
        if CALLS.get() > 0 || plasmon::is_worker() {
            let why =
                "a function cannot be stopped from inside a function of the host, nor on a thread of the library's";
            return Err(Failure::new(Code::Busy, why));
        }
        let mut state = self.state();
        state.is_stopping = true;
        while state.calls > 0 {
            state = self.returned.wait(state).unwrap_or_else(|e| e.into_inner());
        }
        let held = state.held.take();
        drop(state);
        drop(held);
        Ok(())
    }

    /// Runs a call of the host's with its pointer; what it told is the failure when it says that it failed.
    fn call(&self, name: &str, call: impl FnOnce(*mut c_void) -> i32) -> Result<()> {
        let pointer = {
            let mut state = self.state();
            let held = state.held.as_ref().filter(|_| !state.is_stopping).map(|held| held.pointer);
            let stopped = || Failure::new(Code::Host, format!("function {name} was stopped by its host"));
            let pointer = held.ok_or_else(stopped)?;
            state.calls += 1;
            pointer
        };
        TOLD.with(|told| told.borrow_mut().take());
        CALLS.set(CALLS.get() + 1);
        let code = call(pointer);
        CALLS.set(CALLS.get() - 1);
        self.state().calls -= 1;
        self.returned.notify_all();
        let told = TOLD.with(|told| told.borrow_mut().take());
        match code {
            0 => Ok(()),
            _ => {
                let why = told.unwrap_or_else(|| format!("it gave {code} and no message"));
                Err(Failure::new(Code::Host, format!("function {name} failed: {why}")))
            }
        }
    }
}

/// A scalar function of the host.
pub struct ScalarFunction {
    name: String,
    arguments: SchemaRef,
    result: DataType,
    callback: ScalarCallback,
    context: Arc<Context>,
}

impl ScalarFunction {
    /// A function whose arguments are the columns of `arguments` and whose results have the type of the one column of `result`. Nulls are given and
    /// taken, whatever the schemas say.
    ///
    /// # Safety
    /// `callback` may be called as [`ScalarCallback`] says with the pointer of `context`, on any thread, several at once.
    pub unsafe fn new(
        name: &str,
        arguments: &Schema,
        result: &Schema,
        callback: ScalarCallback,
        context: Arc<Context>,
    ) -> Result<Self> {
        let [result] = &result.fields()[..] else {
            return Err(Failure::argument(format!(
                "function {name}: the result schema has {} columns, one is wanted",
                result.fields().len()
            )));
        };
        let nullable = arguments.fields().iter().map(|f| Field::new(f.name(), f.data_type().clone(), true));
        let arguments = Arc::new(Schema::new(nullable.collect::<Vec<_>>()));
        Ok(ScalarFunction { name: name.to_string(), arguments, result: result.data_type().clone(), callback, context })
    }

    /// Types of the arguments, and of the result.
    pub fn types(&self) -> (Vec<DataType>, DataType) {
        (self.arguments.fields().iter().map(|f| f.data_type().clone()).collect(), self.result.clone())
    }

    /// Calls the host for `rows` rows.
    pub fn call(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.arguments.clone(), arguments.to_vec(), &options)
            .map_err(|e| Failure::new(Code::Internal, format!("function {}: {e}", self.name)))?;
        let (mut given, mut result) = (export_batch(batch), ArrowArray::empty());
        // SAFETY: the promise of `new`. The structs are ours: whatever the host leaves in them is released when they are dropped.
        self.context.call(&self.name, |context| unsafe { (self.callback)(context, &mut given, &mut result) })?;
        // SAFETY: what the host wrote is as the C Data Interface says, its side of the contract.
        let result = unsafe { import_array(&mut result, &self.result) }.map_err(|failure| Failure {
            message: format!("function {} gave what is no {}: {}", self.name, self.result, failure.message),
            ..failure
        })?;
        if result.len() != rows {
            let given = result.len();
            return Err(Failure::new(
                Code::Host,
                format!("function {} gave {given} values for {rows} rows", self.name),
            )
            .hint("a scalar function gives one value for each row that it is given"));
        }
        Ok(result)
    }
}

/// A table function of the host.
pub struct TableFunction {
    name: String,
    callback: TableCallback,
    context: Arc<Context>,
}

impl TableFunction {
    /// A function that gives a stream for constant arguments.
    ///
    /// # Safety
    /// `callback` may be called as [`TableCallback`] says with the pointer of `context`, on any thread, several at once.
    pub unsafe fn new(name: &str, callback: TableCallback, context: Arc<Context>) -> Self {
        TableFunction { name: name.to_string(), callback, context }
    }

    fn call(&self, arguments: &[ArrayRef]) -> Result<StreamReader> {
        let fields =
            arguments.iter().enumerate().map(|(i, a)| Field::new(format!("${}", i + 1), a.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let batch = RecordBatch::try_new_with_options(schema.clone(), arguments.to_vec(), &options)
            .map_err(|e| Failure::new(Code::Internal, format!("function {}: {e}", self.name)))?;
        let (mut schema, mut given) = (export_schema(&schema)?, export_batch(batch));
        let mut stream = ArrowArrayStream::empty();
        // SAFETY: as in `ScalarFunction::call`.
        self.context
            .call(&self.name, |context| unsafe { (self.callback)(context, &mut schema, &mut given, &mut stream) })?;
        // SAFETY: what the host wrote is as the C Stream Interface says, its side of the contract.
        unsafe { import_stream(&mut stream) }
            .map_err(|failure| Failure { message: format!("function {}: {}", self.name, failure.message), ..failure })
    }
}

/// The table of one call. The function is called when the call is planned, which tells the columns, and again for every scan after the first.
pub fn table_of(function: &Arc<TableFunction>, arguments: &[Constant]) -> plasmon::Result<Arc<dyn Table>> {
    let arguments = arguments.iter().map(Constant::to_array).collect::<plasmon::Result<Vec<_>>>()?;
    let first = function.call(&arguments)?;
    Ok(Arc::new(CallTable {
        function: function.clone(),
        arguments,
        schema: first.schema(),
        first: Mutex::new(Some(first)),
    }))
}

struct CallTable {
    function: Arc<TableFunction>,
    arguments: Vec<ArrayRef>,
    schema: SchemaRef,
    first: Mutex<Option<StreamReader>>,
}

impl fmt::Debug for CallTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallTable").field("function", &self.function.name).finish_non_exhaustive()
    }
}

impl Table for CallTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn scan(&self, request: &ScanRequest) -> plasmon::Result<Arc<dyn Source>> {
        let first = self.first.lock().unwrap_or_else(|e| e.into_inner()).take();
        let reader = first.map_or_else(|| self.function.call(&self.arguments), Ok)?;
        if reader.schema() != self.schema {
            return Err(Error::user(format!(
                "function {} gave other columns when it was called again",
                self.function.name
            )));
        }
        StreamTable::new(reader).scan(request)
    }

    fn describe(&self) -> String {
        format!("rows of the host's function {}", self.function.name)
    }
}
