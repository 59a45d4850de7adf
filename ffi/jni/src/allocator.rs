//! The library's allocator, in a process whose host counts on a budget rather than on pages.

use std::ffi::c_int;

use libmimalloc_sys::mi_option_set_enabled_default;

#[global_allocator]
static ALLOCATOR: plasmon_allocator::Counting<mimalloc::MiMalloc> = plasmon_allocator::Counting(mimalloc::MiMalloc);

/// `mi_option_purge_decommits` of mimalloc 3, which the crate has no name for.
const PURGE_DECOMMITS: c_int = 5;

/// Free pages are left to the system to take when it is short of memory (MADV_FREE), and are still there for the next task when it is not: tasks that each ask
/// for hundreds of megabytes, and give them back, would have them zeroed again and again (a fifth to a third of the time of TPC-H's large joins in Spark, scale 10). Until the
/// system takes them they count as the process's; together they are no more than it once held within its budget. `MIMALLOC_PURGE_DECOMMITS=1` undoes it.
pub(crate) fn leave_free_pages() {
    // SAFETY: the call writes one number, atomically, to a table of the allocator's, whose options of that index there are.
    unsafe { mi_option_set_enabled_default(PURGE_DECOMMITS, false) }
}
