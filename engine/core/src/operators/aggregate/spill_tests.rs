//! Aggregations that do not fit their memory, against a plain map, and against themselves with memory enough.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_array::{
    Array, ArrayRef, Int64Array, ListArray,
    builder::{Int64Builder, ListBuilder},
    cast::AsArray,
    types::Int64Type,
};
use arrow_schema::{DataType, Field};

use super::tests::{Keys, call, check_with};
use super::{
    AggregateExpression, AggregateFunction, AggregatePhase, AggregateSpec, CustomAccumulator, CustomAggregate,
    aggregate,
};
use crate::batch::{Batch, Bitmap, Column, Values, Views};
use crate::config::{Config, Fault};
use crate::error::{Error, Result};
use crate::expression::{Expression, Scalar, SortKey};
use crate::memory::MemoryBudget;
use crate::metrics::OperatorMetrics;
use crate::operators::Breaker;
use crate::operators::random_rows::{Random, batch, scalars, types};
use crate::pipeline::{CancelToken, Next, TaskContext};

/// Drives a breaker with workers and readers in threads of their own; also gives the bytes spilled.
fn drive(breaker: &Breaker, batches: Vec<Batch>, workers: usize, task: &TaskContext) -> Result<(Vec<Batch>, u64)> {
    let metrics = OperatorMetrics::new();
    let mut shares: Vec<Vec<Batch>> = vec![Vec::new(); workers];
    batches.into_iter().enumerate().for_each(|(i, batch)| shares[i % workers].push(batch));
    let in_threads = |work: Vec<Box<dyn FnOnce() -> Result<Vec<Batch>> + Send + '_>>| -> Result<Vec<Batch>> {
        let joined: Vec<Result<Vec<Batch>>> = std::thread::scope(|scope| {
            let handles: Vec<_> = work.into_iter().map(|work| scope.spawn(work)).collect();
            handles.into_iter().map(|handle| handle.join().expect("no panic")).collect()
        });
        joined.into_iter().collect::<Result<Vec<_>>>().map(|batches| batches.concat())
    };
    let (sink, source) = (&breaker.sink, &breaker.source);
    let pushes = shares.into_iter().map(|share| {
        let metrics = &metrics;
        Box::new(move || {
            let mut state = sink.open(task, metrics)?;
            for batch in share.into_iter().filter(|batch| batch.selected_rows() > 0) {
                state.push(batch)?;
            }
            state.combine()?;
            Ok(Vec::new())
        }) as Box<dyn FnOnce() -> Result<Vec<Batch>> + Send>
    });
    in_threads(pushes.collect())?;
    for stage in 0.. {
        let tasks = sink.finalize(stage, task)?;
        if tasks.is_empty() {
            break;
        }
        let tasks = tasks.into_iter().map(|work| {
            Box::new(move || work(task).map(|()| Vec::new())) as Box<dyn FnOnce() -> Result<Vec<Batch>> + Send>
        });
        in_threads(tasks.collect())?;
    }
    sink.seal(task)?;
    let readers = (0..workers.min(source.max_workers())).map(|_| {
        let metrics = &metrics;
        Box::new(move || {
            let (mut state, mut batches) = (source.open(task, metrics)?, Vec::new());
            loop {
                match state.next()? {
                    Next::Batch(batch) => batches.push(batch),
                    Next::Blocked => std::thread::yield_now(),
                    Next::Finished => return Ok(batches),
                }
            }
        }) as Box<dyn FnOnce() -> Result<Vec<Batch>> + Send>
    });
    let output = in_threads(readers.collect())?;
    Ok((output, metrics.bytes_spilled.load(Ordering::Relaxed)))
}

const ALL_KEYS: [Keys; 7] = [
    Keys::Clustered,
    Keys::Random { distinct: 1 },
    Keys::Random { distinct: 1000 },
    Keys::Random { distinct: u64::MAX },
    Keys::RandomWithNulls,
    Keys::Text,
    Keys::Pairs,
];

fn config(workers: usize, memory_bytes: Option<usize>, fault: Option<Fault>) -> Config {
    Config { threads: workers, memory_bytes, fault, ..Config::default() }
}

