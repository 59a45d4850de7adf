//! Room on the stack for what nests deeply.

use plasmon_core::{Error, Result};

const STACK_BYTES: usize = 256 * 1024 * 1024;

/// Runs `work`, on a thread of its own with a large stack when it `may_nest` deeply.
pub(crate) fn with_room<T: Send>(may_nest: bool, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    if !may_nest {
        return work();
    }
    std::thread::scope(|scope| {
        let planner = std::thread::Builder::new().name("plasmon-planner".to_string()).stack_size(STACK_BYTES);
        let handle = planner.spawn_scoped(scope, work).map_err(|e| Error::io("planner thread", e))?;
        handle.join().unwrap_or_else(|_| Err(Error::internal("the planner panicked")))
    })
}
