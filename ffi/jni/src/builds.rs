//! `dev.plasmon.Builds`: build sides that are the process's.

use jni::EnvUnowned;
use jni::objects::{JByteArray, JClass};
use jni::sys::{jboolean, jlong};
use plasmon_abi::frames::{cached_build_bytes, release_build, retain_build};

use crate::call::{bytes, native};

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Builds_retain0<'l>(
    env: EnvUnowned<'l>,
    _class: JClass<'l>,
    name: JByteArray<'l>,
) {
    native(env, |env| {
        retain_build(&String::from_utf8_lossy(&bytes(env, &name, "name")?));
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Builds_release0<'l>(
    env: EnvUnowned<'l>,
    _class: JClass<'l>,
    name: JByteArray<'l>,
) -> jboolean {
    native(env, |env| Ok(release_build(&String::from_utf8_lossy(&bytes(env, &name, "name")?))))
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Builds_bytes0<'l>(env: EnvUnowned<'l>, _class: JClass<'l>) -> jlong {
    native(env, |_| Ok(cached_build_bytes() as jlong))
}
