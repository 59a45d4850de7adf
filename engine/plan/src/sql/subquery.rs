//! Sub-queries in places where the planner library leaves them: select lists, aggregates, windows, sort keys, join conditions, and under
//! OR or NOT with SQL's three truth values.
//!
//! - `x IN (S)` under anything but AND at the top of a WHERE becomes `CASE WHEN EXISTS (S with x = y) THEN true WHEN (x is null and S
//!   has rows, or S has a null) THEN null ELSE false END`.
//! - An uncorrelated EXISTS becomes a scalar sub-query that counts one row.
//! - A correlated EXISTS becomes the mark of a mark join below its node.
//! - Correlated sub-queries that the library would refuse or get wrong, and what LATERAL joins, are flattened ([`super::flatten`]).

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{
    Column, DFSchema, DFSchemaRef, DataFusionError, ExprSchema, JoinType, ScalarValue, TableReference,
    internal_datafusion_err, internal_err,
};
use datafusion_expr::expr::{Exists, InSubquery};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::{conjunction, merge_schema, split_conjunction_owned};
use datafusion_expr::{
    Case, Expr, ExprSchemable, Filter, Join, LogicalPlan, LogicalPlanBuilder, Projection, Sort, Subquery, lit,
};
use datafusion_optimizer::decorrelate_predicate_subquery::DecorrelatePredicateSubquery;
use datafusion_optimizer::{OptimizerConfig, OptimizerRule};

use super::flatten::{Correlation, Use, is_plain, outer_columns};
use crate::function::Registry;

/// The name of the value that a flattened sub-query gives.
const VALUE: &str = "value";

type Result<T> = std::result::Result<T, DataFusionError>;

/// Before analysis, which refuses sub-queries there: sort keys with sub-queries become columns of a projection below the sort.
pub(super) fn out_of_sort_keys(plan: LogicalPlan) -> Result<LogicalPlan> {
    let moved = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Sort(sort) if sort.expr.iter().any(|key| holds_subquery(&key.expr)) => {
            Ok(Transformed::yes(sort_by_columns(sort)?))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(moved.data)
}

fn sort_by_columns(sort: Sort) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = sort.input.schema().columns().into_iter().map(Expr::from).collect();
    let mut projected = columns.clone();
    let mut keys = sort.expr;
    for (ordinal, key) in keys.iter_mut().enumerate().filter(|(_, key)| holds_subquery(&key.expr)) {
        let name = format!("__sort_key_{ordinal}");
        projected.push(key.expr.clone().alias(&name));
        key.expr = Expr::from(Column::from_name(name));
    }
    let input = Arc::unwrap_or_clone(sort.input);
    let added = projected.split_off(columns.len());
    // Columns that the select list leaves out are there below it.
    let below = match &input {
        LogicalPlan::Projection(list) if !reads_only(&added, input.schema())? => {
            reads_only(&added, list.input.schema())?
        }
        _ => false,
    };
    let input = match input {
        LogicalPlan::Projection(list) if below => {
            let expressions = list.expr.into_iter().chain(added);
            LogicalPlanBuilder::from(Arc::unwrap_or_clone(list.input)).project(expressions)?.build()?
        }
        input => LogicalPlanBuilder::from(input).project(projected.into_iter().chain(added))?.build()?,
    };
    let sorted = LogicalPlan::Sort(Sort { expr: keys, input: Arc::new(input), fetch: sort.fetch });
    LogicalPlanBuilder::from(sorted).project(columns)?.build()
}

