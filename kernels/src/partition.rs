//! Hashes → the rows of each partition: for exchanges, partitioned files, spilling. Called once a batch.
//!
//! A partition is a range of hashes (multiply and shift: any number of partitions, no division), so that it shares its bits with hash directories and not with
//! Bloom filters; see the bit budget in `hash.rs`. Rows of one partition keep their order. Benchmark: `partition` of `benchmarks/benches/kernels`.

/// The partition of a hash, below `partitions`.
#[inline(always)]
pub fn partition_of(hash: u64, partitions: u32) -> u32 {
    ((hash >> 32) * partitions as u64 >> 32) as u32
}

/// Rows of all partitions, one partition after the other: those of partition `p` are `rows[ends[p - 1]..ends[p]]` (from 0 for the first).
/// At most 65,536 hashes.
pub fn partition_rows(hashes: &[u64], partitions: u32, rows: &mut Vec<u16>, ends: &mut Vec<u32>) {
    assert!(hashes.len() <= 1 << 16 && partitions > 0, "{} hashes, {partitions} partitions", hashes.len());
    let mut targets = Vec::with_capacity(hashes.len());
    targets_tiered(hashes, partitions, &mut targets);
    rows_of_targets(&targets, partitions, |row| row as u16, rows, ends);
}

/// As [`partition_rows`], of rows whose partition, below `partitions`, is told. `number` is the form that a row's number is wanted in.
pub fn rows_of_targets<R: Copy + Default>(
    targets: &[u32],
    partitions: u32,
    number: impl Fn(usize) -> R,
    rows: &mut Vec<R>,
    ends: &mut Vec<u32>,
) {
    ends.clear();
    ends.resize(partitions as usize, 0);
    targets.iter().for_each(|&target| ends[target as usize] += 1);
    let mut start = 0;
    for end in ends.iter_mut() {
        start += std::mem::replace(end, start);
    }
    rows.clear();
    rows.resize(targets.len(), R::default());
    for (row, &target) in targets.iter().enumerate() {
        let end = &mut ends[target as usize];
        rows[*end as usize] = number(row);
        *end += 1;
    }
}

crate::tiered! { fn targets_tiered(hashes: &[u64], partitions: u32, out: &mut Vec<u32>) = targets_body; }

#[inline(always)]
fn targets_body(hashes: &[u64], partitions: u32, out: &mut Vec<u32>) {
    out.extend(hashes.iter().map(|&hash| partition_of(hash, partitions)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_row_is_in_its_partition_in_order(hashes in prop::collection::vec(any::<u64>(), 0..300), partitions in 1u32..70) {
            for tier in crate::isa::tiers() {
                let (mut rows, mut ends) = (vec![7], vec![7]);
                crate::isa::with_tier(tier, || partition_rows(&hashes, partitions, &mut rows, &mut ends));
                prop_assert_eq!(ends.len(), partitions as usize);
                let mut start = 0;
                for (partition, &end) in ends.iter().enumerate() {
                    let in_it = |row: &usize| (hashes[*row] as u128 * partitions as u128 >> 64) as usize == partition;
                    // The same but for the low half of the hash, which the kernel leaves out.
                    let near = |row: &usize| partition_of(hashes[*row], partitions) as usize == partition;
                    let expected: Vec<u16> = (0..hashes.len()).filter(near).map(|row| row as u16).collect();
                    prop_assert!((0..hashes.len()).filter(in_it).count().abs_diff(expected.len()) <= 1);
                    prop_assert_eq!(&rows[start as usize..end as usize], &expected[..]);
                    start = end;
                }
            }
        }
    }
}
