//! For tests: random columns, files of them written by the library in many ways, scans of those files.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::schema::types::ColumnPath;
use plasmon_core::Result;
use plasmon_core::batch::arrow::export_batch;
use plasmon_core::config::Config;
use plasmon_core::metrics::OperatorMetrics;
use plasmon_core::pipeline::{Next, TaskContext};
use plasmon_core::table::{ScanRequest, Table};

/// A file that is removed with its value.
pub(super) struct Temporary(pub(super) PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A small generator: the seed is the test's case, so that failures repeat.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    pub(super) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// Values of which `nulls` in ten are null.
pub(super) fn column<T>(
    random: &mut Random,
    rows: usize,
    nulls: u64,
    mut value: impl FnMut(&mut Random) -> T,
) -> Vec<Option<T>> {
    (0..rows).map(|_| if nulls > 0 && random.below(10) < nulls { None } else { Some(value(random)) }).collect()
}

/// Columns as a batch; `k` has no nulls.
pub(super) fn batch_of(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), *name != "k")).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|c| c.1).collect()).unwrap()
}

/// A column of every type that our decoders read. `i` is column 0, `k` column 2.
pub(super) fn random_batch(random: &mut Random, rows: usize) -> RecordBatch {
    let nulls = random.of(&[0, 0, 1, 5, 10]);
    let distinct = random.of(&[3, 200, 100_000]);
    let decimal = |values: Vec<Option<i128>>, precision, scale| -> ArrayRef {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap())
    };
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("i", Arc::new(Int32Array::from(column(random, rows, nulls, |r| r.below(distinct) as i32 - 50)))),
        (
            "l",
            Arc::new(Int64Array::from(column(random, rows, nulls, |r| r.below(distinct) as i64 * 1_000_000_007 - 5))),
        ),
        ("k", Arc::new(Int64Array::from(column(random, rows, 0, |r| r.below(distinct) as i64)))),
        ("d", Arc::new(Date32Array::from(column(random, rows, nulls, |r| r.below(3000) as i32)))),
        ("f", Arc::new(Float64Array::from(column(random, rows, nulls, |r| r.below(distinct) as f64 / 7.0)))),
        ("m", decimal(column(random, rows, nulls, |r| r.below(distinct) as i128 - 99), 9, 2)),
        ("n", decimal(column(random, rows, nulls, |r| r.below(distinct) as i128 * -77), 15, 2)),
        ("w", decimal(column(random, rows, nulls, |r| (r.below(distinct) as i128 - 9) << 70), 38, 4)),
    ];
    columns.extend(text_columns(random, rows, nulls, distinct));
    columns.extend(small_columns(random, rows, nulls, distinct));
    batch_of(columns)
}

fn text_columns(random: &mut Random, rows: usize, nulls: u64, distinct: u64) -> Vec<(&'static str, ArrayRef)> {
    let texts = ["", "a", "twelve bytes", "longer than twelve bytes", "größer als zwölf Bytes", "\u{10ffff}"];
    let long = "x".repeat(300);
    let text = |r: &mut Random| format!("{}{}", r.of(&texts), r.below(distinct));
    let repeated = |r: &mut Random| if r.below(50) == 0 { long.clone() } else { "é".repeat(r.below(9) as usize) };
    let bytes = |r: &mut Random| vec![r.below(256) as u8; r.below(20) as usize];
    vec![
        ("t", Arc::new(column(random, rows, nulls, text).into_iter().collect::<StringViewArray>())),
        ("u", Arc::new(column(random, rows, nulls, repeated).into_iter().collect::<StringViewArray>())),
        ("b", Arc::new(column(random, rows, nulls, bytes).into_iter().collect::<BinaryViewArray>())),
    ]
}

fn small_columns(random: &mut Random, rows: usize, nulls: u64, distinct: u64) -> Vec<(&'static str, ArrayRef)> {
    let mut sparse = |scale: u64| column(random, rows, nulls, |r| r.below(distinct).wrapping_mul(scale));
    let (a, b, c, d, e, g) = (sparse(1), sparse(300), sparse(7), sparse(u64::MAX / 100_000), sparse(5), sparse(11));
    fn cast<T>(values: &[Option<u64>], to: impl Fn(u64) -> T) -> Vec<Option<T>> {
        values.iter().map(|v| v.map(&to)).collect()
    }
    vec![
        ("i8", Arc::new(Int8Array::from(cast(&a, |v| v as i8)))),
        ("i16", Arc::new(Int16Array::from(cast(&b, |v| v as i16)))),
        ("u8", Arc::new(UInt8Array::from(cast(&a, |v| v as u8)))),
        ("u16", Arc::new(UInt16Array::from(cast(&b, |v| v as u16)))),
        ("u32", Arc::new(UInt32Array::from(cast(&d, |v| v as u32)))),
        ("u64", Arc::new(UInt64Array::from(d.clone()))),
        ("f32", Arc::new(Float32Array::from(cast(&c, |v| v as f32 / 3.0)))),
        ("bool", Arc::new(BooleanArray::from(cast(&c, |v| v % 3 == 0)))),
        ("time", Arc::new(Time32MillisecondArray::from(cast(&e, |v| (v % 86_400_000) as i32)))),
        ("time64", Arc::new(Time64MicrosecondArray::from(cast(&e, |v| v as i64)))),
        ("stamp", Arc::new(TimestampMillisecondArray::from(cast(&g, |v| v as i64)))),
        ("zoned", Arc::new(TimestampNanosecondArray::from(cast(&g, |v| -(v as i64))).with_timezone("UTC"))),
    ]
}

