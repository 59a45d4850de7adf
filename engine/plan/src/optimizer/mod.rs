//! The straight list of passes over the plan IR.

use plasmon_core::{Config, Result};

use crate::ir::Plan;

/// Runs every pass that `config` does not disable.
pub fn optimize(plan: Plan, _config: &Config) -> Result<Plan> {
    Ok(plan)
}
