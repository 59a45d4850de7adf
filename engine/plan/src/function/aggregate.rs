//! The library's aggregate functions behind our trait: one of its accumulators per group.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::{SortColumn, lexsort_to_indices, take};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion_common::{DataFusionError, ScalarValue};
use datafusion_expr::{Accumulator, AggregateUDF};
use datafusion_functions_aggregate_common::accumulator::{AccumulatorArgs, StateFieldsArgs};
use datafusion_physical_expr::expressions::{Column, Literal};
use datafusion_physical_expr_common::physical_expr::PhysicalExpr;
use datafusion_physical_expr_common::sort_expr::PhysicalSortExpr;
use plasmon_core::expression::Expression;
use plasmon_core::operators::aggregate::{CustomAccumulator, CustomAggregate};
use plasmon_core::{Error, Result};

use super::AggregateCall;
use super::call::constant;
use crate::error::convert_error;

/// The call as a custom aggregate.
pub(super) fn adapt(call: &AggregateCall<'_>) -> Result<Arc<dyn CustomAggregate>> {
    let order_fields: Vec<FieldRef> = call
        .order_by
        .iter()
        .enumerate()
        .map(|(i, k)| Arc::new(Field::new(format!("order{i}"), k.expression.data_type.clone(), true)))
        .collect();
    let fields: Vec<FieldRef> = call.argument_fields.iter().chain(&order_fields).cloned().collect();
    let schema = Schema::new(
        fields
            .iter()
            .enumerate()
            .map(|(i, f)| Field::new(format!("c{i}"), f.data_type().clone(), true))
            .collect::<Vec<_>>(),
    );
    let expressions = call.arguments.iter().enumerate().map(|(i, a)| physical(a, i)).collect::<Result<Vec<_>>>()?;
    let first_order = call.arguments.len();
    let order_by = call
        .order_by
        .iter()
        .enumerate()
        .map(|(i, k)| PhysicalSortExpr {
            expr: order_column(call, first_order + i, &k.expression),
            options: arrow::compute::SortOptions { descending: k.descending, nulls_first: k.nulls_first },
        })
        .collect();
    Ok(Arc::new(LibraryAggregate {
        function: call.function.clone(),
        argument_fields: call.argument_fields.clone(),
        order_fields,
        schema,
        expressions,
        order_by,
        distinct: call.distinct,
        ignore_nulls: call.ignore_nulls,
        return_field: call.return_field.clone(),
    }))
}

/// The column of an order key: the argument's own when it is one, because DISTINCT may only be ordered by its argument.
fn order_column(call: &AggregateCall<'_>, own: usize, key: &Expression) -> Arc<dyn PhysicalExpr> {
    let index = call.arguments.iter().position(|a| a == key).unwrap_or(own);
    Arc::new(Column::new(&format!("c{index}"), index))
}

/// Constants stay visible as such (a delimiter, a percentile); everything else is a column.
fn physical(argument: &Expression, index: usize) -> Result<Arc<dyn PhysicalExpr>> {
    Ok(match constant(argument)? {
        Some(value) => Arc::new(Literal::new(value)),
        None => Arc::new(Column::new(&format!("c{index}"), index)),
    })
}

#[derive(Debug)]
struct LibraryAggregate {
    function: Arc<AggregateUDF>,
    argument_fields: Vec<FieldRef>,
    order_fields: Vec<FieldRef>,
    schema: Schema,
    expressions: Vec<Arc<dyn PhysicalExpr>>,
    order_by: Vec<PhysicalSortExpr>,
    distinct: bool,
    ignore_nulls: bool,
    return_field: FieldRef,
}

impl LibraryAggregate {
    /// Whether its accumulators count on rows that come in the order asked for, rather than bring them into it. The library says so of `string_agg`, too,
    /// which sorts all the same.
    fn counts_on_order(&self) -> bool {
        !self.order_by.is_empty() && self.function.name() == "nth_value"
    }

