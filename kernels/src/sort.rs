//! Sorts packed keys and byte rows, splits and merges sorted runs; called by sort, top-N and window.
//!
//! # Contract
//! A packed key is one integer: the key's code above, the row number below, so that an element is both. Sorting moves elements only, never
//! payload. All sorts are total because row numbers differ; nothing is allocated but one scratch array.
//!
//! # The algorithm
//! 1. Sorted input is left alone (one pass that stops at the first step down).
//! 2. Small inputs, and keys of too many bits for their number, go to the standard library's unstable sort.
//! 3. Larger than the cache: one pass by the most significant eight bits that differ, then each bucket on its own.
//! 4. In the cache: one stable counting pass per eight bits, least significant first; passes in which all digits are equal are skipped.
//!    Only the key's bits are visited: rows enter in ascending order and counting passes are stable.

use crate::sort_key::{ByteRows, KeyWord};

/// Below this many elements a comparison sort wins over the set-up of counting passes (bench `sort/words`).
const RADIX_MIN_ELEMENTS: usize = 1024;
/// Elements that counting passes handle inside the L2 cache; more are first split into buckets.
const CACHED_ELEMENTS: usize = 1 << 16;

/// Sorts `words` whose bits `low_bit..high_bit` are the key and whose bits below are ascending row numbers. `stops` is asked now and then, at least once
/// for each bucket that the cache does not hold: once it says so, the words are left in any order.
pub fn sort_words<K: KeyWord>(words: &mut Vec<K>, low_bit: u32, high_bit: u32, stops: &dyn Fn() -> bool) {
    assert!(low_bit <= high_bit && high_bit <= K::BITS, "key bits {low_bit}..{high_bit}");
    if words.is_sorted() {
        return;
    }
    if words.len() < RADIX_MIN_ELEMENTS {
        words.sort_unstable();
        return;
    }
    let mut scratch = vec![K::default(); words.len()];
    sort_slice(words, &mut scratch, low_bit, high_bit, stops);
}

/// Sorts `words` in place with equally long `scratch`.
fn sort_slice<K: KeyWord>(words: &mut [K], scratch: &mut [K], low_bit: u32, high_bit: u32, stops: &dyn Fn() -> bool) {
    let bits = high_bit.saturating_sub(low_bit);
    if words.len() < RADIX_MIN_ELEMENTS {
        words.sort_unstable();
    } else if bits == 0 {
        // Only rows differ, and those are in order.
    } else if words.len() > CACHED_ELEMENTS && bits > 16 {
        sort_by_buckets(words, scratch, low_bit, high_bit, stops);
    } else if bits.div_ceil(8) > words.len().ilog2() / 2 {
        words.sort_unstable();
    } else {
        sort_by_digits(words, scratch, low_bit, high_bit);
    }
}

/// One pass by the most significant digit, then each bucket.
fn sort_by_buckets<K: KeyWord>(
    words: &mut [K],
    scratch: &mut [K],
    low_bit: u32,
    high_bit: u32,
    stops: &dyn Fn() -> bool,
) {
    if stops() {
        return;
    }
    let shift = high_bit - 8;
    let counts = count_digits(words, shift);
    if counts.contains(&words.len()) {
        return sort_slice(words, scratch, low_bit, shift, stops);
    }
    scatter(words, scratch, shift, &counts);
    words.copy_from_slice(scratch);
    let mut start = 0;
    for count in counts {
        let range = start..start + count;
        if count > CACHED_ELEMENTS && stops() {
            return;
        }
        sort_slice(&mut words[range.clone()], &mut scratch[range], low_bit, shift, stops);
        start += count;
    }
}

/// Counting passes from the least significant digit up.
fn sort_by_digits<K: KeyWord>(words: &mut [K], scratch: &mut [K], low_bit: u32, high_bit: u32) {
    let mut in_words = true;
    let mut shift = low_bit;
    while shift < high_bit {
        let (from, to) = if in_words { (&mut *words, &mut *scratch) } else { (&mut *scratch, &mut *words) };
        let counts = count_digits(from, shift);
        if !counts.contains(&from.len()) {
            scatter(from, to, shift, &counts);
            in_words = !in_words;
        }
        shift += 8;
    }
    if !in_words {
        words.copy_from_slice(scratch);
    }
}

fn count_digits<K: KeyWord>(words: &[K], shift: u32) -> [usize; 256] {
    let mut counts = [0usize; 256];
    words.iter().for_each(|w| counts[w.digit(shift)] += 1);
    counts
}

/// Moves every word behind its digit's earlier words, stably. `counts` are the digits of `from`.
fn scatter<K: KeyWord>(from: &[K], to: &mut [K], shift: u32, counts: &[usize; 256]) {
    assert!(from.len() == to.len() && counts.iter().sum::<usize>() == from.len(), "digit counts do not match");
    let mut next = [0usize; 256];
    for digit in 1..256 {
        next[digit] = next[digit - 1] + counts[digit - 1];
    }
    for &word in from {
        let slot = &mut next[word.digit(shift)];
        to[*slot] = word;
        *slot += 1;
    }
}

