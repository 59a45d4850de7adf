//! LIKE patterns → matchers over one string: exact, prefix, suffix, contains, ordered parts; a general matcher for `_`.
//!
//! A pattern of literal parts between `%` is matched without a state machine: the first part must be a prefix unless the pattern starts with `%`, the last a
//! suffix unless it ends with `%`, the others are searched from left to right (the leftmost match of each never rules out a later one).
//! `_` stands for one character (not byte). Search compares the first and last byte of the part at 32 (or 16) positions at once.
//! Benchmarks: `benchmarks/benches/kernels`.

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct LikePattern {
    parts: Vec<Part>,
    /// Whether the pattern starts and ends with `%`.
    open_start: bool,
    open_end: bool,
    fold_case: bool,
    /// No part holds a `_`.
    literal: bool,
}

/// What stands between two `%`: characters, `None` for `_`.
#[derive(Debug, Clone)]
struct Part {
    characters: Vec<Option<char>>,
    bytes: Vec<u8>,
}

impl LikePattern {
    /// Compiles `pattern`; `escape` (default `\`) makes the next character literal. Case folding is Unicode lower case.
    pub fn new(pattern: &str, escape: Option<char>, fold_case: bool) -> Self {
        let escape = escape.unwrap_or('\\');
        let mut parts: Vec<Vec<Option<char>>> = vec![Vec::new()];
        let folded = if fold_case { pattern.to_lowercase() } else { pattern.to_string() };
        let mut characters = folded.chars();
        while let Some(c) = characters.next() {
            let last = parts.len() - 1;
            match c {
                c if c == escape => parts[last].push(Some(characters.next().unwrap_or(c))),
                '%' => parts.push(Vec::new()),
                '_' => parts[last].push(None),
                c => parts[last].push(Some(c)),
            }
        }
        let open_start = parts.len() > 1 && parts[0].is_empty();
        let open_end = parts.len() > 1 && parts[parts.len() - 1].is_empty();
        let only = parts.len() == 1;
        let parts: Vec<Part> = parts
            .into_iter()
            .filter(|p| only || !p.is_empty())
            .map(|characters| Part { bytes: characters.iter().flatten().collect::<String>().into_bytes(), characters })
            .collect();
        let literal = parts.iter().all(|p| p.characters.iter().all(Option::is_some));
        LikePattern { parts, open_start, open_end, fold_case, literal }
    }

    /// Whether the (UTF-8) text matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        if self.fold_case {
            let lower = String::from_utf8_lossy(text).to_lowercase();
            return self.matches_folded(lower.as_bytes());
        }
        self.matches_folded(text)
    }

    fn matches_folded(&self, text: &[u8]) -> bool {
        if self.literal {
            self.matches_literal(text)
        } else {
            self.matches_general(&String::from_utf8_lossy(text).chars().collect::<Vec<_>>())
        }
    }

    fn matches_literal(&self, text: &[u8]) -> bool {
        let mut parts = &self.parts[..];
        let mut rest = text;
        if !self.open_start {
            let Some((first, others)) = parts.split_first() else { return true };
            if !rest.starts_with(&first.bytes) {
                return false;
            }
            if others.is_empty() && !self.open_end {
                return rest.len() == first.bytes.len();
            }
            rest = &rest[first.bytes.len()..];
            parts = others;
        }
        if !self.open_end {
            let Some((last, others)) = parts.split_last() else { return true };
            if !rest.ends_with(&last.bytes) {
                return false;
            }
            rest = &rest[..rest.len() - last.bytes.len()];
            parts = others;
        }
        for part in parts {
            match find(rest, &part.bytes) {
                Some(at) => rest = &rest[at + part.bytes.len()..],
                None => return false,
            }
        }
        true
    }

    fn matches_general(&self, text: &[char]) -> bool {
        let fits = |part: &Part, at: &[char]| {
            at.len() >= part.characters.len() && part.characters.iter().zip(at).all(|(p, c)| p.is_none_or(|p| p == *c))
        };
        let mut parts = &self.parts[..];
        let mut rest = text;
        if !self.open_start {
            let Some((first, others)) = parts.split_first() else { return true };
            if !fits(first, rest) {
                return false;
            }
            if others.is_empty() && !self.open_end {
                return rest.len() == first.characters.len();
            }
            rest = &rest[first.characters.len()..];
            parts = others;
        }
        if !self.open_end {
            let Some((last, others)) = parts.split_last() else { return true };
            if rest.len() < last.characters.len() || !fits(last, &rest[rest.len() - last.characters.len()..]) {
                return false;
            }
            rest = &rest[..rest.len() - last.characters.len()];
            parts = others;
        }
        for part in parts {
            match (0..=rest.len()).find(|&at| fits(part, &rest[at..])) {
                Some(at) => rest = &rest[at + part.characters.len()..],
                None => return false,
            }
        }
        true
    }
}

