//! Partial aggregates of frames: how those of parts of a frame become that of the frame, and the column they end as.

use arrow_buffer::i256;
use arrow_schema::DataType;
use plasmon_kernels::window::fold::{Bits, FloatSum, Fold, IntegerSum, Moments, fold_frames};
use plasmon_kernels::window::frame::Frames;

use super::function::integer_column;
use crate::batch::{Bitmap, Column, Physical, Values, physical_type};
use crate::error::{Error, Result};
use crate::expression::divide_rounded;
use crate::operators::aggregate::AggregateFunction;

/// One partial aggregate per frame. Counts, and boolean aggregates, are integer sums.
#[derive(Debug)]
pub(super) enum Folded {
    Integers(Vec<IntegerSum>),
    Floats(Vec<FloatSum>),
    Wide(Vec<WideSum>),
    Moments(Vec<Moments>),
    And(Vec<Bits<0>>),
    Or(Vec<Bits<1>>),
    Xor(Vec<Bits<2>>),
}

/// The same of any kind, or of two that are of one kind.
macro_rules! of_each {
    ($folded:expr, $v:ident => $body:expr) => {
        match $folded {
            Folded::Integers($v) => Folded::Integers($body),
            Folded::Floats($v) => Folded::Floats($body),
            Folded::Wide($v) => Folded::Wide($body),
            Folded::Moments($v) => Folded::Moments($body),
            Folded::And($v) => Folded::And($body),
            Folded::Or($v) => Folded::Or($body),
            Folded::Xor($v) => Folded::Xor($body),
        }
    };
    ($a:expr, $b:expr, $v:ident, $w:ident => $body:expr) => {
        match ($a, $b) {
            (Folded::Integers($v), Folded::Integers($w)) => Ok(Folded::Integers($body)),
            (Folded::Floats($v), Folded::Floats($w)) => Ok(Folded::Floats($body)),
            (Folded::Wide($v), Folded::Wide($w)) => Ok(Folded::Wide($body)),
            (Folded::Moments($v), Folded::Moments($w)) => Ok(Folded::Moments($body)),
            (Folded::And($v), Folded::And($w)) => Ok(Folded::And($body)),
            (Folded::Or($v), Folded::Or($w)) => Ok(Folded::Or($body)),
            (Folded::Xor($v), Folded::Xor($w)) => Ok(Folded::Xor($body)),
            _ => Err(Error::internal("partial aggregates of two kinds")),
        }
    };
}

impl Folded {
    /// Those of frames of these: a partial aggregate is a row.
    pub(super) fn in_frames(&self, frames: &Frames) -> Folded {
        of_each!(self, v => fold_frames(frames, v.len(), |row| v[row as usize]))
    }

    /// Each with that of the rows behind its own.
    pub(super) fn merged(&self, behind: &Folded) -> Result<Folded> {
        of_each!(self, behind, v, w => v.iter().zip(w).map(|(a, b)| a.merge(*b)).collect())
    }

    /// The `index`-th, `len` times.
    pub(super) fn repeated(&self, index: usize, len: usize) -> Folded {
        of_each!(self, v => vec![v[index]; len])
    }

    /// These, then `more`.
    pub(super) fn followed_by(self, more: Folded) -> Result<Folded> {
        of_each!(self, more, v, w => {
            let (mut all, mut rest) = (v, w);
            all.append(&mut rest);
            all
        })
    }

    /// The values of `aggregate` over an argument of a type; null where nothing was counted.
    pub(super) fn finish(
        self,
        aggregate: &AggregateFunction,
        argument: Option<&DataType>,
        result: &DataType,
    ) -> Result<Column> {
        use AggregateFunction as F;
        let scales = (argument.and_then(scale), scale(result));
        match (aggregate, self) {
            (F::Count | F::CountAll, Folded::Integers(v)) => {
                integer_column(v.iter().map(|s| i128::from(s.count)), None, result)
            }
            (F::Sum, Folded::Integers(v)) => {
                integer_column(v.iter().map(|s| s.sum), non_empty(&v, |s| s.count), result)
            }
            (F::Sum, Folded::Floats(v)) => Ok(float_column(v.iter().map(|s| s.sum), non_empty(&v, |s| s.count))),
            (F::Sum, Folded::Wide(v)) => {
                let sums = Values::Int256(v.iter().map(|s| s.sum).collect());
                Ok(Column::flat_with_validity(sums, non_empty(&v, |s| s.count)))
            }
            (F::Avg, Folded::Floats(v)) => {
                Ok(float_column(v.iter().map(|s| s.sum / s.count as f64), non_empty(&v, |s| s.count)))
            }
            (F::Avg, Folded::Wide(v)) => {
                let shift = scales.1.unwrap_or(0) - scales.0.unwrap_or(0);
                decimal_average(v.iter().map(|s| (s.sum, s.count)), shift, result)
            }
            (F::Avg, Folded::Integers(v)) => match scales {
                (Some(from), Some(to)) => {
                    decimal_average(v.iter().map(|s| (i256::from_i128(s.sum), s.count)), to - from, result)
                }
                (from, _) => {
                    let unit = 10f64.powi(from.unwrap_or(0));
                    let averages = v.iter().map(|s| s.sum as f64 / unit / s.count as f64);
                    Ok(float_column(averages, non_empty(&v, |s| s.count)))
                }
            },
            (F::VariancePopulation, Folded::Moments(v)) => Ok(deviation(&v, 0.0, false)),
            (F::VarianceSample, Folded::Moments(v)) => Ok(deviation(&v, 1.0, false)),
            (F::DeviationPopulation, Folded::Moments(v)) => Ok(deviation(&v, 0.0, true)),
            (F::DeviationSample, Folded::Moments(v)) => Ok(deviation(&v, 1.0, true)),
            (F::BoolAnd, Folded::Integers(v)) => Ok(boolean(&v, true)),
            (F::BoolOr, Folded::Integers(v)) => Ok(boolean(&v, false)),
            (F::BitAnd, Folded::And(v)) => bits(&v, argument, result),
            (F::BitOr, Folded::Or(v)) => bits(&v, argument, result),
            (F::BitXor, Folded::Xor(v)) => bits(&v, argument, result),
            (other, _) => Err(Error::internal(format!("{other:?} is not what was folded"))),
        }
    }
}

