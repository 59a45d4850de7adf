//! What the rows of one column must pass: predicates and keys of joins, evaluated once per dictionary value.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use plasmon_core::Result;
use plasmon_core::batch::arrow::null_column;
use plasmon_core::batch::{Batch, Bitmap, Column, Dictionary, Encoding, Values};
use plasmon_core::config::BATCH_ROWS_MAX;
use plasmon_core::expression::{Expression, select};
use plasmon_core::operators::runtime_filter::KeyFilter;
use plasmon_core::table::ScanRequest;
use plasmon_kernels::bloom::bloom_contains;
use plasmon_kernels::membership::{Key, bitmap_contains, lookup_bits, range_contains};
use plasmon_kernels::select::selection_to_bits;

/// All tests of one column.
pub(super) struct ColumnTest {
    pub(super) column: usize,
    data_type: DataType,
    /// Over column 0.
    predicates: Vec<Expression>,
    keys: Vec<Arc<KeyFilter>>,
    /// Which values of the dictionary with this id pass, a bit each, and whether a null does; no table: a predicate failed on some value.
    table: Option<(u64, Option<(Vec<u64>, bool)>)>,
}

/// The request's tests by column: filters that read one column, and the join keys known by now.
pub(super) fn of_request(request: &ScanRequest, schema: &SchemaRef) -> Vec<ColumnTest> {
    let mut tests: Vec<ColumnTest> = Vec::new();
    let mut of_column = |column: usize, predicate: Option<Expression>, keys: Option<Arc<KeyFilter>>| {
        let index = tests.iter().position(|t| t.column == column).unwrap_or_else(|| {
            let data_type = schema.field(column).data_type().clone();
            tests.push(ColumnTest { column, data_type, predicates: Vec::new(), keys: Vec::new(), table: None });
            tests.len() - 1
        });
        tests[index].predicates.extend(predicate);
        tests[index].keys.extend(keys);
    };
    for filter in &request.filters {
        if let [column] = filter.referenced_columns()[..] {
            of_column(column, Some(filter.map_columns(&|_| 0)), None);
        }
    }
    for target in &request.runtime_filters {
        match target.filter.keys() {
            Some(keys) if !matches!(**keys, KeyFilter::All) => of_column(target.column, None, Some(keys.clone())),
            _ => {}
        }
    }
    tests
}

impl ColumnTest {
    /// Whether some value of a dictionary passes, or a null where there may be one.
    pub(super) fn may_pass(&mut self, dictionary: &Arc<Dictionary>, may_be_null: bool) -> bool {
        let table = self.table_of(dictionary);
        table.is_none_or(|(values, null)| may_be_null && *null || values.iter().any(|&word| word != 0))
    }

    /// Whether it is known which values of the column's dictionary pass.
    pub(super) fn has_table(&self, column: &Column) -> bool {
        match (column.encoding(), &self.table) {
            (Encoding::Dictionary { dictionary, .. }, Some((id, Some(_)))) => dictionary.id == *id,
            _ => false,
        }
    }

    /// A bit per row of `column`: whether it passes all tests.
    pub(super) fn passing(&mut self, column: &Column) -> Result<Vec<u64>> {
        if let Encoding::Dictionary { codes, dictionary } = column.encoding()
            && let Some((table, null_passes)) = self.table_of(dictionary)
        {
            let mut words = Vec::with_capacity(codes.len().div_ceil(64));
            lookup_bits(table, codes, &mut words);
            if let Some(validity) = column.validity() {
                let nulls = if *null_passes { u64::MAX } else { 0 };
                words.iter_mut().zip(validity.words()).for_each(|(w, v)| *w = *w & v | !v & nulls);
                // Bits past the last row stay clear: the validity's are, and their complement is not.
                if let (Some(last), tail @ 1..) = (words.last_mut(), codes.len() % 64) {
                    *last &= (1 << tail) - 1;
                }
            }
            return Ok(words);
        }
        self.passing_values(column)
    }

