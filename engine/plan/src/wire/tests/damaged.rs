//! Damaged bytes: an error or another plan, never a panic, and never one that the engine takes for its own mistake.

use super::*;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// The bytes with one thing wrong: a bit, a byte, a piece left out, doubled or moved, or an end too early.
fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len());
    let length = (1 + random.below(16)).min(bytes.len() - at);
    match random.below(7) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.next() as u8,
        2 => drop(bytes.drain(at..at + length)),
        3 => {
            let piece = bytes[at..at + length].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, piece);
        }
        4 => bytes.truncate(at),
        5 => bytes.splice(at..at, (0..length).map(|_| random.next() as u8)).for_each(drop),
        // Lengths and numbers that are far too large.
        _ => bytes.splice(at..at + 1, [0xff, 0xff, 0xff, 0xff, 0x0f]).for_each(drop),
    }
}

#[test]
fn damaged_bytes_are_refused() {
    const CASES: usize = 60_000;
    let catalog = TestCatalog::tpch();
    let sources: Vec<Vec<u8>> =
        queries().into_iter().map(|(_, sql)| encode(&planned(&sql, &Config::default())).unwrap()).collect();
    let mut random = Random(0x0070_6c61_6e00);
    let mut refused = 0;
    for case in 0..CASES {
        let mut bytes = sources[case % sources.len()].clone();
        for _ in 0..=random.below(3) {
            if !bytes.is_empty() {
                damage(&mut bytes, &mut random);
            }
        }
        match decode(&bytes, &catalog) {
            Err(error) => {
                let message = error.to_string();
                assert!(!message.contains("please report"), "case {case}: {message}");
                refused += 1;
            }
            // Another constant, another name: what it makes must hold, too.
            Ok(plan) => {
                let again = encode(&plan).unwrap();
                assert_eq!(encode(&decode(&again, &catalog).unwrap()).unwrap(), again, "case {case}");
                prepare(plan, &Config::default()).unwrap();
            }
        }
    }
    assert!(refused >= 50_000, "{refused} of {CASES} refused");
}

#[test]
fn noise_is_refused() {
    let mut random = Random(7);
    for _ in 0..20_000 {
        let length = random.below(200);
        let mut bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        if random.below(2) == 0 {
            bytes.splice(0..0, [0x08, 0x01]);
        }
        assert!(decode(&bytes, &One::new()).is_err());
    }
}
