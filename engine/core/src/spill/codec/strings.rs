//! Strings as lengths and bytes: first of those that lie inside their views, then of the long ones.
//!
//! Apart, so that what is read shares one buffer of long strings only, and short ones move twelve bytes at a time whatever their lengths.

use arrow_array::builder::make_view;
use arrow_buffer::{Buffer, ToByteSlice};

use super::input::{Decoded, Input, put_count};
use super::numbers;
use crate::batch::{Bitmap, Views};

/// The longest string that lies inside its view …
const INLINE: usize = 12;
/// … after the length.
const LENGTH: usize = 4;

/// Appends the strings; those that are null as empty ones, because what their views hold may be anything.
pub(super) fn encode(views: &Views, validity: Option<&Bitmap>, bytes: &mut Vec<u8>) {
    let mut lengths: Vec<u32> = views.views.iter().map(|&view| view as u32).collect();
    if let Some(validity) = validity {
        lengths.iter_mut().enumerate().filter(|(row, _)| !validity.get(*row)).for_each(|(_, length)| *length = 0);
    }
    numbers::encode(&lengths, bytes);
    let (short, long) = totals(&lengths);
    put_count(bytes, short);
    put_count(bytes, long);
    put_short(views, &lengths, short, bytes);
    bytes.reserve(long);
    for (row, _) in lengths.iter().enumerate().filter(|(_, length)| **length as usize > INLINE) {
        bytes.extend_from_slice(views.value(row));
    }
}

/// Bytes of all short and of all long strings.
fn totals(lengths: &[u32]) -> (usize, usize) {
    lengths.iter().fold((0, 0), |(short, long), &length| match length as usize {
        length @ ..=INLINE => (short + length, long),
        length => (short, long + length),
    })
}

/// Appends the short strings, and room for reading the last one as twelve bytes.
fn put_short(views: &Views, lengths: &[u32], total: usize, bytes: &mut Vec<u8>) {
    let mut at = bytes.len();
    let end = at + total;
    bytes.resize(end + INLINE, 0);
    for (view, &length) in views.views.iter().zip(lengths) {
        if length as usize <= INLINE {
            bytes[at..at + INLINE].copy_from_slice(&view.to_byte_slice()[LENGTH..]);
            at += length as usize;
        }
    }
    bytes[end..].fill(0);
}

/// Takes `len` strings.
pub(super) fn decode(input: &mut Input, len: usize) -> Decoded<Views> {
    let lengths = numbers::decode::<u32>(input, len)?;
    let (short, long) = (input.count()?, input.count()?);
    if totals(&lengths) != (short, long) {
        return Err("the lengths of strings do not add up".into());
    }
    let room = short.checked_add(INLINE).ok_or("too many bytes of strings")?;
    let (mut short, long) = (input.take(room, 1)?, input.take(long, 1)?);
    let mut views = Vec::with_capacity(len);
    let mut buffers: Vec<Buffer> = Vec::new();
    // Where the buffer that is being filled starts, and the next long string.
    let (mut start, mut at) = (0, 0);
    for &length in &lengths[..] {
        let bytes = length as usize;
        if bytes <= INLINE {
            views.push(inline_view(short, length));
            short = &short[bytes..];
            continue;
        }
        // Offsets into a buffer have 31 bits.
        if at + bytes - start > i32::MAX as usize {
            buffers.push(Buffer::from(&long[start..at]));
            start = at;
        }
        views.push(make_view(&long[at..at + bytes], buffers.len() as u32, (at - start) as u32));
        at += bytes;
    }
    if start < long.len() {
        buffers.push(Buffer::from(&long[start..]));
    }
    Ok(Views { views: views.into(), buffers: buffers.into() })
}

/// The view of the first `length` of twelve bytes.
fn inline_view(bytes: &[u8], length: u32) -> u128 {
    let mut word = [0; 16];
    word[..INLINE].copy_from_slice(&bytes[..INLINE]);
    let mask = (1u128 << (8 * length)) - 1;
    (u128::from_le_bytes(word) & mask) << 32 | u128::from(length)
}
