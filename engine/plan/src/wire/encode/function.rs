//! Aggregate and window calls.

use plasmon_core::Result;
use plasmon_core::expression::{Expression, Kind, SortKey};
use plasmon_core::operators::aggregate::{AggregateExpression, AggregateFunction};
use plasmon_core::operators::window::{Frame, FrameBound, FrameUnits, WindowExpression, WindowFunction};
use prost::bytes::Bytes;

use super::expression::unread;
use super::{Encoder, types, value};
use crate::wire::{native, proto};

impl Encoder {
    /// An aggregate call; in the phases that merge states, values of rows are not read.
    pub(super) fn aggregate_call(&self, call: &AggregateExpression, is_merging: bool) -> Result<proto::AggregateCall> {
        let value = |e: &Expression| match &e.kind {
            Kind::Literal(value) if !value.is_null() => self.expression(e),
            _ if is_merging => unread(e),
            _ => self.expression(e),
        };
        let key = |key: &SortKey| {
            let expression = value(&key.expression)?;
            Ok(proto::SortKey { expression, descending: key.descending, nulls_first: key.nulls_first })
        };
        let filter = if is_merging { Bytes::new() } else { self.optional(call.filter.as_ref())? };
        Ok(proto::AggregateCall {
            function: Some(aggregate_function(&call.function)),
            arguments: call.arguments.iter().map(value).collect::<Result<_>>()?,
            filter,
            distinct: call.distinct,
            order_by: call.order_by.iter().map(key).collect::<Result<_>>()?,
            r#type: Some(types::data_type(&call.data_type)?),
        })
    }

    /// A window call.
    pub(super) fn window_call(&self, call: &WindowExpression) -> Result<proto::WindowCall> {
        use proto::window_call::Function;
        let function = match &call.function {
            WindowFunction::Aggregate(function) => Some(Function::Aggregate(aggregate_function(function))),
            native => native::window_number(native).map(|number| Function::Native(number as i32)),
        };
        Ok(proto::WindowCall {
            function,
            arguments: self.expressions(&call.arguments)?,
            frame: Some(frame(&call.frame)?),
            filter: self.optional(call.filter.as_ref())?,
            distinct: call.distinct,
            ignore_nulls: call.ignore_nulls,
            r#type: Some(types::data_type(&call.data_type)?),
        })
    }
}

fn aggregate_function(function: &AggregateFunction) -> proto::AggregateFunction {
    use proto::aggregate_function::Function;
    if let AggregateFunction::Custom(custom) = function {
        let name = Function::Named(custom.name().to_lowercase());
        return proto::AggregateFunction { function: Some(name), ignore_nulls: custom.ignores_nulls() };
    }
    let (number, ignore_nulls) = native::aggregate_number(function).unwrap_or_default();
    proto::AggregateFunction { function: Some(Function::Native(number as i32)), ignore_nulls }
}

fn frame(frame: &Frame) -> Result<proto::Frame> {
    let units = match frame.units {
        FrameUnits::Rows => proto::FrameUnits::Rows,
        FrameUnits::Range => proto::FrameUnits::Range,
        FrameUnits::Groups => proto::FrameUnits::Groups,
    };
    Ok(proto::Frame { units: units as i32, start: Some(bound(&frame.start)?), end: Some(bound(&frame.end)?) })
}

fn bound(bound: &FrameBound) -> Result<proto::FrameBound> {
    use proto::frame_bound::Bound;
    let bound = match bound {
        FrameBound::UnboundedPreceding => Bound::UnboundedPreceding(true),
        FrameBound::Preceding(distance) => Bound::Preceding(value::scalar(distance)?),
        FrameBound::CurrentRow => Bound::CurrentRow(true),
        FrameBound::Following(distance) => Bound::Following(value::scalar(distance)?),
        FrameBound::UnboundedFollowing => Bound::UnboundedFollowing(true),
    };
    Ok(proto::FrameBound { bound: Some(bound) })
}
