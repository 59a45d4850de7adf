//! The planner library's logical plan → the plan IR.
//!
//! Every name becomes an ordinal, every expression carries its type, semantics that the logical plan leaves to an engine are made
//! explicit (overflow, cast mode, null-awareness, frames). Uncorrelated scalar sub-queries become slots that are filled first. What has no
//! form in the IR is refused with the construct's name.

mod aggregate;
mod expression;
mod literal;
mod relation;
mod window;

use std::sync::Arc;

use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::LogicalPlan;
use plasmon_core::expression::ScalarSlot;
use plasmon_core::{Error, Result};

pub(crate) use expression::{cast_to, same_type};
pub(crate) use literal::convert_scalar;

use crate::error::convert_error;
use crate::ir::{Plan, Relation};

/// The IR of an analyzed and optimized query.
pub(super) fn translate(plan: &LogicalPlan) -> Result<Plan> {
    let mut translator = Translator::default();
    let root = translator.relation(plan)?;
    let subqueries = translator.subqueries.into_iter().map(|s| (s.slot, s.relation)).collect();
    Ok(Plan { root, subqueries, shared: Vec::new() })
}

/// The IR of one node over leaves without rows; sub-queries are refused, an operator alone has nowhere to run them.
pub(super) fn translate_node(plan: &LogicalPlan) -> Result<Relation> {
    let mut translator = Translator::default();
    let root = translator.relation(plan)?;
    match translator.subqueries.is_empty() {
        true => Ok(root),
        false => Err(Error::unsupported("sub-queries in an expression of an operator")),
    }
}

/// State of one translation.
#[derive(Default)]
struct Translator {
    /// Scalar sub-queries in the order in which they can run.
    subqueries: Vec<ScalarSubquery>,
}

struct ScalarSubquery {
    /// What it was made from, to give equal sub-queries one slot; `None` when two runs may differ.
    plan: Option<Arc<LogicalPlan>>,
    slot: Arc<ScalarSlot>,
    relation: Relation,
}

impl Translator {
    /// The slot of an uncorrelated scalar sub-query.
    fn subquery_slot(&mut self, plan: &Arc<LogicalPlan>) -> Result<Arc<ScalarSlot>> {
        if let Some(known) = self.subqueries.iter().find(|s| s.plan.as_ref().is_some_and(|p| p == plan)) {
            return Ok(known.slot.clone());
        }
        let relation = self.relation(plan)?;
        let slot = ScalarSlot::new();
        let plan = (!is_volatile(plan)?).then(|| plan.clone());
        self.subqueries.push(ScalarSubquery { plan, slot: slot.clone(), relation });
        Ok(slot)
    }
}

/// Whether two runs of a plan over the same tables may differ.
fn is_volatile(plan: &LogicalPlan) -> Result<bool> {
    let mut volatile = false;
    plan.apply_with_subqueries(|node| {
        volatile |= node.expressions().iter().any(|e| e.is_volatile());
        Ok(if volatile { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })
    .map_err(convert_error)?;
    Ok(volatile)
}
