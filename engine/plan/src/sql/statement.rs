//! One statement's text → what is to be done, with its queries planned.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use datafusion_common::{DataFusionError, ScalarValue, TableReference};
use datafusion_expr::dml::InsertOp;
use datafusion_expr::{DdlStatement, Expr, LogicalPlan, LogicalPlanBuilder, WriteOp, cast};
use datafusion_sql::parser::{
    CopyToSource, CopyToStatement, CreateExternalTable as ParsedExternalTable, ResetStatement, Statement as Parsed,
};
use datafusion_sql::planner::object_name_to_table_reference;
use datafusion_sql::sqlparser::ast::{
    CreateView, Expr as SqlExpr, ObjectName, Set, ShowStatementFilter, ShowStatementFilterPosition,
    Statement as SqlStatement, Value,
};
use plasmon_core::table::Table;
use plasmon_core::{Config, Error, Result};

use super::catalog::{Catalog, View};
use super::context::{Context, TableScanSource, name_parts};
use super::logical;
use super::split::{ExplainOptions, split_explain};
use super::translate::translate;
use crate::error::convert_error;
use crate::explain::PassTime;
use crate::ir::Plan;
use crate::optimizer;

/// Longer texts are planned on a large stack: long chains of operators nest deeply in the planner's trees.
pub(super) const LONG_TEXT_BYTES: usize = 8 * 1024;

/// What a statement asks for. Names come as their parts, outermost first.
#[derive(Debug)]
pub enum Statement {
    /// Rows; their schema is the root's.
    Query(Plan),
    Explain {
        plan: Plan,
        options: ExplainOptions,
        /// What planning took, step by step.
        passes: Vec<PassTime>,
    },
    CreateExternalTable(CreateExternalTable),
    /// `schema` is that of the view's query at its creation.
    CreateView {
        name: Vec<String>,
        view: View,
        schema: SchemaRef,
        or_replace: bool,
        if_not_exists: bool,
    },
    /// `CREATE TABLE … AS`, and `CREATE TABLE (columns)` with a plan of no rows.
    CreateTable {
        name: Vec<String>,
        plan: Plan,
        or_replace: bool,
        if_not_exists: bool,
    },
    DropTable {
        name: Vec<String>,
        if_exists: bool,
    },
    DropView {
        name: Vec<String>,
        if_exists: bool,
    },
    /// The plan's columns are the table's, in order and type.
    Insert {
        name: Vec<String>,
        table: Arc<dyn Table>,
        plan: Plan,
        overwrite: bool,
    },
    Copy(CopyTo),
    /// Columns of a table or view.
    Describe {
        name: Vec<String>,
        schema: SchemaRef,
    },
    /// Tables and views whose name is LIKE the pattern.
    ShowTables {
        pattern: Option<String>,
    },
    ShowFunctions {
        pattern: Option<String>,
    },
    /// One setting, or all.
    ShowSettings {
        name: Option<String>,
    },
    Set {
        name: String,
        value: String,
    },
    Reset {
        name: String,
    },
}

/// `COPY query TO path`.
#[derive(Debug)]
pub struct CopyTo {
    pub plan: Plan,
    pub path: String,
    /// Lower case, as given by STORED AS; else it follows from the path.
    pub format: Option<String>,
    /// Keys in lower case, without a `format.` prefix.
    pub options: Vec<(String, String)>,
    pub partition_by: Vec<String>,
}

/// `CREATE EXTERNAL TABLE`.
#[derive(Debug, Clone)]
pub struct CreateExternalTable {
    pub name: Vec<String>,
    /// Lower case: `parquet`, `csv`, `json`, `arrow`, `delta`.
    pub format: String,
    pub locations: Vec<String>,
    /// Columns as declared; `None` = from the files.
    pub schema: Option<SchemaRef>,
    pub options: Vec<(String, String)>,
    pub partition_columns: Vec<String>,
    pub or_replace: bool,
    pub if_not_exists: bool,
}

/// Plans the one statement of `sql`; an empty text or more than one statement is an error.
pub fn plan_statement(sql: &str, catalog: &dyn Catalog, config: &Config) -> Result<Statement> {
    plan_with_parameters(sql, &[], catalog, config, Stage::Optimized)
}

/// As [`plan_statement`], with the values of `$1`, `$2` … as arrays of one row each, and taken as far as `stage`.
pub fn plan_with_parameters(
    sql: &str,
    parameters: &[ArrayRef],
    catalog: &dyn Catalog,
    config: &Config,
    stage: Stage,
) -> Result<Statement> {
    crate::stack::with_room(sql.len() > LONG_TEXT_BYTES, || plan_text(sql, parameters, catalog, config, stage))
}

