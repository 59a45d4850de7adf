//! Statements: a text or rows to ingest, what is bound to it, options; executed to a stream or a count.

use std::ffi::c_char;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use adbc_core::constants::{
    ADBC_INGEST_OPTION_MODE, ADBC_INGEST_OPTION_TARGET_CATALOG, ADBC_INGEST_OPTION_TARGET_DB_SCHEMA,
    ADBC_INGEST_OPTION_TARGET_TABLE, ADBC_INGEST_OPTION_TEMPORARY, ADBC_STATEMENT_OPTION_INCREMENTAL,
    ADBC_STATEMENT_OPTION_MAX_PROGRESS, ADBC_STATEMENT_OPTION_PROGRESS,
};
use adbc_core::error::AdbcStatusCode;
use adbc_core::options::{IngestMode, OptionValue};
use adbc_ffi::{FFI_AdbcConnection, FFI_AdbcError, FFI_AdbcPartitions, FFI_AdbcStatement};
use arrow::datatypes::{DataType, Field, Schema};
use plasmon::Parameter;
use plasmon::plan::sql::number_parameters;
use plasmon_boundary::arrow::{
    ArrowArray, ArrowArrayStream, ArrowSchema, export_schema, export_stream, import_rows, import_stream,
};
use plasmon_boundary::handle::{Object, lock};
use plasmon_boundary::host::{require, write};
use plasmon_boundary::{Failure, text};

use crate::connection::{Link, no_partitions};
use crate::entry::{answer, object, place, required, take};
use crate::error::Result;
use crate::ingest::{Target, ingest};
use crate::options::{Options, Settings, no_value, setting_of, switch_of, text_of, unknown, value_of, wrong_value};
use crate::run::{Bound, Execution, Parameters, Rows, Text, Work, nulls};

const NAME: &str = "a statement";
/// Executions that take longer fail with a timeout; 0 = no deadline.
const DEADLINE: &str = "plasmon.deadline_milliseconds";
const BIND_BY_NAME: &str = "adbc.statement.bind_by_name";

/// The object behind an `AdbcStatement`.
pub(crate) struct StatementObject {
    link: Arc<Link>,
    state: Mutex<State>,
    settings: Settings,
    /// Beside the state, so that cancelling and watching need not wait for it.
    latest: Mutex<Weak<Execution>>,
}

#[derive(Default)]
struct State {
    /// The statements of the text, with their parameters numbered; none before there is a text.
    texts: Vec<Text>,
    /// Names of the text's parameters; several statements have none, those of a plan are not known.
    parameters: Vec<String>,
    /// Whether values are bound by the names of their columns rather than by their order.
    by_name: bool,
    target: Target,
    bound: Option<Bound>,
    deadline: Option<Duration>,
}

impl Object for StatementObject {
    const KIND: u8 = 43;
    const NAME: &'static str = NAME;
}

/// What an execution came to.
struct Outcome {
    /// Of a statement that has rows.
    rows: Option<Rows>,
    affected: Option<u64>,
}

impl StatementObject {
    fn new(link: Arc<Link>) -> Self {
        StatementObject { link, state: Mutex::default(), settings: Settings::default(), latest: Mutex::default() }
    }

    /// Whether the plan can be run is told when it is planned: by the schema, by execute.
    fn set_substrait(&self, plan: &[u8]) -> Result<()> {
        if plan.is_empty() {
            return Err(Failure::argument("an empty plan").into());
        }
        let mut state = lock(&self.state, NAME)?;
        let texts = vec![Text::Substrait(plan.into())];
        *state = State { texts, by_name: state.by_name, deadline: state.deadline, ..State::default() };
        Ok(())
    }

    fn set_sql(&self, text: &str) -> Result<()> {
        let mut state = lock(&self.state, NAME)?;
        let (mut texts, mut parameters) = (Vec::new(), Vec::new());
        for statement in self.link.session.split(text)? {
            let (numbered, names) = number_parameters(&statement)?;
            texts.push(Text::Sql(numbered));
            parameters.extend(names);
        }
        match texts.len() {
            0 => return Err(Failure::argument("the text has no SQL statement").into()),
            1 => {}
            _ if parameters.is_empty() => {}
            many => {
                return Err(
                    Failure::argument(format!("only a single statement has parameters, this text has {many}")).into()
                );
            }
        }
        *state = State { texts, parameters, by_name: state.by_name, deadline: state.deadline, ..State::default() };
        Ok(())
    }

    fn bind(&self, bound: Bound) -> Result<()> {
        lock(&self.state, NAME)?.bound = Some(bound);
        Ok(())
    }

