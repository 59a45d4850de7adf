//! Plan → pipelines: cuts the relation tree at its breakers.
//!
//! A relation lowers to one or more [`Stream`]s (open pipelines: a source, the operators so far, and what they wait for). Operators are
//! appended to every stream; a breaker closes all streams into its sink and starts a new one. A union concatenates streams; a join
//! adds streams that wait for the probing ones: of unmatched build rows if it emits them, and of what was spilled. Build sides are lowered before probe sides, so that their
//! runtime filters are published before the probe side's scans open. Plan nodes are numbered in pre-order: root, sub-queries, shared.

mod leaf;
mod stream;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use plasmon_core::expression::{Expression, Kind, ScalarSlot};
use plasmon_core::operators::aggregate::{AggregatePhase, AggregateSpec, RepeatingAggregate, aggregate};
use plasmon_core::operators::exchange::{Distribution, Exchange, ExchangeSpec};
use plasmon_core::operators::expand::Expand;
use plasmon_core::operators::filter::Filter;
use plasmon_core::operators::gather::Gather;
use plasmon_core::operators::join::{self, JoinSpec};
use plasmon_core::operators::limit::Limit;
use plasmon_core::operators::materialize::Materialize;
use plasmon_core::operators::project::Project;
use plasmon_core::operators::scalar_subquery::ScalarSubquery;
use plasmon_core::operators::shuffle_write::{ShuffleWriteSpec, shuffle_write};
use plasmon_core::operators::sort::{SortSpec, sort};
use plasmon_core::operators::unnest;
use plasmon_core::operators::window::{WindowSpec, window};
use plasmon_core::operators::{Breaker, recursive::Recursive};
use plasmon_core::pipeline::{Graph, Operator, Sink, SinkId, Wait};
use plasmon_core::{Config, Error, Result};

use crate::ir::{Node, Plan, Relation};
use stream::{Stream, Streams};

/// Partitions of an exchange that names no number, a worker: so many that uneven ones even out.
const PARTITIONS_PER_THREAD: usize = 8;

/// The pipelines of `plan`, ending in `sink`.
pub fn lower(plan: &Plan, sink: Arc<dyn Sink>, config: &Config) -> Result<Graph> {
    let mut lowering = Lowering::new(plan, config);
    let streams = lowering.relation(&plan.root, 0)?;
    let sink = lowering.graph.add_sink(sink, 0);
    streams.close(&mut lowering.graph, sink);
    Ok(lowering.graph)
}

/// Number of nodes in a relation tree: the pre-order number of what follows it.
pub fn node_count(relation: &Relation) -> usize {
    1 + relation.children().iter().map(|c| node_count(c)).sum::<usize>()
}

struct Lowering<'a> {
    plan: &'a Plan,
    config: &'a Config,
    graph: Graph,
    /// Sub-queries lowered so far, by index.
    subqueries: HashMap<usize, SinkId>,
    /// Shared sub-plans lowered so far, by index.
    shared: HashMap<usize, (SinkId, Arc<Materialize>)>,
    /// Rows of the work tables in scope, by name.
    work_tables: HashMap<String, Arc<Materialize>>,
}

impl<'a> Lowering<'a> {
    fn new(plan: &'a Plan, config: &'a Config) -> Self {
        Lowering {
            plan,
            config,
            graph: Graph::default(),
            subqueries: HashMap::new(),
            shared: HashMap::new(),
            work_tables: HashMap::new(),
        }
    }

