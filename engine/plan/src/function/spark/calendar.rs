//! Days and years of the proleptic Gregorian calendar, as java.time has it, for every day that 32 bits number.

/// Microseconds in a second, a day.
pub(super) const MICROS_PER_SECOND: i64 = 1_000_000;
pub(super) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// Days in 400 years.
const DAYS_PER_ERA: i64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468;

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: i64,
    /// 1 to 12.
    pub(super) month: u32,
    /// 1 to 31.
    pub(super) day: u32,
}

impl Date {
    /// The date that is `days` after 1970-01-01. Source: Howard Hinnant, "chrono-compatible low-level date algorithms".
    pub(super) fn from_days(days: i64) -> Date {
        let shifted = days + DAYS_TO_EPOCH;
        let (era, day_of_era) = (shifted.div_euclid(DAYS_PER_ERA), shifted.rem_euclid(DAYS_PER_ERA));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 } as u32;
        Date { year: era * 400 + year_of_era + i64::from(month <= 2), month, day }
    }

    /// The date of these numbers; `None`: there is none.
    pub(super) fn new(year: i64, month: i64, day: i64) -> Option<Date> {
        if !(1..=12).contains(&month) || day < 1 || day > i64::from(days_in_month(year, month as u32)) {
            return None;
        }
        Some(Date { year, month: month as u32, day: day as u32 })
    }

    /// Days since 1970-01-01.
    pub(super) fn to_days(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let shifted_month = (i64::from(self.month) + 9) % 12;
        let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * DAYS_PER_ERA + day_of_era - DAYS_TO_EPOCH
    }

    /// 1 to 366.
    pub(super) fn day_of_year(self) -> u32 {
        (self.to_days() - Date { year: self.year, month: 1, day: 1 }.to_days()) as u32 + 1
    }

    /// The date so many months later (earlier when negative), on the last day of its month when the day is not there.
    pub(super) fn add_months(self, months: i64) -> Date {
        let total = self.year * 12 + i64::from(self.month) - 1 + months;
        let (year, month) = (total.div_euclid(12), total.rem_euclid(12) as u32 + 1);
        Date { year, month, day: self.day.min(days_in_month(year, month)) }
    }

    /// The last day of the month.
    pub(super) fn month_end(self) -> Date {
        Date { day: days_in_month(self.year, self.month), ..self }
    }

    /// Week of ISO 8601 and the year that it belongs to.
    pub(super) fn iso_week(self) -> (i64, u32) {
        // The week's Thursday decides.
        let days = self.to_days();
        let thursday = Date::from_days(days - i64::from(weekday(days)) + 3);
        (thursday.year, (thursday.day_of_year() - 1) / 7 + 1)
    }
}

/// Monday = 0.
pub(super) fn weekday(days: i64) -> u32 {
    (days + 3).rem_euclid(7) as u32
}

pub(super) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(super) fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A time of day in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) micros: i64,
}

impl Time {
    pub(super) fn hour(self) -> i64 {
        self.micros / (3600 * MICROS_PER_SECOND)
    }
    pub(super) fn minute(self) -> i64 {
        self.micros / (60 * MICROS_PER_SECOND) % 60
    }
    pub(super) fn second(self) -> i64 {
        self.micros / MICROS_PER_SECOND % 60
    }
    /// Microseconds behind the second.
    pub(super) fn fraction(self) -> i64 {
        self.micros % MICROS_PER_SECOND
    }
}

/// A wall clock's microseconds since 1970 as day and time.
pub(super) fn split(local_micros: i64) -> (Date, Time) {
    let days = local_micros.div_euclid(MICROS_PER_DAY);
    (Date::from_days(days), Time { micros: local_micros.rem_euclid(MICROS_PER_DAY) })
}

/// `uuuu-MM-dd` as java.time writes it: a sign for years of more than four digits and for negative ones.
pub(super) fn write_date(date: Date, text: &mut String) {
    use std::fmt::Write;
    let sign = if date.year < 0 {
        "-"
    } else if date.year > 9999 {
        "+"
    } else {
        ""
    };
    // Writing to a text cannot fail.
    let _ = write!(text, "{sign}{:04}-{:02}-{:02}", date.year.abs(), date.month, date.day);
}

/// `HH:mm:ss` and the fraction without trailing zeros.
pub(super) fn write_time(time: Time, text: &mut String) {
    use std::fmt::Write;
    let _ = write!(text, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
    if time.fraction() != 0 {
        let fraction = format!("{:06}", time.fraction());
        text.push('.');
        text.push_str(fraction.trim_end_matches('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_a_cycle_comes_back() {
        for days in (-800_000..800_000).chain([i64::from(i32::MIN), i64::from(i32::MAX)]) {
            let date = Date::from_days(days);
            assert_eq!(date.to_days(), days);
            assert!(date.day >= 1 && date.day <= days_in_month(date.year, date.month));
        }
        assert_eq!(Date::from_days(0), Date { year: 1970, month: 1, day: 1 });
        assert_eq!(Date::from_days(-719_528), Date { year: 0, month: 1, day: 1 });
    }
}
