//! Progress bars: on a terminal, and nowhere else.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use plasmon::{Monitor, Progress};

/// Queries that are over sooner show nothing.
const QUIET_MILLISECONDS: u64 = 500;
/// How often a query's bar moves.
const TICK_MILLISECONDS: u64 = 100;

/// A bar of `length` steps on standard error; hidden when that is no terminal.
pub(crate) fn bar(length: u64, message: &str) -> ProgressBar {
    let bar = styled(length, "{msg:<28} [{bar:32}] {pos}/{len} {eta}");
    bar.set_message(message.to_string());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn styled(length: u64, template: &str) -> ProgressBar {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━╸ "));
    }
    bar
}

/// Shows how far a query is until it is dropped.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts to watch; nothing is shown without a terminal on standard error.
    pub(crate) fn start(monitor: Monitor) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::io::stderr().is_terminal().then(|| std::thread::spawn(move || watch(&monitor, &stopped)));
        Watch { stop, thread }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A bar that failed is no reason to fail.
            let _ = thread.join();
        }
    }
}

fn message(progress: &Progress) -> String {
    let mega = |count: u64| count as f64 / 1e6;
    let (reserved, peak) = (mega(progress.bytes_reserved as u64), mega(progress.bytes_peak as u64));
    let spilled = match (progress.bytes_spilled, progress.passes) {
        (0, _) => String::new(),
        (bytes, 0) => format!(", {:.0} MB spilled", mega(bytes)),
        (bytes, passes) => format!(", {:.0} MB spilled, {passes} passes", mega(bytes)),
    };
    format!("{:.1} M rows read, {reserved:.0} MB (at most {peak:.0}){spilled}", mega(progress.rows_read))
}

fn watch(monitor: &Monitor, stop: &AtomicBool) {
    let start = Instant::now();
    let mut bar: Option<ProgressBar> = None;
    while !stop.load(Relaxed) {
        std::thread::park_timeout(Duration::from_millis(TICK_MILLISECONDS));
        if start.elapsed() < Duration::from_millis(QUIET_MILLISECONDS) || stop.load(Relaxed) {
            continue;
        }
        let progress = monitor.progress();
        let bar = bar.get_or_insert_with(|| match progress.rows_total {
            Some(rows) => styled(rows.max(1), "[{bar:32}] {percent:>3}%  {msg}  {elapsed}"),
            None => styled(1, "{spinner} {msg}  {elapsed}"),
        });
        bar.set_position(progress.rows_read.min(progress.rows_total.unwrap_or(0)));
        bar.set_message(if progress.is_waiting { "waits for memory".to_string() } else { message(&progress) });
        bar.tick();
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}