/// Properties of files with small pages and row groups, in one of many ways.
pub(super) fn random_properties(random: &mut Random) -> WriterPropertiesBuilder {
    let codecs = [
        Compression::SNAPPY,
        Compression::UNCOMPRESSED,
        Compression::ZSTD(Default::default()),
        Compression::LZ4_RAW,
        Compression::SNAPPY,
    ];
    WriterProperties::builder()
        .set_compression(random.of(&codecs))
        .set_writer_version(random.of(&[WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0]))
        .set_max_row_group_row_count(Some(random.of(&[700, 5000, 1 << 20])))
        .set_data_page_row_count_limit(random.of(&[100, 1000, 20_000]))
        .set_write_batch_size(64)
        .set_offset_index_disabled(random.below(4) == 0)
        .set_dictionary_enabled(random.below(4) != 0)
        // Small dictionaries overflow within a chunk: pages of codes are followed by others.
        .set_dictionary_page_size_limit(random.of(&[1 << 20, 500]))
}

/// An encoding that the type may have, for its columns without a dictionary.
pub(super) fn random_encoding(random: &mut Random, data_type: &DataType) -> Option<Encoding> {
    let choices: &[Option<Encoding>] = match data_type {
        DataType::Boolean => &[None, Some(Encoding::PLAIN), Some(Encoding::RLE)],
        DataType::Utf8View | DataType::BinaryView => {
            &[None, Some(Encoding::DELTA_LENGTH_BYTE_ARRAY), Some(Encoding::DELTA_BYTE_ARRAY), Some(Encoding::PLAIN)]
        }
        DataType::Float32 | DataType::Float64 => &[None, Some(Encoding::BYTE_STREAM_SPLIT)],
        DataType::Decimal128(38, _) => &[None, Some(Encoding::BYTE_STREAM_SPLIT)],
        _ => &[None, Some(Encoding::DELTA_BINARY_PACKED), Some(Encoding::BYTE_STREAM_SPLIT)],
    };
    random.of(choices)
}

/// The batch as a file; `name` tells files of one process apart.
pub(super) fn write(batch: &RecordBatch, properties: WriterProperties, name: &str) -> Temporary {
    let path = std::env::temp_dir().join(format!("plasmon-{name}-{}.parquet", std::process::id()));
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    Temporary(path)
}

/// The batch as a file of any properties and encodings.
pub(super) fn write_any(random: &mut Random, batch: &RecordBatch, name: &str) -> Temporary {
    let mut properties = random_properties(random);
    for field in batch.schema().fields() {
        if let Some(encoding) = random_encoding(random, field.data_type()) {
            properties = properties.set_column_encoding(ColumnPath::from(field.name().as_str()), encoding);
        }
    }
    write(batch, properties.build(), name)
}

/// All rows of a scan, and its notes.
pub(super) fn scan(path: &PathBuf, request: &ScanRequest) -> Result<(RecordBatch, Vec<(String, String)>)> {
    let table: Arc<dyn Table> =
        crate::open_table(&path.to_string_lossy(), Some(crate::Format::Parquet), &crate::Options::default())?;
    scan_table(&table, request)
}

/// All rows of a scan of a table, and its notes.
pub(super) fn scan_table(
    table: &Arc<dyn Table>,
    request: &ScanRequest,
) -> Result<(RecordBatch, Vec<(String, String)>)> {
    let schema = Arc::new(super::row_numbers::with_row_number(&table.schema()).project(&request.projection)?);
    let source = table.scan(request)?;
    let metrics = OperatorMetrics::new();
    let mut state = source.open(&TaskContext::new(Config::default()), &metrics)?;
    let mut batches = Vec::new();
    while let Next::Batch(batch) = state.next()? {
        assert!(batch.selected_rows() > 0 && batch.rows() <= request.batch_rows, "{} rows", batch.rows());
        batches.push(export_batch(batch, &schema)?);
    }
    Ok((arrow::compute::concat_batches(&schema, &batches)?, metrics.notes()))
}

/// Whether the library read some rows of a scan.
pub(super) fn is_by_library(notes: &[(String, String)]) -> bool {
    notes.iter().any(|(name, _)| name.contains("library"))
}

/// What the library reads.
pub(super) fn oracle(path: &PathBuf, schema: &Arc<Schema>) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).unwrap()).unwrap().build().unwrap();
    arrow::compute::concat_batches(schema, &reader.map(|b| b.unwrap()).collect::<Vec<_>>()).unwrap()
}

/// Columns of ours are those of that name of theirs.
pub(super) fn assert_same(ours: &RecordBatch, theirs: &RecordBatch, case: u64) {
    assert_eq!(ours.num_rows(), theirs.num_rows(), "case {case}");
    for (index, field) in ours.schema().fields().iter().enumerate() {
        let their_column = theirs.column_by_name(field.name()).unwrap();
        let their_column = arrow::compute::cast(their_column, field.data_type()).unwrap();
        assert_eq!(ours.column(index), &their_column, "case {case}, column {}", field.name());
    }
}
