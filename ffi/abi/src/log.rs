//! The process's log callback.
//!
//! A record goes to the callback that was set when it was written. `plasmon_set_log` waits for calls of the one that it replaces, so that the host may
//! forget that one's context; a call that it is itself made from is not waited for. No lock is held while a callback runs.

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::panic::PanicHookInfo;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};

use ::log::{Level, LevelFilter, Log, Metadata, Record};
use plasmon_boundary::guard::guarded;
use plasmon_boundary::{Failure, text};

/// How much a record matters. Setting a level sets all that matter more, too.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum plasmon_log_level {
    /// Nothing.
    Off = 0,
    /// A bug of the library, with its place.
    Error = 1,
    /// A query that failed, something that was left out.
    Warn = 2,
    /// Queries that start and end.
    Info = 3,
    /// Ways that were taken.
    Debug = 4,
    /// More than that.
    Trace = 5,
}

/// Gets one record: a `plasmon_log_level`, the part of the library it is of (`plasmon::query`), and a text. Texts live until it returns. It is called on
/// any thread, several at a time, may call any function of the library, and must not unwind. What the library does for it on the same thread is not
/// logged.
pub type plasmon_log_callback =
    Option<unsafe extern "C" fn(context: *mut c_void, level: i32, target: *const c_char, message: *const c_char)>;

type Callback = unsafe extern "C" fn(*mut c_void, i32, *const c_char, *const c_char);

struct Sink {
    callback: Callback,
    context: *mut c_void,
    level: LevelFilter,
    /// Calls that are under way.
    calls: Mutex<usize>,
    ended: Condvar,
}

// SAFETY: the header says that the callback is called on any thread, with that context.
unsafe impl Send for Sink {}
// SAFETY: and several at a time.
unsafe impl Sync for Sink {}

thread_local! {
    /// The callback that this thread is inside of; null = none.
    static INSIDE: Cell<*const Sink> = const { Cell::new(std::ptr::null()) };
}

static CURRENT: Mutex<Option<Arc<Sink>>> = Mutex::new(None);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Sink {
    /// The current one, with a call of it begun.
    fn begin(level: Level) -> Option<Arc<Sink>> {
        let current = locked(&CURRENT);
        let sink = current.as_ref().filter(|sink| level <= sink.level)?;
        *locked(&sink.calls) += 1;
        Some(sink.clone())
    }

    fn call(self: Arc<Self>, level: Level, target: &str, message: &str) {
        let (target, message) = (text::terminated(target), text::terminated(message));
        INSIDE.set(Arc::as_ptr(&self));
        // SAFETY: the host's function with the host's context, and terminated texts.
        unsafe { (self.callback)(self.context, level as i32, target.as_ptr(), message.as_ptr()) };
        INSIDE.set(std::ptr::null());
        *locked(&self.calls) -= 1;
        self.ended.notify_all();
    }

    /// Waits until no other thread is inside.
    fn wait(self: &Arc<Self>) {
        let own = usize::from(std::ptr::eq(INSIDE.get(), Arc::as_ptr(self)));
        let mut calls = locked(&self.calls);
        while *calls > own {
            calls = self.ended.wait(calls).unwrap_or_else(|e| e.into_inner());
        }
    }
}

fn tell(level: Level, target: &str, message: &str) {
    if INSIDE.try_with(|inside| inside.get().is_null()).unwrap_or(false)
        && let Some(sink) = Sink::begin(level)
    {
        sink.call(level, target, message);
    }
}

struct Forward;

impl Log for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("plasmon")
    }

    fn log(&self, record: &Record<'_>) {
        // What the library's own libraries log is their business.
        if self.enabled(record.metadata()) {
            tell(record.level(), record.target(), &record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// A panic is caught further up and becomes an error; only here its place is known.
fn tell_panic(panic: &PanicHookInfo<'_>) -> bool {
    if locked(&CURRENT).is_none() {
        return false;
    }
    let place = panic.location().map_or_else(|| "an unknown place".to_string(), |place| place.to_string());
    let what = plasmon::core::pipeline::panic_text(panic.payload());
    tell(Level::Error, "plasmon::panic", &format!("a panic at {place}: {what}"));
    true
}

/// Makes records of this library and panics come here, once.
fn install() -> Result<(), Failure> {
    static IS_OURS: OnceLock<bool> = OnceLock::new();
    let is_ours = IS_OURS.get_or_init(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !tell_panic(panic) {
                before(panic);
            }
        }));
        ::log::set_logger(&Forward).is_ok()
    });
    // A Rust host that this library is a crate of may have a logger of its own.
    match is_ours {
        true => Ok(()),
        false => Err(Failure::state("the process has a logger of the log crate, which gets the records")),
    }
}

/// Makes `callback` get what the library logs from now on, records of `level` (a `plasmon_log_level`) and of all that matter more, in place of the one
/// before; null or `PLASMON_LOG_LEVEL_OFF` = nobody. When this returns, the callback before is no longer called: other threads have left it. Called from
/// inside that callback, all but that one call are over. One for the process. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_set_log(callback: plasmon_log_callback, context: *mut c_void, level: i32) -> i32 {
    guarded(|| {
        let level = match level {
            l if l == plasmon_log_level::Off as i32 => LevelFilter::Off,
            l if l == plasmon_log_level::Error as i32 => LevelFilter::Error,
            l if l == plasmon_log_level::Warn as i32 => LevelFilter::Warn,
            l if l == plasmon_log_level::Info as i32 => LevelFilter::Info,
            l if l == plasmon_log_level::Debug as i32 => LevelFilter::Debug,
            l if l == plasmon_log_level::Trace as i32 => LevelFilter::Trace,
            other => return Err(Failure::argument(format!("level {other} is no plasmon_log_level"))),
        };
        install()?;
        let sink = callback
            .filter(|_| level != LevelFilter::Off)
            .map(|callback| Arc::new(Sink { callback, context, level, calls: Mutex::new(0), ended: Condvar::new() }));
        let before = {
            let mut current = locked(&CURRENT);
            ::log::set_max_level(sink.as_ref().map_or(LevelFilter::Off, |sink| sink.level));
            std::mem::replace(&mut *current, sink)
        };
        if let Some(before) = before {
            before.wait();
        }
        Ok(())
    })
}
