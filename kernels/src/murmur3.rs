//! Spark's Murmur3 (`Murmur3_x86_32` of Spark, seed 42 in `hash(…)`), bit for bit: the hash that tells Spark's exchanges where a row goes.
//!
//! A row's hash so far is the seed of its next column: `hashes[i] = murmur3(values[i], hashes[i])`; a null leaves it as it is. Whole numbers of up to 32
//! bits hash as one word, others as two; floats by their bits, with one zero and one NaN. Bytes hash as words of four, then each that is left as a
//! word of its own, sign-extended: that is Spark's and no other Murmur3's.

const C1: u32 = 0xcc9e_2d51;
const C2: u32 = 0x1b87_3593;

/// The seed of Spark's exchanges and of its function `hash`.
pub const SPARK_SEED: i32 = 42;

#[inline(always)]
fn mix(hash: u32, word: u32) -> u32 {
    let word = word.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2);
    (hash ^ word).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
}

#[inline(always)]
fn finish(hash: u32, length: u32) -> i32 {
    let mut hash = hash ^ length;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    (hash ^ hash >> 16) as i32
}

/// Hash of an integer of up to 32 bits; booleans are 1 and 0, dates their days.
#[inline(always)]
pub fn hash_int(value: i32, seed: i32) -> i32 {
    finish(mix(seed as u32, value as u32), 4)
}

/// Hash of an integer of 64 bits; timestamps are their microseconds, decimals of up to 18 digits unscaled.
#[inline(always)]
pub fn hash_long(value: i64, seed: i32) -> i32 {
    finish(mix(mix(seed as u32, value as u32), (value >> 32) as u32), 8)
}

/// Hash of bytes.
#[inline]
pub fn hash_bytes(bytes: &[u8], seed: i32) -> i32 {
    let (words, tail) = bytes.as_chunks::<4>();
    let hash = words.iter().fold(seed as u32, |hash, word| mix(hash, u32::from_le_bytes(*word)));
    let hash = tail.iter().fold(hash, |hash, &byte| mix(hash, byte as i8 as u32));
    finish(hash, bytes.len() as u32)
}

/// Hash of a decimal of more than 18 digits: of the fewest bytes, big-endian, that hold the unscaled value in two's complement.
#[inline]
pub fn hash_decimal(unscaled: i128, seed: i32) -> i32 {
    let significant = 128 - (unscaled ^ unscaled >> 127).leading_zeros() as usize;
    let bytes = unscaled.to_be_bytes();
    hash_bytes(&bytes[15 - significant / 8..], seed)
}

/// A value of fixed width that Spark hashes.
pub trait SparkHash: Copy {
    /// Its hash.
    fn spark_hash(self, seed: i32) -> i32;
}

macro_rules! spark_hash {
    ($($type:ty: |$value:ident, $seed:ident| $hash:expr;)*) => { $(impl SparkHash for $type {
        #[inline(always)]
        fn spark_hash(self, $seed: i32) -> i32 {
            let $value = self;
            $hash
        }
    })* };
}
spark_hash! {
    i8: |value, seed| hash_int(i32::from(value), seed);
    i16: |value, seed| hash_int(i32::from(value), seed);
    i32: |value, seed| hash_int(value, seed);
    i64: |value, seed| hash_long(value, seed);
    i128: |value, seed| hash_decimal(value, seed);
    f32: |value, seed| hash_int(if value.is_nan() { f32::NAN } else { value + 0.0 }.to_bits() as i32, seed);
    f64: |value, seed| hash_long(if value.is_nan() { f64::NAN } else { value + 0.0 }.to_bits() as i64, seed);
}

/// `hashes[i] = murmur3(values[i], hashes[i])` where valid.
pub fn fold_values<T: SparkHash>(values: &[T], validity: Option<&[u64]>, hashes: &mut [i32]) {
    assert_eq!(values.len(), hashes.len());
    match validity {
        None => fold_all(values, hashes),
        Some(words) => {
            assert!(words.len() >= values.len().div_ceil(64), "{} words for {} rows", words.len(), values.len());
            fold_valid(values, words, hashes);
        }
    }
}

crate::tiered! { fn fold_all<T: SparkHash>(values: &[T], hashes: &mut [i32]) = fold_all_body; }
crate::tiered! { fn fold_valid<T: SparkHash>(values: &[T], validity: &[u64], hashes: &mut [i32]) = fold_valid_body; }

#[inline(always)]
fn fold_all_body<T: SparkHash>(values: &[T], hashes: &mut [i32]) {
    for (hash, &value) in hashes.iter_mut().zip(values) {
        *hash = value.spark_hash(*hash);
    }
}

