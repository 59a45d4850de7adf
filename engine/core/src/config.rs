//! Every knob of the engine, with unit, default and reason. Nothing else is configurable.

use std::borrow::Cow;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// Rows in a full batch. 2,048–4,096 keeps a dozen live vectors inside a 1 MiB L2.
pub const BATCH_ROWS_DEFAULT: usize = 4096;
/// A batch never holds more rows than this, so that a position fits a `u16` with room for a sentinel.
pub const BATCH_ROWS_MAX: usize = 32_768;

/// More workers than any machine has cores for are a slip, and starting them would take longer than most queries.
pub const THREADS_MAX: usize = 1024;

/// Who runs the pipelines of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Driver {
    /// Workers of an own rayon pool, morsel-driven.
    #[default]
    Pool,
    /// The caller's thread, step by step: under a Spark task, the C ABI or a pull-style host.
    Inline,
}

/// A fault at a point that a test chose, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The query is cancelled when it asks for the n-th time.
    Cancel(usize),
    /// The n-th growth of a reservation is refused.
    RefuseMemory(usize),
    /// Whoever can spill does so at every n-th growth, whatever is free.
    SpillEvery(usize),
    /// The n-th read or write of a spill file fails.
    SpillIo(usize),
    /// The n-th write of a spill file is cut short by a full disk.
    SpillFull(usize),
    /// The n-th read of a spill file has one bit flipped.
    SpillFlip(usize),
}

impl Fault {
    /// The fault that `text` names with its number: `spill_every 2`.
    fn parse(text: &str) -> Option<Fault> {
        let (name, number) = text.trim().split_once(' ')?;
        let n = number.trim().parse().ok().filter(|&n| n > 0)?;
        Some(match name {
            "cancel" => Fault::Cancel(n),
            "refuse_memory" => Fault::RefuseMemory(n),
            "spill_every" => Fault::SpillEvery(n),
            "spill_io" => Fault::SpillIo(n),
            "spill_full" => Fault::SpillFull(n),
            "spill_flip" => Fault::SpillFlip(n),
            _ => return None,
        })
    }
}

#[cfg(test)]
impl Fault {
    /// Everything that can go wrong at the `n`-th opportunity.
    pub(crate) fn all_at(n: usize) -> [Fault; 5] {
        [Fault::RefuseMemory(n), Fault::Cancel(n), Fault::SpillIo(n), Fault::SpillFull(n), Fault::SpillFlip(n)]
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, n) = match self {
            Fault::Cancel(n) => ("cancel", n),
            Fault::RefuseMemory(n) => ("refuse_memory", n),
            Fault::SpillEvery(n) => ("spill_every", n),
            Fault::SpillIo(n) => ("spill_io", n),
            Fault::SpillFull(n) => ("spill_full", n),
            Fault::SpillFlip(n) => ("spill_flip", n),
        };
        write!(f, "{name} {n}")
    }
}

/// Settings of one session.
#[derive(Debug, Clone)]
pub struct Config {
    /// Worker threads of the pool driver, 1..=1,024; default: the machine's available parallelism.
    pub threads: usize,
    /// Memory budget of a query in bytes; `None` = no limit (the default).
    pub memory_bytes: Option<usize>,
    /// Which of the queries that stand in line for memory begins first: the one of the highest priority; default 0. Queries that run are equal.
    pub priority: i32,
    /// Memory that all queries of the session may reserve together, in bytes; `None` = no limit (the default), or what the host gives. A session's own
    /// settings say it, those of one statement do not. Queries begin when there is some for them, and share it fairly.
    pub session_memory_bytes: Option<usize>,
    /// Where a query writes what does not fit its memory: files without names, in these directories by turns; default: the system's temporary directory.
    pub spill_directories: Vec<PathBuf>,
    /// Most bytes that a query may have there at once; `None` = no limit (the default).
    pub spill_bytes: Option<usize>,
    /// Whether what is written there is encrypted, by keys that are only in memory; default: no. The files have no names, but their blocks stay on the disk
    /// until something else lies there, and who reads the disk itself reads rows.
    pub spill_encryption: bool,
    /// Rows per batch, 1..=32,768; default [`BATCH_ROWS_DEFAULT`]. Tests set 7.
    pub batch_rows: usize,
    /// Which driver runs a query.
    pub driver: Driver,
    /// Test knob: every key hashes to the same value, so that every collision path is taken.
    pub hash_collisions: bool,
    /// Test knob: a fault that the query meets.
    pub fault: Option<Fault>,
    /// Names of optimizer passes to leave out, for tests and for finding a wrong pass.
    pub disabled_passes: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            threads: std::thread::available_parallelism().map_or(1, |n| n.get()),
            memory_bytes: None,
            priority: 0,
            session_memory_bytes: None,
            spill_directories: vec![std::env::temp_dir()],
            spill_bytes: None,
            spill_encryption: false,
            batch_rows: BATCH_ROWS_DEFAULT,
            driver: Driver::Pool,
            hash_collisions: false,
            fault: None,
            disabled_passes: Vec::new(),
        }
    }
}

