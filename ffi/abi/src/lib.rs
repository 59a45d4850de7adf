//! The functions of the C ABI, for every library that offers it; the header, `ffi/c/include/plasmon.h`, is generated from these files.
//!
//! Every function returns a `plasmon_code` and leaves details with `plasmon_last_error`; [`ABI.md`](../../c/ABI.md) has the rules that hold for all of
//! them: ownership, threads, versions. A function is three lines here: take the arguments apart, call the engine, write the result. What is
//! unsafe about that lives in `plasmon-boundary`.

#![warn(missing_docs)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![expect(unreachable_pub, reason = "what is exported has no Rust caller")]
#![expect(non_camel_case_types, reason = "types have the names that C programs see")]
#![expect(
    clippy::missing_safety_doc,
    reason = "one rule for all, in ABI.md: a pointer is null or leads to what its type says; everything else is checked"
)]

pub mod bytes;
mod error;
mod expression;
pub mod frames;
mod function;
mod log;
pub mod memory;
mod operators;
pub mod query;
pub mod session;
pub mod statement;
pub mod substrait;
mod version;

pub use session::{open_session, plasmon_session_close};

/// The version of the ABI: the higher 16 bits change when programs must be compiled anew, the lower 16 when something was added.
pub const PLASMON_ABI_VERSION: u32 = 1 << 16 | 1;

/// A session: tables, views, functions and settings. Any number of threads may use one.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct plasmon_session {
    /// Zero is no session.
    pub id: u64,
}

/// A statement that is being put together. Threads take turns; who comes in between gets `PLASMON_CODE_BUSY`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct plasmon_statement {
    /// Zero is no statement.
    pub id: u64,
}

/// A statement, or operators, that run. Its rows are read by one thread at a time; every thread may cancel it and look at its progress.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct plasmon_query {
    /// Zero is no query.
    pub id: u64,
}
