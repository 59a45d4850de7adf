//! The session as the planner library sees it: its tables as sources, views expanded to their plans, functions from the registry.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, SchemaRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DataFusionError, TableReference, plan_err};
use datafusion_expr::planner::{ContextProvider, ExprPlanner};
use datafusion_expr::{
    AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, ScalarUDF, TableProviderFilterPushDown, TableSource, TableType,
    WindowUDF,
};
use plasmon_core::expression::Scalar;
use plasmon_core::table::Table;

use super::catalog::{Catalog, View};
use super::logical::logical_query;
use super::reader_options::{reader_format, unfold};
use super::translate::convert_scalar;
use crate::error::into_datafusion;
use crate::function::Registry;
use crate::ir::{Constant, TableOrigin};

/// Views inside views deeper than this are taken for a cycle.
const VIEW_DEPTH_MAX: usize = 32;

/// Options of the planner library: decimals are exact, scalar sub-queries stay expressions (they run first and bind a slot).
pub(super) static OPTIONS: LazyLock<Arc<ConfigOptions>> = LazyLock::new(|| {
    let mut options = ConfigOptions::default();
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.map_string_types_to_utf8view = true;
    options.optimizer.enable_physical_uncorrelated_scalar_subquery = true;
    options.optimizer.filter_null_join_keys = false;
    options.execution.enable_recursive_ctes = true;
    Arc::new(options)
});

/// One statement's view of the catalog.
pub(super) struct Context<'a> {
    pub(super) catalog: &'a dyn Catalog,
    pub(super) functions: Arc<Registry>,
    view_depth: Cell<usize>,
}

impl<'a> Context<'a> {
    pub(super) fn new(catalog: &'a dyn Catalog) -> Self {
        Context { catalog, functions: catalog.functions(), view_depth: Cell::new(0) }
    }

    fn expand_view(&self, name: &TableReference, view: &View) -> Result<Arc<dyn TableSource>, DataFusionError> {
        if self.view_depth.get() >= VIEW_DEPTH_MAX {
            return plan_err!("view {name} is nested more than {VIEW_DEPTH_MAX} deep: does it read itself?");
        }
        self.view_depth.set(self.view_depth.get() + 1);
        let plan = logical_query(&view.sql, self);
        self.view_depth.set(self.view_depth.get() - 1);
        Ok(Arc::new(ViewSource { plan: plan? }))
    }

    fn path_table(
        &self,
        path: &str,
        format: Option<&str>,
        options: &[(String, String)],
    ) -> Result<Arc<dyn TableSource>, DataFusionError> {
        let table = self.catalog.path_table(path, format, options).map_err(into_datafusion)?;
        let (format, options) = (format.map(str::to_string), options.to_vec());
        Ok(TableScanSource::shared(table, TableOrigin::Files { path: path.to_string(), format, options }))
    }
}

/// The parts of a table name, outermost first.
pub(super) fn name_parts(name: &TableReference) -> Vec<String> {
    [name.catalog(), name.schema(), Some(name.table())].into_iter().flatten().map(str::to_string).collect()
}

/// Whether a name in FROM is a path rather than a name: it has a separator, a wildcard or a file extension.
pub(crate) fn is_path(name: &str) -> bool {
    name.contains(['/', '\\', '*'])
        || name.rsplit_once('.').is_some_and(|(stem, extension)| !stem.is_empty() && !extension.is_empty())
}

impl ContextProvider for Context<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>, DataFusionError> {
        let parts = name_parts(&name);
        if let Some(table) = self.catalog.table(&parts).map_err(into_datafusion)? {
            return Ok(TableScanSource::shared(table, TableOrigin::Named(parts)));
        }
        if let Some(view) = self.catalog.view(&parts).map_err(into_datafusion)? {
            return self.expand_view(&name, &view);
        }
        match &name {
            TableReference::Bare { table } if is_path(table) => self.path_table(table, None, &[]),
            _ => plan_err!("there is no table or view {name}"),
        }
    }

    fn get_table_function_source(
        &self,
        name: &str,
        arguments: Vec<Expr>,
    ) -> Result<Arc<dyn TableSource>, DataFusionError> {
        let constants = arguments
            .iter()
            .map(|argument| match argument {
                Expr::Literal(value, _) => {
                    let constant = convert_scalar(value).map_err(into_datafusion)?;
                    Ok(Constant { value: constant, data_type: value.data_type() })
                }
                other => plan_err!("table function {name}: argument {other} is not a constant"),
            })
            .collect::<Result<Vec<Constant>, DataFusionError>>()?;
        if let Some(table) = self.catalog.table_function(name, &constants).map_err(into_datafusion)? {
            let origin = TableOrigin::Function { name: name.to_string(), arguments: constants };
            return Ok(TableScanSource::shared(table, origin));
        }
        let Some(format) = reader_format(name) else { return plan_err!("there is no table function {name}") };
        let texts = constants.iter().map(|c| match &c.value {
            Scalar::Bytes(text) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        });
        let Some((path, options)) =
            texts.collect::<Option<Vec<_>>>().and_then(|mut t| (!t.is_empty()).then(|| (t.remove(0), t)))
        else {
            return plan_err!("table function {name} takes a path and options: {name}('path', option = value)");
        };
        match options.iter().map(|o| unfold(o)).collect::<Option<Vec<_>>>() {
            Some(options) => self.path_table(&path, Some(format), &options),
            None => {
                plan_err!("table function {name}: behind the path come options by name: {name}('path', option = value)")
            }
        }
    }

    fn create_cte_work_table(&self, name: &str, schema: SchemaRef) -> Result<Arc<dyn TableSource>, DataFusionError> {
        Ok(Arc::new(WorkTableSource { name: name.to_string(), schema }))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.functions.planners()
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        if name == super::syntax::NAMED {
            return Some(crate::function::named_value());
        }
        self.functions.scalar(name)
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.functions.aggregate(name)
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.functions.window(name)
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &OPTIONS
    }

    fn udf_names(&self) -> Vec<String> {
        self.functions.scalar_names()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.functions.aggregate_names()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.functions.window_names()
    }
}

/// A table of the catalog. Every filter is pushed into the scan: what the table cannot apply is lowered to a filter above it.
pub(super) struct TableScanSource {
    pub(super) table: Arc<dyn Table>,
    pub(super) origin: TableOrigin,
    schema: SchemaRef,
}

impl TableScanSource {
    fn shared(table: Arc<dyn Table>, origin: TableOrigin) -> Arc<dyn TableSource> {
        let schema = table.schema();
        Arc::new(TableScanSource { table, origin, schema })
    }
}

impl TableSource for TableScanSource {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>, DataFusionError> {
        Ok(vec![TableProviderFilterPushDown::Exact; filters.len()])
    }
}

/// A view, replaced by its plan as soon as a scan of it is built.
struct ViewSource {
    plan: LogicalPlan,
}

impl TableSource for ViewSource {
    fn schema(&self) -> SchemaRef {
        self.plan.schema().inner().clone()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn get_logical_plan(&'_ self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.plan))
    }
}

/// The previous round's rows in a recursive query.
pub(super) struct WorkTableSource {
    pub(super) name: String,
    schema: SchemaRef,
}

impl TableSource for WorkTableSource {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }
}
