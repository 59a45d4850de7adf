//! `kernels/src/decode`: the encodings of Parquet.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group};
use plasmon_kernels::decode::{
    HybridCursor, decompress_eights, delta_integers, join_byte_streams, plain_big_endian, plain_byte_arrays, spread,
    unpack_u32,
};

use super::{BATCH, LARGE, numbers};

/// Snappy blocks like dictionary pages of keys, against the `snap` crate.
fn snappy(criterion: &mut Criterion) {
    let keys = |spread: u64| -> Vec<u8> {
        numbers(LARGE / 8).iter().enumerate().flat_map(|(i, v)| (i as u64 * 4 + v % spread).to_le_bytes()).collect()
    };
    let random = numbers(LARGE / 8).iter().flat_map(|v| (v % 2_000_000).to_le_bytes()).collect();
    let mut group = criterion.benchmark_group("snappy");
    group.throughput(Throughput::Bytes(LARGE as u64));
    for (name, bytes) in [("rising keys", keys(1)), ("rising keys with gaps", keys(4)), ("random keys", random)] {
        let block = snap::raw::Encoder::new().compress_vec(&bytes).expect("compresses");
        let mut out = Vec::new();
        group.bench_function(format!("{name}, ours"), |b| b.iter(|| decompress_eights(black_box(&block), &mut out)));
        let mut out = vec![0; bytes.len()];
        group.bench_function(format!("{name}, snap"), |b| {
            b.iter(|| snap::raw::Decoder::new().decompress(black_box(&block), &mut out))
        });
    }
}

/// Definition levels and dictionary codes as writers lay them out: bit-packed runs, then a few long repeats.
fn hybrid(criterion: &mut Criterion) {
    let packed = |width: usize| -> Vec<u8> {
        // One bit-packed run: its header counts groups of eight values.
        let mut bytes = vec![(LARGE / 8 * 2 + 1) as u8 & 0x7f | 0x80, ((LARGE / 8 * 2) >> 7) as u8 & 0x7f | 0x80];
        bytes.push(((LARGE / 8 * 2) >> 14) as u8);
        bytes.extend(numbers(LARGE / 64 * width).iter().flat_map(|v| v.to_le_bytes()));
        bytes
    };
    let repeated: Vec<u8> = (0..LARGE / 32).flat_map(|i| [64, i as u8]).collect();
    let positions: Vec<u16> = (0..BATCH as u16).step_by(37).collect();
    let mut group = criterion.benchmark_group("hybrid");
    group.throughput(Throughput::Elements(LARGE as u64));
    let mut out = Vec::with_capacity(LARGE);
    for (name, bytes, width) in [("packed 7-bit codes", packed(7), 7), ("runs of 32 8-bit codes", repeated, 8)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                let mut cursor = HybridCursor::new(width, 0).expect("a width of codes");
                cursor.read(black_box(&bytes), LARGE, &mut out).expect("decodes")
            })
        });
        group.bench_function(format!("{name}, one of 37"), |b| {
            b.iter(|| {
                out.clear();
                let mut cursor = HybridCursor::new(width, 0).expect("a width of codes");
                for _ in 0..LARGE / BATCH {
                    cursor.read_at(black_box(&bytes), BATCH, &positions, &mut out).expect("decodes");
                }
            })
        });
    }
    let levels = packed(1);
    group.bench_function("levels to bits", |b| {
        b.iter(|| {
            let mut cursor = HybridCursor::new(1, 0).expect("a width of levels");
            cursor.read_bits(black_box(&levels), LARGE).expect("decodes")
        })
    });
}

