//! Columns that nothing reads are neither scanned nor joined nor carried along.
//!
//! Top-down: each node is told which of its output columns are read and answers with a relation that has at least those, and where each
//! went. Projections that only pick columns disappear into their readers; joins get the projection of what is read; scans, aggregates and
//! windows give up what is not.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use plasmon_core::expression::{Expression, Kind};
use plasmon_core::operators::aggregate::AggregateExpression;
use plasmon_core::operators::join::JoinKind;
use plasmon_core::operators::window::WindowExpression;
use plasmon_core::{Config, Error, Result};

use crate::ir::{Join, Node, Plan, Relation, Unnest, UnnestOutput, schema_with};

pub(super) fn run(plan: Plan, _: &Config) -> Result<Plan> {
    plan.map_trees(&mut |relation| exactly(relation, None))
}

/// Ordinals of the columns that are read.
type Read = BTreeSet<usize>;

/// A relation that has the columns read, and maybe more: `place[old]` is where output column `old` went.
struct Pruned {
    relation: Relation,
    place: Vec<Option<usize>>,
}

impl Pruned {
    fn unchanged(relation: Relation) -> Self {
        let place = (0..relation.schema.fields().len()).map(Some).collect();
        Pruned { relation, place }
    }

    fn map(&self, expression: &Expression) -> Expression {
        expression.map_columns(&|c| self.at(c))
    }

    fn map_all(&self, expressions: &[Expression]) -> Vec<Expression> {
        expressions.iter().map(|e| self.map(e)).collect()
    }

    /// Columns that were asked for are always there.
    fn at(&self, column: usize) -> usize {
        self.place.get(column).copied().flatten().unwrap_or(usize::MAX)
    }
}

/// The relation with exactly the columns `columns` (all when `None`) in that order, under the schema it had.
fn exactly(relation: Relation, columns: Option<&[usize]>) -> Result<Relation> {
    let schema = relation.schema.clone();
    let all: Vec<usize> = (0..schema.fields().len()).collect();
    let columns = columns.unwrap_or(&all);
    let pruned = prune(relation, &columns.iter().copied().collect())?;
    let order: Vec<usize> = columns.iter().map(|&c| pruned.at(c)).collect();
    let wanted = pick_schema(&schema, columns);
    Ok(pruned.relation.project_columns(order).with_schema(wanted))
}

fn pick_schema(schema: &SchemaRef, columns: &[usize]) -> SchemaRef {
    let fields: Vec<_> = columns.iter().map(|&c| schema.fields()[c].clone()).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// Adds the columns that expressions read.
fn reads<'a>(mut read: Read, expressions: impl IntoIterator<Item = &'a Expression>) -> Read {
    read.extend(expressions.into_iter().flat_map(Expression::referenced_columns));
    read
}

/// Where columns went when just `kept` of `width` were kept, in order.
fn places(width: usize, kept: &[usize]) -> Vec<Option<usize>> {
    (0..width).map(|c| kept.iter().position(|&k| k == c)).collect()
}

