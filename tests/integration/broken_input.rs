//! Malformed files and wrong SQL: an error that says where, never a panic or a hang.

use std::path::Path;

use plasmon::{Config, Driver, Session};

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

/// One way to make other bytes of a file's.
fn damaged(bytes: &[u8], random: &mut Random, case: usize) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    match case % 4 {
        0 => damaged.truncate(random.next(bytes.len())),
        1 | 2 => {
            for _ in 0..=random.next(3) {
                let at = random.next(damaged.len());
                damaged[at] ^= 1 << random.next(8);
            }
        }
        // A piece of it over another place, or in between.
        _ => {
            let len = 1 + random.next(bytes.len().min(64));
            let (from, to) = (random.next(bytes.len() - len + 1), random.next(bytes.len() - len + 1));
            let piece = bytes[from..from + len].to_vec();
            let end = if case.is_multiple_of(8) { to } else { to + len };
            damaged.splice(to..end, piece);
        }
    }
    damaged
}

/// Writes `query` as a file and reads what is left of it after damage: an answer, or an error that names the file.
fn damage(folder: &Path, query: &str, extension: &str, options: &str, cases: usize) {
    let session = Session::new(Config { driver: Driver::Inline, ..Config::default() }).expect("valid configuration");
    let whole = folder.join(format!("whole.{extension}"));
    let sql = format!("COPY ({query}) TO '{}' {options}", whole.display());
    assert_eq!(attempt(&session, &sql), Ok(1), "{sql}");
    let bytes = std::fs::read(&whole).expect("written above");
    let broken = folder.join(format!("broken.{extension}"));
    let mut random = Random(0x9E37_79B9);
    let mut refused = 0;
    for case in 0..cases {
        std::fs::write(&broken, damaged(&bytes, &mut random, case)).expect("writable folder");
        if let Err(message) = attempt(&session, &format!("SELECT * FROM '{}'", broken.display())) {
            refused += 1;
            assert!(!message.contains("please report"), "{extension} {options} case {case}: {message}");
            assert!(message.contains("broken."), "{extension} {options} case {case} names no file: {message}");
        }
    }
    println!("broken input: {cases} cases");
    assert!(refused > 0, "no damage was noticed in {cases} cases of {extension} {options}");
}

const FLAT: &str = "SELECT value AS a, CAST(value AS VARCHAR) AS b, value * 1.5 AS c, CAST(value % 7 AS INT) AS d, \
    CASE WHEN value % 3 = 0 THEN NULL ELSE 'text ' || (value % 5) END AS e FROM generate_series(1, 200)";
const NESTED: &str = "SELECT value AS a, make_array(value, NULL, 7) AS b, named_struct('x', value, 'y', make_array('p', 'q')) AS c \
    FROM generate_series(1, 60)";

/// Damages a file of each kind; together these tests take more than 10,000 cases.
fn damage_all(kinds: &[(&str, &str, &str)], cases: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (query, extension, options) in kinds {
        damage(folder.path(), query, extension, options, cases);
    }
}

#[test]
fn damaged_parquet_is_refused() {
    damage_all(
        &[
            (FLAT, "parquet", ""),
            (FLAT, "parquet", "OPTIONS (compression 'uncompressed', row_group_size 70)"),
            (FLAT, "parquet", "OPTIONS (compression 'snappy', writer_version '2.0')"),
            (FLAT, "parquet", "OPTIONS (compression 'gzip', dictionary false)"),
            (FLAT, "parquet", "OPTIONS (compression 'lz4', data_page_row_limit 50, bloom_filter true)"),
            (FLAT, "parquet", "OPTIONS (compression 'uncompressed', writer_version '2.0', dictionary false)"),
            (NESTED, "parquet", ""),
            (NESTED, "parquet", "OPTIONS (compression 'uncompressed', writer_version '2.0')"),
        ],
        700,
    );
}

#[test]
fn damaged_text_is_refused() {
    damage_all(
        &[
            (FLAT, "csv", ""),
            (FLAT, "csv.gz", ""),
            (FLAT, "csv.zst", ""),
            (FLAT, "json", ""),
            (NESTED, "json", ""),
            (FLAT, "json.gz", ""),
        ],
        500,
    );
}

#[test]
fn damaged_arrow_files_are_refused() {
    damage_all(&[(FLAT, "arrow", ""), (NESTED, "arrow", "")], 1000);
}

#[test]
fn wrong_sql_is_refused() {
    let session = session();
    let tokens = [
        "SELECT", "FROM", "WHERE", "1", "'x'", "a", "(", ")", ",", "*", "+", "GROUP BY", "ORDER BY", "JOIN", "ON", "=",
        "NULL", "count(", "CASE", "END", "INTERVAL", "::int", ";", "\"", "WITH", "AS", "UNION",
    ];
    let mut random = Random(42);
    for _ in 0..3000 {
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
