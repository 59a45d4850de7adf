//! A session: tables, views, functions and settings, and the statements run over them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, RwLock};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use plasmon_core::admission::Admission;
use plasmon_core::memory::{MemoryBudget, MemorySource};
use plasmon_core::operators::aggregate::CustomAggregate;
use plasmon_core::table::{FileSplits, Table};
use plasmon_core::{Config, Error, Result};
use plasmon_io as io;
use plasmon_plan::function::{Registry, UserFunction, Volatility};
use plasmon_plan::sql::{Catalog as PlannerCatalog, Constant, View, split_statements};

use crate::catalog::{Catalog, Entry};
use crate::execute;
use crate::memory_table::MemoryTable;
use crate::parameter::Parameter;
use crate::query::Query;
use crate::statement::{Source, Statement};
use crate::table_function;

/// The body of a table function: constant arguments in, a table out.
type TableFunction = dyn Fn(&[Constant]) -> Result<Arc<dyn Table>> + Send + Sync;

/// Tables, views, functions and settings. Shared between threads by reference; each statement runs on its own workers.
///
/// ```
/// use plasmon::{Config, Session};
///
/// let session = Session::new(Config { threads: 2, ..Config::default() })?;
/// session.sql("CREATE TABLE t AS SELECT value AS a FROM generate_series(1, 10)")?;
/// let batches = session.sql("SELECT sum(a) FROM t WHERE a > 5")?.collect()?;
/// assert_eq!(batches[0].num_rows(), 1);
/// # Ok::<(), plasmon::Error>(())
/// ```
pub struct Session {
    pub(crate) catalog: Catalog,
    config: RwLock<Config>,
    /// What SET says about object stores: `s3.region` and the like.
    store_settings: RwLock<BTreeMap<String, String>>,
    functions: RwLock<Arc<Registry>>,
    table_functions: RwLock<HashMap<String, Arc<TableFunction>>>,
    memory: RwLock<Arc<Admission>>,
}

impl Session {
    /// An empty session. Settings that cannot work are refused.
    pub fn new(config: Config) -> Result<Self> {
        config.check()?;
        Ok(Session {
            catalog: Catalog::default(),
            memory: RwLock::new(Admission::over(MemoryBudget::new(config.session_memory_bytes))),
            config: RwLock::new(config),
            store_settings: RwLock::default(),
            functions: RwLock::new(Registry::standard()),
            table_functions: RwLock::default(),
        })
    }

    /// The settings that the next statement runs under.
    pub fn config(&self) -> Config {
        self.config.read().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Replaces the settings, as `SET` does.
    ///
    /// ```
    /// use plasmon::{Config, Session};
    ///
    /// let session = Session::new(Config::default())?;
    /// session.set_config(Config { memory_bytes: Some(1 << 30), ..session.config() })?;
    /// assert!(session.set_config(Config { threads: 0, ..session.config() }).is_err());
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn set_config(&self, config: Config) -> Result<()> {
        config.check()?;
        let mut current = self.config.write().unwrap_or_else(|e| e.into_inner());
        self.admission().budget().set_limit(config.session_memory_bytes);
        *current = config;
        Ok(())
    }

    /// Makes queries that start from now on take their memory of `source`, an embedder's own budget; `None` = they ask nobody. `memory_bytes` bounds
    /// each of them as before, `session_memory_bytes` all together. Under the pool driver, a query begins when the source has something for it; else it
    /// stands in line as long as others are at work, see [`Progress::is_waiting`](crate::Progress::is_waiting).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    /// use plasmon::core::memory::MemorySource;
    /// use plasmon::{Config, Error, Session};
    ///
    /// #[derive(Debug)]
    /// struct Host(AtomicUsize);
    /// impl MemorySource for Host {
    ///     fn name(&self) -> &str {
    ///         "the host"
    ///     }
    ///     fn reserve(&self, bytes: usize) -> Result<(), String> {
    ///         let take = |left: usize| left.checked_sub(bytes);
    ///         self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map(drop).map_err(|left| format!("{left} are left"))
    ///     }
    ///     fn release(&self, bytes: usize) {
    ///         self.0.fetch_add(bytes, Ordering::Relaxed);
    ///     }
    /// }
    ///
    /// let host = Arc::new(Host(AtomicUsize::new(32 << 20)));
    /// let session = Session::new(Config::default())?;
    /// session.set_memory_source(Some(host.clone()));
    /// session.sql("SELECT value, count(*) FROM generate_series(1, 1000) GROUP BY 1")?.collect()?;
    /// assert_eq!(host.0.load(Ordering::Relaxed), 32 << 20);
    /// // Ten million groups go to disk; one list of ten million values is a value, and has to fit.
    /// let groups = session.sql("SELECT count(*) FROM (SELECT value FROM generate_series(1, 10000000) GROUP BY 1)")?.collect()?;
    /// let list = session.sql("SELECT array_agg(value) FROM generate_series(1, 10000000)")?.collect();
    /// assert!(matches!(list, Err(Error::OutOfMemory { .. })));
    /// assert_eq!(host.0.load(Ordering::Relaxed), 32 << 20);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn set_memory_source(&self, source: Option<Arc<dyn MemorySource>>) {
        let budget = source.map_or_else(|| MemoryBudget::new(None), MemoryBudget::from_source);
        let config = self.config.read().unwrap_or_else(|e| e.into_inner());
        budget.set_limit(config.session_memory_bytes);
        let admission = Admission::over(budget);
        let replaced = std::mem::replace(&mut *self.memory.write().unwrap_or_else(|e| e.into_inner()), admission);
        // What is replaced is dropped after the locks: its source is told, and may call back into this session.
        drop(config);
        drop(replaced);
    }

