//! The sink and source of a hash aggregation.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::merge::{Gathered, Partitions};
use super::run::Run;
use super::share::{Input, LOCAL_GROUPS, Share, key_types};
use super::{AggregateFunction, AggregatePhase, AggregateSpec, grouping_id};
use crate::batch::{Batch, Column, Physical, arrow::null_column};
use crate::config::Driver;
use crate::error::{Error, Result};
use crate::expression::{Expression, Scalar, evaluate};
use crate::memory::Reservation;
use crate::metrics::OperatorMetrics;
use crate::operators::Breaker;
use crate::pipeline::{FinalizeTask, Flow, Next, Sink, SinkState, Source, SourceState, TaskContext};

/// Groups of a result that one worker reads at least.
const WORKER_GROUPS: usize = 1 << 15;

pub(super) fn breaker(spec: AggregateSpec) -> Result<Breaker> {
    let arguments = Arguments::of(&spec);
    let shared = Arc::new(Shared { spec, arguments, gathered: Mutex::default(), results: OnceLock::new() });
    Ok(Breaker {
        sink: Arc::new(AggregateSink { shared: shared.clone() }),
        source: Arc::new(AggregateSource { shared, cursor: Arc::default() }),
    })
}

struct Shared {
    spec: AggregateSpec,
    arguments: Arguments,
    /// What the workers aggregated, until the merge.
    gathered: Mutex<Gathered>,
    results: OnceLock<Results>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.spec.fmt(f)
    }
}

enum Results {
    /// One table holds everything.
    Whole(Mutex<Share>),
    /// Pieces of partitions, merged by whoever reads them.
    Partitioned(Partitions),
}

/// Arguments that aggregates read of every row, each once.
struct Arguments {
    expressions: Vec<Expression>,
    /// Per aggregate, what it reads; `None` = it has a filter, and evaluates its own on the rows kept.
    of: Vec<Option<Vec<usize>>>,
}

impl Arguments {
    fn of(spec: &AggregateSpec) -> Self {
        let mut expressions: Vec<Expression> = Vec::new();
        let mut slot = |expression: &Expression| {
            expressions.iter().position(|e| e == expression).unwrap_or_else(|| {
                expressions.push(expression.clone());
                expressions.len() - 1
            })
        };
        let of = spec
            .aggregates
            .iter()
            .map(|aggregate| aggregate.filter.is_none().then(|| read_by(aggregate).map(&mut slot).collect()));
        let of = of.collect();
        Arguments { expressions, of }
    }
}

/// The expressions that an aggregate reads: arguments, then order keys.
fn read_by(aggregate: &super::AggregateExpression) -> impl Iterator<Item = &Expression> {
    let counts_all = matches!(aggregate.function, AggregateFunction::CountAll);
    let arguments = if counts_all { &[][..] } else { &aggregate.arguments[..] };
    arguments.iter().chain(aggregate.order_by.iter().map(|k| &k.expression))
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
        let share = Share::new(&self.shared.spec, task)?;
        Ok(Box::new(AggregateState {
            shared: self.shared.clone(),
            share: Some(share),
            runs: Vec::new(),
            held: task.memory.reservation("Aggregate"),
            is_shared: task.config.threads > 1 && task.config.driver == Driver::Pool,
            metrics: metrics.clone(),
        }))
    }

    fn finalize(&self, stage: usize, task: &TaskContext) -> Result<Vec<FinalizeTask>> {
        if stage > 0 {
            return Ok(Vec::new());
        }
        let shared = &self.shared;
        let mut gathered = std::mem::take(&mut *shared.gathered.lock().unwrap_or_else(|e| e.into_inner()));
        // Workers that saw no row have nothing to merge.
        if !key_types(&shared.spec).is_empty() {
            gathered.shares.retain(|s| s.groups.len() > 0);
        }
        if gathered.runs.is_empty() && gathered.shares.len() <= 1 {
            let mut share = gathered.shares.pop().map_or_else(|| Share::new(&shared.spec, task), Ok)?;
            self.add_empty_sets(&mut share)?;
            share.resize()?;
            let _ = shared.results.set(Results::Whole(Mutex::new(share)));
            return Ok(Vec::new());
        }
        let (partitions, uncut) = Partitions::new(gathered, task)?;
        let _ = shared.results.set(Results::Partitioned(partitions));
        Ok(uncut
            .into_iter()
            .map(|uncut| {
                let shared = shared.clone();
                Box::new(move |_: &TaskContext| match shared.results.get() {
                    Some(Results::Partitioned(partitions)) => partitions.cut(uncut),
                    _ => Err(Error::internal("an aggregation was cut before it was prepared")),
                }) as FinalizeTask
            })
            .collect())
    }
}

