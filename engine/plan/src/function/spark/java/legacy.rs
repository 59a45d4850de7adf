//! The digits that `Double.toString` gives up to Java 18: `jdk.internal.math.FloatingDecimal`, step by step, because its digits are not always the
//! shortest (8.41E21 is written 8.409999999999999E21) and answers must be the JVM's own.
//!
//! A number is fraction × 2^(exponent − 52). With B / S × 10^d = number and 1 ≤ B / S < 10, digits are taken off B / S until what is left is less than M, half
//! of the distance to the next number. How exactly "less" is asked differs with the width that Java computes in, hence the three loops.

use num_bigint::BigUint;

use super::write::Digits;

/// Bits of a double behind its first.
const FRACTION_BITS: i32 = 52;
/// Integers of at most this binary exponent are written from a long.
const LONG_EXPONENT_MAX: i32 = 62;
const SMALL_EXPONENT_MIN: i32 = -21;
/// Powers of five that a long holds.
const LONG_POWERS: i32 = 27;

/// Digits of a positive finite double.
pub(super) fn digits_f64(value: f64) -> Digits {
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> 52) as i32, bits & ((1 << 52) - 1));
    if exponent == 0 {
        let zeros = fraction.leading_zeros() as i32;
        let shift = zeros - 11;
        return digits(1 - shift - 1023, fraction << shift, 64 - zeros);
    }
    digits(exponent - 1023, fraction | 1 << 52, FRACTION_BITS + 1)
}

/// Digits of a positive finite float.
pub(super) fn digits_f32(value: f32) -> Digits {
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> 23) as i32, bits & ((1 << 23) - 1));
    let widen = |fraction: u32| u64::from(fraction) << 29;
    if exponent == 0 {
        let zeros = fraction.leading_zeros() as i32;
        let shift = zeros - 8;
        return digits(1 - shift - 127, widen(fraction << shift), 32 - zeros);
    }
    digits(exponent - 127, widen(fraction | 1 << 23), 24)
}

/// `FloatingDecimal.BinaryToASCIIBuffer.dtoa`.
fn digits(exponent: i32, fraction: u64, significant_bits: i32) -> Digits {
    let tail_zeros = fraction.trailing_zeros() as i32;
    let fraction_bits = FRACTION_BITS + 1 - tail_zeros;
    let tiny_bits = (fraction_bits - exponent - 1).max(0);
    let is_small = (SMALL_EXPONENT_MIN..=LONG_EXPONENT_MAX).contains(&exponent);
    if is_small && tiny_bits == 0 && fraction_bits < 64 {
        let dropped = if exponent > significant_bits { digits_of_bits(exponent - significant_bits - 1) } else { 0 };
        let integer = match exponent >= FRACTION_BITS {
            true => fraction << (exponent - FRACTION_BITS),
            false => fraction >> (FRACTION_BITS - exponent),
        };
        return digits_of_integer(integer, dropped);
    }
    let decimal = decimal_exponent(fraction, exponent);
    let mut b = Power { five: (-decimal).max(0), two: 0 };
    b.two = b.five + tiny_bits + exponent;
    let mut s = Power { five: decimal.max(0), two: 0 };
    s.two = s.five + tiny_bits;
    let mut m = Power { five: b.five, two: b.two - significant_bits };
    b.two -= fraction_bits - 1;
    let common = b.two.min(s.two);
    (b.two, s.two, m.two) = (b.two - common, s.two - common, m.two - common);
    // The next smaller number of a power of two is half as far away.
    m.two -= i32::from(fraction_bits == 1);
    if m.two < 0 {
        (b.two, s.two, m.two) = (b.two - m.two, s.two - m.two, 0);
    }
    let fraction = fraction >> tail_zeros;
    let b_bits = fraction_bits + b.two + bits_of_five(b.five);
    let ten_s_bits = s.two + 1 + bits_of_five(s.five + 1);
    let parts = Parts { fraction, b, s, m, decimal };
    match b_bits.max(ten_s_bits) {
        ..32 => parts.in_ints(),
        32..64 => parts.in_longs(),
        _ => parts.in_big_integers(),
    }
}

/// Decimal digits that so many bits behind a float's precision are worth.
fn digits_of_bits(bits: i32) -> u32 {
    if bits > 1 { (f64::from(bits) * std::f64::consts::LOG10_2) as u32 } else { 0 }
}

fn digits_of_integer(mut integer: u64, dropped: u32) -> Digits {
    let mut exponent = dropped as i32;
    if dropped > 0 {
        let power = 10u64.pow(dropped);
        let rest = integer % power;
        integer = integer / power + u64::from(rest >= power / 2);
    }
    let text = integer.to_string();
    exponent += text.len() as i32;
    Digits { digits: text.trim_end_matches('0').bytes().collect(), exponent }
}

