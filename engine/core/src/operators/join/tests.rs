//! Joins that spill, against the same joins in memory: every kind, over random rows, under every kind of pressure.

use std::sync::Arc;

use arrow_schema::DataType;

use super::{Join, JoinKind, JoinSpec};
use crate::batch::{Batch, Bitmap, Column, Values as ColumnValues, Views};
use crate::config::{Config, Driver, Fault};
use crate::error::{Error, Result};
use crate::expression::{CompareOp, Expression, Scalar};
use crate::operators::collect::Collect;
use crate::operators::random_rows::{self, Random, scalars};
use crate::operators::runtime_filter::RuntimeFilter;
use crate::operators::values::Values;
use crate::pipeline::{CancelToken, Graph, InlineDriver, Part, Pipeline, TaskContext, Wait, run_on_pool};

/// A join with its inputs.
struct Case {
    spec: JoinSpec,
    left: Vec<Batch>,
    right: Vec<Batch>,
}

/// What became of one run.
struct Outcome {
    rows: Result<Vec<Batch>>,
    spilled: u64,
    notes: Vec<(String, String)>,
    peak: usize,
    filter: Arc<RuntimeFilter>,
}

impl Case {
    /// Runs it; nothing may be left reserved.
    fn run(&self, config: Config) -> Outcome {
        let filter = RuntimeFilter::new();
        let publishes = if self.spec.left_keys.is_empty() { Vec::new() } else { vec![(0, filter.clone())] };
        let join = Join::new(self.spec.clone(), publishes).expect("a join");
        let (collect, results) = Collect::new(None);
        let mut graph = Graph::default();
        let build = graph.add_sink(join.build(), 0);
        let output = graph.add_sink(Arc::new(collect), 0);
        let values = |batches: &[Batch]| Part::new(Arc::new(Values::new(batches.to_vec())) as Arc<_>, 0);
        let pipeline = |source, operators, sink, waits| Pipeline { source, operators, sink, waits };
        graph.add_pipeline(pipeline(values(&self.right), Vec::new(), build, Vec::new()));
        let probe = vec![Part::new(join.probe(), 0)];
        let mut waits = vec![Wait::Sink(build)];
        let probing = graph.add_pipeline(pipeline(values(&self.left), probe, output, waits.clone()));
        waits.push(Wait::Pipeline(probing));
        if let Some(source) = join.unmatched() {
            let id = graph.add_pipeline(pipeline(Part::new(source, 0), Vec::new(), output, waits.clone()));
            waits.push(Wait::Pipeline(id));
        }
        let last = graph.add_pipeline(pipeline(Part::new(join.spilled(), 0), Vec::new(), output, waits));
        let task = TaskContext::with_cancel(config.clone(), CancelToken::default());
        let graph = Arc::new(graph);
        let run = match config.driver {
            Driver::Inline => InlineDriver::new(graph.clone(), task.clone()).run(),
            Driver::Pool => {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(config.threads).build().expect("a pool");
                run_on_pool(&graph, &task, &pool)
            }
        };
        let build_metrics = &graph.sinks[build.0].metrics;
        let spilled = build_metrics.bytes_spilled.load(std::sync::atomic::Ordering::Relaxed);
        let notes = [build_metrics.notes(), graph.pipelines[last.0].source.metrics.notes()].concat();
        let rows = run.map(|()| results.try_iter().collect());
        drop((graph, join));
        assert_eq!(task.memory.used(), filter.reserved_bytes(), "all is given back but what the filter holds");
        Outcome { rows, spilled, notes, peak: task.memory.peak(), filter }
    }
}

/// Rows as sorted text; narrow decimals may come out wide.
fn sorted(batches: &[Batch]) -> Vec<String> {
    let text = |row: Vec<Scalar>| format!("{row:?}").replace("Int64", "Int128");
    let mut rows: Vec<String> = scalars(batches).into_iter().map(text).collect();
    rows.sort();
    rows
}

