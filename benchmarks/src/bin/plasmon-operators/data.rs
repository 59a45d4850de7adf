//! Rows of five shapes, made batch by batch as they are read, so that they take none of the memory that is measured.
//!
//! Values are random over all their bits where that is possible: neither the encodings of spill files nor LZ4 make much less of them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::datatypes::DataType;
use plasmon_core::metrics::OperatorMetrics;
use plasmon_core::pipeline::{Next, Source, SourceState, TaskContext};
use plasmon_core::{Batch, Column, Result, Values, Views};
use plasmon_kernels::hash::hash_word;

/// Bytes of a batch, and its rows at most.
const BATCH_BYTES: usize = 256 << 10;
const BATCH_ROWS: usize = 4096;
/// Of rows that are long strings: lengths of keys and of the others.
const KEY_LENGTHS: Range<u64> = 30..200;
const TEXT_LENGTHS: Range<u64> = 200..4000;
/// Of wide rows.
const WIDE_NUMBERS: usize = 30;
const WIDE_TEXTS: usize = 4;
const ZIPF: f64 = 1.2;
/// Sums of as many such numbers as there are rows fit 64 bits.
const SUMMABLE_BITS: u32 = 39;

/// What rows look like. The first column is the key, then come a random number, and one that can be summed; wide and long rows have more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Uniform,
    /// Keys by Zipf's law with exponent 1.2.
    Skewed,
    /// Half of the rows have one key.
    Hot,
    Wide,
    /// Keys are strings, too.
    Long,
}

pub(crate) const SHAPES: [(Shape, &str); 5] = [
    (Shape::Uniform, "uniform"),
    (Shape::Skewed, "Zipf 1.2"),
    (Shape::Hot, "one hot key"),
    (Shape::Wide, "wide rows"),
    (Shape::Long, "long strings"),
];

/// Columns that every shape has.
pub(crate) const KEY: usize = 0;
pub(crate) const RANDOM: usize = 1;
pub(crate) const SUMMABLE: usize = 2;

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        hash_word(self.0)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// A rank from 1 on, at most `most`. Source: Devroye, Non-Uniform Random Variate Generation, 1986, X.6.1.
    fn zipf(&mut self, most: u64) -> u64 {
        let b = 2_f64.powf(ZIPF - 1.0);
        loop {
            let (u, v) = (self.unit(), self.unit());
            let x = u.powf(-1.0 / (ZIPF - 1.0)).floor();
            let t = (1.0 + 1.0 / x).powf(ZIPF - 1.0);
            if x <= most as f64 && v * x * (t - 1.0) / (b - 1.0) <= t / b {
                return x as u64;
            }
        }
    }

    fn text(&mut self, length: u64) -> Vec<u8> {
        let letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-";
        let mut text = Vec::with_capacity(length as usize + 8);
        while text.len() < length as usize {
            let word = self.next();
            text.extend((0..8).map(|i| letters[(word >> (6 * i)) as usize & 63]));
        }
        text.truncate(length as usize);
        text
    }
}

/// Rows `rows` of an endless table, and those of its columns that anybody reads.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) shape: Shape,
    /// Tables of one seed have the same rows.
    pub(crate) seed: u64,
    /// Keys are among so many.
    pub(crate) keys: u64,
    /// Whether keys follow the shape, or are uniform whatever it is.
    pub(crate) has_skew: bool,
    /// Numbers of batches.
    pub(crate) batches: Range<usize>,
    pub(crate) columns: Vec<usize>,
}

impl Table {
    /// Types of all columns of a shape.
    pub(crate) fn all_types(shape: Shape) -> Vec<DataType> {
        let mut types =
            vec![if shape == Shape::Long { DataType::Utf8 } else { DataType::Int64 }, DataType::Int64, DataType::Int64];
        match shape {
            Shape::Wide => {
                types.resize(SUMMABLE + 1 + WIDE_NUMBERS, DataType::Int64);
                types.resize(SUMMABLE + 1 + WIDE_NUMBERS + WIDE_TEXTS, DataType::Utf8);
            }
            Shape::Long => types.push(DataType::Utf8),
            Shape::Uniform | Shape::Skewed | Shape::Hot => {}
        }
        types
    }

