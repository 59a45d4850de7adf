//! The interactive shell: history, completion, backslash commands, timing, pager. Ctrl-C cancels the query and keeps the shell.

use std::io::{IsTerminal, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use plasmon::core::pipeline::CancelToken;
use plasmon::{Error, Session};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Editor, Helper, Highlighter, Hinter};

use crate::Failure;
use crate::arguments::{EngineOptions, Format};
use crate::output::Printer;
use crate::sql::{print_text, session};

const HELP: &str = "\
Statements end with a semicolon. Tables can be files: SELECT * FROM 'data/*.parquet';
  \\d            tables and views          \\d NAME       columns of a table
  \\f [TEXT]     functions                 \\timing      switch timing on or off
  \\format F     table, csv or json        \\?           this help
  \\q            leave (Ctrl-D too)        Ctrl-C       cancel the query or the line
";

const KEYWORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "LIMIT",
    "JOIN",
    "LEFT JOIN",
    "ON",
    "UNION ALL",
    "WITH",
    "CREATE EXTERNAL TABLE",
    "CREATE TABLE",
    "CREATE VIEW",
    "STORED AS PARQUET",
    "LOCATION",
    "COPY",
    "DESCRIBE",
    "SHOW TABLES",
    "SHOW FUNCTIONS",
    "EXPLAIN",
    "EXPLAIN ANALYZE",
    "DISTINCT",
    "BETWEEN",
    "CASE WHEN",
    "INTERVAL",
    "DATE",
];

