//! What the command line accepts; its help is the manual.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  plasmon                                                      the interactive shell
  plasmon sql \"SELECT count(*) FROM 'data/*.parquet'\"          a query over files
  plasmon sql -f report.sql --format csv > report.csv          a script, its result as CSV
  plasmon explain --analyze --format html \"SELECT …\" > p.html  where the time goes, as a picture
  plasmon demo                                                 TPC-H from nothing to 22 checked answers

Exit status: 0 success, 1 the work failed (the reason is on standard error), 2 the command line is wrong.";

/// Fast SQL over Parquet, CSV, JSON lines and Arrow files.
///
/// Without a command it opens the interactive shell; when its input is no terminal, it runs the statements from there.
#[derive(Debug, Parser)]
#[command(name = "plasmon", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub engine: EngineOptions,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// How queries run.
#[derive(Debug, Clone, Args)]
pub(crate) struct EngineOptions {
    /// Worker threads [default: all cores]
    #[arg(long, global = true, value_name = "N", value_parser = parse_threads)]
    pub threads: Option<usize>,
    /// Memory that one query may reserve, e.g. 512MB or 2GB [default: no limit]
    #[arg(long, global = true, value_name = "SIZE", value_parser = parse_size)]
    pub memory: Option<usize>,
    /// Who runs a query: a pool of threads, or the calling thread alone
    #[arg(long, global = true, value_enum, default_value_t = DriverChoice::Pool)]
    pub driver: DriverChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DriverChoice {
    Pool,
    Inline,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run statements and print their results
    #[command(after_help = "\
Examples:
  plasmon sql \"SELECT l_shipmode, count(*) FROM 'lineitem.parquet' GROUP BY 1 ORDER BY 2 DESC\"
  plasmon sql -f report.sql --format json | jq .total
  echo 'SELECT 6 * 7' | plasmon sql
  plasmon sql \"SELECT * FROM 'in.csv'\" --format parquet --output out.parquet")]
    Sql(SqlOptions),
    /// Show how a statement is run, with times per operator when it is run
    #[command(after_help = "\
Examples:
  plasmon explain \"SELECT count(*) FROM 'lineitem.parquet' WHERE l_quantity > 40\"
  plasmon explain --analyze --format html -f q9.sql --output plan.html
  plasmon explain --format substrait \"SELECT sum(a) FROM 'in.parquet'\" > plan.substrait
  plasmon sql --substrait plan.substrait")]
    Explain(ExplainOptions),
    /// Open the interactive shell
    Shell,
    /// Generate TPC-H scale 1, run its 22 queries and check the answers
    Demo(DemoOptions),
    /// The TPC-H benchmark: data and queries
    Tpch {
        #[command(subcommand)]
        command: TpchCommand,
    },
    /// The TPC-DS benchmark
    Tpcds {
        #[command(subcommand)]
        command: TpcdsCommand,
    },
    /// List SQL functions
    Functions {
        /// Only names that contain this text
        pattern: Option<String>,
    },
    /// Print a completion script for a shell, e.g. `plasmon completions bash > /etc/bash_completion.d/plasmon`
    Completions { shell: Shell },
}

