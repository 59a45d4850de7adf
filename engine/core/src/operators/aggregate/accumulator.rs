//! What one aggregate keeps per group: the trait, and counting, summing, averaging, variance, boolean and bit accumulators.
//!
//! State columns (what a partial aggregation hands on): count → count; sum → sum; avg → count, sum; variance → count, mean, m2; min, max, first, last
//! → value (and order keys); boolean and bit → value.

use arrow_buffer::{ScalarBuffer, i256};
use arrow_schema::DataType;
use plasmon_kernels::arithmetic::{min_max_i64, narrow_i128};
use plasmon_kernels::group::{add_f64, add_i64, add_ones};

use super::groups::Tables;
use super::{
    AggregateExpression, AggregateFunction, AggregatePhase, custom, distinct, first_last, min_max, nulls, wide,
};
use crate::batch::{Bitmap, Column, Physical, Values, is_null_type, physical_type};
use crate::error::{Error, Result};

/// State of one aggregate for groups `0..n`; rows come dense (no selection), `groups[i]` is row i's group.
pub(super) trait Accumulator: Send {
    /// Makes room for that many groups; new ones are empty.
    fn resize(&mut self, groups: usize) -> Result<()>;
    /// Takes rows.
    fn update(&mut self, arguments: &[Column], groups: &[u32]) -> Result<()>;
    /// Takes state columns, one row a group of theirs.
    fn merge(&mut self, states: &[Column], groups: &[u32]) -> Result<()>;
    /// Takes what the phase reads.
    fn feed(&mut self, phase: AggregatePhase, columns: &[Column], groups: &[u32]) -> Result<()> {
        if phase.reads_states() { self.merge(columns, groups) } else { self.update(columns, groups) }
    }
    /// State rows of some groups, and for each row the index into `groups` of the group that it belongs to, ascending; `None` = one row each.
    fn state_rows(&mut self, groups: &[u32]) -> Result<(Vec<Column>, Option<Vec<u32>>)> {
        Ok((self.state(groups)?, None))
    }
    /// State columns of some groups.
    fn state(&mut self, groups: &[u32]) -> Result<Vec<Column>>;
    /// Results of some groups; called for each group at most once.
    fn finish(&mut self, groups: std::ops::Range<usize>) -> Result<Column>;
    /// Types of the state columns.
    fn state_types(&self) -> Vec<DataType>;
    /// Bytes held.
    fn memory_bytes(&self) -> usize;
    /// Groups that it holds without allocating.
    fn room(&self) -> usize {
        usize::MAX
    }
    /// Most bytes that rows of these columns add, besides those per group.
    fn growth(&mut self, _columns: &[Column]) -> usize {
        0
    }
    /// Rows that it should be given at once, so that what they add can be told.
    fn rows_at_once(&self) -> usize {
        usize::MAX
    }
    /// Bytes held, and those that giving states or results away takes at once.
    fn footprint(&self) -> usize {
        self.memory_bytes()
    }
    /// As an aggregate of distinct arguments, whose members can be dealt with apart.
    fn as_distinct(&mut self) -> Option<&mut distinct::Distinct> {
        None
    }
}

