//! However a `plasmon` that spills ends — killed, told to end, interrupted, in an error, with its answer — it leaves nothing where it spilled, and the next
//! one spills there again.

use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use crate::{plasmon, stderr, stdout};

/// One statement for each kind of state, whose answer is `rows`.
fn statements(rows: usize) -> [String; 3] {
    let series = |name: &str| format!("generate_series(1, {rows}) {name}");
    let (a, b) = (series("a"), series("b"));
    [
        format!("SELECT max(r) AS n FROM (SELECT row_number() OVER (ORDER BY a.value * 7919 % 1000003) AS r FROM {a})"),
        format!("SELECT count(*) AS n FROM (SELECT a.value * 7919, count(*) FROM {a} GROUP BY 1)"),
        format!("SELECT count(*) AS n FROM {a} FULL JOIN {b} ON a.value = b.value"),
    ]
}

/// A `plasmon` that runs `sql` with little memory and spills to `directory`; what is left of it ends with the test.
struct Spilling {
    child: Option<Child>,
    directory: PathBuf,
}

impl Spilling {
    fn start(directory: &Path, settings: &str, sql: &str) -> Self {
        let directory = directory.canonicalize().expect("a directory");
        let text = format!("SET spill_directories = '{}'; {settings} {sql}", directory.display());
        let child = plasmon()
            .args(["sql", "--threads", "2", "--memory", "2MB", "--format", "csv", &text])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("plasmon runs");
        Spilling { child: Some(child), directory }
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("not waited for")
    }

    /// Bytes of the files without a name that the process has open in its directory.
    fn bytes(&mut self) -> u64 {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.child().id())).into_iter().flatten().flatten();
        let spilled = files.map(|file| file.path()).filter(|file| {
            let target = std::fs::read_link(file).unwrap_or_default();
            target.starts_with(&self.directory) && target.to_string_lossy().ends_with(" (deleted)")
        });
        spilled.filter_map(|file| std::fs::metadata(file).ok()).map(|file| file.len()).sum()
    }

    /// Waits until a megabyte is spilled: then it is in the middle of it.
    fn wait_for_spilling(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while self.bytes() < 1 << 20 {
            assert!(Instant::now() < deadline, "nothing is spilled");
            if self.child().try_wait().expect("a child").is_some() {
                panic!("ended before it was told to: {}", stderr(&self.wait()));
            }
            std::thread::yield_now();
        }
    }

    fn signal(&mut self, name: &str) {
        let kill = format!("kill -{name} {}", self.child().id());
        assert!(std::process::Command::new("sh").args(["-c", &kill]).status().expect("sh runs").success(), "{kill}");
    }

    /// Its end; nothing is left then.
    fn wait(&mut self) -> Output {
        let output = self.child.take().expect("not waited for").wait_with_output().expect("ends");
        let left: Vec<_> = std::fs::read_dir(&self.directory).expect("a directory").collect();
        assert!(left.is_empty(), "{left:?} is left");
        output
    }
}

impl Drop for Spilling {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A run that spills to `directory` and answers.
fn answers(directory: &Path) {
    const ROWS: usize = 400_000;
    for sql in statements(ROWS) {
        let output = Spilling::start(directory, "", &sql).wait();
        assert!(output.status.success(), "{sql}: {}", stderr(&output));
        assert_eq!(stdout(&output), format!("n\n{ROWS}\n"), "{sql}");
    }
}

/// Whether this process was told to ignore a signal, which those that it starts inherit: nohup does so with hangups, a shell without job control with interrupts
/// of what it runs in the background.
fn ignores(signal: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("a process has a status");
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("signals that are ignored");
    u64::from_str_radix(ignored.trim(), 16).expect("a mask") >> (signal - 1) & 1 == 1
}

#[test]
fn a_process_that_is_killed_leaves_nothing_and_the_next_one_spills_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let gentle =
        [("TERM", 15), ("INT", 2), ("HUP", 1)].map(|(name, number)| if ignores(number) { "TERM" } else { name });
    for (sql, gentle) in statements(100_000_000).into_iter().zip(gentle) {
        for signal in ["KILL", gentle] {
            let mut spilling = Spilling::start(directory.path(), "", &sql);
            spilling.wait_for_spilling();
            spilling.signal(signal);
            let output = spilling.wait();
            assert!(!output.status.success(), "{sql}: ended well for {signal}: {}", stdout(&output));
        }
    }
    answers(directory.path());
}

#[test]
fn an_error_or_a_reader_that_goes_away_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    for sql in statements(2_000_000) {
        let output = Spilling::start(directory.path(), "SET spill_bytes = 3000000;", &sql).wait();
        assert_eq!(output.status.code(), Some(1), "{sql}: {}", stdout(&output));
        assert!(stderr(&output).contains("spill_bytes"), "{sql}: {}", stderr(&output));
    }
    let rows = "SELECT value FROM generate_series(1, 2000000) ORDER BY value * 7919 % 1000003";
    let mut spilling = Spilling::start(directory.path(), "", rows);
    spilling.wait_for_spilling();
    drop(spilling.child().stdout.take());
    let output = spilling.wait();
    assert!(output.status.success(), "{}", stderr(&output));
    answers(directory.path());
}
