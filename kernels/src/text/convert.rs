//! Numbers and dates ⇄ texts in their plain forms. Called by casts.
//!
//! Parsing takes only what every dialect agrees on (`-?digits`, `YYYY-MM-DD`) and gives up on a column at the first other value: the caller then
//! goes the slow way, which also words the error. Benchmarks: `benchmarks/benches/tiers/text.rs`.

use super::Texts;
use super::build::TextBuilder;
use crate::temporal::civil::{civil_of_days, days_in_month, days_of_civil};

/// Digits that always fit 64 bits.
const DIGITS_MAX: usize = 18;

#[inline(always)]
fn counts(validity: Option<&[u64]>, row: usize) -> bool {
    validity.is_none_or(|v| v[row / 64] >> (row % 64) & 1 == 1)
}

/// Every valid text as a number; null rows give 0. `None` when a text is not `-?digits` of at most 18 digits.
pub fn integers_of_texts(texts: Texts<'_>, validity: Option<&[u64]>) -> Option<Vec<i64>> {
    (0..texts.len()).map(|row| if counts(validity, row) { integer(texts.value(row)) } else { Some(0) }).collect()
}

#[inline(always)]
fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        _ => (false, text),
    };
    let value = number(digits)?;
    Some(if negative { -value } else { value })
}

#[inline(always)]
fn number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    let mut value = 0i64;
    let mut strangers = 0u8;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        strangers |= (digit > 9) as u8;
        value = value.wrapping_mul(10).wrapping_add(digit as i64);
    }
    (strangers == 0).then_some(value)
}

/// Every valid `YYYY-MM-DD` as days since 1970-01-01; null rows give 0. `None` when a text is no such date.
pub fn dates_of_texts(texts: Texts<'_>, validity: Option<&[u64]>) -> Option<Vec<i32>> {
    (0..texts.len()).map(|row| if counts(validity, row) { date(texts.value(row)) } else { Some(0) }).collect()
}

#[inline(always)]
fn date(text: &[u8]) -> Option<i32> {
    let text: &[u8; 10] = text.try_into().ok()?;
    let (year, month, day) = (number(&text[..4])? as i32, number(&text[5..7])? as u32, number(&text[8..])? as u32);
    let is_date = text[4] == b'-'
        && text[7] == b'-'
        && (1..=12).contains(&month)
        && day >= 1
        && day <= days_in_month(year, month);
    is_date.then(|| days_of_civil(year, month, day))
}

/// Decimal digits of `value`, right-aligned in `digits`; answers where they start.
#[inline(always)]
fn write_digits(mut value: u128, digits: &mut [u8; 40]) -> usize {
    let mut at = digits.len();
    // 128-bit divisions are slow: peel off 64-bit pieces.
    while value > u64::MAX as u128 {
        let mut low = (value % 10_000_000_000_000_000_000) as u64;
        value /= 10_000_000_000_000_000_000;
        for _ in 0..19 {
            at -= 1;
            digits[at] = b'0' + (low % 10) as u8;
            low /= 10;
        }
    }
    let mut value = value as u64;
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return at;
        }
    }
}

/// Each number as text, `scale` of its digits after a point (none when 0).
pub fn texts_of_decimals<T: Copy + Into<i128>>(values: &[T], scale: u32) -> TextBuilder {
    let mut out = TextBuilder::new(0, values.len());
    let (scale, mut digits) = (scale as usize, [0u8; 40]);
    for &value in values {
        let value: i128 = value.into();
        let first = write_digits(value.unsigned_abs(), &mut digits);
        let written = &digits[first..];
        let start = out.start(written.len() + scale + 3);
        if value < 0 {
            out.bytes.push(b'-');
        }
        let whole = written.len().saturating_sub(scale);
        if whole == 0 {
            out.bytes.push(b'0');
        }
        out.bytes.extend_from_slice(&written[..whole]);
        if scale > 0 {
            out.bytes.push(b'.');
            out.bytes.extend(std::iter::repeat_n(b'0', scale.saturating_sub(written.len())));
            out.bytes.extend_from_slice(&written[whole..]);
        }
        out.finish(start);
    }
    out
}

