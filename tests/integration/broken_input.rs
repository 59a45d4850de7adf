//! Malformed files and wrong SQL: an error that says where, never a panic or a hang.

use std::path::Path;

use plasmon::{Config, Session};

fn session() -> Session {
    Session::new(Config { threads: 1, ..Config::default() }).expect("valid configuration")
}

fn attempt(session: &Session, sql: &str) -> Result<usize, String> {
    let batches = session.sql(sql).and_then(|q| q.collect()).map_err(|e| e.to_string())?;
    Ok(batches.iter().map(|b| b.num_rows()).sum())
}

/// A small deterministic generator: xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }
}

fn damage(folder: &Path, extension: &str, cases: usize) {
    let session = session();
    let whole = folder.join(format!("whole.{extension}"));
    let sql = format!(
        "COPY (SELECT value AS a, CAST(value AS VARCHAR) AS b, value * 1.5 AS c FROM generate_series(1, 500)) TO '{}'",
        whole.display()
    );
    assert_eq!(attempt(&session, &sql), Ok(1));
    let bytes = std::fs::read(&whole).expect("written above");
    let broken = folder.join(format!("broken.{extension}"));
    let mut random = Random(0x9E37_79B9);
    let mut refused = 0;
    for case in 0..cases {
        let mut damaged = bytes.clone();
        if case % 2 == 0 {
            damaged.truncate(random.next(bytes.len()));
        } else {
            for _ in 0..=random.next(3) {
                let at = random.next(damaged.len());
                damaged[at] ^= 1 << random.next(8);
            }
        }
        std::fs::write(&broken, &damaged).expect("writable folder");
        if let Err(message) = attempt(&session, &format!("SELECT * FROM '{}'", broken.display())) {
            refused += 1;
            assert!(!message.contains("please report"), "case {case}: {message}");
        }
    }
    // Counted by benchmarks/peers/figures.py.
    println!("broken input: {cases} cases");
    assert!(refused > 0, "no damage was noticed in {cases} cases");
}

#[test]
fn damaged_files_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (extension, cases) in [("parquet", 4000), ("csv", 1000), ("json", 1000), ("arrow", 1000)] {
        damage(folder.path(), extension, cases);
    }
}

#[test]
fn wrong_sql_is_refused() {
    let session = session();
    let tokens = [
        "SELECT", "FROM", "WHERE", "1", "'x'", "a", "(", ")", ",", "*", "+", "GROUP BY", "ORDER BY", "JOIN", "ON", "=",
        "NULL", "count(", "CASE", "END", "INTERVAL", "::int", ";", "\"", "WITH", "AS", "UNION",
    ];
    let mut random = Random(42);
    const CASES: usize = 3500;
    println!("broken input: {CASES} cases");
    for _ in 0..CASES {
        let text: Vec<&str> = (0..1 + random.next(9)).map(|_| tokens[random.next(tokens.len())]).collect();
        if let Err(message) = attempt(&session, &text.join(" ")) {
            assert!(!message.contains("please report"), "{}: {message}", text.join(" "));
        }
    }
}

#[test]
fn errors_name_what_and_where() {
    let session = session();
    for (sql, part) in [
        ("SELECT * FROM 'no/such/file.parquet'", "no/such/file.parquet"),
        ("SELECT * FROM no_such_table", "no_such_table"),
        ("SELECT no_such_column FROM (SELECT 1 AS a)", "no_such_column"),
        ("SELECT no_such_function(1)", "no_such_function"),
        ("SELECT CAST('x' AS INT)", "x"),
        ("SELECT 1 / (value - value) FROM generate_series(1, 3)", "division by zero"),
        ("SELECT 9223372036854775807 + value FROM generate_series(1, 3)", "overflow"),
        ("SET no_such_setting = 1", "no_such_setting"),
    ] {
        let message = attempt(&session, sql).expect_err(sql);
        assert!(message.contains(part), "{sql}: {message}");
    }
}
