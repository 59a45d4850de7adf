//! Dates and timestamps moved by one interval: months (clamped to the month's end), then days, then the time. Called by `date ± interval`.
//!
//! Out-of-range results wrap: the caller looks at bounds first. Benchmarks: `benchmarks/benches/temporal.rs`.

use super::civil::{civil_of_days, days_in_month, days_of_civil};
use super::part::Unit;

/// `days[i]` + `months` + `more` days.
pub fn shift_days(days: &[i32], months: i32, more: i32) -> Vec<i32> {
    let mut out = Vec::with_capacity(days.len());
    if months == 0 {
        map_all(days, |d| d.wrapping_add(more), &mut out);
    } else {
        map_all(days, |d| add_months(d, months).wrapping_add(more), &mut out);
    }
    out
}

/// `timestamps[i]` + `months` + `days` + `rest` units.
pub fn shift_timestamps(timestamps: &[i64], unit: Unit, months: i32, days: i32, rest: i64) -> Vec<i64> {
    let mut out = Vec::with_capacity(timestamps.len());
    crate::per_unit!(unit, SECOND => {
        const DAY: i64 = 86_400 * SECOND;
        let more = rest.wrapping_add((days as i64).wrapping_mul(DAY));
        if months == 0 {
            map_all(timestamps, |t| t.wrapping_add(more), &mut out);
        } else {
            map_all(
                timestamps,
                |t| {
                    let day = t.div_euclid(DAY) as i32;
                    let moved = (add_months(day, months) as i64).wrapping_sub(day as i64);
                    t.wrapping_add(moved.wrapping_mul(DAY)).wrapping_add(more)
                },
                &mut out,
            );
        }
    });
    out
}

#[inline(always)]
fn add_months(days: i32, months: i32) -> i32 {
    let civil = civil_of_days(days);
    let total = civil.year.wrapping_mul(12).wrapping_add(civil.month as i32 - 1).wrapping_add(months);
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) as u32 + 1);
    days_of_civil(year, month, civil.day.min(days_in_month(year, month)))
}

fn map_all<T: Copy, F: Fn(T) -> T>(values: &[T], f: F, out: &mut Vec<T>) {
    out.extend(values.iter().map(|&v| f(v)));
}

#[cfg(test)]
mod tests {
    use super::super::civil::tests::plain;
    use super::*;
    use crate::oracle::{case, each_tier};
    use proptest::prelude::*;

    /// Walks to the month, then back from the wished day to one that exists.
    fn add_months_scalar(days: i64, months: i64) -> i64 {
        let (year, month, day) = plain(days);
        let total = year * 12 + month - 1 + months;
        let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
        let first = days_of_civil(year as i32, month as u32, 1) as i64;
        (1..=day).rev().map(|d| first + d - 1).find(|&d| plain(d).1 == month).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn moves_agree(case in case::<i32>(), months in -30_000i32..30_000, more in -100_000i32..100_000, rest in any::<i32>()) {
            let days: Vec<i32> = case.values().iter().map(|d| d % 3_000_000).collect();
            let expected: Vec<i32> = days.iter().map(|&d| (add_months_scalar(d as i64, months as i64) + more as i64) as i32).collect();
            each_tier(|_| assert_eq!(shift_days(&days, months, more), expected));
            for unit in [Unit::Second, Unit::Millisecond, Unit::Microsecond] {
                let day = 86_400 * unit.per_second();
                let stamps: Vec<i64> = days.iter().map(|&d| d as i64 * day + 12_345).collect();
                let expected: Vec<i64> = expected.iter().map(|&d| d as i64 * day + 12_345 + rest as i64).collect();
                each_tier(|_| assert_eq!(shift_timestamps(&stamps, unit, months, more, rest as i64), expected));
            }
            let plus: Vec<i32> = days.iter().map(|d| d + more).collect();
            each_tier(|_| assert_eq!(shift_days(&days, 0, more), plus));
            each_tier(|_| assert_eq!(shift_days(case.values(), months, more).len(), case.values().len()));
        }
    }
}