impl AggregateSink {
    /// An empty grouping set gives one row also when there is no input: a result, or states that change nothing.
    fn add_empty_sets(&self, share: &mut Share) -> Result<()> {
        let spec = &self.shared.spec;
        if share.groups.len() > 0 || spec.phase == AggregatePhase::PartialMerge {
            return Ok(());
        }
        for (ordinal, _) in spec.grouping_sets.iter().enumerate().filter(|(_, set)| set.iter().all(|kept| !kept)) {
            let mut keys: Vec<Column> = spec.group_by.iter().map(|k| null_column(&k.data_type, 1)).collect();
            keys.extend(id_column(spec, ordinal, 1)?);
            share.groups.find_or_insert(&keys, 1, &mut Vec::new())?;
        }
        Ok(())
    }
}

struct AggregateState {
    shared: Arc<Shared>,
    share: Option<Share>,
    /// What was taken out of the table when it was full, and the memory of that.
    runs: Vec<Run>,
    held: Reservation,
    /// Whether other workers may aggregate too.
    is_shared: bool,
    metrics: Arc<OperatorMetrics>,
}

impl SinkState for AggregateState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let Some(share) = &mut self.share else { return Err(Error::internal("an aggregation was fed after its end")) };
        // A new group and its state cost at most a few times the row that made it.
        share.reservation.resize(share.memory_bytes() + batch.selected_rows() * 64)?;
        let spec = &self.shared.spec;
        let rows = batch.selected_rows();
        let keys = spec.group_by.iter().map(|k| dense(&batch, &evaluate(k, &batch)?)).collect::<Result<Vec<_>>>()?;
        let inputs = inputs(&self.shared, &batch, share)?;
        if spec.grouping_sets.is_empty() {
            share.absorb(&keys, &inputs, rows, spec.phase)?;
        }
        for (ordinal, set) in spec.grouping_sets.iter().enumerate() {
            let mut kept: Vec<Column> = keys
                .iter()
                .zip(set)
                .zip(&spec.group_by)
                .map(|((k, kept), e)| if *kept { k.clone() } else { null_column(&e.data_type, rows) })
                .collect();
            kept.extend(id_column(spec, ordinal, rows)?);
            share.absorb(&kept, &inputs, rows, spec.phase)?;
        }
        self.metrics.reserved(share.reservation.held() + self.held.held());
        if let Some(mut share) = self.share.take_if(Share::is_full) {
            self.empty(&mut share)?;
            self.share = Some(share);
        }
        Ok(Flow::NeedInput)
    }

    fn combine(&mut self) -> Result<()> {
        if let Some(mut share) = self.share.take() {
            share.resize()?;
            self.metrics.note("mode", share.groups.mode());
            // A large table that others' tables will have to be merged with is taken apart here, where workers do it side by side.
            if self.is_shared && share.groups.len() > LOCAL_GROUPS / 2 {
                self.empty(&mut share)?;
            }
            if !self.runs.is_empty() {
                self.metrics.note("emptied", self.runs.len().to_string());
            }
            let mut gathered = self.shared.gathered.lock().unwrap_or_else(|e| e.into_inner());
            gathered.shares.push(share);
            gathered.runs.append(&mut self.runs);
            gathered.held.push(self.held.split(self.held.held()));
        }
        Ok(())
    }
}

impl AggregateState {
    /// Makes a run of the groups of a table.
    fn empty(&mut self, share: &mut Share) -> Result<()> {
        // A run holds no more than the table that it comes from.
        let held = self.held.held();
        self.held.grow(share.memory_bytes())?;
        let run = Run::take(share)?;
        self.held.resize(held + run.memory_bytes())?;
        self.runs.push(run);
        share.clear(&self.shared.spec)
    }
}

fn inputs(shared: &Shared, batch: &Batch, share: &Share) -> Result<Vec<Input>> {
    let spec = &shared.spec;
    if matches!(spec.phase, AggregatePhase::PartialMerge | AggregatePhase::Final) {
        return state_inputs(spec, batch, share);
    }
    let read = |e: &Expression, batch: &Batch| {
        let column = dense(batch, &evaluate(e, batch)?)?;
        // Several aggregates may read it: numbers are looked up in their dictionary once.
        Ok(if column.physical() == Physical::View { column } else { column.flatten() })
    };
    let arguments = shared.arguments.expressions.iter().map(|e| read(e, batch)).collect::<Result<Vec<_>>>()?;
    let inputs = spec.aggregates.iter().zip(&shared.arguments.of).map(|(aggregate, of)| {
        if let (Some(of), None) = (of, &aggregate.filter) {
            return Ok(Input { columns: of.iter().map(|&a| arguments[a].clone()).collect(), kept: None });
        }
        // A FILTER protects the arguments behind it: they are evaluated on the rows that it keeps.
        let narrowed = match &aggregate.filter {
            Some(filter) => crate::expression::select(filter, batch.clone())?,
            None => batch.clone(),
        };
        let columns = read_by(aggregate).map(|e| read(e, &narrowed)).collect::<Result<Vec<_>>>()?;
        Ok(Input { columns, kept: Some(ranks(batch, &narrowed)) })
    });
    inputs.collect()
}

