//! The optimizer: one straight list of named, timed, switchable passes over the plan IR.
//!
//! DataFusion's rules have already simplified, decorrelated and pushed filters and columns down; what is left is what needs statistics
//! or knows how the engine runs. In order:
//!
//! 1. `simplify`: what alternatives share is taken out of ORs, ORs of equalities become IN lists, filters over scans go into them.
//! 2. `share`: what occurs more than once is computed once.
//! 3. `set_operations`: INTERSECT and EXCEPT are one aggregation, where that is faster or takes less memory.
//! 4. `join_order`: inner joins are put into the cheapest order, semi joins low where they drop rows.
//! 5. `build_side`: the smaller input of each join is its right one, which is built.
//! 6. `late_materialization`: wide columns of a top-N's rows are read once those are chosen.
//! 7. `runtime_filters`: a build's keys restrict the scans of the probe side.
//! 8. `top_n_threshold`: a top-N's worst kept key restricts its scan.
//! 9. `prune_columns`: nothing is scanned, joined or carried that is not read above.
//! 10. `estimate`: every node gets its estimated number of rows, for EXPLAIN and lowering.

mod build_side;
mod column_path;
mod form;
mod join_graph;
mod join_order;
mod late_materialization;
mod prune_columns;
mod runtime_filters;
mod selectivity;
mod set_operations;
mod share;
mod simplify;
mod statistics;
mod top_n_threshold;
mod verify;

use std::time::{Duration, Instant};

use plasmon_core::{Config, Error, Result};

use crate::ir::Plan;

/// A pass: a plan that gives the same rows.
type Pass = fn(Plan, &Config) -> Result<Plan>;

/// Every pass in the order in which it runs. Names are those of `Config::disabled_passes`.
pub const PASSES: [(&str, Pass); 10] = [
    ("simplify", simplify::run),
    ("share", share::run),
    ("set_operations", set_operations::run),
    ("join_order", join_order::run),
    ("build_side", build_side::run),
    ("late_materialization", late_materialization::run),
    ("runtime_filters", runtime_filters::run),
    ("top_n_threshold", top_n_threshold::run),
    ("prune_columns", prune_columns::run),
    ("estimate", statistics::run),
];

/// Runs those of the passes of these names that `config` does not disable.
pub(crate) fn optimize_by(names: &[&str], plan: Plan, config: &Config) -> Result<Plan> {
    let is_wanted = |name: &str| names.contains(&name) && !config.disabled_passes.iter().any(|d| d == name);
    PASSES.iter().filter(|(name, _)| is_wanted(name)).try_fold(plan, |plan, (_, pass)| pass(plan, config))
}

/// Runs every pass that `config` does not disable; gives the plan, and what each pass took.
pub fn optimize_timed(mut plan: Plan, config: &Config) -> Result<(Plan, Vec<(&'static str, Duration)>)> {
    let mut times = Vec::with_capacity(PASSES.len());
    for (name, pass) in PASSES {
        if config.disabled_passes.iter().any(|disabled| disabled == name) {
            continue;
        }
        let start = Instant::now();
        plan = pass(plan, config)?;
        times.push((name, start.elapsed()));
        if cfg!(debug_assertions) {
            verify::verify(&plan).map_err(|e| Error::internal(format!("after pass {name}: {e}")))?;
        }
    }
    Ok((plan, times))
}
