//! The scan: row groups as morsels; in each, filters are applied to the columns that they read before any other column is decoded.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowFilter,
};
use plasmon_core::Result;
use plasmon_core::batch::arrow::import_column;
use plasmon_core::batch::{Batch, Bitmap, Column, Dictionary, Encoding, Selection, Values};
use plasmon_core::expression::{Expression, Scalar, select};
use plasmon_core::metrics::OperatorMetrics;
use plasmon_core::operators::runtime_filter::KeyFilter;
use plasmon_core::pipeline::{CancelToken, Next, Source, SourceState, TaskContext};
use plasmon_core::table::ScanRequest;

use super::ahead::{ReadAhead, needed_columns};
use super::native::{GroupScan, PassRates};
use super::{ParquetFile, guarded, prune};
use crate::contain;
use crate::store::{BufferPool, ByteSource, ChunkSource};

/// Scans files by row group.
#[derive(Debug)]
pub(super) struct ParquetScan {
    shared: Arc<ScanShared>,
}

#[derive(Debug)]
struct ScanShared {
    files: Arc<Vec<ParquetFile>>,
    schema: SchemaRef,
    request: ScanRequest,
    /// (file, row group) of every morsel, once pruned: at open, when runtime filters are there.
    morsels: OnceLock<Vec<(usize, usize)>>,
    cursor: AtomicUsize,
    ahead: ReadAhead,
}

impl ParquetScan {
    pub(super) fn new(files: Arc<Vec<ParquetFile>>, schema: SchemaRef, request: ScanRequest) -> Self {
        ParquetScan {
            shared: Arc::new(ScanShared {
                files,
                schema,
                request,
                morsels: OnceLock::new(),
                cursor: AtomicUsize::new(0),
                ahead: ReadAhead::default(),
            }),
        }
    }
}

impl ScanShared {
    fn morsels(&self) -> &[(usize, usize)] {
        self.morsels.get_or_init(|| {
            let wanted = self.files.iter().enumerate().flat_map(|(index, file)| {
                let groups = prune::wanted_groups(file, &self.schema, &self.request);
                groups.into_iter().enumerate().filter(|(_, wanted)| *wanted).map(move |(group, _)| (index, group))
            });
            wanted.collect()
        })
    }
}

impl ScanShared {
    /// A column that a file does not store.
    fn constant_column(&self, file: usize, column: usize, rows: usize) -> Result<Column> {
        let data_type = self.schema.field(column).data_type();
        self.files[file].constant(column).unwrap_or(&Scalar::Null).to_column(data_type, rows)
    }
}

impl Source for ParquetScan {
    fn name(&self) -> &'static str {
        "ParquetScan"
    }

    fn describe(&self) -> String {
        let request = &self.shared.request;
        let columns: Vec<&str> =
            request.projection.iter().map(|&c| self.shared.schema.field(c).name().as_str()).collect();
        format!("{} of {} files", columns.join(", "), self.shared.files.len())
    }

    fn max_workers(&self) -> usize {
        self.shared.morsels().len()
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        let all: usize = self.shared.files.iter().map(|f| f.metadata.metadata().num_row_groups()).sum();
        metrics.note("row groups", format!("{} of {all}", self.shared.morsels().len()));
        Ok(Box::new(ScanState {
            shared: self.shared.clone(),
            metrics: metrics.clone(),
            cancel: task.cancel.clone(),
            current: None,
            native: None,
            handle: None,
            pool: Arc::default(),
            rates: PassRates::new(),
            dictionaries: HashMap::new(),
        }))
    }
}

struct ScanState {
    shared: Arc<ScanShared>,
    metrics: Arc<OperatorMetrics>,
    cancel: CancelToken,
    /// A row group read by the library: nested columns, rare encodings.
    current: Option<(ParquetRecordBatchReader, usize)>,
    /// A row group read by our own decoders.
    native: Option<GroupScan>,
    /// The file that was opened last.
    handle: Option<(usize, Arc<dyn ByteSource>)>,
    /// Buffers for the bytes of chunks and pages.
    pool: Arc<BufferPool>,
    rates: PassRates,
    /// The last dictionary of each output column, so that batches of one row group share one.
    dictionaries: HashMap<usize, (ArrayRef, Arc<Dictionary>)>,
}

impl SourceState for ScanState {
    fn next(&mut self) -> Result<Next> {
        let shared = self.shared.clone();
        let at = self.shared.cursor.load(Ordering::Relaxed).saturating_sub(1);
        let context = || {
            shared.morsels().get(at).map_or_else(String::new, |&(file, group)| {
                format!("{} near row group {group}", shared.files[file].name())
            })
        };
        contain(context, || self.advance())
    }
}

