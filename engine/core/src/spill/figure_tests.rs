//! What spilling costs: figures, not proofs. `cargo test --release -p plasmon-core figures -- --ignored --nocapture`

use std::time::{Duration, Instant};

use super::tests::{Directory, config};
use super::*;
use crate::batch::{Column, Values, Views};

/// Columns as TPC-H's lineitem has them.
fn lineitem(rows: usize) -> Vec<(&'static str, Column)> {
    let mut state = 7u64;
    let mut random = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
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
    let mut numbers = |bound: u64| Column::flat(Values::Int64((0..rows).map(|_| random(bound) as i64).collect()));
    let (part, quantity, price) = (numbers(2_000_000), numbers(50), numbers(10_000_000));
    let mut texts = |text: &mut dyn FnMut(&mut dyn FnMut(u64) -> u64) -> String| {
        Column::flat(Values::View(Views::from_values((0..rows).map(|_| text(&mut random)))))
    };
    let mode = texts(&mut |random| ["AIR", "TRUCK", "MAIL", "REG AIR", "SHIP"][random(5) as usize].to_string());
    let comment = texts(&mut |random| {
        let words: Vec<&str> = (0..2 + random(4)).map(|_| WORDS[random(12) as usize]).collect();
        words.join(" ")
    });
    let float = Column::flat(Values::Float64((0..rows).map(|i| (i * 7919 % 100_000) as f64 / 100.0).collect()));
    vec![
        ("orderkey, ascending", Column::flat(Values::Int64((0..rows as i64).map(|i| i / 4 * 4).collect()))),
        ("partkey", part),
        ("quantity", quantity),
        ("price", price.clone()),
        ("price, as Int128", price.widen(crate::batch::Physical::Int128)),
        ("price, as Float64", float),
        ("shipdate", Column::flat(Values::Int32((0..rows as i32).map(|i| i * 7919 % 2500).collect()))),
        ("shipmode", mode),
        ("comment", comment),
    ]
}

/// Time that this thread has worked, whoever else does on this machine.
fn now() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap())
}

const ROWS: usize = 32_768;
const ROUNDS: usize = 200;

/// MB/s of `bytes` in every round.
fn rate(bytes: usize, time: Duration) -> f64 {
    (bytes * ROUNDS) as f64 / 1e6 / time.as_secs_f64()
}

/// MB/s of memory, and where the time goes: `cargo test --release -p plasmon-core figures -- --ignored --nocapture`.
#[test]
#[ignore = "a figure, not a proof"]
fn figures_of_codecs() {
    let timed = |bytes: usize, work: &mut dyn FnMut()| {
        let start = now();
        (0..ROUNDS).for_each(|_| work());
        rate(bytes, now() - start)
    };
    for (name, column) in lineitem(ROWS) {
        let types = codec::Types::default();
        let (bytes, mut encoded, mut sealed) = (column.memory_bytes(), Vec::new(), Vec::new());
        let encode = timed(bytes, &mut || {
            encoded.clear();
            codec::encode(&column, &types, &mut encoded).unwrap();
        });
        let decode = timed(bytes, &mut || drop(codec::decode(&encoded, &types).unwrap()));
        let seal = timed(bytes, &mut || sealed = block::seal(std::slice::from_ref(&column), ROWS, &types).unwrap());
        let open = timed(bytes, &mut || drop(block::open(&sealed, &types).unwrap()));
        let (encoded, sealed) = (encoded.len(), sealed.len());
        eprintln!(
            "{name:20} {bytes:8} B, encoded {encoded:8} at {encode:6.0} / {decode:6.0} MB/s, with LZ4 {sealed:8} at {seal:6.0} / {open:6.0}"
        );
    }
}

/// Of encryption alone, in MB/s of what is encrypted: blocks of some lengths.
#[test]
#[ignore = "a figure, not a proof"]
fn figures_of_encryption() {
    const BYTES: usize = 64 << 20;
    const PASSES: usize = 16;
    let cipher = Cipher::new("figures").unwrap();
    for len in [8 << 10, 256 << 10, 4 << 20] {
        let mut blocks = vec![vec![7u8; len]; BYTES / len];
        let (mut sealing, mut opening) = (Duration::ZERO, Duration::ZERO);
        for pass in 0..PASSES {
            let numbers = pass * blocks.len()..;
            let start = now();
            blocks.iter_mut().zip(numbers.clone()).for_each(|(block, number)| cipher.seal(number, block).unwrap());
            sealing += now() - start;
            let start = now();
            blocks.iter_mut().zip(numbers).for_each(|(block, number)| cipher.open(number, block).unwrap());
            opening += now() - start;
        }
        let rate = |time: Duration| (PASSES * BYTES) as f64 / 1e6 / time.as_secs_f64();
        eprintln!("{len:8} B: sealed at {:.0}, opened at {:.0} MB/s", rate(sealing), rate(opening));
    }
}

/// As [`figures_of_codecs`], of whole files.
#[test]
#[ignore = "a figure, not a proof"]
fn figures_of_files() {
    let all: Vec<Column> = lineitem(ROWS).into_iter().map(|(_, column)| column).collect();
    let memory: usize = all.iter().map(Column::memory_bytes).sum();
    let (directory, types, mut encoded) = (Directory::new(), codec::Types::default(), Vec::new());
    let mut plain = std::fs::File::create(directory.0.join("plain")).unwrap();
    let start = Instant::now();
    for _ in 0..ROUNDS {
        encoded.clear();
        all.iter().for_each(|column| codec::encode(column, &types, &mut encoded).unwrap());
        std::io::Write::write_all(&mut plain, &encoded).unwrap();
    }
    eprintln!("without LZ4 and checksum: write {:.0} MB/s of memory", rate(memory, start.elapsed()));
    std::fs::remove_file(directory.0.join("plain")).unwrap();
    for (how, memory_bytes, spill_encryption) in [
        ("by itself", Some(0), false),
        ("with a thread", None, false),
        ("encrypted, by itself", Some(0), true),
        ("encrypted, with a thread", None, true),
    ] {
        let area = SpillArea::new(&Config { memory_bytes, spill_encryption, ..config(&[&directory]) });
        let file = area.file("figures", &OperatorMetrics::new()).unwrap();
        let start = Instant::now();
        for _ in 0..ROUNDS {
            file.append(&all, ROWS).unwrap();
        }
        let write = rate(memory, start.elapsed());
        let _ = file.block(ROUNDS - 1).unwrap();
        let all_written = rate(memory, start.elapsed());
        let start = Instant::now();
        let mut reader = file.reader();
        while reader.next().unwrap().is_some() {}
        let read = rate(memory, start.elapsed());
        eprintln!("{how}: write {write:.0}, until all is written {all_written:.0}, read {read:.0} MB/s of memory");
    }
}
