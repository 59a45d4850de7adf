//! `dev.plasmon.Session`: opened, set, given tables, closed.

use jni::EnvUnowned;
use jni::objects::{JByteArray, JClass, JObject};
use jni::sys::jlong;
use plasmon_abi::plasmon_session;
use plasmon_abi::session::{
    plasmon_session_close, plasmon_session_deregister, plasmon_session_open, plasmon_session_register_path,
    plasmon_session_register_stream, plasmon_session_set,
};
use plasmon_boundary::arrow::ArrowArrayStream;

use crate::call::{check, native, taken, text};
use crate::upcall::{Source, source_stream};

pub(crate) fn session(handle: jlong) -> plasmon_session {
    plasmon_session { id: handle as u64 }
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Session_open0<'l>(env: EnvUnowned<'l>, _class: JClass<'l>) -> jlong {
    native(env, |_| {
        let mut opened = session(0);
        // SAFETY: room for a handle.
        check(unsafe { plasmon_session_open(&mut opened) })?;
        Ok(opened.id as jlong)
    })
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Session_close0<'l>(env: EnvUnowned<'l>, _class: JClass<'l>, handle: jlong) {
    native(env, |_| check(plasmon_session_close(session(handle))))
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Session_set0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
    name: JByteArray<'l>,
    value: JByteArray<'l>,
) {
    native(env, |env| {
        let (name, value) = (text(env, &name, "name")?, text(env, &value, "value")?);
        // SAFETY: terminated texts.
        check(unsafe { plasmon_session_set(session(handle), name.as_ptr(), value.as_ptr()) })
    })
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Session_registerPath0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
    name: JByteArray<'l>,
    path: JByteArray<'l>,
) {
    native(env, |env| {
        let (name, path) = (text(env, &name, "name")?, text(env, &path, "path")?);
        // SAFETY: terminated texts.
        check(unsafe { plasmon_session_register_path(session(handle), name.as_ptr(), path.as_ptr()) })
    })
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Session_registerStream0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
    name: JByteArray<'l>,
    stream: jlong,
) {
    native(env, |env| {
        // First of all, so that it is released whatever else is wrong.
        let mut stream = taken::<ArrowArrayStream>(stream, "stream")?;
        let name = text(env, &name, "name")?;
        // SAFETY: a terminated text and a stream.
        check(unsafe { plasmon_session_register_stream(session(handle), name.as_ptr(), &mut stream) })
    })
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Session_registerSource0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
    name: JByteArray<'l>,
    schema: jlong,
    source: Source<'l>,
) {
    native(env, |env| {
        let mut stream = source_stream(env, schema, source)?;
        let name = text(env, &name, "name")?;
        // SAFETY: a terminated text and a stream.
        check(unsafe { plasmon_session_register_stream(session(handle), name.as_ptr(), &mut stream) })
    })
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Session_deregister0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
    name: JByteArray<'l>,
) {
    native(env, |env| {
        let name = text(env, &name, "name")?;
        // SAFETY: a terminated text.
        check(unsafe { plasmon_session_deregister(session(handle), name.as_ptr()) })
    })
}