    /// A new execution of this statement, which cancels and progress are about from now on.
    fn begin(&self, state: &State) -> Arc<Execution> {
        let execution = Execution::new(self.link.token().with_deadline(state.deadline));
        *self.latest.lock().unwrap_or_else(|e| e.into_inner()) = Arc::downgrade(&execution);
        execution
    }

    fn latest(&self) -> Option<Arc<Execution>> {
        self.latest.lock().unwrap_or_else(|e| e.into_inner()).upgrade()
    }

    /// The last statement of the text with all that it needs, and those before it.
    fn work<'a>(&self, state: &'a State) -> Result<(Work, &'a [Text])> {
        let (text, before) =
            state.texts.split_last().ok_or_else(|| Failure::state("the statement has no SQL query yet"))?;
        let mut config = self.link.config()?;
        self.settings.apply(&mut config)?;
        Ok((Work { link: self.link.clone(), text: text.clone(), config, execution: self.begin(state) }, before))
    }

    fn execute(&self, has_reader: bool) -> Result<Outcome> {
        let mut state = lock(&self.state, NAME)?;
        if state.target.table.is_some() {
            let execution = self.begin(&state);
            let bound = taken(&mut state).ok_or_else(|| Failure::state("bulk ingest with nothing bound"))?;
            let affected = ingest(&self.link, &state.target, bound, execution.token())?;
            return Ok(Outcome { rows: None, affected: Some(affected) });
        }
        let bound = taken(&mut state);
        let order = parameter_order(&state, bound.as_ref())?;
        let (work, before) = self.work(&state)?;
        for text in before {
            Rows::start(Work { text: text.clone(), ..work.clone() }, Parameters::new(None, Vec::new()))?.finish()?;
        }
        let rows = Rows::start(work, Parameters::new(bound, order))?;
        if has_reader && !rows.is_update() {
            return Ok(Outcome { rows: Some(rows), affected: None });
        }
        Ok(Outcome { rows: None, affected: rows.finish()? })
    }

    /// The columns of the result. Parameters that nothing is bound to are taken as nulls.
    fn execute_schema(&self) -> Result<Schema> {
        let state = lock(&self.state, NAME)?;
        let (work, _) = self.work(&state)?;
        let values = match &state.bound {
            Some(bound) => nulls(&bound.schema(), &parameter_order(&state, Some(bound))?)?,
            None => state.parameters.iter().map(|_| Parameter::null()).collect(),
        };
        Ok(work.with(values, |s| s.schema())?.map_or_else(Schema::empty, |schema| schema.as_ref().clone()))
    }

    /// Checks the text as far as that is possible without values.
    fn prepare(&self) -> Result<()> {
        let state = lock(&self.state, NAME)?;
        let (work, before) = self.work(&state)?;
        let is_plan = matches!(state.texts[..], [Text::Substrait(_)]);
        if state.parameters.is_empty() && before.is_empty() && !is_plan {
            work.with(Vec::new(), |s| s.schema())?;
        }
        Ok(())
    }

    fn parameter_schema(&self) -> Result<Schema> {
        let state = lock(&self.state, NAME)?;
        if state.texts.is_empty() {
            return Err(Failure::state("the statement has no SQL query yet").into());
        }
        Ok(Schema::new(state.parameters.iter().map(|name| Field::new(name, DataType::Null, true)).collect::<Vec<_>>()))
    }

    fn cancel(&self) -> Result<()> {
        let execution = self.latest().ok_or_else(|| Failure::state("nothing of the statement runs"))?;
        execution.cancel();
        Ok(())
    }

    fn progress(&self, key: &str) -> Result<OptionValue> {
        let seen = self.latest().and_then(|e| e.progress()).ok_or_else(|| no_value(key, NAME))?;
        let rows = if key == ADBC_STATEMENT_OPTION_PROGRESS { seen.rows_read } else { seen.rows_total.unwrap_or(0) };
        Ok(OptionValue::Double(rows as f64))
    }
}

/// What is bound, for an execution: a batch stays for the next one, a stream is used up.
fn taken(state: &mut State) -> Option<Bound> {
    let bound = state.bound.take()?;
    if let Bound::Batch(batch) = &bound {
        state.bound = Some(Bound::Batch(batch.clone()));
    }
    Some(bound)
}

