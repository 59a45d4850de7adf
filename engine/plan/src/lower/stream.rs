//! Open pipelines: what a relation is until a sink closes it.

use std::sync::Arc;

use plasmon_core::pipeline::{Graph, Operator, Part, Pipeline, PipelineId, SinkId, Source, Wait};

/// One open pipeline.
pub(super) struct Stream {
    source: Part<dyn Source>,
    operators: Vec<Part<dyn Operator>>,
    waits: Vec<Wait>,
    /// This many streams before it in its [`Streams`] must have run first.
    after: usize,
}

impl Stream {
    pub(super) fn new(source: Arc<dyn Source>, node: usize, waits: Vec<Wait>) -> Self {
        Stream { source: Part::new(source, node), operators: Vec::new(), waits, after: 0 }
    }
}

/// The open pipelines of one relation, in the order in which they are to run.
#[derive(Default)]
pub(super) struct Streams {
    streams: Vec<Stream>,
}

impl Streams {
    pub(super) fn one(stream: Stream) -> Self {
        Streams { streams: vec![stream] }
    }

    /// The source of every stream.
    pub(super) fn sources(&mut self) -> impl Iterator<Item = &mut Part<dyn Source>> {
        self.streams.iter_mut().map(|stream| &mut stream.source)
    }

    /// Appends an operator to every stream; the counters are shared.
    pub(super) fn operator(&mut self, operator: Arc<dyn Operator>, node: usize) {
        let part = Part::new(operator, node);
        self.streams.iter_mut().for_each(|s| s.operators.push(part.clone()));
    }

    /// Lets every stream wait for `waits`.
    pub(super) fn wait_for(&mut self, waits: &[Wait]) {
        for stream in &mut self.streams {
            for wait in waits {
                if !stream.waits.contains(wait) {
                    stream.waits.push(*wait);
                }
            }
        }
    }

    /// Adds the streams of another relation (UNION ALL).
    pub(super) fn append(&mut self, other: Streams) {
        let shift = self.streams.len();
        self.streams.extend(other.streams.into_iter().map(|mut s| {
            if s.after > 0 {
                s.after += shift;
            }
            s
        }));
    }

    /// Adds a stream that starts when all present ones have run.
    pub(super) fn then(&mut self, mut stream: Stream) {
        stream.after = self.streams.len();
        self.streams.push(stream);
    }

    /// Turns every stream into a pipeline that ends in `sink`.
    pub(super) fn close(self, graph: &mut Graph, sink: SinkId) {
        let first = graph.pipelines.len();
        for stream in self.streams {
            let mut waits = stream.waits;
            waits.extend((first..first + stream.after).map(|p| Wait::Pipeline(PipelineId(p))));
            graph.add_pipeline(Pipeline { source: stream.source, operators: stream.operators, sink, waits });
        }
    }
}
