//! Where bytes come from: local files by positioned reads, objects of a store by ranged requests that run ahead on a small runtime.
//!
//! A location (`location`) becomes files (`file`); a file is opened as a [`ByteSource`] (`source`); objects need a client (`client`), whose
//! futures run in `runtime`, the only place that knows async. Everybody else waits on a channel.

mod client;
mod file;
mod location;
mod pool;
mod reader;
mod remote;
mod runtime;
mod source;
mod upload;

pub(crate) use client::is_setting;
pub(crate) use file::DataFile;
pub use location::is_hidden;
pub(crate) use location::{Place, data_files, file_at, list_folder, parse_location};
pub(crate) use pool::BufferPool;
pub(crate) use reader::{ChunkSource, SourceReader, error_of};
pub(crate) use source::ByteSource;
pub(crate) use upload::Upload;
