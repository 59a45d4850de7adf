//! Relations.

use plasmon_core::expression::Expression;
use plasmon_core::operators::aggregate::{AggregateExpression, AggregatePhase};
use plasmon_core::operators::join::JoinKind;
use plasmon_core::{Error, Result};
use prost::Message as _;
use prost::bytes::Bytes;
use proto::relation::Node as To;

use super::{Encoder, ordinal, types};
use crate::ir::{Join, Node, Partitioning, Relation, ShuffleWrite, Unnest, UnnestOutput};
use crate::wire::{RELATION_DEPTH_MAX, VERSION, proto};

impl Encoder {
    /// A relation, `depth` below its tree's top.
    pub(super) fn relation(&mut self, relation: &Relation, depth: usize) -> Result<Bytes> {
        if depth >= RELATION_DEPTH_MAX {
            return Err(Error::unsupported(format!(
                "relations nested more than {RELATION_DEPTH_MAX} deep in the wire format of plans"
            )));
        }
        let fields = types::fields(relation.schema.fields())?;
        let node = Some(self.node(&relation.node, depth + 1)?);
        Ok(proto::Relation { fields, node }.encode_to_vec().into())
    }

    fn node(&mut self, node: &Node, depth: usize) -> Result<To> {
        Ok(match node {
            Node::Scan { name, table, projection, filters, fetch, .. } => To::Scan(proto::Scan {
                table: self.table(name, table)?,
                projection: ordinals(projection)?,
                filters: self.expressions(filters)?,
                fetch: fetch.map(|n| n as u64),
            }),
            Node::Values { rows } => {
                let row = |row: &Vec<Expression>| Ok(proto::Row { values: self.expressions(row)? });
                To::Values(proto::Values { rows: rows.iter().map(row).collect::<Result<_>>()? })
            }
            Node::Empty { one_row } => To::Empty(proto::Empty { one_row: *one_row }),
            Node::Filter { input, predicate } => To::Filter(proto::Filter {
                input: self.relation(input, depth)?,
                predicate: self.expression(predicate)?,
            }),
            Node::Project { input, expressions } => To::Project(proto::Project {
                input: self.relation(input, depth)?,
                expressions: self.expressions(expressions)?,
            }),
            Node::Expand { input, projections } => {
                self.version = VERSION;
                let projection = |p: &Vec<Expression>| Ok(proto::Row { values: self.expressions(p)? });
                let projections = projections.iter().map(projection).collect::<Result<_>>()?;
                To::Expand(proto::Expand { input: self.relation(input, depth)?, projections })
            }
            Node::Join { left, right, join } => To::Join(self.join(left, right, join, depth)?),
            Node::Aggregate { .. } => self.aggregate(node, depth)?,
            Node::Sort { input, keys, offset, fetch, .. } => To::Sort(proto::Sort {
                input: self.relation(input, depth)?,
                keys: self.sort_keys(keys)?,
                offset: *offset as u64,
                fetch: fetch.map(|n| n as u64),
            }),
            Node::Limit { input, offset, fetch } => To::Limit(proto::Limit {
                input: self.relation(input, depth)?,
                offset: *offset as u64,
                fetch: fetch.map(|n| n as u64),
            }),
            Node::Union { inputs } => {
                let inputs = inputs.iter().map(|i| self.relation(i, depth)).collect::<Result<_>>()?;
                To::Union(proto::Union { inputs })
            }
            Node::Window { input, partition_by, order_by, functions } => To::Window(proto::Window {
                input: self.relation(input, depth)?,
                partition_by: self.expressions(partition_by)?,
                order_by: self.sort_keys(order_by)?,
                functions: functions.iter().map(|f| self.window_call(f)).collect::<Result<_>>()?,
            }),
            Node::Exchange { input, keys, partitions, numbered } => To::Exchange(proto::Exchange {
                input: self.relation(input, depth)?,
                keys: self.expressions(keys)?,
                partitions: partitions.map(ordinal).transpose()?,
                numbered: *numbered,
            }),
            Node::ShuffleWrite { input, write } => To::ShuffleWrite(self.shuffle_write(input, write, depth)?),
            Node::Unnest { input, unnest } => To::Unnest(self.unnest(input, unnest, depth)?),
            Node::Recursive { initial, step, name, distinct } => To::Recursive(proto::Recursive {
                initial: self.relation(initial, depth)?,
                step: self.relation(step, depth)?,
                name: name.clone(),
                distinct: *distinct,
            }),
            Node::WorkTable { name } => To::WorkTable(proto::WorkTable { name: name.clone() }),
            Node::SharedScan { index } => To::SharedScan(proto::SharedScan { index: ordinal(*index)? }),
        })
    }

    fn aggregate(&mut self, node: &Node, depth: usize) -> Result<To> {
        let Node::Aggregate { input, group_by, grouping_sets, aggregates, phase } = node else {
            return Err(Error::internal("an aggregation expected"));
        };
        if *phase == AggregatePhase::Repeating {
            self.version = VERSION;
        }
        let is_merging = phase.reads_states();
        let call = |a: &AggregateExpression| self.aggregate_call(a, is_merging);
        let aggregates = aggregates.iter().map(call).collect::<Result<_>>()?;
        Ok(To::Aggregate(proto::Aggregate {
            group_by: self.expressions(group_by)?,
            grouping_sets: grouping_sets.iter().map(|s| proto::GroupingSet { keeps: s.clone() }).collect(),
            aggregates,
            phase: aggregate_phase(*phase) as i32,
            input: self.relation(input, depth)?,
        }))
    }

