//! Days since 1970-01-01 ⇄ year, month and day of the proleptic Gregorian calendar, in 32-bit lanes.
//!
//! The algorithm is Neri and Schneider's ("Euclidean affine functions and their application to calendar algorithms", 2023): a year starts in
//! March, so that leap days come last and months follow an affine function; every division is by a constant and becomes a multiplication.
//! Exact for days within [`DAYS_MIN`]..=[`DAYS_MAX`] (about ± 1.4 million years); outside, results are arbitrary but nothing traps.
//! Benchmarks: `benchmarks/benches/temporal.rs`.

/// Least and greatest day that converts exactly.
pub const DAYS_MIN: i32 = -500_000_000;
pub const DAYS_MAX: i32 = 500_000_000;

/// 400-year eras added so that all counts are non-negative.
const ERAS: u32 = 3_670;
const DAYS_PER_ERA: u32 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: u32 = 719_468;

/// A date of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    pub year: i32,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 1 to 366.
    pub day_of_year: u32,
}

/// The date of a day.
#[inline(always)]
pub fn civil_of_days(days: i32) -> Civil {
    let n = (days as u32).wrapping_add(EPOCH + DAYS_PER_ERA * ERAS);
    // Century and day of century.
    let n1 = n.wrapping_mul(4) | 3;
    let century = n1 / DAYS_PER_ERA;
    let day_of_century = n1 % DAYS_PER_ERA / 4;
    // Year of century and day of year, which starts on 1 March.
    let product = 2_939_745u64 * u64::from(day_of_century * 4 + 3);
    let year_of_century = (product >> 32) as u32;
    let day_of_year = product as u32 / 2_939_745 / 4;
    let year = century.wrapping_mul(100).wrapping_add(year_of_century);
    // Month and day.
    let n3 = 2_141 * day_of_year + 197_913;
    let is_new_year = day_of_year >= 306;
    let month = n3 >> 16;
    let day = (n3 & 0xFFFF) / 2_141;
    let is_leap = if year_of_century == 0 { century % 4 == 0 } else { year_of_century % 4 == 0 };
    Civil {
        year: (year.wrapping_sub(400 * ERAS) as i32).wrapping_add(is_new_year as i32),
        month: if is_new_year { month - 12 } else { month },
        day: day + 1,
        day_of_year: if is_new_year { day_of_year - 305 } else { day_of_year + 60 + is_leap as u32 },
    }
}

/// The day of a date (month 1 to 12; a day past the month's end runs into the next one).
#[inline(always)]
pub fn days_of_civil(year: i32, month: u32, day: u32) -> i32 {
    let is_early = month <= 2;
    let y = (year as u32).wrapping_add(400 * ERAS).wrapping_sub(is_early as u32);
    let m = if is_early { month + 12 } else { month };
    let century = y / 100;
    let days_of_years = ((1_461u64 * u64::from(y) / 4) as u32).wrapping_sub(century).wrapping_add(century / 4);
    let days_of_months = (979 * m - 2_919) / 32;
    days_of_years
        .wrapping_add(days_of_months)
        .wrapping_add(day.wrapping_sub(1))
        .wrapping_sub(EPOCH + DAYS_PER_ERA * ERAS) as i32
}

/// Days of a month.
#[inline(always)]
pub fn days_in_month(year: i32, month: u32) -> u32 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + is_leap as u32,
        // 30 days hath September …: months up to July alternate from 31, later ones again.
        _ => 30 | (month ^ (month >> 3)),
    }
}

/// 0 = Monday to 6 = Sunday.
#[inline(always)]
pub fn weekday(days: i32) -> u32 {
    // 1970-01-01 was a Thursday; 2^32 is not a multiple of 7, so the offset makes all days in range non-negative.
    const OFFSET: u32 = 7 * 72_000_000;
    (days as u32).wrapping_add(OFFSET + 3) % 7
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Howard Hinnant's algorithm in 64 bits: slow and plain.
    pub(crate) fn plain(days: i64) -> (i64, i64, i64) {
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
    }

    fn check(days: i32) {
        let civil = civil_of_days(days);
        let (year, month, day) = plain(days as i64);
        assert_eq!((civil.year as i64, civil.month as i64, civil.day as i64), (year, month, day), "{days}");
        let new_year = days_of_civil(civil.year, 1, 1);
        assert_eq!(civil.day_of_year as i32, days - new_year + 1, "day of year of {days}");
        assert_eq!(days_of_civil(civil.year, civil.month, civil.day), days);
        assert_eq!(weekday(days) as i64, (days as i64 + 3).rem_euclid(7));
        assert!(civil.day <= days_in_month(civil.year, civil.month));
        let next = plain(days as i64 + 1);
        assert_eq!(next.1 != month, civil.day == days_in_month(civil.year, civil.month), "month's end at {days}");
    }

    #[test]
    fn every_day_of_five_centuries_and_the_limits() {
        (-170_000..70_000).for_each(check);
        [DAYS_MIN, DAYS_MIN + 1, DAYS_MAX - 1, DAYS_MAX].into_iter().for_each(check);
    }

    proptest! {
        #[test]
        fn any_day_in_range(days in DAYS_MIN..=DAYS_MAX) {
            check(days);
        }

        #[test]
        fn nothing_traps(days in any::<i32>(), month in 1u32..13) {
            civil_of_days(days);
            weekday(days);
            days_of_civil(days, month, 1);
        }
    }
}
