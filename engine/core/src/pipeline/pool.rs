//! The pool driver: workers of an own rayon pool run one pipeline at a time, each drawing morsels from the shared source.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::graph::{FinalizeTask, Graph, PipelineId, SinkId, TaskContext, Wait};
use super::inline::{is_fed, next_ready};
use super::{PipelineExecutor, Progress};
use crate::error::{Error, Result};

/// How long a worker leaves its core to the others when its source has nothing yet.
const PAUSE: Duration = Duration::from_micros(200);

/// Runs the whole graph on `pool`; returns at the first error, after every worker has stopped.
pub fn run_on_pool(graph: &Graph, task: &TaskContext, pool: &rayon::ThreadPool) -> Result<()> {
    let mut finished = HashSet::new();
    while let Some(id) = next_ready(graph, &finished)? {
        run_pipeline(graph, id, task, pool)?;
        finished.insert(Wait::Pipeline(id));
        let sink = graph.pipelines[id.0].sink;
        if is_fed(graph, sink, &finished) {
            seal(graph, sink, task, pool)?;
            finished.insert(Wait::Sink(sink));
        }
    }
    Ok(())
}

fn run_pipeline(graph: &Graph, id: PipelineId, task: &TaskContext, pool: &rayon::ThreadPool) -> Result<()> {
    let pipeline = &graph.pipelines[id.0];
    let sink = &graph.sinks[pipeline.sink.0];
    let workers = pipeline.source.part.max_workers().clamp(1, pool.current_num_threads());
    on_workers(pool, workers, |stop| {
        let mut executor = PipelineExecutor::open(pipeline, sink, task)?;
        while !stop.load(Relaxed) {
            match executor.advance()? {
                Progress::Done => return Ok(()),
                Progress::Blocked => std::thread::sleep(PAUSE),
                Progress::Moved => {}
            }
        }
        Ok(())
    })
}

fn seal(graph: &Graph, sink: SinkId, task: &TaskContext, pool: &rayon::ThreadPool) -> Result<()> {
    let part = &graph.sinks[sink.0];
    let timed = |work: &mut dyn FnMut() -> Result<()>| {
        let start = std::time::Instant::now();
        let result = work();
        part.metrics.nanos.fetch_add(start.elapsed().as_nanos() as u64, Relaxed);
        result
    };
    for stage in 0.. {
        let mut tasks: Vec<FinalizeTask> = Vec::new();
        timed(&mut || {
            tasks = part.part.finalize(stage, task)?;
            Ok(())
        })?;
        if tasks.is_empty() {
            break;
        }
        let workers = tasks.len().min(pool.current_num_threads());
        let queue = Mutex::new(tasks.into_iter());
        on_workers(pool, workers, |stop| {
            while !stop.load(Relaxed) {
                let next = queue.lock().unwrap_or_else(|e| e.into_inner()).next();
                let Some(work) = next else { return Ok(()) };
                task.cancel.check()?;
                let mut work = Some(work);
                timed(&mut || work.take().map_or(Ok(()), |w| w(task)))?;
            }
            Ok(())
        })?;
    }
    timed(&mut || part.part.seal(task))
}

/// Runs `work` on that many workers of the pool; the first error stops the others at their next batch and is returned.
fn on_workers(pool: &rayon::ThreadPool, workers: usize, work: impl Fn(&AtomicBool) -> Result<()> + Sync) -> Result<()> {
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    let stop = AtomicBool::new(false);
    pool.in_place_scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|_| {
                let outcome = catch_unwind(AssertUnwindSafe(|| work(&stop)))
                    .unwrap_or_else(|panic| Err(Error::internal(panic_text(&*panic))));
                if let Err(error) = outcome {
                    let mut first = failure.lock().unwrap_or_else(|e| e.into_inner());
                    first.get_or_insert(error);
                    stop.store(true, Relaxed);
                }
            });
        }
    });
    match failure.into_inner().unwrap_or_else(|e| e.into_inner()) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// The text of a caught panic.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| s.to_string()).or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a worker panicked: {}", text.unwrap_or_else(|| "no message".to_string()))
}
