//! Points in time moved by intervals, for frames by distance.

const NANOS_PER_DAY: i128 = 86_400_000_000_000;

/// `nanos` since 1970-01-01 moved by months (the day of the month is cut to the month's length), then days, then nanoseconds.
pub fn shift_time(nanos: i128, months: i64, days: i64, nanoseconds: i128) -> i128 {
    let mut shifted = nanos;
    if months != 0 {
        let (day_number, time) = (nanos.div_euclid(NANOS_PER_DAY), nanos.rem_euclid(NANOS_PER_DAY));
        let (year, month, day) = civil_of_days(day_number);
        let month_number = year * 12 + (month - 1) + months as i128;
        let (year, month) = (month_number.div_euclid(12), month_number.rem_euclid(12) + 1);
        let moved = days_of_civil(year, month, 1) + day.min(days_in_month(year, month)) - 1;
        shifted = moved * NANOS_PER_DAY + time;
    }
    shifted + days as i128 * NANOS_PER_DAY + nanoseconds
}

fn days_in_month(year: i128, month: i128) -> i128 {
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_of_civil(next_year, next_month, 1) - days_of_civil(year, month, 1)
}

/// Days since 1970-01-01 of a proleptic Gregorian date (Hinnant, "chrono-compatible low-level date algorithms").
fn days_of_civil(year: i128, month: i128, day: i128) -> i128 {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year - era * 400;
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
fn civil_of_days(days: i128) -> (i128, i128, i128) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted - era * 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + (month <= 2) as i128;
    (year, month, day_of_year - (153 * shifted_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree() {
        for days in (-800_000..800_000).step_by(37) {
            let (year, month, day) = civil_of_days(days);
            assert_eq!(days_of_civil(year, month, day), days);
        }
        assert_eq!(civil_of_days(0), (1970, 1, 1));
        assert_eq!(civil_of_days(19_782), (2024, 2, 29));
    }

    #[test]
    fn months_cut_to_their_length() {
        let at = |year, month, day| days_of_civil(year, month, day) * NANOS_PER_DAY + 5;
        assert_eq!(shift_time(at(2024, 1, 31), 1, 0, 0), at(2024, 2, 29));
        assert_eq!(shift_time(at(2024, 3, 31), -13, 1, 1), at(2023, 3, 1) + 1);
    }
}
