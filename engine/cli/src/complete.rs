//! What the shell completes, and when a statement is whole.

use std::sync::Arc;

use plasmon::Session;
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper, Highlighter, Hinter};

const KEYWORDS: &[&str] = &[
    "ALL",
    "AND",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COPY",
    "CREATE",
    "CROSS JOIN",
    "CSV",
    "CUBE",
    "DATE",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "EXPLAIN ANALYZE",
    "EXTERNAL TABLE",
    "EXTRACT",
    "FALSE",
    "FILTER",
    "FROM",
    "FULL JOIN",
    "GROUP BY",
    "GROUPING SETS",
    "HAVING",
    "IN",
    "INNER JOIN",
    "INSERT INTO",
    "INTERSECT",
    "INTERVAL",
    "IS NOT NULL",
    "IS NULL",
    "JOIN",
    "JSON",
    "LATERAL",
    "LEFT JOIN",
    "LIKE",
    "LIMIT",
    "LOCATION",
    "NOT",
    "NULL",
    "NULLS FIRST",
    "NULLS LAST",
    "OFFSET",
    "ON",
    "OR",
    "ORDER BY",
    "OVER",
    "PARQUET",
    "PARTITION BY",
    "RECURSIVE",
    "RIGHT JOIN",
    "ROLLUP",
    "SELECT",
    "SET",
    "SHOW FUNCTIONS",
    "SHOW SETTINGS",
    "SHOW TABLES",
    "STORED AS",
    "TABLE",
    "THEN",
    "TIMESTAMP",
    "TRUE",
    "UNION",
    "UNION ALL",
    "USING",
    "VALUES",
    "VIEW",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
];

const COMMANDS: &[&str] = &["\\?", "\\d", "\\f", "\\format", "\\i", "\\q", "\\timing"];

/// Completion and validation for the line editor.
#[derive(Helper, Highlighter, Hinter)]
pub(crate) struct ShellHelper {
    session: Arc<Session>,
    files: FilenameCompleter,
}

impl ShellHelper {
    /// Completes names of `session`.
    pub(crate) fn new(session: Arc<Session>) -> Self {
        ShellHelper { session, files: FilenameCompleter::new() }
    }

    /// Tables, columns, functions and keywords that begin with `word`, those nearest to the statement first.
    fn names(&self, word: &str, statement: &str) -> Vec<Pair> {
        let lower = word.to_lowercase();
        let tables = self.session.table_names();
        let mentioned = statement.to_lowercase();
        let columns = tables
            .iter()
            .filter(|t| mentioned.contains(t.as_str()))
            .filter_map(|t| self.session.table_schema(t).ok())
            .flat_map(|schema| schema.fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>());
        let mut candidates: Vec<Pair> = Vec::new();
        let mut add = |shown: String, inserted: String| {
            if shown.to_lowercase().starts_with(&lower) && !candidates.iter().any(|c| c.display == shown) {
                candidates.push(Pair { display: shown, replacement: inserted });
            }
        };
        columns.for_each(|c| add(c.clone(), c));
        tables.iter().for_each(|t| add(t.clone(), t.clone()));
        // Keywords in the case in which the word was begun.
        let typed_lower = word.chars().next().is_some_and(char::is_lowercase);
        for keyword in KEYWORDS {
            let text = if typed_lower { keyword.to_lowercase() } else { keyword.to_string() };
            add(text.clone(), text);
        }
        for function in self.session.function_names() {
            add(format!("{function}("), format!("{function}("));
        }
        candidates
    }
}

impl Completer for ShellHelper {
    type Candidate = Pair;

    fn complete(&self, line: &str, position: usize, context: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = &line[..position];
        if let Ending::Quoted { start } = ending(before) {
            let (offset, files) = self.files.complete(&before[start..], position - start, context)?;
            return Ok((start + offset, files));
        }
        if before.starts_with('\\') && !before.contains(' ') {
            let commands = COMMANDS.iter().filter(|c| c.starts_with(before));
            return Ok((0, commands.map(|c| Pair { display: c.to_string(), replacement: c.to_string() }).collect()));
        }
        let start = before.char_indices().rev().find(|(_, c)| !(c.is_alphanumeric() || *c == '_'));
        let start = start.map_or(0, |(i, c)| i + c.len_utf8());
        let word = &before[start..];
        Ok((start, if word.is_empty() { Vec::new() } else { self.names(word, line) }))
    }
}

