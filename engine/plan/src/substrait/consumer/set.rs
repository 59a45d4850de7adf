//! Set operations: unions as they are; differences and intersections as null-safe joins, counted where duplicates count.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use plasmon_core::Result;
use plasmon_core::expression::{CastMode, Expression};
use plasmon_core::operators::join::JoinKind;
use plasmon_core::operators::window::{Frame, FrameBound, FrameUnits, WindowExpression, WindowFunction};
use substrait_prost as proto;
use substrait_prost::set_rel::SetOp;

use super::join::{Condition, joined};
use super::relation::emit;
use super::{Consumer, project};
use crate::ir::{Node, Relation, schema_with};
use crate::path::Path;
use crate::sql::cast_to;
use crate::substrait::types::same;

impl<'a> Consumer<'a> {
    pub(super) fn set(&mut self, set: &'a proto::SetRel, at: &Path<'_>) -> Result<Relation> {
        let mut inputs = Vec::with_capacity(set.inputs.len());
        for (index, input) in set.inputs.iter().enumerate() {
            let at = at.item("inputs", index);
            let input = self.relation(input, &at)?;
            inputs.push(match inputs.first() {
                Some(first) => like(input, first, &at)?,
                None => input,
            });
        }
        let mut inputs = inputs.into_iter();
        let Some(primary) = inputs.next() else { return Err(at.wrong("a set operation of no inputs")) };
        let others = inputs;
        let relation = match set.op() {
            SetOp::UnionAll => union(std::iter::once(primary).chain(others).collect()),
            SetOp::UnionDistinct => union(std::iter::once(primary).chain(others).collect()).distinct(),
            SetOp::MinusPrimary => {
                others.fold(primary.distinct(), |left, right| matched(left, right, JoinKind::LeftAnti))
            }
            SetOp::IntersectionMultiset => {
                others.fold(primary.distinct(), |left, right| matched(left, right, JoinKind::LeftSemi))
            }
            SetOp::MinusPrimaryAll => {
                let width = primary.schema.fields().len();
                let others: Vec<Relation> = others.collect();
                let (left, right) = (numbered(primary), numbered(union(others)));
                matched(left, right, JoinKind::LeftAnti).project_columns(0..width)
            }
            SetOp::IntersectionMultisetAll => {
                let width = primary.schema.fields().len();
                let left = numbered(primary);
                others
                    .fold(left, |left, right| matched(left, numbered(right), JoinKind::LeftSemi))
                    .project_columns(0..width)
            }
            SetOp::MinusMultiset | SetOp::IntersectionPrimary => {
                return Err(at.refuse("a set operation by which engines understand different things (MINUS_MULTISET, INTERSECTION_PRIMARY)"));
            }
            SetOp::Unspecified => return Err(at.wrong("a set operation of no kind")),
        };
        emit(relation, &set.common, &set.advanced_extension, at)
    }
}

/// The input with columns of the types of `first`.
fn like(input: Relation, first: &Relation, at: &Path<'_>) -> Result<Relation> {
    let (own, wanted) = (input.schema.fields(), first.schema.fields());
    if own.len() != wanted.len() {
        return Err(at.wrong(format!("{} columns, the first input has {}", own.len(), wanted.len())));
    }
    if let Some((o, w)) = own.iter().zip(wanted).find(|(o, w)| !same(o.data_type(), w.data_type())) {
        return Err(at.wrong(format!(
            "column {} is {}, in the first input {}",
            o.name(),
            o.data_type(),
            w.data_type()
        )));
    }
    if own.iter().zip(wanted).all(|(o, w)| o.data_type() == w.data_type()) {
        return Ok(input);
    }
    let columns = input.columns().into_iter().zip(wanted);
    let expressions = columns.map(|(c, f)| cast_to(c, f.data_type(), CastMode::Fail)).collect();
    Ok(project(input, expressions))
}

fn union(mut inputs: Vec<Relation>) -> Relation {
    if inputs.len() == 1 {
        return inputs.swap_remove(0);
    }
    let nullable = |i: usize| inputs.iter().any(|r| r.schema.field(i).is_nullable());
    let fields: Vec<Field> = match inputs.first() {
        Some(first) => {
            let fields = first.schema.fields().iter().enumerate();
            fields.map(|(i, f)| f.as_ref().clone().with_nullable(nullable(i))).collect()
        }
        None => Vec::new(),
    };
    Relation::new(Node::Union { inputs }, Arc::new(arrow::datatypes::Schema::new(fields)))
}

/// Left rows with, or without, an equal row on the right; nulls are equal.
fn matched(left: Relation, right: Relation, kind: JoinKind) -> Relation {
    let condition = Condition {
        left_keys: left.columns(),
        right_keys: right.columns(),
        null_equal: vec![true; left.schema.fields().len()],
        residual: None,
    };
    joined(left, right, kind, condition, false)
}

/// One more column: which copy of its kind a row is. The n-th copy then meets the n-th copy of the other side.
fn numbered(input: Relation) -> Relation {
    let schema = schema_with(&input.schema, [Arc::new(Field::new("copy", DataType::Int64, false))]);
    let number = WindowExpression {
        function: WindowFunction::RowNumber,
        arguments: Vec::<Expression>::new(),
        frame: Frame { units: FrameUnits::Rows, start: FrameBound::UnboundedPreceding, end: FrameBound::CurrentRow },
        filter: None,
        distinct: false,
        ignore_nulls: false,
        data_type: DataType::Int64,
    };
    let partition_by = input.columns();
    let node = Node::Window { input: Box::new(input), partition_by, order_by: Vec::new(), functions: vec![number] };
    Relation::new(node, schema)
}
