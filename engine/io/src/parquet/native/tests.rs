//! Random columns written by the library in many ways, read by us and by the library, with and without filters; cut and flipped bytes.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringViewArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::{WriterProperties, WriterVersion};
use plasmon_core::batch::arrow::export_batch;
use plasmon_core::config::Config;
use plasmon_core::expression::{CompareOp, Expression, Scalar};
use plasmon_core::metrics::OperatorMetrics;
use plasmon_core::operators::runtime_filter::{KeyFilter, RuntimeFilter};
use plasmon_core::pipeline::{Next, TaskContext};
use plasmon_core::table::{RuntimeFilterTarget, ScanRequest, Table};
use plasmon_core::{Error, Result};

/// A file that is removed with its value.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A small generator: the seed is the test's case, so that failures repeat.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn column<T>(random: &mut Random, rows: usize, nulls: u64, mut value: impl FnMut(&mut Random) -> T) -> Vec<Option<T>> {
    (0..rows).map(|_| if nulls > 0 && random.below(10) < nulls { None } else { Some(value(random)) }).collect()
}

fn random_batch(random: &mut Random, rows: usize) -> RecordBatch {
    let nulls = [0, 0, 1, 5, 10][random.below(5) as usize];
    let distinct = [3, 200, 100_000][random.below(3) as usize];
    let texts = ["", "a", "twelve bytes", "longer than twelve bytes", "größer als zwölf Bytes", "\u{10ffff}"];
    let long = "x".repeat(300);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("i", Arc::new(Int32Array::from(column(random, rows, nulls, |r| r.below(distinct) as i32 - 50)))),
        (
            "l",
            Arc::new(Int64Array::from(column(random, rows, nulls, |r| r.below(distinct) as i64 * 1_000_000_007 - 5))),
        ),
        ("k", Arc::new(Int64Array::from(column(random, rows, 0, |r| r.below(distinct) as i64)))),
        ("d", Arc::new(Date32Array::from(column(random, rows, nulls, |r| r.below(3000) as i32)))),
        ("f", Arc::new(Float64Array::from(column(random, rows, nulls, |r| r.below(distinct) as f64 / 7.0)))),
        (
            "t",
            Arc::new(
                column(random, rows, nulls, |r| format!("{}{}", texts[r.below(6) as usize], r.below(distinct)))
                    .into_iter()
                    .collect::<StringViewArray>(),
            ),
        ),
        (
            "u",
            Arc::new(
                column(random, rows, nulls, |r| {
                    if r.below(50) == 0 { long.clone() } else { "é".repeat(r.below(9) as usize) }
                })
                .into_iter()
                .collect::<StringViewArray>(),
            ),
        ),
        (
            "b",
            Arc::new(
                column(random, rows, nulls, |r| vec![r.below(256) as u8; r.below(20) as usize])
                    .into_iter()
                    .collect::<BinaryViewArray>(),
            ),
        ),
        (
            "m",
            Arc::new(
                Decimal128Array::from(column(random, rows, nulls, |r| r.below(distinct) as i128 - 99))
                    .with_precision_and_scale(9, 2)
                    .unwrap(),
            ),
        ),
        (
            "n",
            Arc::new(
                Decimal128Array::from(column(random, rows, nulls, |r| r.below(distinct) as i128 * -77))
                    .with_precision_and_scale(15, 2)
                    .unwrap(),
            ),
        ),
        (
            "w",
            Arc::new(
                Decimal128Array::from(column(random, rows, nulls, |r| (r.below(distinct) as i128 - 9) << 70))
                    .with_precision_and_scale(38, 4)
                    .unwrap(),
            ),
        ),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), *name != "k")).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|c| c.1).collect()).unwrap()
}

fn write(random: &mut Random, batch: &RecordBatch, case: u64) -> Temporary {
    let codecs = [
        Compression::SNAPPY,
        Compression::UNCOMPRESSED,
        Compression::ZSTD(Default::default()),
        Compression::LZ4_RAW,
        Compression::SNAPPY,
    ];
    let properties = WriterProperties::builder()
        .set_compression(codecs[random.below(5) as usize])
        .set_writer_version(if random.below(2) == 0 { WriterVersion::PARQUET_1_0 } else { WriterVersion::PARQUET_2_0 })
        .set_max_row_group_row_count(Some([700, 5000, 1 << 20][random.below(3) as usize]))
        .set_data_page_row_count_limit([100, 1000, 20_000][random.below(3) as usize])
        .set_write_batch_size(64)
        .set_dictionary_enabled(random.below(4) != 0)
        // Small dictionaries overflow within a chunk: pages of codes are followed by plain ones.
        .set_dictionary_page_size_limit([1 << 20, 500][random.below(2) as usize])
        .build();
    let path = std::env::temp_dir().join(format!("plasmon-decode-{}-{case}.parquet", std::process::id()));
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    Temporary(path)
}

