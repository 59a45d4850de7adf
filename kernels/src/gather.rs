//! Values at positions → values in a row: payload of joins, selected rows, dictionary look-ups.
//!
//! One pass finds the largest position and asserts it in range, so that the copying loop needs no bounds check per element.
//! Benchmarks: `benchmarks/benches/kernels`.

/// A position: rows of a batch (`u16`), codes and build rows (`u32`).
pub trait Position: Copy {
    /// As an index.
    fn index(self) -> usize;
}
impl Position for u16 {
    #[inline(always)]
    fn index(self) -> usize {
        self as usize
    }
}
impl Position for u32 {
    #[inline(always)]
    fn index(self) -> usize {
        self as usize
    }
}

/// `source[p]` for each position; panics when a position is out of range (a caller's bug).
pub fn gather<T: Copy, P: Position>(source: &[T], positions: &[P]) -> Vec<T> {
    let mut out = Vec::with_capacity(positions.len());
    gather_tiered(source, positions, &mut out);
    out
}

crate::tiered! { fn gather_tiered<T: Copy, P: Position>(source: &[T], positions: &[P], out: &mut Vec<T>) = gather_body::<T, P>; }

#[inline(always)]
fn gather_body<T: Copy, P: Position>(source: &[T], positions: &[P], out: &mut Vec<T>) {
    let greatest = positions.iter().map(|p| p.index()).fold(0, usize::max);
    assert!(positions.is_empty() || greatest < source.len(), "position {greatest} of {} values", source.len());
    // SAFETY: every position is at most `greatest`, which is in range.
    out.extend(positions.iter().map(|p| unsafe { *source.get_unchecked(p.index()) }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_in_order_and_checks_range() {
        let source: Vec<u64> = (0..100).map(|i| i * 3).collect();
        assert_eq!(gather(&source, &[5u16, 0, 99, 5]), vec![15, 0, 297, 15]);
        assert_eq!(gather(&source, &[99u32]), vec![297]);
        assert!(gather(&[] as &[u8], &[] as &[u16]).is_empty());
        assert!(std::panic::catch_unwind(|| gather(&source, &[100u16])).is_err());
    }
}