/// The accumulator of an aggregate call whose arguments have these types.
pub(super) fn accumulator(
    aggregate: &AggregateExpression,
    types: &[DataType],
    tables: Tables,
) -> Result<Box<dyn Accumulator>> {
    let result = &aggregate.data_type;
    let argument = argument_of(&aggregate.function, types)?;
    if aggregate.function.is_computing() && is_null_type(&argument) {
        return Ok(Box::new(nulls::Nulls::new(result.clone())));
    }
    check(&aggregate.function, &argument)?;
    // The extremes and the boolean folds do not care about repetition.
    let repeats_matter = !matches!(
        aggregate.function,
        AggregateFunction::Min
            | AggregateFunction::Max
            | AggregateFunction::BoolAnd
            | AggregateFunction::BoolOr
            | AggregateFunction::BitAnd
            | AggregateFunction::BitOr
    );
    if aggregate.distinct && repeats_matter && !matches!(aggregate.function, AggregateFunction::Custom(_)) {
        let plain = AggregateExpression { distinct: false, ..aggregate.clone() };
        return Ok(Box::new(distinct::Distinct::new(accumulator(&plain, types, tables)?, types, tables)?));
    }
    Ok(match &aggregate.function {
        AggregateFunction::CountAll | AggregateFunction::Count => Box::new(Count::default()),
        AggregateFunction::Sum if physical_type(&argument) == Physical::Int256 => {
            Box::new(wide::Sum::new(result.clone()))
        }
        AggregateFunction::Sum if is_float(&argument) => Box::new(FloatSum::default()),
        AggregateFunction::Sum => Box::new(IntegerSum::new(result.clone())),
        AggregateFunction::Avg if is_float(&argument) => Box::new(FloatAverage::default()),
        AggregateFunction::Avg if physical_type(&argument) == Physical::Int256 => {
            Box::new(wide::Average::new(&argument, result.clone())?)
        }
        AggregateFunction::Avg => Box::new(DecimalAverage::new(&argument, result.clone())?),
        AggregateFunction::Min => min_max::accumulator(&argument, false)?,
        AggregateFunction::Max => min_max::accumulator(&argument, true)?,
        AggregateFunction::VariancePopulation => Box::new(Variance::new(false, false)),
        AggregateFunction::VarianceSample => Box::new(Variance::new(true, false)),
        AggregateFunction::DeviationPopulation => Box::new(Variance::new(false, true)),
        AggregateFunction::DeviationSample => Box::new(Variance::new(true, true)),
        AggregateFunction::First { ignore_nulls } => {
            Box::new(first_last::FirstLast::new(false, *ignore_nulls, argument, &aggregate.order_by)?)
        }
        AggregateFunction::Last { ignore_nulls } => {
            Box::new(first_last::FirstLast::new(true, *ignore_nulls, argument, &aggregate.order_by)?)
        }
        AggregateFunction::BoolAnd => Box::new(Fold::new(result.clone(), |a, b| a & b)),
        AggregateFunction::BoolOr => Box::new(Fold::new(result.clone(), |a, b| a | b)),
        AggregateFunction::BitAnd => Box::new(Fold::new(result.clone(), |a, b| a & b)),
        AggregateFunction::BitOr => Box::new(Fold::new(result.clone(), |a, b| a | b)),
        AggregateFunction::BitXor => Box::new(Fold::new(result.clone(), |a, b| a ^ b)),
        AggregateFunction::Custom(function) => Box::new(custom::Custom::new(function.clone())?),
    })
}

/// The type of the values; Null for functions that need none.
fn argument_of(function: &AggregateFunction, types: &[DataType]) -> Result<DataType> {
    use AggregateFunction::*;
    match (types.first(), function) {
        (Some(first), _) => Ok(first.clone()),
        (None, CountAll | Count | Custom(_)) => Ok(DataType::Null),
        (None, _) => Err(Error::user(format!("{function:?} needs an argument"))),
    }
}

/// Refuses values that the function has no way to compute with.
fn check(function: &AggregateFunction, argument: &DataType) -> Result<()> {
    use AggregateFunction::*;
    use Physical as P;
    let physical = physical_type(argument);
    let fits = match function {
        BoolAnd | BoolOr => physical == P::Boolean,
        BitAnd | BitOr | BitXor => {
            use P::*;
            matches!(physical, Boolean | Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64)
        }
        function if function.is_computing() => !matches!(physical, P::Boolean | P::Interval | P::View | P::Nested),
        _ => true,
    };
    if fits { Ok(()) } else { Err(Error::unsupported(format!("{function:?} over values of type {argument}"))) }
}

fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::Float64)
}

/// The rows that are not null, with their groups; nothing is copied when there is no null.
pub(super) fn without_nulls(
    column: &Column,
    groups: &[u32],
    visit: impl FnOnce(&Column, &[u32]) -> Result<()>,
) -> Result<()> {
    let Some(validity) = column.validity() else { return visit(column, groups) };
    let rows: Vec<u32> = (0..column.len() as u32).filter(|&row| validity.get(row as usize)).collect();
    let groups: Vec<u32> = rows.iter().map(|&row| groups[row as usize]).collect();
    visit(&column.gather(&rows), &groups)
}

pub(super) fn gathered<T: Copy>(values: &[T], groups: &[u32]) -> Vec<T> {
    groups.iter().map(|&g| values[g as usize]).collect()
}

pub(super) fn bits(seen: &[bool], groups: impl ExactSizeIterator<Item = usize> + Clone) -> Option<Bitmap> {
    if groups.clone().all(|g| seen[g]) {
        return None;
    }
    Some(Bitmap::from_bools(groups.map(|g| seen[g])))
}