/// An estimate of floor(log10(number)), never too small.
fn decimal_exponent(fraction: u64, exponent: i32) -> i32 {
    let mantissa = f64::from_bits(1023 << 52 | fraction & ((1 << 52) - 1));
    #[expect(clippy::excessive_precision, clippy::approx_constant, reason = "Java's own constants")]
    let estimate = (mantissa - 1.5) * 0.289529654 + 0.176091259 + f64::from(exponent) * 0.301029995663981;
    estimate.floor() as i32
}

/// Bits of 5^n, as Java estimates them.
fn bits_of_five(n: i32) -> i32 {
    match n {
        0 => 0,
        1..LONG_POWERS => 64 - 5u64.pow(n as u32).leading_zeros() as i32,
        _ => n * 3,
    }
}

/// 5^five × 2^two.
#[derive(Clone, Copy)]
struct Power {
    five: i32,
    two: i32,
}

struct Parts {
    fraction: u64,
    b: Power,
    s: Power,
    m: Power,
    decimal: i32,
}

/// Numbers of more than three zeros, or eight digits, before the point have an exponent, and then two digits at least.
fn needs_exponent(decimal: i32) -> bool {
    !(-3..8).contains(&decimal)
}

macro_rules! in_machine_words {
    ($name:ident, $type:ty) => {
        fn $name(&self) -> Digits {
            let power = |p: Power| (5 as $type).wrapping_pow(p.five as u32).wrapping_shl(p.two as u32);
            let s = power(self.s);
            let mut b = (self.fraction as $type)
                .wrapping_mul((5 as $type).wrapping_pow(self.b.five as u32))
                .wrapping_shl(self.b.two as u32);
            let mut m = power(self.m);
            let tens = s.wrapping_mul(10);
            let mut decimal = self.decimal;
            let mut digits = Vec::with_capacity(20);
            let step = |b: &mut $type, m: &mut $type| {
                let q = *b / s;
                *b = (*b % s).wrapping_mul(10);
                *m = m.wrapping_mul(10);
                (b'0' + q as u8, *b < *m, b.wrapping_add(*m) > tens)
            };
            let (first, mut low, mut high) = step(&mut b, &mut m);
            match first == b'0' && !high {
                true => decimal -= 1,
                false => digits.push(first),
            }
            if needs_exponent(decimal) {
                (low, high) = (false, false);
            }
            while !low && !high {
                let digit;
                (digit, low, high) = step(&mut b, &mut m);
                if m <= 0 {
                    // It has overflowed, so it is larger than all.
                    (low, high) = (true, true);
                }
                digits.push(digit);
            }
            finished(digits, decimal, low, high, b.wrapping_shl(1).cmp(&tens))
        }
    };
}

impl Parts {
    in_machine_words!(in_ints, i32);
    in_machine_words!(in_longs, i64);

    fn in_big_integers(&self) -> Digits {
        let power = |p: Power| BigUint::from(5u8).pow(p.five as u32) << p.two as usize;
        let s = power(self.s);
        let tens = &s * 10u8;
        let mut b = power(self.b) * self.fraction;
        let mut m = power(self.m) * 10u8;
        let mut decimal = self.decimal;
        let mut digits = Vec::with_capacity(20);
        let digit_of = |b: &mut BigUint| {
            let q = &*b / &s;
            *b = (&*b - &q * &s) * 10u8;
            b'0' + q.iter_u32_digits().next().unwrap_or(0) as u8
        };
        let first = digit_of(&mut b);
        let (mut low, mut high) = (b < m, tens <= &b + &m);
        match first == b'0' && !high {
            true => decimal -= 1,
            false => digits.push(first),
        }
        if needs_exponent(decimal) {
            (low, high) = (false, false);
        }
        while !low && !high {
            let digit = digit_of(&mut b);
            m *= 10u8;
            (low, high) = (b < m, tens <= &b + &m);
            digits.push(digit);
        }
        finished(digits, decimal, low, high, (b << 1usize).cmp(&tens))
    }
}

/// The last digit rounded by why it is the last, and `left`, how twice the rest compares with one of it.
fn finished(mut digits: Vec<u8>, decimal: i32, low: bool, high: bool, left: std::cmp::Ordering) -> Digits {
    use std::cmp::Ordering::*;
    let is_odd = digits.last().is_some_and(|d| d & 1 == 1);
    let up = high && (!low || left == Greater || left == Equal && is_odd);
    let mut exponent = decimal + 1;
    if up {
        match digits.iter().rposition(|&d| d != b'9') {
            Some(last) => {
                digits[last] += 1;
                digits[last + 1..].fill(b'0');
            }
            None => {
                digits.fill(b'0');
                digits[0] = b'1';
                exponent += 1;
            }
        }
    }
    Digits { digits, exponent }
}
