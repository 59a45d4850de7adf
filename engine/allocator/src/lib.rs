//! An allocator that counts, so that a query can tell what was allocated beside what it reserved.
//!
//! ```text
//! thread: bytes allocated − freed ──beyond FLUSH_BYTES──► process: bytes live ──► peak of each open window
//! ```
//! A program that wants this wraps its allocator:
//!
//! ```
//! use std::alloc::System;
//! use plasmon_allocator::{Counting, Window};
//!
//! #[global_allocator]
//! static ALLOCATOR: Counting<System> = Counting(System);
//!
//! let window = Window::open().expect("there is a window free");
//! drop(vec![0u8; 1 << 20]);
//! assert!(window.peak() >= Some(1 << 20));
//! ```
//! Bytes are those that were asked for; what an allocator rounds them up to is its own affair. All threads of a process count together: windows that are
//! open at once cannot tell whose bytes they see, and do not say.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, AtomicU64, Ordering::Relaxed};

/// A thread passes on what it counted when that is more: one shared write for many small blocks.
const FLUSH_BYTES: usize = 64 << 10;
/// Windows that may be open at once, a bit each.
const WINDOWS: usize = 64;

/// Bytes that are allocated, as far as threads have passed them on.
static LIVE: AtomicIsize = AtomicIsize::new(0);
/// The most bytes live while a window was open, for each …
static PEAKS: [AtomicIsize; WINDOWS] = [const { AtomicIsize::new(0) }; WINDOWS];
/// … of those that are …
static OPEN: AtomicU64 = AtomicU64::new(0);
/// … and were, for some time, together with another.
static SHARED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// What this thread has not passed on.
    static OWN: Cell<isize> = const { Cell::new(0) };
}

/// Another allocator, counted.
#[derive(Debug, Default)]
pub struct Counting<A>(pub A);

#[inline]
fn count(change: isize) {
    // A thread that is ending may have no count of its own any more; its last blocks are few.
    let _ = OWN.try_with(|own| {
        let counted = own.get() + change;
        if counted.unsigned_abs() < FLUSH_BYTES {
            return own.set(counted);
        }
        own.set(0);
        pass_on(counted);
    });
}

#[cold]
fn pass_on(change: isize) {
    let live = LIVE.fetch_add(change, Relaxed) + change;
    let mut open = if change > 0 { OPEN.load(Relaxed) } else { 0 };
    while open != 0 {
        PEAKS[open.trailing_zeros() as usize].fetch_max(live, Relaxed);
        open &= open - 1;
    }
}

/// Sizes of blocks are at most `isize::MAX`.
fn signed(size: usize) -> isize {
    size as isize
}

// SAFETY: every call goes to the allocator inside as it is; counting allocates nothing and does not unwind.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counting<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: the caller's duties are those of the allocator inside.
        unsafe { self.0.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: as above.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(signed(size) - signed(layout.size()));
        // SAFETY: as above.
        unsafe { self.0.realloc(pointer, layout, size) }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-signed(layout.size()));
        // SAFETY: as above.
        unsafe { self.0.dealloc(pointer, layout) }
    }
}

/// A time during which the most bytes that are allocated at once are noted: from [`Window::open`] until it is dropped.
#[derive(Debug)]
pub struct Window {
    index: usize,
    /// Bytes that were allocated before.
    base: isize,
}

impl Window {
    /// `None` = the program's allocator does not count, or too many windows are open.
    pub fn open() -> Option<Window> {
        let base = live()?;
        let others =
            OPEN.fetch_update(Relaxed, Relaxed, |open| (open != u64::MAX).then_some(open | (open + 1))).ok()?;
        let window = Window { index: (!others).trailing_zeros() as usize, base };
        PEAKS[window.index].store(base, Relaxed);
        match others {
            0 => SHARED.fetch_and(!window.bit(), Relaxed),
            others => SHARED.fetch_or(others | window.bit(), Relaxed),
        };
        Some(window)
    }

    /// The most bytes that were allocated at once until now, beyond those that were when it was opened, right to [`Window::ERROR_BYTES`] for each thread;
    /// `None` = another window was open meanwhile.
    pub fn peak(&self) -> Option<usize> {
        let peak = PEAKS[self.index].load(Relaxed).max(LIVE.load(Relaxed));
        let is_shared = SHARED.load(Relaxed) & self.bit() != 0;
        (!is_shared).then(|| usize::try_from(peak - self.base).unwrap_or(0))
    }

    /// What a thread may have allocated or freed without anybody knowing.
    pub const ERROR_BYTES: usize = FLUSH_BYTES;

    fn bit(&self) -> u64 {
        1 << self.index
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        OPEN.fetch_and(!self.bit(), Relaxed);
    }
}

/// Bytes allocated now; `None` when nobody counts them.
fn live() -> Option<isize> {
    let (live, own) = (LIVE.load(Relaxed), OWN.try_with(Cell::get).unwrap_or(0));
    (live != 0 || own != 0).then_some(live)
}

#[cfg(test)]
mod tests {
    use std::alloc::System;
    use std::hint::black_box;

    use super::*;

    #[global_allocator]
    static ALLOCATOR: Counting<System> = Counting(System);

    /// One test: windows of others would be open at once.
    #[test]
    fn a_window_sees_what_is_allocated_at_once() {
        let window = Window::open().unwrap();
        let near = |bytes: usize| {
            let peak = window.peak().unwrap();
            assert!(peak.abs_diff(bytes) < 8 * Window::ERROR_BYTES, "{peak} for {bytes} bytes");
        };
        let first = black_box(vec![0u8; 4 << 20]);
        near(4 << 20);
        // Many small blocks count like a large one, whichever thread frees them.
        let small: Vec<Box<[u8; 64]>> = (0..65_536).map(|_| black_box(Box::new([1; 64]))).collect();
        near((8 << 20) + 65_536 * size_of::<usize>());
        std::thread::spawn(move || drop(small)).join().unwrap();
        let mut third = black_box(vec![0u8; 1 << 20]);
        near((8 << 20) + 65_536 * size_of::<usize>());
        third.reserve_exact(16 << 20);
        near(21 << 20);
        drop((first, third));
        let later = Window::open().unwrap();
        assert_eq!((window.peak(), later.peak()), (None, None));
        drop((window, later));
        assert!(Window::open().unwrap().peak().unwrap() < 8 * Window::ERROR_BYTES);
        let windows: Vec<Window> = std::iter::from_fn(Window::open).take(WINDOWS + 1).collect();
        assert_eq!(windows.len(), WINDOWS);
    }
}
