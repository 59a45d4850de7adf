//! Parts of dates and timestamps → `i32`: year, month, week, hour, … Called by `date_part` and `EXTRACT`.
//!
//! One monomorphic loop per part and unit, so that divisions are by constants. Dates outside of [`civil`](super::civil)'s range give
//! arbitrary parts: the caller looks at bounds first. Benchmarks: `benchmarks/benches/temporal.rs`.

use super::civil::{civil_of_days, weekday};

/// A part of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatePart {
    Year,
    Quarter,
    Month,
    Day,
    DayOfYear,
    /// 0 = Sunday.
    DayOfWeek,
    /// 1 = Monday to 7 = Sunday.
    IsoDayOfWeek,
    /// ISO 8601 week, 1 to 53.
    Week,
    /// The year that the ISO week belongs to.
    IsoYear,
}

/// A part of the time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimePart {
    Hour,
    Minute,
    Second,
    /// Seconds and their fraction in milliseconds, 0 to 59,999.
    Millisecond,
    /// Seconds and their fraction in microseconds.
    Microsecond,
}

/// `part` of each day since 1970-01-01.
pub fn date_part(part: DatePart, days: &[i32]) -> Vec<i32> {
    let mut out = Vec::with_capacity(days.len());
    match part {
        DatePart::Year => map_days(days, |d| civil_of_days(d).year, &mut out),
        DatePart::Quarter => map_days(days, |d| ((civil_of_days(d).month + 2) / 3) as i32, &mut out),
        DatePart::Month => map_days(days, |d| civil_of_days(d).month as i32, &mut out),
        DatePart::Day => map_days(days, |d| civil_of_days(d).day as i32, &mut out),
        DatePart::DayOfYear => map_days(days, |d| civil_of_days(d).day_of_year as i32, &mut out),
        DatePart::DayOfWeek => map_days(days, |d| ((weekday(d) + 1) % 7) as i32, &mut out),
        DatePart::IsoDayOfWeek => map_days(days, |d| weekday(d) as i32 + 1, &mut out),
        // A week belongs to the year of its Thursday.
        DatePart::Week => map_days(days, |d| ((civil_of_days(thursday(d)).day_of_year - 1) / 7) as i32 + 1, &mut out),
        DatePart::IsoYear => map_days(days, |d| civil_of_days(thursday(d)).year, &mut out),
    }
    out
}

#[inline(always)]
fn thursday(days: i32) -> i32 {
    days.wrapping_sub(weekday(days) as i32).wrapping_add(3)
}

crate::tiered! { fn map_days<F: Fn(i32) -> i32>(days: &[i32], f: F, out: &mut Vec<i32>) = map_days_body::<F>; }

#[inline(always)]
fn map_days_body<F: Fn(i32) -> i32>(days: &[i32], f: F, out: &mut Vec<i32>) {
    out.extend(days.iter().map(|&d| f(d)));
}

/// Units a second of a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
}

impl Unit {
    /// How many of them a second has.
    pub const fn per_second(self) -> i64 {
        match self {
            Unit::Second => 1,
            Unit::Millisecond => 1_000,
            Unit::Microsecond => 1_000_000,
            Unit::Nanosecond => 1_000_000_000,
        }
    }
}

/// Calls `$body` with `$second` bound to a constant: units a second.
#[macro_export]
macro_rules! per_unit {
    ($unit:expr, $second:ident => $body:expr) => {
        match $unit {
            $crate::temporal::part::Unit::Second => {
                const $second: i64 = 1;
                $body
            }
            $crate::temporal::part::Unit::Millisecond => {
                const $second: i64 = 1_000;
                $body
            }
            $crate::temporal::part::Unit::Microsecond => {
                const $second: i64 = 1_000_000;
                $body
            }
            $crate::temporal::part::Unit::Nanosecond => {
                const $second: i64 = 1_000_000_000;
                $body
            }
        }
    };
}

/// The day (since 1970-01-01, rounded down) of each timestamp; wraps beyond 32 bits.
pub fn days_of_timestamps(timestamps: &[i64], unit: Unit) -> Vec<i32> {
    let mut out = Vec::with_capacity(timestamps.len());
    per_unit!(unit, SECOND => map_stamps(timestamps, |t| t.div_euclid(86_400 * SECOND) as i32, &mut out));
    out
}

