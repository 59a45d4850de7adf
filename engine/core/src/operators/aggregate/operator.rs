//! The sink and source of a hash aggregation.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use arrow_schema::DataType;
use plasmon_kernels::hash::{combine, hash_bytes, hash_word};

use super::accumulator::{Accumulator, accumulator};
use super::groups::Groups;
use super::{AggregatePhase, AggregateSpec};
use crate::batch::{Batch, Column, Values, arrow::null_column};
use crate::error::{Error, Result};
use crate::expression::{Scalar, evaluate};
use crate::memory::Reservation;
use crate::metrics::OperatorMetrics;
use crate::operators::Breaker;
use crate::pipeline::{FinalizeTask, Flow, Next, Sink, SinkState, Source, SourceState, TaskContext};

/// Groups, over all workers, from which on the merge is split.
const PARTITION_GROUPS: usize = 1 << 15;
/// Parts of a split merge.
const PARTITIONS: usize = 32;

pub(super) fn breaker(spec: AggregateSpec) -> Result<Breaker> {
    let shared = Arc::new(Shared { spec, shares: Mutex::default(), results: OnceLock::new() });
    Ok(Breaker {
        sink: Arc::new(AggregateSink { shared: shared.clone() }),
        source: Arc::new(AggregateSource { shared, cursor: Arc::default() }),
    })
}

struct Shared {
    spec: AggregateSpec,
    /// What each worker aggregated, until the merge.
    shares: Mutex<Vec<Share>>,
    /// Merged partitions, once sealed.
    results: OnceLock<Vec<Mutex<Share>>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.spec.fmt(f)
    }
}

/// Groups with their accumulators: of one worker, then of one partition.
struct Share {
    groups: Groups,
    accumulators: Vec<Box<dyn Accumulator>>,
    reservation: Reservation,
}

impl Shared {
    fn key_types(&self) -> Vec<DataType> {
        let keys = self.spec.group_by.iter().map(|k| k.data_type.clone());
        keys.chain(self.spec.grouping_id.clone()).collect()
    }

    fn new_share(&self, task: &TaskContext) -> Result<Share> {
        let collide = task.config.hash_collisions;
        let accumulators = self
            .spec
            .aggregates
            .iter()
            .map(|a| {
                // Order keys of first and last follow the arguments.
                let order = a.order_by.iter().map(|k| &k.expression);
                let types: Vec<DataType> = a.arguments.iter().chain(order).map(|e| e.data_type.clone()).collect();
                accumulator(a, &types, collide)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Share {
            groups: Groups::new(&self.key_types(), collide)?,
            accumulators,
            reservation: task.memory.reservation("Aggregate"),
        })
    }
}

impl Share {
    fn memory_bytes(&self) -> usize {
        self.groups.memory_bytes() + self.accumulators.iter().map(|a| a.memory_bytes()).sum::<usize>()
    }

    fn reserve(&self, more: usize) -> Result<()> {
        self.reservation.resize(self.memory_bytes() + more)
    }

    fn resize(&mut self) -> Result<()> {
        let groups = self.groups.len();
        self.accumulators.iter_mut().try_for_each(|a| a.resize(groups))
    }
}

#[derive(Debug)]
struct AggregateSink {
    shared: Arc<Shared>,
}

impl Sink for AggregateSink {
    fn name(&self) -> &'static str {
        "Aggregate"
    }