fn prune(relation: Relation, read: &Read) -> Result<Pruned> {
    let schema = relation.schema.clone();
    let width = schema.fields().len();
    match relation.node {
        Node::Scan { name, table, projection, filters, fetch, runtime_filters, threshold } => {
            let kept: Vec<usize> = read.iter().copied().collect();
            let projection = kept.iter().map(|&c| projection[c]).collect();
            let node = Node::Scan { name, table, projection, filters, fetch, runtime_filters, threshold };
            Ok(Pruned { relation: Relation::new(node, pick_schema(&schema, &kept)), place: places(width, &kept) })
        }
        Node::Filter { input, predicate } => {
            let input = prune(*input, &reads(read.clone(), [&predicate]))?;
            let predicate = input.map(&predicate);
            let Pruned { relation, place } = input;
            Ok(Pruned { relation: relation.filter(predicate), place })
        }
        Node::Project { input, expressions } => prune_project(*input, expressions, &schema, read),
        Node::Expand { input, projections } => prune_expand(*input, &projections, &schema, read),
        Node::Join { left, right, join } => prune_join(*left, *right, join, &schema, read),
        Node::Aggregate { .. } => prune_aggregate(relation.node, &schema, read),
        Node::Sort { input, mut keys, offset, fetch, threshold } => {
            let input = prune(*input, &reads(read.clone(), keys.iter().map(|k| &k.expression)))?;
            keys.iter_mut().for_each(|k| k.expression = input.map(&k.expression));
            let (schema, place) = (input.relation.schema.clone(), input.place);
            let node = Node::Sort { input: Box::new(input.relation), keys, offset, fetch, threshold };
            Ok(Pruned { relation: Relation::new(node, schema), place })
        }
        Node::ShuffleWrite { .. } | Node::Exchange { numbered: true, .. } => {
            Err(Error::internal("what is for plans of hosts alone, which this pass does not see"))
        }
        Node::Exchange { input, keys, partitions, numbered: false } => {
            let input = prune(*input, &reads(read.clone(), &keys))?;
            let keys = input.map_all(&keys);
            let (schema, place) = (input.relation.schema.clone(), input.place);
            let node = Node::Exchange { input: Box::new(input.relation), keys, partitions, numbered: false };
            Ok(Pruned { relation: Relation::new(node, schema), place })
        }
        Node::Limit { input, offset, fetch } => {
            let Pruned { relation, place } = prune(*input, read)?;
            let schema = relation.schema.clone();
            Ok(Pruned {
                relation: Relation::new(Node::Limit { input: Box::new(relation), offset, fetch }, schema),
                place,
            })
        }
        Node::Union { inputs } => {
            let kept: Vec<usize> = read.iter().copied().collect();
            let inputs = inputs.into_iter().map(|input| exactly(input, Some(&kept))).collect::<Result<Vec<_>>>()?;
            Ok(Pruned {
                relation: Relation::new(Node::Union { inputs }, pick_schema(&schema, &kept)),
                place: places(width, &kept),
            })
        }
        Node::Window { .. } => prune_window(relation.node, &schema, read),
        Node::Unnest { input, unnest } => prune_unnest(*input, unnest, schema),
        // Their columns are those of every round.
        Node::Recursive { .. } => Ok(Pruned::unchanged(relation.map_children(&mut |r| exactly(r, None))?)),
        Node::Values { .. } | Node::Empty { .. } | Node::WorkTable { .. } | Node::SharedScan { .. } => {
            Ok(Pruned::unchanged(relation))
        }
    }
}

fn prune_project(input: Relation, expressions: Vec<Expression>, schema: &SchemaRef, read: &Read) -> Result<Pruned> {
    let kept: Vec<usize> = read.iter().copied().collect();
    let used: Vec<&Expression> = kept.iter().map(|&c| &expressions[c]).collect();
    let input = prune(input, &reads(Read::new(), used.iter().copied()))?;
    if used.iter().all(|e| matches!(e.kind, Kind::Column(_))) {
        let mut place = vec![None; expressions.len()];
        for (&c, expression) in kept.iter().zip(&used) {
            if let Kind::Column(below) = expression.kind {
                place[c] = input.place[below];
            }
        }
        return Ok(Pruned { relation: input.relation, place });
    }
    let mapped = used.iter().map(|e| input.map(e)).collect();
    let node = Node::Project { input: Box::new(input.relation), expressions: mapped };
    Ok(Pruned { relation: Relation::new(node, pick_schema(schema, &kept)), place: places(expressions.len(), &kept) })
}

