//! The sink of a hash aggregation, and what it shares with the source.

use std::sync::{Arc, Mutex, OnceLock};

use super::input::{Arguments, id_column};
use super::merge::{Held, Partitions, choose_cut, locked};
use super::run::Run;
use super::share::{Share, key_types};
use super::source::AggregateSource;
use super::spilled::Spilled;
use super::worker::AggregateState;
use super::{AggregatePhase, AggregateSpec};
use crate::batch::Column;
use crate::batch::arrow::null_column;
use crate::error::Result;
use crate::metrics::OperatorMetrics;
use crate::operators::Breaker;
use crate::pipeline::{FinalizeTask, Sink, SinkState, TaskContext};

pub(super) fn breaker(spec: AggregateSpec) -> Result<Breaker> {
    let shared = Arc::new(Shared::new(spec));
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
    /// What some worker gave its groups to before its input ended.
    spilled: Mutex<Option<Arc<Spilled>>>,
    pub(super) results: OnceLock<Results>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.spec.fmt(f)
    }
}

impl Shared {
    fn new(spec: AggregateSpec) -> Self {
        Shared {
            arguments: Arguments::of(&spec),
            spec: Arc::new(spec),
            gathered: Mutex::default(),
            spilled: Mutex::default(),
            results: OnceLock::new(),
        }
    }

    /// Of workers that give all their groups to `spilled`.
    pub(super) fn spilling(spec: AggregateSpec, spilled: Spilled) -> Self {
        Shared { spilled: Mutex::new(Some(Arc::new(spilled))), ..Shared::new(spec) }
    }

    /// Where groups go that must leave memory before the input ends; made for tables like `share`.
    pub(super) fn spilled(
        &self,
        share: &mut Share,
        task: &TaskContext,
        metrics: &Arc<OperatorMetrics>,
    ) -> Result<Arc<Spilled>> {
        let mut spilled = locked(&self.spilled);
        if let Some(spilled) = &*spilled {
            return Ok(spilled.clone());
        }
        let new = Arc::new(Spilled::new(&self.spec, share, task, metrics)?);
        *spilled = Some(new.clone());
        Ok(new)
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
        if stage == 0 {
            return self.deal_all(task);
        }
        let mut spilled = locked(&self.shared.spilled);
        let tasks = spilled.as_ref().map_or(Vec::new(), |spilled| spilled.settle(stage - 1, task.config.threads));
        if tasks.is_empty() {
            *spilled = None;
        }
        Ok(tasks)
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

impl AggregateSink {
    /// Makes results of what the workers have: one table as it is, more are dealt to partitions.
    fn deal_all(&self, task: &TaskContext) -> Result<Vec<FinalizeTask>> {
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
        let is_spilled = locked(&shared.spilled).is_some();
        if runs.is_empty() && shares.len() <= 1 && !is_spilled {
            let mut share = shares.pop().map_or_else(|| Share::new(&shared.spec, task), Ok)?;
            self.add_empty_sets(&mut share)?;
            share.resize()?;
            // It stays until it is read: there is no use in asking it to spill.
            let held = std::mem::replace(&mut share.reservation, task.memory.reservation("Aggregate"));
            share.reservation.absorb(held);
            let _ = shared.results.set(Results::Whole(Mutex::new(share)));
            return Ok(Vec::new());
        }
        if !is_spilled {
            shares = take_runs(shares, &mut runs)?;
        }
        let metrics = self.metrics.get_or_init(OperatorMetrics::new);
        if let Some(share) = shares.first_mut() {
            shared.spilled(share, task, metrics)?;
        }
        let spilled = locked(&shared.spilled).clone();
        let spilled = match spilled {
            Some(spilled) => spilled,
            None => {
                Arc::new(Spilled::foreseen(Partitions::new(shared.spec.clone(), choose_cut(&runs), task, metrics)?))
            }
        };
        spilled.offer(task);
        let _ = shared.results.set(Results::Partitioned(spilled.groups.clone()));
        let tasks = spilled.deal_all(shares, runs);
        // After a stage without tasks there is no other.
        Ok(if tasks.is_empty() { spilled.settle(0, task.config.threads) } else { tasks })
    }

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
