//! Recursive queries over graphs of numbers, against a search that holds everything.

use std::collections::BTreeSet;

use super::*;
use crate::batch::{Bitmap, Column, Values, Views};
use crate::config::{Config, Fault};
use crate::expression::Scalar;
use crate::operators::random_rows::{Random, scalars};
use crate::pipeline::{Flow, Operator, OperatorState, Part, Pipeline};

/// The numbers that follow a number.
type Edges = Arc<dyn Fn(i64) -> Vec<i64> + Send + Sync>;

/// A number and a long text of it, of which some are null.
fn types() -> Vec<DataType> {
    vec![DataType::Int64, DataType::Utf8]
}

fn batch(numbers: &[i64]) -> Batch {
    let texts = Views::from_values(numbers.iter().map(|number| format!("{number:>060}")));
    let valid = Bitmap::from_bools(numbers.iter().map(|number| number % 7 > 0));
    let texts = Column::flat_with_validity(Values::View(texts), Some(valid));
    Batch::new(vec![Column::flat(Values::Int64(numbers.to_vec().into())), texts], numbers.len())
}

fn numbers(batches: &[Batch]) -> Vec<i64> {
    let number = |row: Vec<Scalar>| {
        let Scalar::Int64(number) = row[0] else { panic!("{row:?} has no number") };
        let text = Scalar::Bytes(format!("{number:>060}").as_bytes().into());
        assert_eq!(row[1], if number % 7 > 0 { text } else { Scalar::Null });
        number
    };
    scalars(batches).into_iter().map(number).collect()
}

/// Gives the rows that follow the rows that come.
struct Follow(Edges);

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Follow")
    }
}

impl Operator for Follow {
    fn name(&self) -> &'static str {
        "Follow"
    }
    fn open(&self, _: &TaskContext, _: &Arc<OperatorMetrics>) -> Result<Box<dyn OperatorState>> {
        Ok(Box::new(Following { edges: self.0.clone(), waiting: VecDeque::new() }))
    }
}

struct Following {
    edges: Edges,
    waiting: VecDeque<Batch>,
}

impl OperatorState for Following {
    fn push(&mut self, rows: Batch) -> Result<Flow> {
        let next: Vec<i64> = numbers(&[rows]).into_iter().flat_map(|number| (self.edges)(number)).collect();
        self.waiting.extend(next.chunks(4096).map(batch));
        self.resume()
    }
    fn resume(&mut self) -> Result<Flow> {
        Ok(match self.waiting.pop_front() {
            Some(batch) if self.waiting.is_empty() => Flow::Output(batch),
            Some(batch) => Flow::More(batch),
            None => Flow::NeedInput,
        })
    }
}

fn step(edges: Edges) -> StepGraph {
    Arc::new(move |table: Arc<Materialize>| {
        let (mut graph, rows) = (Graph::default(), Arc::new(Materialize::new()));
        let sink = graph.add_sink(rows.clone(), 0);
        let follow: Part<dyn Operator> = Part::new(Arc::new(Follow(edges.clone())), 0);
        let source = Part::new(table.reader(), 0);
        graph.add_pipeline(Pipeline { source, operators: vec![follow], sink, waits: Vec::new() });
        Ok((graph, rows))
    })
}

/// All numbers in the order in which they were given, and the rows that were on disk as seen.
fn run(initial: &[i64], edges: &Edges, distinct: bool, task: &TaskContext) -> Result<(Vec<i64>, u64)> {
    let (rows, metrics) = (Arc::new(Materialize::new()), OperatorMetrics::new());
    let mut sink = rows.open(task, &metrics)?;
    for numbers in initial.chunks(1000) {
        sink.push(batch(numbers))?;
    }
    sink.combine()?;
    rows.seal(task)?;
    let source = Recursive { initial: rows, step: step(edges.clone()), distinct, types: types() };
    let mut state = source.open(task, &metrics)?;
    let mut given = Vec::new();
    while let Next::Batch(batch) = state.next()? {
        given.extend(numbers(&[batch]));
    }
    let on_disk = metrics.notes().into_iter().find(|(name, _)| name == "rows seen on disk");
    Ok((given, on_disk.map_or(0, |(_, rows)| rows.parse().expect("a number"))))
}

/// Every number that can be reached.
fn reached(initial: &[i64], edges: &Edges) -> BTreeSet<i64> {
    let mut reached: BTreeSet<i64> = initial.iter().copied().collect();
    let mut round: Vec<i64> = reached.iter().copied().collect();
    while !round.is_empty() {
        round = round.into_iter().flat_map(|number| edges(number)).filter(|&next| reached.insert(next)).collect();
    }
    reached
}

