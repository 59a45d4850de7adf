//! CSV, JSON lines and Arrow IPC files as tables, decoded by Arrow's readers.
//!
//! A file is cut into pieces (`piece`) that workers take one by one; a piece is read as a stream of bytes (`input`) by its format's decoder
//! (`csv`, `json`, `ipc`); its batches are brought into the table's columns and filtered here.

mod csv;
mod input;
mod ipc;
mod json;
mod locate;
mod piece;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use plasmon_core::batch::arrow::import_column;
use plasmon_core::batch::{Batch, Column};
use plasmon_core::expression::{Expression, Scalar, select};
use plasmon_core::memory::Counted;
use plasmon_core::metrics::OperatorMetrics;
use plasmon_core::pipeline::{CancelToken, Next, Source, SourceState, TaskContext};
use plasmon_core::table::{ScanRequest, Table};
use plasmon_core::{Error, Result};

use crate::contain;
use crate::format::{Format, Options};
use crate::partition::{NameColumns, file_may_pass};
use crate::schema::{check_names, merged};
use crate::store::{DataFile, SourceReader};
pub(crate) use csv::CsvOptions;
use piece::{Extent, Piece};

/// The options of reading, by format.
pub(crate) fn options_of(format: Format) -> &'static [&'static str] {
    match format {
        Format::Csv => &[
            "header",
            "has_header",
            "delimiter",
            "delim",
            "sep",
            "quote",
            "escape",
            "comment",
            "null",
            "nullstr",
            "null_value",
            "null_padding",
            "truncated_rows",
            "all_varchar",
            "compression",
            "codec",
            "sample_size",
            "schema_infer_max_rec",
        ],
        Format::Json => &["compression", "codec", "sample_size", "schema_infer_max_rec"],
        _ => &[],
    }
}

/// Rows looked at to infer the columns of text files.
const SAMPLE_ROWS: usize = 20_480;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// How the files of a table are read.
#[derive(Debug, Clone)]
struct Reading {
    format: Format,
    csv: CsvOptions,
    options: Options,
}

/// A file and the columns that it holds, in its order and in the types to read them in.
#[derive(Debug)]
struct TextFile {
    file: Arc<DataFile>,
    schema: SchemaRef,
}

/// A table over files of one format.
pub(crate) fn open(
    location: &str,
    files: Vec<Arc<DataFile>>,
    format: Format,
    options: &Options,
) -> Result<Arc<dyn Table>> {
    let reading = Reading { format, csv: CsvOptions::new(options)?, options: options.clone() };
    let names = NameColumns::of_files(&files, options)?;
    let own: Vec<Schema> = match &options.schema {
        Some(declared) if format != Format::Arrow => {
            let stored = declared.fields().iter().filter(|f| names.value(0, f.name()).is_none()).cloned();
            vec![Schema::new(stored.collect::<Vec<_>>()); files.len()]
        }
        _ => files.iter().map(|f| contain(|| f.name.clone(), || reading.infer(f))).collect::<Result<_>>()?,
    };
    let stored = match &options.schema {
        Some(declared) => declared.as_ref().clone(),
        None => merge_all(&files, &own)?,
    };
    let schema = Arc::new(nullable(&names.extend(&stored)));
    let files = files.into_iter().zip(own).map(|(file, own)| {
        // Text becomes values of the table's types at once; IPC files keep their own and are cast.
        let types = own.fields().iter().map(|f| match schema.field_with_name(f.name()) {
            Ok(field) if format != Format::Arrow => field.clone(),
            _ => f.as_ref().clone(),
        });
        let own = Arc::new(Schema::new(types.collect::<Vec<_>>()));
        TextFile { file, schema: own }
    });
    let files = files.collect();
    Ok(Arc::new(TextTable { shared: Arc::new(Shared { location: location.into(), files, names, schema, reading }) }))
}

