//! The ADBC driver: `libplasmon_adbc.so`, for every program that speaks Arrow Database Connectivity (API 1.1, and 1.0).
//!
//! A database is a session: its tables, views and functions are seen by all of its connections. [`driver`] is the table of functions that a driver
//! manager asks for, [`entry`] what all of them do (arguments checked, panics caught, failures turned into `AdbcError`s), the other files what they
//! are about. The structs of the host hold numbers, not pointers, so what is released, copied or invented is an error here too.
//! The library exports the C ABI beside it: `plasmon.session` of a connection is the handle of its session.
//!
//! Source: <https://arrow.apache.org/adbc/current/format/specification.html> and `adbc.h`.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "tests fail by panics"))]
#![expect(unreachable_pub, reason = "what is exported has no Rust caller")]

mod connection;
mod database;
mod driver;
mod entry;
mod error;
mod ingest;
mod metadata;
mod options;
mod run;
mod statement;

pub use plasmon_abi;

#[global_allocator]
static ALLOCATOR: plasmon_allocator::Counting<mimalloc::MiMalloc> = plasmon_allocator::Counting(mimalloc::MiMalloc);

/// The one catalog that there is, and its one schema.
const CATALOG: &str = "plasmon";
const SCHEMA: &str = "main";
