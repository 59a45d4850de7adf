//! Substrait, both ways: plans that others made are read into the IR, plans of ours are written for others.
//!
//! [`plan_substrait`] reads protobuf bytes or JSON, of today's protocol or an older one, and optimizes as SQL's plans are; [`produce`] writes
//! a plan as it was before the engine's own optimizer, so that anybody can run it. What has no form on the other side is refused with the
//! path of the node, `root.input.left.expressions[2].arguments[0]`, and the reason.

mod consumer;
mod encoding;
mod functions;
mod literal;
mod producer;
mod types;

use arrow::array::ArrayRef;
use plasmon_core::{Config, Error, Result};

use crate::ir::Plan;
use crate::optimizer::optimize_timed;
use crate::sql::{Catalog, Stage};
use crate::stack;

/// The plan of a Substrait plan, as bytes or JSON. `parameters` are the values of its dynamic parameters: parameter 0 is the first.
pub fn plan_substrait(
    plan: &[u8],
    parameters: &[ArrayRef],
    catalog: &dyn Catalog,
    config: &Config,
    stage: Stage,
) -> Result<Plan> {
    // Plans may nest as deeply as the limits let them, whoever made them.
    stack::with_room(true, || {
        let decoded = encoding::decode(plan)?;
        let plan = consumer::consume(&decoded, parameters, catalog)?;
        Ok(match stage {
            Stage::Translated => plan,
            Stage::Optimized => optimize_timed(plan, config)?.0,
        })
    })
}

/// How a Substrait plan is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Protobuf.
    Binary,
    /// The JSON of protobuf, indented.
    Json,
}

/// A plan ([`Stage::Translated`]) as Substrait.
pub fn produce(plan: &Plan, format: Format) -> Result<Vec<u8>> {
    let written = producer::produce(plan)?;
    match format {
        Format::Binary => encoding::encode(&written),
        Format::Json => {
            let mut text = serde_json::to_vec_pretty(&written).map_err(|e| Error::internal(format!("JSON: {e}")))?;
            text.push(b'\n');
            Ok(text)
        }
    }
}
