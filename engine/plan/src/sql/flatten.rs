//! Correlated sub-queries of any form, as joins.
//!
//! A sub-query that reads columns of the query around it is run for all their values at once: whatever in it reads them is joined with
//! the relation of their distinct values and carries these along, so that its output tells to which values each row belongs. Aggregates
//! group by them, windows and limits work within them, and totals of no rows are made up. The outer query's rows then find theirs by an
//! equality of which nulls are equal. (T. Neumann, A. Kemper: Unnesting Arbitrary Queries, BTW 2015.)
//!
//! The planner library pulls conditions out of sub-queries instead. That reads less, and stays for the forms of which it is right:
//! [`is_plain`].

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::alias::AliasGenerator;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{
    Column, DFSchema, DataFusionError, JoinConstraint, JoinType, NullEquality, ScalarValue, TableReference,
    internal_datafusion_err,
};
use datafusion_expr::expr::Sort as SortKey;
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::logical_plan::{FetchType, SkipType};
use datafusion_expr::utils::conjunction;
use datafusion_expr::{
    Aggregate, Distinct, Expr, ExprFunctionExt, ExprSchemable, Filter, Join, Limit, LogicalPlan, LogicalPlanBuilder,
    Operator, Projection, Sort, SubqueryAlias, Union, Window, binary_expr, lit, when,
};
use datafusion_optimizer::decorrelate::PullUpCorrelatedExpr;

use super::subquery::subquery_of;
use crate::function::Registry;

type Result<T> = std::result::Result<T, DataFusionError>;

/// What a sub-query is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Its one value.
    Value,
    /// Whether it has rows.
    Rows,
    /// Whether a value is among its rows.
    Members,
}

/// Whether the library's rules turn a sub-query of a query with this schema into a join, and rightly so.
pub(super) fn is_plain(plan: &LogicalPlan, usage: Use, schema: &DFSchema) -> Result<bool> {
    let outer = outer_columns(plan)?;
    if outer.is_empty() {
        return Ok(true);
    }
    if !outer.iter().all(|c| schema.has_column(c)) || !has_plain_nodes(plan, usage)? {
        return Ok(false);
    }
    let mut pull_up = PullUpCorrelatedExpr::new()
        .with_need_handle_count_bug(usage == Use::Value)
        .with_exists_sub_query(usage == Use::Rows);
    let is_pulled = plan.clone().rewrite(&mut pull_up).is_ok() && pull_up.can_pull_up;
    Ok(is_pulled && has_distinct_names(&pull_up.join_filters, &outer, plan.schema()))
}

/// Whether the columns that conditions read are told apart by their names alone, from each other and from the sub-query's output: above its alias the library knows
/// them by nothing else, and takes the first of that name.
fn has_distinct_names(conditions: &[Expr], outer: &[Column], output: &DFSchema) -> bool {
    let read: HashSet<&Column> = conditions.iter().flat_map(Expr::column_refs).filter(|c| !outer.contains(c)).collect();
    let names: HashSet<&str> = read.iter().map(|c| c.name.as_str()).collect();
    let is_output =
        |c: &Column| output.iter().all(|(relation, field)| *field.name() != c.name || relation == c.relation.as_ref());
    names.len() == read.len() && read.into_iter().all(is_output)
}

