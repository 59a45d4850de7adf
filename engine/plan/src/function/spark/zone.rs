//! Time zones by Java's names and rules: offsets, the IANA regions, and what happens to wall clocks that a change of the offset skips or repeats.

use chrono::{DateTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;
use plasmon_core::{Error, Result};

use super::calendar::{Date, MICROS_PER_DAY, MICROS_PER_SECOND, is_leap, weekday};

/// Rules of the zone library end some years after this one; later years have the rules of one that begins on the same weekday.
const LAST_KNOWN_YEAR: i64 = 2065;
const FIRST_STAND_IN_YEAR: i64 = 2038;
/// Java's offsets go to ±18:00.
const OFFSET_SECONDS_MAX: i64 = 18 * 3600;

/// A zone of Java's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    /// Seconds east of Greenwich.
    Fixed(i64),
    Region(Tz),
}

impl Zone {
    /// The zone of a session: a constant of the plan.
    pub(super) fn of_session(name: &str) -> Result<Zone> {
        Zone::parse(name).ok_or_else(|| Error::unsupported(format!("time zone {name}")))
    }

    /// As `DateTimeUtils.getZoneId`: `ZoneId.of` with the short names, and the offsets of one digit that Spark 2 took.
    pub(super) fn parse(name: &str) -> Option<Zone> {
        if let Some(long) = SHORT_NAMES.iter().find(|(short, _)| *short == name).map(|(_, long)| *long) {
            return Zone::parse(long);
        }
        match name {
            "Z" | "UTC" | "GMT" | "UT" => return Some(Zone::Fixed(0)),
            _ => {}
        }
        if name.starts_with(['+', '-']) {
            return offset(name).map(Zone::Fixed);
        }
        for prefix in ["UTC", "GMT", "UT"] {
            if let Some(rest) = name.strip_prefix(prefix).filter(|rest| rest.starts_with(['+', '-'])) {
                return offset(rest).map(Zone::Fixed);
            }
        }
        name.parse::<Tz>().ok().map(Zone::Region)
    }

    /// Microseconds that the wall clock is ahead of UTC at an instant.
    fn offset_at(self, micros: i64) -> i64 {
        match self {
            Zone::Fixed(seconds) => seconds * MICROS_PER_SECOND,
            Zone::Region(region) => {
                let instant = utc(known(micros));
                i64::from(region.offset_from_utc_datetime(&instant).fix().local_minus_utc()) * MICROS_PER_SECOND
            }
        }
    }

    /// The wall clock at an instant, in microseconds since 1970-01-01 00:00 on that clock.
    pub(super) fn to_local(self, micros: i64) -> i64 {
        micros.saturating_add(self.offset_at(micros))
    }

    /// The instant at which the wall clock shows this: the earlier one of two; when it is skipped, as much later as the clock was put forward.
    /// `None`: out of range.
    pub(super) fn to_instant(self, local: i64) -> Option<i64> {
        if let Zone::Fixed(seconds) = self {
            return local.checked_sub(seconds * MICROS_PER_SECOND);
        }
        let (before, after) = self.offsets_around(local);
        // The earlier instant has the larger offset; one that does not come back to this clock is not there.
        let shows = |offset: i64| local.checked_sub(offset).filter(|&instant| self.offset_at(instant) == offset);
        match (shows(before.max(after)), shows(before.min(after))) {
            (Some(instant), _) | (None, Some(instant)) => Some(instant),
            (None, None) => local.checked_sub(before),
        }
    }

    /// The first instant of a day.
    pub(super) fn start_of_day(self, days: i64) -> Option<i64> {
        let local = days.checked_mul(MICROS_PER_DAY)?;
        let instant = self.to_instant(local)?;
        if self.to_local(instant) == local {
            return Some(instant);
        }
        // Midnight is skipped: the day begins when the clock has been put forward. The change lies between the instants that the two offsets give.
        let (before, after) = self.offsets_around(local);
        let (mut early, mut late) = (local.checked_sub(after)?, local.checked_sub(before)?);
        while late - early > 1 {
            let middle = early + (late - early) / 2;
            if self.offset_at(middle) == before { early = middle } else { late = middle }
        }
        Some(late)
    }

