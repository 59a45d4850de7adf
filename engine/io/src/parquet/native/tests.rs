//! Random columns written by the library in many ways, read by us and by the library, with and without filters; cut and flipped bytes.

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use plasmon_core::Error;
use plasmon_core::expression::{CompareOp, Expression, Scalar};
use plasmon_core::operators::runtime_filter::{KeyFilter, RuntimeFilter};
use plasmon_core::table::{RuntimeFilterTarget, ScanRequest};

use super::super::test_files::{Random, assert_same, is_by_library, oracle, random_batch, scan, write_any};

fn all_columns(columns: usize, batch_rows: usize) -> ScanRequest {
    ScanRequest { projection: (0..columns).collect(), batch_rows, ..ScanRequest::default() }
}

#[test]
fn reads_what_the_library_reads() {
    for case in 0..80 {
        let mut random = Random(case * 7919);
        let rows = random.of(&[0, 1, 65, 3000, 12_000]);
        let batch = random_batch(&mut random, rows);
        let file = write_any(&mut random, &batch, &format!("decode-{case}"));
        let request = all_columns(batch.num_columns(), random.of(&[7, 1000, 4096]));
        let (ours, notes) = scan(&file.0, &request).unwrap();
        if is_by_library(&notes) {
            let alone =
                |column: usize| ScanRequest { projection: vec![column], batch_rows: 4096, ..ScanRequest::default() };
            let is_foreign = |column: &usize| is_by_library(&scan(&file.0, &alone(*column)).unwrap().1);
            let foreign: Vec<usize> = (0..batch.num_columns()).filter(is_foreign).collect();
            panic!("case {case}: columns {foreign:?} of {:?} not by our decoders", batch.schema());
        }
        assert_same(&ours, &oracle(&file.0, &batch.schema()), case);
    }
}

#[test]
fn filters_like_the_library_and_an_arrow_filter() {
    for case in 100..160 {
        let mut random = Random(case * 104_729);
        let batch = random_batch(&mut random, 9000);
        let file = write_any(&mut random, &batch, &format!("decode-{case}"));
        let (least, key) = (random.below(120) as i64 - 60, random.below(300) as i64);
        let mut request = all_columns(batch.num_columns(), random.of(&[100, 4096]));
        let column = Expression::column(0, DataType::Int32);
        request.filters.push(Expression::compare(
            CompareOp::GreaterEqual,
            column,
            Expression::literal(Scalar::Int64(least), DataType::Int32),
        ));
        let filter = RuntimeFilter::new();
        // Sometimes few keys, so that few rows of a window are decoded.
        let density = random.of(&[1, 2, 30]);
        let bits: Vec<u64> = (0..=key as usize / 64)
            .map(|_| (0..64).fold(0, |word, bit| word | u64::from(random.below(density) == 0) << bit))
            .collect();
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
        let file = write_any(&mut random, &batch, &format!("decode-{case}"));
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
            if let Err(error) = scan(&file.0, &all_columns(batch.num_columns(), 1000)) {
                assert!(matches!(&error, Error::Io { context, .. } if context.contains("plasmon-decode")), "{error}");
                failures += 1;
            }
        }
    }
    assert!(failures > 50, "only {failures} of 300 damaged files failed");
}
