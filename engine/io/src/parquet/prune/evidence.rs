//! Whether a filter of one column may pass, going by what is known of the column's values in some rows.

use plasmon_core::expression::{CompareOp, Expression, Kind, Scalar};

/// What is known of the values of one column in some rows. Whatever is unknown may be.
pub(super) trait Evidence {
    /// Whether a value may make `value op constant` true; the constant is not null, and of the column's type.
    fn may_compare(&self, op: CompareOp, constant: &Scalar) -> bool;

    /// Whether a null may be among them.
    fn may_be_null(&self) -> bool {
        true
    }

    /// Whether anything else may be.
    fn may_be_valid(&self) -> bool {
        true
    }

    /// Whether a text may start with these bytes.
    fn may_start_with(&self, _prefix: &[u8]) -> bool {
        true
    }
}

/// Whether some row may pass the filter, which reads one column.
pub(super) fn may_pass(filter: &Expression, known: &dyn Evidence) -> bool {
    match &filter.kind {
        Kind::And(operands) => operands.iter().all(|o| may_pass(o, known)),
        Kind::Or(operands) => operands.iter().any(|o| may_pass(o, known)),
        Kind::Column(_) => may_compare(known, CompareOp::Equal, &Scalar::Boolean(true)),
        Kind::Not(operand) if is_column(operand) => may_compare(known, CompareOp::Equal, &Scalar::Boolean(false)),
        Kind::IsNull(operand) if is_column(operand) => known.may_be_null(),
        Kind::IsNotNull(operand) if is_column(operand) => known.may_be_valid(),
        Kind::Compare { op, left, right } => match (&left.kind, &right.kind) {
            (Kind::Column(_), Kind::Literal(constant)) => may_compare(known, *op, constant),
            (Kind::Literal(constant), Kind::Column(_)) => may_compare(known, op.flipped(), constant),
            _ => true,
        },
        Kind::InList { operand, list, negated: false } if is_column(operand) => {
            list.iter().any(|item| constant_of(item).is_none_or(|c| may_compare(known, CompareOp::Equal, c)))
        }
        Kind::Like { operand, pattern, escape: None, case_insensitive: false, negated: false }
            if is_column(operand) =>
        {
            let prefix = constant_of(pattern).and_then(like_prefix);
            known.may_be_valid() && prefix.is_none_or(|prefix| known.may_start_with(prefix))
        }
        _ => true,
    }
}

/// The constants of which the column must equal one for the filter to be true; `None` when other values may pass too.
pub(super) fn wanted_constants(filter: &Expression) -> Option<Vec<&Scalar>> {
    match &filter.kind {
        Kind::And(operands) => operands.iter().find_map(wanted_constants),
        Kind::Or(operands) => Some(operands.iter().map(wanted_constants).collect::<Option<Vec<_>>>()?.concat()),
        Kind::Compare { op: CompareOp::Equal, left, right } => match (&left.kind, &right.kind) {
            (Kind::Column(_), Kind::Literal(c)) | (Kind::Literal(c), Kind::Column(_)) => Some(vec![c]),
            _ => None,
        },
        Kind::InList { operand, list, negated: false } if is_column(operand) => list.iter().map(constant_of).collect(),
        _ => None,
    }
}

fn is_column(expression: &Expression) -> bool {
    matches!(expression.kind, Kind::Column(_))
}

fn constant_of(expression: &Expression) -> Option<&Scalar> {
    match &expression.kind {
        Kind::Literal(value) => Some(value),
        _ => None,
    }
}

/// The bytes with which every text starts that the pattern matches.
fn like_prefix(pattern: &Scalar) -> Option<&[u8]> {
    let Scalar::Bytes(pattern) = pattern else { return None };
    // A backslash may escape what follows.
    let end = pattern.iter().position(|b| matches!(b, b'%' | b'_' | b'\\')).unwrap_or(pattern.len());
    (end > 0).then(|| &pattern[..end])
}

fn may_compare(known: &dyn Evidence, op: CompareOp, constant: &Scalar) -> bool {
    match (op, constant.is_null()) {
        (CompareOp::NotDistinctFrom, true) => known.may_be_null(),
        (CompareOp::DistinctFrom, true) => known.may_be_valid(),
        (CompareOp::DistinctFrom, false) => true,
        (_, true) => false,
        (CompareOp::NotDistinctFrom, false) => known.may_be_valid() && known.may_compare(CompareOp::Equal, constant),
        (_, false) => known.may_be_valid() && known.may_compare(op, constant),
    }
}