    /// The streams of a relation whose pre-order number is `node`.
    fn relation(&mut self, relation: &Relation, node: usize) -> Result<Streams> {
        let waits = self.waits_of(&relation.expressions())?;
        let mut streams = match &relation.node {
            Node::Scan { .. } | Node::Values { .. } | Node::Empty { .. } | Node::WorkTable { .. } => {
                self.leaf(relation, node)?
            }
            Node::SharedScan { index } => self.shared_scan(*index, node)?,
            Node::Filter { input, predicate } => self.pass(relation, input, node, Filter::new(predicate.clone()))?,
            Node::Project { input, expressions } => {
                self.pass(relation, input, node, Project::new(expressions.clone()))?
            }
            Node::Expand { input, projections } => {
                self.pass(relation, input, node, Expand::new(projections.clone()))?
            }
            Node::Limit { input, offset, fetch } => self.pass(relation, input, node, Limit::new(*offset, *fetch))?,
            Node::Unnest { input, unnest } => {
                let operator = unnest::Unnest::new(unnest.outputs.clone(), unnest.preserve_nulls, types(input));
                self.pass(relation, input, node, operator)?
            }
            Node::Join { .. } => self.join(relation, node, &waits)?,
            Node::Aggregate { input, group_by, phase: AggregatePhase::Repeating, .. } if !group_by.is_empty() => {
                let aggregate = RepeatingAggregate::new(aggregate_spec(relation)?)?;
                self.pass(relation, input, node, aggregate)?
            }
            Node::Aggregate { .. }
            | Node::Sort { .. }
            | Node::Window { .. }
            | Node::Exchange { .. }
            | Node::ShuffleWrite { .. } => self.breaker(relation, node, &waits)?,
            Node::Union { inputs } => {
                let mut streams = Streams::default();
                let mut child = node + 1;
                for input in inputs {
                    streams.append(self.relation(input, child)?);
                    child += node_count(input);
                }
                streams
            }
            Node::Recursive { .. } => self.recursive(relation, node)?,
        };
        streams.wait_for(&waits);
        Ok(streams)
    }

    fn pass(
        &mut self,
        relation: &Relation,
        input: &Relation,
        node: usize,
        operator: impl Operator + 'static,
    ) -> Result<Streams> {
        let mut streams = self.input(relation, input, node)?;
        streams.operator(Arc::new(operator), node);
        Ok(streams)
    }

    /// The streams of the one input of `relation`, in batches that suit its expressions.
    fn input(&mut self, relation: &Relation, input: &Relation, node: usize) -> Result<Streams> {
        let mut streams = self.relation(input, node + 1)?;
        let mut is_dear = false;
        for expression in relation.expressions() {
            expression.visit(&mut |e| is_dear |= matches!(&e.kind, Kind::Function(f) if f.function.wants_many_rows()));
        }
        if is_dear {
            streams.operator(Arc::new(Gather::new(types(input))), node);
        }
        Ok(streams)
    }

    fn breaker(&mut self, relation: &Relation, node: usize, waits: &[Wait]) -> Result<Streams> {
        let (input, breaker) = match &relation.node {
            Node::Aggregate { input, .. } => (input, aggregate(aggregate_spec(relation)?)?),
            Node::Sort { input, keys, offset, fetch, threshold } => {
                let spec = SortSpec {
                    keys: keys.clone(),
                    fetch: *fetch,
                    offset: *offset,
                    types: types(input),
                    threshold: threshold.clone(),
                };
                (input, sort(spec)?)
            }
            Node::Window { input, partition_by, order_by, functions } => {
                let spec = WindowSpec {
                    partition_by: partition_by.clone(),
                    order_by: order_by.clone(),
                    functions: functions.clone(),
                    types: types(input),
                };
                (input, window(spec)?)
            }
            Node::Exchange { input, keys, partitions, numbered } => {
                let distribution = match &keys[..] {
                    [] => Distribution::InTurn,
                    keys => Distribution::Keys(keys.to_vec()),
                };
                let partitions = partitions.unwrap_or(self.config.threads * PARTITIONS_PER_THREAD);
                let spec = ExchangeSpec { distribution, partitions, types: types(input), numbered: *numbered };
                (input, Exchange::new(spec)?.breaker())
            }
            Node::ShuffleWrite { input, write } => {
                let spec = ShuffleWriteSpec {
                    partitioning: write.partitioning.clone(),
                    partitions: write.partitions,
                    path: write.path.clone().into(),
                    types: types(input),
                };
                (input, shuffle_write(spec)?)
            }
            other => return Err(Error::internal(format!("{other:?} is no breaker"))),
        };
        let mut streams = self.input(relation, input, node)?;
        streams.wait_for(waits);
        Ok(self.break_at(streams, breaker, node))
    }

