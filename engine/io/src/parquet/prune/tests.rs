//! Random predicates and keys over clustered columns: a scan that prunes gives the rows that a scan that does not, filtered, gives.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Int64Type};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use plasmon_core::batch::Batch;
use plasmon_core::batch::arrow::import_column;
use plasmon_core::expression::{CompareOp, Expression, Kind, Scalar, select};
use plasmon_core::operators::runtime_filter::{KeyFilter, RuntimeFilter};
use plasmon_core::table::{RuntimeFilterTarget, ScanRequest};
use plasmon_kernels::bloom::{bloom_insert, bloom_words};

use super::super::test_files::{Random, batch_of, column, oracle, scan, write};

const ROWS: usize = 6000;

/// Columns that rise with a little noise, so that pages differ; `c` has few values, of which each row group has some.
fn clustered_batch(random: &mut Random, is_nested: bool) -> RecordBatch {
    let noise = random.of(&[1, 30, 2000]);
    let nulls = random.of(&[0, 2]);
    let mut row = 0;
    let mut rising: Vec<i64> = Vec::new();
    rising.resize_with(ROWS, || {
        row += 1;
        row + random.below(noise) as i64
    });
    let mut with_nulls = |value: &dyn Fn(i64) -> Option<i64>| -> Vec<Option<i64>> {
        let holes = column(random, ROWS, nulls, |_| ());
        rising.iter().zip(holes).map(|(&v, hole)| hole.and(value(v))).collect()
    };
    let a = with_nulls(&|v| Some(v));
    // Whole pages of nulls.
    let b = with_nulls(&|v| (v % 2000 > 1000).then_some(v * 3));
    let c = with_nulls(&|v| Some(v / 500 * 1000 + v % 3 * 10));
    let text = |v: &Option<i64>| v.map(|v| format!("{v:06} is a text"));
    let texts = |values: &[Option<i64>]| values.iter().map(text).collect::<StringViewArray>();
    let floats = |v: &Option<i64>| v.map(|v| if v % 997 == 0 { f64::NAN } else { v as f64 / 8.0 });
    let decimals = a.iter().map(|v| v.map(|v| v as i128 * 100)).collect::<Decimal128Array>();
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("a", Arc::new(Int64Array::from(a.clone()))),
        ("b", Arc::new(b.iter().map(|v| v.map(|v| v as i32)).collect::<Int32Array>())),
        ("k", Arc::new(Int64Array::from(rising.iter().map(|v| v / 4).collect::<Vec<i64>>()))),
        ("c", Arc::new(Int64Array::from(c.clone()))),
        ("t", Arc::new(texts(&a))),
        ("s", Arc::new(texts(&c))),
        ("f", Arc::new(a.iter().map(floats).collect::<Float64Array>())),
        ("m", Arc::new(decimals.with_precision_and_scale(20, 2).unwrap())),
        ("z", Arc::new(a.iter().map(|v| v.map(|v| v > 3000)).collect::<BooleanArray>())),
        ("u", Arc::new(a.iter().map(|v| v.map(|v| v as u32 + (u32::MAX - 9000))).collect::<UInt32Array>())),
    ];
    if is_nested {
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>(a.iter().map(|v| v.map(|v| vec![Some(v), None])));
        columns.push(("list", Arc::new(list)));
    }
    batch_of(columns)
}

fn properties(random: &mut Random) -> WriterProperties {
    WriterProperties::builder()
        .set_max_row_group_row_count(Some(random.of(&[500, 2000, 100_000])))
        .set_data_page_row_count_limit(random.of(&[64, 300]))
        .set_write_batch_size(64)
        .set_dictionary_enabled(random.below(3) > 0)
        .set_bloom_filter_enabled(random.below(2) == 0)
        .set_statistics_enabled(random.of(&[EnabledStatistics::Page, EnabledStatistics::Page, EnabledStatistics::None]))
        .set_statistics_truncate_length(random.of(&[None, Some(3)]))
        .set_column_index_truncate_length(random.of(&[None, Some(3)]))
        .build()
}

/// A constant like one of the column's values.
fn constant(random: &mut Random, batch: &RecordBatch, column: usize) -> Expression {
    let data_type = batch.column(column).data_type().clone();
    let stored = import_column(batch.column(column)).unwrap();
    let value = Scalar::from_column(&stored, random.below(ROWS as u64) as usize);
    let value = match value {
        Scalar::Int64(v) if random.below(3) == 0 => Scalar::Int64(v + 1),
        other => other,
    };
    Expression::literal(value, data_type)
}

