//! A session: tables, views, functions and settings, and the statements run over them.

use std::sync::{Arc, RwLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use plasmon_core::expression::Scalar;
use plasmon_core::table::Table;
use plasmon_core::{Config, Error, Result};
use plasmon_io as io;
use plasmon_plan::function::Registry;
use plasmon_plan::sql::{Catalog as PlannerCatalog, View, plan_statement, split_statements};

use crate::catalog::{Catalog, Entry};
use crate::execute;
use crate::memory_table::MemoryTable;
use crate::query::Query;
use crate::table_function;

/// Tables, views, functions and settings. Shared between threads by reference; each statement runs on its own workers.
pub struct Session {
    pub(crate) catalog: Catalog,
    config: RwLock<Config>,
    functions: Arc<Registry>,
}

impl Session {
    /// An empty session.
    pub fn new(config: Config) -> Result<Self> {
        check(&config)?;
        Ok(Session { catalog: Catalog::default(), config: RwLock::new(config), functions: Registry::standard() })
    }

    /// The settings that the next statement runs under.
    pub fn config(&self) -> Config {
        self.config.read().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Replaces the settings.
    pub fn set_config(&self, config: Config) -> Result<()> {
        check(&config)?;
        *self.config.write().unwrap_or_else(|e| e.into_inner()) = config;
        Ok(())
    }

    /// Plans one statement and starts it. Statements without rows (CREATE, SET, …) are done when this returns.
    pub fn sql(&self, statement: &str) -> Result<Query> {
        let config = self.config();
        let planned = plan_statement(statement, self, &config)?;
        execute::execute(self, planned, config)
    }

    /// The statements of a text, cut at semicolons outside of strings and comments.
    pub fn split(&self, text: &str) -> Result<Vec<String>> {
        Ok(split_statements(text)?.into_iter().map(str::to_string).collect())
    }

    /// Defines `name` as the file, folder or pattern at `location`, its format told by the extension.
    pub fn register_path(&self, name: &str, location: &str) -> Result<()> {
        let table = io::open_table(location, None, &io::Options::default())?;
        self.register_table(name, table)
    }

    /// Defines `name` as a table of the embedder's own.
    pub fn register_table(&self, name: &str, table: Arc<dyn Table>) -> Result<()> {
        self.catalog.define(&name.to_lowercase(), Entry::Table(table), true)
    }

    /// Defines `name` as a table of these batches.
    pub fn register_batches(&self, name: &str, schema: SchemaRef, batches: &[RecordBatch]) -> Result<()> {
        let table = Arc::new(MemoryTable::new(schema, batches)?);
        self.catalog.define(&name.to_lowercase(), Entry::Memory(table), true)
    }

    /// Rows of a table when known without reading it.
    pub fn table_rows(&self, name: &str) -> Result<Option<u64>> {
        let table =
            PlannerCatalog::table(self, &[name.to_string()])?.ok_or_else(|| Error::user(format!("no table {name}")))?;
        Ok(table.statistics().rows)
    }

    /// Names of all tables and views.
    pub fn table_names(&self) -> Vec<String> {
        self.catalog.list().into_iter().map(|(name, _)| name).collect()
    }

    /// Names of all functions.
    pub fn function_names(&self) -> Vec<String> {
        let mut names =
            [self.functions.scalar_names(), self.functions.aggregate_names(), self.functions.window_names()].concat();
        names.sort();
        names.dedup();
        names
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.functions
    }
}

fn check(config: &Config) -> Result<()> {
    use plasmon_core::config::BATCH_ROWS_MAX;
    if config.threads == 0 {
        return Err(Error::user("threads must be at least 1"));
    }
    if config.batch_rows == 0 || config.batch_rows > BATCH_ROWS_MAX {
        return Err(Error::user(format!("batch_rows must be within 1..={BATCH_ROWS_MAX}, not {}", config.batch_rows)));
    }
    Ok(())
}

impl PlannerCatalog for Session {
    fn table(&self, name: &[String]) -> Result<Option<Arc<dyn Table>>> {
        let Some(last) = name.last() else { return Ok(None) };
        Ok(match self.catalog.get(last) {
            Some(Entry::Table(table)) => Some(table),
            Some(Entry::Memory(table)) => Some(table),
            _ => None,
        })
    }

    fn view(&self, name: &[String]) -> Result<Option<View>> {
        Ok(match name.last().and_then(|n| self.catalog.get(n)) {
            Some(Entry::View(sql)) => Some(View { sql }),
            _ => None,
        })
    }

    fn path_table(&self, path: &str, format: Option<&str>) -> Result<Arc<dyn Table>> {
        let format = format.map(io::Format::parse).transpose()?;
        io::open_table(path, format, &io::Options::default())
    }

    fn table_function(&self, name: &str, arguments: &[Scalar]) -> Result<Option<Arc<dyn Table>>> {
        table_function::call(name, arguments)
    }

    fn functions(&self) -> Arc<Registry> {
        self.functions.clone()
    }
}
