//! The smaller input of a join, by rows and by bytes, becomes the right one, of which the hash table is built.
//!
//! The kind is mirrored with the sides (Left↔Right, LeftSemi↔RightSemi, …); the join's projection puts the columns back into order. A
//! null-aware anti join stays: it has no mirror image.

use plasmon_core::operators::join::JoinKind;
use plasmon_core::{Config, Result};

use super::statistics::{Estimates, Profile, ROW_WORDS, row_words};
use crate::ir::{Join, Node, Plan, Relation};

/// The left input has to be this much smaller before sides are changed: a tie stays as written.
const MARGIN: f64 = 0.8;

pub(super) fn run(plan: Plan, _: &Config) -> Result<Plan> {
    let estimates = Estimates::of(&plan);
    plan.map_trees(&mut |relation| Ok(choose(relation, &estimates)?.0))
}

/// The relation with its joins turned, and its estimate.
fn choose(relation: Relation, estimates: &Estimates) -> Result<(Relation, Profile)> {
    let mut inputs = Vec::new();
    let relation = relation.map_children(&mut |child| {
        let (child, profile) = choose(child, estimates)?;
        inputs.push(profile);
        Ok(child)
    })?;
    let smaller_left = matches!(&relation.node, Node::Join { .. }) && {
        let bytes =
            relation.children().into_iter().zip(&inputs).map(|(c, p)| p.rows * (ROW_WORDS + row_words(&c.schema)));
        let bytes: Vec<f64> = bytes.collect();
        inputs[0].rows < inputs[1].rows && bytes[0] < MARGIN * bytes[1]
    };
    let profile = estimates.node(&relation, inputs);
    match relation.node {
        Node::Join { left, right, join } if smaller_left && !join.null_aware && join.projection.is_none() => {
            Ok((Relation { node: swap(*left, *right, join), ..relation }, profile))
        }
        node => Ok((Relation { node, ..relation }, profile)),
    }
}

fn swap(left: Relation, right: Relation, join: Join) -> Node {
    let (left_width, right_width) = (left.schema.fields().len(), right.schema.fields().len());
    let kind = mirrored(join.kind);
    let moved = |c: usize| if c < left_width { c + right_width } else { c - left_width };
    let projection = match kind {
        JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full => {
            Some((0..left_width + right_width).map(moved).collect())
        }
        // One side only (and the mark after it): the same columns from the other side.
        _ => None,
    };
    let join = Join {
        kind,
        left_keys: join.right_keys,
        right_keys: join.left_keys,
        residual: join.residual.map(|r| r.map_columns(&moved)),
        projection,
        ..join
    };
    Node::Join { left: Box::new(right), right: Box::new(left), join }
}

fn mirrored(kind: JoinKind) -> JoinKind {
    match kind {
        JoinKind::Inner => JoinKind::Inner,
        JoinKind::Full => JoinKind::Full,
        JoinKind::Left => JoinKind::Right,
        JoinKind::Right => JoinKind::Left,
        JoinKind::LeftSemi => JoinKind::RightSemi,
        JoinKind::RightSemi => JoinKind::LeftSemi,
        JoinKind::LeftAnti => JoinKind::RightAnti,
        JoinKind::RightAnti => JoinKind::LeftAnti,
        JoinKind::LeftMark => JoinKind::RightMark,
        JoinKind::RightMark => JoinKind::LeftMark,
    }
}