/// Row numbers of `rows` in ascending order of their bytes.
///
/// Sorts 12-byte prefixes as integers; rows with equal prefixes are sorted again by their next 12 bytes. `stops` is asked before each such round: once it
/// says so, the order is any.
pub fn sort_rows(rows: &ByteRows, stops: &dyn Fn() -> bool) -> Vec<u32> {
    assert!(rows.len() <= u32::MAX as usize, "{} rows in one run", rows.len());
    let mut elements: Vec<u128> = (0..rows.len()).map(|i| i as u128).collect();
    sort_rows_from(rows, &mut elements, 0, stops);
    elements.into_iter().map(|e| e as u32).collect()
}

/// Below this many tied rows, whole-row comparisons are cheaper than another round of prefixes.
const PREFIX_ROUND_MIN_ROWS: usize = 16;

fn sort_rows_from(rows: &ByteRows, elements: &mut [u128], depth: usize, stops: &dyn Fn() -> bool) {
    if stops() {
        return;
    }
    let mut ended = true;
    for element in elements.iter_mut() {
        let row = *element as u32;
        ended &= rows.row(row as usize).len() <= depth;
        *element = rows.prefix(row as usize, depth) << 32 | row as u128;
    }
    if ended {
        return;
    }
    if !elements.is_sorted() {
        elements.sort_unstable();
    }
    let mut start = 0;
    while start < elements.len() {
        let prefix = elements[start] >> 32;
        let mut end = start + 1;
        while end < elements.len() && elements[end] >> 32 == prefix {
            end += 1;
        }
        let ties = &mut elements[start..end];
        if ties.len() >= PREFIX_ROUND_MIN_ROWS {
            sort_rows_from(rows, ties, depth + 12, stops);
        } else if ties.len() > 1 {
            ties.sort_unstable_by(|&a, &b| {
                rows.row(a as u32 as usize).cmp(rows.row(b as u32 as usize)).then(a.cmp(&b))
            });
        }
        start = end;
    }
}

/// Merges sorted runs: calls `emit(run, index)` for every element of every run in order; `less(run a, index a, run b, index b)` tells
/// whether one element goes before another, and equal ones keep the order of their runs.
///
/// A loser tree: one comparison per level and element. Two runs take a plain two-pointer loop.
pub fn merge_runs(
    lengths: &[usize],
    less: impl Fn(usize, usize, usize, usize) -> bool,
    mut emit: impl FnMut(usize, usize),
) {
    match lengths {
        [] => {}
        [only] => (0..*only).for_each(|i| emit(0, i)),
        [first, second] => {
            let (mut a, mut b) = (0, 0);
            while a < *first && b < *second {
                if less(1, b, 0, a) {
                    emit(1, b);
                    b += 1;
                } else {
                    emit(0, a);
                    a += 1;
                }
            }
            (a..*first).for_each(|i| emit(0, i));
            (b..*second).for_each(|i| emit(1, i));
        }
        _ => merge_many(lengths, less, emit),
    }
}

fn merge_many(
    lengths: &[usize],
    less: impl Fn(usize, usize, usize, usize) -> bool,
    mut emit: impl FnMut(usize, usize),
) {
    let leaves = lengths.len();
    let mut heads = vec![0usize; leaves];
    // Whether run `a` wins over run `b`; exhausted runs lose against everything.
    let wins = |heads: &[usize], a: usize, b: usize| match (heads[a] < lengths[a], heads[b] < lengths[b]) {
        (true, true) => less(a, heads[a], b, heads[b]) || (a < b && !less(b, heads[b], a, heads[a])),
        (a_left, b_left) => a_left || (!b_left && a < b),
    };
    // Node n has children 2n and 2n + 1; leaves are nodes leaves..2 * leaves. Each inner node keeps the loser of its match.
    let mut losers = vec![usize::MAX; leaves];
    let mut winners = vec![0usize; 2 * leaves];
    for leaf in 0..leaves {
        winners[leaves + leaf] = leaf;
    }
    for node in (1..leaves).rev() {
        let (a, b) = (winners[2 * node], winners[2 * node + 1]);
        let a_wins = wins(&heads, a, b);
        (winners[node], losers[node]) = if a_wins { (a, b) } else { (b, a) };
    }
    let mut winner = winners[1];
    while heads[winner] < lengths[winner] {
        emit(winner, heads[winner]);
        heads[winner] += 1;
        let mut node = (leaves + winner) / 2;
        while node >= 1 {
            if wins(&heads, losers[node], winner) {
                std::mem::swap(&mut losers[node], &mut winner);
            }
            node /= 2;
        }
    }
}

