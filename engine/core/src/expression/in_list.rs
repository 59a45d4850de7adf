//! `[NOT] IN` a list: three-valued.

use super::evaluate::evaluate;
use super::{CompareOp, Expression, Kind};
use crate::batch::{Batch, Column};
use crate::error::Result;

/// True when the operand equals an element, null when it does not and the operand or an element is null, else false.
pub(super) fn in_list(operand: &Expression, list: &[Expression], negated: bool, batch: &Batch) -> Result<Column> {
    // As a disjunction of equalities: each later one sees only rows that no earlier one decided.
    let equal = list
        .iter()
        .map(|item| Expression::compare(CompareOp::Equal, operand.clone(), item.clone()))
        .collect::<Vec<_>>();
    let any = match equal.len() {
        0 => {
            return evaluate(
                &Expression::literal(super::Scalar::Boolean(negated), arrow_schema::DataType::Boolean),
                batch,
            );
        }
        1 => equal.into_iter().next().map_or_else(|| operand.clone(), |e| e),
        _ => Expression { kind: Kind::Or(equal), data_type: arrow_schema::DataType::Boolean },
    };
    let column = evaluate(&any, batch)?;
    if negated { super::logic::not(&column) } else { Ok(column) }
}
