//! The disk as spill files see it: directories used in turn, a quota over all, files without names, and the faults of tests.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::config::{Config, Fault};
use crate::error::{Error, Result};

/// The directories of one query, and what its files take of them.
#[derive(Debug)]
pub(super) struct Disk {
    directories: Vec<PathBuf>,
    /// Most bytes of all files together.
    quota: u64,
    ledger: Mutex<Ledger>,
    /// Files made: the next one goes to the next directory.
    files: AtomicUsize,
    /// Bytes read of all files.
    read: AtomicU64,
    fault: Option<Fault>,
    operations: AtomicUsize,
    reads: AtomicUsize,
    writes: AtomicUsize,
}

#[derive(Debug, Default)]
struct Ledger {
    bytes: u64,
    peak: u64,
    /// Of all files there ever were.
    written: u64,
    /// What each consumer has on disk.
    holders: Vec<(String, u64)>,
}

impl Disk {
    pub(super) fn new(config: &Config) -> Self {
        Disk {
            directories: config.spill_directories.clone(),
            quota: config.spill_bytes.map_or(u64::MAX, |bytes| bytes as u64),
            ledger: Mutex::default(),
            files: AtomicUsize::new(0),
            read: AtomicU64::new(0),
            fault: config.fault,
            operations: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Bytes on disk now, and the most there were at once.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let ledger = self.ledger();
        (ledger.bytes, ledger.peak)
    }

    /// Bytes of all files there ever were.
    pub(super) fn written(&self) -> u64 {
        self.ledger().written
    }

    /// Bytes read of all files.
    pub(super) fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    /// Counts `bytes` that `consumer` is about to write, unless they go over the quota.
    pub(super) fn take(&self, consumer: &str, bytes: u64) -> Result<()> {
        let mut ledger = self.ledger();
        let total = ledger.bytes + bytes;
        if total > self.quota {
            return Err(self.over_quota(&ledger, consumer, bytes));
        }
        ledger.bytes = total;
        ledger.peak = ledger.peak.max(total);
        ledger.written += bytes;
        match ledger.holders.iter_mut().find(|holder| holder.0 == consumer) {
            Some(holder) => holder.1 += bytes,
            None => ledger.holders.push((consumer.to_string(), bytes)),
        }
        Ok(())
    }

    /// Takes back `bytes` that `consumer` wrote.
    pub(super) fn give_back(&self, consumer: &str, bytes: u64) {
        let mut ledger = self.ledger();
        ledger.bytes -= bytes;
        if let Some(holder) = ledger.holders.iter_mut().find(|holder| holder.0 == consumer) {
            holder.1 -= bytes;
        }
    }

    fn over_quota(&self, ledger: &Ledger, consumer: &str, bytes: u64) -> Error {
        let holders = ledger.holders.iter().filter(|holder| holder.1 > 0);
        let mut holders: Vec<String> = holders.map(|(name, bytes)| format!("{name}: {bytes}")).collect();
        if holders.is_empty() {
            holders.push("nobody".to_string());
        }
        let (quota, used, holders) = (self.quota, ledger.bytes, holders.join(", "));
        Error::io(
            format!("spilling {bytes} bytes of {consumer}"),
            format!(
                "{used} bytes of the {quota} that spill_bytes allows are on disk, written by {holders}. Raise spill_bytes or the memory limit"
            ),
        )
    }

    /// A new file for `consumer` in the next directory of its `turn` that takes one.
    pub(super) fn create(self: &Arc<Self>, consumer: &str, turn: &mut Turn) -> Result<Part> {
        let mut reasons = Vec::new();
        while turn.tried < self.directories.len() {
            let directory = &self.directories[(turn.first + turn.tried) % self.directories.len()];
            turn.tried += 1;
            match create_unnamed(directory) {
                Ok((file, path, has_name)) => {
                    OPEN.fetch_add(1, Relaxed);
                    return Ok(Part { disk: self.clone(), file, path, has_name });
                }
                Err(error) => reasons.push(format!("{}: {error}", directory.display())),
            }
        }
        if reasons.is_empty() {
            reasons.push("no directory is left to write to".to_string());
        }
        Err(Error::io(format!("creating a spill file of {consumer}"), reasons.join("; ")))
    }

    /// Where a new file starts to look for a directory.
    pub(super) fn turn(&self) -> Turn {
        Turn { first: self.files.fetch_add(1, Relaxed), tried: 0 }
    }

    /// The fault that the next write meets, if a test said so.
    fn write_fault(&self) -> Option<Fault> {
        let (operation, write) = (next(&self.operations), next(&self.writes));
        self.fault.filter(|&fault| fault == Fault::SpillIo(operation) || fault == Fault::SpillFull(write))
    }

    /// The fault that the next read meets, if a test said so.
    fn read_fault(&self) -> Option<Fault> {
        let (operation, read) = (next(&self.operations), next(&self.reads));
        self.fault.filter(|&fault| fault == Fault::SpillIo(operation) || fault == Fault::SpillFlip(read))
    }
}

fn next(counter: &AtomicUsize) -> usize {
    counter.fetch_add(1, Relaxed) + 1
}

/// Which directories one file has tried.
#[derive(Debug)]
pub(super) struct Turn {
    first: usize,
    tried: usize,
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Linux: makes a file that never has a name (`O_TMPFILE`, which is `O_DIRECTORY` and a bit of its own). Where it means nothing, no directory can be
/// opened for writing, so that it makes nothing.
#[cfg(target_os = "linux")]
const NAMELESS: i32 =
    0o20_000_000 | if cfg!(any(target_arch = "aarch64", target_arch = "arm")) { 0o40_000 } else { 0o200_000 };

/// A file of `directory` that never had a name; not every file system has them.
#[cfg(target_os = "linux")]
fn create_nameless(directory: &Path) -> io::Result<File> {
    File::options().read(true).write(true).custom_flags(NAMELESS).mode(0o600).open(directory)
}

#[cfg(not(target_os = "linux"))]
fn create_nameless(_directory: &Path) -> io::Result<File> {
    Err(ErrorKind::Unsupported.into())
}

/// A new file, the path it was made at (or would have been), and whether it is still there: a file without a name is gone with its process, however that
/// ends. Where a file has to have a name first, a process that is killed at that very moment leaves an empty one.
fn create_unnamed(directory: &Path) -> io::Result<(File, PathBuf, bool)> {
    loop {
        let name = format!("plasmon-{}-{}.spill", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let path = directory.join(name);
        if let Ok(file) = create_nameless(directory) {
            return Ok((file, path, false));
        }
        match File::options().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => {
                let has_name = std::fs::remove_file(&path).is_err();
                return Ok((file, path, has_name));
            }
            // Left by a process that had the same number and could not take the name away.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Parts that the process has open: it may have only so many files.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Spill files that the process has open.
pub(super) fn open_files() -> usize {
    OPEN.load(Relaxed)
}

/// The part of a spill file that lies in one directory.
#[derive(Debug)]
pub(super) struct Part {
    disk: Arc<Disk>,
    file: File,
    /// Where it was made.
    path: PathBuf,
    has_name: bool,
}

impl Part {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        match self.disk.write_fault() {
            Some(Fault::SpillFull(_)) => {
                self.file.write_all_at(&bytes[..bytes.len() / 2], at)?;
                Err(io::Error::new(ErrorKind::StorageFull, "no space left (a test's fault)"))
            }
            Some(_) => Err(io::Error::other("a test's fault")),
            None => self.file.write_all_at(bytes, at),
        }
    }

    /// The `len` bytes at `at`.
    pub(super) fn read(&self, len: usize, at: u64) -> io::Result<Vec<u8>> {
        let fault = self.disk.read_fault();
        if let Some(Fault::SpillIo(_)) = fault {
            return Err(io::Error::other("a test's fault"));
        }
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, at)?;
        self.disk.read.fetch_add(len as u64, Relaxed);
        if let Some(Fault::SpillFlip(n)) = fault {
            let bit = n * 7919 % (len * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        Ok(bytes)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Relaxed);
        if self.has_name {
            // Nobody is left to tell that it did not work.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether `error` says that a directory takes no more.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