    fn describe(&self) -> String {
        self.shared.spec.group_by.iter().map(|k| k.to_string()).collect::<Vec<_>>().join(", ")
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SinkState>> {
        let share = self.shared.new_share(task)?;
        Ok(Box::new(AggregateState { shared: self.shared.clone(), share: Some(share), metrics: metrics.clone() }))
    }

    fn finalize(&self, task: &TaskContext) -> Result<Vec<FinalizeTask>> {
        let mut shares = std::mem::take(&mut *self.shared.shares.lock().unwrap_or_else(|e| e.into_inner()));
        // Workers that saw no row have nothing to merge.
        let unit = self.shared.key_types().is_empty();
        if !unit {
            shares.retain(|s| s.groups.len() > 0);
        }
        if shares.len() <= 1 {
            let mut share = shares.pop().map_or_else(|| self.shared.new_share(task), Ok)?;
            self.add_empty_sets(&mut share)?;
            share.resize()?;
            let _ = self.shared.results.set(vec![Mutex::new(share)]);
            return Ok(Vec::new());
        }
        let groups: usize = shares.iter().map(|s| s.groups.len()).sum();
        let partitions = if groups < PARTITION_GROUPS { 1 } else { PARTITIONS };
        let results =
            (0..partitions).map(|_| self.shared.new_share(task).map(Mutex::new)).collect::<Result<Vec<_>>>()?;
        let _ = self.shared.results.set(results);
        let shares =
            Arc::new(shares.into_iter().map(|share| Split::new(share, partitions)).collect::<Result<Vec<_>>>()?);
        Ok((0..partitions)
            .map(|partition| {
                let (shared, shares) = (self.shared.clone(), shares.clone());
                Box::new(move |_: &TaskContext| merge_partition(&shared, &shares, partition)) as FinalizeTask
            })
            .collect())
    }
}

impl AggregateSink {
    /// An empty grouping set gives one row also when there is no input.
    fn add_empty_sets(&self, share: &mut Share) -> Result<()> {
        let spec = &self.shared.spec;
        if share.groups.len() > 0 || matches!(spec.phase, AggregatePhase::Partial | AggregatePhase::PartialMerge) {
            return Ok(());
        }
        for (ordinal, set) in spec.grouping_sets.iter().enumerate().filter(|(_, set)| set.iter().all(|kept| !kept)) {
            let mut keys: Vec<Column> = spec.group_by.iter().map(|k| null_column(&k.data_type, 1)).collect();
            keys.extend(grouping_id(spec, ordinal, set, 1)?);
            share.groups.find_or_insert(&keys, 1, &mut Vec::new())?;
        }
        Ok(())
    }
}

/// One worker's groups, split by the hash of their keys.
struct Split {
    keys: Vec<Column>,
    /// Groups of each partition.
    partitions: Vec<Vec<u32>>,
    share: Mutex<Share>,
}

impl Split {
    fn new(share: Share, partitions: usize) -> Result<Self> {
        let groups = share.groups.len();
        let keys = share.groups.keys(0..groups)?;
        let mut split = vec![Vec::new(); partitions];
        if partitions == 1 {
            split[0] = (0..groups as u32).collect();
        } else {
            let mut hashes = vec![0u64; groups];
            keys.iter().try_for_each(|k| combine_hashes(k, &mut hashes))?;
            hashes
                .iter()
                .enumerate()
                .for_each(|(group, hash)| split[(hash >> 40) as usize % partitions].push(group as u32));
        }
        Ok(Split { keys, partitions: split, share: Mutex::new(share) })
    }
}

/// Hashes by value (not by interned id, which differs between workers).
fn combine_hashes(key: &Column, hashes: &mut [u64]) -> Result<()> {
    macro_rules! integers {
        ($($variant:ident),*) => {
            match key.flat_values() {
                $(Values::$variant(v) => hashes.iter_mut().zip(v.iter()).for_each(|(h, &x)| *h = combine(*h, hash_word(x as i64 as u64))),)*
                Values::Float64(v) => hashes.iter_mut().zip(v.iter()).for_each(|(h, &x)| *h = combine(*h, hash_word(x.to_bits()))),
                Values::Float32(v) => hashes.iter_mut().zip(v.iter()).for_each(|(h, &x)| *h = combine(*h, hash_word(x.to_bits() as u64))),
                Values::View(v) => hashes.iter_mut().enumerate().for_each(|(row, h)| *h = combine(*h, if key.is_valid(row) { hash_bytes(v.value(row)) } else { 0 })),
                // Rare key types leave the partition to the other keys.
                _ => {}
            }
        };
    }
    integers!(Int8, Int16, Int32, Int64, Int128, UInt8, UInt16, UInt32, UInt64);
    Ok(())
}

fn merge_partition(shared: &Shared, shares: &[Split], partition: usize) -> Result<()> {
    let results = shared.results.get().ok_or_else(|| Error::internal("aggregation merged before it was prepared"))?;
    let mut target = results[partition].lock().unwrap_or_else(|e| e.into_inner());
    for split in shares {
        let rows = &split.partitions[partition];
        let keys: Vec<Column> = split.keys.iter().map(|k| k.gather(rows)).collect();
        let mut groups = Vec::with_capacity(rows.len());
        target.groups.find_or_insert(&keys, rows.len(), &mut groups)?;
        target.resize()?;
        target.reserve(0)?;
        let mut source = split.share.lock().unwrap_or_else(|e| e.into_inner());
        for (from, to) in source.accumulators.iter_mut().zip(&mut target.accumulators) {
            let (states, owners) = from.state_rows(rows)?;
            let owners: Vec<u32> = owners.iter().map(|&o| groups[o as usize]).collect();
            to.merge(&states, &owners)?;
        }
    }
    Ok(())
}

struct AggregateState {
    shared: Arc<Shared>,
    share: Option<Share>,
    metrics: Arc<OperatorMetrics>,
}

impl SinkState for AggregateState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let Some(share) = &mut self.share else { return Err(Error::internal("an aggregation was fed after its end")) };
        // A new group and its state cost at most a few times the row that made it.
        share.reserve(batch.selected_rows() * 64)?;
        let spec = &self.shared.spec;
        let rows = batch.selected_rows();
        let keys = spec.group_by.iter().map(|k| dense(&batch, &evaluate(k, &batch)?)).collect::<Result<Vec<_>>>()?;
        let inputs = inputs(spec, &batch, share)?;
        if spec.grouping_sets.is_empty() {
            absorb(share, &keys, &inputs, rows, spec.phase)?;
        }
        for (ordinal, set) in spec.grouping_sets.iter().enumerate() {
            let mut kept: Vec<Column> = keys
                .iter()
                .zip(set)
                .zip(&spec.group_by)
                .map(|((k, kept), e)| if *kept { k.clone() } else { null_column(&e.data_type, rows) })
                .collect();
            kept.extend(grouping_id(spec, ordinal, set, rows)?);
            absorb(share, &kept, &inputs, rows, spec.phase)?;
        }
        self.metrics.reserved(share.reservation.held());
        Ok(Flow::NeedInput)
    }

    fn combine(&mut self) -> Result<()> {
        if let Some(mut share) = self.share.take() {
            share.resize()?;
            self.metrics.note("mode", share.groups.mode());
            self.shared.shares.lock().unwrap_or_else(|e| e.into_inner()).push(share);
        }
        Ok(())
    }
}

