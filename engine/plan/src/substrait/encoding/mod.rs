//! A plan's bytes or JSON → the messages of this version of Substrait, with nothing passed over.
//!
//! Generated decoders skip fields that they do not know; a skipped LIMIT is a wrong answer. So bytes are first walked by the descriptor of the
//! protocol: what older versions of Substrait wrote is rewritten to today's form (`older`), other unknown fields are refused with their path,
//! and what nests deeper than decoders go is put into the plan's lists of detached nodes.

mod descriptor;
mod json;
mod older;
mod wire;

use plasmon_core::{Error, Result};
use prost::Message;
use substrait_prost as proto;

/// Relations and expressions below one another.
pub(super) const NESTING_MAX: usize = 250;

/// The plan in `bytes`: a `substrait.Plan` as protobuf, or as its JSON when the first character is a brace.
pub(super) fn decode(bytes: &[u8]) -> Result<proto::Plan> {
    let converted;
    let bytes = match is_json(bytes) {
        true => {
            converted = json::to_bytes(bytes)?;
            &converted
        }
        false => bytes,
    };
    let current = wire::upgrade(bytes)?;
    proto::Plan::decode(&current[..]).map_err(|e| Error::user(format!("no Substrait plan: {e}")))
}

/// The bytes of a plan, in today's form and with what readers of older versions look for.
pub(super) fn encode(plan: &proto::Plan) -> Result<Vec<u8>> {
    wire::with_older_forms(&plan.encode_to_vec())
}

/// A protobuf message cannot start with a brace: that would be a field 15 of a group, which no plan has.
fn is_json(bytes: &[u8]) -> bool {
    bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{')
}
