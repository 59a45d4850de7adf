//! Spilling: what does not fit memory goes to files and comes back, block by block.
//!
//! ```text
//! SpillArea ──► SpillFile ──seal──► block ──┬─ Background ─┬──► Store ──► Part (a file in a directory)
//!  (query)      (operator)  block.rs        └── or itself ─┘   places     disk.rs: turns, quota, faults
//! ```
//! What grows in memory: 24 bytes a block, and what is under way (background.rs). While a block is sealed or opened, its bytes exist up to
//! twice beside its columns.
//! Files have no names, or lose them when they are made, so that nothing is left whatever happens to the process; what the disk still holds then can be encrypted
//! (cipher.rs), between the store and its parts.

mod background;
mod block;
mod cipher;
mod codec;
mod disk;
#[cfg(test)]
mod encryption_tests;
mod file;
mod frame;
mod store;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

pub use block::Block;
pub use file::{Blocks, SpillFile, SpillReader};
pub(crate) use frame::check_frames;
pub use frame::{FrameCodec, frames};

use crate::config::Config;
use crate::error::Result;
use crate::metrics::OperatorMetrics;
use background::Background;
use cipher::Cipher;
use disk::Disk;

/// Open files that are many.
const FILES_OPEN: usize = 256;

/// What is wrong with bytes that are not those that were written.
const CHANGED: &str = "its bytes have changed: the checksum is another";

/// Where one query may write what does not fit memory.
#[derive(Debug)]
pub struct SpillArea {
    disk: Arc<Disk>,
    background: Background,
    is_encrypted: bool,
}

impl SpillArea {
    /// The area that `config` names; nothing is written before the first file.
    pub fn new(config: &Config) -> Arc<Self> {
        let (disk, background) = (Arc::new(Disk::new(config)), Background::new(config));
        Arc::new(SpillArea { disk, background, is_encrypted: config.spill_encryption })
    }

    /// A new, empty file, for `consumer` (shown in errors). Bytes written count as spilled in `metrics`, bytes read as read back. It takes nothing of the system before the first
    /// block, but its key; an error is that there is none.
    pub fn file(self: &Arc<Self>, consumer: &str, metrics: &Arc<OperatorMetrics>) -> Result<Arc<SpillFile>> {
        let cipher = self.is_encrypted.then(|| Cipher::new(consumer)).transpose()?;
        Ok(Arc::new(SpillFile::new(self, consumer, metrics, cipher)))
    }

    /// Whether the process has so many spill files open that who would use several should do with one: systems give a process 1,024 of all kinds at first.
    pub fn is_crowded(&self) -> bool {
        disk::open_files() >= FILES_OPEN
    }

    /// The file in `slot`; at first a new one, as of [`SpillArea::file`].
    pub fn file_in<'a>(
        self: &Arc<Self>,
        slot: &'a mut Option<Arc<SpillFile>>,
        consumer: &str,
        metrics: &Arc<OperatorMetrics>,
    ) -> Result<&'a Arc<SpillFile>> {
        let file = slot.take().map_or_else(|| self.file(consumer, metrics), Ok)?;
        Ok(slot.insert(file))
    }

    /// Bytes of all that was spilled so far.
    pub fn written(&self) -> u64 {
        self.disk.written()
    }

    /// Bytes of all that was read back so far.
    pub fn read(&self) -> u64 {
        self.disk.read()
    }

    /// Bytes that files hold now.
    pub fn bytes(&self) -> u64 {
        self.disk.bytes().0
    }

    /// The most bytes that files held at once.
    pub fn peak(&self) -> u64 {
        self.disk.bytes().1
    }
}
