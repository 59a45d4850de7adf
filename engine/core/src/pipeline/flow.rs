//! The protocol: what a source, operator or sink answers, and who acts next.

use crate::batch::Batch;

/// Answer of an operator or sink to `push`, `resume` or `finish`.
#[derive(Debug)]
pub enum Flow {
    /// Everything given is consumed and nothing waits: the driver brings the next batch.
    NeedInput,
    /// One batch for downstream, and nothing more waits: the driver passes it on, then brings the next batch.
    Output(Batch),
    /// One batch for downstream, and more waits: the driver passes it on, then calls `resume` before it brings anything.
    More(Batch),
    /// No input is wanted any more (a limit is reached): the driver stops everything upstream and finishes what is downstream.
    Finished,
}

/// Answer of a source.
#[derive(Debug)]
pub enum Next {
    /// A batch of at least one selected row, or of none (which the driver drops).
    Batch(Batch),
    /// Nothing yet; the driver may ask again (inline: gives the thread back to the host).
    Blocked,
    /// This worker's share is exhausted.
    Finished,
}
