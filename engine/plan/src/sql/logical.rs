//! SQL text → the planner library's logical plan: parsed, typed, simplified, decorrelated, pushed down. Join order is left as written.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion_common::DataFusionError;
use datafusion_expr::LogicalPlan;
use datafusion_optimizer::rewrite_set_comparison::RewriteSetComparison;
use datafusion_optimizer::{Analyzer, Optimizer, OptimizerContext, OptimizerRule};
use datafusion_sql::parser::{DFParserBuilder, Statement};
use datafusion_sql::planner::{ParserOptions, SqlToRel};
use datafusion_sql::sqlparser::ast::{Expr as SqlExpr, LimitClause, Query, Value, VisitMut, VisitorMut};
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::Token;

use super::context::{Context, OPTIONS};
use super::{distinct_on, frames, held_rules, membership, numbers, reader_options, set_operation, subquery, syntax};
use crate::function::Registry;

/// How deeply queries and expressions may nest.
const NESTING_MAX: usize = 100;

/// The one statement of `sql`.
pub(super) fn parse_statement(sql: &str) -> Result<Statement, DataFusionError> {
    let mut parser =
        DFParserBuilder::new(sql).with_dialect(&GenericDialect {}).with_recursion_limit(NESTING_MAX).build()?;
    let mut statements = parser.parse_statements()?;
    match (statements.pop_front(), statements.len()) {
        (Some(Statement::Statement(mut statement)), 0) => {
            syntax::rewrite(&mut statement)?;
            match statement.visit(&mut FetchAsLimit) {
                ControlFlow::Break(error) => Err(error),
                ControlFlow::Continue(()) => Ok(Statement::Statement(statement)),
            }
        }
        (Some(statement), 0) => Ok(statement),
        (None, _) => Err(DataFusionError::Plan("the statement is empty".to_string())),
        (Some(_), more) => Err(DataFusionError::Plan(format!("one statement expected, got {}", more + 1))),
    }
}

/// The one expression of `sql`.
pub(super) fn parse_expression(sql: &str) -> Result<SqlExpr, DataFusionError> {
    let parser = Parser::new(&GenericDialect {}).with_recursion_limit(NESTING_MAX);
    let mut parser = parser.try_with_sql(sql)?;
    let mut expression = parser.parse_expr()?;
    match parser.next_token().token {
        Token::EOF => syntax::rewrite_expression(&mut expression).map(|()| expression),
        other => Err(DataFusionError::Plan(format!("the expression ends before {other}"))),
    }
}

/// Names and types of one node resolved as in a statement: coercion, then simplification, nothing moved.
pub(super) fn typed(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    let plan = frames::by_peers(numbers::decimals_beside_floats(plan)?)?;
    let plan = Analyzer::new().execute_and_check(plan, &OPTIONS, |_, _| {})?;
    let config = OptimizerContext::new_with_config_options(OPTIONS.clone());
    Ok(numbers::CheckedSimplify::new().rewrite(plan, &config)?.data)
}

/// The plan of a parsed statement, names and types resolved but not optimized.
pub(super) fn resolve(mut statement: Statement, context: &Context<'_>) -> Result<LogicalPlan, DataFusionError> {
    if let Statement::Statement(statement) = &mut statement {
        reader_options::fold(statement);
    }
    planner(context).statement_to_plan(statement)
}

/// The planner over a context, with the engine's parser options.
pub(super) fn planner<'a, 'b>(context: &'a Context<'b>) -> SqlToRel<'a, Context<'b>> {
    SqlToRel::new_with_options(context, ParserOptions::from(&OPTIONS.sql_parser))
}

/// The plan of a query text (a view's), not optimized.
pub(super) fn logical_query(sql: &str, context: &Context<'_>) -> Result<LogicalPlan, DataFusionError> {
    resolve(parse_statement(sql)?, context)
}

/// Type coercion, then the rule-based rewrites.
pub(super) fn optimize(plan: LogicalPlan, functions: &Registry) -> Result<LogicalPlan, DataFusionError> {
    let config = OptimizerContext::new_with_config_options(OPTIONS.clone());
    let plan = frames::by_peers(numbers::decimals_beside_floats(plan)?)?;
    let plan = set_operation::count_duplicates(plan, functions)?;
    let plan = distinct_on::into_aggregates(plan, functions)?;
    let plan = subquery::out_of_sort_keys(plan)?;
    let plan = Analyzer::new().execute_and_check(plan, &OPTIONS, |_, _| {}).map_err(refused_correlation)?;
    let plan = membership::rewrite(plan)?;
    let plan = RewriteSetComparison::new().rewrite(plan, &config)?.data;
    let plan = subquery::into_joins(plan, functions, &config)?;
    type Rule = Arc<dyn OptimizerRule + Send + Sync>;
    let rules = Optimizer::new().rules.into_iter().map(|rule| match rule.name() {
        "simplify_expressions" => Arc::new(numbers::CheckedSimplify::new()) as Rule,
        "extract_equijoin_predicate" => Arc::new(held_rules::NullSafeKeys::new()),
        "push_down_filter" => Arc::new(held_rules::FiltersAboveTotals::new()),
        "eliminate_cross_join" => Arc::new(held_rules::WholeCrossJoins::new()),
        _ => rule,
    });
    Optimizer::with_rules(rules.collect()).optimize(plan, &config, |_, _| {})
}

/// Forms of correlation that the library's analysis lets nobody run are no faults of the query.
fn refused_correlation(error: DataFusionError) -> DataFusionError {
    match error {
        DataFusionError::Context(_, inner) => refused_correlation(*inner),
        DataFusionError::Plan(message)
            if message.contains("Accessing outer reference columns")
                || message.contains("orrelated scalar subquery") =>
        {
            DataFusionError::NotImplemented(message)
        }
        other => other,
    }
}

/// `FETCH FIRST n ROWS ONLY` as `LIMIT n`, which is all that the planner library knows.
struct FetchAsLimit;

impl VisitorMut for FetchAsLimit {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        let Some(fetch) = query.fetch.take() else { return ControlFlow::Continue(()) };
        if fetch.with_ties || fetch.percent {
            let kind = if fetch.percent { "PERCENT" } else { "WITH TIES" };
            return ControlFlow::Break(DataFusionError::NotImplemented(format!("FETCH … {kind}")));
        }
        let one = || SqlExpr::Value(Value::Number("1".to_string(), false).into());
        let rows = fetch.quantity.unwrap_or_else(one);
        match &mut query.limit_clause {
            None => {
                query.limit_clause =
                    Some(LimitClause::LimitOffset { limit: Some(rows), offset: None, limit_by: Vec::new() });
            }
            Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = Some(rows),
            Some(_) => {
                return ControlFlow::Break(DataFusionError::Plan("LIMIT and FETCH in one query".to_string()));
            }
        }
        ControlFlow::Continue(())
    }
}
