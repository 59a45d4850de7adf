//! A top-N tells its scan the worst first key it still keeps, so that the scan can leave out rows, pages and row groups behind it.

use plasmon_core::expression::Kind;
use plasmon_core::operators::runtime_filter::TopNThreshold;
use plasmon_core::{Config, Result};

use super::column_path::{Nulls, visit_scans};
use crate::ir::{Node, Plan, Relation};

pub(super) fn run(plan: Plan, _: &Config) -> Result<Plan> {
    plan.map_trees(&mut publish)
}

fn publish(relation: Relation) -> Result<Relation> {
    let mut relation = relation.map_children(&mut publish)?;
    if let Node::Sort { input, keys, fetch: Some(_), threshold, .. } = &mut relation.node
        && let Kind::Column(column) = keys[0].expression.kind
    {
        let shared = TopNThreshold::new(keys[0].descending, keys[0].nulls_first);
        visit_scans(input, column, Nulls::Wanted, &mut |scan, column| {
            if let Node::Scan { threshold: slot @ None, .. } = &mut scan.node {
                *slot = Some((column, shared.clone()));
                *threshold = Some(shared.clone());
            }
        });
    }
    Ok(relation)
}