fn prune_expand(input: Relation, projections: &[Vec<Expression>], schema: &SchemaRef, read: &Read) -> Result<Pruned> {
    let kept: Vec<usize> = read.iter().copied().collect();
    let used = projections.iter().flat_map(|p| kept.iter().map(|&c| &p[c]));
    let input = prune(input, &reads(Read::new(), used))?;
    let projections = projections.iter().map(|p| kept.iter().map(|&c| input.map(&p[c])).collect()).collect();
    let node = Node::Expand { input: Box::new(input.relation), projections };
    let width = schema.fields().len();
    Ok(Pruned { relation: Relation::new(node, pick_schema(schema, &kept)), place: places(width, &kept) })
}

fn prune_join(left: Relation, right: Relation, join: Join, schema: &SchemaRef, read: &Read) -> Result<Pruned> {
    let (left_width, right_width) = (left.schema.fields().len(), right.schema.fields().len());
    let full: Vec<usize> = join.projection.clone().unwrap_or_else(|| (0..schema.fields().len()).collect());
    // Output ordinals of the unprojected join, by side.
    let gives_left = !matches!(join.kind, JoinKind::RightSemi | JoinKind::RightAnti | JoinKind::RightMark);
    let gives_right = !matches!(join.kind, JoinKind::LeftSemi | JoinKind::LeftAnti | JoinKind::LeftMark);
    let widths = |left: usize, right: usize| (if gives_left { left } else { 0 }, if gives_right { right } else { 0 });
    let (left_out, right_out) = widths(left_width, right_width);
    let outputs: Vec<usize> = read.iter().map(|&c| full[c]).collect();
    let residual: Vec<usize> = join.residual.iter().flat_map(Expression::referenced_columns).collect();
    let left_read =
        outputs.iter().copied().filter(|&c| c < left_out).chain(residual.iter().copied().filter(|&c| c < left_width));
    let right_read = outputs.iter().filter(|&&c| c >= left_out && c < left_out + right_out).map(|c| c - left_out);
    let right_read = right_read.chain(residual.iter().filter(|&&c| c >= left_width).map(|c| c - left_width));
    let left = prune(left, &reads(left_read.collect(), &join.left_keys))?;
    let right = prune(right, &reads(right_read.collect(), &join.right_keys))?;
    let new_left_width = left.relation.schema.fields().len();
    let new_right_width = right.relation.schema.fields().len();
    // Inputs may keep more than was asked for: a side without a wanted column still has a width.
    let (new_left_out, new_right_out) = widths(new_left_width, new_right_width);
    let moved = |c: usize| {
        if c < left_out {
            left.at(c)
        } else if c < left_out + right_out {
            new_left_out + right.at(c - left_out)
        } else {
            // The mark, after all others.
            new_left_out + new_right_out
        }
    };
    let projection: Vec<usize> = outputs.iter().map(|&c| moved(c)).collect();
    let natural =
        new_left_out + new_right_out + usize::from(matches!(join.kind, JoinKind::LeftMark | JoinKind::RightMark));
    let is_all = projection.iter().copied().eq(0..natural);
    let join = Join {
        left_keys: left.map_all(&join.left_keys),
        right_keys: right.map_all(&join.right_keys),
        residual: join.residual.as_ref().map(|r| {
            r.map_columns(&|c| if c < left_width { left.at(c) } else { new_left_width + right.at(c - left_width) })
        }),
        projection: (!is_all).then_some(projection),
        ..join
    };
    let kept: Vec<usize> = read.iter().copied().collect();
    let node = Node::Join { left: Box::new(left.relation), right: Box::new(right.relation), join };
    Ok(Pruned {
        relation: Relation::new(node, pick_schema(schema, &kept)),
        place: places(schema.fields().len(), &kept),
    })
}