pub(super) fn wrong_values(column: &Column) -> Error {
    Error::internal(format!("an aggregate over {:?} values", column.physical()))
}

/// Adds a state column of counts.
pub(super) fn add_counts(counts: &mut [i64], state: &Column, groups: &[u32]) -> Result<()> {
    let Values::Int64(more) = state.flat_values() else { return Err(wrong_values(state)) };
    more.iter().zip(groups).for_each(|(&count, &group)| counts[group as usize] += count);
    Ok(())
}

/// `count(*)` and `count(x, …)`.
#[derive(Default)]
struct Count {
    counts: Vec<i64>,
}

impl Accumulator for Count {
    fn resize(&mut self, groups: usize) -> Result<()> {
        self.counts.resize(groups, 0);
        Ok(())
    }

    fn update(&mut self, arguments: &[Column], groups: &[u32]) -> Result<()> {
        let validity = arguments.iter().fold(None, |all, c| Bitmap::and_optional(all.as_ref(), c.validity()));
        match validity {
            None => add_ones(&mut self.counts, groups),
            Some(validity) => {
                let counted: Vec<u32> =
                    groups.iter().enumerate().filter(|(row, _)| validity.get(*row)).map(|(_, &g)| g).collect();
                add_ones(&mut self.counts, &counted);
            }
        }
        Ok(())
    }

    fn merge(&mut self, states: &[Column], groups: &[u32]) -> Result<()> {
        add_counts(&mut self.counts, &states[0], groups)
    }

    fn state(&mut self, groups: &[u32]) -> Result<Vec<Column>> {
        Ok(vec![Column::flat(Values::Int64(gathered(&self.counts, groups).into()))])
    }

    fn finish(&mut self, groups: std::ops::Range<usize>) -> Result<Column> {
        Ok(Column::flat(Values::Int64(self.counts[groups].to_vec().into())))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Int64]
    }

    fn memory_bytes(&self) -> usize {
        self.counts.capacity() * 8
    }

    fn room(&self) -> usize {
        self.counts.capacity()
    }
}

/// Sum of integers or decimals of up to 128 bits, in 128 bits; a result that does not fit its type is an error.
struct IntegerSum {
    result: DataType,
    sums: Vec<i128>,
    seen: Vec<bool>,
}

impl IntegerSum {
    fn new(result: DataType) -> Self {
        IntegerSum { result, sums: Vec::new(), seen: Vec::new() }
    }
}

/// Adds a column of integers (any width) to 128-bit sums: in 64-bit steps when the batch's bounds prove that they hold.
fn add_integers(sums: &mut [i128], column: &Column, groups: &[u32]) -> Result<()> {
    let one_by_one = |sums: &mut [i128], values: &mut dyn Iterator<Item = i128>| -> Result<()> {
        for (value, &group) in values.zip(groups) {
            let sum = &mut sums[group as usize];
            *sum = sum
                .checked_add(value)
                .ok_or_else(|| Error::data("arithmetic overflow: a sum does not fit 128 bits"))?;
        }
        Ok(())
    };
    let small = |sums: &mut [i128], values: &[i64]| add_i64(sums, values, groups);
    match column.flat_values() {
        Values::Int64(v) => {
            let (min, max) = column.bounds.map_or_else(|| min_max_i64(&v), |b| (b.min, b.max));
            let reach = min.unsigned_abs().max(max.unsigned_abs()) as u128 * v.len() as u128;
            if reach <= i64::MAX as u128 {
                small(sums, &v)
            } else {
                return one_by_one(sums, &mut v.iter().map(|&x| x as i128));
            }
        }
        Values::Int32(v) => small(sums, &v.iter().map(|&x| x as i64).collect::<Vec<_>>()),
        Values::Int16(v) => small(sums, &v.iter().map(|&x| x as i64).collect::<Vec<_>>()),
        Values::Int8(v) => small(sums, &v.iter().map(|&x| x as i64).collect::<Vec<_>>()),
        Values::UInt32(v) => small(sums, &v.iter().map(|&x| x as i64).collect::<Vec<_>>()),
        Values::UInt16(v) => small(sums, &v.iter().map(|&x| x as i64).collect::<Vec<_>>()),
        Values::UInt8(v) => small(sums, &v.iter().map(|&x| x as i64).collect::<Vec<_>>()),
        Values::UInt64(v) => return one_by_one(sums, &mut v.iter().map(|&x| x as i128)),
        Values::Int128(v) => return one_by_one(sums, &mut v.iter().copied()),
        _ => return Err(wrong_values(column)),
    }
    Ok(())
}

