//! Functions of floats that are one instruction, or nearly: `abs`, `ceil`, `floor`, `round`, `trunc`, `sqrt`.

use arrow_schema::DataType;
use plasmon_kernels::arithmetic::map1;

use super::Scalar;
use crate::batch::{Column, Values};

/// A chosen function.
#[derive(Debug, Clone, Copy)]
pub(super) enum Numeric {
    Abs,
    Ceil,
    Floor,
    /// To this many places.
    Round(i32),
    Sqrt,
}

pub(super) fn choose(
    name: &str,
    types: &[&DataType],
    constants: &[Option<&Scalar>],
    result: &DataType,
) -> Option<Numeric> {
    if !matches!(types, [DataType::Float64 | DataType::Float32, ..]) || types[0] != result {
        return None;
    }
    match (name, constants) {
        ("abs", [_]) => Some(Numeric::Abs),
        ("ceil", [_]) => Some(Numeric::Ceil),
        ("floor", [_]) => Some(Numeric::Floor),
        ("sqrt", [_]) => Some(Numeric::Sqrt),
        ("round", [_]) => Some(Numeric::Round(0)),
        ("round", [_, Some(places)]) => Some(Numeric::Round(i32::try_from(places.as_i64()?).ok()?)),
        _ => None,
    }
}

impl Numeric {
    pub(super) fn evaluate(&self, arguments: &[Column]) -> Option<Column> {
        let values = match arguments[0].flat_values() {
            Values::Float64(v) => Values::Float64(
                match self {
                    Numeric::Abs => map1(&v, f64::abs),
                    Numeric::Ceil => map1(&v, f64::ceil),
                    Numeric::Floor => map1(&v, f64::floor),
                    Numeric::Round(places) => {
                        let factor = 10f64.powi(*places);
                        map1(&v, |x| (x * factor).round() / factor)
                    }
                    Numeric::Sqrt => {
                        let roots = map1(&v, f64::sqrt);
                        // A negative number is an error that the library words.
                        if v.iter().any(|&x| x < 0.0) {
                            return None;
                        }
                        roots
                    }
                }
                .into(),
            ),
            Values::Float32(v) => Values::Float32(
                match self {
                    Numeric::Abs => map1(&v, f32::abs),
                    Numeric::Ceil => map1(&v, f32::ceil),
                    Numeric::Floor => map1(&v, f32::floor),
                    Numeric::Round(places) => {
                        let factor = 10f64.powi(*places) as f32;
                        map1(&v, |x| (x * factor).round() / factor)
                    }
                    Numeric::Sqrt => return None,
                }
                .into(),
            ),
            _ => return None,
        };
        Some(Column::flat_with_validity(values, arguments[0].validity().cloned()))
    }
}
