//! A text of several statements → the statements, and EXPLAIN's own prefix → what it asks for.

use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use plasmon_core::{Error, Result};

/// How EXPLAIN is to be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExplainFormat {
    /// An indented tree.
    #[default]
    Text,
    Json,
    /// One self-contained page with the plan as a picture.
    Html,
}

/// What an EXPLAIN asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExplainOptions {
    /// Run the statement and show what was measured.
    pub analyze: bool,
    /// Show every expression in full.
    pub verbose: bool,
    pub format: ExplainFormat,
}

/// The statements of a text, without their semicolons; empty ones are left out. Strings and comments may hold semicolons.
pub fn split_statements(sql: &str) -> Result<Vec<&str>> {
    let tokens = tokenize(sql)?;
    let offsets = Offsets::new(sql);
    let mut statements = Vec::new();
    let mut start = 0;
    let mut has_tokens = false;
    for token in &tokens {
        match &token.token {
            Token::SemiColon => {
                let end = offsets.of(token.span.start);
                if has_tokens {
                    statements.push(sql[start..end].trim());
                }
                start = offsets.of(token.span.end);
                has_tokens = false;
            }
            Token::Whitespace(_) | Token::EOF => {}
            _ => has_tokens = true,
        }
    }
    if has_tokens {
        statements.push(sql[start..].trim());
    }
    Ok(statements)
}

/// The text with its parameters numbered, and their names in the order of the numbers. `?, ?` becomes `$1, $2` (whose names are these), `$low, $high, $low`
/// becomes `$1, $2, $1`, and `$2, $1` stays. One text has parameters of one kind.
pub fn number_parameters(sql: &str) -> Result<(String, Vec<String>)> {
    let offsets = Offsets::new(sql);
    let (mut numbered, mut copied, mut kinds) = (String::with_capacity(sql.len()), 0, [false; 3]);
    let mut names: Vec<String> = Vec::new();
    for token in &tokenize(sql)? {
        let Token::Placeholder(name) = &token.token else { continue };
        let is_number = name[1..].parse::<usize>().is_ok();
        kinds[if name == "?" { 0 } else { 1 + usize::from(is_number) }] = true;
        let known = names.iter().position(|n| n == name);
        let number = match known {
            Some(position) => position + 1,
            None => {
                names.push(if name == "?" { format!("${}", names.len() + 1) } else { name.clone() });
                names.len()
            }
        };
        if !is_number {
            let start = offsets.of(token.span.start);
            numbered.push_str(&sql[copied..start]);
            numbered.push_str(&format!("${number}"));
            copied = start + name.len();
        }
    }
    if kinds.iter().filter(|kind| **kind).count() > 1 {
        return Err(Error::user("the parameters of a statement are all question marks, all numbered or all named"));
    }
    numbered.push_str(&sql[copied..]);
    if kinds[2] {
        names.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    }
    Ok((numbered, names))
}

/// When `sql` is `EXPLAIN …` of a statement: its options, and the statement. `EXPLAIN table` (DESCRIBE) is left to the parser.
pub(super) fn split_explain(sql: &str) -> Result<Option<(ExplainOptions, &str)>> {
    let tokens: Vec<TokenWithSpan> =
        tokenize(sql)?.into_iter().filter(|t| !matches!(t.token, Token::Whitespace(_) | Token::EOF)).collect();
    if !tokens.first().is_some_and(|t| is_word(t, "EXPLAIN")) {
        return Ok(None);
    }
    let mut cursor = Cursor { tokens: &tokens, position: 1 };
    let mut options = ExplainOptions::default();
    if cursor.at(&Token::LParen)
        && !cursor.tokens.get(2).is_some_and(|t| is_word(t, "SELECT") || is_word(t, "WITH") || is_word(t, "VALUES"))
    {
        cursor.position += 1;
        loop {
            parenthesized_option(&mut cursor, &mut options)?;
            match cursor.next() {
                Some(t) if t.token == Token::Comma => {}
                Some(t) if t.token == Token::RParen => break,
                other => return Err(unexpected("',' or ')' after an EXPLAIN option", other)),
            }
        }
    }
    loop {
        if cursor.word("ANALYZE") {
            options.analyze = true;
        } else if cursor.word("VERBOSE") {
            options.verbose = true;
        } else if cursor.word("FORMAT") {
            options.format = format(cursor.next())?;
        } else {
            break;
        }
    }
    let Some(first) = cursor.tokens.get(cursor.position) else {
        return Err(Error::user("EXPLAIN: a statement is missing"));
    };
    let statement = &sql[Offsets::new(sql).of(first.span.start)..];
    let explains = ["SELECT", "WITH", "VALUES", "COPY", "CREATE", "INSERT", "TABLE", "FROM"]
        .iter()
        .any(|word| is_word(first, word));
    if !explains && first.token != Token::LParen {
        return if cursor.position == 1 { Ok(None) } else { Err(unexpected("a query after EXPLAIN", Some(first))) };
    }
    Ok(Some((options, statement)))
}

fn parenthesized_option(cursor: &mut Cursor<'_>, options: &mut ExplainOptions) -> Result<()> {
    let name = cursor.next();
    match name {
        Some(t) if is_word(t, "FORMAT") => options.format = format(cursor.next())?,
        Some(t) if is_word(t, "ANALYZE") => options.analyze = switch(cursor)?,
        Some(t) if is_word(t, "VERBOSE") => options.verbose = switch(cursor)?,
        other => return Err(unexpected("ANALYZE, VERBOSE or FORMAT", other)),
    }
    Ok(())
}

