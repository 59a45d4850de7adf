//! Functions with Spark's exact semantics, for plans of the Spark plugin. README.md is the table by which Spark's expressions are mapped to them; the golden
//! files in `tests/` hold what Spark itself answers.

mod calendar;
mod cast;
mod columns;
mod decimal;
mod definition;
mod error;
mod hash;
mod java;
mod nested;
mod number;
mod regex;
mod result;
mod sql;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod zone;

use std::sync::Arc;

use datafusion_expr::ScalarUDF;

/// Every function, once for each of its modes.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let families = [cast::FUNCTIONS, regex::FUNCTIONS]
        .into_iter()
        .chain(hash::FUNCTIONS)
        .chain(nested::FUNCTIONS)
        .chain(number::FUNCTIONS)
        .chain(text::FUNCTIONS)
        .chain(time::FUNCTIONS);
    families.flatten().flat_map(definition::Definition::planned).collect()
}

/// Whether a function is one of these: its errors are Spark's own, and stay as they are.
pub(super) fn is_spark(function: &ScalarUDF) -> bool {
    function.inner().is::<definition::SparkFunction>()
}
