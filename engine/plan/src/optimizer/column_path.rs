//! From a column of a relation down to the table columns that it comes from, as far as dropping unwanted values there is harmless.
//!
//! The caller knows a set of wanted values and that rows of the relation whose column holds another are of no use to anyone above. Such
//! rows may then be dropped at any table column on the path: whatever that changes in between (fewer group members, a missed partner
//! that turns into nulls) only befalls rows that hold an unwanted value themselves. Dropping is optional, so it may also be partial.

use plasmon_core::expression::{Expression, Kind};
use plasmon_core::operators::join::JoinKind;

use crate::ir::{Join, Node, Relation, UnnestOutput};

/// What a path may cross.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    /// Rows that hold null are unwanted, too: an outer join's padded side can be filtered.
    Unwanted,
    /// Null may be wanted.
    Wanted,
}

/// Calls `visit` for every scan on the paths of column `column` of `relation`, with the table's ordinal.
pub(super) fn visit_scans(
    relation: &mut Relation,
    column: usize,
    nulls: Nulls,
    visit: &mut dyn FnMut(&mut Relation, usize),
) {
    match &mut relation.node {
        // A scan with a limit could give other rows instead of the dropped ones.
        Node::Scan { projection, fetch: None, .. } => {
            let table_column = projection[column];
            visit(relation, table_column);
        }
        Node::Filter { input, .. } | Node::Exchange { input, .. } => visit_scans(input, column, nulls, visit),
        Node::Sort { input, offset: 0, fetch: None, .. } => visit_scans(input, column, nulls, visit),
        Node::Project { input, expressions } => {
            if let Kind::Column(below) = expressions[column].kind {
                visit_scans(input, below, nulls, visit);
            }
        }
        Node::Aggregate { input, group_by, grouping_sets, .. } => {
            // A set without the key gives it as null and aggregates over all its values.
            if column < group_by.len()
                && grouping_sets.iter().all(|set| set[column])
                && let Kind::Column(below) = group_by[column].kind
            {
                visit_scans(input, below, nulls, visit);
            }
        }
        Node::Window { input, partition_by, .. } => {
            // Whole partitions go, so that no other row sees a difference.
            if partition_by.iter().any(|p| matches!(p.kind, Kind::Column(c) if c == column)) {
                visit_scans(input, column, nulls, visit);
            }
        }
        Node::Union { inputs } => inputs.iter_mut().for_each(|input| visit_scans(input, column, nulls, visit)),
        Node::Unnest { input, unnest } => {
            if let UnnestOutput::Keep(below) = unnest.outputs[column] {
                visit_scans(input, below, nulls, visit);
            }
        }
        Node::Join { left, right, join } => visit_join(left, right, join, column, nulls, visit),
        _ => {}
    }
}

fn visit_join(
    left: &mut Relation,
    right: &mut Relation,
    join: &Join,
    column: usize,
    nulls: Nulls,
    visit: &mut dyn FnMut(&mut Relation, usize),
) {
    let widths = (left.schema.fields().len(), right.schema.fields().len());
    let Some((on_left, below)) = output_column(widths, join, column) else { return };
    let padded = match join.kind {
        JoinKind::Left => !on_left,
        JoinKind::Right => on_left,
        JoinKind::Full => true,
        _ => false,
    };
    if padded && nulls == Nulls::Wanted || join.null_aware {
        return;
    }
    let (own_keys, other_keys) =
        if on_left { (&join.left_keys, &join.right_keys) } else { (&join.right_keys, &join.left_keys) };
    // The other side's partner column has the same value in every row that counts, unless its rows stand for themselves.
    let others_count = match join.kind {
        JoinKind::Full => true,
        JoinKind::Left | JoinKind::LeftMark | JoinKind::LeftAnti => !on_left,
        JoinKind::Right | JoinKind::RightMark | JoinKind::RightAnti => on_left,
        _ => false,
    };
    let partners: Vec<usize> = match others_count || nulls == Nulls::Wanted && join.kind != JoinKind::Inner {
        true => Vec::new(),
        false => {
            let pairs = own_keys.iter().zip(other_keys).zip(&join.null_equal);
            pairs
                .filter(|((own, _), null_equal)| is_column(own, below) && !**null_equal)
                .filter_map(|((_, other), _)| column_of(other))
                .collect()
        }
    };
    let (own, other) = if on_left { (left, right) } else { (right, left) };
    visit_scans(own, below, nulls, visit);
    partners.into_iter().for_each(|partner| visit_scans(other, partner, nulls, visit));
}

/// Which input an output column of a join comes from, and its ordinal there; none for a mark.
pub(super) fn output_column(
    (left_width, right_width): (usize, usize),
    join: &Join,
    column: usize,
) -> Option<(bool, usize)> {
    let full = match &join.projection {
        Some(projection) => *projection.get(column)?,
        None => column,
    };
    match join.kind {
        JoinKind::LeftSemi | JoinKind::LeftAnti => Some((true, full)),
        JoinKind::RightSemi | JoinKind::RightAnti => Some((false, full)),
        JoinKind::LeftMark => (full < left_width).then_some((true, full)),
        JoinKind::RightMark => (full < right_width).then_some((false, full)),
        _ if full < left_width => Some((true, full)),
        _ => Some((false, full - left_width)),
    }
}

fn is_column(expression: &Expression, column: usize) -> bool {
    column_of(expression) == Some(column)
}

fn column_of(expression: &Expression) -> Option<usize> {
    match expression.kind {
        Kind::Column(column) => Some(column),
        _ => None,
    }
}
