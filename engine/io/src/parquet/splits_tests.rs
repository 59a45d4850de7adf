//! Splits of files made on the fly: every row once, columns by name, types converted or refused, partitions, pruning.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use parquet::basic::Compression;
use parquet::data_type::{Int96, Int96Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use plasmon_core::Result;
use plasmon_core::expression::{CompareOp, Expression, Scalar};
use plasmon_core::table::{FileSplit, FileSplits, ScanRequest, Table};

use super::test_files::{Random, Temporary, assert_same, batch_of, oracle, random_batch, scan_table, write, write_any};

fn split(path: &str, start: u64, length: u64) -> FileSplit {
    FileSplit { path: path.to_string(), start, length, partition_values: Vec::new() }
}

fn whole(file: &Temporary) -> FileSplit {
    split(&file.0.to_string_lossy(), 0, u64::MAX)
}

fn splits(splits: Vec<FileSplit>) -> FileSplits {
    FileSplits { splits, partition_columns: 0, case_sensitive: false, format: "parquet".to_string() }
}

fn open(splits: &FileSplits, schema: &SchemaRef) -> Result<Arc<dyn Table>> {
    crate::open_splits(splits, schema, &crate::Options::default())
}

fn all(table: &Arc<dyn Table>) -> Result<RecordBatch> {
    let projection = (0..table.schema().fields().len()).collect();
    scan_table(table, &ScanRequest { projection, batch_rows: 4096, ..ScanRequest::default() }).map(|(batch, _)| batch)
}

fn schema_of(fields: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(fields.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect::<Vec<_>>()))
}

/// One column of a file as another type; or why not.
fn read_as(stored: ArrayRef, wanted: DataType, name: &str) -> std::result::Result<ArrayRef, String> {
    let file = write(&batch_of(vec![("a", stored)]), WriterProperties::builder().build(), name);
    let table = open(&splits(vec![whole(&file)]), &schema_of(&[("a", wanted)]));
    table.and_then(|table| all(&table)).map(|batch| batch.column(0).clone()).map_err(|e| e.to_string())
}

#[test]
fn splits_that_cover_a_file_read_every_row_once() {
    for case in 0..30 {
        let mut random = Random(case * 7907 + 5);
        let rows = random.of(&[0, 1, 3000, 12_000]);
        let names = ["i", "l", "k", "d", "f", "m", "n", "w", "t", "u", "b", "f32", "bool"];
        let batch = random_batch(&mut random, rows);
        let columns: Vec<usize> = names.iter().map(|name| batch.schema().index_of(name).unwrap()).collect();
        let batch = batch.project(&columns).unwrap();
        let file = write_any(&mut random, &batch, &format!("splits-{case}"));
        let size = std::fs::metadata(&file.0).unwrap().len();
        let mut cuts: Vec<u64> = (0..random.below(6)).map(|_| random.below(size + 1)).chain([0, size]).collect();
        cuts.sort_unstable();
        let path = format!("file:{}", file.0.display());
        let parts: Vec<FileSplit> = cuts.windows(2).map(|w| split(&path, w[0], w[1] - w[0])).collect();
        let table = open(&splits(parts.clone()), &batch.schema()).unwrap();
        assert_eq!(table.statistics().rows, Some(rows as u64), "case {case}");
        let theirs = oracle(&file.0, &batch.schema());
        assert_same(&all(&table).unwrap(), &theirs, case);
        let alone = parts.into_iter().map(|part| open(&splits(vec![part]), &batch.schema()).unwrap());
        assert_eq!(alone.map(|table| table.statistics().rows.unwrap()).sum::<u64>(), rows as u64, "case {case}");
    }
}

#[test]
fn no_splits_are_no_rows() {
    let table = open(&splits(vec![]), &schema_of(&[("a", DataType::Utf8), ("b", DataType::Int32)])).unwrap();
    assert_eq!((table.statistics().rows, all(&table).unwrap().num_rows()), (Some(0), 0));
    let unknown = FileSplits { format: "orc".to_string(), ..splits(vec![]) };
    assert!(open(&unknown, &schema_of(&[])).unwrap_err().to_string().contains("unknown file format"));
}

