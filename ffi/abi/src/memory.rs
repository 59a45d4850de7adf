//! The host's memory: a session's queries ask it before they allocate, and give back what they do not use.

use std::ffi::c_void;
use std::fmt;
use std::sync::Arc;

use plasmon::core::memory::MemorySource;
use plasmon_boundary::guard::guarded;
use plasmon_boundary::host::{Options, options, require, write};
use plasmon_boundary::{Failure, Result};

use crate::plasmon_session;
use crate::session::session_of;

/// A host's memory manager. Its functions are called on any thread, several at a time, with none of the library's locks held; they may call any function
/// of the library, and must not unwind.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct plasmon_memory {
    /// `sizeof(plasmon_memory)`.
    pub size: u64,
    /// Passed to each function.
    pub context: *mut c_void,
    /// Whether the library may allocate `bytes` more: 0 = yes, all of them; anything else = no, none, and the query ends with
    /// `PLASMON_CODE_OUT_OF_MEMORY`. Asked for some megabytes at a time.
    pub reserve: Option<unsafe extern "C" fn(context: *mut c_void, bytes: u64) -> i32>,
    /// Takes back `bytes` of what was reserved.
    pub release: Option<unsafe extern "C" fn(context: *mut c_void, bytes: u64)>,
    /// Please free `bytes` elsewhere: called once before the library takes a refusal for an answer, and asks again when this gives more than 0, the bytes
    /// that were freed. Null = the host cannot.
    pub spill: Option<unsafe extern "C" fn(context: *mut c_void, bytes: u64) -> u64>,
    /// Called once, when nothing of the library knows `context` any more, and all that was reserved is released. Null = not needed.
    pub closed: Option<unsafe extern "C" fn(context: *mut c_void)>,
}

// SAFETY: a number and pointers (null functions are `None`), the size first.
unsafe impl Options for plasmon_memory {}

type Reserve = unsafe extern "C" fn(*mut c_void, u64) -> i32;
type Release = unsafe extern "C" fn(*mut c_void, u64);

struct HostMemory {
    host: plasmon_memory,
    reserve: Reserve,
    release: Release,
}

// SAFETY: the header says that the functions are called on any thread, with that context.
unsafe impl Send for HostMemory {}
// SAFETY: and several at a time.
unsafe impl Sync for HostMemory {}

impl HostMemory {
    fn new(host: plasmon_memory) -> Result<Self> {
        match (host.reserve, host.release) {
            (Some(reserve), Some(release)) => Ok(HostMemory { host, reserve, release }),
            _ => Err(Failure::argument("memory has no reserve or no release")),
        }
    }
}

impl fmt::Debug for HostMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostMemory")
    }
}

impl MemorySource for HostMemory {
    fn name(&self) -> &str {
        "the host"
    }

    fn reserve(&self, bytes: usize) -> Result<(), String> {
        // SAFETY: the host's function with the host's context.
        match unsafe { (self.reserve)(self.host.context, bytes as u64) } {
            0 => Ok(()),
            answer => Err(format!("its reserve gave {answer}")),
        }
    }

    fn release(&self, bytes: usize) {
        // SAFETY: as above.
        unsafe { (self.release)(self.host.context, bytes as u64) };
    }

    fn reclaim(&self, bytes: usize) -> usize {
        let Some(spill) = self.host.spill else { return 0 };
        // SAFETY: as above.
        usize::try_from(unsafe { spill(self.host.context, bytes as u64) }).unwrap_or(usize::MAX)
    }
}

impl Drop for HostMemory {
    fn drop(&mut self) {
        if let Some(closed) = self.host.closed {
            // SAFETY: as above; every budget that took of it is gone.
            unsafe { closed(self.host.context) };
        }
    }
}

/// Makes queries of the session that start from now on take their memory of the host; null = they ask nobody. Queries that run keep what they have.
/// What a query took is given back when it ends, fails or is cancelled, and at the latest when its handle is closed and its stream released.
/// Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_session_set_memory(session: plasmon_session, memory: *const plasmon_memory) -> i32 {
    guarded(|| {
        let session = session_of(session)?;
        if memory.is_null() {
            session.set_memory_source(None);
            return Ok(());
        }
        // SAFETY: ABI.md, "Pointers".
        let host = HostMemory::new(unsafe { options(memory, "memory")? })?;
        session.set_memory_source(Some(Arc::new(host)));
        Ok(())
    })
}

/// Asks the queries of the session to give back `bytes` that they took of the host: first what they do not use, then what stands still and can go to disk.
/// `freed` becomes how many bytes `release` got; when that is less, queries at work are asked too, and give back what spilling frees within a batch.
/// From any thread, also from inside the host's memory functions. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_session_spill(session: plasmon_session, bytes: u64, freed: *mut u64) -> i32 {
    guarded(|| {
        require(freed, "freed")?;
        let given = session_of(session)?.spill(usize::try_from(bytes).unwrap_or(usize::MAX));
        // SAFETY: ABI.md, "Pointers".
        unsafe { write(freed, given as u64, "freed") }
    })
}
