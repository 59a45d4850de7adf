//! Window functions and their frames.

use arrow::compute::can_cast_types;
use arrow::datatypes::DataType;
use plasmon_core::Result;
use plasmon_core::expression::{Expression, Kind, Scalar, SortKey};
use plasmon_core::operators::aggregate::{AggregateExpression, state_types};
use plasmon_core::operators::window::{Frame, FrameBound, FrameUnits, WindowExpression, WindowFunction};

use super::expression::Scope;
use super::{Decoder, check, known, types, value};
use crate::function::{window_arguments, window_number};
use crate::ir::{Node, Relation};
use crate::path::Path;
use crate::wire::{native, proto};

impl Decoder<'_> {
    /// The window functions over `input`, and the types of their columns.
    pub(super) fn window(
        &mut self,
        window: &proto::Window,
        input: Relation,
        path: &Path<'_>,
    ) -> Result<(Node, Vec<DataType>)> {
        let mut columns: Vec<DataType> = crate::ir::types(&input.schema).cloned().collect();
        let scope = Scope::over(&columns);
        let partition_by = self.expressions(&window.partition_by, scope, path, "partition_by")?;
        for (index, key) in partition_by.iter().enumerate() {
            check::key(key, &path.item("partition_by", index))?;
        }
        let order_by = self.sort_keys(&window.order_by, scope, path, "order_by")?;
        let mut functions = Vec::with_capacity(window.functions.len());
        for (index, call) in window.functions.iter().enumerate() {
            functions.push(self.window_call(call, &order_by, scope, &path.item("functions", index))?);
        }
        columns.extend(functions.iter().map(|f| f.data_type.clone()));
        Ok((Node::Window { input: Box::new(input), partition_by, order_by, functions }, columns))
    }

    fn window_call(
        &mut self,
        call: &proto::WindowCall,
        order_by: &[SortKey],
        scope: Scope<'_>,
        path: &Path<'_>,
    ) -> Result<WindowExpression> {
        use proto::window_call::Function;
        let arguments = self.expressions(&call.arguments, scope, path, "arguments")?;
        let filter = self.filter(&call.filter, scope, &path.field("filter"))?;
        let data_type = types::data_type(call.r#type.as_ref(), path)?;
        let frame = frame(call.frame.as_ref(), order_by, &path.field("frame"))?;
        let function = match &call.function {
            None => return Err(path.wrong("the function is missing")),
            Some(Function::Native(number)) => {
                let number = known::<proto::NativeWindow>(*number, "NativeWindow", path)?;
                let function = native::window(number).ok_or_else(|| path.wrong("the function is missing"))?;
                if filter.is_some() || call.distinct {
                    return Err(path.wrong("a filter and DISTINCT are for aggregates"));
                }
                check_native(&function, &arguments, &data_type, path)?;
                function
            }
            Some(Function::Aggregate(aggregate)) => {
                let function = self.aggregate_function(aggregate, &arguments, &[], call.distinct, &data_type, path)?;
                let whole = AggregateExpression {
                    function: function.clone(),
                    arguments: arguments.clone(),
                    filter: None,
                    distinct: call.distinct,
                    order_by: Vec::new(),
                    data_type: data_type.clone(),
                };
                state_types(&whole).map_err(|e| path.refused(e))?;
                WindowFunction::Aggregate(function)
            }
        };
        let (distinct, ignore_nulls) = (call.distinct, call.ignore_nulls);
        Ok(WindowExpression { function, arguments, frame, filter, distinct, ignore_nulls, data_type })
    }
}