fn non_empty<F>(folds: &[F], count: impl Fn(&F) -> u64) -> Option<Bitmap> {
    Some(Bitmap::from_bools(folds.iter().map(|fold| count(fold) > 0)))
}

fn float_column(values: impl Iterator<Item = f64>, validity: Option<Bitmap>) -> Column {
    Column::flat_with_validity(Values::Float64(values.collect()), validity)
}

/// `sum × 10^shift / count`, rounded half away from zero as grouped averages are.
fn decimal_average(sums: impl ExactSizeIterator<Item = (i256, u64)>, shift: i32, result: &DataType) -> Result<Column> {
    let too_large = || Error::data(format!("a window average does not fit {result}"));
    let unit = i256::from_i128(10).wrapping_pow(shift.max(0) as u32);
    let mut present = Vec::with_capacity(sums.len());
    let averages = sums
        .map(|(sum, count)| {
            present.push(count > 0);
            let scaled = sum.checked_mul(unit).ok_or_else(too_large)?;
            Ok(divide_rounded(scaled, i256::from_i128(count.max(1) as i128)).unwrap_or(i256::ZERO))
        })
        .collect::<Result<Vec<i256>>>()?;
    let validity = Some(Bitmap::from_bools(present.into_iter()));
    if physical_type(result) == Physical::Int256 {
        return Ok(Column::flat_with_validity(Values::Int256(averages.into()), validity));
    }
    let fits = averages.iter().map(|v| v.to_i128().ok_or_else(too_large)).collect::<Result<Vec<i128>>>()?;
    integer_column(fits.into_iter(), validity, result)
}

/// Variance (or its root) with `lost` degrees of freedom; null below that many values plus one.
fn deviation(moments: &[Moments], lost: f64, root: bool) -> Column {
    let validity = Bitmap::from_bools(moments.iter().map(|m| m.count > lost));
    let results = moments.iter().map(|m| {
        let variance = m.squares / (m.count - lost);
        if root { variance.sqrt() } else { variance }
    });
    float_column(results, Some(validity))
}

/// The sums are of decisive rows: false ones for AND, true ones for OR.
fn boolean(decisive: &[IntegerSum], all: bool) -> Column {
    let results = Bitmap::from_bools(decisive.iter().map(|s| (s.sum > 0) != all));
    Column::flat_with_validity(Values::Boolean(results), non_empty(decisive, |s| s.count))
}

fn bits<const OPERATION: u8>(
    folds: &[Bits<OPERATION>],
    argument: Option<&DataType>,
    result: &DataType,
) -> Result<Column> {
    let signed = argument.is_none_or(|t| !t.is_unsigned_integer());
    let value = |f: &Bits<OPERATION>| if signed { f.bits as i64 as i128 } else { f.bits as i128 };
    integer_column(folds.iter().map(value), non_empty(folds, |f| f.count), result)
}

/// Digits after the point of a decimal type.
pub(super) fn scale(data_type: &DataType) -> Option<i32> {
    match data_type {
        DataType::Decimal32(_, s)
        | DataType::Decimal64(_, s)
        | DataType::Decimal128(_, s)
        | DataType::Decimal256(_, s) => Some(*s as i32),
        _ => None,
    }
}

/// Sum of 256-bit decimals.
#[derive(Debug, Clone, Copy)]
pub(super) struct WideSum {
    pub(super) sum: i256,
    pub(super) count: u64,
}

impl Fold for WideSum {
    const EMPTY: Self = WideSum { sum: i256::ZERO, count: 0 };
    fn merge(self, other: Self) -> Self {
        WideSum { sum: self.sum.wrapping_add(other.sum), count: self.count + other.count }
    }
}