/// What one aggregate reads of a batch.
struct Input {
    columns: Vec<Column>,
    /// Rows that its FILTER keeps; `None` = all.
    kept: Option<Vec<u32>>,
}

fn inputs(spec: &AggregateSpec, batch: &Batch, share: &Share) -> Result<Vec<Input>> {
    let mut state_column = spec.group_by.len() + usize::from(spec.grouping_id.is_some());
    let merges = matches!(spec.phase, AggregatePhase::PartialMerge | AggregatePhase::Final);
    spec.aggregates
        .iter()
        .zip(&share.accumulators)
        .map(|(aggregate, accumulator)| {
            if merges {
                let states = accumulator.state_types().len();
                let columns = (state_column..state_column + states)
                    .map(|c| dense(batch, batch.column(c)))
                    .collect::<Result<Vec<_>>>()?;
                state_column += states;
                return Ok(Input { columns, kept: None });
            }
            let order = aggregate.order_by.iter().map(|k| &k.expression);
            let read = if matches!(aggregate.function, super::AggregateFunction::CountAll) {
                &[][..]
            } else {
                &aggregate.arguments[..]
            };
            // A FILTER protects the arguments behind it: they are evaluated on the rows that it keeps.
            let narrowed = match &aggregate.filter {
                Some(filter) => crate::expression::select(filter, batch.clone())?,
                None => batch.clone(),
            };
            let columns = read
                .iter()
                .chain(order)
                .map(|e| dense(&narrowed, &evaluate(e, &narrowed)?))
                .collect::<Result<Vec<_>>>()?;
            let kept = aggregate.filter.as_ref().map(|_| ranks(batch, &narrowed));
            Ok(Input { columns, kept })
        })
        .collect()
}

/// Ranks, among the selected rows of `batch`, of the selected rows of `narrowed`.
fn ranks(batch: &Batch, narrowed: &Batch) -> Vec<u32> {
    let Some(kept) = narrowed.selection() else { return (0..narrowed.rows() as u32).collect() };
    match batch.selection() {
        None => kept.positions().iter().map(|&p| p as u32).collect(),
        Some(all) => {
            let mut rank = 0;
            let positions = all.positions();
            kept.positions()
                .iter()
                .map(|&p| {
                    while positions[rank] != p {
                        rank += 1;
                    }
                    rank as u32
                })
                .collect()
        }
    }
}

