//! Unnest: one output row per list element (of the longest list of the row), struct fields as columns. Keeps order.
//!
//! Holds one batch, and what a few of its rows come to: as many as make some full batches, going by the rows before. Both are counted.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Int32Array};
use arrow_schema::DataType;

use crate::batch::arrow::{array_bytes, export_column, import_column, null_column};
use crate::batch::{Batch, Column};
use crate::error::{Error, Result};
use crate::memory::Counted;
use crate::metrics::OperatorMetrics;
use crate::pipeline::{Flow, Operator, OperatorState, TaskContext};

/// One output column of an unnest.
#[derive(Debug, Clone, PartialEq)]
pub enum UnnestOutput {
    /// Input column repeated.
    Keep(usize),
    /// Elements of list column `column`, unnested `depth` levels.
    List { column: usize, depth: usize },
    /// Field `field` of struct column `column`.
    StructField { column: usize, field: usize },
    /// Number of the element in the list of list column `column`, from 0; null in a row without one. 32 bits.
    Position { column: usize },
}

/// The operator `UNNEST`.
#[derive(Debug)]
pub struct Unnest {
    plan: Arc<UnnestPlan>,
}

#[derive(Debug)]
struct UnnestPlan {
    outputs: Vec<UnnestOutput>,
    preserve_nulls: bool,
    types: Vec<DataType>,
}

impl Unnest {
    /// `types` are those of the input columns; with `preserve_nulls` a row whose lists are all null still gives one row.
    pub fn new(outputs: Vec<UnnestOutput>, preserve_nulls: bool, types: Vec<DataType>) -> Self {
        Unnest { plan: Arc::new(UnnestPlan { outputs, preserve_nulls, types }) }
    }
}

impl Operator for Unnest {
    fn name(&self) -> &'static str {
        "Unnest"
    }

    fn open(&self, task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn OperatorState>> {
        Ok(Box::new(UnnestState {
            plan: self.plan.clone(),
            batch_rows: task.config.batch_rows.max(1),
            input: None,
            rows_at_once: FIRST_ROWS,
            waiting: None,
            held: task.memory.counted("Unnest"),
        }))
    }
}

/// Rows that are unnested at once as long as nobody knows how long their lists are.
const FIRST_ROWS: usize = 64;
/// Full batches that rows unnested at once should make.
const BATCHES: usize = 4;

struct UnnestState {
    plan: Arc<UnnestPlan>,
    batch_rows: usize,
    /// The batch at hand, and the row to go on from.
    input: Option<(Batch, usize)>,
    rows_at_once: usize,
    /// Output columns still to be given, and the row to go on from.
    waiting: Option<(Vec<ArrayRef>, usize)>,
    held: Counted,
}

impl OperatorState for UnnestState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        self.input = Some((batch.compact(), 0));
        self.resume()
    }

    fn resume(&mut self) -> Result<Flow> {
        loop {
            if let Some((columns, start)) = &mut self.waiting {
                let rows = columns.first().map_or(0, |c| c.len());
                let len = self.batch_rows.min(rows - *start);
                if len > 0 {
                    let part = columns.iter().map(|c| import_column(&c.slice(*start, len)));
                    let batch = Batch::new(part.collect::<Result<_>>()?, len);
                    *start += len;
                    return Ok(Flow::More(batch));
                }
                self.waiting = None;
            }
            if !self.go_on()? {
                self.held.set(0);
                return Ok(Flow::NeedInput);
            }
        }
    }
}

impl UnnestState {
    /// Unnests the next rows; `false` = there are none.
    fn go_on(&mut self) -> Result<bool> {
        let Some((batch, row)) = &mut self.input else { return Ok(false) };
        let rows = self.rows_at_once.min(batch.rows() - *row);
        if rows == 0 {
            self.input = None;
            return Ok(false);
        }
        let columns = unnest(&self.plan, &batch.slice(*row, rows)?)?;
        *row += rows;
        let given = columns.first().map_or(0, |c| c.len());
        let wanted = rows.saturating_mul(BATCHES * self.batch_rows) / given.max(1);
        self.rows_at_once = wanted.clamp(1, FIRST_ROWS.max(2 * rows));
        self.held.set(batch.memory_bytes() + columns.iter().map(|c| array_bytes(c.as_ref())).sum::<usize>());
        self.waiting = Some((columns, 0));
        Ok(true)
    }
}

