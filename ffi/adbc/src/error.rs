//! Failures → `AdbcError`s: status, SQLSTATE, and what the boundary knows as details.
//!
//! | detail | meaning |
//! |---|---|
//! | `plasmon.code` | number of the boundary's error table, as decimal text; the vendor code where there are no details (ADBC 1.0) |
//! | `plasmon.code_name` | its name, e.g. `wrong statement` |
//! | `plasmon.path` | the plan node that is to blame |
//! | `plasmon.hint` | what may help |

use std::ffi::{CString, c_char, c_int, c_void};

use adbc_core::constants::ADBC_ERROR_VENDOR_CODE_PRIVATE_DATA;
use adbc_core::error::{AdbcStatusCode, Status};
use adbc_ffi::{FFI_AdbcError, FFI_AdbcErrorDetail};
use arrow::error::ArrowError;
use plasmon_boundary::arrow::{ArrowArrayStream, stream_failure};
use plasmon_boundary::guard::caught;
use plasmon_boundary::text::terminated;
use plasmon_boundary::{Code, Failure};

/// A failure with the status that ADBC has for it.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) status: Status,
    pub(crate) failure: Failure,
}

pub(crate) type Result<T, E = Trouble> = std::result::Result<T, E>;

impl Trouble {
    pub(crate) fn new(status: Status, code: Code, message: impl Into<String>) -> Self {
        Trouble { status, failure: Failure::new(code, message) }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Trouble::new(Status::NotFound, Code::User, message)
    }

    pub(crate) fn already_exists(message: impl Into<String>) -> Self {
        Trouble::new(Status::AlreadyExists, Code::User, message)
    }

