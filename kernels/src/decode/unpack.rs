//! Little-endian bit-packed integers of 0 to 32 bits → `u32`, and the greatest of them.
//!
//! AVX-512 VBMI unpacks 16 values of up to 25 bits at once: one byte permutation brings each value's 4 bytes into its lane, a
//! variable shift drops the bits of its neighbour below, a mask those above. Other tiers and widths read 8 values from constant offsets.
//! Benchmarks: `benchmarks/benches/kernels`, group `unpack`.

/// Appends the first `count` integers of `width` bits (0..=32), least significant bit first, and answers the greatest (0 of none). `bytes`
/// must hold all of them.
pub fn unpack_u32(bytes: &[u8], width: u32, count: usize, out: &mut Vec<u32>) -> u32 {
    assert!(
        width <= 32 && bytes.len() * 8 >= count * width as usize,
        "{count} values of {width} bits in {} bytes",
        bytes.len()
    );
    #[cfg(target_arch = "x86_64")]
    if (1..=WIDTH_MAX).contains(&width) && crate::isa::isa() == crate::isa::Isa::Avx512 {
        // SAFETY: the tier says that the CPU has AVX-512 F, BW and VBMI.
        return unsafe { unpack_avx512(bytes, width as usize, count, out) };
    }
    unpack_tiered(bytes, width, count, out)
}

crate::tiered! { fn unpack_tiered(bytes: &[u8], width: u32, count: usize, out: &mut Vec<u32>) -> u32 = unpack_any; }

#[inline(always)]
fn unpack_any(bytes: &[u8], width: u32, count: usize, out: &mut Vec<u32>) -> u32 {
    macro_rules! by_width {
        ($out:ident, $($w:literal)*) => { match width { $($w => unpack_width::<$w>(bytes, $out),)* _ => {} } };
    }
    let start = out.len();
    out.resize(start + count, 0);
    let out = &mut out[start..];
    by_width!(out, 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
    out.iter().fold(0, |a, &b| a.max(b))
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

/// Values of more bits may spread over 5 bytes.
#[cfg(target_arch = "x86_64")]
const WIDTH_MAX: u32 = 25;

/// For each width, which bytes hold the 16 values of a step (4 bytes a lane), and by how much each lane is shifted.
#[cfg(target_arch = "x86_64")]
static LANES: [([u8; 64], [u32; 16]); WIDTH_MAX as usize + 1] = {
    let mut lanes = [([0u8; 64], [0u32; 16]); WIDTH_MAX as usize + 1];
    let mut width = 1;
    while width < lanes.len() {
        let mut j = 0;
        while j < 64 {
            let bit = j / 4 * width;
            lanes[width].0[j] = (bit / 8 + j % 4) as u8;
            lanes[width].1[j / 4] = (bit % 8) as u32;
            j += 1;
        }
        width += 1;
    }
    lanes
};

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn unpack_avx512(bytes: &[u8], width: usize, count: usize, out: &mut Vec<u32>) -> u32 {
    use std::arch::x86_64::*;
    const STEP: usize = 16;
    const REGISTER: usize = 64;
    let start = out.len();
    out.reserve(count + STEP);
    let (bytes_of, shift_of) = &LANES[width];
    // SAFETY: both arrays are 64 bytes long; the loads are unaligned.
    let (lanes, shifts) =
        unsafe { (_mm512_loadu_epi8(bytes_of.as_ptr().cast()), _mm512_loadu_epi32(shift_of.as_ptr().cast())) };
    let mask = _mm512_set1_epi32(((1u64 << width) - 1) as i32);
    let mut greatest = _mm512_setzero_si512();
    let mut step = |from: &[u8; REGISTER], done: usize| {
        // SAFETY: `from` is 64 bytes long.
        let loaded = unsafe { _mm512_loadu_epi8(from.as_ptr().cast()) };
        let values = _mm512_and_si512(_mm512_srlv_epi32(_mm512_permutexvar_epi8(lanes, loaded), shifts), mask);
        // SAFETY: done < count, and `reserve` left room for a whole step behind the last value.
        unsafe { _mm512_storeu_epi32(out.as_mut_ptr().add(start + done).cast(), values) };
        let counted = if count - done >= STEP { u16::MAX } else { (1 << (count - done)) - 1 };
        greatest = _mm512_mask_max_epu32(greatest, counted, greatest, values);
    };
    let (mut done, mut at) = (0, 0);
    while done < count
        && let Some(from) = bytes[at..].first_chunk::<REGISTER>()
    {
        step(from, done);
        done += STEP;
        at += 2 * width;
    }
    // What is left fits a register, but may not be read as one.
    let mut padded = [0u8; 3 * REGISTER];
    let rest = if done < count { &bytes[at..] } else { &[] };
    padded[..rest.len()].copy_from_slice(rest);
    let mut at = 0;
    while done < count
        && let Some(from) = padded[at..].first_chunk::<REGISTER>()
    {
        step(from, done);
        done += STEP;
        at += 2 * width;
    }
    assert!(done >= count);
    // SAFETY: the steps wrote `done` ≥ `count` values.
    unsafe { out.set_len(start + count) };
    _mm512_reduce_max_epu32(greatest)
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
        let bytes: Vec<u8> = (0..1400u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for width in 0..=32u32 {
            for len in [0usize, 1, 7, 8, 9, 15, 16, 17, 31, 64, 100, 127, 300] {
                let exact = &bytes[..(len * width as usize).div_ceil(8)];
                for input in [exact, &bytes[..]] {
                    let mut expected = vec![0; len];
                    unpack_u32_scalar(input, width, &mut expected);
                    let greatest = expected.iter().copied().max().unwrap_or(0);
                    let (mut fast, mut plain) = (vec![9], vec![9]);
                    assert_eq!(unpack_u32(input, width, len, &mut fast), greatest, "width {width}, {len} values");
                    assert_eq!(unpack_any(input, width, len, &mut plain), greatest, "width {width}, {len} values");
                    assert_eq!(
                        (&fast[1..], &plain[1..]),
                        (&expected[..], &expected[..]),
                        "width {width}, {len} values"
                    );
                }
            }
        }
    }
}