#[test]
fn a_small_budget_changes_nothing() {
    for workers in [1, 3] {
        for keys in ALL_KEYS {
            for memory in [1 << 20, 4 << 20].into_iter().take(workers) {
                check_with(keys, workers, config(workers, Some(memory), None), |breaker, batches, task| {
                    let (output, spilled) = drive(breaker, batches, workers, task)?;
                    let is_large = !matches!(keys, Keys::Random { distinct: 1 | 1000 });
                    assert!(spilled > 0 || !is_large || memory > 1 << 20, "{keys:?} spills within {memory} bytes");
                    assert!(task.memory.peak() <= memory + workers * 8 * task.memory.floor(), "{}", task.memory.peak());
                    Ok(output)
                });
            }
        }
    }
}

#[test]
fn spilling_at_every_growth_changes_nothing() {
    for workers in [1, 3] {
        for keys in ALL_KEYS {
            for every in [1, 7] {
                let config = config(workers, None, Some(Fault::SpillEvery(every)));
                check_with(keys, workers, config, |breaker, batches, task| {
                    let (output, spilled) = drive(breaker, batches, workers, task)?;
                    // One group's table hardly grows.
                    assert!(spilled > 0 || keys == (Keys::Random { distinct: 1 }), "{keys:?} spills");
                    Ok(output)
                });
            }
        }
    }
}

/// A custom aggregate that keeps all its values: their list.
#[derive(Debug)]
struct Lists;

#[derive(Default)]
struct ListsState {
    lists: Vec<Vec<i64>>,
}

impl CustomAggregate for Lists {
    fn name(&self) -> &str {
        "lists"
    }
    fn state_types(&self) -> Vec<DataType> {
        vec![list_type()]
    }
    fn argument_types(&self) -> Vec<DataType> {
        vec![DataType::Int64]
    }
    fn create(&self) -> Result<Box<dyn CustomAccumulator>> {
        Ok(Box::new(ListsState::default()))
    }
}

fn list_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)))
}

impl CustomAccumulator for ListsState {
    fn update(&mut self, arguments: &[ArrayRef], groups: &[usize], group_count: usize) -> Result<()> {
        self.lists.resize(group_count, Vec::new());
        let values: &Int64Array = arguments[0].as_primitive::<Int64Type>();
        groups.iter().enumerate().for_each(|(row, &group)| self.lists[group].push(values.value(row)));
        Ok(())
    }
    fn merge(&mut self, states: &[ArrayRef], groups: &[usize], group_count: usize) -> Result<()> {
        self.lists.resize(group_count, Vec::new());
        let lists: &ListArray = states[0].as_list();
        for (row, &group) in groups.iter().enumerate() {
            self.lists[group].extend(lists.value(row).as_primitive::<Int64Type>().values());
        }
        Ok(())
    }
    fn state(&mut self) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate()?])
    }
    fn evaluate(&mut self) -> Result<ArrayRef> {
        let mut builder = ListBuilder::new(Int64Builder::new());
        for list in std::mem::take(&mut self.lists) {
            builder.values().append_slice(&list);
            builder.append(true);
        }
        Ok(Arc::new(builder.finish()))
    }
    fn memory_bytes(&self) -> usize {
        self.lists.iter().map(|list| 24 + list.capacity() * 8).sum()
    }
}

fn grouped(group_by: &[DataType], aggregates: Vec<AggregateExpression>, phase: AggregatePhase) -> AggregateSpec {
    AggregateSpec {
        group_by: group_by.iter().enumerate().map(|(i, t)| Expression::column(i, t.clone())).collect(),
        grouping_sets: Vec::new(),
        grouping_id: None,
        aggregates,
        phase,
    }
}

/// Sorted rows of an aggregation; nested values by their items.
fn rows(spec: &AggregateSpec, batches: &[Batch], workers: usize, config: Config) -> (Vec<String>, u64) {
    rows_under(spec, batches, workers, &TaskContext::new(config))
}

