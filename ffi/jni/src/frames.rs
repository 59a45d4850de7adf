//! `dev.plasmon.Frames`: batches as bytes; and the natives of plans and streams that read and give such bytes.

use jni::EnvUnowned;
use jni::objects::{JByteArray, JClass, JLongArray, JObject};
use jni::sys::jlong;
use plasmon_abi::frames::{bind_frames, encode_frames, next_frames, node_counters};
use plasmon_boundary::arrow::ArrowArray;

use crate::call::{array, bytes, java_failed, native, taken};
use crate::plan::statement;
use crate::stream::rows;
use crate::upcall::{FrameCalls, frame_source};

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