/// One setting as shown to users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub name: Cow<'static, str>,
    pub value: String,
    pub meaning: &'static str,
}

impl Config {
    /// Every setting that has a name, in the order of names.
    pub fn settings(&self) -> Vec<Setting> {
        let driver = if self.driver == Driver::Inline { "inline" } else { "pool" };
        let limit = |bytes: Option<usize>| bytes.map_or("none".to_string(), |bytes| bytes.to_string());
        let directories: Vec<_> = self.spill_directories.iter().map(|d| d.to_string_lossy()).collect();
        let setting = |name, value, meaning| Setting { name: Cow::Borrowed(name), value, meaning };
        vec![
            setting("batch_rows", self.batch_rows.to_string(), "rows per batch, 1 to 32768"),
            setting(
                "disabled_passes",
                self.disabled_passes.join(","),
                "optimizer passes to leave out, separated by commas",
            ),
            setting("driver", driver.to_string(), "who runs a query: pool or inline"),
            setting(
                "fault",
                self.fault.map_or("none".to_string(), |fault| fault.to_string()),
                "test knob: none, or what goes wrong and when: cancel, refuse_memory, spill_every, spill_io, spill_full or spill_flip, and a number",
            ),
            setting("hash_collisions", self.hash_collisions.to_string(), "test knob: every key hashes alike"),
            setting("memory_bytes", limit(self.memory_bytes), "memory that one query may reserve, or none"),
            setting(
                "priority",
                self.priority.to_string(),
                "of the queries that stand in line for memory, which begins first: the highest; a whole number",
            ),
            setting(
                "session_memory_bytes",
                limit(self.session_memory_bytes),
                "memory that all queries of the session may reserve together, or none",
            ),
            setting("spill_bytes", limit(self.spill_bytes), "disk that one query may use beside its memory, or none"),
            setting(
                "spill_directories",
                directories.join(","),
                "where a query writes what does not fit its memory, by turns; separated by commas",
            ),
            setting(
                "spill_encryption",
                self.spill_encryption.to_string(),
                "whether what a query writes there is encrypted, by keys that are only in memory",
            ),
            setting("threads", self.threads.to_string(), "worker threads of a query, 1 to 1024"),
        ]
    }

