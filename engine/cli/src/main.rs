//! The `plasmon` command: SQL over Parquet from a shell, scripts and benchmarks.

mod arguments;
mod complete;
mod failure;
mod frugal;
mod output;
mod progress;
mod shell;
mod sql;
mod suite;
mod table;
mod tpcds;
mod tpch;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use arguments::{Arguments, Command, TpcdsCommand, TpchCommand};
use failure::Failure;

#[global_allocator]
static ALLOCATOR: plasmon_allocator::Counting<mimalloc::MiMalloc> = plasmon_allocator::Counting(mimalloc::MiMalloc);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    frugal::restart(&arguments.engine);
    match run(arguments) {
        Ok(code) => code,
        Err(failure) => failure::report(&failure),
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let engine = arguments.engine;
    match arguments.command {
        None | Some(Command::Shell) => shell::run(&engine),
        Some(Command::Sql(options)) => sql::run(&engine, &options),
        Some(Command::Explain(options)) => sql::explain(&engine, &options),
        Some(Command::Demo(options)) => tpch::demo::run(&engine, &options),
        Some(Command::Tpch { command: TpchCommand::Generate(options) }) => tpch::generate::run(&options),
        Some(Command::Tpch { command: TpchCommand::Run(options) }) => tpch::run(&engine, &options),
        Some(Command::Tpcds { command: TpcdsCommand::Run(options) }) => tpcds::run(&engine, &options),
        Some(Command::Functions { pattern }) => sql::functions(&engine, pattern.as_deref()),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "plasmon", &mut script);
            output::print_text(&String::from_utf8_lossy(&script));
            Ok(ExitCode::SUCCESS)
        }
    }
}
