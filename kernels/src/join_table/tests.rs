//! Tables built by racing threads, against a map.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// The oracle: rows of every key.
fn rows_by_key(width: usize, parts: &[KeyPart]) -> HashMap<Vec<u64>, Vec<u32>> {
    let mut rows: HashMap<Vec<u64>, Vec<u32>> = HashMap::new();
    for part in parts {
        for row in 0..part.rows {
            if part.valid.is_none_or(|bits| bits[row / 64] >> (row % 64) & 1 == 1) {
                let key = part.words[row * width..(row + 1) * width].to_vec();
                rows.entry(key).or_default().push(part.first_row + row as u32);
            }
        }
    }
    rows
}

fn bounds(parts: &[KeyPart]) -> Option<(i64, i64)> {
    let words = || parts.iter().flat_map(|p| p.words.iter().map(|&w| w as i64));
    words().min().zip(words().max())
}

/// Built by threads that race.
fn build(width: usize, parts: &[KeyPart], shards: usize, collide: bool) -> JoinTable {
    let rows = parts.iter().map(|p| p.rows).sum();
    let mut builder = JoinTableBuilder::new(width, bounds(parts).filter(|_| width == 1), rows, shards, collide);
    let each_shard = |work: &(dyn Fn(usize) + Sync)| {
        std::thread::scope(|scope| (0..shards).for_each(|shard| drop(scope.spawn(move || work(shard)))))
    };
    loop {
        let phase = builder.advance();
        let building = &builder;
        match phase {
            Phase::Place => std::thread::scope(|scope| {
                parts.iter().for_each(|&part| drop(scope.spawn(move || building.place(part))));
            }),
            Phase::Count => each_shard(&|shard| building.count(shard, &mut parts.iter().copied())),
            Phase::Scatter => each_shard(&|shard| building.scatter(shard, &mut parts.iter().copied())),
            Phase::Finish => return builder.finish(),
        }
    }
}

fn check(width: usize, table: &JoinTable, parts: &[KeyPart], probe: &[u64], limit: usize) {
    let expected = rows_by_key(width, parts);
    assert_eq!(table.len(), expected.values().map(Vec::len).sum::<usize>());
    assert!(!table.is_unique() || expected.values().all(|rows| rows.len() == 1));
    let probes = probe.len() / width;
    let mut ranges = Vec::new();
    table.candidates(probe, probes, &mut ranges);
    for first_only in [false, true] {
        let mut found: HashMap<usize, Vec<u32>> = HashMap::new();
        let mut cursor = Cursor::default();
        loop {
            let (mut left, mut right) = (Vec::new(), Vec::new());
            let over = table.pairs(probe, &ranges, &mut cursor, limit, first_only, (&mut left, &mut right));
            assert!(left.len() <= limit && left.len() == right.len());
            left.iter().zip(&right).for_each(|(&p, &row)| found.entry(p as usize).or_default().push(row));
            if over {
                break;
            }
        }
        for (index, key) in probe.chunks(width).enumerate() {
            let mut rows = found.remove(&index).unwrap_or_default();
            rows.sort();
            let all = expected.get(key).cloned().unwrap_or_default();
            if first_only {
                assert_eq!(rows.len(), all.len().min(1));
                assert!(rows.iter().all(|row| all.contains(row)));
            } else {
                assert_eq!(rows, all);
            }
        }
    }
    if table.is_unique() {
        for tier in crate::isa::tiers() {
            let mut out = Vec::new();
            crate::isa::with_tier(tier, || table.find(probe, probes, &mut out));
            let one = |key: &[u64]| expected.get(key).map_or(0, |rows| rows[0] + 1);
            assert_eq!(out, probe.chunks(width).map(one).collect::<Vec<_>>());
        }
    }
}

fn keys() -> impl Strategy<Value = Vec<u64>> {
    prop_oneof![
        prop::collection::vec((-9i64..9).prop_map(|k| k as u64), 0..60),
        prop::collection::vec(any::<u64>(), 0..60),
        prop::collection::hash_set(-300i64..300, 0..80).prop_map(|set| set.into_iter().map(|k| k as u64).collect()),
        (prop::collection::vec(0u64..50, 40), any::<u64>()).prop_map(|(mut crowd, far)| {
            crowd.push(far);
            crowd
        }),
        prop::collection::hash_set(any::<u64>(), 0..80).prop_map(|set| set.into_iter().collect()),
    ]
}

proptest! {
    #[test]
    fn finds_exactly_the_equal_rows(
        keys in prop::collection::vec((keys(), prop::option::of(any::<[u64; 2]>())), 0..4),
        probe in keys(), width in 1usize..3, shards in 1usize..4, limit in 1usize..100, collide in any::<bool>(),
    ) {
        let mut first_row = 0;
        let parts: Vec<KeyPart> = keys.iter().map(|(words, valid)| {
            let rows = words.len() / width;
            let part = KeyPart { words: &words[..rows * width], valid: valid.as_ref().map(|v| &v[..]), first_row, rows };
            first_row += rows as u32;
            part
        }).collect();
        let mut probe: Vec<u64> = probe.into_iter().chain(keys.iter().flat_map(|k| k.0.iter().copied())).chain([0, 5, u64::MAX]).collect();
        probe.truncate(probe.len() / width * width);
        check(width, &build(width, &parts, shards, collide), &parts, &probe, limit);
    }
}

#[test]
fn keys_without_words_match_all() {
    let part = KeyPart { words: &[], valid: None, first_row: 0, rows: 3 };
    let table = JoinTableBuilder::new(0, None, 3, 1, false).build(&[part]);
    let (mut ranges, mut left, mut right) = (Vec::new(), Vec::new(), Vec::new());
    table.candidates(&[], 2, &mut ranges);
    assert!(table.pairs(&[], &ranges, &mut Cursor::default(), 9, false, (&mut left, &mut right)));
    assert_eq!((left, right), (vec![0, 0, 0, 1, 1, 1], vec![0, 1, 2, 0, 1, 2]));
}

#[test]
fn layouts_by_density() {
    let mode = |words: &[u64]| {
        let part = KeyPart { words, valid: None, first_row: 0, rows: words.len() };
        JoinTableBuilder::new(1, bounds(&[part]), words.len(), 1, false).build(&[part]).mode()
    };
    assert_eq!(mode(&[3, 1, 2]), "direct");
    assert_eq!(mode(&[3, 1, 3]), "array");
    assert_eq!(mode(&[3, 1, 1 << 40]), "scaled");
    let crowded: Vec<u64> = (0..100).chain([1 << 40]).collect();
    assert_eq!(mode(&crowded), "hash of one word");
}
