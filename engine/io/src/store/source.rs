//! Bytes addressed by their offsets: what decoders read from.

use std::fmt::Debug;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use plasmon_core::{Error, Result};

use super::pool::BufferPool;

/// A file's or object's bytes. Errors carry the file's name as context.
pub(crate) trait ByteSource: Send + Sync + Debug {
    /// Name for messages: path or URL.
    fn name(&self) -> &str;

    /// Length in bytes.
    fn size(&self) -> u64;

    /// Exactly the bytes of `range`.
    fn read(&self, range: Range<u64>) -> Result<Bytes>;

    /// Exactly the bytes of `range`, in a buffer of `pool` where that saves an allocation.
    fn read_pooled(&self, range: Range<u64>, _pool: &Arc<BufferPool>) -> Result<Bytes> {
        self.read(range)
    }

    /// Says what will be read soon, so that slow sources may start; ranges may overlap and come in any order.
    fn announce(&self, _ranges: &[Range<u64>]) {}

    /// Says that nothing before `offset` will be read again.
    fn forget_before(&self, _offset: u64) {}

    /// Bytes that it has in memory, and those on their way there.
    fn held(&self) -> usize {
        0
    }
}

/// Refuses ranges that the source does not have: malformed files point anywhere.
pub(super) fn check_range(source: &dyn ByteSource, range: &Range<u64>) -> Result<()> {
    if range.start <= range.end && range.end <= source.size() {
        return Ok(());
    }
    let len = range.end.saturating_sub(range.start);
    let message = format!("{len} bytes at offset {} reach past the file's end at {}", range.start, source.size());
    Err(Error::io(source.name(), message))
}

/// A local file, read at positions by the calling thread.
#[derive(Debug)]
pub(crate) struct LocalSource {
    name: String,
    file: File,
    size: u64,
}

impl LocalSource {
    pub(crate) fn open(path: &std::path::Path) -> Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|e| Error::io(&name, e))?;
        let size = file.metadata().map_err(|e| Error::io(&name, e))?.len();
        Ok(LocalSource { name, file, size })
    }
}

impl ByteSource for LocalSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        check_range(self, &range)?;
        let mut bytes = vec![0u8; (range.end - range.start) as usize];
        self.file.read_exact_at(&mut bytes, range.start).map_err(|e| Error::io(&self.name, e))?;
        Ok(bytes.into())
    }

    fn read_pooled(&self, range: Range<u64>, pool: &Arc<BufferPool>) -> Result<Bytes> {
        check_range(self, &range)?;
        pool.overwrite((range.end - range.start) as usize, |bytes| {
            self.file.read_exact_at(bytes, range.start).map_err(|e| Error::io(&self.name, e))
        })
    }
}
