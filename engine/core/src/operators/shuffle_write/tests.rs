//! Random rows written and read again: every partition, with skew, with little memory, under faults.

use super::*;
use crate::config::{Config, Fault};
use crate::expression::{Expression, Scalar, SortKey, has_murmur3, murmur3};
use crate::operators::random_rows::{self, Random, drive, scalars};
use crate::pipeline::CancelToken;
use crate::spill::frames;

/// A path that is gone with its value.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        Temporary(std::env::temp_dir().join(format!("plasmon-shuffle-{name}-{}", std::process::id())))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The rows of each partition of a file, as the result tells where they are.
fn read(path: &PathBuf, told: &[Batch], types: &[DataType]) -> Vec<(i64, Vec<Batch>)> {
    let bytes = std::fs::read(path).unwrap();
    let codec = FrameCodec::new(types);
    let mut start = 0;
    let mut partitions = Vec::new();
    for row in scalars(told) {
        let [partition, length, rows] = [0, 1, 2].map(|column| row[column].as_i64().unwrap());
        let own = &bytes[start..start + length as usize];
        start += length as usize;
        let batches: Vec<Batch> = frames(own).map(|frame| codec.decode(frame.unwrap()).unwrap()).collect();
        assert_eq!(batches.iter().map(Batch::rows).sum::<usize>() as i64, rows);
        assert!(rows > 0);
        partitions.push((partition, batches));
    }
    assert_eq!(start, bytes.len(), "nothing else is in the file");
    assert!(partitions.is_sorted_by(|a, b| a.0 < b.0));
    partitions
}

fn texts(batches: &[Batch]) -> Vec<String> {
    // Narrow decimals may come out wide.
    let mut rows: Vec<String> =
        scalars(batches).into_iter().map(|row| format!("{row:?}").replace("Int64", "Int128")).collect();
    rows.sort();
    rows
}

fn random_partitioning(random: &mut Random, key: &DataType, partitions: usize) -> Partitioning {
    let column = Expression::column(0, key.clone());
    match random.below(4) {
        0 => Partitioning::Single,
        1 => Partitioning::RoundRobin(random.below(100)),
        2 if has_murmur3(key) => Partitioning::Hash(vec![column]),
        _ => {
            let key =
                SortKey { expression: column, descending: random.below(2) == 0, nulls_first: random.below(2) == 0 };
            Partitioning::Range { keys: vec![key], bounds: Vec::new() }.with_bounds(random, partitions)
        }
    }
}

impl Partitioning {
    /// With bounds that ascend: equal ones, where the type is not known to have an order here.
    fn with_bounds(self, random: &mut Random, partitions: usize) -> Self {
        let Partitioning::Range { keys, .. } = self else { return self };
        let data_type = keys[0].expression.data_type.clone();
        let one = Scalar::from_column(&random_rows::column(random, &data_type, 1), 0);
        let count = random.below(partitions as u64) as usize;
        Partitioning::Range { keys, bounds: vec![vec![one]; count] }
    }
}

#[test]
fn rows_come_back_whatever_the_memory() {
    for seed in 0..80 {
        let mut random = Random(seed);
        let types = vec![random.pick(&random_rows::types()), DataType::Utf8, DataType::Int64];
        let batches: Vec<Batch> = (0..random.below(8))
            .map(|i| {
                let rows = random.below(90) as usize;
                random_rows::batch(&mut random, &types[..2], rows, i as i64 * 100)
            })
            .collect();
        let partitions = random.pick(&[1, 2, 9, 5000]);
        let partitioning = random_partitioning(&mut random, &types[0], partitions);
        let fault = random.pick(&[None, Some(Fault::SpillEvery(1)), Some(Fault::SpillEvery(3))]);
        let memory_bytes = random.pick(&[None, Some(0)]);
        let task = TaskContext::new(Config { fault, memory_bytes, ..Config::default() });
        let file = Temporary::new(&format!("random-{seed}"));
        let spec = ShuffleWriteSpec { partitioning, partitions, path: file.0.clone(), types: types.clone() };
        let breaker = shuffle_write(spec).unwrap();
        let told = drive(&breaker, batches.clone(), 1 + random.below(3) as usize, &task).unwrap();
        let all: Vec<Batch> = read(&file.0, &told, &types).into_iter().flat_map(|(_, batches)| batches).collect();
        assert_eq!(texts(&all), texts(&batches), "seed {seed}");
        drop(breaker);
        assert_eq!(task.memory.used(), 0, "seed {seed}");
    }
}

#[test]
fn rows_are_where_spark_looks_for_them() {
    let keys = [DataType::Int64, DataType::Utf8];
    let mut random = Random(11);
    let types = [keys[0].clone(), keys[1].clone(), DataType::Int64];
    let batches: Vec<Batch> = (0..5).map(|i| random_rows::batch(&mut random, &keys, 200, i * 200)).collect();
    let columns: Vec<Expression> = keys.iter().enumerate().map(|(i, t)| Expression::column(i, t.clone())).collect();
    let file = Temporary::new("hash");
    let spec = ShuffleWriteSpec {
        partitioning: Partitioning::Hash(columns),
        partitions: 7,
        path: file.0.clone(),
        types: types.to_vec(),
    };
    let told = drive(&shuffle_write(spec).unwrap(), batches, 1, &TaskContext::new(Config::default())).unwrap();
    for (partition, batches) in read(&file.0, &told, &types) {
        for batch in batches {
            let hashes = murmur3(batch.columns()[..2].iter().zip(&keys), batch.rows()).unwrap();
            assert!(hashes.into_iter().all(|hash| i64::from(hash.rem_euclid(7)) == partition));
        }
    }
}

