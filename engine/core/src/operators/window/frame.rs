//! A frame clause → where each row's frame starts and ends.

use arrow_buffer::IntervalMonthDayNano;
use arrow_schema::{DataType, TimeUnit};
use plasmon_kernels::sort_key::SortImage;
use plasmon_kernels::window::axis::shift_time;
use plasmon_kernels::window::frame::{Axis, Bound, Frames, RangeBound, frame_by_groups, frame_by_range, frame_by_rows};

use super::function::{floats, integers};
use super::rows::SortedRows;
use super::{Frame, FrameBound, FrameUnits};
use crate::batch::{Bitmap, Column, Values};
use crate::error::{Error, Result};
use crate::expression::Scalar;
use crate::operators::sort::interval_nanos;

/// The frames of all rows.
pub(super) fn frames(frame: &Frame, rows: &SortedRows<'_>) -> Result<Frames> {
    match frame.units {
        FrameUnits::Rows => Ok(frame_by_rows(&rows.partitions, counted(&frame.start)?, counted(&frame.end)?)),
        FrameUnits::Groups => {
            Ok(frame_by_groups(&rows.partitions, &rows.peers, counted(&frame.start)?, counted(&frame.end)?))
        }
        FrameUnits::Range => ranges(frame, rows),
    }
}

/// A bound counted in rows or groups.
pub(super) fn counted(bound: &FrameBound) -> Result<Bound> {
    let distance = |value: &Scalar| match value {
        Scalar::UInt64(v) => Ok(i64::try_from(*v).unwrap_or(i64::MAX)),
        other => other.as_i64().filter(|&v| v >= 0).ok_or_else(|| {
            Error::user(format!("a frame distance must be a whole number of at least 0, not {other:?}"))
        }),
    };
    Ok(match bound {
        FrameBound::UnboundedPreceding => Bound::UnboundedPreceding,
        FrameBound::Preceding(value) => Bound::Offset(-distance(value)?),
        FrameBound::CurrentRow => Bound::Offset(0),
        FrameBound::Following(value) => Bound::Offset(distance(value)?),
        FrameBound::UnboundedFollowing => Bound::UnboundedFollowing,
    })
}

/// Whether a bound is a distance.
pub(super) fn has_distance(frame: &Frame) -> bool {
    [&frame.start, &frame.end].into_iter().any(|b| matches!(b, FrameBound::Preceding(_) | FrameBound::Following(_)))
}

fn ranges(frame: &Frame, rows: &SortedRows<'_>) -> Result<Frames> {
    if !has_distance(frame) {
        let axis = Axis { positions: &[], nulls: None };
        let (start, end) = (range_bound(&frame.start, &[]), range_bound(&frame.end, &[]));
        return Ok(frame_by_range(&rows.partitions, &rows.peers, axis, start, end));
    }
    let (column, data_type, order) = rows.order_key()?;
    let (key, descending) = (Key::new(&column, data_type)?, order.descending);
    let positions = key.positions(descending);
    let (start_reach, end_reach) = (key.reach(&frame.start, descending)?, key.reach(&frame.end, descending)?);
    let nulls = column.validity().map(|v| Bitmap::new(v.words().iter().map(|w| !w).collect(), v.len()));
    let axis = Axis { positions: &positions, nulls: nulls.as_ref().map(Bitmap::words) };
    let (start, end) = (range_bound(&frame.start, &start_reach), range_bound(&frame.end, &end_reach));
    Ok(frame_by_range(&rows.partitions, &rows.peers, axis, start, end))
}

fn range_bound<'a>(bound: &FrameBound, reach: &'a [i128]) -> RangeBound<'a> {
    match bound {
        FrameBound::UnboundedPreceding => RangeBound::UnboundedPreceding,
        FrameBound::CurrentRow => RangeBound::CurrentRow,
        FrameBound::UnboundedFollowing => RangeBound::UnboundedFollowing,
        FrameBound::Preceding(_) | FrameBound::Following(_) => RangeBound::Reach(reach),
    }
}

/// The order key as numbers that distances add to.
pub(super) enum Key {
    /// Integers, decimals (unscaled).
    Numbers(Vec<i128>),
    Floats(Vec<f64>),
    /// Nanoseconds since 1970 (or midnight), and nanoseconds per unit of a plain number.
    Time(Vec<i128>, i128),
}

