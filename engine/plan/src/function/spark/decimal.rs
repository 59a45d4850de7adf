//! Decimals of at most 38 digits, as unscaled integers of 128 bits.

use std::fmt::Write;

/// Digits of the widest decimal.
pub(super) const PRECISION_MAX: u8 = 38;

/// 10^exponent; `None`: more than 128 bits.
pub(super) fn power(exponent: u32) -> Option<i128> {
    10i128.checked_pow(exponent)
}

/// Whether so many digits are enough.
pub(super) fn fits(value: i128, precision: u8) -> bool {
    power(u32::from(precision)).is_none_or(|limit| value > -limit && value < limit)
}

/// The value at another scale, half away from zero; `None`: more digits than `precision`.
pub(super) fn rescale(value: i128, from: i32, to: i32, precision: u8) -> Option<i128> {
    let rescaled = match to - from {
        0 => value,
        up @ 1.. if value == 0 || up <= i32::from(PRECISION_MAX) => value.checked_mul(power(up as u32).unwrap_or(0))?,
        1.. => return None,
        down => divide_half_up(value, power(down.unsigned_abs())),
    };
    fits(rescaled, precision).then_some(rescaled)
}

/// The quotient by a power of ten, half away from zero. `None` is a power above all values.
fn divide_half_up(value: i128, divisor: Option<i128>) -> i128 {
    let Some(divisor) = divisor else { return 0 };
    let (quotient, rest) = (value / divisor, value % divisor);
    if rest.unsigned_abs() >= divisor.unsigned_abs() - divisor.unsigned_abs() / 2 {
        quotient + value.signum()
    } else {
        quotient
    }
}

/// The part before the point.
pub(super) fn truncated(value: i128, scale: i32) -> i128 {
    match power(scale.max(0) as u32) {
        Some(divisor) => value / divisor,
        None => 0,
    }
}

/// `BigDecimal.toPlainString`.
pub(super) fn write_plain(value: i128, scale: i8, text: &mut String) {
    let scale = scale.max(0) as usize;
    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if value < 0 { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    // Writing to a text cannot fail.
    let _ = write!(text, "{sign}{whole}{point}{fraction}");
}

/// `BigDecimal.toString`: with an exponent when there would be six zeros or more behind the point.
pub(super) fn write_java(value: i128, scale: i8, text: &mut String) {
    let digits = value.unsigned_abs().to_string();
    let adjusted = digits.len() as i32 - 1 - i32::from(scale);
    if adjusted >= -6 {
        return write_plain(value, scale, text);
    }
    let sign = if value < 0 { "-" } else { "" };
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let _ = write!(text, "{sign}{first}{point}{rest}E{adjusted}");
}

/// Whole numbers below this one are doubles.
const EXACT_DOUBLES: u128 = 1 << 53;

/// `BigDecimal.doubleValue`: the nearest double.
pub(super) fn to_f64(value: i128, scale: i8) -> f64 {
    if value.unsigned_abs() < EXACT_DOUBLES && (0..=22).contains(&scale) {
        // Both are exact, so the quotient is rounded once.
        return value as f64 / 10f64.powi(i32::from(scale));
    }
    format!("{value}e{}", -i32::from(scale)).parse().unwrap_or(f64::NAN)
}

/// `BigDecimal.floatValue`: the nearest float.
pub(super) fn to_f32(value: i128, scale: i8) -> f32 {
    format!("{value}e{}", -i32::from(scale)).parse().unwrap_or(f32::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_away_from_zero() {
        let rounded = |value| rescale(value, 1, 0, 38);
        assert_eq!([15, 25, -15, -25, 14, -14].map(rounded), [2, 3, -2, -3, 1, -1].map(Some));
        assert_eq!(rescale(995, 1, 0, 2), None);
        assert_eq!(rescale(i128::MAX / 2, 38, 0, 38), Some(1));
        assert_eq!(rescale(0, 0, 38, 38), Some(0));
        assert_eq!(rescale(1, 0, 38, 38), None);
    }
}
