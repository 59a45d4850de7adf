//! From the engine into Java: batches that a Java object gives, and news that a struct was released. Java's side (`Source`, `Release`) throws nothing.
//!
//! These calls come on whatever thread needs them, the engine's workers included. Those become daemon threads of the JVM at their first call, so that a
//! query that nobody closed does not keep the JVM from ending, and leave it when they end.

use std::cell::Cell;
use std::ffi::{CString, c_void};

use jni::objects::JObject;
use jni::refs::{Global, Reference};
use jni::sys::{self, jlong};
use jni::vm::{AttachConfig, AttachmentExceptionPolicy};
use jni::{Env, JNIVersion, JavaVM, bind_java_type};
use plasmon_boundary::arrow::{ArrowArray, ArrowArrayStream, ArrowSchema, export_arrays, import_schema};
use plasmon_boundary::{Code, Failure, Result};

use crate::call::{java_failed, pointer};

bind_java_type! {
    pub(crate) Source => dev.plasmon.Source,
    methods {
        fn next(array: jlong) -> jint,
        fn message() -> jbyte[],
        fn close(),
    },
}

bind_java_type! {
    pub(crate) Release => dev.plasmon.Release,
    methods {
        static fn run(action: JObject),
    },
}

/// A stream of the batches of `schema` that a Java object gives. The schema is taken over in every case.
pub(crate) fn source_stream(env: &mut Env, schema: jlong, source: Source) -> Result<ArrowArrayStream> {
    // SAFETY: the caller's promise: ABI.md, "Pointers".
    let schema = unsafe { import_schema(pointer::<ArrowSchema>(schema, "schema")?)? };
    if source.is_null() {
        return Err(Failure::argument("source is null"));
    }
    let source = OwnedSource(env.new_global_ref(&source).map_err(java_failed)?);
    Ok(export_arrays(schema, Box::new(move || source.next())))
}

/// A Java object that gives batches, closed when nobody asks it any more.
struct OwnedSource(Global<Source<'static>>);

impl OwnedSource {
    fn next(&self) -> Result<Option<ArrowArray>> {
        // What `Source.next` answers.
        const BATCH: i32 = 1;
        const END: i32 = 0;
        let mut array = ArrowArray::empty();
        let address = (&raw mut array).expose_provenance() as jlong;
        let failure = attached(|env| match self.0.next(env, address)? {
            BATCH => Ok(None),
            END => {
                array = ArrowArray::empty();
                Ok(None)
            }
            _ => {
                let message = self.0.message(env)?;
                let text = env.convert_byte_array(&message)?;
                env.delete_local_ref(message);
                Ok(Some(String::from_utf8_lossy(&text).into_owned()))
            }
        })?;
        match failure {
            Some(message) => Err(Failure::new(Code::Host, message)),
            None if array.is_released() => Ok(None),
            None => Ok(Some(array)),
        }
    }
}

impl Drop for OwnedSource {
    fn drop(&mut self) {
        // Java notes its own failures, and nobody is left to tell of others.
        let _ = attached(|env| self.0.close(env));
    }
}

/// Makes `action`, a `Runnable` or null, what happens when the struct is released.
pub(crate) fn set_release<T: Released>(env: &Env, of: *mut T, action: JObject) -> Result<()> {
    let held = match action.is_null() {
        true => std::ptr::null_mut(),
        false => env.new_global_ref(&action).map_err(java_failed)?.into_raw(),
    };
    // SAFETY: a struct, by the caller's promise: ABI.md, "Pointers".
    unsafe { &mut *of }.set(Some(released::<T>), held.cast::<c_void>());
    Ok(())
}

type ReleaseFunction<T> = unsafe extern "C" fn(*mut T);

/// A struct of the C Data Interface that tells of its release.
pub(crate) trait Released: Sized {
    fn set(&mut self, release: Option<ReleaseFunction<Self>>, private: *mut c_void);
    fn private(&self) -> *mut c_void;
}

macro_rules! released {
    ($($name:ident)*) => {
        $(impl Released for $name {
            fn set(&mut self, release: Option<ReleaseFunction<Self>>, private: *mut c_void) {
                (self.release, self.private_data) = (release, private);
            }
            fn private(&self) -> *mut c_void {
                self.private_data
            }
        })*
    };
}
released!(ArrowArray ArrowSchema);

unsafe extern "C" fn released<T: Released>(of: *mut T) {
    // SAFETY: null, or the struct that `set_release` has seen, or where it was moved to.
    let Some(of) = (unsafe { of.as_mut() }) else { return };
    let action = of.private().cast::<sys::_jobject>();
    of.set(None, std::ptr::null_mut());
    if action.is_null() {
        return;
    }
    let _ = attached(|env| {
        // SAFETY: the global reference of `set_release`, taken back once: `release` is null from now on.
        let action = unsafe { env.global_from_raw::<JObject>(action) };
        Release::run(env, &action)
    });
}

thread_local! {
    /// Whether this thread was seen to be one of the JVM's, which threads are until they end.
    static IS_ATTACHED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `call` on this thread, which becomes one of the JVM's if it is not. This is once or twice a batch: no frame is made for the few references that
/// `call` may leave, and exceptions are looked at by the calls themselves.
pub(crate) fn attached<T>(call: impl FnOnce(&mut Env) -> jni::errors::Result<T>) -> Result<T> {
    let run = || -> jni::errors::Result<T> {
        let java = JavaVM::singleton()?;
        if !IS_ATTACHED.replace(true) && !java.is_thread_attached()? {
            attach_as_daemon(&java);
        }
        let config = || AttachConfig::new().exceptions_policy(AttachmentExceptionPolicy::Ignore);
        java.attach_current_thread_with_config(config, None, |env| {
            let result = call(env);
            if result.is_err() {
                // No stack was left for Java's side to begin with.
                env.exception_clear();
            }
            result
        })
    };
    run().map_err(java_failed)
}

/// Makes this thread one that the JVM does not wait for when it ends, until the thread ends.
fn attach_as_daemon(java: &JavaVM) {
    let name = std::thread::current().name().and_then(|name| CString::new(name).ok());
    let name = name.unwrap_or_else(|| c"plasmon".to_owned());
    let mut arguments = sys::JavaVMAttachArgs {
        version: JNIVersion::V1_4.into(),
        name: name.as_ptr().cast_mut(),
        group: std::ptr::null_mut(),
    };
    let vm = java.get_raw();
    let mut env = std::ptr::null_mut();
    // SAFETY: the JVM's own table of functions, and arguments that live during the call. Should it fail, the caller's own attempt fails as well.
    unsafe { ((**vm).v1_4.AttachCurrentThreadAsDaemon)(vm, &mut env, (&raw mut arguments).cast::<c_void>()) };
    LEAVES.with(|leaves| leaves.0.set(vm));
}

/// At a thread's end: takes it from the JVM that it was attached to.
struct Leaves(Cell<*mut sys::JavaVM>);

thread_local! {
    static LEAVES: Leaves = const { Leaves(Cell::new(std::ptr::null_mut())) };
}

impl Drop for Leaves {
    fn drop(&mut self) {
        let vm = self.0.get();
        if !vm.is_null() {
            // SAFETY: the JVM of `attach_as_daemon`; no frame of Java's is left on a thread that ends. One that was detached meanwhile is refused.
            unsafe { ((**vm).v1_1.DetachCurrentThread)(vm) };
        }
    }
}
