//! Operators, sinks and sources, one file or folder each.

pub mod aggregate;
pub mod filter;
pub mod join;
pub mod runtime_filter;
pub mod sort;
pub mod window;

use std::sync::Arc;

use crate::pipeline::{Sink, Source};

/// A pipeline breaker: a sink that takes everything, and the source that gives the result once the sink is sealed.
#[derive(Debug, Clone)]
pub struct Breaker {
    pub sink: Arc<dyn Sink>,
    pub source: Arc<dyn Source>,
}
