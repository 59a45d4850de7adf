//! Functions of doubles. The first group is exact; the others are the C library's, whose last bit may not be the JVM's.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use plasmon_core::Result;

use crate::function::spark::columns::Call;
use crate::function::spark::definition::Definition;
use crate::function::spark::result::{require, takes};

macro_rules! of_one {
    ($name:literal, $of:expr) => {
        Definition::new($name, one, |call| of_one(call, $of))
    };
}

macro_rules! of_two {
    ($name:literal, $of:expr) => {
        Definition::new($name, two, |call| of_two(call, $of))
    };
}

pub(super) const FUNCTIONS: &[Definition] = &[
    of_one!("sqrt", |x| Some(x.sqrt())),
    of_one!("signum", |x| Some(if x == 0.0 || x.is_nan() { x } else { x.signum() })),
    of_one!("rint", |x| Some(x.round_ties_even())),
    of_one!("degrees", |x| Some(x * RADIANS_TO_DEGREES)),
    of_one!("radians", |x| Some(x * DEGREES_TO_RADIANS)),
    of_one!("acos", |x| Some(x.acos())),
    of_one!("acosh", |x| Some((x + (x * x - 1.0).sqrt()).ln())),
    of_one!("asin", |x| Some(x.asin())),
    of_one!("asinh", |x| Some(inverse_sinh(x))),
    of_one!("atan", |x| Some(x.atan())),
    of_one!("atanh", |x| Some(0.5 * (x.ln_1p() - (-x).ln_1p()))),
    of_one!("cbrt", |x| Some(x.cbrt())),
    of_one!("cos", |x| Some(x.cos())),
    of_one!("cosh", |x| Some(x.cosh())),
    of_one!("cot", |x| Some(1.0 / x.tan())),
    of_one!("csc", |x| Some(1.0 / x.sin())),
    of_one!("sec", |x| Some(1.0 / x.cos())),
    of_one!("exp", |x| Some(x.exp())),
    of_one!("expm1", |x| Some(x.exp_m1())),
    of_one!("ln", |x| above(x, 0.0).map(f64::ln)),
    of_one!("log10", |x| above(x, 0.0).map(f64::log10)),
    of_one!("log1p", |x| above(x, -1.0).map(f64::ln_1p)),
    of_one!("log2", |x| above(x, 0.0).map(|x| x.ln() / 2f64.ln())),
    of_one!("sin", |x| Some(x.sin())),
    of_one!("sinh", |x| Some(x.sinh())),
    of_one!("tan", |x| Some(x.tan())),
    of_one!("tanh", |x| Some(x.tanh())),
    of_two!("atan2", |y, x| Some((y + 0.0).atan2(x + 0.0))),
    of_two!("hypot", |x, y| Some(x.hypot(y))),
    of_two!("pow", |x, y| Some(power(x, y))),
    of_two!("log", |base, x| Some(above(x, 0.0)?.ln() / above(base, 0.0)?.ln())),
    Definition::new("width_bucket", bucket_type, width_bucket),
];

/// `Math.toDegrees` and `Math.toRadians`.
const RADIANS_TO_DEGREES: f64 = 57.29577951308232;
const DEGREES_TO_RADIANS: f64 = 0.017453292519943295;

/// Logarithms of what is not above their pole are null; of NaN, NaN.
fn above(x: f64, pole: f64) -> Option<f64> {
    (x > pole || x.is_nan()).then_some(x)
}

/// As Spark computes it: infinity below, an odd function elsewhere.
fn inverse_sinh(x: f64) -> f64 {
    match x {
        f64::NEG_INFINITY => x,
        _ => (x + (x * x + 1.0).sqrt()).ln(),
    }
}

/// `Math.pow`: unlike C's, 1 to the power of NaN or of an infinity is NaN, and so is −1 to an infinity.
fn power(x: f64, y: f64) -> f64 {
    if y.is_nan() || x.abs() == 1.0 && y.is_infinite() { f64::NAN } else { x.powf(y) }
}

fn one(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    require(types[0] == DataType::Float64, "a double")?;
    Ok(DataType::Float64)
}

fn two(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    require(types.iter().all(|t| *t == DataType::Float64), "two doubles")?;
    Ok(DataType::Float64)
}

fn of_one(call: &Call, of: impl Fn(f64) -> Option<f64>) -> Result<ArrayRef> {
    let values = call.floats(0)?;
    call.float_result(|row| Ok(values.get(row).and_then(&of)))
}

fn of_two(call: &Call, of: impl Fn(f64, f64) -> Option<f64>) -> Result<ArrayRef> {
    let (left, right) = (call.floats(0)?, call.floats(1)?);
    call.float_result(|row| match (left.get(row), right.get(row)) {
        (Some(left), Some(right)) => Ok(of(left, right)),
        _ => Ok(None),
    })
}

fn bucket_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 4)?;
    let are_doubles = types[..3].iter().all(|t| *t == DataType::Float64);
    require(are_doubles && types[3] == DataType::Int64, "three doubles and a long")?;
    Ok(DataType::Int64)
}

fn width_bucket(call: &Call) -> Result<ArrayRef> {
    let (values, least, most) = (call.floats(0)?, call.floats(1)?, call.floats(2)?);
    let buckets = call.integers(3)?;
    call.integer_result(|row| {
        let (Some(value), Some(least), Some(most), Some(buckets)) =
            (values.get(row), least.get(row), most.get(row), buckets.get(row))
        else {
            return Ok(None);
        };
        let holds = buckets > 0 && buckets < i64::MAX && least != most && !value.is_nan();
        if !holds || !least.is_finite() || !most.is_finite() {
            return Ok(None);
        }
        let (lower, upper) = (least.min(most), least.max(most));
        let is_ascending = least == lower;
        Ok(Some(match value {
            v if v < lower => {
                if is_ascending {
                    0
                } else {
                    buckets + 1
                }
            }
            v if v > upper => {
                if is_ascending {
                    buckets + 1
                } else {
                    0
                }
            }
            v if v == upper && is_ascending || v == lower && !is_ascending => buckets + 1,
            v if is_ascending => (buckets as f64 * (v - lower) / (upper - lower)) as i64 + 1,
            v => (buckets as f64 * (upper - v) / (upper - lower)) as i64 + 1,
        }))
    })
}