/// Position of the first occurrence of `needle` in `haystack`.
#[inline]
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return Some(0);
    }
    if haystack.len() < needle.len() {
        return None;
    }
    #[cfg(target_arch = "x86_64")]
    if crate::isa::isa() >= crate::isa::Isa::Avx2 {
        // SAFETY: the tier says that the CPU has AVX2.
        return unsafe { find_avx2(haystack, needle) };
    }
    find_scalar(haystack, needle)
}

fn find_scalar(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// First and last byte of the needle at 32 positions at once, at 16 where the haystack is shorter; the last block overlaps the one before it.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1")]
fn find_avx2(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    use std::arch::x86_64::*;
    let span = needle.len() - 1;
    let verify = |at: usize, mut candidates: u32| {
        while candidates != 0 {
            let start = at + candidates.trailing_zeros() as usize;
            if haystack[start..start + needle.len()] == *needle {
                return Some(start);
            }
            candidates &= candidates - 1;
        }
        None
    };
    let Some(positions) = haystack.len().checked_sub(span) else { return None };
    if positions >= 32 {
        let (first, last) = (_mm256_set1_epi8(needle[0] as i8), _mm256_set1_epi8(needle[span] as i8));
        for at in (0..positions - 32).step_by(32).chain([positions - 32]) {
            // SAFETY: `at + 32` is at most `positions`, and `positions + span` the haystack's length.
            let (head, tail) = unsafe {
                (
                    _mm256_loadu_si256(haystack.as_ptr().add(at).cast()),
                    _mm256_loadu_si256(haystack.as_ptr().add(at + span).cast()),
                )
            };
            let both = _mm256_and_si256(_mm256_cmpeq_epi8(head, first), _mm256_cmpeq_epi8(tail, last));
            let candidates = _mm256_movemask_epi8(both) as u32;
            if candidates != 0
                && let Some(found) = verify(at, candidates)
            {
                return Some(found);
            }
        }
        return None;
    }
    if positions < 16 {
        return (0..positions).find(|&at| haystack[at] == needle[0] && haystack[at..at + needle.len()] == *needle);
    }
    let (first, last) = (_mm_set1_epi8(needle[0] as i8), _mm_set1_epi8(needle[span] as i8));
    for at in [0, positions - 16] {
        // SAFETY: `at + 16` is at most `positions`, and `positions + span` the haystack's length.
        let (head, tail) = unsafe {
            (
                _mm_loadu_si128(haystack.as_ptr().add(at).cast()),
                _mm_loadu_si128(haystack.as_ptr().add(at + span).cast()),
            )
        };
        let both = _mm_and_si128(_mm_cmpeq_epi8(head, first), _mm_cmpeq_epi8(tail, last));
        if let Some(found) = verify(at, _mm_movemask_epi8(both) as u32) {
            return Some(found);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The textbook recursion.
    fn oracle(text: &[char], pattern: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('%', rest)) => (0..=text.len()).any(|i| oracle(&text[i..], rest)),
            Some(('_', rest)) => !text.is_empty() && oracle(&text[1..], rest),
            Some((c, rest)) => text.first() == Some(c) && oracle(&text[1..], rest),
        }
    }

    #[test]
    fn escapes_and_case() {
        assert!(LikePattern::new("100\\%", None, false).matches(b"100%"));
        assert!(!LikePattern::new("100\\%", None, false).matches(b"1000"));
        assert!(LikePattern::new("a#_b", Some('#'), false).matches(b"a_b"));
        assert!(!LikePattern::new("a#_b", Some('#'), false).matches(b"axb"));
        assert!(LikePattern::new("%ÄB%", None, true).matches("xäBy".as_bytes()));
        assert!(LikePattern::new("_", None, false).matches("é".as_bytes()));
    }

    proptest! {
        #[test]
        fn agrees_with_the_recursion(text in "[abé]{0,12}", pattern in "[abé%_]{0,8}") {
            let (t, p): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
            prop_assert_eq!(LikePattern::new(&pattern, None, false).matches(text.as_bytes()), oracle(&t, &p));
        }

        #[test]
        fn finds_the_first(haystack in "[ab]{0,120}", needle in "[ab]{0,6}") {
            prop_assert_eq!(find(haystack.as_bytes(), needle.as_bytes()), haystack.find(&needle));
        }
    }
}