/// Edges among `nodes` numbers that reach most of them within few rounds.
fn expanding(nodes: i64) -> Edges {
    Arc::new(move |n: i64| vec![(n * 3 + 1) % nodes, (n * 7 + 5) % nodes, n / 2])
}

/// Every number once; gives the rows that were on disk.
fn check(initial: &[i64], edges: &Edges, config: Config) -> u64 {
    let task = TaskContext::new(config);
    let (mut given, on_disk) = run(initial, edges, true, &task).expect("runs to its end");
    given.sort_unstable();
    assert!(given.iter().eq(reached(initial, edges).iter()), "{} rows", given.len());
    assert_eq!(task.memory.used(), 0);
    on_disk
}

#[test]
fn every_row_is_given_once_from_memory_and_disk() {
    let mut on_disk = 0;
    for seed in 0..60 {
        let mut random = Random(seed);
        let nodes = 1 + random.below(if seed % 4 == 0 { 200 } else { 3000 }) as i64;
        let initial: Vec<i64> = (0..random.below(50)).map(|_| random.below(nodes as u64) as i64).collect();
        let fault = [None, Some(Fault::SpillEvery(1)), Some(Fault::SpillEvery(3))][seed as usize % 3];
        let memory_bytes = (seed % 3 == 0).then_some(64 << 10);
        let config = Config { fault, memory_bytes, hash_collisions: seed % 4 == 0, ..Config::default() };
        on_disk += check(&initial, &expanding(nodes), config);
    }
    assert!(on_disk > 10_000, "{on_disk}");
}

#[test]
fn a_budget_twenty_times_smaller_than_the_rows_is_enough() {
    // About 170 bytes a row: 20 MiB in all, and rounds of several MiB.
    let (edges, most) = (expanding(130_000), 1 << 20);
    let task = TaskContext::new(Config { memory_bytes: Some(most), ..Config::default() });
    let (mut given, on_disk) = run(&[1, 2], &edges, true, &task).expect("runs to its end");
    given.sort_unstable();
    assert!(given.len() > 120_000 && given.iter().eq(reached(&[1, 2], &edges).iter()), "{} rows", given.len());
    assert!(on_disk > 110_000, "{on_disk}");
    assert!(task.memory.peak() <= most + 5 * task.memory.floor(), "{} bytes", task.memory.peak());
    assert_eq!(task.memory.used(), 0);
}

#[test]
fn rounds_of_one_row_end_with_all_rows_on_disk() {
    let circle: Edges = Arc::new(|n: i64| vec![(n + 1) % 2500]);
    let config = Config { fault: Some(Fault::SpillEvery(40)), ..Config::default() };
    assert!(check(&[17], &circle, config) > 2000);
}

#[test]
fn rounds_larger_than_the_memory_are_given_again_and_again() {
    let tree: Edges = Arc::new(|n: i64| if n < 1 << 15 { vec![2 * n, 2 * n + 1] } else { Vec::new() });
    for memory_bytes in [None, Some(256 << 10)] {
        let task = TaskContext::new(Config { memory_bytes, ..Config::default() });
        let (mut given, _) = run(&[1, 1], &tree, false, &task).expect("runs to its end");
        given.sort_unstable();
        assert!(given.iter().copied().eq((1..1 << 16).flat_map(|n| [n, n])), "{} rows", given.len());
        assert_eq!(task.spill.written() > 0, memory_bytes.is_some());
        assert!(memory_bytes.is_none_or(|most| task.memory.peak() <= most + 5 * task.memory.floor()));
        assert_eq!(task.memory.used(), 0);
    }
}

#[test]
fn faults_are_typed_errors_and_leave_nothing() {
    let edges = expanding(1000);
    let expected = reached(&[1], &edges);
    let mut failed = [0; 5];
    for nth in (1..12).chain((12..120).step_by(9)) {
        for (kind, fault) in Fault::all_at(nth).into_iter().enumerate() {
            let config = Config { memory_bytes: Some(64 << 10), fault: Some(fault), ..Config::default() };
            let task = TaskContext::new(config);
            match run(&[1], &edges, true, &task) {
                Ok((given, _)) => {
                    assert_eq!(given.len(), expected.len(), "{fault:?}");
                    assert_eq!(given.into_iter().collect::<BTreeSet<_>>(), expected, "{fault:?}");
                }
                Err(Error::OutOfMemory { .. } | Error::Cancelled | Error::Io { .. }) => failed[kind] += 1,
                Err(other) => panic!("{fault:?}: {other}"),
            }
            assert_eq!(task.memory.used(), 0, "{fault:?}");
        }
    }
    // Most refusals are met by spilling.
    assert!(failed[1..].iter().all(|&times| times > 0), "{failed:?}");
}