fn absorb(share: &mut Share, keys: &[Column], inputs: &[Input], rows: usize, phase: AggregatePhase) -> Result<()> {
    let mut groups = Vec::with_capacity(rows);
    share.groups.find_or_insert(keys, rows, &mut groups)?;
    share.resize()?;
    for (accumulator, input) in share.accumulators.iter_mut().zip(inputs) {
        let kept: Option<Vec<u32>> =
            input.kept.as_ref().map(|kept| kept.iter().map(|&row| groups[row as usize]).collect());
        let groups = kept.as_deref().unwrap_or(&groups);
        match phase {
            AggregatePhase::Single | AggregatePhase::Partial => accumulator.update(&input.columns, groups)?,
            AggregatePhase::PartialMerge | AggregatePhase::Final => accumulator.merge(&input.columns, groups)?,
        }
    }
    Ok(())
}

/// The selected rows of a column, end to end.
fn dense(batch: &Batch, column: &Column) -> Result<Column> {
    Ok(match batch.selection() {
        Some(selection) => column.select(selection),
        None => column.clone(),
    })
}

/// The grouping id column of one set, when the aggregation has one.
fn grouping_id(spec: &AggregateSpec, ordinal: usize, set: &[bool], rows: usize) -> Result<Option<Column>> {
    let Some(data_type) = &spec.grouping_id else { return Ok(None) };
    let missing = set.iter().fold(0u64, |bits, kept| bits << 1 | u64::from(!kept));
    let repeated = spec.grouping_sets[..ordinal].iter().filter(|s| *s == set).count() as u64;
    let id = repeated << set.len() | missing;
    Ok(Some(Scalar::UInt64(id).to_column(data_type, rows)?))
}

/// Gives results a batch at a time, partition after partition.
#[derive(Debug)]
struct AggregateSource {
    shared: Arc<Shared>,
    cursor: Arc<AtomicUsize>,
}

impl Source for AggregateSource {
    fn name(&self) -> &'static str {
        "AggregateResult"
    }

    fn max_workers(&self) -> usize {
        self.shared.results.get().map_or(1, |results| {
            results
                .iter()
                .map(|r| r.lock().unwrap_or_else(|e| e.into_inner()).groups.len().div_ceil(PARTITION_GROUPS))
                .sum::<usize>()
                .max(1)
        })
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        let results = self
            .shared
            .results
            .get()
            .ok_or_else(|| Error::internal("an aggregation's result was read before it was complete"))?;
        let chunks = results
            .iter()
            .enumerate()
            .flat_map(|(partition, share)| {
                let groups = share.lock().unwrap_or_else(|e| e.into_inner()).groups.len();
                let rows = task.config.batch_rows;
                (0..groups).step_by(rows).map(move |start| (partition, start..(start + rows).min(groups)))
            })
            .collect::<Vec<_>>();
        metrics.note("partitions", results.len().to_string());
        Ok(Box::new(AggregateSourceState { shared: self.shared.clone(), cursor: self.cursor.clone(), chunks }))
    }
}

struct AggregateSourceState {
    shared: Arc<Shared>,
    cursor: Arc<AtomicUsize>,
    chunks: Vec<(usize, Range<usize>)>,
}

impl SourceState for AggregateSourceState {
    fn next(&mut self) -> Result<Next> {
        let Some((partition, range)) = self.chunks.get(self.cursor.fetch_add(1, Ordering::Relaxed)).cloned() else {
            return Ok(Next::Finished);
        };
        let results = self.shared.results.get().ok_or_else(|| Error::internal("an aggregation's result vanished"))?;
        let mut share = results[partition].lock().unwrap_or_else(|e| e.into_inner());
        let rows = range.len();
        let mut columns = share.groups.keys(range.clone())?;
        let partial = matches!(self.shared.spec.phase, AggregatePhase::Partial | AggregatePhase::PartialMerge);
        for accumulator in &mut share.accumulators {
            if partial {
                columns.extend(accumulator.state(&range.clone().map(|g| g as u32).collect::<Vec<_>>())?);
            } else {
                columns.push(accumulator.finish(range.clone())?);
            }
        }
        Ok(Next::Batch(Batch::new(columns, rows)))
    }
}