fn prune_aggregate(node: Node, schema: &SchemaRef, read: &Read) -> Result<Pruned> {
    let Node::Aggregate { input, group_by, grouping_sets, aggregates, phase } = node else {
        return Err(Error::internal("aggregate expected"));
    };
    let first = schema.fields().len() - aggregates.len();
    let kept: Vec<usize> = (0..schema.fields().len()).filter(|c| *c < first || read.contains(c)).collect();
    let mut aggregates: Vec<AggregateExpression> =
        kept.iter().filter(|&&c| c >= first).map(|c| aggregates[c - first].clone()).collect();
    let expressions = aggregates
        .iter()
        .flat_map(|a| a.arguments.iter().chain(&a.filter).chain(a.order_by.iter().map(|k| &k.expression)));
    let input = prune(*input, &reads(Read::new(), group_by.iter().chain(expressions)))?;
    for aggregate in &mut aggregates {
        aggregate.arguments = input.map_all(&aggregate.arguments);
        aggregate.filter = aggregate.filter.as_ref().map(|f| input.map(f));
        aggregate.order_by.iter_mut().for_each(|k| k.expression = input.map(&k.expression));
    }
    let group_by = input.map_all(&group_by);
    let node = Node::Aggregate { input: Box::new(input.relation), group_by, grouping_sets, aggregates, phase };
    Ok(Pruned {
        relation: Relation::new(node, pick_schema(schema, &kept)),
        place: places(schema.fields().len(), &kept),
    })
}

fn prune_window(node: Node, schema: &SchemaRef, read: &Read) -> Result<Pruned> {
    let Node::Window { input, partition_by, mut order_by, functions } = node else {
        return Err(Error::internal("window expected"));
    };
    let width = schema.fields().len() - functions.len();
    let (kept, mut functions): (Vec<usize>, Vec<WindowExpression>) =
        functions.into_iter().enumerate().filter(|(i, _)| read.contains(&(width + i))).unzip();
    let below: Read = read.iter().copied().filter(|&c| c < width).collect();
    let expressions = functions.iter().flat_map(|f| f.arguments.iter().chain(&f.filter));
    let needed = if functions.is_empty() {
        below
    } else {
        reads(below, partition_by.iter().chain(order_by.iter().map(|k| &k.expression)).chain(expressions))
    };
    let input = prune(*input, &needed)?;
    let mut place = input.place.clone();
    place.resize(schema.fields().len(), None);
    if functions.is_empty() {
        return Ok(Pruned { relation: input.relation, place });
    }
    let new_width = input.relation.schema.fields().len();
    kept.iter().enumerate().for_each(|(new, &old)| place[width + old] = Some(new_width + new));
    for function in &mut functions {
        function.arguments = input.map_all(&function.arguments);
        function.filter = function.filter.as_ref().map(|f| input.map(f));
    }
    let partition_by = input.map_all(&partition_by);
    order_by.iter_mut().for_each(|k| k.expression = input.map(&k.expression));
    let schema = schema_with(&input.relation.schema, kept.iter().map(|&i| schema.fields()[width + i].clone()));
    let node = Node::Window { input: Box::new(input.relation), partition_by, order_by, functions };
    Ok(Pruned { relation: Relation::new(node, schema), place })
}

/// Keeps all outputs: which lists are unnested decides how many rows there are.
fn prune_unnest(input: Relation, unnest: Unnest, schema: SchemaRef) -> Result<Pruned> {
    let source = |output: &UnnestOutput| match output {
        UnnestOutput::Keep(column)
        | UnnestOutput::List { column, .. }
        | UnnestOutput::StructField { column, .. }
        | UnnestOutput::Position { column } => *column,
    };
    let input = prune(input, &unnest.outputs.iter().map(source).collect())?;
    let outputs = unnest.outputs.iter().map(|output| match *output {
        UnnestOutput::Keep(column) => UnnestOutput::Keep(input.at(column)),
        UnnestOutput::List { column, depth } => UnnestOutput::List { column: input.at(column), depth },
        UnnestOutput::StructField { column, field } => UnnestOutput::StructField { column: input.at(column), field },
        UnnestOutput::Position { column } => UnnestOutput::Position { column: input.at(column) },
    });
    let unnest = Unnest { outputs: outputs.collect(), preserve_nulls: unnest.preserve_nulls };
    Ok(Pruned::unchanged(Relation::new(Node::Unnest { input: Box::new(input.relation), unnest }, schema)))
}
