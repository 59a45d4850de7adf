//! The `plasmon` command as its users meet it: output, exit status, standard error, pipes, files, the shell on a terminal.

#[cfg(target_os = "linux")]
mod ends;

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn plasmon() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plasmon"));
    command.env("XDG_STATE_HOME", std::env::temp_dir()).env("XDG_DATA_HOME", "/nonexistent").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    plasmon().args(arguments).output().expect("plasmon runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Standard output of a command that must succeed, and say nothing on standard error.
fn quiet(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    assert_eq!(stderr(&output), "", "{arguments:?}");
    stdout(&output)
}

/// Standard error of a command that must fail with `code`, having printed nothing.
fn fails(arguments: &[&str], code: i32) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}{}", stdout(&output), stderr(&output));
    assert_eq!(stdout(&output), "", "{arguments:?}");
    stderr(&output)
}

fn with_input(arguments: &[&str], input: &str) -> Output {
    let mut child = plasmon()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("plasmon runs");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("reads its input");
    child.wait_with_output().expect("ends")
}

#[test]
fn formats() {
    let sql = "SELECT 1 AS a, 'x,\"y' AS b, CAST(NULL AS INT) AS c UNION ALL SELECT 2, 'ü', 3 ORDER BY 1";
    assert_eq!(quiet(&["sql", "--format", "csv", sql]), "a,b,c\n1,\"x,\"\"y\",\n2,ü,3\n");
    assert_eq!(
        quiet(&["sql", "--format", "json", sql]),
        "{\"a\":1,\"b\":\"x,\\\"y\",\"c\":null}\n{\"a\":2,\"b\":\"ü\",\"c\":3}\n"
    );
    let table = quiet(&["sql", sql]);
    assert!(table.contains("│ 1 ┆ x,\"y ┆ NULL │") && table.ends_with("2 rows\n"), "{table}");
    assert_eq!(quiet(&["sql", "--format", "csv", "SELECT 1 AS a WHERE false"]), "a\n");
    assert_eq!(quiet(&["sql", "--format", "json", "SELECT 1 AS a WHERE false"]), "");
    assert_eq!(quiet(&["sql", "CREATE TABLE t AS SELECT 1 AS a"]), "");
}

#[test]
fn parquet_goes_to_a_file_or_a_pipe() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("out.parquet");
    let place = file.to_string_lossy().into_owned();
    quiet(&["sql", "SELECT value FROM generate_series(1, 5)", "--format", "parquet", "--output", &place]);
    assert_eq!(quiet(&["sql", "--format", "csv", &format!("SELECT sum(value) AS s FROM '{place}'")]), "s\n15\n");
    let piped = run(&["sql", "SELECT value FROM generate_series(1, 5)", "--format", "parquet"]);
    assert_eq!(piped.stdout.get(..4), Some(&b"PAR1"[..]));
}

#[test]
fn statements_come_from_arguments_files_and_standard_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("script.sql");
    std::fs::write(&script, "CREATE TABLE t AS SELECT 41 AS a; -- comment;\nSELECT a + 1 AS b FROM t;")
        .expect("writes");
    let place = script.to_string_lossy().into_owned();
    assert_eq!(quiet(&["sql", "-f", &place, "--format", "csv"]), "b\n42\n");
    for arguments in [&["sql", "--format", "csv"][..], &["sql", "-", "--format", "csv"]] {
        let output = with_input(arguments, "SELECT 1 AS a; SELECT 2 AS a");
        assert_eq!(stdout(&output), "a\n1\na\n2\n");
    }
    let output = with_input(&[], "SELECT 1 AS a;\n\\format csv\nSELECT 2 AS b;\n\\d\n");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).ends_with("b\n2\ntable_name,kind,details\n"), "{}", stdout(&output));
}

#[test]
fn failures_tell_why_and_set_the_exit_status() {
    assert!(fails(&["sql", "SELECT * FROM nowhere"], 1).starts_with("plasmon: "));
    assert!(fails(&["sql", "SELECT * FROM nowhere"], 1).contains("hint: no tables are defined"));
    assert!(
        fails(&["sql", "CREATE TABLE cities AS SELECT 1; SELECT * FROM citeis"], 1).contains("did you mean cities?")
    );
    assert!(fails(&["sql", "SELECT * FROM 'no/such.parquet'"], 1).contains("no/such.parquet"));
    assert!(fails(&["sql", "-f", "no/such.sql"], 1).contains("no/such.sql"));
    assert!(fails(&["sql", "SELECT 1 +"], 1).contains("plasmon: "));
    assert!(fails(&["sql", "--threads", "0", "SELECT 1"], 2).contains("--threads"));
    assert!(fails(&["sql", "--memory", "lots", "SELECT 1"], 2).contains("512MB"));
    assert!(fails(&["frobnicate"], 2).contains("frobnicate"));
    assert!(fails(&["tpch", "generate", "--scale", "0", "--data", "/tmp/x"], 2).contains("--scale"));
    let memory = fails(&["sql", "--memory", "100KB", "SELECT array_agg(value) FROM generate_series(1, 300000)"], 1);
    assert!(memory.contains("out of memory") && memory.contains("held by"), "{memory}");
}

