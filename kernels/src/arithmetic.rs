//! Element-wise binary operations over slices and constants; bounds of slices.
//!
//! A side is a slice or one constant. The operation is any closure: it is inlined into a loop compiled per tier, so that plain
//! arithmetic vectorizes. Checked operations return whether any lane overflowed, also at positions that do not count: the caller then looks closer.
//! Benchmarks: `benchmarks/benches/kernels`.

/// One input of a binary operation.
#[derive(Debug, Clone, Copy)]
pub enum Side<'a, T> {
    /// One value per row.
    Slice(&'a [T]),
    /// The same value for every row.
    Constant(T),
}

impl<T: Copy> Side<'_, T> {
    /// The value of one row.
    #[inline(always)]
    pub fn get(&self, row: usize) -> T {
        match self {
            Side::Slice(values) => values[row],
            Side::Constant(value) => *value,
        }
    }
}

/// `f(left[i], right[i])` for `rows` rows.
pub fn map2<A: Copy, B: Copy, R: Copy, F: Fn(A, B) -> R>(
    left: Side<'_, A>,
    right: Side<'_, B>,
    rows: usize,
    f: F,
) -> Vec<R> {
    let mut out = Vec::with_capacity(rows);
    match (left, right) {
        (Side::Slice(l), Side::Slice(r)) => {
            assert!(l.len() == rows && r.len() == rows, "sides of {} and {} rows, {rows} wanted", l.len(), r.len());
            map_slices(l, r, f, &mut out);
        }
        (Side::Slice(l), Side::Constant(r)) => {
            assert_eq!(l.len(), rows);
            map_slice(l, |l| f(l, r), &mut out);
        }
        (Side::Constant(l), Side::Slice(r)) => {
            assert_eq!(r.len(), rows);
            map_slice(r, |r| f(l, r), &mut out);
        }
        (Side::Constant(l), Side::Constant(r)) => out.resize(rows, f(l, r)),
    }
    out
}

crate::tiered! { fn map_slices<A: Copy, B: Copy, R: Copy, F: Fn(A, B) -> R>(left: &[A], right: &[B], f: F, out: &mut Vec<R>) = map_slices_body::<A, B, R, F>; }
crate::tiered! { fn map_slice<A: Copy, R: Copy, F: Fn(A) -> R>(values: &[A], f: F, out: &mut Vec<R>) = map_slice_body::<A, R, F>; }

#[inline(always)]
fn map_slices_body<A: Copy, B: Copy, R: Copy, F: Fn(A, B) -> R>(left: &[A], right: &[B], f: F, out: &mut Vec<R>) {
    out.extend(left.iter().zip(right).map(|(&l, &r)| f(l, r)));
}

#[inline(always)]
fn map_slice_body<A: Copy, R: Copy, F: Fn(A) -> R>(values: &[A], f: F, out: &mut Vec<R>) {
    out.extend(values.iter().map(|&v| f(v)));
}

/// `f(values[i])` for every row.
pub fn map1<A: Copy, R: Copy, F: Fn(A) -> R>(values: &[A], f: F) -> Vec<R> {
    let mut out = Vec::with_capacity(values.len());
    map_slice(values, f, &mut out);
    out
}

/// Like [`map2`] with an operation that also tells whether it overflowed; true when any lane did.
pub fn map2_checked<T: Copy, F: Fn(T, T) -> (T, bool)>(
    left: Side<'_, T>,
    right: Side<'_, T>,
    rows: usize,
    f: F,
) -> (Vec<T>, bool) {
    let mut out = Vec::with_capacity(rows);
    let overflow = match (left, right) {
        (Side::Slice(l), Side::Slice(r)) => {
            assert!(l.len() == rows && r.len() == rows, "sides of {} and {} rows, {rows} wanted", l.len(), r.len());
            map_slices_checked(l, r, f, &mut out)
        }
        (Side::Slice(l), Side::Constant(r)) => {
            assert_eq!(l.len(), rows);
            map_slice_checked(l, |l| f(l, r), &mut out)
        }
        (Side::Constant(l), Side::Slice(r)) => {
            assert_eq!(r.len(), rows);
            map_slice_checked(r, |r| f(l, r), &mut out)
        }
        (Side::Constant(l), Side::Constant(r)) => {
            let (value, overflow) = f(l, r);
            out.resize(rows, value);
            overflow && rows > 0
        }
    };
    (out, overflow)
}

