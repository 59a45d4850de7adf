//! Every integration test in one binary: linking the engine is dear.

mod broken_input;
mod results;
mod slt;
mod stores;
mod tidy;