#[test]
fn a_broken_file_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("broken.parquet");
    std::fs::write(&file, b"PAR1 this is no Parquet PAR1").expect("writes");
    let message = fails(&["sql", &format!("SELECT * FROM '{}'", file.display())], 1);
    assert!(message.contains("broken.parquet") && message.lines().count() == 1, "{message}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = plasmon()
        .args(["sql", "--format", "csv", "SELECT value FROM generate_series(1, 3000000)"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("plasmon runs");
    // The header and the start of some row: which morsel comes first is not said.
    let mut first = [0u8; 8];
    child.stdout.take().expect("piped").read_exact(&mut first).expect("some rows");
    let output = child.wait_with_output().expect("ends");
    assert!(first.starts_with(b"value\n") && first[6].is_ascii_digit(), "{}", String::from_utf8_lossy(&first));
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

#[test]
fn substrait_out_and_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let copy = format!("COPY (SELECT value AS a FROM generate_series(1, 5)) TO '{}'", path("t.parquet"));
    assert!(run(&["sql", &copy]).status.success());
    let sql = format!("SELECT sum(a) AS total FROM '{}' WHERE a > 1", path("t.parquet"));
    for (format, name) in [("substrait", "plan.substrait"), ("substrait-json", "plan.json")] {
        assert_eq!(quiet(&["explain", "--format", format, &sql, "--output", &path(name)]), "");
        assert_eq!(quiet(&["sql", "--format", "csv", "--substrait", &path(name)]), "total\n14\n");
    }
    // After the statements that define what the plan names.
    let define = "CREATE TABLE t AS SELECT 1 AS a";
    let plan = r#"{"relations": [{"root": {"names": ["b"], "input": {"read": {"namedTable": {"names": ["t"]},
        "baseSchema": {"names": ["a"], "struct": {"types": [{"i64": {}}]}}}}}}]}"#;
    std::fs::write(path("named.json"), plan).expect("a file");
    assert_eq!(quiet(&["sql", define, "--substrait", &path("named.json"), "--format", "csv"]), "b\n1\n");
    assert!(fails(&["sql", "--substrait", &path("named.json")], 1).contains("(at root.input.named_table)"));
    assert!(fails(&["explain", "--format", "substrait", "SELECT unnest([1])"], 1).contains("(at root.input"));
    assert!(fails(&["explain", "--analyze", "--format", "substrait", &sql], 2).contains("--analyze"));
}

#[test]
fn explain_in_three_formats() {
    let sql = "SELECT value % 3, count(*) FROM generate_series(1, 1000) GROUP BY 1";
    let text = quiet(&["explain", "--analyze", sql]);
    assert!(text.contains("Aggregate") && text.contains("1,000 in") && text.contains("Planning"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&quiet(&["explain", "--analyze", "--format", "json", sql])).expect("JSON");
    assert_eq!(json["sections"][0]["plan"]["rows"], 3);
    assert!(json["planning"].as_array().is_some_and(|passes| passes.iter().any(|p| p["pass"] == "join_order")));
    let text = quiet(&["explain", "--analyze", "SELECT count(DISTINCT value) FROM generate_series(1, 1000000)"]);
    assert!(text.contains("MiB reserved, ") && text.contains("MiB allocated"), "{text}");
    let page = quiet(&["explain", "--analyze", "--format", "html", sql]);
    assert!(page.starts_with("<!doctype html>") && page.contains("<svg") && !page.contains("http"), "{page}");
    assert!(fails(&["explain", "SELECT 1; SELECT 2"], 2).contains("one statement"));
}

#[test]
fn tpch_from_generation_to_one_object_a_query() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_string_lossy().into_owned();
    assert!(quiet(&["tpch", "generate", "--scale", "0.01", "--data", &data]).contains(&data));
    let lines = quiet(&[
        "tpch",
        "run",
        "--data",
        &data,
        "--queries",
        "1,6",
        "--threads",
        "2",
        "--memory",
        "2GB",
        "--format",
        "json",
    ]);
    let objects: Vec<serde_json::Value> = lines.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(objects.iter().map(|o| o["query"].as_u64()).collect::<Vec<_>>(), [Some(1), Some(6)]);
    for object in &objects {
        assert_eq!(
            object.as_object().map(|o| o.keys().map(String::as_str).collect::<Vec<_>>()),
            Some(vec!["answer", "query", "rows", "seconds"])
        );
        assert_eq!(object["answer"], "unchecked");
        assert!(object["seconds"].as_f64().is_some_and(|s| s > 0.0));
    }
    assert_eq!(objects[0]["rows"], 4);
    assert!(quiet(&["tpch", "run", "--data", &data, "--queries", "3"]).contains("unchecked"));
    assert!(fails(&["tpch", "run", "--data", &data, "--queries", "23"], 2).contains("1-22"));
    assert!(fails(&["tpch", "run", "--data", "/no/such"], 1).contains("plasmon tpch generate"));
    assert!(fails(&["tpcds", "run", "--data", "/no/such"], 1).contains("tpcds_data.py"));
    assert!(fails(&["tpcds", "run", "--data", &data], 1).contains("no table call_center"));
}

