//! Encoded page bytes → values: Snappy, bit-unpacking, the run-length/bit-packed hybrid, plain layouts.
//!
//! Input bytes come from files and may be malformed: these kernels check every length and answer [`Malformed`], they never panic on bytes.

mod byte_stream;
mod delta;
mod hybrid;
mod plain;
mod snappy;
mod unpack;

pub use byte_stream::join_byte_streams;
pub use delta::{delta_byte_arrays, delta_integers, delta_length_byte_arrays};
pub use hybrid::HybridCursor;
pub use plain::{plain_big_endian, plain_byte_arrays, plain_byte_arrays_at, skip_byte_arrays, spread};
pub use snappy::{SLACK as DECODE_SLACK, decompress_eights, snappy_len};
pub use unpack::unpack_u32;

/// Bytes that no writer of the format produces; tells what is wrong with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);
