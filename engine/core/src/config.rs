//! Every knob of the engine, with unit, default and reason. Nothing else is configurable.

/// Rows in a full batch. 2,048–4,096 keeps a dozen live vectors inside a 1 MiB L2.
pub const BATCH_ROWS_DEFAULT: usize = 4096;
/// A batch never holds more rows than this, so that a position fits a `u16` with room for a sentinel.
pub const BATCH_ROWS_MAX: usize = 32_768;

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
}

/// Settings of one session.
#[derive(Debug, Clone)]
pub struct Config {
    /// Worker threads of the pool driver; default: the machine's available parallelism.
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
