//! Dates and timestamps in texts, as `SparkDateTimeUtils` reads them: parts may have one digit, the end may be missing, blanks around are passed over.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::function::spark::calendar::{Date, MICROS_PER_DAY, MICROS_PER_SECOND};
use crate::function::spark::zone::Zone;

/// `UTF8String.isWhitespaceOrISOControl` of one byte.
pub(super) fn is_blank(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7F
}

fn trimmed(text: &str) -> &[u8] {
    let bytes = text.as_bytes();
    let start = bytes.iter().position(|&b| !is_blank(b)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|&b| !is_blank(b)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// Days since 1970-01-01; `None`: the text is no date.
pub(in crate::function::spark) fn parse_date(text: &str) -> Option<i32> {
    const YEAR_DIGITS_MAX: usize = 7;
    let bytes = trimmed(text);
    let (sign, bytes) = signed(bytes)?;
    let mut parts = [1i64; 3];
    let (mut part, mut value, mut digits, mut at) = (0, 0i64, 0, 0);
    let holds = |part: usize, digits: usize| match part {
        0 => (4..=YEAR_DIGITS_MAX).contains(&digits),
        _ => (1..=2).contains(&digits),
    };
    while at < bytes.len() && bytes[at] != b' ' && bytes[at] != b'T' {
        match bytes[at] {
            b'-' if part < 2 => {
                if !holds(part, digits) {
                    return None;
                }
                parts[part] = value;
                (part, value, digits) = (part + 1, 0, 0);
            }
            digit @ b'0'..=b'9' if digits < YEAR_DIGITS_MAX => {
                value = value * 10 + i64::from(digit - b'0');
                digits += 1;
            }
            _ => return None,
        }
        at += 1;
    }
    if !holds(part, digits) || part < 2 && at < bytes.len() {
        return None;
    }
    parts[part] = value;
    let date = Date::new(sign.unwrap_or(1) * parts[0], parts[1], parts[2])?;
    i32::try_from(date.to_days()).ok()
}

/// The sign of the year, if there is one, and what follows; `None`: there is nothing.
fn signed(bytes: &[u8]) -> Option<(Option<i64>, &[u8])> {
    Some(match bytes.first()? {
        b'-' => (Some(-1), &bytes[1..]),
        b'+' => (Some(1), &bytes[1..]),
        _ => (None, bytes),
    })
}

/// A timestamp in a text.
pub(in crate::function::spark) struct Parsed {
    /// `None`: a time alone, of today.
    date: Option<Date>,
    /// Microseconds of the day.
    time: i64,
    zone: Option<Zone>,
}

impl Parsed {
    /// Microseconds since 1970-01-01 00:00 UTC; a text without a zone is a clock's in `session`.
    pub(in crate::function::spark) fn instant(&self, session: Zone) -> Option<i64> {
        let zone = self.zone.unwrap_or(session);
        let days = match self.date {
            Some(date) => date.to_days(),
            None => zone.to_local(now_micros()).div_euclid(MICROS_PER_DAY),
        };
        zone.to_instant(days.checked_mul(MICROS_PER_DAY)?.checked_add(self.time)?)
    }

    /// Microseconds since 1970-01-01 00:00 of a clock without a zone; one in the text is passed over. `None`: there is no date.
    pub(in crate::function::spark) fn clock(&self) -> Option<i64> {
        self.date?.to_days().checked_mul(MICROS_PER_DAY)?.checked_add(self.time)
    }
}

fn now_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}

/// Which part of `y-m-d h:m:s.f zone` is being read.
const DAY: usize = 2;
const HOUR: usize = 3;
const SECOND: usize = 5;
const FRACTION: usize = 6;
const ZONE: usize = 7;

/// Reads `[+-]yyyy[-M[-d[( |T)H:m:s[.f][zone]]]]`, or a time alone, as `parseTimestampString` does.
pub(in crate::function::spark) fn parse_timestamp(text: &str) -> Option<Parsed> {
    let all = trimmed(text);
    let (sign, _) = signed(all)?;
    let mut reader = Reader::default();
    let mut at = usize::from(sign.is_some());
    // Only a text that begins with it, blanks included, may begin with T.
    let starts_plain = text.as_bytes().first() == all.first();
    while at < all.len() {
        match all[at] {
            digit @ b'0'..=b'9' => reader.digit(digit),
            b'T' if at == 0 && starts_plain => {
                reader.is_time = true;
                reader.part += HOUR;
            }
            other if reader.part == SECOND && other == b'.' => reader.close(SECOND, FRACTION)?,
            _ if reader.part == SECOND || reader.part == FRACTION => {
                reader.close(reader.part, ZONE)?;
                let name = std::str::from_utf8(&all[at..]).ok()?;
                reader.zone = Some(Zone::parse(name.trim_matches(|c| c <= ' '))?);
                break;
            }
            other => reader.separator(other, sign.is_some())?,
        }
        at += 1;
    }
    reader.finish(sign.unwrap_or(1))
}

struct Reader {
    parts: [i64; 8],
    part: usize,
    value: i64,
    digits: usize,
    fraction_digits: u32,
    is_time: bool,
    zone: Option<Zone>,
}

impl Default for Reader {
    fn default() -> Self {
        let parts = [1, 1, 1, 0, 0, 0, 0, 0];
        Reader { parts, part: 0, value: 0, digits: 0, fraction_digits: 0, is_time: false, zone: None }
    }
}

impl Reader {
    fn digit(&mut self, digit: u8) {
        self.fraction_digits += u32::from(self.part == FRACTION);
        // What is behind the microseconds is cut.
        if self.part != FRACTION || self.digits < 6 {
            self.value = self.value.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
        }
        self.digits += 1;
    }

    fn holds(&self, part: usize) -> bool {
        match part {
            0 => (4..=6).contains(&self.digits),
            FRACTION => true,
            ZONE => self.digits <= 2,
            _ => (1..=2).contains(&self.digits),
        }
    }

    /// Ends the part that is being read as `part`, and goes on with `next`.
    fn close(&mut self, part: usize, next: usize) -> Option<()> {
        if !self.holds(part) {
            return None;
        }
        self.parts[part] = self.value;
        (self.part, self.value, self.digits) = (next, 0, 0);
        Some(())
    }

    /// What stands between parts before the seconds.
    fn separator(&mut self, byte: u8, has_sign: bool) -> Option<()> {
        match (self.part, byte) {
            (0 | 1, b'-') => self.close(self.part, self.part + 1),
            (0, b':') if !has_sign => {
                self.is_time = true;
                self.close(HOUR, HOUR + 1)
            }
            (DAY, b' ' | b'T') => self.close(DAY, HOUR),
            (3 | 4, b':') => self.close(self.part, self.part + 1),
            _ => None,
        }
    }

    fn finish(mut self, sign: i64) -> Option<Parsed> {
        self.close(self.part, ZONE)?;
        let [year, month, day, hour, minute, second, fraction, _] = self.parts;
        let micros = fraction * 10i64.pow(6u32.saturating_sub(self.fraction_digits));
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let date = if self.is_time { None } else { Some(Date::new(sign * year, month, day)?) };
        let time = (hour * 3600 + minute * 60 + second) * MICROS_PER_SECOND + micros;
        Some(Parsed { date, time, zone: self.zone })
    }
}
