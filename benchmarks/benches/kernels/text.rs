//! `kernels/src/text`: texts that are built, and numbers and dates as texts. What has tiers or a counterpart in arrow-rs is in `tiers/text.rs`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group};
use plasmon_kernels::text::Texts;
use plasmon_kernels::text::build::{Piece, TextBuilder, concatenate, replace};
use plasmon_kernels::text::convert::{dates_of_texts, integers_of_texts, texts_of_dates, texts_of_decimals};

use super::{BATCH, numbers};

fn column(values: impl Iterator<Item = String>) -> TextBuilder {
    let mut column = TextBuilder::new(0, BATCH);
    values.for_each(|value| column.push(value.as_bytes()));
    column
}

fn build(criterion: &mut Criterion) {
    let (names, notes) = (
        column(numbers(BATCH).iter().map(|v| format!("Brand#{}", v % 55))),
        column(numbers(BATCH).iter().map(|v| format!("{} packages wake among the requests", v % 1000))),
    );
    let (name_bytes, note_bytes) = ([&names.bytes[..]], [&notes.bytes[..]]);
    let names = Texts { views: &names.views, buffers: &name_bytes };
    let notes = Texts { views: &notes.views, buffers: &note_bytes };
    let mut group = criterion.benchmark_group("text_build");
    group.throughput(Throughput::Elements(BATCH as u64));
    let pieces = [Piece::Texts(names, None), Piece::Constant(b": "), Piece::Texts(notes, None)];
    group.bench_function("name, colon, note", |b| b.iter(|| concatenate(black_box(&pieces), BATCH, 0)));
    group.bench_function("replace in notes", |b| b.iter(|| replace(black_box(notes), b"packages", b"parcels", 0)));
    group.bench_function("replace what no name has", |b| b.iter(|| replace(black_box(names), b"packages", b"", 0)));
}

fn convert(criterion: &mut Criterion) {
    let integers: Vec<i64> = numbers(BATCH).iter().map(|v| (v % 2_000_000) as i64 - 1_000_000).collect();
    let days: Vec<i32> = numbers(BATCH).iter().map(|v| (v % 20_000) as i32).collect();
    let (digits, dates) = (texts_of_decimals(&integers, 0), texts_of_dates(&days).expect("years of four digits"));
    let digits = Texts { views: &digits.views, buffers: &[] };
    let dates = Texts { views: &dates.views, buffers: &[] };
    let mut group = criterion.benchmark_group("text_convert");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("texts to integers", |b| b.iter(|| integers_of_texts(black_box(digits), None)));
    group.bench_function("texts to integers, standard library", |b| {
        let parse = |row| std::str::from_utf8(digits.value(row)).ok().and_then(|text| text.parse::<i64>().ok());
        b.iter(|| (0..digits.len()).map(parse).collect::<Option<Vec<_>>>())
    });
    group.bench_function("texts to dates", |b| b.iter(|| dates_of_texts(black_box(dates), None)));
    group.bench_function("integers to texts", |b| b.iter(|| texts_of_decimals(black_box(&integers), 0)));
    group.bench_function("decimals to texts", |b| b.iter(|| texts_of_decimals(black_box(&integers), 2)));
    group.bench_function("dates to texts", |b| b.iter(|| texts_of_dates(black_box(&days))));
}

criterion_group!(benches, build, convert);
