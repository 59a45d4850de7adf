//! Plans as bytes: `proto/plan.proto`, our own wire format.
//!
//! [`encode`] writes a plan, [`decode`] reads and checks one, [`prepare`] makes one that was read ready to run. The format says everything
//! that the IR says, but for what belongs to one process: runtime filters, top-N thresholds and estimates, which [`prepare`] makes anew. What
//! the sender chose (join order, build sides, phases, exchanges, what is shared) stays as it is.
//!
//! Bytes are hostile until they are checked. Nothing is decoded by recursion without a limit on depth, nothing is allocated that the bytes do
//! not pay for, every ordinal is in its range, and every type is the one that its reader believes; the engine itself is asked, on no rows,
//! whether it can compute each operation. A refusal names the node ([`plasmon_core::Error::At`]).

mod decode;
mod encode;
mod fields;
mod native;
#[cfg(test)]
mod tests;

pub use decode::{decode, decode_fields};
pub use encode::encode;

use plasmon_core::{Config, Result};

use crate::ir::Plan;
use crate::optimizer;

/// The newest version of the format that is read. Plans are written by the lowest that has all that they use.
pub const VERSION: u32 = 2;

/// Relations nest no deeper.
const RELATION_DEPTH_MAX: usize = 400;
/// Expressions nest no deeper: they are evaluated by recursion, on threads of a host.
const EXPRESSION_DEPTH_MAX: usize = 400;
/// Types and nested constants nest no deeper, as Arrow data from hosts does not.
const TYPE_DEPTH_MAX: usize = 64;
/// Elements or bytes of a value of a fixed size.
const SIZE_MAX: usize = 1 << 16;

/// Passes of the optimizer that add what is of this process, or what no sender can know: whether a table applies a filter itself.
const PASSES: [&str; 4] = ["simplify", "runtime_filters", "top_n_threshold", "estimate"];

/// A plan that was read, ready to run: with filters in its scans, runtime filters, thresholds and estimates.
pub fn prepare(plan: Plan, config: &Config) -> Result<Plan> {
    optimizer::optimize_by(&PASSES, plan, config)
}

/// The messages of `proto/plan.proto`.
#[expect(unreachable_pub, reason = "generated for any place that it may be included in")]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/plasmon.plan.rs"));
}
