//! The end of every call: panics become failures, failures become numbers, and the thread remembers the last one.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use plasmon::core::pipeline::panic_text;

use crate::{Code, Failure, Result};

thread_local! {
    static LAST: RefCell<Option<Failure>> = const { RefCell::new(None) };
}

/// Runs `work`; its failure, or its panic, is the thread's last failure afterwards and its code's number is returned. Success leaves the last
/// failure as it was.
pub fn guarded(work: impl FnOnce() -> Result<()>) -> i32 {
    match caught(work) {
        Ok(()) => Code::Ok as i32,
        Err(failure) => {
            let code = failure.code;
            remember(failure);
            code as i32
        }
    }
}

/// Runs `work`; a panic becomes a failure of code [`Code::Internal`].
pub fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(Failure::new(Code::Internal, panic_text(&*panic)).hint("please report this")))
}

/// Makes `failure` the thread's last one.
pub fn remember(failure: Failure) {
    // A thread that is being torn down has no memory any more, and nobody asks it.
    let _ = LAST.try_with(|last| *last.borrow_mut() = Some(failure));
}

/// Hands the thread's last failure to `read`.
pub fn with_last<T>(read: impl FnOnce(Option<&Failure>) -> T) -> T {
    LAST.with(|last| read(last.borrow().as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_become_failures() {
        let quiet = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let code = guarded(|| panic!("row {}", 7));
        std::panic::set_hook(quiet);
        assert_eq!(code, Code::Internal as i32);
        assert!(with_last(|last| last.unwrap().message.contains("row 7")));
    }

    #[test]
    fn each_thread_has_its_own_last_failure() {
        assert_eq!(guarded(|| Err(Failure::argument("mine"))), 1);
        std::thread::spawn(|| assert!(with_last(|last| last.is_none()))).join().unwrap();
        assert_eq!(guarded(|| Ok(())), 0);
        assert!(with_last(|last| last.unwrap().message == "mine"));
    }
}
