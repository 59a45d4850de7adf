//! Relations: one method per logical node.

use arrow::datatypes::SchemaRef;
use datafusion_common::{DFSchema, JoinType, NullEquality};
use datafusion_expr::logical_plan::{FetchType, SkipType};
use datafusion_expr::{
    Distinct, Limit, LogicalPlan, Partitioning, Projection, RecursiveQuery, TableScan, Unnest as LogicalUnnest, Values,
};
use plasmon_core::expression::{CastMode, Expression};
use plasmon_core::operators::join::JoinKind;
use plasmon_core::{Error, Result};

use super::Translator;
use super::expression::{cast_to, same_type};
use crate::error::convert_error;
use crate::ir::{Join, Node, Relation, TableName, Unnest, UnnestOutput, conjuncts, types};
use crate::sql::context::{TableScanSource, WorkTableSource};

impl Translator {
    /// The IR of a logical plan node and all below it.
    pub(super) fn relation(&mut self, plan: &LogicalPlan) -> Result<Relation> {
        let schema = plan.schema().inner().clone();
        match plan {
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::Filter(filter) => {
                let input = self.relation(&filter.input)?;
                let predicate = self.expression(&filter.predicate, filter.input.schema())?;
                Ok(Relation::new(Node::Filter { input: Box::new(input), predicate }, schema))
            }
            LogicalPlan::Window(window) => self.window(window),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Sort(sort) => {
                let input = self.relation(&sort.input)?;
                let keys = self.sort_keys(&sort.expr, sort.input.schema())?;
                Ok(Relation::new(
                    Node::Sort { input: Box::new(input), keys, offset: 0, fetch: sort.fetch, threshold: None },
                    schema,
                ))
            }
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Union(union) => {
                let inputs = union
                    .inputs
                    .iter()
                    .map(|input| Ok(cast_columns(self.relation(input)?, &schema)))
                    .collect::<Result<Vec<_>>>()?;
                Ok(Relation::new(Node::Union { inputs }, schema))
            }
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::EmptyRelation(empty) if empty.produce_one_row || schema.fields().is_empty() => {
                Ok(Relation::new(Node::Empty { one_row: empty.produce_one_row }, schema))
            }
            LogicalPlan::EmptyRelation(_) => Ok(Relation::new(Node::Values { rows: Vec::new() }, schema)),
            LogicalPlan::Subquery(subquery) => self.relation(&subquery.subquery),
            LogicalPlan::SubqueryAlias(alias) => Ok(self.relation(&alias.input)?.with_schema(schema)),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Values(values) => self.values(values, schema),
            LogicalPlan::Distinct(Distinct::All(input)) => Ok(self.relation(input)?.distinct().with_schema(schema)),
            LogicalPlan::RecursiveQuery(query) => self.recursive(query),
            LogicalPlan::Unnest(unnest) => self.unnest(unnest),
            LogicalPlan::Repartition(repartition) => {
                let input = self.relation(&repartition.input)?;
                let (keys, partitions) = match &repartition.partitioning_scheme {
                    Partitioning::RoundRobinBatch(partitions) => (&[][..], Some(*partitions)),
                    Partitioning::Hash(keys, partitions) => (&keys[..], Some(*partitions)),
                    Partitioning::DistributeBy(keys) => (&keys[..], None),
                    other => return Err(Error::unsupported(format!("partitioning {other:?}"))),
                };
                let keys =
                    keys.iter().map(|k| self.expression(k, repartition.input.schema())).collect::<Result<_>>()?;
                Ok(Relation::new(Node::Exchange { input: Box::new(input), keys, partitions, numbered: false }, schema))
            }
            other => Err(Error::unsupported(format!("plan node {}", other.display()))),
        }
    }

    fn projection(&mut self, projection: &Projection) -> Result<Relation> {
        let input = self.relation(&projection.input)?;
        let schema = projection.schema.inner().clone();
        let expressions = projection
            .expr
            .iter()
            .map(|e| self.expression(e, projection.input.schema()))
            .collect::<Result<Vec<_>>>()?;
        Ok(Relation::new(Node::Project { input: Box::new(input), expressions }, schema))
    }