    /// Gives `bytes` of what queries took of the memory source back to it: first what they do not use, then what stands still and can go to disk. How many it
    /// got; when that is less, queries at work are asked to spill too, and give back what that frees within a batch.
    pub fn spill(&self, bytes: usize) -> usize {
        self.admission().budget().free(bytes)
    }

    /// What queries that start now share.
    pub(crate) fn admission(&self) -> Arc<Admission> {
        self.memory.read().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Plans one statement and starts it. Statements without rows (CREATE, SET, …) are done when this returns.
    pub fn sql(&self, statement: &str) -> Result<Query> {
        self.statement(statement).run()
    }

    /// As [`Session::sql`], with values for `$1`, `$2` … in the statement; see [`Parameter`].
    pub fn sql_with(&self, statement: &str, parameters: &[Parameter]) -> Result<Query> {
        self.statement(statement).parameters(parameters.to_vec()).run()
    }

    /// A statement with what it is to run with: parameters, tables of its own, a token that stops it. Nothing is planned yet.
    pub fn statement<'a>(&'a self, text: &'a str) -> Statement<'a> {
        self.statement_of(Source::Sql(text))
    }

    /// As [`Session::statement`], of any [`Source`]. A node of a plan that cannot be run is an error with the node's path ([`Error::At`]).
    pub fn statement_of<'a>(&'a self, source: Source<'a>) -> Statement<'a> {
        Statement::new(self, source)
    }

    /// A Substrait plan as a statement: protobuf bytes, or JSON.
    ///
    /// ```
    /// use plasmon::{Config, Session};
    ///
    /// let session = Session::new(Config::default())?;
    /// let plan = r#"{"relations": [{"root": {"names": ["answer"], "input": {"read": {
    ///     "baseSchema": {"names": ["a"], "struct": {"types": [{"i64": {}}]}},
    ///     "virtualTable": {"expressions": [{"fields": [{"literal": {"i64": "42"}}]}]}}}}}]}"#;
    /// let query = session.substrait(plan.as_bytes()).run()?;
    /// assert_eq!(query.schema().field(0).name(), "answer");
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn substrait<'a>(&'a self, plan: &'a [u8]) -> Statement<'a> {
        self.statement_of(Source::Substrait(plan))
    }

    /// Changes one setting by its name, as `SET name = 'value'` does.
    ///
    /// ```
    /// use plasmon::{Config, Session};
    ///
    /// let session = Session::new(Config::default())?;
    /// session.set("threads", "1")?;
    /// assert_eq!(session.config().threads, 1);
    /// assert!(session.set("speed", "11").is_err());
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        execute::set(self, name, value)
    }

    /// The statements of a text, cut at semicolons outside of strings and comments.
    ///
    /// ```
    /// let session = plasmon::Session::new(plasmon::Config::default())?;
    /// assert_eq!(session.split("SELECT ';'; -- two;\nSELECT 2")?.len(), 2);
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn split(&self, text: &str) -> Result<Vec<String>> {
        Ok(split_statements(text)?.into_iter().map(str::to_string).collect())
    }

