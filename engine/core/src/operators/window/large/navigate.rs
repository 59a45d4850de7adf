//! Values of other rows of a partition on disk: which rows they are, and the values, read as frames and offsets move ahead.

use arrow_schema::DataType;
use plasmon_kernels::window::navigate::ValidRows;

use super::super::aggregate::true_rows;
use super::super::partition::Argument;
use super::bounds::Bounds;
use super::spool::{Latest, Spooled};
use crate::batch::{Bitmap, Column};
use crate::error::Result;

/// No row.
pub(super) const NOWHERE: u64 = u64::MAX;

/// Which rows are looked at: those that pass the filter and have values.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) filter: Option<usize>,
    pub(super) valid: Vec<usize>,
}

impl Wanted {
    fn bits(&self, block: usize, rows: &Spooled) -> Result<Option<Bitmap>> {
        let filter = self.filter.map(|column| rows.column(block, column)).transpose()?;
        let valid = rows.columns(block, &self.valid)?;
        let filter = filter.as_ref().map(true_rows);
        Ok(valid.iter().fold(filter, |all, column| Bitmap::and_optional(all.as_ref(), column.validity())))
    }
}

/// Wanted rows by row number and by ordinal.
pub(super) struct Ordinals<'a> {
    rows: &'a Spooled,
    /// `None` = all rows are wanted.
    wanted: Option<WantedRows>,
}

struct WantedRows {
    wanted: Wanted,
    /// Wanted rows before each block, and in all.
    before: Vec<u64>,
    /// The blocks that were counted in, and looked up in, last.
    counted: Latest<ValidRows>,
    found: Latest<ValidRows>,
}

impl<'a> Ordinals<'a> {
    /// Of `wanted` rows; counts them.
    pub(super) fn new(wanted: Wanted, rows: &'a Spooled) -> Result<Self> {
        if wanted.filter.is_none() && wanted.valid.is_empty() {
            return Ok(Ordinals { rows, wanted: None });
        }
        let mut before = vec![0];
        for block in 0..rows.blocks() {
            let range = rows.range(block);
            let count = wanted.bits(block, rows)?.map_or(range.end - range.start, |bits| bits.count_ones() as u64);
            before.push(before[block] + count);
        }
        let (counted, found) = (Latest::default(), Latest::default());
        Ok(Ordinals { rows, wanted: Some(WantedRows { wanted, before, counted, found }) })
    }

    /// The row that is `offset` wanted rows behind `row`.
    pub(super) fn shifted(&mut self, row: u64, offset: i64) -> Result<u64> {
        let ordinal = match offset {
            0 => return Ok(row),
            1.. => (self.before(row + 1)? as i64).saturating_add(offset - 1),
            _ => (self.before(row)? as i64).saturating_add(offset),
        };
        self.at(ordinal)
    }

    /// The `n`-th wanted row of each frame (1-based; negative counts from the end; 0 = none).
    pub(super) fn nth(&mut self, frames: &Bounds, n: i64) -> Result<Vec<u64>> {
        let target = |(&start, &end): (&u64, &u64)| {
            let ordinal = match n {
                0 => return Ok(NOWHERE),
                1.. => (self.before(start)? as i64).saturating_add(n - 1),
                _ => (self.before(end)? as i64).saturating_add(n),
            };
            let target = self.at(ordinal)?;
            Ok(if (start..end).contains(&target) { target } else { NOWHERE })
        };
        frames.starts.iter().zip(&frames.ends).map(target).collect()
    }

    /// Wanted rows before `row`.
    fn before(&mut self, row: u64) -> Result<u64> {
        let (rows, Some(wanted)) = (self.rows, &mut self.wanted) else { return Ok(row) };
        let (block, at) = rows.place(row);
        if at == 0 || block == rows.blocks() {
            return Ok(wanted.before[block]);
        }
        let known = wanted.counted.get(block, || valid_rows(&wanted.wanted, block, rows))?;
        Ok(wanted.before[block] + u64::from(known.before(at as u32)))
    }

    /// The wanted row of an ordinal.
    fn at(&mut self, ordinal: i64) -> Result<u64> {
        let rows = self.rows;
        let Ok(ordinal) = u64::try_from(ordinal) else { return Ok(NOWHERE) };
        let Some(wanted) = &mut self.wanted else { return Ok(if ordinal < rows.rows { ordinal } else { NOWHERE }) };
        let block = wanted.before.partition_point(|&before| before <= ordinal) - 1;
        if block == rows.blocks() {
            return Ok(NOWHERE);
        }
        let known = wanted.found.get(block, || valid_rows(&wanted.wanted, block, rows))?;
        let row = known.at((ordinal - wanted.before[block]) as i64);
        Ok(row.map_or(NOWHERE, |row| rows.range(block).start + u64::from(row)))
    }
}

fn valid_rows(wanted: &Wanted, block: usize, rows: &Spooled) -> Result<ValidRows> {
    let range = rows.range(block);
    Ok(ValidRows::new(wanted.bits(block, rows)?.as_ref().map(Bitmap::words), (range.end - range.start) as usize))
}

/// Reads an argument at rows that move ahead.
pub(super) struct Picker<'a> {
    rows: &'a Spooled,
    argument: &'a Argument,
    latest: Latest<Column>,
}

impl<'a> Picker<'a> {
    /// Of `argument`.
    pub(super) fn new(argument: &'a Argument, rows: &'a Spooled) -> Self {
        Picker { rows, argument, latest: Latest::default() }
    }

    /// The argument's type.
    pub(super) fn data_type(&self) -> &'a DataType {
        match self.argument {
            Argument::Column(column) => &self.rows.types[*column],
            Argument::Constant(_, data_type) => data_type,
        }
    }

    /// Values at `targets`; null [`NOWHERE`].
    pub(super) fn pick(&mut self, targets: &[u64]) -> Result<Column> {
        let values = match self.argument {
            Argument::Constant(value, data_type) => value.to_column(data_type, targets.len())?.flatten(),
            Argument::Column(column) => self.pick_column(*column, targets)?,
        };
        if !targets.contains(&NOWHERE) {
            return Ok(values);
        }
        let present = Bitmap::from_bools(targets.iter().map(|&target| target != NOWHERE));
        let validity = Bitmap::and_optional(Some(&present), values.validity());
        Ok(values.with_validity(validity))
    }

    fn pick_column(&mut self, column: usize, targets: &[u64]) -> Result<Column> {
        let rows = self.rows;
        let (mut parts, mut from) = (Vec::new(), 0);
        while from < targets.len() {
            // What is nowhere lies in any block.
            let next = targets[from..].iter().find(|&&target| target != NOWHERE);
            let block = next.map_or(0, |&target| rows.place(target).0);
            let is_here = |target: u64| target == NOWHERE || rows.place(target).0 == block;
            let len = targets[from..].iter().take_while(|&&target| is_here(target)).count();
            let places: Vec<u32> = targets[from..from + len]
                .iter()
                .map(|&target| if target == NOWHERE { 0 } else { rows.place(target).1 as u32 })
                .collect();
            let values = self.latest.get(block, || rows.column(block, column))?;
            parts.push(values.gather(&places).own_strings());
            from += len;
        }
        Column::concat_owned(parts, &rows.types[column])
    }
}
