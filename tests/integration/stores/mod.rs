//! Files in object stores: read over HTTP and S3 from a server in this process, written to S3, and what happens when the store fails.

mod server;

use std::time::{Duration, Instant};

use arrow::util::pretty::pretty_format_batches;
use plasmon::{Config, Driver, Error, Session};
use server::{Fault, Server};

fn session(server: &Server) -> Session {
    let session = Session::new(Config { threads: 2, ..Config::default() }).expect("valid configuration");
    for (name, value) in [
        ("s3.endpoint", format!("http://{}", server.address).as_str()),
        ("s3.region", "north"),
        ("s3.access_key_id", "someone"),
        ("s3.secret_access_key", "secret"),
        ("http.max_retries", "2"),
        ("http.timeout", "20s"),
    ] {
        run(&session, &format!("SET {name} = '{value}'"));
    }
    session
}

fn attempt(session: &Session, sql: &str) -> Result<String, Error> {
    let batches = session.sql(sql)?.collect()?;
    Ok(pretty_format_batches(&batches)?.to_string())
}

fn run(session: &Session, sql: &str) -> String {
    attempt(session, sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

fn error(session: &Session, sql: &str) -> String {
    attempt(session, sql).expect_err(sql).to_string()
}

/// Writes `query` to a local file and gives its bytes.
fn file(session: &Session, query: &str, name: &str, options: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    run(session, &format!("COPY ({query}) TO '{}' {options}", path.display()));
    std::fs::read(path).expect("written above")
}

const NUMBERS: &str = "SELECT value AS a, value % 7 AS b, 'text ' || value AS c FROM generate_series(1, 50000)";

#[test]
fn every_format_is_read_over_http() {
    let server = Server::start();
    let session = session(&server);
    let check = "SELECT count(*) AS n, sum(a) AS s, min(c) AS m, count(DISTINCT b) AS d FROM";
    let expected = run(&session, &format!("{check} ({NUMBERS})"));
    for (name, options) in [
        ("n.parquet", "OPTIONS (row_group_size 5000)"),
        ("n.csv", ""),
        ("n.csv.gz", ""),
        ("n.json", ""),
        ("n.json.zst", ""),
        ("n.arrow", ""),
    ] {
        server.put(&format!("data/{name}"), file(&session, NUMBERS, name, options));
        let sql = format!("{check} 'http://{}/data/{name}'", server.address);
        assert_eq!(run(&session, &sql), expected, "{name}");
    }
}

#[test]
fn parquet_reads_only_what_it_needs() {
    let server = Server::start();
    let session = session(&server);
    let wide = "SELECT value AS a, repeat(md5(CAST(value AS VARCHAR)), 20) AS b FROM generate_series(1, 20000)";
    let bytes = file(
        &session,
        wide,
        "wide.parquet",
        "OPTIONS (row_group_size 4000, compression 'uncompressed', dictionary false)",
    );
    let size = bytes.len();
    server.put("wide.parquet", bytes);
    server.take_log();
    let sql = format!("SELECT sum(a) FROM 'http://{}/wide.parquet' WHERE a BETWEEN 9000 AND 9010", server.address);
    assert!(run(&session, &sql).contains("99055"));
    let read: usize = server
        .take_log()
        .iter()
        .filter_map(|line| line.split_once("bytes=")?.1.split_once('-'))
        .map(|(from, to)| to.parse::<usize>().expect("a number") + 1 - from.parse::<usize>().expect("a number"))
        .sum();
    assert!(read > 0 && read < size / 10, "{read} of {size} bytes were read");
    // The footer is known by now.
    run(&session, &sql);
    let again = server.take_log();
    assert!(again.iter().all(|line| !line.ends_with(&format!("-{}", size - 1))), "{again:?}");
}

#[test]
fn a_failing_store_is_asked_again_and_then_named() {
    let server = Server::start();
    let session = session(&server);
    server.put("n.parquet", file(&session, NUMBERS, "n.parquet", "OPTIONS (row_group_size 5000)"));
    server.put("n.csv", file(&session, NUMBERS, "n.csv", ""));
    for name in ["n.parquet", "n.csv"] {
        let url = format!("http://{}/{name}", server.address);
        let sql = format!("SELECT sum(a) FROM '{url}'");
        let expected = run(&session, &sql);
        for fault in [Fault::Status(1), Fault::Status(2), Fault::Cut(1)] {
            server.state().fault = fault;
            assert_eq!(run(&session, &sql), expected, "{name} {fault:?}");
        }
        server.state().fault = Fault::Status(1000);
        let message = error(&session, &sql);
        assert!(message.contains(&url) && message.contains("500"), "{message}");
        server.state().fault = Fault::None;
    }
    let missing = format!("http://{}/no/such.parquet", server.address);
    let message = error(&session, &format!("SELECT * FROM '{missing}'"));
    assert!(message.contains(&missing) && message.contains("not found"), "{message}");
}

#[test]
fn a_stalled_store_does_not_hold_a_cancelled_query() {
    let server = Server::start();
    server.put("n.csv", b"a\n1\n2\n".repeat(100_000));
    for driver in [Driver::Pool, Driver::Inline] {
        let session = session(&server);
        session.set_config(Config { driver, ..session.config() }).expect("valid configuration");
        run(
            &session,
            &format!("CREATE EXTERNAL TABLE t (a BIGINT) STORED AS CSV LOCATION 'http://{}/n.csv'", server.address),
        );
        server.state().fault = Fault::Stall;
        let mut query = session.sql("SELECT sum(a) FROM t").expect("plans");
        let cancel = query.cancel_token();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            cancel.cancel();
        });
        let begin = Instant::now();
        assert!(matches!(query.next(), Some(Err(Error::Cancelled))));
        assert!(begin.elapsed() < Duration::from_secs(10), "the query waited for the store");
        killer.join().expect("ends");
        server.state().fault = Fault::None;
    }
}