#[test]
fn lists_and_help() {
    assert!(quiet(&["functions", "regexp"]).contains("regexp_like"));
    assert!(!quiet(&["functions", "regexp"]).contains("array_agg"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(quiet(&["completions", shell]).contains("plasmon"), "{shell}");
    }
    let help = quiet(&["--help"]);
    assert!(help.contains("Examples:") && help.contains("Exit status"), "{help}");
    assert!(quiet(&["sql", "--help"]).contains("jq"));
    assert!(quiet(&["--version"]).starts_with("plasmon 0."));
}

/// A shell on a terminal of its own, by util-linux's `script`.
struct Terminal {
    child: std::process::Child,
    keys: std::process::ChildStdin,
    screen: std::sync::mpsc::Receiver<Vec<u8>>,
    shown: String,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Ends the shell too: its terminal is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Terminal {
    fn open(state: &Path) -> Option<Self> {
        // Ctrl-C reaches every process of the terminal, so `sh` has to catch it, or it ends before its `echo` (dash does, bash does not).
        let command = concat!("trap : INT; '", env!("CARGO_BIN_EXE_plasmon"), "'; echo left with $?");
        let mut child = Command::new("script")
            .args(["-qfc", command, "/dev/null"])
            .env("SHELL", "/bin/sh")
            .env("XDG_STATE_HOME", state)
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let (keys, mut output) = (child.stdin.take()?, child.stdout.take()?);
        let (sender, screen) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0u8; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Some(Terminal { child, keys, screen, shown: String::new() })
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("the terminal is open");
    }

    /// Waits until `text` is on the screen; presses `keys` again and again meanwhile.
    fn wait_for(&mut self, text: &str, keys: Option<&str>) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.shown.contains(text) {
            let tail = self.shown.len() - self.shown.len().min(2000);
            let tail = self.shown.get(tail..).unwrap_or_default();
            assert!(Instant::now() < deadline, "{text:?} did not come:\n{tail}");
            match self.screen.recv_timeout(Duration::from_millis(200)) {
                Ok(bytes) => self.shown.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => keys.iter().for_each(|k| self.press(k)),
            }
        }
        self.shown.clear();
    }
}

#[test]
fn the_shell_on_a_terminal() {
    let state = tempfile::tempdir().expect("a folder");
    let Some(mut terminal) = Terminal::open(state.path()) else {
        eprintln!("no `script` command here: the shell is not tested on a terminal");
        return;
    };
    terminal.wait_for("plasmon> ", None);
    terminal.press("SELECT 6 *\r7 AS answer;\r");
    terminal.wait_for("42", None);
    terminal.press("SELECT * FROM nowhere;\r");
    terminal.wait_for("hint:", None);
    // Ctrl-C ends the query, not the shell.
    terminal.press("SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b;\r");
    terminal.wait_for("cancelled after", Some("\u{3}"));
    terminal.press("\\timing\r");
    terminal.wait_for("timing is off", None);
    terminal.press("SELECT 'still ' || 'here';\r");
    terminal.wait_for("still here", None);
    terminal.press("\\q\r");
    // On the screen, because `script` itself does not always end with the status of what it ran.
    terminal.wait_for("left with 0", None);
    let history = std::fs::read_to_string(state.path().join("plasmon/history")).expect("a history");
    assert!(history.contains("nowhere"), "{history}");
}