fn plan_text(
    sql: &str,
    parameters: &[ArrayRef],
    catalog: &dyn Catalog,
    config: &Config,
    stage: Stage,
) -> Result<Statement> {
    let parameters = parameters
        .iter()
        .map(|value| ScalarValue::try_from_array(value, 0).map_err(convert_error))
        .collect::<Result<Vec<_>>>()?;
    let planner = Planner { context: Context::new(catalog), config, parameters, passes: RefCell::default(), stage };
    if let Some((options, text)) = split_explain(sql)? {
        return match planner.statement(text)? {
            Statement::Query(plan)
            | Statement::CreateTable { plan, .. }
            | Statement::Insert { plan, .. }
            | Statement::Copy(CopyTo { plan, .. }) => {
                Ok(Statement::Explain { plan, options, passes: planner.passes.take() })
            }
            _ => Err(Error::user("EXPLAIN: the statement has no plan")),
        };
    }
    planner.statement(sql)
}

/// The plan of a view's query as it was translated, before the optimizer's passes.
pub(crate) fn plan_view(view: &View, catalog: &dyn Catalog) -> Result<Plan> {
    let planner = Planner {
        context: Context::new(catalog),
        config: &Config::default(),
        parameters: Vec::new(),
        passes: RefCell::default(),
        stage: Stage::Translated,
    };
    planner.query(&view.sql)
}

/// How far plans are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Simplified, decorrelated, filters and columns pushed down; nothing in it is the engine's own.
    Translated,
    /// Ready to be lowered.
    Optimized,
}

/// The rows cast to the columns of the table that they are for: values of parameters come with types of their own.
fn with_types(rows: LogicalPlan, table: &SchemaRef) -> Result<LogicalPlan, DataFusionError> {
    let schema = rows.schema().clone();
    let mut pairs = schema.fields().iter().zip(table.fields());
    if pairs.all(|(given, wanted)| given.data_type() == wanted.data_type()) {
        return Ok(rows);
    }
    let columns = schema.columns().into_iter().zip(table.fields());
    let columns = columns.map(|(c, wanted)| cast(Expr::Column(c), wanted.data_type().clone()).alias(wanted.name()));
    LogicalPlanBuilder::from(rows).project(columns)?.build()
}

struct Planner<'a> {
    context: Context<'a>,
    config: &'a Config,
    parameters: Vec<ScalarValue>,
    /// What the steps of planning took, for EXPLAIN.
    passes: RefCell<Vec<PassTime>>,
    stage: Stage,
}

