//! Dates and timestamps: calendar parts, truncation, intervals.

pub mod civil;
pub mod part;
pub mod shift;
pub mod truncate;
