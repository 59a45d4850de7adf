//! Statements: a text or a plan, and what it is to run with, then its schema, its plan, or its run.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arrow::datatypes::Schema;
use plasmon::core::pipeline::CancelToken;
use plasmon::core::table::Table;
use plasmon::plan::sql::{ExplainFormat, ExplainOptions};
use plasmon::{Config, Parameter, Session, Source, Statement, StreamTable};
use plasmon_boundary::arrow::{ArrowArray, ArrowArrayStream, ArrowSchema, export_schema, import_rows, import_stream};
use plasmon_boundary::guard::guarded;
use plasmon_boundary::handle::{self, Object, lock};
use plasmon_boundary::host::{require, write};
use plasmon_boundary::{Failure, Result, text};

use crate::bytes::plasmon_bytes;
use crate::query::QueryObject;
use crate::session::session_of;
use crate::{plasmon_query, plasmon_session, plasmon_statement};

/// How `plasmon_statement_explain` shows a plan.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum plasmon_explain_format {
    /// An indented tree.
    Text = 0,
    /// `{"sections": [{"title", "plan"}], "planning": […]}`.
    Json = 1,
    /// One self-contained page with a picture.
    Html = 2,
}

pub(crate) struct StatementObject {
    pub(crate) session: Arc<Session>,
    state: Mutex<State>,
}

/// What the statement is made from.
pub(crate) enum Text {
    Sql(String),
    Plan(Vec<u8>),
    Substrait(Vec<u8>),
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) text: Option<Text>,
    parameters: Vec<Parameter>,
    streams: BTreeMap<String, Arc<dyn Table>>,
    settings: Vec<(String, String)>,
    deadline: Option<Duration>,
}

impl Object for StatementObject {
    const KIND: u8 = 2;
    const NAME: &'static str = "a statement";
}

impl StatementObject {
    /// Makes `table` the one of that name for this statement, by a name of any case.
    pub(crate) fn bind(&self, name: &str, table: Arc<dyn Table>) -> Result<()> {
        self.state()?.streams.insert(name.to_lowercase(), table);
        Ok(())
    }

    pub(crate) fn state(&self) -> Result<MutexGuard<'_, State>> {
        lock(&self.state, "the statement")
    }
}

impl State {
    /// The engine's statement of this state, under the session's settings and its own.
    pub(crate) fn statement<'a>(&'a self, session: &'a Session) -> Result<Statement<'a>> {
        let source = match &self.text {
            Some(Text::Sql(sql)) => Source::Sql(sql),
            Some(Text::Plan(bytes)) => Source::Plan(bytes),
            Some(Text::Substrait(plan)) => Source::Substrait(plan),
            None => return Err(Failure::state("the statement has no text and no plan yet")),
        };
        let mut statement = session.statement_of(source).parameters(self.parameters.clone());
        for (name, table) in &self.streams {
            statement = statement.table(name, table.clone());
        }
        Ok(match self.settings.is_empty() {
            true => statement,
            false => statement.config(self.config(session)?),
        })
    }

    fn config(&self, session: &Session) -> Result<Config> {
        let mut config = session.config();
        self.settings.iter().try_for_each(|(name, value)| config.set(name, value))?;
        Ok(config)
    }
}

/// Begins a statement of `session`. Close it with `plasmon_statement_close`. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_statement_open(session: plasmon_session, out: *mut plasmon_statement) -> i32 {
    guarded(|| {
        require(out, "out")?;
        let id = handle::open(StatementObject { session: session_of(session)?, state: Mutex::default() });
        // SAFETY: ABI.md, "Pointers".
        unsafe { write(out, plasmon_statement { id }, "out") }
    })
}

/// Closes a statement and releases the streams that no query has taken. Queries that it started live on. Since ABI 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn plasmon_statement_close(statement: plasmon_statement) -> i32 {
    guarded(|| handle::close::<StatementObject>(statement.id).map(drop))
}

/// Sets the text: one SQL statement of `length` bytes, or up to its zero when `length` is negative. It is copied. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_statement_set_sql(
    statement: plasmon_statement,
    sql: *const c_char,
    length: i64,
) -> i32 {
    guarded(|| {
        // SAFETY: ABI.md, "Pointers".
        let sql = unsafe { text::borrow(sql, length, "sql")? };
        handle::get::<StatementObject>(statement.id)?.state()?.text = Some(Text::Sql(sql.to_string()));
        Ok(())
    })
}

/// Sets a plan in place of a text: `length` bytes in the library's own format, `plan.proto`, which are copied. It reads tables of the session and streams
/// that are bound to the statement, by name; whether it can be run is told by the calls that plan it, with the node that is to blame in `plan_path`.
/// Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_statement_set_plan(
    statement: plasmon_statement,
    bytes: *const u8,
    length: u64,
) -> i32 {
    guarded(|| {
        // SAFETY: ABI.md, "Pointers".
        let bytes = unsafe { text::borrow_bytes(bytes, length, "bytes")? };
        handle::get::<StatementObject>(statement.id)?.state()?.text = Some(Text::Plan(bytes.to_vec()));
        Ok(())
    })
}

/// The optimized plan in the library's own format, for `plasmon_statement_set_plan`; an error when the statement is no query. Free `out` with
/// `plasmon_bytes_free`. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_statement_plan(statement: plasmon_statement, out: *mut plasmon_bytes) -> i32 {
    guarded(|| {
        require(out, "out")?;
        let object = handle::get::<StatementObject>(statement.id)?;
        let bytes = object.state()?.statement(&object.session)?.plan_bytes()?;
        let bytes = bytes.ok_or_else(|| plasmon::Error::user("the statement is no query, so it has no plan"))?;
        // SAFETY: ABI.md, "Pointers".
        unsafe { write(out, plasmon_bytes::give(bytes), "out") }
    })
}

