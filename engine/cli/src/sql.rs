//! `plasmon sql`, `plasmon explain`, `plasmon functions`.

use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use arrow::array::BooleanArray;
use arrow::util::display::array_value_to_string;
use plasmon::plan::substrait::Format as Substrait;
use plasmon::{Config, Driver, Error, Session, Source, Statement};

use crate::arguments::{DriverChoice, EngineOptions, ExplainOptions, Format, PlanFormat, SqlOptions};
use crate::failure::{Failure, Usage, with_hint};
use crate::output::{Printer, check_target, print_text};
use crate::progress::Watch;
use crate::suite::register_tables;
use crate::table::TableText;
use crate::tpch::TABLES;

/// A session with the command line's settings.
pub(crate) fn session(engine: &EngineOptions) -> Result<Session, Failure> {
    let default = Config::default();
    let config = Config {
        threads: engine.threads.unwrap_or(default.threads),
        memory_bytes: engine.memory,
        driver: if engine.driver == DriverChoice::Inline { Driver::Inline } else { Driver::Pool },
        ..default
    };
    Ok(Session::new(config)?)
}

/// The SQL text that the options name: an argument, a file, or standard input.
fn text(text: Option<&str>, file: Option<&Path>) -> Result<String, Failure> {
    match (file, text) {
        (Some(path), _) if path == Path::new("-") => read_standard_input(),
        (Some(path), _) => Ok(std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?),
        (None, Some("-")) => read_standard_input(),
        (None, Some(text)) => Ok(text.to_string()),
        (None, None) if std::io::stdin().is_terminal() => {
            Err(Usage("no statement: give it as an argument, with --file FILE, or on standard input".to_string())
                .into())
        }
        (None, None) => read_standard_input(),
    }
}

fn read_standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|e| format!("standard input: {e}"))?;
    Ok(text)
}