pub(super) fn mark(seen: &mut [bool], groups: &[u32]) {
    // With few groups all of them are soon marked.
    const FEW_GROUPS: usize = 64;
    if seen.len() <= FEW_GROUPS && seen.iter().all(|s| *s) {
        return;
    }
    groups.iter().for_each(|&g| seen[g as usize] = true);
}

impl Accumulator for IntegerSum {
    fn resize(&mut self, groups: usize) -> Result<()> {
        self.sums.resize(groups, 0);
        self.seen.resize(groups, false);
        Ok(())
    }

    fn update(&mut self, arguments: &[Column], groups: &[u32]) -> Result<()> {
        without_nulls(&arguments[0], groups, |column, groups| {
            mark(&mut self.seen, groups);
            add_integers(&mut self.sums, column, groups)
        })
    }

    fn merge(&mut self, states: &[Column], groups: &[u32]) -> Result<()> {
        self.update(states, groups)
    }

    fn state(&mut self, groups: &[u32]) -> Result<Vec<Column>> {
        let validity = bits(&self.seen, groups.iter().map(|&g| g as usize));
        Ok(vec![Column::flat_with_validity(narrow_sums(gathered(&self.sums, groups)), validity)])
    }

    fn finish(&mut self, groups: std::ops::Range<usize>) -> Result<Column> {
        let validity = bits(&self.seen, groups.clone());
        Ok(Column::flat_with_validity(narrowed(&self.sums[groups], &self.result)?, validity))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Decimal128(38, 0)]
    }

    fn memory_bytes(&self) -> usize {
        self.sums.capacity() * 17
    }

    fn room(&self) -> usize {
        self.sums.capacity()
    }
}

/// Sums as a narrow decimal column when they fit one.
fn narrow_sums(sums: Vec<i128>) -> Values {
    narrow_i128(&sums).map_or_else(|| Values::Int128(sums.into()), |narrow| Values::Int64(narrow.into()))
}

/// 128-bit results in the canonical physical type of `result`, or an error.
fn narrowed(sums: &[i128], result: &DataType) -> Result<Values> {
    let overflow = |sum: i128| Error::data(format!("arithmetic overflow: a sum of {sum} does not fit {result}"));
    Ok(match physical_type(result) {
        Physical::Int64 => Values::Int64(
            sums.iter().map(|&s| i64::try_from(s).map_err(|_| overflow(s))).collect::<Result<Vec<_>>>()?.into(),
        ),
        Physical::UInt64 => Values::UInt64(
            sums.iter().map(|&s| u64::try_from(s).map_err(|_| overflow(s))).collect::<Result<Vec<_>>>()?.into(),
        ),
        Physical::Int32 => Values::Int32(
            sums.iter().map(|&s| i32::try_from(s).map_err(|_| overflow(s))).collect::<Result<Vec<_>>>()?.into(),
        ),
        Physical::Int128 => narrow_sums(sums.to_vec()),
        Physical::Int256 => Values::Int256(sums.iter().map(|&s| i256::from_i128(s)).collect()),
        other => return Err(Error::internal(format!("a sum of type {result} ({other:?})"))),
    })
}

/// Sum of floats, in 64 bits.
#[derive(Default)]
struct FloatSum {
    sums: Vec<f64>,
    seen: Vec<bool>,
}

/// Float values as 64-bit ones.
pub(super) fn doubles(column: &Column) -> Result<ScalarBuffer<f64>> {
    match column.flat_values() {
        Values::Float64(v) => Ok(v),
        Values::Float32(v) => Ok(v.iter().map(|&x| x as f64).collect()),
        Values::Int64(v) => Ok(v.iter().map(|&x| x as f64).collect()),
        _ => Err(wrong_values(column)),
    }
}

impl Accumulator for FloatSum {
    fn resize(&mut self, groups: usize) -> Result<()> {
        self.sums.resize(groups, 0.0);
        self.seen.resize(groups, false);
        Ok(())
    }

