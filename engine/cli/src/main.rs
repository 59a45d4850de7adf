//! The `plasmon` command: SQL over Parquet from a shell, scripts and benchmarks.

mod arguments;
mod output;
mod progress;
mod shell;
mod sql;
mod suite;
mod tpcds;
mod tpch;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use arguments::{Arguments, Command, TpcdsCommand, TpchCommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A failure that ends the command: its text goes to stderr, the code to the caller.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    restore_broken_pipe_behaviour();
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("plasmon: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let engine = arguments.engine;
    match arguments.command {
        None => shell::run(&engine),
        Some(Command::Shell) => shell::run(&engine),
        Some(Command::Sql(options)) => sql::run(&engine, &options),
        Some(Command::Explain(options)) => sql::explain(&engine, &options),
        Some(Command::Demo(options)) => tpch::demo::run(&engine, &options),
        Some(Command::Tpch { command: TpchCommand::Generate(options) }) => tpch::generate::run(&options),
        Some(Command::Tpch { command: TpchCommand::Run(options) }) => tpch::run(&engine, &options),
        Some(Command::Tpcds { command: TpcdsCommand::Run(options) }) => tpcds::run(&engine, &options),
        Some(Command::Functions { pattern }) => sql::functions(&engine, pattern.as_deref()),
        Some(Command::Completions { shell }) => {
            clap_complete::generate(shell, &mut Arguments::command(), "plasmon", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A reader that goes away (`plasmon … | head`) ends us silently: output errors of that kind are no failures.
fn restore_broken_pipe_behaviour() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload().downcast_ref::<String>().cloned().unwrap_or_default();
        if text.contains("Broken pipe") {
            std::process::exit(0);
        }
        default(panic);
    }));
}
