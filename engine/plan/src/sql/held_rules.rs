//! Rules of the planner library, held back where they are wrong.
//!
//! - [`WholeCrossJoins`] keeps the rule that joins what a WHERE equates away from joins that it would not put together whole. It takes a tree
//!   of inner joins apart and joins one relation after the other, with one meaning of null for all keys: `=` would match nulls where a join
//!   by `IS NOT DISTINCT FROM` is in the tree, or that one would lose them; and a key that reads two relations is forgotten when the two
//!   come on different sides. Such plans keep their joins; our own join order does the rest.
//! - [`NullSafeKeys`] keeps the rule that makes keys of equalities away from the same joins: `=` would become a key of which nulls are equal.
//! - [`FiltersAboveTotals`] keeps a condition that reads no column above an aggregate that gives a row even of no rows.

use std::collections::HashSet;

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DataFusionError, JoinType, NullEquality};
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{Aggregate, Expr, Filter, GroupingSet, Join, LogicalPlan};
use datafusion_optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion_optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion_optimizer::optimizer::ApplyOrder;
use datafusion_optimizer::push_down_filter::PushDownFilter;
use datafusion_optimizer::{OptimizerConfig, OptimizerRule};

#[derive(Debug)]
pub(super) struct WholeCrossJoins(EliminateCrossJoin);

impl WholeCrossJoins {
    pub(super) fn new() -> Self {
        WholeCrossJoins(EliminateCrossJoin::new())
    }
}

impl OptimizerRule for WholeCrossJoins {
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
        let stays = plan.exists(|node| {
            Ok(matches!(node, LogicalPlan::Join(join)
                if join.join_type == JoinType::Inner
                    && (join.null_equality == NullEquality::NullEqualsNull || has_spread_key(join))))
        })?;
        if stays { Ok(Transformed::no(plan)) } else { self.0.rewrite(plan, config) }
    }
}

/// Whether a key of the join may read more than one relation. Columns without a qualifier do not tell which they come from.
fn has_spread_key(join: &Join) -> bool {
    join.on.iter().flat_map(|(left, right)| [left, right]).any(|key| {
        let columns = key.column_refs();
        let relations: HashSet<_> = columns.iter().map(|c| &c.relation).collect();
        relations.len() > 1 || columns.len() > 1 && relations.contains(&None)
    })
}

#[derive(Debug)]
pub(super) struct NullSafeKeys(ExtractEquijoinPredicate);

impl NullSafeKeys {
    pub(super) fn new() -> Self {
        NullSafeKeys(ExtractEquijoinPredicate::new())
    }
}

impl OptimizerRule for NullSafeKeys {
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
        match &plan {
            LogicalPlan::Join(join) if join.null_equality == NullEquality::NullEqualsNull => Ok(Transformed::no(plan)),
            _ => self.0.rewrite(plan, config),
        }
    }
}

#[derive(Debug)]
pub(super) struct FiltersAboveTotals(PushDownFilter);

impl FiltersAboveTotals {
    pub(super) fn new() -> Self {
        FiltersAboveTotals(PushDownFilter::new())
    }
}

impl OptimizerRule for FiltersAboveTotals {
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
        let LogicalPlan::Filter(filter) = plan else { return self.0.rewrite(plan, config) };
        let filter = with_filters_below(filter)?;
        if !matches!(filter.input.as_ref(), LogicalPlan::Aggregate(aggregate) if gives_total(aggregate)) {
            return self.0.rewrite(LogicalPlan::Filter(filter), config);
        }
        let (kept, pushed): (Vec<Expr>, Vec<Expr>) =
            split_conjunction_owned(filter.predicate.clone()).into_iter().partition(|c| c.column_refs().is_empty());
        match (conjunction(kept), conjunction(pushed)) {
            (None, _) => self.0.rewrite(LogicalPlan::Filter(filter), config),
            (Some(_), None) => Ok(Transformed::no(LogicalPlan::Filter(filter))),
            (Some(kept), Some(pushed)) => {
                let below = LogicalPlan::Filter(Filter::try_new(pushed, filter.input)?);
                let below = self.0.rewrite(below, config)?.data;
                Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(kept, below.into())?)))
            }
        }
    }
}

/// The filter with those right below it, which the library would join into one by itself.
fn with_filters_below(mut filter: Filter) -> Result<Filter, DataFusionError> {
    while let LogicalPlan::Filter(below) = filter.input.as_ref() {
        let predicate = below.predicate.clone().and(filter.predicate);
        filter = Filter::try_new(predicate, below.input.clone())?;
    }
    Ok(filter)
}

/// Whether one of its groups is all rows, also when there are none.
fn gives_total(aggregate: &Aggregate) -> bool {
    match &aggregate.group_expr[..] {
        [] => true,
        [Expr::GroupingSet(GroupingSet::GroupingSets(sets))] => sets.iter().any(Vec::is_empty),
        [Expr::GroupingSet(_)] => true,
        _ => false,
    }
}
