//! `dev.plasmon.ArrowStructs`: releasing structs of the C Data Interface, and having Java told of it, for hosts without a library of their own for that.

use jni::EnvUnowned;
use jni::objects::{JClass, JObject};
use jni::sys::jlong;
use plasmon_boundary::Result;
use plasmon_boundary::arrow::{ArrowArray, ArrowArrayStream, ArrowSchema};

use crate::call::{Emptied, native, pointer, taken};
use crate::upcall::set_release;

fn release<T: Emptied>(address: jlong, what: &str) -> Result<()> {
    // Dropping it releases it, unless it is released already.
    taken::<T>(address, what).map(drop)
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_ArrowStructs_releaseArray0<'l>(
    env: EnvUnowned<'l>,
    _class: JClass<'l>,
    address: jlong,
) {
    native(env, |_| release::<ArrowArray>(address, "array"))
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_ArrowStructs_releaseSchema0<'l>(
    env: EnvUnowned<'l>,
    _class: JClass<'l>,
    address: jlong,
) {
    native(env, |_| release::<ArrowSchema>(address, "schema"))
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_ArrowStructs_releaseStream0<'l>(
    env: EnvUnowned<'l>,
    _class: JClass<'l>,
    address: jlong,
) {
    native(env, |_| release::<ArrowArrayStream>(address, "stream"))
}

/// Makes `action` what happens when the array is released; null = nothing.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_ArrowStructs_onReleaseArray0<'l>(
    env: EnvUnowned<'l>,
    _class: JClass<'l>,
    address: jlong,
    action: JObject<'l>,
) {
    native(env, |env| set_release(env, pointer::<ArrowArray>(address, "array")?, action))
}

/// Makes `action` what happens when the schema is released; null = nothing.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_ArrowStructs_onReleaseSchema0<'l>(
    env: EnvUnowned<'l>,
    _class: JClass<'l>,
    address: jlong,
    action: JObject<'l>,
) {
    native(env, |env| set_release(env, pointer::<ArrowSchema>(address, "schema")?, action))
}
