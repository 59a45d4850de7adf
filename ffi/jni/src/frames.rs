//! `dev.plasmon.Frames`: batches as bytes; and the natives of plans and streams that read and give such bytes.

use jni::objects::{JByteArray, JClass, JLongArray, JObject};
use jni::refs::Global;
use jni::sys::jlong;
use jni::{Env, EnvUnowned, bind_java_type};
use plasmon_abi::frames::{FrameSource, bind_frames, encode_frames, next_frames, node_counters};
use plasmon_boundary::arrow::ArrowArray;
use plasmon_boundary::{Code, Failure, Result};

use crate::call::{array, bytes, java_failed, native, taken};
use crate::plan::statement;
use crate::stream::rows;
use crate::upcall::attached;

/// An array as frames, which it is taken over for.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Frames_encode0<'l>(
    env: EnvUnowned<'l>,
    _class: JClass<'l>,
    address: jlong,
    fields: JByteArray<'l>,
) -> JByteArray<'l> {
    native(env, |env| {
        // First of all, so that it is released whatever else is wrong.
        let batch = taken::<ArrowArray>(address, "array")?;
        let frames = encode_frames(batch, &bytes(env, &fields, "fields")?)?;
        array(env, &frames)
    })
}

#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Plan_bindFrames0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
    name: JByteArray<'l>,
    fields: JByteArray<'l>,
    source: FrameCalls<'l>,
) {
    native(env, |env| {
        let source = frame_source(env, source)?;
        let name = String::from_utf8_lossy(&bytes(env, &name, "name")?).into_owned();
        bind_frames(statement(handle), &name, &bytes(env, &fields, "fields")?, source)
    })
}

/// The next batch as frames; null at the end.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Stream_nextFrames0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
) -> JByteArray<'l> {
    native(env, |env| match next_frames(rows(handle)?)? {
        Some(frames) => array(env, &frames),
        None => Ok(JByteArray::default()),
    })
}

/// How many numbers there are of each relation, and those of each: see `Stream.nodeMetrics`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_plasmon_Stream_nodeMetrics0<'l>(
    env: EnvUnowned<'l>,
    _this: JObject<'l>,
    handle: jlong,
) -> JLongArray<'l> {
    native(env, |env| {
        const COUNTERS: usize = 9;
        let mut numbers = vec![COUNTERS as jlong];
        for counted in node_counters(crate::stream::query(handle)?)? {
            let of_relation: [u64; COUNTERS] = [
                counted.rows,
                counted.batches,
                counted.nanos,
                counted.bytes_spilled,
                counted.bytes_peak,
                counted.bytes,
                counted.rows_in,
                counted.row_groups_read,
                counted.row_groups,
            ];
            numbers.extend(of_relation.map(|number| number as jlong));
        }
        let array = env.new_long_array(numbers.len()).map_err(java_failed)?;
        array.set_region(env, 0, &numbers).map_err(java_failed)?;
        Ok(array)
    })
}

/// Frames that a Java object gives.
fn frame_source(env: &mut Env, source: FrameCalls) -> Result<FrameSource> {
    if source.is_null() {
        return Err(Failure::argument("source is null"));
    }
    let source = OwnedFrames(env.new_global_ref(&source).map_err(java_failed)?);
    Ok(Box::new(move || source.next()))
}

/// A Java object that gives frames, closed when nobody asks it any more.
struct OwnedFrames(Global<FrameCalls<'static>>);

impl OwnedFrames {
    fn next(&self) -> Result<Option<Vec<u8>>> {
        let next = attached(|env| {
            let frames = self.0.next(env)?;
            if !frames.is_null() {
                let bytes = env.convert_byte_array(&frames)?;
                env.delete_local_ref(frames);
                return Ok(Ok(Some(bytes)));
            }
            let message = self.0.message(env)?;
            if message.is_null() {
                return Ok(Ok(None));
            }
            let text = env.convert_byte_array(&message)?;
            env.delete_local_ref(message);
            Ok(Err(String::from_utf8_lossy(&text).into_owned()))
        })?;
        next.map_err(|message| Failure::new(Code::Host, message))
    }
}

impl Drop for OwnedFrames {
    fn drop(&mut self) {
        // Java notes its own failures, and nobody is left to tell of others.
        let _ = attached(|env| self.0.close(env));
    }
}

bind_java_type! {
    pub(crate) FrameCalls => dev.plasmon.FrameCalls,
    methods {
        fn next() -> jbyte[],
        fn message() -> jbyte[],
        fn close(),
    },
}
