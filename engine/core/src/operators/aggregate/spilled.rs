//! Where groups go that must leave memory before they are all there, and the members of skewed distinct aggregates apart from them.
//!
//! ```text
//! tables, runs ──► groups, states, members of DISTINCT ─────────────────────────────► partitions by keys (merge.rs)
//!             └──► members of a DISTINCT with a large group ──► partitions by keys and arguments ── each once ──► plain aggregate ──► partitions by keys
//! ```
//! The members of a large group would make one partition too large, be written and read again to find out that no cut parts them, and once more to be put
//! apart by their values (`share.rs`): they go by their values from the start. Where groups are small, that would write their states besides.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arrow_schema::DataType;

use super::merge::{Held, Partitions, Place};
use super::operator::Shared;
use super::run::Run;
use super::share::{Met, Share, key_types};
use super::worker::AggregateState;
use super::{AggregateExpression, AggregatePhase, AggregateSpec};
use crate::batch::Batch;
use crate::error::Result;
use crate::expression::Expression;
use crate::memory::Spillable;
use crate::metrics::OperatorMetrics;
use crate::pipeline::{FinalizeTask, SinkState, TaskContext};

pub(super) struct Spilled {
    pub(super) groups: Arc<Partitions>,
    /// What is dealt to it has the aggregates of the groups from this on.
    first_aggregate: usize,
    /// Members that go apart.
    apart: Vec<Arc<Members>>,
}

/// The members of one distinct aggregate.
struct Members {
    aggregate: usize,
    /// By keys and arguments.
    partitions: Arc<Partitions>,
    /// Partitions taken.
    cursor: AtomicUsize,
    /// The plain aggregate over them.
    plain: Arc<Shared>,
    metrics: Arc<OperatorMetrics>,
}

impl Spilled {
    /// For the groups of tables like `share`, which some have already come to.
    pub(super) fn new(
        spec: &AggregateSpec,
        share: &mut Share,
        task: &TaskContext,
        metrics: &Arc<OperatorMetrics>,
    ) -> Result<Self> {
        let gives_results = !spec.phase.gives_states();
        let is_apart = (0..spec.aggregates.len()).map(|aggregate| Ok(gives_results && share.is_skewed(aggregate)?));
        let is_apart: Vec<bool> = is_apart.collect::<Result<_>>()?;
        // Of those that are apart, groups have plain states.
        let aggregates = spec.aggregates.iter().zip(&is_apart);
        let aggregates =
            aggregates.map(|(a, apart)| AggregateExpression { distinct: a.distinct && !apart, ..a.clone() });
        let spec_of_groups = AggregateSpec { aggregates: aggregates.collect(), ..spec.clone() };
        let groups = Arc::new(Partitions::unforeseen(Arc::new(spec_of_groups), task, metrics)?);
        let apart = (0..spec.aggregates.len()).filter(|&aggregate| is_apart[aggregate]);
        let apart = apart.map(|aggregate| Ok(Arc::new(Members::new(spec, share, aggregate, &groups, metrics)?)));
        Ok(Spilled { apart: apart.collect::<Result<_>>()?, groups, first_aggregate: 0 })
    }

    /// For runs that are all there.
    pub(super) fn foreseen(groups: Partitions) -> Self {
        Spilled { groups: Arc::new(groups), first_aggregate: 0, apart: Vec::new() }
    }

    /// Deals a run; pieces in memory are written when there is a block of them.
    pub(super) fn deal_run(&self, mut run: Run) -> Result<()> {
        for members in &self.apart {
            members.partitions.deal_rows(&run, members.aggregate)?;
            run = run.without(members.aggregate, &self.groups.layout);
        }
        self.groups.deal(self.widened(run), Place::Disk)
    }

    /// Deals small runs of groups without members, joined.
    pub(super) fn deal_together(&self, runs: Vec<Run>, to: Place) -> Result<()> {
        let runs = runs.into_iter().map(|run| self.widened(run)).collect();
        self.groups.deal(Run::join(runs, &self.groups.layout)?, to)
    }

    /// Deals the groups of a table, a few at a time.
    pub(super) fn deal_share(&self, share: &mut Share, to: Place) -> Result<()> {
        let mut met = Met::none(share);
        for members in &self.apart {
            members.partitions.deal_members(share, members.aggregate, &mut met, to)?;
        }
        self.groups.deal_share(share, self.first_aggregate, met, to)
    }

