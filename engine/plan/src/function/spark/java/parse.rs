//! `Double.parseDouble`, `Float.parseFloat` and `new BigDecimal(text)`: what they take and what they give.

/// What `String.trim` takes off: everything up to the space.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

/// `Double.parseDouble`; `None`: NumberFormatException.
pub(in crate::function::spark) fn parse_f64(text: &str) -> Option<f64> {
    match number(trimmed(text))? {
        Number::Decimal(text) => text.parse().ok(),
        Number::Hexadecimal(hexadecimal) => Some(hexadecimal.to_f64()),
        Number::Special(value) => Some(value),
    }
}

/// `Float.parseFloat`; `None`: NumberFormatException, or a hexadecimal number, which this does not read.
pub(in crate::function::spark) fn parse_f32(text: &str) -> Option<f32> {
    match number(trimmed(text))? {
        Number::Decimal(text) => text.parse().ok(),
        Number::Hexadecimal(hexadecimal) => Some(hexadecimal.to_f32()),
        Number::Special(value) => Some(value as f32),
    }
}

enum Number<'a> {
    /// In a form that Rust reads as Java does.
    Decimal(&'a str),
    Hexadecimal(Hexadecimal),
    Special(f64),
}

fn number(text: &str) -> Option<Number<'_>> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    match rest {
        "NaN" => return Some(Number::Special(f64::NAN)),
        "Infinity" => return Some(Number::Special(sign * f64::INFINITY)),
        _ => {}
    }
    if rest.starts_with("0x") || rest.starts_with("0X") {
        return hexadecimal(sign < 0.0, &rest[2..]).map(Number::Hexadecimal);
    }
    let unsuffixed = rest.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(rest);
    let (mantissa, exponent) = match unsuffixed.find(['e', 'E']) {
        Some(at) => (&unsuffixed[..at], Some(&unsuffixed[at + 1..])),
        None => (unsuffixed, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let has_digits = !whole.is_empty() || !fraction.is_empty();
    let exponent_holds = exponent.is_none_or(|e| {
        let digits = e.strip_prefix(['+', '-']).unwrap_or(e);
        !digits.is_empty() && are_digits(digits)
    });
    if !has_digits || !are_digits(whole) || !are_digits(fraction) || !exponent_holds {
        return None;
    }
    Some(Number::Decimal(&text[..text.len() - (rest.len() - unsuffixed.len())]))
}

/// ±mantissa × 2^exponent; `rest`: something below the mantissa was cut.
struct Hexadecimal {
    is_negative: bool,
    mantissa: u128,
    exponent: i64,
    rest: bool,
}

fn hexadecimal(is_negative: bool, text: &str) -> Option<Hexadecimal> {
    let text = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let bound = 1 << 40;
    let magnitude = digits.parse::<i64>().unwrap_or(bound).min(bound);
    let mut number = Hexadecimal {
        is_negative,
        mantissa: 0,
        exponent: if exponent.starts_with('-') { -magnitude } else { magnitude },
        rest: false,
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    for (index, digit) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = u128::from(digit.to_digit(16)?);
        let is_fraction = index >= whole.len();
        match number.mantissa >> 120 == 0 {
            true => {
                number.mantissa = number.mantissa << 4 | digit;
                number.exponent -= if is_fraction { 4 } else { 0 };
            }
            false => {
                number.rest |= digit != 0;
                number.exponent += if is_fraction { 0 } else { 4 };
            }
        }
    }
    Some(number)
}

impl Hexadecimal {
    fn to_f64(&self) -> f64 {
        self.rounded(53, -1074, 1023)
    }

    fn to_f32(&self) -> f32 {
        self.rounded(24, -149, 127) as f32
    }

    /// Half to even, at so many bits or at the smallest exponent of a bit.
    fn rounded(&self, bits: i64, exponent_min: i64, exponent_max: i64) -> f64 {
        let sign = if self.is_negative { -1.0 } else { 1.0 };
        if self.mantissa == 0 {
            return sign * 0.0;
        }
        let length = i64::from(128 - self.mantissa.leading_zeros());
        let drop = (length - bits).max(exponent_min - self.exponent).max(0);
        let (mut kept, half_up) = match drop {
            0 => (self.mantissa, false),
            1..=128 => {
                let kept = self.mantissa.checked_shr(drop as u32).unwrap_or(0);
                let half = 1u128 << (drop - 1);
                let below = self.mantissa & (half - 1) != 0 || self.rest;
                (kept, self.mantissa & half != 0 && (below || kept & 1 == 1))
            }
            _ => (0, false),
        };
        kept += u128::from(half_up);
        let exponent = self.exponent + drop;
        let top = exponent + i64::from(128 - kept.leading_zeros()) - 1;
        if kept == 0 {
            return sign * 0.0;
        }
        if top > exponent_max {
            return sign * f64::INFINITY;
        }
        // Two steps, because the power itself may be smaller than the smallest number.
        let (first, second) = (exponent / 2, exponent - exponent / 2);
        sign * kept as f64 * 2f64.powi(first as i32) * 2f64.powi(second as i32)
    }
}

/// A BigDecimal: ±0.DIGITS × 10^point.
#[derive(Debug)]
pub(in crate::function::spark) struct Decimal {
    pub(in crate::function::spark) is_negative: bool,
    /// Without leading zeros; may end in zeros; empty for zero.
    digits: Vec<u8>,
    /// Digits before the point; for zero what BigDecimal's precision and scale say.
    pub(in crate::function::spark) point: i64,
}

/// `new BigDecimal(text.trim())`; `None`: NumberFormatException.
pub(in crate::function::spark) fn parse_decimal(text: &str) -> Option<Decimal> {
    let text = trimmed(text);
    let (is_negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], exponent(&rest[at + 1..])?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut digits = Vec::with_capacity(mantissa.len());
    for c in whole.chars().chain(fraction.chars()) {
        digits.push(digit(c)?);
    }
    let scale = fraction.chars().count() as i64 - exponent;
    if i32::try_from(scale).is_err() {
        return None;
    }
    let zeros = digits.iter().take_while(|d| **d == 0).count();
    digits.drain(..zeros);
    let precision = digits.len().max(1) as i64;
    Some(Decimal { is_negative, digits, point: precision - scale })
}

fn exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut value = 0i64;
    if digits.is_empty() {
        return None;
    }
    for c in digits.chars() {
        value = value.checked_mul(10)?.checked_add(i64::from(digit(c)?))?;
    }
    let value = if text.starts_with('-') { -value } else { value };
    i32::try_from(value).ok().map(i64::from)
}

