//! Every knob of the engine, with unit, default and reason. Nothing else is configurable.

use std::borrow::Cow;

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
}

/// Settings of one session.
#[derive(Debug, Clone)]
pub struct Config {
    /// Worker threads of the pool driver, 1..=1,024; default: the machine's available parallelism.
    pub threads: usize,
    /// Memory budget of a query in bytes; `None` = no limit (the default).
    pub memory_bytes: Option<usize>,
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
        let memory = self.memory_bytes.map_or("none".to_string(), |m| m.to_string());
        let setting = |name, value, meaning| Setting { name: Cow::Borrowed(name), value, meaning };
        vec![
            setting("batch_rows", self.batch_rows.to_string(), "rows per batch, 1 to 32768"),
            setting(
                "disabled_passes",
                self.disabled_passes.join(","),
                "optimizer passes to leave out, separated by commas",
            ),
            setting("driver", driver.to_string(), "who runs a query: pool or inline"),
            setting("hash_collisions", self.hash_collisions.to_string(), "test knob: every key hashes alike"),
            setting("memory_bytes", memory, "memory that one query may reserve, or none"),
            setting("threads", self.threads.to_string(), "worker threads of a query, 1 to 1024"),
        ]
    }

    /// Changes the setting `name` to what `value` says, or fails and changes nothing.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let number =
            || value.parse::<usize>().map_err(|_| Error::user(format!("SET {name}: {value:?} is no whole number")));
        match name {
            "batch_rows" => self.batch_rows = number()?,
            "threads" => self.threads = number()?,
            "memory_bytes" => {
                self.memory_bytes = if value.eq_ignore_ascii_case("none") { None } else { Some(number()?) }
            }
            "hash_collisions" => {
                self.hash_collisions = value
                    .parse()
                    .map_err(|_| Error::user(format!("SET {name}: {value:?} is neither true nor false")))?
            }
            "disabled_passes" => {
                self.disabled_passes =
                    value.split(',').map(str::trim).filter(|p| !p.is_empty()).map(str::to_string).collect()
            }
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
        Ok(())
    }
}
