//! Row numbers and ranks of sorted rows.

use super::ranges;

/// 1, 2, 3 … in each partition.
pub fn number_rows(partitions: &[u32], output: &mut Vec<u64>) {
    ranges(partitions).for_each(|p| output.extend(1..=p.len() as u64));
}

/// One plus the number of rows before the row's peers.
pub fn rank_rows(partitions: &[u32], peers: &[u32], output: &mut Vec<u64>) {
    each_peer_group(partitions, peers, |partition, group, _| {
        output.extend(std::iter::repeat_n((group.start - partition.start) as u64 + 1, group.len()))
    });
}

/// One plus the number of peer groups before the row's.
pub fn rank_rows_densely(partitions: &[u32], peers: &[u32], output: &mut Vec<u64>) {
    each_peer_group(partitions, peers, |_, group, ordinal| {
        output.extend(std::iter::repeat_n(ordinal as u64 + 1, group.len()))
    });
}

/// `(rank - 1) / (rows - 1)`, 0 in a partition of one row.
pub fn rank_rows_relatively(partitions: &[u32], peers: &[u32], output: &mut Vec<f64>) {
    each_peer_group(partitions, peers, |partition, group, _| {
        let others = (partition.len() - 1).max(1) as f64;
        output.extend(std::iter::repeat_n((group.start - partition.start) as f64 / others, group.len()));
    });
}

/// The share of rows that do not sort after the row.
pub fn distribute_rows(partitions: &[u32], peers: &[u32], output: &mut Vec<f64>) {
    each_peer_group(partitions, peers, |partition, group, _| {
        output.extend(std::iter::repeat_n((group.end - partition.start) as f64 / partition.len() as f64, group.len()));
    });
}

/// Numbers of `buckets` equal parts (1-based); the first ones take one row more when rows do not divide evenly. `buckets` ≥ 1.
pub fn split_rows(partitions: &[u32], buckets: u64, output: &mut Vec<u64>) {
    ranges(partitions).for_each(|p| split_range(0..p.len() as u64, p.len() as u64, buckets, output));
}

/// As [`split_rows`], for some rows of a partition that has `rows`.
pub fn split_range(some: std::ops::Range<u64>, rows: u64, buckets: u64, output: &mut Vec<u64>) {
    assert!(buckets > 0, "no bucket");
    let (small, larger) = (rows / buckets, rows % buckets);
    // The first `larger` buckets hold `small + 1` rows.
    let boundary = larger * (small + 1);
    output.extend(
        some.map(
            |row| {
                if row < boundary { row / (small + 1) + 1 } else { larger + (row - boundary) / small.max(1) + 1 }
            },
        ),
    );
}

/// Calls `visit(partition, peer group, ordinal of the group in its partition)` for every group.
fn each_peer_group(
    partitions: &[u32],
    peers: &[u32],
    mut visit: impl FnMut(&std::ops::Range<u32>, std::ops::Range<u32>, usize),
) {
    let mut groups = ranges(peers).peekable();
    for partition in ranges(partitions) {
        let mut ordinal = 0;
        while let Some(group) = groups.next_if(|g| g.start < partition.end) {
            visit(&partition, group, ordinal);
            ordinal += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_of_two_partitions() {
        let (partitions, peers) = ([0, 5, 6], [0, 2, 3, 5, 6]);
        let mut ranks = Vec::new();
        rank_rows(&partitions, &peers, &mut ranks);
        assert_eq!(ranks, [1, 1, 3, 4, 4, 1]);
        let mut dense = Vec::new();
        rank_rows_densely(&partitions, &peers, &mut dense);
        assert_eq!(dense, [1, 1, 2, 3, 3, 1]);
        let mut relative = Vec::new();
        rank_rows_relatively(&partitions, &peers, &mut relative);
        assert_eq!(relative, [0.0, 0.0, 0.5, 0.75, 0.75, 0.0]);
        let mut distribution = Vec::new();
        distribute_rows(&partitions, &peers, &mut distribution);
        assert_eq!(distribution, [0.4, 0.4, 0.6, 1.0, 1.0, 1.0]);
        let mut numbers = Vec::new();
        number_rows(&partitions, &mut numbers);
        assert_eq!(numbers, [1, 2, 3, 4, 5, 1]);
    }

    #[test]
    fn buckets_differ_by_one_row_at_most() {
        let bucket_of = |rows: u32, buckets| {
            let mut output = Vec::new();
            split_rows(&[0, rows], buckets, &mut output);
            output
        };
        assert_eq!(bucket_of(5, 2), [1, 1, 1, 2, 2]);
        assert_eq!(bucket_of(3, 5), [1, 2, 3]);
        assert_eq!(bucket_of(7, 3), [1, 1, 1, 2, 2, 3, 3]);
    }
}