/// Whether conditions are all that is correlated, and everything above them lets them pass.
fn has_plain_nodes(plan: &LogicalPlan, usage: Use) -> Result<bool> {
    if outer_columns(plan)?.is_empty() {
        return Ok(true);
    }
    let own_is_free = || plan.expressions().iter().all(|e| !e.contains_outer() && !reads_nested(e, plan));
    match plan {
        LogicalPlan::Filter(filter) => {
            // A condition on a total decides about a row that is there even when no row meets the conditions below.
            let is_having = usage == Use::Value && reaches_aggregate(&filter.input);
            Ok(!is_having && !reads_nested(&filter.predicate, plan) && has_plain_nodes(&filter.input, usage)?)
        }
        LogicalPlan::Projection(Projection { input, .. })
        | LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. })
        | LogicalPlan::Distinct(Distinct::All(input)) => Ok(own_is_free() && has_plain_nodes(input, usage)?),
        // Of totals the library knows what they are of no rows where they are the value; below that nothing is left to others.
        LogicalPlan::Aggregate(aggregate) => Ok(usage == Use::Value
            && aggregate.group_expr.is_empty()
            && own_is_free()
            && has_plain_nodes(&aggregate.input, Use::Members)?),
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
            Ok(own_is_free() && has_plain_nodes(&join.left, usage)? && has_plain_nodes(&join.right, usage)?)
        }
        LogicalPlan::Limit(limit) if usage == Use::Rows => {
            let keeps_a_row = matches!(limit.get_skip_type()?, SkipType::Literal(0))
                && matches!(limit.get_fetch_type()?, FetchType::Literal(None | Some(1..)));
            Ok(keeps_a_row && has_plain_nodes(&limit.input, usage)?)
        }
        _ => Ok(false),
    }
}

fn reaches_aggregate(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(_) => true,
        LogicalPlan::Projection(Projection { input, .. })
        | LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. })
        | LogicalPlan::Filter(Filter { input, .. }) => reaches_aggregate(input),
        _ => false,
    }
}

/// Whether a sub-query in an expression of `node` reads columns from further out than the node's inputs.
fn reads_nested(expression: &Expr, node: &LogicalPlan) -> bool {
    nested_columns(expression, node).map(|columns| !columns.is_empty()).unwrap_or(true)
}

