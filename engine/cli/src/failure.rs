//! Failures: what went wrong on standard error, with a hint where one helps, and the exit status.

use std::process::ExitCode;

use plasmon::{Error, Session};

/// A failure that ends the command, or a statement of the shell.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The command line is wrong: exit status 2, as for flags that do not exist.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n\nFor more information, try '--help'.", self.0)
    }
}

impl std::error::Error for Usage {}

/// Tells the failure; gives the exit status: 2 for a wrong command line, 130 for an interrupted query, else 1.
pub(crate) fn report(failure: &Failure) -> ExitCode {
    eprintln!("plasmon: {failure}");
    if failure.is::<Usage>() {
        ExitCode::from(2)
    } else if matches!(failure.downcast_ref::<Error>().map(Error::without_path), Some(Error::Cancelled)) {
        ExitCode::from(130)
    } else {
        ExitCode::FAILURE
    }
}

/// The failure of a statement with what the session knows that may help.
pub(crate) fn with_hint(session: &Session, error: Error) -> Failure {
    match hint(session, &error.to_string()) {
        Some(hint) if matches!(error.without_path(), Error::User(_)) => format!("{error}\nhint: {hint}").into(),
        _ => error.into(),
    }
}

fn hint(session: &Session, message: &str) -> Option<String> {
    let name = message.split("there is no table or view ").nth(1)?.split_whitespace().next()?;
    let names = session.table_names();
    if let Some(close) = names.iter().filter(|n| distance(n, name) <= 2).min_by_key(|n| distance(n, name)) {
        return Some(format!("did you mean {close}?"));
    }
    for extension in ["parquet", "csv", "json", "arrow"] {
        let file = format!("{name}.{extension}");
        if std::path::Path::new(&file).exists() {
            return Some(format!("a file is a table when its path is in quotes: FROM '{file}'"));
        }
    }
    Some(match names.len() {
        0 => "no tables are defined; read a file by its path in quotes, FROM 'data.parquet', or CREATE EXTERNAL TABLE"
            .to_string(),
        1..=12 => format!("there are {}", names.join(", ")),
        count => format!("SHOW TABLES lists the {count} tables and views"),
    })
}

/// Edits from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let edited = (diagonal + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], edited);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits() {
        assert_eq!(distance("lineitem", "lineitems"), 1);
        assert_eq!(distance("ordres", "orders"), 2);
        assert_eq!(distance("", "abc"), 3);
    }
}
