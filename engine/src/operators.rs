//! Operators alone: filter, project, join, aggregate, sort, window, limit and partition over a host's batches, without a statement and without an
//! optimizer.
//!
//! An [`Operator`] is what will run: a stream, and what is done to its rows, step after step, in the order in which the steps were asked for.
//! Steps that are put onto one another run in one query, as the nodes of a statement's plan do: no batch leaves the engine in between.
//!
//! ```
//! use std::sync::Arc;
//! use arrow::array::{Int64Array, RecordBatch, RecordBatchIterator};
//! use plasmon::operators::{AggregateCall, Operator, Untyped};
//! use plasmon::{Config, Session};
//!
//! let batch = RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![1, 2, 3, 4])) as _)])?;
//! let stream = RecordBatchIterator::new([Ok(batch.clone())], batch.schema());
//! let session = Session::new(Config::default())?;
//! let sum = AggregateCall { name: "sum".into(), arguments: vec![Untyped::name("a")], ..AggregateCall::default() };
//! let query = Operator::stream(&session, stream)
//!     .filter(&Untyped::sql("a % 2 = 0")?)?
//!     .aggregate(&[], &[Untyped::aggregate(sum)?])?
//!     .start()?;
//! assert_eq!(query.schema().field(0).name(), "sum(a)");
//! assert_eq!(query.collect()?[0].num_rows(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;

use arrow::array::RecordBatchReader;
use arrow::datatypes::SchemaRef;
use plasmon_core::admission::Admission;
pub use plasmon_core::operators::aggregate::AggregatePhase;
pub use plasmon_core::operators::join::JoinKind;
use plasmon_core::pipeline::CancelToken;
use plasmon_core::table::Table;
use plasmon_core::{Config, Result};
use plasmon_plan::ir::{Plan, Relation};
use plasmon_plan::untyped::nodes::Operators;
pub use plasmon_plan::untyped::nodes::{AggregateParts, GROUPING_ID, JoinParts, PARTITION};
pub use plasmon_plan::untyped::{AggregateCall, Order, Untyped, WindowCall};

use crate::Session;
use crate::execute::{Run, start};
use crate::query::{Query, guarded};
use crate::stream_table::StreamTable;

/// Rows and what is done to them, not started yet. Expressions are resolved, and refused, when a step is added.
#[derive(Debug, Clone)]
pub struct Operator {
    relation: Relation,
    operators: Operators,
    admission: Arc<Admission>,
    config: Config,
    cancel: CancelToken,
}

impl Operator {
    /// The rows of a stream, read once, batch by batch, while the query runs. Functions and settings are the session's as they are now.
    pub fn stream(session: &Session, reader: impl RecordBatchReader + Send + 'static) -> Self {
        Operator::table(session, Arc::new(StreamTable::new(reader)))
    }