fn rows_under(spec: &AggregateSpec, batches: &[Batch], workers: usize, task: &TaskContext) -> (Vec<String>, u64) {
    let breaker = aggregate(spec.clone()).expect("an aggregation");
    let (output, spilled) = drive(&breaker, batches.to_vec(), workers, task).expect("aggregated");
    let show = |value: &Scalar| match value {
        Scalar::Nested(array) => {
            let mut items: Vec<String> = arrow_items(array);
            items.sort();
            format!("{items:?}")
        }
        // Which of the zeros is the least depends on their order.
        Scalar::Float64(value) => format!("{:.3e}", value + 0.0),
        Scalar::Float32(value) => format!("{:.3e}", value + 0.0),
        other => format!("{other:?}"),
    };
    let mut rows: Vec<String> =
        scalars(&output).iter().map(|row| row.iter().map(show).collect::<Vec<_>>().join("|")).collect();
    rows.sort();
    drop((breaker, output));
    assert_eq!(task.memory.used(), 0, "everything reserved is given back");
    (rows, spilled)
}

fn arrow_items(array: &ArrayRef) -> Vec<String> {
    let items = array.as_list::<i32>().value(0);
    (0..items.len()).map(|i| format!("{:?}", items.slice(i, 1))).collect()
}

/// The same with memory enough and spilling in every way.
fn same(spec: &AggregateSpec, batches: &[Batch], memory: usize) {
    let (expected, nothing) = rows(spec, batches, 1, config(1, None, None));
    assert_eq!(nothing, 0);
    for workers in [1, 2] {
        for (memory, fault) in [(Some(memory), None), (None, Some(1)), (Some(4 * memory), Some(3))] {
            let fault = fault.map(Fault::SpillEvery);
            let (found, spilled) = rows(spec, batches, workers, config(workers, memory, fault));
            assert!(spilled > 0, "{memory:?} {fault:?} spills");
            assert!(
                found == expected,
                "{workers} workers, {memory:?}, {fault:?}: {} of {}",
                found.len(),
                expected.len()
            );
        }
    }
}

fn integers(values: impl Iterator<Item = i64>) -> Column {
    Column::flat(Values::Int64(values.collect()))
}

/// Batches of a key below `keys` (one row in two: 0) and a value below `values`.
fn pairs(count: usize, keys: u64, values: u64) -> Vec<Batch> {
    let mut random = Random(7);
    let one = |random: &mut Random| {
        let key = integers((0..4096).map(|_| if random.below(2) == 0 { 0 } else { random.below(keys) as i64 }));
        let value = integers((0..4096).map(|_| random.below(values) as i64));
        Batch::new(vec![key, value], 4096)
    };
    (0..count).map(|_| one(&mut random)).collect()
}

fn distinct_of(column: usize, function: AggregateFunction) -> AggregateExpression {
    AggregateExpression {
        arguments: vec![Expression::column(column, DataType::Int64)],
        distinct: true,
        ..call(function, DataType::Int64, DataType::Int64)
    }
}

#[test]
fn distinct_members_of_one_group_may_be_more_than_memory_holds() {
    let batches = pairs(24, 30_000, u64::MAX >> 20);
    let expected: Vec<BTreeSet<i64>> =
        (0..2).map(|column| scalars(&batches).iter().filter_map(|row| row[column].as_i64()).collect()).collect();
    // Without keys, and with a hot one.
    let aggregates = vec![distinct_of(1, AggregateFunction::Count), distinct_of(0, AggregateFunction::Sum)];
    let spec = grouped(&[], aggregates.clone(), AggregatePhase::Single);
    let (found, spilled) = rows(&spec, &batches, 2, config(2, Some(3 << 19), None));
    assert!(spilled > 0);
    let sum: i64 = expected[0].iter().sum();
    assert_eq!(found, [format!("{:?}|{:?}", Scalar::Int64(expected[1].len() as i64), Scalar::Int64(sum))]);
    same(&spec, &batches, 3 << 19);
    same(&grouped(&[DataType::Int64], aggregates, AggregatePhase::Single), &batches, 3 << 19);
}

