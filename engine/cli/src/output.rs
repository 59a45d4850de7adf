//! Results as boxes, CSV, JSON lines or Parquet; standard output as Unix users expect it.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, IsTerminal, Write};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::arguments::Format;
use crate::failure::{Failure, Usage};
use crate::table::TableText;

/// Standard output. A reader that goes away (`plasmon … | head`) wants no more: the command ends, and that is no failure.
struct StandardOutput(std::io::Stdout);

impl Write for StandardOutput {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes).map_err(end_on_broken_pipe)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush().map_err(end_on_broken_pipe)
    }
}

fn end_on_broken_pipe(error: std::io::Error) -> std::io::Error {
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    error
}

/// Writes to standard output. What cannot be written (a full disk) ends the command with its reason.
pub(crate) fn print_text(text: &str) {
    let mut stdout = StandardOutput(std::io::stdout());
    if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        eprintln!("plasmon: standard output: {error}");
        std::process::exit(1);
    }
}

/// Where a result goes, a batch at a time.
pub(crate) struct Printer {
    schema: SchemaRef,
    rows: usize,
    target: Target,
}

enum Target {
    Table(TableText),
    Csv(Box<arrow::csv::Writer<Box<dyn Write + Send>>>),
    Json(arrow::json::LineDelimitedWriter<Box<dyn Write + Send>>),
    Parquet(Box<parquet::arrow::ArrowWriter<Box<dyn Write + Send>>>),
}

/// Refuses what would put binary data on a terminal; asked before anything runs.
pub(crate) fn check_target(format: Format, output: Option<&Path>) -> Result<(), Failure> {
    if format == Format::Parquet && output.is_none() && std::io::stdout().is_terminal() {
        return Err(Usage("--format parquet is not for a terminal; write it with --output FILE".to_string()).into());
    }
    Ok(())
}

impl Printer {
    /// A printer to `output`, or to standard output.
    pub(crate) fn new(format: Format, schema: SchemaRef, output: Option<&Path>) -> Result<Self, Failure> {
        let writer = || -> Result<Box<dyn Write + Send>, Failure> {
            Ok(match output {
                Some(path) => {
                    Box::new(BufWriter::new(File::create(path).map_err(|e| format!("{}: {e}", path.display()))?))
                }
                None => Box::new(BufWriter::new(StandardOutput(std::io::stdout()))),
            })
        };
        let target = match format {
            Format::Table => Target::Table(TableText::new(schema.clone())),
            Format::Csv => Target::Csv(Box::new(arrow::csv::WriterBuilder::new().with_header(true).build(writer()?))),
            Format::Json => Target::Json(arrow::json::WriterBuilder::new().with_explicit_nulls(true).build(writer()?)),
            Format::Parquet => {
                Target::Parquet(Box::new(parquet::arrow::ArrowWriter::try_new(writer()?, schema.clone(), None)?))
            }
        };
        Ok(Printer { schema, rows: 0, target })
    }

    /// Takes one batch.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        match &mut self.target {
            Target::Table(table) => table.add(batch),
            Target::Csv(writer) => writer.write(batch)?,
            Target::Json(writer) => writer.write(batch)?,
            Target::Parquet(writer) => writer.write(batch)?,
        }
        self.rows += batch.num_rows();
        Ok(())
    }

    /// Ends the output; gives a table, to be printed or paged by the caller.
    pub(crate) fn finish(self) -> Result<Option<TableText>, Failure> {
        match self.target {
            Target::Table(table) => return Ok(Some(table)),
            Target::Csv(mut writer) => {
                if self.rows == 0 {
                    writer.write(&RecordBatch::new_empty(self.schema))?;
                }
                writer.into_inner().flush()?;
            }
            Target::Json(mut writer) => {
                writer.finish()?;
                writer.into_inner().flush()?;
            }
            Target::Parquet(writer) => writer.into_inner()?.flush()?,
        }
        Ok(None)
    }
}