/// For each parameter, which column of what is bound it takes.
fn parameter_order(state: &State, bound: Option<&Bound>) -> Result<Vec<usize>> {
    let wanted = state.parameters.len();
    let Some(bound) = bound else {
        return match wanted {
            0 => Ok(Vec::new()),
            _ => {
                Err(Failure::state(format!("the statement has {wanted} parameters and nothing is bound to it")).into())
            }
        };
    };
    let schema = bound.schema();
    let given = schema.fields().len();
    if matches!(state.texts[..], [Text::Substrait(_)]) {
        return Ok((0..given).collect());
    }
    if !state.by_name {
        return match given < wanted {
            true => Err(Failure::argument(format!("the statement has {wanted} parameters, {given} are bound")).into()),
            false => Ok((0..wanted).collect()),
        };
    }
    let columns = state.parameters.iter().map(|name| {
        let found = schema.index_of(name).or_else(|_| schema.index_of(name.trim_start_matches('$')));
        Ok(found.map_err(|_| Failure::argument(format!("no value is bound to parameter {name}")))?)
    });
    columns.collect()
}

impl Options for StatementObject {
    fn set(&self, key: &str, value: OptionValue) -> Result<()> {
        if let (Some(name), true) = (setting_of(key), key != DEADLINE) {
            return self.settings.set(name, text_of(key, &value)?);
        }
        let mut state = lock(&self.state, NAME)?;
        let target = &mut state.target;
        match key {
            ADBC_INGEST_OPTION_TARGET_TABLE => {
                target.table = Some(text_of(key, &value)?);
                state.texts = Vec::new();
            }
            ADBC_INGEST_OPTION_TARGET_CATALOG => target.catalog = Some(text_of(key, &value)?),
            ADBC_INGEST_OPTION_TARGET_DB_SCHEMA => target.db_schema = Some(text_of(key, &value)?),
            ADBC_INGEST_OPTION_TEMPORARY => target.is_temporary = switch_of(key, &value)?,
            ADBC_INGEST_OPTION_MODE => {
                let text = text_of(key, &value)?;
                target.mode = text.parse::<IngestMode>().map_err(|_| wrong_value(key, &text, "a mode of ingestion"))?;
            }
            ADBC_STATEMENT_OPTION_INCREMENTAL => {
                if switch_of(key, &value)? {
                    return Err(no_partitions());
                }
            }
            BIND_BY_NAME => state.by_name = switch_of(key, &value)?,
            DEADLINE => {
                let text = text_of(key, &value)?;
                let after = text.parse::<u64>().map_err(|_| wrong_value(key, &text, "a number of milliseconds"))?;
                state.deadline = (after > 0).then(|| Duration::from_millis(after));
            }
            _ => return Err(unknown(key, NAME)),
        }
        Ok(())
    }

    fn get(&self, key: &str) -> Result<OptionValue> {
        if key == ADBC_STATEMENT_OPTION_PROGRESS || key == ADBC_STATEMENT_OPTION_MAX_PROGRESS {
            return self.progress(key);
        }
        if let (Some(name), true) = (setting_of(key), key != DEADLINE) {
            let mut config = self.link.config()?;
            self.settings.apply(&mut config)?;
            return value_of(&config, name, NAME);
        }
        let state = lock(&self.state, NAME)?;
        let text = |value: Option<&String>| value.cloned().map(OptionValue::String).ok_or_else(|| no_value(key, NAME));
        match key {
            ADBC_INGEST_OPTION_TARGET_TABLE => text(state.target.table.as_ref()),
            ADBC_INGEST_OPTION_TARGET_CATALOG => text(state.target.catalog.as_ref()),
            ADBC_INGEST_OPTION_TARGET_DB_SCHEMA => text(state.target.db_schema.as_ref()),
            ADBC_INGEST_OPTION_TEMPORARY => text(Some(&state.target.is_temporary.to_string())),
            ADBC_INGEST_OPTION_MODE => text(Some(&String::from(state.target.mode))),
            ADBC_STATEMENT_OPTION_INCREMENTAL => text(Some(&false.to_string())),
            BIND_BY_NAME => text(Some(&state.by_name.to_string())),
            DEADLINE => Ok(OptionValue::Int(state.deadline.map_or(0, |after| after.as_millis() as i64))),
            _ => Err(no_value(key, NAME)),
        }
    }
}

/// `AdbcStatementNew`.
pub(crate) unsafe extern "C" fn new(
    connection: *mut FFI_AdbcConnection,
    statement: *mut FFI_AdbcStatement,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    // SAFETY: the rules of `adbc.h`, here and below.
    answer(error, || unsafe { place(statement, || Ok(StatementObject::new(object(connection)?.link()?))) })
}

/// `AdbcStatementRelease`. Streams that it gave live on.
pub(crate) unsafe extern "C" fn release(
    statement: *mut FFI_AdbcStatement,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    // SAFETY: as above.
    answer(error, || unsafe { take(statement) }.map(drop))
}

/// `AdbcStatementSetSqlQuery`.
pub(crate) unsafe extern "C" fn set_sql(
    statement: *mut FFI_AdbcStatement,
    query: *const c_char,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    // SAFETY: as above.
    answer(error, || unsafe { object(statement)?.set_sql(required(query, "query")?) })
}

