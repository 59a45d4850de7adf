//! Little-endian bit-packed integers of 0 to 32 bits → `u32`.

/// Fills `out` with the first `out.len()` integers of `width` bits (0..=32), least significant bit first. `bytes` must hold all of them.
pub fn unpack_u32(bytes: &[u8], width: u32, out: &mut [u32]) {
    assert!(
        width <= 32 && bytes.len() * 8 >= out.len() * width as usize,
        "{} values of {width} bits in {} bytes",
        out.len(),
        bytes.len()
    );
    unpack_tiered(bytes, width, out);
}

crate::tiered! { fn unpack_tiered(bytes: &[u8], width: u32, out: &mut [u32]) = unpack_any; }

#[inline(always)]
fn unpack_any(bytes: &[u8], width: u32, out: &mut [u32]) {
    macro_rules! by_width {
        ($($w:literal)*) => { match width { $($w => unpack_width::<$w>(bytes, out),)* _ => out.fill(0) } };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32)
}

/// Eight values take `W` bytes; with `W` known every byte offset and shift below is a constant. A group is read by 8-byte loads, so the
/// last ones go through a padded copy.
#[inline(always)]
fn unpack_width<const W: usize>(bytes: &[u8], out: &mut [u32]) {
    let whole = out.len() / 8;
    let direct = (bytes.len().saturating_sub(8) / W).min(whole);
    let (fast, slow) = out.split_at_mut(direct * 8);
    for (group, values) in fast.chunks_exact_mut(8).enumerate() {
        unpack_group::<W>(&bytes[group * W..group * W + W + 8], values);
    }
    for (group, values) in slow.chunks_mut(8).enumerate() {
        let start = (direct + group) * W;
        let available = W.min(bytes.len() - start);
        let (mut padded, mut unpacked) = ([0u8; 40], [0u32; 8]);
        padded[..available].copy_from_slice(&bytes[start..start + available]);
        unpack_group::<W>(&padded, &mut unpacked);
        values.copy_from_slice(&unpacked[..values.len()]);
    }
}

#[inline(always)]
fn unpack_group<const W: usize>(source: &[u8], values: &mut [u32]) {
    let source = &source[..W + 8];
    let values = &mut values[..8];
    for (j, value) in values.iter_mut().enumerate() {
        let bit = j * W;
        let mut word = [0u8; 8];
        word.copy_from_slice(&source[bit / 8..bit / 8 + 8]);
        *value = (u64::from_le_bytes(word) >> (bit % 8)) as u32 & (u32::MAX >> (32 - W));
    }
}

/// The plainest code: one bit at a time.
#[cfg(test)]
pub(super) fn unpack_u32_scalar(bytes: &[u8], width: u32, out: &mut [u32]) {
    for (i, value) in out.iter_mut().enumerate() {
        *value = (0..width as usize).fold(0, |v, b| {
            let bit = i * width as usize + b;
            v | ((bytes[bit / 8] >> (bit % 8) & 1) as u32) << b
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_widths_agree_with_the_bit_loop() {
        let bytes: Vec<u8> = (0..600u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for width in 0..=32u32 {
            for len in [0usize, 1, 7, 8, 9, 31, 64, 100, 127] {
                let exact = &bytes[..(len * width as usize).div_ceil(8)];
                let (mut fast, mut slow) = (vec![9; len], vec![9; len]);
                unpack_u32(exact, width, &mut fast);
                unpack_u32_scalar(exact, width, &mut slow);
                assert_eq!(fast, slow, "width {width}, {len} values");
            }
        }
    }
}
