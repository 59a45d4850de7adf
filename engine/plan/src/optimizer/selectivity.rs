//! The share of rows that conjuncts keep, from bounds and distinct counts, with fixed guesses where nothing is known.

use std::collections::BTreeMap;

use plasmon_core::expression::{CompareOp, Expression, Kind, Scalar};

use super::statistics::ColumnProfile;

/// Equality with a constant on a column of unknown contents.
const EQUALITY: f64 = 0.05;
/// One-sided comparison of unknowns.
const COMPARISON: f64 = 0.33;
/// LIKE: fixed texts are rare.
const LIKE: f64 = 0.06;
/// Anything else.
const OTHER: f64 = 0.25;

/// Bounds of a column on the number line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) is_integer: bool,
}

/// A value's place on the number line, and whether values there are whole numbers (decimals by their unscaled value).
pub(super) fn scalar_position(value: &Scalar) -> Option<(f64, bool)> {
    match value {
        Scalar::Int64(v) => Some((*v as f64, true)),
        Scalar::UInt64(v) => Some((*v as f64, true)),
        Scalar::Int128(v) => Some((*v as f64, true)),
        Scalar::Float32(v) => Some((f64::from(*v), false)),
        Scalar::Float64(v) => Some((*v, false)),
        Scalar::Boolean(v) => Some((f64::from(u8::from(*v)), true)),
        _ => None,
    }
}

/// The share of rows for which all `conjuncts` (over columns with these profiles) are true. Range conditions on one column count as one
/// interval; everything else is taken as independent.
pub(super) fn selectivity(conjuncts: &[Expression], columns: &[ColumnProfile]) -> f64 {
    let mut share = 1.0;
    let mut ranges: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    let mut pending: Vec<&Expression> = conjuncts.iter().collect();
    while let Some(conjunct) = pending.pop() {
        if let Kind::And(operands) = &conjunct.kind {
            pending.extend(operands);
            continue;
        }
        match range(conjunct, columns) {
            Some((column, low, high)) => {
                let known = ranges.entry(column).or_insert((f64::NEG_INFINITY, f64::INFINITY));
                *known = (known.0.max(low), known.1.min(high));
            }
            None => share *= single(conjunct, columns),
        }
    }
    for (column, (low, high)) in ranges {
        let Some(bounds) = columns[column].bounds else { continue };
        let step = if bounds.is_integer { 1.0 } else { 0.0 };
        let width = (bounds.max - bounds.min + step).max(f64::MIN_POSITIVE);
        // Infinite values, or such that are too far apart for a difference: nothing is known of what lies between.
        if !width.is_finite() {
            share *= COMPARISON;
            continue;
        }
        let kept = (high.min(bounds.max) - low.max(bounds.min) + step).max(0.0);
        let least = 1.0 / columns[column].domain_or_guess();
        share *= (kept / width).clamp(least.min(0.5) * f64::from(u8::from(kept > 0.0)), 1.0);
    }
    share.clamp(0.0, 1.0)
}

/// `column < constant` and the like on a column with bounds: (column, least, greatest).
fn range(conjunct: &Expression, columns: &[ColumnProfile]) -> Option<(usize, f64, f64)> {
    let Kind::Compare { op, left, right } = &conjunct.kind else { return None };
    let (column, value, op) = match (&left.kind, &right.kind) {
        (Kind::Column(column), Kind::Literal(value)) => (*column, value, *op),
        (Kind::Literal(value), Kind::Column(column)) => (*column, value, op.flipped()),
        _ => return None,
    };
    let bounds = columns.get(column)?.bounds?;
    let (value, _) = scalar_position(value)?;
    let step = if bounds.is_integer { 1.0 } else { 0.0 };
    match op {
        CompareOp::Less => Some((column, f64::NEG_INFINITY, value - step)),
        CompareOp::LessEqual => Some((column, f64::NEG_INFINITY, value)),
        CompareOp::Greater => Some((column, value + step, f64::INFINITY)),
        CompareOp::GreaterEqual => Some((column, value, f64::INFINITY)),
        _ => None,
    }
}

/// The share that one condition keeps.
fn single(condition: &Expression, columns: &[ColumnProfile]) -> f64 {
    match &condition.kind {
        Kind::Literal(Scalar::Boolean(value)) => f64::from(u8::from(*value)),
        Kind::Literal(_) => 0.0,
        Kind::And(operands) => selectivity(operands, columns),
        Kind::Or(operands) => {
            1.0 - operands.iter().map(|o| 1.0 - selectivity(std::slice::from_ref(o), columns)).product::<f64>()
        }
        Kind::Not(operand) => 1.0 - selectivity(std::slice::from_ref(operand), columns),
        Kind::IsNull(operand) => column_of(operand, columns).map_or(0.05, |c| c.null_fraction),
        Kind::IsNotNull(operand) => column_of(operand, columns).map_or(0.95, |c| 1.0 - c.null_fraction),
        Kind::IsBoolean { negated, .. } => {
            if *negated {
                0.6
            } else {
                0.4
            }
        }
        Kind::Compare { op, left, right } => compare(*op, left, right, columns),
        Kind::InList { operand, list, negated } => {
            let share = (list.len() as f64 * equality(operand, columns)).min(0.9);
            if *negated { 1.0 - share } else { share }
        }
        Kind::Like { negated, .. } => {
            if *negated {
                1.0 - LIKE
            } else {
                LIKE
            }
        }
        Kind::Column(_) => 0.5,
        _ => OTHER,
    }
}

fn compare(op: CompareOp, left: &Expression, right: &Expression, columns: &[ColumnProfile]) -> f64 {
    match op {
        CompareOp::Equal | CompareOp::NotDistinctFrom => equality(left, columns).min(equality(right, columns)),
        CompareOp::NotEqual | CompareOp::DistinctFrom => 1.0 - equality(left, columns).min(equality(right, columns)),
        // Two columns of one row: as likely this way as that.
        _ if !left.referenced_columns().is_empty() && !right.referenced_columns().is_empty() => 0.5,
        _ => COMPARISON,
    }
}

/// The share of rows in which an operand has one given value.
fn equality(operand: &Expression, columns: &[ColumnProfile]) -> f64 {
    match &operand.kind {
        Kind::Literal(_) | Kind::Parameter(_) => 1.0,
        _ => column_of(operand, columns).and_then(|c| c.domain).map_or(EQUALITY, |domain| 1.0 / domain.max(1.0)),
    }
}

fn column_of<'a>(operand: &Expression, columns: &'a [ColumnProfile]) -> Option<&'a ColumnProfile> {
    match &operand.kind {
        Kind::Column(index) => columns.get(*index),
        Kind::Cast { operand, .. } => column_of(operand, columns),
        _ => None,
    }
}