    /// The rows of a table.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use arrow::array::{Int64Array, RecordBatch};
    /// use plasmon::operators::Operator;
    /// use plasmon::{Config, MemoryTable, Session};
    ///
    /// let batch = RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![3, 1, 2])) as _)])?;
    /// let table = Arc::new(MemoryTable::new(batch.schema(), &[batch])?);
    /// let session = Session::new(Config::default())?;
    /// assert_eq!(Operator::table(&session, table).limit(1, None)?.start()?.collect()?[0].num_rows(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn table(session: &Session, table: Arc<dyn Table>) -> Self {
        Operator {
            relation: Relation::scan("input".into(), table),
            operators: Operators::new(session.registry()),
            admission: session.admission(),
            config: session.config(),
            cancel: CancelToken::default(),
        }
    }

    /// Columns of the rows.
    pub fn schema(&self) -> SchemaRef {
        self.relation.schema.clone()
    }

    /// Settings in place of the session's.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// A token that stops the query from any thread.
    pub fn cancel(mut self, cancel: CancelToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// The query's cancel token.
    pub fn cancel_token(&self) -> CancelToken {
        self.cancel.clone()
    }

    fn step(self, make: impl FnOnce(&Operators, Relation) -> Result<Relation>) -> Result<Self> {
        let Operator { relation, operators, .. } = self;
        let relation = guarded(|| make(&operators, relation))?;
        Ok(Operator { relation, operators, ..self })
    }

    /// The rows for which `predicate`, a BOOLEAN, is true.
    ///
    /// ```
    /// # use plasmon::operators::{Operator, Untyped};
    /// # use plasmon::{Config, Session, MemoryTable};
    /// # let session = Session::new(Config::default())?;
    /// # let rows = || session.sql("SELECT value AS a FROM generate_series(1, 9)").and_then(|q| MemoryTable::new(q.schema(), &q.collect()?));
    /// let odd = Untyped::sql("a % 2 = 1")?;
    /// let query = Operator::table(&session, std::sync::Arc::new(rows()?)).filter(&odd)?.start()?;
    /// assert_eq!(query.collect()?.iter().map(|b| b.num_rows()).sum::<usize>(), 5);
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn filter(self, predicate: &Untyped) -> Result<Self> {
        self.step(|operators, input| operators.filter(input, predicate))
    }

    /// The values of `expressions`, named as SQL would name them, or by [`Untyped::named`].
    ///
    /// ```
    /// # use plasmon::operators::{Operator, Untyped};
    /// # use plasmon::{Config, Session, MemoryTable};
    /// # let session = Session::new(Config::default())?;
    /// # let rows = || session.sql("SELECT value AS a FROM generate_series(1, 9)").and_then(|q| MemoryTable::new(q.schema(), &q.collect()?));
    /// let double = Untyped::call("+", vec![Untyped::column(0), Untyped::name("a")])?.named("double")?;
    /// let projected = Operator::table(&session, std::sync::Arc::new(rows()?)).project(&[double])?;
    /// assert_eq!(projected.schema().field(0).name(), "double");
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn project(self, expressions: &[Untyped]) -> Result<Self> {
        self.step(|operators, input| operators.project(input, expressions))
    }

    /// Rows of this, the probe side, and of `build` that match. The build side is held in a hash table; the probe side streams.
    ///
    /// ```
    /// # use plasmon::operators::{JoinKind, JoinParts, Operator, Untyped};
    /// # use plasmon::{Config, Session, MemoryTable};
    /// # let session = Session::new(Config::default())?;
    /// # let rows = |n: u32| session.sql(&format!("SELECT value AS a FROM generate_series(1, {n})")).and_then(|q| MemoryTable::new(q.schema(), &q.collect()?));
    /// let probe = Operator::table(&session, std::sync::Arc::new(rows(9)?));
    /// let build = Operator::table(&session, std::sync::Arc::new(rows(4)?));
    /// let keys = vec![(Untyped::name("a"), Untyped::name("a"), false)];
    /// let parts = JoinParts { kind: JoinKind::LeftAnti, keys, residual: None, null_aware: false, columns: None };
    /// assert_eq!(probe.join(build, &parts)?.start()?.collect()?.iter().map(|b| b.num_rows()).sum::<usize>(), 5);
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn join(self, build: Operator, parts: &JoinParts) -> Result<Self> {
        self.step(|operators, probe| operators.join(probe, build.relation, parts))
    }

    /// One row a group of equal `keys`: the keys, then the result of each call.
    ///
    /// ```
    /// # use plasmon::operators::{AggregateCall, Operator, Untyped};
    /// # use plasmon::{Config, Session, MemoryTable};
    /// # let session = Session::new(Config::default())?;
    /// # let rows = || session.sql("SELECT value AS a FROM generate_series(1, 9)").and_then(|q| MemoryTable::new(q.schema(), &q.collect()?));
    /// let keys = [Untyped::sql("a % 3")?];
    /// let calls = [Untyped::sql("count(*)")?, Untyped::sql("max(a) FILTER (WHERE a < 8)")?];
    /// let query = Operator::table(&session, std::sync::Arc::new(rows()?)).aggregate(&keys, &calls)?.start()?;
    /// assert_eq!(query.collect()?.iter().map(|b| b.num_rows()).sum::<usize>(), 3);
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn aggregate(self, keys: &[Untyped], calls: &[Untyped]) -> Result<Self> {
        self.aggregate_parts(&AggregateParts {
            keys: keys.to_vec(),
            grouping_sets: Vec::new(),
            calls: calls.to_vec(),
            phase: AggregatePhase::Single,
            rows: None,
        })
    }

    /// As [`Operator::aggregate`], with grouping sets, or one phase of an aggregation that is split: a partial phase gives keys and states, which
    /// a final one, elsewhere, makes results of.
    ///
    /// ```
    /// # use plasmon::operators::{AggregateParts, AggregatePhase, Operator, Untyped};
    /// # use plasmon::{Config, Session, MemoryTable};
    /// # let session = Session::new(Config::default())?;
    /// # let rows = || session.sql("SELECT value AS a FROM generate_series(1, 9)").and_then(|q| MemoryTable::new(q.schema(), &q.collect()?));
    /// let input = Operator::table(&session, std::sync::Arc::new(rows()?));
    /// let rows = Some(input.schema());
    /// let (keys, calls) = (vec![Untyped::sql("a % 3")?], vec![Untyped::sql("avg(a)")?]);
    /// let partial = AggregateParts { keys, calls, grouping_sets: Vec::new(), phase: AggregatePhase::Partial, rows: None };
    /// let last = AggregateParts { phase: AggregatePhase::Final, rows, ..partial.clone() };
    /// let states = input.aggregate_parts(&partial)?;
    /// assert_eq!(states.schema().fields().len(), 3); // the key, a count, a sum
    /// let query = states.aggregate_parts(&last)?.start()?;
    /// assert_eq!(query.collect()?.iter().map(|b| b.num_rows()).sum::<usize>(), 3);
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn aggregate_parts(self, parts: &AggregateParts) -> Result<Self> {
        self.step(|operators, input| operators.aggregate(input, parts))
    }

    /// The rows in the order of `keys`, the first `offset` left out, at most `fetch` given (top-N). What is put onto it sees the order as long as it
    /// keeps it: filter, project, limit.
    ///
    /// ```
    /// # use plasmon::operators::{Operator, Order, Untyped};
    /// # use plasmon::{Config, Session, MemoryTable};
    /// # let session = Session::new(Config::default())?;
    /// # let rows = || session.sql("SELECT value AS a FROM generate_series(1, 9)").and_then(|q| MemoryTable::new(q.schema(), &q.collect()?));
    /// let largest = [Order::descending(Untyped::name("a"))];
    /// let query = Operator::table(&session, std::sync::Arc::new(rows()?)).sort(&largest, 1, Some(2))?.start()?;
    /// let rows = query.collect()?;
    /// assert_eq!(arrow::array::cast::as_primitive_array::<arrow::datatypes::Int64Type>(rows[0].column(0)).values(), &[8, 7]);
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn sort(self, keys: &[Order], offset: usize, fetch: Option<usize>) -> Result<Self> {
        self.step(|operators, input| operators.sort(input, keys, offset, fetch))
    }

    /// The rows, and behind their columns one for each call over a window.
    ///
    /// ```
    /// # use plasmon::operators::{Operator, Untyped};
    /// # use plasmon::{Config, Session, MemoryTable};
    /// # let session = Session::new(Config::default())?;
    /// # let rows = || session.sql("SELECT value AS a FROM generate_series(1, 9)").and_then(|q| MemoryTable::new(q.schema(), &q.collect()?));
    /// let calls = [Untyped::sql("sum(a) OVER (PARTITION BY a % 2 ORDER BY a)")?.named("running")?];
    /// let windows = Operator::table(&session, std::sync::Arc::new(rows()?)).window(&calls)?;
    /// assert_eq!(windows.schema().field(1).name(), "running");
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn window(self, calls: &[Untyped]) -> Result<Self> {
        self.step(|operators, input| operators.window(input, calls))
    }

    /// All rows but the first `offset`, at most `fetch`.
    pub fn limit(self, offset: usize, fetch: Option<usize>) -> Result<Self> {
        self.step(|operators, input| Ok(operators.limit(input, offset, fetch)))
    }

    /// The rows dealt to `partitions` (1 to 4,096), each batch of rows of one partition, whose number stands in the last column, [`PARTITION`], an
    /// int32. Equal keys come to one partition, in every query and process of one version of the library; without keys, batches are dealt in turn.
    ///
    /// ```
    /// # use plasmon::operators::{Operator, Untyped};
    /// # use plasmon::{Config, Session, MemoryTable};
    /// # let session = Session::new(Config::default())?;
    /// # let rows = || session.sql("SELECT value AS a FROM generate_series(1, 9)").and_then(|q| MemoryTable::new(q.schema(), &q.collect()?));
    /// let dealt = Operator::table(&session, std::sync::Arc::new(rows()?)).partition(&[Untyped::name("a")], 4)?;
    /// for batch in dealt.start()? {
    ///     let batch = batch?;
    ///     let numbers = arrow::array::cast::as_primitive_array::<arrow::datatypes::Int32Type>(batch.column(1));
    ///     assert!(numbers.values().iter().all(|n| *n == numbers.value(0)));
    /// }
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn partition(self, keys: &[Untyped], partitions: usize) -> Result<Self> {
        self.step(|operators, input| operators.partition(input, keys, partitions))
    }

    /// Starts the query.
    pub fn start(self) -> Result<Query> {
        self.config.check()?;
        let plan = Plan { root: self.relation, subqueries: Vec::new(), shared: Vec::new() };
        let run = Run { config: self.config, cancel: self.cancel, admission: self.admission, text: "operators" };
        guarded(|| start(plan, &run))
    }
}