fn comparison(random: &mut Random, batch: &RecordBatch, column: usize) -> Expression {
    let data_type = batch.column(column).data_type().clone();
    let left = Expression::column(column, data_type.clone());
    let op = random.of(&[
        CompareOp::Equal,
        CompareOp::Equal,
        CompareOp::Less,
        CompareOp::LessEqual,
        CompareOp::Greater,
        CompareOp::GreaterEqual,
        CompareOp::NotEqual,
        CompareOp::DistinctFrom,
        CompareOp::NotDistinctFrom,
    ]);
    let right = constant(random, batch, column);
    let boolean = |kind: Kind| Expression { kind, data_type: DataType::Boolean };
    match random.below(9) {
        0 => boolean(Kind::IsNull(Box::new(left))),
        1 => boolean(Kind::IsNotNull(Box::new(left))),
        2 | 3 => {
            let list = (0..random.below(4) + 1).map(|_| constant(random, batch, column)).collect();
            boolean(Kind::InList { operand: Box::new(left), list, negated: random.below(5) == 0 })
        }
        4 if data_type == DataType::Utf8View => {
            let start = random.below(8000);
            let pattern = random
                .of(&[format!("{start:06}%"), format!("{:03}%text", start / 1000), "%is%".into()].each_ref())
                .clone();
            let pattern = Expression::literal(Scalar::Bytes(pattern.into_bytes().into()), data_type);
            let (operand, pattern) = (Box::new(left), Box::new(pattern));
            boolean(Kind::Like {
                operand,
                pattern,
                escape: None,
                case_insensitive: false,
                negated: random.below(5) == 0,
            })
        }
        5 => Expression::compare(op, right, left),
        _ => Expression::compare(op, left, right),
    }
}

fn predicate(random: &mut Random, batch: &RecordBatch, column: usize) -> Expression {
    let boolean = |kind: Kind| Expression { kind, data_type: DataType::Boolean };
    if *batch.column(column).data_type() == DataType::Boolean && random.below(2) == 0 {
        let flag = Expression::column(column, DataType::Boolean);
        return if random.below(2) == 0 { flag } else { boolean(Kind::Not(Box::new(flag))) };
    }
    match random.below(6) {
        0 => Expression::and((0..2).map(|_| comparison(random, batch, column)).collect()),
        1 => boolean(Kind::Or((0..2).map(|_| comparison(random, batch, column)).collect())),
        2 => boolean(Kind::Not(Box::new(comparison(random, batch, column)))),
        _ => comparison(random, batch, column),
    }
}

/// Keys of `k`, few or many.
fn keys(random: &mut Random) -> KeyFilter {
    let min = random.below(ROWS as u64 / 4) as i64;
    let max = min + random.of(&[0, 3, 200, 2000]);
    match random.below(6) {
        0 => KeyFilter::Range { min, max },
        1 => KeyFilter::Empty,
        2 => {
            let mut words = bloom_words(100);
            (0..100).for_each(|_| bloom_insert(&mut words, min + random.below((max - min) as u64 + 1) as i64));
            KeyFilter::Bloom { min, max, words }
        }
        _ => {
            let density = random.of(&[1, 40]);
            let word = |random: &mut Random| (0..64).fold(0, |w, bit| w | u64::from(random.below(density) == 0) << bit);
            let bits = (0..=(max - min) / 64).map(|_| word(random)).collect();
            KeyFilter::Bitmap { min, max, bits }
        }
    }
}

fn random_request(random: &mut Random, batch: &RecordBatch) -> ScanRequest {
    let projection = (0..batch.num_columns()).collect();
    let mut request = ScanRequest { projection, batch_rows: random.of(&[50, 4096]), ..ScanRequest::default() };
    for _ in 0..=random.below(2) {
        let column = random.below(10) as usize;
        request.filters.push(predicate(random, batch, column));
    }
    if random.below(3) == 0 {
        let filter = RuntimeFilter::new();
        filter.publish(keys(random));
        request.runtime_filters.push(RuntimeFilterTarget { column: 2, filter });
    }
    // Row numbers, where the library reads nothing.
    let number = batch.num_columns();
    if number == 10 && random.below(3) == 0 {
        request.projection.push(number);
        if random.below(2) == 0 {
            let filter = RuntimeFilter::new();
            filter.publish(keys(random));
            request.runtime_filters.push(RuntimeFilterTarget { column: number, filter });
        }
    }
    request
}