/// An optional TRUE/FALSE/ON/OFF; absent is on.
fn switch(cursor: &mut Cursor<'_>) -> Result<bool> {
    if cursor.at(&Token::Comma) || cursor.at(&Token::RParen) {
        return Ok(true);
    }
    match cursor.next() {
        Some(t) if ["TRUE", "ON", "1"].iter().any(|w| text(t).eq_ignore_ascii_case(w)) => Ok(true),
        Some(t) if ["FALSE", "OFF", "0"].iter().any(|w| text(t).eq_ignore_ascii_case(w)) => Ok(false),
        other => Err(unexpected("TRUE or FALSE", other)),
    }
}

fn format(token: Option<&TokenWithSpan>) -> Result<ExplainFormat> {
    let name = token.map(text).unwrap_or_default();
    match name.to_ascii_lowercase().as_str() {
        "text" | "indent" | "tree" => Ok(ExplainFormat::Text),
        "json" => Ok(ExplainFormat::Json),
        "html" => Ok(ExplainFormat::Html),
        _ => Err(unexpected("EXPLAIN format TEXT, JSON or HTML", token)),
    }
}

struct Cursor<'a> {
    tokens: &'a [TokenWithSpan],
    position: usize,
}

impl<'a> Cursor<'a> {
    fn next(&mut self) -> Option<&'a TokenWithSpan> {
        self.position += 1;
        self.tokens.get(self.position - 1)
    }

    fn at(&self, token: &Token) -> bool {
        self.tokens.get(self.position).is_some_and(|t| t.token == *token)
    }

    /// Steps over a keyword if it is next.
    fn word(&mut self, word: &str) -> bool {
        let found = self.tokens.get(self.position).is_some_and(|t| is_word(t, word));
        self.position += usize::from(found);
        found
    }
}

fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>> {
    Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location().map_err(|e| Error::user(format!("SQL text: {e}")))
}

fn is_word(token: &TokenWithSpan, word: &str) -> bool {
    matches!(&token.token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

fn text(token: &TokenWithSpan) -> String {
    match &token.token {
        Token::Word(w) => w.value.clone(),
        Token::SingleQuotedString(s) | Token::DoubleQuotedString(s) => s.clone(),
        other => other.to_string(),
    }
}

fn unexpected(wanted: &str, token: Option<&TokenWithSpan>) -> Error {
    match token {
        Some(t) => Error::user(format!(
            "EXPLAIN: expected {wanted}, found {} at line {}, column {}",
            t.token, t.span.start.line, t.span.start.column
        )),
        None => Error::user(format!("EXPLAIN: expected {wanted}, found the end")),
    }
}

/// Byte offsets of (line, column) locations, both from 1, columns in characters.
struct Offsets<'a> {
    sql: &'a str,
    lines: Vec<usize>,
}

impl<'a> Offsets<'a> {
    fn new(sql: &'a str) -> Self {
        let lines = std::iter::once(0).chain(sql.match_indices('\n').map(|(i, _)| i + 1)).collect();
        Offsets { sql, lines }
    }

    fn of(&self, location: Location) -> usize {
        let line = (location.line as usize).saturating_sub(1);
        let Some(&start) = self.lines.get(line) else { return self.sql.len() };
        let column = (location.column as usize).saturating_sub(1);
        self.sql[start..].char_indices().nth(column).map_or(self.sql.len(), |(i, _)| start + i)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_in_strings_comments_and_identifiers_do_not_split() {
        let sql = "select ';' ; -- a;b\n/* ; */ select \"a;ü\" from t;\n;; select 'ö;' as é";
        assert_eq!(
            split_statements(sql).unwrap(),
            ["select ';'", "-- a;b\n/* ; */ select \"a;ü\" from t", "select 'ö;' as é"]
        );
        assert!(split_statements("  -- nothing\n;").unwrap().is_empty());
    }

    #[test]
    fn parameters_are_numbered_in_order() {
        let numbered = |sql| number_parameters(sql).unwrap();
        let names = |count: usize| (1..=count).map(|n| format!("${n}")).collect::<Vec<_>>();
        assert_eq!(numbered("SELECT 'é?', ?, a -- ?\n+ ?"), ("SELECT 'é?', $1, a -- ?\n+ $2".to_string(), names(2)));
        assert_eq!(numbered("SELECT $2, $1, $2"), ("SELECT $2, $1, $2".to_string(), names(2)));
        let many = (1..=12).rev().map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        assert_eq!(number_parameters(&format!("SELECT {many}")).unwrap().1, names(12));
        assert_eq!(numbered("SELECT 1"), ("SELECT 1".to_string(), Vec::new()));
        let named = numbered("SELECT $low, $high, $low");
        assert_eq!(named, ("SELECT $1, $2, $1".to_string(), vec!["$low".to_string(), "$high".to_string()]));
        assert!(number_parameters("SELECT ?, $2").is_err());
        assert!(number_parameters("SELECT $a, $2").is_err());
    }

    #[test]
    fn explain_prefixes() {
        let split = |sql: &'static str| split_explain(sql).unwrap();
        assert_eq!(split("select 1"), None);
        assert_eq!(split("explain t"), None);
        assert_eq!(split("EXPLAIN select 1"), Some((ExplainOptions::default(), "select 1")));
        let all = ExplainOptions { analyze: true, verbose: true, format: ExplainFormat::Json };
        assert_eq!(split("explain analyze verbose format json select 1"), Some((all, "select 1")));
        assert_eq!(split("explain (analyze, verbose true, format json) select 1"), Some((all, "select 1")));
        assert_eq!(
            split("explain (analyze off, format html) (select 1)"),
            Some((ExplainOptions { format: ExplainFormat::Html, ..Default::default() }, "(select 1)"))
        );
        assert_eq!(split("explain (select 1)"), Some((ExplainOptions::default(), "(select 1)")));
        assert!(split_explain("explain (costs) select 1").is_err());
        assert!(split_explain("explain format xml select 1").is_err());
    }
}