fn reads_only(expressions: &[Expr], schema: &DFSchema) -> Result<bool> {
    for expression in expressions {
        if !columns_of(expression)?.iter().all(|c| schema.has_column(c)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// After analysis: everything that the library's own rules do not turn into joins.
pub(super) fn into_joins(plan: LogicalPlan, functions: &Registry, config: &dyn OptimizerConfig) -> Result<LogicalPlan> {
    if !any_subquery(&plan)? {
        return Ok(plan);
    }
    let rewriter = Rewriter { functions, config };
    Ok(plan.transform_up_with_subqueries(|node| rewriter.node(node))?.data)
}

fn any_subquery(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply(|node| {
        found |= node.expressions().iter().any(holds_subquery) || matches!(node, LogicalPlan::Subquery(_));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

struct Rewriter<'a> {
    functions: &'a Registry,
    config: &'a dyn OptimizerConfig,
}

impl Rewriter<'_> {
    fn node(&self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let node = match node {
            LogicalPlan::Join(join) if lateral(&join.right).is_some() => return self.lateral_join(join),
            other => other,
        };
        if !node.expressions().iter().any(|e| holds_test(e) || finds(e, is_correlated_value)) {
            return Ok(Transformed::no(node));
        }
        match node {
            LogicalPlan::Filter(filter) => self.filter(filter),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) => self.select_list(node),
            other => Ok(Transformed::no(other)),
        }
    }

    /// Tests that stand for themselves become semi and anti joins by the library's rule; those inside of other expressions get their
    /// three values here and become mark joins there.
    fn filter(&self, filter: Filter) -> Result<Transformed<LogicalPlan>> {
        let schema = filter.input.schema().clone();
        let conjuncts = split_conjunction_owned(filter.predicate)
            .into_iter()
            .map(|conjunct| if stands_alone(&conjunct) { Ok(conjunct) } else { self.explicit(conjunct, &schema) })
            .collect::<Result<Vec<_>>>()?;
        let (mut input, mut rest) = (Arc::unwrap_or_clone(filter.input), Vec::new());
        for conjunct in conjuncts {
            match self.test_of_rows(&input, &conjunct)? {
                Some(joined) => input = joined,
                None => rest.push(conjunct),
            }
        }
        let (input, rest) = self.flattened(input, rest, true)?;
        let is_wider = input.schema().fields().len() > schema.fields().len();
        let predicate = conjunction(rest).unwrap_or_else(|| lit(true));
        let filtered = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?);
        Ok(Transformed::yes(match is_wider {
            true => {
                LogicalPlanBuilder::from(filtered).project(schema.columns().into_iter().map(Expr::from))?.build()?
            }
            false => filtered,
        }))
    }

    /// A conjunct that is a test of a sub-query that must be flattened, as a semi or anti join with `input`.
    fn test_of_rows(&self, input: &LogicalPlan, conjunct: &Expr) -> Result<Option<LogicalPlan>> {
        let (test, not) = match conjunct {
            Expr::Not(operand) => (operand.as_ref(), true),
            other => (other, false),
        };
        let (subquery, sought, negated) = match test {
            Expr::Exists(test) => (&test.subquery.subquery, None, test.negated != not),
            Expr::InSubquery(test) => (&test.subquery.subquery, Some(test.expr.as_ref().clone()), test.negated != not),
            _ => return Ok(None),
        };
        let usage = if sought.is_some() { Use::Members } else { Use::Rows };
        if is_plain(subquery, usage, input.schema())? {
            return Ok(None);
        }
        let alias = TableReference::bare(self.config.alias_generator().next("__rows"));
        let value = Expr::from(Column::new(Some(alias.clone()), VALUE));
        let (condition, kind) = match (sought, negated) {
            (Some(_), true) => return refused("NOT IN (its correlation cannot be turned into a join)"),
            (Some(sought), false) => (Some(sought.eq(value)), JoinType::LeftSemi),
            (None, true) => (None, JoinType::LeftAnti),
            (None, false) => (None, JoinType::LeftSemi),
        };
        let output: &[&str] = if condition.is_some() { &[VALUE] } else { &[] };
        let correlation = self.correlation(input, subquery)?;
        Ok(Some(correlation.join(input.clone(), subquery, &alias, output, kind, condition)?))
    }

    fn correlation(&self, outer: &LogicalPlan, subquery: &LogicalPlan) -> Result<Correlation<'_>> {
        let correlation = Correlation::new(outer, subquery, self.functions, self.config.alias_generator())?;
        correlation.map_or_else(|| refused("a sub-query that reads columns from further out only"), Ok)
    }

    /// The input joined with what sub-queries in `expressions` that must be flattened give, and the expressions with it in their place.
    /// `library`: whether the library's rules see to values that are plain.
    fn flattened(
        &self,
        mut input: LogicalPlan,
        expressions: Vec<Expr>,
        library: bool,
    ) -> Result<(LogicalPlan, Vec<Expr>)> {
        let mut flatten = |e: Expr| -> Result<Transformed<Expr>> {
            let (subquery, usage) = match &e {
                Expr::ScalarSubquery(subquery) => (&subquery.subquery, Use::Value),
                Expr::Exists(test) => (&test.subquery.subquery, Use::Rows),
                _ => return Ok(Transformed::no(e)),
            };
            let by_library = library || usage == Use::Rows || outer_columns(subquery)?.is_empty();
            if by_library && is_plain(subquery, usage, input.schema())? {
                return Ok(Transformed::no(e));
            }
            let alias = TableReference::bare(self.config.alias_generator().next("__flat"));
            let (kind, output, column): (_, &[&str], _) = match usage {
                Use::Value => (JoinType::Left, &[VALUE], VALUE),
                _ => (JoinType::LeftMark, &[], "mark"),
            };
            let correlation = self.correlation(&input, subquery)?;
            input = correlation.join(input.clone(), subquery, &alias, output, kind, None)?;
            let column = Expr::from(Column::new(Some(alias), column));
            Ok(Transformed::yes(if matches!(&e, Expr::Exists(test) if test.negated) { !column } else { column }))
        };
        let expressions =
            expressions.into_iter().map(|e| Ok(e.transform_down(&mut flatten)?.data)).collect::<Result<Vec<_>>>()?;
        Ok((input, expressions))
    }

    /// `left, LATERAL (sub-query)`, inner or left.
    fn lateral_join(&self, join: Join) -> Result<Transformed<LogicalPlan>> {
        let aliases = self.config.alias_generator();
        let Some((alias, subquery)) = lateral(&join.right) else { return Ok(Transformed::no(LogicalPlan::Join(join))) };
        let correlation = Correlation::new(&join.left, subquery, self.functions, aliases)?;
        let Some(correlation) = correlation else { return Ok(Transformed::no(LogicalPlan::Join(join))) };
        if !matches!(join.join_type, JoinType::Inner | JoinType::Left) {
            return refused("a RIGHT or FULL JOIN, by LATERAL");
        }
        let alias = alias.unwrap_or_else(|| TableReference::bare(aliases.next("__lateral")));
        let keys = join.on.iter().map(|(l, r)| l.clone().eq(r.clone()));
        let condition = conjunction(keys.chain(join.filter.clone()));
        if condition.as_ref().is_some_and(holds_subquery) {
            return refused("a condition of a join with LATERAL");
        }
        let fields = subquery.schema().fields();
        let names: Vec<&str> = fields.iter().map(|f| f.name().as_str()).collect();
        let left = join.left.as_ref().clone();
        let joined = correlation.join(left, subquery, &alias, &names, join.join_type, condition)?;
        let own = join.left.schema().fields().len();
        let columns = join.schema.columns().into_iter().enumerate().map(|(i, column)| match i < own {
            true => Expr::from(column),
            false => {
                Expr::from(Column::new(Some(alias.clone()), &column.name)).alias_qualified(column.relation, column.name)
            }
        });
        let list = Projection::try_new(columns.collect(), Arc::new(joined))?;
        Ok(Transformed::yes(LogicalPlan::Projection(list)))
    }

    /// An inner join's tests move into a filter above it; an outer join's onto the input that may be filtered.
    fn join(&self, mut join: Join) -> Result<Transformed<LogicalPlan>> {
        let (tests, rest): (Vec<_>, Vec<_>) =
            join.filter.take().map(split_conjunction_owned).unwrap_or_default().into_iter().partition(holds_test);
        join.filter = conjunction(rest);
        let test = conjunction(tests).unwrap_or_else(|| lit(true));
        let side = match join.join_type {
            JoinType::Inner => None,
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => Some(&mut join.right),
            JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => Some(&mut join.left),
            JoinType::Full => return refused("a FULL JOIN"),
        };
        let Some(side) = side else {
            let filter = Filter::try_new(test, Arc::new(LogicalPlan::Join(join)))?;
            return self.filter(filter);
        };
        if !columns_of(&test)?.iter().all(|c| side.schema().has_column(c)) {
            return refused("an outer join, over columns of the side that keeps its rows");
        }
        let filtered = self.filter(Filter::try_new(test, side.clone())?)?.data;
        *side = Arc::new(filtered);
        Ok(Transformed::yes(LogicalPlan::Join(join)))
    }

    fn select_list(&self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let schema = Arc::new(merge_schema(&node.inputs()));
        let preserver = NamePreserver::new(&node);
        let names: Vec<_> = node.expressions().iter().map(|e| preserver.save(e)).collect();
        let expressions =
            node.expressions().into_iter().map(|e| self.explicit(e, &schema)).collect::<Result<Vec<_>>>()?;
        let input = node.inputs().first().map(|i| (*i).clone());
        let input = input.ok_or_else(|| internal_datafusion_err!("a select list without input"))?;
        let (input, expressions) = self.flattened(input, expressions, matches!(node, LogicalPlan::Projection(_)))?;
        let (input, expressions) = self.marks(input, expressions)?;
        let expressions: Vec<Expr> = expressions.into_iter().zip(names).map(|(e, name)| name.restore(e)).collect();
        let node = match node {
            LogicalPlan::Projection(projection) => LogicalPlan::Projection(Projection::try_new_with_schema(
                expressions,
                Arc::new(input),
                projection.schema,
            )?),
            other => other.with_new_exprs(expressions, vec![input])?,
        };
        Ok(Transformed::yes(node))
    }

    /// Replaces every EXISTS in `expressions` by the mark of a mark join over `input`.
    fn marks(&self, input: LogicalPlan, expressions: Vec<Expr>) -> Result<(LogicalPlan, Vec<Expr>)> {
        let mut tests: Vec<Expr> = Vec::new();
        for expression in &expressions {
            expression.apply(|e| {
                if matches!(e, Expr::Exists(_)) && !tests.contains(e) {
                    tests.push(e.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        if tests.is_empty() {
            return Ok((input, expressions));
        }
        let (input, marks) = self.mark_joins(input, &tests)?;
        let place = |e: Expr| match tests.iter().position(|t| *t == e) {
            Some(index) => Ok(Transformed::yes(marks[index].clone())),
            None => Ok(Transformed::no(e)),
        };
        let expressions =
            expressions.into_iter().map(|e| Ok(e.transform_down(place)?.data)).collect::<Result<Vec<_>>>()?;
        Ok((input, expressions))
    }

    /// The input joined with the marks of `tests`, by the library's rule for filters: `false OR test OR test …` is a filter whose tests
    /// all become marks; of the result, the joins and the marks are kept and the filter is not.
    fn mark_joins(&self, input: LogicalPlan, tests: &[Expr]) -> Result<(LogicalPlan, Vec<Expr>)> {
        let any = tests.iter().fold(lit(false), |any, test| any.or(test.clone()));
        let filter = LogicalPlan::Filter(Filter::try_new(any, Arc::new(input))?);
        let rewritten = DecorrelatePredicateSubquery::new().rewrite(filter, self.config)?.data;
        let filter = match rewritten {
            LogicalPlan::Projection(projection) => Arc::unwrap_or_clone(projection.input),
            other => other,
        };
        let LogicalPlan::Filter(Filter { predicate, input, .. }) = filter else {
            return internal_err!("marks were expected under a filter");
        };
        let mut marks = Vec::new();
        let mut rest = predicate;
        while let Expr::BinaryExpr(either) = rest {
            marks.push(*either.right);
            rest = *either.left;
        }
        marks.reverse();
        match marks.iter().any(holds_test) || marks.len() != tests.len() {
            true => refused("this form (its correlation cannot be turned into a join)"),
            false => Ok((Arc::unwrap_or_clone(input), marks)),
        }
    }

    /// The expression with every IN written as EXISTS tests, and every uncorrelated EXISTS as a scalar sub-query.
    fn explicit(&self, expression: Expr, schema: &DFSchemaRef) -> Result<Expr> {
        let explicit = expression.transform_up(|e| match e {
            Expr::InSubquery(test) => Ok(Transformed::yes(self.three_valued(test, schema)?)),
            Expr::Exists(Exists { subquery, negated }) if subquery.outer_ref_columns.is_empty() => {
                let exists = self.has_rows(&subquery.subquery)?;
                Ok(Transformed::yes(if negated { !exists } else { exists }))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(explicit.data)
    }

    fn three_valued(&self, test: InSubquery, schema: &DFSchemaRef) -> Result<Expr> {
        let InSubquery { expr, subquery, negated } = test;
        let own = Column::from(subquery.subquery.schema().qualified_field(0));
        // A column of the outer query may bear the same name (both read one table): the test would compare it with itself.
        let plan = match schema.is_column_from_schema(&own) {
            true => &LogicalPlanBuilder::from(subquery.subquery.as_ref().clone())
                .alias(self.config.alias_generator().next("__in"))?
                .build()?,
            false => subquery.subquery.as_ref(),
        };
        let value = Expr::from(Column::from(plan.schema().qualified_field(0)));
        let sought = outer(*expr.clone(), schema)?;
        let nullable = expr.nullable(schema)? || plan.schema().field(0).is_nullable();
        let found = exists(plan, Some(sought.eq(value.clone())))?;
        if !nullable {
            return Ok(if negated { !found } else { found });
        }
        let (has_rows, has_null) = match subquery.outer_ref_columns.is_empty() {
            true => {
                let nulls = LogicalPlanBuilder::from(plan.clone()).filter(value.is_null())?.build()?;
                (self.has_rows(plan)?, self.has_rows(&nulls)?)
            }
            false => (exists(plan, None)?, exists(plan, Some(value.is_null()))?),
        };
        let unknown = expr.is_null().and(has_rows).or(has_null);
        let branches = vec![
            (Box::new(found), Box::new(lit(!negated))),
            (Box::new(unknown), Box::new(Expr::Literal(ScalarValue::Boolean(None), None))),
        ];
        Ok(Expr::Case(Case { expr: None, when_then_expr: branches, else_expr: Some(Box::new(lit(negated))) }))
    }

    /// `(SELECT count(*) > 0 FROM (plan LIMIT 1))`.
    fn has_rows(&self, plan: &LogicalPlan) -> Result<Expr> {
        let count = self.functions.aggregate("count").ok_or_else(|| internal_datafusion_err!("no count"))?;
        let counted = LogicalPlanBuilder::from(plan.clone())
            .limit(0, Some(1))?
            .aggregate(Vec::<Expr>::new(), vec![count.call(vec![lit(1_i64)]).alias("rows")])?
            .project(vec![Expr::from(Column::from_name("rows")).gt(lit(0_i64)).alias("has_rows")])?
            .build()?;
        Ok(Expr::ScalarSubquery(Subquery {
            subquery: Arc::new(counted),
            outer_ref_columns: Vec::new(),
            spans: Default::default(),
        }))
    }
}

/// `EXISTS (plan WHERE condition)`.
fn exists(plan: &LogicalPlan, condition: Option<Expr>) -> Result<Expr> {
    let plan = match condition {
        Some(condition) => LogicalPlanBuilder::from(plan.clone()).filter(condition)?.build()?,
        None => plan.clone(),
    };
    let outer_ref_columns = plan.all_out_ref_exprs();
    let subquery = Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: Default::default() };
    Ok(Expr::Exists(Exists { subquery, negated: false }))
}

/// An expression of the outer query, as seen from inside the sub-query.
fn outer(expression: Expr, schema: &DFSchema) -> Result<Expr> {
    let outer = expression.transform_up(|e| match e {
        Expr::Column(column) => {
            let field = schema.field_from_column(&column)?.clone();
            Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(outer.data)
}

/// A test that is a whole conjunct: `[NOT] [NOT] IN (…)`, `[NOT] EXISTS (…)`.
fn stands_alone(conjunct: &Expr) -> bool {
    match conjunct {
        Expr::Not(operand) => matches!(operand.as_ref(), Expr::InSubquery(_) | Expr::Exists(_)),
        Expr::InSubquery(_) | Expr::Exists(_) => true,
        other => !holds_test(other),
    }
}

fn holds_test(expression: &Expr) -> bool {
    finds(expression, |e| matches!(e, Expr::InSubquery(_) | Expr::Exists(_)))
}

fn holds_subquery(expression: &Expr) -> bool {
    finds(expression, |e| subquery_of(e).is_some())
}

fn finds(expression: &Expr, wanted: impl Fn(&Expr) -> bool) -> bool {
    expression.exists(|e| Ok(wanted(e))).unwrap_or(false)
}

/// Columns of this query that an expression reads, also from inside of its sub-queries.
fn columns_of(expression: &Expr) -> Result<Vec<Column>> {
    let mut columns: Vec<Column> = expression.column_refs().into_iter().cloned().collect();
    expression.apply(|e| {
        if let Some(subquery) = subquery_of(e) {
            columns.extend(subquery.outer_ref_columns.iter().filter_map(|c| match c {
                Expr::OuterReferenceColumn(_, column) => Some(column.clone()),
                _ => None,
            }));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(columns)
}

pub(super) fn subquery_of(expression: &Expr) -> Option<&Subquery> {
    match expression {
        Expr::InSubquery(InSubquery { subquery, .. }) | Expr::Exists(Exists { subquery, .. }) => Some(subquery),
        Expr::SetComparison(comparison) => Some(&comparison.subquery),
        Expr::ScalarSubquery(subquery) => Some(subquery),
        _ => None,
    }
}

fn is_correlated_value(expression: &Expr) -> bool {
    matches!(expression, Expr::ScalarSubquery(s) if outer_columns(&s.subquery).map_or(true, |c| !c.is_empty()))
}

/// The sub-query that a join's right side runs for each row of the left one, and the name of its rows.
fn lateral(right: &LogicalPlan) -> Option<(Option<TableReference>, &LogicalPlan)> {
    let (alias, right) = match right {
        LogicalPlan::SubqueryAlias(alias) => (Some(alias.alias.clone()), alias.input.as_ref()),
        other => (None, other),
    };
    match right {
        LogicalPlan::Subquery(subquery) => Some((alias, &subquery.subquery)),
        _ => None,
    }
}

fn refused<T>(place: &str) -> Result<T> {
    Err(DataFusionError::NotImplemented(format!("a sub-query in {place}")))
}
