//! Row groups that cannot hold a wanted row, by their footers' bounds.
//!
//! Every conjunct is evaluated over the bounds: a comparison with a constant fails for all rows when the bound on the right side fails it. Bounds of text may be
//! truncated (a prefix that is still a bound), so equality of bounds proves nothing and only order is used. NaN makes float bounds useless: floats
//! do not prune.

use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use plasmon_core::batch::arrow::import_column;
use plasmon_core::expression::{CompareOp, Expression, Kind, Scalar};
use plasmon_core::table::ScanRequest;

use arrow::datatypes::SchemaRef;

use super::{ColumnPlace, ParquetFile};
use crate::partition::file_may_pass;

/// Bounds of one column per row group.
struct GroupBounds {
    mins: Vec<Scalar>,
    maxes: Vec<Scalar>,
}

/// For each row group of the file, whether it may hold a row that passes.
pub(super) fn wanted_groups(file: &ParquetFile, schema: &SchemaRef, request: &ScanRequest) -> Vec<bool> {
    let count = file.metadata.metadata().num_row_groups();
    if !file_may_pass(&|column| file.constant(column).cloned(), schema, request) {
        return vec![false; count];
    }
    let mut wanted = vec![true; count];
    for filter in &request.filters {
        let Some(column) = compared_column(filter) else { continue };
        let Some(bounds) = group_bounds(file, schema, column) else { continue };
        wanted
            .iter_mut()
            .enumerate()
            .for_each(|(group, wanted)| *wanted &= may_pass(filter, &bounds.mins[group], &bounds.maxes[group]));
    }
    for target in &request.runtime_filters {
        let (Some(keys), Some(bounds)) = (target.filter.keys(), group_bounds(file, schema, target.column)) else {
            continue;
        };
        for (group, wanted) in wanted.iter_mut().enumerate() {
            if let (Some(min), Some(max)) = (bounds.mins[group].as_i64(), bounds.maxes[group].as_i64()) {
                *wanted &= keys.may_overlap(min, max);
            }
        }
    }
    wanted
}

fn group_bounds(file: &ParquetFile, schema: &SchemaRef, column: usize) -> Option<GroupBounds> {
    // Bounds of another type than the table's say nothing about its values.
    if file.columns[column] != ColumnPlace::Stored {
        return None;
    }
    let name = schema.field(column).name();
    let converter = StatisticsConverter::try_new(name, file.metadata.schema(), file.metadata.parquet_schema()).ok()?;
    let groups = file.metadata.metadata().row_groups();
    let scalars = |array: arrow::array::ArrayRef| -> Option<Vec<Scalar>> {
        let column = import_column(&array).ok()?;
        Some((0..column.len()).map(|row| Scalar::from_column(&column, row)).collect())
    };
    Some(GroupBounds {
        mins: scalars(converter.row_group_mins(groups).ok()?)?,
        maxes: scalars(converter.row_group_maxes(groups).ok()?)?,
    })
}

/// The one column that a prunable filter reads.
fn compared_column(filter: &Expression) -> Option<usize> {
    match filter.referenced_columns()[..] {
        [column] => Some(column),
        _ => None,
    }
}

/// Whether some value within the bounds may make the filter true; unknown counts as yes.
fn may_pass(filter: &Expression, min: &Scalar, max: &Scalar) -> bool {
    match &filter.kind {
        Kind::And(operands) => operands.iter().all(|o| may_pass(o, min, max)),
        Kind::Or(operands) => operands.iter().any(|o| may_pass(o, min, max)),
        Kind::Compare { op, left, right } => match (&left.kind, &right.kind) {
            (Kind::Column(_), Kind::Literal(value)) => may_compare(*op, value, min, max),
            (Kind::Literal(value), Kind::Column(_)) => may_compare(flipped(*op), value, min, max),
            _ => true,
        },
        Kind::InList { operand, list, negated: false } if matches!(operand.kind, Kind::Column(_)) => {
            list.iter().any(|item| {
                if let Kind::Literal(value) = &item.kind {
                    may_compare(CompareOp::Equal, value, min, max)
                } else {
                    true
                }
            })
        }
        _ => true,
    }
}

fn flipped(op: CompareOp) -> CompareOp {
    match op {
        CompareOp::Less => CompareOp::Greater,
        CompareOp::LessEqual => CompareOp::GreaterEqual,
        CompareOp::Greater => CompareOp::Less,
        CompareOp::GreaterEqual => CompareOp::LessEqual,
        same => same,
    }
}

fn may_compare(op: CompareOp, value: &Scalar, min: &Scalar, max: &Scalar) -> bool {
    let before = |a: &Scalar, b: &Scalar| ordered(a, b).is_some_and(|o| o.is_lt());
    let at_or_before = |a: &Scalar, b: &Scalar| ordered(a, b).is_some_and(|o| o.is_le());
    match op {
        CompareOp::Equal => !before(value, min) && !before(max, value),
        CompareOp::Less => !at_or_before(value, min),
        CompareOp::LessEqual => !before(value, min),
        CompareOp::Greater => !at_or_before(max, value),
        CompareOp::GreaterEqual => !before(max, value),
        _ => true,
    }
}

fn ordered(a: &Scalar, b: &Scalar) -> Option<std::cmp::Ordering> {
    match (a, b) {
        (Scalar::Int64(a), Scalar::Int64(b)) => Some(a.cmp(b)),
        (Scalar::UInt64(a), Scalar::UInt64(b)) => Some(a.cmp(b)),
        (Scalar::Int128(a), Scalar::Int128(b)) => Some(a.cmp(b)),
        (Scalar::Bytes(a), Scalar::Bytes(b)) => Some(a.cmp(b)),
        _ => None,
    }
}