fn merge_all(files: &[Arc<DataFile>], own: &[Schema]) -> Result<Schema> {
    // A file without any column (empty) says nothing about those of the others.
    let mut telling = files.iter().zip(own).filter(|(_, schema)| !schema.fields().is_empty());
    let Some((_, first)) = telling.next() else {
        return Err(Error::io(
            &files[0].name,
            "no columns: the file is empty; declare them with CREATE EXTERNAL TABLE",
        ));
    };
    let all = telling.try_fold(first.clone(), |all, (file, own)| merged(&all, own, &file.name))?;
    let fields = all.fields().iter().map(|f| match f.data_type() {
        DataType::Null => f.as_ref().clone().with_data_type(DataType::Utf8View),
        _ => f.as_ref().clone(),
    });
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

/// A file's own nullability does not bind: columns that a file lacks are null.
fn nullable(schema: &Schema) -> Schema {
    Schema::new(schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<_>>())
}

impl Reading {
    /// The columns of one file.
    fn infer(&self, file: &DataFile) -> Result<Schema> {
        let schema = match self.format {
            Format::Csv => csv::infer(file, self)?,
            Format::Json => json::infer(file, self)?,
            _ => ipc::schema(file)?,
        };
        check_names(&schema, &file.name)?;
        Ok(schema)
    }

    /// Rows of a sample: the option, or the default.
    fn sample_rows(&self) -> Result<usize> {
        match self.options.get(&["sample_size", "schema_infer_max_rec"]) {
            None => Ok(SAMPLE_ROWS),
            Some("-1") => Ok(usize::MAX),
            Some(text) => {
                text.parse().map_err(|_| Error::user(format!("option sample_size: {text:?} is no number of rows")))
            }
        }
    }
}

#[derive(Debug)]
struct TextTable {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    location: String,
    files: Vec<TextFile>,
    names: NameColumns,
    schema: SchemaRef,
    reading: Reading,
}

impl Table for TextTable {
    fn schema(&self) -> SchemaRef {
        self.shared.schema.clone()
    }

    fn applies_filter(&self, _filter: &Expression) -> bool {
        true
    }

    fn scan(&self, request: &ScanRequest) -> Result<Arc<dyn Source>> {
        // Columns read, and those of them that make the output.
        let mut needed = request.projection.clone();
        needed.extend(request.filters.iter().flat_map(Expression::referenced_columns));
        needed.sort_unstable();
        needed.dedup();
        let plan = ScanPlan {
            table: self.shared.clone(),
            request: request.clone(),
            needed,
            pieces: OnceLock::new(),
            cursor: AtomicUsize::new(0),
        };
        Ok(Arc::new(TextScan { plan: Arc::new(plan) }))
    }

    fn describe(&self) -> String {
        let count = self.shared.files.len();
        let plural = if count == 1 { "" } else { "s" };
        format!("{:?} {} ({count} file{plural})", self.shared.reading.format, self.shared.location)
    }
}

#[derive(Debug)]
struct TextScan {
    plan: Arc<ScanPlan>,
}

#[derive(Debug)]
struct ScanPlan {
    table: Arc<Shared>,
    request: ScanRequest,
    /// Ordinals into the table's schema, ascending.
    needed: Vec<usize>,
    /// Found when the scan opens: then runtime filters are there.
    pieces: OnceLock<Result<Vec<Piece>>>,
    cursor: AtomicUsize,
}

impl ScanPlan {
    fn pieces(&self) -> Result<&[Piece]> {
        let pieces = self.pieces.get_or_init(|| {
            let table = &self.table;
            let mut pieces = Vec::new();
            for (index, text) in table.files.iter().enumerate() {
                let constant = |c: usize| table.names.value(index, table.schema.field(c).name()).cloned();
                if file_may_pass(&constant, &table.schema, &self.request) {
                    let extents = contain(|| text.file.name.clone(), || piece::cut(&text.file, &table.reading))?;
                    pieces.extend(extents.into_iter().map(|extent| Piece { file: index, extent }));
                }
            }
            Ok(pieces)
        });
        pieces.as_ref().map(Vec::as_slice).map_err(Clone::clone)
    }
}

impl Source for TextScan {
    fn name(&self) -> &'static str {
        "FileScan"
    }

    fn describe(&self) -> String {
        format!("{:?}, {} files", self.plan.table.reading.format, self.plan.table.files.len())
    }

    fn max_workers(&self) -> usize {
        self.plan.pieces().map_or(1, <[Piece]>::len)
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        let pieces = self.plan.pieces()?;
        let read: std::collections::BTreeSet<usize> = pieces.iter().map(|p| p.file).collect();
        metrics.note("files", format!("{} of {}", read.len(), self.plan.table.files.len()));
        Ok(Box::new(TextScanState {
            plan: self.plan.clone(),
            cancel: task.cancel.clone(),
            current: None,
            waiting: None,
            held: task.memory.counted("File scan"),
        }))
    }
}