    fn join(&mut self, left: &Relation, right: &Relation, join: &Join, depth: usize) -> Result<proto::Join> {
        if join.cached_build.is_some() {
            self.version = VERSION;
        }
        let keys = join.left_keys.iter().zip(&join.right_keys).zip(&join.null_equal);
        let keys = keys.map(|((left, right), &null_equal)| {
            Ok(proto::JoinKey { left: self.expression(left)?, right: self.expression(right)?, null_equal })
        });
        let projection = join.projection.as_deref().map(ordinals).transpose()?;
        Ok(proto::Join {
            kind: join_kind(join.kind) as i32,
            keys: keys.collect::<Result<_>>()?,
            residual: self.optional(join.residual.as_ref())?,
            null_aware: join.null_aware,
            cached_build: join.cached_build.clone().unwrap_or_default(),
            projection: projection.map(|ordinals| proto::Ordinals { ordinals }),
            left: self.relation(left, depth)?,
            right: self.relation(right, depth)?,
        })
    }

    fn shuffle_write(&mut self, input: &Relation, write: &ShuffleWrite, depth: usize) -> Result<proto::ShuffleWrite> {
        use proto::shuffle_write::Partitioning as To;
        self.version = VERSION;
        let partitioning = match &write.partitioning {
            Partitioning::Hash(keys) => To::Hash(proto::HashPartitioning { keys: self.expressions(keys)? }),
            Partitioning::Range { keys, bounds } => {
                let bounds = bounds.iter().map(|bound| {
                    let values = bound.iter().zip(keys).map(|(value, key)| {
                        self.expression(&Expression::literal(value.clone(), key.expression.data_type.clone()))
                    });
                    Ok(proto::Row { values: values.collect::<Result<_>>()? })
                });
                let bounds = bounds.collect::<Result<_>>()?;
                To::Range(proto::RangePartitioning { keys: self.sort_keys(keys)?, bounds })
            }
            Partitioning::Single => To::Single(true),
            Partitioning::RoundRobin(start) => To::RoundRobinStart(*start),
            Partitioning::Computed(partition) => To::Partition(self.expression(partition)?),
        };
        Ok(proto::ShuffleWrite {
            input: self.relation(input, depth)?,
            partitioning: Some(partitioning),
            partitions: ordinal(write.partitions)?,
            path: write.path.clone(),
        })
    }

    fn unnest(&mut self, input: &Relation, unnest: &Unnest, depth: usize) -> Result<proto::Unnest> {
        use proto::unnest_output::What;
        if unnest.outputs.iter().any(|output| matches!(output, UnnestOutput::Position { .. })) {
            self.version = VERSION;
        }
        let output = |output: &UnnestOutput| {
            let (column, what) = match output {
                UnnestOutput::Keep(column) => (*column, What::Keep(true)),
                UnnestOutput::List { column, depth } => (*column, What::ListDepth(ordinal(*depth)?)),
                UnnestOutput::StructField { column, field } => (*column, What::StructField(ordinal(*field)?)),
                UnnestOutput::Position { column } => (*column, What::Position(true)),
            };
            Ok(proto::UnnestOutput { column: ordinal(column)?, what: Some(what) })
        };
        Ok(proto::Unnest {
            outputs: unnest.outputs.iter().map(output).collect::<Result<_>>()?,
            preserve_nulls: unnest.preserve_nulls,
            input: self.relation(input, depth)?,
        })
    }
}

fn ordinals(all: &[usize]) -> Result<Vec<u32>> {
    all.iter().map(|&o| ordinal(o)).collect()
}

fn join_kind(kind: JoinKind) -> proto::JoinKind {
    match kind {
        JoinKind::Inner => proto::JoinKind::Inner,
        JoinKind::Left => proto::JoinKind::Left,
        JoinKind::Right => proto::JoinKind::Right,
        JoinKind::Full => proto::JoinKind::Full,
        JoinKind::LeftSemi => proto::JoinKind::LeftSemi,
        JoinKind::LeftAnti => proto::JoinKind::LeftAnti,
        JoinKind::LeftMark => proto::JoinKind::LeftMark,
        JoinKind::RightSemi => proto::JoinKind::RightSemi,
        JoinKind::RightAnti => proto::JoinKind::RightAnti,
        JoinKind::RightMark => proto::JoinKind::RightMark,
    }
}

fn aggregate_phase(phase: AggregatePhase) -> proto::AggregatePhase {
    match phase {
        AggregatePhase::Single => proto::AggregatePhase::Single,
        AggregatePhase::Repeating => proto::AggregatePhase::Repeating,
        AggregatePhase::Partial => proto::AggregatePhase::Partial,
        AggregatePhase::PartialMerge => proto::AggregatePhase::PartialMerge,
        AggregatePhase::Final => proto::AggregatePhase::Final,
    }
}
