//! How batches move: source → operators → sink, driven by the caller's thread or by a pool.

mod cancel;
mod executor;
mod flow;
mod graph;
mod inline;
mod pool;

pub use cancel::CancelToken;
pub use executor::{PipelineExecutor, Progress};
pub use flow::{Flow, Next};
pub use graph::{
    FinalizeTask, Graph, Operator, OperatorState, Part, Pipeline, PipelineId, Sink, SinkId, SinkState, Source,
    SourceState, TaskContext, Wait,
};
pub use inline::InlineDriver;
pub use pool::{panic_text, run_on_pool};
