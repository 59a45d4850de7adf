//! Sessions: opened, set, given tables, closed.

use std::ffi::c_char;
use std::sync::Arc;

use arrow::array::RecordBatchReader;
use plasmon::{Config, Session};
use plasmon_boundary::arrow::{ArrowArrayStream, import_stream};
use plasmon_boundary::guard::guarded;
use plasmon_boundary::handle::{self, Object};
use plasmon_boundary::host::{require, write};
use plasmon_boundary::{Result, text};

use crate::plasmon_session;

/// The object behind a `plasmon_session`; statements and queries keep it alive.
pub(crate) struct SessionObject(pub(crate) Arc<Session>);

impl Object for SessionObject {
    const KIND: u8 = 1;
    const NAME: &'static str = "a session";
}

/// The engine's session of a handle.
pub(crate) fn session_of(handle: plasmon_session) -> Result<Arc<Session>> {
    Ok(handle::get::<SessionObject>(handle.id)?.0.clone())
}

/// A handle of a session that other Rust code holds too; closed like every other.
pub fn open_session(session: Arc<Session>) -> plasmon_session {
    plasmon_session { id: handle::open(SessionObject(session)) }
}

/// Opens a session with default settings. Close it with `plasmon_session_close`. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_session_open(out: *mut plasmon_session) -> i32 {
    guarded(|| {
        require(out, "out")?;
        let session = Session::new(Config::default())?;
        // SAFETY: ABI.md, "Pointers".
        unsafe { write(out, open_session(Arc::new(session)), "out") }
    })
}

/// Closes a session. Its statements and queries live on. Since ABI 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn plasmon_session_close(session: plasmon_session) -> i32 {
    guarded(|| handle::close::<SessionObject>(session.id).map(drop))
}

/// Changes a setting, as `SET name = 'value'` does: `threads`, `memory_bytes`, `batch_rows`, `driver`, `s3.region` … `SHOW ALL` lists them.
/// Statements that run keep theirs. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_session_set(
    session: plasmon_session,
    name: *const c_char,
    value: *const c_char,
) -> i32 {
    guarded(|| {
        // SAFETY: ABI.md, "Pointers".
        let (name, value) = unsafe { (text::borrow(name, -1, "name")?, text::borrow(value, -1, "value")?) };
        Ok(session_of(session)?.set(name, value)?)
    })
}

/// Defines `name` as the file, folder or pattern at `path`, its format told by the extension. A table of that name is replaced. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_session_register_path(
    session: plasmon_session,
    name: *const c_char,
    path: *const c_char,
) -> i32 {
    guarded(|| {
        // SAFETY: ABI.md, "Pointers".
        let (name, path) = unsafe { (text::borrow(name, -1, "name")?, text::borrow(path, -1, "path")?) };
        Ok(session_of(session)?.register_path(name, path)?)
    })
}

/// Reads `stream` to its end and defines `name` as its rows, over the host's buffers. The stream is taken over in every case. A table of that name
/// is replaced. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_session_register_stream(
    session: plasmon_session,
    name: *const c_char,
    stream: *mut ArrowArrayStream,
) -> i32 {
    guarded(|| {
        // First of all, so that it is released whatever else is wrong.
        // SAFETY: ABI.md, "Pointers".
        let mut reader = unsafe { import_stream(stream)? };
        // SAFETY: as above.
        let name = unsafe { text::borrow(name, -1, "name")? };
        let session = session_of(session)?;
        let mut batches = Vec::new();
        while let Some(batch) = reader.read()? {
            batches.push(batch);
        }
        Ok(session.register_batches(name, reader.schema(), &batches)?)
    })
}

/// Forgets a table or view; one that there is not is an error. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_session_deregister(session: plasmon_session, name: *const c_char) -> i32 {
    guarded(|| {
        // SAFETY: ABI.md, "Pointers".
        let name = unsafe { text::borrow(name, -1, "name")? };
        match session_of(session)?.deregister(name) {
            true => Ok(()),
            false => Err(plasmon::Error::user(format!("there is no table or view {name}")).into()),
        }
    })
}