fn numbers(range: std::ops::Range<i64>) -> Batch {
    let rows = range.clone().count();
    Batch::new(vec![Column::flat(Values::Int64(range.collect()))], rows)
}

fn written(
    partitioning: Partitioning,
    partitions: usize,
    batches: Vec<Batch>,
    name: &str,
) -> Result<Vec<(i64, Vec<i64>)>> {
    let (file, types) = (Temporary::new(name), vec![DataType::Int64]);
    let spec = ShuffleWriteSpec { partitioning, partitions, path: file.0.clone(), types: types.clone() };
    let told = drive(&shuffle_write(spec)?, batches, 1, &TaskContext::new(Config::default()))?;
    let values = |batches: Vec<Batch>| scalars(&batches).iter().map(|row| row[0].as_i64().unwrap_or(-1)).collect();
    Ok(read(&file.0, &told, &types).into_iter().map(|(partition, batches)| (partition, values(batches))).collect())
}

#[test]
fn ranges_in_turn_and_computed_numbers() {
    let column = || Expression::column(0, DataType::Int64);
    let range = |descending| Partitioning::Range {
        keys: vec![SortKey { expression: column(), descending, nulls_first: true }],
        bounds: if descending {
            vec![vec![Scalar::Int64(6)], vec![Scalar::Int64(2)]]
        } else {
            vec![vec![Scalar::Int64(2)], vec![Scalar::Int64(6)]]
        },
    };
    let ascending = written(range(false), 3, vec![numbers(0..9)], "ascending").unwrap();
    assert_eq!(ascending, [(0, vec![0, 1, 2]), (1, vec![3, 4, 5, 6]), (2, vec![7, 8])]);
    let descending = written(range(true), 5, vec![numbers(0..9)], "descending").unwrap();
    assert_eq!(descending, [(0, vec![6, 7, 8]), (1, vec![2, 3, 4, 5]), (2, vec![0, 1])]);
    let turns = written(Partitioning::RoundRobin(4), 3, vec![numbers(0..4), numbers(4..6)], "turns").unwrap();
    assert_eq!(turns, [(0, vec![2, 5]), (1, vec![0, 3]), (2, vec![1, 4])]);
    let narrow = |value: i32| {
        let batch = Batch::new(vec![Column::flat(Values::Int64(vec![7].into()))], 1);
        let number = Expression::literal(Scalar::Int64(value.into()), DataType::Int32);
        written(Partitioning::Computed(number), 3, vec![batch], "computed")
    };
    assert_eq!(narrow(2).unwrap(), [(2, vec![7])]);
    for number in [-1, 3] {
        let message = narrow(number).unwrap_err().to_string();
        assert!(message.contains(&format!("partition is {number}, of 3")), "{message}");
    }
    let null = Expression::literal(Scalar::Null, DataType::Int32);
    assert!(written(Partitioning::Computed(null), 3, vec![numbers(0..1)], "null").is_err());
    assert!(written(range(false), 2, Vec::new(), "bounds").unwrap_err().to_string().contains("2 bounds between 2"));
    assert!(written(Partitioning::Single, 0, Vec::new(), "none").is_err());
}

#[test]
fn a_skewed_partition_has_frames_of_bounded_size() {
    let batches: Vec<Batch> = (0..40).map(|i| numbers(i * 10_000..(i + 1) * 10_000)).collect();
    let (file, types) = (Temporary::new("skew"), vec![DataType::Int64]);
    let spec = ShuffleWriteSpec {
        partitioning: Partitioning::Single,
        partitions: 3,
        path: file.0.clone(),
        types: types.clone(),
    };
    let told = drive(&shuffle_write(spec).unwrap(), batches, 1, &TaskContext::new(Config::default())).unwrap();
    let partitions = read(&file.0, &told, &types);
    let [(0, batches)] = &partitions[..] else { panic!("{} partitions", partitions.len()) };
    assert!(batches.len() >= 400_000 / crate::config::BATCH_ROWS_MAX);
    assert!(std::fs::metadata(&file.0).unwrap().len() < 400_000 * 3, "distances of two bytes, and less");
}

#[test]
fn after_a_failure_there_is_no_file() {
    let file = Temporary::new("failed");
    std::fs::write(&file.0, "what was there").unwrap();
    let spec = |path: PathBuf| ShuffleWriteSpec {
        partitioning: Partitioning::RoundRobin(0),
        partitions: 50,
        path,
        types: vec![DataType::Int64],
    };
    let mut failures = 0;
    for fault in (1..60).map(Fault::Cancel).chain((1..20).flat_map(|n| [Fault::SpillIo(n), Fault::SpillFlip(n)])) {
        let memory_bytes = if matches!(fault, Fault::Cancel(_)) { None } else { Some(0) };
        let config = Config { fault: Some(fault), memory_bytes, ..Config::default() };
        let task = TaskContext::with_cancel(config, CancelToken::default());
        let breaker = shuffle_write(spec(file.0.clone())).unwrap();
        let outcome = drive(&breaker, (0..3).map(|i| numbers(i * 1000..(i + 1) * 1000)).collect(), 1, &task);
        match outcome {
            Ok(_) => assert!(file.0.exists(), "{fault:?}"),
            Err(_) => {
                failures += 1;
                let left = std::fs::read(&file.0).ok();
                assert!(left.as_deref().is_none_or(|bytes| bytes == b"what was there"), "{fault:?}");
            }
        }
        let _ = std::fs::write(&file.0, "what was there");
    }
    assert!(failures > 20, "{failures}");
    let nowhere = spec("/no/such/folder/file".into());
    let breaker = shuffle_write(nowhere).unwrap();
    let message =
        drive(&breaker, vec![numbers(0..3)], 1, &TaskContext::new(Config::default())).unwrap_err().to_string();
    assert!(message.contains("/no/such/folder/file"), "{message}");
}