#[test]
fn partitioned_results_go_to_s3_and_come_back() {
    let server = Server::start();
    let session = session(&server);
    let query = "SELECT value AS a, value % 5 AS b, CASE WHEN value % 3 = 0 THEN NULL ELSE 'x/' || (value % 2) END AS c FROM generate_series(1, 1000)";
    let copied =
        run(&session, &format!("COPY ({query}) TO 's3://bucket/out/' STORED AS PARQUET PARTITIONED BY (b, c)"));
    assert!(copied.contains("1000"), "{copied}");
    assert_eq!(server.state().objects.len(), 15);
    assert!(
        server.state().objects.keys().any(|k| k == "bucket/out/b=3/c=x%2F1/part-0.parquet"),
        "{:?}",
        server.state().objects.keys()
    );
    let check = "SELECT sum(a) AS s, count(c) AS n, count(DISTINCT c) AS d, sum(b) AS t FROM";
    let expected = run(&session, &format!("{check} ({query})"));
    for location in ["s3://bucket/out/", "s3://bucket/out/*/*/*.parquet", "s3://bucket/out"] {
        assert_eq!(run(&session, &format!("{check} '{location}'")), expected, "{location}");
    }
    // Only the wanted folder's data is read, once footers are known.
    server.take_log();
    run(&session, "SELECT sum(a) FROM 's3://bucket/out/' WHERE b = 3 AND c = 'x/1'");
    let log = server.take_log();
    let read: Vec<_> = log.iter().filter(|l| l.contains(".parquet bytes=")).collect();
    assert!(!read.is_empty() && read.iter().all(|l| l.contains("b=3/c=x%2F1/")), "{log:?}");
    let message =
        error(&session, &format!("COPY ({query}) TO 's3://bucket/out/' STORED AS PARQUET PARTITIONED BY (b)"));
    assert!(message.contains("is there already") && message.contains("overwrite"), "{message}");
    run(
        &session,
        &format!("COPY ({query}) TO 's3://bucket/out/' STORED AS CSV PARTITIONED BY (b) OPTIONS (overwrite true)"),
    );
    assert_eq!(server.state().objects.len(), 5, "the files before are gone");
    let message = error(&session, "SELECT * FROM 's3://bucket/nothing/'");
    assert!(message.contains("s3://bucket/nothing/") && message.contains("no files there"), "{message}");
}

#[test]
fn large_objects_are_uploaded_in_parts_or_not_at_all() {
    let server = Server::start();
    let session = session(&server);
    let long = "SELECT value AS a, repeat(md5(CAST(value AS VARCHAR)), 20) AS b FROM generate_series(1, 30000)";
    run(&session, &format!("COPY ({long}) TO 's3://bucket/long.csv'"));
    assert!(server.take_log().iter().filter(|l| l.starts_with("PUT")).count() > 2, "several parts");
    assert!(run(&session, "SELECT count(*), sum(a), min(length(b)) FROM 's3://bucket/long.csv'").contains("450015000"));
    assert!(server.state().uploads.is_empty());
    let failing = long.replace("value AS a", "10 / (29999 - value) AS a");
    let message = error(&session, &format!("COPY ({failing}) TO 's3://bucket/failed.csv'"));
    assert!(message.contains("division by zero"), "{message}");
    let state = server.state();
    assert!(!state.objects.contains_key("bucket/failed.csv"), "no half object");
    assert!(state.uploads.is_empty(), "no parts are left");
}

#[test]
fn settings_of_stores_are_shown_without_their_secrets() {
    let server = Server::start();
    let session = session(&server);
    assert!(run(&session, "SHOW s3.region").contains("north"));
    let shown = run(&session, "SHOW ALL");
    assert!(shown.contains("s3.secret_access_key") && !shown.contains("| secret "), "{shown}");
    run(&session, "RESET s3.region");
    assert!(error(&session, "SHOW s3.region").contains("s3.region"));
    assert!(error(&session, "SET s3.no_such_thing = 1").contains("no_such_thing"));
    assert!(error(&session, "SELECT * FROM 'gopher://host/file.csv'").contains("gopher"));
}