/// Runs the statements in order; the first failure ends the command.
pub(crate) fn run(engine: &EngineOptions, options: &SqlOptions) -> Result<ExitCode, Failure> {
    check_target(options.format, options.output.as_deref())?;
    let has_text = options.text.is_some() || options.file.is_some();
    let has_text = has_text || (options.substrait.is_none() && options.plan.is_none());
    let text = if has_text { text(options.text.as_deref(), options.file.as_deref())? } else { String::new() };
    let session = session(engine)?;
    let read = |path: &Path| std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
    let plan = options.substrait.as_deref().or(options.plan.as_deref()).map(read).transpose()?;
    let source = plan.as_deref().map(if options.plan.is_some() { Source::Plan } else { Source::Substrait });
    let texts = session.split(&text)?;
    let statements = texts.iter().map(|text| session.statement(text));
    let statements: Vec<Statement<'_>> = statements.chain(source.map(|source| session.statement_of(source))).collect();
    let last = statements.len().saturating_sub(1);
    for (index, statement) in statements.into_iter().enumerate() {
        let start = Instant::now();
        let output = if index == last { options.output.as_deref() } else { None };
        run_statement(&session, statement, options.format, output)?;
        if options.timing {
            eprintln!("{:.3} s", start.elapsed().as_secs_f64());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn run_statement(
    session: &Session,
    statement: Statement<'_>,
    format: Format,
    output: Option<&Path>,
) -> Result<(), Failure> {
    let query = statement.run().map_err(|e| with_hint(session, e))?;
    if query.schema().fields().is_empty() {
        query.collect()?;
        return Ok(());
    }
    // Rows that stream to the terminal and a bar would be in each other's way.
    let quiet = format == Format::Table || output.is_some() || !std::io::stdout().is_terminal();
    let watch = quiet.then(|| Watch::start(query.monitor()));
    let mut printer = Printer::new(format, query.schema(), output)?;
    for batch in query {
        printer.write(&batch?)?;
    }
    drop(watch);
    match (printer.finish()?, output) {
        (Some(table), Some(path)) => {
            std::fs::write(path, table.full()?).map_err(|e| format!("{}: {e}", path.display()))?
        }
        (Some(table), None) => print_table(&table)?,
        (None, _) => {}
    }
    Ok(())
}

/// A table on standard output: fitted to a terminal's width, whole in a pipe.
fn print_table(table: &TableText) -> Result<(), Failure> {
    let width = std::io::stdout().is_terminal().then(|| console::Term::stdout().size_checked()).flatten();
    print_text(&match width {
        Some((_, columns)) => table.fitted(usize::from(columns))?,
        None => table.full()?,
    });
    Ok(())
}

/// Prints EXPLAIN's text as it is, or the plan as Substrait.
pub(crate) fn explain(engine: &EngineOptions, options: &ExplainOptions) -> Result<ExitCode, Failure> {
    let text = text(options.text.as_deref(), options.file.as_deref())?;
    let session = session(engine)?;
    if let Some(data) = &options.data {
        register_tables(&session, data, TABLES)?;
    }
    let statements = session.split(&text)?;
    let [statement] = &statements[..] else {
        return Err(Usage(format!("explain takes one statement, not {}", statements.len())).into());
    };
    let format = match options.format {
        PlanFormat::Text => "TEXT",
        PlanFormat::Json => "JSON",
        PlanFormat::Html => "HTML",
        PlanFormat::Plan | PlanFormat::Substrait | PlanFormat::SubstraitJson => {
            return write_plan(&session, statement, options);
        }
    };
    let mut parts = vec![format!("FORMAT {format}")];
    parts.extend(options.analyze.then(|| "ANALYZE".to_string()));
    parts.extend(options.verbose.then(|| "VERBOSE".to_string()));
    let statement = format!("EXPLAIN ({}) {statement}", parts.join(", "));
    let mut plan = String::new();
    for batch in session.sql(&statement).map_err(|e| with_hint(&session, e))? {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            plan += &array_value_to_string(batch.column(batch.num_columns() - 1), row)?;
            plan.push('\n');
        }
    }
    match &options.output {
        Some(path) => std::fs::write(path, plan).map_err(|e| format!("{}: {e}", path.display()))?,
        None => print_text(&plan),
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a query's plan, for an engine to run.
fn write_plan(session: &Session, statement: &str, options: &ExplainOptions) -> Result<ExitCode, Failure> {
    if options.analyze || options.verbose {
        return Err(Usage("a plan to be run has neither --analyze nor --verbose".to_string()).into());
    }
    let is_text = options.format == PlanFormat::SubstraitJson;
    if !is_text && options.output.is_none() && std::io::stdout().is_terminal() {
        return Err(Usage("a plan is no text: give --output FILE, or send it into a pipe".to_string()).into());
    }
    let statement = session.statement(statement);
    let plan = match options.format {
        PlanFormat::Substrait => statement.to_substrait(Substrait::Binary),
        PlanFormat::SubstraitJson => statement.to_substrait(Substrait::Json),
        _ => statement.plan_bytes().and_then(|plan| plan.ok_or_else(|| Error::user("the statement is no query"))),
    };
    let plan = plan.map_err(|e| with_hint(session, e))?;
    match &options.output {
        Some(path) => std::fs::write(path, plan).map_err(|e| format!("{}: {e}", path.display()))?,
        None => std::io::stdout().write_all(&plan).map_err(|e| format!("standard output: {e}"))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Lists functions by name.
pub(crate) fn functions(engine: &EngineOptions, pattern: Option<&str>) -> Result<ExitCode, Failure> {
    let session = session(engine)?;
    let wanted = pattern.unwrap_or_default().to_lowercase();
    let query = session.sql("SHOW FUNCTIONS")?;
    let mut table = TableText::new(query.schema());
    for batch in query {
        let batch = batch?;
        let keep: BooleanArray = (0..batch.num_rows())
            .map(|row| Some(array_value_to_string(batch.column(0), row).is_ok_and(|name| name.contains(&wanted))))
            .collect();
        table.add(&arrow::compute::filter_record_batch(&batch, &keep)?);
    }
    print_table(&table)?;
    Ok(ExitCode::SUCCESS)
}