/// All output columns of one batch, by levels: the deepest lists are opened first level by level.
fn unnest(plan: &UnnestPlan, batch: &Batch) -> Result<Vec<ArrayRef>> {
    let mut columns: Vec<ArrayRef> =
        batch.columns().iter().zip(&plan.types).map(|(c, t)| export_column(c, t)).collect::<Result<_>>()?;
    // One working column per output, so that every level repeats them alike.
    let mut working: Vec<ArrayRef> = Vec::with_capacity(plan.outputs.len());
    for output in &plan.outputs {
        working.push(match output {
            UnnestOutput::Keep(column) | UnnestOutput::List { column, .. } | UnnestOutput::Position { column } => {
                columns[*column].clone()
            }
            UnnestOutput::StructField { column, field } => struct_field(&columns[*column], *field)?,
        });
    }
    columns.clear();
    let depth = |output: &UnnestOutput| match output {
        UnnestOutput::List { depth, .. } => *depth,
        UnnestOutput::Position { .. } => 1,
        UnnestOutput::Keep(_) | UnnestOutput::StructField { .. } => 0,
    };
    let deepest = plan.outputs.iter().map(depth).max().unwrap_or(0);
    // Columns of lesser depth join at the level that leaves just their own levels to do.
    for level in (1..=deepest).rev() {
        let opens = plan.outputs.iter().map(|output| match output {
            _ if depth(output) < level => Opened::Repeated,
            UnnestOutput::Position { .. } => Opened::Positions,
            _ => Opened::Elements,
        });
        let opens: Vec<Opened> = opens.collect();
        working = open_level(&working, &opens, plan.preserve_nulls)?;
    }
    Ok(working)
}

fn struct_field(array: &ArrayRef, field: usize) -> Result<ArrayRef> {
    let fields =
        array.as_struct_opt().ok_or_else(|| Error::internal(format!("unnest of {} as a struct", array.data_type())))?;
    let column = fields.column(field);
    // A null struct has null fields.
    let nulls = arrow_buffer::NullBuffer::union(fields.nulls(), column.nulls());
    let data_type = column.data_type().clone();
    let imported = import_column(column)?;
    let validity = nulls.map(|n| crate::batch::Bitmap::from_arrow(n.inner()));
    export_column(&imported.with_validity(validity), &data_type)
}

/// Offsets and values of any list type: element range of each row.
fn list_parts(array: &ArrayRef) -> Result<(Vec<(usize, usize)>, ArrayRef)> {
    let range = |row: usize, start: usize, end: usize| if array.is_null(row) { (0, 0) } else { (start, end) };
    // Of a few rows, the elements of those.
    let parts = |offsets: Vec<usize>, values: &ArrayRef| {
        let (first, last) = (offsets[0], offsets[array.len()]);
        let ranges = (0..array.len()).map(|r| range(r, offsets[r] - first, offsets[r + 1] - first)).collect();
        (ranges, values.slice(first, last - first))
    };
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            Ok(parts(list.value_offsets().iter().map(|&o| o as usize).collect(), list.values()))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            Ok(parts(list.value_offsets().iter().map(|&o| o as usize).collect(), list.values()))
        }
        DataType::FixedSizeList(_, size) => {
            let list = array.as_fixed_size_list();
            let size = *size as usize;
            Ok(((0..list.len()).map(|r| range(r, r * size, (r + 1) * size)).collect(), list.values().clone()))
        }
        other => Err(Error::unsupported(format!("UNNEST of {other}"))),
    }
}