#[test]
fn columns_are_found_by_name_and_partitions_are_given() {
    let columns = |n: i32| -> Vec<(&str, ArrayRef)> {
        vec![
            ("Id", Arc::new(Int32Array::from(vec![n, n + 1]))),
            ("part", Arc::new(StringArray::from(vec!["in", "file"]))),
            ("größe", Arc::new(Float64Array::from(vec![0.5, 1.5]))),
        ]
    };
    let files: Vec<Temporary> = (0..2)
        .map(|n| write(&batch_of(columns(n * 10)), WriterProperties::builder().build(), &format!("splits-name-{n}")))
        .collect();
    let wanted = [
        ("GRÖSSE", DataType::Float64),
        ("id", DataType::Int64),
        ("new", DataType::Utf8),
        ("GRÖßE", DataType::Float64),
        ("part", DataType::Utf8),
        ("day", DataType::Date32),
    ];
    let mut given = splits(files.iter().map(whole).collect());
    given.partition_columns = 2;
    given.splits[0].partition_values = vec![Scalar::Bytes(b"x".as_slice().into()), Scalar::Int64(19_000)];
    given.splits[1].partition_values = vec![Scalar::Null, Scalar::Int64(19_001)];
    let table = open(&given, &schema_of(&wanted)).unwrap();
    let batch = all(&table).unwrap();
    assert_eq!(batch.column(1).as_ref(), &Int64Array::from(vec![0, 1, 10, 11]));
    assert_eq!(batch.column(3).as_ref(), &Float64Array::from(vec![0.5, 1.5, 0.5, 1.5]));
    assert_eq!((batch.column(0).null_count(), batch.column(2).null_count()), (4, 4), "not stored");
    let parts = arrow::compute::cast(batch.column(4), &DataType::Utf8).unwrap();
    assert_eq!(parts.as_ref(), &StringArray::from(vec![Some("x"), Some("x"), None, None]));
    assert_eq!(batch.column(5).as_ref(), &Date32Array::from(vec![19_000, 19_000, 19_001, 19_001]));
    // One value for a whole file leaves the other file unread.
    let day = Expression::compare(
        CompareOp::Equal,
        Expression::column(5, DataType::Date32),
        Expression::literal(Scalar::Int64(19_001), DataType::Date32),
    );
    let request = ScanRequest { projection: vec![1], filters: vec![day], batch_rows: 100, ..ScanRequest::default() };
    let (batch, notes) = scan_table(&table, &request).unwrap();
    assert_eq!(batch.column(0).as_ref(), &Int64Array::from(vec![10, 11]));
    assert!(notes.contains(&("row groups pruned by constants".to_string(), "1".to_string())), "{notes:?}");
    let exact = FileSplits { case_sensitive: true, ..given.clone() };
    assert_eq!(all(&open(&exact, &schema_of(&wanted)).unwrap()).unwrap().column(1).null_count(), 4);
    given.splits[1].partition_values.pop();
    assert!(open(&given, &schema_of(&wanted)).unwrap_err().to_string().contains("1 values for 2 partition columns"));
}

#[test]
fn two_columns_of_one_name_are_an_error_that_names_both() {
    let columns: Vec<(&str, ArrayRef)> =
        vec![("ab", Arc::new(Int32Array::from(vec![1]))), ("Ab", Arc::new(Int32Array::from(vec![2])))];
    let file = write(&batch_of(columns), WriterProperties::builder().build(), "splits-twice");
    let schema = schema_of(&[("aB", DataType::Int32)]);
    let message = open(&splits(vec![whole(&file)]), &schema).unwrap_err().to_string();
    assert!(message.contains("columns ab and Ab are both named aB"), "{message}");
    let exact = FileSplits { case_sensitive: true, ..splits(vec![whole(&file)]) };
    let table = open(&exact, &schema_of(&[("Ab", DataType::Int32)])).unwrap();
    assert_eq!(all(&table).unwrap().column(0).as_ref(), &Int32Array::from(vec![2]));
}

#[test]
fn bounds_prune_columns_under_other_names() {
    let batch = batch_of(vec![("Key", Arc::new((0..10_000).collect::<Int64Array>()))]);
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(1000)).build();
    let file = write(&batch, properties, "splits-bounds");
    let table =
        open(&splits(vec![whole(&file)]), &schema_of(&[("x", DataType::Int64), ("kEY", DataType::Int64)])).unwrap();
    let filter = Expression::compare(
        CompareOp::GreaterEqual,
        Expression::column(1, DataType::Int64),
        Expression::literal(Scalar::Int64(8500), DataType::Int64),
    );
    let request =
        ScanRequest { projection: vec![1], filters: vec![filter], batch_rows: 4096, ..ScanRequest::default() };
    let (batch, notes) = scan_table(&table, &request).unwrap();
    assert_eq!(batch.column(0).as_ref(), &(8500..10_000).collect::<Int64Array>());
    assert!(notes.contains(&("row groups pruned by bounds".to_string(), "8".to_string())), "{notes:?}");
    assert_eq!(table.statistics().columns[1].max, Some(Scalar::Int64(9999)));
}