/// Groups and members of one large group: members go by their values from the start, and the states of what is left are few.
#[test]
fn members_of_a_large_group_are_written_once() {
    let batches = pairs(160, u64::MAX >> 20, u64::MAX >> 20);
    let bytes: usize = batches.iter().map(Batch::memory_bytes).sum();
    let counted = vec![distinct_of(1, AggregateFunction::Count)];
    for keys in [&[][..], &[DataType::Int64]] {
        let spec = grouped(keys, counted.clone(), AggregatePhase::Single);
        let (expected, _) = rows(&spec, &batches, 1, config(1, None, None));
        let (found, spilled) = rows(&spec, &batches, 2, config(2, Some(2 << 20), None));
        assert!(found == expected);
        assert!(spilled as usize * 2 <= 3 * bytes, "{spilled} bytes of {bytes}");
    }
}

/// The first rows tell nothing of the large group that comes later.
#[test]
fn a_large_group_may_come_late() {
    let mut random = Random(9);
    let mut rows_of = |key: &dyn Fn(i64) -> i64| {
        let key = integers((0..4096).map(|row| key(row)));
        Batch::new(vec![key, integers((0..4096).map(|_| random.below(u64::MAX >> 20) as i64))], 4096)
    };
    let many: Vec<Batch> = (0..24).map(|batch| rows_of(&|row| batch * 4096 + row)).collect();
    let batches = [many, (0..24).map(|_| rows_of(&|_| 7)).collect()].concat();
    let aggregates = vec![distinct_of(1, AggregateFunction::Count), distinct_of(1, AggregateFunction::Sum)];
    same(&grouped(&[DataType::Int64], aggregates, AggregatePhase::Single), &batches, 2 << 20);
}

/// Members of a large group go by their values; those of the many small groups beside it, once they are aggregated, are hardly fewer, and pass the tables by.
#[test]
fn small_groups_beside_a_large_one_pass() {
    let key = |row: i64| if row % 16 == 0 { 7 } else { row };
    let batches: Vec<Batch> = (0..200)
        .map(|batch| {
            let rows = batch * 4096..(batch + 1) * 4096;
            Batch::new(vec![integers(rows.clone().map(key)), integers(rows)], 4096)
        })
        .collect();
    let sum = AggregateExpression { distinct: false, ..distinct_of(1, AggregateFunction::Sum) };
    let aggregates = vec![sum, distinct_of(1, AggregateFunction::Count)];
    same(&grouped(&[DataType::Int64], aggregates, AggregatePhase::Single), &batches, 8 << 20);
}

/// Distinct and plain aggregates, over sets of keys and filtered rows.
#[test]
fn members_go_by_their_values_beside_other_states() {
    let batches = pairs(24, 30_000, 5_000);
    let is_large = Expression::column(2, DataType::Boolean);
    let batches: Vec<Batch> = batches
        .iter()
        .map(|batch| {
            let is_large = scalars(std::slice::from_ref(batch));
            let is_large = is_large.iter().map(|row| row[1].as_i64() > Some(2_000)).collect::<Vec<_>>();
            let is_large = Column::flat(Values::Boolean(Bitmap::from_bools(is_large.into_iter())));
            Batch::new([batch.columns(), &[is_large]].concat(), 4096)
        })
        .collect();
    let first = AggregateFunction::First { ignore_nulls: false };
    let ascending =
        SortKey { expression: Expression::column(1, DataType::Int64), descending: false, nulls_first: false };
    let aggregates = vec![
        call(AggregateFunction::CountAll, DataType::Int64, DataType::Int64),
        distinct_of(1, AggregateFunction::Count),
        AggregateExpression { filter: Some(is_large), ..distinct_of(1, AggregateFunction::Sum) },
        AggregateExpression { order_by: vec![ascending], ..distinct_of(1, first) },
    ];
    let sets = AggregateSpec {
        grouping_sets: vec![vec![true], vec![false]],
        grouping_id: Some(DataType::UInt8),
        ..grouped(&[DataType::Int64], aggregates, AggregatePhase::Single)
    };
    same(&sets, &batches, 2 << 20);
}

/// Not even what the query may have is there: others have it.
#[test]
fn distinct_members_of_one_group_do_with_next_to_nothing() {
    let batches = pairs(8, 30_000, u64::MAX >> 20);
    let spec = grouped(
        &[],
        vec![distinct_of(1, AggregateFunction::Count), distinct_of(0, AggregateFunction::Count)],
        AggregatePhase::Single,
    );
    let (expected, _) = rows(&spec, &batches, 1, config(1, None, None));
    for left in [0, 50_000, 200_000] {
        let memory = MemoryBudget::new(Some(left)).below("query 1", Some(1 << 20));
        let task = TaskContext::with_memory(config(2, Some(1 << 20), None), CancelToken::default(), memory);
        assert_eq!(rows_under(&spec, &batches, 2, &task).0, expected, "{left} bytes are left");
    }
}

