//! A join's build keys restrict the scans that its probe side reads.
//!
//! For each key that is a plain column on the probe side, the way down to table columns is followed (through projections, filters, group
//! keys, unions, and over the equality classes of other joins); every scan reached gets a target. Keys of several columns give one filter
//! per column. Only kinds that drop probe rows without a partner may do this; a build that holds the whole domain of its key does not.

use plasmon_core::expression::{Expression, Kind};
use plasmon_core::operators::join::JoinKind;
use plasmon_core::operators::runtime_filter::RuntimeFilter;
use plasmon_core::table::RuntimeFilterTarget;
use plasmon_core::{Config, Result};

use super::column_path::{Nulls, visit_scans};
use super::statistics::{Estimates, Profile};
use crate::ir::{Join, Node, Plan, Relation};

/// Filters that let through more than this share of the keys are not worth testing.
const SHARE_MAX: f64 = 0.9;

pub(super) fn run(plan: Plan, _: &Config) -> Result<Plan> {
    let estimates = Estimates::of(&plan);
    plan.map_trees(&mut |relation| Ok(publish(relation, &estimates)?.0))
}

/// The relation with its filters, and its estimate.
fn publish(relation: Relation, estimates: &Estimates) -> Result<(Relation, Profile)> {
    let mut inputs = Vec::new();
    let mut relation = relation.map_children(&mut |child| {
        let (child, profile) = publish(child, estimates)?;
        inputs.push(profile);
        Ok(child)
    })?;
    if let (Node::Join { left, join, .. }, [_, build]) = (&mut relation.node, inputs.as_slice())
        && drops_unmatched_probe_rows(join.kind)
    {
        publish_keys(left, build, join);
    }
    let profile = estimates.node(&relation, inputs);
    Ok((relation, profile))
}

fn publish_keys(left: &mut Relation, build: &Profile, join: &mut Join) {
    for key in 0..join.left_keys.len() {
        let Kind::Column(probe_column) = join.left_keys[key].kind else { continue };
        if join.null_equal[key] || key_share(&join.right_keys[key], build) > SHARE_MAX {
            continue;
        }
        let filter = RuntimeFilter::new();
        let mut reached = false;
        visit_scans(left, probe_column, Nulls::Unwanted, &mut |scan, column| {
            if let Node::Scan { runtime_filters, .. } = &mut scan.node {
                runtime_filters.push(RuntimeFilterTarget { column, filter: filter.clone() });
                reached = true;
            }
        });
        if reached {
            join.runtime_filters.push((key, filter));
        }
    }
}

fn drops_unmatched_probe_rows(kind: JoinKind) -> bool {
    matches!(
        kind,
        JoinKind::Inner
            | JoinKind::LeftSemi
            | JoinKind::Right
            | JoinKind::RightSemi
            | JoinKind::RightAnti
            | JoinKind::RightMark
    )
}

/// The estimated share of a key's domain that the build side holds.
fn key_share(key: &Expression, build: &Profile) -> f64 {
    let Kind::Column(column) = key.kind else { return 0.0 };
    let column = &build.columns[column];
    let Some(domain) = column.domain else { return 0.0 };
    if domain >= 0.9 * column.base_rows {
        return build.rows / domain;
    }
    1.0 - (-build.rows / domain).exp()
}