/// First digits of the scripts that `Character.digit` reads, beside ASCII's, in the basic plane.
const ZEROS: [u32; 36] = [
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6, 0x0E50,
    0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50,
    0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10,
];

fn digit(c: char) -> Option<u8> {
    if let Some(digit) = c.to_digit(10) {
        return Some(digit as u8);
    }
    let code = u32::from(c);
    ZEROS.iter().find(|&&zero| (zero..zero + 10).contains(&code)).map(|zero| (code - zero) as u8)
}

impl Decimal {
    /// `BigDecimal.toPlainString`, of the digits that were written.
    pub(in crate::function::spark) fn plain(&self) -> String {
        let mut text = String::from(if self.is_negative && !self.digits.is_empty() { "-" } else { "" });
        let digit = |index: i64| self.digits.get(index as usize).map_or('0', |d| char::from(b'0' + d));
        match self.point {
            ..1 => text.push('0'),
            point => text.extend((0..point).map(digit)),
        }
        if self.digits.len() as i64 > self.point {
            text.push('.');
            text.extend((self.point..0).map(|_| '0'));
            text.extend((self.point.max(0)..self.digits.len() as i64).map(digit));
        }
        text
    }

    /// Whether the number has more digits before its point than any decimal.
    pub(in crate::function::spark) fn is_out_of_all(&self) -> bool {
        !self.digits.is_empty() && self.point > 38
    }

    /// The unscaled value at `scale`, half away from zero; `None`: more than 38 digits.
    pub(in crate::function::spark) fn unscaled(&self, scale: i8) -> Option<i128> {
        let length = self.digits.len() as i64;
        let kept = self.point + i64::from(scale);
        if self.digits.is_empty() || kept < 0 {
            return Some(0);
        }
        if kept > 39 {
            return None;
        }
        let mut value = 0i128;
        for index in 0..kept {
            let digit = if index < length { self.digits[index as usize] } else { 0 };
            value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
        }
        let up = kept < length && self.digits[kept as usize] >= 5;
        let value = value.checked_add(i128::from(up))?;
        Some(if self.is_negative { -value } else { value })
    }
}