/// Changes a setting for this statement alone; names are those of `plasmon_session_set`, without object stores. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_statement_set(
    statement: plasmon_statement,
    name: *const c_char,
    value: *const c_char,
) -> i32 {
    guarded(|| {
        // SAFETY: ABI.md, "Pointers".
        let (name, value) = unsafe { (text::borrow(name, -1, "name")?, text::borrow(value, -1, "value")?) };
        Config::default().set(name, value)?;
        let statement = handle::get::<StatementObject>(statement.id)?;
        statement.state()?.settings.push((name.to_string(), value.to_string()));
        Ok(())
    })
}

/// Runs of the statement fail with `PLASMON_CODE_DEADLINE` when they take longer than `milliseconds`; 0 = no deadline. Since ABI 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn plasmon_statement_set_deadline(statement: plasmon_statement, milliseconds: u64) -> i32 {
    guarded(|| {
        let statement = handle::get::<StatementObject>(statement.id)?;
        statement.state()?.deadline = (milliseconds > 0).then(|| Duration::from_millis(milliseconds));
        Ok(())
    })
}

/// Makes `stream` the table `name` of this statement, before any of the session's of that name: read batch by batch while the statement runs, once.
/// The stream is taken over in every case; its callbacks run on the library's threads, one at a time. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_statement_bind_stream(
    statement: plasmon_statement,
    name: *const c_char,
    stream: *mut ArrowArrayStream,
) -> i32 {
    guarded(|| {
        // First of all, so that it is released whatever else is wrong.
        // SAFETY: ABI.md, "Pointers".
        let reader = unsafe { import_stream(stream)? };
        // SAFETY: as above.
        let name = unsafe { text::borrow(name, -1, "name")? };
        handle::get::<StatementObject>(statement.id)?.bind(name, Arc::new(StreamTable::new(reader)))
    })
}

/// Sets the values of `$1`, `$2` …: the columns of a struct array of one row. Both structs are taken over in every case. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_statement_bind_parameters(
    statement: plasmon_statement,
    schema: *mut ArrowSchema,
    array: *mut ArrowArray,
) -> i32 {
    guarded(|| {
        // SAFETY: ABI.md, "Pointers".
        let batch = unsafe { import_rows(schema, array)? };
        if batch.num_rows() != 1 {
            return Err(Failure::argument(format!("parameters are one row, not {}", batch.num_rows())));
        }
        let parameters =
            batch.columns().iter().map(|c| Parameter::new(c.clone())).collect::<plasmon::Result<Vec<_>>>()?;
        handle::get::<StatementObject>(statement.id)?.state()?.parameters = parameters;
        Ok(())
    })
}

/// The columns of the result, found by planning alone; no columns when the statement gives none. The host releases `out`. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_statement_schema(statement: plasmon_statement, out: *mut ArrowSchema) -> i32 {
    guarded(|| {
        require(out, "out")?;
        let object = handle::get::<StatementObject>(statement.id)?;
        let schema = object.state()?.statement(&object.session)?.schema()?;
        let exported = export_schema(&schema.unwrap_or_else(|| Arc::new(Schema::empty())))?;
        // SAFETY: ABI.md, "Pointers".
        unsafe { write(out, exported, "out") }
    })
}

/// The plan made readable, in a `plasmon_explain_format`. Free `*out` with `plasmon_text_free`. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_statement_explain(
    statement: plasmon_statement,
    format: i32,
    out: *mut *mut c_char,
) -> i32 {
    guarded(|| {
        require(out, "out")?;
        let format = match format {
            f if f == plasmon_explain_format::Text as i32 => ExplainFormat::Text,
            f if f == plasmon_explain_format::Json as i32 => ExplainFormat::Json,
            f if f == plasmon_explain_format::Html as i32 => ExplainFormat::Html,
            other => return Err(Failure::argument(format!("format {other} is no plasmon_explain_format"))),
        };
        let object = handle::get::<StatementObject>(statement.id)?;
        let options = ExplainOptions { format, ..ExplainOptions::default() };
        let shown = object.state()?.statement(&object.session)?.explain(options)?;
        // SAFETY: ABI.md, "Pointers".
        unsafe { write(out, text::terminated(&shown).into_raw(), "out") }
    })
}

/// Frees a text that a function gave; null is allowed. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_text_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: ABI.md, "Texts": it came from this library, once.
        drop(unsafe { std::ffi::CString::from_raw(text) });
    }
}

/// Plans the statement and starts it. Statements without rows (CREATE, SET, COPY …) are done when this returns, and give a query of no rows. Streams
/// that the statement reads are used up. Close `out` with `plasmon_query_close`. Since ABI 1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_statement_execute(statement: plasmon_statement, out: *mut plasmon_query) -> i32 {
    guarded(|| {
        require(out, "out")?;
        let object = handle::get::<StatementObject>(statement.id)?;
        let state = object.state()?;
        let cancel = CancelToken::default().with_deadline(state.deadline);
        let query = state.statement(&object.session)?.cancel(cancel).run()?;
        let id = handle::open(QueryObject::new(query));
        // SAFETY: ABI.md, "Pointers".
        unsafe { write(out, plasmon_query { id }, "out") }
    })
}