/// Reads statements until the end of input.
pub(crate) fn run(engine: &EngineOptions) -> Result<ExitCode, Failure> {
    let running: Arc<Mutex<Option<CancelToken>>> = Arc::default();
    let mut shell =
        Shell { session: Arc::new(session(engine)?), running: running.clone(), format: Format::Table, timing: true };
    let interrupted = running.clone();
    ctrlc::set_handler(move || {
        if let Some(token) = interrupted.lock().unwrap_or_else(|e| e.into_inner()).as_ref() {
            token.cancel();
        }
    })?;
    if !std::io::stdin().is_terminal() {
        return shell.run_script(&std::io::read_to_string(std::io::stdin())?);
    }
    print_text(&format!("Plasmon {} — \\? for help, \\q to leave\n", env!("CARGO_PKG_VERSION")));
    let mut editor: Editor<ShellHelper, DefaultHistory> = Editor::new()?;
    editor.set_helper(Some(ShellHelper { session: shell.session.clone() }));
    let history = history_path();
    if let Some(path) = &history {
        let _ = editor.load_history(path);
    }
    loop {
        match editor.readline("plasmon> ") {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => {
                let _ = editor.add_history_entry(line.as_str());
                if line.trim() == "\\q" {
                    break;
                }
                shell.run_line(&line);
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(path) = &history {
        let _ = editor.save_history(path);
    }
    Ok(ExitCode::SUCCESS)
}

fn history_path() -> Option<std::path::PathBuf> {
    let home = std::env::var_os("XDG_STATE_HOME")
        .map(Into::into)
        .or_else(|| std::env::var_os("HOME").map(|h| std::path::Path::new(&h).join(".local/state")))?;
    let folder: std::path::PathBuf = home;
    let folder = folder.join("plasmon");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}

struct Shell {
    session: Arc<Session>,
    /// The query that Ctrl-C would cancel.
    running: Arc<Mutex<Option<CancelToken>>>,
    format: Format,
    timing: bool,
}

impl Shell {
    /// Statements from a pipe: the first failure ends it.
    fn run_script(&mut self, text: &str) -> Result<ExitCode, Failure> {
        self.timing = false;
        for statement in self.session.split(text)? {
            self.execute(&statement)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn run_line(&mut self, line: &str) {
        let outcome = match line.trim().strip_prefix('\\') {
            Some(command) => self.backslash(command),
            None => {
                self.session.split(line).map_err(Failure::from).and_then(|s| s.iter().try_for_each(|s| self.execute(s)))
            }
        };
        if let Err(failure) = outcome {
            eprintln!("{failure}");
        }
    }

    fn backslash(&mut self, command: &str) -> Result<(), Failure> {
        let (name, argument) = command.split_once(char::is_whitespace).map_or((command, ""), |(n, a)| (n, a.trim()));
        match (name, argument) {
            ("d", "") => self.execute("SHOW TABLES"),
            ("d", table) => self.execute(&format!("DESCRIBE {table}")),
            ("f", "") => self.execute("SHOW FUNCTIONS"),
            ("f", pattern) => self.execute(&format!("SHOW FUNCTIONS LIKE '%{}%'", pattern.replace('\'', "''"))),
            ("timing", _) => {
                self.timing = !self.timing;
                print_text(&format!("timing is {}\n", if self.timing { "on" } else { "off" }));
                Ok(())
            }
            ("format", "table") => self.set_format(Format::Table),
            ("format", "csv") => self.set_format(Format::Csv),
            ("format", "json") => self.set_format(Format::Json),
            ("?", _) => {
                print_text(HELP);
                Ok(())
            }
            _ => Err(format!("\\{command}: no such command; \\? lists them").into()),
        }
    }

    fn set_format(&mut self, format: Format) -> Result<(), Failure> {
        self.format = format;
        Ok(())
    }

    fn execute(&mut self, statement: &str) -> Result<(), Failure> {
        let start = Instant::now();
        let query = self.session.sql(statement)?;
        *self.running.lock().unwrap_or_else(|e| e.into_inner()) = Some(query.cancel_token());
        let outcome = self.print(query);
        *self.running.lock().unwrap_or_else(|e| e.into_inner()) = None;
        match outcome {
            Err(failure) if matches!(failure.downcast_ref::<Error>(), Some(Error::Cancelled)) => {
                eprintln!("cancelled after {:.3} s", start.elapsed().as_secs_f64());
                return Ok(());
            }
            other => other?,
        }
        if self.timing {
            print_text(&format!("{:.3} s\n", start.elapsed().as_secs_f64()));
        }
        Ok(())
    }

    fn print(&self, query: plasmon::Query) -> Result<(), Failure> {
        let schema = query.schema();
        if schema.fields().is_empty() {
            query.collect()?;
            return Ok(());
        }
        let mut printer = Printer::new(self.format, schema, None)?;
        for batch in query {
            printer.write(&batch?)?;
        }
        if let Some(text) = printer.finish()? {
            page(&text);
        }
        Ok(())
    }
}

/// Prints text, through `$PAGER` (or `less`) when it does not fit the screen.
fn page(text: &str) {
    const SCREEN_LINES: usize = 60;
    if !std::io::stdout().is_terminal() || text.lines().count() <= SCREEN_LINES {
        return print_text(text);
    }
    let pager = std::env::var("PAGER").unwrap_or_else(|_| "less -SFRX".to_string());
    let child = Command::new("sh").args(["-c", &pager]).stdin(Stdio::piped()).spawn();
    match child {
        Ok(mut child) => {
            if let Some(mut stdin) = child.stdin.take() {
                let _ = stdin.write_all(text.as_bytes());
            }
            let _ = child.wait();
        }
        Err(_) => print_text(text),
    }
}

/// Completion of keywords, tables and functions; lines go on until a semicolon.
#[derive(Helper, Highlighter, Hinter)]
struct ShellHelper {
    session: Arc<Session>,
}

impl Completer for ShellHelper {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let start = line[..position].rfind(|c: char| !(c.is_alphanumeric() || c == '_')).map_or(0, |i| i + 1);
        let word = line[start..position].to_lowercase();
        if word.is_empty() {
            return Ok((start, Vec::new()));
        }
        let names = self
            .session
            .table_names()
            .into_iter()
            .chain(self.session.function_names())
            .chain(KEYWORDS.iter().map(|k| k.to_string()));
        let mut candidates: Vec<String> = names.filter(|n| n.to_lowercase().starts_with(&word)).collect();
        candidates.sort();
        candidates.dedup();
        Ok((start, candidates))
    }
}

impl Validator for ShellHelper {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input().trim_end();
        let complete = text.is_empty() || text.starts_with('\\') || text.ends_with(';');
        Ok(if complete { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}
