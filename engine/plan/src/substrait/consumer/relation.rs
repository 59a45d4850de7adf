//! Relations of one input: filter, project, sort, fetch, exchange; and what all relations have in common.

use arrow::datatypes::{DataType, SchemaRef};
use plasmon_core::batch::Batch;
use plasmon_core::expression::{CastMode, Expression, Kind, Scalar, SortKey, evaluate};
use plasmon_core::{Error, Result};
use substrait_prost as proto;
use substrait_prost::exchange_rel::ExchangeKind;
use substrait_prost::rel::RelType;
use substrait_prost::rel_common::EmitKind;
use substrait_prost::sort_field::{SortDirection, SortKind};

use super::{Consumer, plain, project};
use crate::ir::{Node, Relation, conjuncts};
use crate::path::Path;
use crate::sql::cast_to;

type Extension = Option<proto::extensions::AdvancedExtension>;

impl<'a> Consumer<'a> {
    /// The IR of a relation and all below it.
    pub(super) fn relation(&mut self, relation: &'a proto::Rel, at: &Path<'_>) -> Result<Relation> {
        self.enter(at)?;
        // Window calls and marks belong to the relation whose expressions are being read, not to those below it.
        let (windows, marks, outer_width) = (self.windows.take(), self.marks.take(), self.outer_width.take());
        let converted = self.converted(relation, at).map_err(|e| at.locate(e));
        (self.windows, self.marks, self.outer_width) = (windows, marks, outer_width);
        self.leave();
        let converted = converted?;
        self.spend(converted.schema.fields().len(), at)?;
        Ok(converted)
    }

    fn converted(&mut self, relation: &'a proto::Rel, at: &Path<'_>) -> Result<Relation> {
        let Some(kind) = &relation.rel_type else { return Err(at.wrong("an empty relation")) };
        match kind {
            RelType::Read(read) => {
                let relation = self.read(read, at)?;
                emit(relation, &read.common, &read.advanced_extension, at)
            }
            RelType::Filter(filter) => {
                let input = self.required(filter.input.as_deref(), &at.field("input"))?;
                let Some(condition) = &filter.condition else { return Err(at.wrong("a filter without a condition")) };
                let filtered = self.filter(input, condition, &at.field("condition"))?;
                emit(filtered, &filter.common, &filter.advanced_extension, at)
            }
            RelType::Project(project) => self.project(project, at),
            RelType::Sort(sort) => {
                let input = self.required(sort.input.as_deref(), &at.field("input"))?;
                let sorted = self.sort(input, &sort.sorts, at)?;
                emit(sorted, &sort.common, &sort.advanced_extension, at)
            }
            RelType::Fetch(fetch) => {
                let input = self.required(fetch.input.as_deref(), &at.field("input"))?;
                let offset = self.count(fetch.offset_expr.as_deref(), &at.field("offset_expr"))?.unwrap_or(0);
                let count = self.count(fetch.count_expr.as_deref(), &at.field("count_expr"))?;
                emit(limited(input, offset, count), &fetch.common, &fetch.advanced_extension, at)
            }
            RelType::TopN(top) => {
                if top.mode() == proto::FetchMode::WithTies {
                    return Err(at.refuse("a top-N with ties"));
                }
                let input = self.required(top.input.as_deref(), &at.field("input"))?;
                let sorted = self.sort(input, &top.sorts, at)?;
                let offset = self.count(top.offset.as_deref(), &at.field("offset"))?.unwrap_or(0);
                let count = self.count(top.count.as_deref(), &at.field("count"))?;
                emit(limited(sorted, offset, count), &top.common, &top.advanced_extension, at)
            }
            RelType::Join(join) => self.join(join, at),
            RelType::HashJoin(join) => self.hash_join(join, at),
            RelType::MergeJoin(join) => self.merge_join(join, at),
            RelType::NestedLoopJoin(join) => self.nested_loop_join(join, at),
            RelType::Cross(cross) => self.cross(cross, at),
            RelType::Aggregate(aggregate) => self.aggregate(aggregate, at),
            RelType::Set(set) => self.set(set, at),
            RelType::Window(window) => self.window_relation(window, at),
            RelType::Exchange(exchange) => self.exchange(exchange, at),
            RelType::Reference(reference) => self.shared(reference.subtree_ordinal, at),
            RelType::DetachedRelOrdinal(ordinal) => {
                let detached = self.plan.relations.get(self.current).map_or(&[][..], |r| &r.detached_rels[..]);
                match detached.get(*ordinal as usize) {
                    Some(relation) => self.relation(relation, at),
                    None => Err(at.wrong(format!("there is no detached relation {ordinal}"))),
                }
            }
            other => Err(at.refuse(format!("relation {}", relation_name(other)))),
        }
    }

