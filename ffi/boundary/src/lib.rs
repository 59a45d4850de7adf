//! What every host-facing crate of `ffi/` stands on: numbered errors, a panic guard, handles that cannot dangle, checked Arrow structs, texts and
//! callbacks. The unsafe idioms of the boundary live here and nowhere else; the C ABI, the C++ bridge, JNI and ADBC call these.
//!
//! Written once and meant everywhere:
//! - **Errors** are a [`Code`] with a number that never changes, and a [`Failure`] with message, plan path and hint ([`guard`] keeps the
//!   thread's last one).
//! - **Handles** are numbers, never pointers ([`handle`]): closed, foreign and invented ones are told apart from valid ones, always.
//! - **Arrow structs** that come in are taken over in every case, failure included, and checked before anything trusts them ([`arrow`]). What the
//!   C Data Interface leaves uncheckable is that a non-null pointer leads to as many bytes as lengths and offsets say: that is the host's promise.
//! - **Panics** end at [`guard`]; they become [`Code::Internal`].

#![warn(missing_docs)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panics"))]

pub mod arrow;
pub mod failure;
pub mod function;
pub mod guard;
pub mod handle;
pub mod host;
pub mod text;

pub use failure::{Class, Code, Failure};

/// Result of everything that a host may get wrong.
pub type Result<T, E = Failure> = std::result::Result<T, E>;