    fn scan(&mut self, scan: &TableScan) -> Result<Relation> {
        let source_schema = scan.source.schema();
        let projection = scan.projection.clone().unwrap_or_else(|| (0..source_schema.fields().len()).collect());
        let qualified =
            DFSchema::try_from_qualified_schema(scan.table_name.clone(), &source_schema).map_err(convert_error)?;
        let filters = scan.filters.iter().map(|f| self.expression(f, &qualified)).collect::<Result<Vec<_>>>()?;
        let schema = scan.projected_schema.inner().clone();
        if let Some(work_table) = scan.source.downcast_ref::<WorkTableSource>() {
            let mut relation = Relation::new(Node::WorkTable { name: work_table.name.clone() }, source_schema);
            if !filters.is_empty() {
                relation = relation.filter(Expression::and(filters));
            }
            relation = relation.project_columns(projection).with_schema(schema.clone());
            return Ok(match scan.fetch {
                Some(_) => {
                    Relation::new(Node::Limit { input: Box::new(relation), offset: 0, fetch: scan.fetch }, schema)
                }
                None => relation,
            });
        }
        let Some(source) = scan.source.downcast_ref::<TableScanSource>() else {
            return Err(Error::internal(format!("the source of {} is not the engine's", scan.table_name)));
        };
        let node = Node::Scan {
            name: TableName { text: scan.table_name.to_string(), origin: source.origin.clone() },
            table: source.table.clone(),
            projection,
            filters: filters.into_iter().flat_map(conjuncts).collect(),
            fetch: scan.fetch,
            runtime_filters: Vec::new(),
            threshold: None,
        };
        Ok(Relation::new(node, schema))
    }

    fn join(&mut self, join: &datafusion_expr::Join) -> Result<Relation> {
        let (left, right) = (self.relation(&join.left)?, self.relation(&join.right)?);
        let (mut left_keys, mut right_keys) = (Vec::new(), Vec::new());
        for (left_key, right_key) in &join.on {
            let left_key = self.expression(left_key, join.left.schema())?;
            let right_key = self.expression(right_key, join.right.schema())?;
            let (left_key, right_key) = same_type(left_key, right_key)?;
            left_keys.push(left_key);
            right_keys.push(right_key);
        }
        let residual = match &join.filter {
            Some(filter) => {
                let both = join.left.schema().join(join.right.schema()).map_err(convert_error)?;
                Some(self.expression(filter, &both)?)
            }
            None => None,
        };
        let null_equal = vec![join.null_equality == NullEquality::NullEqualsNull; left_keys.len()];
        let join_spec = Join {
            kind: join_kind(join.join_type),
            left_keys,
            right_keys,
            null_equal,
            residual,
            null_aware: join.null_aware,
            projection: None,
            runtime_filters: Vec::new(),
            cached_build: None,
        };
        Ok(Relation::new(
            Node::Join { left: Box::new(left), right: Box::new(right), join: join_spec },
            join.schema.inner().clone(),
        ))
    }

    fn limit(&mut self, limit: &Limit) -> Result<Relation> {
        let SkipType::Literal(offset) = limit.get_skip_type().map_err(convert_error)? else {
            return Err(Error::unsupported("OFFSET that is not a constant"));
        };
        let FetchType::Literal(fetch) = limit.get_fetch_type().map_err(convert_error)? else {
            return Err(Error::unsupported("LIMIT that is not a constant"));
        };
        let mut input = self.relation(&limit.input)?;
        // A sort below already gives no more than `offset + fetch` rows; let it skip and cut.
        if let Node::Sort { offset: sort_offset @ 0, fetch: sort_fetch, .. } = &mut input.node {
            *sort_offset = offset;
            let kept = sort_fetch.map(|f| f.saturating_sub(offset));
            *sort_fetch = [kept, fetch].into_iter().flatten().min();
            return Ok(input);
        }
        if offset == 0 && fetch.is_some_and(|f| gives_at_most(&input, f)) {
            return Ok(input);
        }
        let schema = input.schema.clone();
        Ok(Relation::new(Node::Limit { input: Box::new(input), offset, fetch }, schema))
    }