impl Planner<'_> {
    fn statement(&self, sql: &str) -> Result<Statement> {
        let parsed = self.timed("parse", || logical::parse_statement(sql).map_err(convert_error))?;
        match parsed {
            Parsed::Statement(statement) => self.sql_statement(*statement),
            Parsed::CreateExternalTable(table) => self.external_table(table),
            Parsed::CopyTo(copy) => self.copy(copy),
            Parsed::Reset(ResetStatement::Variable(name)) => Ok(Statement::Reset { name: setting_name(&name) }),
            Parsed::Explain(_) => Err(Error::user("EXPLAIN of EXPLAIN")),
        }
    }

    fn sql_statement(&self, statement: SqlStatement) -> Result<Statement> {
        match statement {
            SqlStatement::CreateView(view) => self.create_view(view),
            SqlStatement::ExplainTable { table_name, .. } => self.describe(table_name),
            SqlStatement::ShowColumns { show_options, .. } => match show_options.show_in.and_then(|i| i.parent_name) {
                Some(name) => self.describe(name),
                None => Err(Error::user("SHOW COLUMNS: FROM and a table name are missing")),
            },
            SqlStatement::ShowTables { show_options, .. } => {
                let filter = show_options.filter_position.map(|p| match p {
                    ShowStatementFilterPosition::Infix(filter) | ShowStatementFilterPosition::Suffix(filter) => filter,
                });
                Ok(Statement::ShowTables { pattern: like_pattern(filter)? })
            }
            SqlStatement::ShowFunctions { filter } => Ok(Statement::ShowFunctions { pattern: like_pattern(filter)? }),
            SqlStatement::ShowVariable { variable } => {
                let name = variable.iter().map(|i| i.value.to_ascii_lowercase()).collect::<Vec<_>>().join(".");
                let all = matches!(name.as_str(), "all" | "settings");
                Ok(Statement::ShowSettings { name: (!all).then_some(name) })
            }
            SqlStatement::Set(set) => set_statement(set),
            SqlStatement::Drop { ref names, .. } if names.len() > 1 => {
                Err(Error::unsupported("DROP of several objects in one statement"))
            }
            other => self.resolved(Parsed::Statement(Box::new(other))),
        }
    }

    /// Statements that the planner library resolves.
    fn resolved(&self, statement: Parsed) -> Result<Statement> {
        let resolved = self.timed("resolve", || logical::resolve(statement, &self.context).map_err(convert_error))?;
        match resolved {
            LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(table)) => Ok(Statement::CreateTable {
                name: name_parts(&table.name),
                plan: self.plan(Arc::unwrap_or_clone(table.input))?,
                or_replace: table.or_replace,
                if_not_exists: table.if_not_exists,
            }),
            LogicalPlan::Ddl(DdlStatement::DropTable(drop)) => {
                Ok(Statement::DropTable { name: name_parts(&drop.name), if_exists: drop.if_exists })
            }
            LogicalPlan::Ddl(DdlStatement::DropView(drop)) => {
                Ok(Statement::DropView { name: name_parts(&drop.name), if_exists: drop.if_exists })
            }
            LogicalPlan::Ddl(other) => Err(Error::unsupported(format!("statement {}", other.name()))),
            LogicalPlan::Dml(dml) => {
                let overwrite = match &dml.op {
                    WriteOp::Insert(InsertOp::Append) => false,
                    WriteOp::Insert(InsertOp::Overwrite) => true,
                    other => {
                        return Err(Error::unsupported(format!(
                            "statement {} on table {}",
                            other.name(),
                            dml.table_name
                        )));
                    }
                };
                let Some(source) = dml.target.downcast_ref::<TableScanSource>() else {
                    return Err(Error::user(format!("{} is no table that rows can be inserted into", dml.table_name)));
                };
                let table = source.table.clone();
                let rows = self.with_values(Arc::unwrap_or_clone(dml.input))?;
                let rows = with_types(rows, &table.schema()).map_err(convert_error)?;
                Ok(Statement::Insert { name: name_parts(&dml.table_name), table, plan: self.plan(rows)?, overwrite })
            }
            LogicalPlan::Statement(other) => Err(Error::unsupported(format!("statement {}", other.name()))),
            query => Ok(Statement::Query(self.plan(query)?)),
        }
    }

    /// The query with the values of its parameters.
    fn with_values(&self, query: LogicalPlan) -> Result<LogicalPlan> {
        match self.parameters.is_empty() {
            true => Ok(query),
            false => query.with_param_values(self.parameters.clone()).map_err(convert_error),
        }
    }

    /// Optimizes and translates a resolved query.
    fn plan(&self, query: LogicalPlan) -> Result<Plan> {
        let query = self.with_values(query)?;
        let optimized =
            self.timed("logical rules", || logical::optimize(query, &self.context.functions).map_err(convert_error))?;
        let translated = self.timed("translate", || translate(&optimized))?;
        if self.stage == Stage::Translated {
            return Ok(translated);
        }
        let (plan, times) = optimizer::optimize_timed(translated, self.config)?;
        self.passes.borrow_mut().extend(times);
        Ok(plan)
    }

    fn timed<T>(&self, step: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let result = work();
        self.passes.borrow_mut().push((step, start.elapsed()));
        result
    }

    fn query(&self, sql: &str) -> Result<Plan> {
        self.plan(logical::logical_query(sql, &self.context).map_err(convert_error)?)
    }

    fn create_view(&self, view: CreateView) -> Result<Statement> {
        if view.materialized {
            return Err(Error::unsupported("CREATE MATERIALIZED VIEW through this entry point"));
        }
        let name = table_name(view.name)?;
        let sql = if view.columns.is_empty() {
            view.query.to_string()
        } else {
            let columns = view.columns.iter().map(|c| c.name.to_string()).collect::<Vec<_>>().join(", ");
            format!("SELECT * FROM ({}) AS view ({columns})", view.query)
        };
        let resolved = logical::logical_query(&sql, &self.context).map_err(convert_error)?;
        let schema =
            logical::optimize(resolved, &self.context.functions).map_err(convert_error)?.schema().inner().clone();
        Ok(Statement::CreateView {
            name,
            view: View { sql },
            schema,
            or_replace: view.or_replace,
            if_not_exists: view.if_not_exists,
        })
    }

    fn describe(&self, name: ObjectName) -> Result<Statement> {
        let reference = reference(name)?;
        let source = datafusion_expr::planner::ContextProvider::get_table_source(&self.context, reference.clone())
            .map_err(convert_error)?;
        Ok(Statement::Describe { name: name_parts(&reference), schema: source.schema() })
    }

    fn copy(&self, copy: CopyToStatement) -> Result<Statement> {
        let sql = match copy.source {
            CopyToSource::Relation(name) => format!("SELECT * FROM {name}"),
            CopyToSource::Query(query) => query.to_string(),
        };
        Ok(Statement::Copy(CopyTo {
            plan: self.query(&sql)?,
            path: copy.target,
            format: copy.stored_as.map(|f| f.to_ascii_lowercase()),
            options: options(&copy.options)?,
            partition_by: copy.partitioned_by,
        }))
    }

    fn external_table(&self, table: ParsedExternalTable) -> Result<Statement> {
        if table.unbounded {
            return Err(Error::unsupported("CREATE UNBOUNDED EXTERNAL TABLE"));
        }
        let schema = if table.columns.is_empty() {
            None
        } else {
            Some(Arc::new(logical::planner(&self.context).build_schema(table.columns).map_err(convert_error)?))
        };
        Ok(Statement::CreateExternalTable(CreateExternalTable {
            name: table_name(table.name)?,
            format: table.file_type.to_ascii_lowercase(),
            locations: table.locations,
            schema,
            options: options(&table.options)?,
            partition_columns: table.table_partition_cols,
            or_replace: table.or_replace,
            if_not_exists: table.if_not_exists,
        }))
    }
}