    fn update(&mut self, arguments: &[Column], groups: &[u32]) -> Result<()> {
        without_nulls(&arguments[0], groups, |column, groups| {
            mark(&mut self.seen, groups);
            add_f64(&mut self.sums, &doubles(column)?, groups);
            Ok(())
        })
    }

    fn merge(&mut self, states: &[Column], groups: &[u32]) -> Result<()> {
        self.update(states, groups)
    }

    fn state(&mut self, groups: &[u32]) -> Result<Vec<Column>> {
        let validity = bits(&self.seen, groups.iter().map(|&g| g as usize));
        Ok(vec![Column::flat_with_validity(Values::Float64(gathered(&self.sums, groups).into()), validity)])
    }

    fn finish(&mut self, groups: std::ops::Range<usize>) -> Result<Column> {
        let validity = bits(&self.seen, groups.clone());
        let sums = &self.sums[groups];
        let values = Values::Float64(sums.to_vec().into());
        Ok(Column::flat_with_validity(values, validity))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Float64]
    }

    fn memory_bytes(&self) -> usize {
        self.sums.capacity() * 9
    }

    fn room(&self) -> usize {
        self.sums.capacity()
    }
}

/// Average of floats.
#[derive(Default)]
struct FloatAverage {
    counts: Vec<i64>,
    sums: Vec<f64>,
}

impl Accumulator for FloatAverage {
    fn resize(&mut self, groups: usize) -> Result<()> {
        self.counts.resize(groups, 0);
        self.sums.resize(groups, 0.0);
        Ok(())
    }

    fn update(&mut self, arguments: &[Column], groups: &[u32]) -> Result<()> {
        without_nulls(&arguments[0], groups, |column, groups| {
            add_ones(&mut self.counts, groups);
            add_f64(&mut self.sums, &doubles(column)?, groups);
            Ok(())
        })
    }

    fn merge(&mut self, states: &[Column], groups: &[u32]) -> Result<()> {
        add_counts(&mut self.counts, &states[0], groups)?;
        add_f64(&mut self.sums, &doubles(&states[1])?, groups);
        Ok(())
    }

    fn state(&mut self, groups: &[u32]) -> Result<Vec<Column>> {
        let counts = Column::flat(Values::Int64(gathered(&self.counts, groups).into()));
        Ok(vec![counts, Column::flat(Values::Float64(gathered(&self.sums, groups).into()))])
    }

    fn finish(&mut self, groups: std::ops::Range<usize>) -> Result<Column> {
        let validity = Some(Bitmap::from_bools(groups.clone().map(|g| self.counts[g] > 0)));
        let values = groups.map(|g| self.sums[g] / self.counts[g] as f64).collect();
        Ok(Column::flat_with_validity(Values::Float64(values), validity))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Int64, DataType::Float64]
    }

    fn memory_bytes(&self) -> usize {
        self.sums.capacity() * 16
    }

    fn room(&self) -> usize {
        self.sums.capacity()
    }
}

/// Average of decimals (and durations): a 128-bit sum, divided with rounding half away from zero at the result's scale.
struct DecimalAverage {
    result: DataType,
    /// [`average_factor`].
    factor: i256,
    counts: Vec<i64>,
    sums: Vec<i128>,
}

impl DecimalAverage {
    fn new(argument: &DataType, result: DataType) -> Result<Self> {
        let factor = average_factor(argument, &result)?;
        Ok(DecimalAverage { result, factor, counts: Vec::new(), sums: Vec::new() })
    }
}

/// `sum × factor / count`, rounded half away from zero; `None` when it does not fit 256 bits.
pub(super) fn average(sum: i256, count: i64, factor: i256) -> Option<i256> {
    crate::expression::divide_rounded(sum.checked_mul(factor)?, i256::from_i128(count.max(1) as i128))
}

pub(super) fn no_fit(result: &DataType) -> Error {
    Error::data(format!("arithmetic overflow: an average does not fit {result}"))
}

/// What a sum is multiplied by before it is divided by the count: 10^(result scale − argument scale).
pub(super) fn average_factor(argument: &DataType, result: &DataType) -> Result<i256> {
    let scale = |t: &DataType| match t {
        DataType::Decimal32(_, s)
        | DataType::Decimal64(_, s)
        | DataType::Decimal128(_, s)
        | DataType::Decimal256(_, s) => *s as i32,
        _ => 0,
    };
    let shift = u32::try_from(scale(result) - scale(argument))
        .map_err(|_| Error::unsupported(format!("avg of {argument} as {result}")))?;
    Ok(i256::from_i128(10).wrapping_pow(shift))
}