    /// What an accumulator has after these rows, brought into order: one row of states. States in order may be merged in any.
    fn ordered_state(&self, arrays: &[ArrayRef]) -> datafusion_common::Result<Vec<ArrayRef>> {
        let keys = arrays[self.argument_fields.len()..].iter().zip(&self.order_by);
        let keys: Vec<SortColumn> =
            keys.map(|(key, by)| SortColumn { values: key.clone(), options: Some(by.options) }).collect();
        let order = lexsort_to_indices(&keys, None)?;
        let sorted = arrays.iter().map(|array| take(array, &order, None)).collect::<Result<Vec<_>, _>>()?;
        let mut accumulator = self.accumulator().map_err(|error| DataFusionError::External(Box::new(error)))?;
        accumulator.update_batch(&sorted)?;
        accumulator.state()?.into_iter().map(|value| value.to_array()).collect()
    }

    fn accumulator(&self) -> Result<Box<dyn Accumulator>> {
        let arguments = AccumulatorArgs {
            return_field: self.return_field.clone(),
            schema: &self.schema,
            ignore_nulls: self.ignore_nulls,
            order_bys: &self.order_by,
            is_reversed: false,
            name: self.function.name(),
            is_distinct: self.distinct,
            exprs: &self.expressions,
            expr_fields: &self.argument_fields,
        };
        self.function.accumulator(arguments).map_err(convert_error)
    }
}

impl CustomAggregate for LibraryAggregate {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn ignores_nulls(&self) -> bool {
        self.ignore_nulls
    }

    fn state_types(&self) -> Vec<DataType> {
        let arguments = StateFieldsArgs {
            name: self.function.name(),
            input_fields: &self.argument_fields,
            return_field: self.return_field.clone(),
            ordering_fields: &self.order_fields,
            is_distinct: self.distinct,
        };
        self.function
            .state_fields(arguments)
            .map(|fields| fields.iter().map(|f| f.data_type().clone()).collect())
            .unwrap_or_default()
    }

    fn argument_types(&self) -> Vec<DataType> {
        self.argument_fields.iter().chain(&self.order_fields).map(|f| f.data_type().clone()).collect()
    }

    fn create(&self) -> Result<Box<dyn CustomAccumulator>> {
        let own = LibraryAggregate {
            function: self.function.clone(),
            argument_fields: self.argument_fields.clone(),
            order_fields: self.order_fields.clone(),
            schema: self.schema.clone(),
            expressions: self.expressions.clone(),
            order_by: self.order_by.clone(),
            distinct: self.distinct,
            ignore_nulls: self.ignore_nulls,
            return_field: self.return_field.clone(),
        };
        Ok(Box::new(PerGroup { function: own, groups: Vec::new(), bytes: 0 }))
    }
}

/// What a group is given.
#[derive(Clone, Copy)]
enum Feed {
    Rows,
    States,
}

struct PerGroup {
    function: LibraryAggregate,
    groups: Vec<Group>,
    /// About what they take.
    bytes: usize,
}

/// A group's accumulator. Many look at all that they hold when they are asked for their size: so they are asked when they were given half as much again.
struct Group {
    accumulator: Box<dyn Accumulator>,
    /// Bytes that it was given …
    given: usize,
    /// … and, when it was asked the last time, what it had been given, and took.
    measured: (usize, usize),
    /// About what it takes.
    bytes: usize,
}

impl Group {
    fn new(accumulator: Box<dyn Accumulator>) -> Self {
        let bytes = accumulator.size();
        Group { accumulator, given: 0, measured: (0, bytes), bytes }
    }

    /// It was given so many bytes; about what it takes now.
    fn give(&mut self, bytes: usize) -> usize {
        self.given += bytes;
        if self.given * 2 >= self.measured.0 * 3 {
            self.measured = (self.given, self.accumulator.size());
        }
        let (given, taken) = self.measured;
        self.bytes = (taken as f64 * self.given as f64 / given.max(1) as f64) as usize;
        self.bytes
    }
}

/// Bytes of an array's values, without what its buffers hold beside them; at least one a row.
fn value_bytes(array: &dyn Array) -> usize {
    let of_views = |lengths: &[u128]| lengths.iter().map(|&view| view as u32 as usize).sum::<usize>();
    let elements = match array.data_type() {
        DataType::Utf8View => of_views(array.as_string_view().views()),
        DataType::BinaryView => of_views(array.as_binary_view().views()),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (first, last) = (list.value_offsets()[0] as usize, list.value_offsets()[list.len()] as usize);
            value_bytes(&list.values().slice(first, last - first))
        }
        DataType::Struct(_) => array.as_struct().columns().iter().map(|column| value_bytes(column)).sum(),
        other => match other.primitive_width() {
            Some(width) => width * array.len(),
            None => array.get_array_memory_size(),
        },
    };
    elements + array.len()
}

