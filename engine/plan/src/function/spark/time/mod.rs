//! Functions of dates and timestamps.

mod date;
mod epoch;
mod format;
mod moment;
mod truncate;

use super::columns::Call;
use super::definition::Definition;
use super::zone::Zone;
use plasmon_core::{Error, Result};

pub(super) const FUNCTIONS: [&[Definition]; 5] =
    [date::FUNCTIONS, epoch::FUNCTIONS, format::FUNCTIONS, moment::FUNCTIONS, truncate::FUNCTIONS];

/// The session's zone, a constant argument.
fn zone(call: &Call, index: usize) -> Result<Zone> {
    match call.constant_text(index)? {
        Some(name) => Zone::of_session(name),
        None => Err(Error::user("a time zone is null")),
    }
}
