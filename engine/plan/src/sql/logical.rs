//! SQL text → the planner library's logical plan: parsed, typed, simplified, decorrelated, pushed down. Join order is left as written.

use datafusion_common::DataFusionError;
use datafusion_expr::LogicalPlan;
use datafusion_optimizer::{Analyzer, Optimizer, OptimizerContext};
use datafusion_sql::parser::{DFParserBuilder, Statement};
use datafusion_sql::planner::{ParserOptions, SqlToRel};
use datafusion_sql::sqlparser::dialect::GenericDialect;

use super::context::{Context, OPTIONS};
use super::reader_options;

/// How deeply queries and expressions may nest.
const NESTING_MAX: usize = 100;

/// The one statement of `sql`.
pub(super) fn parse_statement(sql: &str) -> Result<Statement, DataFusionError> {
    let mut parser =
        DFParserBuilder::new(sql).with_dialect(&GenericDialect {}).with_recursion_limit(NESTING_MAX).build()?;
    let mut statements = parser.parse_statements()?;
    match (statements.pop_front(), statements.len()) {
        (Some(statement), 0) => Ok(statement),
        (None, _) => Err(DataFusionError::Plan("the statement is empty".to_string())),
        (Some(_), more) => Err(DataFusionError::Plan(format!("one statement expected, got {}", more + 1))),
    }
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
pub(super) fn optimize(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    let plan = Analyzer::new().execute_and_check(plan, &OPTIONS, |_, _| {})?;
    let context = OptimizerContext::new_with_config_options(OPTIONS.clone());
    Optimizer::new().optimize(plan, &context, |_, _| {})
}