/// All rows of a scan and whether the library read any row group.
fn scan(path: &PathBuf, request: &ScanRequest) -> Result<(RecordBatch, bool)> {
    let table: Arc<dyn Table> =
        crate::open_table(&path.to_string_lossy(), Some(crate::Format::Parquet), &crate::Options::default())?;
    let schema = Arc::new(table.schema().project(&request.projection)?);
    let source = table.scan(request)?;
    let metrics = OperatorMetrics::new();
    let mut state = source.open(&TaskContext::new(Config::default()), &metrics)?;
    let mut batches = Vec::new();
    while let Next::Batch(batch) = state.next()? {
        batches.push(export_batch(batch, &schema)?);
    }
    let by_library = metrics.notes().iter().any(|(name, _)| name.contains("library"));
    Ok((arrow::compute::concat_batches(&schema, &batches)?, by_library))
}

fn oracle(path: &PathBuf, schema: &Arc<Schema>) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).unwrap()).unwrap().build().unwrap();
    arrow::compute::concat_batches(schema, &reader.map(|b| b.unwrap()).collect::<Vec<_>>()).unwrap()
}

fn assert_same(ours: &RecordBatch, theirs: &RecordBatch, case: u64) {
    assert_eq!(ours.num_rows(), theirs.num_rows(), "case {case}");
    for (index, field) in ours.schema().fields().iter().enumerate() {
        let their_column = theirs.column_by_name(field.name()).unwrap();
        let their_column = arrow::compute::cast(their_column, field.data_type()).unwrap();
        assert_eq!(ours.column(index), &their_column, "case {case}, column {}", field.name());
    }
}

fn all_columns(batch_rows: usize) -> ScanRequest {
    ScanRequest { projection: (0..11).collect(), batch_rows, ..ScanRequest::default() }
}

#[test]
fn reads_what_the_library_reads() {
    let mut natively = 0;
    for case in 0..60 {
        let mut random = Random(case * 7919);
        let rows = [0, 1, 65, 3000, 12_000][random.below(5) as usize];
        let batch = random_batch(&mut random, rows);
        let file = write(&mut random, &batch, case);
        let (ours, by_library) = scan(&file.0, &all_columns([7, 1000, 4096][random.below(3) as usize])).unwrap();
        natively += usize::from(!by_library);
        assert_same(&ours, &oracle(&file.0, &batch.schema()), case);
    }
    assert!(natively > 20, "our decoders read only {natively} of 60 files");
}

#[test]
fn filters_like_the_library_and_an_arrow_filter() {
    for case in 100..160 {
        let mut random = Random(case * 104_729);
        let batch = random_batch(&mut random, 9000);
        let file = write(&mut random, &batch, case);
        let (least, key) = (random.below(120) as i64 - 60, random.below(300) as i64);
        let mut request = all_columns([100, 4096][random.below(2) as usize]);
        let column = Expression::column(0, DataType::Int32);
        request.filters.push(Expression::compare(
            CompareOp::GreaterEqual,
            column,
            Expression::literal(Scalar::Int64(least), DataType::Int32),
        ));
        let filter = RuntimeFilter::new();
        let bits =
            (0..=key as usize / 64).map(|_| random.below(1 << 31) << 32 | random.below(1 << 31)).collect::<Vec<u64>>();
        let present = |k: i64| (0..=key).contains(&k) && bits[k as usize / 64] >> (k % 64) & 1 == 1;
        let theirs = oracle(&file.0, &batch.schema());
        let (i, k) = (
            theirs["i"].as_primitive::<arrow::datatypes::Int32Type>(),
            theirs["k"].as_primitive::<arrow::datatypes::Int64Type>(),
        );
        let kept = (0..theirs.num_rows())
            .map(|row| Some(i.is_valid(row) && i64::from(i.value(row)) >= least && present(k.value(row))));
        let theirs = arrow::compute::filter_record_batch(&theirs, &kept.collect()).unwrap();
        filter.publish(KeyFilter::Bitmap { min: 0, max: key, bits: bits.clone() });
        request.runtime_filters.push(RuntimeFilterTarget { column: 2, filter });
        let (ours, _) = scan(&file.0, &request).unwrap();
        assert_same(&ours, &theirs, case);
    }
}

#[test]
fn damaged_files_are_errors_that_name_the_file() {
    let mut failures = 0;
    for case in 200..215 {
        let mut random = Random(case * 31);
        let batch = random_batch(&mut random, 2000);
        let file = write(&mut random, &batch, case);
        let bytes = std::fs::read(&file.0).unwrap();
        for _ in 0..20 {
            let mut damaged = bytes.clone();
            let footer = u32::from_le_bytes(*bytes[bytes.len() - 8..].first_chunk().unwrap()) as u64;
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len() as u64 - footer - 8) as usize;
                damaged[at] = random.below(256) as u8;
            }
            std::fs::write(&file.0, &damaged).unwrap();
            // Flipped values are no error; whatever is one says where.
            if let Err(error) = scan(&file.0, &all_columns(1000)) {
                assert!(matches!(&error, Error::Io { context, .. } if context.contains("plasmon-decode")), "{error}");
                failures += 1;
            }
        }
    }
    assert!(failures > 50, "only {failures} of 300 damaged files failed");
}
