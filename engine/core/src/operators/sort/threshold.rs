//! The worst first key that a top-N keeps: rows after it are dropped before anything is done with them.

use std::cmp::Ordering;

use arrow_schema::DataType;
use plasmon_kernels::sort_key::{ImageWord, SortImage, Threshold, select_before};

use crate::batch::{Batch, Bitmap, Column, Selection, Values, physical_type};
use crate::error::Result;
use crate::expression::Scalar;
use crate::operators::runtime_filter::TopNThreshold;

/// `batch` without the rows whose first key `column` sorts after `worst` (or ties with it, unless `keep_equal`). Types without a cheap
/// comparison keep all rows.
pub(super) fn drop_after(
    batch: Batch,
    column: &Column,
    data_type: &DataType,
    worst: &Scalar,
    order: &TopNThreshold,
    keep_equal: bool,
) -> Result<Batch> {
    let column = column.flatten().widen(physical_type(data_type));
    let validity = column.validity().map(Bitmap::words);
    let values = column.flat_values();
    let positions = batch.selection().map(Selection::positions);
    let mut kept = Vec::new();
    let done = if worst.is_null() {
        select_around_null(&column, positions, batch.rows(), order.nulls_first, keep_equal, &mut kept);
        true
    } else {
        let filter =
            Filter { validity, positions, descending: order.descending, keep_equal, keep_nulls: order.nulls_first };
        filter.select(&values, worst, &mut kept)
    };
    if !done {
        return Ok(batch);
    }
    Ok(batch.with_selection(Selection::new(kept)))
}

/// The worst kept key is null: when nulls come first only nulls remain wanted, else every value is.
fn select_around_null(
    column: &Column,
    positions: Option<&[u16]>,
    rows: usize,
    nulls_first: bool,
    keep_equal: bool,
    kept: &mut Vec<u16>,
) {
    let wanted = |position: &u16| if column.is_valid(*position as usize) { !nulls_first } else { keep_equal };
    match positions {
        Some(positions) => kept.extend(positions.iter().copied().filter(wanted)),
        None => kept.extend((0..rows as u16).filter(wanted)),
    }
}

struct Filter<'a> {
    validity: Option<&'a [u64]>,
    positions: Option<&'a [u16]>,
    descending: bool,
    keep_equal: bool,
    keep_nulls: bool,
}

impl Filter<'_> {
    /// Whether the type could be compared; `kept` then holds the positions to keep.
    fn select(&self, values: &Values, worst: &Scalar, kept: &mut Vec<u16>) -> bool {
        macro_rules! select {
            ($values:expr, $worst:expr) => {
                self.select_numbers($values, $worst.image(), kept)
            };
        }
        match (values, worst) {
            (Values::Int8(v), Scalar::Int64(w)) => select!(v, w),
            (Values::Int16(v), Scalar::Int64(w)) => select!(v, w),
            (Values::Int32(v), Scalar::Int64(w)) => select!(v, w),
            (Values::Int64(v), Scalar::Int64(w)) => select!(v, w),
            (Values::Int128(v), Scalar::Int64(w)) => select!(v, (*w as i128)),
            (Values::Int128(v), Scalar::Int128(w)) => select!(v, w),
            (Values::UInt8(v), Scalar::UInt64(w)) => select!(v, w),
            (Values::UInt16(v), Scalar::UInt64(w)) => select!(v, w),
            (Values::UInt32(v), Scalar::UInt64(w)) => select!(v, w),
            (Values::UInt64(v), Scalar::UInt64(w)) => select!(v, w),
            (Values::Float32(v), Scalar::Float32(w)) => select!(v, w),
            (Values::Float64(v), Scalar::Float64(w)) => select!(v, w),
            (Values::View(v), Scalar::Bytes(w)) => {
                // Strings take their place relative to the worst one as an image of 0, 1 or 2.
                let places: Vec<u8> = (0..v.views.len())
                    .map(|i| if self.is_valid(i) { (v.value(i).cmp(w) as i8 + 1) as u8 } else { 0 })
                    .collect();
                select!(&places, 1u8)
            }
            _ => return false,
        }
        true
    }

    fn is_valid(&self, index: usize) -> bool {
        self.validity.is_none_or(|words| words[index / 64] >> (index % 64) & 1 == 1)
    }

    fn select_numbers<T: SortImage>(&self, values: &[T], image: T::Word, kept: &mut Vec<u16>) {
        let threshold =
            Threshold { image, descending: self.descending, keep_equal: self.keep_equal, keep_nulls: self.keep_nulls };
        select_before(values, self.validity, self.positions, &threshold, kept);
    }
}

/// Publishes the value of `column` at `row` when it is tighter than what is published.
pub(super) fn tighten(threshold: &TopNThreshold, column: &Column, row: usize) {
    let value = Scalar::from_column(column, row);
    let tighter = threshold.value().is_none_or(|old| compare(&value, &old, threshold) == Some(Ordering::Less));
    if tighter {
        threshold.tighten(value);
    }
}

/// The order of two values of one type under the threshold's direction; `None` when the type has no cheap order.
fn compare(a: &Scalar, b: &Scalar, order: &TopNThreshold) -> Option<Ordering> {
    fn images<T: SortImage>(a: T, b: T) -> Option<Ordering> {
        Some(a.image().to_u128().cmp(&b.image().to_u128()))
    }
    let null_place = if order.nulls_first { Ordering::Less } else { Ordering::Greater };
    let ascending = match (a, b) {
        (Scalar::Null, Scalar::Null) => return Some(Ordering::Equal),
        (Scalar::Null, _) => return Some(null_place),
        (_, Scalar::Null) => return Some(null_place.reverse()),
        (Scalar::Int64(a), Scalar::Int64(b)) => images(*a, *b),
        (Scalar::UInt64(a), Scalar::UInt64(b)) => images(*a, *b),
        (Scalar::Int128(a), Scalar::Int128(b)) => images(*a, *b),
        (Scalar::Float32(a), Scalar::Float32(b)) => images(*a, *b),
        (Scalar::Float64(a), Scalar::Float64(b)) => images(*a, *b),
        (Scalar::Bytes(a), Scalar::Bytes(b)) => Some(a.cmp(b)),
        _ => None,
    }?;
    Some(if order.descending { ascending.reverse() } else { ascending })
}
