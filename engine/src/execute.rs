//! Statements that are no plain query: definitions, settings, COPY, EXPLAIN, SHOW.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use plasmon_core::admission::Admission;
use plasmon_core::config::Setting;
use plasmon_core::pipeline::{CancelToken, TaskContext};
use plasmon_core::{Config, Error, Result};
use plasmon_io as io;
use plasmon_plan::explain::{Measurement, explain};
use plasmon_plan::ir::Plan;
use plasmon_plan::sql::{CopyTo, CreateExternalTable, Statement};

use crate::Session;
use crate::catalog::Entry;
use crate::journal::Journal;
use crate::memory_table::MemoryTable;
use crate::query::Query;

/// What a statement runs under.
pub(crate) struct Run<'a> {
    pub(crate) config: Config,
    pub(crate) cancel: CancelToken,
    /// The session's budget, and who shares it.
    pub(crate) admission: Arc<Admission>,
    /// What runs, for the log.
    pub(crate) text: &'a str,
}

/// Columns: their names and types.
type Fields<'a> = &'a [(&'a str, DataType)];

const PLAN: Fields<'static> = &[("plan", DataType::Utf8)];
const COLUMNS: Fields<'static> =
    &[("column_name", DataType::Utf8), ("data_type", DataType::Utf8), ("is_nullable", DataType::Boolean)];
const TABLES: Fields<'static> =
    &[("table_name", DataType::Utf8), ("kind", DataType::Utf8), ("details", DataType::Utf8)];
const FUNCTIONS: Fields<'static> = &[("function_name", DataType::Utf8), ("kind", DataType::Utf8)];
const SETTINGS: Fields<'static> =
    &[("name", DataType::Utf8), ("value", DataType::Utf8), ("description", DataType::Utf8)];

/// Runs one planned statement.
pub(crate) fn execute(session: &Session, statement: Statement, run: &Run<'_>) -> Result<Query> {
    match statement {
        Statement::Query(plan) => start(plan, run),
        Statement::Explain { plan, options, passes } => {
            let measured = if options.analyze { Some(measure(plan.clone(), run)?) } else { None };
            let text = match &measured {
                Some((plan, measurement)) => explain(plan, options, &passes, Some(measurement)),
                None => explain(&plan, options, &passes, None),
            };
            table(PLAN, vec![texts(std::iter::once(text.as_str()))])
        }
        Statement::CreateExternalTable(create) => create_external_table(session, &create),
        Statement::CreateView { name, view, or_replace, if_not_exists, .. } => {
            define(session, &name, or_replace, if_not_exists, || Ok(Entry::View(view.sql)))
        }
        Statement::CreateTable { name, plan, or_replace, if_not_exists } => {
            define(session, &name, or_replace, if_not_exists, || {
                let schema = plan.root.schema.clone();
                let batches = start(plan, run)?.collect()?;
                Ok(Entry::Memory(Arc::new(MemoryTable::new(schema, &batches)?)))
            })
        }
        Statement::DropTable { name, if_exists } | Statement::DropView { name, if_exists } => {
            let name = last(&name);
            if !session.catalog.remove(&name) && !if_exists {
                return Err(Error::user(format!("there is no {name}; write DROP … IF EXISTS to ignore that")));
            }
            nothing()
        }
        Statement::Insert { name, plan, overwrite, .. } => insert(session, &last(&name), plan, overwrite, run),
        Statement::Copy(copy) => copy_to(session, copy, run),
        Statement::Describe { schema, .. } => describe(&schema),
        Statement::ShowTables { pattern } => show_tables(session, pattern.as_deref()),
        Statement::ShowFunctions { pattern } => show_functions(session, pattern.as_deref()),
        Statement::ShowSettings { name } => show_settings(session, name.as_deref()),
        Statement::Reset { name } if io::is_store_setting(&name) => {
            session.set_store_setting(&name, None);
            nothing()
        }
        Statement::Set { name, value } => {
            set(session, &name, &value)?;
            nothing()
        }
        Statement::Reset { name } => {
            let default = Config::default().settings().into_iter().find(|s| s.name == name);
            set(session, &name, &default.map_or_else(String::new, |s| s.value))?;
            nothing()
        }
    }
}

/// Columns of a statement that shows a plan, definitions or settings; `None` for others.
pub(crate) fn shown(session: &Session, statement: &Statement) -> Result<Option<SchemaRef>> {
    let fields = match statement {
        Statement::Explain { .. } => PLAN,
        Statement::Describe { .. } => COLUMNS,
        Statement::ShowTables { .. } => TABLES,
        Statement::ShowFunctions { .. } => FUNCTIONS,
        Statement::ShowSettings { name } => {
            settings(session, name.as_deref())?;
            SETTINGS
        }
        _ => return Ok(None),
    };
    Ok(Some(schema_of(fields)))
}

/// Starts a plan.
pub(crate) fn start(plan: Plan, run: &Run<'_>) -> Result<Query> {
    let schema = plan.root.schema.clone();
    let journal = Journal::open(run.text);
    let memory = run.admission.budget().below(&journal.name(), run.config.memory_bytes);
    let task = TaskContext::with_memory(run.config.clone(), run.cancel.child(), memory);
    Query::start(plan, schema, task, journal, &run.admission)
}

fn last(name: &[String]) -> String {
    name.last().cloned().unwrap_or_default()
}

/// Runs a plan for its counters alone.
fn measure(plan: Plan, run: &Run<'_>) -> Result<(Plan, Measurement)> {
    let begin = Instant::now();
    let mut query = start(plan.clone(), run)?;
    for batch in query.by_ref() {
        batch?;
    }
    let elapsed = begin.elapsed().as_nanos() as u64;
    let measurement = query.metrics(elapsed).ok_or_else(|| Error::internal("a query without pipelines"))?;
    Ok((plan, measurement))
}

fn define(
    session: &Session,
    name: &[String],
    or_replace: bool,
    if_not_exists: bool,
    entry: impl FnOnce() -> Result<Entry>,
) -> Result<Query> {
    let name = last(name);
    if if_not_exists && session.catalog.get(&name).is_some() {
        return nothing();
    }
    session.catalog.define(&name, entry()?, or_replace)?;
    nothing()
}

fn create_external_table(session: &Session, create: &CreateExternalTable) -> Result<Query> {
    define(session, &create.name, create.or_replace, create.if_not_exists, || {
        let options = io::Options {
            schema: create.schema.clone(),
            partition_columns: (!create.partition_columns.is_empty()).then(|| create.partition_columns.clone()),
            ..session.file_options(&create.options)
        };
        Ok(Entry::Table(io::open_tables(&create.locations, Some(io::Format::parse(&create.format)?), &options)?))
    })
}

fn insert(session: &Session, name: &str, plan: Plan, overwrite: bool, run: &Run<'_>) -> Result<Query> {
    let Some(Entry::Memory(table)) = session.catalog.get(name) else {
        return Err(Error::unsupported(format!(
            "INSERT INTO {name}: only in-memory tables take rows; use COPY … TO for files"
        )));
    };
    let batches = start(plan, run)?.collect()?;
    let rows = batches.iter().map(|b| b.num_rows() as u64).sum();
    if overwrite {
        let fresh = Arc::new(MemoryTable::new(plasmon_core::table::Table::schema(table.as_ref()), &batches)?);
        session.catalog.define(name, Entry::Memory(fresh), true)?;
    } else {
        table.append(&batches)?;
    }
    count(rows)
}

fn copy_to(session: &Session, copy: CopyTo, run: &Run<'_>) -> Result<Query> {
    let format = copy.format.as_deref().map(io::Format::parse).transpose()?;
    let options = session.file_options(&copy.options);
    let mut writer =
        io::Writer::create(&copy.path, format, &options, copy.plan.root.schema.clone(), &copy.partition_by)?;
    for batch in start(copy.plan, run)? {
        writer.write(&batch?)?;
    }
    count(writer.finish()?)
}

/// No columns, no rows.
fn nothing() -> Result<Query> {
    Ok(Query::ready(Arc::new(Schema::empty()), Vec::new()))
}

fn count(rows: u64) -> Result<Query> {
    let query = table(&[("count", DataType::UInt64)], vec![Arc::new(UInt64Array::from(vec![rows]))])?;
    Ok(query.having_written(rows))
}

fn schema_of(fields: Fields<'_>) -> SchemaRef {
    Arc::new(Schema::new(fields.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect::<Vec<_>>()))
}

fn table(fields: Fields<'_>, columns: Vec<ArrayRef>) -> Result<Query> {
    let schema = schema_of(fields);
    let batch = RecordBatch::try_new(schema.clone(), columns)?;
    Ok(Query::ready(schema, vec![batch]))
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn describe(schema: &SchemaRef) -> Result<Query> {
    let fields = schema.fields();
    let types: Vec<String> = fields.iter().map(|f| f.data_type().to_string()).collect();
    let columns: Vec<ArrayRef> = vec![
        texts(fields.iter().map(|f| f.name().as_str())),
        texts(types.iter().map(String::as_str)),
        Arc::new(BooleanArray::from(fields.iter().map(|f| f.is_nullable()).collect::<Vec<_>>())),
    ];
    table(COLUMNS, columns)
}

/// Whether `name` is LIKE the pattern; no pattern takes all.
fn like(name: &str, pattern: Option<&str>) -> bool {
    pattern.is_none_or(|p| plasmon_core::matches_like(name, p))
}

fn show_tables(session: &Session, pattern: Option<&str>) -> Result<Query> {
    let entries: Vec<_> = session.catalog.list().into_iter().filter(|(name, _)| like(name, pattern)).collect();
    let details: Vec<String> = entries
        .iter()
        .map(|(_, entry)| match entry {
            Entry::Table(table) => table.describe(),
            Entry::Memory(table) => plasmon_core::table::Table::describe(table.as_ref()),
            Entry::View(sql) => sql.clone(),
        })
        .collect();
    let kind = |entry: &Entry| if matches!(entry, Entry::View(_)) { "view" } else { "table" };
    let columns = vec![
        texts(entries.iter().map(|(name, _)| name.as_str())),
        texts(entries.iter().map(|(_, entry)| kind(entry))),
        texts(details.iter().map(String::as_str)),
    ];
    table(TABLES, columns)
}

fn show_functions(session: &Session, pattern: Option<&str>) -> Result<Query> {
    let registry = session.registry();
    let kinds = [
        ("scalar", registry.scalar_names()),
        ("aggregate", registry.aggregate_names()),
        ("window", registry.window_names()),
    ];
    let mut rows: Vec<(String, &str)> = kinds
        .into_iter()
        .flat_map(|(kind, names)| names.into_iter().map(move |n| (n, kind)))
        .filter(|(n, _)| like(n, pattern))
        .collect();
    rows.sort();
    let columns = vec![texts(rows.iter().map(|r| r.0.as_str())), texts(rows.iter().map(|r| r.1))];
    table(FUNCTIONS, columns)
}

/// All settings, or the one of that name.
fn settings(session: &Session, name: Option<&str>) -> Result<Vec<Setting>> {
    let mut rows = session.config().settings();
    rows.extend(session.store_settings().into_iter().map(|(name, value)| {
        // Who may see the settings need not know the keys.
        let is_secret = ["secret", "key", "token", "password"].iter().any(|word| name.contains(word));
        let value = if is_secret { "(set)".to_string() } else { value };
        Setting { name: name.into(), value, meaning: "of object stores" }
    }));
    rows.retain(|s| name.is_none_or(|n| n == s.name));
    if let (Some(name), true) = (name, rows.is_empty()) {
        return Err(Config::unknown_setting(name));
    }
    Ok(rows)
}

fn show_settings(session: &Session, name: Option<&str>) -> Result<Query> {
    let rows = settings(session, name)?;
    let columns = vec![
        texts(rows.iter().map(|s| s.name.as_ref())),
        texts(rows.iter().map(|s| s.value.as_str())),
        texts(rows.iter().map(|s| s.meaning)),
    ];
    table(SETTINGS, columns)
}

/// Changes one setting, of the engine or of object stores.
pub(crate) fn set(session: &Session, name: &str, value: &str) -> Result<()> {
    if io::is_store_setting(name) {
        session.set_store_setting(name, Some(value.to_string()));
        return Ok(());
    }
    let mut config = session.config();
    config.set(name, value)?;
    session.set_config(config)
}
