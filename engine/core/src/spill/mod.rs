//! Spilling: what does not fit memory goes to files and comes back, block by block.

mod codec;
mod file;

use std::path::PathBuf;
use std::sync::Arc;

pub use file::{Block, SpillFile, SpillReader};

use crate::config::Config;
use crate::error::Result;
use crate::metrics::OperatorMetrics;

/// Where one query may write what does not fit memory.
#[derive(Debug)]
pub struct SpillArea {
    directory: PathBuf,
}

impl SpillArea {
    /// The area that `config` names; nothing is written before the first file.
    pub fn new(_config: &Config) -> Arc<Self> {
        Arc::new(SpillArea { directory: std::env::temp_dir() })
    }

    /// A new, empty file, for `consumer` (shown in errors). Bytes written count as spilled in `metrics`.
    pub fn file(self: &Arc<Self>, consumer: &str, metrics: &Arc<OperatorMetrics>) -> Result<Arc<SpillFile>> {
        SpillFile::create(&self.directory, consumer, metrics)
    }
}
