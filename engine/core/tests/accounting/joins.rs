//! Joins of every kind, with and without equal keys, in memory and beyond it.

use arrow_schema::DataType;
use plasmon_core::batch::Column;
use plasmon_core::expression::{CompareOp, Expression};
use plasmon_core::operators::join::{Join, JoinKind, JoinSpec};
use plasmon_core::operators::runtime_filter::RuntimeFilter;
use plasmon_core::pipeline::Wait;

use crate::harness::{Make, ROWS, codes, integers, measure, mixed, texts};

/// Columns: 0 sequence, 1 mixed, 2 text, 3 repeated, 4 code.
fn rows(batch: u64) -> Vec<Column> {
    let first = batch * ROWS as u64;
    vec![
        integers(first, ROWS, |row| row as i64),
        integers(first, ROWS, |row| mixed(row) as i64),
        texts(first, ROWS, mixed),
        integers(first, ROWS, |row| (mixed(row) % 20_000) as i64),
        codes(first, ROWS, 20),
    ]
}

fn types() -> Vec<DataType> {
    vec![DataType::Int64, DataType::Int64, DataType::Utf8View, DataType::Int64, DataType::Utf8View]
}

fn keys(columns: &[usize]) -> Vec<Expression> {
    columns.iter().map(|&c| Expression::column(c, types()[c].clone())).collect()
}

fn spec(kind: JoinKind, columns: &[usize]) -> JoinSpec {
    JoinSpec {
        kind,
        left_keys: keys(columns),
        right_keys: keys(columns),
        null_equal: vec![false; columns.len()],
        residual: None,
        null_aware: false,
        left_types: types(),
        right_types: types(),
        projection: None,
    }
}

fn joined(name: &str, memory: Option<usize>, spec: JoinSpec, (left, right): (u64, u64), filters: bool) {
    measure(name, memory, |plan| {
        let filters = if filters { vec![(0, RuntimeFilter::new())] } else { Vec::new() };
        let join = Join::new(spec, filters).expect("a join");
        let build = plan.graph.add_sink(join.build(), 0);
        let spilled = join.spilled();
        let input = plan.input(right, rows as Make);
        plan.pipeline(input, Vec::new(), build, Vec::new());
        let result = plan.result();
        let input = plan.input(left, rows as Make);
        let mut waits = vec![Wait::Sink(build)];
        waits.push(plan.pipeline(input, vec![join.probe()], result, waits.clone()));
        if let Some(unmatched) = join.unmatched() {
            waits.push(plan.pipeline(unmatched, Vec::new(), result, waits.clone()));
        }
        plan.pipeline(spilled, Vec::new(), result, waits);
    });
}

#[test]
fn key_tables() {
    joined("join by dense keys", None, spec(JoinKind::Inner, &[0]), (32, 64), true);
    joined("join by sparse keys", None, spec(JoinKind::Inner, &[1]), (32, 64), true);
    joined("join by packed keys", None, spec(JoinKind::Inner, &[0, 3]), (32, 64), true);
    joined("join by wide keys", None, spec(JoinKind::Inner, &[1, 0]), (32, 64), true);
    joined("join by text", None, spec(JoinKind::Inner, &[2]), (32, 64), false);
    joined("join by text and code", None, spec(JoinKind::Inner, &[2, 4]), (32, 64), false);
    joined("join by repeated keys", None, spec(JoinKind::Inner, &[3]), (8, 64), true);
}

#[test]
fn kinds() {
    for kind in JoinKind::ALL {
        joined(&format!("{kind:?} join"), None, spec(kind, &[0]), (32, 64), false);
        joined(&format!("{kind:?} join, repeated"), None, spec(kind, &[3]), (8, 32), false);
    }
}

#[test]
fn joins_beyond_memory() {
    for kind in [JoinKind::Inner, JoinKind::Full, JoinKind::LeftAnti, JoinKind::RightMark] {
        joined(&format!("{kind:?} join beyond memory"), Some(8 << 20), spec(kind, &[1]), (32, 64), true);
    }
    joined("join by text beyond memory", Some(8 << 20), spec(JoinKind::Inner, &[2]), (16, 64), false);
    joined("join by repeated keys beyond memory", Some(8 << 20), spec(JoinKind::Full, &[3]), (4, 64), false);
}

#[test]
fn nested_loops() {
    let same = Expression::compare(
        CompareOp::Equal,
        Expression::column(0, DataType::Int64),
        Expression::column(types().len(), DataType::Int64),
    );
    for kind in [JoinKind::Inner, JoinKind::Full, JoinKind::LeftSemi] {
        let spec = JoinSpec { residual: Some(same.clone()), ..spec(kind, &[]) };
        let batches = |batch: u64| rows(batch).iter().map(|column| column.slice(0, 16)).collect();
        let name = format!("{kind:?} nested loop");
        measure(&name, None, |plan| {
            let join = Join::new(spec, Vec::new()).expect("a join");
            let build = plan.graph.add_sink(join.build(), 0);
            let spilled = join.spilled();
            let input = plan.input(32, rows as Make);
            plan.pipeline(input, Vec::new(), build, Vec::new());
            let result = plan.result();
            let input = plan.input(2, batches as Make);
            let mut waits = vec![Wait::Sink(build)];
            waits.push(plan.pipeline(input, vec![join.probe()], result, waits.clone()));
            if let Some(unmatched) = join.unmatched() {
                waits.push(plan.pipeline(unmatched, Vec::new(), result, waits.clone()));
            }
            plan.pipeline(spilled, Vec::new(), result, waits);
        });
    }
}