#[test]
fn types_become_those_that_hold_every_value() {
    let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    let stamps = |values: Vec<i64>, zone: Option<&str>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(values).with_timezone_opt(zone.map(str::to_string)))
    };
    let decimals = |values: Vec<i128>, p, s| -> ArrayRef {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(p, s).unwrap())
    };
    let ints: ArrayRef = Arc::new(Int32Array::from(vec![i32::MIN, 7]));
    let cases: Vec<(ArrayRef, DataType, ArrayRef)> = vec![
        (ints.clone(), DataType::Int64, Arc::new(Int64Array::from(vec![i64::from(i32::MIN), 7]))),
        (ints.clone(), DataType::Float64, Arc::new(Float64Array::from(vec![f64::from(i32::MIN), 7.0]))),
        (ints, DataType::Decimal128(12, 2), decimals(vec![i128::from(i32::MIN) * 100, 700], 12, 2)),
        (Arc::new(UInt32Array::from(vec![u32::MAX])), DataType::Int64, Arc::new(Int64Array::from(vec![4_294_967_295]))),
        (
            Arc::new(UInt64Array::from(vec![u64::MAX])),
            DataType::Decimal128(20, 0),
            decimals(vec![u64::MAX.into()], 20, 0),
        ),
        (Arc::new(Float32Array::from(vec![1.5])), DataType::Float64, Arc::new(Float64Array::from(vec![1.5]))),
        (decimals(vec![-123], 5, 2), DataType::Decimal128(20, 3), decimals(vec![-1230], 20, 3)),
        (decimals(vec![-123], 30, 2), DataType::Decimal128(31, 3), decimals(vec![-1230], 31, 3)),
        (Arc::new(TimestampMillisecondArray::from(vec![-5])), micros(None), stamps(vec![-5000], None)),
        (
            Arc::new(TimestampNanosecondArray::from(vec![-1, 1999])),
            micros(Some("UTC")),
            stamps(vec![-1, 1], Some("UTC")),
        ),
        (stamps(vec![-7], None), micros(Some("America/Los_Angeles")), stamps(vec![-7], Some("America/Los_Angeles"))),
        (stamps(vec![-7], Some("UTC")), micros(None), stamps(vec![-7], None)),
        (Arc::new(Date32Array::from(vec![-1])), micros(None), stamps(vec![-86_400_000_000], None)),
        (
            Arc::new(BinaryArray::from(vec!["größe".as_bytes()])),
            DataType::Utf8,
            Arc::new(StringViewArray::from(vec!["größe"])),
        ),
        (
            Arc::new(StringArray::from(vec!["größe"])),
            DataType::Binary,
            Arc::new(BinaryViewArray::from(vec!["größe".as_bytes()])),
        ),
    ];
    for (index, (stored, wanted, expected)) in cases.into_iter().enumerate() {
        let stored_type = stored.data_type().clone();
        let read = read_as(stored, wanted.clone(), &format!("splits-cast-{index}"));
        assert_eq!(read.as_deref(), Ok(expected.as_ref()), "{stored_type} as {wanted}");
    }
}

#[test]
fn types_that_lose_values_are_refused() {
    let longs = || -> ArrayRef { Arc::new(Int64Array::from(vec![1])) };
    let cases: Vec<(ArrayRef, DataType)> = vec![
        (longs(), DataType::Int32),
        (longs(), DataType::Float64),
        (longs(), DataType::Decimal128(18, 0)),
        (longs(), DataType::Timestamp(TimeUnit::Microsecond, None)),
        (Arc::new(Float64Array::from(vec![1.0])), DataType::Float32),
        (
            Arc::new(Decimal128Array::from(vec![1]).with_precision_and_scale(10, 2).unwrap()),
            DataType::Decimal128(10, 3),
        ),
        (Arc::new(StringArray::from(vec!["1"])), DataType::Int32),
    ];
    for (index, (stored, wanted)) in cases.into_iter().enumerate() {
        let message = read_as(stored, wanted.clone(), &format!("splits-refused-{index}")).unwrap_err();
        assert!(message.contains("column a") && message.contains("cannot be read as"), "{wanted}: {message}");
    }
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![&[0xffu8, 0xfe][..]]));
    let message = read_as(bytes, DataType::Utf8, "splits-no-utf8").unwrap_err();
    assert!(message.to_lowercase().contains("utf-8") && message.contains("splits-no-utf8"), "{message}");
    let far: ArrayRef = Arc::new(Date32Array::from(vec![i32::MAX]));
    let message = read_as(far, DataType::Timestamp(TimeUnit::Microsecond, None), "splits-far").unwrap_err();
    assert!(message.contains("too far off"), "{message}");
}