#[inline(always)]
fn fold_valid_body<T: SparkHash>(values: &[T], validity: &[u64], hashes: &mut [i32]) {
    for ((values, hashes), &word) in values.chunks(64).zip(hashes.chunks_mut(64)).zip(validity) {
        if word == u64::MAX {
            fold_all_body(values, hashes);
            continue;
        }
        for (row, (hash, &value)) in hashes.iter_mut().zip(values).enumerate() {
            let folded = value.spark_hash(*hash);
            *hash = if word >> row & 1 == 1 { folded } else { *hash };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::each_tier;
    use proptest::prelude::*;

    /// What `hash(…)` of Spark 4.0.5 answers.
    #[test]
    fn hashes_are_spark_s() {
        let of = SPARK_SEED;
        assert_eq!(hash_int(1, of), -559580957, "true");
        assert_eq!(hash_int(0, of), 933211791, "false");
        assert_eq!(hash_int(0, of), 933211791, "0");
        assert_eq!(hash_int(-1, of), -1604776387, "-1");
        assert_eq!(hash_int(i32::MAX, of), 133916647, "2147483647");
        assert_eq!((-128i8).spark_hash(of), 1110053733, "cast(-128 as tinyint)");
        assert_eq!((-300i16).spark_hash(of), -1692660704, "cast(-300 as smallint)");
        assert_eq!(hash_int(-1, of), -1604776387, "date'1969-12-31'");
        assert_eq!(hash_long(0, of), -1670924195, "0L");
        assert_eq!(hash_long(-1, of), -939490007, "-1L");
        assert_eq!(hash_long(i64::MAX, of), -1604625029, "9223372036854775807L");
        assert_eq!(hash_long(1_234_567_890_123, of), 1304145252, "1234567890123L");
        assert_eq!(1.5f32.spark_hash(of), -221251528, "cast(1.5 as float)");
        assert_eq!((-0.0f32).spark_hash(of), 933211791, "cast('-0.0' as float)");
        assert_eq!(f32::NAN.spark_hash(of), -349261430, "cast('NaN' as float)");
        assert_eq!(1.5f64.spark_hash(of), 1290763749, "1.5D");
        assert_eq!((-0.0f64).spark_hash(of), -1670924195, "cast('-0.0' as double)");
        assert_eq!(f64::NAN.spark_hash(of), -1281358385, "cast('NaN' as double)");
        assert_eq!(f64::NEG_INFINITY.spark_hash(of), 461104036, "cast('-Infinity' as double)");
        assert_eq!(hash_long(12_345, of), 1416086240, "cast('123.45' as decimal(10,2))");
        assert_eq!(hash_long(-999_999_999_999_999_999, of), 1962370902, "cast('-999999999999999999' as decimal(18,0))");
        assert_eq!(hash_decimal(0, of), -783713497, "cast('0' as decimal(38,0))");
        assert_eq!(hash_decimal(-1, of), 1398487324, "cast('-1' as decimal(38,0))");
        assert_eq!(hash_decimal(127, of), 1185089389, "cast('127' as decimal(20,0))");
        assert_eq!(hash_decimal(128, of), -544401882, "cast('128' as decimal(20,0))");
        assert_eq!(hash_decimal(-128, of), 775851899, "cast('-128' as decimal(20,0))");
        assert_eq!(hash_decimal(-129, of), -771458971, "cast('-129' as decimal(20,0))");
        assert_eq!(
            hash_decimal(12_345_678_901_234_567_890_123_456_789_012_345_678, of),
            -1328266464,
            "cast('12345678901234567890123456789012345678' as decimal(38,0))"
        );
        assert_eq!(
            hash_decimal(-99_999_999_999_999_999_999_999_999_999_999_999_999, of),
            1400911110,
            "cast('-99999999999999999999999999999999999999' as decimal(38,0))"
        );
        assert_eq!(hash_bytes(b"", of), 142593372, "''");
        assert_eq!(hash_bytes(b"a", of), 1485273170, "'a'");
        assert_eq!(hash_bytes(b"ab", of), -97053317, "'ab'");
        assert_eq!(hash_bytes(b"abc", of), 1322437556, "'abc'");
        assert_eq!(hash_bytes(b"abcd", of), -396302900, "'abcd'");
        assert_eq!(hash_bytes("größe und mehr".as_bytes(), of), -1334485170, "'größe und mehr'");
        assert_eq!(hash_bytes(&[0, 0xff, 0x80, 1, 0x7f], of), -2076908791, "X'00FF80017F'");
        assert_eq!(hash_long(7, hash_bytes(b"x", hash_int(1, of))), -1198669708, "1, null, 'x', 7L");
        assert_eq!(hash_int(2, hash_int(1, of)), -222940379, "array(1, null, 2)");
        assert_eq!(
            hash_bytes(b"y", hash_int(1, of)),
            -253689807,
            "named_struct('a', 1, 'b', cast(null as int), 'c', 'y')"
        );
        assert_eq!(of, 42, "cast(null as int)");
        assert_eq!((-0.0f64).spark_hash(of), 0.0f64.spark_hash(of));
        assert_eq!((-f32::NAN).spark_hash(of), f32::NAN.spark_hash(of));
    }

    proptest! {
        #[test]
        fn every_tier_folds_row_by_row(
            rows in prop::collection::vec((any::<i64>(), any::<i32>(), any::<bool>()), 0..300),
            has_nulls: bool,
        ) {
            let values: Vec<i64> = rows.iter().map(|row| row.0).collect();
            let mut validity = vec![0u64; rows.len().div_ceil(64)];
            rows.iter().enumerate().for_each(|(row, r)| validity[row / 64] |= u64::from(r.2) << (row % 64));
            let expected: Vec<i32> =
                rows.iter().map(|&(value, seed, valid)| if valid || !has_nulls { hash_long(value, seed) } else { seed }).collect();
            each_tier(|_| {
                let mut hashes: Vec<i32> = rows.iter().map(|row| row.1).collect();
                fold_values(&values, has_nulls.then_some(&validity[..]), &mut hashes);
                assert_eq!(hashes, expected);
            });
        }
    }
}
