//! `round`, `bround`, `ceil` and `floor`: at a number of decimals, of numbers as Java writes them.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Decimal128Type};
use num_bigint::BigInt;
use plasmon_core::{Error, Result};

use crate::function::spark::columns::{Call, decimal_shape};
use crate::function::spark::decimal::{fits, power, truncated, write_plain};
use crate::function::spark::definition::{Definition, Mode};
use crate::function::spark::error;
use crate::function::spark::java::{Java, write_f32, write_f64};
use crate::function::spark::result::{is_decimal, is_float, is_number, require, takes};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("round", rounded_type, |call| round(call, Way::HalfUp)).with_modes(),
    Definition::new("bround", rounded_type, |call| round(call, Way::HalfEven)).with_modes(),
    Definition::new("round_ceil", rounded_type, |call| round(call, Way::Up)).with_modes(),
    Definition::new("round_floor", rounded_type, |call| round(call, Way::Down)).with_modes(),
    Definition::new("ceil", whole_type, |call| whole(call, Way::Up)),
    Definition::new("floor", whole_type, |call| whole(call, Way::Down)),
];

/// Which of two neighbours a number becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The nearer one, of equally near ones the one farther from zero.
    HalfUp,
    /// The nearer one, of equally near ones the even one.
    HalfEven,
    /// The larger one.
    Up,
    /// The smaller one.
    Down,
}

impl Way {
    /// How much is added to a quotient towards zero of which `rest` of `divisor` is left.
    fn step<T: PartialOrd + From<i8>>(self, twice_rest: T, divisor: T, is_negative: bool, is_odd: bool) -> i8 {
        let away = if is_negative { -1 } else { 1 };
        let has_rest = twice_rest > T::from(0);
        match self {
            Way::HalfUp if twice_rest >= divisor => away,
            Way::HalfEven if twice_rest > divisor || twice_rest == divisor && is_odd => away,
            Way::Up if has_rest && !is_negative => 1,
            Way::Down if has_rest && is_negative => -1,
            _ => 0,
        }
    }

    /// The quotient by a power of ten. `None` is a power above all values.
    fn divide(self, value: i128, divisor: Option<i128>) -> i128 {
        let is_negative = value < 0;
        let Some(divisor) = divisor else {
            return i128::from(self.step(u8::from(value != 0) as i16, 4, is_negative, false));
        };
        let (quotient, rest) = (value / divisor, value % divisor);
        // A power of at most 10^38 leaves a rest whose double still fits.
        let (twice, divisor) = (BigInt::from(rest.unsigned_abs()) * 2, BigInt::from(divisor));
        quotient + i128::from(self.step(twice, divisor, is_negative, quotient % 2 != 0))
    }
}

fn rounded_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 4)?;
    let holds = is_number(&types[0]) && types[1] == DataType::Int32 && types[3] == DataType::Int32;
    require(holds, "a number, decimals, a null of the result's type and Java's version")?;
    let agree = if is_decimal(&types[0]) { is_decimal(&types[2]) } else { types[0] == types[2] };
    require(agree, "a null of the number's type")?;
    Ok(types[2].clone())
}

fn whole_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    let holds = match &types[0] {
        DataType::Float64 | DataType::Int64 => types[1] == DataType::Int64,
        other => is_decimal(other) && is_decimal(&types[1]),
    };
    require(holds, "a double, long or decimal and a null of the result's type")?;
    Ok(types[1].clone())
}

fn round(call: &Call, way: Way) -> Result<ArrayRef> {
    let Some(scale) = call.constant_int(1)? else {
        return Ok(arrow::array::new_null_array(call.result(), call.rows()));
    };
    match call.result() {
        t if is_float(t) => round_floats(call, way, scale),
        t if is_decimal(t) => round_decimals(call, way, scale),
        _ => round_integers(call, way, scale),
    }
}

