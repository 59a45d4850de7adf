//! One 64-bit hash per key: keys column by column → hashes. Used by joins, aggregation, partitioning and Bloom filters.
//!
//! # Bit budget
//! bits 63.. directory slot and partition (top bits) · bits 16..31 tag of a directory entry · bits 0..31 Bloom word, 32..55 bits in it.
//! Directory and partition may share bits; Bloom and tag must not depend on the directory's.
//!
//! # Equal values hash equal
//! whatever their physical width: integers and decimals hash as 128-bit when they do not fit 64 bits, else as i64; −0.0 as 0.0; every NaN
//! as one; strings by bytes. Null is [`NULL_HASH`]. The function is the same in all tiers and versions of one release, so that spilled partitions agree.
//!
//! The mixer is a folded 64×64→128-bit multiplication (as in wyhash / foldhash): two multiplications a key, no table.

/// Hash of a null.
pub const NULL_HASH: u64 = 0x9E37_79B9_7F4A_7C15;
const MULTIPLIER: u64 = 0x9FB2_1C65_1E98_DF25;
const SEED: u64 = 0xA076_1D64_78BD_642F;

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Hash of one 64-bit word.
#[inline(always)]
pub fn hash_word(word: u64) -> u64 {
    fold(fold(word ^ SEED, MULTIPLIER), MULTIPLIER ^ SEED)
}

/// Hash of a composite key: the hash so far and the next part's hash.
#[inline(always)]
pub fn combine(first: u64, second: u64) -> u64 {
    fold(first.rotate_left(23) ^ second, MULTIPLIER)
}

/// Hash of bytes.
#[inline]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut state = SEED ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), MULTIPLIER);
    }
    let mut last = [0u8; 8];
    last[..tail.len()].copy_from_slice(tail);
    fold(fold(state ^ u64::from_le_bytes(last), MULTIPLIER), MULTIPLIER ^ SEED)
}

/// A fixed-width value that can be hashed by value.
pub trait HashValue: Copy {
    /// Its hash.
    fn hash_value(self) -> u64;
}

macro_rules! hash_integers {
    ($($type:ty),*) => { $(impl HashValue for $type {
        #[inline(always)]
        fn hash_value(self) -> u64 { hash_word(self as i64 as u64) }
    })* };
}
hash_integers!(i8, i16, i32, i64, u8, u16, u32, u64);

impl HashValue for i128 {
    #[inline(always)]
    fn hash_value(self) -> u64 {
        if self == self as i64 as i128 {
            hash_word(self as i64 as u64)
        } else {
            combine(hash_word(self as u64), hash_word((self >> 64) as u64))
        }
    }
}

impl HashValue for f64 {
    #[inline(always)]
    fn hash_value(self) -> u64 {
        let canonical = if self.is_nan() { f64::NAN } else { self + 0.0 };
        hash_word(canonical.to_bits())
    }
}

impl HashValue for f32 {
    #[inline(always)]
    fn hash_value(self) -> u64 {
        (self as f64).hash_value()
    }
}

/// `out[i] = hash(values[i])`.
pub fn hash_values<T: HashValue>(values: &[T], out: &mut [u64]) {
    assert_eq!(values.len(), out.len());
    for (slot, &value) in out.iter_mut().zip(values) {
        *slot = value.hash_value();
    }
}

/// `out[i] = combine(out[i], hash(values[i]))`.
pub fn combine_values<T: HashValue>(values: &[T], out: &mut [u64]) {
    assert_eq!(values.len(), out.len());
    for (slot, &value) in out.iter_mut().zip(values) {
        *slot = combine(*slot, value.hash_value());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_hash_equal() {
        assert_eq!((-0.0f64).hash_value(), 0.0f64.hash_value());
        assert_eq!((-f64::NAN).hash_value(), f64::NAN.hash_value());
        assert_eq!(1.5f32.hash_value(), 1.5f64.hash_value());
        assert_eq!((-7i128).hash_value(), (-7i64).hash_value());
        assert_eq!(7i32.hash_value(), 7i64.hash_value());
        assert_ne!((1i128 << 70).hash_value(), 0i64.hash_value());
        assert_ne!(hash_bytes(b"a"), hash_bytes(b"a\0"));
    }

    #[test]
    fn bits_spread() {
        // 64 Ki consecutive keys: top 16 and low 16 bits each fill well over half of their slots (63 % expected).
        for shift in [0, 16, 32, 48] {
            let mut seen = vec![false; 1 << 16];
            (0..1i64 << 16).for_each(|key| seen[(key.hash_value() >> shift & 0xFFFF) as usize] = true);
            assert!(seen.iter().filter(|s| **s).count() > 38_000, "shift {shift}");
        }
    }
}