/// Numbers of the elements of each row, of which there are `longest` rows then.
fn positions(ranges: &[(usize, usize)], longest: &[usize]) -> Int32Array {
    let of_row = |(&(start, end), &count): (&(usize, usize), &usize)| {
        (0..count).map(move |position| (start + position < end).then_some(position as i32))
    };
    ranges.iter().zip(longest).flat_map(of_row).collect()
}

/// What a level makes of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opened {
    Repeated,
    Elements,
    Positions,
}

/// Opens one level of the chosen list columns and repeats the others.
fn open_level(columns: &[ArrayRef], opens: &[Opened], preserve_nulls: bool) -> Result<Vec<ArrayRef>> {
    let rows = columns.first().map_or(0, |c| c.len());
    let lists = columns
        .iter()
        .zip(opens)
        .map(|(c, open)| (*open != Opened::Repeated).then(|| list_parts(c)).transpose())
        .collect::<Result<Vec<_>>>()?;
    let mut longest: Vec<usize> = (0..rows)
        .map(|row| lists.iter().flatten().map(|(ranges, _)| ranges[row].1 - ranges[row].0).max().unwrap_or(0))
        .collect();
    if preserve_nulls {
        let opened = || columns.iter().zip(opens).filter(|(_, open)| **open != Opened::Repeated);
        let null = |row: usize| opened().all(|(column, _)| column.is_null(row));
        (0..rows)
            .filter(|&row| longest[row] == 0 && null(row))
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|row| longest[row] = 1);
    }
    columns
        .iter()
        .zip(&lists)
        .zip(opens)
        .map(|((column, list), open)| {
            if let (Opened::Positions, Some((ranges, _))) = (open, list) {
                return Ok(Arc::new(positions(ranges, &longest)) as ArrayRef);
            }
            // Index 0 is a null put in front; the rest are shifted by one.
            let (source, data_type) = match list {
                Some((_, values)) => (values.clone(), values.data_type().clone()),
                None => (column.clone(), column.data_type().clone()),
            };
            let parts = [null_column(&data_type, 1), import_column(&source)?];
            let with_null = Column::concat(&parts, &data_type)?;
            let mut indices: Vec<u32> = Vec::with_capacity(longest.iter().sum());
            for (row, &count) in longest.iter().enumerate() {
                match list {
                    Some((ranges, _)) => {
                        let (start, end) = ranges[row];
                        indices.extend((0..count).map(|i| if start + i < end { (start + i) as u32 + 1 } else { 0 }));
                    }
                    None => indices.extend(std::iter::repeat_n(row as u32 + 1, count)),
                }
            }
            export_column(&with_null.gather(&indices), &data_type)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use arrow_array::ListArray;
    use arrow_array::types::Int64Type;

    use super::*;

    /// Position and element of every row that lists give.
    fn opened(preserve_nulls: bool) -> Vec<(Option<i32>, Option<i64>)> {
        let rows = vec![Some(vec![Some(7), None]), None, Some(vec![]), Some(vec![Some(9)])];
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(rows);
        let outputs = vec![UnnestOutput::Position { column: 0 }, UnnestOutput::List { column: 0, depth: 1 }];
        let plan = UnnestPlan { outputs, preserve_nulls, types: vec![lists.data_type().clone()] };
        let batch = Batch::new(vec![import_column(&(Arc::new(lists) as ArrayRef)).unwrap()], 4);
        let columns = unnest(&plan, &batch).unwrap();
        let (positions, elements) = (columns[0].as_primitive(), columns[1].as_primitive::<Int64Type>());
        assert_eq!(positions.len(), elements.len());
        let position = |row: usize| {
            let positions: &Int32Array = positions;
            positions.is_valid(row).then(|| positions.value(row))
        };
        (0..elements.len()).map(|row| (position(row), elements.is_valid(row).then(|| elements.value(row)))).collect()
    }

    #[test]
    fn positions_number_the_elements_of_each_row() {
        assert_eq!(opened(false), [(Some(0), Some(7)), (Some(1), None), (Some(0), Some(9))]);
        assert_eq!(opened(true), [(Some(0), Some(7)), (Some(1), None), (None, None), (Some(0), Some(9))]);
    }
}