    /// Which values of a dictionary pass; made once per dictionary.
    fn table_of(&mut self, dictionary: &Arc<Dictionary>) -> Option<&(Vec<u64>, bool)> {
        if self.table.as_ref().is_none_or(|(id, _)| *id != dictionary.id) {
            // A value that no row has may fail a predicate (an overflow, a bad cast): then rows are tested, not values.
            let table = self.table_over(dictionary).ok();
            self.table = Some((dictionary.id, table));
        }
        self.table.as_ref().and_then(|(_, table)| table.as_ref())
    }

    fn table_over(&self, dictionary: &Dictionary) -> Result<(Vec<u64>, bool)> {
        let len = dictionary.values.len();
        let mut table = Vec::with_capacity(len.div_ceil(64));
        for offset in (0..len).step_by(BATCH_ROWS_MAX) {
            let count = BATCH_ROWS_MAX.min(len - offset);
            let mut values = Column::flat(dictionary.values.slice(offset, count));
            values.is_ascii = dictionary.is_ascii;
            // Steps are whole words.
            table.extend(self.passing_values(&values)?);
        }
        let null_passes = self.passing_values(&null_column(&self.data_type, 1))?[0] & 1 == 1;
        Ok((table, null_passes))
    }

    fn passing_values(&self, column: &Column) -> Result<Vec<u64>> {
        let rows = column.len();
        let mut words: Option<Vec<u64>> = None;
        let mut meet = |other: Vec<u64>| match &mut words {
            None => words = Some(other),
            Some(words) => words.iter_mut().zip(other).for_each(|(w, o)| *w &= o),
        };
        for keys in &self.keys {
            meet(passing_keys(keys, column));
        }
        if !self.predicates.is_empty() {
            let mut batch = Batch::new(vec![column.clone()], rows);
            for predicate in &self.predicates {
                if batch.selected_rows() > 0 {
                    batch = select(predicate, batch)?;
                }
            }
            if let Some(selection) = batch.selection() {
                meet(selection_to_bits(selection.positions(), rows));
            }
        }
        Ok(words.unwrap_or_else(|| Bitmap::constant(true, rows).words().to_vec()))
    }
}

/// A bit per row: whether its key may be present. A null matches nothing; a column that holds no integers is not tested.
fn passing_keys(keys: &KeyFilter, column: &Column) -> Vec<u64> {
    let rows = column.len();
    let flat = column.flatten();
    let mut words = match flat.encoding() {
        _ if matches!(keys, KeyFilter::Empty) => return vec![0; rows.div_ceil(64)],
        Encoding::Flat(Values::Int64(values)) => key_bits(keys, values),
        Encoding::Flat(Values::Int32(values)) => key_bits(keys, values),
        _ => Bitmap::constant(true, rows).words().to_vec(),
    };
    if let Some(validity) = flat.validity() {
        words.iter_mut().zip(validity.words()).for_each(|(w, v)| *w &= v);
    }
    words
}

fn key_bits<T: Key>(keys: &KeyFilter, values: &[T]) -> Vec<u64> {
    let mut words = Vec::with_capacity(values.len().div_ceil(64));
    match keys {
        KeyFilter::Bitmap { min, max, bits } => {
            bitmap_contains(bits, *min, max.wrapping_sub(*min) as u64, values, &mut words)
        }
        KeyFilter::Bloom { min, max, words: bloom } => {
            bloom_contains(bloom, *min, max.wrapping_sub(*min) as u64, values, &mut words)
        }
        KeyFilter::Range { min, max } => range_contains(*min, max.wrapping_sub(*min) as u64, values, &mut words),
        _ => words.extend(values.chunks(64).map(|block| {
            let passes = |value: T| u64::from(keys.may_contain(value.into()));
            block.iter().enumerate().fold(0, |word, (i, &value)| word | passes(value) << i)
        })),
    }
    words
}
