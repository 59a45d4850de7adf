//! Executions: a statement run once, or once for every row of what is bound to it, its results one stream.

use std::sync::{Arc, Mutex};

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::SchemaRef;
use plasmon::core::pipeline::CancelToken;
use plasmon::{Config, Monitor, Parameter, Progress, Query, Source};
use plasmon_boundary::arrow::StreamReader;

use crate::connection::Link;
use crate::error::Result;

/// What other threads see of an execution.
pub(crate) struct Execution {
    /// Of all runs.
    token: CancelToken,
    /// Of the present run.
    monitor: Mutex<Option<Monitor>>,
}

impl Execution {
    /// One that `token` stops.
    pub(crate) fn new(token: CancelToken) -> Arc<Self> {
        Arc::new(Execution { token, monitor: Mutex::default() })
    }

    /// What stops it.
    pub(crate) fn token(&self) -> &CancelToken {
        &self.token
    }

    /// Stops it within one batch.
    pub(crate) fn cancel(&self) {
        self.token.cancel();
    }

    /// What its present run has done so far; `None` before it began.
    pub(crate) fn progress(&self) -> Option<Progress> {
        self.monitor.lock().unwrap_or_else(|e| e.into_inner()).as_ref().map(Monitor::progress)
    }
}

/// Values that a host has bound to a statement.
pub(crate) enum Bound {
    /// They can be read again and again.
    Batch(RecordBatch),
    /// They can be read once.
    Stream(StreamReader),
}

impl Bound {
    /// Types of the values.
    pub(crate) fn schema(&self) -> SchemaRef {
        match self {
            Bound::Batch(batch) => batch.schema(),
            Bound::Stream(stream) => arrow::array::RecordBatchReader::schema(stream),
        }
    }
}

/// The values of each run of a statement.
pub(crate) enum Parameters {
    /// One run without parameters; whether it is still to come.
    None { is_due: bool },
    /// A run for each row, with these columns of it.
    Rows { bound: Bound, columns: Vec<usize>, batch: Option<RecordBatch>, row: usize },
}

impl Parameters {
    /// The given columns of what is bound, or nothing.
    pub(crate) fn new(bound: Option<Bound>, columns: Vec<usize>) -> Self {
        match bound {
            None => Parameters::None { is_due: true },
            Some(Bound::Batch(batch)) => {
                let bound = Bound::Batch(batch.slice(0, 0));
                Parameters::Rows { bound, columns, batch: Some(batch), row: 0 }
            }
            Some(stream) => Parameters::Rows { bound: stream, columns, batch: None, row: 0 },
        }
    }

    /// The values of the next run; `None` when there is none.
    fn next(&mut self) -> Result<Option<Vec<Parameter>>> {
        let (bound, columns, batch, row) = match self {
            Parameters::None { is_due } => return Ok(std::mem::take(is_due).then(Vec::new)),
            Parameters::Rows { bound, columns, batch, row } => (bound, columns, batch, row),
        };
        loop {
            if let Some(present) = batch.as_ref().filter(|b| *row < b.num_rows()) {
                let at = *row;
                *row += 1;
                let values = columns.iter().map(|&column| Parameter::new(present.column(column).slice(at, 1)));
                return Ok(Some(values.collect::<plasmon::Result<_>>()?));
            }
            *row = 0;
            *batch = match bound {
                Bound::Batch(_) => None,
                Bound::Stream(stream) => stream.read()?,
            };
            if batch.is_none() {
                return Ok(None);
            }
        }
    }

    /// Nulls of the bound types: enough to find the columns of a result that no row asks for.
    fn nulls(&self) -> Result<Vec<Parameter>> {
        let Parameters::Rows { bound, columns, .. } = self else { return Ok(Vec::new()) };
        nulls(&bound.schema(), columns)
    }
}

/// A null for each of the columns.
pub(crate) fn nulls(schema: &SchemaRef, columns: &[usize]) -> Result<Vec<Parameter>> {
    let values = columns.iter().map(|&column| Parameter::new(new_null_array(schema.field(column).data_type(), 1)));
    Ok(values.collect::<plasmon::Result<_>>()?)
}

