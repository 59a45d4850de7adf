//! What the program's allocator gave while a query ran, beside what that reserved.

use std::sync::{Arc, Mutex, MutexGuard};

use plasmon_allocator::Window;

/// Fewer bytes may be what a few threads have not passed on yet.
const TOLD_BYTES: usize = 4 * Window::ERROR_BYTES;

/// From a query's start to its end.
#[derive(Debug)]
pub(crate) struct Allocated(Mutex<State>);

#[derive(Debug)]
enum State {
    Open(Window),
    /// With the peak, if it is known.
    Over(Option<usize>),
}

impl Allocated {
    /// The query starts.
    pub(crate) fn begin() -> Arc<Self> {
        Arc::new(Allocated(Mutex::new(Window::open().map_or(State::Over(None), State::Open))))
    }

    /// Nothing is measured.
    pub(crate) fn unknown() -> Arc<Self> {
        Arc::new(Allocated(Mutex::new(State::Over(None))))
    }

    /// The most bytes that the process allocated at once for the query; `None` = nobody counts, other queries ran meanwhile, or it is too little to be told.
    pub(crate) fn peak(&self) -> Option<usize> {
        match &*self.state() {
            State::Open(window) => window.peak().filter(|&bytes| bytes > TOLD_BYTES),
            State::Over(peak) => *peak,
        }
    }

    /// The query is over.
    pub(crate) fn end(&self) {
        let peak = self.peak();
        *self.state() = State::Over(peak);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}
