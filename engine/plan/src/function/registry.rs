//! Names → functions of the library, and the planners that turn special syntax (EXTRACT, SUBSTRING, array literals) into calls.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::DataType;
use datafusion_expr::planner::ExprPlanner;
use datafusion_expr::{AggregateUDF, ScalarUDF, WindowUDF};
use plasmon_core::operators::aggregate::CustomAggregate;

use super::user::{UserAggregate, UserFunction};

/// Every function that SQL can call, by lower-case name and alias.
#[derive(Debug, Clone)]
pub struct Registry {
    scalar: HashMap<String, Arc<ScalarUDF>>,
    aggregate: HashMap<String, Arc<AggregateUDF>>,
    window: HashMap<String, Arc<WindowUDF>>,
    planners: Vec<Arc<dyn ExprPlanner>>,
}

static STANDARD: LazyLock<Arc<Registry>> = LazyLock::new(|| {
    Arc::new(Registry {
        scalar: named(
            datafusion_functions::all_default_functions()
                .into_iter()
                .chain(datafusion_functions_nested::all_default_nested_functions())
                .chain(super::spark::functions()),
            |f| f.name(),
            |f| f.aliases(),
        ),
        aggregate: named(
            datafusion_functions_aggregate::all_default_aggregate_functions(),
            |f| f.name(),
            |f| f.aliases(),
        ),
        window: named(datafusion_functions_window::all_default_window_functions(), |f| f.name(), |f| f.aliases()),
        planners: vec![
            Arc::new(datafusion_functions::core::planner::CoreFunctionPlanner::default()),
            Arc::new(datafusion_functions::datetime::planner::DatetimeFunctionPlanner),
            Arc::new(datafusion_functions::unicode::planner::UnicodeFunctionPlanner),
            Arc::new(datafusion_functions_nested::planner::NestedFunctionPlanner),
            Arc::new(datafusion_functions_nested::planner::FieldAccessPlanner),
            Arc::new(datafusion_functions_aggregate::planner::AggregateFunctionPlanner),
            Arc::new(datafusion_functions_window::planner::WindowFunctionPlanner),
        ],
    })
});

fn named<F>(
    functions: impl IntoIterator<Item = Arc<F>>,
    name: impl Fn(&F) -> &str,
    aliases: impl Fn(&F) -> &[String],
) -> HashMap<String, Arc<F>> {
    let mut map = HashMap::new();
    for function in functions {
        for alias in aliases(&function) {
            map.insert(alias.clone(), function.clone());
        }
        map.insert(name(&function).to_string(), function);
    }
    map
}

impl Registry {
    /// The functions every session has.
    pub fn standard() -> Arc<Self> {
        STANDARD.clone()
    }

    /// Adds a scalar function of an embedder's, or replaces the one of that name.
    pub fn add_scalar(&mut self, function: UserFunction) {
        let function = UserFunction { name: function.name.to_lowercase(), ..function };
        self.scalar.insert(function.name.clone(), Arc::new(function.planned()));
    }

    /// Adds an aggregate function of an embedder's, or replaces the one of that name.
    pub fn add_aggregate(&mut self, function: Arc<dyn CustomAggregate>, result: DataType) {
        let function = UserAggregate::planned(function, result);
        self.aggregate.insert(function.name().to_string(), Arc::new(function));
    }

    /// The scalar function of that name.
    pub fn scalar(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.scalar.get(name).cloned()
    }

    /// The aggregate function of that name.
    pub fn aggregate(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.aggregate.get(name).cloned()
    }

    /// The window function of that name.
    pub fn window(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.window.get(name).cloned()
    }

    /// Planners of special syntax.
    pub fn planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }

    /// Names of all scalar functions, sorted.
    pub fn scalar_names(&self) -> Vec<String> {
        sorted(self.scalar.keys())
    }

    /// Names of all aggregate functions, sorted.
    pub fn aggregate_names(&self) -> Vec<String> {
        sorted(self.aggregate.keys())
    }

    /// Names of all window functions, sorted.
    pub fn window_names(&self) -> Vec<String> {
        sorted(self.window.keys())
    }
}

fn sorted<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut names: Vec<String> = names.cloned().collect();
    names.sort();
    names
}