/// The rows that pass, going by the rows alone; with their numbers, when those are asked for.
fn filtered(all: &RecordBatch, request: &ScanRequest) -> RecordBatch {
    let numbers = Int64Array::from_iter_values(0..all.num_rows() as i64);
    let columns = all.columns()[..10].iter().map(|c| import_column(c).unwrap()).collect();
    let passed = request.filters.iter().fold(Batch::new(columns, all.num_rows()), |b, f| select(f, b).unwrap());
    let mut kept = vec![passed.selection().is_none(); all.num_rows()];
    passed.selection().iter().for_each(|s| s.positions().iter().for_each(|&p| kept[p as usize] = true));
    for target in &request.runtime_filters {
        let keys = if target.column == 2 { all.column(2).as_primitive::<Int64Type>() } else { &numbers };
        let keys = keys.values();
        kept.iter_mut().zip(keys).for_each(|(kept, &key)| *kept &= target.filter.keys().unwrap().may_contain(key));
    }
    let mut columns: Vec<ArrayRef> = all.columns().to_vec();
    if request.projection.len() > columns.len() {
        columns.push(Arc::new(numbers));
    }
    let names = request.projection.iter().map(|c| c.to_string());
    let all = RecordBatch::try_from_iter(names.zip(columns)).unwrap();
    arrow::compute::filter_record_batch(&all, &BooleanArray::from(kept)).unwrap()
}

#[test]
fn pruning_leaves_out_only_what_does_not_pass() {
    let mut pruned = std::collections::BTreeMap::<String, u64>::new();
    for case in 0..60 {
        let mut random = Random(case * 7901 + 1);
        let is_nested = random.below(4) == 0;
        let batch = clustered_batch(&mut random, is_nested);
        let file = write(&batch, properties(&mut random), &format!("prune-{case}"));
        let all = oracle(&file.0, &batch.schema());
        for query in 0..25 {
            let request = random_request(&mut random, &batch);
            let (ours, notes) = scan(&file.0, &request).unwrap();
            let theirs = filtered(&all, &request);
            assert_eq!(ours.num_rows(), theirs.num_rows(), "case {case}, query {query}: {request:?} {notes:?}");
            assert_eq!(ours.columns(), theirs.columns(), "case {case}, query {query}: {request:?} {notes:?}");
            for (name, value) in notes.iter().filter(|(name, _)| name.contains("pruned")) {
                *pruned.entry(name.clone()).or_default() += value.parse::<u64>().unwrap();
            }
        }
    }
    for by in ["row groups pruned by bounds", "pages pruned by bounds", "Bloom filters", "dictionaries"] {
        let count = pruned.iter().find(|(name, _)| name.contains(by)).map_or(0, |(_, count)| *count);
        assert!(count > 20, "{by}: {pruned:?}");
    }
}

/// The file's bytes of its indexes of pages, which lie between the data and the footer.
fn index_bytes(bytes: &[u8]) -> std::ops::Range<usize> {
    let footer = u32::from_le_bytes(*bytes[bytes.len() - 8..].first_chunk().unwrap()) as usize;
    let reader = parquet::file::metadata::ParquetMetaDataReader::new();
    let metadata = reader.parse_and_finish(&bytes::Bytes::copy_from_slice(bytes)).unwrap();
    let chunks = metadata.row_groups().iter().flat_map(|g| g.columns());
    let offsets = chunks.flat_map(|c| [c.column_index_offset(), c.offset_index_offset()]).flatten();
    offsets.min().unwrap() as usize..bytes.len() - footer - 8
}

#[test]
fn damaged_indexes_never_add_rows() {
    let (mut errors, mut answers) = (0, 0);
    for case in 0..12 {
        let mut random = Random(case * 331 + 5);
        let batch = clustered_batch(&mut random, case % 4 == 0);
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(2000))
            .set_data_page_row_count_limit(200)
            .set_write_batch_size(100);
        let file = write(&batch, properties.build(), &format!("index-{case}"));
        let bytes = std::fs::read(&file.0).unwrap();
        let place = index_bytes(&bytes);
        for _ in 0..25 {
            let request = random_request(&mut random, &batch);
            std::fs::write(&file.0, &bytes).unwrap();
            let whole = scan(&file.0, &request).unwrap().0;
            let mut damaged = bytes.clone();
            for _ in 0..=random.below(3) {
                let at = place.start + random.below(place.len() as u64) as usize;
                damaged[at] = random.below(256) as u8;
            }
            std::fs::write(&file.0, &damaged).unwrap();
            match scan(&file.0, &request) {
                // Bounds that were changed may leave out rows, as a wrong footer may; they never bring any, and never mix up columns.
                Ok((rows, _)) => {
                    let text = |batch: &RecordBatch| {
                        let lines = (0..batch.num_rows()).map(|row| format!("{:?}", batch.slice(row, 1).columns()));
                        lines.collect::<Vec<_>>()
                    };
                    let (whole, rows) = (text(&whole), text(&rows));
                    let mut left = whole.iter();
                    assert!(rows.iter().all(|row| left.any(|w| w == row)), "case {case}: {request:?}");
                    answers += 1;
                }
                Err(error) => {
                    assert!(error.to_string().contains("plasmon-index"), "{error}");
                    errors += 1;
                }
            }
        }
    }
    assert!(answers > 100, "{answers} answers, {errors} errors");
}