impl Key {
    pub(super) fn new(column: &Column, data_type: &DataType) -> Result<Key> {
        let time = |unit: i128| Ok(Key::Time(integers(column)?.into_iter().map(|v| v * unit).collect(), unit));
        match data_type {
            DataType::Float32 | DataType::Float64 => Ok(Key::Floats(floats(column)?)),
            DataType::Date32 => time(86_400_000_000_000),
            DataType::Date64 => time(1_000_000),
            DataType::Timestamp(unit, _)
            | DataType::Time32(unit)
            | DataType::Time64(unit)
            | DataType::Duration(unit) => time(unit_nanos(unit)),
            DataType::Interval(_) => match column.flat_values() {
                Values::Interval(values) => Ok(Key::Time(values.iter().map(|v| interval_nanos(*v)).collect(), 1)),
                _ => Err(Error::unsupported(format!("a RANGE distance over {data_type}"))),
            },
            t if t.is_integer() || t.is_decimal() => Ok(Key::Numbers(integers(column)?)),
            other => Err(Error::unsupported(format!("a RANGE distance over an ORDER BY key of type {other}"))),
        }
    }

    /// Positions that ascend in the key's order.
    pub(super) fn positions(&self, descending: bool) -> Vec<i128> {
        let sign = |v: i128| if descending { -v } else { v };
        match self {
            Key::Numbers(values) | Key::Time(values, _) => values.iter().map(|&v| sign(v)).collect(),
            Key::Floats(values) => values.iter().map(|v| sign(v.image() as i128)).collect(),
        }
    }

    /// How far each row's frame reaches; empty for bounds without distance.
    pub(super) fn reach(&self, bound: &FrameBound, descending: bool) -> Result<Vec<i128>> {
        let (distance, following) = match bound {
            FrameBound::Preceding(distance) => (distance, false),
            FrameBound::Following(distance) => (distance, true),
            _ => return Ok(Vec::new()),
        };
        let bad = || {
            Error::user(format!(
                "a RANGE frame distance must be a value of the ORDER BY key's kind and at least 0, not {distance:?}"
            ))
        };
        // Following in a descending order means towards smaller values.
        let forward = following != descending;
        let sign = |v: i128| if descending { -v } else { v };
        let moved = |v: i128, by: i128| sign(if forward { v.saturating_add(by) } else { v.saturating_sub(by) });
        Ok(match (self, distance) {
            (Key::Floats(values), _) => {
                let by = float_distance(distance).filter(|d| *d >= 0.0).ok_or_else(bad)?;
                values.iter().map(|v| sign(if forward { v + by } else { v - by }.image() as i128)).collect()
            }
            (Key::Time(values, _), Scalar::Interval(interval)) => {
                if interval_nanos(*interval) < 0 {
                    return Err(bad());
                }
                values.iter().map(|&v| sign(shift(v, *interval, forward))).collect()
            }
            (Key::Time(values, unit), _) => {
                let by = whole_distance(distance).filter(|d| *d >= 0).ok_or_else(bad)?.saturating_mul(*unit);
                values.iter().map(|&v| moved(v, by)).collect()
            }
            (Key::Numbers(values), _) => {
                let by = whole_distance(distance).filter(|d| *d >= 0).ok_or_else(bad)?;
                values.iter().map(|&v| moved(v, by)).collect()
            }
        })
    }
}

fn unit_nanos(unit: &TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

fn shift(nanos: i128, interval: IntervalMonthDayNano, forward: bool) -> i128 {
    let sign = if forward { 1 } else { -1 };
    shift_time(
        nanos,
        interval.months as i64 * sign,
        interval.days as i64 * sign,
        interval.nanoseconds as i128 * sign as i128,
    )
}

fn whole_distance(distance: &Scalar) -> Option<i128> {
    match distance {
        Scalar::Int64(v) => Some(*v as i128),
        Scalar::UInt64(v) => Some(*v as i128),
        Scalar::Int128(v) => Some(*v),
        Scalar::Int256(v) => v.to_i128(),
        Scalar::Float64(v) => Some(v.floor() as i128),
        Scalar::Float32(v) => Some(v.floor() as i128),
        _ => None,
    }
}

fn float_distance(distance: &Scalar) -> Option<f64> {
    match distance {
        Scalar::Float64(v) => Some(*v),
        Scalar::Float32(v) => Some(*v as f64),
        other => whole_distance(other).map(|v| v as f64),
    }
}
