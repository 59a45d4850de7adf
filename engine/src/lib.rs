//! Plasmon: a vectorized, push-based SQL engine over Arrow and Parquet.
//!
//! ```
//! use plasmon::{Config, Session};
//!
//! let session = Session::new(Config::default())?;
//! let batches = session.sql("SELECT 6 * 7 AS answer")?.collect()?;
//! assert_eq!(batches[0].num_rows(), 1);
//! # Ok::<(), plasmon::Error>(())
//! ```
//!
//! The façade is all that an embedder needs: [`Session`] holds tables, views, functions and settings; [`Session::sql`] gives a
//! [`Query`] with a schema, streaming batches, cancellation, progress and metrics. Operators alone, without a statement, are in [`operators`];
//! the parts that they are made of in [`core`].
//!
//! What happens is told through the `log` crate: queries under the target `plasmon::query`.
//!
//! Longer programs are in `engine/examples/`: SQL from files and memory (`sql.rs`), functions (`user_function.rs`), a table source
//! (`own_table.rs`), operators without SQL (`operators_alone.rs`).

#![warn(missing_docs)]

mod allocated;
mod catalog;
mod execute;
mod frame_table;
mod journal;
mod memory_table;
pub mod operators;
mod parameter;
mod progress;
mod query;
mod session;
mod statement;
mod stream_table;
mod table_function;
mod tables;

pub use frame_table::{FrameTable, encode_frames};
pub use memory_table::MemoryTable;
pub use parameter::Parameter;
pub use plasmon_core as core;
pub use plasmon_core::{Config, Driver, Error, Fault, Result};
pub use plasmon_io as io;
pub use plasmon_plan as plan;
pub use progress::{Monitor, Progress};
pub use query::{Query, Step, is_worker};
pub use session::Session;
pub use statement::{Source, Statement};
pub use stream_table::StreamTable;
pub use tables::Relation;
