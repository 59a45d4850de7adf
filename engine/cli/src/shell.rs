//! The interactive shell: history, completion, backslash commands, timing, pager. Ctrl-C cancels the query and keeps the shell.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use plasmon::core::pipeline::CancelToken;
use plasmon::{Error, Session};
use rustyline::Editor;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;

use crate::arguments::{EngineOptions, Format};
use crate::complete::ShellHelper;
use crate::failure::{Failure, with_hint};
use crate::output::{Printer, print_text};
use crate::progress::Watch;
use crate::sql::session;

const HELP: &str = "\
Statements end with a semicolon. Tables can be files: SELECT * FROM 'data/*.parquet';
  \\d            tables and views          \\d NAME       columns of a table or 'file'
  \\f [TEXT]     functions                 \\timing      switch timing on or off
  \\format F     table, csv or json        \\i FILE       run the statements of a file
  \\?            this help                 \\q            leave (quit, exit, Ctrl-D too)
Tab completes; Ctrl-R searches the history; Ctrl-C cancels the query, or drops the line.
Long and wide results open in $PAGER (less, when it is there).
";

/// The screen when its size is unknown.
const SCREEN: (usize, usize) = (80, 24);

/// Reads statements until the end of input.
pub(crate) fn run(engine: &EngineOptions) -> Result<ExitCode, Failure> {
    let interrupt = Interrupt::default();
    let mut shell = Shell {
        session: Arc::new(session(engine)?),
        interrupt: interrupt.clone(),
        format: Format::Table,
        timing: true,
        screen: None,
    };
    if !std::io::stdin().is_terminal() {
        return shell.run_script(&std::io::read_to_string(std::io::stdin())?);
    }
    print_text(&format!("Plasmon {} — \\? for help, \\q to leave\n", env!("CARGO_PKG_VERSION")));
    let settings = rustyline::Config::builder().completion_type(rustyline::CompletionType::List).build();
    let mut editor: Editor<ShellHelper, DefaultHistory> = Editor::with_config(settings)?;
    editor.set_helper(Some(ShellHelper::new(shell.session.clone())));
    // After the editor, which takes the signal for itself when it is made.
    ctrlc::set_handler(move || interrupt.cancel())?;
    let history = history_path();
    if let Some(path) = &history {
        // The first time there is none.
        let _ = editor.load_history(path);
    }
    loop {
        match editor.readline("plasmon> ") {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => {
                let _ = editor.add_history_entry(line.as_str());
                if ["\\q", "quit", "exit", "quit;", "exit;"].contains(&line.trim().to_lowercase().as_str()) {
                    break;
                }
                shell.screen = editor.dimensions().map(|(columns, rows)| (usize::from(columns), usize::from(rows)));
                shell.run_line(&line);
                // Saved after each line: a shell that is killed has its history too.
                if let Some(path) = &history {
                    let _ = editor.append_history(path);
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn history_path() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|s| !s.is_empty()).map(PathBuf::from);
    let state = state.or_else(|| std::env::var_os("HOME").map(|h| Path::new(&h).join(".local/state")))?;
    let folder = state.join("plasmon");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}

/// The query that Ctrl-C would cancel.
#[derive(Clone, Default)]
struct Interrupt(Arc<Mutex<Option<CancelToken>>>);

impl Interrupt {
    fn cancel(&self) {
        if let Some(token) = self.0.lock().unwrap_or_else(|e| e.into_inner()).as_ref() {
            token.cancel();
        }
    }

    fn set(&self, token: Option<CancelToken>) {
        *self.0.lock().unwrap_or_else(|e| e.into_inner()) = token;
    }
}

struct Shell {
    session: Arc<Session>,
    interrupt: Interrupt,
    format: Format,
    timing: bool,
    /// Columns and rows of the terminal; `None` in scripts.
    screen: Option<(usize, usize)>,
}

impl Shell {
    /// Statements from a pipe: the first failure ends it. Backslash commands may stand on lines of their own between statements.
    fn run_script(&mut self, text: &str) -> Result<ExitCode, Failure> {
        self.timing = false;
        let mut statements = String::new();
        for line in text.lines() {
            let between =
                self.session.split(&statements).is_ok_and(|s| s.is_empty()) || crate::complete::is_whole(&statements);
            match line.trim_start().strip_prefix('\\') {
                Some("q") if between => break,
                Some(command) if between => {
                    self.run_statements(&std::mem::take(&mut statements))?;
                    self.backslash(command.trim_end())?;
                }
                _ => {
                    statements.push_str(line);
                    statements.push('\n');
                }
            }
        }
        self.run_statements(&statements)?;
        Ok(ExitCode::SUCCESS)
    }

    fn run_statements(&mut self, text: &str) -> Result<(), Failure> {
        self.session.split(text)?.iter().try_for_each(|s| self.execute(s))
    }

    fn run_line(&mut self, line: &str) {
        let outcome = match line.trim().strip_prefix('\\') {
            Some(command) => self.backslash(command),
            None => self.run_statements(line),
        };
        if let Err(failure) = outcome {
            eprintln!("{failure}");
        }
    }

    fn backslash(&mut self, command: &str) -> Result<(), Failure> {
        let (name, argument) = command.split_once(char::is_whitespace).map_or((command, ""), |(n, a)| (n, a.trim()));
        let argument = argument.trim_end_matches(';');
        match (name, argument) {
            ("d", "") => self.execute("SHOW TABLES"),
            ("d", table) => self.execute(&format!("DESCRIBE {}", table.replace('\'', "\""))),
            ("f", "") => self.execute("SHOW FUNCTIONS"),
            ("f", pattern) => self.execute(&format!("SHOW FUNCTIONS LIKE '%{}%'", pattern.replace('\'', "''"))),
            ("i", "") => Err("\\i FILE runs the statements of a file".into()),
            ("i", file) => {
                let text = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
                self.run_statements(&text)
            }
            ("timing", _) => {
                self.timing = !self.timing;
                print_text(&format!("timing is {}\n", if self.timing { "on" } else { "off" }));
                Ok(())
            }
            ("format", "table") => self.set_format(Format::Table),
            ("format", "csv") => self.set_format(Format::Csv),
            ("format", "json") => self.set_format(Format::Json),
            ("format", _) => Err("\\format table, csv or json".into()),
            ("?" | "h" | "help", _) => {
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
        // Registered before it starts: COPY and CREATE TABLE AS run inside the call.
        let cancel = CancelToken::default();
        self.interrupt.set(Some(cancel.clone()));
        let outcome = match self.session.statement(statement).cancel(cancel).run() {
            Ok(query) => self.print(query, start),
            Err(Error::Cancelled) => Err(Error::Cancelled.into()),
            Err(error) => Err(with_hint(&self.session, error)),
        };
        self.interrupt.set(None);
        match outcome {
            Err(failure) if self.screen.is_some() && matches!(failure.downcast_ref(), Some(Error::Cancelled)) => {
                eprintln!("cancelled after {:.3} s", start.elapsed().as_secs_f64());
                Ok(())
            }
            other => other,
        }
    }

    fn print(&self, query: plasmon::Query, start: Instant) -> Result<(), Failure> {
        let schema = query.schema();
        if schema.fields().is_empty() {
            query.collect()?;
            return Ok(self.tell_time(start));
        }
        // Other formats stream to the screen, where a bar would be in the way.
        let watch = (self.format == Format::Table).then(|| Watch::start(query.monitor()));
        let mut printer = Printer::new(self.format, schema, None)?;
        for batch in query {
            printer.write(&batch?)?;
        }
        drop(watch);
        let table = printer.finish()?;
        let taken = start.elapsed();
        if let Some(table) = table {
            let (width, height) = self.screen.unwrap_or(SCREEN);
            let full = table.full()?;
            let fits = full.lines().count() < height && full.lines().all(|l| l.chars().count() <= width);
            match self.screen {
                Some(_) if fits => print_text(&full),
                Some(_) if page(&full) => {}
                Some(_) => print_text(&table.fitted(width)?),
                None => print_text(&full),
            }
        }
        if self.timing {
            print_text(&format!("{:.3} s\n", taken.as_secs_f64()));
        }
        Ok(())
    }

    fn tell_time(&self, start: Instant) {
        if self.timing {
            print_text(&format!("{:.3} s\n", start.elapsed().as_secs_f64()));
        }
    }
}

/// Shows text through `$PAGER`, or `less`; whether that worked.
fn page(text: &str) -> bool {
    let chosen = std::env::var("PAGER").ok().filter(|p| !p.is_empty());
    let pager = chosen.unwrap_or_else(|| "less -SFRX".to_string());
    let child = Command::new("sh").args(["-c", &pager]).env("LESSCHARSET", "utf-8").stdin(Stdio::piped()).spawn();
    let Ok(mut child) = child else { return false };
    if let Some(mut stdin) = child.stdin.take() {
        // A pager that is left early reads no further.
        let _ = stdin.write_all(text.as_bytes());
    }
    // 127: the shell found no such pager.
    child.wait().is_ok_and(|status| status.code() != Some(127))
}