/// What a statement is made from.
#[derive(Clone)]
pub(crate) enum Text {
    /// One SQL statement, its parameters numbered.
    Sql(String),
    /// A Substrait plan, which names its parameters by numbers.
    Substrait(Arc<[u8]>),
}

impl Text {
    fn source(&self) -> Source<'_> {
        match self {
            Text::Sql(sql) => Source::Sql(sql),
            Text::Substrait(plan) => Source::Substrait(plan),
        }
    }
}

/// A statement with all that its runs need.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) link: Arc<Link>,
    pub(crate) text: Text,
    pub(crate) config: Config,
    pub(crate) execution: Arc<Execution>,
}

impl Work {
    /// Hands the engine's statement to `use_it`.
    pub(crate) fn with<T>(
        &self,
        parameters: Vec<Parameter>,
        use_it: impl FnOnce(plasmon::Statement<'_>) -> plasmon::Result<T>,
    ) -> Result<T> {
        let statement = self.link.session.statement_of(self.text.source()).parameters(parameters);
        let mut statement = statement.config(self.config.clone()).cancel(self.execution.token().clone());
        for (name, table) in self.link.temporary() {
            statement = statement.table(&name, table);
        }
        Ok(use_it(statement)?)
    }

    fn run(&self, parameters: Vec<Parameter>) -> Result<Query> {
        let query = self.with(parameters, |statement| statement.run())?;
        *self.execution.monitor.lock().unwrap_or_else(|e| e.into_inner()) = Some(query.monitor());
        Ok(query)
    }
}

/// The rows of all runs, one after the other.
pub(crate) struct Rows {
    work: Work,
    parameters: Parameters,
    current: Option<Query>,
    schema: SchemaRef,
}

impl Rows {
    /// Starts the first run, which tells the columns.
    pub(crate) fn start(work: Work, mut parameters: Parameters) -> Result<Self> {
        let current = parameters.next()?.map(|values| work.run(values)).transpose()?;
        let schema = match &current {
            Some(query) => query.schema(),
            None => work
                .with(parameters.nulls()?, |s| s.schema())?
                .unwrap_or_else(|| Arc::new(arrow::datatypes::Schema::empty())),
        };
        Ok(Rows { work, parameters, current, schema })
    }

    /// Columns of the result.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Whether the statement has no rows to give: it writes or defines something.
    pub(crate) fn is_update(&self) -> bool {
        self.schema.fields().is_empty() || self.current.as_ref().is_some_and(|query| query.rows_affected().is_some())
    }

    /// Runs everything to its end; how many rows were written, when the statement tells.
    pub(crate) fn finish(mut self) -> Result<Option<u64>> {
        let mut affected = None;
        loop {
            if let Some(written) = self.current.as_ref().and_then(Query::rows_affected) {
                affected = Some(affected.unwrap_or(0) + written);
            }
            while self.batch()?.is_some() {}
            if !self.advance()? {
                return Ok(affected);
            }
        }
    }

    /// The next batch of any run.
    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.batch()? {
                return Ok(Some(batch));
            }
            if !self.advance()? {
                return Ok(None);
            }
        }
    }

    /// The next batch of the present run.
    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let Some(query) = &mut self.current else { return Ok(None) };
        let batch = query.next().transpose()?;
        if batch.is_none() {
            self.current = None;
        }
        Ok(batch)
    }

    /// Starts the next run; whether there is one.
    fn advance(&mut self) -> Result<bool> {
        let Some(values) = self.parameters.next()? else { return Ok(false) };
        let query = self.work.run(values)?;
        if query.schema() != self.schema {
            return Err(plasmon::Error::data("the statement has other columns for another row of parameters").into());
        }
        self.current = Some(query);
        Ok(true)
    }
}

impl Drop for Rows {
    /// A result that was not read to its end is stopped, and waited for on a thread of its own: the host may hold a lock (Python's) that a function
    /// of its own, which the query is calling at this moment, waits for.
    fn drop(&mut self) {
        if let Some(query) = self.current.take() {
            self.work.execution.cancel();
            // When no thread can be had, the query is dropped with the closure, here.
            let _ = std::thread::Builder::new().name("plasmon-release".to_string()).spawn(move || drop(query));
        }
    }
}