    /// Defines `name` as the file, folder or pattern at `location`, its format told by the extension.
    ///
    /// ```
    /// use plasmon::{Config, Session};
    ///
    /// let path = std::env::temp_dir().join(format!("plasmon-doc-{}.parquet", std::process::id()));
    /// let session = Session::new(Config::default())?;
    /// session.sql(&format!("COPY (SELECT 1 AS a UNION ALL SELECT 2) TO '{}'", path.display()))?.collect()?;
    /// session.register_path("numbers", &path.to_string_lossy())?;
    /// assert_eq!(session.table_rows("numbers")?, Some(2));
    /// # std::fs::remove_file(path).ok();
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn register_path(&self, name: &str, location: &str) -> Result<()> {
        let table = io::open_table(location, None, &self.file_options(&[]))?;
        self.register_table(name, table)
    }

    /// Defines `name` as a table of the embedder's own; `engine/examples/own_table.rs` shows one.
    pub fn register_table(&self, name: &str, table: Arc<dyn Table>) -> Result<()> {
        self.catalog.define(&name.to_lowercase(), Entry::Table(table), true)
    }

    /// Defines `name` as a table of these batches.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use arrow::array::{Int64Array, RecordBatch};
    /// use plasmon::{Config, Session};
    ///
    /// let batch = RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![1, 2, 3])) as _)])?;
    /// let session = Session::new(Config::default())?;
    /// session.register_batches("t", batch.schema(), &[batch])?;
    /// assert_eq!(session.sql("SELECT a FROM t WHERE a >= 2")?.collect()?[0].num_rows(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn register_batches(&self, name: &str, schema: SchemaRef, batches: &[RecordBatch]) -> Result<()> {
        let table = Arc::new(MemoryTable::new(schema, batches)?);
        self.catalog.define(&name.to_lowercase(), Entry::Memory(table), true)
    }

    /// Adds a scalar function over Arrow arrays: equal lengths in, one array of that length and of type `result` out. Equal arguments
    /// must give equal results. A name that exists is replaced.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use arrow::array::{AsArray, Int64Array};
    /// use arrow::datatypes::{DataType, Int64Type};
    /// use plasmon::{Config, Session};
    ///
    /// let session = Session::new(Config::default())?;
    /// session.register_scalar_function("collatz", &[DataType::Int64], DataType::Int64, |arguments| {
    ///     let numbers = arguments[0].as_primitive::<Int64Type>();
    ///     let next = numbers.iter().map(|n| n.map(|n| if n % 2 == 0 { n / 2 } else { 3 * n + 1 }));
    ///     Ok(Arc::new(next.collect::<Int64Array>()))
    /// });
    /// let batches = session.sql("SELECT collatz(collatz(7))")?.collect()?;
    /// assert_eq!(batches[0].column(0).as_primitive::<Int64Type>().value(0), 11);
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn register_scalar_function(
        &self,
        name: &str,
        arguments: &[DataType],
        result: DataType,
        body: impl Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync + 'static,
    ) {
        self.register_function(UserFunction {
            name: name.to_string(),
            arguments: arguments.to_vec(),
            result,
            volatility: Volatility::Immutable,
            body: Arc::new(move |arguments, _| body(arguments)),
        });
    }

    /// As [`Session::register_scalar_function`], with a choice of [`Volatility`], and for functions without arguments.
    pub fn register_function(&self, function: UserFunction) {
        self.change_functions(|functions| functions.add_scalar(function));
    }

    /// What is replaced is dropped after the lock: a host's function may call back into this session when it is.
    fn change_functions(&self, change: impl FnOnce(&mut Registry)) {
        let mut functions = self.functions.write().unwrap_or_else(|e| e.into_inner());
        let before = functions.clone();
        change(Arc::make_mut(&mut functions));
        drop(functions);
        drop(before);
    }

    /// Adds an aggregate function under its own name, with results of type `result`; `engine/examples/user_function.rs` shows one.
    /// It works with GROUP BY and FILTER; ORDER BY inside the call, and DISTINCT beside other aggregates, are refused.
    pub fn register_aggregate_function(&self, function: Arc<dyn CustomAggregate>, result: DataType) {
        self.change_functions(|functions| functions.add_aggregate(function, result));
    }

    /// Adds a table function: constants in, a table out, to be called in FROM.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use arrow::array::{Int64Array, RecordBatch};
    /// use plasmon::{Config, Error, MemoryTable, Session};
    ///
    /// let session = Session::new(Config::default())?;
    /// session.register_table_function("squares", |arguments| {
    ///     let count = arguments.first().and_then(|a| a.as_i64()).ok_or_else(|| Error::user("squares(count)"))?;
    ///     let column: Int64Array = (1..=count).map(|n| n * n).collect();
    ///     let batch = RecordBatch::try_from_iter([("square", Arc::new(column) as _)])?;
    ///     Ok(Arc::new(MemoryTable::new(batch.schema(), &[batch])?))
    /// });
    /// assert_eq!(session.sql("SELECT * FROM squares(5) WHERE square > 8")?.collect()?[0].num_rows(), 3);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn register_table_function(
        &self,
        name: &str,
        body: impl Fn(&[Constant]) -> Result<Arc<dyn Table>> + Send + Sync + 'static,
    ) {
        let mut functions = self.table_functions.write().unwrap_or_else(|e| e.into_inner());
        let replaced = functions.insert(name.to_lowercase(), Arc::new(body));
        drop(functions);
        drop(replaced);
    }

    /// Rows of a table when known without reading it.
    pub fn table_rows(&self, name: &str) -> Result<Option<u64>> {
        Ok(self.known_table(name)?.statistics().rows)
    }

    /// Columns of a table.
    pub fn table_schema(&self, name: &str) -> Result<SchemaRef> {
        Ok(self.known_table(name)?.schema())
    }

    fn known_table(&self, name: &str) -> Result<Arc<dyn Table>> {
        PlannerCatalog::table(self, &[name.to_string()])?
            .ok_or_else(|| Error::user(format!("there is no table {name}")))
    }

    /// Forgets a table or view; whether there was one.
    pub fn deregister(&self, name: &str) -> bool {
        self.catalog.remove(&name.to_lowercase())
    }

    /// Names of all tables and views.
    pub fn table_names(&self) -> Vec<String> {
        self.catalog.list().into_iter().map(|(name, _)| name).collect()
    }

    /// Names of all functions.
    pub fn function_names(&self) -> Vec<String> {
        let functions = self.registry();
        let mut names = [functions.scalar_names(), functions.aggregate_names(), functions.window_names()].concat();
        names.sort();
        names.dedup();
        names
    }

    /// The options of a statement about files, and behind them what the session's settings say about stores.
    pub(crate) fn file_options(&self, values: &[(String, String)]) -> io::Options {
        let mut values = values.to_vec();
        values.extend(self.store_settings());
        io::Options { values, ..io::Options::default() }
    }

    /// The settings of object stores.
    pub(crate) fn store_settings(&self) -> BTreeMap<String, String> {
        self.store_settings.read().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Changes a setting of object stores; `None` forgets it.
    pub(crate) fn set_store_setting(&self, name: &str, value: Option<String>) {
        let mut settings = self.store_settings.write().unwrap_or_else(|e| e.into_inner());
        match value {
            Some(value) => drop(settings.insert(name.to_string(), value)),
            None => drop(settings.remove(name)),
        }
    }

    pub(crate) fn registry(&self) -> Arc<Registry> {
        self.functions.read().unwrap_or_else(|e| e.into_inner()).clone()
    }
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

    fn path_table(&self, path: &str, format: Option<&str>, options: &[(String, String)]) -> Result<Arc<dyn Table>> {
        let format = format.map(io::Format::parse).transpose()?;
        io::open_table(path, format, &self.file_options(options))
    }

    fn split_table(&self, splits: &FileSplits, schema: &SchemaRef) -> Result<Arc<dyn Table>> {
        io::open_splits(splits, schema, &self.file_options(&[]))
    }

    fn table_function(&self, name: &str, arguments: &[Constant]) -> Result<Option<Arc<dyn Table>>> {
        let own = self.table_functions.read().unwrap_or_else(|e| e.into_inner()).get(name).cloned();
        match own {
            Some(body) => body(arguments).map(Some),
            None => table_function::call(name, arguments),
        }
    }

    fn functions(&self) -> Arc<Registry> {
        self.registry()
    }
}