    /// Rows for which the condition holds; IN and EXISTS in a conjunction become joins.
    pub(super) fn filter(
        &mut self,
        input: Relation,
        condition: &'a proto::Expression,
        at: &Path<'_>,
    ) -> Result<Relation> {
        let mut relation = input;
        let mut predicates = Vec::new();
        for conjunct in self.conjuncts(condition) {
            relation = match self.membership(relation, conjunct, at)? {
                Ok(joined) => joined,
                Err(relation) => {
                    predicates.push(conjunct);
                    relation
                }
            };
        }
        if predicates.is_empty() {
            return Ok(relation);
        }
        let width = relation.schema.fields().len();
        self.marks = Some(Default::default());
        let schema = relation.schema.clone();
        let converted = predicates.into_iter().map(|p| self.predicate(p, &schema, at)).collect::<Result<Vec<_>>>();
        let marks = self.marks.take();
        let predicate = Expression::and(converted?.into_iter().flat_map(conjuncts).collect());
        let marked = self.with_marks(relation, marks);
        Ok(marked.filter(predicate).project_columns(0..width))
    }

    /// A boolean expression over rows of `schema`.
    pub(super) fn predicate(
        &mut self,
        condition: &'a proto::Expression,
        schema: &SchemaRef,
        at: &Path<'_>,
    ) -> Result<Expression> {
        let predicate = self.expression(condition, schema, at)?;
        match predicate.data_type {
            DataType::Boolean => Ok(predicate),
            DataType::Null => Ok(Expression { data_type: DataType::Boolean, ..predicate }),
            other => Err(at.wrong(format!("a condition of type {other}"))),
        }
    }

    fn project(&mut self, rel: &'a proto::ProjectRel, at: &Path<'_>) -> Result<Relation> {
        let input = self.required(rel.input.as_deref(), &at.field("input"))?;
        let width = input.schema.fields().len();
        let schema = input.schema.clone();
        self.windows = Some(super::window::Calls::new(width));
        self.marks = Some(Default::default());
        let expressions: Result<Vec<_>> = rel
            .expressions
            .iter()
            .enumerate()
            .map(|(i, e)| self.expression(e, &schema, &at.item("expressions", i)))
            .collect();
        let (windows, marks) = (self.windows.take(), self.marks.take());
        let expressions = expressions?;
        plain(&rel.advanced_extension, at)?;
        let has_marks = marks.as_ref().is_some_and(|m| !m.joins.is_empty());
        let windowed = windows.map_or_else(|| Ok(input.clone()), |calls| calls.over(input.clone()))?;
        if has_marks && windowed.schema.fields().len() > width {
            return Err(at.refuse("IN (sub-query) beside window functions in one projection"));
        }
        let base = self.with_marks(windowed, marks);
        let mut outputs = output_mapping(&rel.common, width + expressions.len(), at)?;
        if self.habits.projections_replace && outputs.len() == width + expressions.len() {
            outputs = outputs.split_off(width);
        }
        let chosen = outputs.into_iter().map(|o| match o.checked_sub(width) {
            None => Expression::column(o, schema.field(o).data_type().clone()),
            Some(computed) => expressions[computed].clone(),
        });
        let chosen: Vec<Expression> = chosen.collect();
        Ok(project(base, chosen))
    }

