//! One statement before it runs: parameters, tables of its own, and who may stop it.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use plasmon_core::expression::Scalar;
use plasmon_core::pipeline::CancelToken;
use plasmon_core::table::Table;
use plasmon_core::{Config, Error, Result};
use plasmon_plan::explain::explain;
use plasmon_plan::function::Registry;
use plasmon_plan::sql::{Catalog, CopyTo, ExplainOptions, Statement as Planned, View, plan_with_parameters};

use crate::Session;
use crate::execute::{self, Run};
use crate::parameter::Parameter;
use crate::query::{Query, guarded};

/// A statement of a session and what it is to run with; see [`Session::statement`].
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
    text: &'a str,
    parameters: Vec<ArrayRef>,
    tables: Vec<(String, Arc<dyn Table>)>,
    cancel: CancelToken,
    config: Option<Config>,
}

impl<'a> Statement<'a> {
    pub(crate) fn new(session: &'a Session, text: &'a str) -> Self {
        Statement {
            session,
            text,
            parameters: Vec::new(),
            tables: Vec::new(),
            cancel: CancelToken::default(),
            config: None,
        }
    }

    /// Values for `$1`, `$2` … in the text.
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
            execute::execute(self.session, planned, &Run { config, cancel: self.cancel.clone() })
        })
    }

    /// Columns of the result, found by planning alone. `None` when the statement is no query.
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

    fn settings(&self) -> Config {
        self.config.clone().unwrap_or_else(|| self.session.config())
    }

    fn plan(&self, config: &Config) -> Result<Planned> {
        if self.tables.is_empty() {
            return plan_with_parameters(self.text, &self.parameters, self.session, config);
        }
        plan_with_parameters(
            self.text,
            &self.parameters,
            &Overlay { session: self.session, tables: &self.tables },
            config,
        )
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

    fn table_function(&self, name: &str, arguments: &[Scalar]) -> Result<Option<Arc<dyn Table>>> {
        Catalog::table_function(self.session, name, arguments)
    }

    fn functions(&self) -> Arc<Registry> {
        Catalog::functions(self.session)
    }
}
