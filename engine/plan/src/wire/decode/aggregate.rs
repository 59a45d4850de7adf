//! Aggregations and aggregate calls.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use plasmon_core::Result;
use plasmon_core::expression::{Expression, Kind, Scalar, SortKey};
use plasmon_core::operators::aggregate::{AggregateExpression, AggregateFunction, AggregatePhase, state_types};

use super::expression::Scope;
use super::function::{check_arguments, check_result};
use super::{Decoder, check, known, types};
use crate::error::convert_error;
use crate::function::{self, AggregateCall, Registry, argument_fields};
use crate::ir::{Node, Relation};
use crate::path::Path;
use crate::wire::{native, proto};

/// Grouping sets are told apart by the bits of a 64-bit id.
const SET_KEYS_MAX: usize = 32;

impl Decoder<'_> {
    /// The aggregation over `input`, and the types of its columns.
    pub(super) fn aggregate(
        &mut self,
        aggregate: &proto::Aggregate,
        input: Relation,
        declared: &[DataType],
        path: &Path<'_>,
    ) -> Result<(Node, Vec<DataType>)> {
        let phase = phase(aggregate.phase, path)?;
        let columns: Vec<DataType> = crate::ir::types(&input.schema).cloned().collect();
        let group_by = self.expressions(&aggregate.group_by, Scope::over(&columns), path, "group_by")?;
        for (index, key) in group_by.iter().enumerate() {
            check::key(key, &path.item("group_by", index))?;
        }
        let grouping_sets = grouping_sets(&aggregate.grouping_sets, group_by.len(), path)?;
        let mut given: Vec<DataType> = group_by.iter().map(|k| k.data_type.clone()).collect();
        if !grouping_sets.is_empty() {
            match declared.get(group_by.len()) {
                Some(id) if id.is_unsigned_integer() => given.push(id.clone()),
                _ => return Err(path.wrong("the column behind the keys, the grouping id, is an unsigned integer")),
            }
        }
        if phase == AggregatePhase::Repeating && !grouping_sets.is_empty() {
            return Err(path.wrong("groups that may repeat are of plain keys, not of grouping sets"));
        }
        let is_merging = phase.reads_states();
        let mut state = given.len();
        let mut aggregates = Vec::with_capacity(aggregate.aggregates.len());
        for (index, call) in aggregate.aggregates.iter().enumerate() {
            let path = path.item("aggregates", index);
            let call = self.aggregate_expression(call, &columns, is_merging, &path)?;
            if phase != AggregatePhase::Single && keeps_members(&call) {
                return Err(path.refuse(
                    "DISTINCT in an aggregation that is cut in pieces: group by the distinct arguments first",
                ));
            }
            let states = state_types(&call).map_err(|e| path.refused(e))?;
            if is_merging {
                check_states(&states, columns.get(state..).unwrap_or_default(), &path)?;
                state += states.len();
            }
            if phase.gives_states() {
                given.extend(states);
            } else {
                given.push(call.data_type.clone());
            }
            aggregates.push(call);
        }
        Ok((Node::Aggregate { input: Box::new(input), group_by, grouping_sets, aggregates, phase }, given))
    }

    fn aggregate_expression(
        &mut self,
        call: &proto::AggregateCall,
        columns: &[DataType],
        is_merging: bool,
        path: &Path<'_>,
    ) -> Result<AggregateExpression> {
        let scope = Scope::over(columns).with_unread(is_merging);
        let arguments = self.expressions(&call.arguments, scope, path, "arguments")?;
        let order_by = self.sort_keys(&call.order_by, scope, path, "order_by")?;
        if is_merging {
            let values = arguments.iter().chain(order_by.iter().map(|k| &k.expression));
            if values.into_iter().any(|a| !matches!(a.kind, Kind::Literal(_))) || !call.filter.is_empty() {
                return Err(path.wrong("a phase that merges states has constants and `unread` values, and no filter"));
            }
        }
        let filter = self.filter(&call.filter, scope, &path.field("filter"))?;
        let data_type = types::data_type(call.r#type.as_ref(), path)?;
        let function = call.function.as_ref().ok_or_else(|| path.wrong("the function is missing"))?;
        let function = self.aggregate_function(function, &arguments, &order_by, call.distinct, &data_type, path)?;
        Ok(AggregateExpression { function, arguments, filter, distinct: call.distinct, order_by, data_type })
    }

    /// The function of a call over these arguments, which gives `data_type`.
    pub(super) fn aggregate_function(
        &self,
        function: &proto::AggregateFunction,
        arguments: &[Expression],
        order_by: &[SortKey],
        distinct: bool,
        data_type: &DataType,
        path: &Path<'_>,
    ) -> Result<AggregateFunction> {
        use proto::aggregate_function::Function;
        match &function.function {
            None => Err(path.wrong("the function is missing")),
            Some(Function::Native(number)) => {
                native_aggregate(*number, function.ignore_nulls, arguments, data_type, path)
            }
            Some(Function::Named(name)) => {
                let Some(found) = self.functions.aggregate(name) else {
                    return Err(path.wrong(format!("there is no aggregate function {name}")));
                };
                // A value that is not read has the place of a column.
                let arguments: Vec<Expression> = arguments.iter().enumerate().map(|(i, a)| unread(a, i)).collect();
                let fields = argument_fields(&arguments);
                check_arguments(&fields, found.as_ref(), name, path)?;
                let given = found.return_field(&fields).map_err(|e| path.refused(convert_error(e)))?;
                check_result(given.data_type(), data_type, name, path)?;
                let return_field = Arc::new(Field::new(given.name(), data_type.clone(), true));
                let call = AggregateCall {
                    function: &found,
                    arguments: &arguments,
                    argument_fields: fields,
                    distinct,
                    ignore_nulls: function.ignore_nulls,
                    order_by,
                    return_field,
                };
                match function::aggregate(&call).map_err(|e| path.refused(e))? {
                    custom @ AggregateFunction::Custom(_) => Ok(custom),
                    _ => Err(path.wrong(format!("{name} is a function of the engine's own: it goes by its number"))),
                }
            }
        }
    }
}