/// Each date as `YYYY-MM-DD`; `None` when a year is not 0 to 9999.
pub fn texts_of_dates(days: &[i32]) -> Option<TextBuilder> {
    // 0000-01-01 and 9999-12-31.
    const RANGE: std::ops::RangeInclusive<i32> = -719_528..=2_932_896;
    let mut out = TextBuilder::new(0, days.len());
    for &day in days {
        if !RANGE.contains(&day) {
            return None;
        }
        let civil = civil_of_days(day);
        let year = civil.year as u32;
        let digit = |value: u32| b'0' + (value % 10) as u8;
        out.push(&[
            digit(year / 1000),
            digit(year / 100),
            digit(year / 10),
            digit(year),
            b'-',
            digit(civil.month / 10),
            digit(civil.month),
            b'-',
            digit(civil.day / 10),
            digit(civil.day),
        ]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Owned, read};
    use super::*;
    use crate::oracle::case;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_come_back(case in case::<i64>()) {
            let texts: Vec<String> = case.values().iter().map(|v| (v % 1_000_000_000_000_000_000).to_string()).collect();
            let owned = Owned::new(texts);
            let parsed = owned.with(|t| integers_of_texts(t, None)).unwrap();
            prop_assert_eq!(parsed.iter().map(|v| v.to_string()).collect::<Vec<_>>(), owned.values.clone());
            let out = texts_of_decimals(case.values(), 0);
            prop_assert_eq!(read(&out.views, &[&out.bytes]), case.values().iter().map(|v| v.to_string()).collect::<Vec<_>>());
        }

        #[test]
        fn decimals_are_written(case in case::<i128>(), scale in 0u32..39) {
            let out = texts_of_decimals(case.values(), scale);
            let expected: Vec<String> = case.values().iter().map(|v| {
                let digits = format!("{:0>width$}", v.unsigned_abs(), width = scale as usize + 1);
                let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
                format!("{}{whole}{}{fraction}", if *v < 0 { "-" } else { "" }, if scale > 0 { "." } else { "" })
            }).collect();
            prop_assert_eq!(read(&out.views, &[&out.bytes]), expected);
        }

        #[test]
        fn dates_come_back(days in prop::collection::vec(-719_528i32..=2_932_896, 0..200)) {
            let out = texts_of_dates(&days).unwrap();
            let parsed = dates_of_texts(Texts { views: &out.views, buffers: &[&out.bytes] }, None);
            prop_assert_eq!(parsed, Some(days));
        }
    }

    #[test]
    fn everything_else_is_left_to_others() {
        for text in ["", "-", "+1", " 1", "1 ", "1.0", "12a", "1234567890123456789", "é"] {
            assert_eq!(Owned::new(vec!["1".into(), text.into()]).with(|t| integers_of_texts(t, None)), None, "{text}");
            assert_eq!(Owned::new(vec![text.into()]).with(|t| integers_of_texts(t, Some(&[0]))), Some(vec![0]));
        }
        for text in [
            "2023-02-29",
            "2024-13-01",
            "2024-00-10",
            "2024-01-00",
            "2024-1-01",
            "20240101",
            "2024-01-01 ",
            "-024-01-01",
            "2024/01/01",
        ] {
            assert_eq!(Owned::new(vec![text.into()]).with(|t| dates_of_texts(t, None)), None, "{text}");
        }
        assert_eq!(Owned::new(vec!["2024-02-29".into()]).with(|t| dates_of_texts(t, None)), Some(vec![19_782]));
        assert!(texts_of_dates(&[2_932_897]).is_none() && texts_of_dates(&[-719_529]).is_none());
    }
}
