//! Byte buffers used again: a column chunk's bytes and its decompressed pages take the place of those of the row group before, so that a
//! steady scan neither allocates nor clears memory.
//!
//! Bytes may outlive the scan, in whatever holds its batches: a buffer that they keep must not be much larger than they are, nor must they keep the pool's
//! other buffers.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use plasmon_core::Result;

/// Bytes kept for later at most; what comes back beyond is freed.
const KEPT_BYTES_MAX: usize = 24 << 20;
/// The share of a query's memory that one worker keeps so: what lies idle is nobody else's.
const KEPT_SHARE: usize = 64;
/// A buffer is used again for at least such a part of its capacity …
const USED_SHARE: usize = 2;
/// … or when it is no larger than this.
const SMALL_BYTES: usize = 16 << 10;

/// Buffers that nobody reads. One per worker of a scan; the bytes it hands out may outlive it.
#[derive(Debug)]
pub(crate) struct BufferPool {
    free: Mutex<Vec<Vec<u8>>>,
    kept_most: AtomicUsize,
}

/// A buffer that returns to its pool when the last `Bytes` over it is dropped.
struct Pooled {
    buffer: Vec<u8>,
    len: usize,
    pool: Arc<BufferPool>,
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        let mut free = self.pool.free();
        if capacity(&free) + buffer.capacity() <= self.pool.kept_most.load(Relaxed) {
            free.push(buffer);
        }
    }
}

fn capacity(buffers: &[Vec<u8>]) -> usize {
    buffers.iter().map(Vec::capacity).sum()
}

impl BufferPool {
    /// An empty pool for a worker of a query that may use so many bytes of memory; `None` = no limit.
    pub(crate) fn within(memory_bytes: Option<usize>) -> Arc<Self> {
        let share = memory_bytes.map_or(KEPT_BYTES_MAX, |memory| memory / KEPT_SHARE);
        Arc::new(BufferPool { free: Mutex::default(), kept_most: share.min(KEPT_BYTES_MAX).into() })
    }

    /// Bytes of the buffers that nobody reads.
    pub(crate) fn kept(&self) -> usize {
        capacity(&self.free())
    }

    /// Nobody will want a buffer any more: those that are kept, and those that come back, are freed.
    pub(crate) fn close(&self) {
        self.kept_most.store(0, Relaxed);
        self.free().clear();
    }

    fn free(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.free.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// `len` bytes written by `fill`, which finds arbitrary ones.
    pub(crate) fn overwrite(self: &Arc<Self>, len: usize, fill: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<Bytes> {
        let mut buffer = self.take(len);
        // Bytes of an earlier use stay: only what was never written is cleared.
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        fill(&mut buffer[..len])?;
        Ok(self.share(buffer, len))
    }

    /// The bytes that `fill` leaves in a vector, which has room for `capacity` at once.
    pub(crate) fn collect(
        self: &Arc<Self>,
        capacity: usize,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<Bytes> {
        let mut buffer = self.take(capacity);
        fill(&mut buffer)?;
        let len = buffer.len();
        Ok(self.share(buffer, len))
    }

    /// The smallest kept buffer with room for `capacity` bytes and little more, or a new one.
    fn take(&self, capacity: usize) -> Vec<u8> {
        let mut free = self.free();
        let fits = capacity..=(capacity * USED_SHARE).max(SMALL_BYTES);
        let fitting = free.iter().enumerate().filter(|(_, b)| fits.contains(&b.capacity()));
        match fitting.min_by_key(|(_, b)| b.capacity()).map(|(index, _)| index) {
            Some(index) => free.swap_remove(index),
            // A little more than asked for: chunks of one column differ by a few percent.
            None => Vec::with_capacity(capacity + capacity / 8),
        }
    }

    fn share(self: &Arc<Self>, buffer: Vec<u8>, len: usize) -> Bytes {
        Bytes::from_owner(Pooled { buffer, len, pool: self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_when_their_last_reader_goes() {
        let pool = BufferPool::within(None);
        let fill = |value: u8| {
            move |bytes: &mut [u8]| {
                bytes.fill(value);
                Ok(())
            }
        };
        let first = pool.overwrite(1000, fill(1)).unwrap();
        let (part, address) = (first.slice(10..20), first.as_ptr());
        drop(first);
        let second = pool.overwrite(1000, fill(2)).unwrap();
        assert_ne!(second.as_ptr(), address);
        assert_eq!(part[..], [1; 10]);
        drop(part);
        let third = pool
            .collect(900, |bytes| {
                bytes.clear();
                bytes.extend([3; 900]);
                Ok(())
            })
            .unwrap();
        assert_eq!((third.as_ptr(), third.len(), third[899]), (address, 900, 3));
        drop((second, third));
        assert_eq!(pool.free.lock().unwrap().len(), 2);
        assert!((1900..4000).contains(&pool.kept()), "{}", pool.kept());
        assert!(pool.overwrite(5000, |_| Err(plasmon_core::Error::internal("x"))).is_err());
    }

    #[test]
    fn a_few_bytes_keep_neither_a_large_buffer_nor_the_others() {
        let pool = BufferPool::within(None);
        drop([100_000, 1_000].map(|len| pool.overwrite(len, |_| Ok(())).unwrap()));
        let few = pool.overwrite(10, |_| Ok(())).unwrap();
        assert!((100_000..120_000).contains(&pool.kept()), "{}", pool.kept());
        pool.close();
        drop(few);
        assert_eq!(pool.kept(), 0);
    }

    #[test]
    fn little_memory_keeps_little() {
        let pool = BufferPool::within(Some(64 * 1500));
        let buffers = [(); 3].map(|()| pool.overwrite(1000, |_| Ok(())).unwrap());
        drop(buffers);
        assert!((1000..=1500).contains(&pool.kept()), "{}", pool.kept());
    }
}