    /// The offsets a day before and a day after a wall clock's time.
    fn offsets_around(self, local: i64) -> (i64, i64) {
        (self.offset_at(local.saturating_sub(MICROS_PER_DAY)), self.offset_at(local.saturating_add(MICROS_PER_DAY)))
    }
}

/// An instant of a year whose rules are known, at which the zone's rules are those of `micros`.
fn known(micros: i64) -> i64 {
    let days = micros.div_euclid(MICROS_PER_DAY);
    let date = Date::from_days(days);
    if date.year <= LAST_KNOWN_YEAR {
        return micros;
    }
    let first_day = |year| Date { year, month: 1, day: 1 }.to_days();
    let is_like =
        |year: &i64| is_leap(*year) == is_leap(date.year) && weekday(first_day(*year)) == weekday(first_day(date.year));
    let year = (FIRST_STAND_IN_YEAR..=LAST_KNOWN_YEAR).find(is_like).unwrap_or(LAST_KNOWN_YEAR);
    micros - (first_day(date.year) - first_day(year)) * MICROS_PER_DAY
}

/// The library's form of an instant; before its first year, that.
fn utc(micros: i64) -> NaiveDateTime {
    DateTime::from_timestamp_micros(micros).map_or(NaiveDateTime::MIN, |instant| instant.naive_utc())
}

/// Seconds of `+h`, `+hh`, `+hh:mm`, `+hhmm`, `+hh:mm:ss`, `+hhmmss`, and Spark 2's `+h:mm`, `+hh:m`.
fn offset(text: &str) -> Option<i64> {
    let (sign, digits) = (if text.starts_with('-') { -1 } else { 1 }, text.get(1..)?);
    let parts: Vec<&str> = match digits.contains(':') {
        true => digits.split(':').collect(),
        false => match digits.len() {
            1 | 2 => vec![digits],
            4 if digits.is_ascii() => vec![&digits[..2], &digits[2..]],
            6 if digits.is_ascii() => vec![&digits[..2], &digits[2..4], &digits[4..]],
            _ => return None,
        },
    };
    let is_short = |part: &&str| part.len() == 1;
    let number = |part: &&str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<i64>().ok()).flatten();
    let allowed = match &parts[..] {
        [_] => true,
        [_, _] => true,
        [hours, minutes, seconds] => !is_short(hours) && !is_short(minutes) && seconds.len() == 2,
        _ => false,
    };
    if !allowed || parts.iter().any(|p| p.is_empty() || p.len() > 2) {
        return None;
    }
    let numbers = parts.iter().map(number).collect::<Option<Vec<i64>>>()?;
    let (hours, minutes) = (numbers[0], numbers.get(1).copied().unwrap_or(0));
    let seconds = numbers.get(2).copied().unwrap_or(0);
    let total = hours * 3600 + minutes * 60 + seconds;
    (minutes < 60 && seconds < 60 && total <= OFFSET_SECONDS_MAX).then_some(sign * total)
}

/// `ZoneId.SHORT_IDS`.
const SHORT_NAMES: [(&str, &str); 28] = [
    ("ACT", "Australia/Darwin"),
    ("AET", "Australia/Sydney"),
    ("AGT", "America/Argentina/Buenos_Aires"),
    ("ART", "Africa/Cairo"),
    ("AST", "America/Anchorage"),
    ("BET", "America/Sao_Paulo"),
    ("BST", "Asia/Dhaka"),
    ("CAT", "Africa/Harare"),
    ("CNT", "America/St_Johns"),
    ("CST", "America/Chicago"),
    ("CTT", "Asia/Shanghai"),
    ("EAT", "Africa/Addis_Ababa"),
    ("ECT", "Europe/Paris"),
    ("IET", "America/Indiana/Indianapolis"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("MIT", "Pacific/Apia"),
    ("NET", "Asia/Yerevan"),
    ("NST", "Pacific/Auckland"),
    ("PLT", "Asia/Karachi"),
    ("PNT", "America/Phoenix"),
    ("PRT", "America/Puerto_Rico"),
    ("PST", "America/Los_Angeles"),
    ("SST", "Pacific/Guadalcanal"),
    ("VST", "Asia/Ho_Chi_Minh"),
    ("EST", "-05:00"),
    ("MST", "-07:00"),
    ("HST", "-10:00"),
];
