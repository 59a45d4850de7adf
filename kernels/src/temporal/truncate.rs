//! Timestamps → the start of their hour, day, week, month, quarter or year. Called by `date_trunc`.
//!
//! Rounds down, also before 1970. Results that do not fit 64 bits wrap: the caller looks at bounds first.
//! Benchmarks: `benchmarks/benches/temporal.rs`.

use super::civil::{civil_of_days, days_of_civil, weekday};
use super::part::Unit;

/// What to truncate to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granularity {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    /// Monday.
    Week,
    Month,
    Quarter,
    Year,
}

/// The greatest multiple of `granularity` at or before each timestamp.
pub fn truncate(granularity: Granularity, timestamps: &[i64], unit: Unit) -> Vec<i64> {
    let mut out = Vec::with_capacity(timestamps.len());
    let second = unit.per_second();
    match granularity {
        Granularity::Microsecond => multiples(timestamps, (second / 1_000_000).max(1), &mut out),
        Granularity::Millisecond => multiples(timestamps, (second / 1_000).max(1), &mut out),
        Granularity::Second => multiples(timestamps, second, &mut out),
        Granularity::Minute => multiples(timestamps, 60 * second, &mut out),
        Granularity::Hour => multiples(timestamps, 3_600 * second, &mut out),
        Granularity::Day => multiples(timestamps, 86_400 * second, &mut out),
        Granularity::Week => by_day(timestamps, unit, |d| d.wrapping_sub(weekday(d) as i32), &mut out),
        Granularity::Month => by_day(timestamps, unit, |d| d.wrapping_sub(civil_of_days(d).day as i32 - 1), &mut out),
        Granularity::Quarter => by_day(timestamps, unit, quarter, &mut out),
        Granularity::Year => {
            by_day(timestamps, unit, |d| d.wrapping_sub(civil_of_days(d).day_of_year as i32 - 1), &mut out)
        }
    }
    out
}

#[inline(always)]
fn quarter(days: i32) -> i32 {
    let civil = civil_of_days(days);
    days_of_civil(civil.year, (civil.month - 1) / 3 * 3 + 1, 1)
}

fn multiples(values: &[i64], step: i64, out: &mut Vec<i64>) {
    map_stamps(values, |v| v.wrapping_sub(v.rem_euclid(step)), out);
}

fn by_day<F: Fn(i32) -> i32>(values: &[i64], unit: Unit, f: F, out: &mut Vec<i64>) {
    crate::per_unit!(unit, SECOND => map_stamps(
        values,
        |v| (f(v.div_euclid(86_400 * SECOND) as i32) as i64).wrapping_mul(86_400 * SECOND),
        out,
    ));
}

fn map_stamps<F: Fn(i64) -> i64>(values: &[i64], f: F, out: &mut Vec<i64>) {
    out.extend(values.iter().map(|&v| f(v)));
}

#[cfg(test)]
mod tests {
    use super::super::civil::tests::plain;
    use super::*;
    use crate::oracle::{case, each_tier};
    use proptest::prelude::*;

    /// The start found by walking back day by day.
    fn truncate_scalar(granularity: Granularity, value: i64, unit: Unit) -> i64 {
        let second = unit.per_second();
        let step = |size: i64| value - value.rem_euclid(size.max(1));
        let day = value.div_euclid(86_400 * second);
        let back =
            |starts: &dyn Fn(i64) -> bool| (0..).map(|n| day - n).find(|&d| starts(d)).unwrap() * 86_400 * second;
        match granularity {
            Granularity::Microsecond => step(second / 1_000_000),
            Granularity::Millisecond => step(second / 1_000),
            Granularity::Second => step(second),
            Granularity::Minute => step(60 * second),
            Granularity::Hour => step(3_600 * second),
            Granularity::Day => step(86_400 * second),
            Granularity::Week => back(&|d| (d + 3).rem_euclid(7) == 0),
            Granularity::Month => back(&|d| plain(d).2 == 1),
            Granularity::Quarter => back(&|d| plain(d).2 == 1 && plain(d).1 % 3 == 1),
            Granularity::Year => back(&|d| plain(d).2 == 1 && plain(d).1 == 1),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn starts_are_right(case in case::<i64>(), unit in proptest::sample::select(vec![Unit::Second, Unit::Millisecond, Unit::Microsecond, Unit::Nanosecond]),
                            granularity in proptest::sample::select(vec![Granularity::Microsecond, Granularity::Millisecond, Granularity::Second, Granularity::Minute,
                                Granularity::Hour, Granularity::Day, Granularity::Week, Granularity::Month, Granularity::Quarter, Granularity::Year])) {
            let range = 9_000_000_000 * unit.per_second();
            let values: Vec<i64> = case.values().iter().map(|v| v % range).collect();
            let expected: Vec<i64> = values.iter().map(|&v| truncate_scalar(granularity, v, unit)).collect();
            each_tier(|_| assert_eq!(truncate(granularity, &values, unit), expected));
            each_tier(|_| assert_eq!(truncate(granularity, case.values(), unit).len(), case.values().len()));
        }
    }
}