    /// As many batches as make about `bytes`; as many keys as rows.
    pub(crate) fn of_bytes(shape: Shape, seed: u64, columns: Vec<usize>, bytes: usize) -> Self {
        let mut table = Table { shape, seed, keys: 1 << 20, has_skew: true, batches: 0..1, columns };
        let rows = table.batch_rows();
        let batches = bytes.div_ceil(table.batch(0).memory_bytes().max(1)).max(1);
        table.batches = 0..batches;
        table.keys = (rows * batches) as u64;
        table
    }

    pub(crate) fn types(&self) -> Vec<DataType> {
        let all = Table::all_types(self.shape);
        self.columns.iter().map(|&column| all[column].clone()).collect()
    }

    pub(crate) fn rows(&self) -> usize {
        self.batches.len() * self.batch_rows()
    }

    fn batch_rows(&self) -> usize {
        let average = |lengths: Range<u64>| ((lengths.start + lengths.end) / 2) as usize + 16;
        let row = match self.shape {
            Shape::Uniform | Shape::Skewed | Shape::Hot => 24,
            Shape::Wide => 24 + 8 * WIDE_NUMBERS + 40 * WIDE_TEXTS,
            Shape::Long => average(KEY_LENGTHS) + average(TEXT_LENGTHS) + 16,
        };
        (BATCH_BYTES / row).min(BATCH_ROWS)
    }

    /// Batch `number` of the endless table.
    pub(crate) fn batch(&self, number: usize) -> Batch {
        let rows = self.batch_rows();
        let columns = self.columns.iter().map(|&column| {
            // Each column has numbers of its own, so that it is the same whatever others are read.
            let random = Random(hash_word(self.seed) ^ hash_word((number * 64 + column) as u64));
            self.column(column, random, rows)
        });
        Batch::new(columns.collect(), rows)
    }

    fn column(&self, column: usize, mut random: Random, rows: usize) -> Column {
        let numbers =
            |of: &mut dyn FnMut() -> u64| Column::flat(Values::Int64((0..rows).map(|_| of() as i64).collect()));
        let texts =
            |of: &mut dyn FnMut() -> Vec<u8>| Column::flat(Values::View(Views::from_values((0..rows).map(|_| of()))));
        match (self.shape, column) {
            (Shape::Long, KEY) => texts(&mut || {
                let mut own = Random(hash_word(self.key(&mut random)));
                let length = KEY_LENGTHS.start + own.below(KEY_LENGTHS.end - KEY_LENGTHS.start);
                own.text(length)
            }),
            (Shape::Long, 3) => texts(&mut || {
                let length = TEXT_LENGTHS.start + random.below(TEXT_LENGTHS.end - TEXT_LENGTHS.start);
                random.text(length)
            }),
            (_, KEY) => numbers(&mut || hash_word(self.key(&mut random))),
            (_, SUMMABLE) => numbers(&mut || random.next() >> (64 - SUMMABLE_BITS)),
            (Shape::Wide, column) if column > SUMMABLE + WIDE_NUMBERS => texts(&mut || random.text(24)),
            _ => numbers(&mut || random.next()),
        }
    }

    /// The number of a row's key.
    fn key(&self, random: &mut Random) -> u64 {
        match self.shape {
            Shape::Skewed if self.has_skew => random.zipf(self.keys) - 1,
            Shape::Hot if self.has_skew && random.below(2) == 0 => 0,
            _ => random.below(self.keys),
        }
    }
}

/// Gives a table, a batch to whichever worker asks first.
#[derive(Debug)]
pub(crate) struct TableScan {
    table: Arc<Table>,
    cursor: Arc<AtomicUsize>,
}

impl TableScan {
    pub(crate) fn new(table: &Table) -> Self {
        TableScan { table: Arc::new(table.clone()), cursor: Arc::default() }
    }
}

impl Source for TableScan {
    fn name(&self) -> &'static str {
        "TableScan"
    }

    fn max_workers(&self) -> usize {
        self.table.batches.len()
    }

    fn open(&self, _task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        Ok(Box::new(TableScanState { table: self.table.clone(), cursor: self.cursor.clone() }))
    }
}

struct TableScanState {
    table: Arc<Table>,
    cursor: Arc<AtomicUsize>,
}

impl SourceState for TableScanState {
    fn next(&mut self) -> Result<Next> {
        let number = self.table.batches.start + self.cursor.fetch_add(1, Ordering::Relaxed);
        if number >= self.table.batches.end {
            return Ok(Next::Finished);
        }
        Ok(Next::Batch(self.table.batch(number)))
    }
}