struct TextScanState {
    plan: Arc<ScanPlan>,
    cancel: CancelToken,
    /// The piece being read.
    current: Option<(usize, Batches)>,
    /// A batch larger than asked for, its file, and the row to go on from.
    waiting: Option<(RecordBatch, usize, usize)>,
    /// For that, and for what is read of the file.
    held: Counted,
}

impl SourceState for TextScanState {
    fn next(&mut self) -> Result<Next> {
        let plan = self.plan.clone();
        let at = self.current.as_ref().map_or(0, |(file, _)| *file);
        let next = contain(|| plan.table.files[at].file.name.clone(), || self.advance());
        let reader =
            self.current.as_ref().map(|(file, _)| SourceReader::bytes(plan.table.files[*file].file.is_remote()));
        let batch = self.waiting.as_ref().map_or(0, |(batch, ..)| batch.get_array_memory_size());
        self.held.set(reader.unwrap_or(0) + batch);
        next
    }
}

impl TextScanState {
    fn advance(&mut self) -> Result<Next> {
        loop {
            if let Some((batch, file, start)) = &mut self.waiting {
                let len = self.plan.request.batch_rows.max(1).min(batch.num_rows() - *start);
                if len > 0 {
                    let (part, file) = (batch.slice(*start, len), *file);
                    *start += len;
                    return Ok(Next::Batch(self.output(&part, file)?));
                }
                self.waiting = None;
            }
            match self.current.as_mut().and_then(|(file, batches)| Some((*file, batches.next()?))) {
                Some((file, batch)) => self.waiting = Some((batch?, file, 0)),
                None => {
                    let index = self.plan.cursor.fetch_add(1, Ordering::Relaxed);
                    let Some(piece) = self.plan.pieces()?.get(index) else { return Ok(Next::Finished) };
                    self.current = Some((piece.file, self.batches(piece)?));
                }
            }
        }
    }

    fn batches(&self, piece: &Piece) -> Result<Batches> {
        let table = &self.plan.table;
        let text = &table.files[piece.file];
        let names: Vec<&str> = self.plan.needed.iter().map(|&c| table.schema.field(c).name().as_str()).collect();
        let rows = self.plan.request.batch_rows.max(1);
        match (table.reading.format, &piece.extent) {
            (Format::Csv, extent) => csv::batches(text, &table.reading, extent, &names, rows, &self.cancel),
            (Format::Json, extent) => json::batches(text, &table.reading, extent, &names, rows, &self.cancel),
            (_, Extent::Blocks(blocks)) => ipc::file_batches(text, blocks.clone(), &names, &self.cancel),
            _ => ipc::stream_batches(text, &names, &self.cancel),
        }
    }

    /// The projected columns of the rows that pass the filters.
    fn output(&self, read: &RecordBatch, file: usize) -> Result<Batch> {
        let plan = &self.plan;
        let rows = read.num_rows();
        let columns = plan.needed.iter().map(|&c| self.column(read, file, c)).collect::<Result<Vec<_>>>()?;
        let place = |c: usize| plan.needed.binary_search(&c).unwrap_or(c);
        let mut batch = Batch::new(columns, rows);
        for filter in &plan.request.filters {
            batch = select(&filter.map_columns(&place), batch)?;
        }
        let projected = plan.request.projection.iter().map(|&c| batch.column(place(c)).clone()).collect();
        Ok(batch.with_columns(projected))
    }

    /// A column in the table's type: as read, or from the file's name, or null.
    fn column(&self, read: &RecordBatch, file: usize, column: usize) -> Result<Column> {
        let table = &self.plan.table;
        let field = table.schema.field(column);
        match read.column_by_name(field.name()) {
            Some(array) if array.data_type() == field.data_type() => import_column(array),
            Some(array) => {
                let strict = CastOptions { safe: false, ..CastOptions::default() };
                let cast = arrow::compute::cast_with_options(array, field.data_type(), &strict);
                let name = &table.files[file].file.name;
                import_column(&cast.map_err(|e| Error::io(name, format!("column {}: {e}", field.name())))?)
            }
            None => {
                let value = table.names.value(file, field.name()).unwrap_or(&Scalar::Null);
                value.to_column(field.data_type(), read.num_rows())
            }
        }
    }
}
