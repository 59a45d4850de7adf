//! CSV, JSON lines and Arrow IPC files as tables, by Arrow's readers; one file is one morsel.

use std::fmt::Debug;
use std::io::{BufRead, Seek};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use plasmon_core::batch::arrow::import_batch;
use plasmon_core::metrics::OperatorMetrics;
use plasmon_core::pipeline::{Next, Source, SourceState, TaskContext};
use plasmon_core::table::{ScanRequest, Table};
use plasmon_core::{Error, Result};

use crate::contain;
use crate::format::{Format, Options};
use crate::store::{DataFile, SourceReader};

/// Rows looked at to infer the columns of text files.
const INFER_ROWS: usize = 10_000;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// A table over files of one format.
pub(crate) fn open(
    location: &str,
    files: Vec<Arc<DataFile>>,
    format: Format,
    options: &Options,
) -> Result<Arc<dyn Table>> {
    let csv = CsvOptions::new(options)?;
    let mut schemas = Vec::new();
    for file in &files {
        schemas.push(match &options.schema {
            Some(schema) => schema.as_ref().clone(),
            None => contain(|| context(file), || infer(file, format, &csv))?,
        });
    }
    let schema = Schema::try_merge(schemas).map_err(|e| Error::io(location, e))?;
    Ok(Arc::new(FileTable {
        location: location.to_string(),
        files: Arc::new(files),
        format,
        csv,
        schema: Arc::new(schema),
    }))
}

/// How CSV is written in a file.
#[derive(Debug, Clone)]
struct CsvOptions {
    header: bool,
    delimiter: u8,
    quote: u8,
    escape: Option<u8>,
}

impl CsvOptions {
    fn new(options: &Options) -> Result<Self> {
        let byte = |names: &[&str], default: u8| match options.get(names) {
            None => Ok(default),
            Some("\\t") => Ok(b'\t'),
            Some(text) if text.len() == 1 => Ok(text.as_bytes()[0]),
            Some(text) => Err(Error::user(format!("option {}: {text:?} is not one byte", names[0]))),
        };
        let escape = options.get(&["escape"]).and_then(|e| e.bytes().next());
        Ok(CsvOptions {
            header: options.flag(&["header", "has_header"], true)?,
            delimiter: byte(&["delimiter", "delim", "sep"], b',')?,
            quote: byte(&["quote"], b'"')?,
            escape,
        })
    }

    fn format(&self) -> arrow::csv::reader::Format {
        let format = arrow::csv::reader::Format::default()
            .with_header(self.header)
            .with_delimiter(self.delimiter)
            .with_quote(self.quote);
        match self.escape {
            Some(escape) => format.with_escape(escape),
            None => format,
        }
    }
}

fn context(file: &DataFile) -> String {
    file.name.clone()
}

fn open_file(file: &DataFile) -> Result<SourceReader> {
    let source = file.open(None)?;
    let end = source.size();
    Ok(SourceReader::new(source, 0, end))
}

fn infer(file: &DataFile, format: Format, csv: &CsvOptions) -> Result<Schema> {
    let error = |e: arrow::error::ArrowError| Error::io(context(file), e);
    let mut reader = open_file(file)?;
    match format {
        Format::Csv => {
            let (schema, _) = csv.format().infer_schema(reader, Some(INFER_ROWS)).map_err(error)?;
            if let Some(name) = schema
                .fields()
                .iter()
                .enumerate()
                .find(|(i, f)| schema.fields()[..*i].iter().any(|g| g.name() == f.name()))
                .map(|(_, f)| f.name())
            {
                return Err(Error::io(context(file), format!("two columns are named {name:?}")));
            }
            Ok(schema)
        }
        Format::Json => Ok(arrow::json::reader::infer_json_schema(&mut reader, Some(INFER_ROWS)).map_err(error)?.0),
        _ => Ok(ipc_reader(reader, file)?.0.as_ref().clone()),
    }
}

fn ipc_reader(mut reader: SourceReader, file: &DataFile) -> Result<(SchemaRef, Batches)> {
    let error = |e: arrow::error::ArrowError| Error::io(context(file), e);
    let is_file = reader.fill_buf().map_err(|e| Error::io(context(file), e))?.starts_with(b"ARROW1");
    reader.rewind().map_err(|e| Error::io(context(file), e))?;
    let path = context(file);
    if is_file {
        let reader = arrow::ipc::reader::FileReader::try_new(reader, None).map_err(error)?;
        Ok((reader.schema(), Box::new(reader.map(move |b| b.map_err(|e| Error::io(path.clone(), e))))))
    } else {
        let reader = arrow::ipc::reader::StreamReader::try_new(reader, None).map_err(error)?;
        Ok((reader.schema(), Box::new(reader.map(move |b| b.map_err(|e| Error::io(path.clone(), e))))))
    }
}