    fn break_at(&mut self, streams: Streams, breaker: Breaker, node: usize) -> Streams {
        let sink = self.graph.add_sink(breaker.sink, node);
        streams.close(&mut self.graph, sink);
        Streams::one(Stream::new(breaker.source, node, vec![Wait::Sink(sink)]))
    }

    fn join(&mut self, relation: &Relation, node: usize, waits: &[Wait]) -> Result<Streams> {
        let Node::Join { left, right, join } = &relation.node else { return Err(Error::internal("join expected")) };
        let spec = JoinSpec {
            kind: join.kind,
            left_keys: join.left_keys.clone(),
            right_keys: join.right_keys.clone(),
            null_equal: join.null_equal.clone(),
            residual: join.residual.clone(),
            null_aware: join.null_aware,
            left_types: types(left),
            right_types: types(right),
            projection: join.projection.clone(),
        };
        let operator = join::Join::new(spec, join.runtime_filters.clone())?;
        let first = node + 1 + node_count(left);
        let before = self.graph.pipelines.len();
        let mut build = self.relation(right, first)?;
        build.wait_for(waits);
        let cached = join.cached_build.as_deref().map(|name| operator.cached(name)).transpose()?.flatten();
        let sink = match cached {
            None => operator.build(),
            Some((cached, sink)) => {
                // Sub-queries and shared sub-plans are others' too, and have numbers of their own.
                let own = first..first + node_count(right);
                let pipelines = self.graph.pipelines[before..].iter_mut().map(|pipeline| &mut pipeline.source);
                for source in pipelines.filter(|source| own.contains(&source.plan_node)).chain(build.sources()) {
                    source.part = cached.gate(source.part.clone());
                }
                sink
            }
        };
        let sink = self.graph.add_sink(sink, node);
        build.close(&mut self.graph, sink);
        let mut probe = self.relation(left, node + 1)?;
        probe.wait_for(&[Wait::Sink(sink)]);
        probe.operator(operator.probe(), node);
        if let Some(source) = operator.unmatched() {
            probe.then(Stream::new(source, node, vec![Wait::Sink(sink)]));
        }
        probe.then(Stream::new(operator.spilled(), node, vec![Wait::Sink(sink)]));
        Ok(probe)
    }

    fn shared_scan(&mut self, index: usize, node: usize) -> Result<Streams> {
        if !self.shared.contains_key(&index) {
            let plan = self.plan;
            let relation =
                plan.shared.get(index).ok_or_else(|| Error::internal(format!("no shared sub-plan {index}")))?;
            let first = node_count(&plan.root)
                + plan.subqueries.iter().map(|(_, r)| node_count(r)).sum::<usize>()
                + plan.shared[..index].iter().map(node_count).sum::<usize>();
            let streams = self.relation(relation, first)?;
            let materialize = Arc::new(Materialize::new());
            let sink = self.graph.add_sink(materialize.clone(), first);
            streams.close(&mut self.graph, sink);
            self.shared.insert(index, (sink, materialize));
        }
        let (sink, materialize) = &self.shared[&index];
        Ok(Streams::one(Stream::new(materialize.reader(), node, vec![Wait::Sink(*sink)])))
    }

