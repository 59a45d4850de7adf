//! `plasmon sql`, `plasmon explain`, `plasmon functions`.

use std::io::Read;
use std::process::ExitCode;

use plasmon::{Config, Driver, Session};

use crate::Failure;
use crate::arguments::{DriverChoice, EngineOptions, ExplainOptions, Format, SqlOptions};
use crate::output::Printer;

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

/// Runs the statements in order; the first failure ends the command.
pub(crate) fn run(engine: &EngineOptions, options: &SqlOptions) -> Result<ExitCode, Failure> {
    let text = match (&options.file, options.text.as_deref()) {
        (Some(path), _) => std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?,
        (None, Some("-")) => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text
        }
        (None, text) => text.unwrap_or_default().to_string(),
    };
    if options.format == Format::Parquet && options.output.is_none() {
        return Err("--format parquet needs --output FILE".into());
    }
    let session = session(engine)?;
    let statements = session.split(&text)?;
    let last = statements.len().saturating_sub(1);
    for (index, statement) in statements.iter().enumerate() {
        let query = session.sql(statement)?;
        if query.schema().fields().is_empty() {
            query.collect()?;
            continue;
        }
        let output = if index == last { options.output.as_deref() } else { None };
        let mut printer = Printer::new(options.format, query.schema(), output)?;
        for batch in query {
            printer.write(&batch?)?;
        }
        if let Some(text) = printer.finish()? {
            print_text(&text);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints EXPLAIN's text as it is.
pub(crate) fn explain(engine: &EngineOptions, options: &ExplainOptions) -> Result<ExitCode, Failure> {
    let session = session(engine)?;
    let mut parts = vec![format!("FORMAT {}", options.format)];
    if options.analyze {
        parts.push("ANALYZE".to_string());
    }
    let statement = format!("EXPLAIN ({}) {}", parts.join(", "), options.text);
    for batch in session.sql(&statement)? {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            print_text(&format!(
                "{}\n",
                arrow::util::display::array_value_to_string(batch.column(batch.num_columns() - 1), row)?
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Lists functions by name.
pub(crate) fn functions(engine: &EngineOptions, pattern: Option<&str>) -> Result<ExitCode, Failure> {
    let session = session(engine)?;
    let query = session.sql("SHOW FUNCTIONS")?;
    let mut printer = Printer::new(Format::Table, query.schema(), None)?;
    for batch in query {
        let batch = batch?;
        let keep: arrow::array::BooleanArray = (0..batch.num_rows())
            .map(|row| {
                let name = arrow::util::display::array_value_to_string(batch.column(0), row).unwrap_or_default();
                Some(pattern.is_none_or(|p| name.contains(p)))
            })
            .collect();
        printer.write(&arrow::compute::filter_record_batch(&batch, &keep)?)?;
    }
    if let Some(text) = printer.finish()? {
        print_text(&text);
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes to standard output; a reader that has gone away is no failure.
pub(crate) fn print_text(text: &str) {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() {
        std::process::exit(0);
    }
}