/// A random join of few rows.
fn random_case(random: &mut Random) -> Case {
    let kind = random.pick(&JoinKind::ALL);
    let keys: Vec<DataType> = (0..random.pick(&[0, 1, 1, 1, 2])).map(|_| random.pick(&random_rows::types())).collect();
    let types = |random: &mut Random| -> Vec<DataType> {
        let mut types = keys.clone();
        types.push(random.pick(&random_rows::types()));
        types
    };
    let (mut left_types, mut right_types) = (types(random), types(random));
    let input = |random: &mut Random, types: &[DataType]| -> Vec<Batch> {
        let most = if keys.is_empty() { 15 } else { 40 };
        (0..random.below(6))
            .map(|i| {
                let rows = 1 + random.below(most) as usize;
                random_rows::batch(random, types, rows, i as i64 * 100)
            })
            .collect()
    };
    let (left, right) = (input(random, &left_types), input(random, &right_types));
    left_types.push(DataType::Int64);
    right_types.push(DataType::Int64);
    let column =
        |index: usize, types: &[DataType], shift: usize| Expression::column(index + shift, types[index].clone());
    let key = |types: &[DataType]| (0..keys.len()).map(|index| column(index, types, 0)).collect::<Vec<_>>();
    let (l, r) = (left_types.len(), right_types.len());
    let residual = (random.below(3) == 0)
        .then(|| Expression::compare(CompareOp::Less, column(l - 1, &left_types, 0), column(r - 1, &right_types, l)));
    let width = match kind {
        kind if kind.is_left_only() => l + usize::from(kind == JoinKind::LeftMark),
        kind if kind.is_right_only() => r + usize::from(kind == JoinKind::RightMark),
        _ => l + r,
    };
    let projection = match random.below(3) {
        0 => Some((0..width).filter(|_| random.below(2) == 0).collect()),
        _ => None,
    };
    let spec = JoinSpec {
        kind,
        left_keys: key(&left_types),
        right_keys: key(&right_types),
        null_equal: keys.iter().map(|_| random.below(4) == 0).collect(),
        residual,
        null_aware: matches!(kind, JoinKind::LeftAnti | JoinKind::LeftMark) && !keys.is_empty() && random.below(2) == 0,
        left_types,
        right_types,
        projection,
    };
    Case { spec, left, right }
}

fn random_config(random: &mut Random) -> Config {
    let (threads, driver) = random.pick(&[(1, Driver::Inline), (1, Driver::Pool), (3, Driver::Pool)]);
    let hash_collisions = random.below(8) == 0;
    let batch_rows = random.pick(&[1, 7, 64, 4096]);
    Config { threads, driver, hash_collisions, batch_rows, ..Config::default() }
}

#[test]
fn spilling_joins_give_what_joins_in_memory_give() {
    let mut spilling = 0;
    for seed in 0..500 {
        let mut random = Random(seed);
        let case = random_case(&mut random);
        let expected = case.run(Config { threads: 1, driver: Driver::Inline, ..Config::default() });
        assert_eq!(expected.spilled, 0);
        let expected = sorted(&expected.rows.expect("runs in memory"));
        for every in [1, 2, 3] {
            let config = Config { fault: Some(Fault::SpillEvery(every)), ..random_config(&mut random) };
            let outcome = case.run(config.clone());
            spilling += u64::from(outcome.spilled > 0);
            let rows = sorted(&outcome.rows.expect("runs"));
            let kind = case.spec.kind;
            assert!(
                rows == expected,
                "seed {seed}, {kind:?}, {every}: {} rows for {}\n{:?}\n{:?}",
                rows.len(),
                expected.len(),
                case.spec,
                config
            );
        }
    }
    assert!(spilling > 500, "{spilling} runs spilled");
}

/// How the keys of a large input are spread.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Keys {
    Uniform,
    Skewed,
    Hot,
    Nulls,
    Text,
}

