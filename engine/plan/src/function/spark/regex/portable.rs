//! The subset of Java's patterns that is translated: literals, `.`, `^` at the start, classes of characters and ranges, `\d \w \s` and their opposites,
//! groups, alternatives, greedy and lazy repetition. Left out is what differs or might: `$`, `\b`, flags, possessive repetition, look-around,
//! back-references, set operations, Unicode classes.

/// What Java's `.` does not match.
const ANY: &str = "[^\\n\\r\\x{85}\\x{2028}\\x{2029}]";

/// The pattern for Rust's `regex`; `None`: it is beyond the subset.
pub(super) fn translate(pattern: &str) -> Option<String> {
    let mut reader =
        Reader { rest: pattern, out: String::with_capacity(pattern.len() * 2), depth: 0, repeatable: false };
    while let Some(c) = reader.next() {
        reader.piece(c)?;
    }
    (reader.depth == 0).then_some(reader.out)
}

struct Reader<'a> {
    rest: &'a str,
    out: String,
    /// Groups that are open.
    depth: usize,
    /// Whether what was read last may be repeated.
    repeatable: bool,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn piece(&mut self, c: char) -> Option<()> {
        let is_start = self.out.is_empty();
        let was_repeatable = std::mem::replace(&mut self.repeatable, true);
        match c {
            '.' => self.out.push_str(ANY),
            '^' if is_start => {
                self.out.push('^');
                self.repeatable = false;
            }
            '(' => {
                let opening = if self.take("?:") { "(?:" } else { "(" };
                if self.rest.starts_with('?') || self.rest.starts_with('*') {
                    return None;
                }
                self.out.push_str(opening);
                self.depth += 1;
                self.repeatable = false;
            }
            ')' => {
                self.depth = self.depth.checked_sub(1)?;
                self.out.push(')');
            }
            '|' => {
                self.out.push('|');
                self.repeatable = false;
            }
            '*' | '+' | '?' | '{' if was_repeatable => self.repetition(c)?,
            '[' => self.class()?,
            '\\' => {
                let escaped = self.next()?;
                match shorthand(escaped) {
                    Some((class, is_negated)) => {
                        self.out.push_str(if is_negated { "[^" } else { "[" });
                        self.out.push_str(class);
                        self.out.push(']');
                    }
                    None => self.literal(unescaped(escaped)?),
                }
            }
            '*' | '+' | '?' | '{' | '}' | ']' | '^' | '$' | '#' => return None,
            c => self.literal(c),
        }
        Some(())
    }

    fn literal(&mut self, c: char) {
        let mut buffer = [0; 4];
        self.out.push_str(&regex::escape(c.encode_utf8(&mut buffer)));
    }

    /// `*`, `+`, `?`, `{n}`, `{n,}`, `{n,m}`, and `?` behind for a lazy one.
    fn repetition(&mut self, c: char) -> Option<()> {
        /// More would make large programs.
        const TIMES_MAX: u32 = 1000;
        self.out.push(c);
        if c == '{' {
            let (times, rest) = self.rest.split_once('}')?;
            let (least, most) = times.split_once(',').map_or((times, None), |(least, most)| (least, Some(most)));
            let is_number = |text: &str| {
                !text.is_empty()
                    && text.bytes().all(|b| b.is_ascii_digit())
                    && text.parse::<u32>().is_ok_and(|n| n <= TIMES_MAX)
            };
            if !is_number(least) || most.is_some_and(|most| !most.is_empty() && !is_number(most)) {
                return None;
            }
            self.out.push_str(times);
            self.out.push('}');
            self.rest = rest;
        }
        if self.take("?") {
            self.out.push('?');
        }
        // Possessive, or a repetition of a repetition.
        self.repeatable = false;
        (!self.rest.starts_with(['+', '*', '?', '{'])).then_some(())
    }

    /// `[abc]`, `[^a-z\d]`.
    fn class(&mut self) -> Option<()> {
        self.out.push('[');
        if self.take("^") {
            self.out.push('^');
        }
        let mut is_first = true;
        loop {
            let c = self.next()?;
            match c {
                ']' if !is_first => break,
                ']' | '[' | '&' | '^' | '-' => return None,
                '\\' => match self.next()? {
                    escaped if shorthand(escaped).is_some_and(|(_, is_negated)| !is_negated) => {
                        self.out.push_str(shorthand(escaped)?.0);
                        if self.rest.starts_with('-') {
                            return None;
                        }
                    }
                    escaped => self.member(unescaped(escaped)?)?,
                },
                c => self.member(c)?,
            }
            is_first = false;
        }
        self.out.push(']');
        Some(())
    }

    /// A character of a class, or a range that begins with it.
    fn member(&mut self, c: char) -> Option<()> {
        self.literal_in_class(c);
        if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
            self.take("-");
            let last = match self.next()? {
                '\\' => unescaped(self.next()?)?,
                '[' | '&' | '^' | '-' => return None,
                last => last,
            };
            if last < c {
                return None;
            }
            self.out.push('-');
            self.literal_in_class(last);
        } else if self.take("-") {
            self.out.push_str("\\-");
        }
        Some(())
    }

    fn literal_in_class(&mut self, c: char) {
        self.out.push_str(&format!("\\x{{{:x}}}", u32::from(c)));
    }
}

/// Java's own classes are ASCII's; inside of brackets.
fn shorthand(c: char) -> Option<(&'static str, bool)> {
    Some(match c {
        'd' | 'D' => ("0-9", c == 'D'),
        'w' | 'W' => ("a-zA-Z_0-9", c == 'W'),
        's' | 'S' => (" \\t\\n\\x0B\\x0C\\r", c == 'S'),
        _ => return None,
    })
}

/// What stands behind a backslash and means one character.
fn unescaped(c: char) -> Option<char> {
    match c {
        't' => Some('\t'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        c if c.is_ascii_punctuation() => Some(c),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_differ_is_refused() {
        let refused = [
            "a$", "\\bx", "(?i)a", "a*+", "a++", "a**", "(?=x)", "(?<n>x)", "\\1", "[a[b]]", "[a&&b]", "\\p{L}",
            "[]a]", "a{", "a{,2}", "*a", "a|*", "(a", "a)", "\\Qx\\E", "x{2000}", "[b-a]", "a^", "\\", "[a", "{2}",
        ];
        for pattern in refused {
            assert_eq!(translate(pattern), None, "{pattern}");
        }
        for pattern in
            ["", "abc", "^a.c", "[a-z0-9_-]+@[^.]+\\.(com|org)", "a{2,3}?b|c", "(?:x)*", "\\d+\\s\\w", "[\\d.]"]
        {
            let translated = translate(pattern).expect(pattern);
            assert!(regex::Regex::new(&translated).is_ok(), "{pattern}: {translated}");
        }
    }
}
