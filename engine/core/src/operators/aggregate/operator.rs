//! The sink of a hash aggregation, and what it shares with the source.

use std::sync::{Arc, Mutex, OnceLock};

use super::input::{Arguments, id_column};
use super::merge::{Held, Partitions, choose_cut, locked};
use super::run::Run;
use super::share::{Share, key_types};
use super::source::AggregateSource;
use super::worker::AggregateState;
use super::{AggregatePhase, AggregateSpec};
use crate::batch::Column;
use crate::batch::arrow::null_column;
use crate::error::Result;
use crate::memory::Spillable;
use crate::metrics::OperatorMetrics;
use crate::operators::Breaker;
use crate::pipeline::{FinalizeTask, Sink, SinkState, TaskContext};

pub(super) fn breaker(spec: AggregateSpec) -> Result<Breaker> {
    let shared = Arc::new(Shared {
        arguments: Arguments::of(&spec),
        spec: Arc::new(spec),
        gathered: Mutex::default(),
        spilled: Mutex::default(),
        results: OnceLock::new(),
    });
    Ok(Breaker {
        sink: Arc::new(AggregateSink { shared: shared.clone(), metrics: OnceLock::new() }),
        source: Arc::new(AggregateSource { shared, cursor: Arc::default() }),
    })
}

pub(super) struct Shared {
    pub(super) spec: Arc<AggregateSpec>,
    pub(super) arguments: Arguments,
    /// What the workers aggregated, until the merge.
    gathered: Mutex<Vec<WorkerEnd>>,
    /// Partitions that some worker gave its groups to before its input ended.
    spilled: Mutex<Option<Arc<Partitions>>>,
    pub(super) results: OnceLock<Results>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.spec.fmt(f)
    }
}

impl Shared {
    /// The partitions for groups that must leave memory before the input ends.
    pub(super) fn spilled(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Arc<Partitions>> {
        let mut spilled = locked(&self.spilled);
        if let Some(partitions) = &*spilled {
            return Ok(partitions.clone());
        }
        let partitions = Arc::new(Partitions::unforeseen(self.spec.clone(), task, metrics)?);
        *spilled = Some(partitions.clone());
        Ok(partitions)
    }

    /// Takes what a worker has when its input ends.
    pub(super) fn gather(&self, end: WorkerEnd) {
        locked(&self.gathered).push(end);
    }
}

/// What a worker hands over.
pub(super) struct WorkerEnd {
    pub(super) share: Share,
    pub(super) runs: Vec<Held>,
}

pub(super) enum Results {
    /// One table holds everything.
    Whole(Mutex<Share>),
    /// Pieces of partitions, merged by whoever reads them.
    Partitioned(Arc<Partitions>),
}

#[derive(Debug)]
struct AggregateSink {
    shared: Arc<Shared>,
    /// Those that it was opened with.
    metrics: OnceLock<Arc<OperatorMetrics>>,
}

impl Sink for AggregateSink {
    fn name(&self) -> &'static str {
        "Aggregate"
    }

    fn describe(&self) -> String {
        self.shared.spec.group_by.iter().map(|k| k.to_string()).collect::<Vec<_>>().join(", ")
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SinkState>> {
        self.metrics.get_or_init(|| metrics.clone());
        Ok(Box::new(AggregateState::new(self.shared.clone(), task, metrics)?))
    }

    fn finalize(&self, stage: usize, task: &TaskContext) -> Result<Vec<FinalizeTask>> {
        if stage > 0 {
            return Ok(Vec::new());
        }
        let shared = &self.shared;
        let (mut shares, mut runs) = (Vec::new(), Vec::new());
        for end in std::mem::take(&mut *locked(&shared.gathered)) {
            shares.push(end.share);
            runs.extend(end.runs);
        }
        // Workers that saw no row have nothing to merge.
        if !key_types(&shared.spec).is_empty() {
            shares.retain(|s| s.groups.len() > 0);
        }
        let mut spilled = locked(&shared.spilled).take();
        if runs.is_empty() && shares.len() <= 1 && spilled.is_none() {
            let mut share = shares.pop().map_or_else(|| Share::new(&shared.spec, task), Ok)?;
            self.add_empty_sets(&mut share)?;
            share.resize()?;
            // It stays until it is read: there is no use in asking it to spill.
            let held = std::mem::replace(&mut share.reservation, task.memory.reservation("Aggregate"));
            share.reservation.absorb(held);
            let _ = shared.results.set(Results::Whole(Mutex::new(share)));
            return Ok(Vec::new());
        }
        let metrics = self.metrics.get_or_init(OperatorMetrics::new);
        if spilled.is_none() {
            shares = take_runs(shares, &mut runs)?;
            if !shares.is_empty() {
                spilled = Some(Arc::new(Partitions::unforeseen(shared.spec.clone(), task, metrics)?));
            }
        }
        let partitions = match spilled {
            Some(partitions) => partitions,
            None => Arc::new(Partitions::new(shared.spec.clone(), choose_cut(&runs), task, metrics)?),
        };
        let waiting: Arc<dyn Spillable> = partitions.clone();
        task.memory.offer(Arc::downgrade(&waiting));
        let _ = shared.results.set(Results::Partitioned(partitions.clone()));
        Ok(tasks(partitions, shares, runs))
    }

    fn seal(&self, _task: &TaskContext) -> Result<()> {
        if let (Some(Results::Partitioned(partitions)), Some(metrics)) = (self.shared.results.get(), self.metrics.get())
            && partitions.spilled() > 0
        {
            metrics.note("spilled partitions", partitions.spilled().to_string());
        }
        Ok(())
    }
}

/// Makes runs of tables, and gives back the tables for whose runs there is no memory.
fn take_runs(shares: Vec<Share>, runs: &mut Vec<Held>) -> Result<Vec<Share>> {
    let mut left = Vec::new();
    for mut share in shares {
        let bytes = share.memory_bytes();
        if !share.reservation.try_grow(bytes)? {
            left.push(share);
            continue;
        }
        let run = Run::take(&mut share)?;
        let reservation = share.reservation.split(run.memory_bytes());
        runs.push(Held { run, reservation });
    }
    Ok(left)
}

/// What is to be dealt to the partitions.
fn tasks(partitions: Arc<Partitions>, shares: Vec<Share>, runs: Vec<Held>) -> Vec<FinalizeTask> {
    let of_partitions = partitions.clone();
    let shares = shares.into_iter().map(move |mut share| {
        let partitions = of_partitions.clone();
        Box::new(move |_: &TaskContext| partitions.cut_share(&mut share)) as FinalizeTask
    });
    let runs = runs.into_iter().map(move |run| {
        let partitions = partitions.clone();
        Box::new(move |_: &TaskContext| partitions.cut(run)) as FinalizeTask
    });
    shares.chain(runs).collect()
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