/// `rows` rows: key, number of the row, and text of `wide` bytes.
fn large(random: &mut Random, keys: Keys, rows: usize, distinct: u64, wide: usize) -> Vec<Batch> {
    let batch = |start: usize| {
        let len = 2_000.min(rows - start);
        let key = |random: &mut Random| match keys {
            Keys::Skewed => {
                random.below(distinct) * random.below(distinct) / distinct * random.below(distinct) / distinct
            }
            Keys::Hot if random.below(10) > 0 => 7,
            _ => random.below(distinct),
        };
        let numbers: Vec<i64> = (0..len).map(|_| key(random) as i64).collect();
        let key = match keys {
            Keys::Text => Column::flat(ColumnValues::View(Views::from_values(
                numbers.iter().map(|n| format!("a key of some length {n}")),
            ))),
            Keys::Nulls => Column::flat_with_validity(
                ColumnValues::Int64(numbers.into()),
                Some(Bitmap::from_bools((0..len).map(|row| row % 2 == 0))),
            ),
            _ => Column::flat(ColumnValues::Int64(numbers.into())),
        };
        let number = Column::flat(ColumnValues::Int64((start as i64..(start + len) as i64).collect()));
        let text = (0..len).map(|row| format!("{:0wide$}", start + row));
        let text = Column::flat(ColumnValues::View(Views::from_values(text)));
        Batch::new(vec![key, number, text], len)
    };
    let starts: Vec<usize> = (0..rows).step_by(2_000).collect();
    let mut make = batch;
    starts.into_iter().map(|start| make(start)).collect()
}

fn large_case(kind: JoinKind, keys: Keys, build: usize, probe: usize, wide: usize) -> Case {
    let mut random = Random(build as u64);
    let key_type = if keys == Keys::Text { DataType::Utf8 } else { DataType::Int64 };
    let types = vec![key_type.clone(), DataType::Int64, DataType::Utf8];
    let key = vec![Expression::column(0, key_type)];
    let distinct = build as u64;
    Case {
        left: large(&mut random, if keys == Keys::Hot { Keys::Uniform } else { keys }, probe, distinct, 3),
        right: large(&mut random, keys, build, distinct, wide),
        spec: JoinSpec {
            kind,
            left_keys: key.clone(),
            right_keys: key,
            null_equal: vec![false],
            residual: None,
            null_aware: false,
            left_types: types.clone(),
            right_types: types,
            projection: None,
        },
    }
}

#[test]
fn a_build_side_of_twenty_budgets_is_joined_within_the_budget() {
    let shapes = [(Keys::Uniform, 60), (Keys::Skewed, 20), (Keys::Hot, 40), (Keys::Nulls, 30), (Keys::Text, 200)];
    for (number, (keys, wide)) in shapes.into_iter().enumerate() {
        for kind in [JoinKind::Full, [JoinKind::Inner, JoinKind::LeftAnti, JoinKind::RightSemi][number % 3]] {
            let case = large_case(kind, keys, 40_000, 8_000, wide);
            let bytes: usize = case.right.iter().map(Batch::memory_bytes).sum();
            let keys_of = |batch: &Batch| match batch.column(0).flat_values() {
                ColumnValues::Int64(keys) => keys.to_vec(),
                _ => Vec::new(),
            };
            let build_keys: Vec<i64> = case.right.iter().flat_map(keys_of).collect();
            let expected = case.run(Config { threads: 1, driver: Driver::Inline, ..Config::default() });
            let expected = sorted(&expected.rows.expect("runs in memory"));
            for (threads, driver) in [(1, Driver::Inline), (3, Driver::Pool)] {
                let budget = bytes / 20;
                let config = Config { threads, driver, memory_bytes: Some(budget), ..Config::default() };
                let outcome = case.run(config);
                let what = format!("{kind:?} {keys:?} on {threads}: {budget} bytes, {:?}", outcome.notes);
                let rows = sorted(&outcome.rows.unwrap_or_else(|e| panic!("{what}: {e}")));
                assert!(rows == expected, "{what}: {} rows for {}", rows.len(), expected.len());
                assert!(outcome.spilled > 0, "{what}");
                // A consumer that can spill has its floor whatever happens: a worker has a few of these.
                let floor = threads * 4 * (64 << 10);
                assert!(outcome.peak <= budget + floor, "{what}: at most {} were held", outcome.peak);
                if number == 0 {
                    let filter = outcome.filter.keys().expect("published");
                    assert!(!build_keys.is_empty());
                    assert!(build_keys.iter().all(|&key| filter.may_contain(key)), "{what}");
                }
            }
        }
    }
}