    /// Deals a run, which stays in memory if that is possible.
    pub(super) fn cut(&self, held: Held) -> Result<()> {
        if self.apart.is_empty() {
            return self.groups.cut(Held { run: self.widened(held.run), ..held });
        }
        self.deal_run(held.run)
    }

    /// Offers what is dealt to whoever is short of memory.
    pub(super) fn offer(&self, task: &TaskContext) {
        for partitions in self.apart.iter().map(|members| &members.partitions).chain([&self.groups]) {
            let waiting: Arc<dyn Spillable> = partitions.clone();
            task.memory.offer(Arc::downgrade(&waiting));
        }
    }

    /// Tasks that deal what workers have.
    pub(super) fn deal_all(self: &Arc<Self>, shares: Vec<Share>, runs: Vec<Held>) -> Vec<FinalizeTask> {
        let shares = shares.into_iter().map(|mut share| {
            let spilled = self.clone();
            Box::new(move |_: &TaskContext| spilled.deal_share(&mut share, Place::Memory)) as FinalizeTask
        });
        let runs = runs.into_iter().map(|run| {
            let spilled = self.clone();
            Box::new(move |_: &TaskContext| spilled.cut(run)) as FinalizeTask
        });
        shares.chain(runs).collect()
    }

    fn widened(&self, run: Run) -> Run {
        run.widened(&self.groups.layout, self.first_aggregate)
    }

    /// What remains to be done with the members that are apart, once all of them are there: by several workers, and then by one, who has the memory that
    /// they had.
    pub(super) fn settle(&self, stage: usize, workers: usize) -> Vec<FinalizeTask> {
        let workers = match stage {
            0 => workers,
            1 => 1,
            _ => 0,
        };
        let members = self.apart.iter().flat_map(|members| std::iter::repeat_n(members.clone(), workers));
        members.map(|members| Box::new(move |task: &TaskContext| members.settle(task)) as FinalizeTask).collect()
    }
}

impl Members {
    fn new(
        spec: &AggregateSpec,
        share: &Share,
        aggregate: usize,
        groups: &Arc<Partitions>,
        metrics: &Arc<OperatorMetrics>,
    ) -> Result<Self> {
        let arguments = share.accumulators[aggregate].state_types();
        let types: Vec<DataType> = key_types(spec).into_iter().chain(arguments).collect();
        let states = Spilled { groups: groups.clone(), first_aggregate: aggregate, apart: Vec::new() };
        Ok(Members {
            aggregate,
            partitions: Arc::new(groups.of_keys(&types)?),
            cursor: AtomicUsize::new(0),
            plain: Arc::new(Shared::spilling(plain(spec, aggregate), states)),
            metrics: metrics.clone(),
        })
    }

    /// Gives members, each once, to their plain aggregate, and its states to the groups, until there are none or no memory for them beside others.
    fn settle(&self, task: &TaskContext) -> Result<()> {
        let mut state = AggregateState::new(self.plain.clone(), task, &self.metrics)?;
        self.partitions.drain(&self.cursor, |columns| {
            let rows = columns.first().map_or(0, |column| column.len());
            state.push(Batch::new(columns, rows)).map(|_| ())
        })?;
        state.deal()
    }
}

/// One aggregate over each of its members once: rows of keys and arguments.
fn plain(spec: &AggregateSpec, aggregate: usize) -> AggregateSpec {
    let keys = key_types(spec);
    let aggregate = &spec.aggregates[aggregate];
    let argument = |(index, old): (usize, &Expression)| Expression::column(keys.len() + index, old.data_type.clone());
    let arguments: Vec<Expression> = aggregate.arguments.iter().enumerate().map(argument).collect();
    let mut order_by = aggregate.order_by.clone();
    order_by
        .iter_mut()
        .enumerate()
        .for_each(|(index, key)| key.expression = argument((arguments.len() + index, &key.expression)));
    let plain = AggregateExpression { arguments, order_by, filter: None, distinct: false, ..aggregate.clone() };
    AggregateSpec {
        group_by: keys.into_iter().enumerate().map(|(index, data_type)| Expression::column(index, data_type)).collect(),
        grouping_sets: Vec::new(),
        grouping_id: None,
        aggregates: vec![plain],
        phase: AggregatePhase::Single,
    }
}
