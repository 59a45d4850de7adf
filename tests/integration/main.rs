//! Every integration test in one binary: linking the engine is dear.

mod admission;
mod broken_input;
mod faults;
mod foreign_plans;
mod operators;
mod out_of_core;
mod results;
mod shuffles;
mod slt;
mod stores;
mod substrait;
mod tidy;
mod together;
mod waits;
mod wire;
