//! Results as boxes, CSV, JSON lines or Parquet.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::{Cell, CellAlignment, Table, presets};

use crate::Failure;
use crate::arguments::Format;

/// Rows shown of a long result as boxes: the first ones; a line below tells how many there are.
const TABLE_ROWS_MAX: usize = 1000;

/// Where a result goes, a batch at a time.
pub(crate) struct Printer {
    format: Format,
    schema: SchemaRef,
    kept: Vec<RecordBatch>,
    rows: usize,
    target: Option<Target>,
}

enum Target {
    Csv(arrow::csv::Writer<Box<dyn Write>>),
    Json(arrow::json::LineDelimitedWriter<Box<dyn Write>>),
    Parquet(Box<parquet::arrow::ArrowWriter<File>>),
}

impl Printer {
    /// A printer to `output`, or to standard output.
    pub(crate) fn new(format: Format, schema: SchemaRef, output: Option<&Path>) -> Result<Self, Failure> {
        let writer = || -> Result<Box<dyn Write>, Failure> {
            Ok(match output {
                Some(path) => {
                    Box::new(BufWriter::new(File::create(path).map_err(|e| format!("{}: {e}", path.display()))?))
                }
                None => Box::new(BufWriter::new(std::io::stdout())),
            })
        };
        let target = match format {
            Format::Table => None,
            Format::Csv => Some(Target::Csv(arrow::csv::WriterBuilder::new().with_header(true).build(writer()?))),
            Format::Json => {
                Some(Target::Json(arrow::json::WriterBuilder::new().with_explicit_nulls(true).build(writer()?)))
            }
            Format::Parquet => {
                let path = output.ok_or("--format parquet needs --output FILE")?;
                let file = File::create(path).map_err(|e| format!("{}: {e}", path.display()))?;
                Some(Target::Parquet(Box::new(parquet::arrow::ArrowWriter::try_new(file, schema.clone(), None)?)))
            }
        };
        Ok(Printer { format, schema, kept: Vec::new(), rows: 0, target })
    }

    /// Takes one batch.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        match &mut self.target {
            Some(Target::Csv(writer)) => writer.write(batch)?,
            Some(Target::Json(writer)) => writer.write(batch)?,
            Some(Target::Parquet(writer)) => writer.write(batch)?,
            None if self.rows < TABLE_ROWS_MAX => self.kept.push(batch.clone()),
            None => {}
        }
        self.rows += batch.num_rows();
        Ok(())
    }

    /// Ends the output; gives the text of a table, to be printed or paged by the caller.
    pub(crate) fn finish(self) -> Result<Option<String>, Failure> {
        match self.target {
            Some(Target::Csv(mut writer)) => {
                if self.rows == 0 {
                    writer.write(&RecordBatch::new_empty(self.schema))?;
                }
                writer.into_inner().flush()?;
            }
            Some(Target::Json(mut writer)) => {
                writer.finish()?;
                writer.into_inner().flush()?;
            }
            Some(Target::Parquet(writer)) => {
                writer.close()?;
            }
            None if self.format == Format::Table => return Ok(Some(table_text(&self.schema, &self.kept, self.rows)?)),
            None => {}
        }
        Ok(None)
    }
}

fn table_text(schema: &SchemaRef, batches: &[RecordBatch], rows: usize) -> Result<String, Failure> {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table.set_header(schema.fields().iter().map(|f| f.name().clone()));
    let options = FormatOptions::default().with_null("NULL");
    let mut shown = 0;
    for batch in batches {
        let formatters =
            batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options)).collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows().min(TABLE_ROWS_MAX - shown) {
            let cells = formatters.iter().zip(schema.fields()).map(|(f, field)| {
                let cell = Cell::new(f.value(row));
                if field.data_type().is_numeric() { cell.set_alignment(CellAlignment::Right) } else { cell }
            });
            table.add_row(cells.collect::<Vec<_>>());
            shown += 1;
        }
    }
    let note = if shown < rows {
        format!("{rows} rows, the first {shown} shown")
    } else {
        format!("{rows} row{}", if rows == 1 { "" } else { "s" })
    };
    Ok(format!("{table}\n{note}\n"))
}