impl Accumulator for DecimalAverage {
    fn resize(&mut self, groups: usize) -> Result<()> {
        self.counts.resize(groups, 0);
        self.sums.resize(groups, 0);
        Ok(())
    }

    fn update(&mut self, arguments: &[Column], groups: &[u32]) -> Result<()> {
        without_nulls(&arguments[0], groups, |column, groups| {
            add_ones(&mut self.counts, groups);
            add_integers(&mut self.sums, column, groups)
        })
    }

    fn merge(&mut self, states: &[Column], groups: &[u32]) -> Result<()> {
        add_counts(&mut self.counts, &states[0], groups)?;
        add_integers(&mut self.sums, &states[1], groups)
    }

    fn state(&mut self, groups: &[u32]) -> Result<Vec<Column>> {
        let counts = Column::flat(Values::Int64(gathered(&self.counts, groups).into()));
        Ok(vec![counts, Column::flat(narrow_sums(gathered(&self.sums, groups)))])
    }

    fn finish(&mut self, groups: std::ops::Range<usize>) -> Result<Column> {
        let validity = Some(Bitmap::from_bools(groups.clone().map(|g| self.counts[g] > 0)));
        let averages = groups
            .map(|g| average(i256::from_i128(self.sums[g]), self.counts[g], self.factor).and_then(|v| v.to_i128()))
            .map(|v| v.ok_or_else(|| no_fit(&self.result)))
            .collect::<Result<Vec<_>>>()?;
        Ok(Column::flat_with_validity(narrowed(&averages, &self.result)?, validity))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Int64, DataType::Decimal128(38, 0)]
    }

    fn memory_bytes(&self) -> usize {
        self.sums.capacity() * 24
    }

    fn room(&self) -> usize {
        self.sums.capacity()
    }
}

/// Variance and standard deviation by Welford's update and Chan's merge (numerically stable).
struct Variance {
    sample: bool,
    deviation: bool,
    counts: Vec<f64>,
    means: Vec<f64>,
    squares: Vec<f64>,
}

impl Variance {
    fn new(sample: bool, deviation: bool) -> Self {
        Variance { sample, deviation, counts: Vec::new(), means: Vec::new(), squares: Vec::new() }
    }
}

impl Accumulator for Variance {
    fn resize(&mut self, groups: usize) -> Result<()> {
        self.counts.resize(groups, 0.0);
        self.means.resize(groups, 0.0);
        self.squares.resize(groups, 0.0);
        Ok(())
    }

    fn update(&mut self, arguments: &[Column], groups: &[u32]) -> Result<()> {
        without_nulls(&arguments[0], groups, |column, groups| {
            for (&value, &group) in doubles(column)?.iter().zip(groups) {
                let g = group as usize;
                self.counts[g] += 1.0;
                let delta = value - self.means[g];
                self.means[g] += delta / self.counts[g];
                self.squares[g] += delta * (value - self.means[g]);
            }
            Ok(())
        })
    }

    fn merge(&mut self, states: &[Column], groups: &[u32]) -> Result<()> {
        let (counts, means, squares) = (doubles(&states[0])?, doubles(&states[1])?, doubles(&states[2])?);
        for (row, &group) in groups.iter().enumerate().filter(|(row, _)| counts[*row] > 0.0) {
            let g = group as usize;
            let total = self.counts[g] + counts[row];
            let delta = means[row] - self.means[g];
            self.squares[g] += squares[row] + delta * delta * self.counts[g] * counts[row] / total;
            self.means[g] += delta * counts[row] / total;
            self.counts[g] = total;
        }
        Ok(())
    }

    fn state(&mut self, groups: &[u32]) -> Result<Vec<Column>> {
        let column = |values: &[f64]| Column::flat(Values::Float64(gathered(values, groups).into()));
        Ok(vec![column(&self.counts), column(&self.means), column(&self.squares)])
    }

    fn finish(&mut self, groups: std::ops::Range<usize>) -> Result<Column> {
        let least = if self.sample { 2.0 } else { 1.0 };
        let validity = Some(Bitmap::from_bools(groups.clone().map(|g| self.counts[g] >= least)));
        let values = groups.map(|g| {
            let variance = self.squares[g] / if self.sample { self.counts[g] - 1.0 } else { self.counts[g] };
            if self.deviation { variance.sqrt() } else { variance }
        });
        Ok(Column::flat_with_validity(Values::Float64(values.collect()), validity))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Float64; 3]
    }

    fn memory_bytes(&self) -> usize {
        self.counts.capacity() * 24
    }

    fn room(&self) -> usize {
        self.counts.capacity()
    }
}

