//! Spill files: bytes of memory a second that one worker writes and reads, per kind of column and of whole rows, in the page cache:
//! `cargo bench --workspace --bench spill`. A column's time is encoding, LZ4 and checksum; the share of its bytes that reaches the disk is printed.

use std::io::Write;
use std::sync::Arc;

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use plasmon_core::batch::Physical;
use plasmon_core::metrics::OperatorMetrics;
use plasmon_core::spill::{SpillArea, SpillFile};
use plasmon_core::{Column, Config, Values, Views};

/// Rows of a block.
const ROWS: usize = 32_768;
/// A file is made anew when it has so many blocks, so that a long run fills no disk.
const BLOCKS: usize = 256;
const WORDS: [&str; 12] = [
    "furiously",
    "carefully",
    "ironic",
    "packages",
    "deposits",
    "sleep",
    "the",
    "slyly",
    "regular",
    "accounts",
    "above",
    "blithely",
];

/// Columns as TPC-H's lineitem has them.
fn lineitem() -> Vec<(&'static str, Column)> {
    let mut state = 7_u64;
    let mut random = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let mut numbers = |bound: u64| Column::flat(Values::Int64((0..ROWS).map(|_| random(bound) as i64).collect()));
    let (part, quantity, price) = (numbers(2_000_000), numbers(50), numbers(10_000_000));
    let mut texts = |text: &mut dyn FnMut(&mut dyn FnMut(u64) -> u64) -> String| {
        Column::flat(Values::View(Views::from_values((0..ROWS).map(|_| text(&mut random)))))
    };
    let mode = texts(&mut |random| ["AIR", "TRUCK", "MAIL", "REG AIR", "SHIP"][random(5) as usize].to_string());
    let comment = texts(&mut |random| {
        let words: Vec<&str> = (0..2 + random(4)).map(|_| WORDS[random(12) as usize]).collect();
        words.join(" ")
    });
    let floats = (0..ROWS).map(|i| (i * 7919 % 100_000) as f64 / 100.0);
    vec![
        ("orderkey, ascending", Column::flat(Values::Int64((0..ROWS as i64).map(|i| i / 4 * 4).collect()))),
        ("partkey", part),
        ("quantity", quantity),
        ("price, as Int128", price.widen(Physical::Int128)),
        ("price", price),
        ("price, as Float64", Column::flat(Values::Float64(floats.collect()))),
        ("shipdate", Column::flat(Values::Int32((0..ROWS as i32).map(|i| i * 7919 % 2500).collect()))),
        ("shipmode", mode),
        ("comment", comment),
    ]
}

fn new_file(config: &Config) -> Arc<SpillFile> {
    let area = SpillArea::new(config);
    area.file("benchmark", &OperatorMetrics::new()).expect("a file")
}

fn write_and_read(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, columns: &[Column], config: &Config) {
    let bytes: usize = columns.iter().map(Column::memory_bytes).sum();
    group.throughput(Throughput::Bytes(bytes as u64)).sample_size(20);
    let mut file = new_file(config);
    group.bench_function(format!("{name}, write"), |b| {
        b.iter(|| {
            if file.blocks() >= BLOCKS {
                file = new_file(config);
            }
            file.append(columns, ROWS).expect("written")
        })
    });
    let file = new_file(config);
    for _ in 0..BLOCKS {
        file.append(columns, ROWS).expect("written");
    }
    let mut reader = file.reader();
    group.bench_function(format!("{name}, read"), |b| {
        b.iter(|| {
            let block = reader.next().expect("read");
            if block.is_none() {
                reader = file.reader();
            }
            block
        })
    });
    let share = file.bytes() as f64 / (bytes * BLOCKS) as f64;
    let _ = writeln!(std::io::stdout(), "spill/{name}: {:.0} % of memory on disk", share * 100.0);
}

fn columns(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("spill column");
    // Without memory for anything under way, the worker writes and reads itself.
    let alone = Config { memory_bytes: Some(0), ..Config::default() };
    lineitem().iter().for_each(|(name, column)| {
        write_and_read(&mut group, name, std::slice::from_ref(column), &alone);
    });
}

fn rows(criterion: &mut Criterion) {
    let all: Vec<Column> = lineitem().into_iter().map(|(_, column)| column).collect();
    let mut group = criterion.benchmark_group("spill rows");
    let alone = Config { memory_bytes: Some(0), ..Config::default() };
    write_and_read(&mut group, "by the worker", &all, &alone);
    write_and_read(&mut group, "by the worker, encrypted", &all, &Config { spill_encryption: true, ..alone });
    write_and_read(&mut group, "with the thread", &all, &Config::default());
}

criterion_group!(benches, columns, rows);
criterion_main!(benches);
