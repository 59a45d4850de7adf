//! Every integration test in one binary: linking the engine is dear.

mod broken_input;
mod faults;
mod results;
mod slt;
mod stores;
mod tidy;