impl Validator for ShellHelper {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if is_whole(context.input()) { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

/// Whether the input can be run: a backslash command, a word that leaves, or statements of which the last has its semicolon.
pub(crate) fn is_whole(input: &str) -> bool {
    let text = input.trim();
    text.is_empty()
        || text.starts_with('\\')
        || ["quit", "exit"].iter().any(|w| text.eq_ignore_ascii_case(w))
        || matches!(ending(input), Ending::Statement)
}

/// How a text ends.
#[derive(Debug, PartialEq, Eq)]
enum Ending {
    /// After a semicolon (comments and space may follow).
    Statement,
    /// Inside a single-quoted string whose content starts there.
    Quoted { start: usize },
    /// Inside a quoted identifier or a comment, or amid a statement.
    Open,
}

fn ending(text: &str) -> Ending {
    let bytes = text.as_bytes();
    let (mut at, mut whole) = (0, false);
    let find = |from: usize, end: &str| text.get(from..).and_then(|rest| rest.find(end)).map(|i| from + i + end.len());
    while at < bytes.len() {
        let next = match (bytes[at], bytes.get(at + 1)) {
            (b'\'', _) => match find(at + 1, "'") {
                Some(end) => Some(end),
                None => return Ending::Quoted { start: at + 1 },
            },
            (b'"', _) => find(at + 1, "\""),
            (b'-', Some(b'-')) => Some(find(at, "\n").unwrap_or(bytes.len())),
            (b'/', Some(b'*')) => find(at + 2, "*/"),
            _ => Some(at + 1),
        };
        let Some(next) = next else { return Ending::Open };
        let is_comment = matches!((bytes[at], bytes.get(at + 1)), (b'-', Some(b'-')) | (b'/', Some(b'*')));
        if !is_comment && !bytes[at].is_ascii_whitespace() {
            whole = bytes[at] == b';';
        }
        at = next;
    }
    if whole { Ending::Statement } else { Ending::Open }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_outside_of_strings_and_comments() {
        for whole in ["select 1;", "select 1; -- done", "select ';' ; /* x */", "\\d", "quit", "", "select 'é;';\n"] {
            assert!(is_whole(whole), "{whole}");
        }
        for open in ["select 1", "select ';", "select 1 -- ;", "select \";", "/* ; ", "select 1; select 'it''s"] {
            assert!(!is_whole(open), "{open}");
        }
    }

    #[test]
    fn names_are_completed_where_they_fit() {
        let session = Arc::new(Session::new(plasmon::Config::default()).expect("default settings"));
        session.sql("CREATE TABLE cities AS SELECT 1 AS population").expect("runs");
        let helper = ShellHelper::new(session);
        let complete = |line: &str| {
            let history = rustyline::history::DefaultHistory::new();
            let (start, found) = helper.complete(line, line.len(), &Context::new(&history)).expect("completes");
            found.into_iter().map(|p| format!("{}{}", &line[..start], p.replacement)).collect::<Vec<_>>()
        };
        assert!(complete("select popu").is_empty());
        assert!(complete("select * from cit").contains(&"select * from cities".to_string()));
        assert!(
            complete("select * from cities where pop").contains(&"select * from cities where population".to_string())
        );
        assert!(complete("sel").contains(&"select".to_string()));
        assert!(complete("SEL").contains(&"SELECT".to_string()));
        assert!(complete("select regexp_l").contains(&"select regexp_like(".to_string()));
        assert!(complete("\\ti").contains(&"\\timing".to_string()));
        assert!(complete("select * from 'Cargo.to").contains(&"select * from 'Cargo.toml".to_string()));
    }
}
