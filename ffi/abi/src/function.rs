//! Functions of the host, to be called in SQL.

use std::ffi::{c_char, c_void};
use std::sync::{Arc, Weak};

use plasmon::plan::function::{UserFunction, Volatility};
use plasmon_boundary::arrow::{ArrowArray, ArrowArrayStream, ArrowSchema, import_schema};
use plasmon_boundary::function::{
    Context, ScalarCallback, ScalarFunction, TableCallback, TableFunction, table_of, tell,
};
use plasmon_boundary::guard::guarded;
use plasmon_boundary::handle::{self, Object};
use plasmon_boundary::host::write;
use plasmon_boundary::{Failure, Result, text};

use crate::plasmon_session;
use crate::session::session_of;

/// When equal arguments of a function give equal results.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum plasmon_volatility {
    /// Always. Calls over constants are made once, while the statement is planned.
    Immutable = 0,
    /// Within one statement.
    Stable = 1,
    /// Never: one result is asked for each row, whatever the arguments.
    Volatile = 2,
}

/// Computes `result`, an array of the registered type, from the columns of `arguments`, a struct array of as many rows as values are wanted. It may
/// move `arguments` out (and set `release` to null); else it is released after the call. Anything but 0 fails the query, with the text of
/// `plasmon_callback_set_error`.
pub type plasmon_scalar_callback =
    Option<unsafe extern "C" fn(context: *mut c_void, arguments: *mut ArrowArray, result: *mut ArrowArray) -> i32>;

/// Gives the rows of one call as a stream. `arguments` is a struct array of one row, a column each argument, of the types that `schema` tells. Both
/// are released after the call unless they were moved out. Anything but 0 fails the statement, with the text of `plasmon_callback_set_error`.
pub type plasmon_table_callback = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        schema: *mut ArrowSchema,
        arguments: *mut ArrowArray,
        result: *mut ArrowArrayStream,
    ) -> i32,
>;

/// Told once that a context is not used any more.
pub type plasmon_release_callback = Option<unsafe extern "C" fn(context: *mut c_void)>;

/// A function that a host has registered.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct plasmon_function {
    /// Zero is no function.
    pub id: u64,
}

/// The object behind a `plasmon_function`, which keeps nothing alive.
struct FunctionObject(Weak<Context>);

impl Object for FunctionObject {
    const KIND: u8 = 11;
    const NAME: &'static str = "a function";
}

/// Gives the function's handle to a host that wants one.
unsafe fn give(context: &Arc<Context>, out: *mut plasmon_function) -> Result<()> {
    if out.is_null() {
        return Ok(());
    }
    let id = handle::open(FunctionObject(Arc::downgrade(context)));
    // SAFETY: the caller's promise.
    unsafe { write(out, plasmon_function { id }, "out") }
}

/// Adds a scalar function to SQL, or replaces the one of that name: its arguments are the columns of `arguments` (what is given is cast to their
/// types), its results have the type of the one column of `result`. Both schemas are taken over in every case, and so is `context`: `release` is called
/// with it once, when nothing can call the function any more or when this fails. `callback` runs on the library's threads, several at once.
/// `volatility` is a `plasmon_volatility`. `out` becomes the function's handle unless it is null. Since ABI 1.1.
#[expect(clippy::too_many_arguments, reason = "a function is all of these")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_session_register_function(
    session: plasmon_session,
    name: *const c_char,
    arguments: *mut ArrowSchema,
    result: *mut ArrowSchema,
    volatility: i32,
    callback: plasmon_scalar_callback,
    context: *mut c_void,
    release: plasmon_release_callback,
    out: *mut plasmon_function,
) -> i32 {
    guarded(|| {
        // First of all, so that everything is released whatever else is wrong.
        // SAFETY: ABI.md, "Pointers" and "Callbacks".
        let context = Arc::new(unsafe { Context::new(context, release) });
        // SAFETY: ABI.md, "Pointers".
        let (arguments, result) = unsafe { (import_schema(arguments), import_schema(result)) };
        // SAFETY: as above.
        let name = unsafe { text::borrow(name, -1, "name")? };
        let (arguments, result) = (arguments?, result?);
        let volatility = match volatility {
            v if v == plasmon_volatility::Immutable as i32 => Volatility::Immutable,
            v if v == plasmon_volatility::Stable as i32 => Volatility::Stable,
            v if v == plasmon_volatility::Volatile as i32 => Volatility::Volatile,
            other => return Err(Failure::argument(format!("volatility {other} is no plasmon_volatility"))),
        };
        let callback: ScalarCallback = callback.ok_or_else(|| Failure::argument("callback is null"))?;
        let session = session_of(session)?;
        // SAFETY: ABI.md, "Callbacks".
        let function = unsafe { ScalarFunction::new(name, &arguments, &result, callback, context.clone())? };
        let (arguments, result) = function.types();
        session.register_function(UserFunction {
            name: name.to_string(),
            arguments,
            result,
            volatility,
            body: Arc::new(move |arrays, rows| Ok(function.call(arrays, rows)?)),
        });
        // SAFETY: ABI.md, "Pointers".
        unsafe { give(&context, out) }
    })
}

/// Adds a table function to SQL (`SELECT * FROM name(1, 'x')`; arguments are constants), or replaces the one of that name. It is called when a statement is
/// planned, which tells the columns, and again for every scan of one call after the first. `context`, `release` and `out` as for
/// `plasmon_session_register_function`. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_session_register_table_function(
    session: plasmon_session,
    name: *const c_char,
    callback: plasmon_table_callback,
    context: *mut c_void,
    release: plasmon_release_callback,
    out: *mut plasmon_function,
) -> i32 {
    guarded(|| {
        // SAFETY: ABI.md, "Pointers" and "Callbacks".
        let context = Arc::new(unsafe { Context::new(context, release) });
        // SAFETY: ABI.md, "Pointers".
        let name = unsafe { text::borrow(name, -1, "name")? };
        let callback: TableCallback = callback.ok_or_else(|| Failure::argument("callback is null"))?;
        let session = session_of(session)?;
        // SAFETY: ABI.md, "Callbacks".
        let function = Arc::new(unsafe { TableFunction::new(name, callback, context.clone()) });
        session.register_table_function(name, move |arguments| table_of(&function, arguments));
        // SAFETY: ABI.md, "Pointers".
        unsafe { give(&context, out) }
    })
}

/// Stops a function and closes its handle: calls that are under way are waited for, later ones fail their query, and its context is released before
/// this returns. For hosts that go away before the library's queries do; not from inside a function, nor on a worker of the library (`PLASMON_CODE_BUSY`). Since ABI 1.1.
#[unsafe(no_mangle)]
pub extern "C" fn plasmon_function_stop(function: plasmon_function) -> i32 {
    guarded(|| {
        let object = handle::get::<FunctionObject>(function.id)?;
        object.0.upgrade().map_or(Ok(()), |context| context.stop())?;
        handle::close::<FunctionObject>(function.id).map(drop)
    })
}

/// Inside a callback that is about to fail: why, `length` bytes or up to the zero when negative; copied. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_callback_set_error(message: *const c_char, length: i64) -> i32 {
    guarded(|| {
        // SAFETY: ABI.md, "Pointers".
        tell(unsafe { text::borrow(message, length, "message")? });
        Ok(())
    })
}
