//! Operators, sinks and sources, one file or folder each.

pub mod aggregate;
pub mod collect;
pub mod exchange;
pub mod expand;
pub mod filter;
pub mod gather;
pub mod join;
pub mod key;
mod key_hash;
pub mod limit;
pub mod materialize;
pub mod project;
#[cfg(test)]
pub(crate) mod random_rows;
pub mod recursive;
pub mod runtime_filter;
pub mod scalar_subquery;
pub mod shuffle_write;
pub mod sort;
mod turns;
pub mod unnest;
pub mod values;
pub mod window;

use std::sync::Arc;

use crate::pipeline::{Sink, Source};

/// A pipeline breaker: a sink that takes everything, and the source that gives the result once the sink is sealed.
#[derive(Debug, Clone)]
pub struct Breaker {
    pub sink: Arc<dyn Sink>,
    pub source: Arc<dyn Source>,
}