impl ScanState {
    fn advance(&mut self) -> Result<Next> {
        loop {
            if let Some(group) = &mut self.native {
                match group.next(&mut self.rates)? {
                    Some(batch) => return Ok(Next::Batch(batch)),
                    None => self.native = None,
                }
            }
            if let Some((reader, file)) = &mut self.current {
                let name = self.shared.files[*file].name();
                let batch = guarded(&name, || {
                    reader.next().transpose().map_err(|e| parquet::errors::ParquetError::ArrowError(e.to_string()))
                })?;
                match batch {
                    Some(batch) => {
                        let file = *file;
                        return Ok(Next::Batch(self.import(&batch, file)?));
                    }
                    None => self.current = None,
                }
            }
            let index = self.shared.cursor.fetch_add(1, Ordering::Relaxed);
            let Some(&(file, group)) = self.shared.morsels().get(index) else { return Ok(Next::Finished) };
            self.metrics.rows_in.fetch_add(
                self.shared.files[file].metadata.metadata().row_group(group).num_rows() as u64,
                Ordering::Relaxed,
            );
            let (shared, source) = (self.shared.clone(), self.source(index)?);
            self.native = GroupScan::open(
                (source.clone(), self.pool.clone()),
                shared.files.clone(),
                shared.schema.clone(),
                (file, group),
                &shared.request,
                &self.rates,
            );
            if self.native.is_none() {
                self.metrics.add("row groups read by the library", 1);
                self.current = Some((self.open_group(file, group, source)?, file));
            }
        }
    }
}

impl ScanState {
    /// The bytes that hold a morsel: of local files the last one stays open, of objects the requests run ahead.
    fn source(&mut self, morsel: usize) -> Result<Arc<dyn ByteSource>> {
        let (shared, morsels) = (&self.shared, self.shared.morsels());
        let index = morsels[morsel].0;
        let file = &shared.files[index].file;
        if file.is_remote() {
            let columns = needed_columns(&shared.request, &shared.schema);
            return shared.ahead.take(morsel, morsels, &shared.files, &columns, &self.cancel);
        }
        if let Some((_, handle)) = self.handle.as_ref().filter(|(known, _)| *known == index) {
            return Ok(handle.clone());
        }
        let handle = file.open(Some(&self.cancel))?;
        self.handle = Some((index, handle.clone()));
        Ok(handle)
    }

    fn open_group(&self, index: usize, group: usize, source: Arc<dyn ByteSource>) -> Result<ParquetRecordBatchReader> {
        let (shared, file) = (&self.shared, &self.shared.files[index]);
        let name = format!("{} row group {group}", file.name());
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(ChunkSource(source), file.metadata.clone());
        let mask = |columns: &[usize]| {
            let roots =
                columns.iter().filter_map(|&c| file.metadata.schema().index_of(shared.schema.field(c).name()).ok());
            ProjectionMask::roots(file.metadata.parquet_schema(), roots)
        };
        let mut predicates: Vec<Box<dyn parquet::arrow::arrow_reader::ArrowPredicate>> = Vec::new();
        for (columns, test) in self.tests(file) {
            let (mask, shared) = (mask(&columns), shared.clone());
            let predicate = ArrowPredicateFn::new(mask, move |batch| {
                let passed = import_named(&shared, index, &columns, &batch).and_then(|b| test(b));
                passed
                    .map(|bits| BooleanArray::new(bits.to_arrow(), None))
                    .map_err(|e| arrow::error::ArrowError::ExternalError(Box::new(e)))
            });
            predicates.push(Box::new(predicate));
        }
        let builder = builder
            .with_row_groups(vec![group])
            .with_batch_size(shared.request.batch_rows.max(1))
            .with_projection(mask(&shared.request.projection));
        guarded(&name, || {
            if predicates.is_empty() {
                builder.build()
            } else {
                builder.with_row_filter(RowFilter::new(predicates)).build()
            }
        })
    }

    /// What rows must pass, cheapest first: columns read, and the test that gives a bit per row.
    fn tests(&self, file: &ParquetFile) -> Vec<(Vec<usize>, Test)> {
        let request = &self.shared.request;
        let mut by_columns: Vec<(Vec<usize>, Vec<Expression>)> = Vec::new();
        for filter in &request.filters {
            let read = filter.referenced_columns();
            match by_columns.iter_mut().find(|(columns, _)| *columns == read) {
                Some((_, filters)) => filters.push(filter.clone()),
                None => by_columns.push((read, vec![filter.clone()])),
            }
        }
        by_columns.sort_by_key(|(columns, _)| columns.len());
        let mut tests: Vec<(Vec<usize>, Test)> = Vec::new();
        for (columns, filters) in by_columns {
            let position = |c: usize| columns.binary_search(&c).unwrap_or(c);
            let predicate = Expression::and(filters.iter().map(|f| f.map_columns(&position)).collect());
            tests.push((columns, Box::new(move |batch| passing(&predicate, batch))));
        }
        for target in &request.runtime_filters {
            let Some(keys) = target.filter.keys().cloned() else { continue };
            let exists = file.metadata.schema().index_of(self.shared.schema.field(target.column).name()).is_ok();
            if exists && !matches!(*keys, KeyFilter::All | KeyFilter::Bloom { .. }) {
                tests.push((vec![target.column], Box::new(move |batch| Ok(passing_keys(&keys, batch.column(0))))));
            }
        }
        tests
    }

