//! What operators reserve against what they allocate, by an allocator that counts: an operator that allocates without a token fails here.

mod aggregates;
mod allocator;
mod harness;
mod joins;
mod others;
mod sorts;