    pub(super) fn sort(&mut self, input: Relation, sorts: &'a [proto::SortField], at: &Path<'_>) -> Result<Relation> {
        let keys = self.sort_keys(sorts, &input.schema, at)?;
        if keys.is_empty() {
            return Ok(input);
        }
        let schema = input.schema.clone();
        Ok(Relation::new(Node::Sort { input: Box::new(input), keys, offset: 0, fetch: None, threshold: None }, schema))
    }

    /// Sort keys over rows of `schema`.
    pub(super) fn sort_keys(
        &mut self,
        sorts: &'a [proto::SortField],
        schema: &SchemaRef,
        at: &Path<'_>,
    ) -> Result<Vec<SortKey>> {
        let mut keys = Vec::with_capacity(sorts.len());
        for (index, sort) in sorts.iter().enumerate() {
            let at = at.item("sorts", index);
            let Some(expression) = &sort.expr else { return Err(at.wrong("a sort without an expression")) };
            let expression = self.expression(expression, schema, &at.field("expr"))?;
            let (descending, nulls_first) = direction(&sort.sort_kind, &at)?;
            keys.push(SortKey { expression, descending, nulls_first });
        }
        Ok(keys)
    }

    /// A number of rows: an expression without columns; null is none.
    fn count(&mut self, count: Option<&'a proto::Expression>, at: &Path<'_>) -> Result<Option<usize>> {
        let Some(count) = count else { return Ok(None) };
        let no_columns: SchemaRef = std::sync::Arc::new(arrow::datatypes::Schema::empty());
        let expression = self.expression(count, &no_columns, at)?;
        let expression = cast_to(expression, &DataType::Int64, CastMode::Fail);
        match constant(&expression).map_err(|e| at.locate(e))? {
            Scalar::Null => Ok(None),
            value => match value.as_i64().and_then(|v| usize::try_from(v).ok()) {
                Some(rows) => Ok(Some(rows)),
                None => Err(at.wrong(format!("{value:?} is no number of rows"))),
            },
        }
    }

    fn exchange(&mut self, exchange: &'a proto::ExchangeRel, at: &Path<'_>) -> Result<Relation> {
        let input = self.required(exchange.input.as_deref(), &at.field("input"))?;
        let schema = input.schema.clone();
        if !exchange.targets.is_empty() {
            return Err(at.field("targets").refuse("an exchange that sends rows away"));
        }
        let keys = match &exchange.exchange_kind {
            Some(ExchangeKind::ScatterByFields(scatter)) => {
                let fields = scatter.fields.iter().enumerate();
                fields.map(|(i, f)| self.selection(f, &schema, &at.item("fields", i))).collect::<Result<Vec<_>>>()?
            }
            Some(ExchangeKind::RoundRobin(_)) => Vec::new(),
            Some(ExchangeKind::Broadcast(_)) => return Err(at.refuse("a broadcast exchange")),
            Some(_) => return Err(at.refuse("an exchange by an expression that gives the partition")),
            None => return Err(at.wrong("an exchange of no kind")),
        };
        const PARTITIONS_MAX: usize = 1 << 16;
        let partitions = usize::try_from(exchange.partition_count).ok().filter(|&n| n > 0);
        if partitions.is_some_and(|n| n > PARTITIONS_MAX) {
            return Err(at.wrong(format!("an exchange of more than {PARTITIONS_MAX} partitions")));
        }
        let node = Node::Exchange { input: Box::new(input), keys, partitions, numbered: false };
        emit(Relation::new(node, schema), &exchange.common, &exchange.advanced_extension, at)
    }

    /// A sub-plan that others read too.
    fn shared(&mut self, ordinal: i32, at: &Path<'_>) -> Result<Relation> {
        let subtree = usize::try_from(ordinal).ok().filter(|&o| o < self.plan.relations.len());
        let Some(subtree) = subtree else {
            return Err(at.wrong(format!("there is no relation {ordinal} to refer to")));
        };
        let index = match self.references.get(&subtree) {
            Some(Some(index)) => *index,
            Some(None) => return Err(at.wrong(format!("relation {ordinal} refers to itself"))),
            None => {
                self.references.insert(subtree, None);
                let plan = self.plan;
                let relation = match &plan.relations[subtree].rel_type {
                    Some(proto::plan_rel::RelType::Rel(relation)) => relation,
                    _ => return Err(at.wrong(format!("relation {ordinal} is no sub-plan"))),
                };
                let outer = std::mem::replace(&mut self.current, subtree);
                let converted = self.relation(relation, at);
                self.current = outer;
                self.shared.push(converted?);
                self.references.insert(subtree, Some(self.shared.len() - 1));
                self.shared.len() - 1
            }
        };
        let schema = self.shared[index].schema.clone();
        Ok(Relation::new(Node::SharedScan { index }, schema))
    }
}

