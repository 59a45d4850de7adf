//! `dev.plasmon.Plan`: a statement and what it is to run with, then its schema, its plan, or its run.

use std::ffi::{CStr, c_char};

use jni::EnvUnowned;
use jni::objects::{JByteArray, JClass, JObject};
use jni::sys::{jint, jlong};
use plasmon_abi::bytes::{plasmon_bytes, plasmon_bytes_free};
use plasmon_abi::statement::{
    plasmon_statement_bind_parameters, plasmon_statement_bind_stream, plasmon_statement_close,
    plasmon_statement_execute, plasmon_statement_explain, plasmon_statement_open, plasmon_statement_plan,
    plasmon_statement_schema, plasmon_statement_set, plasmon_statement_set_deadline, plasmon_statement_set_plan,
    plasmon_statement_set_sql, plasmon_text_free,
};
use plasmon_abi::substrait::{plasmon_statement_set_substrait, plasmon_statement_substrait};
use plasmon_abi::{plasmon_query, plasmon_statement};
use plasmon_boundary::Result;
use plasmon_boundary::arrow::{ArrowArray, ArrowArrayStream, ArrowSchema};

use crate::call::{array, bytes, check, native, pointer, taken, text};
use crate::session::session;
use crate::stream::open_stream;
use crate::upcall::{Source, source_stream};

pub(crate) fn statement(handle: jlong) -> plasmon_statement {
    plasmon_statement { id: handle as u64 }
}

/// A statement of a session, empty yet.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Session_openPlan0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
) -> jlong {
    native(env, |_| {
        let mut opened = statement(0);
        // SAFETY: room for a handle.
        check(unsafe { plasmon_statement_open(session(handle), &mut opened) })?;
        Ok(opened.id as jlong)
    })
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Plan_close0<'l>(env: EnvUnowned<'l>, _class: JClass<'l>, handle: jlong) {
    native(env, |_| check(plasmon_statement_close(statement(handle))))
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Plan_setSql0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
    sql: JByteArray<'l>,
) {
    native(env, |env| {
        let sql = bytes(env, &sql, "sql")?;
        // SAFETY: as many bytes as are told.
        check(unsafe { plasmon_statement_set_sql(statement(handle), sql.as_ptr().cast::<c_char>(), sql.len() as i64) })
    })
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Plan_setPlan0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
    plan: JByteArray<'l>,
) {
    native(env, |env| {
        let plan = bytes(env, &plan, "plan")?;
        // SAFETY: as many bytes as are told.
        check(unsafe { plasmon_statement_set_plan(statement(handle), plan.as_ptr(), plan.len() as u64) })
    })
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Plan_setSubstrait0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
    plan: JByteArray<'l>,
) {
    native(env, |env| {
        let plan = bytes(env, &plan, "plan")?;
        // SAFETY: as many bytes as are told.
        check(unsafe { plasmon_statement_set_substrait(statement(handle), plan.as_ptr(), plan.len() as u64) })
    })
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Plan_toPlan0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
) -> JByteArray<'l> {
    native(env, |env| {
        // SAFETY: room for bytes.
        let plan = owned_bytes(|out| unsafe { plasmon_statement_plan(statement(handle), out) })?;
        array(env, &plan)
    })
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Plan_toSubstrait0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
    format: jint,
) -> JByteArray<'l> {
    native(env, |env| {
        // SAFETY: room for bytes.
        let plan = owned_bytes(|out| unsafe { plasmon_statement_substrait(statement(handle), format, out) })?;
        array(env, &plan)
    })
}

/// The bytes that a function of the C ABI gives.
fn owned_bytes(give: impl FnOnce(*mut plasmon_bytes) -> i32) -> Result<Vec<u8>> {
    let mut given = plasmon_bytes { data: std::ptr::null_mut(), length: 0 };
    check(give(&mut given))?;
    if given.data.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: what was given is as many bytes as it says, freed once.
    unsafe {
        let bytes = std::slice::from_raw_parts(given.data, given.length as usize).to_vec();
        plasmon_bytes_free(&mut given);
        Ok(bytes)
    }
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Plan_set0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
    name: JByteArray<'l>,
    value: JByteArray<'l>,
) {
    native(env, |env| {
        let (name, value) = (text(env, &name, "name")?, text(env, &value, "value")?);
        // SAFETY: terminated texts.
        check(unsafe { plasmon_statement_set(statement(handle), name.as_ptr(), value.as_ptr()) })
    })
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Plan_setDeadline0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
    milliseconds: jlong,
) {
    native(env, |_| check(plasmon_statement_set_deadline(statement(handle), milliseconds as u64)))
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Plan_bindStream0<'l>(
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
        check(unsafe { plasmon_statement_bind_stream(statement(handle), name.as_ptr(), &mut stream) })
    })
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Plan_bindSource0<'l>(
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
        check(unsafe { plasmon_statement_bind_stream(statement(handle), name.as_ptr(), &mut stream) })
    })
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Plan_bindParameters0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
    schema: jlong,
    values: jlong,
) {
    native(env, |_| {
        let (schema, values) = (taken::<ArrowSchema>(schema, "schema"), taken::<ArrowArray>(values, "values"));
        let (mut schema, mut values) = (schema?, values?);
        // SAFETY: two structs.
        check(unsafe { plasmon_statement_bind_parameters(statement(handle), &mut schema, &mut values) })
    })
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Plan_schema0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
    out: jlong,
) {
    native(env, |_| {
        let out = pointer(out, "out")?;
        // SAFETY: room for a schema, by the caller's promise: ABI.md, "Pointers".
        check(unsafe { plasmon_statement_schema(statement(handle), out) })
    })
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Plan_explain0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
    format: jint,
) -> JByteArray<'l> {
    native(env, |env| {
        // SAFETY: room for a pointer.
        let shown = owned_text(|out| unsafe { plasmon_statement_explain(statement(handle), format, out) })?;
        array(env, &shown)
    })
}

/// The bytes of a text that a function of the C ABI gives.
pub(crate) fn owned_text(give: impl FnOnce(*mut *mut c_char) -> i32) -> Result<Vec<u8>> {
    let mut given = std::ptr::null_mut();
    check(give(&mut given))?;
    // SAFETY: what was given is a terminated text, freed once.
    unsafe {
        let bytes = CStr::from_ptr(given).to_bytes().to_vec();
        plasmon_text_free(given);
        Ok(bytes)
    }
}

/// Starts the statement; the handle of a stream.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Plan_execute0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
) -> jlong {
    native(env, |_| {
        let mut query = plasmon_query { id: 0 };
        // SAFETY: room for a handle.
        check(unsafe { plasmon_statement_execute(statement(handle), &mut query) })?;
        Ok(open_stream(query))
    })
}