/// `part` of the time of day of each timestamp (or time).
pub fn time_part(part: TimePart, timestamps: &[i64], unit: Unit) -> Vec<i32> {
    let mut out = Vec::with_capacity(timestamps.len());
    per_unit!(unit, SECOND => match part {
        TimePart::Hour => map_stamps(timestamps, |t| (t.rem_euclid(86_400 * SECOND) / (3_600 * SECOND)) as i32, &mut out),
        TimePart::Minute => map_stamps(timestamps, |t| (t.rem_euclid(3_600 * SECOND) / (60 * SECOND)) as i32, &mut out),
        TimePart::Second => map_stamps(timestamps, |t| (t.rem_euclid(60 * SECOND) / SECOND) as i32, &mut out),
        TimePart::Millisecond => map_stamps(timestamps, |t| scaled::<SECOND, 1_000>(t.rem_euclid(60 * SECOND)), &mut out),
        TimePart::Microsecond => map_stamps(timestamps, |t| scaled::<SECOND, 1_000_000>(t.rem_euclid(60 * SECOND)), &mut out),
    });
    out
}

/// Units of `FROM` a second → units of `TO` a second, rounded down.
#[inline(always)]
fn scaled<const FROM: i64, const TO: i64>(value: i64) -> i32 {
    if FROM >= TO { (value / (FROM / TO)) as i32 } else { (value * (TO / FROM)) as i32 }
}

fn map_stamps<F: Fn(i64) -> i32>(values: &[i64], f: F, out: &mut Vec<i32>) {
    out.extend(values.iter().map(|&v| f(v)));
}

#[cfg(test)]
mod tests {
    use super::super::civil::tests::plain;
    use super::*;
    use crate::oracle::{case, each_tier};
    use proptest::prelude::*;

    fn date_part_scalar(part: DatePart, days: i64) -> i64 {
        let (year, month, day) = plain(days);
        let first = (0..400).map(|back| days - back).take_while(|&d| plain(d).0 == year).last().unwrap();
        let thursday = days - (days + 3).rem_euclid(7) + 3;
        match part {
            DatePart::Year => year,
            DatePart::Quarter => (month - 1) / 3 + 1,
            DatePart::Month => month,
            DatePart::Day => day,
            DatePart::DayOfYear => days - first + 1,
            DatePart::DayOfWeek => (days + 4).rem_euclid(7),
            DatePart::IsoDayOfWeek => (days + 3).rem_euclid(7) + 1,
            DatePart::Week => {
                let start = (0..400)
                    .map(|back| thursday - back)
                    .take_while(|&d| plain(d).0 == plain(thursday).0)
                    .last()
                    .unwrap();
                (thursday - start) / 7 + 1
            }
            DatePart::IsoYear => plain(thursday).0,
        }
    }

    const PARTS: [DatePart; 9] = [
        DatePart::Year,
        DatePart::Quarter,
        DatePart::Month,
        DatePart::Day,
        DatePart::DayOfYear,
        DatePart::DayOfWeek,
        DatePart::IsoDayOfWeek,
        DatePart::Week,
        DatePart::IsoYear,
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn date_parts(case in case::<i32>(), part in proptest::sample::select(PARTS.to_vec())) {
            let days: Vec<i32> = case.values().iter().map(|d| d % 4_000_000).collect();
            let expected: Vec<i32> = days.iter().map(|&d| date_part_scalar(part, d as i64) as i32).collect();
            each_tier(|tier| assert_eq!(date_part(part, &days), expected, "{tier:?} {part:?}"));
            // Whatever lies under nulls must not trap.
            each_tier(|_| assert_eq!(date_part(part, case.values()).len(), case.values().len()));
        }

        #[test]
        fn time_parts(case in case::<i64>(), unit in proptest::sample::select(vec![Unit::Second, Unit::Millisecond, Unit::Microsecond, Unit::Nanosecond])) {
            let second = unit.per_second() as i128;
            let of = |f: &dyn Fn(i128) -> i128| case.values().iter().map(|&t| f(t as i128) as i32).collect::<Vec<i32>>();
            each_tier(|_| {
                assert_eq!(days_of_timestamps(case.values(), unit), of(&|t| t.div_euclid(86_400 * second)));
                assert_eq!(time_part(TimePart::Hour, case.values(), unit), of(&|t| t.div_euclid(3_600 * second).rem_euclid(24)));
                assert_eq!(time_part(TimePart::Minute, case.values(), unit), of(&|t| t.div_euclid(60 * second).rem_euclid(60)));
                assert_eq!(time_part(TimePart::Second, case.values(), unit), of(&|t| t.div_euclid(second).rem_euclid(60)));
                assert_eq!(time_part(TimePart::Millisecond, case.values(), unit), of(&|t| (t.rem_euclid(60 * second)) * 1_000 / second));
                assert_eq!(time_part(TimePart::Microsecond, case.values(), unit), of(&|t| (t.rem_euclid(60 * second)) * 1_000_000 / second));
            });
        }
    }
}