    fn import(&mut self, batch: &RecordBatch, file: usize) -> Result<Batch> {
        let shared = self.shared.clone();
        let columns = shared.request.projection.iter().map(|&c| {
            let field = shared.schema.field(c);
            match batch.column_by_name(field.name()) {
                None => shared.constant_column(file, c, batch.num_rows()),
                Some(array)
                    if matches!(array.data_type(), DataType::Dictionary(_, _))
                        && *field.data_type() == DataType::Utf8View =>
                {
                    self.import_dictionary(c, array)
                }
                Some(array) => import_as(array, field.data_type()),
            }
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(Batch::new(columns, batch.num_rows()))
    }

    fn import_dictionary(&mut self, column: usize, array: &ArrayRef) -> Result<Column> {
        let values = array.as_any_dictionary().values();
        if values.is_empty() || values.null_count() > 0 {
            return import_column(array);
        }
        let cached = self
            .dictionaries
            .get(&column)
            .filter(|(known, _)| Arc::ptr_eq(known, values) || known.to_data().ptr_eq(&values.to_data()));
        let dictionary = match cached {
            Some((_, dictionary)) => dictionary.clone(),
            None => {
                let flat = import_column(values)?.flat_values();
                let dictionary = Arc::new(Dictionary::new(flat));
                self.dictionaries.insert(column, (values.clone(), dictionary.clone()));
                dictionary
            }
        };
        let codes = array.as_dictionary::<arrow::datatypes::Int32Type>().keys();
        let last = values.len() as i32 - 1;
        let codes = codes.values().iter().map(|&k| k.clamp(0, last) as u32).collect();
        let validity = array.nulls().map(|n| Bitmap::from_arrow(n.inner()));
        Ok(Column::dictionary(codes, dictionary, validity))
    }
}

type Test = Box<dyn Fn(Batch) -> Result<Bitmap> + Send>;

/// The column in the table's type.
fn import_as(array: &ArrayRef, data_type: &DataType) -> Result<Column> {
    match (array.data_type(), data_type) {
        (a, b) if a == b => import_column(array),
        (DataType::Decimal64(_, s), DataType::Decimal128(_, t)) if s == t => import_column(array),
        (DataType::Dictionary(_, _), DataType::Utf8View) => import_column(array),
        _ => {
            let strict = arrow::compute::CastOptions { safe: false, ..Default::default() };
            import_column(&arrow::compute::cast_with_options(array, data_type, &strict)?)
        }
    }
}

/// The named columns of a predicate's batch, in the order of `columns`.
fn import_named(shared: &ScanShared, file: usize, columns: &[usize], batch: &RecordBatch) -> Result<Batch> {
    let imported = columns.iter().map(|&c| {
        let field = shared.schema.field(c);
        match batch.column_by_name(field.name()) {
            Some(array) => import_as(array, field.data_type()),
            None => shared.constant_column(file, c, batch.num_rows()),
        }
    });
    Ok(Batch::new(imported.collect::<Result<Vec<_>>>()?, batch.num_rows()))
}

fn passing(predicate: &Expression, batch: Batch) -> Result<Bitmap> {
    let rows = batch.rows();
    let passed = select(predicate, batch)?;
    Ok(match passed.selection() {
        None => Bitmap::constant(true, rows),
        Some(selection) => bits(selection, rows),
    })
}

fn bits(selection: &Selection, rows: usize) -> Bitmap {
    Bitmap::new(plasmon_kernels::select::selection_to_bits(selection.positions(), rows), rows)
}

/// Rows whose key may be present; a null matches nothing.
fn passing_keys(keys: &KeyFilter, column: &Column) -> Bitmap {
    let flat = column.flatten();
    let rows = flat.len();
    let test = |values: &mut dyn Iterator<Item = i64>| {
        let mut words = vec![0u64; rows.div_ceil(64)];
        values.enumerate().for_each(|(row, key)| words[row / 64] |= u64::from(keys.may_contain(key)) << (row % 64));
        Bitmap::new(words, rows)
    };
    let passed = match flat.encoding() {
        Encoding::Flat(Values::Int64(v)) => test(&mut v.iter().copied()),
        Encoding::Flat(Values::Int32(v)) => test(&mut v.iter().map(|&x| x as i64)),
        Encoding::Flat(Values::Int16(v)) => test(&mut v.iter().map(|&x| x as i64)),
        Encoding::Flat(Values::Int8(v)) => test(&mut v.iter().map(|&x| x as i64)),
        _ if matches!(keys, KeyFilter::Empty) => Bitmap::constant(false, rows),
        _ => Bitmap::constant(true, rows),
    };
    Bitmap::and_optional(Some(&passed), flat.validity()).unwrap_or(passed)
}