    fn values(&mut self, values: &Values, schema: SchemaRef) -> Result<Relation> {
        let empty = DFSchema::empty();
        let rows = values
            .values
            .iter()
            .map(|row| {
                let cells = row.iter().zip(schema.fields());
                cells
                    .map(|(e, field)| Ok(cast_to(self.expression(e, &empty)?, field.data_type(), CastMode::Fail)))
                    .collect()
            })
            .collect::<Result<Vec<Vec<Expression>>>>()?;
        Ok(Relation::new(Node::Values { rows }, schema))
    }

    fn recursive(&mut self, query: &RecursiveQuery) -> Result<Relation> {
        let schema = query.schema.inner().clone();
        let initial = cast_columns(self.relation(&query.static_term)?, &schema);
        let step = cast_columns(self.relation(&query.recursive_term)?, &schema);
        let node = Node::Recursive {
            initial: Box::new(initial),
            step: Box::new(step),
            name: query.name.clone(),
            distinct: query.is_distinct,
        };
        Ok(Relation::new(node, schema))
    }

    fn unnest(&mut self, unnest: &LogicalUnnest) -> Result<Relation> {
        let input = self.relation(&unnest.input)?;
        let mut outputs: Vec<UnnestOutput> = Vec::with_capacity(unnest.dependency_indices.len());
        let mut previous = None;
        let mut ordinal = 0;
        // Outputs of one input column are neighbours: the n-th of them is its n-th list depth or its n-th field.
        for &column in &unnest.dependency_indices {
            ordinal = if previous == Some(column) { ordinal + 1 } else { 0 };
            previous = Some(column);
            let list = unnest.list_type_columns.iter().filter(|(index, _)| *index == column).nth(ordinal);
            outputs.push(match list {
                Some((_, list)) => UnnestOutput::List { column, depth: list.depth },
                None if unnest.struct_type_columns.contains(&column) => {
                    UnnestOutput::StructField { column, field: ordinal }
                }
                None => UnnestOutput::Keep(column),
            });
        }
        let node = Node::Unnest {
            input: Box::new(input),
            unnest: Unnest { outputs, preserve_nulls: unnest.options.preserve_nulls() },
        };
        Ok(Relation::new(node, unnest.schema.inner().clone()))
    }
}

fn join_kind(kind: JoinType) -> JoinKind {
    match kind {
        JoinType::Inner => JoinKind::Inner,
        JoinType::Left => JoinKind::Left,
        JoinType::Right => JoinKind::Right,
        JoinType::Full => JoinKind::Full,
        JoinType::LeftSemi => JoinKind::LeftSemi,
        JoinType::RightSemi => JoinKind::RightSemi,
        JoinType::LeftAnti => JoinKind::LeftAnti,
        JoinType::RightAnti => JoinKind::RightAnti,
        JoinType::LeftMark => JoinKind::LeftMark,
        JoinType::RightMark => JoinKind::RightMark,
    }
}

/// The relation with columns of the types of `schema`, and that schema.
fn cast_columns(relation: Relation, schema: &SchemaRef) -> Relation {
    if types(&relation.schema).eq(types(schema)) {
        return relation.with_schema(schema.clone());
    }
    let casts = relation.columns().into_iter().zip(schema.fields());
    let expressions = casts.map(|(column, field)| cast_to(column, field.data_type(), CastMode::Fail)).collect();
    Relation::new(Node::Project { input: Box::new(relation), expressions }, schema.clone())
}

/// Whether a relation is known to give at most `rows` rows.
fn gives_at_most(relation: &Relation, rows: usize) -> bool {
    match &relation.node {
        Node::Sort { fetch: Some(fetch), .. } | Node::Limit { fetch: Some(fetch), .. } => *fetch <= rows,
        Node::Values { rows: values } => values.len() <= rows,
        Node::Empty { .. } => rows > 0,
        Node::Project { input, .. } | Node::Window { input, .. } | Node::Filter { input, .. } => {
            gives_at_most(input, rows)
        }
        _ => false,
    }
}