/// `AdbcStatementSetSubstraitPlan`.
pub(crate) unsafe extern "C" fn set_substrait(
    statement: *mut FFI_AdbcStatement,
    plan: *const u8,
    length: usize,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    // SAFETY: as above.
    answer(error, || unsafe { object(statement)?.set_substrait(text::borrow_bytes(plan, length as u64, "plan")?) })
}

/// `AdbcStatementPrepare`.
pub(crate) unsafe extern "C" fn prepare(
    statement: *mut FFI_AdbcStatement,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    // SAFETY: as above.
    answer(error, || unsafe { object(statement)? }.prepare())
}

/// `AdbcStatementBind`: both structs are taken over in every case.
pub(crate) unsafe extern "C" fn bind(
    statement: *mut FFI_AdbcStatement,
    values: *mut ArrowArray,
    schema: *mut ArrowSchema,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    answer(error, || {
        // SAFETY: as above.
        let batch = unsafe { import_rows(schema, values)? };
        // SAFETY: as above.
        unsafe { object(statement)? }.bind(Bound::Batch(batch))
    })
}

/// `AdbcStatementBindStream`: the stream is taken over in every case.
pub(crate) unsafe extern "C" fn bind_stream(
    statement: *mut FFI_AdbcStatement,
    stream: *mut ArrowArrayStream,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    answer(error, || {
        // SAFETY: as above.
        let stream = unsafe { import_stream(stream)? };
        // SAFETY: as above.
        unsafe { object(statement)? }.bind(Bound::Stream(stream))
    })
}

/// `AdbcStatementExecuteQuery`: rows to `out`, or everything done when that is null. What has no rows to give gives a stream without columns.
pub(crate) unsafe extern "C" fn execute(
    statement: *mut FFI_AdbcStatement,
    out: *mut ArrowArrayStream,
    rows_affected: *mut i64,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    answer(error, || {
        // SAFETY: as above.
        let outcome = unsafe { object(statement)? }.execute(!out.is_null())?;
        if !rows_affected.is_null() {
            let affected = outcome.affected.and_then(|rows| i64::try_from(rows).ok()).unwrap_or(-1);
            // SAFETY: as above.
            unsafe { write(rows_affected, affected, "rows_affected")? };
        }
        if out.is_null() {
            return Ok(());
        }
        let stream = match outcome.rows {
            Some(mut rows) => export_stream(rows.schema(), Box::new(move || rows.next().map_err(|t| t.failure))),
            None => export_stream(Arc::new(Schema::empty()), Box::new(|| Ok(None))),
        };
        // SAFETY: as above.
        Ok(unsafe { write(out, stream, "out")? })
    })
}

/// `AdbcStatementExecuteSchema`.
pub(crate) unsafe extern "C" fn execute_schema(
    statement: *mut FFI_AdbcStatement,
    out: *mut ArrowSchema,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    // SAFETY: as above.
    unsafe { write_schema(statement, out, error, StatementObject::execute_schema) }
}

/// `AdbcStatementGetParameterSchema`: names in order; types are found when values are there.
pub(crate) unsafe extern "C" fn parameter_schema(
    statement: *mut FFI_AdbcStatement,
    out: *mut ArrowSchema,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    // SAFETY: as above.
    unsafe { write_schema(statement, out, error, StatementObject::parameter_schema) }
}

unsafe fn write_schema(
    statement: *mut FFI_AdbcStatement,
    out: *mut ArrowSchema,
    error: *mut FFI_AdbcError,
    make: impl FnOnce(&StatementObject) -> Result<Schema>,
) -> AdbcStatusCode {
    answer(error, || {
        require(out, "schema")?;
        // SAFETY: as above.
        let schema = export_schema(&make(&*unsafe { object(statement)? })?)?;
        // SAFETY: as above.
        Ok(unsafe { write(out, schema, "schema")? })
    })
}

/// `AdbcStatementExecutePartitions`.
pub(crate) unsafe extern "C" fn execute_partitions(
    statement: *mut FFI_AdbcStatement,
    _schema: *mut ArrowSchema,
    _partitions: *mut FFI_AdbcPartitions,
    _rows_affected: *mut i64,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    answer(error, || {
        // SAFETY: as above.
        unsafe { object(statement)? };
        Err(no_partitions())
    })
}

/// `AdbcStatementCancel`: from any thread, also while the statement executes or its stream is read.
pub(crate) unsafe extern "C" fn cancel(statement: *mut FFI_AdbcStatement, error: *mut FFI_AdbcError) -> AdbcStatusCode {
    // SAFETY: as above.
    answer(error, || unsafe { object(statement)? }.cancel())
}
