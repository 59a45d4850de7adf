//! `nullif`, `greatest` and `least` by the engine's comparisons, as CASE: the library compares floats by their bits, by which −0 is not 0
//! and a NaN may be the least value.

use plasmon_core::expression::{CompareOp, Expression, Kind, Scalar};

use super::{ScalarCall, scalar};

/// Calls of more arguments stay the library's: the CASE would repeat each as often as there are others.
const ARGUMENTS_MAX: usize = 4;

/// The call as comparisons, when it is one that has to be.
pub(super) fn rewrite(call: &ScalarCall<'_>) -> Option<Expression> {
    let arguments = &call.arguments[..];
    let data_type = &arguments.first()?.data_type;
    let is_plain = !scalar::is_user(call.function)
        && arguments.len() <= ARGUMENTS_MAX
        && arguments.iter().all(|a| a.data_type == *data_type && !is_volatile(a));
    match (call.function.name(), arguments) {
        ("nullif", [value, other]) if is_plain => Some(nullif(value, other)),
        ("greatest", _) if is_plain && data_type.is_floating() => Some(furthest(arguments, CompareOp::GreaterEqual)),
        ("least", _) if is_plain && data_type.is_floating() => Some(furthest(arguments, CompareOp::LessEqual)),
        _ => None,
    }
}

fn is_volatile(expression: &Expression) -> bool {
    let mut volatile = false;
    expression.visit(&mut |e| volatile |= matches!(&e.kind, Kind::Function(call) if call.function.is_volatile()));
    volatile
}

fn nullif(value: &Expression, other: &Expression) -> Expression {
    let null = Expression::literal(Scalar::Null, value.data_type.clone());
    case(vec![(Expression::compare(CompareOp::Equal, value.clone(), other.clone()), null)], value.clone())
}

/// The first argument that is not null and at least as far as every other; nulls count only when all are.
fn furthest(arguments: &[Expression], op: CompareOp) -> Expression {
    let [head @ .., last] = arguments else { return Expression::literal(Scalar::Null, arguments[0].data_type.clone()) };
    let branches = head.iter().enumerate().map(|(i, candidate)| {
        let others = arguments.iter().enumerate().filter(|(other, _)| *other != i).map(|(_, other)| {
            let is_null = boolean(Kind::IsNull(Box::new(other.clone())));
            boolean(Kind::Or(vec![is_null, Expression::compare(op, candidate.clone(), other.clone())]))
        });
        let is_present = boolean(Kind::IsNotNull(Box::new(candidate.clone())));
        (boolean(Kind::And(std::iter::once(is_present).chain(others).collect())), candidate.clone())
    });
    case(branches.collect(), last.clone())
}

fn boolean(kind: Kind) -> Expression {
    Expression { kind, data_type: arrow::datatypes::DataType::Boolean }
}

fn case(branches: Vec<(Expression, Expression)>, otherwise: Expression) -> Expression {
    let data_type = otherwise.data_type.clone();
    Expression { kind: Kind::Case { branches, otherwise: Some(Box::new(otherwise)) }, data_type }
}