/// Bit-wise folds of integers, and of booleans as 0 and 1.
struct Fold {
    result: DataType,
    combine: fn(i64, i64) -> i64,
    values: Vec<i64>,
    seen: Vec<bool>,
}

impl Fold {
    fn new(result: DataType, combine: fn(i64, i64) -> i64) -> Self {
        Fold { result, combine, values: Vec::new(), seen: Vec::new() }
    }

    fn column(&self, groups: &[u32]) -> Result<Column> {
        let v = gathered(&self.values, groups);
        let values = match physical_type(&self.result) {
            Physical::Boolean => Values::Boolean(Bitmap::from_bools(v.iter().map(|&x| x & 1 == 1))),
            Physical::Int8 => Values::Int8(v.iter().map(|&x| x as i8).collect()),
            Physical::Int16 => Values::Int16(v.iter().map(|&x| x as i16).collect()),
            Physical::Int32 => Values::Int32(v.iter().map(|&x| x as i32).collect()),
            Physical::Int64 => Values::Int64(v.into()),
            Physical::UInt8 => Values::UInt8(v.iter().map(|&x| x as u8).collect()),
            Physical::UInt16 => Values::UInt16(v.iter().map(|&x| x as u16).collect()),
            Physical::UInt32 => Values::UInt32(v.iter().map(|&x| x as u32).collect()),
            Physical::UInt64 => Values::UInt64(v.iter().map(|&x| x as u64).collect()),
            other => return Err(Error::unsupported(format!("bit aggregate over {other:?} values"))),
        };
        Ok(Column::flat_with_validity(values, bits(&self.seen, groups.iter().map(|&g| g as usize))))
    }
}

impl Accumulator for Fold {
    fn resize(&mut self, groups: usize) -> Result<()> {
        self.values.resize(groups, 0);
        self.seen.resize(groups, false);
        Ok(())
    }

    fn update(&mut self, arguments: &[Column], groups: &[u32]) -> Result<()> {
        without_nulls(&arguments[0], groups, |column, groups| {
            let mut fold = |row: usize, value: i64| {
                let g = groups[row] as usize;
                self.values[g] = if self.seen[g] { (self.combine)(self.values[g], value) } else { value };
                self.seen[g] = true;
            };
            match column.flat_values() {
                Values::Boolean(v) => (0..v.len()).for_each(|row| fold(row, i64::from(v.get(row)))),
                Values::Int8(v) => v.iter().enumerate().for_each(|(row, &x)| fold(row, x as i64)),
                Values::Int16(v) => v.iter().enumerate().for_each(|(row, &x)| fold(row, x as i64)),
                Values::Int32(v) => v.iter().enumerate().for_each(|(row, &x)| fold(row, x as i64)),
                Values::Int64(v) => v.iter().enumerate().for_each(|(row, &x)| fold(row, x)),
                Values::UInt8(v) => v.iter().enumerate().for_each(|(row, &x)| fold(row, x as i64)),
                Values::UInt16(v) => v.iter().enumerate().for_each(|(row, &x)| fold(row, x as i64)),
                Values::UInt32(v) => v.iter().enumerate().for_each(|(row, &x)| fold(row, x as i64)),
                Values::UInt64(v) => v.iter().enumerate().for_each(|(row, &x)| fold(row, x as i64)),
                _ => return Err(wrong_values(column)),
            }
            Ok(())
        })
    }

    fn merge(&mut self, states: &[Column], groups: &[u32]) -> Result<()> {
        self.update(states, groups)
    }

    fn state(&mut self, groups: &[u32]) -> Result<Vec<Column>> {
        Ok(vec![self.column(groups)?])
    }

    fn finish(&mut self, groups: std::ops::Range<usize>) -> Result<Column> {
        self.column(&groups.map(|g| g as u32).collect::<Vec<_>>())
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![self.result.clone()]
    }

    fn memory_bytes(&self) -> usize {
        self.values.capacity() * 9
    }

    fn room(&self) -> usize {
        self.values.capacity()
    }
}
