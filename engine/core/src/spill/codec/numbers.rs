//! Integers as a base and the distances from it, in as few bytes each as the farthest one needs: 0, 1, 2, 4 or 8; or as they are.
//!
//! Whole bytes rather than bits: they are packed and unpacked at the speed of memory, and LZ4 finds what repeats in them.

use arrow_buffer::{ArrowNativeType, ScalarBuffer, ToByteSlice};

use super::input::{Decoded, Input};

/// An integer that can be told by its distance from another.
pub(super) trait Integer: ArrowNativeType + Ord {
    fn wide(self) -> i128;
    fn from_wide(wide: i128) -> Option<Self>;
    /// `self - base`, which must fit.
    fn distance(self, base: Self) -> u64;
    /// `self + distance`.
    fn plus(self, distance: u64) -> Self;
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Integer for $type {
            fn wide(self) -> i128 {
                self as i128
            }
            fn from_wide(wide: i128) -> Option<Self> {
                wide.try_into().ok()
            }
            fn distance(self, base: Self) -> u64 {
                self.wrapping_sub(base) as u64
            }
            fn plus(self, distance: u64) -> Self {
                self.wrapping_add(distance as Self)
            }
        }
    )*};
}
integers!(i16, i32, i64, i128, u16, u32, u64);

/// Marks values that lie as they are.
const PLAIN: u8 = 16;

/// Appends `values`.
pub(super) fn encode<T: Integer>(values: &[T], bytes: &mut Vec<u8>) {
    let (Some(&base), Some(&most)) = (values.iter().min(), values.iter().max()) else { return };
    let width = most.wide().checked_sub(base.wide()).map_or(PLAIN, width_of);
    if width as usize >= size_of::<T>() {
        bytes.push(PLAIN);
        return bytes.extend_from_slice(values.to_byte_slice());
    }
    bytes.push(width);
    bytes.extend(base.wide().to_ne_bytes());
    macro_rules! narrow {
        ($type:ty) => {{
            let distances: Vec<$type> = values.iter().map(|v| v.distance(base) as $type).collect();
            bytes.extend_from_slice(distances.to_byte_slice());
        }};
    }
    match width {
        0 => {}
        1 => narrow!(u8),
        2 => narrow!(u16),
        4 => narrow!(u32),
        _ => narrow!(u64),
    }
}

/// Bytes that hold `0..=span`.
fn width_of(span: i128) -> u8 {
    match u64::try_from(span) {
        Ok(0) => 0,
        Ok(span) => (8 - span.leading_zeros() as u8 / 8).next_power_of_two(),
        Err(_) => PLAIN,
    }
}

/// Takes `len` values.
pub(super) fn decode<T: Integer>(input: &mut Input, len: usize) -> Decoded<ScalarBuffer<T>> {
    if len == 0 {
        return Ok(Vec::new().into());
    }
    let [width] = input.array()?;
    if width == PLAIN {
        return input.buffer(len);
    }
    let base = T::from_wide(i128::from_ne_bytes(input.array()?)).ok_or("a base that does not fit its type")?;
    macro_rules! widen {
        ($type:ty) => {{
            const WIDTH: usize = size_of::<$type>();
            let distances = input.take(len, WIDTH)?.as_chunks::<WIDTH>().0;
            Ok(distances.iter().map(|d| base.plus(<$type>::from_ne_bytes(*d) as u64)).collect::<Vec<T>>().into())
        }};
    }
    match width {
        0 => Ok(vec![base; len].into()),
        1 => widen!(u8),
        2 => widen!(u16),
        4 => widen!(u32),
        8 => widen!(u64),
        _ => Err(format!("numbers of {width} bytes")),
    }
}
