//! A process whose queries may use only so much memory gives back what is free soon, and does not take memory by huge pages.
//!
//! The allocator keeps free pages for a second, and asks for pages of 2 MB, of which a few bytes in use keep all: both are fast, and made a process 150 MB larger
//! than its budget and its code. It reads from the environment how it is to behave, when a process starts and never after.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::arguments::EngineOptions;

/// What the allocator is told: no huge pages, and milliseconds after which a free page goes back: with 5, TPC-H at scale 10 in 256 MB takes 10 to 20 MB less than with 100, and as long.
const OPTIONS: [(&str, &str); 2] = [("MIMALLOC_ALLOW_THP", "0"), ("MIMALLOC_PURGE_DELAY", "5")];

/// Starts the program anew under those options when a limit on memory is given, and nobody set one of them.
pub(crate) fn restart(options: &EngineOptions) {
    if options.memory.is_none() || OPTIONS.iter().any(|(name, _)| env::var_os(name).is_some()) {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut arguments = env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    // It comes back only when that failed: then the process is as it was, and larger than it need be.
    let _ = command.args(arguments).envs(OPTIONS).exec();
}
