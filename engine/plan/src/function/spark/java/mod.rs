//! Numbers as Java writes and reads them.

mod legacy;
mod parse;
mod write;

pub(super) use parse::{parse_decimal, parse_f32, parse_f64};
pub(super) use write::{Java, write_f32, write_f64};
