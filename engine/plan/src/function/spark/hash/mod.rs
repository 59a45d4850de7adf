//! Hashes and checksums, and Spark's Bloom filters.

mod bloom;
mod digest;
mod murmur3;
mod xxhash;

use super::definition::Definition;

pub(super) const FUNCTIONS: [&[Definition]; 4] =
    [bloom::FUNCTIONS, digest::FUNCTIONS, murmur3::FUNCTIONS, xxhash::FUNCTIONS];
