//! Table functions: `generate_series(start, stop [, step])` and `range` (without its end).

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use plasmon_core::table::Table;
use plasmon_core::{Error, Result};
use plasmon_plan::sql::Constant;

use crate::memory_table::MemoryTable;

/// Most rows that a generated table may have.
const ROWS_MAX: usize = 100_000_000;

/// The table of a call; `None` when there is no such function.
pub(crate) fn call(name: &str, arguments: &[Constant]) -> Result<Option<Arc<dyn Table>>> {
    let inclusive = match name {
        "generate_series" => true,
        "range" => false,
        _ => return Ok(None),
    };
    let numbers = arguments
        .iter()
        .map(|a| a.as_i64().ok_or_else(|| Error::user(format!("{name}: arguments are whole numbers"))))
        .collect::<Result<Vec<_>>>()?;
    let (start, stop, step) = match numbers[..] {
        [stop] => (0, stop, 1),
        [start, stop] => (start, stop, 1),
        [start, stop, step] if step != 0 => (start, stop, step),
        [_, _, _] => return Err(Error::user(format!("{name}: the step must not be zero"))),
        _ => return Err(Error::user(format!("{name}: takes one to three arguments, not {}", numbers.len()))),
    };
    let goes_on = |value: i64| {
        if step > 0 {
            value < stop || (inclusive && value == stop)
        } else {
            value > stop || (inclusive && value == stop)
        }
    };
    let mut values = Vec::new();
    let mut next = Some(start);
    while let Some(value) = next.filter(|&v| goes_on(v)) {
        if values.len() == ROWS_MAX {
            return Err(Error::user(format!("{name}: more than {ROWS_MAX} rows")));
        }
        values.push(value);
        next = value.checked_add(step);
    }
    let schema = Arc::new(Schema::new(vec![Field::new("value", DataType::Int64, false)]));
    let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(Int64Array::from(values))])?;
    Ok(Some(Arc::new(MemoryTable::new(schema, &[batch])?)))
}
