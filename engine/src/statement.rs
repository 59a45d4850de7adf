//! One statement before it runs: a text or a plan, parameters, tables of its own, and who may stop it.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use plasmon_core::pipeline::CancelToken;
use plasmon_core::table::{FileSplits, Table};
use plasmon_core::{Config, Error, Result};
use plasmon_plan::explain::explain;
use plasmon_plan::function::Registry;
use plasmon_plan::sql::{
    Catalog, Constant, CopyTo, ExplainOptions, Stage, Statement as Planned, View, plan_with_parameters,
};
use plasmon_plan::substrait::{self, plan_substrait};
use plasmon_plan::wire;

use crate::Session;
use crate::execute::{self, Run};
use crate::parameter::Parameter;
use crate::query::{Query, guarded};

/// What a statement is made from.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// One SQL statement.
    Sql(&'a str),
    /// A plan in our own wire format, `engine/plan/proto/plan.proto`: a query.
    Plan(&'a [u8]),
    /// A Substrait plan, as protobuf or JSON: a query.
    Substrait(&'a [u8]),
}

/// A statement of a session and what it is to run with; see [`Session::statement`] and [`Session::statement_of`].
///
/// ```
/// use plasmon::core::pipeline::CancelToken;
/// use plasmon::{Config, Error, Session};
///
/// let session = Session::new(Config::default())?;
/// let cancel = CancelToken::default();
/// cancel.cancel();
/// let statement = session.statement("CREATE TABLE t AS SELECT * FROM generate_series(1, 1000000)").cancel(cancel);
/// assert!(matches!(statement.run(), Err(Error::Cancelled)));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct Statement<'a> {
    session: &'a Session,
    source: Source<'a>,
    parameters: Vec<ArrayRef>,
    tables: Vec<(String, Arc<dyn Table>)>,
    cancel: CancelToken,
    config: Option<Config>,
}

impl<'a> Statement<'a> {
    pub(crate) fn new(session: &'a Session, source: Source<'a>) -> Self {
        Statement {
            session,
            source,
            parameters: Vec::new(),
            tables: Vec::new(),
            cancel: CancelToken::default(),
            config: None,
        }
    }

    /// Values for `$1`, `$2` … in the text, or for the dynamic parameters 0, 1 … of a Substrait plan. Our own plans have no such places.
    pub fn parameters(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        self.parameters = parameters.into_iter().map(|p| p.array()).collect();
        self
    }

    /// A table that this statement alone sees, before any of the session's of that name.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use arrow::array::{Int64Array, RecordBatch, RecordBatchIterator};
    /// use plasmon::{Config, Session, StreamTable};
    ///
    /// let batch = RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![1, 2, 3])) as _)])?;
    /// let stream = RecordBatchIterator::new([Ok(batch.clone())], batch.schema());
    /// let session = Session::new(Config::default())?;
    /// let query = session.statement("SELECT sum(a) FROM input").table("input", Arc::new(StreamTable::new(stream))).run()?;
    /// assert_eq!(query.collect()?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn table(mut self, name: &str, table: Arc<dyn Table>) -> Self {
        self.tables.push((name.to_lowercase(), table));
        self
    }

    /// A token that stops the statement from any thread, also while [`Statement::run`] itself works (`COPY`, `CREATE TABLE AS`).
    pub fn cancel(mut self, cancel: CancelToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Settings of this statement alone, in place of the session's.
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Plans the statement and starts it. Statements without rows (CREATE, SET, …) are done when this returns.
    pub fn run(self) -> Result<Query> {
        let config = self.settings();
        config.check()?;
        guarded(|| {
            let planned = self.plan(&config)?;
            execute::execute(self.session, planned, &self.run_of(config))
        })
    }

    /// Columns of the result, found by planning alone. `None` when the statement gives no rows.
    ///
    /// ```
    /// use plasmon::{Config, Session};
    ///
    /// let session = Session::new(Config::default())?;
    /// let schema = session.statement("SELECT 1.5 AS price, 'x' AS name").schema()?.expect("a query");
    /// assert_eq!(schema.field(1).name(), "name");
    /// assert!(session.statement("SET threads = 1").schema()?.is_none());
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn schema(&self) -> Result<Option<SchemaRef>> {
        guarded(|| match self.plan(&self.settings())? {
            Planned::Query(plan) => Ok(Some(plan.root.schema.clone())),
            other => execute::shown(self.session, &other),
        })
    }

    /// The optimized plan in our own wire format, for [`Source::Plan`] of a session that knows the same tables and functions. `None` when the
    /// statement is no query.
    ///
    /// ```
    /// use plasmon::{Config, Session, Source};
    ///
    /// let session = Session::new(Config::default())?;
    /// session.sql("CREATE TABLE t AS SELECT value AS a FROM generate_series(1, 10)")?;
    /// let plan = session.statement("SELECT sum(a) FROM t WHERE a > 5").plan_bytes()?.expect("a query");
    /// let batches = session.statement_of(Source::Plan(&plan)).run()?.collect()?;
    /// assert_eq!(batches[0].num_rows(), 1);
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn plan_bytes(&self) -> Result<Option<Vec<u8>>> {
        guarded(|| match self.plan(&self.settings())? {
            Planned::Query(plan) => wire::encode(&plan).map(Some),
            _ => Ok(None),
        })
    }

    /// The plan made readable, without running it; `options.analyze` needs `EXPLAIN ANALYZE` in the text and is refused here.
    pub fn explain(&self, options: ExplainOptions) -> Result<String> {
        if options.analyze {
            return Err(Error::user("a plan alone measures nothing: run EXPLAIN ANALYZE as a statement"));
        }
        guarded(|| match self.plan(&self.settings())? {
            Planned::Query(plan)
            | Planned::CreateTable { plan, .. }
            | Planned::Insert { plan, .. }
            | Planned::Copy(CopyTo { plan, .. }) => Ok(explain(&plan, options, &[], None)),
            _ => Err(Error::user("EXPLAIN: the statement has no plan")),
        })
    }

    /// The query's plan as Substrait, for others to run: as it is before the engine's own optimizer. What has no form there is refused with its
    /// path.
    ///
    /// ```
    /// use plasmon::plan::substrait::Format;
    /// use plasmon::{Config, Session, Source};
    ///
    /// let session = Session::new(Config::default())?;
    /// session.sql("CREATE TABLE t AS SELECT value AS a FROM generate_series(1, 10)")?;
    /// let plan = session.statement("SELECT sum(a) AS total FROM t WHERE a > $1").parameters([7.into()]).to_substrait(Format::Binary)?;
    /// let batches = session.statement_of(Source::Substrait(&plan)).run()?.collect()?;
    /// assert_eq!(batches[0].schema().field(0).name(), "total");
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn to_substrait(&self, format: substrait::Format) -> Result<Vec<u8>> {
        guarded(|| match self.plan_to(Stage::Translated, &self.settings())? {
            Planned::Query(plan) => substrait::produce(&plan, format),
            _ => Err(Error::user("Substrait: the statement is no query")),
        })
    }

    fn run_of(&self, config: Config) -> Run<'a> {
        let text = match self.source {
            Source::Sql(text) => text,
            Source::Plan(_) => "a plan",
            Source::Substrait(_) => "a Substrait plan",
        };
        Run { config, cancel: self.cancel.clone(), admission: self.session.admission(), text }
    }

    fn settings(&self) -> Config {
        self.config.clone().unwrap_or_else(|| self.session.config())
    }

    fn plan(&self, config: &Config) -> Result<Planned> {
        self.plan_to(Stage::Optimized, config)
    }

    fn plan_to(&self, stage: Stage, config: &Config) -> Result<Planned> {
        let overlay = Overlay { session: self.session, tables: &self.tables };
        let catalog: &dyn Catalog = if self.tables.is_empty() { self.session } else { &overlay };
        match self.source {
            Source::Sql(text) => plan_with_parameters(text, &self.parameters, catalog, config, stage),
            Source::Substrait(plan) => {
                plan_substrait(plan, &self.parameters, catalog, config, stage).map(Planned::Query)
            }
            Source::Plan(_) if !self.parameters.is_empty() => {
                Err(Error::user("a plan takes no parameters: its constants are in it"))
            }
            Source::Plan(bytes) => {
                let plan = wire::decode(bytes, catalog)?;
                Ok(Planned::Query(match stage {
                    Stage::Translated => plan,
                    Stage::Optimized => wire::prepare(plan, config)?,
                }))
            }
        }
    }
}

