//! Rows decoded by the Parquet library: nested columns, columns to be cast, rare encodings.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicate, ArrowPredicateFn, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowFilter,
    RowSelection,
};
use plasmon_core::batch::arrow::import_column;
use plasmon_core::batch::{Batch, Bitmap, Column, Dictionary, Encoding, Selection, Values};
use plasmon_core::expression::{Expression, select};
use plasmon_core::operators::runtime_filter::KeyFilter;
use plasmon_core::{Error, Result};

use super::adapt::adapt;
use super::ranges::RowRanges;
use super::scan::ScanContext;
use super::{Morsel, ParquetFile, guarded};
use crate::store::{ByteSource, ChunkSource};

/// A morsel being read.
pub(super) struct LibraryScan {
    reader: ParquetRecordBatchReader,
    context: Arc<ScanContext>,
    file: usize,
    /// The last dictionary of each output column, so that batches of one row group share one.
    dictionaries: HashMap<usize, (ArrayRef, Arc<Dictionary>)>,
    /// About what the library has in memory.
    held: usize,
}

/// What the library has of one column: a page as stored and decompressed, of the size that writers aim at.
const PAGES_BYTES: i64 = 2 << 20;

impl LibraryScan {
    /// The scan of a morsel.
    pub(super) fn open(context: &Arc<ScanContext>, morsel: &Morsel, source: Arc<dyn ByteSource>) -> Result<Self> {
        let (index, group) = (morsel.file, morsel.group);
        let file = &context.files[index];
        let name = format!("{} row group {group}", file.name());
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(ChunkSource(source), file.metadata.clone());
        let mask = |columns: &[usize]| {
            let roots = columns.iter().filter_map(|&column| file.root(column));
            ProjectionMask::roots(file.metadata.parquet_schema(), roots)
        };
        let mut predicates: Vec<Box<dyn ArrowPredicate>> = Vec::new();
        for (columns, test) in tests(context, file) {
            let (mask, context) = (mask(&columns), context.clone());
            let predicate = ArrowPredicateFn::new(mask, move |batch| {
                let passed = import_named(&context, index, &columns, &batch).and_then(|b| test(b));
                passed
                    .map(|bits| BooleanArray::new(bits.to_arrow(), None))
                    .map_err(|e| arrow::error::ArrowError::ExternalError(Box::new(e)))
            });
            predicates.push(Box::new(predicate));
        }
        let builder = builder
            .with_row_groups(vec![group])
            .with_batch_size(context.request.batch_rows.max(1))
            .with_projection(mask(&context.request.projection));
        let rows = file.metadata.metadata().row_group(group).num_rows().max(0) as usize;
        let reader = guarded(&name, || {
            let builder = match morsel.rows == RowRanges::all(rows) {
                true => builder,
                false => builder.with_row_selection(RowSelection::from_consecutive_ranges(morsel.rows.iter(), rows)),
            };
            if predicates.is_empty() {
                builder.build()
            } else {
                builder.with_row_filter(RowFilter::new(predicates)).build()
            }
        })?;
        let stored = file.metadata.metadata().row_group(group);
        let chunks = file.leaves(&context.request.projection).map(|leaf| stored.column(leaf));
        let held = chunks.map(|chunk| chunk.uncompressed_size().clamp(0, PAGES_BYTES) as usize).sum();
        Ok(LibraryScan { reader, context: context.clone(), file: index, dictionaries: HashMap::new(), held })
    }

    /// Bytes in memory, about: the library does not tell.
    pub(super) fn held(&self) -> usize {
        self.held + self.dictionaries.values().map(|(_, dictionary)| dictionary.values.memory_bytes()).sum::<usize>()
    }

    /// The next batch with a surviving row; `None` behind the last.
    pub(super) fn next(&mut self) -> Result<Option<Batch>> {
        let name = self.context.files[self.file].name();
        let batch = guarded(&name, || {
            self.reader.next().transpose().map_err(|e| parquet::errors::ParquetError::ArrowError(e.to_string()))
        })?;
        batch.map(|batch| self.import(&batch)).transpose()
    }

    fn import(&mut self, batch: &RecordBatch) -> Result<Batch> {
        let context = self.context.clone();
        let file = &context.files[self.file];
        let columns = context.request.projection.iter().map(|&c| {
            let field = context.schema.field(c);
            match file.stored_name(c).and_then(|name| batch.column_by_name(name)) {
                None => context.constant_column(self.file, c, batch.num_rows()),
                Some(array)
                    if matches!(array.data_type(), DataType::Dictionary(_, _))
                        && *field.data_type() == DataType::Utf8View =>
                {
                    self.import_dictionary(c, array)
                }
                Some(array) => import_as(file, array, field.data_type()),
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

/// What rows must pass, cheapest first: columns read, and the test that gives a bit per row.
fn tests(context: &ScanContext, file: &ParquetFile) -> Vec<(Vec<usize>, Test)> {
    let request = &context.request;
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
        if file.root(target.column).is_some() && !matches!(*keys, KeyFilter::All) {
            tests.push((vec![target.column], Box::new(move |batch| Ok(passing_keys(&keys, batch.column(0))))));
        }
    }
    tests
}

/// The column in the table's type.
fn import_as(file: &ParquetFile, array: &ArrayRef, data_type: &DataType) -> Result<Column> {
    if let Some(naming) = file.naming {
        let adapted = adapt(array, data_type, naming).map_err(|why| Error::io(file.name(), why))?;
        return import_column(&adapted);
    }
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
fn import_named(context: &ScanContext, file: usize, columns: &[usize], batch: &RecordBatch) -> Result<Batch> {
    let (stored, index) = (&context.files[file], file);
    let imported = columns.iter().map(|&c| {
        let field = context.schema.field(c);
        match stored.stored_name(c).and_then(|name| batch.column_by_name(name)) {
            Some(array) => import_as(stored, array, field.data_type()),
            None => context.constant_column(index, c, batch.num_rows()),
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