fn lists() -> AggregateExpression {
    AggregateExpression {
        arguments: vec![Expression::column(1, DataType::Int64)],
        ..call(AggregateFunction::Custom(Arc::new(Lists)), DataType::Int64, list_type())
    }
}

#[test]
fn custom_aggregates_spill() {
    let batches = pairs(40, 30_000, 1_000_000);
    // The hot key's list is too long for any split: it is left out here.
    let cold: Vec<Batch> = batches
        .iter()
        .map(|batch| {
            let rows = scalars(std::slice::from_ref(batch));
            let keep: Vec<u32> = (0..4096).filter(|&row| rows[row as usize][0] != Scalar::Int64(0)).collect();
            Batch::new(batch.columns().iter().map(|c| c.gather(&keep)).collect(), keep.len())
        })
        .collect();
    same(&grouped(&[DataType::Int64], vec![lists()], AggregatePhase::Single), &cold, 2 << 20);
}

#[test]
fn one_state_that_is_too_large_is_refused() {
    let task = TaskContext::new(config(1, Some(1 << 20), None));
    let breaker = aggregate(grouped(&[], vec![lists()], AggregatePhase::Single)).expect("an aggregation");
    let outcome = drive(&breaker, pairs(80, 10, 10), 1, &task);
    assert!(matches!(outcome, Err(Error::OutOfMemory { .. })), "a list of 300,000 values is more than a megabyte");
    drop((breaker, outcome));
    assert_eq!(task.memory.used(), 0);
}

#[test]
fn phases_and_grouping_sets_spill() {
    let batches = pairs(24, 40_000, 1000);
    let value = |function| AggregateExpression {
        arguments: vec![Expression::column(1, DataType::Int64)],
        ..call(function, DataType::Int64, DataType::Int64)
    };
    let aggregates = vec![value(AggregateFunction::Sum), value(AggregateFunction::Count)];
    let run = |phase, batches: &[Batch], config: Config| {
        let task = TaskContext::new(config);
        let breaker = aggregate(grouped(&[DataType::Int64], aggregates.clone(), phase)).expect("an aggregation");
        drive(&breaker, batches.to_vec(), 2, &task).expect("aggregated").0
    };
    let small = || config(2, Some(1 << 20), None);
    let partial = run(AggregatePhase::Partial, &batches, small());
    let merged = run(AggregatePhase::PartialMerge, &partial, small());
    let mut found: Vec<String> =
        scalars(&run(AggregatePhase::Final, &merged, small())).iter().map(|row| format!("{row:?}")).collect();
    let mut expected: Vec<String> = scalars(&run(AggregatePhase::Single, &batches, config(2, None, None)))
        .iter()
        .map(|row| format!("{row:?}"))
        .collect();
    (found.sort(), expected.sort()).1;
    assert!(found == expected);
    let sets = AggregateSpec {
        grouping_sets: vec![vec![true, true], vec![false, true], vec![false, false]],
        grouping_id: Some(DataType::UInt8),
        ..grouped(&[DataType::Int64, DataType::Int64], vec![value(AggregateFunction::CountAll)], AggregatePhase::Single)
    };
    same(&sets, &batches, 2 << 20);
}

