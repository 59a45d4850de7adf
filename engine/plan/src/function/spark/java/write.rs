//! `Double.toString` and `Float.toString`: since Java 19 the shortest digits that read back, before that what [`super::legacy`] gives.

use plasmon_core::Result;

use super::legacy;
use crate::function::spark::columns::Call;

/// Which of the two ways a JVM has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::function::spark) enum Java {
    Legacy,
    Shortest,
}

/// The first feature version of Java that gives shortest digits (JDK-4511638).
const SHORTEST_SINCE: i32 = 19;

impl Java {
    /// By the feature version that a call states in its argument `index`.
    pub(in crate::function::spark) fn of_call(call: &Call, index: usize) -> Result<Java> {
        let version = call.constant_int(index)?.unwrap_or(SHORTEST_SINCE);
        Ok(if version < SHORTEST_SINCE { Java::Legacy } else { Java::Shortest })
    }
}

/// Significant digits and where the point is: 0.DIGITS × 10^exponent.
pub(super) struct Digits {
    pub(super) digits: Vec<u8>,
    pub(super) exponent: i32,
}

/// Appends `Double.toString(value)`.
pub(in crate::function::spark) fn write_f64(value: f64, java: Java, text: &mut String) {
    if special(value, text) {
        return;
    }
    let digits = match java {
        Java::Legacy => legacy::digits_f64(value.abs()),
        Java::Shortest => {
            let two = format!("{:.1e}", value.abs());
            shortest(format!("{:e}", value.abs()), two, |text| text.parse() == Ok(value.abs()))
        }
    };
    layout(value.is_sign_negative(), &digits, text);
}

/// Appends `Float.toString(value)`.
pub(in crate::function::spark) fn write_f32(value: f32, java: Java, text: &mut String) {
    if special(f64::from(value), text) {
        return;
    }
    let digits = match java {
        Java::Legacy => legacy::digits_f32(value.abs()),
        Java::Shortest => {
            let two = format!("{:.1e}", value.abs());
            shortest(format!("{:e}", value.abs()), two, |text| text.parse() == Ok(value.abs()))
        }
    };
    layout(value.is_sign_negative(), &digits, text);
}

fn special(value: f64, text: &mut String) -> bool {
    let special = match value {
        v if v.is_nan() => "NaN",
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        v if v == 0.0 => {
            if v.is_sign_negative() {
                "-0.0"
            } else {
                "0.0"
            }
        }
        _ => return false,
    };
    text.push_str(special);
    true
}

/// Of `d.ddde±x`. Java writes two digits at least: where one would do, the nearest two, if they are this number, too.
fn shortest(shortest: String, two: String, reads_back: impl Fn(&str) -> bool) -> Digits {
    let is_single = !shortest.contains('.');
    let text = if is_single && reads_back(&two) { two } else { shortest };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mut digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    while digits.len() > 1 && digits.last() == Some(&b'0') {
        digits.pop();
    }
    Digits { digits, exponent: exponent.parse::<i32>().unwrap_or(0) + 1 }
}

/// As `FloatingDecimal.getChars`: plain from 10^-3 to 10^7, else with an exponent.
fn layout(is_negative: bool, number: &Digits, text: &mut String) {
    let (digits, exponent) = (&number.digits[..], number.exponent);
    let push = |text: &mut String, digits: &[u8]| digits.iter().for_each(|&d| text.push(char::from(d)));
    if is_negative {
        text.push('-');
    }
    match exponent {
        1..=7 => {
            let whole = digits.len().min(exponent as usize);
            push(text, &digits[..whole]);
            (whole..exponent as usize).for_each(|_| text.push('0'));
            text.push('.');
            push(text, if digits.len() > whole { &digits[whole..] } else { b"0" });
        }
        -2..=0 => {
            text.push_str("0.");
            (exponent..0).for_each(|_| text.push('0'));
            push(text, digits);
        }
        _ => {
            push(text, &digits[..1]);
            text.push('.');
            push(text, if digits.len() > 1 { &digits[1..] } else { b"0" });
            text.push('E');
            text.push_str(&(exponent - 1).to_string());
        }
    }
}