#[derive(Debug, Args)]
pub(crate) struct SqlOptions {
    /// Statements, separated by semicolons; `-`, or nothing, reads them from standard input
    pub text: Option<String>,
    /// Read the statements from a file
    #[arg(short, long, conflicts_with = "text", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Run a Substrait plan, protobuf or JSON, after the statements (which can define the tables that it names)
    #[arg(long, value_name = "FILE")]
    pub substrait: Option<PathBuf>,
    /// The same for a plan in our own format, as `plasmon explain --format plan` writes it
    #[arg(long, value_name = "FILE", conflicts_with = "substrait")]
    pub plan: Option<PathBuf>,
    /// How results are printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Write the last result there instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Tell on standard error what each statement took
    #[arg(long)]
    pub timing: bool,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Boxes, for people
    Table,
    /// Comma-separated values with a header
    Csv,
    /// One JSON object a row
    Json,
    /// A Parquet file
    Parquet,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainOptions {
    /// The statement; `-`, or nothing, reads it from standard input
    pub text: Option<String>,
    /// Read the statement from a file
    #[arg(short, long, conflicts_with = "text", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Run it, and show rows and times
    #[arg(long)]
    pub analyze: bool,
    /// Show every expression in full
    #[arg(long)]
    pub verbose: bool,
    /// How it is shown
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    pub format: PlanFormat,
    /// TPC-H tables to explain over: defines lineitem, orders … from the Parquet files of this folder
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Write there instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// How a plan is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// An indented tree
    Text,
    /// One JSON object
    Json,
    /// A self-contained page with a picture
    Html,
    /// The bytes of plan.proto, which any session of this version can run
    Plan,
    /// A Substrait plan as protobuf, for other engines to run
    Substrait,
    /// The same as JSON
    SubstraitJson,
}

#[derive(Debug, Args)]
pub(crate) struct DemoOptions {
    /// Where the data is kept [default: ~/.local/share/plasmon/tpch-sf1]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TpchCommand {
    /// Generate the eight tables as Parquet
    Generate(GenerateOptions),
    /// Run the queries; at scale 1 and 10 the answers are checked
    #[command(after_help = "\
Example:
  plasmon tpch run --data ~/.local/share/plasmon/tpch-sf1 --queries 1,6 --threads 2 --memory 2GB --format json")]
    Run(SuiteOptions),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TpcdsCommand {
    /// Run the queries; answers are checked when DIR/answers has them (tests/oracle/tpcds_data.py makes data and answers)
    Run(SuiteOptions),
}

#[derive(Debug, Args)]
pub(crate) struct GenerateOptions {
    /// Scale factor: 1 is about 350 MB of Parquet
    #[arg(long, default_value_t = 1.0)]
    pub scale: f64,
    /// Folder to write to; made when missing [default: ~/.local/share/plasmon/tpch-sf<scale>]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SuiteOptions {
    /// Folder of the tables, `<table>.parquet` or `<table>/*.parquet` each [default: ~/.local/share/plasmon/<suite>-sf1]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Numbers of the queries, e.g. 1,6,9-12 [default: all]
    #[arg(long, value_name = "LIST")]
    pub queries: Option<String>,
    /// Runs of each query; the fastest counts
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub repeat: usize,
    /// `table`, or `json`: one object a query
    #[arg(long, default_value = "table", value_parser = ["table", "json"])]
    pub format: String,
    /// What each query is handed over as
    #[arg(long, value_enum, default_value_t = Through::Sql)]
    pub through: Through,
}

/// What a query comes to the engine as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Through {
    /// Its text
    Sql,
    /// Its plan, written to the bytes of plan.proto and read again
    Plan,
    /// Its plan, written to the bytes of Substrait and read again
    Substrait,
}

fn parse_threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number from 1 on is wanted".to_string()),
        Ok(threads) => Ok(threads),
    }
}

/// Bytes from `123`, `64KB`, `512MB`, `2GB`, `1.5GiB` (all powers of 1024).
pub(crate) fn parse_size(text: &str) -> Result<usize, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| format!("{text:?} is no size; write for example 512MB or 2GB"))?;
    let factor: f64 = match unit.trim().to_ascii_uppercase().trim_end_matches('B').trim_end_matches('I') {
        "" => 1.0,
        "K" => 1024.0,
        "M" => 1024.0 * 1024.0,
        "G" => 1024.0 * 1024.0 * 1024.0,
        "T" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return Err(format!("{unit:?} is no unit; use KB, MB, GB or TB")),
    };
    Ok((number * factor) as usize)
}

/// Numbers from `1,6,9-12`, each within `1..=last`.
pub(crate) fn parse_numbers(text: &str, last: usize) -> Result<Vec<usize>, String> {
    let mut numbers = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let parse = |t: &str| t.trim().parse::<usize>().ok().filter(|n| (1..=last).contains(n));
        match (parse(from), parse(to)) {
            (Some(from), Some(to)) if from <= to => numbers.extend(from..=to),
            _ => return Err(format!("--queries: {part:?} is no query number or range within 1-{last}")),
        }
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn sizes_and_numbers() {
        assert_eq!(parse_size("1.5GiB"), Ok(1_610_612_736));
        assert_eq!(parse_size("64KB"), Ok(65_536));
        assert!(parse_size("many").is_err());
        assert!(parse_size("3 parsecs").is_err());
        assert_eq!(parse_numbers("1,6,9-11", 22), Ok(vec![1, 6, 9, 10, 11]));
        assert!(parse_numbers("0", 22).is_err());
        assert!(parse_numbers("5-2", 22).is_err());
    }
}
