//! Numbers: arithmetic that has no form in plan.proto, decimals, rounding, mathematics.

mod arithmetic;
mod bits;
mod check;
mod choice;
mod floating;
mod rounding;
mod wide;

pub(in crate::function::spark) use choice::normalized;

use super::definition::Definition;

pub(super) const FUNCTIONS: [&[Definition]; 7] = [
    arithmetic::FUNCTIONS,
    bits::FUNCTIONS,
    check::FUNCTIONS,
    choice::FUNCTIONS,
    floating::FUNCTIONS,
    rounding::FUNCTIONS,
    wide::FUNCTIONS,
];
