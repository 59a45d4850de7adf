//! Substrait: statements made from other engines' plans, and plans of SQL statements for other engines.

use plasmon::plan::substrait::Format;
use plasmon_boundary::guard::guarded;
use plasmon_boundary::host::{require, write};
use plasmon_boundary::{Failure, handle, text};

use crate::bytes::plasmon_bytes;
use crate::plasmon_statement;
use crate::statement::{StatementObject, Text};

/// How `plasmon_statement_substrait` writes a plan.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum plasmon_substrait_format {
    /// Protobuf.
    Binary = 0,
    /// The JSON of protobuf.
    Json = 1,
}

/// Sets a Substrait plan in place of a text: `length` bytes of protobuf or JSON, which are copied. It reads tables of the session, files, and streams that
/// are bound to the statement, by name; its dynamic parameters 0, 1 … are those that are bound. Whether it can be run is told by the calls that plan it, with
/// the node that is to blame in `plan_path`. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_statement_set_substrait(
    statement: plasmon_statement,
    plan: *const u8,
    length: u64,
) -> i32 {
    guarded(|| {
        // SAFETY: ABI.md, "Pointers".
        let plan = unsafe { text::borrow_bytes(plan, length, "plan")? };
        if plan.is_empty() {
            return Err(Failure::argument("an empty plan"));
        }
        handle::get::<StatementObject>(statement.id)?.state()?.text = Some(Text::Substrait(plan.to_vec()));
        Ok(())
    })
}

/// The statement's plan as Substrait, in a `plasmon_substrait_format`, as it is before the engine's own optimizer; an error when the statement is no query,
/// or has a node without a form there (`plan_path` names it). Free `out` with `plasmon_bytes_free`. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_statement_substrait(
    statement: plasmon_statement,
    format: i32,
    out: *mut plasmon_bytes,
) -> i32 {
    guarded(|| {
        require(out, "out")?;
        let format = match format {
            f if f == plasmon_substrait_format::Binary as i32 => Format::Binary,
            f if f == plasmon_substrait_format::Json as i32 => Format::Json,
            other => return Err(Failure::argument(format!("format {other} is no plasmon_substrait_format"))),
        };
        let object = handle::get::<StatementObject>(statement.id)?;
        let plan = object.state()?.statement(&object.session)?.to_substrait(format)?;
        // SAFETY: ABI.md, "Pointers".
        unsafe { write(out, plasmon_bytes::give(plan), "out") }
    })
}