/// The value of an expression that reads no columns.
pub(super) fn constant(expression: &Expression) -> Result<Scalar> {
    let mut reads = false;
    expression.visit(&mut |e| reads |= matches!(e.kind, Kind::Column(_) | Kind::Parameter(_)));
    if reads {
        return Err(Error::unsupported("a number that depends on rows"));
    }
    Ok(Scalar::from_column(&evaluate(expression, &Batch::new(Vec::new(), 1))?, 0))
}

/// The relation cut; a sort below keeps no more rows than are wanted.
fn limited(input: Relation, offset: usize, fetch: Option<usize>) -> Relation {
    if offset == 0 && fetch.is_none() {
        return input;
    }
    let mut input = input;
    if let Node::Sort { offset: sort_offset @ 0, fetch: sort_fetch @ None, .. } = &mut input.node {
        (*sort_offset, *sort_fetch) = (offset, fetch);
        return input;
    }
    let schema = input.schema.clone();
    Relation::new(Node::Limit { input: Box::new(input), offset, fetch }, schema)
}

fn direction(kind: &Option<SortKind>, at: &Path<'_>) -> Result<(bool, bool)> {
    let Some(SortKind::Direction(direction)) = kind else {
        return Err(match kind {
            None => at.wrong("a sort without a direction"),
            Some(_) => at.refuse("a sort by a comparison function"),
        });
    };
    Ok(match SortDirection::try_from(*direction) {
        Ok(SortDirection::AscNullsFirst) => (false, true),
        Ok(SortDirection::AscNullsLast) => (false, false),
        Ok(SortDirection::DescNullsFirst) => (true, true),
        Ok(SortDirection::DescNullsLast) => (true, false),
        Ok(SortDirection::Clustered) => return Err(at.refuse("a clustered order")),
        _ => return Err(at.wrong(format!("sort direction {direction}"))),
    })
}

/// The columns that a relation gives, of the `width` that its kind gives directly.
pub(super) fn output_mapping(common: &Option<proto::RelCommon>, width: usize, at: &Path<'_>) -> Result<Vec<usize>> {
    let extension = common.as_ref().and_then(|c| c.advanced_extension.clone());
    plain(&extension, &at.field("common"))?;
    match common.as_ref().and_then(|c| c.emit_kind.as_ref()) {
        Some(EmitKind::Emit(emit)) => {
            let common = at.field("common");
            let at = common.field("emit");
            let columns = emit.output_mapping.iter().map(|&o| {
                let column = usize::try_from(o).ok().filter(|&o| o < width);
                column.ok_or_else(|| at.wrong(format!("column {o} of {width}")))
            });
            columns.collect()
        }
        _ => Ok((0..width).collect()),
    }
}

/// The relation's columns as its common part wants them.
pub(super) fn emit(
    relation: Relation,
    common: &Option<proto::RelCommon>,
    extension: &Extension,
    at: &Path<'_>,
) -> Result<Relation> {
    plain(extension, at)?;
    let columns = output_mapping(common, relation.schema.fields().len(), at)?;
    Ok(relation.project_columns(columns))
}

fn relation_name(kind: &RelType) -> &'static str {
    match kind {
        RelType::LateralJoin(_) => "lateral_join",
        RelType::ExtensionSingle(_) | RelType::ExtensionMulti(_) | RelType::ExtensionLeaf(_) => "of an extension",
        RelType::Write(_) => "write",
        RelType::Ddl(_) => "ddl",
        RelType::Update(_) => "update",
        RelType::Expand(_) => "expand",
        _ => "of an unknown kind",
    }
}
