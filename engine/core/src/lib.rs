//! Push-based columnar operators: batches, expressions, pipelines, memory. No I/O but spill files, no async, no SQL.
//!
//! Modules in the order in which data flows:
//! [`table`] what can be scanned → [`batch`] what flows → [`expression`] what is computed per batch →
//! [`operators`] what transforms, breaks and ends a pipeline → [`pipeline`] how it is driven →
//! [`admission`], [`memory`], [`spill`], [`metrics`], [`config`], [`error`] what surrounds it.

// A bug in an operator is an error of the query, not the end of its host; tests/integration/tidy.rs holds this too.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod admission;
pub mod batch;
pub mod config;
pub mod error;
pub mod expression;
pub mod memory;
pub mod metrics;
pub mod operators;
pub mod pipeline;
pub mod spill;
pub mod table;

pub use batch::{Batch, Bitmap, Column, Dictionary, Encoding, Selection, Values, Views};
pub use config::{Config, Driver, Fault};
pub use error::{Error, Result};

/// Whether `text` is LIKE `pattern` (`%` any characters, `_` one).
pub fn matches_like(text: &str, pattern: &str) -> bool {
    plasmon_kernels::like::LikePattern::new(pattern, None, false).matches(text.as_bytes())
}

/// The instructions that kernels use on this machine: `scalar`, `avx2` or `avx512`; see `PLASMON_MAX_ISA`.
pub fn simd_tier() -> &'static str {
    use plasmon_kernels::isa::{Isa, isa};
    match isa() {
        Isa::Scalar => "scalar",
        Isa::Avx2 => "avx2",
        Isa::Avx512 => "avx512",
    }
}