/// Byte arrays behind their lengths, decimals as big-endian bytes, and values that are spread over their nulls.
fn plain(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plain");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, longest) in [("texts of up to 12 bytes", 13), ("texts of up to 100 bytes", 101)] {
        let mut bytes = Vec::new();
        for value in numbers(BATCH) {
            let len = value as usize % longest;
            bytes.extend((len as u32).to_le_bytes());
            bytes.extend(std::iter::repeat_n(b'a' + (value >> 32) as u8 % 26, len));
        }
        let mut views = Vec::with_capacity(BATCH);
        group.bench_function(name, |b| {
            b.iter(|| {
                views.clear();
                plain_byte_arrays(black_box(&bytes), 0, BATCH, &mut views).expect("decodes")
            })
        });
    }
    let bytes: Vec<u8> = numbers(BATCH * 2).iter().flat_map(|v| v.to_be_bytes()).collect();
    for size in [7, 16] {
        let mut decimals = Vec::with_capacity(BATCH);
        group.bench_function(format!("decimals of {size} bytes"), |b| {
            b.iter(|| {
                decimals.clear();
                plain_big_endian(black_box(&bytes[..BATCH * size]), size, &mut decimals)
            })
        });
    }
    let values: Vec<i64> = (0..BATCH as i64).collect();
    for (name, share) in [("a value in 2 rows", 2), ("a value in 64 rows", 64)] {
        let mut validity = vec![0u64; BATCH / 64];
        let valid = numbers(BATCH).into_iter().enumerate().filter(|(_, v)| v % share == 0);
        valid.for_each(|(row, _)| validity[row / 64] |= 1 << (row % 64));
        group.bench_function(name, |b| b.iter(|| spread(black_box(&values), &validity, BATCH)));
    }
}

/// Dictionary codes, against a loop that reads each from the bytes that hold it.
fn unpack(criterion: &mut Criterion) {
    let bytes: Vec<u8> = numbers(BATCH).iter().flat_map(|v| v.to_le_bytes()).collect();
    let one = |width: usize, index: usize| {
        let bit = index * width;
        let word = bytes[bit / 8..bit / 8 + 8].try_into().map_or(0, u64::from_le_bytes);
        (word >> (bit % 8)) as u32 & ((1u64 << width) - 1) as u32
    };
    let mut group = criterion.benchmark_group("unpack");
    group.throughput(Throughput::Elements(BATCH as u64));
    for width in [1, 4, 7, 12, 17, 24, 31] {
        let mut out = Vec::with_capacity(BATCH);
        group.bench_function(format!("{width} bits, ours"), |b| {
            b.iter(|| {
                out.clear();
                unpack_u32(black_box(&bytes), width, BATCH, &mut out)
            })
        });
        group.bench_function(format!("{width} bits, plain"), |b| {
            b.iter(|| {
                out.clear();
                out.extend((0..BATCH).map(|index| one(black_box(width as usize), index)));
            })
        });
    }
}

/// Rising integers in blocks of 128, of 7 bits a difference.
fn delta(criterion: &mut Criterion) {
    let mut stream = vec![0x80, 1, 4];
    let count = LARGE as u64 + 1;
    stream.extend([count as u8 & 0x7f | 0x80, (count >> 7) as u8 & 0x7f | 0x80, (count >> 14) as u8, 0]);
    for block in numbers(LARGE / 128 * 14).chunks(14) {
        stream.extend([2, 7, 7, 7, 7]);
        stream.extend(block.iter().flat_map(|v| v.to_le_bytes()));
    }
    let mut group = criterion.benchmark_group("delta");
    group.throughput(Throughput::Elements(LARGE as u64));
    let mut out = Vec::new();
    group.bench_function("7 bits a difference", |b| {
        b.iter(|| {
            out.clear();
            delta_integers(black_box(&stream), 0, LARGE + 1, &mut out).expect("decodes")
        })
    });
}

fn byte_stream(criterion: &mut Criterion) {
    let bytes: Vec<u8> = numbers(BATCH).iter().flat_map(|v| v.to_le_bytes()).collect();
    let mut group = criterion.benchmark_group("byte_stream");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    let mut out = Vec::new();
    for size in [4, 8] {
        group.bench_function(format!("{size} bytes a value"), |b| {
            b.iter(|| join_byte_streams(black_box(&bytes), size, &mut out))
        });
    }
}

criterion_group!(benches, snappy, unpack, delta, byte_stream, hybrid, plain);