/// The statement's own tables over the session's.
struct Overlay<'a> {
    session: &'a Session,
    tables: &'a [(String, Arc<dyn Table>)],
}

impl Overlay<'_> {
    fn own(&self, name: &[String]) -> Option<Arc<dyn Table>> {
        let [name] = name else { return None };
        self.tables.iter().find(|(own, _)| own == name).map(|(_, table)| table.clone())
    }
}

impl Catalog for Overlay<'_> {
    fn table(&self, name: &[String]) -> Result<Option<Arc<dyn Table>>> {
        match self.own(name) {
            Some(table) => Ok(Some(table)),
            None => Catalog::table(self.session, name),
        }
    }

    fn view(&self, name: &[String]) -> Result<Option<View>> {
        if self.own(name).is_some() { Ok(None) } else { Catalog::view(self.session, name) }
    }

    fn path_table(&self, path: &str, format: Option<&str>, options: &[(String, String)]) -> Result<Arc<dyn Table>> {
        Catalog::path_table(self.session, path, format, options)
    }

    fn split_table(&self, splits: &FileSplits, schema: &SchemaRef) -> Result<Arc<dyn Table>> {
        Catalog::split_table(self.session, splits, schema)
    }

    fn table_function(&self, name: &str, arguments: &[Constant]) -> Result<Option<Arc<dyn Table>>> {
        Catalog::table_function(self.session, name, arguments)
    }

    fn functions(&self) -> Arc<Registry> {
        Catalog::functions(self.session)
    }
}