/// Deals rows to `buckets` (a power of two ≥ 2) by the highest bits of their hashes: appends row numbers to `positions`, bucket after bucket and
/// ascending within each; answers where each bucket starts, and their end.
pub fn bucket_rows(hashes: &[u64], buckets: usize, positions: &mut Vec<u32>) -> Vec<usize> {
    assert!(buckets.is_power_of_two() && buckets > 1, "{buckets} buckets");
    let shift = 64 - buckets.ilog2();
    let mut starts = vec![0usize; buckets + 1];
    hashes.iter().for_each(|&hash| starts[(hash >> shift) as usize + 1] += 1);
    for bucket in 0..buckets {
        starts[bucket + 1] += starts[bucket];
    }
    let mut next = starts.clone();
    positions.clear();
    positions.resize(hashes.len(), 0);
    for (row, &hash) in hashes.iter().enumerate() {
        let slot = &mut next[(hash >> shift) as usize];
        positions[*slot] = row as u32;
        *slot += 1;
    }
    starts
}

/// Where groups of equal neighbours start among `len` elements, and `len` itself at the end; nothing but `[0]` when there is none.
pub fn group_starts(len: usize, equal: impl Fn(usize, usize) -> bool) -> Vec<u32> {
    assert!(len < u32::MAX as usize, "{len} elements");
    let mut starts = Vec::new();
    if len > 0 {
        starts.push(0);
    }
    starts.extend((1..len).filter(|&i| !equal(i - 1, i)).map(|i| i as u32));
    starts.push(len as u32);
    starts
}

/// Values of several source slices: `sources[run[i]][row[i]]`.
pub fn gather_runs<T: Copy>(sources: &[&[T]], runs: &[u32], rows: &[u32], output: &mut Vec<T>) {
    assert!(runs.len() == rows.len(), "{} runs for {} rows", runs.len(), rows.len());
    output.reserve(rows.len());
    match sources {
        [only] => output.extend(rows.iter().map(|&row| only[row as usize])),
        _ => output.extend(runs.iter().zip(rows).map(|(&run, &row)| sources[run as usize][row as usize])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sort_key::{TextOrder, text_bytes};

    fn random(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (*state >> 33) ^ (*state << 31)
    }

    #[test]
    fn words_sort_as_the_standard_library_does() {
        let mut state = 7;
        for len in [0, 1, 2, 100, 1023, 1024, 5000, 70_000, 300_000] {
            for key_bits in [0, 1, 7, 8, 9, 20, 33, 40] {
                let row_bits = 20;
                let mut words: Vec<u64> =
                    (0..len).map(|row| (random(&mut state) & ((1 << key_bits) - 1)) << row_bits | row).collect();
                let mut wide: Vec<u128> = words.iter().map(|w| (*w as u128) << 50).collect();
                let mut expected = words.clone();
                expected.sort();
                sort_words(&mut words, row_bits, row_bits + key_bits, &|| false);
                assert_eq!(words, expected, "{len} elements of {key_bits} bits");
                sort_words(&mut wide, row_bits + 50, row_bits + 50 + key_bits, &|| false);
                assert!(wide.iter().zip(&expected).all(|(a, b)| *a == (*b as u128) << 50));
            }
        }
    }

    #[test]
    fn rows_sort_by_bytes() {
        let mut state = 3;
        let order = TextOrder { descending: false, has_nulls: false, nulls_first: false };
        for len in [0usize, 1, 5, 500] {
            let values: Vec<Vec<u8>> = (0..len)
                .map(|_| {
                    let mut value = b"a long common prefix ".repeat((random(&mut state) % 3) as usize);
                    value.extend((0..random(&mut state) % 4).map(|_| (random(&mut state) % 3) as u8));
                    value
                })
                .collect();
            let lengths: Vec<u32> = values.iter().map(|v| text_bytes(Some(v), order)).collect();
            let mut rows = ByteRows::with_lengths(&lengths);
            values.iter().enumerate().for_each(|(i, v)| rows.write_text(i, Some(v), order));
            let sorted: Vec<&Vec<u8>> = sort_rows(&rows, &|| false).iter().map(|&i| &values[i as usize]).collect();
            let mut expected: Vec<&Vec<u8>> = values.iter().collect();
            expected.sort();
            assert_eq!(sorted, expected);
        }
    }

    #[test]
    fn merging_keeps_everything_in_order() {
        let mut state = 11;
        for runs in 0..9usize {
            let data: Vec<Vec<u64>> = (0..runs)
                .map(|_| {
                    let mut run: Vec<u64> = (0..random(&mut state) % 50).map(|_| random(&mut state) % 20).collect();
                    run.sort();
                    run
                })
                .collect();
            let lengths: Vec<usize> = data.iter().map(Vec::len).collect();
            let mut merged = Vec::new();
            merge_runs(
                &lengths,
                |a, i, b, j| data[a][i] < data[b][j],
                |run, index| merged.push((data[run][index], run, index)),
            );
            assert_eq!(merged.len(), lengths.iter().sum::<usize>());
            assert!(merged.is_sorted(), "{runs} runs");
        }
    }
}
