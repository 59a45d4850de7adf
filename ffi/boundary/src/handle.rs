//! Handles: numbers that stand for the library's objects on the host's side.
//!
//! **Valid**, defined here once: a handle is valid from the return of the call that gave it to the *start* of the call that closes it. A number is
//! never given twice in a process, so a closed handle, one of another kind, one that was never given and zero are each recognized, always, and
//! answered with [`Code::InvalidHandle`]. A call that runs while another thread closes its handle finishes: it holds the object.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, RwLock, TryLockError};

use hashbrown::HashMap;

use crate::{Code, Failure, Result};

/// Something that hosts hold by handle.
pub trait Object: Any + Send + Sync {
    /// The kind's number, 1 to 255, in the handle's top byte, so that a handle of another kind can be named.
    const KIND: u8;
    /// What to call it in messages, with its article: `a session`.
    const NAME: &'static str;
}

type Shared = Arc<dyn Any + Send + Sync>;

/// Parts of the table, each behind its own lock, so that threads with handles of their own do not meet.
const SHARDS: usize = 16;
const KIND_SHIFT: u32 = 56;

/// The process's table of handles.
struct Table {
    next: AtomicU64,
    shards: [RwLock<HashMap<u64, Entry>>; SHARDS],
}

struct Entry {
    name: &'static str,
    object: Shared,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| Table { next: AtomicU64::new(1), shards: Default::default() })
}

impl Table {
    fn shard(&self, handle: u64) -> &RwLock<HashMap<u64, Entry>> {
        &self.shards[handle as usize % SHARDS]
    }
}

/// Gives `object` a handle.
pub fn open<T: Object>(object: T) -> u64 {
    let table = table();
    let handle = u64::from(T::KIND) << KIND_SHIFT | table.next.fetch_add(1, Ordering::Relaxed);
    let mut shard = table.shard(handle).write().unwrap_or_else(|e| e.into_inner());
    shard.insert(handle, Entry { name: T::NAME, object: Arc::new(object) });
    handle
}

/// The object of a valid handle.
pub fn get<T: Object>(handle: u64) -> Result<Arc<T>> {
    let shard = table().shard(handle).read().unwrap_or_else(|e| e.into_inner());
    let Some(entry) = shard.get(&handle) else { return Err(invalid::<T>(handle)) };
    entry.object.clone().downcast::<T>().map_err(|_| {
        Failure::new(Code::InvalidHandle, format!("the handle is that of {}, {} is wanted", entry.name, T::NAME))
    })
}

/// Makes a valid handle invalid and gives its object, which calls of other threads may still hold.
pub fn close<T: Object>(handle: u64) -> Result<Arc<T>> {
    // Looked at first, so that a handle of another kind stays open.
    get::<T>(handle)?;
    let removed = table().shard(handle).write().unwrap_or_else(|e| e.into_inner()).remove(&handle);
    // Gone meanwhile: another thread closed it.
    removed.and_then(|entry| entry.object.downcast::<T>().ok()).ok_or_else(|| invalid::<T>(handle))
}

/// The state behind a handle, unless a call is inside already. `what` names the object.
pub fn lock<'a, T>(state: &'a Mutex<T>, what: &str) -> Result<MutexGuard<'a, T>> {
    match state.try_lock() {
        Ok(guard) => Ok(guard),
        Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => Err(Failure::new(
            Code::Busy,
            format!("a call on {what} is under way, on another thread or further up this one"),
        )),
    }
}

fn invalid<T: Object>(handle: u64) -> Failure {
    let counter = handle & ((1 << KIND_SHIFT) - 1);
    let given = counter != 0 && counter < table().next.load(Ordering::Relaxed);
    let message = match handle {
        0 => format!("the handle is zero, that of {} is wanted", T::NAME),
        _ if given && (handle >> KIND_SHIFT) as u8 == T::KIND => format!("the handle of {} is closed", T::NAME),
        _ => format!("the handle {handle:#x} is none of this library's, that of {} is wanted", T::NAME),
    };
    Failure::new(Code::InvalidHandle, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Apple(u32);
    impl Object for Apple {
        const KIND: u8 = 201;
        const NAME: &'static str = "an apple";
    }
    struct Pear;
    impl Object for Pear {
        const KIND: u8 = 202;
        const NAME: &'static str = "a pear";
    }

    fn message<T>(outcome: Result<Arc<T>>) -> String {
        let failure = outcome.err().expect("a failure");
        assert_eq!(failure.code, Code::InvalidHandle);
        failure.message
    }

    #[test]
    fn every_wrong_handle_is_named() {
        let (apple, pear) = (open(Apple(7)), open(Pear));
        assert_eq!(get::<Apple>(apple).unwrap().0, 7);
        assert_eq!(message(get::<Apple>(pear)), "the handle is that of a pear, an apple is wanted");
        assert!(message(close::<Pear>(apple)).contains("that of an apple"));
        let held = get::<Apple>(apple).unwrap();
        close::<Apple>(apple).unwrap();
        assert_eq!(held.0, 7);
        assert_eq!(message(close::<Apple>(apple)), "the handle of an apple is closed");
        assert!(message(get::<Apple>(0)).contains("zero"));
        assert!(message(get::<Apple>(u64::MAX)).contains("none of this library's"));
        close::<Pear>(pear).unwrap();
    }

    #[test]
    fn one_of_many_closers_wins() {
        for _ in 0..200 {
            let handle = open(Apple(1));
            let wins = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| close::<Apple>(handle).is_ok())).collect();
                threads.into_iter().map(|t| t.join().unwrap()).filter(|won| *won).count()
            });
            assert_eq!(wins, 1);
        }
    }
}