fn reference(name: ObjectName) -> Result<TableReference> {
    object_name_to_table_reference(name, true).map_err(convert_error)
}

fn table_name(name: ObjectName) -> Result<Vec<String>> {
    Ok(name_parts(&reference(name)?))
}

fn setting_name(name: &ObjectName) -> String {
    name.0
        .iter()
        .map(|part| part.as_ident().map_or_else(|| part.to_string(), |i| i.value.clone()).to_ascii_lowercase())
        .collect::<Vec<_>>()
        .join(".")
}

fn set_statement(set: Set) -> Result<Statement> {
    match set {
        Set::SingleAssignment { variable, values, .. } => match values.as_slice() {
            [value] => Ok(Statement::Set { name: setting_name(&variable), value: setting_value(value)? }),
            _ => Err(Error::user(format!("SET {variable}: one value expected, got {}", values.len()))),
        },
        Set::SetTimeZone { value, .. } => {
            Ok(Statement::Set { name: "timezone".to_string(), value: setting_value(&value)? })
        }
        other => Err(Error::unsupported(format!("statement {other}"))),
    }
}

fn setting_value(value: &SqlExpr) -> Result<String> {
    match value {
        SqlExpr::Value(value) => option_value(&value.value),
        SqlExpr::Identifier(name) => Ok(name.value.clone()),
        other => Ok(other.to_string()),
    }
}

fn option_value(value: &Value) -> Result<String> {
    match value {
        Value::SingleQuotedString(s)
        | Value::DoubleQuotedString(s)
        | Value::EscapedStringLiteral(s)
        | Value::NationalStringLiteral(s) => Ok(s.clone()),
        Value::Number(n, _) => Ok(n.to_string()),
        Value::Boolean(b) => Ok(b.to_string()),
        Value::DollarQuotedString(s) => Ok(s.value.clone()),
        Value::Null => Ok(String::new()),
        other => Err(Error::user(format!("option value {other} is neither text, number nor boolean"))),
    }
}

fn options(options: &[(String, Value)]) -> Result<Vec<(String, String)>> {
    options
        .iter()
        .map(|(key, value)| {
            let key = key.to_ascii_lowercase();
            let key = key.strip_prefix("format.").unwrap_or(&key).to_string();
            Ok((key, option_value(value)?))
        })
        .collect()
}

fn like_pattern(filter: Option<ShowStatementFilter>) -> Result<Option<String>> {
    match filter {
        None => Ok(None),
        Some(
            ShowStatementFilter::Like(pattern)
            | ShowStatementFilter::ILike(pattern)
            | ShowStatementFilter::NoKeyword(pattern),
        ) => Ok(Some(pattern)),
        Some(ShowStatementFilter::Where(_)) => Err(Error::unsupported("SHOW … WHERE")),
    }
}