/// Whether the aggregate keeps all distinct values of a group, which are no state columns.
fn keeps_members(call: &AggregateExpression) -> bool {
    call.distinct && !call.function.ignores_duplicates() && !matches!(call.function, AggregateFunction::Custom(_))
}

fn phase(phase: i32, path: &Path<'_>) -> Result<AggregatePhase> {
    use proto::AggregatePhase as Phase;
    Ok(match known::<Phase>(phase, "AggregatePhase", path)? {
        Phase::Unspecified => return Err(path.wrong("the phase is missing")),
        Phase::Single => AggregatePhase::Single,
        Phase::Partial => AggregatePhase::Partial,
        Phase::PartialMerge => AggregatePhase::PartialMerge,
        Phase::Final => AggregatePhase::Final,
        Phase::Repeating => AggregatePhase::Repeating,
    })
}

fn grouping_sets(sets: &[proto::GroupingSet], keys: usize, path: &Path<'_>) -> Result<Vec<Vec<bool>>> {
    if !sets.is_empty() && keys > SET_KEYS_MAX {
        return Err(path.refuse(format!("grouping sets of {keys} keys; at most {SET_KEYS_MAX} are")));
    }
    let mut decoded = Vec::with_capacity(sets.len());
    for (index, set) in sets.iter().enumerate() {
        if set.keeps.len() != keys {
            let path = path.item("grouping_sets", index);
            return Err(path.wrong(format!("{} flags for {keys} keys", set.keeps.len())));
        }
        decoded.push(set.keeps.clone());
    }
    Ok(decoded)
}

/// Refuses input columns that are not the states of an aggregate.
fn check_states(states: &[DataType], columns: &[DataType], path: &Path<'_>) -> Result<()> {
    match columns.get(..states.len()) {
        Some(columns) if columns.iter().zip(states).all(|(c, s)| check::agree(c, s)) => Ok(()),
        _ => Err(path.wrong(format!("its states are {}, the input's columns there are not", list(states)))),
    }
}

fn list(types: &[DataType]) -> String {
    types.iter().map(|t| t.to_string()).collect::<Vec<_>>().join(", ")
}

/// A null that stands for a value which nobody reads, as a column; other values as they are.
fn unread(argument: &Expression, index: usize) -> Expression {
    match argument.kind {
        Kind::Literal(Scalar::Null) => Expression::column(index, argument.data_type.clone()),
        _ => argument.clone(),
    }
}

fn native_aggregate(
    number: i32,
    ignore_nulls: bool,
    arguments: &[Expression],
    data_type: &DataType,
    path: &Path<'_>,
) -> Result<AggregateFunction> {
    let number = known::<proto::NativeAggregate>(number, "NativeAggregate", path)?;
    let Some((function, name)) = native::aggregate(number, ignore_nulls) else {
        return Err(path.wrong("the function is missing"));
    };
    let Some(name) = name else {
        return match (arguments, data_type) {
            ([], DataType::Int64) => Ok(function),
            _ => Err(path.wrong("a count of all rows takes no argument and gives Int64")),
        };
    };
    let count = arguments.len();
    if count == 0 || (count > 1 && !matches!(function, AggregateFunction::Count)) {
        return Err(path.wrong(format!("{name} takes one argument, not {count}")));
    }
    // The library knows which types a function takes and gives; an embedder's function of that name is none of its business.
    let standard = Registry::standard();
    let Some(library) = standard.aggregate(name) else {
        return Err(path.refuse(format!("aggregate function {name}")));
    };
    let fields = argument_fields(arguments);
    check_arguments(&fields, library.as_ref(), name, path)?;
    let given = library.return_field(&fields).map_err(|e| path.refused(convert_error(e)))?;
    check_result(given.data_type(), data_type, name, path)?;
    Ok(function)
}
