//! The engine's own aggregate and window functions: number on the wire, function of the engine, name in the library, which knows the types.

use plasmon_core::operators::aggregate::AggregateFunction;
use plasmon_core::operators::window::WindowFunction;

use super::proto::{NativeAggregate, NativeWindow};

/// One row a native aggregate, but for those that say what nulls do and for [`AggregateFunction::CountAll`], which the library has no name for.
const AGGREGATES: [(NativeAggregate, AggregateFunction, &str); 14] = [
    (NativeAggregate::Count, AggregateFunction::Count, "count"),
    (NativeAggregate::Sum, AggregateFunction::Sum, "sum"),
    (NativeAggregate::Min, AggregateFunction::Min, "min"),
    (NativeAggregate::Max, AggregateFunction::Max, "max"),
    (NativeAggregate::Avg, AggregateFunction::Avg, "avg"),
    (NativeAggregate::VariancePopulation, AggregateFunction::VariancePopulation, "var_pop"),
    (NativeAggregate::VarianceSample, AggregateFunction::VarianceSample, "var"),
    (NativeAggregate::DeviationPopulation, AggregateFunction::DeviationPopulation, "stddev_pop"),
    (NativeAggregate::DeviationSample, AggregateFunction::DeviationSample, "stddev"),
    (NativeAggregate::BoolAnd, AggregateFunction::BoolAnd, "bool_and"),
    (NativeAggregate::BoolOr, AggregateFunction::BoolOr, "bool_or"),
    (NativeAggregate::BitAnd, AggregateFunction::BitAnd, "bit_and"),
    (NativeAggregate::BitOr, AggregateFunction::BitOr, "bit_or"),
    (NativeAggregate::BitXor, AggregateFunction::BitXor, "bit_xor"),
];

/// The engine's function of a number, and the library's name of it; no name for counting all rows. `None` for no function.
pub(super) fn aggregate(
    native: NativeAggregate,
    ignore_nulls: bool,
) -> Option<(AggregateFunction, Option<&'static str>)> {
    Some(match native {
        NativeAggregate::Unspecified => return None,
        NativeAggregate::CountAll => (AggregateFunction::CountAll, None),
        NativeAggregate::First => (AggregateFunction::First { ignore_nulls }, Some("first_value")),
        NativeAggregate::Last => (AggregateFunction::Last { ignore_nulls }, Some("last_value")),
        other => {
            let (_, function, name) = AGGREGATES.iter().find(|(native, ..)| *native == other)?;
            (function.clone(), Some(name))
        }
    })
}

/// The number of a native aggregate, and whether it ignores nulls where others may not; `None` for a library's or user's.
pub(super) fn aggregate_number(function: &AggregateFunction) -> Option<(NativeAggregate, bool)> {
    match function {
        AggregateFunction::CountAll => Some((NativeAggregate::CountAll, false)),
        AggregateFunction::First { ignore_nulls } => Some((NativeAggregate::First, *ignore_nulls)),
        AggregateFunction::Last { ignore_nulls } => Some((NativeAggregate::Last, *ignore_nulls)),
        other => AGGREGATES.iter().find(|(_, function, _)| function == other).map(|(native, ..)| (*native, false)),
    }
}

/// The engine's window function of a number; `None` for no function.
pub(super) fn window(native: NativeWindow) -> Option<WindowFunction> {
    Some(match native {
        NativeWindow::Unspecified => return None,
        NativeWindow::RowNumber => WindowFunction::RowNumber,
        NativeWindow::Rank => WindowFunction::Rank,
        NativeWindow::DenseRank => WindowFunction::DenseRank,
        NativeWindow::PercentRank => WindowFunction::PercentRank,
        NativeWindow::CumulativeDistribution => WindowFunction::CumulativeDistribution,
        NativeWindow::Ntile => WindowFunction::Ntile,
        NativeWindow::Lag => WindowFunction::Lag,
        NativeWindow::Lead => WindowFunction::Lead,
        NativeWindow::FirstValue => WindowFunction::FirstValue,
        NativeWindow::LastValue => WindowFunction::LastValue,
        NativeWindow::NthValue => WindowFunction::NthValue,
    })
}

/// The number of a window function; `None` for aggregates.
pub(super) fn window_number(function: &WindowFunction) -> Option<NativeWindow> {
    Some(match function {
        WindowFunction::RowNumber => NativeWindow::RowNumber,
        WindowFunction::Rank => NativeWindow::Rank,
        WindowFunction::DenseRank => NativeWindow::DenseRank,
        WindowFunction::PercentRank => NativeWindow::PercentRank,
        WindowFunction::CumulativeDistribution => NativeWindow::CumulativeDistribution,
        WindowFunction::Ntile => NativeWindow::Ntile,
        WindowFunction::Lag => NativeWindow::Lag,
        WindowFunction::Lead => NativeWindow::Lead,
        WindowFunction::FirstValue => NativeWindow::FirstValue,
        WindowFunction::LastValue => NativeWindow::LastValue,
        WindowFunction::NthValue => NativeWindow::NthValue,
        WindowFunction::Aggregate(_) => return None,
    })
}
