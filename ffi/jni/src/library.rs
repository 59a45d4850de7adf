//! `dev.plasmon.Library`: the library's start, and what it knows of itself.

use jni::EnvUnowned;
use jni::objects::{JByteArray, JClass, JClassLoader};
use jni::refs::LoaderContext;
use jni::sys::jint;
use plasmon_boundary::Code;

use crate::allocator::leave_free_pages;
use crate::call::{PlasmonExceptionAPI, array, java_failed, native};
use crate::frames::FrameCallsAPI;
use crate::memory::MemoryCallsAPI;
use crate::upcall::{ReleaseAPI, SourceAPI};

/// Looks up the classes that the library calls, with the loader of this package: threads of the engine's own have another one. Its answer is the
/// library's version.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Library_start0<'l>(
    env: EnvUnowned<'l>,
    _class: JClass<'l>,
    loader: JClassLoader<'l>,
) -> JByteArray<'l> {
    leave_free_pages();
    native(env, |env| {
        let loader = LoaderContext::Loader(&loader);
        PlasmonExceptionAPI::get(env, &loader).map_err(java_failed)?;
        SourceAPI::get(env, &loader).map_err(java_failed)?;
        ReleaseAPI::get(env, &loader).map_err(java_failed)?;
        FrameCallsAPI::get(env, &loader).map_err(java_failed)?;
        MemoryCallsAPI::get(env, &loader).map_err(java_failed)?;
        array(env, env!("CARGO_PKG_VERSION").as_bytes())
    })
}

/// The class of a code, and its name; -1 and no name for numbers that are none.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Library_classOf0<'l>(
    _env: EnvUnowned<'l>,
    _class: JClass<'l>,
    code: jint,
) -> jint {
    Code::of_number(code).map_or(-1, |code| code.class() as jint)
}

/// The short name of a code; empty for numbers that are none.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Library_nameOf0<'l>(
    env: EnvUnowned<'l>,
    _class: JClass<'l>,
    code: jint,
) -> JByteArray<'l> {
    native(env, |env| array(env, Code::of_number(code).map_or(c"", Code::name).to_bytes()))
}