/// Refuses arguments that a function does not take, and a type that it does not give.
fn check_native(
    function: &WindowFunction,
    arguments: &[Expression],
    data_type: &DataType,
    path: &Path<'_>,
) -> Result<()> {
    use WindowFunction::*;
    if !window_arguments(function).contains(&arguments.len()) {
        return Err(path.wrong(format!("{function:?} does not take {} arguments", arguments.len())));
    }
    if let Some((index, argument)) = window_number(function).and_then(|i| arguments.get(i).map(|a| (i, a))) {
        let is_number = matches!(&argument.kind, Kind::Literal(value) if value.as_i64().is_some() || value.is_null());
        if !is_number {
            return Err(path.item("arguments", index).wrong("a constant whole number is wanted"));
        }
    }
    if let Some(default) = arguments.get(2)
        && !can_cast_types(&default.data_type, &arguments[0].data_type)
    {
        let (from, to) = (&default.data_type, &arguments[0].data_type);
        return Err(path.item("arguments", 2).wrong(format!("a default of type {from} does not become {to}")));
    }
    let fits = match function {
        RowNumber | Rank | DenseRank | Ntile => data_type.is_integer(),
        PercentRank | CumulativeDistribution => *data_type == DataType::Float64,
        _ => check::agree(&arguments[0].data_type, data_type),
    };
    if fits { Ok(()) } else { Err(path.wrong(format!("{function:?} does not give {data_type}"))) }
}

fn frame(frame: Option<&proto::Frame>, order_by: &[SortKey], path: &Path<'_>) -> Result<Frame> {
    use proto::FrameUnits as Units;
    let frame = frame.ok_or_else(|| path.wrong("the frame is missing"))?;
    let units = match known::<Units>(frame.units, "FrameUnits", path)? {
        Units::Unspecified => return Err(path.wrong("the units of the frame are missing")),
        Units::Rows => FrameUnits::Rows,
        Units::Range => FrameUnits::Range,
        Units::Groups => FrameUnits::Groups,
    };
    let start = bound(frame.start.as_ref(), units, order_by, &path.field("start"))?;
    let end = bound(frame.end.as_ref(), units, order_by, &path.field("end"))?;
    if start == FrameBound::UnboundedFollowing || end == FrameBound::UnboundedPreceding {
        return Err(path.wrong("the frame ends before it starts"));
    }
    Ok(Frame { units, start, end })
}

fn bound(
    bound: Option<&proto::FrameBound>,
    units: FrameUnits,
    order_by: &[SortKey],
    path: &Path<'_>,
) -> Result<FrameBound> {
    use proto::frame_bound::Bound;
    let bound = bound.and_then(|b| b.bound.as_ref()).ok_or_else(|| path.wrong("the bound is missing"))?;
    let distance = |bytes| {
        let distance = value::distance(bytes, path)?;
        check_distance(&distance, units, order_by, path)?;
        Ok::<_, plasmon_core::Error>(distance)
    };
    Ok(match bound {
        Bound::UnboundedPreceding(_) => FrameBound::UnboundedPreceding,
        Bound::Preceding(bytes) => FrameBound::Preceding(distance(bytes)?),
        Bound::CurrentRow(_) => FrameBound::CurrentRow,
        Bound::Following(bytes) => FrameBound::Following(distance(bytes)?),
        Bound::UnboundedFollowing(_) => FrameBound::UnboundedFollowing,
    })
}

/// Refuses a distance that rows or keys cannot have from each other.
fn check_distance(distance: &Scalar, units: FrameUnits, order_by: &[SortKey], path: &Path<'_>) -> Result<()> {
    let is_count = match distance {
        Scalar::UInt64(_) => true,
        other => other.as_i64().is_some_and(|n| n >= 0),
    };
    if units != FrameUnits::Range {
        return if is_count {
            Ok(())
        } else {
            Err(path.wrong("a number of rows or groups is a whole number of 0 or more"))
        };
    }
    let [key] = order_by else {
        return Err(path.wrong(format!("a distance of values needs one order key, not {}", order_by.len())));
    };
    let data_type = &key.expression.data_type;
    let fits = match distance {
        Scalar::Interval(_) => data_type.is_temporal(),
        Scalar::Float32(v) => data_type.is_floating() && *v >= 0.0,
        Scalar::Float64(v) => data_type.is_floating() && *v >= 0.0,
        Scalar::Int128(v) => data_type.is_decimal() && *v >= 0,
        Scalar::Int256(v) => data_type.is_decimal() && !v.is_negative(),
        _ => is_count && (data_type.is_numeric() || data_type.is_temporal()),
    };
    if fits { Ok(()) } else { Err(path.wrong(format!("{distance:?} is no distance of values of type {data_type}"))) }
}