/// The state columns of every aggregate, behind the keys.
fn state_inputs(spec: &AggregateSpec, batch: &Batch, share: &Share) -> Result<Vec<Input>> {
    let mut column = spec.group_by.len() + usize::from(spec.grouping_id.is_some());
    let inputs = share.accumulators.iter().map(|accumulator| {
        let states = column..column + accumulator.state_types().len();
        column = states.end;
        let columns = states.map(|c| dense(batch, batch.column(c))).collect::<Result<Vec<_>>>()?;
        Ok(Input { columns, kept: None })
    });
    inputs.collect()
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

/// The selected rows of a column, end to end.
fn dense(batch: &Batch, column: &Column) -> Result<Column> {
    Ok(match batch.selection() {
        Some(selection) => column.select(selection),
        None => column.clone(),
    })
}

/// The grouping id column of one set, when the aggregation has one.
fn id_column(spec: &AggregateSpec, ordinal: usize, rows: usize) -> Result<Option<Column>> {
    let Some(data_type) = &spec.grouping_id else { return Ok(None) };
    Ok(Some(Scalar::UInt64(grouping_id(&spec.grouping_sets, ordinal)).to_column(data_type, rows)?))
}

/// Gives results a batch at a time, partition after partition.
#[derive(Debug)]
struct AggregateSource {
    shared: Arc<Shared>,
    /// Next batch of a whole table, or next partition.
    cursor: Arc<AtomicUsize>,
}

impl AggregateSource {
    fn results(&self) -> Result<&Results> {
        let results = self.shared.results.get();
        results.ok_or_else(|| Error::internal("an aggregation's result was read before it was complete"))
    }
}

impl Source for AggregateSource {
    fn name(&self) -> &'static str {
        "AggregateResult"
    }

    fn max_workers(&self) -> usize {
        match self.shared.results.get() {
            Some(Results::Whole(share)) => {
                share.lock().unwrap_or_else(|e| e.into_inner()).groups.len().div_ceil(WORKER_GROUPS).max(1)
            }
            Some(Results::Partitioned(partitions)) => partitions.len(),
            None => 1,
        }
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        if let Results::Partitioned(partitions) = self.results()? {
            metrics.note("partitions", partitions.len().to_string());
        }
        Ok(Box::new(AggregateSourceState {
            shared: self.shared.clone(),
            cursor: self.cursor.clone(),
            merged: None,
            task: task.clone(),
        }))
    }
}

struct AggregateSourceState {
    shared: Arc<Shared>,
    cursor: Arc<AtomicUsize>,
    /// The partition being read, and what is left of it.
    merged: Option<(Share, VecDeque<Range<usize>>)>,
    task: TaskContext,
}

impl SourceState for AggregateSourceState {
    fn next(&mut self) -> Result<Next> {
        let shared = self.shared.clone();
        match shared.results.get() {
            Some(Results::Whole(share)) => self.next_of_whole(share),
            Some(Results::Partitioned(partitions)) => self.next_of_partitions(partitions),
            None => Err(Error::internal("an aggregation's result vanished")),
        }
    }
}

impl AggregateSourceState {
    fn next_of_whole(&mut self, share: &Mutex<Share>) -> Result<Next> {
        let mut share = share.lock().unwrap_or_else(|e| e.into_inner());
        let rows = self.task.config.batch_rows;
        let start = self.cursor.fetch_add(1, Ordering::Relaxed) * rows;
        if start >= share.groups.len() {
            return Ok(Next::Finished);
        }
        let range = start..(start + rows).min(share.groups.len());
        let rows = range.len();
        Ok(Next::Batch(Batch::new(share.output(range, self.shared.spec.phase)?, rows)))
    }

    fn next_of_partitions(&mut self, partitions: &Partitions) -> Result<Next> {
        let spec = &self.shared.spec;
        loop {
            if let Some((share, ranges)) = &mut self.merged
                && let Some(range) = ranges.pop_front()
            {
                let rows = range.len();
                return Ok(Next::Batch(Batch::new(share.output(range, spec.phase)?, rows)));
            }
            let partition = self.cursor.fetch_add(1, Ordering::Relaxed);
            if partition >= partitions.len() {
                self.merged = None;
                return Ok(Next::Finished);
            }
            // The last partition's table is used again.
            let mut share = match self.merged.take() {
                Some((mut share, _)) => {
                    share.clear(spec)?;
                    share
                }
                None => Share::new(spec, &self.task)?,
            };
            partitions.merge(partition, &mut share)?;
            let (groups, rows) = (share.groups.len(), self.task.config.batch_rows);
            let ranges = (0..groups).step_by(rows).map(|start| start..(start + rows).min(groups)).collect();
            self.merged = Some((share, ranges));
        }
    }
}