// No tiers: under wider instructions the compiler neither vectorizes these nor keeps the operation inlined (7 times slower, see the `arithmetic` benchmark).
fn map_slices_checked<T: Copy, F: Fn(T, T) -> (T, bool)>(left: &[T], right: &[T], f: F, out: &mut Vec<T>) -> bool {
    let mut overflow = false;
    out.extend(left.iter().zip(right).map(|(&l, &r)| {
        let (value, wrapped) = f(l, r);
        overflow |= wrapped;
        value
    }));
    overflow
}

fn map_slice_checked<T: Copy, F: Fn(T) -> (T, bool)>(values: &[T], f: F, out: &mut Vec<T>) -> bool {
    let mut overflow = false;
    out.extend(values.iter().map(|&value| {
        let (value, wrapped) = f(value);
        overflow |= wrapped;
        value
    }));
    overflow
}

/// The values in 64 bits, when all of them fit.
pub fn narrow_i128(values: &[i128]) -> Option<Vec<i64>> {
    let mut out = Vec::with_capacity(values.len());
    narrow_tiered(values, &mut out).then_some(out)
}

crate::tiered! { fn narrow_tiered(values: &[i128], out: &mut Vec<i64>) -> bool = narrow_body; }

#[inline(always)]
fn narrow_body(values: &[i128], out: &mut Vec<i64>) -> bool {
    // A value fits when its upper half repeats the sign of the lower one.
    let mut misfit = 0i64;
    out.extend(values.iter().map(|&v| {
        misfit |= (v >> 64) as i64 ^ (v as i64 >> 63);
        v as i64
    }));
    misfit == 0
}

crate::tiered! {
    /// Smallest and greatest value; `(i64::MAX, i64::MIN)` of nothing.
    pub fn min_max_i64(values: &[i64]) -> (i64, i64) = min_max_body;
}

#[inline(always)]
fn min_max_body(values: &[i64]) -> (i64, i64) {
    values.iter().fold((i64::MAX, i64::MIN), |(min, max), &v| (min.min(v), max.max(v)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn maps_agree_with_the_operator(left in prop::collection::vec(any::<i64>(), 0..100), constant in any::<i64>()) {
            let right: Vec<i64> = left.iter().rev().copied().collect();
            let rows = left.len();
            let expected: Vec<i64> = left.iter().zip(&right).map(|(a, b)| a.wrapping_mul(*b)).collect();
            prop_assert_eq!(map2(Side::Slice(&left), Side::Slice(&right), rows, i64::wrapping_mul), expected);
            let expected: Vec<i64> = left.iter().map(|a| a.wrapping_sub(constant)).collect();
            prop_assert_eq!(map2(Side::Slice(&left), Side::Constant(constant), rows, i64::wrapping_sub), expected);
            let expected: Vec<i64> = left.iter().map(|a| constant.wrapping_sub(*a)).collect();
            prop_assert_eq!(map2(Side::Constant(constant), Side::Slice(&left), rows, i64::wrapping_sub), expected);
            let (_, overflow) = map2_checked(Side::Slice(&left), Side::Slice(&right), rows, i64::overflowing_add);
            prop_assert_eq!(overflow, left.iter().zip(&right).any(|(a, b)| a.checked_add(*b).is_none()));
            let bounds = (left.iter().copied().min().unwrap_or(i64::MAX), left.iter().copied().max().unwrap_or(i64::MIN));
            prop_assert_eq!(min_max_i64(&left), bounds);
        }

        #[test]
        fn narrowing_keeps_values_or_refuses(small in prop::collection::vec(any::<i64>(), 0..50), wide in any::<i128>(), put in any::<bool>()) {
            let mut values: Vec<i128> = small.iter().map(|&v| v as i128).collect();
            if put {
                values.push(wide);
            }
            let expected: Option<Vec<i64>> = values.iter().map(|&v| i64::try_from(v).ok()).collect();
            prop_assert_eq!(narrow_i128(&values), expected);
        }
    }
}