#[test]
fn one_key_in_many_rows_is_kept_once_where_it_alone_matters() {
    for kind in [JoinKind::LeftSemi, JoinKind::LeftAnti, JoinKind::LeftMark] {
        let mut case = large_case(kind, Keys::Hot, 40_000, 8_000, 40);
        for null_aware in [false, kind != JoinKind::LeftSemi] {
            case.spec.null_aware = null_aware;
            let expected = sorted(&case.run(Config { threads: 1, ..Config::default() }).rows.expect("runs in memory"));
            for threads in [1, 3] {
                let config = Config { threads, memory_bytes: Some(200_000), ..Config::default() };
                let outcome = case.run(config);
                assert!(sorted(&outcome.rows.expect("runs")) == expected, "{kind:?}");
                let keys: usize = case.right.iter().map(|batch| batch.rows() * 8).sum();
                assert!(outcome.spilled < keys as u64 / 4, "{kind:?}: {} of {keys} bytes", outcome.spilled);
            }
        }
    }
}

#[test]
fn a_nested_loop_joins_chunk_by_chunk() {
    for kind in JoinKind::ALL {
        let mut case = large_case(kind, Keys::Uniform, 12_000, 300, 30);
        (case.spec.left_keys, case.spec.right_keys, case.spec.null_equal) = (Vec::new(), Vec::new(), Vec::new());
        let key = |index| Expression::column(index, DataType::Int64);
        case.spec.residual = Some(Expression::compare(CompareOp::Equal, key(0), key(3)));
        let expected = case.run(Config { threads: 1, driver: Driver::Inline, ..Config::default() });
        let outcome =
            case.run(Config { threads: 2, driver: Driver::Pool, memory_bytes: Some(100_000), ..Config::default() });
        assert!(outcome.spilled > 0);
        assert_eq!(sorted(&outcome.rows.expect("runs")), sorted(&expected.rows.expect("runs")), "{kind:?}");
    }
}

#[test]
fn memory_refused_anywhere_is_an_error_or_done_without() {
    let case = large_case(JoinKind::Full, Keys::Skewed, 6_000, 3_000, 20);
    let expected = case.run(Config { threads: 1, driver: Driver::Inline, ..Config::default() });
    let expected = sorted(&expected.rows.expect("runs in memory"));
    for growth in 1..120 {
        let fault = Some(Fault::RefuseMemory(growth));
        let outcome = case.run(Config {
            threads: 1,
            driver: Driver::Inline,
            memory_bytes: Some(60_000),
            fault,
            ..Config::default()
        });
        match outcome.rows {
            Ok(rows) => assert!(sorted(&rows) == expected, "refused at {growth}"),
            Err(Error::OutOfMemory { .. }) => {}
            Err(other) => panic!("refused at {growth}: {other}"),
        }
    }
}

#[test]
fn a_join_whose_spilled_rows_nobody_reads_keeps_them() {
    let case = large_case(JoinKind::Inner, Keys::Uniform, 10_000, 10, 20);
    let join = Join::new(case.spec.clone(), Vec::new()).expect("a join");
    let task = TaskContext::new(Config { memory_bytes: Some(100_000), ..Config::default() });
    let mut sink = join.build().open(&task, &crate::metrics::OperatorMetrics::new()).expect("opens");
    let refused = case.right.into_iter().find_map(|batch| sink.push(batch).err());
    assert!(matches!(refused, Some(Error::OutOfMemory { .. })), "{refused:?}");
}
