//! The host's memory, in Java: sessions ask an object of it, and are asked by it.

use std::ffi::c_void;

use jni::objects::JObject;
use jni::refs::Global;
use jni::sys::jlong;
use jni::{EnvUnowned, bind_java_type};
use plasmon_abi::memory::{plasmon_memory, plasmon_session_set_memory, plasmon_session_spill};

use crate::call::{check, java_failed, native};
use crate::session::session;
use crate::upcall::attached;

type Held = Global<MemoryCalls<'static>>;

/// Makes `memory` what queries of the session take their memory of; null = they ask nobody.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Session_setMemory0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
    memory: MemoryCalls<'l>,
) {
    native(env, |env| {
        if memory.is_null() {
            // SAFETY: null is allowed.
            return check(unsafe { plasmon_session_set_memory(session(handle), std::ptr::null()) });
        }
        let held: Held = env.new_global_ref(&memory).map_err(java_failed)?;
        let context = Box::into_raw(Box::new(held)).cast::<c_void>();
        let calls = plasmon_memory {
            size: size_of::<plasmon_memory>() as u64,
            context,
            reserve: Some(reserve),
            release: Some(release),
            spill: Some(spill),
            closed: Some(closed),
        };
        // SAFETY: a struct of the size that it says, whose functions take its context.
        let set = check(unsafe { plasmon_session_set_memory(session(handle), &calls) });
        if set.is_err() {
            // Nobody knows it.
            // SAFETY: from the box above, once: `closed` is not called for what was refused.
            drop(unsafe { Box::from_raw(context.cast::<Held>()) });
        }
        set
    })
}

/// Asks the session's queries for `bytes`; how many came back.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Session_spill0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
    bytes: jlong,
) -> jlong {
    native(env, |_| {
        let mut freed = 0;
        // SAFETY: room for a number.
        check(unsafe { plasmon_session_spill(session(handle), u64::try_from(bytes).unwrap_or(0), &mut freed) })?;
        Ok(jlong::try_from(freed).unwrap_or(jlong::MAX))
    })
}

/// The Java object of a context.
///
/// # Safety
/// `context` is that of `setMemory0`, and `closed` was not called.
unsafe fn held<'a>(context: *mut c_void) -> &'a Held {
    // SAFETY: the caller's promise.
    unsafe { &*context.cast::<Held>() }
}

unsafe extern "C" fn reserve(context: *mut c_void, bytes: u64) -> i32 {
    const YES: i32 = 0;
    const NO: i32 = 1;
    // SAFETY: as the struct says, which the context came with.
    let memory = unsafe { held(context) };
    match attached(|env| memory.reserve(env, bytes as jlong)) {
        Ok(true) => YES,
        // Java's side throws nothing; a JVM that cannot be called gives nothing.
        Ok(false) | Err(_) => NO,
    }
}

unsafe extern "C" fn release(context: *mut c_void, bytes: u64) {
    // SAFETY: as above.
    let memory = unsafe { held(context) };
    let _ = attached(|env| memory.release(env, bytes as jlong));
}

unsafe extern "C" fn spill(context: *mut c_void, bytes: u64) -> u64 {
    // SAFETY: as above.
    let memory = unsafe { held(context) };
    let freed = attached(|env| memory.spill(env, bytes as jlong));
    freed.ok().and_then(|freed| u64::try_from(freed).ok()).unwrap_or(0)
}

unsafe extern "C" fn closed(context: *mut c_void) {
    // SAFETY: from the box of `setMemory0`; called once, when nobody knows it any more.
    drop(unsafe { Box::from_raw(context.cast::<Held>()) });
}

bind_java_type! {
    pub(crate) MemoryCalls => dev.plasmon.MemoryCalls,
    methods {
        fn reserve(bytes: jlong) -> jboolean,
        fn release(bytes: jlong),
        fn spill(bytes: jlong) -> jlong,
    },
}
