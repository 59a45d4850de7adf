//! The inline driver: the caller's thread runs a graph step by step and may stop between any two steps.

use std::collections::HashSet;
use std::sync::Arc;

use super::graph::{Graph, PipelineId, SinkId, TaskContext, Wait};
use super::{PipelineExecutor, Progress};
use crate::error::{Error, Result};

/// A graph being run by its owner's thread.
pub struct InlineDriver {
    graph: Arc<Graph>,
    task: TaskContext,
    finished: HashSet<Wait>,
    running: Option<(PipelineId, PipelineExecutor)>,
}

impl InlineDriver {
    /// Nothing runs yet.
    pub fn new(graph: Arc<Graph>, task: TaskContext) -> Self {
        InlineDriver { graph, task, finished: HashSet::new(), running: None }
    }

    /// Moves one batch; `Done` when the whole graph has run.
    pub fn step(&mut self) -> Result<Progress> {
        let Some((id, executor)) = &mut self.running else { return self.start_next() };
        match executor.advance()? {
            Progress::Done => {
                let id = *id;
                self.running = None;
                self.finished.insert(Wait::Pipeline(id));
                let sink = self.graph.pipelines[id.0].sink;
                if is_fed(&self.graph, sink, &self.finished) {
                    seal(&self.graph, sink, &self.task)?;
                    self.finished.insert(Wait::Sink(sink));
                }
                Ok(Progress::Moved)
            }
            progress => Ok(progress),
        }
    }

    /// Runs to the end.
    pub fn run(mut self) -> Result<()> {
        while self.step()? != Progress::Done {}
        Ok(())
    }

    fn start_next(&mut self) -> Result<Progress> {
        let Some(id) = next_ready(&self.graph, &self.finished)? else { return Ok(Progress::Done) };
        let pipeline = &self.graph.pipelines[id.0];
        let executor = PipelineExecutor::open(pipeline, &self.graph.sinks[pipeline.sink.0], &self.task)?;
        self.running = Some((id, executor));
        Ok(Progress::Moved)
    }
}

/// The first pipeline that has not run and waits for nothing; `None` when all have run.
pub(super) fn next_ready(graph: &Graph, finished: &HashSet<Wait>) -> Result<Option<PipelineId>> {
    let mut waiting = false;
    for (index, pipeline) in graph.pipelines.iter().enumerate() {
        let id = PipelineId(index);
        if finished.contains(&Wait::Pipeline(id)) {
            continue;
        }
        if pipeline.waits.iter().all(|w| finished.contains(w)) {
            return Ok(Some(id));
        }
        waiting = true;
    }
    if waiting { Err(Error::internal("pipelines wait for each other in a cycle")) } else { Ok(None) }
}

/// Whether every pipeline that feeds `sink` has run.
pub(super) fn is_fed(graph: &Graph, sink: SinkId, finished: &HashSet<Wait>) -> bool {
    let mut feeders = graph.pipelines.iter().enumerate().filter(|(_, p)| p.sink == sink);
    feeders.all(|(index, _)| finished.contains(&Wait::Pipeline(PipelineId(index))))
}

fn seal(graph: &Graph, sink: SinkId, task: &TaskContext) -> Result<()> {
    let part = &graph.sinks[sink.0];
    let start = std::time::Instant::now();
    for stage in 0.. {
        let tasks = part.part.finalize(stage, task)?;
        if tasks.is_empty() {
            break;
        }
        for work in tasks {
            task.cancel.check()?;
            work(task)?;
        }
    }
    part.part.seal(task)?;
    part.metrics.nanos.fetch_add(start.elapsed().as_nanos() as u64, std::sync::atomic::Ordering::Relaxed);
    Ok(())
}