    pub(crate) fn not_implemented(message: impl Into<String>) -> Self {
        Trouble::new(Status::NotImplemented, Code::Unsupported, message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.failure.hint = hint.into();
        self
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Trouble { status: status_of(failure.code), failure }
    }
}

impl From<plasmon::Error> for Trouble {
    fn from(error: plasmon::Error) -> Self {
        Failure::from(error).into()
    }
}

impl From<ArrowError> for Trouble {
    fn from(error: ArrowError) -> Self {
        plasmon::Error::from(error).into()
    }
}

fn status_of(code: Code) -> Status {
    match code {
        Code::Ok => Status::Ok,
        Code::InvalidArgument | Code::InvalidArrow | Code::User => Status::InvalidArguments,
        Code::InvalidHandle | Code::InvalidState | Code::Busy => Status::InvalidState,
        Code::UnsupportedVersion | Code::Unsupported => Status::NotImplemented,
        Code::Data => Status::InvalidData,
        Code::Io => Status::IO,
        Code::Cancelled => Status::Cancelled,
        Code::Deadline => Status::Timeout,
        Code::Host => Status::InvalidData,
        Code::OutOfMemory | Code::Internal => Status::Internal,
    }
}

/// Five letters of the SQL standard, or of PostgreSQL where it has none.
fn sqlstate_of(code: Code) -> [c_char; 5] {
    let state = match code {
        Code::Ok => b"00000",
        Code::InvalidArgument | Code::InvalidArrow => b"22023",
        Code::InvalidHandle | Code::InvalidState | Code::Busy => b"55000",
        Code::UnsupportedVersion | Code::Unsupported => b"0A000",
        Code::User => b"42000",
        Code::Data => b"22000",
        Code::Io => b"58030",
        Code::OutOfMemory => b"53200",
        Code::Cancelled | Code::Deadline => b"57014",
        Code::Host => b"38000",
        Code::Internal => b"XX000",
    };
    state.map(|letter| letter as c_char)
}

/// What an `AdbcError` of ours holds.
struct Held {
    /// The error's message points into it.
    message: CString,
    details: Vec<(CString, Vec<u8>)>,
}

impl Held {
    fn new(failure: &Failure) -> Box<Self> {
        let texts = [
            (c"plasmon.code", (failure.code as i32).to_string()),
            (c"plasmon.code_name", failure.code.name().to_string_lossy().into_owned()),
            (c"plasmon.path", failure.path.clone()),
            (c"plasmon.hint", failure.hint.clone()),
        ];
        let details = texts.into_iter().filter(|(_, text)| !text.is_empty());
        Box::new(Held {
            message: terminated(&failure.to_string()),
            details: details.map(|(key, text)| (key.to_owned(), text.into_bytes())).collect(),
        })
    }
}

/// The error as ADBC 1.0 has it: the front of the one of 1.1.
#[repr(C)]
struct ErrorOf100 {
    message: *mut c_char,
    vendor_code: i32,
    sqlstate: [c_char; 5],
    release: Option<unsafe extern "C" fn(*mut ErrorOf100)>,
}

/// Writes the error, unless the host wants none; the status to return.
///
/// # Safety
/// `out` is null, or leads to an error that is zero but for its vendor code, or that a driver has written.
pub(crate) unsafe fn write_error(out: *mut FFI_AdbcError, trouble: &Trouble) -> AdbcStatusCode {
    // SAFETY: the caller's promise. The fields up to `release` are there in both versions.
    if let Some(vendor_code) = (!out.is_null()).then(|| unsafe { (*out).vendor_code }) {
        // SAFETY: as above; an error that was written before is released by who wrote it.
        if let Some(release) = unsafe { (*out).release } {
            // SAFETY: as above.
            unsafe { release(out) };
        }
        match vendor_code {
            ADBC_ERROR_VENDOR_CODE_PRIVATE_DATA => {
                // SAFETY: the vendor code says that the struct is that of 1.1.
                let error = shown(&trouble.failure, unsafe { (*out).private_driver });
                // SAFETY: the host's struct. What stood there was released.
                unsafe { std::ptr::write(out, error) };
            }
            _ => {
                let failure = &trouble.failure;
                let error = ErrorOf100 {
                    message: terminated(&failure.to_string()).into_raw(),
                    vendor_code: failure.code as i32,
                    sqlstate: sqlstate_of(failure.code),
                    release: Some(release_100),
                };
                // SAFETY: as above, for the struct of 1.0, which is the front of the other.
                unsafe { std::ptr::write(out.cast::<ErrorOf100>(), error) };
            }
        }
    }
    trouble.status.into()
}

fn shown(failure: &Failure, private_driver: *const adbc_ffi::FFI_AdbcDriver) -> FFI_AdbcError {
    let held = Box::into_raw(Held::new(failure));
    FFI_AdbcError {
        // SAFETY: the box was just made. The text is never written through the pointer.
        message: unsafe { (*held).message.as_ptr() }.cast_mut(),
        vendor_code: ADBC_ERROR_VENDOR_CODE_PRIVATE_DATA,
        sqlstate: sqlstate_of(failure.code),
        release: Some(release_110),
        private_data: held.cast::<c_void>(),
        private_driver,
    }
}

unsafe extern "C" fn release_110(error: *mut FFI_AdbcError) {
    // SAFETY: null, or an error of `shown`.
    let Some(error) = (unsafe { error.as_mut() }) else { return };
    let held = std::mem::replace(&mut error.private_data, std::ptr::null_mut()).cast::<Held>();
    error.message = std::ptr::null_mut();
    if error.release.take().is_some() && !held.is_null() {
        // SAFETY: the box of `shown`, taken back once: `release` is null from now on.
        drop(unsafe { Box::from_raw(held) });
    }
}

unsafe extern "C" fn release_100(error: *mut ErrorOf100) {
    // SAFETY: null, or an error of `write_error`.
    let Some(error) = (unsafe { error.as_mut() }) else { return };
    let message = std::mem::replace(&mut error.message, std::ptr::null_mut());
    if error.release.take().is_some() && !message.is_null() {
        // SAFETY: the text of `write_error`, taken back once.
        drop(unsafe { CString::from_raw(message) });
    }
}

/// The details of an error of ours.
///
/// # Safety
/// `error` is null or an error of 1.1 that was not released.
unsafe fn details<'a>(error: *const FFI_AdbcError) -> &'a [(CString, Vec<u8>)] {
    // SAFETY: the caller's promise.
    let Some(error) = (unsafe { error.as_ref() }) else { return &[] };
    let own = error.release.is_some_and(|r| std::ptr::fn_addr_eq(r, OWN_RELEASE));
    if !own || error.vendor_code != ADBC_ERROR_VENDOR_CODE_PRIVATE_DATA {
        return &[];
    }
    // SAFETY: what `shown` put there, while `release` is not null.
    unsafe { error.private_data.cast::<Held>().as_ref() }.map_or(&[], |held| &held.details)
}

const OWN_RELEASE: unsafe extern "C" fn(*mut FFI_AdbcError) = release_110;

/// `AdbcErrorGetDetailCount`.
pub(crate) unsafe extern "C" fn detail_count(error: *const FFI_AdbcError) -> c_int {
    // SAFETY: the rules of `adbc.h`.
    unsafe { details(error) }.len() as c_int
}

/// `AdbcErrorGetDetail`: a key of null beyond the last.
pub(crate) unsafe extern "C" fn detail(error: *const FFI_AdbcError, index: c_int) -> FFI_AdbcErrorDetail {
    // SAFETY: the rules of `adbc.h`.
    let found = usize::try_from(index).ok().and_then(|index| unsafe { details(error) }.get(index));
    found.map_or_else(FFI_AdbcErrorDetail::default, |(key, value)| FFI_AdbcErrorDetail {
        key: key.as_ptr(),
        value: value.as_ptr(),
        value_length: value.len(),
    })
}

/// An error that lives as long as the stream that it is of.
struct OfStream(FFI_AdbcError);

// SAFETY: its pointers lead to what it owns, which no thread changes.
unsafe impl Send for OfStream {}

/// `AdbcErrorFromArrayStream`: what ended a stream of ours.
pub(crate) unsafe extern "C" fn error_of_stream(
    stream: *mut ArrowArrayStream,
    status: *mut AdbcStatusCode,
) -> *const FFI_AdbcError {
    let found = caught(|| {
        // SAFETY: the rules of `adbc.h`: a stream that was not released, used by one thread at a time.
        Ok(unsafe { stream_failure(stream, |failure| OfStream(shown(failure, std::ptr::null()))) })
    });
    let Ok(Some((code, OfStream(error)))) = found else { return std::ptr::null() };
    if !status.is_null() {
        // SAFETY: room for a status, as `adbc.h` says.
        unsafe { status.write_unaligned(status_of(code).into()) };
    }
    error
}
