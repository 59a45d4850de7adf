//! The frame of every native: arguments come in checked, and what fails, panics included, is thrown as `dev.plasmon.PlasmonException`.

use std::ffi::CString;

use jni::Outcome;
use jni::errors::Error;
use jni::objects::JByteArray;
use jni::sys::jlong;
use jni::{Env, EnvUnowned, bind_java_type};
use plasmon_boundary::guard::{caught, with_last};
use plasmon_boundary::host::require;
use plasmon_boundary::{Code, Failure, Result};

bind_java_type! {
    pub(crate) PlasmonException => dev.plasmon.PlasmonException,
    methods {
        static fn of(code: jint, message: jbyte[], path: jbyte[], hint: jbyte[]) -> JThrowable,
    },
}

/// Runs the body of a native. Its failure is pending in Java when the native returns, with a result that Java then never sees.
pub(crate) fn native<'l, T: Default>(mut env: EnvUnowned<'l>, body: impl FnOnce(&mut Env<'l>) -> Result<T>) -> T {
    let outcome = env.with_env(|env| match caught(|| body(env)) {
        Ok(result) => Ok(result),
        Err(failure) => Err(throw(env, &failure)),
    });
    match outcome.into_outcome() {
        Outcome::Ok(result) => result,
        // Thrown, or Java has thrown something itself while that was tried.
        Outcome::Err(_) | Outcome::Panic(_) => T::default(),
    }
}

/// Throws `failure`, unless an exception of Java's own (no memory) is under way already.
fn throw(env: &mut Env, failure: &Failure) -> Error {
    if env.exception_check() {
        return Error::JavaException;
    }
    let exception = (|| {
        let message = env.byte_array_from_slice(failure.message.as_bytes())?;
        let path = env.byte_array_from_slice(failure.path.as_bytes())?;
        let hint = env.byte_array_from_slice(failure.hint.as_bytes())?;
        PlasmonException::of(env, failure.code as i32, message, path, hint)
    })();
    match exception {
        Ok(exception) => env.throw(exception).err().unwrap_or(Error::JavaException),
        Err(error) => error,
    }
}

/// What a call of the C ABI came to, which gave `code`.
pub(crate) fn check(code: i32) -> Result<()> {
    if code == Code::Ok as i32 {
        return Ok(());
    }
    Err(with_last(|last| last.cloned()).unwrap_or_else(|| Failure::new(Code::Internal, format!("code {code}"))))
}

/// A failure of Java's side that no rule of ours foresees.
pub(crate) fn java_failed(error: Error) -> Failure {
    Failure::new(Code::Internal, format!("JNI: {error}"))
}

/// The struct at an address that Java gave. `what` names the argument.
pub(crate) fn pointer<T>(address: jlong, what: &str) -> Result<*mut T> {
    let pointer = std::ptr::with_exposed_provenance_mut::<T>(address as usize);
    require(pointer, what)?;
    if !pointer.is_aligned() {
        let align = align_of::<T>();
        return Err(Failure::argument(format!(
            "{what}: {address:#x} is no address of a struct, which would be a multiple of {align}"
        )));
    }
    Ok(pointer)
}

/// The struct at an address that Java gave, moved out of there: it is ours from now on, and dropping it releases it.
pub(crate) fn taken<T: Emptied>(address: jlong, what: &str) -> Result<T> {
    let pointer = pointer::<T>(address, what)?;
    // SAFETY: not null, aligned, and the caller's promise: ABI.md, "Pointers". An empty struct owns nothing.
    Ok(unsafe { std::ptr::replace(pointer, T::emptied()) })
}

/// A struct of the C Data Interface, which has a released form.
pub(crate) trait Emptied {
    fn emptied() -> Self;
}

macro_rules! emptied {
    ($($name:ident)*) => {
        $(impl Emptied for plasmon_boundary::arrow::$name {
            fn emptied() -> Self {
                Self::empty()
            }
        })*
    };
}
emptied!(ArrowArray ArrowSchema ArrowArrayStream);

/// The bytes of a text that Java made UTF-8.
pub(crate) fn bytes(env: &Env, text: &JByteArray, what: &str) -> Result<Vec<u8>> {
    if text.is_null() {
        return Err(Failure::argument(format!("{what} is null")));
    }
    env.convert_byte_array(text).map_err(java_failed)
}

/// A text for the C ABI.
pub(crate) fn text(env: &Env, text: &JByteArray, what: &str) -> Result<CString> {
    CString::new(bytes(env, text, what)?)
        .map_err(|e| Failure::argument(format!("{what} holds a zero, at byte {}", e.nul_position())))
}

/// A text for Java: its bytes.
pub(crate) fn array<'l>(env: &mut Env<'l>, text: &[u8]) -> Result<JByteArray<'l>> {
    env.byte_array_from_slice(text).map_err(java_failed)
}
