//! What went wrong last, on this thread.

use std::cell::RefCell;
use std::ffi::{CString, c_char};

use plasmon_boundary::guard::with_last;
use plasmon_boundary::text::terminated;
use plasmon_boundary::{Code, Failure};

/// A failure. All texts live until the next call of `plasmon_last_error` on the same thread.
#[repr(C)]
#[derive(Debug)]
pub struct plasmon_error {
    /// A `plasmon_code`.
    pub code: i32,
    /// A `plasmon_class`: who can mend it.
    pub error_class: i32,
    /// What happened, and to what.
    pub message: *const c_char,
    /// The plan node that is to blame; empty when there is none.
    pub plan_path: *const c_char,
    /// What may help; empty when nothing is known to.
    pub hint: *const c_char,
}

struct Shown {
    error: plasmon_error,
    _texts: [CString; 3],
}

thread_local! {
    static SHOWN: RefCell<Option<Shown>> = const { RefCell::new(None) };
}

/// The last failure of this thread; null when there was none. A call that succeeds leaves it as it was. Since ABI 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn plasmon_last_error() -> *const plasmon_error {
    let shown = with_last(|last| last.map(show));
    SHOWN.with(|slot| {
        let mut slot = slot.borrow_mut();
        *slot = shown;
        slot.as_ref().map_or(std::ptr::null(), |s| &raw const s.error)
    })
}

fn show(failure: &Failure) -> Shown {
    let texts = [&failure.message, &failure.path, &failure.hint].map(|text| terminated(text));
    let error = plasmon_error {
        code: failure.code as i32,
        error_class: failure.code.class() as i32,
        message: texts[0].as_ptr(),
        plan_path: texts[1].as_ptr(),
        hint: texts[2].as_ptr(),
    };
    Shown { error, _texts: texts }
}

/// A short name of a `plasmon_code`, e.g. `out of memory`; `unknown` for other numbers. Lives as long as the process. Since ABI 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn plasmon_code_name(code: i32) -> *const c_char {
    Code::of_number(code).map_or(c"unknown", Code::name).as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_table() {
        for code in Code::ALL {
            // SAFETY: a static, terminated text.
            let name = unsafe { std::ffi::CStr::from_ptr(plasmon_code_name(code as i32)) };
            assert_eq!(name, code.name());
        }
    }
}