#[test]
fn nested_fields_are_found_by_name_at_any_depth() {
    let inner = StructArray::from(vec![
        (Arc::new(Field::new("X", DataType::Int32, true)), Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef),
        (Arc::new(Field::new("gone", DataType::Int32, true)), Arc::new(Int32Array::from(vec![3, 4])) as ArrayRef),
    ]);
    let element = Arc::new(Field::new("item", inner.data_type().clone(), true));
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([2, 0]);
    let list: ArrayRef = Arc::new(ListArray::new(element, offsets.clone(), Arc::new(inner), None));
    let field = |name: &str, data_type: DataType| Arc::new(Field::new(name, data_type, true));
    let fields = Fields::from(vec![field("new", DataType::Utf8), field("x", DataType::Int64)]);
    let wanted = DataType::List(field("element", DataType::Struct(fields.clone())));
    let read = read_as(list.clone(), wanted, "splits-nested").unwrap();
    let columns: Vec<ArrayRef> = vec![new_null_array(&DataType::Utf8, 2), Arc::new(Int64Array::from(vec![1, 2]))];
    let element = field("element", DataType::Struct(fields.clone()));
    let expected = ListArray::new(element, offsets, Arc::new(StructArray::new(fields, columns, None)), None);
    assert_eq!(read.as_ref(), &expected);
    let other = DataType::List(field("element", DataType::Struct(vec![field("y", DataType::Int32)].into())));
    assert!(read_as(list, other, "splits-nested-none").unwrap_err().contains("has no field of"));
}

#[test]
fn timestamps_of_old_do_not_overflow() {
    let path = std::env::temp_dir().join(format!("plasmon-splits-int96-{}.parquet", std::process::id()));
    let schema = Arc::new(parse_message_type("message m { required int96 t; }").unwrap());
    let mut writer =
        SerializedFileWriter::new(std::fs::File::create(&path).unwrap(), schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    // Julian days of 1970-01-01, 9999-12-31 and 0001-01-01.
    let stamp = |day: u32, nanos: u64| {
        let mut value = Int96::new();
        value.set_data(nanos as u32, (nanos >> 32) as u32, day);
        value
    };
    let values = [stamp(2_440_588, 1_999), stamp(5_373_484, 86_399_999_999_999), stamp(1_721_426, 0)];
    column.typed::<Int96Type>().write_batch(&values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let file = Temporary(path);
    let wanted = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let batch = all(&open(&splits(vec![whole(&file)]), &schema_of(&[("t", wanted)])).unwrap()).unwrap();
    let expected = TimestampMicrosecondArray::from(vec![1, 253_402_300_799_999_999, -62_135_596_800_000_000]);
    assert_eq!(batch.column(0).as_ref(), &expected.with_timezone("UTC"));
}

#[test]
fn dates_of_the_legacy_calendar_are_refused() {
    let columns: Vec<(&str, ArrayRef)> =
        vec![("d", Arc::new(Date32Array::from(vec![-200_000]))), ("n", Arc::new(Int32Array::from(vec![1])))];
    let note = |key: &str, value: &str| KeyValue::new(key.to_string(), value.to_string());
    let version = |version: &str| note("org.apache.spark.version", version);
    let cases = [
        (vec![version("2.4.8")], true),
        (vec![version("3.5.1"), note("org.apache.spark.legacyDateTime", "")], true),
        (vec![version("3.5.1"), note("org.apache.spark.legacyINT96", "")], false),
        (vec![version("4.0.5")], false),
    ];
    for (index, (notes, is_refused)) in cases.into_iter().enumerate() {
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
        let properties = properties.set_key_value_metadata(Some(notes)).build();
        let file = write(&batch_of(columns.clone()), properties, &format!("splits-calendar-{index}"));
        let dates = open(&splits(vec![whole(&file)]), &schema_of(&[("d", DataType::Date32)]));
        assert_eq!(dates.is_err(), is_refused, "case {index}");
        assert!(dates.err().is_none_or(|e| e.to_string().contains("legacy calendar")));
        assert!(open(&splits(vec![whole(&file)]), &schema_of(&[("n", DataType::Int32)])).is_ok(), "case {index}");
    }
}