/// Columns of queries around it that a plan reads.
pub(super) fn outer_columns(plan: &LogicalPlan) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    plan.apply(|node| {
        node.apply_expressions(|expression| {
            columns.extend(nested_columns(expression, node)?);
            expression.apply(|e| {
                if let Expr::OuterReferenceColumn(_, column) = e {
                    columns.push(column.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    let mut seen = HashSet::new();
    columns.retain(|c| seen.insert(c.clone()));
    Ok(columns)
}

/// Columns that the sub-queries in an expression of `node` read from further out than the node's inputs.
fn nested_columns(expression: &Expr, node: &LogicalPlan) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    expression.apply(|e| {
        if let Some(subquery) = subquery_of(e) {
            let read = outer_columns(&subquery.subquery)?.into_iter();
            columns.extend(read.filter(|c| !node.inputs().iter().any(|input| input.schema().has_column(c))));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(columns)
}

/// A part of a sub-query for all values of what it reads outside: its own columns, then these values.
struct Flat {
    plan: LogicalPlan,
    values: Vec<Column>,
}

/// A sub-query's correlation with the relation that its outer query reads.
pub(super) struct Correlation<'a> {
    functions: &'a Registry,
    aliases: &'a AliasGenerator,
    /// The outer columns that the sub-query reads.
    columns: Vec<Column>,
    /// Their distinct values, under `names`.
    distinct: LogicalPlan,
    names: Vec<String>,
}

impl<'a> Correlation<'a> {
    /// The correlation of `subquery` with `outer`; `None` when there is none.
    pub(super) fn new(
        outer: &LogicalPlan,
        subquery: &LogicalPlan,
        functions: &'a Registry,
        aliases: &'a AliasGenerator,
    ) -> Result<Option<Self>> {
        let mut columns = outer_columns(subquery)?;
        columns.retain(|c| outer.schema().has_column(c));
        if columns.is_empty() {
            return Ok(None);
        }
        let prefix = aliases.next("__outer");
        let names: Vec<String> = (0..columns.len()).map(|i| format!("{prefix}_{i}")).collect();
        let values = columns.iter().zip(&names).map(|(c, name)| Expr::from(c.clone()).alias(name));
        let values = Projection::try_new(values.collect(), Arc::new(outer.clone()))?;
        let distinct = LogicalPlanBuilder::from(LogicalPlan::Projection(values)).distinct()?.build()?;
        Ok(Some(Correlation { functions, aliases, columns, distinct, names }))
    }

    /// `outer` joined with the sub-query's rows: `kind` is inner, left, left semi, left anti or left mark. Of the sub-query's columns there
    /// are those that `output` names anew, as columns of `alias`; `condition` may read them.
    pub(super) fn join(
        &self,
        outer: LogicalPlan,
        subquery: &LogicalPlan,
        alias: &TableReference,
        output: &[&str],
        kind: JoinType,
        condition: Option<Expr>,
    ) -> Result<LogicalPlan> {
        let flat = self.flatten(subquery)?;
        let named = subquery.schema().columns().into_iter().zip(output).map(|(c, name)| Expr::from(c).alias(*name));
        let list = named.chain(flat.values.iter().cloned().map(Expr::from)).collect();
        let rows = LogicalPlan::Projection(Projection::try_new(list, flat.plan.into())?);
        let rows = LogicalPlanBuilder::from(rows).alias(alias.clone())?.build()?;
        let values = flat.values.iter().map(|v| Expr::from(Column::new(Some(alias.clone()), &v.name)));
        let on = self.columns.iter().cloned().map(Expr::from).zip(values).collect();
        join_null_safe(outer, rows, on, condition, kind)
    }

    /// The distinct values under an alias of their own.
    fn values(&self) -> Result<Flat> {
        let alias = self.aliases.next("__values");
        let plan = LogicalPlanBuilder::from(self.distinct.clone()).alias(&alias)?.build()?;
        let values = self.names.iter().map(|name| Column::new(Some(alias.as_str()), name)).collect();
        Ok(Flat { plan, values })
    }

    fn is_bound(&self, plan: &LogicalPlan) -> Result<bool> {
        Ok(outer_columns(plan)?.iter().any(|c| self.columns.contains(c)))
    }

    fn flatten(&self, plan: &LogicalPlan) -> Result<Flat> {
        if !self.is_bound(plan)? {
            return self.beside_values(plan);
        }
        match plan {
            LogicalPlan::Filter(filter) => {
                let input = self.flatten(&filter.input)?;
                let predicate = self.bind(filter.predicate.clone(), &input.values)?;
                let plan = LogicalPlan::Filter(Filter::try_new(predicate, input.plan.into())?);
                Ok(Flat { plan, values: input.values })
            }
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::SubqueryAlias(alias) => {
                let input = self.flatten(&alias.input)?;
                let plan = LogicalPlanBuilder::from(input.plan).alias(alias.alias.clone())?.build()?;
                let values = input.values.iter().map(|v| Column::new(Some(alias.alias.clone()), &v.name));
                Ok(Flat { plan, values: values.collect() })
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let input = self.flatten(input)?;
                Ok(Flat { plan: LogicalPlanBuilder::from(input.plan).distinct()?.build()?, values: input.values })
            }
            LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => self.total(aggregate),
            LogicalPlan::Aggregate(aggregate) => self.groups(aggregate),
            LogicalPlan::Window(window) => self.window(window),
            LogicalPlan::Sort(Sort { input, fetch: None, .. }) => self.flatten(input),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Join(join) => self.inner_join(join),
            LogicalPlan::Union(union) => self.union(union),
            other => refused(&other.display().to_string()),
        }
    }

    /// Every row of a part that reads nothing outside, for every value.
    fn beside_values(&self, plan: &LogicalPlan) -> Result<Flat> {
        let values = self.values()?;
        if matches!(plan, LogicalPlan::EmptyRelation(empty) if empty.produce_one_row && empty.schema.fields().is_empty())
        {
            return Ok(values);
        }
        let plan = LogicalPlanBuilder::from(plan.clone()).cross_join(values.plan)?.build()?;
        Ok(Flat { plan, values: values.values })
    }

    /// The expression with the values in place of the outer columns.
    fn bind(&self, expression: Expr, values: &[Column]) -> Result<Expr> {
        let bound = expression.transform(|e| {
            let Expr::OuterReferenceColumn(field, column) = &e else { return Ok(Transformed::no(e)) };
            let Some(place) = self.columns.iter().position(|c| c == column) else { return Ok(Transformed::no(e)) };
            // A union may have got another type since the sub-query was made for that of its first input.
            match self.distinct.schema().field(place).data_type() == field.data_type() {
                true => Ok(Transformed::yes(Expr::from(values[place].clone()))),
                false => refused("a column of a union of several types"),
            }
        })?;
        let nested = bound.data.exists(|e| match subquery_of(e) {
            Some(subquery) => self.is_bound(&subquery.subquery),
            None => Ok(false),
        })?;
        if nested { refused("a sub-query of a sub-query") } else { Ok(bound.data) }
    }

    /// As [`Self::bind`], under the name that the expression had.
    fn bind_named(&self, expression: &Expr, values: &[Column]) -> Result<Expr> {
        let name = NamePreserver::new_for_projection().save(expression);
        Ok(name.restore(self.bind(expression.clone(), values)?))
    }

    fn projection(&self, projection: &Projection) -> Result<Flat> {
        let input = self.flatten(&projection.input)?;
        let bound = projection.expr.iter().map(|e| self.bind_named(e, &input.values));
        let carried = input.values.iter().map(|v| Ok(Expr::from(v.clone())));
        let list = bound.chain(carried).collect::<Result<Vec<_>>>()?;
        let plan = LogicalPlan::Projection(Projection::try_new(list, input.plan.into())?);
        Ok(Flat { plan, values: input.values })
    }

    fn grouped(&self, aggregate: &Aggregate) -> Result<Flat> {
        // By the standard it is the outer query that such an aggregate belongs to.
        if aggregate.aggr_expr.iter().any(|e| e.contains_outer() && e.column_refs().is_empty()) {
            return refused("an aggregate of outer columns only");
        }
        let input = self.flatten(&aggregate.input)?;
        let named = |list: &[Expr]| list.iter().map(|e| self.bind_named(e, &input.values)).collect::<Result<Vec<_>>>();
        let mut keys = named(&aggregate.group_expr)?;
        keys.extend(input.values.iter().cloned().map(Expr::from));
        let aggregates = named(&aggregate.aggr_expr)?;
        let plan = LogicalPlan::Aggregate(Aggregate::try_new(input.plan.into(), keys, aggregates)?);
        Ok(Flat { plan, values: input.values })
    }

    fn groups(&self, aggregate: &Aggregate) -> Result<Flat> {
        if let [Expr::GroupingSet(_)] = &aggregate.group_expr[..] {
            return refused("grouping sets");
        }
        let Flat { plan, values } = self.grouped(aggregate)?;
        // Keys, values, aggregates: back into the order of columns that was.
        let columns = aggregate.schema.columns().into_iter().chain(values.iter().cloned());
        let plan = LogicalPlanBuilder::from(plan).project(columns.map(Expr::from))?.build()?;
        Ok(Flat { plan, values })
    }

    /// One row for every value, also for those that no row goes with.
    fn total(&self, aggregate: &Aggregate) -> Result<Flat> {
        let Flat { plan: totals, values: keys } = self.grouped(aggregate)?;
        let marker = Column::from_name(self.aliases.next("__has_rows"));
        let columns = aggregate.schema.columns();
        let list = columns.iter().chain(&keys).cloned().map(Expr::from);
        let list = list.chain([lit(true).alias(&marker.name)]).collect();
        let totals = LogicalPlan::Projection(Projection::try_new(list, totals.into())?);
        let all = self.values()?;
        let pairs = |(a, b): (&Column, &Column)| (Expr::from(a.clone()), Expr::from(b.clone()));
        let on = all.values.iter().zip(&keys).map(pairs).collect();
        let joined = join_null_safe(all.plan, totals, on, None, JoinType::Left)?;
        let mut list = Vec::new();
        for (column, call) in columns.into_iter().zip(&aggregate.aggr_expr) {
            let value = Expr::from(column.clone());
            let of_none = of_no_rows(call, aggregate.input.schema())?;
            list.push(match of_none.is_null() {
                true => value,
                false => when(Expr::from(marker.clone()).is_null(), lit(of_none))
                    .otherwise(value)?
                    .alias_qualified(column.relation, column.name),
            });
        }
        list.extend(all.values.iter().cloned().map(Expr::from));
        let plan = LogicalPlan::Projection(Projection::try_new(list, joined.into())?);
        Ok(Flat { plan, values: all.values })
    }

    fn window(&self, window: &Window) -> Result<Flat> {
        let input = self.flatten(&window.input)?;
        let mut calls = Vec::new();
        for call in &window.window_expr {
            let name = NamePreserver::new_for_projection().save(call);
            let within = self.bind(call.clone(), &input.values)?.transform(|mut e| {
                let Expr::WindowFunction(function) = &mut e else { return Ok(Transformed::no(e)) };
                function.params.partition_by.extend(input.values.iter().cloned().map(Expr::from));
                Ok(Transformed::yes(e))
            })?;
            calls.push(name.restore(within.data));
        }
        let plan = LogicalPlan::Window(Window::try_new(calls, input.plan.into())?);
        self.in_order(plan, window.schema.columns(), input.values)
    }

    /// The columns that were, then the values.
    fn in_order(&self, plan: LogicalPlan, columns: Vec<Column>, values: Vec<Column>) -> Result<Flat> {
        let list = columns.into_iter().chain(values.iter().cloned()).map(Expr::from).collect();
        Ok(Flat { plan: LogicalPlan::Projection(Projection::try_new(list, plan.into())?), values })
    }

    /// The first rows of each value, by their number in the order of the sort below.
    fn limit(&self, limit: &Limit) -> Result<Flat> {
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) = (limit.get_skip_type()?, limit.get_fetch_type()?)
        else {
            return refused("LIMIT that is not a constant");
        };
        let (keys, input) = match limit.input.as_ref() {
            // What a select list makes of each row does not matter to which rows are first.
            LogicalPlan::Projection(list) => {
                let below = Limit { input: list.input.clone(), ..limit.clone() };
                return self.projection(&Projection::try_new(list.expr.clone(), LogicalPlan::Limit(below).into())?);
            }
            LogicalPlan::Sort(sort) => (sort.expr.clone(), self.flatten(&sort.input)?),
            other => (Vec::new(), self.flatten(other)?),
        };
        let keys = keys
            .into_iter()
            .map(|key| Ok(SortKey { expr: self.bind(key.expr, &input.values)?, ..key }))
            .collect::<Result<Vec<_>>>()?;
        let row_number =
            self.functions.window("row_number").ok_or_else(|| internal_datafusion_err!("no row_number"))?;
        let number = row_number.call(Vec::new());
        let number = number.partition_by(input.values.iter().cloned().map(Expr::from).collect()).order_by(keys);
        let name = self.aliases.next("__number");
        let numbered = Window::try_new(vec![number.build()?.alias(&name)], input.plan.into())?;
        let number = Expr::from(Column::from_name(name));
        let last = fetch.map(|fetch| number.clone().lt_eq(lit((skip + fetch) as u64)));
        let first = (skip > 0).then(|| number.gt(lit(skip as u64)));
        let kept = conjunction(first.into_iter().chain(last)).unwrap_or_else(|| lit(true));
        let kept = LogicalPlan::Filter(Filter::try_new(kept, LogicalPlan::Window(numbered).into())?);
        self.in_order(kept, limit.input.schema().columns(), input.values)
    }

    /// A join inside of the sub-query: sides that read nothing outside stay as they are when the other side brings the values.
    fn inner_join(&self, join: &Join) -> Result<Flat> {
        use JoinType::*;
        let (left_bound, right_bound) = (self.is_bound(&join.left)?, self.is_bound(&join.right)?);
        let (needs_left, needs_right) = match join.join_type {
            Inner => (left_bound || !right_bound, right_bound),
            Left | LeftSemi | LeftAnti | LeftMark => (true, right_bound),
            Right | RightSemi | RightAnti | RightMark => (left_bound, true),
            Full => return refused("a FULL JOIN"),
        };
        if join.null_aware {
            return refused("NOT IN");
        }
        let side = |plan: &Arc<LogicalPlan>, needed: bool| match needed {
            true => self.flatten(plan).map(|flat| (flat.plan, flat.values)),
            false => Ok((plan.as_ref().clone(), Vec::new())),
        };
        let (left, left_values) = side(&join.left, needs_left)?;
        let (right, right_values) = side(&join.right, needs_right)?;
        let kept = match join.join_type {
            Right | RightSemi | RightAnti | RightMark => &right_values,
            _ if needs_left => &left_values,
            _ => &right_values,
        };
        let kept = kept.clone();
        let bind_key = |key: &Expr| self.bind(key.clone(), &kept);
        let on = join.on.iter().map(|(l, r)| Ok((bind_key(l)?, bind_key(r)?))).collect::<Result<Vec<_>>>()?;
        let same = left_values.iter().zip(&right_values).map(|(l, r)| {
            let (l, r) = (Expr::from(l.clone()), Expr::from(r.clone()));
            Ok(binary_expr(l, Operator::IsNotDistinctFrom, r))
        });
        let condition = join.filter.clone().map(|f| self.bind(f, &kept));
        let condition = conjunction(condition.into_iter().chain(same).collect::<Result<Vec<_>>>()?);
        let joined = Join::try_new(
            left.into(),
            right.into(),
            on,
            condition,
            join.join_type,
            JoinConstraint::On,
            join.null_equality,
            false,
        )?;
        self.in_order(LogicalPlan::Join(joined), join.schema.columns(), kept)
    }

    fn union(&self, union: &Union) -> Result<Flat> {
        let inputs = union.inputs.iter().map(|input| {
            let flat = self.flatten(input)?;
            let values = flat.values.iter().zip(&self.names).map(|(v, name)| Expr::from(v.clone()).alias(name));
            let columns = input.schema().columns().into_iter().map(Expr::from);
            let list = columns.chain(values).collect();
            Ok(Arc::new(LogicalPlan::Projection(Projection::try_new(list, flat.plan.into())?)))
        });
        let plan = LogicalPlan::Union(Union::try_new_with_loose_types(inputs.collect::<Result<Vec<_>>>()?)?);
        // The columns under the names that they have above.
        let named = plan.schema().columns().into_iter().zip(union.schema.columns());
        let named = named.map(|(from, to)| Expr::from(from).alias_qualified(to.relation, to.name));
        let values: Vec<Column> = self.names.iter().map(Column::from_name).collect();
        let list = named.chain(values.iter().cloned().map(Expr::from)).collect();
        Ok(Flat { plan: LogicalPlan::Projection(Projection::try_new(list, plan.into())?), values })
    }
}

/// The result of an aggregate call over no rows.
fn of_no_rows(call: &Expr, schema: &DFSchema) -> Result<ScalarValue> {
    match call.clone().unalias() {
        Expr::AggregateFunction(function) => {
            let data_type = call.get_type(schema)?;
            function.func.default_value(&data_type)
        }
        _ => refused("an aggregate in a form of its own"),
    }
}

fn join_null_safe(
    left: LogicalPlan,
    right: LogicalPlan,
    on: Vec<(Expr, Expr)>,
    filter: Option<Expr>,
    kind: JoinType,
) -> Result<LogicalPlan> {
    Ok(LogicalPlan::Join(Join::try_new(
        left.into(),
        right.into(),
        on,
        filter,
        kind,
        JoinConstraint::On,
        NullEquality::NullEqualsNull,
        false,
    )?))
}

fn refused<T>(what: &str) -> Result<T> {
    Err(DataFusionError::NotImplemented(format!("a correlated sub-query with {what}")))
}