fn round_decimals(call: &Call, way: Way, scale: i32) -> Result<ArrayRef> {
    let values = call.values::<Decimal128Type>(0)?;
    let (_, from) = decimal_shape(call.type_of(0)?)?;
    let (precision, to) = decimal_shape(call.result())?;
    let drop = i32::from(from) - scale;
    call.decimal_result(|row| {
        let Some(value) = values.get(row) else { return Ok(None) };
        let (rounded, at) = match drop {
            1.. => (way.divide(value, power(drop as u32)), scale),
            _ => (value, i32::from(from)),
        };
        let shift = i32::from(to) - at;
        let shifted = match rounded {
            0 => Some(0),
            _ => power(shift.max(0) as u32).and_then(|factor| rounded.checked_mul(factor)),
        };
        match shifted.filter(|&v| fits(v, precision)) {
            Some(value) => Ok(Some(value)),
            None => call.mode().absent(|| {
                let mut text = String::new();
                write_plain(value, from, &mut text);
                error::decimal_overflow(&text, precision, to)
            }),
        }
    })
}

fn round_integers(call: &Call, way: Way, scale: i32) -> Result<ArrayRef> {
    let values = call.integers(0)?;
    let (min, max) = call.integer_range()?;
    call.integer_result(|row| {
        let Some(value) = values.get(row).filter(|_| scale < 0) else { return Ok(values.get(row)) };
        let divisor = power(scale.unsigned_abs());
        let quotient = way.divide(i128::from(value), divisor);
        let rounded = if quotient == 0 { Some(0) } else { divisor.and_then(|d| quotient.checked_mul(d)) };
        let rounded = rounded.unwrap_or(0);
        if rounded < i128::from(min) || rounded > i128::from(max) {
            return match call.mode() {
                Mode::Legacy => Ok(Some(rounded as i64)),
                mode => mode.absent(|| error::arithmetic_overflow("Overflow", None)),
            };
        }
        Ok(Some(rounded as i64))
    })
}

/// By way of the digits that Java writes, as a BigDecimal.
fn round_floats(call: &Call, way: Way, scale: i32) -> Result<ArrayRef> {
    let (values, java) = (call.floats(0)?, Java::of_call(call, 3)?);
    let is_single = *call.result() == DataType::Float32;
    let mut text = String::new();
    call.float_result(|row| {
        let Some(value) = values.get(row) else { return Ok(None) };
        if !value.is_finite() || value == 0.0 && value.is_sign_positive() {
            return Ok(Some(value));
        }
        text.clear();
        match is_single {
            true => write_f32(value as f32, java, &mut text),
            false => write_f64(value, java, &mut text),
        }
        let rounded = round_text(&text, way, scale).ok_or_else(|| Error::internal(format!("no number: {text}")))?;
        Ok(Some(if is_single {
            rounded.parse::<f32>().map_or(f64::NAN, f64::from)
        } else {
            rounded.parse().unwrap_or(f64::NAN)
        }))
    })
}

/// A number as Java writes it at another scale, in a form that Rust reads.
fn round_text(text: &str, way: Way, scale: i32) -> Option<String> {
    let (mantissa, exponent) = text.split_once('E').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.')?;
    let unscaled: i128 = format!("{whole}{fraction}").parse().ok()?;
    let from = i64::try_from(fraction.len()).ok()? - exponent.parse::<i64>().ok()?;
    let drop = from - i64::from(scale);
    if drop <= 0 {
        return Some(format!("{unscaled}e{}", -from));
    }
    let quotient = way.divide(unscaled, u32::try_from(drop).ok().and_then(power));
    Some(format!("{quotient}e{}", -scale))
}

fn whole(call: &Call, way: Way) -> Result<ArrayRef> {
    match call.type_of(0)? {
        DataType::Float64 => {
            let values = call.floats(0)?;
            let to_whole = |v: f64| if way == Way::Up { v.ceil() } else { v.floor() };
            // As Java: NaN is 0, what is too far is the bound.
            call.integer_result(|row| Ok(values.get(row).map(|v| to_whole(v) as i64)))
        }
        DataType::Int64 => call.full_array(0),
        _ => {
            let values = call.values::<Decimal128Type>(0)?;
            let (_, from) = decimal_shape(call.type_of(0)?)?;
            let (precision, to) = decimal_shape(call.result())?;
            require(to == 0, "a null of a decimal without digits behind the point")?;
            let rounded = |v: i128| match from {
                0 => truncated(v, 0),
                _ => way.divide(v, power(u32::from(from.unsigned_abs()))),
            };
            call.decimal_result(|row| Ok(values.get(row).map(rounded).filter(|&v| fits(v, precision))))
        }
    }
}
