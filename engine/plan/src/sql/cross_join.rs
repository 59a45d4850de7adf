//! The library's rule that joins what a WHERE equates, kept away from keys of which nulls are equal.
//!
//! It takes a tree of inner joins apart and puts it together with one meaning of null for all keys: `=` would match nulls where a join
//! by `IS NOT DISTINCT FROM` is in the tree, or that one would lose them. Such plans keep their joins; our own join order does the rest.

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DataFusionError, JoinType, NullEquality};
use datafusion_expr::LogicalPlan;
use datafusion_optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion_optimizer::optimizer::ApplyOrder;
use datafusion_optimizer::{OptimizerConfig, OptimizerRule};

#[derive(Debug)]
pub(super) struct NullSafeCrossJoins(EliminateCrossJoin);

impl NullSafeCrossJoins {
    pub(super) fn new() -> Self {
        NullSafeCrossJoins(EliminateCrossJoin::new())
    }
}

impl OptimizerRule for NullSafeCrossJoins {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>, DataFusionError> {
        let matches_nulls = plan.exists(|node| {
            Ok(matches!(node, LogicalPlan::Join(join)
                if join.join_type == JoinType::Inner && join.null_equality == NullEquality::NullEqualsNull))
        })?;
        if matches_nulls { Ok(Transformed::no(plan)) } else { self.0.rewrite(plan, config) }
    }
}