    fn recursive(&mut self, relation: &Relation, node: usize) -> Result<Streams> {
        let Node::Recursive { initial, step, name, distinct } = &relation.node else {
            return Err(Error::internal("recursive expected"));
        };
        let streams = self.relation(initial, node + 1)?;
        let rows = Arc::new(Materialize::new());
        let sink = self.graph.add_sink(rows.clone(), node);
        streams.close(&mut self.graph, sink);
        let mut waits = vec![Wait::Sink(sink)];
        // Sub-queries inside the step are run once, outside of the rounds.
        waits.extend(self.waits_of_tree(step)?);
        let round = {
            let (step, name, config) = (step.as_ref().clone(), name.clone(), self.config.clone());
            let shared = self.plan.shared.clone();
            let plan = Plan { root: step, subqueries: Vec::new(), shared };
            let outer = self.work_tables.clone();
            Arc::new(move |table: Arc<Materialize>| {
                let mut lowering = Lowering::new(&plan, &config);
                lowering.work_tables = outer.clone();
                lowering.work_tables.insert(name.clone(), table);
                let streams = lowering.relation(&plan.root, 0)?;
                let rows = Arc::new(Materialize::new());
                let sink = lowering.graph.add_sink(rows.clone(), 0);
                streams.close(&mut lowering.graph, sink);
                Ok((lowering.graph, rows))
            })
        };
        let source = Recursive { initial: rows, step: round, distinct: *distinct, types: types(relation) };
        Ok(Streams::one(Stream::new(Arc::new(source), node, waits)))
    }

    /// What must run before `expressions` can be evaluated: the sub-queries whose slots they read, lowered on first need.
    fn waits_of(&mut self, expressions: &[&Expression]) -> Result<Vec<Wait>> {
        let mut slots: Vec<Arc<ScalarSlot>> = Vec::new();
        for expression in expressions {
            expression.visit(&mut |e| {
                if let Kind::Parameter(slot) = &e.kind {
                    slots.push(slot.clone());
                }
            });
        }
        let mut waits = Vec::new();
        for slot in slots {
            // Inside a recursive step the slots are bound already.
            let plan = self.plan;
            let Some(index) = plan.subqueries.iter().position(|(s, _)| Arc::ptr_eq(s, &slot)) else { continue };
            waits.push(Wait::Sink(self.subquery(index)?));
        }
        Ok(waits)
    }

    fn waits_of_tree(&mut self, relation: &Relation) -> Result<Vec<Wait>> {
        let mut waits = self.waits_of(&relation.expressions())?;
        for child in relation.children() {
            waits.extend(self.waits_of_tree(child)?);
        }
        Ok(waits)
    }

    fn subquery(&mut self, index: usize) -> Result<SinkId> {
        if let Some(sink) = self.subqueries.get(&index) {
            return Ok(*sink);
        }
        let plan = self.plan;
        let (slot, relation) = &plan.subqueries[index];
        let first = node_count(&plan.root) + plan.subqueries[..index].iter().map(|(_, r)| node_count(r)).sum::<usize>();
        let streams = self.relation(relation, first)?;
        let sink = self.graph.add_sink(Arc::new(ScalarSubquery::new(slot.clone())), first);
        streams.close(&mut self.graph, sink);
        self.subqueries.insert(index, sink);
        Ok(sink)
    }
}

/// What an aggregation is to do.
fn aggregate_spec(relation: &Relation) -> Result<AggregateSpec> {
    let Node::Aggregate { group_by, grouping_sets, aggregates, phase, .. } = &relation.node else {
        return Err(Error::internal("an aggregation expected"));
    };
    let grouping_id = (!grouping_sets.is_empty()).then(|| relation.schema.field(group_by.len()).data_type().clone());
    Ok(AggregateSpec {
        group_by: group_by.clone(),
        grouping_sets: grouping_sets.clone(),
        grouping_id,
        aggregates: aggregates.clone(),
        phase: *phase,
    })
}

/// Column types of a relation.
fn types(relation: &Relation) -> Vec<DataType> {
    relation.schema.fields().iter().map(|f| f.data_type().clone()).collect()
}