#[derive(Debug)]
struct FileTable {
    location: String,
    files: Arc<Vec<Arc<DataFile>>>,
    format: Format,
    csv: CsvOptions,
    schema: SchemaRef,
}

impl Table for FileTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn scan(&self, request: &ScanRequest) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(FileScan {
            files: self.files.clone(),
            format: self.format,
            csv: self.csv.clone(),
            schema: self.schema.clone(),
            projection: request.projection.clone(),
            batch_rows: request.batch_rows.max(1),
            cursor: Arc::default(),
        }))
    }

    fn describe(&self) -> String {
        format!("{:?} {} ({} files)", self.format, self.location, self.files.len())
    }
}

#[derive(Debug, Clone)]
struct FileScan {
    files: Arc<Vec<Arc<DataFile>>>,
    format: Format,
    csv: CsvOptions,
    schema: SchemaRef,
    projection: Vec<usize>,
    batch_rows: usize,
    cursor: Arc<AtomicUsize>,
}

impl Source for FileScan {
    fn name(&self) -> &'static str {
        "FileScan"
    }

    fn describe(&self) -> String {
        format!("{:?}, {} files", self.format, self.files.len())
    }

    fn max_workers(&self) -> usize {
        self.files.len()
    }

    fn open(&self, _task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        Ok(Box::new(FileScanState { scan: self.clone(), current: None, waiting: None }))
    }
}

impl FileScan {
    /// All columns of one file, in the table's schema.
    fn batches(&self, file: &DataFile) -> Result<Batches> {
        let path = context(file);
        let error = |e: arrow::error::ArrowError| Error::io(context(file), e);
        let reader = open_file(file)?;
        Ok(match self.format {
            Format::Csv => {
                let builder = arrow::csv::ReaderBuilder::new(self.schema.clone())
                    .with_format(self.csv.format())
                    .with_batch_size(self.batch_rows);
                let reader = builder.build_buffered(reader).map_err(error)?;
                Box::new(reader.map(move |b| b.map_err(|e| Error::io(path.clone(), e))))
            }
            Format::Json => {
                let reader = arrow::json::ReaderBuilder::new(self.schema.clone())
                    .with_batch_size(self.batch_rows)
                    .build(reader)
                    .map_err(error)?;
                Box::new(reader.map(move |b| b.map_err(|e| Error::io(path.clone(), e))))
            }
            _ => ipc_reader(reader, file)?.1,
        })
    }
}

struct FileScanState {
    scan: FileScan,
    current: Option<Batches>,
    /// A batch larger than asked for, and the row to go on from.
    waiting: Option<(RecordBatch, usize)>,
}

impl SourceState for FileScanState {
    fn next(&mut self) -> Result<Next> {
        let files = self.scan.files.clone();
        let at = self.scan.cursor.load(Ordering::Relaxed).clamp(1, files.len());
        contain(|| context(&files[at - 1]), || self.advance())
    }
}

impl FileScanState {
    fn advance(&mut self) -> Result<Next> {
        loop {
            if let Some((batch, start)) = &mut self.waiting {
                let len = self.scan.batch_rows.min(batch.num_rows() - *start);
                if len > 0 {
                    let part = batch.slice(*start, len);
                    *start += len;
                    return Ok(Next::Batch(import_batch(&part)?));
                }
                self.waiting = None;
            }
            match self.current.as_mut().and_then(|c| c.next()) {
                Some(batch) => self.waiting = Some((self.conform(&batch?)?, 0)),
                None => {
                    let index = self.scan.cursor.fetch_add(1, Ordering::Relaxed);
                    let Some(file) = self.scan.files.get(index) else { return Ok(Next::Finished) };
                    self.current = Some(self.scan.batches(file)?);
                }
            }
        }
    }
}

impl FileScanState {
    /// The projected columns, by name, in the table's types; a column that a file lacks is null.
    fn conform(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut columns = Vec::new();
        for &index in &self.scan.projection {
            let field = self.scan.schema.field(index);
            columns.push(match batch.column_by_name(field.name()) {
                Some(column) if column.data_type() == field.data_type() => column.clone(),
                Some(column) => arrow::compute::cast(column, field.data_type())?,
                None => arrow::array::new_null_array(field.data_type(), batch.num_rows()),
            });
        }
        let schema = self.scan.schema.project(&self.scan.projection)?;
        // A file's own nullability does not bind: missing columns are null.
        let fields: Vec<_> = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
    }
}