impl PerGroup {
    fn resize(&mut self, count: usize) -> Result<()> {
        while self.groups.len() < count {
            let group = Group::new(self.function.accumulator()?);
            self.bytes += group.bytes;
            self.groups.push(group);
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.groups.clear();
        self.bytes = 0;
    }

    /// Calls `feed` once for every group that has rows, with that group's rows in arrival order.
    fn by_group(&mut self, arrays: &[ArrayRef], groups: &[usize], feed: Feed) -> Result<()> {
        let Some(&first) = groups.first() else { return Ok(()) };
        let PerGroup { function, groups: all, bytes } = self;
        let mut feed = |group: usize, arrays: &[ArrayRef]| -> Result<()> {
            let group = &mut all[group];
            let fed = match feed {
                Feed::Rows if function.counts_on_order() => {
                    function.ordered_state(arrays).and_then(|state| group.accumulator.merge_batch(&state))
                }
                Feed::Rows => group.accumulator.update_batch(arrays),
                Feed::States => group.accumulator.merge_batch(arrays),
            };
            fed.map_err(convert_error)?;
            let before = group.bytes;
            *bytes = *bytes - before + group.give(arrays.iter().map(|array| value_bytes(array)).sum());
            Ok(())
        };
        if groups.iter().all(|&g| g == first) {
            return feed(first, arrays);
        }
        let mut rows: Vec<u32> = (0..groups.len() as u32).collect();
        rows.sort_by_key(|&row| groups[row as usize]);
        for run in rows.chunk_by(|a, b| groups[*a as usize] == groups[*b as usize]) {
            let indices = UInt32Array::from(run.to_vec());
            let taken = arrays.iter().map(|a| take(a, &indices, None)).collect::<Result<Vec<_>, _>>()?;
            feed(groups[run[0] as usize], &taken)?;
        }
        Ok(())
    }
}

impl CustomAccumulator for PerGroup {
    fn update(&mut self, arguments: &[ArrayRef], groups: &[usize], group_count: usize) -> Result<()> {
        self.resize(group_count)?;
        self.by_group(arguments, groups, Feed::Rows)
    }

    fn merge(&mut self, states: &[ArrayRef], groups: &[usize], group_count: usize) -> Result<()> {
        self.resize(group_count)?;
        self.by_group(states, groups, Feed::States)
    }

    fn state(&mut self) -> Result<Vec<ArrayRef>> {
        let types = self.function.state_types();
        let mut columns: Vec<Vec<ScalarValue>> = vec![Vec::with_capacity(self.groups.len()); types.len()];
        for group in &mut self.groups {
            let state = group.accumulator.state().map_err(convert_error)?;
            if state.len() != columns.len() {
                return Err(Error::internal(format!(
                    "{} gave {} state values of {}",
                    self.function.name(),
                    state.len(),
                    columns.len()
                )));
            }
            columns.iter_mut().zip(state).for_each(|(column, value)| column.push(value));
        }
        self.clear();
        columns.into_iter().zip(&types).map(|(values, t)| to_array(values, t)).collect()
    }

    fn evaluate(&mut self) -> Result<ArrayRef> {
        let values = self
            .groups
            .iter_mut()
            .map(|group| group.accumulator.evaluate())
            .collect::<datafusion_common::Result<Vec<_>>>()
            .map_err(convert_error)?;
        self.clear();
        to_array(values, self.function.return_field.data_type())
    }

    fn memory_bytes(&self) -> usize {
        self.bytes
    }
}

fn to_array(values: Vec<ScalarValue>, data_type: &DataType) -> Result<ArrayRef> {
    if values.is_empty() {
        return Ok(arrow::array::new_empty_array(data_type));
    }
    let array = ScalarValue::iter_to_array(values).map_err(convert_error)?;
    Ok(if array.data_type() == data_type { array } else { arrow::compute::cast(&array, data_type)? })
}