    /// Changes the setting `name` to what `value` says, or fails and changes nothing.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let number =
            || value.parse::<usize>().map_err(|_| Error::user(format!("SET {name}: {value:?} is no whole number")));
        let limit = || if value.eq_ignore_ascii_case("none") { Ok(None) } else { number().map(Some) };
        let boolean =
            || value.parse().map_err(|_| Error::user(format!("SET {name}: {value:?} is neither true nor false")));
        let items = || value.split(',').map(str::trim).filter(|item| !item.is_empty());
        match name {
            "batch_rows" => self.batch_rows = number()?,
            "threads" => self.threads = number()?,
            "memory_bytes" => self.memory_bytes = limit()?,
            "priority" => {
                self.priority = value
                    .parse()
                    .map_err(|_| Error::user(format!("SET {name}: {value:?} is no whole number within 32 bits")))?
            }
            "session_memory_bytes" => self.session_memory_bytes = limit()?,
            "spill_bytes" => self.spill_bytes = limit()?,
            "spill_directories" => {
                let directories: Vec<PathBuf> = items().map(PathBuf::from).collect();
                if let Some(none) = directories.iter().find(|directory| !directory.is_dir()) {
                    return Err(Error::user(format!("SET {name}: {} is no directory", none.display())));
                }
                if directories.is_empty() {
                    return Err(Error::user(format!("SET {name}: at least one directory is needed")));
                }
                self.spill_directories = directories;
            }
            "spill_encryption" => self.spill_encryption = boolean()?,
            "hash_collisions" => self.hash_collisions = boolean()?,
            "fault" if value.eq_ignore_ascii_case("none") => self.fault = None,
            "fault" => {
                let unknown = || Error::user(format!("SET fault: {value:?} is neither none nor a fault and a number"));
                self.fault = Some(Fault::parse(value).ok_or_else(unknown)?)
            }
            "disabled_passes" => self.disabled_passes = items().map(str::to_string).collect(),
            "driver" => {
                self.driver = match value.to_lowercase().as_str() {
                    "pool" => Driver::Pool,
                    "inline" => Driver::Inline,
                    _ => return Err(Error::user(format!("SET driver: {value:?} is neither pool nor inline"))),
                }
            }
            _ => return Err(Config::unknown_setting(name)),
        }
        Ok(())
    }

    /// That there is no setting `name`.
    pub fn unknown_setting(name: &str) -> Error {
        let names: Vec<String> = Config::default().settings().into_iter().map(|s| s.name.into_owned()).collect();
        Error::user(format!("there is no setting {name}; there are {}", names.join(", ")))
    }

    /// Whether the engine can run under these settings.
    pub fn check(&self) -> Result<()> {
        if self.threads == 0 || self.threads > THREADS_MAX {
            return Err(Error::user(format!("threads must be within 1..={THREADS_MAX}, not {}", self.threads)));
        }
        if self.batch_rows == 0 || self.batch_rows > BATCH_ROWS_MAX {
            return Err(Error::user(format!(
                "batch_rows must be within 1..={BATCH_ROWS_MAX}, not {}",
                self.batch_rows
            )));
        }
        if self.spill_directories.is_empty() {
            return Err(Error::user("spill_directories must name at least one directory"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_in_the_order_of_names_and_can_be_set_to_what_they_show() {
        let mut config = Config::default();
        let settings = config.settings();
        assert!(settings.is_sorted_by_key(|s| s.name.clone()));
        settings.iter().for_each(|s| config.set(&s.name, &s.value).unwrap());
        assert_eq!(config.settings(), settings);
    }

    #[test]
    fn faults_are_set_by_their_text() {
        let mut config = Config::default();
        let faults = [Fault::Cancel, Fault::RefuseMemory, Fault::SpillEvery, Fault::SpillIo, Fault::SpillFull];
        for fault in faults.into_iter().chain([Fault::SpillFlip as fn(usize) -> Fault]).map(|fault| fault(17)) {
            config.set("fault", &fault.to_string()).unwrap();
            assert_eq!(config.fault, Some(fault));
        }
        for wrong in ["", "cancel", "cancel 0", "cancel -1", "spill 1"] {
            let error = config.set("fault", wrong).unwrap_err().to_string();
            assert_eq!(error, format!("SET fault: {wrong:?} is neither none nor a fault and a number"));
        }
        config.set("fault", "none").unwrap();
        assert_eq!(config.fault, None);
    }

    #[test]
    fn where_to_spill_is_checked_when_it_is_set() {
        let mut config = Config::default();
        let mut refused = |name: &str, value: &str| config.set(name, value).unwrap_err().to_string();
        assert_eq!(refused("spill_directories", "/,/nowhere"), "SET spill_directories: /nowhere is no directory");
        assert_eq!(refused("spill_directories", " , "), "SET spill_directories: at least one directory is needed");
        assert_eq!(refused("spill_bytes", "much"), "SET spill_bytes: \"much\" is no whole number");
        assert_eq!(config.spill_directories, Config::default().spill_directories, "nothing was changed");
        config.set("spill_directories", "/, /dev").unwrap();
        assert_eq!(config.spill_directories, [PathBuf::from("/"), PathBuf::from("/dev")]);
        config.set("spill_bytes", "1000000").unwrap();
        assert_eq!(config.spill_bytes, Some(1_000_000));
        config.set("spill_bytes", "None").unwrap();
        assert_eq!(config.spill_bytes, None);
        assert_eq!(
            config.set("spill_encryption", "maybe").unwrap_err().to_string(),
            "SET spill_encryption: \"maybe\" is neither true nor false"
        );
        assert!(!config.spill_encryption);
        config.set("spill_encryption", "true").unwrap();
        assert!(config.spill_encryption);
        config.spill_directories.clear();
        assert!(config.check().is_err());
    }

    #[test]
    fn priorities_may_be_below_zero() {
        let mut config = Config::default();
        config.set("priority", "-3").unwrap();
        assert_eq!(config.priority, -3);
        let error = config.set("priority", "3000000000").unwrap_err().to_string();
        assert_eq!(error, "SET priority: \"3000000000\" is no whole number within 32 bits");
    }
}