#[test]
fn keys_and_extremes_of_every_type_spill() {
    let mut random = Random(3);
    for data_type in types() {
        let all = [data_type.clone(), data_type.clone()];
        let batches: Vec<Batch> = (0..4).map(|i| batch(&mut random, &all, 400, i * 400)).collect();
        let extreme = |function| AggregateExpression {
            arguments: vec![Expression::column(1, data_type.clone())],
            ..call(function, data_type.clone(), data_type.clone())
        };
        let numbers = |function| AggregateExpression {
            arguments: vec![Expression::column(2, DataType::Int64)],
            ..call(function, DataType::Int64, DataType::Int64)
        };
        let aggregates = vec![
            extreme(AggregateFunction::Min),
            extreme(AggregateFunction::Max),
            numbers(AggregateFunction::Sum),
            AggregateExpression { data_type: DataType::Int64, ..extreme(AggregateFunction::Count) },
            AggregateExpression { data_type: DataType::Int64, distinct: true, ..extreme(AggregateFunction::Count) },
        ];
        for keys in [vec![data_type.clone()], vec![data_type.clone(), data_type.clone()]] {
            let spec = grouped(&keys, aggregates.clone(), AggregatePhase::Single);
            let (expected, _) = rows(&spec, &batches, 1, config(1, None, None));
            for workers in [1, 2] {
                let fault = Some(Fault::SpillEvery(1));
                let (found, _) = rows(&spec, &batches, workers, config(workers, None, fault));
                assert_eq!(found, expected, "{data_type}, {workers} workers");
            }
        }
    }
}

#[test]
fn long_texts_as_keys_and_values_spill() {
    let mut random = Random(11);
    let mut text = |row: usize| {
        let length = if row.is_multiple_of(50) { 5_000 } else { random.below(60) as usize };
        format!("{}{}", random.below(5_000), "x".repeat(length))
    };
    let mut texts = || Column::flat(Values::View(Views::from_values((0..1024).map(&mut text))));
    let batches: Vec<Batch> = (0..20).map(|_| Batch::new(vec![texts(), texts()], 1024)).collect();
    let value = |function, data_type| AggregateExpression {
        arguments: vec![Expression::column(1, DataType::Utf8)],
        ..call(function, DataType::Utf8, data_type)
    };
    let aggregates = vec![
        value(AggregateFunction::Max, DataType::Utf8),
        AggregateExpression { distinct: true, ..value(AggregateFunction::Count, DataType::Int64) },
    ];
    same(&grouped(&[DataType::Utf8], aggregates, AggregatePhase::Single), &batches, 1 << 20);
}

#[test]
fn refused_memory_is_a_typed_error_and_leaves_nothing() {
    let batches = pairs(12, 30_000, 1_000_000);
    let spec = grouped(&[DataType::Int64], vec![distinct_of(1, AggregateFunction::Count)], AggregatePhase::Single);
    let mut refused = 0;
    for growth in (1..60).chain((60..600).step_by(31)) {
        let fault = Some(Fault::RefuseMemory(growth));
        let task = TaskContext::new(config(1, Some(1 << 20), fault));
        let breaker = aggregate(spec.clone()).expect("an aggregation");
        match drive(&breaker, batches.clone(), 1, &task) {
            Ok((output, _)) => drop(output),
            Err(Error::OutOfMemory { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
        drop(breaker);
        assert_eq!(task.memory.used(), 0, "refused at growth {growth}");
    }
    assert!(refused > 0);
}

#[test]
fn a_budget_twenty_times_smaller_than_the_groups_is_enough() {
    let mut random = Random(5);
    let batches: Vec<Batch> = (0..250)
        .map(|_| Batch::new(vec![integers((0..4096).map(|_| random.below(u64::MAX >> 1) as i64))], 4096))
        .collect();
    let mut expected: HashMap<i64, i64> = HashMap::new();
    scalars(&batches).iter().filter_map(|row| row[0].as_i64()).for_each(|key| *expected.entry(key).or_default() += 1);
    let spec = grouped(
        &[DataType::Int64],
        vec![call(AggregateFunction::CountAll, DataType::Int64, DataType::Int64)],
        AggregatePhase::Single,
    );
    let task = TaskContext::new(config(2, Some(3 << 20), None));
    let breaker = aggregate(spec).expect("an aggregation");
    let (output, spilled) = drive(&breaker, batches, 2, &task).expect("aggregated");
    assert!(spilled > 0);
    let rows = scalars(&output);
    assert_eq!(rows.len(), expected.len());
    assert!(rows.iter().all(|row| row[0].as_i64().and_then(|key| expected.get(&key).copied()) == row[1].as_i64()));
    assert!(task.memory.peak() <= 5 << 20, "{} bytes", task.memory.peak());
}
