//! Probing a build side whose keys are unique: a row has one match or none, so that a batch is done in one step and keeps its order.

use std::sync::atomic::Ordering;

use plasmon_kernels::join_table::matches;

use super::build::Built;
use super::{JoinKind, JoinShared};
use crate::batch::{Batch, Column, Selection};

/// With at least this share of the batch in the output (in quarters), left columns stay in place under a selection rather than being copied.
const IN_PLACE_QUARTERS: usize = 3;

/// Whether [`output`] knows the join's kind.
pub(super) fn applies(shared: &JoinShared, built: &Built) -> bool {
    let spec = &shared.spec;
    let is_mark = matches!(spec.kind, JoinKind::LeftMark);
    built.table.is_unique() && spec.residual.is_none() && !spec.null_aware && !is_mark
}

/// Output of a batch: `positions` are its selected rows, `found` the build row + 1 of each of them, 0 = none.
pub(super) fn output(
    shared: &JoinShared,
    built: &Built,
    batch: &Batch,
    positions: &[u16],
    found: &[u32],
) -> Option<Batch> {
    let kind = shared.spec.kind;
    let (mut ranks, mut rows) = (Vec::new(), Vec::new());
    matches(found, &mut ranks, &mut rows);
    if kind.marks_right() {
        rows.iter().for_each(|&row| built.met[row as usize].store(true, Ordering::Relaxed));
    }
    let matched = || ranks.iter().map(|&rank| positions[rank as usize]).collect::<Vec<u16>>();
    match kind {
        JoinKind::LeftSemi => left_rows(shared, batch, matched()),
        JoinKind::LeftAnti => {
            let unmatched = positions.iter().zip(found).filter(|(_, found)| **found == 0);
            left_rows(shared, batch, unmatched.map(|(&position, _)| position).collect())
        }
        // A left row without match meets the row of nulls at the end.
        JoinKind::Left | JoinKind::Full => {
            let or_null = |&found: &u32| found.checked_sub(1).unwrap_or(built.rows as u32);
            pairs(shared, built, batch, positions, found.iter().map(or_null).collect())
        }
        JoinKind::Inner | JoinKind::Right => pairs(shared, built, batch, &matched(), rows),
        JoinKind::RightSemi | JoinKind::RightAnti | JoinKind::RightMark | JoinKind::LeftMark => None,
    }
}

fn left_rows(shared: &JoinShared, batch: &Batch, positions: Vec<u16>) -> Option<Batch> {
    if positions.is_empty() {
        return None;
    }
    let columns = shared.outputs.iter().map(|&output| batch.column(output).clone()).collect();
    Some(Batch::new(columns, batch.rows()).with_selection(Selection::new(positions)))
}

/// Left rows at ascending `positions`, each beside its build row.
fn pairs(shared: &JoinShared, built: &Built, batch: &Batch, positions: &[u16], rows: Vec<u32>) -> Option<Batch> {
    if positions.is_empty() {
        return None;
    }
    let left = shared.spec.left_types.len();
    let columns = |of_left: &dyn Fn(&Column) -> Column, rows: &[u32]| {
        let column = |&output: &usize| match output.checked_sub(left) {
            Some(right) => built.columns[right].gather(rows),
            None => of_left(batch.column(output)),
        };
        shared.outputs.iter().map(column).collect::<Vec<_>>()
    };
    if positions.len() * 4 < batch.rows() * IN_PLACE_QUARTERS {
        return Some(Batch::new(columns(&|left| left.gather(positions), &rows), positions.len()));
    }
    if positions.len() == batch.rows() {
        return Some(Batch::new(columns(&Column::clone, &rows), batch.rows()));
    }
    let mut in_place = vec![0u32; batch.rows()];
    positions.iter().zip(&rows).for_each(|(&position, &row)| in_place[position as usize] = row);
    let columns = columns(&Column::clone, &in_place);
    Some(Batch::new(columns, batch.rows()).with_selection(Selection::new(positions.to_vec())))
}
